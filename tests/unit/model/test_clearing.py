"""Trades, margin moves and modes: what is allowed, what is refused, and that money is conserved."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margincall.model import (
    Refused,
    accounts,
    close_account,
    collect_fees,
    deposit,
    fund_insurance,
    liquidate,
    money,
    move_margin,
    set_denied_modes,
    set_paused,
    switch_to_cross,
    switch_to_isolated,
    trade,
    withdraw,
)
from tests.unit.model import specification as spec
from tests.unit.model.builders import NOW, PRICE, image, move, protocol

LOT = 10**9  # 500 USD at PRICE


def test_fees_are_split_between_insurance_and_treasury():
    state, (maker, taker, *_), tokens = protocol()
    trade(state, NOW, 1, maker, taker, LOT, PRICE)
    vault = accounts.vault(taker, 1)
    fill = trade(state, NOW, 1, maker, vault, LOT, PRICE, taker_margin=money(100))
    assert fill.taker_fee == money("0.25")
    assert state.insurance[1] == money(100_000) + money("0.125")
    assert state.treasury[1] == money("0.125")
    assert state.residual(tokens, 1) == 0
    assert collect_fees(state, 1) == money("0.125")
    with pytest.raises(Refused, match="fees: nothing to collect"):
        collect_fees(state, 1)


def test_isolated_example():
    """10,000, of which 500 back a 5,000 long: liquidated, at most 500 are lost, 9,500 untouched."""
    state, (trader, maker, taker, _), _ = protocol()
    state.cash[trader] = money(10_000)
    vault = accounts.vault(trader, 1)
    trade(state, NOW, 1, maker, vault, 10 * LOT, PRICE, taker_margin=money(500))
    assert state.cash[trader] == money(9_500)
    move(state, 1, PRICE * 92 // 100, NOW + 60)
    done = liquidate(state, NOW + 60, vault, taker)
    assert done.plan.equity < done.plan.maintenance
    assert money(9_500) <= state.cash[trader] < money(10_000)


REFUSALS = {
    "order: price outside band": {"price": PRICE * 106 // 100},
    "order: size exceeded": {"size": 0},
    "order: self trade": {"maker": "taker"},
    "order: fee above max": {"taker_max_fee": 499},
    "clearing: not the vault's market": {"taker": "vault"},
    "order: margin needs a vault": {"taker_margin": 1},
    "clearing: reduce only": {"taker_reduce_only": True},
    "clearing: below min notional": {"size": LOT // 100},
    "margin: below initial": {"size": 100_000 * LOT},
    "price: stale": {"now": NOW + 301},
    "price: none": {"market": 3},
    "markets: id out of range": {"market": 64},
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_refused_trades_change_nothing(reason):
    state, (maker, taker, *_), _ = protocol()
    call = {"now": NOW, "market": 1, "maker": maker, "taker": taker, "size": LOT, "price": PRICE}
    call |= REFUSALS[reason]
    if call["maker"] == "taker":
        call["maker"] = accounts.root(accounts.owner_of(taker), 7)
    if call["taker"] == "vault":
        call["taker"] = accounts.vault(taker, 2)
    before = image(state)
    with pytest.raises(Refused) as refusal:
        trade(state, call.pop("now"), **call)
    assert refusal.value.reason == reason
    assert image(state) == before


def test_pause_and_denied_modes_leave_reductions_open():
    """I-38, and a mode that is taken away: positions stay, they can only shrink."""
    for restrict in (
        lambda s, a: set_paused(s, True),
        lambda s, a: set_denied_modes(s, accounts.owner_of(a), 1),
    ):
        state, (maker, taker, *_), _ = protocol()
        trade(state, NOW, 1, maker, taker, 2 * LOT, PRICE)
        restrict(state, taker)
        before = image(state)
        for size in (LOT, -5 * LOT):
            with pytest.raises(Refused):
                trade(state, NOW, 1, maker, taker, size, PRICE)
            assert image(state) == before
        trade(state, NOW, 1, maker, taker, -LOT, PRICE)
        deposit(state, taker, 1)
        assert state.size(taker, 1) == LOT


def test_open_interest_is_capped_by_insurance():
    state, (maker, taker, *_), _ = protocol(insurance=1, oi_multiple=400)
    trade(state, NOW, 1, maker, taker, LOT, PRICE)
    with pytest.raises(Refused, match="open interest cap"):
        trade(state, NOW, 1, maker, taker, LOT, PRICE)
    trade(state, NOW, 1, maker, taker, -LOT, PRICE)
    assert state.open_interest[1] == 0


def test_an_unhealthy_account_may_only_improve():
    """I-10: a reduction passes below IM and below MM as long as health does not fall."""
    state, (maker, taker, *_), _ = protocol(taker_fee=500)
    trade(state, NOW, 1, maker, taker, 10 * LOT, PRICE)
    account = state.margin(taker, NOW)
    state.cash[taker] -= account.equity - account.maintenance + money(1)
    with pytest.raises(Refused, match="below initial"):
        trade(state, NOW, 1, maker, taker, LOT, PRICE)
    with pytest.raises(Refused, match="health falls"):
        trade(state, NOW, 1, maker, taker, -LOT, PRICE * 96 // 100)
    trade(state, NOW, 1, maker, taker, -LOT, PRICE)


def test_a_mode_switch_there_and_back_is_the_identity():
    """I-29."""
    state, (maker, taker, *_), _ = protocol()
    trade(state, NOW, 1, maker, taker, LOT, PRICE)
    trade(state, NOW, 2, maker, taker, -LOT, PRICE)
    before = state.margin(taker, NOW)
    held = set(state.positions[taker])
    vault = switch_to_isolated(state, NOW, taker, 1, 0, money(50))
    assert state.cash[vault] == money(50)
    assert accounts.unpack_header(state.header(vault)) == (money(50), 1, accounts.ISOLATED)
    with pytest.raises(Refused, match="vault is open"):
        switch_to_isolated(state, NOW, taker, 1, 0, 0)
    switch_to_cross(state, NOW, vault)
    assert state.header(vault) == 0
    assert state.margin(taker, NOW) == before
    assert set(state.positions[taker]) == held


def test_switches_need_margin_on_both_sides():
    state, (maker, taker, *_), _ = protocol()
    trade(state, NOW, 1, maker, taker, 100 * LOT, PRICE)
    for amount, reason in ((0, "margin: below initial"), (money(100_001), "margin: not enough cash")):
        before = image(state)
        with pytest.raises(Refused) as refusal:
            switch_to_isolated(state, NOW, taker, 1, 0, amount)
        assert refusal.value.reason == reason
        assert image(state) == before
    account = state.margin(taker, NOW)
    state.cash[taker] -= account.equity - account.maintenance + 1
    with pytest.raises(Refused, match="switch: liquidatable"):
        switch_to_isolated(state, NOW, taker, 1, 0, 0)


def test_close_account():
    state, (maker, taker, *_), _ = protocol()
    trade(state, NOW, 1, maker, taker, LOT, PRICE)
    with pytest.raises(Refused, match="has positions"):
        close_account(state, taker)
    trade(state, NOW, 1, maker, taker, -LOT, PRICE)
    assert close_account(state, taker) == money(100_000) - 2 * money("0.25")
    assert state.header(taker) == 0


def test_token_scale():
    """18 decimals: credits are rounded down, debits up."""
    state, (trader, *_), _ = protocol()
    state.scale = 10**12
    assert deposit(state, trader, 5 * 10**12 + 999) == 5
    assert withdraw(state, NOW, trader, 10**12 + 1) == 2
    assert fund_insurance(state, 0, 10**12) == 1
    with pytest.raises(Refused, match="deposit: bad amount"):
        deposit(state, trader, 10**12 - 1)


def test_one_price_per_market_and_transaction():
    state, (maker, taker, *_), _ = protocol()
    state.begin()
    trade(state, NOW, 1, maker, taker, LOT, PRICE)
    with pytest.raises(Refused, match="second in transaction"):
        state.update(1, PRICE, PRICE, NOW + 1, NOW + 1)
    state.update(2, PRICE, PRICE, NOW + 1, NOW + 1)
    state.end()
    state.update(1, PRICE, PRICE, NOW + 1, NOW + 1)


fills = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(-30, 30).filter(bool),
        st.integers(-20_000, 20_000),
        st.integers(1, 3_000),
        st.integers(-9_900, 9_900),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=100)
@given(fills)
def test_equity_over_a_path_is_the_exact_one(path):
    """I-14, I-34: trades, fees, price moves and funding against the exact book. The taker is never above it;
    the maker, who gets the taker's rounding, is above by at most a unit a fill.
    """
    state, (maker, *takers), _ = protocol(markets=1, cash=10**7, min_notional=1)
    books, maker_book = [spec.Book() for _ in takers], spec.Book()
    market, now = state.markets[1], NOW
    funding = spec.Funding(now)
    funding.update(now, PRICE, market.rate)
    for who, lots, skew, seconds, step in path:
        now += seconds
        mark = market.mark + market.mark * step // 10**6
        index = mark - mark * skew // 10**7
        move(state, 1, market.mark, now - 1)  # no silence: an outage is not the subject here
        market.update(mark, index, now, now)
        funding.update(now, mark, market.rate)
        price = mark + mark * skew // 10**6
        trade(state, now, 1, maker, takers[who], lots * (LOT // 7), price)
        books[who].fill(1, lots * (LOT // 7), price, funding.at_time(now), 500)
        maker_book.fill(1, -lots * (LOT // 7), price, funding.at_time(now), 200)
    drift = 2 * (len(path) + 2)  # index units by which floored accruals lag the integral
    for account, book in ((maker, maker_book), *zip(takers, books, strict=True)):
        exact = money(10**7) + book.equity({1: market.mark}, {1: funding.at_time(now)})
        slack = (
            abs(book.sizes.get(1, 0)) + sum(abs(lots) for _, lots, *_ in path) * LOT
        ) * drift // spec.INDEX + 1
        found = state.margin(account, now).equity
        gift = len(path) if account == maker else 0
        assert exact - book.roundings - 1 - slack <= found <= exact + slack + gift


OPERATIONS = ("trade", "trade", "trade", "vault", "liquidate", "price", "jump", "move", "switch", "money")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), *[st.integers(0, 2**16)] * 4), max_size=60), st.data())
def test_money_is_conserved_and_refusals_change_nothing(steps, data):
    """I-01, I-03 after every operation, solvent and insolvent alike."""
    state, roots, tokens = protocol(cash=2_000, insurance=20, min_notional=money(1))
    now = NOW
    for kind, a, b, c, d in steps:
        now += c % 100
        before = image(state)
        try:
            tokens += operate(state, roots, now, kind, a, b, c, d)
        except Refused:
            assert image(state) == before
        assert state.residual(tokens, 1) == 0
        for market in (1, 2):
            held = [p[1] for account in state.positions.values() for p in account if p[0] == market]
            assert sum(held) == 0
            assert state.open_interest.get(market, 0) == sum(size for size in held if size > 0)
        assert state.residue >= 0


def operate(state, roots, now, kind, a, b, c, d):
    """One step; returns the tokens that came in."""
    market = 1 + a % 2
    first, second = roots[b % 4], roots[(b + 1 + c % 3) % 4]
    mark = state.markets[market].mark
    if kind in ("trade", "vault"):
        size = (d - 2**15) * LOT // 10**4
        if kind == "vault":
            trade(
                state,
                now,
                market,
                first,
                accounts.vault(second, market),
                size,
                mark,
                taker_margin=money(c % 200),
            )
        else:
            trade(state, now, market, first, second, size, mark + mark * (c % 99 - 49) // 1_000)
    elif kind == "liquidate":
        victims = [account for account in state.positions if account >> 96 != first >> 96]
        if victims:
            liquidate(state, now, victims[c % len(victims)], first, 1 + d % 1_000)
    elif kind == "price":
        for each in (1, 2):
            state.update(each, state.markets[each].mark * (990 + d % 21) // 1_000, mark, now, now)
    elif kind == "jump":
        move(state, market, max(mark * (50 + c % 101) // 100, 10**6), now)
    elif kind == "move":
        vault = accounts.vault(first, market)
        source, target = (vault, first) if d & 1 else (first, vault)
        move_margin(state, now, source, target, money(1 + c % 500))
    elif kind == "switch":
        if d & 1:
            switch_to_cross(state, now, accounts.vault(first, market))
        else:
            switch_to_isolated(state, now, first, market, 0, money(c % 500))
    elif d & 1:
        return deposit(state, first, money(1 + c % 1_000))
    else:
        return -withdraw(state, now, first, money(1 + c % 1_000))
    return 0


def test_the_random_walk_reaches_what_it_is_for():
    """A fixed walk of the same steps: every outcome of a liquidation occurs, and every kind succeeds."""
    import random

    reached = Counter()
    for seed in range(30):
        dice = random.Random(seed)
        state, roots, _ = protocol(cash=2_000, insurance=20, min_notional=money(1))
        now = NOW
        for _ in range(80):
            kind, *values = dice.choice(OPERATIONS), *(dice.randrange(2**16) for _ in range(4))
            now += values[2] % 100
            deficits = dict(state.deficit)
            count = len(state.positions)
            try:
                operate(state, roots, now, kind, *values)
            except Refused:
                continue
            reached[kind] += 1
            if kind == "liquidate" and state.deficit != deficits:
                reached["socialised"] += 1
            if kind == "liquidate" and len(state.positions) < count:
                reached["full"] += 1
    assert all(reached[kind] >= 10 for kind in OPERATIONS), reached
    assert reached["socialised"] >= 3, reached
    assert reached["full"] >= 3, reached
