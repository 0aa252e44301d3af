"""A long run of the property machine over every setting.

python -m tests.stateful.run --steps 100000 --seed 1
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from time import perf_counter

from margincall.audit.draw import RandomDraw
from margincall.audit.machine import Machine
from margincall.audit.report import lines, missing, options_lines
from margincall.audit.settings import SETTINGS


def run(steps: int, seed: int, settings: tuple[str, ...] = tuple(SETTINGS), say=None) -> Machine:
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--setting", choices=sorted(SETTINGS), action="append", help="default: all")
    options = parser.parse_args()
    started = perf_counter()
    names = tuple(options.setting or SETTINGS)
    machine = run(options.steps, options.seed, names, lambda line: print(line, flush=True))
    seconds = perf_counter() - started
    print("\n".join(lines(machine.counts, machine.checked, machine.refusals)))
    print(f"{options.steps:,} steps in {seconds:,.1f} s: {options.steps / seconds:,.0f} a second")
    unmet = missing(machine.counts, machine.checked) if names == tuple(SETTINGS) else []
    print("\n".join(unmet))
    return 1 if unmet else 0


if __name__ == "__main__":
    sys.exit(main())
