"""Run the cases on both meters, two processes at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from margincall.bench.cases import CASES
from margincall.bench.meter import AccessMeter, PartsMeter, Reading, WatchedChain, merge
from margincall.bench.records import Measurement
from margincall.chain import nodes

EMBEDDED, ANVIL = "embedded", "Anvil"
Progress = Callable[[str, int, int], None]


def measure(wanted: Sequence[str] = (), progress: Progress | None = None) -> list[Measurement]:
    """Every measurement (of names that contain one of `wanted`, if any are given), in the cases' order.

    `progress(what, done, total)`. Raises ChainError without Anvil, Disagreement where the meters differ.
    """
    # Anvil's are the long ones: they start first.
    jobs = [(lane, name) for lane in (ANVIL, EMBEDDED) for name in CASES]
    readings: dict[tuple[str, str], list[Reading]] = {}
    with ProcessPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        running = {pool.submit(_read, lane, name, tuple(wanted)): (lane, name) for lane, name in jobs}
        try:
            for job in as_completed(running):
                readings[running[job]] = job.result()
                if progress:
                    progress(", ".join(reversed(running[job])), len(readings), len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [measured for name in CASES for measured in merge(readings[EMBEDDED, name], readings[ANVIL, name])]


def _read(lane: str, name: str, wanted: tuple[str, ...]) -> list[Reading]:
    if lane == EMBEDDED:
        meter = AccessMeter(WatchedChain(keep_logs=False), wanted)
        CASES[name](meter)
        return meter.readings
    with nodes.anvil() as chain:
        meter = PartsMeter(chain, wanted)
        CASES[name](meter)
        return meter.readings
