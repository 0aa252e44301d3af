"""What-if: the same transactions under other prices of state, and what that does to code store and slots.

Gas is linear in what a transaction touches, so the new figure is the measured one plus the counts of its
access times the change of each price: exact, not estimated, for

    cold slots, cold accounts, slots created, changed and cleared, logs, calldata, code made.

Not modelled: that contracts would be written otherwise under other prices; slots written and put back;
touches of warm slots (100), copying of code (3 a word) and new opcodes. The refund for clearing stays 4,800 a
slot and at most a fifth, the floor of calldata (EIP-7623) 10 a token.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

from margincall.bench import floors
from margincall.bench.records import OPERATION, Bench, Measurement
from margincall.bench.rules import rules


@dataclass(frozen=True)
class Schedule:
    """Gas of what is done with state; the defaults are those of Osaka.

    cold_sload: a slot's first touch, written or not; sstore_set, sstore_reset: on top of it where a slot is
    created, or holds something else or nothing afterwards; code_byte: a byte of code made; create: the
    contract it makes.
    """

    cold_sload: int = floors.COLD_SLOT
    cold_account: int = floors.COLD_ACCOUNT
    sstore_set: int = floors.CREATED
    sstore_reset: int = floors.WRITTEN
    log: int = floors.LOG
    log_topic: int = floors.TOPIC
    log_byte: int = floors.LOG_BYTE
    calldata_zero: int = floors.ZERO_BYTE
    calldata_byte: int = floors.BYTE
    create: int = floors.CREATE
    code_byte: int = floors.CODE_BYTE

    def changed(self) -> dict[str, tuple[int, int]]:
        """The prices that differ from today's: name -> (today, here)."""
        names = [field.name for field in fields(self)]
        return {
            n: (getattr(TODAY, n), getattr(self, n)) for n in names if getattr(TODAY, n) != getattr(self, n)
        }


TODAY = Schedule()


def counts(measured: Measurement) -> dict[str, int]:
    """How often a measurement pays each price of a Schedule."""
    access = measured.access
    return {
        "cold_sload": access.cold_slots,
        "cold_account": access.cold_accounts,
        "sstore_set": access.slots_created,
        "sstore_reset": access.slots_changed + access.slots_cleared,
        "log": access.logs,
        "log_topic": access.log_topics,
        "log_byte": access.log_bytes,
        "calldata_zero": access.calldata_zero,
        "calldata_byte": access.calldata_nonzero,
        "create": access.deployments,
        "code_byte": access.deploy_bytes,
    }


def repriced(measured: Measurement, schedule: Schedule) -> int:
    """Its gas under that schedule."""
    held = counts(measured)
    if measured.kind != OPERATION:  # a view: its caller's calldata is not counted
        held |= {"calldata_zero": 0, "calldata_byte": 0}
    dearer = sum(held[name] * (there - here) for name, (here, there) in schedule.changed().items())
    if not dearer:
        return measured.gas
    refund = -measured.parts.get("refund", 0)
    used = measured.gas + refund
    if refund >= used // floors.MAX_REFUND:  # the cap bound it
        refund = max(refund, floors.CLEARED * measured.access.slots_cleared)
    used += dearer
    used -= min(refund, used // floors.MAX_REFUND)
    if measured.kind != OPERATION:
        return used
    tokens = held["calldata_zero"] + floors.TOKENS * held["calldata_byte"]
    return max(used, floors.TRANSACTION + floors.FLOOR_TOKEN * tokens)


class Ranked(NamedTuple):
    """A rule's check before and after, with its place among the rules (1: the cheapest)."""

    name: str
    before: int
    after: int
    place_before: int
    place_after: int

    @property
    def moved(self) -> int:
        """Places gained (positive) or lost."""
        return self.place_before - self.place_after


class Turn(NamedTuple):
    """Code against slots for one book: gas of a check and of the refresh of its curve, kept in either.

    A refresh serves every check of its expiry until it is stale: a store costs refresh + checks · check."""

    positions: int
    code: int
    slots: int
    refresh_code: int
    refresh_slots: int

    @property
    def crossing(self) -> float | None:
        """Checks a refresh at which both stores cost alike; None where one is always cheaper."""
        saved, dearer = self.slots - self.code, self.refresh_code - self.refresh_slots
        return dearer / saved if saved * dearer > 0 else None

    @property
    def verdict(self) -> str:
        if (crossing := self.crossing) is None:
            code = (self.code, self.refresh_code) <= (self.slots, self.refresh_slots)
            return "code" if code else "slots"
        many, few = ("code", "slots") if self.code < self.slots else ("slots", "code")
        return f"{few} up to {int(crossing)} checks a refresh, then {many}" if crossing >= 1 else many


class Pair(NamedTuple):
    """The same thing measured with curves in code and in slots."""

    code: Measurement
    slots: Measurement

    def turning_point(self, price: str) -> float | None:
        """The value of one price of a Schedule at which both would cost alike, all others as today; None
        where that price does not tell them apart or would have to be negative."""
        apart = counts(self.code)[price] - counts(self.slots)[price]
        if not apart:
            return None
        found = getattr(TODAY, price) + (self.slots.gas - self.code.gas) / apart
        return found if found >= 0 else None


def checks_by_store(bench: Bench) -> list[Pair]:
    """The portfolio rule's ladders that were measured with both stores."""
    held = {one.store: one.checks for one in rules(bench) if one.engine == "portfolio"}
    slots = held.get("slots", {})
    return [Pair(check, slots[n]) for n, check in held.get("code", {}).items() if n in slots]


def refreshes_by_store(bench: Bench) -> list[Pair]:
    """Refreshes of a curve that was there before, with both stores."""
    held = {
        m.name: m for m in bench.select(kind=OPERATION) if m.name.startswith("refresh") and "again" in m.name
    }
    twins = ((m, held.get(name.replace("code", "slots"))) for name, m in held.items() if "code" in name)
    return [Pair(code, slots) for code, slots in twins if slots]


def turns(bench: Bench, refresh: Pair, schedule: Schedule) -> list[Turn]:
    """Code against slots for every ladder, where curves are refreshed like that."""
    renewed = (repriced(refresh.code, schedule), repriced(refresh.slots, schedule))
    return [
        Turn(pair.code.positions, repriced(pair.code, schedule), repriced(pair.slots, schedule), *renewed)
        for pair in checks_by_store(bench)
    ]


def ranking(bench: Bench, schedule: Schedule, positions: int) -> list[Ranked]:
    """Every rule and store by what a ladder of so many positions costs under the schedule, cheapest first."""
    measured = [(one.name, one.checks[positions]) for one in rules(bench) if positions in one.checks]
    held = [(name, check.gas, repriced(check, schedule)) for name, check in measured]
    before = {name: place for place, (name, *_) in enumerate(sorted(held, key=lambda one: one[1]), 1)}
    after = sorted(held, key=lambda one: one[2])
    return [Ranked(*one, before[one[0]], place) for place, one in enumerate(after, 1)]
