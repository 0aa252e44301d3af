"""PortfolioMargin on accounts whose requirement can be said in a line. Underlyings cost 2,000 USD; ranges
are two steps of 5 % (log) for maintenance and three for initial margin, and half a percent of the notional
of a call sold is asked at least.
"""

from math import erf, exp, log, sqrt

import pytest

from margincall.model import portfolio
from margincall.model.instrument import CALL, CONTRACT, FUTURE, PUT, SPOT
from margincall.model.portfolio import GRAIN, ONE, SCENARIOS
from tests.fuzz.test_portfolio_margin import _value, check
from tests.unit.clearinghouse.world import OWNER
from tests.unit.portfolio_margin.ladder import (
    EXPIRY,
    MARKET,
    PRICE,
    SMILE,
    STEP,
    fragment,
    ladder,
    plain,
    together,
)
from tests.unit.standard_margin.bench import HAIRCUT, RISK_TERMS, WINDOW, bench

USD, COIN = 10**6, 10**7  # money; lots of 2,000 USD
PRICE_USD, CASH = 2_000, 10**12
RHO, PSI = 24_576 / ONE, 26_214 / ONE  # where the dials rest
MM, IM = RISK_TERMS.range_mm, RISK_TERMS.range_im


def asked(b, perps, words=()) -> tuple[int, int, int, int]:
    """Equity, initial, maintenance, notional, money; contract and other views agree."""
    rule, header = b.protocol.portfolio, (CASH, perps, words)
    got = b.ask(rule, "margin", *header)
    assert b.ask(rule, "initial", *header) == got[:2]
    penalty = -(-got[2] // 10)
    assert b.ask(rule, "close_out", *header) == (got[0], got[2], got[2], penalty)
    return got


def near(got: int, usd: float, off: int = GRAIN + 4) -> bool:
    """To the rounding of losses (1e-5 USD) and of the grid's moves (2**-32)."""
    return -4 <= got - usd * USD <= off


def weight(steps: int, extent: int) -> float:
    """256ths, rounded up."""
    return -(-min(256, 16 * extent / abs(steps)) // 1) / 256 if steps else 1


def worst(loss, extent: int) -> float:
    """The worst of the 24 scenarios of loss(log move, row), weighted."""
    return max(loss(s.steps / 20, s.vol) * weight(s.steps, extent) for s in SCENARIOS)


def call(x: float, row: str, years: float) -> float:
    """Black's C/S of a row of the curves at x = ln(S/K)."""
    vol = {"up": 1.3, "mark": 1.0, "down": 0.75}[row] * SMILE.atm / 10**6
    s = vol * sqrt(years)
    d = x / s + s / 2

    def phi(z: float) -> float:
        return (1 + erf(z / sqrt(2))) / 2

    return phi(d) - exp(-x) * phi(d - s)


def years(b, row: str) -> float:
    """U is valued from the window's start, D and M from its end."""
    left = EXPIRY - b.curves[MARKET, EXPIRY].valid_until + (WINDOW if row == "up" else 0)
    return left / 31_536_000


# ---------------------------------------------------------------- perps


def test_a_long_perp_loses_its_range():
    """10 coins of 2,000 USD: 20,000 (1 - exp(-0.1)) = 1,903.25 USD and 20,000 (1 - exp(-0.15))."""
    with bench(plain()) as b:
        equity, initial, maintenance, notional = asked(b, [(MARKET, 10 * COIN, 0)])
        assert near(maintenance, 20_000 * (1 - exp(-0.1)))
        assert near(initial, 20_000 * (1 - exp(-0.15)))
        assert equity == CASH + _value(b, MARKET, 10 * COIN, 0)  # funding of the seconds since the price
        assert 0 <= CASH + 20_000 * USD - equity < 1_000
        assert notional == 20_000 * USD


def test_a_short_perp_also_fears_what_lies_beyond():
    """A third of a rise of six steps (86/256) costs more than all of two: 20,000 (exp(0.3) - 1) / 3."""
    with bench(plain()) as b:
        _, initial, maintenance, notional = asked(b, [(MARKET, -10 * COIN, 0)])
        assert near(maintenance, 20_000 * (exp(0.3) - 1) * 86 / 256)
        assert near(initial, 20_000 * (exp(0.3) - 1) * 128 / 256)
        assert notional == 20_000 * USD


def test_twice_the_range_asks_twice_the_moves():
    with bench(plain()) as b:
        b.protocol.portfolio.send(b.owner, "set_risk_terms", MARKET, (16, 32, 0, 0))
        _, initial, maintenance, _ = asked(b, [(MARKET, 10 * COIN, 0)])
        # 128/256 of two steps down are less than one step.
        assert near(maintenance, 20_000 * (1 - exp(-0.05)))
        assert near(initial, 20_000 * (1 - exp(-0.1)))


def test_a_future_is_a_perp():
    """Of the same price, without funding: what it was bought for is owed, the rest is the same. One against
    the other asks for the least: 0.5 % of both, and half as much again at first."""
    with bench(plain()) as b:
        perps = [(MARKET, 3 * COIN, 6_000 * USD)]
        funding = _value(b, *perps[0])
        perp = asked(b, perps)
        assert perp[0] == CASH + funding
        assert asked(b, [], fragment(b, FUTURE, 0, 3 * COIN, 6_000 * USD)) == (CASH, *perp[1:])
        assert asked(b, [], fragment(b, FUTURE, 0, 3 * COIN, 5_900 * USD))[0] == CASH + 100 * USD
        hedge = fragment(b, FUTURE, 0, -3 * COIN, -6_000 * USD)
        assert asked(b, perps, hedge) == (CASH + funding, 90 * USD, 60 * USD, 0)


# ---------------------------------------------------------------- spot


def test_spot_hedges_a_short_perp():
    """A coin less its haircut of 5 % against 0.95 coins sold: no risk but the least of the perp."""
    with bench(plain()) as b:
        spot = fragment(b, SPOT, 0, COIN)
        kept = COIN * (10**6 - HAIRCUT) // 10**6
        funding = _value(b, MARKET, -kept, -1_900 * USD)
        assert 0 <= funding < 100
        hedged = asked(b, [(MARKET, -kept, -1_900 * USD)], spot)
        assert hedged == (CASH + 1_900 * USD + funding, 14_250_000, 9_500_000, 0)
        _, _, maintenance, notional = asked(b, [(MARKET, -COIN, -2_000 * USD)], spot)
        assert near(maintenance, 0.05 * PRICE_USD * (exp(0.3) - 1) * 86 / 256)
        assert notional == 100 * USD
        _, initial, _, _ = asked(b, [], spot)
        assert near(initial, 1_900 * (1 - exp(-0.15)))


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("kind", "strike", "lots", "perp"),
    [
        (CALL, 2_000, COIN, 0),
        (CALL, 2_000, -COIN, 0),
        (PUT, 1_800, -COIN, 0),
        (PUT, 1_900, COIN, COIN),  # a perp and its protection
        (CALL, 2_200, -COIN, COIN),  # a covered call
        (PUT, 2_600, COIN, 0),
    ],
)
def test_one_option_and_a_perp(kind, strike, lots, perp):
    """Black's formula and the 24 scenarios, in floating point. The curves' errors are charged: up to two of
    them on a coin."""
    with bench(plain()) as b:
        perps = [(MARKET, perp, perp * 200 * USD // USD)] if perp else []
        equity, initial, maintenance, _ = asked(b, perps, fragment(b, kind, strike * COIN, lots))
        sign = lots // COIN

        def value(move: float, row: str) -> float:
            """What everything is worth, USD."""
            spot = PRICE_USD * exp(move)
            option = spot * call(log(spot / strike), row, years(b, row))
            if kind == PUT:
                option += strike - spot
            return sign * option + perp // COIN * spot

        now = value(0, "mark")
        error = 2 * b.curves[MARKET, EXPIRY].err / 2**28 * PRICE_USD
        held = perp // COIN + (kind == PUT) + (sign < 0)
        for got, extent, share in ((initial, IM, 0.0075), (maintenance, MM, 0.005)):
            expected = worst(lambda move, row: now - value(move, row), extent)
            assert abs(got / USD - max(expected, share * PRICE_USD * held)) <= error + 2e-5
        assert abs(now - perp // COIN * PRICE_USD - (equity - CASH) / USD) <= error


def test_protection_bounds_the_loss():
    """A perp with a put at 1,900 loses at most 100 USD and the premium, in any scenario."""
    with bench(plain()) as b:
        put = fragment(b, PUT, 1_900 * COIN, COIN)
        premium = asked(b, [], put)[0] - CASH
        _, initial, maintenance, _ = asked(b, [(MARKET, COIN, 2_000 * USD)], put)
        assert maintenance <= initial <= 100 * USD + premium + 2 * USD
        assert initial < asked(b, [(MARKET, COIN, 2_000 * USD)])[1] * 2 / 3


def test_the_floor_of_options_sold():
    """A call sold against one bought 5 USD higher: the spread risks less than 5 USD, a coin sold asks
    0.5 % of 2,000 USD, half as much again at first, and the curves' error on both calls."""
    with bench(plain()) as b:
        spread = together(
            fragment(b, CALL, 2_100 * COIN, -COIN),
            fragment(b, CALL, 2_105 * COIN, COIN),
        )
        for times in (1, 7):
            _, initial, maintenance, _ = asked(b, [], together(*([spread] * times)))
            error = b_err(b, 2_000, 2 * times)
            assert (initial, maintenance) == (15 * times * USD + error, 10 * times * USD + error)
        bought = fragment(b, CALL, 2_105 * COIN, CONTRACT)
        assert 0 < asked(b, [], bought)[1] < 0.2 * USD


@pytest.mark.parametrize("lots", [COIN, -COIN])
def test_deep_in_the_money(lots):
    """A call at 1,400 after the price rose to 4,000: off the curve it is worth S - K to who bought it;
    who sold it owes at least that, and at most the time value of the table's last strike more."""
    with bench(plain()) as b:
        words, sign = fragment(b, CALL, 1_400 * COIN, lots), lots // COIN
        for usd in (2_800, 4_000):
            b.set_prices({MARKET: usd * COIN}, b.now + 120)
        value = (asked(b, [], words)[0] - CASH) * sign
        assert log(4_000 / 1_400) > 0.8125 + 0.2
        if sign > 0:
            assert value == 2_600 * USD
            _, _, maintenance, _ = asked(b, [], words)
            assert near(maintenance, 4_000 * (1 - exp(-0.1)))  # no curve, no error
        else:
            beyond = 4_000 * (call(0.81875, "mark", years(b, "mark")) - 1 + exp(-0.81875))
            error = b_err(b, 4_000) / USD
            assert 0 <= value / USD - 2_600 <= beyond + 2 * error + 0.1


def b_err(b, usd: int, coins: int = 1) -> int:
    """The curve's error bound on coins at a price, money rounded up."""
    return -(-b.curves[MARKET, EXPIRY].err * coins * 1_000 * CONTRACT * usd * COIN // (2**28 * 10**8))


@pytest.mark.parametrize("lots", [COIN, -COIN])
def test_deep_out_of_the_money(lots):
    """A call at 3,500 after the price fell to 1,100: worth nothing to who bought it; who sold it owes what
    the table's highest strike is worth, which is no less."""
    with bench(plain()) as b:
        words, sign = fragment(b, CALL, 3_500 * COIN, lots), lots // COIN
        for usd in (1_500, 1_100):
            b.set_prices({MARKET: usd * COIN}, b.now + 120)
        assert log(1_100 / 3_500) < -1.2 + 0.4
        equity, _, maintenance, _ = asked(b, [], words)
        if sign > 0:
            assert equity == CASH
            assert maintenance == 0
        else:
            assert -2 * b_err(b, 1_100) - 1 <= equity - CASH <= 0
            assert maintenance == 0.005 * 1_100 * USD + b_err(b, 1_100)  # the least


@pytest.mark.parametrize(
    ("strike", "prices"),
    [(3_500, range(1_640, 1_400, -8)), (1_400, range(3_130, 3_560, 14))],
)
def test_a_long_leaves_the_table_by_steps(strike, prices):
    """What a call bought loses at the table's edge it loses over the next 10 %, not at once: while the price
    walks across the edge its time value moves little at each step."""
    with bench(plain()) as b:
        words, last = fragment(b, CALL, strike * COIN, 1_000 * COIN), None
        b.set_prices({MARKET: (PRICE_USD + prices[0]) // 2 * COIN}, b.now + 120)
        for usd in prices:
            b.set_prices({MARKET: usd * COIN}, b.now + 120)
            b.refresh(MARKET, EXPIRY)
            time_value = (asked(b, [], words)[0] - CASH) / USD / 1_000 - max(usd - strike, 0)
            assert time_value >= -b_err(b, usd) / USD
            assert last is None or abs(time_value - last) < 0.1, usd
            last = time_value


# ---------------------------------------------------------------- across underlyings


def test_two_longs_share_little():
    """rho of the smaller one's loss on top of the larger's: 0.75 L + L of equal ones."""
    with bench(plain(1, 2)) as b:
        alone = 20_000 * (1 - exp(-0.1))
        _, _, maintenance, notional = asked(b, [(1, 10 * COIN, 0), (2, 10 * COIN, 0)])
        assert near(maintenance, (1 + RHO) * alone, 2 * GRAIN + 4)
        assert notional == 40_000 * USD
        _, _, maintenance, _ = asked(b, [(1, 10 * COIN, 0), (2, 5 * COIN, 0)])
        assert near(maintenance, (1 + RHO / 2) * alone, 2 * GRAIN + 4)


def test_a_long_against_a_short():
    """Of the same size. At every joint move the gains of one pay the losses of the other, so only
    (1 - rho) of the larger loss is left, in psi of the sum; 1 - psi is the two standing apart."""
    with bench(plain(1, 2)) as b:
        down, up = 20_000 * (1 - exp(-0.1)), 20_000 * (exp(0.3) - 1) * 86 / 256
        joint = (1 - RHO) * up
        apart = RHO * (down + up) + (1 - RHO) * up
        _, _, maintenance, _ = asked(b, [(1, 10 * COIN, 0), (2, -10 * COIN, 0)])
        assert near(maintenance, PSI * joint + (1 - PSI) * apart, 2 * GRAIN + 4)


def test_the_guardian_ends_hedging_across():
    """psi = 0: apart; rho = 1 as well: the plain sum of each one's worst. Initial margin at once,
    maintenance once the dials have glided there."""
    with bench(plain(1, 2)) as b:
        perps = [(1, 10 * COIN, 0), (2, -10 * COIN, 0)]
        guardian = b.chain.accounts[8]
        b.protocol.portfolio.send(b.chain.accounts[OWNER], "set_guardian", guardian)
        before = asked(b, perps)
        down, up = 20_000 * (1 - exp(-0.15)), 20_000 * (exp(0.3) - 1) * 128 / 256
        b.protocol.portfolio.send(guardian, "tighten", 24_576, 0)
        _, initial, maintenance, _ = asked(b, perps)
        assert near(initial, RHO * (down + up) + (1 - RHO) * up, 2 * GRAIN + 4)
        assert maintenance == before[2]
        b.protocol.portfolio.send(guardian, "tighten", ONE, 0)
        assert near(asked(b, perps)[1], down + up, 2 * GRAIN + 4)
        b.set_prices({1: PRICE, 2: PRICE}, b.now + 6 * 3_600)
        down, up = 20_000 * (1 - exp(-0.1)), 20_000 * (exp(0.3) - 1) * 86 / 256
        assert near(asked(b, perps)[2], down + up, 2 * GRAIN + 4)


def test_eight_underlyings():
    with bench(plain(*range(1, 9))) as b:
        alone = 20_000 * (1 - exp(-0.1))
        _, _, maintenance, notional = asked(b, [(market, 10 * COIN, 0) for market in range(1, 9)])
        assert near(maintenance, (1 + 7 * RHO) * alone, 8 * GRAIN + 4)
        assert notional == 160_000 * USD
        options = together(
            *(fragment(b, PUT, PRICE + market * STEP, -CONTRACT, 0, market) for market in range(1, 9))
        )
        b.protocol.portfolio.send(b.chain.accounts[OWNER], "poke")
        got = asked(b, [], options)
        assert got == portfolio.margin(CASH, [], options, b.risk())[:4]


# ---------------------------------------------------------------- curves


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_curves_serve_after_a_move_of_30_percent(factor):
    """They hold values over S by the log of S / K: made anew at the moved price they ask the same, but for
    the seconds that have gone by."""
    with bench(ladder(64)) as b:
        word = b.protocol.portfolio.call("curve", MARKET, EXPIRY)
        b.set_prices({MARKET: round(PRICE * factor)}, b.now + 60)
        moved = check(b)
        assert b.protocol.portfolio.call("curve", MARKET, EXPIRY) == word
        b.refresh(MARKET, EXPIRY)
        assert b.protocol.portfolio.call("curve", MARKET, EXPIRY) != word
        fresh = b.ask(b.protocol.portfolio, "margin", 10**9, b.positions(), b.words())
        for now, then in zip(fresh, moved[:4], strict=True):
            assert abs(now - then) <= abs(then) // 1_000


@pytest.mark.parametrize("count", [1, 16, 127])
def test_slots_hold_what_code_holds(count):
    """The same sheet, the same answers."""
    answers = []
    for in_slots in (False, True):
        with bench(ladder(count), in_slots) as b:
            word = b.protocol.portfolio.call("curve", MARKET, EXPIRY)
            assert (word & (2**160 - 1) == 0) == in_slots
            answers.append((word >> 160, check(b)))
    assert answers[0] == answers[1]
