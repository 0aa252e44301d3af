"""The dials against their twin over random prices, silences and pokes; and what the times of pokes are worth.

How often somebody pokes must not be worth anything:
- at an unmoved price nothing depends on it, to the unit;
- as long as the references rest (up to 300 s), many pokes are never looser than the last alone;
- over any 300 s they are looser than the last alone by at most a seventh of what prices spanned (two
  sevenths for the distance from the mean): more the references cannot have followed.
Over longer times references follow what was seen, so a slow move is a smaller one to who looked at it: that
is what the time constant means.
"""

from copy import deepcopy
from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margincall.model.dials import DEFAULT, FOLLOW_STEP, GLIDE, ONE, SCALES, UNIT, Dials, Settings
from margincall.model.instrument import CODES_PER_LOG
from tests.unit.dials.board import MARKETS, board

START = 1_700_000_000
PRICE = 4_000 * 10**7

log_moves = st.integers(-60_000, 40_000)  # 1e-5 of log
one = st.integers(0, ONE) | st.sampled_from([0, 1, ONE - 1, ONE])
scales = st.integers(1, 2**16 - 1)
any_settings = st.builds(Settings, one, one, scales, scales)
waits = st.sampled_from([1, 2, 59, 299, 300, 301, 399, 401, 3_600, 86_400]) | st.integers(1, 400)


@st.composite
def steps(draw):
    """What happens next on a board."""
    kind = draw(
        st.sampled_from(["report", "report", "poke", "poke", "poke", "tighten", "set", "relax", "track"])
    )
    wait = draw(waits)
    if kind == "report":
        chosen = st.dictionaries(st.integers(1, MARKETS), log_moves, min_size=1, max_size=MARKETS)
        return kind, wait, draw(chosen), draw(log_moves)
    if kind == "tighten":
        return kind, wait, draw(one), draw(one)
    if kind == "set":
        return kind, wait, draw(any_settings)
    if kind == "track":
        return kind, wait, draw(st.lists(st.integers(0, MARKETS), unique=True, min_size=1, max_size=8))
    return kind, wait


counts = dict.fromkeys(["poked", "tightened", "refused"], 0)


@settings(max_examples=120, deadline=None)
@given(any_settings, st.integers(1, 8), st.lists(steps(), min_size=4, max_size=25))
def _compare(chosen, tracked, made):
    with board() as b:
        b.act(b.owner, "set_dials", chosen)
        b.track(*range(1, tracked + 1))
        b.poke()
        for kind, wait, *rest in made:
            at = b.now + wait
            if kind == "report":
                _report(b, at + 200, *rest)
            elif kind == "poke":
                before = b.agreed(at)
                counts["tightened"] += b.poke(at)[:2] != before[:2]
                counts["poked"] += 1
            elif kind == "track":
                b.track(*rest[0])
            else:
                sender = b.guardian if kind == "tighten" else b.owner
                before = b.twin.settled
                b.act(sender, "set_dials" if kind == "set" else kind, *rest, at=at)
                counts["refused"] += b.twin.settled == before
            b.agreed(b.now + wait)


def _report(b, at, moves, common):
    """Prices move by their own part and the common one, within what the markets allow."""
    prices = {}
    for market, move in moves.items():
        price = b.prices[market][0]
        moved = round(price * exp((move + common) / SCALES))
        prices[market] = min(max(moved, price // 2 + 1, 1), price * 3 // 2, 2**40 - 1)
    b.report(prices, at)


def test_contract_and_twin_agree_to_the_bit(record_property):
    _compare()
    record_property("summary", f"dials: {counts}")
    assert min(counts.values()) > 10  # pokes that tighten, tightenings refused: all of it happened


@st.composite
def paths(draw, longest: int):
    """A twin that has looked at some markets for a while, and pokes (time, marks) up to `longest` s later."""
    count = draw(st.integers(1, 4))
    dials = Dials(DEFAULT._replace(rho=draw(one), psi=draw(one)))
    for market in range(1, count + 1):
        dials.track(market - 1, market)
    some = st.lists(st.integers(-12_000, 12_000), min_size=count, max_size=count)
    now = START
    for moves in draw(st.lists(some, min_size=1, max_size=4)):
        dials.poke(now, _marks(moves))
        now += draw(st.integers(1, 5_000))
    offsets = sorted(draw(st.sets(st.integers(0, longest), min_size=1, max_size=12)))
    return dials, [(now + offset, _marks(draw(some))) for offset in offsets]


def _marks(moves) -> dict[int, int]:
    return {market: round(PRICE * exp(move / SCALES)) for market, move in enumerate(moves, start=1)}


def _poked(dials: Dials, pokes) -> Dials:
    found = deepcopy(dials)
    for at, marks in pokes:
        found.poke(at, marks)
    return found


@settings(max_examples=300, deadline=None)
@given(paths(FOLLOW_STEP - 1))
def test_many_pokes_are_never_looser_than_the_last_while_references_rest(path):
    dials, pokes = path
    dials._follow(pokes[0][0])  # they begin to rest here or earlier
    pokes = [poke for poke in pokes if poke[0] - dials.followed < FOLLOW_STEP]
    if not pokes:
        pokes = [path[1][0]]
    many, last = _poked(dials, pokes), _poked(dials, pokes[-1:])
    for later in (0, 1, 1_000, 30_000):
        now = pokes[-1][0] + later
        for strict, loose in zip(many._at(now), last._at(now), strict=True):
            assert strict.im >= loose.im
            assert strict.mm >= loose.mm


@settings(max_examples=300, deadline=None)
@given(paths(FOLLOW_STEP))
def test_many_pokes_are_looser_by_a_seventh_at_most(path):
    dials, pokes = path
    many, last = _poked(dials, pokes), _poked(dials, pokes[-1:])
    known = [code for code in dials.references + dials.seen + many.seen if code]
    known += [code for poke in pokes for code in _poked(dials, [poke]).seen if code]
    span = (max(known) - min(known)) / CODES_PER_LOG  # of log
    now = pokes[-1][0]
    for dial, sevenths in ((0, 1), (1, 2)):
        rest = (dials.settings.rho, ONE - dials.settings.psi)[dial]
        worth = (ONE - rest) * UNIT * (sevenths * span / 7 * SCALES / 8_000)
        # two codes of rounding, one stress unit
        slack = (ONE - rest) * UNIT * sevenths * 2 / CODES_PER_LOG * SCALES / 8_000 + 1
        assert many._at(now)[dial].im >= last._at(now)[dial].im - worth - slack


@settings(max_examples=200, deadline=None)
@given(paths(0), st.lists(st.integers(1, 4_000), min_size=1, max_size=20))
def test_at_an_unmoved_price_the_times_of_pokes_do_not_matter(path, gaps):
    """Once the references have arrived nothing is asked for: pokes leave recovery and glide as they are."""
    dials, pokes = path
    poked = _poked(dials, pokes)
    now, marks = pokes[-1]
    poked.references = list(poked.seen)
    alone = deepcopy(poked)
    for gap in gaps:
        now += gap
        poked.poke(now, marks)
        poked.relax(now)  # writes what holds now: no rounding may add up
        assert poked.read(now) == alone.read(now)
        assert poked._at(now) == alone._at(now)


@settings(max_examples=200, deadline=None)
@given(paths(50_000))
def test_maintenance_rises_at_a_bounded_rate_and_is_never_the_stricter(path):
    dials, pokes = path
    before, since = dials._at(pokes[0][0]), pokes[0][0]
    for at, marks in pokes:
        dials.poke(at, marks)
        for was, now in zip(before, dials._at(at), strict=True):
            assert now.mm <= now.im
            assert now.mm - was.mm <= GLIDE * (at - since)
        before, since = dials._at(at), at


@pytest.mark.parametrize("pokes", [1, 3, 288])
def test_a_full_recovery_takes_a_day_however_often_somebody_pokes(pokes):
    dials = Dials(Settings(0, ONE, 1, 1))
    dials.track(0, 1)
    dials.track(1, 2)
    dials.tighten(START, ONE, 0)
    dials.relax(START)
    for i in range(1, pokes + 1):
        dials.poke(START + 86_400 * i // pokes, {1: PRICE, 2: PRICE})
    assert dials.read(START + 86_400)[:2] == (31, ONE - 31)
    assert dials.read(START + 86_481) == (0, ONE, 0, ONE)
