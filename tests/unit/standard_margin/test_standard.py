"""StandardMargin: what it asks of a book, by hand and under change."""

from math import ceil
from random import Random

import pytest

from margincall.chain import Reverted
from margincall.model import standard
from margincall.model.book import merge
from margincall.model.instrument import CALL, CONTRACT, FUTURE, MIN_PRICE, PUT, SPOT, Instrument
from tests.fuzz.portfolios import DAY, KINDS, NOW, Maker, Sample, Smile, first_expiry, samples
from tests.fuzz.valuation import words_of
from tests.unit.standard_margin.bench import HAIRCUT, MARKETS, TERMS, bench, refusal

CASH = 10**9
EXPIRY = first_expiry(NOW) + 29 * DAY
PRICE, STEP = 2_000 * 10**7, 5 * 10**7  # a market like ETH: 2,000 USD, strikes 5 USD apart
PLAIN = Sample("plain", {2: PRICE}, {2: STEP}, {(2, EXPIRY): Smile(600_000, 0, 0)}, ())


def fragment(b, kind: int, strike: int, lots: int, amount: int = 0, market: int = 2) -> list[int]:
    expiry = 0 if kind == SPOT else EXPIRY
    return b.book.fragment(Instrument(market, kind, expiry, strike), lots, b.now, amount)


def together(*fragments) -> list[int]:
    words = []
    for each in fragments:
        words, _ = merge(words, each)
    return words


@pytest.mark.parametrize("kind", [CALL, PUT])
@pytest.mark.parametrize("away", [-0.3, 0.0, 0.3])
def test_an_option_bought_requires_its_value(kind, away):
    with bench(PLAIN) as b:
        words = fragment(b, kind, round(PRICE * (1 + away) / STEP) * STEP, 7 * CONTRACT)
        got = b.check_standard(CASH, [], words)
        assert got.initial == got.maintenance > 0
        assert got.equity == CASH + got.initial
        assert got.notional == 0


@pytest.mark.parametrize("kind", [CALL, PUT])
@pytest.mark.parametrize("away", [-0.4, -0.05, 0.0, 0.05, 0.4])
def test_an_option_sold_requires_the_formula(kind, away):
    strike = round(PRICE * (1 + away) / STEP) * STEP
    otm = max((strike - PRICE) if kind == CALL else (PRICE - strike), 0)
    with bench(PLAIN) as b:
        got = b.check_standard(CASH, [], fragment(b, kind, strike, -3 * CONTRACT))
        (curve,) = b.curves.values()
        error = ceil(curve.err * 3 * PRICE / (2**28 * 10**4))
        for asked, a, least in (
            (got.initial, TERMS.a_im, TERMS.b_im),
            (got.maintenance, TERMS.a_mm, TERMS.b_mm),
        ):
            assert asked == ceil(3 * max(a * PRICE - otm * 10**6, least * PRICE) / 10**10) + error
            assert asked * 10**4 >= 3 * PRICE * least / 10**6  # never below b * S
        assert got.notional == 3 * PRICE // 10**4
        assert got.equity < CASH  # the mark is a debt


def test_futures_and_spot_are_like_perps():
    with bench(PLAIN) as b:
        tier = MARKETS[1].terms.tiers[0]
        for lots in (50 * CONTRACT, -50 * CONTRACT):
            raw = 50 * PRICE // 10**4
            entry = lots * PRICE // 10**8
            got = b.check_standard(CASH, [], fragment(b, FUTURE, 0, lots, entry - 5))
            assert got == (CASH + 5, ceil(raw * tier.imf / 10**6), ceil(raw * tier.mmf / 10**6), raw)
        got = b.check_standard(0, [], fragment(b, SPOT, 0, 10**7))
        counts = 2_000 * (10**6 - HAIRCUT)  # of one coin at 2,000, money
        assert got == (counts, ceil(counts * tier.imf / 10**6), ceil(counts * tier.mmf / 10**6), counts)
        closing = b.ask(b.protocol.standard, "close_out", 0, [], fragment(b, SPOT, 0, 10**7))
        assert closing[3] == ceil(counts * MARKETS[1].terms.penalty / 10**6)
        assert b.protocol.standard.call("haircut", 2) == HAIRCUT


def test_a_large_future_pays_by_its_tier():
    """Twice and ten times the first tier's edge: what the base rule asks of such a perp, slope too."""
    edge = MARKETS[1].terms.tiers[1].lower * 10**8 // PRICE // CONTRACT * CONTRACT
    with bench(PLAIN) as b:
        for lots in (2 * edge, -10 * edge):
            words = fragment(b, FUTURE, 0, lots, 77)
            for function in (standard.margin, standard.close_out):
                perp = b.ask(b.protocol.markets, function.__name__, CASH, [(2, lots, 77)], [])
                got = b.ask(b.protocol.standard, function.__name__, CASH, [], words)
                assert got == b.standard(function, CASH, [], words)
                assert got[1:] == perp[1:]  # equity differs by funding


def test_spot_and_futures_are_judged_at_any_price():
    """Only options need the price's log code, which ends at MIN_PRICE."""
    with bench(PLAIN._replace(prices={2: MIN_PRICE - 1})) as b:
        for kind in (SPOT, FUTURE):
            b.check_standard(CASH, [], fragment(b, kind, 0, 10**12))
        option = fragment(b, CALL, STEP, CONTRACT)
        assert refusal(b.standard, standard.margin, CASH, [], option) == "log code: price out of range"
        with pytest.raises(Reverted, match="log code: price out of range"):
            b.ask(b.protocol.standard, "margin", CASH, [], option)


def test_without_a_book_it_is_the_base_rule():
    with bench(PLAIN) as b:
        perps = [(2, 123_456_789, 77)]
        for function in ("margin", "initial", "close_out"):
            base = b.ask(b.protocol.markets, function, CASH, perps, [])
            assert b.ask(b.protocol.standard, function, CASH, perps, []) == base


def test_perps_are_not_netted():
    """A perp sold against a future bought: both pay."""
    with bench(PLAIN) as b:
        future = fragment(b, FUTURE, 0, 50 * CONTRACT, 50 * PRICE // 10**4)
        both = b.check_standard(CASH, [(2, -50 * CONTRACT, 0)], future)
        one = b.check_standard(CASH, [], future)
        assert both.initial == 2 * one.initial
        assert both.maintenance == 2 * one.maintenance


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_trades_does_not_matter(kind):
    for sample in samples(kind, 3, seed=3):
        with bench(sample) as b:
            positions = list(sample.positions)
            first = b.check_standard(CASH, b.positions(), b.words())
            for turn in range(2):
                Random(turn).shuffle(positions)
                assert b.check_standard(CASH, b.positions(), words_of(tuple(positions), b.book)) == first


@pytest.mark.parametrize("kind", KINDS)
def test_twice_the_book_asks_twice(kind):
    """To the rounding of each position, and of spot to a lot."""
    for sample in samples(kind, 4, seed=4):
        with bench(sample) as b:
            words = b.words()
            once = b.check_standard(0, [], words)
            twice = b.check_standard(0, [], merge(words, words)[0])
            legs, lot = len(sample.positions), sum(b.prices.values()) // 10**8 + 1
            for one, two in zip(once[1:], twice[1:], strict=True):
                assert abs(two - 2 * one) <= 2 * legs + lot
            lot = sum(1 + price // 10**8 for price in sample.prices.values())
            assert abs(twice.equity - 2 * once.equity) <= lot + legs


def test_more_of_anything_never_asks_less():
    maker = Maker(Random("more"), days=(7, 30))
    market = maker.market()
    for expiry in maker.expiries:
        maker.smile(market, expiry)
    names = [(kind, e, x) for kind in (CALL, PUT) for e in maker.expiries for x in (-0.3, -0.05, 0.05, 0.3)]
    for kind, expiry, x in names:
        maker.option(market, expiry, maker.strike(market, x), 1, kind)
    with bench(maker.done("more")) as b:
        words, last = [], standard.Margin(0, 0, 0, 0)
        for turn, (kind, expiry, x) in enumerate(names):
            size = (turn + 1) * CONTRACT * (-1 if turn % 2 else 1)
            option = Instrument(market, kind, expiry, maker.strike(market, x))
            words, _ = merge(words, b.book.fragment(option, size, b.now))
            got = b.check_standard(CASH, [], words)
            assert got.initial >= last.initial
            assert got.maintenance >= last.maintenance
            last = got


@pytest.mark.parametrize("kind", ["random", "wings", "oneday", "ladder"])
def test_what_was_paid_for_is_never_liquidated(kind):
    """Options bought, nothing sold: equity less maintenance margin never falls below cash, whatever the price
    does and however wide the error bounds of the last hours are."""
    for sample in samples(kind, 4, seed=8):
        bought = [p._replace(size=abs(p.size)) for p in sample.positions if p.kind in (CALL, PUT)]
        with bench(sample._replace(positions=tuple(bought))) as b:
            words = b.words()
            last = min(p.expiry for p in bought)
            for left, share in ((0, 1), (0, 0.65), (0, 0.95), (0, 1.4), (7_200, 1), (600, 0.9)):
                prices = {m: round(price * share) for m, price in sample.prices.items()}
                b.set_prices(prices, at=last - left - 100 if left else b.now + 100)
                if left:
                    for key in sample.smiles:
                        b.refresh(*key)
                got = b.check_standard(CASH, [], words)
                assert got.initial == got.maintenance
                assert got.equity - got.maintenance >= CASH
