"""Liquidations of portfolio accounts: slices that keep hedges, full closes, shortfalls, spot. Every
take-over is compared with the twin: plan, refusal, and all that is stored afterwards."""

import pytest

from margincall import model
from margincall.model.book import QUANTA, Segment
from tests.fuzz.mirror import image, mirror
from tests.unit.clearinghouse.series import Series
from tests.unit.clearinghouse.world import THIN, USD, world

TARGET = 1.2
SPOT_DOOR = 3
USUAL = 2_480  # USD: just enough to open the strangle; at 114,000 a slice cures it


def liquidate(w, victim, k, others=(), quanta=QUANTA):
    """The take-over's event, after comparing preview and outcome with the twin's."""
    roots = [victim.id, k.id, *(other.id for other in others)]
    state, at = mirror(w, roots), w.chain.timestamp + 1
    plan = model.plan(state, at, victim.id)
    assert w.liquidation.call("preview", victim.id, at=at) == (
        plan.quanta,
        plan.equity,
        plan.maintenance,
        plan.penalty,
    )
    receipt = w.protocol.liquidate(victim.id, k, quanta, at=at)
    model.liquidate(state, at, victim.id, k.id, quanta)
    assert image(state) == image(mirror(w, roots))
    return w.liquidation.events(receipt, "Liquidated")[0].args


def margin(w, account, at=None):
    return w.house.call("margin", account.id, at=w.chain.timestamp if at is None else at)


def strangle(w, series, usd, size="0.2"):
    """An account that sold a strangle hedged by a perp, against b."""
    a, b = series.trader("victim", usd + 5_000), series.trader("b", 1_000_000)
    a.sell(series.call(105_000), size, against=b)
    a.sell(series.put(95_000), size, against=b)
    a.buy("BTC", "0.05", against=b)
    a.withdraw(5_000)
    return a, b


def keeper(series, usd=1_000_000):
    return series.trader("keeper", usd)


def test_a_slice_takes_the_same_share_of_everything_and_restores_the_target():
    with world() as w:
        series = Series(w)
        a, b = strangle(w, series, USUAL)
        k = keeper(series)
        w.jump(BTC=114_000)
        series.refresh()
        held = dict(a.positions())
        cash = w.cash(k.id)
        before = margin(w, a, w.chain.timestamp + 1)
        done = liquidate(w, a, k, [b])
        assert 0 < done["quanta"] < QUANTA
        equity, _, maintenance, _ = margin(w, a)
        assert TARGET * maintenance <= equity < (TARGET + 0.05) * maintenance
        assert equity < before[0]
        for instrument, lots in held.items():
            taken = -(-abs(lots) // 10_000 * done["quanta"] // QUANTA) * 10_000
            assert dict(k.positions())[instrument] == (taken if lots > 0 else -taken)
            assert dict(a.positions())[instrument] == lots - (taken if lots > 0 else -taken)
        closed = -(-5 * 10**6 * done["quanta"] // QUANTA)
        assert w.held(k.id)[0][:2] == (1, closed)
        # He pays what it is worth (it is owed: he gets it) and earns the cut.
        after = margin(w, k)[0]
        assert abs(after - cash - done["cut"]) <= 3


def test_a_quantum_less_would_not_do():
    with world() as w:
        series = Series(w)
        a, b = strangle(w, series, USUAL)
        k = keeper(series)
        w.jump(BTC=114_000)
        series.refresh()
        quanta = w.liquidation.call("preview", a.id)[0]
        done = liquidate(w, a, k, [b], quanta - 1)
        assert done["quanta"] == quanta - 1
        equity, _, maintenance, _ = margin(w, a)
        assert equity < TARGET * maintenance


def test_a_hedged_account_is_cured_by_a_slice_that_leaves_its_hedges():
    """Shares of the legs stay as they were: the hedge ratio of what stays is that of the whole."""
    with world() as w:
        series = Series(w)
        a, b = strangle(w, series, USUAL)
        k = keeper(series)
        w.jump(BTC=114_000)
        series.refresh()
        ratio = dict(a.positions())
        perp = w.held(a.id)[0][1]
        liquidate(w, a, k, [b])
        for instrument, lots in a.positions():
            assert abs(lots / ratio[instrument] - w.held(a.id)[0][1] / perp) < 2e-3


def test_a_full_close_when_equity_does_not_cover_the_penalty():
    with world() as w:
        series = Series(w)
        a, b = strangle(w, series, USUAL)
        k = keeper(series)
        price = 124_000
        while True:
            price += 250
            w.jump(BTC=price)
            series.refresh()
            equity, _, maintenance, _ = margin(w, a, w.chain.timestamp + 1)
            if equity < maintenance // 10:
                break
        assert equity >= 0
        done = liquidate(w, a, k, [b], 1)  # whatever the taker wants: the whole account goes
        assert done["quanta"] == QUANTA
        assert done["penalty"] == done["equity"] == equity
        assert done["shortfall"] == 0
        assert a.book() == []
        assert w.house.call("account", a.id) == (2 << 136, [])  # it keeps its mode


def test_a_shortfall_is_paid_by_insurance():
    with world() as w:
        series = Series(w)
        a, b = strangle(w, series, USUAL)
        k = keeper(series)
        for price in (114_000, 135_000):
            w.jump(BTC=price)
        series.refresh()
        insurance = w.pool(0)[0]
        done = liquidate(w, a, k, [b])
        assert done["shortfall"] == -done["equity"] == done["insurance_paid"] > 0
        assert done["socialised"] == done["penalty"] == done["cut"] == 0
        assert done["reward"] == USD // 2
        assert w.pool(0)[0] == insurance - done["shortfall"] - USD // 2
        assert w.cash(a.id) == 0


def test_what_options_could_not_pay_is_recorded_until_insurance_repays_it():
    with world(THIN) as w:
        series = Series(w)
        a, b = strangle(w, series, USUAL)
        k = keeper(series)
        for price in (114_000, 140_000):
            w.jump(BTC=price)
        series.refresh()
        insurance = w.pool(0)[0]
        done = liquidate(w, a, k, [b])
        assert done["insurance_paid"] == insurance
        # The perp won: no losing perp explains any of it.
        assert w.house.call("deficits", 0) == done["socialised"] == done["shortfall"] - insurance > 0
        assert w.markets.call("social", 1) == 0
        owed = done["socialised"]
        payer = w.trader("payer", 0).owner.address
        w.token.send(payer, "mint", payer, 2 * owed)
        w.token.send(payer, "approve", w.house.address, 2**256 - 1)
        w.house.send(payer, "fund_insurance", 0, owed // 2)
        assert (w.house.call("deficits", 0), w.pool(0)[0]) == (owed - owed // 2, 0)
        w.house.send(payer, "fund_insurance", 0, owed)
        assert (w.house.call("deficits", 0), w.pool(0)[0]) == (0, owed - (owed - owed // 2))


@pytest.mark.parametrize(("size", "last"), [("0.1", 140_000), ("0.02", 160_000)])
def test_losing_perps_are_charged_for_what_they_lost_and_no_more(size, last):
    """The rest of the shortfall is recorded."""
    with world(THIN) as w:
        series = Series(w)
        a, b = series.trader("victim", 4_000), series.trader("b", 1_000_000)
        a.sell(series.call(105_000), "0.1", against=b)
        a.sell("BTC", size, against=b)
        k = keeper(series)
        for price in (108_000, last):
            w.jump(BTC=price)
        series.refresh()
        at = w.chain.timestamp + 1
        pin = w.markets.call("quote", 1, at=at)
        lots = -w.held(a.id)[0][1]
        lost = lots * (pin.mark * 100 - pin.funding) // 10**10 + w.held(a.id)[0][2]
        done = liquidate(w, a, k, [b])
        charged = done["socialised"] - w.house.call("deficits", 0)
        assert charged in (min(lost, done["socialised"]), lost + 1)  # a value is rounded down
        assert (charged < done["socialised"]) == (size == "0.02")
        assert w.markets.call("social", 1) & (2**128 - 1) > 0  # the longs


@pytest.mark.parametrize("price", [87_000, 84_000, 78_000])
def test_spot_collateral_goes_along_at_the_mark(price):
    """Its haircut is the victim's again: a taker pays the full price."""
    with world() as w:
        series = Series(w)
        a, b = series.trader("victim", 0), series.trader("b", 1_000_000)
        door = w.chain.accounts[5]
        w.access.send(w.owner, "set_door", door, SPOT_DOOR)
        lots = 5 * 10**6
        w.house.send(door, "post_book", a.id, Segment(1, 0, lots).words(), False, 0, 0)
        a.sell(series.put(95_000), "0.3", against=b)
        k = keeper(series)
        for step in (94_000, price):
            w.jump(BTC=step)
        series.refresh()
        before = w.cash(k.id)
        done = liquidate(w, a, k, [b])
        taken = k.held("BTC-SPOT")
        assert taken == -(-lots * done["quanta"] // QUANTA)
        assert a.held("BTC-SPOT") == lots - taken
        assert (done["quanta"] == QUANTA) == (price == 78_000)
        # Spot at the mark and the option's debt: worth what he paid, but for the haircut he now bears.
        bears = taken * price * 10**6 // 10**8 * 5 // 100
        assert abs(margin(w, k)[0] - before - done["cut"] - done["reward"] + bears) <= 4 * USD // 100


def test_a_spot_holder_with_nothing_else_is_not_liquidated():
    with world() as w:
        series = Series(w)
        a, k = series.trader("victim", 0), keeper(series)
        door = w.chain.accounts[5]
        w.access.send(w.owner, "set_door", door, SPOT_DOOR)
        w.house.send(door, "post_book", a.id, Segment(1, 0, 10**8).words(), False, 0, 0)
        w.jump(BTC=60_000)
        with w.refused("liquidation: healthy"):
            w.protocol.liquidate(a.id, k)


def test_a_cross_account_with_a_book_is_liquidated_by_its_own_rule():
    with world() as w:
        series = Series(w)
        a, b = w.trader("victim", 1_600), series.trader("b", 1_000_000)
        a.sell(series.call(105_000), "0.15", against=b)
        k = keeper(series)
        for price in (104_000, 107_000):
            w.jump(BTC=price)
        series.refresh()
        done = liquidate(w, a, k, [b])
        assert done["mode"] == 0
        assert 0 < done["quanta"] < QUANTA


def test_a_slice_that_takes_more_of_the_hedge_is_refused_with_a_reason():
    """A thousandth of the future, but (least notional) all of the perp that hedges it: the requirement rises.
    Without a limit a larger slice is found."""
    with world() as w:
        series = Series(w)
        a, b = series.trader("victim", 17_000), series.trader("b", 1_000_000)
        a.buy(series.future(), "1", against=b)
        a.sell("BTC", "0.0012", against=b)
        k = keeper(series)
        w.jump(BTC=91_500)
        with w.refused("liquidation: worsens health"):
            w.protocol.liquidate(a.id, k, 1)
        done = liquidate(w, a, k, [b])
        assert 1 < done["quanta"] < QUANTA


def test_the_taker_meets_its_own_margin():
    with world() as w:
        series = Series(w)
        a, _ = strangle(w, series, USUAL)
        poor = keeper(series, 100)
        w.jump(BTC=114_000)
        series.refresh()
        with w.refused("margin: below initial"):
            w.protocol.liquidate(a.id, poor)


def test_liquidations_wait_for_the_grace_of_every_underlying_held():
    with world() as w:
        series = Series(w)
        a, _ = strangle(w, series, USUAL)
        k = keeper(series)
        w.protocol.set_prices({"BTC": 114_000}, at=w.chain.timestamp + 700)
        series.refresh()
        with w.refused("liquidation: grace after outage"):
            w.protocol.liquidate(a.id, k)


def test_without_a_curve_nobody_is_liquidated():
    with world() as w:
        series = Series(w)
        a, _ = strangle(w, series, USUAL)
        k = keeper(series)
        for _ in range(8):
            w.protocol.set_prices({"BTC": 114_000}, at=w.chain.timestamp + 500)
        with w.refused("curve: stale"):
            w.protocol.liquidate(a.id, k)
