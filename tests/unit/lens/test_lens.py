"""Views: to the unit, to the lot, and what they mean for the action behind them."""

import pytest

from margincall.model.instrument import CONTRACT
from margincall.protocol.deploy import rules_tuple
from tests.unit.clearinghouse.series import Series
from tests.unit.clearinghouse.world import PRICES, USD, many_markets, world


def still(w):
    """No funding: what a view says now holds at any later second."""
    for market in w.protocol.spec.markets:
        rules = market.rules._replace(interest=0)
        w.markets.send(w.owner, "set_rules", market.id, rules_tuple(w.protocol.feed.address, rules))
    w.jump(**{market.symbol: PRICES[market.symbol] for market in w.protocol.spec.markets})


def test_summary_of_a_flat_account():
    with world() as w:
        a = w.trader(usd=77)
        assert a.summary() == (0, 77 * USD, 77 * USD, 0, 0, 0, 77 * USD, False)
        assert w.lens.call("summary", 12345 << 64) == (0,) * 7 + (False,)


def test_summary():
    with world() as w:
        still(w)
        a = w.trader(usd=2_000)
        a.buy("BTC", "0.05")
        a.sell("SOL", "10")
        w.jump(BTC=101_000, SOL=198)
        cash = (2_000 - 2.5 - 1) * USD
        summary = a.summary()
        # Each value is rounded down, and the funding of before still has its fractions.
        assert 0 <= cash + 70 * USD - summary.equity <= 2
        assert summary == (
            0,
            cash,
            summary.equity,
            5_050 * USD * 4 // 100 + 1_980 * USD * 5 // 100,
            5_050 * USD * 25 // 1_000 + 1_980 * USD * 3 // 100,
            7_030 * USD,
            summary.equity - 703 * USD,  # the transfer margin of a tenth is more than initial margin
            False,
        )


def test_summaries_are_the_summaries():
    with world() as w:
        a, b = w.trader("a"), w.victim()
        a.buy("ETH", 1, leverage=10, mode="isolated")
        ids = [a.id, b.id, a.vault("ETH"), 5 << 64]
        assert w.lens.call("summaries", ids) == [w.lens.call("summary", account) for account in ids]
        assert [s.mode for s in w.lens.call("summaries", ids)] == [0, 0, 1, 0]


def test_positions():
    with world() as w:
        still(w)
        a = w.trader()
        a.buy("BTC", "0.01")
        a.sell("ETH", "2.5")
        w.jump(BTC=102_000, ETH=4_040)
        (_, first, _), (_, second, _) = w.held(a.id)
        assert (first, second) == (10**6, -25 * 10**6)
        seen = w.lens.call("positions", a.id)
        assert [position[:3] for position in seen] == list(w.held(a.id))
        for position, profit in zip(seen, (20 * USD, -100 * USD), strict=True):
            assert 0 <= profit - position.value <= 1  # rounded down


@pytest.mark.parametrize(
    ("price", "reason"),
    [(103_000, "margin: below transfer margin"), (125_000, "margin: not enough cash")],
)
def test_withdrawable_to_the_unit(price, reason):
    with world() as w:
        still(w)
        a = w.trader(usd=1_000)
        a.buy("BTC", "0.05")
        w.jump(BTC=price)
        free = a.summary().withdrawable
        with w.refused(reason):
            w.house.send(a.owner.address, "withdraw", a.id, free + 1, a.owner.address)
        w.house.send(a.owner.address, "withdraw", a.id, free, a.owner.address)
        assert a.summary().withdrawable == 0


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_liquidation_price_on_chain(side, mode):
    """At it the account is liquidatable; 30 price units better it is healthy: prices really published."""
    with world() as w:
        still(w)
        a = w.trader(usd=3_000)
        options = {"mode": mode} | ({"leverage": 10} if mode == "isolated" else {})
        if mode == "cross":
            a.buy("ETH", "1")
        getattr(a, side)("BTC", "0.2", **options)
        price = a.liquidation_price("BTC", mode)
        account = a.id if mode == "cross" else a.vault("BTC")
        better = 30 if side == "buy" else -30
        for units, liquidatable in ((price, True), (price + better, False)):
            mark = w.chain.snapshot()
            w.jump(BTC=_usd(units), ETH=4_000)
            assert w.protocol.mark("BTC") == units
            assert w.lens.call("summary", account).liquidatable == liquidatable
            assert (w.liquidation.call("preview", account)[0] > 0) == liquidatable
            w.chain.revert(mark)


def _usd(units: int):
    from decimal import Decimal

    return Decimal(units) / 10**6


def test_no_liquidation_price():
    with world() as w:
        a = w.trader(usd=10_000)
        assert a.liquidation_price("BTC") is None  # no position
        a.buy("BTC", "0.05")
        assert a.liquidation_price("BTC") is None  # 10,000 of cash behind 5,000 of notional
        a.buy("ETH", 60)
        assert a.liquidation_price("BTC") is not None  # the other position counts


def test_liquidation_price_of_an_account_already_below():
    """Behind the mark: the price at which it would be healthy again."""
    with world() as w:
        a = w.victim()
        assert a.liquidation_price("BTC") > w.protocol.mark("BTC")


@pytest.mark.parametrize("buys", [True, False])
def test_max_trade_to_the_lot(buys):
    with world() as w:
        still(w)
        a = w.trader(usd=1_000)
        mark = w.protocol.mark("BTC")
        lots = w.lens.call("max_trade", a.id, 1, buys, mark)
        # 1,000 = lots * 100,000 * (4 % + 0.05 %), rounded against the trader
        assert lots == 1_000 * 10**8 * 10**6 // (100_000 * 40_500)
        for size, reason in ((lots + 1, "margin: below initial"), (lots, None)):
            change = size if buys else -size
            if reason:
                with w.refused(reason):
                    a.trade("BTC", change, in_lots=True)
            else:
                a.trade("BTC", change, in_lots=True)


def test_max_trade_of_nobody_and_of_a_full_account():
    with world(many_markets(33)) as w:
        assert w.lens.call("max_trade", 5 << 64, 1, True, 10**11) == 0
        a = w.trader(usd=10**6)
        for i in range(32):
            a.buy(f"M{i + 1}", "0.002")
        assert w.lens.call("max_trade", a.id, 33, True, 10**11) == 0
        assert w.lens.call("max_trade", a.id, 32, True, 10**11) > 0


def test_views_need_a_price():
    with world() as w:
        a = w.trader()
        a.buy("BTC", "0.01")
        late = w.markets.call("last_price", 1)[1] + 601
        for function in ("summary", "positions"):
            with pytest.raises(Exception, match="price: stale"):
                w.lens.call(function, a.id, at=late)


@pytest.mark.parametrize("mode", ["cross", "portfolio"])
@pytest.mark.parametrize("buys", [True, False])
@pytest.mark.parametrize("kind", ["call", "put", "future"])
def test_max_trade_of_a_book_to_the_contract(kind, buys, mode):
    with world() as w:
        series = Series(w)
        a, b = w.trader("a", 3_000), series.trader("b", 10**8)
        if mode == "portfolio":
            a.to_portfolio()
        name = {"call": series.call, "put": series.put, "future": lambda _: series.future()}[kind](105_000)
        instrument = series.instrument(name).id
        price = w.protocol.mark_of(name) + (1_000 if buys else -1_000)
        lots = w.lens.call("max_trade", a.id, instrument, buys, price)
        assert lots > 0
        assert lots % CONTRACT == 0
        side = 1 if buys else -1
        for size, reason in ((lots + CONTRACT, "margin: below initial"), (lots, None)):
            orders = series.pair(name, b.id, a.id, side * size, price=price)
            if reason:
                with w.refused(reason):
                    w.settle(*orders, size, b.owner, a.owner)
            else:
                w.settle(*orders, size, b.owner, a.owner)
