"""The value curves: contract against the twin to the unit, twin against Black-76 in real numbers."""

from math import exp

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from mpmath import mpf, sqrt, workprec

from margincall.chain import EmbeddedChain, Reverted
from margincall.model import curves as model
from margincall.model.arithmetic import Refused
from margincall.model.curves import Vol
from margincall.protocol.artifacts import artifact
from margincall.specification import black

NOW = 1_700_000_000
HOUR, DAY = 3_600, 86_400
CODES_PER_LOG = 80 * 2**14
WINDOW = st.sampled_from([60, HOUR, 4 * HOUR])


@st.composite
def terms_and_vols(draw):
    """Seconds to expiry and a smile: about as wide as the strikes that matter, or anything."""
    term = round(exp(draw(st.floats(0, 17.3))))
    atm = draw(st.integers(50_000, 2_500_000))
    if draw(st.integers(0, 9)) == 0:
        return term, Vol(atm, draw(st.integers(-(10**7), 10**7)), draw(st.integers(0, 10**8)))
    s = atm / 1e6 * (term / model.YEAR) ** 0.5
    skew = draw(st.floats(-0.25, 0.25)) / (s + 0.02)
    curvature = draw(st.floats(0, 0.1)) / (s + 0.02) ** 2
    return term, Vol(atm, round(1e6 * min(max(skew, -10), 10)), round(1e6 * min(curvature, 100)))


def refreshed(vol, expiry, window):
    """The curve, or the reason why there is none."""
    try:
        curve = model.refresh(vol, expiry, NOW, window)
    except Refused as refusal:
        event(refusal.reason)
        return refusal.reason
    event("refreshed")
    return curve


@pytest.fixture(scope="module")
def harness():
    chain = EmbeddedChain(timestamp=NOW - 1_000)
    pricing = chain.deploy(artifact("Pricing")).address
    made = chain.deploy(artifact("CurvesHarness"), pricing, sender=chain.accounts[0])
    return made, chain.accounts[0]


@settings(deadline=None, max_examples=60)
@given(terms_and_vols(), WINDOW, st.booleans())
def test_contract_is_the_twin(harness, drawn, window, in_slots):
    curves, owner = harness
    term, vol = drawn
    mark = curves.chain.snapshot()
    try:
        curves.send(owner, "set_curves", curves.address, window, in_slots)
        curves.send(owner, "publish", 1, NOW + term, *vol)
        curve = refreshed(vol, NOW + term, window)
        if isinstance(curve, str):
            with pytest.raises(Reverted) as caught:
                curves.send(owner, "refresh", 1, NOW + term, at=NOW)
            assert caught.value.reason == curve
            return
        curves.send(owner, "refresh", 1, NOW + term, at=NOW)
        word = curves.call("curve", 1, NOW + term)
        assert word >> 160 << 160 == curve.word()
        assert (word % 2**160 == 0) == in_slots
        assert curves.call("blob", 1, NOW + term) == curve.blob
    finally:
        curves.chain.revert(mark)


@settings(deadline=None, max_examples=150)
@given(terms_and_vols(), WINDOW, st.lists(st.floats(-0.793, 0.831), min_size=4, max_size=4), st.floats(0, 1))
def test_interpolated_values_are_within_err(drawn, window, wheres, place):
    """Every scenario of a call, from the log codes of spot and strike, against gamma at the true x."""
    term, vol = drawn
    curve = refreshed(vol, NOW + term, window)
    if isinstance(curve, str):
        return
    width = vol.atm / 1e6 * (term / model.YEAR) ** 0.5
    with workprec(100):
        # Half of the strikes lie where the curve bends.
        for x in [*wheres[:2], *(min(max(where * 4 * width, -0.793), 0.831) for where in wheres[2:])]:
            spot = mpf(place) + 10
            strike = spot - mpf(x)
            codes = (int(v * CODES_PER_LOG + mpf(1) / 2) for v in (spot, strike))
            seen = model.window(curve.blob, *codes)
            for value, exact in zip(seen, exact_values(vol, term, window, mpf(x)), strict=True):
                assert abs(value - exact * 2**28) <= curve.err


def exact_values(vol, term, window, x):
    """gamma of the 24 scenarios in the order of model.window."""
    left = term - min(window, term)
    near, far = range(-4, 4), range(-8, 8, 2)
    rows = [(mpf(13) / 10, term, near), (mpf(3) / 4, left, near), (mpf(1), left, far)]
    for shock, seconds, moves in rows:
        for move in moves:
            at = x + mpf(move) / 20
            yield black.gamma(at, black.sigma(*vol, at) * shock * sqrt(mpf(seconds) / black.YEAR))


@settings(deadline=None, max_examples=40)
@given(terms_and_vols())
def test_lanes_are_the_nearest(drawn):
    """Samples are gamma, their arithmetic at most 1e-7 off, and a lane is five samples to the nearest 2**-16,
    unless it would be less than the one before, behind such a one, or one.
    """
    term, vol = drawn
    curve = refreshed(vol, NOW + term, HOUR)
    if isinstance(curve, str):
        return
    left = max(term - HOUR, 0)
    parameters = model.parameters(vol, NOW + term, NOW, HOUR)[:4]
    samples = model._samples(*parameters, coarse=False)
    try:
        rows, dip = model.sheet(*parameters, coarse=False)
    except Refused:  # falls, by less than what points made up between others may
        return
    with workprec(100):
        for row, gamma, shock, seconds in zip(
            rows, samples, ("1.3", "1", "0.75"), (term, left, left), strict=True
        ):
            for n in range(0, model.POINTS, 7):
                x = mpf(n - 96) / 80
                exact = black.gamma(x, black.sigma(*vol, x) * mpf(shock) * sqrt(mpf(seconds) / black.YEAR))
                assert abs(gamma[n + 6] - exact * 2**50) <= 2**50 * mpf("1e-7")
                around = zip((1, -12, 86, -12, 1), gamma[n + 4 : n + 9], strict=True)
                lane = sum(mpf(weight * value) for weight, value in around) / 2**40
                assert abs(row[n] - min(lane, 65_535)) <= 0.5 + dip / mpf(2**40)
