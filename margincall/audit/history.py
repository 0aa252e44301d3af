"""Histories: what a run chose, step by step, so that all or a part of it can be done again elsewhere.

A choice is recorded by its place and by its name (an operation, an account's role): a part of a history
meets other states, and then the name counts before the place. Accounts are named by role, orders are signed
anew: a history runs on any chain, whatever its addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from margincall.audit.draw import RandomDraw
from margincall.audit.machine import Deferral, Machine, Step, Violation
from margincall.audit.running import Episode
from margincall.audit.world import Actor, World
from margincall.protocol.artifacts import Artifact


class Entry(NamedTuple):
    """One act: its number in the run, what deferred it (None: drawn), the choices it made. Of the
    run it is from: `kind` of its action ("" when it was refused or had nothing to do) and whom it names."""

    number: int
    own: Deferral | None
    draws: list
    kind: str = ""
    owners: frozenset[int] = frozenset()


class Probe(NamedTuple):
    """A property that is checked now and then, with the choices it made."""

    name: str
    draws: list


class History(NamedTuple):
    """Acts on a fresh deployment; `probe` after the last one, when it was that which failed."""

    entries: list[Entry]
    probe: Probe | None = None


def symbol(value: Any, world: World) -> Any:
    """A name for a choice that means the same on another chain; None for what has none."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        actor = world.by_number.get(value >> 96) if value >> 96 else None
        return f"@{actor.role}/{value % 2**96:x}" if actor else value
    if isinstance(value, Actor):
        return f"@{value.role}"
    if callable(value):
        return f"{value.__module__.rpartition('.')[2]}.{value.__qualname__}"
    if isinstance(value, tuple):
        return [symbol(one, world) for one in value]
    return None


class Recorder:
    """Draws at random and keeps what came."""

    def __init__(self, draw: RandomDraw, world: World) -> None:
        self._draw, self._world = draw, world
        self.draws: list = []

    def begin(self) -> list:
        """A list of its own for what comes now. (Acts that are deferred keep the draw they were made with,
        so one recorder serves them all.)"""
        self.draws = []
        return self.draws

    def choice(self, options: Sequence) -> Any:
        place = self._draw.integer_below(len(options))
        self.draws.append([place, symbol(options[place], self._world)])
        return options[place]

    def integer(self, low: int, high: int) -> int:
        self.draws.append(found := self._draw.integer(low, high))
        return found

    def chance(self, percent: int) -> bool:
        self.draws.append(found := self._draw.chance(percent))
        return found


class Replayer:
    """Makes recorded choices again: what has the recorded name, else what is in its place; numbers are
    clamped; when the record ends, the first, the least, and no."""

    def __init__(self, world: World) -> None:
        self._draws, self._world = iter(()), world

    def begin(self, draws: Sequence) -> None:
        """Make these choices from now on."""
        self._draws = iter(draws)

    def choice(self, options: Sequence) -> Any:
        found = next(self._draws, None)
        place, name = found if isinstance(found, list) else (0, None)
        if place < len(options) and symbol(options[place], self._world) == name:
            return options[place]
        names = [symbol(one, self._world) for one in options]
        if name is not None and name in names:
            return options[names.index(name)]
        if isinstance(name, list) and name:
            firsts = [one[0] if isinstance(one, list) and one else None for one in names]
            if name[0] is not None and name[0] in firsts:
                return options[firsts.index(name[0])]
        return options[min(place, len(options) - 1)]

    def integer(self, low: int, high: int) -> int:
        found = next(self._draws, low)
        return min(max(found if isinstance(found, int) else low, low), high)

    def chance(self, percent: int) -> bool:
        return next(self._draws, False) is True


# ------------------------------------------------------------ recording


def record(episode: Episode, replaced: Mapping[str, Artifact] | None) -> tuple[History, Violation]:
    """Run an episode that failed once more and keep its choices. Raises RuntimeError if it does not fail."""
    machine = Machine(episode.setting, replaced=replaced)
    recorder, entries, probe = Recorder(episode.draw(), machine.world), [], None
    try:
        while machine.steps < episode.steps:
            own, deferred = machine.deferred.popleft() if machine.deferred else (None, None)
            probe = None
            entries.append(Entry(machine.acts, own, recorder.begin()))
            step = machine.act(recorder, deferred)
            if step and step.ok:
                owners = frozenset(account >> 96 for account in step.action.named)
                entries[-1] = entries[-1]._replace(kind=step.action.kind, owners=owners)
            for name in machine.due() if step else ():
                probe = Probe(name, recorder.begin())
                machine.properties.run_sometimes(name, machine, recorder)
    except Violation as violation:
        return History(entries, probe), violation
    raise RuntimeError(f"episode {episode.seed} did not fail when it was run again")


# ------------------------------------------------------------ replaying


def replay(
    machine: Machine, history: History, see: Callable[[Step | None], None] = lambda step: None
) -> None:
    """Do a history on a fresh machine; `see` each step (None: an act had nothing to do). Raises Violation."""
    waiting: dict[Deferral, Callable] = {}
    draw = Replayer(machine.world)
    for entry in history.entries:
        if entry.own is not None and entry.own not in waiting:
            see(None)
            continue
        deferred = waiting.pop(entry.own) if entry.own is not None else None
        draw.begin(entry.draws)
        step = machine.act(draw, deferred)
        waiting.update(((entry.number, place), later) for (_, place), later in machine.deferred)
        machine.deferred.clear()
        see(step)
    if history.probe:
        draw.begin(history.probe.draws)
        machine.properties.run_sometimes(history.probe.name, machine, draw)
