"""What was promised, beside what was measured. A limit must hold (tests/gas); a goal is what was aimed at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from margincall.bench.records import Bench, Target
from margincall.chain.base import TX_GAS

EIP_170 = 24_576
LOADED = "measured while other work shared the machine; run `make bench` on an idle one"


class Promise(NamedTuple):
    """Of a measurement (by name, or a figure made of several): a limit, and what was aimed at, if that is
    less. `why`: what a missed goal lacks."""

    what: str
    figure: str | Callable[[Bench], float]
    limit: int
    goal: int | None = None
    why: str = ""


def further_trade(bench: Bench) -> int:
    """Each of nine more pairs in a call, fill words in use."""
    return (bench.find("ten trades in a call, again").gas - bench.find("one trade in a call, again").gas) // 9


def dearest_liquidation(bench: Bench) -> int:
    return max(m.gas for m in bench.measurements if m.name.startswith("liquidation, "))


WHY = (
    "half of what is above the floor are bounds checks of extract32 and memory traffic of the legacy code"
    " generator; what was tried is in contracts/README.md"
)
GAS = (
    Promise("portfolio check, 16 options", "check, ladder of 16", 90_000, 70_000, WHY),
    Promise("portfolio check, 64 options", "check, ladder of 64", 200_000, 144_900, WHY),
    Promise("portfolio check, 127 options", "check, ladder of 127", 350_000, 260_000, WHY),
    Promise(
        "portfolio check, 64 options over 4 underlyings",
        "check, 64 over 4 underlyings",
        260_000,
        200_000,
        WHY,
    ),
    Promise("portfolio check, one perp", "check, 1 perp", 50_000, 40_000, WHY),
    Promise("cross margin view, 1 perp", "Clearinghouse.margin, 1 perp", 30_000),
    Promise("cross margin view, 16 perps", "Clearinghouse.margin, 16 perps", 75_000),
    Promise("perp trade, both accounts trade already", "increase, cross, 1 perp", 160_000),
    Promise("perp trade, both accounts fresh", "open, cross, two fresh accounts", 230_000),
    Promise("perp trade, each further one of ten in a call", further_trade, 110_000),
    Promise(
        "option trade, two portfolio accounts of 16 options",
        "option trade, portfolio, one more beside 16, two new fill words",
        400_000,
    ),
    Promise("liquidation of one perp, slice", "liquidation, 1 perp, slice", 200_000),
    Promise("liquidation of one perp, full", "liquidation, 1 perp, full", 200_000),
    Promise(
        "liquidation of one perp, insolvent, insured", "liquidation, 1 perp, insolvent, insured", 200_000
    ),
    Promise(
        "liquidation of one perp, insolvent, socialised",
        "liquidation, 1 perp, insolvent, socialised",
        220_000,
        200_000,
        "four slots more than the others: the deficit, the winners' index, its flag, the fund's last cent",
    ),
    Promise("liquidation, the dearest of all accounts", dearest_liquidation, TX_GAS),
    Promise("deposit, repeated", "deposit, repeated", 65_000),
    Promise(
        "refresh of an expiry of 180 days, curves in code",
        "refresh, 180 days, code, first",
        950_000,
        650_000,
        "Black-76 at every point of the curve in integers; a longer expiry has more points",
    ),
)
SEARCH = (
    "the least slice takes several tries, each a margin check of the whole account; who asks for no more than"
    " the first try takes pays for one (liquidation, standard, the largest account, half)"
)
SPEED: tuple[tuple[str, tuple[str, ...], float, str, bool], ...] = (
    ("property steps, cross", ("property_steps_a_second", "cross"), 1_000, "a second", True),
    ("property steps, cross, at the very least", ("property_steps_a_second", "cross"), 500, "a second", True),
    ("property steps, portfolio", ("property_steps_a_second", "portfolio"), 100, "a second", True),
    (
        "replay of the crash, 1,000 accounts a perp mode",
        ("replay", "seconds"),
        60,
        "CPU seconds",
        False,
    ),
    ("the whole benchmark", ("bench_seconds",), 300, "seconds", False),
)
ELSEWHERE = (
    Target(
        "on-chain margin above the exact one, of gross notional",
        1e-4,
        None,
        "",
        note="asserted with its own bounds by tests/fuzz/test_portfolio_margin.py and test_short_dated.py",
    ),
)


def limits_of(bench: Bench) -> list[Target]:
    """The limits of gas and bytes."""
    found = [Target(p.what, p.limit, _figure(p, bench)) for p in GAS]
    largest = max(bench.bytes, key=bench.bytes.get) if bench.bytes else ""
    size = bench.bytes.get(largest)
    return [*found, Target(f"bytes of the largest contract ({largest})", EIP_170 - 1, size, "bytes")]


def targets(bench: Bench) -> list[Target]:
    """Everything promised: limits, goals, speed."""
    goals = [
        Target(f"{p.what}: goal", p.goal, _figure(p, bench), note=_missed(p, bench))
        for p in GAS
        if p.goal is not None
    ]
    searched = [
        Target(
            f"liquidation, largest {engine} account, nothing asked of the slice",
            TX_GAS,
            gas,
            note=SEARCH if gas > TX_GAS else "",
        )
        for engine, gas in bench.limits["liquidate_longest_search"].items()
    ]
    return [
        *limits_of(bench),
        *searched,
        *goals,
        *(_speed(bench, *promised) for promised in SPEED),
        *ELSEWHERE,
    ]


def _figure(promise: Promise, bench: Bench) -> float:
    figure = promise.figure
    return bench.find(figure).gas if isinstance(figure, str) else figure(bench)


def _missed(promise: Promise, bench: Bench) -> str:
    over = _figure(promise, bench) / promise.goal - 1
    return f"{over:.0%} above: {promise.why}" if over > 0 else ""


def _speed(
    bench: Bench, name: str, path: tuple[str, ...], target: float, unit: str, at_least: bool
) -> Target:
    found: Any = bench.speed
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    made = Target(name, target, found, unit, at_least)
    return (
        made if made.met else Target(name, target, found, unit, at_least, LOADED if found else "not measured")
    )
