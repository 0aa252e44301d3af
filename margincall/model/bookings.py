"""Trades in options and dated futures, books posted by source doors, and mode switches of root accounts:
what Exchange, Modes and Clearinghouse do beside the perps.
"""

from collections.abc import Sequence
from typing import NamedTuple

from margincall.model import accounts
from margincall.model.arithmetic import MAX_MARKET, MAX_PRICE, NOTIONAL_SCALE, PPM, RATE_SCALE, Refused
from margincall.model.book import merge
from margincall.model.clearing import check_withdrawal, is_denied, judge_initial, judge_reduced
from margincall.model.instrument import MAX_CODE, SPOT, WINDOW, Instrument, log_code
from margincall.model.ledger import State, Words
from margincall.model.markets import OPEN
from margincall.model.trading import add_fee, fee_of

FIRST_BOOK_ID = 256  # instruments below it are perps
FEE_CAP = 125_000  # ppm of an option's premium
REACH = 983_040  # |ln(S/K)| of an option that is opened: 0.75 in log codes


class BookFill(NamedTuple):
    """What a trade in the book cost, money; cash: what the taker paid the maker."""

    maker_fee: int
    taker_fee: int
    cash: int


def trade_instrument(
    state: State,
    now: int,
    id: int,
    maker: int,
    taker: int,
    size: int,
    price: int,
    *,
    maker_max_fee: int = PPM,
    taker_max_fee: int = PPM,
    maker_reduce_only: bool = False,
    taker_reduce_only: bool = False,
) -> BookFill:
    """The taker buys `size` lots (sells when negative) of an instrument id >= 256 from the maker.

    price: premium a coin of an option, forward of a future, price units; what it makes in money is rounded
    against the taker. Fees: the market's on the underlying's notional, of an option at most FEE_CAP of the
    premium. Raises Refused; nothing changes then.
    """
    if size == 0:
        raise Refused("order: size exceeded")
    if maker >> 96 == taker >> 96:
        raise Refused("order: self trade")
    market_id, kind = id & 255, id >> 8 & 255
    if kind == SPOT:
        raise Refused("order: spot is not traded")
    market = state.markets.get(market_id)
    if market is None:
        raise Refused("price: none" if 0 < market_id <= MAX_MARKET else "markets: id out of range")
    mark = market.quote(now, state.max_age)[0]
    if not (maker_reduce_only and taker_reduce_only):
        if market.terms.status != OPEN:
            raise Refused("clearing: market is reduce-only")
        if market.in_grace(now):
            raise Refused("clearing: grace after outage")
    if price > MAX_PRICE:
        raise Refused("order: price outside band")
    amount = -(-size * price // NOTIONAL_SCALE)
    options = state.options
    fragment = options.grid.fragment(id, size, now, amount)
    instrument = Instrument.of(id)
    if not (maker_reduce_only and taker_reduce_only) and now + WINDOW >= instrument.expiry:
        raise Refused("order: settling")
    fair = mark
    if instrument.is_option:
        name = fragment[1] & 2**25 - 1
        near = abs(log_code(mark) - (name & MAX_CODE)) <= REACH
        if not (near or maker_reduce_only or taker_reduce_only):
            raise Refused("order: strike too far")
        fair = options.mark(name, market_id, instrument.expiry, instrument.strike, mark, now)
    if abs(price - fair) * PPM > mark * market.terms.band:
        raise Refused("order: price outside band")
    raw = abs(size) * mark
    maker_fee = fee_of(raw, market.terms.maker_fee, maker_max_fee)
    taker_fee = fee_of(raw, market.terms.taker_fee, taker_max_fee)
    cash = 0
    if instrument.is_option:
        cap = -(-abs(size) * price * FEE_CAP // RATE_SCALE)
        maker_fee, taker_fee, cash = min(maker_fee, cap), min(taker_fee, cap), amount
    trade_book(
        state, now, maker, taker, fragment, cash, maker_fee, taker_fee, maker_reduce_only, taker_reduce_only
    )
    state.pin(market_id)
    return BookFill(maker_fee, taker_fee, cash)


def trade_book(
    state: State,
    now: int,
    maker: int,
    taker: int,
    fragment: Words,
    cash: int,
    maker_fee: int,
    taker_fee: int,
    maker_reduce_only: bool = False,
    taker_reduce_only: bool = False,
) -> None:
    """The taker gets a fragment and pays the maker `cash` for it. Raises Refused; nothing changes then."""
    if maker == taker:
        raise Refused("clearing: bad trade")
    make = _fill(state, now, maker, fragment, True, cash - maker_fee, maker_reduce_only)
    take = _fill(state, now, taker, fragment, False, -cash - taker_fee, taker_reduce_only)
    for account, (left, words) in ((maker, make), (taker, take)):
        state.write(account, left, state.positions.get(account, ()))
        state.write_book(account, words)
    for fee in (maker_fee, taker_fee):
        add_fee(state, 0, fee * state.insurance_share // PPM, fee)


def _fill(
    state: State, now: int, account: int, fragment: Words, negate: bool, change: int, reduce_only: bool
) -> tuple[int, Words]:
    """One side of a trade, judged: (cash, book) afterwards; writes nothing."""
    words, reduces = merged(state, account, fragment, negate)
    cash, positions = state.cash.get(account, 0) + change, state.positions.get(account, ())
    if reduces:
        judge_reduced(state, now, account, cash, positions, words)
        return cash, words
    if reduce_only:
        raise Refused("clearing: reduce only")
    if state.paused:
        raise Refused("access: paused")
    if is_denied(state, account):
        raise Refused("access: mode not allowed")
    judge_initial(state, now, account, cash, positions, words)
    return cash, words


def merged(state: State, account: int, fragment: Sequence[int], negate: bool) -> tuple[Words, bool]:
    """(an account's book with a fragment added or taken out, whether all that it touches got smaller)."""
    if accounts.is_vault(account) or account == 0:
        raise Refused("clearing: not a root account")
    return merge(state.books.get(account, ()), fragment, negate)


def post_book(
    state: State, now: int, account: int, fragment: Words, negate: bool, cash: int, rule: int = 0
) -> None:
    """What a source door adds to a book or takes out of it, with cash against `unsettled`. rule 1: the
    withdrawal rule; 0: none, and what a flat account is left owing is paid by insurance or recorded.
    Raises Refused; nothing changes then."""
    words, _ = merged(state, account, fragment, negate)
    held, positions = state.cash.get(account, 0) + cash, state.positions.get(account, ())
    if rule:
        if state.paused:
            raise Refused("access: paused")
        check_withdrawal(state, now, account, held, positions, words)
    elif held < 0 and not (positions or words):
        paid = min(-held, state.insurance.get(0, 0))
        state.insurance[0] = state.insurance.get(0, 0) - paid
        state.deficit[0] = state.deficit.get(0, 0) - held - paid
        held = 0
    state.write(account, held, positions)
    state.write_book(account, words)
    state.unsettled += cash


def set_mode(state: State, now: int, account: int, mode: int) -> None:
    """Put a root account under the rule of CROSS or PORTFOLIO. Raises Refused; nothing changes then."""
    if accounts.is_vault(account):
        raise Refused("switch: not a root account")
    old = state.mode(account)
    if mode == old:
        raise Refused("switch: in that mode")
    equity, _, maintenance, _ = state.margin(account, now)
    if mode not in (accounts.CROSS, accounts.PORTFOLIO):
        raise Refused("switch: no such mode")
    if equity < maintenance:
        raise Refused("switch: liquidatable")
    if state.paused:
        raise Refused("access: paused")
    _write_mode(state, account, mode)
    try:
        if is_denied(state, account):
            raise Refused("access: mode not allowed")
        judge_initial(state, now, account, state.cash.get(account, 0), state.positions.get(account, ()))
    except Refused:
        _write_mode(state, account, old)
        raise


def _write_mode(state: State, account: int, mode: int) -> None:
    if mode == accounts.CROSS:
        state.modes.pop(account, None)
    else:
        state.modes[account] = mode
