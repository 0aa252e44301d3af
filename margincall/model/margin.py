"""The margin rule of CROSS and ISOLATED accounts.

Equity is rounded down, requirements are rounded up, position by position.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from margincall.model.accounts import Position
from margincall.model.arithmetic import INDEX_SCALE, NOTIONAL_SCALE, RATE_SCALE, Refused
from margincall.model.markets import Bracket, Market


class Margin(NamedTuple):
    """All in money."""

    equity: int
    initial: int
    maintenance: int
    notional: int


class CloseOut(NamedTuple):
    """What a liquidation by slice needs; all in money.

    slope: maintenance margin that closing would free at the marginal rate, per whole account.
    penalty: what closing everything costs.
    """

    equity: int
    maintenance: int
    slope: int
    penalty: int


def bracket_of(market: Market, raw: int) -> Bracket:
    """The last tier whose edge is at or below a notional of `raw` (lots * price)."""
    bracket = market.brackets[0]
    for upper in market.upper_brackets:
        if upper[0] > raw:
            break
        bracket = upper
    return bracket


def initial_up(market: Market, raw: int) -> int:
    """im = ceil(raw * imf / 1e14) - deduction, money."""
    bracket = bracket_of(market, raw)
    return -(-raw * bracket.imf // RATE_SCALE) - bracket.im_deduction


def maintenance_up(market: Market, raw: int) -> int:
    """mm = ceil(raw * mmf / 1e14) - deduction, money."""
    bracket = bracket_of(market, raw)
    return -(-raw * bracket.mmf // RATE_SCALE) - bracket.mm_deduction


def value_down(size: int, entry: int, quote: tuple[int, int, int, int]) -> int:
    """floor(size * adjusted mark / 1e10) - entry: unrealised P&L net of funding and social charges."""
    return size * quote[1 if size > 0 else 2] // INDEX_SCALE - entry


def margin(
    cash: int, positions: Sequence[Position], markets: Mapping[int, Market], now: int, max_age: int
) -> Margin:
    """Equity, IM, MM and gross notional of an account at `now`. Raises Refused on a stale price."""
    equity = cash
    initial = maintenance = raw_sum = 0
    for market_id, size, entry in positions:
        market = markets[market_id]
        mark, longs, shorts, _ = market.quote(now, max_age)
        if size > 0:
            equity += size * longs // INDEX_SCALE - entry
            raw = size * mark
        else:
            equity += size * shorts // INDEX_SCALE - entry
            raw = -size * mark
        bracket = market.brackets[0]
        for upper in market.upper_brackets:
            if upper[0] > raw:
                break
            bracket = upper
        _, imf, im_deduction, mmf, mm_deduction = bracket
        initial -= -raw * imf // RATE_SCALE + im_deduction
        maintenance -= -raw * mmf // RATE_SCALE + mm_deduction
        raw_sum += raw
    return Margin(equity, initial, maintenance, -(-raw_sum // NOTIONAL_SCALE))


def close_out(
    cash: int, positions: Sequence[Position], markets: Mapping[int, Market], now: int, max_age: int
) -> CloseOut:
    """Equity, MM, slope and penalty of an account at `now`. Raises Refused on a stale price."""
    equity = cash
    maintenance = slope = penalty = 0
    for market_id, size, entry in positions:
        market = markets[market_id]
        quote = market.quote(now, max_age)
        equity += value_down(size, entry, quote)
        required, marginal, cost = closing_costs(market, abs(size) * quote[0])
        maintenance += required
        slope += marginal
        penalty += cost
    return CloseOut(equity, maintenance, slope, penalty)


def closing_costs(market: Market, raw: int) -> tuple[int, int, int]:
    """(mm, mm + its deduction, penalty) of one position of notional `raw` (lots * price); rounded up."""
    bracket = bracket_of(market, raw)
    marginal = -(-raw * bracket.mmf // RATE_SCALE)
    return marginal - bracket.mm_deduction, marginal, -(-raw * market.terms.penalty // RATE_SCALE)


def check_reduced(old: Margin, equity: int, maintenance: int) -> None:
    """The rule of a reduction that leaves an account below its initial margin: it may not cost a larger
    share of equity than it frees of maintenance margin, and nothing is reduced where nothing is left.
    Raises Refused.
    """
    if old.equity <= 0:
        raise Refused("margin: insolvent")
    if equity * old.maintenance < old.equity * maintenance:
        raise Refused("margin: health falls")
