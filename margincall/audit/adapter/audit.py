"""The audit of an adapter: histories, violations shrunk, what was reached."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

from margincall.audit.adapter import properties
from margincall.audit.adapter.generate import Generator
from margincall.audit.adapter.protocol import Adapter, abilities
from margincall.audit.adapter.run import Broken, Call, Run

EPISODE = 250
MOST_REPLAYS = 1_000

REQUIRED = (
    "deposit ok", "withdraw ok", "withdraw refused", "trade ok", "trade refused", "set_price ok",
    "all that is withdrawable left", "solvent liquidation", "insolvent liquidation", "full liquidation",
    "liquidate refused", "price at the boundary of liquidation", "position reduced", "position turned over",
    "everyone left", "withdrawal of unrealised profit tried", "price one unit past the boundary",
)  # fmt: skip
"""States without which a run says little."""


@dataclass
class Finding:
    """A violated property, with the shortest history found that still violates it."""

    broken: Broken
    history: list[Call]
    drawn: int
    seed: int


@dataclass
class Report:
    """What an audit did. `unavailable`: ids left out, with what the adapter would have to offer."""

    name: str
    abilities: frozenset[str]
    steps: int = 0
    episodes: int = 0
    seconds: float = 0.0
    checked: Counter = field(default_factory=Counter)
    counts: Counter = field(default_factory=Counter)
    refusals: Counter = field(default_factory=Counter)
    unavailable: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    partial: bool = False

    def missing(self) -> list[str]:
        """What was never reached, and which properties were never really checked though they could be."""
        wanted = (*REQUIRED, *(("partial liquidation",) if self.partial else ()))
        unreached = [f"never reached: {name}" for name in wanted if not self.counts[name]]
        found = {finding.broken.name for finding in self.findings}
        left_out = self.unavailable.keys() | properties.NOT_EXPRESSIBLE.keys() | found
        ids = [name for name in properties.ALL if name not in left_out]
        return unreached + [f"never checked: {name}" for name in ids if not self.checked[name]]


def audit(
    factory: Callable[[], Adapter],
    steps: int,
    seed: int = 1,
    progress: Callable[[Report], None] | None = None,
    only: frozenset[str] | None = None,
) -> Report:
    """Drive fresh adapters with generated histories of EPISODE calls until `steps` calls are done.

    A violated property ends its history, is shrunk, and is not looked for again. `only`: look at these ids
    alone. The same seed gives the same histories.
    """
    started = perf_counter()
    first = factory()
    report = Report(first.name, abilities(first), partial=first.partial)
    skip = frozenset(properties.ALL) - only if only is not None else frozenset()
    while report.steps < steps and len(skip) < len(properties.ALL):
        number = report.episodes
        run = Run(factory, skip)
        length = min(EPISODE, steps - report.steps)
        try:
            _episode(run, random.Random(seed * 1_000_003 + number), number % 3 == 2, length, report, progress)
        except Broken as broken:
            shortest, said = shrink(factory, run.history, broken)
            report.findings.append(Finding(said, shortest, len(run.history), seed))
            skip |= {broken.name}
        report.episodes += 1
        report.checked.update(run.checked)
        report.counts.update(run.counts)
        report.refusals.update(run.refusals)
        report.unavailable |= properties.unavailable(run)
        report.seconds = perf_counter() - started
    return report


def _episode(run: Run, rng: random.Random, calm: bool, length: int, report: Report, progress) -> None:
    generator = Generator(run, rng, calm)
    done = 0
    while done < length:
        call = generator.next()
        if call is None:
            continue
        if call.kind != "probe":
            done += 1
            report.steps += 1
            if progress and report.steps % 50 == 0:
                progress(report)
        step = run.apply(call)
        if step and step.ok and call.kind == "trade":
            _count_trade(run, step)


def _count_trade(run: Run, step) -> None:
    for account in step.named:
        sizes = zip(step.before.accounts[account].sizes, step.after.accounts[account].sizes, strict=True)
        for old, new in sizes:
            run.counts["position turned over"] += old * new < 0
            run.counts["position reduced"] += abs(new) < abs(old) and old * new >= 0


def replay(factory: Callable[[], Adapter], history: list[Call], only: str | None = None) -> Run:
    """The history on a fresh adapter, every property judged (`only`: this id alone). Raises Broken."""
    skip = frozenset(properties.ALL) - {only} if only else frozenset()
    run = Run(factory, skip)
    for call in history:
        run.apply(call)
    return run


def shrink(factory: Callable[[], Adapter], history: list[Call], broken: Broken) -> tuple[list[Call], Broken]:
    """Drop calls while the same id is still violated (delta debugging), then halve amounts."""
    said, left = broken, MOST_REPLAYS

    def violates(calls: list[Call]) -> list[Call] | None:
        """The calls up to the violation, if there is one."""
        nonlocal said, left
        left -= 1
        run = Run(factory, frozenset(properties.ALL) - {broken.name})
        try:
            for call in calls:
                run.apply(call)
        except Broken as again:
            said = again
            return run.history
        return None

    best = violates(history) or history
    chunk = max(1, len(best) // 2)
    while left > 0:
        start, shorter = 0, False
        while start < len(best) and left > 0:
            found = violates(best[:start] + best[start + chunk :]) if len(best) > chunk else None
            if found is not None:
                best, shorter = found, True
            else:
                start += chunk
        if chunk == 1 and not shorter:
            break
        chunk = max(1, chunk // 2)
    best = _rounder(best, violates, lambda: left > 0)
    violates(best)
    return best, said


def _rounder(best: list[Call], violates: Callable, more: Callable[[], bool]) -> list[Call]:
    """Amounts with fewer digits, where the violation stays: people read them."""
    for i in range(len(best)):
        for j, arg in enumerate(best[i].args if i < len(best) and best[i].kind in AMOUNTS else ()):
            if not isinstance(arg, int) or isinstance(arg, bool) or j not in AMOUNTS[best[i].kind]:
                continue
            for digits in (1, 2, 3):
                unit = 10 ** max(0, len(str(arg)) - digits)
                if not more() or unit == 1:
                    break
                args = (*best[i].args[:j], arg // unit * unit, *best[i].args[j + 1 :])
                changed = [*best[:i], best[i]._replace(args=args), *best[i + 1 :]]
                if violates(changed) == changed:
                    best = changed
                    break
    return best


AMOUNTS = {"deposit": (1,), "withdraw": (1,), "trade": (3,), "set_price": (1,), "wait": (0,)}
"""Which arguments of a call are amounts."""
