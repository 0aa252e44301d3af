"""Cross accounts with a book on the deployed protocol: judged, and liquidated, by StandardMargin."""

from math import ceil

from tests.unit.clearinghouse.world import USD, world

NAME = "ETH-15DEC23-4000-C"


def test_a_cross_account_sells_a_call_and_is_liquidated():
    with world() as w:
        w.protocol.set_vols("ETH", "15DEC23", 0.6)
        w.protocol.refresh("ETH", "15DEC23")
        assert w.house.call("engines", 3) == w.protocol.standard.address
        seller, taker = w.trader("seller", 700), w.liquidator()
        seller.sell(NAME, 1)
        assert seller.mode == 0
        equity, initial, maintenance, notional = w.house.call("margin", seller.id)
        error = initial - 600 * USD  # of the curve, which is margin too
        assert 0 < error < USD // 10
        assert (maintenance, notional) == (300 * USD + error, 4_000 * USD)
        with w.refused("margin: below initial"):
            seller.sell(NAME, 1)
        w.jump(ETH=4_600)
        equity, initial, maintenance, notional = w.house.call("margin", seller.id)
        assert equity < maintenance
        assert 0 < maintenance - ceil(0.075 * 4_600 * USD) < USD // 10
        w.protocol.liquidate(seller.id, taker)
        equity, initial, maintenance, _ = w.house.call("margin", seller.id)
        assert equity >= 1.2 * maintenance
        assert taker.held(NAME) == -(10**7) - seller.held(NAME) < 0


def test_a_call_bought_with_the_last_money_is_kept_through_a_crash():
    """What was paid for is not lost to a requirement: the option asks for its own value."""
    with world() as w:
        w.protocol.set_vols("ETH", "15DEC23", 0.6)
        w.protocol.refresh("ETH", "15DEC23")
        buyer = w.trader("buyer", 1_000)
        buyer.buy(NAME, 1)
        for price in (3_900, 3_700, 3_000, 4_300):
            w.jump(ETH=price)
            equity, _, maintenance, _ = w.house.call("margin", buyer.id)
            assert equity > maintenance
