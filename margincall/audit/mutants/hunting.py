"""Run the property machine on a mutant until a property fails, or note all that do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from margincall.audit import properties
from margincall.audit.draw import RandomDraw
from margincall.audit.machine import Machine, Violation
from margincall.audit.mutants.focus import FOCUSED
from margincall.audit.settings import SETTINGS
from margincall.chain.base import ChainError, Reverted
from margincall.protocol.artifacts import Artifact, compile_all
from margincall.protocol.deploy import CONTRACTS

EXACT = "I-14"
"""The exact twin: storage word by word, refusals, margins in fractions."""
BROKEN = "broken state"
"""The contracts left a state that no formula can be evaluated on."""
AFTERWARDS = 50
"""Steps for which a run goes on after its first violation, to see what else notices."""
NO_DEPLOYMENT = "I-40"
"""The protocol cannot even be deployed."""


class Overdue(BaseException):
    """A mutant that does not end. No `except Exception` of a machine may take it for one of its own."""


class Run(NamedTuple):
    """One history to look at: a setting's name, a seed, steps. `focus`: an operation of FOCUSED that is drawn
    two times in five; `often`: a two-run property that is checked every few steps; `times`: how much more
    often than in a long run the two-run and economic ones are."""

    setting: str
    seed: int
    steps: int
    focus: str = ""
    often: str = ""
    times: int = 6


class Kill(NamedTuple):
    """The first property that failed, after how many steps in all, in which setting, and what it said."""

    by: str
    steps: int
    setting: str
    text: str


def deployed(run: Run, replaced: Mapping[str, Artifact], exact: bool, found: dict | None = None) -> Machine:
    """The machine of a run."""
    often = rates(run, exact)
    if run.often:
        often[run.often] = 6
    machine = Machine(SETTINGS[run.setting], often, _originals() | replaced, exact, found)
    if run.focus:
        wanted, pick = FOCUSED[run.focus], machine._pick
        machine._pick = lambda m, draw: (wanted if draw.chance(40) else pick)(m, draw)
    return machine


@cache
def _originals() -> dict[str, Artifact]:
    """The project's own contracts, read once a process: it hunts many mutants."""
    return compile_all(CONTRACTS)


def rates(run: Run, exact: bool) -> dict[str, int]:
    """How many steps apart the two-run and economic properties are checked: a mutant's history is short."""
    setting = SETTINGS[run.setting]
    often = {
        name: rate if name in properties.WITH_OPTIONS else max(rate // run.times, 5)
        for name, rate in properties.rates(setting).items()
    }
    often |= {"i_13_lens": 120 // run.times, "i_14_bounds": 90, "i_14_setters": 60}
    if setting.options:
        often |= {"i_14_pricing": 12, "i_14_smiles": 20, "i_14_books": 15, "i_14_edges": 150}
    return often if exact else {name: rate for name, rate in often.items() if not name.startswith("i_14")}


def hunt(replaced: Mapping[str, Artifact], runs: Sequence[Run], exact: bool) -> Kill | None:
    """The first violation on a deployment with these contracts; None when the runs end without one."""
    done = 0
    for run in runs:
        machine = None
        try:
            machine = deployed(run, replaced, exact)
            draw = RandomDraw(run.seed)
            while machine.steps < run.steps:
                machine.step(draw)
        except Violation as violation:
            name, _, text = str(violation).partition(": ")
            steps = done + (machine.steps if machine else 0)
            name = EXACT if name == "differential" else name
            return Kill(name, steps, run.setting, text.partition("\n")[0][:300])
        except Reverted as error:
            if machine is None:
                return Kill(NO_DEPLOYMENT, done, run.setting, f"does not deploy: {error}")
            return Kill(BROKEN, done + machine.steps, run.setting, f"reverted: {error}")
        except (Exception, Overdue) as error:
            steps = done + (machine.steps if machine else 0)
            return Kill(BROKEN, steps, run.setting, f"{type(error).__name__}: {error}"[:300])
        done += run.steps
    return None


def killers(replaced: Mapping[str, Artifact], runs: Sequence[Run]) -> dict[str, int]:
    """Without the exact twin: every property that fails in the runs -> after how many steps first."""
    found: dict[str, int] = {}
    done = 0
    for run in runs:
        noted: dict[str, int] = {}
        machine = None
        try:
            machine = deployed(run, replaced, False, noted)
            draw = RandomDraw(run.seed)
            failures, last = 0, run.steps
            while machine.steps < min(run.steps, last) and failures < 20:
                if noted and last == run.steps:
                    last = machine.steps + AFTERWARDS
                try:
                    machine.step(draw)
                except ChainError:
                    break
                except Exception:
                    # After a violation formulas may have nothing left to be evaluated on.
                    failures += 1
                    if not noted:
                        noted[BROKEN] = machine.steps
        except Violation as violation:  # at the machine's own first actions
            noted.setdefault(str(violation).partition(":")[0], 0)
        except Overdue:
            noted.setdefault(BROKEN, machine.steps if machine else 0)
        except Exception:
            noted.setdefault(NO_DEPLOYMENT, 0)
        for name, steps in noted.items():
            found.setdefault(name, done + steps)
        if found:
            break
        done += run.steps
    return found
