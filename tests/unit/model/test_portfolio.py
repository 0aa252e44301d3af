"""The portfolio rule by hand: scenarios, interpolation, edges, dials, and what explains a margin."""

import math
from fractions import Fraction
from random import Random

import pytest

from margincall.model import explanation, portfolio
from margincall.model.arithmetic import Refused
from margincall.model.book import Book, Segment, pack
from margincall.model.curves import Curve, window
from margincall.model.curves import pack as pack_rows
from margincall.model.instrument import CODES_PER_LOG, FUTURE, PERP, PUT, log_code
from margincall.model.portfolio import GRAIN, ONE, PRICES, SCENARIOS, Dials, Risk, Terms, margin

S = 2_000_000_000  # price units
STEP = 10**7
EXPIRY = 1_760_256_000
BOOK = Book({1: STEP, 2: STEP})
FLAT = Dials(ONE, 0)  # no diversification, no hedges
FLAG = 2**24


def blob(up, down, mark) -> bytes:
    """A curve of three functions of the point 0 .. 191, in lanes."""
    return pack_rows([[row(n) for n in range(192)] for row in (up, mark, down)])


CONSTANT = blob(lambda n: 3_000, lambda n: 1_000, lambda n: 2_000)


def risk(curve: bytes = CONSTANT, err: int = 0, mm: Dials = FLAT, im: Dials = FLAT, **terms) -> Risk:
    asked = Terms(**{"range_mm": 48, "range_im": 64, **terms})
    curves = {(market, EXPIRY): Curve(curve, EXPIRY, err) for market in (1, 2)}
    return Risk({1: S, 2: S}, curves, {1: asked, 2: asked}, mm, im, BOOK.strike)


def words(*lanes: tuple[int, int, int], market: int = 1, forward: int = 0, money: int = 0) -> list[int]:
    """One segment of (strike, contracts, put flag)."""
    named = [[log_code(strike) | flag, size] for strike, size, flag in lanes]
    return pack([Segment(market, EXPIRY, forward, money, named)])


def test_scenarios_are_the_grid():
    assert [one.steps for one in SCENARIOS[:16]] == [*range(-4, 4), *range(-4, 4)]
    assert [one.vol for one in SCENARIOS] == ["up"] * 8 + ["down"] * 8 + ["mark"] * 8
    assert [one.steps for one in SCENARIOS[16:]] == [-8, -6, -4, -2, 0, 2, 4, 6]
    assert SCENARIOS[portfolio.MARK] == (0, "mark")
    assert [SCENARIOS[i].steps for i in (portfolio.NOTIONAL_DOWN, portfolio.NOTIONAL_UP)] == [-2, 2]
    for price, one in zip(PRICES, SCENARIOS, strict=True):
        assert abs(price / 2**32 - math.exp(0.05 * one.steps)) < 2e-10
    assert SCENARIOS[0].name == "-18.1 %, vol up"
    assert SCENARIOS[23].name == "+35.0 %, vol mark"


def test_weights_fall_beyond_the_range():
    at = portfolio.weights(64)
    assert at[:16] == (256,) * 16
    assert at[16:] == (128, 171, 256, 256, 256, 256, 256, 171)
    assert portfolio.weights(24)[:2] == (96, 128)


def test_a_perp_needs_its_range_and_nothing_else():
    for lots in (123_457, -123_457):
        got = margin(1_000, [(1, lots, -77)], [], risk())
        for extent, asked in ((48, got.maintenance), (64, got.initial)):
            loss = max(
                lots * S * (1 - Fraction(price, 2**32)) * one.weight(extent) / 256 / 10**8
                for price, one in zip(PRICES, SCENARIOS, strict=True)
            )
            assert 0 <= asked - loss < 1 + GRAIN
            reach = math.exp(0.05 * extent / 16) - 1
            assert 0.8 * reach < asked * 10**8 / (abs(lots) * S) < 1.2 * reach
        assert got.equity == 923
        assert got.notional == -(-abs(lots) * S // 10**8)
        assert got.penalty == -(-got.maintenance // 10)


def test_an_empty_account_needs_nothing():
    assert margin(5, [], [], risk()) == (5, 0, 0, 0, 0)


def test_an_option_by_hand():
    """Lanes of 3000, 1000 and 2000 everywhere: the worst of 7 bought calls is vol down, four steps down."""
    got = margin(0, [], words((S, 7, 0)), risk(err=2**28 // 1_000))
    unit = Fraction(7 * S, 10**4)
    error = Fraction(2**28 // 1_000, 2**28)
    assert got.equity == math.floor(unit * Fraction(2_000, 65_536))
    now = Fraction(2_000, 65_536)
    down = (Fraction(1_000, 65_536) - error) * Fraction(PRICES[8], 2**32)
    assert 0 <= got.initial - unit * (now - down) < 1 + GRAIN
    down = (Fraction(1_000, 65_536) - error) * Fraction(PRICES[9], 2**32)
    tail = (now - (Fraction(2_000, 65_536) - error) * Fraction(PRICES[16], 2**32)) * Fraction(96, 256)
    assert tail < now - down
    weighted = (now - (Fraction(1_000, 65_536) - error) * Fraction(PRICES[8], 2**32)) * Fraction(192, 256)
    assert 0 <= got.maintenance - unit * max(now - down, weighted) < 1 + GRAIN


def test_splines_are_exact_for_parabolas():
    """Of coefficients n * n the spline is t * t + 1/4, t = 0 in the middle of the first."""
    curve = blob(lambda n: n * n, lambda n: 3 * n, lambda n: 300 * n)
    rng = Random(1)
    for _ in range(200):
        x = rng.uniform(-0.78, 0.83)
        code = portfolio.log_code(S) - round(x * CODES_PER_LOG)
        net = portfolio.Exposure(1, S)
        portfolio.add_lane(net, Curve(curve, EXPIRY, 0), code, -5, BOOK.strike)
        assert net.values == [-5 * value for value in window(curve, portfolio.log_code(S), code)]
        for one, value in zip(SCENARIOS, net.values, strict=True):
            point = (round(x * CODES_PER_LOG) / CODES_PER_LOG + 1.2) * 80 + 4 * one.steps
            exact = {"up": point**2 + 0.25, "down": 3 * point, "mark": 300 * point}[one.vol]
            slope = {"up": 2 * point + 1, "down": 3, "mark": 300}[one.vol]
            # half of a fraction's last bit, and a weight rounded down by less than one
            assert abs(value / -5 - 4096 * exact) <= slope / 2 + 2 + 1e-6


def test_off_the_curve_bought_calls_are_worth_their_least():
    far, deep = 5 * S, S // 4
    net = portfolio.Exposure(1, S)
    portfolio.add_lane(net, Curve(CONSTANT, EXPIRY, 0), log_code(far), 3, BOOK.strike)
    assert (net.values, net.lin, net.money) == ([0] * 24, 0, 0)
    portfolio.add_lane(net, Curve(CONSTANT, EXPIRY, 0), log_code(deep), 3, BOOK.strike)
    assert (net.values, net.lin, net.money) == ([0] * 24, 30_000, 3 * deep // 10**4)


def test_off_the_curve_sold_calls_cost_the_nearest_strike():
    rising = blob(lambda n: n, lambda n: n, lambda n: n)
    net = portfolio.Exposure(1, S)
    portfolio.add_lane(net, Curve(rising, EXPIRY, 0), log_code(5 * S), -3, BOOK.strike)
    assert net.values[portfolio.MARK] == -3 * (32 + 33) * 2048
    assert net.money == 0
    net = portfolio.Exposure(1, S)
    portfolio.add_lane(net, Curve(rising, EXPIRY, 0), log_code(S // 4), -3, BOOK.strike)
    assert net.values[portfolio.MARK] == -3 * (161 + 162) * 2048
    nearest = math.ceil(S * (math.exp(-0.81875) + 2**-17 + 2**-22))
    assert net.money == math.ceil(Fraction(3 * (nearest - S // 4), 10**4))
    assert net.lin == 0


def test_calls_sold_have_a_floor():
    covered = words((S, -4, 0), forward=40_000, money=0)
    bare = margin(0, [], covered, risk())
    floored = margin(0, [], covered, risk(floor_rate=500_000))
    assert bare.maintenance < floored.maintenance == 8 * S // 10**4 // 2
    assert floored.initial == 12 * S // 10**4 // 2
    assert floored.equity == bare.equity


def test_spot_counts_with_its_haircut():
    spot = pack([Segment(1, 0, 1_000_001)])
    got = margin(0, [], spot, risk(haircut=100_000))
    assert got.equity == 900_000 * S // 10**8
    hedged = margin(0, [(1, -900_000, 0)], spot, risk(haircut=100_000))
    assert (hedged.maintenance, hedged.initial, hedged.notional) == (0, 0, 0)


def test_entries_leave_equity_and_not_risk():
    plain = margin(0, [], words(forward=10_000), risk())
    entered = margin(0, [], words(forward=10_000, money=123), risk())
    assert entered == plain._replace(equity=plain.equity - 123)


def test_dials_between_one_long_and_one_short():
    perps = [(1, 10_000, 0), (2, -10_000, 0)]
    alone = [margin(0, [perp], [], risk()).maintenance for perp in perps]

    def asked(rho: int, psi: int) -> int:
        return margin(0, perps, [], risk(mm=Dials(rho, psi))).maintenance

    assert abs(asked(ONE, 0) - sum(alone)) <= 1
    assert asked(ONE, ONE) <= GRAIN  # what each loses is rounded up by itself
    assert abs(asked(0, 0) - max(alone)) <= 1
    assert abs(asked(ONE, ONE // 2) - sum(alone) / 2) <= 1 + GRAIN
    assert asked(0, ONE) == max(alone)


def test_a_curve_that_is_not_there_refuses():
    held = words((S, 1, 0))
    with pytest.raises(Refused, match="curve: none"):
        margin(0, [], held, risk()._replace(curves={}))
    at = risk()._replace(now=EXPIRY)
    assert margin(0, [], held, at).initial > 0
    with pytest.raises(Refused, match="curve: stale"):
        margin(0, [], held, at._replace(now=EXPIRY + 1))
    future = words(forward=10_000)
    assert margin(0, [], future, at._replace(curves={}, now=EXPIRY - 1)).initial > 0
    with pytest.raises(Refused, match="portfolio: settle first"):
        margin(0, [], future, at)


def test_more_than_eight_underlyings_are_refused():
    markets = range(1, 10)
    terms = dict.fromkeys(markets, Terms(48, 64))
    at = risk()._replace(prices=dict.fromkeys(markets, S), terms=terms)
    perps = [(market, 10_000, 0) for market in markets]
    assert margin(0, perps[:8], [], at).initial > 0
    with pytest.raises(Refused, match="portfolio: too many underlyings"):
        margin(0, perps, [], at)


def test_an_explanation_adds_up():
    dials = Dials(20_000, 25_000)
    at = risk(mm=dials, im=dials)
    held = words((S, -3, 0), (S + STEP, 2, FLAG), forward=-20_000) + words(
        (S, 5, 0), market=2, forward=50_000
    )
    perps = [(1, 70_000, 11), (2, -20_000, -5)]
    why = explanation.explain(9, perps, held, at)
    assert why.margin == margin(9, perps, held, at)
    for asked, of in ((why.mm, "mm"), (why.im, "im")):
        assert asked.amount == (why.margin.maintenance if of == "mm" else why.margin.initial)
        assert 0 <= sum(asked.contributions.values()) - asked.amount <= 2
        above = sum(getattr(one, of) for one in why.holdings) - asked.amount
        assert 0 <= above <= (1 + GRAIN) * len(why.holdings)
        blend = asked.psi * asked.synchronised + (ONE - asked.psi) * asked.alone
        assert 0 <= blend / ONE - asked.amount + 1 <= 2
    assert [(one.kind, one.size) for one in why.holdings] == [
        (PERP, 70_000),
        (PERP, -20_000),
        (1, -3),
        (PUT, 2),
        (1, 5),
        (FUTURE, 50_000),
    ]
    assert why.driver_mm == max(why.holdings, key=lambda one: one.mm)
    assert sum(one.value for one in why.underlyings) + 9 == why.margin.equity
    for one in why.underlyings:
        assert one.losses[portfolio.MARK] == 0
        assert one.loss_mm == max(
            -(-loss * weight // 256)
            for loss, weight in zip(one.losses, portfolio.weights(48), strict=True)
            if loss * weight >= one.losses[one.worst_mm] * portfolio.weights(48)[one.worst_mm]
        )


def test_an_empty_account_is_explained():
    why = explanation.explain(9, [], [], risk())
    assert (why.driver_mm, why.mm.amount, why.underlyings) == (None, 0, ())
