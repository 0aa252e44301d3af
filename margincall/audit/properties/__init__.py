"""The properties, each a function named by its id with its formula.

State and transition properties run after every action (`run_every_step`); those that need two runs, a
liveness probe, many views or a coalition run at the rates in RATES (`run_sometimes`).
"""

from __future__ import annotations

from margincall.audit.draw import Draw
from margincall.audit.machine import Machine, Step
from margincall.audit.properties import economic, liquidation, state, transition, tworun

NOT_APPLICABLE = {
    "I-30": "no portfolio margin: CROSS and ISOLATED requirements are sums over positions",
    "I-31": "no portfolio margin: there is no scenario grid to bound",
    "I-32": "no options: no two portfolios with equal payoff but different legs",
    "I-33": "no options: nothing settles at an expiry",
}
"""Ids without a subject in cross and isolated margin. In I-40 the part on shares has none either: there are
no shares of anything."""

RATES = {
    "i_12": 40,
    "i_13_views": 40,
    "i_14": 10,
    "i_15": 150,
    "i_34_twice": 100,
    "i_02": 1_000,
    "i_10_reduce": 300,
    "i_17": 150,
    "i_20_chunks": 100,
    "i_22": 700,
    "i_28": 1_200,
    "i_29_back": 200,
    "i_35": 500,
}
"""Every how many steps the metamorphic, liveness and economic properties run."""

_SOMETIMES = {
    name: getattr(module, name) for module in (tworun, economic) for name in RATES if hasattr(module, name)
}


def run_every_step(machine: Machine, step: Step) -> None:
    """State and transition properties. A refused step changed nothing (storage was compared)."""
    if not step.ok:
        transition.refused(machine, step)
        return
    for check in state.EVERY:
        check(machine, step)
    for check in transition.EVERY:
        check(machine, step)
    if step.action.kind == "liquidate":
        for check in liquidation.EVERY:
            check(machine, step)


def run_sometimes(name: str, machine: Machine, draw: Draw) -> None:
    """One of RATES, on the present state, which is as before afterwards. I-28 jumps: not in the envelope."""
    if machine.setting.envelope and name == "i_28":
        return
    machine.counts[f"ran {name}"] += 1
    _SOMETIMES[name](machine, draw)
