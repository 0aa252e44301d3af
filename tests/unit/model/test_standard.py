"""The rule of cross accounts with a book, by hand."""

import math
from fractions import Fraction

import pytest

from margincall.model import Market, Rules, Tier, standard
from margincall.model import Terms as MarketTerms
from margincall.model import margin as cross
from margincall.model.arithmetic import Refused
from margincall.model.book import Segment, pack
from margincall.model.instrument import log_code
from margincall.model.standard import Terms, check_terms, close_out, margin, sold
from tests.unit.model.test_portfolio import BOOK, CONSTANT, EXPIRY, FLAG, STEP, S, risk, words

NOW = EXPIRY - 86_400
AGE = 300
TERMS = {1: Terms(), 2: Terms()}


def market(market_id: int = 1) -> Market:
    result = Market(
        market_id,
        Rules(),
        MarketTerms((Tier(0, 50_000, 25_000), Tier(10**6, 200_000, 100_000)), penalty=7_000),
    )
    result.mark, result.published, result.accrued_at = S, NOW, NOW
    return result


MARKETS = {1: market(1), 2: market(2)}


def asked(book: list[int], positions=(), cash: int = 0, err: int = 0):
    return margin(cash, positions, book, risk(CONSTANT, err), MARKETS, TERMS, NOW, AGE)


def test_without_a_book_it_is_the_cross_rule():
    positions = [(1, 123_456, 77), (2, -54_321, -5)]
    assert asked([], positions, 1_000) == cross.margin(1_000, positions, MARKETS, NOW, AGE)
    got = close_out(1_000, positions, [], risk(), MARKETS, TERMS, NOW, AGE)
    assert got == cross.close_out(1_000, positions, MARKETS, NOW, AGE)


def test_an_option_bought_backs_nothing_else():
    """2000 lanes of 65536 at the mark: a call is worth that share of the price, a put by parity."""
    strike = S + STEP
    for flag, forward, money, each in (
        (0, 0, 0, Fraction(2_000 * S, 65_536)),
        (FLAG, -70_000, -7 * strike // 10**4, Fraction(2_000 * S, 65_536) - S + strike),
    ):
        got = asked(words((strike, 7, flag), forward=forward, money=money), err=1_000)
        held = math.floor(7 * each / 10**4)  # the curves' error is no price
        assert got == (held, held, held, 0)


def test_a_put_that_the_curve_values_below_zero_requires_nothing():
    strike = S - 20 * STEP
    got = asked(words((strike, 7, FLAG), forward=-70_000, money=-7 * strike // 10**4))
    assert got == (0, 0, 0, 0)


def test_an_option_sold_by_the_formula():
    terms = Terms(a_im=150_000, b_im=100_000, a_mm=75_000, b_mm=70_000)
    price = 2_000 * 10**4
    at = sold(3, price, price, False, terms)
    assert (at.initial, at.maintenance, at.raw) == (900, 450, 30_000 * price)
    assert sold(3, price, 2_060 * 10**4, False, terms)[:2] == (720, 420)  # 60 out of the money
    assert sold(3, price, 3_000 * 10**4, False, terms)[:2] == (600, 420)
    assert sold(3, price, 1_940 * 10**4, True, terms)[:2] == (720, 420)
    assert sold(3, price, 3_000 * 10**4, True, terms)[:2] == (900, 450)  # in the money
    assert sold(3, price + 1, price, False, terms)[:2] == (901, 451)


def test_a_short_option_is_a_debt_and_a_requirement():
    got = asked(words((S, -3, 0)), cash=10**9)
    assert got.equity == 10**9 + math.floor(Fraction(-3 * 2_000 * S, 65_536 * 10**4))
    assert got.initial == math.ceil(Fraction(3 * S * 15, 100 * 10**4))
    assert got.maintenance == math.ceil(Fraction(3 * S * 75, 1_000 * 10**4))
    assert got.notional == 3 * S // 10**4


def test_futures_and_spot_pay_by_the_tier_of_their_notional():
    """As a perp of the same size does; its slope too."""
    for lots in (50_000, 5_000_000, -5_000_000):
        book = words(forward=lots, money=11)
        got = asked(book)
        raw = abs(lots) * S // 10**8
        first, rest = min(raw, 10**6), max(raw - 10**6, 0)
        assert (got.initial, got.notional) == (first // 20 + rest // 5, raw)
        assert got.maintenance == first // 40 + rest // 10
        assert got.equity == lots * S // 10**8 - 11
        perp = cross.close_out(0, [(1, lots, 11)], MARKETS, NOW, AGE)
        assert close_out(0, [], book, risk(), MARKETS, TERMS, NOW, AGE) == perp
    counts = 10_000 * S // 10**8
    assert asked(pack([Segment(1, 0, 10_000)])) == (counts, counts // 20, counts // 40, counts)


def test_a_future_behind_puts_is_seen():
    """Forward and money hold the put's parity beside the future's entry."""
    put = words((S, 2, FLAG), forward=-20_000, money=-2 * S // 10**4)
    both = words((S, 2, FLAG), forward=10_000, money=-2 * S // 10**4 + 5)
    assert asked(both).initial - asked(put).initial == 30_000 * S // 10**8 // 20
    assert asked(both).notional == 30_000 * S // 10**8


def test_closing_costs_the_penalty_of_what_can_lose():
    book = words((S, -3, 0), (S + STEP, 4, 0), forward=50_000)
    got = close_out(0, [(1, 10_000, 0)], book, risk(), MARKETS, TERMS, NOW, AGE)
    whole = asked(book, [(1, 10_000, 0)])
    assert (got.equity, got.maintenance) == (whole.equity, whole.maintenance)
    assert got.penalty == (30_000 + 50_000 + 10_000) * S // 10**8 * 7 // 1_000
    assert got.slope == got.maintenance + 10**6 * (100_000 - 25_000) // 10**6  # the future's second tier
    deep = log_code(S // 4)
    off = pack([Segment(1, EXPIRY, lanes=[[deep, 2]])])
    value = 2 * (S - BOOK.strike(1, deep)) // 10**4
    assert asked(off)[:3] == (value, value, value)


def test_stale_things_refuse():
    with pytest.raises(Refused, match="curve: none"):
        margin(0, [], words((S, 1, 0)), risk()._replace(curves={}), MARKETS, TERMS, NOW, AGE)
    with pytest.raises(Refused, match="price: stale"):
        margin(0, [(1, 1, 0)], [], risk(), {1: market()}, TERMS, NOW + AGE + 1, AGE)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        (Terms(b_im=150_001), "standard: initial rates"),
        (Terms(b_im=0), "standard: initial rates"),
        (Terms(b_mm=75_001), "standard: maintenance rates"),
        (Terms(a_im=10**6 + 1), "standard: initial rates"),
        (Terms(a_mm=150_001), "standard: im below mm"),
        (Terms(a_mm=110_000, b_mm=100_001), "standard: im below mm"),
    ],
)
def test_terms_out_of_bounds_are_refused(terms, reason):
    check_terms(Terms())
    with pytest.raises(Refused, match=reason):
        check_terms(terms)


def test_legs_name_their_market():
    book = words((S, -3, 0)) + words((S, 5, 0), market=2, forward=10_000)
    assert [found for found, _ in standard.legs(book, risk(), MARKETS, TERMS)] == [1, 2, 2]
