"""The numbers: the twin's to the unit, within the bounds of the exact rule, and adding up."""

import io
import json
from fractions import Fraction

import pytest
from mpmath import mp
from rich.console import Console

from margincall.margining import Assumptions, case_of, example, example_names, measure
from margincall.margining.analysis import CROSS, MODES, PORTFOLIO
from margincall.margining.record import record
from margincall.margining.tables import advice, print_report, together
from margincall.model import margin as cross_rule
from margincall.model import portfolio as rule
from margincall.model import standard
from margincall.model.portfolio import FULL_WEIGHT, SCENARIOS
from margincall.specification import black

USD = 10**6
HIGH = Fraction(1, 10_000)  # over-charge, of the options' notional
DUST = 10  # units: roundings


@pytest.fixture(scope="module")
def reports():
    return {name: measure(case_of(example(name)), exact=True) for name in example_names()}


@pytest.mark.parametrize("name", example_names())
def test_figures_are_the_twin_s(reports, name):
    found = reports[name]
    at = found.case
    twin = rule.margin(at.cash, at.perps(), at.words(), at.risk)
    assert tuple(found.portfolio) == twin[:4]
    assert found.explained.margin == twin
    terms = {market.id: market.options.standard for market in at.spec.markets}
    crossed = standard.margin(
        at.cash, at.perp_positions(), at.words(), at.risk, at.markets, terms, at.now, at.spec.max_age
    )
    assert tuple(found.cross) == tuple(crossed)


@pytest.mark.parametrize("name", example_names())
def test_never_below_the_exact_rule_and_little_above(reports, name):
    """Health is compared: what equity lacks for the error of the curves counts as a requirement."""
    found, exact = reports[name].portfolio, reports[name].exact
    for asked, required in ((found.initial, exact.initial), (found.maintenance, exact.maintenance)):
        over = exact.value - found.equity + asked - required
        assert -1 <= over <= HIGH * exact.gross + DUST


@pytest.mark.parametrize("name", example_names())
def test_parts_add_up(reports, name):
    found = reports[name]
    for kind in ("im", "mm"):
        saved = found.savings[kind]
        requirement = getattr(found.explained, kind)
        assert saved.positions - saved.netting == saved.underlyings
        assert saved.underlyings - saved.diversification - saved.hedging == saved.required
        assert saved.required == requirement.amount
        assert saved.diversification >= 0
        assert saved.hedging >= 0
        if requirement.amount > requirement.floor + requirement.error:
            shares = sum(getattr(position, kind) for position in found.positions)
            # The charge for the curves' error belongs to no position.
            assert abs(shares - requirement.amount) <= HIGH * found.exact.gross + DUST
    assert abs(sum(p.value for p in found.positions) + found.case.cash - found.portfolio.equity) <= 10
    for mode, figures in found.modes.items():
        for position in found.positions:
            rest = tuple(h for h in found.case.holdings if h != position.holding)
            left = found.case._replace(holdings=rest)
            margin = left.cross() if mode == CROSS else left.portfolio()
            freed = figures.maintenance - margin.maintenance, figures.initial - margin.initial
            assert position.frees[mode] == freed


def test_the_same_long_with_a_put(reports):
    """A put raises what cross mode asks by its premium, and lowers what portfolio mode asks by two fifths."""
    bare, covered = reports["perp"], reports["perp-put"]
    assert bare.cross[:3] == (20_000 * USD, 4_000 * USD, 2_500 * USD)
    premium = next(p for p in covered.positions if p.name.endswith("-P"))
    with mp.workprec(80):
        term = 1_798_185_600 - bare.case.now
        exact = black.put(100_000, 95_000, term - 3_600, 600_000, -100_000, 300_000)
        assert abs(exact - premium.value / USD) < 3
    for at, before, after in (
        ("initial", bare.cross.initial, covered.cross.initial),
        ("maintenance", bare.cross.maintenance, covered.cross.maintenance),
    ):
        assert abs(after - before - premium.value) < 3 * USD, at
    # One long coin loses 1 - exp(-0.15) of its price; exp(-0.1) for maintenance.
    assert bare.portfolio.initial == pytest.approx(100_000 * USD * (1 - mp.exp(-0.15)), rel=1e-6)
    assert bare.portfolio.maintenance == pytest.approx(100_000 * USD * (1 - mp.exp(-0.1)), rel=1e-6)
    assert 0.5 < covered.portfolio.initial / bare.portfolio.initial < 0.6
    assert covered.driver.name == "BTC"
    assert premium.im < 0 < premium.frees[CROSS][1]
    assert premium.frees[PORTFOLIO][1] == covered.portfolio.initial - bare.portfolio.initial


def test_what_hedges_and_what_does_not(reports):
    """Portfolio mode asks more than cross of what is naked, and much less of what is hedged."""
    less = {name for name, found in reports.items() if found.portfolio.initial < found.cross.initial}
    assert {"box", "calendar", "perp-put", "short-straddle"} <= less
    assert "perp" not in less
    box = reports["box"]
    # 1.5 % of the two options sold, half as much again at first, and the curves' error
    explained = box.explained.im
    assert box.portfolio.initial == explained.floor + explained.error
    assert explained.floor == pytest.approx(4_500 * USD, rel=1e-3)
    assert abs(box.portfolio.equity - 11_000 * USD) < 10 * USD


def test_deltas_are_black_s(reports):
    """The smile moves with the price; over a percent each way, and at a point."""
    found = reports["perp-put"]
    option = next(p for p in found.positions if p.name.endswith("-P"))
    with mp.workprec(80):
        term = 1_798_185_600 - found.case.now - 3_600

        def put(price):
            return black.put(price, 95_000, term, 600_000, -100_000, 300_000)

        assert abs((put(101_000) - put(99_000)) / 2_000 - option.delta) < 5e-4
        assert abs((put(100_001) - put(99_999)) / 2 - option.delta) < 1e-3
    assert found.underlyings[0].delta == pytest.approx(1 + option.delta, abs=1e-9)
    assert reports["btc-against-eth"].underlyings[1].delta == pytest.approx(-66.6, abs=1e-6)
    assert reports["covered-call"].positions[0].delta == pytest.approx(9.5, abs=1e-6)  # less the haircut


def test_worst_scenarios_are_the_largest_that_count(reports):
    for found in reports.values():
        for one in found.underlyings:
            terms = found.case.risk.terms[one.market]
            weights = [scenario.weight(terms.range_im) for scenario in SCENARIOS]
            counted = [loss * w / FULL_WEIGHT for loss, w in zip(one.losses, weights, strict=True)]
            assert one.im == pytest.approx(max(0, *counted), abs=2)
            assert counted[one.worst_im] == pytest.approx(max(counted), abs=2)
    pair = reports["btc-against-eth"]
    assert max(together(pair, "im")) == pytest.approx(pair.explained.im.synchronised, abs=5)


def test_dials_only_raise():
    file = example("btc-against-eth")
    calm = measure(case_of(file))
    stressed = measure(case_of(file, Assumptions(rho="1", psi="0")))
    saved = stressed.savings["im"]
    assert stressed.portfolio.initial > calm.portfolio.initial
    assert 0 <= saved.underlyings - saved.required <= 2  # each is rounded up
    assert saved.hedging == 0
    assert stressed.cross == calm.cross


def test_losses_without_equity_are_said():
    file = example("perp")._replace(cash="2000")
    found = measure(case_of(file))
    said = "\n".join(advice(found))
    assert "cross mode: liquidatable; 500 USD below maintenance margin, 2,000 USD below initial" in said
    assert found.cross.usage == 1.25
    broke = measure(case_of(file._replace(cash="-1")))
    assert broke.cross.leverage is None
    assert broke.cross.usage is None
    json.dumps(record(broke), allow_nan=False)
    printed = io.StringIO()
    print_report(Console(width=120, file=printed), broke)
    assert "no equity" in printed.getvalue()


KEYS = {
    "name", "about", "now", "cash", "prices", "smiles", "modes", "requirements", "underlyings", "positions",
    "driver",
}  # fmt: skip


@pytest.mark.parametrize("name", example_names())
def test_the_record_holds_the_same_numbers(reports, name):
    found = reports[name]
    got = json.loads(json.dumps(record(found), allow_nan=False))
    assert set(got) == KEYS | {"exact"}
    assert set(record(found._replace(exact=None))) == KEYS
    for mode, figures in found.modes.items():
        assert set(got["modes"][mode]) == {
            "equity", "initial", "maintenance", "free", "above_maintenance", "notional", "leverage",
            "maintenance_share",
        }  # fmt: skip
        for key in ("equity", "initial", "maintenance", "notional"):
            assert round(got["modes"][mode][key] * USD) == getattr(figures, key)
        assert got["modes"][mode]["free"] == pytest.approx((figures.equity - figures.initial) / USD)
    for kind in ("im", "mm"):
        assert set(got["requirements"][kind]) == {
            "amount", "rho", "psi", "synchronised", "synchronised_scenario", "standalone", "floor", "error",
            "by_underlying", "savings",
        }  # fmt: skip
    for row, one in zip(got["underlyings"], found.underlyings, strict=True):
        assert [round(scenario["pnl"] * USD) for scenario in row["scenarios"]] == [-x for x in one.losses]
        assert row["im"]["worst_scenario"] == one.worst_im
    for row, position in zip(got["positions"], found.positions, strict=True):
        assert row["instrument"] == position.name
        assert set(row["frees"]) == set(MODES)
        assert round(row["frees"]["portfolio"]["im"] * USD) == position.frees[PORTFOLIO][1]


def test_one_mode_alone():
    found = measure(case_of(example("calendar")), (CROSS,))
    got = record(found)
    assert set(got["modes"]) == {CROSS}
    assert all(set(row["frees"]) == {CROSS} for row in got["positions"])


def test_cross_perps_are_the_plain_rule():
    """Without a book the cross figures are those of the clearinghouse's own rule."""
    at = case_of(example("btc-against-eth"))
    assert at.cross() == cross_rule.margin(at.cash, at.perp_positions(), at.markets, at.now, at.spec.max_age)
