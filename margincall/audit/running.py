"""Runs of the machine: episodes over several settings, in one process or in several.

An episode is one deployment and its history. Its choices follow from the run's seed, the worker, the setting
and its number alone, so it can be run again, and a run by steps is the same for the same seed and workers.
"""

from __future__ import annotations

import queue
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import get_context
from time import perf_counter, process_time
from typing import Any, NamedTuple

from margincall.audit.draw import RandomDraw
from margincall.audit.machine import Machine, Violation
from margincall.audit.settings import SETTINGS, Setting
from margincall.chain.base import Reverted
from margincall.protocol.artifacts import Artifact, compile_all

FIRST_EPISODE, LONGEST_EPISODE = 1_000, 10_000
"""Steps: each setting's episodes double from one to the other, so that a short run sees every setting."""
TELL_EVERY = 200  # steps between two looks at the clock
DEPLOYMENT, BROKEN = "deployment", "broken state"
"""Names of failures that are no property's: there is no history to shorten."""


class Plan(NamedTuple):
    """What to run. steps: of all workers together; seconds: on the clock; each may be None, not both.
    replaced: contracts to deploy instead of the project's own."""

    steps: int | None
    seconds: float | None = None
    seed: int = 1
    settings: tuple[Setting, ...] = tuple(SETTINGS.values())
    workers: int = 1
    replaced: Mapping[str, Artifact] | None = None


class Episode(NamedTuple):
    """One deployment and its history: `steps` at most."""

    setting: Setting
    seed: str
    steps: int

    def draw(self) -> RandomDraw:
        return RandomDraw(self.seed)


class Failure(NamedTuple):
    """A violation: property `name`, what does not hold, and the episode in which."""

    name: str
    detail: str
    text: str
    episode: Episode
    at_step: int


class Tally:
    """What a run did. seconds: by setting, of process time; probes: property -> (times, process seconds)
    of those checked now and then; gas: the most that a liquidation of a book took."""

    def __init__(self) -> None:
        self.counts: Counter = Counter()
        self.checked: Counter = Counter()
        self.refusals: Counter = Counter()
        self.steps: Counter = Counter()
        self.seconds: Counter = Counter()
        self.probes: dict[str, tuple[int, float]] = {}
        self.failures: list[Failure] = []
        self.elapsed = 0.0

    def add(self, other: Tally) -> None:
        """Take in what another worker did."""
        for name in ("counts", "checked", "refusals", "steps", "seconds"):
            getattr(self, name).update(getattr(other, name))
        for name, (times, seconds) in other.probes.items():
            known = self.probes.get(name, (0, 0.0))
            self.probes[name] = known[0] + times, known[1] + seconds
        self.failures += other.failures

    @property
    def total(self) -> int:
        """Steps in all."""
        return sum(self.steps.values())

    def rate(self, setting: str | None = None) -> float:
        """Steps a second of process time: on one core, whatever else the machine does."""
        steps = self.steps[setting] if setting else self.total
        seconds = self.seconds[setting] if setting else sum(self.seconds.values())
        return steps / seconds if seconds else 0.0


def episodes(plan: Plan, worker: int) -> Iterator[Episode]:
    """What one worker runs: a round over the settings after the other, longer from round to round."""
    quotas: dict[str, float] = {}
    if plan.steps is not None:
        mine = plan.steps // plan.workers + (worker < plan.steps % plan.workers)
        share, rest = divmod(mine, len(plan.settings))
        quotas = {s.name: share + (i < rest) for i, s in enumerate(plan.settings)}
    number = 0
    while True:
        length = min(FIRST_EPISODE << min(number, 20), LONGEST_EPISODE)
        none_left = True
        for setting in plan.settings:
            steps = min(length, quotas.get(setting.name, length))
            if steps:
                none_left = False
                yield Episode(setting, f"{plan.seed}/{worker}/{setting.name}/{number}", steps)
            if plan.steps is not None:
                quotas[setting.name] -= steps
        if none_left:
            return
        number += 1


def work(plan: Plan, worker: int, tell: Callable[[Tally], None], stopped: Callable[[], bool]) -> Tally:
    """All episodes of one worker, until they are done, the time is over, one fails or `stopped()`.
    `tell` hears of the tally now and then."""
    tally, started = Tally(), perf_counter()

    def ended() -> bool:
        tally.elapsed = perf_counter() - started
        tell(tally)
        return stopped() or (plan.seconds is not None and tally.elapsed >= plan.seconds)

    for episode in episodes(plan, worker):
        if ended():
            break
        if failure := run_episode(episode, plan.replaced, tally, ended):
            tally.failures.append(failure)
            break
    tally.elapsed = perf_counter() - started
    return tally


def run_episode(
    episode: Episode, replaced: Mapping[str, Artifact] | None, tally: Tally, ended: Callable[[], bool]
) -> Failure | None:
    """Run one episode into a tally; what failed, if something did."""
    name = episode.setting.name
    began, machine, told, before = process_time(), None, 0, +tally.counts
    others = (+tally.checked, +tally.refusals, tally.steps[name], tally.seconds[name])

    def account() -> None:
        tally.counts = before + machine.counts
        tally.checked, tally.refusals = others[0] + machine.checked, others[1] + machine.refusals
        tally.steps[name] = others[2] + machine.steps
        tally.seconds[name] = others[3] + process_time() - began

    try:
        machine = Machine(episode.setting, replaced=replaced)
        draw = episode.draw()
        while machine.steps < episode.steps:
            step = machine.act(draw, machine.deferred.popleft()[1] if machine.deferred else None)
            for probe in machine.due() if step else ():
                _probe(machine, probe, draw, tally)
            if machine.steps >= told + TELL_EVERY:
                told = machine.steps
                account()
                if ended():
                    break
        account()
    except (Violation, Reverted) as error:
        if machine is not None:
            account()
        found = error if isinstance(error, Violation) else Violation(str(error), DEPLOYMENT, str(error))
        return Failure(found.name, found.detail, str(found), episode, machine.acts if machine else 0)
    except Exception as error:
        if not replaced:
            raise
        # Other contracts than ours may leave a state that no formula can be evaluated on.
        said = f"the model fails on what the contracts store: {type(error).__name__}: {error}"
        return Failure(BROKEN, said, traceback.format_exc(), episode, machine.acts if machine else 0)
    return None


def _probe(machine: Machine, name: str, draw: RandomDraw, tally: Tally) -> None:
    began = process_time()
    machine.properties.run_sometimes(name, machine, draw)
    times, seconds = tally.probes.get(name, (0, 0.0))
    tally.probes[name] = times + 1, seconds + process_time() - began


# ------------------------------------------------------------ several processes


def run(
    plan: Plan,
    tell: Callable[[Tally], None] = lambda tally: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Tally:
    """Run a plan with its workers: one works in this process. `tell` hears of the sum of all tallies."""
    if plan.workers == 1:
        return work(plan, 0, tell, stopped)
    compile_all()  # once, not by every worker
    context = get_context("spawn")
    said, stop = context.Queue(), context.Event()
    workers = [
        context.Process(target=_worker, args=(plan, number, said, stop), daemon=True)
        for number in range(plan.workers)
    ]
    for worker in workers:
        worker.start()
    try:
        tallies = _gather(workers, said, stop, tell, stopped)
    finally:
        stop.set()
        for worker in workers:
            worker.join(timeout=10)
    return _sum(tallies)


def _worker(plan: Plan, number: int, said: Any, stop: Any) -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and sets `stop`
    last = 0.0

    def tell(tally: Tally) -> None:
        nonlocal last
        if perf_counter() - last > 0.5:
            last = perf_counter()
            said.put((number, False, tally))

    try:
        said.put((number, True, work(plan, number, tell, stop.is_set)))
    except BaseException:
        said.put((number, True, traceback.format_exc()))


def _gather(workers: list, said: Any, stop: Any, tell: Callable, stopped: Callable) -> list[Tally]:
    """Tallies as they come, until every worker has said his last."""
    known: dict[int, Tally] = {}
    done: set[int] = set()
    while len(done) < len(workers):
        if stopped():
            stop.set()
        try:
            number, last, tally = said.get(timeout=0.2)
        except queue.Empty:
            dead = [n for n, w in enumerate(workers) if n not in done and not w.is_alive() and said.empty()]
            if dead:
                raise RuntimeError(f"worker {dead[0]} ended without a word") from None
            continue
        if isinstance(tally, str):
            raise RuntimeError(f"worker {number} failed:\n{tally}")
        known[number] = tally
        if last:
            done.add(number)
        if tally.failures:
            stop.set()
        tell(_sum(known.values()))
    return [known[number] for number in sorted(known)]


def _sum(tallies) -> Tally:
    total = Tally()
    for tally in tallies:
        total.add(tally)
        total.elapsed = max(total.elapsed, tally.elapsed)
    return total
