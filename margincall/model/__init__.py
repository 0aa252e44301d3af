"""The exact integer twin of the contracts, written from the formulas.

Start with `State`; operations are functions of modules `clearing`, `trading` and `liquidation`, views are
in `margin` and `limits`. Everything is a plain int in the units of `arithmetic`.
"""

from margincall.model import accounts
from margincall.model.arithmetic import Refused, money, to_lots, to_price
from margincall.model.clearing import (
    close_account,
    collect_fees,
    deposit,
    fund_insurance,
    move_margin,
    set_denied_modes,
    set_paused,
    switch_to_cross,
    switch_to_isolated,
    withdraw,
)
from margincall.model.ledger import State, apply
from margincall.model.limits import liquidation_price, max_trade_size, withdrawable
from margincall.model.liquidation import liquidate, plan, take_over
from margincall.model.margin import CloseOut, Margin
from margincall.model.markets import Market, Rules, Terms, Tier
from margincall.model.trading import Fill, trade

__all__ = [
    "CloseOut",
    "Fill",
    "Margin",
    "Market",
    "Refused",
    "Rules",
    "State",
    "Terms",
    "Tier",
    "accounts",
    "apply",
    "close_account",
    "collect_fees",
    "deposit",
    "fund_insurance",
    "liquidate",
    "liquidation_price",
    "max_trade_size",
    "money",
    "move_margin",
    "plan",
    "set_denied_modes",
    "set_paused",
    "switch_to_cross",
    "switch_to_isolated",
    "take_over",
    "to_lots",
    "to_price",
    "trade",
    "withdraw",
    "withdrawable",
]
