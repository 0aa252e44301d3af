"""The properties that can be said over an adapter's views, each a function named by its id with its formula;
the ids that cannot, with the reason.
"""

from __future__ import annotations

from margincall.audit.adapter.properties import liquidation, rounding, runs, state, transition
from margincall.audit.adapter.run import Run, Step

NEEDS = {
    "i_13": "Withdrawable or Liquidatable",
    "i_14": "ExactModel",
    "i_27": "Vaults",
    "i_28": "Vaults",
    "i_36": "Ageing",
    "i_38_pause": "Pause",
    "i_39": "Surface",
    "i_40": "Donations",
}
"""What must be there for a property to be checked at all (a part of I-38 needs `Pause`)."""

NOT_EXPRESSIBLE = {
    "I-19": "the least slice depends on the engine's own target and quantum, which no view gives",
    "I-29": "an adapter has no mode switch",
    "I-30": "portfolio bounds need accounts merged and split at will: an adapter has perps only",
    "I-31": "portfolio bounds need the risk engine asked about arbitrary books",
    "I-32": "pay-off equivalence needs options",
    "I-33": "settlement needs options",
}
"""Ids that no adapter can express."""

STEP = (*state.EVERY, *transition.EVERY)
PROBES = {check.__name__: check for check in (*runs.PROBES, *rounding.PROBES)}
ALL = tuple(f"I-{i:02d}" for i in range(1, 41))


def applies(run: Run, name: str) -> bool:
    """Whether the adapter has what a property needs."""
    return any(need in run.abilities for need in NEEDS[name].split(" or ")) if name in NEEDS else True


def after(run: Run, step: Step) -> None:
    """State and transition properties, after every call."""
    for check in STEP:
        if applies(run, check.__name__):
            run.judge(check, step)
    if step.call.kind == "liquidate" and step.ok and step.before.judged and step.after.judged:
        for check in liquidation.EVERY:
            run.judge(check, step)


def probe(run: Run, name: str, seed: int) -> None:
    """One property that needs runs of its own, on a copy of the present state."""
    run.counts[f"ran {name}"] += 1
    run.judge(PROBES[name], seed)


def unavailable(run: Run) -> dict[str, str]:
    """Ids that this adapter leaves out: what it would have to offer."""
    return {
        "I-" + name[2:4]: f"the adapter lacks {need}"
        for name, need in NEEDS.items()
        if not applies(run, name) and name != "i_38_pause"
    }
