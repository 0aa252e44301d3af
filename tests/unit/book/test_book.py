"""Book.vy by hand: what a position is in words, parity, futures beside puts, order, settlement."""

from datetime import UTC, datetime

import pytest

from margincall.model import book as layout
from margincall.model.book import unpack
from margincall.model.instrument import CALL, CONTRACT, FUTURE, PUT, SPOT, Instrument, log_code
from tests.unit.book.pair import MARKETS, Pair

USD = 10**6
JAN = int(datetime(2025, 1, 31, 8, tzinfo=UTC).timestamp())
BTC = 10**6  # price units of one USD a coin, market 1


@pytest.fixture(scope="module")
def pair():
    return Pair()


def test_a_call_in_bits(pair):
    head, lanes = pair.fragment("BTC-31JAN25-100000-C", -3 * CONTRACT)
    assert head == 3 << 128 | 1 << 168 | JAN << 176 | 1 << 208 | 3 << 216
    assert lanes == log_code(100_000 * BTC) | (2**38 - 3) << 25


def test_a_put_is_a_call_and_a_short_forward(pair):
    """Two puts at 90,000 on 0.0001 BTC each: strikes of 18 USD, 20,000 lots."""
    (segment,) = unpack(pair.fragment("BTC-31JAN25-90000-P", 2 * CONTRACT))
    assert (segment.forward, segment.money) == (-2 * CONTRACT, -18 * USD)
    assert segment.lanes == [[log_code(90_000 * BTC) | layout.PUT_FLAG, 2]]
    assert (segment.gross, segment.short, segment.futures) == (2, 0, 0)


def test_futures_and_spot_are_heads_alone(pair):
    (segment,) = unpack(pair.fragment("BTC-31JAN25", -5 * CONTRACT, -47 * USD))
    assert (segment.forward, segment.money, segment.lanes) == (-5 * CONTRACT, -47 * USD, [])
    (segment,) = unpack(pair.fragment("ETH-SPOT", 123))
    assert segment.key == (2, 0)
    assert (segment.forward, segment.money) == (123, 0)


def test_parity(pair):
    """A long put, a short call and a long future at the strike pay nothing at any price."""
    words = pair.book(
        ("BTC-31JAN25-100000-P", 4 * CONTRACT),
        ("BTC-31JAN25-100000-C", -4 * CONTRACT),
        ("BTC-31JAN25", 4 * CONTRACT, 40 * USD),
    )
    (segment,) = unpack(words)
    assert (segment.forward, segment.money) == (0, 0)
    for price in (0, 10_000, 60_000 * BTC, 100_000 * BTC, 140_000 * BTC, 2**40 - 2**40 % 10_000 - 10_000):
        assert pair.payoff(words, 1, JAN, price)[1] == 0


def test_box(pair):
    """A box of 90,000 and 110,000 pays the distance at every price: 20,000 USD * 0.0001 * 7."""
    words = pair.book(
        ("BTC-31JAN25-90000-C", 7 * CONTRACT),
        ("BTC-31JAN25-110000-C", -7 * CONTRACT),
        ("BTC-31JAN25-110000-P", 7 * CONTRACT),
        ("BTC-31JAN25-90000-P", -7 * CONTRACT),
    )
    (segment,) = unpack(words)
    assert (segment.forward, segment.gross, segment.short) == (0, 28, 14)
    for price in (0, 50_000 * BTC, 100_000 * BTC, 200_000 * BTC):
        assert pair.payoff(words, 1, JAN, price) == (words, 14 * USD)


def test_a_future_stays_apart_from_a_put_that_hides_it(pair):
    words = pair.book(("BTC-31JAN25", CONTRACT, 9 * USD), ("BTC-31JAN25-90000-P", CONTRACT))
    assert unpack(words)[0].forward == 0
    assert pair.positions(words) == {"BTC-31JAN25": CONTRACT, "BTC-31JAN25-90000-P": CONTRACT}
    part = pair.split(words, 1)
    assert part == words  # one contract of each: a thousandth is all of it
    left, reduces = pair.merge(words, pair.fragment("BTC-31JAN25", -CONTRACT, -9 * USD))
    assert reduces
    assert pair.positions(left) == {"BTC-31JAN25-90000-P": CONTRACT}


@pytest.mark.parametrize(
    ("held", "change", "reduces"),
    [
        (3, -1, True),
        (3, -3, True),
        (3, -4, False),
        (3, 1, False),
        (-3, 3, True),
        (-3, 5, False),
        (-3, -1, False),
        (0, 1, False),
    ],
)
@pytest.mark.parametrize("name", ["BTC-31JAN25", "BTC-31JAN25-90000-P", "BTC-31JAN25-90000-C"])
def test_reduces(pair, name, held, change, reduces):
    others = ("BTC-31JAN25-95000-P", 2 * CONTRACT), ("BTC-28FEB25", -CONTRACT), ("BTC-SPOT", 5)
    words = pair.book(*others, *([(name, held * CONTRACT)] if held else []))
    for_all, all_smaller = pair.merge(words, pair.fragment(name, change * CONTRACT))
    assert all_smaller is reduces
    assert pair.positions(for_all).get(name, 0) == (held + change) * CONTRACT
    assert pair.merge(words, pair.fragment(name, -change * CONTRACT), True) == (for_all, reduces)


def test_reduces_of_spot(pair):
    words = pair.book(("BTC-SPOT", 10))
    assert pair.merge(words, pair.fragment("BTC-SPOT", 4), True)[1]
    assert not pair.merge(words, pair.fragment("BTC-SPOT", 4))[1]
    assert pair.merge(words, pair.fragment("BTC-SPOT", 10), True) == ([], True)


def test_one_position_that_grows_is_no_reduction(pair):
    words = pair.book(("BTC-31JAN25-90000-C", 5 * CONTRACT), ("ETH-31JAN25-4000-C", 5 * CONTRACT))
    change = pair.book(("BTC-31JAN25-90000-C", -CONTRACT), ("ETH-31JAN25-4000-C", CONTRACT))
    assert not pair.merge(words, change)[1]
    assert pair.merge(words, [])[1]  # nothing grew


def test_order_of_segments_and_lanes(pair):
    names = [f"{coin}-{day}" for coin in ("SOL", "BTC", "ETH") for day in ("28FEB25", "31JAN25")]
    words = pair.book(*((name, CONTRACT) for name in names), ("ETH-SPOT", 1))
    assert [segment.key[0] for segment in unpack(words)] == [1, 1, 2, 2, 2, 3, 3]
    assert [segment.key for segment in unpack(words)] == sorted(segment.key for segment in unpack(words))

    strikes = [80_000, 85_000, 90_000, 95_000, 100_000, 105_000]
    words = pair.book(*((f"BTC-31JAN25-{strike}-C", CONTRACT) for strike in strikes), ("ETH-SPOT", 1))
    assert len(words) == 4
    words, _ = pair.merge(words, pair.fragment("BTC-31JAN25-85000-C", -CONTRACT))
    assert list(pair.positions(words))[:5] == [
        f"BTC-31JAN25-{strike}-C" for strike in (80_000, 105_000, 90_000, 95_000, 100_000)
    ]
    words, _ = pair.merge(words, pair.fragment("BTC-31JAN25-90000-C", -CONTRACT))
    assert len(words) == 3  # the second word of lanes is gone, the spot behind it moved up


def test_money_keeps_an_empty_segment_until_it_settles(pair):
    """A future that closed 5 USD better than it opened: the gain is paid at expiry, whatever the price."""
    words = pair.book(("BTC-31JAN25", CONTRACT, 10 * USD), ("BTC-31JAN25", -CONTRACT, -15 * USD))
    (segment,) = unpack(words)
    assert (segment.forward, segment.money, segment.lanes) == (0, -5 * USD, [])
    assert pair.split(words, 999) == []
    assert pair.split(words, 1_000) == words
    for price in (0, 77_000 * BTC):
        fragment, paid = pair.payoff(words, 1, JAN, price)
        assert paid == 5 * USD
        assert pair.merge(words, fragment, True) == ([], True)


def test_settlement(pair):
    """At 101,000: the 95,000 call pays 0.60, the 105,000 put 0.40 less, the future its price less 9 each."""
    words = pair.book(
        ("BTC-31JAN25-95000-C", 1 * CONTRACT),
        ("BTC-31JAN25-105000-P", -1 * CONTRACT),
        ("BTC-31JAN25-120000-C", -1 * CONTRACT),
        ("BTC-31JAN25", 2 * CONTRACT, 18 * USD),
        ("BTC-28FEB25-95000-C", 5 * CONTRACT),
        ("ETH-31JAN25-4000-C", 5 * CONTRACT),
    )
    fragment, paid = pair.payoff(words, 1, JAN, 101_000 * BTC)
    assert paid == 600_000 - 400_000 + (20_200_000 - 18_000_000)
    left, _ = pair.merge(words, fragment, True)
    assert set(pair.positions(left)) == {"BTC-28FEB25-95000-C", "ETH-31JAN25-4000-C"}
    assert pair.payoff(left, 1, JAN, 101_000 * BTC) == ([], 0)
    assert pair.payoff(words, 3, JAN, 101_000 * BTC) == ([], 0)


def test_settlement_a_hair_above_a_strike(pair):
    """Prices and strikes that share a log code: the difference is paid to the unit."""
    words = pair.book(("BTC-31JAN25-100000-C", 3 * CONTRACT), ("BTC-31JAN25-100000-P", -2 * CONTRACT))
    assert log_code(100_000 * BTC + 10_000) == log_code(100_000 * BTC) == log_code(100_000 * BTC - 10_000)
    assert pair.payoff(words, 1, JAN, 100_000 * BTC + 10_000)[1] == 3
    assert pair.payoff(words, 1, JAN, 100_000 * BTC)[1] == 0
    assert pair.payoff(words, 1, JAN, 100_000 * BTC - 10_000)[1] == -2


def test_split_by_hand(pair):
    """37 thousandths: contracts up to whole ones, lots of spot up, the future's entry down."""
    words = pair.book(
        ("BTC-31JAN25-95000-C", -100 * CONTRACT),
        ("BTC-31JAN25-90000-P", 10 * CONTRACT),
        ("BTC-31JAN25", -30 * CONTRACT, -299 * USD - 1),
        ("BTC-SPOT", 1_001),
    )
    part = pair.split(words, 37)
    assert pair.positions(part) == {
        "BTC-31JAN25-95000-C": -4 * CONTRACT,
        "BTC-31JAN25-90000-P": CONTRACT,
        "BTC-31JAN25": -2 * CONTRACT,
        "BTC-SPOT": 38,
    }
    _, dated = unpack(part)
    assert dated.money == -9 * USD + (-299 * USD - 1) * 2 // 30
    assert pair.merge(words, part, True)[1]
    assert pair.split(words, 0) == []


def test_a_fragment_of_48_words(pair):
    """A book of sixteen full segments of eight lanes, taken over by one that has others, and given back."""
    days = [f"{day}JAN25" for day in range(1, 17)]
    words = pair.book(
        *((f"BTC-{d}-{90_000 + 1_000 * k}-C", CONTRACT * (k + 1)) for d in days for k in range(8))
    )
    assert len(words) == 48
    taker = pair.book(("BTC-5JAN25-92000-C", -CONTRACT), ("BTC-9JAN25-96000-C", -7 * CONTRACT))
    taken, _ = pair.merge(taker, words)
    assert len(taken) == 48
    assert "BTC-9JAN25-96000-C" not in pair.positions(taken)
    back, _ = pair.merge(taken, words, True)
    assert pair.positions(back) == pair.positions(taker)
    half = pair.split(words, 500)
    assert pair.merge(words, half, True)[1]
    opposite, _ = pair.merge([], words, True)
    assert pair.merge(opposite, words) == ([], True)


def test_instruments_and_names():
    for name, instrument in {
        "BTC": Instrument(1),
        "ETH-SPOT": Instrument(2, SPOT),
        "SOL-31JAN25": Instrument(3, FUTURE, JAN),
        "BTC-31JAN25-90000-C": Instrument(1, CALL, JAN, 90_000 * BTC),
        "SOL-31JAN25-0.5-P": Instrument(3, PUT, JAN, 50_000_000),
    }.items():
        assert Instrument.parse(name, MARKETS) == instrument
        assert instrument.name(MARKETS) == name
        assert Instrument.of(instrument.id) == instrument
    assert Instrument(5).id == 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("DOGE-31JAN25", "unknown market 'DOGE'; known: BTC, ETH, SOL"),
        ("BTC-31JAM25", "31JAM25 is no date"),
        ("BTC-90000-C", "expected BTC, BTC-SPOT"),
        ("", "expected BTC, BTC-SPOT"),
        ("BTC-31JAN25-90000.0000001-C", "more than 6 decimals"),
    ],
)
def test_names_that_are_none(name, message):
    with pytest.raises(ValueError, match=message):
        Instrument.parse(name, MARKETS)


def test_ids_that_are_none():
    for id in (-1, 1 << 88, 5 << 8 | 1):
        with pytest.raises(ValueError, match="not an instrument"):
            Instrument.of(id)
    with pytest.raises(ValueError, match="no market has the id 9"):
        Instrument(9).name(MARKETS)


def test_words_that_end_early(pair):
    with pytest.raises(ValueError, match="1 words left of a segment of 2"):
        unpack(pair.fragment("BTC-31JAN25-90000-C", CONTRACT)[:1])
