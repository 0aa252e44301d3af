"""What operations cost is what snapshot.json says, the same on Anvil and in this process, and within the
limits that were promised."""

import pytest

from margincall.bench import floors, run, snapshot, targets
from margincall.bench.cases import CASES
from margincall.bench.meter import AccessMeter, WatchedChain
from margincall.bench.records import CHECK, OPERATION, PARTS
from margincall.bench.stage import PRICE, Stage, like_eth

LENS_LIMIT = 20_000_000  # of the view that explains 127 options


@pytest.fixture(scope="module")
def measured():
    """Every case on both chains: `run.measure` refuses a figure on which they differ."""
    return run.measure(fast=True)


def test_nothing_changed(measured):
    changed = snapshot.compared(measured)
    assert not changed, "\n".join(["run `make gas` and review:", *changed])


def test_every_case_was_measured(measured):
    assert len(measured.measurements) > 10 * len(CASES)
    assert {m.engine for m in measured.measurements} == {"", "cross", "portfolio", "standard", "span"}
    assert {m.kind for m in measured.measurements} == {OPERATION, CHECK}


def test_parts_sum_to_the_gas(measured):
    for m in measured.measurements:
        assert tuple(m.parts) == PARTS
        assert sum(m.parts.values()) == m.gas, m.name
        assert all(gas >= 0 for part, gas in m.parts.items() if part != "refund"), m.name


def test_parts_agree_with_what_was_touched(measured):
    """The opcode trace of one chain and the journal of the other, by what EIP-2929 and EIP-2200 ask."""
    for m in measured.measurements:
        touched, parts = m.access, m.parts
        assert parts["refund"] >= -floors.CLEARED * touched.slots_cleared, m.name
        assert parts["logs"] >= floors.LOG * touched.logs + floors.TOPIC * touched.log_topics, m.name
        cold = floors.COLD_SLOT * touched.cold_slots
        written = floors.WRITTEN * (touched.slots_changed + touched.slots_cleared)
        assert parts["storage"] >= cold + written + floors.CREATED * touched.slots_created, m.name
        if m.kind == OPERATION:
            assert parts["accounts"] == floors.COLD_ACCOUNT * touched.cold_accounts, m.name


def test_nothing_costs_less_than_its_floor(measured):
    for m in measured.measurements:
        assert m.floor <= m.gas, m.name


def test_limits(measured):
    missed = [
        f"{t.name}: {t.measured:,}, promised {t.target:,}" for t in targets.limits_of(measured) if not t.met
    ]
    assert not missed, "\n".join(missed)


def test_limits_of_refreshes(measured):
    """A sheet kept as code, and one in slots that were written before."""
    refreshes = [m for m in measured.measurements if m.name.startswith("refresh, ")]
    assert len(refreshes) == 16
    for m in refreshes:
        assert m.gas <= 950_000 or m.name.endswith("slots, first")


def test_contracts_fit(measured):
    assert len(measured.bytes) == 20
    assert {name: size for name, size in measured.bytes.items() if size > 24_576} == {}


def test_the_lens_fits_a_nodes_call():
    """Too long to be traced; its gas is exact."""
    meter = AccessMeter(WatchedChain(keep_logs=False))
    stage = Stage(meter, like_eth(1), PRICE)
    stage.set_vols((30,))
    expiry = stage.expiry(30)
    stage.refresh(expiry)
    account = stage.writer("writer", 127, 1, expiry)
    lens = stage.protocol.portfolio_lens
    # A node's call may use more gas than a transaction.
    gas = meter.chain.view_gas(lens.address, lens.encode("explain", account.id, True))
    assert 1_000_000 < gas <= LENS_LIMIT


def test_a_difference_is_seen():
    old = {"operations": {"a": 100, "b": 5, "c": 1}}
    new = {"operations": {"a": 110, "b": 5, "d": 2}}
    assert snapshot.differences(old, new) == [
        "operations: a: 100 -> 110 (+10, +10.0%)",
        "operations: c: 1 -> -",
        "operations: d: - -> 2",
    ]
    assert snapshot.differences(old, old) == []
