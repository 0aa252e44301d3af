"""Which margin rule judges an account, and what it says: CROSS and ISOLATED perps (`margin`), PORTFOLIO
(`portfolio`), CROSS with a book (`standard`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from margincall.model import portfolio, standard
from margincall.model.accounts import CROSS, PORTFOLIO, Position
from margincall.model.arithmetic import Refused
from margincall.model.book import unpack
from margincall.model.margin import CloseOut, Margin, close_out, margin, value_down
from margincall.model.portfolio import Perp, Risk

if TYPE_CHECKING:
    from margincall.model.ledger import State

CROSS_BOOK = 3


def rule_of(mode: int, words: Sequence[int]) -> int:
    """The mode, or CROSS_BOOK."""
    return CROSS_BOOK if mode == CROSS and words else mode


def measure(
    state: State, now: int, mode: int, cash: int, positions: Sequence[Position], words: Sequence[int]
) -> Margin:
    """Equity, IM, MM, notional by the rule of a mode. Raises Refused on a stale price or curve."""
    rule = rule_of(mode, words)
    if rule == PORTFOLIO and (positions or words):
        perps, risk = _portfolio(state, now, positions, words)
        return Margin(*portfolio.margin(cash, perps, words, risk)[:4])
    if rule == CROSS_BOOK:
        return standard.margin(cash, positions, words, *_standard(state, now, words), now, state.max_age)
    return margin(cash, positions, state.markets, now, state.max_age)


def standing(
    state: State, now: int, mode: int, cash: int, positions: Sequence[Position], words: Sequence[int]
) -> CloseOut:
    """Equity, MM, slope and penalty by the rule of a mode. Raises Refused on a stale price or curve."""
    rule = rule_of(mode, words)
    if rule == PORTFOLIO and (positions or words):
        perps, risk = _portfolio(state, now, positions, words)
        found = portfolio.margin(cash, perps, words, risk)
        return CloseOut(found.equity, found.maintenance, found.maintenance, found.penalty)
    if rule == CROSS_BOOK:
        return standard.close_out(cash, positions, words, *_standard(state, now, words), now, state.max_age)
    return close_out(cash, positions, state.markets, now, state.max_age)


def risk_of(state: State, now: int, markets: set[int]) -> Risk:
    """The risk parameters with the marks of these markets. Raises Refused on a stale price."""
    if state.options is None:
        raise Refused("")  # nobody is there to be asked
    prices = {market: state.markets[market].quote(now, state.max_age)[0] for market in sorted(markets)}
    return state.options.risk(prices, now)


def _portfolio(
    state: State, now: int, positions: Sequence[Position], words: Sequence[int]
) -> tuple[list[Perp], Risk]:
    perps = []
    for market, size, entry in positions:
        quote = state.markets[market].quote(now, state.max_age)
        perps.append((market, size, value_down(size, entry, quote)))
    held = {market for market, _, _ in positions} | {segment.market for segment in unpack(words)}
    return perps, risk_of(state, now, held)


def _standard(state: State, now: int, words: Sequence[int]) -> tuple:
    risk = risk_of(state, now, {segment.market for segment in unpack(words)})
    return risk, state.markets, state.options.standard
