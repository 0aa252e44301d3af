"""The properties, each a function named by its id with its formula.

State and transition properties run after every action (`run_every_step`); those that need two runs, a
liveness probe, many views or a coalition run at the rates in RATES (`run_sometimes`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from margincall.audit.draw import Draw
from margincall.audit.machine import Machine, Step
from margincall.audit.properties import (
    bounds,
    differential,
    doors,
    drawn,
    economic,
    edges,
    liquidation,
    observed,
    refusals,
    registry,
    rule,
    state,
    transition,
    tworun,
    views,
)
from margincall.audit.settings import Setting
from margincall.chain.base import Reverted

NOT_APPLICABLE = {}
"""Ids without a subject: none. I-30 to I-33 have theirs in the setting "portfolio" only; in I-40 the part on
shares has none: there are no shares of anything. I-12, I-14, I-15, I-20 in chunks look at accounts of perps
alone; for books I-30 to I-32 say the same of more (I-14: the twin against exact Black-76 in tests/fuzz)."""

RATES = {
    "i_12": 40,
    "i_13_views": 40,
    "i_14": 10,
    "i_14_bounds": 1_500,
    "i_14_setters": 1_500,
    "i_15": 150,
    "i_34_twice": 100,
    "i_02": 1_000,
    "i_10_reduce": 300,
    "i_17": 150,
    "i_18_door": 400,
    "i_20_chunks": 100,
    "i_22": 700,
    "i_28": 1_200,
    "i_29_back": 200,
    "i_35": 500,
}
"""Every how many steps the metamorphic, liveness and economic properties run."""

WITH_OPTIONS = {
    "i_30": 25,
    "i_31": 60,
    "i_32": 40,
    "i_04_books": 10,
    "i_22_options": 400,
    "i_14_pricing": 300,
    "i_14_smiles": 600,
    "i_14_books": 300,
    "i_14_edges": 2_000,
}
"""Of these only in a setting with options, where views and exits are looked at more often."""

_SOMETIMES = {
    name: getattr(module, name)
    for module in (tworun, economic, rule, bounds, differential, doors, drawn, edges)
    for name in RATES | WITH_OPTIONS
    if hasattr(module, name)
} | {"i_13_lens": views.i_13_lens}


def rates(setting: Setting) -> dict[str, int]:
    """Which of RATES and WITH_OPTIONS run in a setting."""
    return RATES | WITH_OPTIONS if setting.options else RATES


class Checks(NamedTuple):
    """What runs after a step: any that succeeded, a liquidation that did, one that was refused."""

    done: tuple[Callable, ...]
    liquidated: tuple[Callable, ...]
    refused: tuple[Callable, ...]


def checks(setting: Setting, only: str | None = None) -> Checks:
    """State and transition properties of a setting; `only` one of them, with what others leave for it."""
    found = (
        (state.OPTIONS + transition.OPTIONS) if setting.options else (state.EVERY + transition.EVERY),
        liquidation.EVERY,
        refusals.REFUSED,
    )
    if only is None:
        return Checks(*found)
    kept = {*registry.functions().get(only, ()), state.slack, transition.i_34}
    return Checks(*(tuple(check for check in part if check in kept) for part in found))


def run_every_step(machine: Machine, step: Step) -> None:
    """State and transition properties. A refused step changed nothing (storage was compared)."""
    checks = machine.checks
    if not step.ok:
        for check in (*checks.refused, *(observed.REFUSED if machine.observer else ())):
            check(machine, step)
        return
    for check in checks.done:
        check(machine, step)
    if step.action.kind == "liquidate":
        for check in checks.liquidated:
            check(machine, step)
    if machine.observer:
        for check in observed.OPTIONS if machine.setting.options else observed.EVERY:
            check(machine, step)


def run_sometimes(name: str, machine: Machine, draw: Draw) -> None:
    """One of RATES, on the present state, which is as before afterwards. I-28 jumps: not in the envelope."""
    if machine.setting.envelope and name == "i_28":
        return
    machine.counts[f"ran {name}"] += 1
    try:
        _SOMETIMES[name](machine, draw)
    except Reverted as error:
        machine.fail(f"I-{name[2:4]}", f"a view reverted: {error}")
