"""Where gas goes: an opcode trace split into the parts of `records.PARTS`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from margincall.bench.floors import COLD_ACCOUNT, CREATED, WRITTEN
from margincall.chain.node import Step

WARM_SLOT = (100, WRITTEN, CREATED)  # what an access of a warm slot costs
ECRECOVER = 3_000
_CALLS = ("CALL", "STATICCALL", "DELEGATECALL", "CALLCODE")
_LOOKS = ("EXTCODECOPY", "EXTCODESIZE", "EXTCODEHASH", "BALANCE")
_SLOTS = ("SLOAD", "SSTORE")
_SPECIAL = frozenset((*_CALLS, *_LOOKS, *_SLOTS))
_PART = {
    "storage": ("SLOAD", "SSTORE", "TLOAD", "TSTORE"),
    "code": ("CREATE", "CREATE2"),
    "keccak": ("KECCAK256", "SHA3"),
    "logs": tuple(f"LOG{n}" for n in range(5)),
    "memory": (
        *("MLOAD", "MSTORE", "MSTORE8", "MCOPY", "CODECOPY", "RETURN", "REVERT"),
        *("CALLDATALOAD", "CALLDATACOPY", "RETURNDATACOPY"),
    ),
    "arithmetic": (
        *("ADD", "MUL", "SUB", "DIV", "SDIV", "MOD", "SMOD", "ADDMOD", "MULMOD", "EXP", "SIGNEXTEND"),
        *("LT", "GT", "SLT", "SGT", "EQ", "ISZERO", "AND", "OR", "XOR", "NOT", "BYTE", "SHL", "SHR", "SAR"),
    ),
}
PART_OF = {name: part for part, names in _PART.items() for name in names}


class Split(NamedTuple):
    """Gas by part; `warm_slots`: accesses of slots that were warm."""

    parts: Counter
    warm_slots: int


def split(steps: Iterable[Step], outermost: bool = False) -> Split:
    """The gas of the steps of a transaction by part; `outermost`: of its first frame alone.

    An opcode's own gas is what the gas left falls by until the next one in its frame, less what a call's
    frame used: exact whatever a node reports as the cost of a call.
    """
    used: Counter = Counter()  # by opcode; those of _SPECIAL go to `parts` one by one
    parts: Counter = Counter()
    frames: list[list] = []  # of the frames around: last opcode, its gas, the gas that the frame below got
    warm, op, gas, depth, cost = 0, "", 0, 0, 0
    below, called = 0, False  # of the last opcode: gas that the frame below it used, whether there was one
    for next_op, next_depth, next_gas, next_cost in steps:
        if next_depth > depth:  # the last opcode called
            frames.append([op, gas, next_gas])
            below, called = 0, False
        else:
            while next_depth < depth:  # the last opcode ended its frame
                if not outermost:
                    _count(used, parts, op, cost, called)
                left, depth = gas - cost, depth - 1
                op, gas, got = frames.pop()
                below, called = got - left, True
            own = gas - next_gas - below
            if outermost and depth > 1:
                pass
            elif op in _SPECIAL:
                warm += op in _SLOTS and own in WARM_SLOT
                _count(used, parts, op, own, called)
            else:
                used[op] += own
            below, called = 0, False
        op, depth, gas, cost = next_op, next_depth, next_gas, next_cost
    _count(used, parts, op, cost, called)
    for name, total in used.items():
        parts[PART_OF.get(name, "control")] += total
    return Split(parts, warm)


def _count(used: Counter, parts: Counter, op: str, own: int, called: bool) -> None:
    """`called`: the opcode had a frame below it."""
    if op in _CALLS:
        cold = COLD_ACCOUNT if own >= COLD_ACCOUNT and (called or own < ECRECOVER) else 0
        signature = ECRECOVER if not called and own >= ECRECOVER else 0
        parts.update(accounts=cold, signatures=signature, calls=own - cold - signature)
    elif op in _LOOKS:
        cold = COLD_ACCOUNT if own >= COLD_ACCOUNT else 0
        parts["accounts"] += cold
        parts["code" if op == "EXTCODECOPY" else "calls"] += own - cold
    else:
        used[op] += own
