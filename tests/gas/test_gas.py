"""What operations cost is what snapshot.json says, and within the limits that were promised."""

import pytest

from margincall.chain import EmbeddedChain
from tests.gas import portfolio, snapshot

EIP_170 = 24_576
LIMITS = {
    "trade, cross": 160_000,
    "trade, two fresh accounts": 230_000,
    "further trade in a call, cross": 110_000,
    "liquidation, 1 perp, slice": 200_000,
    "liquidation, 1 perp, full": 200_000,
    "liquidation, 1 perp, insolvent, insured": 200_000,
    # Four slots more than the others: the deficit, the index of the winners, its flag, the fund's last cent.
    "liquidation, 1 perp, insolvent, socialised": 220_000,
    "deposit, repeated": 65_000,
}


@pytest.fixture(scope="module")
def measured():
    return snapshot.measure()


def test_nothing_changed(measured):
    changed = snapshot.differences(snapshot.load(), measured)
    assert not changed, "\n".join(["run `make gas` and review:", *changed])


@pytest.mark.parametrize("operation", LIMITS)
def test_limits_of_receipts(measured, operation):
    assert measured["receipts"][operation] <= LIMITS[operation]


def test_limits_of_views(measured):
    assert measured["views"]["Clearinghouse.margin, 1 perps"] <= 30_000
    assert measured["views"]["Clearinghouse.margin, 16 perps"] <= 75_000


@pytest.mark.parametrize("name", [name for name in portfolio.GOALS if name != "refresh, code"])
def test_limits_of_portfolio_checks(measured, name):
    checks = measured["portfolio"]
    assert checks[f"floor, {name}"] < checks[f"check, {name}"] <= checks[f"limit, {name}"]


def test_limits_of_refreshes(measured):
    """A sheet kept as code; one in slots writes 36 of them anew the first time."""
    limit = portfolio.GOALS["refresh, code"].limit
    refreshes = {name: gas for name, gas in measured["receipts"].items() if name.startswith("refresh, ")}
    assert len(refreshes) == 4 * len(portfolio.DAYS)
    for name, gas in refreshes.items():
        assert gas <= limit or name.endswith("slots, first")


def test_limits_of_option_trades(measured):
    assert measured["receipts"]["option trade, portfolio, 16 held before"] <= portfolio.TRADE_LIMIT


@pytest.mark.parametrize("mode", ["cross", "portfolio"])
def test_limit_of_a_large_liquidation(measured, mode):
    name = f"liquidation, 128 positions, half, to {mode}"
    assert measured["receipts"][name] <= portfolio.LIQUIDATION_LIMIT


def test_the_lens_fits_a_nodes_call(measured):
    assert measured["portfolio"]["PortfolioLens.explain, 127 options"] <= portfolio.LENS_LIMIT


def test_contracts_fit(measured):
    assert len(measured["bytes"]) == 20
    assert {name: size for name, size in measured["bytes"].items() if size >= EIP_170} == {}


def test_the_embedded_chain_counts_as_anvil_does(measured):
    """Every operation, deployments and clock alike: the same gas to the unit."""
    assert snapshot.operations(EmbeddedChain(exact_gas=True)) == measured["receipts"]


def test_a_difference_is_seen():
    old = {"receipts": {"a": 100, "b": 5, "c": 1}}
    new = {"receipts": {"a": 110, "b": 5, "d": 2}}
    assert snapshot.differences(old, new) == [
        "receipts: a: 100 -> 110 (+10, +10.0%)",
        "receipts: c: 1 -> -",
        "receipts: d: - -> 2",
    ]
    assert snapshot.differences(old, old) == []
