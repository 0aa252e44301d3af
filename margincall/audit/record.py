"""A run as JSON."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from margincall.audit.counterexample import property_id
from margincall.audit.properties import RATES, WITH_OPTIONS, registry
from margincall.audit.report import SELDOM, missing, required
from margincall.audit.running import Plan, Tally
from margincall.protocol.artifacts import CONTRACTS


def record(
    plan: Plan, tally: Tally, mode: str | None, interrupted: bool, contracts: Path = CONTRACTS
) -> dict[str, Any]:
    """What `--json` writes. seconds: on the clock; process_seconds: of all workers together;
    steps_per_second: of process time, so on one core; checked: real checks by property id; reached: states by
    name; probes: properties that run now and then, with their rate, runs and process seconds."""
    every = RATES | WITH_OPTIONS
    return {
        "seed": plan.seed,
        "workers": plan.workers,
        "mode": mode or "all",
        "finished": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "steps_asked": plan.steps,
        "steps": tally.total,
        "seconds": round(tally.elapsed, 1),
        "process_seconds": round(sum(tally.seconds.values()), 1),
        "steps_per_second": round(tally.rate()),
        "settings": {
            setting.name: {
                "steps": tally.steps[setting.name],
                "steps_per_second": round(tally.rate(setting.name)),
            }
            for setting in plan.settings
        },
        # That all storage equals the model's is I-14 too, after every step.
        "checked": {id: tally.checked[id] + (id == "I-14") * tally.checked["storage"] for id in registry.IDS},
        "reached": {name: tally.counts[name] for name in sorted({*tally.counts, *required(plan.settings)})},
        "refused": dict(tally.refusals.most_common()),
        "probes": {
            name: {"every": every[name], "runs": times, "seconds": round(seconds, 1)}
            for name, (times, seconds) in sorted(tally.probes.items())
        },
        "unmet": missing(plan.settings, tally.counts, tally.checked, tally.total),
        "seldom": {name: tally.counts[name] for name in SELDOM if "options" in _offers(plan)},
        "violations": [
            {
                "property": property_id(failure.name),
                "formula": registry.formula(failure.name),
                "detail": failure.detail,
                "setting": failure.episode.setting.name,
                "episode": failure.episode.seed,
                "text": failure.text,
            }
            for failure in tally.failures
        ],
        "interrupted": interrupted,
        "contracts": digest(contracts),
    }


def _offers(plan: Plan) -> frozenset[str]:
    return frozenset().union(*(setting.offers for setting in plan.settings))


def digest(contracts: Path) -> str:
    """Sixteen hex digits that name the state of the Vyper sources."""
    found = hashlib.sha256()
    for path in sorted(contracts.rglob("*.vy*")):
        found.update(path.relative_to(contracts).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]
