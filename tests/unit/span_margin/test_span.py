"""SpanMargin: risk arrays against Black-76, the rule by hand and under change, what makes arrays stale."""

from math import ceil, log, sqrt
from random import Random

import pytest

from margincall.model import span
from margincall.model.book import merge
from margincall.model.instrument import CALL, CONTRACT, FUTURE, PUT, SPOT, log_code
from margincall.specification import black
from tests.fuzz.portfolios import KINDS, samples
from tests.fuzz.valuation import words_of
from tests.unit.span_margin.arrays import TERMS, Span
from tests.unit.standard_margin.bench import WINDOW, bench
from tests.unit.standard_margin.test_standard import EXPIRY, PLAIN, PRICE, STEP, fragment, together

CASH = 10**9
NEAR = round(0.9 * PRICE / STEP) * STEP


@pytest.mark.parametrize("away", [-0.4, -0.1, 0.0, 0.1, 0.4])
def test_an_array_is_what_a_call_loses(away):
    """Each lane against Black-76 in real numbers, within the series' own error bound."""
    with bench(PLAIN) as b:
        rule, strike = Span(b), round(PRICE * (1 + away) / STEP) * STEP
        made_at = b.now  # the curve was made in this second
        rule.refresh(2, EXPIRY, [strike])
        series = rule.arrays[2, EXPIRY, log_code(strike)]

        def value(move: float, shock: float, seconds: int) -> float:
            """Of a call after the move, as a share of the price before."""
            moved = PRICE * (1 + move)
            vol = 0.6 * shock * sqrt(seconds / black.YEAR)
            return float(black.gamma(log(moved / strike), vol)) * (1 + move)

        start, end = EXPIRY - made_at, EXPIRY - made_at - WINDOW
        now = value(0, 1, end)
        error = series.error / 2**28
        assert abs(series.value / 2**28 - now) <= error
        for j, thirds in enumerate(span.THIRDS):
            move = thirds * TERMS.third / 2**16
            if j >= span.EXTREME:
                loss = 0.35 * (now - value(move, 1, end))
            else:
                loss = now - (value(move, 0.75, end) if j % 2 else value(move, 1.3, start))
            assert abs(series.lanes[j] / 2**16 - loss) <= error
        for share in (-1, -0.5, 0.5, 1):  # the line between two refreshes
            move = share * span.DRIFT / 2**16
            line = (series.value + series.delta * move) / 2**28
            assert abs(line - value(move, 1, end)) <= error


def test_what_is_linear_moves_by_the_range():
    with bench(PLAIN) as b:
        rule, lots = Span(b), 50 * CONTRACT
        notional = 50 * PRICE // 10**4
        for sign in (1, -1):
            for perps, words in (
                ([(2, sign * lots, 0)], []),
                ([], fragment(b, FUTURE, 0, sign * lots, 0)),
            ):
                got = rule.check(CASH, perps, words)
                assert got.maintenance == ceil(notional * 3 * TERMS.third / 2**16)
                assert got.initial == ceil(got.maintenance * 1.25)
                assert got.notional == notional
        spot = rule.check(0, [], fragment(b, SPOT, 0, 10**7))
        assert spot.equity == 1_900 * 10**6
        assert spot.maintenance == ceil(1_900 * 10**6 * 3 * TERMS.third / 2**16)


def test_a_perp_hedges_a_future_to_the_unit():
    with bench(PLAIN) as b:
        rule = Span(b)
        words = fragment(b, FUTURE, 0, 70 * CONTRACT)
        assert rule.check(CASH, [(2, -70 * CONTRACT, 0)], words)[1:] == (0, 0, 0)


def test_a_box_requires_only_what_the_lanes_round():
    """Bought and sold synthetic forwards at two strikes. The minimum of calls sold is what is asked."""
    with bench(PLAIN) as b:
        rule, high = Span(b), PRICE + 20 * STEP
        words = together(
            fragment(b, CALL, PRICE, 5 * CONTRACT),
            fragment(b, PUT, PRICE, -5 * CONTRACT),
            fragment(b, CALL, high, -5 * CONTRACT),
            fragment(b, PUT, high, 5 * CONTRACT),
        )
        rule.refresh_all(words)
        got = rule.check(0, [], words)
        assert got.maintenance == 2 * 5 * PRICE // 10**4 * TERMS.short_minimum // 10**6
        charged = 4 * 5 * max(series.error for series in rule.arrays.values()) * PRICE / 2**28 / 10**4
        worth = 5 * (high - PRICE) // 10**4
        assert worth - charged - 2 <= got.equity <= worth


def test_a_call_sold_far_out_of_the_money_requires_the_minimum():
    with bench(PLAIN) as b:
        rule = Span(b)
        words = fragment(b, CALL, round(2 * PRICE / STEP) * STEP, -10 * CONTRACT)
        rule.refresh_all(words)
        assert rule.check(0, [], words).maintenance == ceil(10 * PRICE / 10**4 * TERMS.short_minimum / 10**6)


def test_a_call_bought_loses_at_most_its_value():
    with bench(PLAIN) as b:
        rule = Span(b)
        for away in (-0.3, -0.05, 0, 0.05, 0.3):
            words = fragment(b, CALL, round(PRICE * (1 + away) / STEP) * STEP, 100 * CONTRACT)
            rule.refresh_all(words)
            got = rule.check(0, [], words)
            lane = 100 * PRICE / 2**16 / 10**4
            assert got.maintenance <= got.equity + 8 * lane + 1


@pytest.mark.parametrize("kind", KINDS)
def test_order_and_scale(kind):
    """The order of trades does not matter; twice the book is twice everything, to roundings."""
    for sample in samples(kind, 2, seed=5):
        with bench(sample) as b:
            rule, words = Span(b), b.words()
            rule.refresh_all(words)
            once = rule.check(0, [], words)
            positions = list(sample.positions)
            Random(1).shuffle(positions)
            assert rule.check(0, [], words_of(tuple(positions), b.book)) == once
            twice = rule.check(0, [], merge(words, words)[0])
            lots = sum(1 + price // 10**8 for price in sample.prices.values())
            for one, two in zip(once, twice, strict=True):
                assert abs(two - 2 * one) <= 2 * lots


def test_no_offsets_across_underlyings():
    for sample in samples("multi", 4, seed=6):
        with bench(sample) as b:
            rule, words = Span(b), b.words()
            rule.refresh_all(words)
            whole = rule.check(0, [], words)
            alone = [
                rule.check(0, [], words_of(tuple(p for p in sample.positions if p.market == m), b.book))
                for m in sample.prices
            ]
            assert whole.maintenance == sum(part.maintenance for part in alone)
            assert whole.equity == sum(part.equity for part in alone)


def test_arrays_must_follow_the_price():
    """Within one percent of where it was made an array serves; beyond, nobody can be judged until somebody
    makes it anew. The portfolio rule reads the same book at the same moved price."""
    with bench(PLAIN) as b:
        rule = Span(b)
        words = fragment(b, CALL, PRICE, -CONTRACT)
        rule.refresh_all(words)
        edge = PRICE * span.DRIFT // span.PRICE
        for price in (PRICE + edge, PRICE - edge, PRICE):
            b.set_prices({2: price}, at=b.now + 60)
            rule.check(CASH, [], words)
        b.set_prices({2: PRICE + edge + 1}, at=b.now + 60)
        with pytest.raises(Exception, match="span: price moved"):
            b.ask(rule.contract, "margin", CASH, [], words)
        assert b.ask(b.protocol.portfolio, "margin", CASH, [], words)[1] > 0
        rule.refresh_all(words)
        rule.check(CASH, [], words)


def test_the_time_of_use_is_the_curves():
    with bench(PLAIN) as b:
        rule = Span(b)
        words = fragment(b, CALL, NEAR, CONTRACT)
        rule.refresh_all(words)
        until = b.curves[2, EXPIRY].valid_until
        b.set_prices({2: PRICE}, at=until)
        rule.check(CASH, [], words)
        b.set_prices({2: PRICE}, at=until + 1)
        with pytest.raises(Exception, match="span: stale"):
            b.ask(rule.contract, "margin", CASH, [], words)
