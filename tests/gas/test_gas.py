"""What operations cost is what snapshot.json says, and within the limits that were promised."""

import pytest

from margincall.chain import EmbeddedChain
from tests.gas import snapshot

EIP_170 = 24_576
LIMITS = {
    "trade, cross": 160_000,
    "trade, two fresh accounts": 230_000,
    "further trade in a call, cross": 110_000,
    "liquidation, 1 perp, slice": 200_000,
    "liquidation, 1 perp, full": 200_000,
    "liquidation, 1 perp, insolvent, insured": 200_000,
    "liquidation, 1 perp, insolvent, socialised": 200_000,
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


def test_contracts_fit(measured):
    assert len(measured["bytes"]) == 11
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
