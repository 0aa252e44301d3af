"""The what-if to play with in the page: prices that can be changed, and the rules in their new order.

What a check touches comes along as data, so the page restates it as `whatif.repriced` does for views.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from html import escape
from typing import Any

from margincall.bench.records import Bench, Measurement
from margincall.bench.repricing import POSITIONS, ladder_refresh
from margincall.bench.rules import rules
from margincall.bench.whatif import TODAY, Schedule, counts

LABELS = {
    "cold_sload": "slot, first touch",
    "cold_account": "account, first touch",
    "sstore_set": "slot created",
    "sstore_reset": "slot changed",
    "create": "contract made",
    "code_byte": "byte of code made",
}
"""The prices that checks and refreshes pay."""


def data(bench: Bench) -> dict[str, Any]:
    """Gas and counts of every rule's check of 64 options, and of a refresh in both stores."""
    checks = {one.name: one.checks[POSITIONS] for one in rules(bench) if POSITIONS in one.checks}
    refresh = ladder_refresh(bench)
    return {
        "today": {name: getattr(TODAY, name) for name in LABELS},
        "rules": {name: _counted(measured) for name, measured in checks.items()},
        "refresh": {store: _counted(getattr(refresh, store)) for store in ("code", "slots")}
        if refresh
        else {},
    }


def _counted(measured: Measurement) -> dict[str, Any]:
    held = counts(measured)
    return {"gas": measured.gas, "counts": {name: held[name] for name in LABELS}}


def panel(bench: Bench, schedule: Schedule) -> str:
    """Its HTML, "" where no check was measured. The template's script brings it to life."""
    held = data(bench)
    if not held["rules"]:
        return ""
    asked = asdict(schedule)
    fields = "".join(
        f"<label>{escape(label)}"
        f'<input type="number" min="0" step="1" name="{name}" value="{asked[name]}"></label>'
        for name, label in LABELS.items()
    )
    heads = "".join(
        f'<th scope="col">{head}</th>' for head in ("rule", "place", "moved", "gas here", "gas today")
    )
    # Inside a script element only "</" could end it.
    text = json.dumps(held).replace("</", "<\\/")
    return (
        f"<h3>Try it: {POSITIONS} options, other prices</h3>"
        f'<form id="prices">{fields}<button type="reset">today</button></form>'
        f'<div class="scroll"><table id="live"><thead><tr>{heads}</tr></thead><tbody></tbody></table></div>'
        '<p class="notes" id="stores"></p>'
        f'<script type="application/json" id="counts">{text}</script>'
    )
