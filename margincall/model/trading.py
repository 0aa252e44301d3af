"""A trade between two accounts: post both legs, then judge the states that will persist."""

from typing import NamedTuple

from margincall.model import accounts
from margincall.model.arithmetic import (
    INDEX_PER_PRICE,
    INDEX_SCALE,
    MAX_MARKET,
    NOTIONAL_SCALE,
    PPM,
    RATE_SCALE,
    Refused,
)
from margincall.model.clearing import (
    check_opening,
    check_withdrawal,
    is_denied,
    judge_initial,
    judge_reduced,
)
from margincall.model.ledger import Positions, State, post
from margincall.model.markets import Market


class Fill(NamedTuple):
    """What a trade cost and realised, money."""

    maker_fee: int
    taker_fee: int
    maker_realised: int
    taker_realised: int


class _Posted(NamedTuple):
    cash: int
    positions: Positions
    parent_cash: int | None  # None: the parent is not touched
    before: int
    after: int
    realised: int
    social: int


def trade(
    state: State,
    now: int,
    market: int,
    maker: int,
    taker: int,
    size: int,
    price: int,
    *,
    maker_margin: int = 0,
    taker_margin: int = 0,
    maker_max_fee: int = PPM,
    taker_max_fee: int = PPM,
    maker_reduce_only: bool = False,
    taker_reduce_only: bool = False,
) -> Fill:
    """The taker buys `size` lots (sells when negative) from the maker at `price` (price units).

    *_margin: money that moves from the parent into the vault with this fill; *_max_fee: ppm.
    The common entry amount is rounded up for the taker. Raises Refused; nothing changes then.
    """
    if size == 0:
        raise Refused("order: size exceeded")
    if maker >> 96 == taker >> 96:
        raise Refused("order: self trade")
    known = state.markets.get(market)
    if known is None:
        raise Refused("price: none" if 0 < market <= MAX_MARKET else "markets: id out of range")
    mark, _, _, funding = known.quote(now, state.max_age)
    terms = known.terms
    if abs(price - mark) * PPM > mark * terms.band:
        raise Refused("order: price outside band")
    amount = -(-size * (price * INDEX_PER_PRICE - funding) // INDEX_SCALE)
    raw = abs(size) * price
    maker_fee = fee_of(raw, terms.maker_fee, maker_max_fee)
    taker_fee = fee_of(raw, terms.taker_fee, taker_max_fee)
    if (maker_margin and not maker & accounts.LOW_64) or (taker_margin and not taker & accounts.LOW_64):
        raise Refused("order: margin needs a vault")
    make = _post(state, now, known, mark, maker, -size, -amount, maker_fee, maker_margin, maker_reduce_only)
    take = _post(state, now, known, mark, taker, size, amount, taker_fee, taker_margin, taker_reduce_only)

    change = max(make.after, 0) - max(make.before, 0) + max(take.after, 0) - max(take.before, 0)
    share = state.insurance_share
    maker_pool = market if maker & accounts.LOW_64 else 0
    taker_pool = market if taker & accounts.LOW_64 else 0
    maker_part, taker_part = maker_fee * share // PPM, taker_fee * share // PPM
    if change > 0:
        insurance = state.insurance.get(0, 0) + state.insurance.get(market, 0) + maker_part + taker_part
        cap = min(terms.oi_cap, terms.oi_multiple * insurance)
        if (state.open_interest.get(market, 0) + change) * mark > NOTIONAL_SCALE * cap:
            raise Refused("clearing: open interest cap")

    _write(state, maker, make)
    _write(state, taker, take)
    add_fee(state, maker_pool, maker_part, maker_fee)
    add_fee(state, taker_pool, taker_part, taker_fee)
    social = make.social + take.social
    if social:
        state.deficit[market] = state.deficit.get(market, 0) - social
    if change:
        state.move_open_interest(market, change)
    state.pin(market)
    return Fill(maker_fee, taker_fee, make.realised, take.realised)


def fee_of(raw: int, rate: int, max_rate: int) -> int:
    """Fee in money on a notional of `raw` (lots * price), rounded up. Raises Refused."""
    if rate > max_rate:
        raise Refused("order: fee above max")
    return -(-raw * rate // RATE_SCALE)


def _post(
    state: State,
    now: int,
    market: Market,
    mark: int,
    account: int,
    change: int,
    amount: int,
    fee: int,
    margin_in: int,
    reduce_only: bool,
) -> _Posted:
    """One party's side of a trade, judged; writes nothing."""
    cash, old_positions = state.cash.get(account, 0), state.positions.get(account, ())
    low = account & accounts.LOW_64
    parent_cash = None
    if margin_in:
        parent = accounts.parent(account)
        parent_cash = state.cash.get(parent, 0) - margin_in
        check_withdrawal(state, now, parent, parent_cash, state.positions.get(parent, ()))
        cash += margin_in
    before = state.size(account, market.id)
    after = before + change
    risk_up = abs(after) >= abs(before) or before * after < 0
    if risk_up:
        if reduce_only:
            raise Refused("clearing: reduce only")
        check_opening(state, now, market)
    if low and low >> 32 != market.id:
        raise Refused("clearing: not the vault's market")
    old_cash = cash
    positions, _, _, realised, social = post(
        old_positions, market.id, change, amount, market.social_long, market.social_short
    )
    cash += realised - fee
    if after and abs(after) * mark < market.terms.min_notional * NOTIONAL_SCALE:
        raise Refused("clearing: below min notional")
    if risk_up and state.denied and is_denied(state, account):
        raise Refused("access: mode not allowed")
    if risk_up:
        judge_initial(state, now, account, cash, positions)
    else:
        judge_reduced(state, now, account, cash, positions, old_cash=old_cash)
    if low and not positions and cash:
        parent_cash = cash + (
            state.cash.get(accounts.parent(account), 0) if parent_cash is None else parent_cash
        )
        cash = 0
    return _Posted(cash, positions, parent_cash, before, after, realised, social)


def _write(state: State, account: int, posted: _Posted) -> None:
    state.write(account, posted.cash, posted.positions)
    if posted.parent_cash is not None:
        parent = accounts.parent(account)
        state.write(parent, posted.parent_cash, state.positions.get(parent, ()))


def add_fee(state: State, pool: int, insurance_part: int, fee: int) -> None:
    """Put a fee into a pool: `insurance_part` of it, and the rest for the treasury."""
    if fee:
        state.insurance[pool] = state.insurance.get(pool, 0) + insurance_part
        state.treasury[pool] = state.treasury.get(pool, 0) + fee - insurance_part
