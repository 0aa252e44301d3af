"""A run of the machine over several settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from time import perf_counter

from margincall.audit.draw import RandomDraw
from margincall.audit.machine import Machine
from margincall.audit.report import options_lines
from margincall.audit.settings import SETTINGS


def run(
    steps: int,
    seed: int,
    settings: tuple[str, ...] = tuple(SETTINGS),
    say: Callable[[str], None] | None = None,
) -> Machine:
    """`steps` in all, equally over the settings; the last machine, with the counters of all of them."""
    totals = Counter(), Counter(), Counter()
    for number, name in enumerate(settings):
        machine, draw = Machine(SETTINGS[name]), RandomDraw(seed * 1_000 + number)
        started = perf_counter()
        while machine.steps < steps // len(settings):
            machine.step(draw)
        seconds = perf_counter() - started
        if say:
            say(f"{name}: {machine.steps:,} steps, {machine.steps / seconds:,.0f} a second")
            if SETTINGS[name].options:
                say("\n".join(options_lines(machine.counts)))
        for total, part in zip(totals, (machine.counts, machine.checked, machine.refusals), strict=True):
            total.update(part)
    machine.counts, machine.checked, machine.refusals = totals
    return machine
