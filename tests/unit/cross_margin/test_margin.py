"""The margin rule of cross and isolated accounts: tiers, sums, close-out; any header and words are fine."""

from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margincall.model import accounts
from margincall.model.margin import close_out, margin
from tests.fuzz.mirror import mirror
from tests.unit.clearinghouse.world import DEFAULT, USD, many_markets, world

EDGE = 5_000_000  # USD: BTC's second tier
BTC = 10**8


def ask(w, cash, *positions):
    """margin and close_out of an account that nobody holds."""
    header = accounts.pack_header(cash, len(positions), 0)
    words = accounts.pack_words(positions)
    return w.markets.call("margin", header, words), w.markets.call("close_out", header, words)


def test_nothing():
    with world() as w:
        assert ask(w, -5) == ((-5, 0, 0, 0), (-5, 0, 0, 0))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("lots", "initial", "maintenance", "slope"),
    [
        # 100,000 USD a coin: tiers from 5, 50, 250 million USD; rates 4/2.5, 6/3.75, 12/7.5, 24/15 %
        (10 * BTC, 40_000, 25_000, 25_000),
        (50 * BTC - 1, 200_000, 125_000, 125_000),
        (50 * BTC, 200_000, 125_000, 187_500),
        (100 * BTC, 500_000, 312_500, 375_000),
        (600 * BTC, 4_100_000, 2_562_500, 4_500_000),
    ],
)
def test_tiers(lots, initial, maintenance, slope, sign):
    with world() as w:
        margins, closing = ask(w, 0, (1, sign * lots, 0))
        notional = lots * 100_000 * USD // BTC
        assert margins[1:] == pytest.approx((initial * USD, maintenance * USD, notional), abs=100_000)
        assert closing[1] == margins[2]
        assert closing[2] == pytest.approx(slope * USD, abs=100_000)
        assert closing[3] == ceil(notional * 0.01)


def test_requirements_add_up():
    with world() as w:
        legs = [(1, 7 * BTC, 5), (2, -31 * 10**7, -9), (3, 10**9, 123_456)]
        apart = [ask(w, 0, leg) for leg in legs]
        together = ask(w, 1_000, *legs)
        for one in (0, 1):
            sums = [sum(column) for column in zip(*(part[one] for part in apart), strict=True)]
            assert together[one] == (sums[0] + 1_000, *sums[1:])


position = st.tuples(st.integers(-(2**47) + 1, 2**47 - 1).filter(bool), st.integers(-(2**63) + 1, 2**63 - 1))


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(
    st.integers(-(2**120), 2**120),
    st.lists(position, min_size=1, max_size=32),
    st.integers(0, 600),
    st.randoms(use_true_random=False),
)
def test_the_fast_loop_is_the_plain_one(cash, legs, later, rng):
    """`margin`, written out for gas, against `close_out`'s plain form and the twin, up to the last bit."""
    spec = many_markets(32)
    with world(spec) as w:
        markets = rng.sample(range(1, 33), len(legs))
        positions = [(market, *leg) for market, leg in zip(markets, legs, strict=True)]
        header = accounts.pack_header(cash, len(positions), 0)
        words = accounts.pack_words(positions)
        state = mirror(w, [])
        now = min(w.chain.timestamp + later, *(m.published + 600 for m in state.markets.values()))
        fast = w.markets.call("margin", header, words, at=now)
        plain = w.markets.call("close_out", header, words, at=now)
        assert fast == margin(cash, positions, state.markets, now, spec.max_age)
        assert plain == close_out(cash, positions, state.markets, now, spec.max_age)
        assert fast[0] == plain[0]
        assert fast[2] == plain[1]


@pytest.mark.parametrize("function", ["margin", "close_out"])
def test_stale_and_missing_prices(function):
    with world(DEFAULT) as w:
        late = w.markets.call("last_price", 1)[1] + 601
        for market, at, reason in ((1, late, "price: stale"), (9, None, "price: (none|stale)")):
            header = accounts.pack_header(0, 1, 0)
            words = accounts.pack_words([(market, 5, 5)])
            with pytest.raises(Exception, match=reason):
                w.markets.call(function, header, words, at=at)
