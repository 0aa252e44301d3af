"""What a run reached and checked, and what it must have."""

from __future__ import annotations

from collections import Counter

from margincall.audit.properties import NOT_APPLICABLE

REQUIRED = (
    "partial liquidation",
    "full liquidation",
    "insolvent liquidation",
    "socialised liquidation",
    "side charged",
    "reward paid by insurance",
    "liquidation of a vault",
    "liquidation of several legs",
    "liquidation in a pause",
    "last position of a vault",
    "switch near maintenance",
    "switched there and back",
    "switch_to_isolated ok",
    "switch_to_cross ok",
    "flip",
    "partial reduction",
    "boundary price ok",
    "liquidation at the requirement",
    "liquidation one unit above the requirement",
    "liquidation one unit below the requirement",
    "all that is withdrawable left",
    "open interest cap hit",
    "stale refused",
    "grace refused",
    "pause refused",
    "denied mode refused",
    "hostile token refused",
    "nested call refused",
    "stranger refused",
    "self: order: self trade",
    "self: liquidation: own account",
    "self: margin: not vault and parent",
    "donate ok",
    "parameter tiers ok",
    "everyone left",
    "non-interference with a charge",
)
"""States without which a run says little; a long run over all settings fails when one was not reached."""

WITH_OPTIONS = (
    "liquidation, portfolio: partial",
    "liquidation, portfolio: insolvent",
    "liquidation, cross with a book: partial",
    "liquidation, cross with a book: insolvent",
    "liquidated into a portfolio account",
    "liquidated into a cross account",
    "liquidation with spot",
    "mode switched near maintenance",
    "option flip",
    "option reduced",
    "option traded by a portfolio account",
    "settled at expiry",
    "settled late",
    "deficit of market 0 recorded",
    "market 0's deficit repaid",
    "dials tightened",
    "dense grid of prices",
    "cash owed against spot",
)
"""The same of the setting with options."""
SELDOM = (
    "liquidation, portfolio: full",
    "liquidation, cross with a book: full",
    "settlement absorbed by insurance",
    "liquidation, portfolio: one unit below the requirement",
    "liquidation, cross with a book: one unit below the requirement",
    "liquidation raised the requirement",
    "settlement recorded as deficit of market 0",
)
"""Of interest, and too rare for short runs."""

APPLICABLE = tuple(f"I-{i:02d}" for i in range(1, 41) if f"I-{i:02d}" not in NOT_APPLICABLE)


def missing(counts: Counter, checked: Counter) -> list[str]:
    """Required states not reached and applicable properties never checked."""
    unreached = [f"never reached: {name}" for name in (*REQUIRED, *WITH_OPTIONS) if not counts[name]]
    return unreached + [f"never checked: {name}" for name in APPLICABLE if not checked[name]]


def options_lines(counts: Counter) -> list[str]:
    """What a run of the setting with options reached, for people."""
    return [f"  {name:60} {counts[name]:>8,}" for name in (*WITH_OPTIONS, *SELDOM)]


def lines(counts: Counter, checked: Counter, refusals: Counter) -> list[str]:
    """The counters of a run, for people."""
    found = ["reached:"]
    found += [f"  {name:45} {counts[name]:>8,}" for name in sorted(counts) if counts[name]]
    found.append("refused, by reason:")
    found += [f"  {name:45} {count:>8,}" for name, count in refusals.most_common()]
    found.append("checked:")
    found += [f"  {name:45} {checked[name]:>8,}" for name in (*APPLICABLE, "storage")]
    return found + [f"  {name}: not applicable, {why}" for name, why in NOT_APPLICABLE.items()]
