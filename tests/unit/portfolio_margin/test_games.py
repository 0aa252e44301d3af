"""What somebody who knows the portfolio rule once could gain from it: one test a game.

Others stand with what they are about: the averaged settlement price (exchange/test_options.py), longs that
left the table (test_by_hand.py), rewards (liquidation/test_liquidate.py), second prices in the transaction
of a liquidation (liquidation/test_refusals.py), spot as a shield (collateral/test_collateral.py), tiers of
futures and prices without a log code (standard_margin/test_standard.py), smiles of which no curve can be
made (fuzz/test_surface.py).
"""

import pytest

from margincall.model import portfolio
from margincall.model.instrument import CALL, DAY, FUTURE, HOUR_OF_EXPIRY, Instrument
from margincall.model.portfolio import ONE, Dials, Terms
from tests.unit.clearinghouse.series import Series
from tests.unit.clearinghouse.world import OWNER, USD, world
from tests.unit.portfolio_margin.ladder import MARKET, PRICE, STEP, fragment, plain, together
from tests.unit.standard_margin.bench import bench

COIN = 10**7
CASH = 10**12


def equity(w, account) -> int:
    return w.house.call("margin", account.id, at=w.chain.timestamp)[0]


@pytest.mark.parametrize("strike", [80_000, 100_000, 130_000])
def test_the_curves_error_is_nobody_s_to_take(strike):
    """Charged to equity it was paid to whoever took the position over: two sides of an option have together
    what they paid in, less fees, but for rounding."""
    with world() as w:
        series = Series(w)
        a, b = series.trader("a"), series.trader("b")
        before = sum(w.pool(0))
        a.buy(series.call(strike), "5", against=b)
        fees = sum(w.pool(0)) - before
        left = 200_000 * USD - fees - equity(w, a) - equity(w, b)
        assert 0 <= left <= 3
        word = w.protocol.portfolio.call("curve", 1, series.expiries[0])
        assert (
            word >> 192
        ) * 5 * 100_000 * USD >> 28 > 1_000 * left  # the error of these is a thousand times it


def test_legs_that_cancel_are_not_free():
    """Futures of two expiries, and a perp against one: nothing is lost at any price, and both legs ask."""
    with bench(plain()) as b:
        rule = b.protocol.portfolio
        least = 5_000  # ppm, of the bench
        for lots in (COIN, -7 * COIN):
            words = fragment(b, FUTURE, 0, lots, lots * 2_000 * 10**6 // COIN)
            _, initial, maintenance, _ = b.ask(rule, "margin", CASH, [(MARKET, -lots, 0)], words)
            one = abs(lots) * PRICE * least // 10**14
            assert (initial, maintenance) == (3 * one, 2 * one)


@pytest.mark.parametrize("side", [1, -1])
def test_a_calendar_falls_off_a_cliff_but_not_below_zero(side):
    """A near future against a far one asks for the least of both legs until the near one is paid; then one
    leg is naked and the account is liquidated. The least covers a move of the price while nobody came, and
    the penalty: nothing is lost."""
    with world() as w:
        series = Series(w)
        a, b = series.trader("a", 30_000), series.trader("b", 1_000_000)
        k = series.trader("keeper", 1_000_000)
        for name, sign in ((series.future(), side), (series.future(far=True), -side)):
            (a.buy if sign > 0 else a.sell)(name, 1, against=b)
        a.withdraw(25_300)
        value, initial, maintenance, _ = w.house.call("margin", a.id)
        assert initial == 4_500 * USD <= value
        assert maintenance == 3_000 * USD
        expiry = series.expiries[0]
        w.protocol.set_prices({"BTC": 100_000}, at=expiry + 1)
        w.protocol.settle_expiry([a.id, b.id], "BTC", expiry)
        assert w.house.call("margin", a.id)[2] > value  # over the cliff, at an unmoved price
        for after, usd in ((301, 100_000), (602, 100_000 + side * 1_000)):  # the grace after days without
            w.protocol.set_prices({"BTC": usd}, at=expiry + after)
        insured = w.pool(0)[0]
        done = w.liquidation.events(w.protocol.liquidate(a.id, k), "Liquidated")[0].args
        assert (done["shortfall"], done["insurance_paid"], done["socialised"]) == (0, 0, 0)
        assert w.pool(0)[0] >= insured
        after, _, kept, _ = w.house.call("margin", a.id)
        assert after >= kept
        assert after > 0


def year_call(w, strike: int) -> str:
    now = w.chain.timestamp
    expiry = (now - HOUR_OF_EXPIRY) // DAY * DAY + HOUR_OF_EXPIRY + 365 * DAY
    return Instrument(1, CALL, expiry, strike * 10**6).name(w.protocol.spec.markets)


def volatile(w, vol: float) -> None:
    expiry = w.protocol.instrument(year_call(w, 100_000)).expiry
    w.protocol.publish_vols({("BTC", expiry): (vol,)})
    w.protocol.refresh("BTC", expiry)


@pytest.mark.parametrize("vol", [0.6, 1.0, 2.0])
@pytest.mark.parametrize("strikes", [(210_000, 211_500), (47_500, 48_500)])
def test_a_spread_at_the_end_of_the_table_backs_nothing(vol, strikes):
    """What a call bought is worth there it may lose by fading, while a call sold does not: whoever opens the
    spread and its mirror brings what the long has left to lose, less the further it is from the table's end:
    here two fifths or more, beside the least. Fair marks, and no scenario sees the loss."""
    with world() as w:
        volatile(w, vol)
        a, b = (w.trader(name, 100_000) for name in "ab")
        for each in (a, b):
            each.to_portfolio()
        bought, sold = (year_call(w, strike) for strike in strikes)
        a.buy(bought, 1, against=b)
        a.sell(sold, 1, against=b)
        price, high = 100_000 * USD, w.protocol.mark_of(bought)
        fades = high if strikes[0] > 100_000 else high - price + strikes[0] * USD  # intrinsic value stays
        for each in (a, b):
            assert w.house.call("margin", each.id)[2] > 0.4 * fades + 0.015 * price


@pytest.mark.parametrize(("vol", "cash"), [(0.6, 14_000), (1.0, 14_000), (2.0, 30_000)])
@pytest.mark.parametrize(
    ("strikes", "prices"),
    [
        ((178_000, 179_500), (91_200, 83_200, 75_900)),
        ((53_000, 54_000), (109_000, 119_000, 130_000)),
    ],
)
def test_a_spread_that_leaves_the_table_is_closed_before_it_fades(vol, cash, strikes, prices):
    """Opened inside for the least that it asks; then the price moves by 9 % a report. Friends of the owners
    liquidate once a report and close at the marks: together they gain nothing and insurance pays nothing."""
    with world() as w:
        p, expiry = w.protocol, w.protocol.instrument(year_call(w, strikes[0])).expiry
        volatile(w, vol)
        pair, keepers = (
            [w.trader(f"{role}{side}", usd) for side in "ab"]
            for role, usd in (("owner", cash), ("k", 600_000))
        )
        for each in (*pair, *keepers):
            each.to_portfolio()
        (a, b), (bought, sold) = pair, (year_call(w, strike) for strike in strikes)
        names = (bought, sold)
        for _ in range(10):
            a.buy(bought, "0.5", against=b)
            a.sell(sold, "0.5", against=b)
        for each in pair:
            value, asked = w.house.call("margin", each.id)[:2]
            each.withdraw((value - asked) // USD - 100)
        put_in = sum(equity(w, each) for each in (*pair, *keepers))
        insured, start, closed = w.pool(0)[0], w.chain.timestamp, 0
        for report, price in enumerate(prices, 1):
            p.set_prices({"BTC": price}, at=start + 20 * report)
            p.refresh("BTC", expiry)
            for owner, keeper in zip(pair, keepers, strict=True):
                value, _, maintenance, _ = w.house.call("margin", owner.id, at=w.chain.timestamp)
                if value >= maintenance:
                    continue
                done = w.liquidation.events(p.liquidate(owner.id, keeper), "Liquidated")[0].args
                assert (done["shortfall"], done["insurance_paid"]) == (0, 0)
                closed += done["quanta"]
            for name in names:
                size = min(abs(keeper.held(name)) for keeper in keepers)
                if size:
                    size = size if keepers[0].held(name) > 0 else -size
                    keepers[0].trade(name, -size, in_lots=True, against=keepers[1], reduce_only=True)
        assert closed > 0
        assert sum(equity(w, each) for each in (*pair, *keepers)) <= put_in
        assert w.pool(0)[0] >= insured


def test_what_is_sold_against_what_is_bought_asks_for_the_least():
    """A call sold and its neighbour bought lose little at any price of the grid."""
    with bench(plain()) as b:
        words = together(fragment(b, CALL, PRICE, -100 * COIN), fragment(b, CALL, PRICE + STEP, 100 * COIN))
        nets = portfolio.exposures([], words, b.risk())
        _, _, maintenance, _ = b.ask(b.protocol.portfolio, "margin", CASH, [], words)
        least = 100 * COIN * PRICE * 5_000 // 10**14
        assert maintenance == least + portfolio.error_of(nets, b.risk().terms)


def test_maintenance_is_never_above_initial_margin():
    """A long against a short, whose ranges are alike for initial margin and not for maintenance: what moves
    together is hedged by the one and not by the other. Once rho is one for initial margin, maintenance, which
    glides there, would ask for more."""
    with bench(plain(1, 2)) as b:
        rule, perps = b.protocol.portfolio, [(1, 10 * COIN, 0), (2, -10 * COIN, 0)]
        for market, mm in ((1, 16), (2, 32)):
            rule.send(b.owner, "set_risk_terms", market, (mm, 48, 0, 0))
        rule.send(b.chain.accounts[OWNER], "set_guardian", b.chain.accounts[8])
        rule.send(b.chain.accounts[8], "tighten", ONE, 26_214)
        _, initial, maintenance, _ = b.ask(rule, "margin", CASH, perps, [])
        dials = rule.call("stress_dials")
        assert dials[0] == ONE > dials[2]
        risk = b.risk()._replace(terms={1: Terms(16, 48), 2: Terms(32, 48)})
        nets = portfolio.exposures([(m, lots, 0) for m, lots, _ in perps], [], risk)
        table = [portfolio.weighted(net.losses(), risk.terms[net.market].range_mm) for net in nets]
        assert portfolio.requirement(table, Dials(*dials[2:])) > initial
        assert maintenance == initial
        assert b.ask(rule, "close_out", CASH, perps, [])[1] == initial
