"""A history that fails, shortened as long as it still fails in the same way (delta debugging).

Each attempt replays a part of the history on a copy of one fresh deployment: the process is forked, so an
attempt costs its steps alone. First all that was refused goes, then all but the shortest end that fails,
then all acts of a kind, all that name an account's owner, and chunks, halves first and single acts last,
until none can go or the time is over.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import NamedTuple

from margincall.audit.history import Entry, History, replay
from margincall.audit.machine import Machine, Violation
from margincall.audit.settings import Setting
from margincall.protocol.artifacts import Artifact


class Shrunk(NamedTuple):
    """history: what is left; attempts: replays made; complete: no single act can be left out any more."""

    history: History
    attempts: int
    complete: bool


def shrink(
    history: History,
    violation: Violation,
    setting: Setting,
    replaced: Mapping[str, Artifact] | None,
    seconds: float,
    tell: Callable[[int], None] = lambda left: None,
) -> Shrunk:
    """Shorten a history that ends in a violation; `tell` hears how many acts are left."""
    # A violation of another property on the way would not count: only this one is checked.
    machine = Machine(setting, rates={}, replaced=replaced, only=violation.name)
    search = _Search(history, violation, machine, seconds, tell)
    entries = search.without(history.entries, lambda entry: not entry.kind)
    entries = search.end(entries)
    for kind in sorted({entry.kind for entry in entries}):
        entries = search.without(entries, lambda entry, kind=kind: entry.kind == kind)
    for owner in sorted(frozenset().union(*(entry.owners for entry in entries))):
        entries = search.without(entries, lambda entry, owner=owner: owner in entry.owners)
    entries, complete = search.thin(entries)
    return Shrunk(history._replace(entries=entries), search.attempts, complete)


class _Search:
    def __init__(self, history, violation, machine, seconds, tell) -> None:
        self.history, self.machine, self.tell = history, machine, tell
        self.wanted = verdict_of(violation)
        self.deadline = monotonic() + seconds
        self.attempts = 0

    def over(self) -> bool:
        return monotonic() > self.deadline

    def fails(self, entries: Sequence[Entry]) -> int | None:
        """After how many of these acts the same thing fails; None when it does not."""
        self.attempts += 1
        return _forked(self.machine, self.history._replace(entries=list(entries)), self.wanted, self.deadline)

    def without(self, entries: list[Entry], what: Callable[[Entry], bool]) -> list[Entry]:
        """All acts but some and the last, if it still fails; else all."""
        kept = [entry for entry in entries[:-1] if not what(entry)] + entries[-1:]
        if len(kept) == len(entries) or self.over() or (at := self.fails(kept)) is None:
            return entries
        self.tell(at)
        return kept[:at]

    def end(self, entries: list[Entry]) -> list[Entry]:
        """The shortest end of the history, doubling, that fails on a fresh deployment; else all of it."""
        length = 8
        while length < len(entries) and not self.over():
            if (at := self.fails(entries[-length:])) is not None:
                return entries[-length:][:at]
            length *= 2
        return entries

    def thin(self, entries: list[Entry]) -> tuple[list[Entry], bool]:
        """Leave chunks out from the end to the beginning (the last act stays), ever smaller ones."""
        size = max(len(entries) // 2, 1)
        while True:
            changed, stop = False, len(entries) - 1
            while stop > 0:
                if self.over():
                    return entries, False
                start = max(stop - size, 0)
                candidate = entries[:start] + entries[stop:]
                if (at := self.fails(candidate)) is not None:
                    entries, changed = candidate[:at], True
                    self.tell(len(entries))
                    stop = min(start, len(entries) - 1)
                else:
                    stop = start
            if size == 1 and not changed:
                return entries, True
            size = max(size // 2, 1)


def verdict_of(violation: Violation) -> tuple[str, str]:
    """What makes two violations the same: the property, and where contracts and twin differ the action."""
    kind = violation.action.kind if violation.action else ""
    return violation.name, kind if violation.name == "differential" else ""


def _forked(machine: Machine, history: History, wanted: tuple, deadline: float) -> int | None:
    """Replay in a copy of this process; after how many acts it failed as wanted, or None."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        found = None
        try:
            os.close(reading)
            found = _attempt(machine, history, wanted, deadline)
        finally:
            os.write(writing, pickle.dumps(found))
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(said) if said else None


def _attempt(machine: Machine, history: History, wanted: tuple, deadline: float) -> int | None:
    done = 0

    def see(step) -> None:
        nonlocal done
        done += 1
        if monotonic() > deadline:
            raise TimeoutError

    try:
        replay(machine, history, see)
    except Violation as violation:
        if verdict_of(violation) != wanted:
            return None
        return min(done + 1, len(history.entries))
    except Exception:  # a part of a history may ask for what is not there: it does not fail as wanted
        return None
    return None
