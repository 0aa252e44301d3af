"""Populations: the same money and the same trades in every mode, all from the seed."""

import pytest

from margincall.model.arithmetic import NOTIONAL_SCALE, ceil_div
from margincall.protocol.config import DEFAULT, USD
from margincall.replay.candles import BadInput
from margincall.replay.population import (
    CROSS,
    ISOLATED,
    Leverage,
    most_leverage,
    owners,
    parse_leverage,
    traders,
)

PRICES = {1: 100_000 * 10**6, 2: 4_000 * 10**7, 3: 200 * 10**8}
FREE = parse_leverage(None, DEFAULT.markets)


def test_modes_hold_the_same_trades():
    people = traders(50, 1, DEFAULT.markets, PRICES, FREE)
    isolated, cross = (owners(people, mode, 1, DEFAULT.markets, PRICES) for mode in (ISOLATED, CROSS))
    assert [owner.trader for owner in isolated] == [owner.trader for owner in cross]
    assert [owner.money for owner in isolated] == [owner.money for owner in cross]
    assert not {owner.id for owner in isolated} & {owner.id for owner in cross}
    for one, other in zip(isolated, cross, strict=True):
        trades = one.trader.trades if one.trader else ()
        assert len(one.accounts()) == 1 + len(trades)
        assert other.accounts() == [other.id]


def test_the_seed_decides():
    assert traders(20, 1, DEFAULT.markets, PRICES, FREE) == traders(20, 1, DEFAULT.markets, PRICES, FREE)
    assert traders(20, 1, DEFAULT.markets, PRICES, FREE) != traders(20, 2, DEFAULT.markets, PRICES, FREE)


def test_everybody_can_afford_his_trades():
    people = traders(2_000, 5, DEFAULT.markets, PRICES, FREE)
    longs = shorts = pairs = 0
    for trader in people:
        sides = {trade.size > 0 for trade in trader.trades}
        longs, shorts, pairs = (
            longs + (sides == {True}),
            shorts + (sides == {False}),
            pairs + (len(sides) == 2),
        )
        assert 1 <= len(trader.trades) == len({trade.market for trade in trader.trades}) <= 3
        assert sum(trade.margin for trade in trader.trades) < trader.money * 95 // 100
        for trade in trader.trades:
            market = DEFAULT.markets[trade.market - 1]
            notional = ceil_div(abs(trade.size) * PRICES[trade.market], NOTIONAL_SCALE)
            assert trade.leverage <= most_leverage(market)
            assert trade.margin * trade.leverage == pytest.approx(notional, abs=50)
            assert market.terms.min_notional <= notional < market.terms.tiers[1].lower
    assert longs > 4 * shorts > 0
    assert pairs > 50
    assert max(trader.money for trader in people) > 20 * min(trader.money for trader in people)


def test_leverage_can_be_fixed():
    people = traders(30, 1, DEFAULT.markets, PRICES, Leverage(10, 10))
    assert {trade.leverage for trader in people for trade in trader.trades} == {10}
    for trader in people:
        assert all(trade.margin >= 10 * USD for trade in trader.trades)


@pytest.mark.parametrize("text", ["0", "0.5", "40", "x", "", "5-2", "2-99", "-3", "nan", "inf", "20"])
def test_bad_leverage_is_refused(text):
    with pytest.raises(BadInput, match="leverage") as refusal:
        parse_leverage(text, DEFAULT.markets)
    assert "SOL 19.80" in str(refusal.value)


@pytest.mark.parametrize("count", [0, -1, 20_001])
def test_a_bad_number_of_accounts_is_refused(count):
    with pytest.raises(BadInput, match="accounts"):
        traders(count, 1, DEFAULT.markets, PRICES, FREE)
