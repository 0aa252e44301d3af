"""Kinds of actions by what they are for."""

from __future__ import annotations

from margincall.audit.operations import options

PRICES = ("price", "jump", "silence", "end of silence", "boundary price", "bad report")
TRADES = ("trade", "reduce", "odd order")
SWITCHES = ("switch_to_isolated", "switch_to_cross")
STOPPED_BY_PAUSE = (
    *(*TRADES, *SWITCHES, "withdraw", "close_account", "move_margin"),
    *(*options.KINDS, "switch_mode", "withdraw spot"),
)
WORK = (
    dict.fromkeys(("deposit", "withdraw", "close_account", "fund_insurance", "collect_fees"), 200_000)
    | dict.fromkeys(("donate", "cancel", "cancel_all", "pause", "unpause", "delegate", "deny modes"), 200_000)
    | dict.fromkeys(("move_margin", *PRICES), 300_000)
    | dict.fromkeys((*TRADES, *SWITCHES), 400_000)
    | dict.fromkeys((*options.KINDS, "switch_mode", "deposit spot", "withdraw spot", "settle"), 5_000_000)
)
"""Gas bounds of acts, in accounts without a book."""
WITH_BOOK = 5_000_000
SELF = (*TRADES, *options.KINDS, "liquidate", "move_margin")
OWN_ACTS = ("withdraw", "move_margin", *TRADES, *SWITCHES)
