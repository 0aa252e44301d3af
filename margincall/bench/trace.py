"""Where gas goes: an opcode trace split into the parts of `records.PARTS`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from margincall.bench.floors import COLD_ACCOUNT, CREATED, WRITTEN

WARM_SLOT = (100, WRITTEN, CREATED)  # what an access of a warm slot costs
ECRECOVER = 3_000
_CALLS = ("CALL", "STATICCALL", "DELEGATECALL", "CALLCODE")
_CREATES = ("CREATE", "CREATE2")
_PART = {
    "storage": ("SLOAD", "SSTORE", "TLOAD", "TSTORE"),
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


class Step(NamedTuple):
    """An opcode: its depth, the gas left before it, and what the node says that it cost."""

    op: str
    depth: int
    gas: int
    cost: int


class Split(NamedTuple):
    """Gas by part; `warm_slots`: accesses of slots that were warm."""

    parts: Counter
    warm_slots: int


def split(steps: Iterable[Step]) -> Split:
    """The gas of the steps of a transaction by part.

    An opcode's own gas is what the gas left falls by until the next one in its frame, less what a call's
    frame used: exact whatever a node reports as the cost of a call.
    """
    parts: Counter = Counter()
    warm = 0
    frames: list[_Frame] = []

    def close() -> None:
        """The innermost frame ends with its last step."""
        frame = frames.pop()
        last = frame.last
        parts.update(_parts(last.op, last.cost, frame.called))
        if frames:
            frames[-1].used_below += frame.first_gas - (last.gas - last.cost)

    for step in steps:
        while len(frames) > step.depth:
            close()
        if len(frames) < step.depth:
            if frames:
                frames[-1].called = True
            frames.append(_Frame(step))
            continue
        frame = frames[-1]
        own = frame.last.gas - step.gas - frame.used_below
        warm += frame.last.op in ("SLOAD", "SSTORE") and own in WARM_SLOT
        parts.update(_parts(frame.last.op, own, frame.called))
        frame.last, frame.used_below, frame.called = step, 0, False
    while frames:
        close()
    return Split(parts, warm)


class _Frame:
    """A call in progress: its last step, and what frames below used since."""

    def __init__(self, first: Step) -> None:
        self.first_gas = first.gas
        self.last = first
        self.used_below = 0
        self.called = False


def _parts(op: str, own: int, called: bool) -> dict[str, int]:
    if op in _CALLS:
        cold = COLD_ACCOUNT if own >= COLD_ACCOUNT and (called or own < ECRECOVER) else 0
        signature = ECRECOVER if not called and own >= ECRECOVER else 0
        return {"accounts": cold, "signatures": signature, "calls": own - cold - signature}
    if op in ("EXTCODECOPY", "EXTCODESIZE", "EXTCODEHASH", "BALANCE"):
        cold = COLD_ACCOUNT if own >= COLD_ACCOUNT else 0
        return {"accounts": cold, "code" if op == "EXTCODECOPY" else "calls": own - cold}
    if op in _CREATES:
        return {"code": own}
    return {PART_OF.get(op, "control"): own}
