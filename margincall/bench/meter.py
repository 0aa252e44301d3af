"""Two meters for the same operations: the embedded EVM knows what state was touched, Anvil what each opcode
cost. Both say the gas, and `merge` refuses a difference."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from margincall.bench import floors
from margincall.bench.records import CHECK, OPERATION, PARTS, Access, Measurement
from margincall.bench.trace import split
from margincall.chain import Chain, Contract, Disagreement, EmbeddedChain
from margincall.chain.base import Receipt
from margincall.chain.embedded import _ACCOUNT, _SLOT, ZERO
from margincall.chain.node import NodeChain

PRECOMPILES = 2**16  # addresses below are precompiled contracts, which are never cold


class Reading(NamedTuple):
    """One meter's view of an operation. `facts`: engine, positions, underlyings, store."""

    name: str
    kind: str
    gas: int
    facts: dict[str, Any]
    access: Access | None = None
    parts: dict[str, int] | None = None
    warm_slots: int = 0


class Meter(ABC):
    """Reads operations off `chain`. `wanted`: only measure names that contain one of these."""

    def __init__(self, chain: Chain, wanted: Sequence[str] = ()) -> None:
        self.chain = chain
        self.readings: list[Reading] = []
        self._wanted = [part.lower() for part in wanted]

    def take(self, name: str, receipt: Receipt, **facts) -> int:
        """Record the last transaction of the chain, whose receipt this is; its gas."""
        if self._asked(name):
            self.readings.append(self._operation(name, receipt, facts))
        return receipt.gas_used

    def view(self, name: str, contract: Contract, data: bytes, **facts) -> None:
        """Record a view on cold state."""
        if self._asked(name):
            self.readings.append(self._view(name, (contract, data), None, facts))

    def check(
        self, name: str, whole: tuple[Contract, bytes], rule: Contract, margin: bytes, initial: bytes, **facts
    ) -> None:
        """Record what judging an account costs a trade: the view `whole` (contract, calldata), which asks
        `rule` for `margin`, with `initial` asked in its place. What is touched is read off `whole`."""
        if self._asked(name):
            self.readings.append(self._view(name, whole, (rule, margin, initial), facts))

    def _asked(self, name: str) -> bool:
        return not self._wanted or any(part in name.lower() for part in self._wanted)

    @abstractmethod
    def _operation(self, name: str, receipt: Receipt, facts: dict) -> Reading: ...

    @abstractmethod
    def _view(
        self, name: str, whole: tuple[Contract, bytes], instead: tuple | None, facts: dict
    ) -> Reading: ...


class WatchedChain(EmbeddedChain):
    """An exact-gas chain that keeps what its last transaction touched."""

    def __init__(self, **options) -> None:
        self.journal = ""
        self.last: tuple[str, str | None, bytes] = ("", None, b"")
        super().__init__(exact_gas=True, **options)

    def _transact(self, sender, to, data, gas, at):
        self.last = sender, to, data
        return super()._transact(sender, to, data, gas, at)

    def _fold(self, sender: str | None = None) -> None:
        self.journal = self._evm.journal_str
        super()._fold(sender)

    def journal_of(self, to: str, data: bytes) -> str:
        """What a call touches, on cold state."""
        mark = self._evm.snapshot()
        try:
            self._evm.message_call(ZERO, to, calldata=data)
            return self._evm.journal_str
        finally:
            self._evm.revert(mark)
            self._evm.reset_transient_storage()


class AccessMeter(Meter):
    """On the embedded EVM."""

    chain: WatchedChain

    def _operation(self, name: str, receipt: Receipt, facts: dict) -> Reading:
        sender, to, data = self.chain.last
        topics = sum(len(log.topics) for log in receipt.logs)
        access = _access(
            self.chain.journal,
            (sender, to),
            logs=len(receipt.logs),
            log_topics=topics,
            log_bytes=sum(len(log.data) for log in receipt.logs),
            calldata_zero=data.count(0),
            calldata_nonzero=len(data) - data.count(0),
        )
        return Reading(name, OPERATION, receipt.gas_used, facts, access)

    def _view(self, name: str, whole: tuple[Contract, bytes], instead: tuple | None, facts: dict) -> Reading:
        contract, data = whole
        gas = self.chain.view_gas(contract.address, data)
        if instead:
            rule, margin, initial = instead
            gas += self.chain.view_gas(rule.address, initial) - self.chain.view_gas(rule.address, margin)
        access = _access(self.chain.journal_of(contract.address, data), (ZERO, contract.address))
        return Reading(name, CHECK, gas, facts, access)


def _access(journal: str, warm: tuple[str, ...], **known: int) -> Access:
    """What a journal says was touched; `warm` accounts are there from the start."""
    found: Counter = Counter(known)
    there = {address.lower() for address in warm}
    for address, _, _, code, length, storage, status in _ACCOUNT.findall(
        journal.partition("transient_storage:")[0]
    ):
        size = int(length) if length else len(code) // 2
        if "Created" in status:
            found["deployments"] += 1
            found["deploy_bytes"] += size
        elif address not in there and int(address, 16) >= PRECOMPILES:
            found["cold_accounts"] += 1
            found["code_bytes_read"] += size * ("Touched" not in status)
        for _, before, after in _SLOT.findall(storage):
            found["cold_slots"] += 1
            if before != after:
                found[
                    "slots_created" if before == "0" else "slots_cleared" if after == "0" else "slots_changed"
                ] += 1
    return Access(**found)


class PartsMeter(Meter):
    """On an Anvil node."""

    chain: NodeChain

    def _operation(self, name: str, receipt: Receipt, facts: dict) -> Reading:
        data, steps = self.chain.trace_last()
        used, warm = split(steps)
        used.update(intrinsic=floors.TRANSACTION, calldata=floors.calldata(_calldata(data)))
        # The receipt is lower by what was given back, or higher by what EIP-7623 asks for.
        rest = receipt.gas_used - used.total()
        used["refund" if rest < 0 else "calldata"] += rest
        return Reading(name, OPERATION, receipt.gas_used, facts, None, _ordered(used), warm)

    def _view(self, name: str, whole: tuple[Contract, bytes], instead: tuple | None, facts: dict) -> Reading:
        contract, data = whole
        # The outermost frame without the rule's, and the rule asked for initial margin.
        used, warm = split(self.chain.trace_call(contract.address, data), outermost=instead is not None)
        if instead:
            rule, _, initial = instead
            parts, touched = split(self.chain.trace_call(rule.address, initial))
            used.update(parts)
            warm += touched
        return Reading(name, CHECK, used.total(), facts, None, _ordered(used), warm)


def _calldata(data: bytes) -> Access:
    return Access(calldata_zero=data.count(0), calldata_nonzero=len(data) - data.count(0))


def _ordered(used: Counter) -> dict[str, int]:
    return {part: used[part] for part in PARTS}


def merge(access: Sequence[Reading], parts: Sequence[Reading]) -> list[Measurement]:
    """The readings of the two meters as measurements. Raises Disagreement."""
    if [r.name for r in access] != [r.name for r in parts]:
        raise Disagreement("the embedded EVM and Anvil did not measure the same operations")
    names = Counter(r.name for r in access)
    if twice := [name for name, times in names.items() if times > 1]:
        raise Disagreement(f"measured more than once: {', '.join(twice)}")
    return [_merged(*pair) for pair in zip(access, parts, strict=True)]


def _merged(one: Reading, other: Reading) -> Measurement:
    touched, parts = replace(one.access, warm_slots=other.warm_slots), other.parts
    operation = one.kind == OPERATION
    said = {
        f"{one.gas:,} gas on the embedded EVM, {other.gas:,} on Anvil": one.gas == other.gas,
        f"{other.gas:,} gas, its parts {sum(parts.values()):,}": other.gas == sum(parts.values()),
        f"cold accounts {touched.cold_accounts}, their gas {parts['accounts']:,}": not operation
        or parts["accounts"] == floors.COLD_ACCOUNT * touched.cold_accounts,
    }
    for what, holds in said.items():
        if not holds:
            raise Disagreement(f"{one.name}: {what}")
    floor = floors.transaction(touched) if operation else floors.state(touched)
    return Measurement(one.name, one.kind, one.gas, floor, parts, touched, **one.facts)
