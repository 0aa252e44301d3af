"""Every reason for which Book.vy refuses; contract and twin give the same one."""

import pytest

from margincall.chain import Reverted
from margincall.model.arithmetic import Refused
from margincall.model.book import Segment, pack
from margincall.model.instrument import CALL, CONTRACT, FUTURE, PUT, SPOT, Instrument, log_code
from tests.unit.book.pair import START, Pair

DAY = 86_400
NEXT = START // DAY * DAY + DAY + 28_800
STRIKE = 60_000 * 10**6


@pytest.fixture(scope="module")
def pair():
    return Pair()


def option(kind=CALL, market=1, expiry=NEXT, strike=STRIKE):
    return Instrument(market, kind, expiry, strike)


@pytest.mark.parametrize(
    ("instrument", "lots", "reason"),
    [
        (option(market=0), CONTRACT, "option: market"),
        (option(market=64), CONTRACT, "option: market"),
        (option(market=4), CONTRACT, "option: no grid"),
        (Instrument(1), CONTRACT, "option: kind"),
        (option(kind=5), CONTRACT, "option: kind"),
        (option(), 0, "option: zero size"),
        (Instrument(1, SPOT), 0, "option: zero size"),
        (Instrument(1, SPOT, NEXT), 1, "option: spot has no expiry"),
        (Instrument(1, SPOT, 0, STRIKE), 1, "option: spot has no expiry"),
        (Instrument(1, FUTURE, NEXT, STRIKE), CONTRACT, "option: future has no strike"),
        (option(expiry=NEXT + 1), CONTRACT, "option: not an expiry"),
        (option(expiry=0), CONTRACT, "option: not an expiry"),
        (Instrument(1, FUTURE), CONTRACT, "option: not an expiry"),
        (option(expiry=NEXT - 2 * DAY), CONTRACT, "option: expired"),
        (option(expiry=NEXT + 401 * DAY), CONTRACT, "option: expiry too far"),
        (option(), CONTRACT + 1, "option: not whole contracts"),
        (option(), -1, "option: not whole contracts"),
        (Instrument(1, FUTURE, NEXT), CONTRACT // 2, "option: not whole contracts"),
        (option(strike=0), CONTRACT, "option: strike"),
        (option(strike=STRIKE + 10_000), CONTRACT, "option: strike"),
        (option().id | 1 << 88, CONTRACT, "option: strike"),
        (option(market=3, strike=10_000_000 * 3), CONTRACT * 2**34, "book: gross too large"),
        (Instrument(1, FUTURE, NEXT), 2**56 // CONTRACT * CONTRACT, "book: forward too large"),
        (option(kind=PUT), -CONTRACT * (2**34 + 2**33), "book: gross too large"),
        (Instrument(1, SPOT), 2**55, "book: forward too large"),
        (Instrument(1, SPOT), -(2**55), "book: forward too large"),
    ],
)
def test_fragments(pair, instrument, lots, reason):
    with pytest.raises(Refused, match=f"^{reason}$"):
        pair.fragment(instrument, lots)


def test_the_last_expiry_and_the_first_second_after(pair):
    last = (pair.chain.timestamp + 3_600 - 28_800) // DAY * DAY + 400 * DAY + 28_800
    assert pair.fragment(option(expiry=last), CONTRACT)
    with pytest.raises(Refused, match="option: expiry too far"):
        pair.fragment(option(expiry=last + DAY), CONTRACT)
    pair = Pair()
    pair.chain.create(pair.chain.accounts[1], b"\x00", at=NEXT)
    with pytest.raises(Refused, match="option: expired"):
        pair.fragment(option(), CONTRACT)


def test_strikes_finer_than_their_codes():
    """Codes are 7.6e-7 apart: at 60,000 USD that is 0.046 USD, and a step of 0.01 has no code of its own."""
    pair = Pair({1: 10_000})
    codes = {}
    for strike in range(STRIKE, STRIKE + 100_000, 10_000):
        if pair.strike(1, log_code(strike)) == strike:
            (_, lane) = pair.fragment(option(strike=strike), CONTRACT)
            codes[lane & 2**24 - 1] = strike
        else:
            with pytest.raises(Refused, match="option: strike"):
                pair.fragment(option(strike=strike), CONTRACT)
    assert 0 < len(codes) < 10
    for code, strike in codes.items():
        assert pair.strike(1, code) == strike


def test_strikes_beyond_the_codes():
    pair = Pair({1: 10_000})
    for strike in (10_000, 3_030_000, 1_099_511_300_000):
        with pytest.raises(Refused, match="log code: price out of range"):
            pair.fragment(option(strike=strike), CONTRACT)
    for strike in (3_040_000, 3_050_000, 3_060_000):
        assert pair.fragment(option(strike=strike), CONTRACT)


def test_money_of_a_fragment(pair):
    future = Instrument(1, FUTURE, NEXT)
    for amount in (2**71 - 1, 1 - 2**71):
        assert pair.fragment(future, CONTRACT, amount)
    for amount in (2**71, -(2**71)):
        with pytest.raises(Refused, match="book: money too large"):
            pair.fragment(future, CONTRACT, amount)


def test_grids():
    pair = Pair()
    for market, step, reason in (
        (0, 10_000, "option: market"),
        (64, 10_000, "option: market"),
        (1, 10_000, "option: grid is set"),
        (4, 0, "option: step"),
        (4, 10_001, "option: step"),
        (4, 2**40 + 10_000 - 2**40 % 10_000, "option: step"),
    ):
        with pytest.raises(Refused, match=f"^{reason}$"):
            pair.set_grid(market, step)
    pair.set_grid(63, 10_000)
    assert pair.contract.call("steps", 63) == 10_000


def test_only_the_owner_sets_a_grid_and_hands_it_on():
    pair = Pair()
    owner, other = pair.chain.accounts[:2]
    with pytest.raises(Reverted, match="ownable: caller is not the owner"):
        pair.contract.send(other, "set_grid", 9, 10_000)
    pair.contract.send(owner, "transfer_ownership", other)
    assert pair.contract.call("owner") == owner
    assert pair.contract.call("pending_owner") == other
    pair.contract.send(other, "accept_ownership")
    receipt = pair.contract.send(other, "set_grid", 9, 10_000)
    (event,) = pair.contract.events(receipt, "GridSet")
    assert event.args == {"market": 9, "step": 10_000}


def test_fragments_out_of_order(pair):
    first, second = pair.fragment(option(), CONTRACT), pair.fragment(option(expiry=NEXT + DAY), CONTRACT)
    for fragment in (second + first, first + first):
        with pytest.raises(Refused, match="book: not sorted"):
            pair.merge([], fragment)


def test_spot_below_zero(pair):
    words = pair.book((Instrument(1, SPOT), 5))
    fragment = pair.fragment(Instrument(1, SPOT), 6)
    for held in (words, []):
        with pytest.raises(Refused, match="book: spot below zero"):
            pair.merge(held, fragment, True)


def test_too_many_words(pair):
    words = pack(Segment(1, NEXT + day * DAY, CONTRACT) for day in range(48))
    more = pair.fragment(option(market=2, strike=4_000 * 10**7), CONTRACT)
    for fragment in (more, more[:1] if more[0] & 2**128 - 1 else pair.fragment(Instrument(2, SPOT), 1)):
        with pytest.raises(Refused, match="book: too many words"):
            pair.merge(words, fragment)
    assert pair.merge(words, pair.fragment(Instrument(1, FUTURE, NEXT), CONTRACT), True)[1]


def test_too_many_positions(pair):
    """128 lanes and forwards; a position that shows when another goes away is not refused."""
    lanes = 126
    code = pair.fragment(option(), CONTRACT)[1] & 2**24 - 1
    calls = Segment(1, NEXT, lanes=[[code + k, 1] for k in range(1, lanes + 1)])
    put = pair.fragment(option(kind=PUT, expiry=NEXT + DAY), CONTRACT)
    future = pair.fragment(Instrument(1, FUTURE, NEXT + DAY), CONTRACT)
    words, _ = pair.merge(calls.words(), put)
    with pytest.raises(Refused, match="book: too many positions"):
        pair.merge(words, pair.fragment(option(), CONTRACT))
    words, _ = pair.merge(words, future)  # the put's short forward and the future: none
    words, _ = pair.merge(words, pair.fragment(option(), CONTRACT))
    assert pair.merge(words, future, True)[1]
    assert pair.split(words, 1_000) == words


def test_gross_of_an_underlying(pair):
    """Over all expiries of a market together, not over markets."""
    limit = CONTRACT * (2**34 - 2)
    words = pair.book((option(), limit), (option(market=2, strike=4_000 * 10**7), -limit))
    words, _ = pair.merge(words, pair.fragment(option(expiry=NEXT + DAY), -CONTRACT))
    with pytest.raises(Refused, match="book: gross too large"):
        pair.merge(words, pair.fragment(option(expiry=NEXT + 2 * DAY), CONTRACT))
    with pytest.raises(Refused, match="book: gross too large"):
        pair.merge(words, pair.fragment(option(), 2 * CONTRACT))


@pytest.mark.parametrize(
    ("first", "second", "reason"), [((2**55 - 1, 0), (1, 0), "forward"), ((1, 2**71 - 1), (1, 1), "money")]
)
def test_sums_that_do_not_fit(pair, first, second, reason):
    for sign in (1, -1):
        words = Segment(1, NEXT, sign * first[0], sign * first[1]).words()
        fragment = Segment(1, NEXT, second[0], second[1]).words()
        with pytest.raises(Refused, match=f"book: {reason} too large"):
            pair.merge(words, fragment, sign < 0)


def test_slices_settlements_and_strikes(pair):
    words = pair.book((option(), CONTRACT))
    with pytest.raises(Refused, match="book: quanta"):
        pair.split(words, 1_001)
    with pytest.raises(Refused, match="book: spot does not expire"):
        pair.payoff(words, 1, 0, STRIKE)
    for price in (1, STRIKE + 1, 2**40 + 10_000 - 2**40 % 10_000):
        with pytest.raises(Refused, match="book: price"):
            pair.payoff(words, 1, NEXT, price)
    with pytest.raises(Refused, match="option: code"):
        pair.strike(1, 2**24)
    with pytest.raises(Refused, match="option: no grid"):
        pair.strike(4, 1)
