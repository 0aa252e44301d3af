"""The surface against its twin, and what it accepts against option prices in floating point."""

import math
import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from margincall.chain import EmbeddedChain, Reverted
from margincall.chain.keys import key
from margincall.model import curves
from margincall.model.arithmetic import Refused
from margincall.model.surface import DAY, YEAR, Surface, VolReport, VolRules, check_smile
from margincall.protocol.artifacts import artifact
from margincall.protocol.orders import domain
from margincall.protocol.vols import vol_rules_tuple, vols_payload
from tests.unit.clearinghouse.world import inline

EXPOSED = inline(
    "ExposedSmile",
    """
# pragma version 0.4.3
# pragma evm-version cancun
from contracts.options import smile

@external
@view
def check(atm: uint256, skew: int256, curvature: uint256, remaining: uint256):
    smile._check(atm, skew, curvature, remaining)
""",
)
FUZZ = settings(max_examples=400, deadline=None, derandomize=True, database=None)
SIGNER = key("fuzz", "vols")
START = 1_700_000_000
FIRST = START // DAY * DAY + DAY + 28_800


@st.composite
def smiles(draw):
    """(atm, skew, curvature, remaining): near the edges of what is accepted for the term, and anywhere."""
    remaining = draw(st.one_of(st.integers(1, 10 * DAY), st.integers(1, 401 * DAY)))
    atm = draw(st.integers(50_000, 4_000_000))
    deviation = atm / 1e6 * math.sqrt(remaining / YEAR)
    bend = draw(st.floats(0, 2)) * min(2.8 * 0.0737 / deviation, 0.7 / max(deviation, 0.25))
    skew = draw(st.floats(-1.5, 1.5)) * draw(st.sampled_from([0.1, 1, math.sqrt(bend), 10]))
    wild = draw(st.integers(0, 9)) == 0
    curvature = draw(st.integers(0, 10**8)) if wild else min(int(bend * 1e6), 10**8)
    return atm, max(-(10**7), min(10**7, int(skew * 1e6))), curvature, remaining


def verdict(check, *args):
    try:
        check(*args)
    except (Refused, Reverted) as refused:
        return refused.reason
    return ""


@pytest.fixture(scope="module")
def exposed():
    return EmbeddedChain().deploy(EXPOSED)


@FUZZ
@given(case=smiles())
def test_the_check_of_a_smile(exposed, case):
    assert verdict(exposed.call, "check", *case) == verdict(check_smile, *case)


def outermost(atm, skew, curvature, remaining, part):
    """The smile with its curvature, or its skew, at the edge of what is accepted."""
    low, high = 0, {"": 0, "skew": 10**7, "curvature": 10**8}[part]
    sign = -1 if skew < 0 else 1
    while high - low > 1:
        middle = (low + high) // 2
        smile = (atm, skew, middle) if part == "curvature" else (atm, sign * middle, curvature)
        low, high = (low, middle) if verdict(check_smile, *smile, remaining) else (middle, high)
    if part == "skew":
        skew = sign * low
    return atm, skew, low if part == "curvature" else curvature, remaining


def cumulative(z):
    return np.vectorize(math.erfc)(-z / math.sqrt(2)) / 2


def calls(atm, skew, curvature, remaining, scale, x):
    """C/S and d1 - d2 on the points x."""
    h = np.clip(1 + skew / 1e6 * x + curvature / 1e6 * x * x, 0.4, 3)
    v = scale * atm / 1e6 * h * math.sqrt(remaining / YEAR)
    return cumulative(x / v + v / 2) - np.exp(-x) * cumulative(x / v - v / 2)


@FUZZ
@given(
    case=smiles(),
    part=st.sampled_from(["", "skew", "curvature"]),
    scale=st.sampled_from([1.3, 1.3, 1.0, 0.75, 0.3]),
    passed=st.sampled_from([0.0, 0.0, 0.5, 0.99]),
)
def test_what_is_accepted_is_free_of_arbitrage(case, part, scale, passed):
    """Calls fall with the strike, puts rise, butterflies cost something, to half a lane (2**-17 of S)."""
    case = outermost(*case, part=part)
    assume(verdict(check_smile, *case) == "")
    atm, skew, curvature, remaining = case
    strikes = np.exp(np.linspace(-1.2, 1.2, 601))
    value = calls(atm, skew, curvature, max(remaining * (1 - passed), 1), scale, -np.log(strikes))
    fall = np.diff(value)
    widths = np.diff(strikes)
    half_lane = 2.0**-17
    lanes = np.round(value * 2**16)
    assert np.all(np.diff(lanes) <= 0)
    assert np.all(fall + widths >= -half_lane)
    certain = min(1.2, 1e3 / math.sqrt(curvature)) if curvature else 1.2
    inside = np.abs(np.log(strikes[1:-1])) < certain - 0.01
    curved = np.diff(fall / widths) * np.minimum(widths[1:], widths[:-1])
    assert np.all(curved[inside] >= -1e-12)
    slopes = np.diff(value[::20]) / np.diff(strikes[::20])  # butterflies over 8 % cost something everywhere
    assert np.all(np.diff(slopes) * np.diff(strikes[::20])[:-1] >= -2 * half_lane)


@FUZZ
@given(
    deviation=st.floats(0.5, 2.7),
    remaining=st.one_of(st.integers(1, 401 * DAY), st.integers(100 * DAY, 401 * DAY)),
    skew=st.integers(-400_000, 400_000),
    curvature=st.one_of(st.just(0), st.integers(0, 10**4), st.integers(0, 10**6)),
    passed=st.integers(0, 3_600),
)
def test_every_smile_accepted_is_valued(deviation, remaining, skew, curvature, passed):
    """Whatever the surface stores can be refreshed as long as it is fresh, up to the largest deviation."""
    atm = min(max(int(deviation * 1e6 / math.sqrt(remaining / YEAR)), 50_000), 4_000_000)
    expiry = START // DAY * DAY + 28_800 + 402 * DAY
    now, surface = expiry - remaining, Surface()
    surface.set_rules(1, VolRules("feed", lower=50_000))
    assume(verdict(surface.update, "feed", [VolReport(1, expiry, atm, skew, curvature, now)], now) == "")
    later = min(now + passed, expiry - 1)
    curves.refresh(curves.Vol(*surface.vol(1, expiry, later)[:3]), expiry, later, 3_600)


def test_both_verdicts_are_common():
    """The draws above are not one-sided, and the check gives away little: at most a sixth of the smiles
    that a fine grid of Durrleman's condition calls good within the certified range are refused for it."""
    draw = random.Random(3)
    seen = {"": 0, "vol: butterfly": 0, "vol: wings": 0, "vol: not monotone": 0}
    good = refused = 0
    for _ in range(4_000):
        remaining = draw.randrange(DAY, 400 * DAY)
        atm = draw.randrange(300_000, 1_500_000)
        skew, curvature = draw.randrange(-1_500_000, 1_500_000), int(draw.random() ** 2 * 1_500_000)
        reason = verdict(check_smile, atm, skew, curvature, remaining)
        seen[reason] += 1
        if durrleman(atm, skew, curvature, remaining):
            good += 1
            refused += reason == "vol: butterfly"
    assert min(seen.values()) > 50
    assert good > 500
    assert refused * 6 <= good, (refused, good)


def durrleman(atm, skew, curvature, remaining):
    level = (1.3 * atm / 1e6) ** 2 * remaining / YEAR
    s, c = skew / 1e6, curvature / 1e6
    edge = min(1.2, 1 / math.sqrt(c)) if c else 1.2
    x = np.linspace(-edge, edge, 2_001)
    h, slope = 1 + s * x + c * x * x, s + 2 * c * x
    g = (1 - c * x * x) ** 2 + 2 * level * c * h**3 - (level * h * h * slope) ** 2 / 4
    return bool(np.all(h <= 3) and np.all(g[h > 0.4] >= 0))


def test_sequences_of_reports():
    """Random payloads, from calm to hostile: the same verdict, the same values, read at the same times."""
    chain = EmbeddedChain(timestamp=START)
    owner = chain.accounts[0]
    feed = chain.deploy(artifact("SignedFeed"), [SIGNER.address], 1, sender=owner)
    surface = chain.deploy(artifact("Surface"), sender=owner)
    twin = Surface()
    separator = domain("margincall feed", chain.chain_id, feed.address)
    for market in (1, 2):
        rules = VolRules(feed.address, 100_000, 3_000_000, 100_000 * market, 300, 7_200)
        surface.send(owner, "set_rules", market, vol_rules_tuple(rules))
        twin.set_rules(market, rules)
    draw = random.Random(5)
    now, levels, counts = START, {1: 700_000, 2: 800_000}, {}
    for _ in range(800):
        now += draw.choice([1, 100, 300, 600, 1_000, 2_500, 20_000])
        reports = [_report(draw, levels, now) for _ in range(draw.choice([1, 1, 2, 5]))]
        if draw.random() < 0.5:
            reports.sort(key=lambda report: -report.expiry)
        payload = vols_payload(separator, reports, [SIGNER])
        expected = verdict(twin.update, feed.address, reports, now)
        data = surface.encode("update_vols", feed.address, payload)
        assert verdict(chain.send, owner, surface.address, data, None, now) == expected
        counts[expected] = counts.get(expected, 0) + 1
        for report in reports:
            at = now + draw.choice([0, 7_199, 7_201])
            place = report.market, report.expiry
            assert _value(surface.call, "vol", *place, at=at) == _value(twin.vol, *place, at)
    assert counts[""] > 100
    assert {"vol: calendar", "vol: step too large", "vol: not newer", "vol: expired"} <= set(counts)
    assert {"vol: butterfly", "vol: wings", "vol: not monotone"} <= set(counts)
    assert all(len(tracked) > 3 for tracked in twin.expiries.values())


def _report(draw, levels, now):
    market = draw.choice([1, 2])
    levels[market] = min(max(int(levels[market] * draw.uniform(0.97, 1.03)), 300_000), 1_500_000)
    expiry = FIRST + DAY * draw.choice([0, 1, 2, 3, 7, 14, 21, 28, 90, 350])
    hostile = draw.random() < 0.15
    return VolReport(
        market,
        expiry + (draw.choice([0, 1, 4 * DAY, 200 * DAY]) if hostile else 0),
        int(levels[market] * (draw.choice([0.1, 0.8, 1.5, 5]) if hostile else draw.choice([1, 1, 1, 0.7]))),
        draw.randrange(-100_000, 100_000) * (draw.choice([1, 20]) if hostile else 1),
        draw.randrange(0, 100_000) * (draw.choice([1, 30]) if hostile else 1),
        now - (draw.choice([-1, 100, 240, 241]) if hostile else draw.choice([0, 0, 1])),
    )


def _value(call, *args, **options):
    try:
        return tuple(call(*args, **options))
    except (Refused, Reverted) as refused:
        return refused.reason
