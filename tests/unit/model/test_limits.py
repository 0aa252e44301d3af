"""Liquidation price, largest trade and withdrawable money: exact on both sides of the boundary."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from margincall.model import (
    Market,
    Refused,
    Rules,
    State,
    Terms,
    Tier,
    accounts,
    liquidation_price,
    max_trade_size,
    money,
    trade,
    withdraw,
    withdrawable,
)
from tests.unit.model.builders import NOW, PRICE, protocol

ACCOUNT = accounts.root(1)
TABLE = (Tier(0, 60_000, 25_000), Tier(money(5_000), 100_000, 50_000), Tier(money(100_000), 500_000, 250_000))


def account_with(size, entry, cash, price, funding, longs, shorts, other=0):
    state = State()
    for market in (1, 2):
        known = state.markets[market] = Market(market, Rules(), Terms(TABLE))
        known.mark, known.published, known.accrued_at = price, NOW, NOW
        known.funding, known.social_long, known.social_short = funding, longs, shorts
    held = [(1, size, entry)]
    if other:
        held.insert(0, (2, other, 0))
    state.write(ACCOUNT, cash, tuple(held))
    return state


def liquidatable(state, price, other_price=None):
    known = state.markets[1]
    if not 1 <= price < 2**40:
        return None
    saved = known.mark
    known.mark = price
    known.forget_quote()
    found = state.margin(ACCOUNT, NOW)
    known.mark = saved
    known.forget_quote()
    return found.equity < found.maintenance


sizes = st.one_of(st.integers(-(10**13), 10**13), st.integers(-2_000, 2_000)).filter(bool)


@settings(max_examples=300)
@given(
    sizes,
    st.integers(-300_000, 1_500_000),
    st.integers(1, 2**34),
    st.integers(-(10**6), 10**6),
    *[st.integers(0, 10**6)] * 2,
    st.integers(-1_000, 1_000),
)
def test_boundary_is_exact_on_both_sides(size, cash_ppm, price, funding, longs, shorts, other):
    """One price unit on the safe side is not liquidatable, and nothing beyond it is; the price itself is."""
    entry = size * price // 10**8
    cash = abs(entry) * cash_ppm // 10**6
    state = account_with(size, entry, cash, price, funding, longs, shorts, other)
    found = liquidation_price(state, NOW, ACCOUNT, 1)
    safe = 1 if size > 0 else -1
    if found is None:
        for probe in (1, 2, price // 2, price, 2 * price, 2**39, 2**40 - 1):
            assert not liquidatable(state, probe)
        return
    assert liquidatable(state, found)
    far = [10**step for step in range(12)]
    for distance in (*range(1, 40), *far):
        assert not liquidatable(state, found + safe * distance)


@given(st.integers(1, 3_000), st.integers(-50, 50), st.integers(1, 10**5))
def test_a_tiny_long_is_searched_unit_by_unit(size, cash, price):
    """Where a price unit is worth less than a unit of money, rounding makes health dip: compare with brute
    force over every price.
    """
    table = (Tier(0, 900_000, 700_000),)
    state = account_with(size, size * price // 10**8, cash, price, 0, 0, 0)
    for known in state.markets.values():
        known.set_terms(Terms(table))
    scale = 10**8 // size + 1
    grid = [units * scale // 7 + shift for units in range(1, 700) for shift in (-1, 0, 1)]
    found = liquidation_price(state, NOW, ACCOUNT, 1)
    hits = [probe for probe in grid if liquidatable(state, probe)]
    if found is None:
        assert hits == []
    else:
        assert liquidatable(state, found)
        assert all(probe <= found for probe in hits)


def test_none_when_the_account_is_backed_in_full():
    """A 5,000 long backed by 10,000 has no liquidation price; a short always has one."""
    state = account_with(10**10, money(5_000), money(10_000), 50_000_000, 0, 0, 0)
    assert liquidation_price(state, NOW, ACCOUNT, 1) is None
    assert liquidation_price(state, NOW, ACCOUNT, 2) is None  # no position there
    state = account_with(-(10**10), -money(5_000), money(10_000), 50_000_000, 0, 0, 0)
    assert liquidation_price(state, NOW, ACCOUNT, 1) is not None


@settings(max_examples=60)
@given(st.integers(-(10**10), 10**10), st.booleans(), st.integers(-40_000, 40_000), st.integers(200, 100_000))
def test_largest_trade_passes_and_one_lot_more_does_not(held, buy, skew, cash):
    state, (account, other, deep, _), _ = protocol(cash=10**7, min_notional=1, oi_multiple=2**16 - 1)
    state.cash[account] = money(cash)
    if held:
        try:
            trade(state, NOW, 1, other, account, held, PRICE)
        except Refused:
            assume(False)
    price = PRICE + PRICE * skew // 10**6
    limit = max_trade_size(state, NOW, account, 1, buy, price, 500)
    sign = 1 if buy else -1
    before = state.snapshot()
    if limit:
        trade(state, NOW, 1, deep, account, sign * limit, price)
        state.restore(before)
    with pytest.raises(Refused, match="^margin: "):
        trade(state, NOW, 1, deep, account, sign * (limit + 1), price)


@given(st.integers(-(10**9), 10**9).filter(lambda lots: abs(lots) > 10**6), st.integers(40, 100_000))
def test_withdrawable_is_the_most_that_leaves(held, cash):
    state, (account, other, *_), _ = protocol(cash=10**6, min_notional=1)
    state.cash[account] = money(cash)
    try:
        trade(state, NOW, 1, other, account, held, PRICE)
    except Refused:
        assume(False)
    most = withdrawable(state, NOW, account)
    before = state.snapshot()
    for amount, allowed in ((most, most > 0), (most + 1, False)):
        try:
            withdraw(state, NOW, account, amount)
            assert allowed
        except Refused:
            assert not allowed
        state.restore(before)
