"""What a run reached and checked, and what it must have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from margincall.audit.properties import registry
from margincall.audit.settings import Setting

REQUIRED = {
    "partial liquidation": "always",
    "full liquidation": "always",
    "insolvent liquidation": "jumps",
    "socialised liquidation": "jumps",
    "side charged": "jumps",
    "reward paid by insurance": "always",
    "liquidation of a vault": "isolated",
    "liquidation of several legs": "cross",
    "liquidation in a pause": "always",
    "last position of a vault": "isolated",
    "switch near maintenance": "both",
    "switched there and back": "cross",
    "switch_to_isolated ok": "both",
    "switch_to_cross ok": "both",
    "flip": "always",
    "partial reduction": "always",
    "boundary price ok": "jumps",
    "liquidation at the requirement": "jumps",
    "liquidation one unit above the requirement": "jumps",
    "liquidation one unit below the requirement": "jumps",
    "all that is withdrawable left": "always",
    "open interest cap hit": "always",
    "stale refused": "jumps",
    "grace refused": "jumps",
    "pause refused": "always",
    "denied mode refused": "always",
    "hostile token refused": "hostile",
    "nested call refused": "hostile",
    "stranger refused": "always",
    "self: order: self trade": "always",
    "self: liquidation: own account": "always",
    "self: margin: not vault and parent": "both",
    "donate ok": "always",
    "parameter tiers ok": "jumps",
    "everyone left": "always",
    "non-interference with a charge": "jumps",
    "liquidation, portfolio: partial": "options",
    "liquidation, portfolio: insolvent": "options",
    "liquidation, cross with a book: partial": "options",
    "liquidation, cross with a book: insolvent": "options",
    "liquidated into a portfolio account": "options",
    "liquidated into a cross account": "options",
    "liquidation with spot": "options",
    "mode switched near maintenance": "options",
    "option flip": "options",
    "option reduced": "options",
    "option traded by a portfolio account": "options",
    "settled at expiry": "options",
    "settled late": "options",
    "deficit of market 0 recorded": "options",
    "market 0's deficit repaid": "options",
    "dials tightened": "options",
    "dense grid of prices": "options",
    "cash owed against spot": "options",
}
"""States without which a run says little, and what a setting must offer (`Setting.offers`) for them."""

LONG = 100_000
RARE = (
    "liquidation, portfolio: full",
    "liquidation, cross with a book: full",
    "liquidation, portfolio: one unit below the requirement",
    "liquidation, cross with a book: one unit below the requirement",
    "settlement absorbed by insurance",
    "settlement recorded as deficit of market 0",
)
"""The same, of runs of at least LONG steps over a setting with options: a shorter one may miss some."""

SELDOM = (*RARE, "liquidation raised the requirement", "spot deposited where its price is stale")
"""Printed and not required of short runs."""

SUBJECTS = {
    "I-24": "envelope",
    "I-26": "jumps",
    "I-28": "jumps",
    "I-27": "isolated",
    "I-30": "options",
    "I-31": "options",
    "I-32": "options",
    "I-33": "options",
}
"""Properties that have a subject in some settings alone."""


def required(settings: Iterable[Setting]) -> list[str]:
    """States that a run over these settings must reach."""
    offered = frozenset().union(*(setting.offers for setting in settings))
    return [name for name, needs in REQUIRED.items() if needs in offered]


def missing(settings: Iterable[Setting], counts: Counter, checked: Counter, steps: int = 0) -> list[str]:
    """Required states not reached and properties never checked that these settings give a subject; of a run
    of `steps`."""
    settings = tuple(settings)
    offered = frozenset().union(*(setting.offers for setting in settings))
    wanted = required(settings) + list(RARE if steps >= LONG and "options" in offered else ())
    unreached = [f"never reached: {name}" for name in wanted if not counts[name]]
    ids = [id for id in registry.IDS if SUBJECTS.get(id, "always") in offered]
    return unreached + [f"never checked: {id}" for id in ids if not checked[id]]
