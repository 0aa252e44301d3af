"""Growth: known lines and parabolas are found again, and what follows from them."""

import math

import pytest

from margincall.bench import growth
from margincall.bench.growth import INTRINSIC, TRANSACTION_GAS, Grown, fit, fitted
from margincall.bench.peers import read_peers
from tests.unit.bench.figures import EACH, LADDER, START, UNDERLYING, bench


def test_a_line_is_found_again():
    found = fit({n: 47_000 + 1_973 * n for n in LADDER})
    assert (found.start, found.each) == pytest.approx((47_000, 1_973))
    assert found.bend == 0
    assert found.worst < 1e-6


def test_what_a_line_misses_is_told():
    points = {n: 1_000 + 100 * n for n in range(1, 10)}
    points[5] += 90
    found = fit(points)
    # One of nine points, in their middle, lifts the line by a ninth and does not tilt it.
    assert (found.each, found.start) == pytest.approx((100, 1_010))
    assert (found.worst, found.at) == (pytest.approx(80), 5)
    assert found.share == pytest.approx(80 / 1_590)


def test_what_bends_is_fitted_by_a_parabola_and_what_does_not_by_a_line():
    found = fitted({n: 5_000 + 100 * n + 7 * n * n for n in LADDER})
    assert (found.start, found.each, found.bend) == pytest.approx((5_000, 100, 7))
    assert fitted({n: 5_000 + 100 * n + (n == 8) for n in LADDER}).bend == 0


@pytest.mark.parametrize("points", [{}, {1: 5}])
def test_too_few_points(points):
    with pytest.raises(ValueError, match="do not fix"):
        fit(points)


@pytest.mark.parametrize(("bend", "largest"), [(0, 95), (2, 20)])
def test_the_largest_of_a_budget(bend, largest):
    found = growth.Fit(50, 10, bend, 0, 1, 0)
    assert found.largest(1_050 if bend else 1_000) == pytest.approx(largest)
    assert found.gas(largest) == pytest.approx(1_050 if bend else 1_000)


def test_no_budget_and_no_end():
    assert growth.Fit(50, 10, 0, 0, 1, 0).largest(49) == 0
    assert growth.Fit(50, 0, 0, 0, 1, 0).largest(100) == math.inf


def test_rules_and_their_ends():
    rules = {one.name: one for one in growth.grown(bench(), read_peers())}
    ours = rules["portfolio margin, code"]
    assert (ours.fit.start, ours.fit.each) == pytest.approx((START + UNDERLYING, EACH))
    assert ours.fits_transaction == pytest.approx((TRANSACTION_GAS - INTRINSIC - START - UNDERLYING) / EACH)
    assert ours.largest == (128, "limit")
    assert ours.position_and_scenario == pytest.approx(EACH / 24)
    assert ours.block_share(64) == ours.points[64] / 60_000_000
    theirs = rules["Derive PMRM"]
    assert theirs.largest[1] == "gas"
    assert theirs.points[64] < TRANSACTION_GAS < theirs.points[127]
    assert 64 < theirs.largest[0] < 127


def test_where_no_limit_binds_first():
    line = fit({1: 1_001_000, 2: 2_001_000})
    assert Grown("", True, 0, {}, line, 128).largest == (16, "gas")
    assert Grown("", True, 0, {}, line, 16).largest == (16, "limit")


def test_a_plane_over_underlyings():
    found = growth.options_over_underlyings(bench())
    assert (found.start, found.position, found.underlying) == pytest.approx((START, EACH, UNDERLYING))
    assert found.count == len(LADDER) + 1
    assert growth.over_underlyings(m for m in bench().measurements if m.underlyings == 1) is None


def test_a_further_scenario():
    fewer, more = (
        Grown("", False, scenarios, {}, fit({1: each, 2: 2 * each}), None)
        for scenarios, each in ((23, 230_000), (33, 322_000))
    )
    assert growth.further_scenario(fewer, more) == pytest.approx(9_200)
    assert growth.further_scenario(more, fewer) is None
