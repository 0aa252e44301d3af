"""The last half hour of an expiry: its price becomes an average, and what it hedges at the mark it will not
hedge when it is paid. Of the smaller of both deltas the rule asks for a move over the range, as much of it as
the average is known."""

from random import Random

import pytest

from margincall.model import portfolio
from margincall.model.instrument import CALL, CONTRACT, FUTURE, PUT, Instrument
from margincall.model.portfolio import Dials
from tests.fuzz.portfolios import DAY
from tests.unit.clearinghouse.series import Series
from tests.unit.clearinghouse.world import USD, world
from tests.unit.portfolio_margin.ladder import EXPIRY, MARKET, PRICE, SMILE, plain, together
from tests.unit.standard_margin.bench import bench

COIN = 10**7
CASH = 10**12
NEXT = EXPIRY + 30 * DAY
SAMPLE = plain()._replace(smiles={(MARKET, EXPIRY): SMILE, (MARKET, NEXT): SMILE})


def leg(b, kind: int, strike: int, lots: int, expiry: int = EXPIRY) -> list[int]:
    amount = lots * PRICE // 10**8 if kind == FUTURE else 0
    return b.book.fragment(Instrument(MARKET, kind, expiry, strike), lots, b.now, amount)


def wait(b, left: int) -> None:
    """Until so many seconds before the first expiry, with curves as of then."""
    b.set_prices({MARKET: PRICE}, EXPIRY - left)
    for expiry in (EXPIRY, NEXT):
        b.refresh(MARKET, expiry)


def asked(b, perps, words, cash: int = CASH) -> tuple[int, int]:
    """(initial, maintenance), as the contract and the twin have it to the unit."""
    rule = b.protocol.portfolio
    dials = rule.call("stress_dials")
    risk = b.risk()._replace(im=Dials(*dials[:2]), mm=Dials(*dials[2:]))
    entries = [(market, lots, lots * PRICE // 10**8) for market, lots in perps]
    expected = portfolio.margin(cash, [(market, lots, 0) for market, lots in perps], words, risk)
    # Equity is not compared: perps have paid funding since.
    assert b.ask(rule, "margin", cash, entries, words)[1:] == tuple(expected[1:4])
    assert b.ask(rule, "initial", cash, entries, words)[1] == expected.initial
    assert b.ask(rule, "close_out", cash, entries, words)[1] == expected.maintenance
    return expected.initial, expected.maintenance


@pytest.mark.parametrize("left", [1_900, 1_802, 901, 302, 10])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_future_that_settles_against_a_perp(left, sign):
    with bench(SAMPLE) as b:
        words = leg(b, FUTURE, 0, sign * 3 * COIN)
        wait(b, left)
        initial, maintenance = asked(b, [(MARKET, -sign * COIN)], words)
        until = EXPIRY - b.now
        share = 0 if until > 1_800 else min(2_100 - until, 1_800)
        lone, lone_mm = asked(b, [], leg(b, FUTURE, 0, sign * 2 * COIN))
        for got, alone, percent in ((initial, lone, 15), (maintenance, lone_mm, 10)):
            beside = got - alone
            exact = 2_000 * USD * percent * share / 180_000
            assert abs(beside - exact) <= 20


def test_only_what_hedges_another_expiry_is_asked_for():
    with bench(SAMPLE) as b:
        one, other = (leg(b, CALL, strike * COIN, size) for strike, size in ((1_900, COIN), (2_000, -COIN)))
        same = together(one, other)
        far = leg(b, FUTURE, 0, COIN, NEXT)
        bought = together(leg(b, CALL, 1_900 * COIN, COIN), leg(b, PUT, 2_100 * COIN, COIN, NEXT))
        wait(b, 100)
        risk = b.risk()
        for words, cash in ((same, 0), (together(one, far), 0), (bought, 0)):
            (net,) = portfolio.exposures([], words, risk, cash)
            assert net.settling == 0
            asked(b, [], words, cash)
        for words, cash in ((together(one, leg(b, FUTURE, 0, -COIN, NEXT)), 0), (bought, -1)):
            (net,) = portfolio.exposures([], words, risk, cash)
            assert net.settling > 0.4 * COIN * portfolio.VALUE
            asked(b, [], words, cash)


def test_contract_is_the_twin_while_prices_are_averaged():
    rng = Random(1)
    with bench(SAMPLE) as b:
        books = []
        for _ in range(25):
            words = together(
                *(
                    leg(
                        b,
                        kind := rng.choice((CALL, PUT, FUTURE)),
                        0 if kind == FUTURE else rng.randrange(1_000, 3_900, 5) * COIN,
                        rng.choice((-1, 1)) * rng.randrange(1, 900) * CONTRACT,
                        rng.choice((EXPIRY, NEXT)),
                    )
                    for _ in range(rng.randint(1, 6))
                )
            )
            books.append(([(MARKET, rng.randint(-3, 3) * COIN)] if rng.random() < 0.6 else [], words))
        counted = 0
        for left in (1_750, 700):
            wait(b, left)
            for perps, words in books:
                perps = [perp for perp in perps if perp[1]]
                asked(b, perps, words, rng.choice((-CASH, CASH)))
                nets = portfolio.exposures([(*perp, 0) for perp in perps], words, b.risk(), -1)
                counted += any(net.settling for net in nets)
        assert counted > 10


@pytest.mark.parametrize("move", [1.06, 1.035, 0.965, 0.94])
def test_a_jump_of_the_last_minutes_is_paid_by_who_made_the_bet(move):
    """Long a deep call of today, short a perp; a friend has the other side. Both with the least that opening
    asks. The price jumps four minutes before the call is settled at what is mostly the old one: by then
    either holds enough for the leg that no longer hedges, or was liquidated. Insurance pays nothing."""
    with world() as w:
        series = Series(w, ("BTC",))
        p, expiry = w.protocol, series.expiries[0]
        vols = {("BTC", each): (0.6,) for each in series.expiries}
        for at in range(expiry - 9_000, expiry - 7_400, 400):
            p.set_prices({"BTC": 100_000}, at=at)
        p.publish_vols(vols)
        series.refresh()
        pair = series.trader("a", 3_000), series.trader("b", 60_000)
        keeper, deep = series.trader("keeper", 1_000_000), series.call(70_000)
        for _ in range(10):
            pair[0].buy(deep, "0.1", against=pair[1])
            pair[0].sell("BTC", "0.1", against=pair[1])
        for each in pair:
            value, asks = w.house.call("margin", each.id, at=w.chain.timestamp)[:2]
            if (free := min(value - asks, w.cash(each.id)) // USD - 5) > 0:
                each.withdraw(free)
        insured, closed = w.pool(0)[0], 0

        def report(price: float, at: int) -> None:
            nonlocal closed
            p.set_prices({"BTC": round(price)}, at=at)
            p.observe("BTC", expiry)
            p.publish_vols(vols)
            series.refresh()
            for each in pair:
                value, _, maintenance, _ = w.house.call("margin", each.id, at=w.chain.timestamp)
                if value < maintenance:
                    done = w.liquidation.events(p.liquidate(each.id, keeper), "Liquidated")[0].args
                    assert (done["shortfall"], done["insurance_paid"]) == (0, 0)
                    closed += 1

        for left in range(7_000, 1_800, -300):  # no outage, or liquidations wait
            p.set_prices({"BTC": 100_000}, at=expiry - left)
        for left in range(1_800, 300, -300):
            report(100_000, expiry - left)
        report(100_000 * move, expiry - 240)
        p.set_prices({"BTC": round(100_000 * move)}, at=expiry + 1)
        p.settle_expiry([*(each.id for each in pair), keeper.id], "BTC", expiry)
        assert closed >= 2
        for each in pair:
            assert w.house.call("margin", each.id, at=w.chain.timestamp)[0] >= 0
        assert w.pool(0)[0] >= insured
