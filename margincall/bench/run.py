"""Run the cases on both meters and what else is measured, two processes at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from time import perf_counter
from typing import Any

from margincall.bench import sizes, speed, targets
from margincall.bench.cases import CASES
from margincall.bench.cases.liquidations import longest_search
from margincall.bench.meter import AccessMeter, PartsMeter, Reading, WatchedChain, merge
from margincall.bench.records import Bench
from margincall.bench.versions import versions
from margincall.chain import nodes
from margincall.chain.base import TX_GAS
from margincall.model.book import MAX_POSITIONS

EMBEDDED, ANVIL = "embedded", "Anvil"
SPEED = {
    "property_steps_a_second": speed.property_steps,
    "replay": speed.replay,
    "replay_transactions_a_second": speed.part_of_replay,
    "trades_a_second": speed.trades,
}
Progress = Callable[[str, int, int], None]
Job = tuple[str, str]


def measure(wanted: Sequence[str] = (), progress: Progress | None = None, fast: bool = False) -> Bench:
    """A bench: measurements in the cases' order, bytes, limits; unless `fast`, also the speed of the tools.

    wanted: only measure names that contain one of these, and nothing else. `progress(what, done, total)`.
    Raises ChainError without Anvil, Disagreement where the meters differ.
    """
    began = perf_counter()
    wanted = tuple(wanted)
    with ProcessPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        try:
            found = _Jobs(pool, progress, len(CASES) * 2 + (0 if wanted or fast else len(SPEED)))
            access = found.done({(EMBEDDED, case): (_read, EMBEDDED, case, wanted) for case in CASES})
            # The longest first, so that the last ones end together.
            heavy = sorted(CASES, key=lambda case: -sum(r.gas for r in access[EMBEDDED, case]))
            parts = found.done(
                {(ANVIL, case): (_read, ANVIL, case, wanted) for case in heavy if access[EMBEDDED, case]}
            )
            bench = Bench(
                [m for case in CASES for m in merge(access[EMBEDDED, case], parts.get((ANVIL, case), []))]
            )
            if not wanted:
                bench.bytes, bench.meta, bench.limits = sizes.sizes(), versions(), _limits(bench)
                if not fast:
                    timed = found.done({("speed", name): (work,) for name, work in SPEED.items()})
                    bench.speed = {name: timed["speed", name] for name in SPEED}
                    bench.speed["bench_seconds"] = round(perf_counter() - began)
                bench.targets = targets.targets(bench)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return bench


class _Jobs:
    """Jobs of a pool, counted."""

    def __init__(self, pool: ProcessPoolExecutor, progress: Progress | None, total: int) -> None:
        self._pool, self._progress, self._total, self._done = pool, progress, total, 0

    def done(self, jobs: dict[Job, tuple]) -> dict[Job, Any]:
        """What the jobs (function, arguments) return."""
        running: dict[Future, Job] = {self._pool.submit(*call): job for job, call in jobs.items()}
        results = {}
        for future in as_completed(running):
            job = running[future]
            results[job] = future.result()
            self._done += 1
            if self._progress:
                self._progress(f"{job[1]} ({job[0]})", self._done, self._total)
        return results


def _read(lane: str, case: str, wanted: tuple[str, ...]) -> list[Reading]:
    if lane == EMBEDDED:
        meter = AccessMeter(WatchedChain(keep_logs=False), wanted)
        CASES[case](meter)
        return meter.readings
    with nodes.anvil() as chain:
        meter = PartsMeter(chain, wanted)
        CASES[case](meter)
        return meter.readings


def _limits(bench: Bench) -> dict[str, Any]:
    """Positions of a book that an account may hold; gas of liquidations: of 128 positions under the portfolio
    rule, whole and half, of the dearest account, and of those for which the least slice is long to find."""

    def gas(name: str) -> int:
        return bench.find(f"liquidation, {name}").gas

    dearest = max((m for m in bench.measurements if m.name.startswith("liquidation, ")), key=lambda m: m.gas)
    return {
        "max_positions": MAX_POSITIONS,
        "transaction_gas": TX_GAS,
        "liquidate_max_account": dearest.gas,
        "liquidate_max_account_is": dearest.name,
        "liquidate_128_positions_whole": gas("portfolio, 128 positions, full"),
        "liquidate_128_positions_half": gas("portfolio, 128 positions, half, to cross"),
        "liquidate_longest_search": longest_search(),
    }
