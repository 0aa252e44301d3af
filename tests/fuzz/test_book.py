"""Books against a plain dictionary of positions, exact fractions and mpmath; contract and twin agree to the
word in every call (tests/unit/book/pair.py)."""

import random
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import exp, floor, log, mp, mpf

from margincall.chain import EmbeddedChain, Reverted
from margincall.model.arithmetic import Refused
from margincall.model.book import MAX_WORDS, merge, unpack
from margincall.model.instrument import (
    BASE,
    CALL,
    CODES_PER_LOG,
    CONTRACT,
    FUTURE,
    MAX_CODE,
    MAX_PRICE,
    MIN_PRICE,
    PUT,
    SPOT,
    STRIKE_UNIT,
    Instrument,
    log_code,
    strike_of,
    wad_exp,
    wad_ln,
)
from tests.unit.book.pair import START, STEPS, Pair
from tests.unit.clearinghouse.world import inline

EXPOSED = inline(
    "ExposedInstrument",
    """
# pragma version 0.4.3
# pragma evm-version cancun
from snekmate.utils import math
from contracts.options import instrument

@external
@view
def log_code(price: uint256) -> uint256:
    return instrument._log_code(price)

@external
@view
def strike_of(code: uint256, step: uint256) -> uint256:
    return instrument._strike_of(code, step)

@external
@view
def logarithm(x: int256) -> int256:
    return math._wad_ln(x)

@external
@view
def exponential(x: int256) -> int256:
    return math._wad_exp(x)

@external
@view
def parts(id: uint256) -> (uint256, uint256, uint256, uint256, uint256):
    whole: uint256 = instrument._instrument(
        instrument._market(id), instrument._kind(id), instrument._expiry(id), instrument._strike(id)
    )
    return instrument._market(id), instrument._kind(id), instrument._expiry(id), instrument._strike(id), whole
""",
)
DAY = 86_400
NEXT = START // DAY * DAY + DAY + 28_800
FUZZ = settings(max_examples=250, deadline=None, derandomize=True, database=None)
BOOKS = settings(max_examples=120, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)
prices = st.integers(MIN_PRICE, MAX_PRICE)
CENTRE = {1: 60_000 * 10**6, 2: 3_000 * 10**7, 3: 150 * 10**8}

State = dict[Instrument, list[int]]  # lots, and the entry money of a future


@pytest.fixture(scope="module")
def pair():
    return Pair()


@pytest.fixture(scope="module")
def exposed():
    return EmbeddedChain().deploy(EXPOSED)


def draw_change(rng: random.Random) -> tuple[Instrument, int, int]:
    """An instrument of a small grid, so that positions meet; lots; money."""
    market, expiry = rng.choice((1, 1, 1, 2)), NEXT + DAY * rng.randrange(3)
    kind = rng.choice((CALL, CALL, CALL, PUT, PUT, PUT, FUTURE, SPOT))
    if kind == SPOT:
        return Instrument(market, SPOT), rng.choice((1, 40, 10**9)), 0
    lots = CONTRACT * rng.choice((1, 1, 2, 3, 1_000)) * rng.choice((1, -1))
    if kind == FUTURE:
        return Instrument(market, FUTURE, expiry), lots, rng.randrange(-(10**12), 10**12)
    strike = CENTRE[market] + 10 * STEPS[market] * rng.randrange(9)
    return Instrument(market, kind, expiry, strike), lots, 0


def draw_book(pair: Pair, rng: random.Random, changes: int) -> tuple[list[int], State]:
    words, state = [], {}
    for _ in range(changes):
        instrument, lots, amount = draw_change(rng)
        words, _ = pair.merge(words, pair.fragment(instrument, lots, amount))
        add(state, instrument, lots, amount)
    return words, state


def add(state: State, instrument: Instrument, lots: int, amount: int) -> bool:
    """Change a state; whether the position got smaller without changing sides."""
    held = state.setdefault(instrument, [0, 0])
    old = held[0]
    held[0] += lots
    held[1] += amount
    return abs(held[0]) < abs(old) and held[0] * old >= 0


def sizes(state: State) -> dict[Instrument, int]:
    return {instrument: lots for instrument, (lots, _) in state.items() if lots}


def held(pair: Pair, words: list[int]) -> dict[Instrument, int]:
    positions = pair.twin.positions(words)
    assert len({position.instrument for position in positions}) == len(positions)
    return dict(positions)


def entries(pair: Pair, words: list[int]) -> dict[tuple[int, int], int]:
    """Entry money of the futures by market and expiry: the head's money and the strikes of the puts."""
    found: Counter = Counter()
    for segment in unpack(words):
        found[segment.key] += segment.money
    for instrument, lots in pair.twin.positions(words):
        if instrument.kind == PUT:
            found[instrument.market, instrument.expiry] += lots * instrument.strike // 10**8
    return {key: money for key, money in found.items() if money}


def expected_entries(state: State) -> dict[tuple[int, int], int]:
    return {(key.market, key.expiry): money for key, (_, money) in state.items() if money}


@BOOKS
@given(seed=seeds, changes=st.integers(1, 45))
def test_merges_against_a_dictionary(pair, seed, changes):
    rng = random.Random(seed)
    words, state, counts = [], {}, Counter()
    for _ in range(changes):
        instrument, lots, amount = draw_change(rng)
        sign = rng.choice((1, -1))
        if instrument.kind == SPOT and state.get(instrument, [0])[0] + sign * lots < 0:
            with pytest.raises(Refused, match="book: spot below zero"):
                pair.merge(words, pair.fragment(instrument, lots), sign < 0)
            counts["refused"] += 1
            continue
        words, reduces = pair.merge(words, pair.fragment(instrument, lots, amount), sign < 0)
        assert reduces is add(state, instrument, sign * lots, sign * amount)
        counts[reduces] += 1
        assert held(pair, words) == sizes(state)
        assert entries(pair, words) == expected_entries(state)
    # Everything taken out again, one by one in another order: nothing is left.
    left = list(state)
    rng.shuffle(left)
    for instrument in left:
        lots, amount = state[instrument]
        if lots:
            words, reduces = pair.merge(words, pair.fragment(instrument, lots, amount), True)
            assert reduces
        elif amount:  # a future that was closed at another price
            remains = [s for s in unpack(words) if s.key == (instrument.market, instrument.expiry)]
            words, _ = pair.merge(words, _money(remains[0], amount), True)
    assert words == []


def _money(segment, amount: int) -> list[int]:
    return type(segment)(segment.market, segment.expiry, 0, amount).words()


@BOOKS
@given(seed=seeds, ours=st.integers(0, 30), theirs=st.integers(1, 40))
def test_a_book_merged_twice_with_opposite_signs(pair, seed, ours, theirs):
    rng = random.Random(seed)
    words, _ = draw_book(pair, rng, ours)
    fragment, _ = draw_book(pair, rng, theirs)
    there, _ = pair.merge(words, fragment)
    back, _ = pair.merge(there, fragment, True)
    assert held(pair, back) == held(pair, words)
    assert entries(pair, back) == entries(pair, words)
    assert pair.merge(fragment, fragment, True) == ([], True)
    assert pair.merge(back, words, True)[0] == []


@BOOKS
@given(seed=seeds, changes=st.integers(1, 40), quanta=st.integers(1, 1_000))
def test_split_and_merge_conserve(pair, seed, changes, quanta):
    """What leaves and what stays make the whole; each size rounds up, an entry leaves rounded down."""
    rng = random.Random(seed)
    words, state = draw_book(pair, rng, changes)
    taker, _ = draw_book(pair, rng, rng.randrange(20))
    part = pair.split(words, quanta)
    for instrument, lots in held(pair, part).items():
        unit = 1 if instrument.kind == SPOT else CONTRACT
        assert abs(lots) == -(-abs(state[instrument][0]) // unit * quanta // 1_000) * unit
        assert lots * state[instrument][0] > 0
    assert set(held(pair, part)) == set(sizes(state))
    shares = entries(pair, part)
    for instrument, (lots, entry) in state.items():
        if instrument.kind == FUTURE:
            leaves = Fraction(held(pair, part).get(instrument, 0), lots) if lots else int(quanta == 1_000)
            assert shares.get((instrument.market, instrument.expiry), 0) == (entry * leaves).__floor__()
    left, reduces = pair.merge(words, part, True)
    assert reduces
    taken, _ = pair.merge(taker, part)
    before = Counter(held(pair, words))
    before.update(held(pair, taker))
    after = Counter(held(pair, left))
    after.update(held(pair, taken))
    assert {k: v for k, v in before.items() if v} == {k: v for k, v in after.items() if v}
    assert sum(map(_moneys, (words, taker))) == sum(map(_moneys, (left, taken)))


def _moneys(words: list[int]) -> int:
    return sum(segment.money for segment in unpack(words))


@BOOKS
@given(seed=seeds, changes=st.integers(1, 40), near=st.integers(-12, 12), far=st.booleans())
def test_payoff_against_fractions(pair, seed, changes, near, far):
    rng = random.Random(seed)
    words, state = draw_book(pair, rng, changes)
    paid_for = 0
    for market in (1, 2, 3):
        price = CENTRE[market] + 5 * STEPS[market] * near
        if far:
            price = rng.choice((0, 10_000, 3_030_000, 3_040_000, (2**40 - 1) // 10_000 * 10_000))
        for expiry in (NEXT + DAY * day for day in range(4)):
            exact = Fraction(0)
            for instrument, (lots, entry) in state.items():
                if (instrument.market, instrument.expiry) == (market, expiry):
                    worth = {
                        CALL: max(price - instrument.strike, 0),
                        PUT: max(instrument.strike - price, 0),
                        FUTURE: price,
                    }
                    exact += Fraction(lots * worth[instrument.kind], 10**8) - entry
            fragment, paid = pair.payoff(words, market, expiry, price)
            assert paid == exact
            assert {
                i: n for i, n in held(pair, words).items() if (i.market, i.expiry) == (market, expiry)
            } == (held(pair, fragment))
            words, _ = pair.merge(words, fragment, True)
            paid_for += bool(fragment)
    assert paid_for >= 1 or set(sizes(state)) <= {Instrument(1, SPOT), Instrument(2, SPOT)}
    assert all(segment.expiry == 0 for segment in unpack(words))


@BOOKS
@given(seed=seeds)
def test_large_books(pair, seed):
    """Near the limits of words and positions; a refusal is the twin's."""
    rng = random.Random(seed)
    words, outcomes = [], Counter()
    for _ in range(6):
        fragment: list[int] = []
        for day in rng.sample(range(30), rng.randrange(1, 9)):
            first = rng.randrange(5)
            for k in range(first, first + rng.choice((1, 4, 5, 12))):
                strike = CENTRE[1] + 10 * STEPS[1] * k
                kind = rng.choice((CALL, CALL, PUT))
                one = pair.twin.fragment(Instrument(1, kind, NEXT + DAY * day, strike), CONTRACT, NEXT - DAY)
                if len(merge(fragment, one)[0]) <= MAX_WORDS:
                    fragment, _ = merge(fragment, one)
        try:
            words, reduces = pair.merge(words, fragment, rng.random() < 0.3)
            outcomes[reduces] += 1
        except Refused as error:
            outcomes[error.reason] += 1
        if words:
            part = pair.split(words, rng.randrange(1, 1_000))
            words, reduces = pair.merge(words, part, True)
            assert reduces
    assert outcomes[False] >= 1


@FUZZ
@given(price=prices, more=st.integers(0, 2**24))
def test_log_codes(exposed, price, more):
    """The rounded logarithm itself (mpmath), never falling, and the same in the contract."""
    code = log_code(price)
    assert exposed.call("log_code", price) == code
    with mp.workdps(40):
        assert code == int(floor(log(price) * CODES_PER_LOG + mpf(1) / 2)) - BASE
    higher = min(price + more, MAX_PRICE)
    assert code <= log_code(higher)


@FUZZ
@given(code=st.integers(0, MAX_CODE - 1))
def test_the_price_at_which_a_code_changes(exposed, code):
    with mp.workdps(40):
        below = int(floor(exp((code + BASE + mpf(1) / 2) / CODES_PER_LOG)))
    assert (log_code(below), log_code(below + 1)) == (code, code + 1)
    assert (exposed.call("log_code", below), exposed.call("log_code", below + 1)) == (code, code + 1)


def test_no_strike_has_the_code_zero():
    assert log_code(-(-MIN_PRICE // STRIKE_UNIT) * STRIKE_UNIT) > 0


def test_the_ends_of_the_codes(exposed):
    assert (log_code(MIN_PRICE), log_code(MAX_PRICE)) == (0, MAX_CODE)
    assert (exposed.call("log_code", MIN_PRICE), exposed.call("log_code", MAX_PRICE)) == (0, MAX_CODE)
    for price in (0, 1, MIN_PRICE - 1, MAX_PRICE + 1, 2**40):
        with pytest.raises(Refused, match="log code: price out of range"):
            log_code(price)
        with pytest.raises(Reverted, match="log code: price out of range"):
            exposed.call("log_code", price)


@FUZZ
@given(market=st.sampled_from((1, 2, 3)), steps=st.integers(1, 10**6))
def test_strikes_come_back(pair, exposed, market, steps):
    """Every strike of which the step is a millionth or more is on the grid: its code gives it back."""
    step = STEPS[market]
    strike = min(steps * step, MAX_PRICE // step * step)
    code = log_code(strike)
    assert strike_of(code, step) == strike
    assert exposed.call("strike_of", code, step) == strike
    assert pair.strike(market, code) == strike
    _, lane = pair.fragment(Instrument(market, CALL, NEXT, strike), CONTRACT)
    assert lane & 2**25 - 1 == code


@FUZZ
@given(code=st.integers(0, MAX_CODE), step=st.integers(1, 10**6), x=st.integers(1, 2**100))
def test_the_twin_is_bit_exact(exposed, code, step, x):
    assert exposed.call("strike_of", code, step * 10_000) == strike_of(code, step * 10_000)
    assert exposed.call("logarithm", x) == wad_ln(x)
    ln = wad_ln(x)
    assert exposed.call("exponential", ln) == wad_exp(ln)
    assert exposed.call("exponential", -ln) == wad_exp(-ln)


@FUZZ
@given(id=st.integers(0, 2**256 - 1))
def test_ids(exposed, id):
    market, kind, expiry, strike, whole = exposed.call("parts", id)
    assert whole == id
    if id < 1 << 88 and kind <= SPOT:
        assert Instrument.of(id) == (market, kind, expiry, strike)
