"""Options and dated futures at the exchange: prices, premiums, fees, and every reason for a refusal."""

from decimal import Decimal

import pytest

from margincall.model import Refused
from margincall.model.bookings import trade_instrument
from margincall.model.instrument import CONTRACT, SPOT, Instrument
from margincall.specification import black
from tests.fuzz.mirror import mirror
from tests.unit.clearinghouse.series import Series
from tests.unit.clearinghouse.world import USD, Refusals, check, world
from tests.unit.markets.test_refusals import echo, together, update

refusal = Refusals()
LOTS = 10**7  # 0.1 BTC


def attempt(w, name=None, lots=LOTS, maker=None, taker=None, book=None):
    """A pair that would settle, but for what is changed in it."""
    series = book or Series(w)
    a, b = series.trader("a"), series.trader("b")
    orders = series.pair(name or series.call(100_000), b.id, a.id, lots)
    changes = maker or {}, taker or {}
    make, take = (order._replace(**change) for order, change in zip(orders, changes, strict=True))
    return lambda: w.settle(make, take, abs(lots), b.owner, a.owner)


def test_the_premium_goes_over_and_the_fees_go_out():
    with world() as w:
        series = Series(w)
        a, b = series.trader("a"), series.trader("b")
        name, insurance = series.call(100_000), w.pool(0)
        price = w.protocol.mark_of(name) + 1
        receipt = a.buy(name, "0.1234", price=Decimal(price) / 10**6, against=b)
        lots = 12_340_000
        fees = [-(-lots * 100_000 * 10**6 * rate // 10**14) for rate in (200, 500)]
        premium = -(-lots * price // 10**8)
        assert w.exchange.events(receipt, "Traded")[0].args == {
            "maker": b.id,
            "taker": a.id,
            "market": series.instrument(name).id,
            "size": lots,
            "price": price,
            "maker_fee": fees[0],
            "taker_fee": fees[1],
        }
        assert w.cash(a.id) == 100_000 * USD - premium - fees[1]
        assert w.cash(b.id) == 100_000 * USD + premium - fees[0]
        assert sum(w.pool(0)) - sum(insurance) == sum(fees)
        assert [(p.name, p.lots) for p in a.book()] == [(name, lots)]
        assert [(p.name, p.lots) for p in b.book()] == [(name, -lots)]


@pytest.mark.parametrize("side", [1, -1])
def test_the_premium_is_rounded_against_the_taker(side):
    with world() as w:
        series = Series(w)
        a, b = series.trader("a"), series.trader("b")
        name = series.call(100_000)
        orders = series.pair(
            name, b.id, a.id, side * CONTRACT, price=w.protocol.mark_of(name) // 10**4 * 10**4 + 1
        )
        w.settle(*orders, CONTRACT, b.owner, a.owner)
        price = orders[0].price
        paid = -(-side * CONTRACT * price // 10**8)
        assert paid * 10**8 > side * CONTRACT * price
        fee = min(-(-CONTRACT * 10**11 * 200 // 10**14), -(-CONTRACT * price * 125_000 // 10**14))
        assert w.cash(b.id) == 100_000 * USD + paid - fee


def test_fees_of_cheap_options_are_a_share_of_the_premium():
    with world() as w:
        series = Series(w)
        a, b = series.trader("a"), series.trader("b")
        name = series.call(125_000)
        price = w.protocol.mark_of(name)
        assert 0 < price < 8 * 20 * 10**6  # an eighth of it is less than 0.02 % of 100,000 USD
        receipt = a.buy(name, "1", against=b)
        done = w.exchange.events(receipt, "Traded")[0].args
        assert done["taker_fee"] == done["maker_fee"] == -(-price // 8)


def test_the_mark_of_an_option_is_near_its_value():
    """Against Black-76 in real numbers; a put by parity."""
    with world() as w:
        series = Series(w)
        left = series.expiries[0] - w.chain.timestamp
        for strike in (85_000, 100_000, 118_000):
            exact = float(black.call(100_000, strike, left, 600_000))
            call, put = (
                w.protocol.mark_of(name) / 10**6 for name in (series.call(strike), series.put(strike))
            )
            assert abs(call - exact) < 10  # the mark's row is valued at the window's end
            assert abs(call - put - (100_000 - strike)) < 1e-5


def test_a_future_pays_nothing_and_remembers_its_price():
    with world() as w:
        series = Series(w)
        a, b = series.trader("a"), series.trader("b")
        receipt = a.buy(series.future(), "0.5", price=100_500, against=b)
        done = w.exchange.events(receipt, "Traded")[0].args
        assert done["price"] == 100_500 * 10**6
        assert w.cash(a.id) == 100_000 * USD - done["taker_fee"] == 100_000 * USD - 25 * USD
        assert w.cash(b.id) == 100_000 * USD - 10 * USD
        equities = [w.house.call("margin", x.id)[0] - w.cash(x.id) for x in (a, b)]
        assert equities == [-250 * USD, 250 * USD]
        a.sell(series.future(), "0.5", price=100_600, against=b)
        assert a.book() == []
        assert a.words() != []  # what it made is paid at expiry
        assert w.house.call("margin", a.id)[0] - w.cash(a.id) == 50 * USD


def test_edges_of_the_band_are_inside():
    with world() as w:
        series = Series(w)
        a, b = series.trader("a"), series.trader("b")
        for name in (series.call(100_000), series.put(105_000, far=True), series.future()):
            mark = w.protocol.mark_of(name)
            for price in (mark - 2_000 * 10**6, mark + 2_000 * 10**6):
                orders = series.pair(name, b.id, a.id, LOTS, price=price)
                w.settle(*orders, LOTS, b.owner, a.owner)


def test_closing_takes_one_order_that_only_reduces_and_a_far_strike_then_trades():
    with world() as w:
        series = Series(w)
        a, b, c = (series.trader(name) for name in "abc")
        name = series.call(150_000)
        a.buy(name, "0.1", against=b)
        for price in (88_000, 78_000, 70_000):
            w.jump(BTC=price)
        series.refresh()
        with w.refused("order: strike too far"):
            a.sell(name, "0.05", against=c)
        a.sell(name, "0.05", against=c, reduce_only=True)
        assert [x.held(name) for x in (a, b, c)] == [5 * 10**6, -(10**7), 5 * 10**6]


def near_expiry(w, series) -> int:
    """The near expiry, and it is soon."""
    expiry = series.expiries[0]
    for left in (2_500, 1_950):  # then the grace of the first is over
        w.protocol.set_prices({"BTC": 100_000}, at=expiry - left)
    w.protocol.publish_vols({("BTC", expiry): (0.6,)})
    w.protocol.refresh("BTC", expiry)
    return expiry


@pytest.mark.parametrize("kind", ["call", "future"])
def test_in_the_averaging_window_both_sides_reduce(kind):
    """Until the second before it anything may be opened; twin and exchange agree on the second."""
    with world() as w:
        series = Series(w)
        a, b = series.trader("a"), series.trader("b")
        name = series.call(100_000) if kind == "call" else series.future()
        expiry = near_expiry(w, series)
        price = w.protocol.mark_of(name)

        def pair(lots, **both):
            orders = series.pair(name, b.id, a.id, lots, price=price, **both)
            return (*orders, abs(lots), b.owner, a.owner)

        def twin(at, size=LOTS, **both):
            trade_instrument(
                mirror(w, [a.id, b.id]), at, series.instrument(name).id, b.id, a.id, size, price, **both
            )

        w.settle(*pair(LOTS), at=expiry - 1_801)
        twin(expiry - 1_801)
        for one in ({}, {"maker_reduce_only": True}, {"taker_reduce_only": True}):
            with pytest.raises(Refused, match="order: settling"):
                twin(expiry - 1_800, **one)
        with w.refused("order: settling"):
            w.settle(*pair(LOTS), at=expiry - 1_800)
        make, take, *rest = pair(-LOTS)
        with w.refused("order: settling"):
            w.settle(make, take._replace(reduce_only=True), *rest, at=expiry - 1_799)
        twin(expiry - 1_800, -LOTS, maker_reduce_only=True, taker_reduce_only=True)
        w.settle(*pair(-LOTS, reduce_only=True), at=expiry - 1_798)
        assert a.book() == b.book() == []


def test_in_a_reduce_only_market_both_sides_reduce():
    with world() as w:
        series = Series(w)
        a, b = series.trader("a"), series.trader("b")
        name = series.call(100_000)
        a.buy(name, "0.1", against=b)
        w.set_terms("BTC", status=2)
        orders = series.pair(name, b.id, a.id, -LOTS, reduce_only=True)
        w.settle(*orders, LOTS, b.owner, a.owner)
        assert a.book() == b.book() == []


def test_sheets_in_slots_give_the_same_mark():
    with world() as w:
        series = Series(w)
        names = [
            series.call(strike, far=far) for strike in (80_000, 100_000, 130_000) for far in (False, True)
        ]
        at = w.chain.timestamp + 500
        marks = []
        for in_slots in (False, True):
            snapshot = w.chain.snapshot()
            w.protocol.portfolio.send(w.owner, "set_curves", w.protocol.surface.address, 3_600, in_slots)
            for i, date in enumerate((series.near, series.far)):
                w.protocol.refresh("BTC", date, at=at - 10 + i)
            address = w.protocol.portfolio.call("curve", 1, series.expiries[0]) & (2**160 - 1)
            assert (address == 0) == in_slots
            marks.append([w.exchange.call("mark_of", w.protocol.instrument(n).id, at=at) for n in names])
            w.chain.revert(snapshot)
        assert marks[0] == marks[1]


# ---------------------------------------------------------------- refusals


@refusal("price: second in transaction")
def a_new_price_behind_the_trade(w):
    """An option at the old price and one at the new cannot stand in one transaction."""
    series = Series(w)
    a, b = series.trader("a"), series.trader("b")
    orders = series.pair(series.call(100_000), b.id, a.id, LOTS)
    fill = (*orders, LOTS, w.protocol.sign(b.owner, orders[0]), w.protocol.sign(a.owner, orders[1]))
    return together(w, (w.exchange, "settle", [fill]), update(w, echo(w)))


@refusal("order: settling")
def in_the_averaging_window(w):
    series = Series(w)
    expiry = near_expiry(w, series)
    a, b = series.trader("a"), series.trader("b")
    orders = series.pair(series.call(100_000), b.id, a.id, LOTS)
    return lambda: w.settle(*orders, LOTS, b.owner, a.owner, at=expiry - 1_800)


@refusal("order: margin needs a vault")
def with_margin(w):
    return attempt(w, taker={"margin": 1})


@refusal("clearing: not a root account")
def from_a_vault(w):
    series = Series(w)
    a, b = series.trader("a"), series.trader("b")
    make, take = series.pair(series.call(100_000), b.id, a.vault("BTC"), LOTS)
    return lambda: w.settle(make, take, LOTS, b.owner, a.owner)


@refusal("order: spot is not traded")
def spot(w):
    id = Instrument(1, SPOT).id
    price = 100_000 * 10**6
    return attempt(w, maker={"market": id, "price": price}, taker={"market": id, "price": price})


@refusal("markets: id out of range")
def market_zero(w):
    return attempt(w, maker={"market": 256}, taker={"market": 256})


@refusal("option: kind")
def an_unknown_kind(w):
    id = 1 | 5 << 8
    return attempt(w, maker={"market": id}, taker={"market": id})


@refusal("option: strike")
def a_strike_off_the_grid(w):
    series = Series(w)
    id = series.instrument(series.call(100_000))._replace(strike=100_000 * 10**6 + 10_000).id
    return attempt(w, maker={"market": id}, taker={"market": id}, book=series)


@refusal("option: not whole contracts")
def a_lot_too_many(w):
    return attempt(w, lots=LOTS + 1)


@refusal("option: expired")
def after_expiry(w):
    series = Series(w)
    a, b = series.trader("a"), series.trader("b")
    orders = series.pair(series.call(100_000), b.id, a.id, LOTS)
    w.protocol.set_prices({"BTC": 100_000}, at=series.expiries[0])
    orders = [order._replace(reduce_only=True) for order in orders]  # no grace for them to wait for
    return lambda: w.settle(*orders, LOTS, b.owner, a.owner)


@refusal("price: stale")
def an_old_price(w):
    series = Series(w)
    order = attempt(w, book=series)
    w.protocol.set_prices({"ETH": 4_000}, at=w.chain.timestamp + 601)
    return order


@refusal("curve: none")
def an_expiry_that_nobody_valued(w):
    series = Series(w, ("BTC",))
    name = series.call(4_000, "ETH")
    a, b = series.trader("a"), series.trader("b")
    orders = series.pair(name, b.id, a.id, LOTS, price=10**8)
    return lambda: w.settle(*orders, LOTS, b.owner, a.owner)


@refusal("curve: stale")
def a_curve_past_its_window(w):
    series = Series(w)
    order = attempt(w, book=series)
    until = w.protocol.portfolio.call("curve", 1, series.expiries[0]) >> 160 & (2**32 - 1)
    while w.chain.timestamp < until:
        w.protocol.set_prices({"BTC": 100_000}, at=min(w.chain.timestamp + 500, until + 1))
    return order


@refusal("clearing: market is reduce-only")
def an_underlying_that_only_reduces(w):
    w.set_terms("BTC", status=2)
    return attempt(w)


@refusal("clearing: market is reduce-only")
def where_one_side_does_not_reduce(w):
    w.set_terms("BTC", status=2)
    return attempt(w, maker={"reduce_only": True})


@refusal("clearing: grace after outage")
def after_an_outage(w):
    series = Series(w)
    order = attempt(w, book=series)
    w.protocol.set_prices({"BTC": 100_000}, at=w.chain.timestamp + 700)
    return order


@refusal("order: strike too far")
def above_the_strikes(w):
    return attempt(w, book=(series := Series(w)), name=series.call(212_000))


@refusal("order: strike too far")
def below_the_strikes(w):
    return attempt(w, book=(series := Series(w)), name=series.put(47_000))


@refusal("order: price outside band")
def a_premium_above_the_band(w):
    series = Series(w)
    price = w.protocol.mark_of(series.call(100_000)) + 2_000 * 10**6 + 1
    return attempt(w, maker={"price": price}, taker={"price": price}, book=series)


@refusal("order: price outside band")
def a_premium_below_the_band(w):
    series = Series(w)
    price = w.protocol.mark_of(series.call(100_000)) - 2_000 * 10**6 - 1
    return attempt(w, maker={"price": price}, taker={"price": price}, book=series)


@refusal("order: price outside band")
def a_future_above_the_band(w):
    series = Series(w)
    price = 102_000 * 10**6 + 1
    return attempt(w, name=series.future(), maker={"price": price}, taker={"price": price}, book=series)


@refusal("order: price outside band")
def a_price_beyond_any(w):
    return attempt(w, maker={"price": 2**255}, taker={"price": 2**255})


@refusal("order: fee above max")
def takers_fee(w):
    return attempt(w, taker={"max_fee": 499})


@refusal("order: fee above max")
def makers_fee(w):
    return attempt(w, maker={"max_fee": 199})


@refusal("order: self trade")
def with_oneself(w):
    series = Series(w)
    a, b = series.trader("a"), series.trader("a", index=1)
    orders = series.pair(series.call(100_000), b.id, a.id, LOTS)
    return lambda: w.settle(*orders, LOTS, a.owner, a.owner)


@refusal("clearing: reduce only")
def reducing_nothing(w):
    return attempt(w, taker={"reduce_only": True})


@refusal("margin: below initial")
def more_than_the_margin_allows(w):
    return attempt(w, lots=-100 * LOTS * 10)


@refusal("access: paused")
def in_a_pause(w):
    order = attempt(w)
    w.pause()
    return order


@refusal("access: mode not allowed")
def by_who_may_not(w):
    series = Series(w)
    order = attempt(w, book=series)
    w.deny(w.protocol.account("a"), 2)
    return order


def test_the_case_itself_settles():
    """What the cases change is why they are refused."""
    with world() as w:
        attempt(w)()


@pytest.mark.parametrize(("reason", "spec", "token", "case"), refusal.cases)
def test_refused(reason, spec, token, case):
    check(reason, spec, token, case)
