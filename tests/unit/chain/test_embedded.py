"""What is special about pyrevm: the fold, exact gas, memory, the order of snapshots."""

import random
import resource

import pytest

from margincall.chain import ChainError, EmbeddedChain, Reverted
from margincall.chain import embedded as module
from margincall.chain.base import DEV_ACCOUNTS


def gas_story(chain, probe) -> list[int]:
    """Receipt gas of fresh, repeated, clearing (refund), and calldata-heavy (EIP-7623) transactions."""
    contract = chain.deploy(probe, 0, DEV_ACCOUNTS[0])
    one, two = chain.accounts[:2]
    steps = [(one, "add", 5), (one, "add", 5), (two, "add", 7, 3), (two, "clear", one), (one, "clear", two)]
    steps += [(one, "add", 1), (one, "clear", one), (one, "enter"), (one, "enter")]
    steps += [(one, "blob", bytes(4_000)), (two, "blob", bytes(range(256)) * 16), (one, "blob", b"")]
    return [contract.send(*step).gas_used for step in steps]


def test_gas_is_the_anvil_receipts(anvil, probe):
    mine = gas_story(EmbeddedChain(exact_gas=True), probe)
    assert mine == gas_story(anvil, probe)
    assert mine[0] > mine[1] > mine[3], "a first write, a rewrite, and a refund differ"


def test_cold_view_gas_leaves_out_the_intrinsic_part(probe):
    chain = EmbeddedChain(exact_gas=True)
    contract = chain.deploy(probe, 3, DEV_ACCOUNTS[0])
    data = contract.encode("total")
    first = chain.view_gas(contract.address, data)
    assert first == chain.view_gas(contract.address, data), "each view starts cold"
    assert 2_100 < first < 2_400  # one cold SLOAD and the dispatch
    with pytest.raises(ChainError, match="exact_gas=True"):
        EmbeddedChain().view_gas(contract.address, data)


def run(probe, monkeypatch, fold_every: int, steps: int = 3_000):
    monkeypatch.setattr(module, "FOLD_EVERY", fold_every)
    chain = EmbeddedChain()
    contract = chain.deploy(probe, 5, DEV_ACCOUNTS[0])
    draw = random.Random(7)
    results = []
    for _ in range(steps):
        sender = f"0x{draw.randrange(1, 200):040x}"
        action = draw.choice([("add", draw.randrange(10, 16)), ("clear", sender), ("enter",)])
        try:
            results.append(contract.send(sender, *action).output)
        except Reverted as error:
            results.append(error.reason)
        if draw.random() < 0.05:
            mark = chain.snapshot()
            contract.send(sender, "add", 1_000)
            chain.revert(mark)
    balances = [contract.call("of", f"0x{i:040x}") for i in range(200)]
    return results, balances, contract.call("total"), chain.block, len(chain.logs())


def test_folding_the_journal_changes_nothing(probe, monkeypatch):
    often, never = run(probe, monkeypatch, 50), run(probe, monkeypatch, 10**9)
    assert often == never
    assert "probe: unlucky" in often[0]
    assert sum(balance > 0 for balance in often[1]) > 50


def test_fifty_thousand_sends_keep_memory_flat(probe):
    chain = EmbeddedChain(keep_logs=False)
    contract = chain.deploy(probe, 0, DEV_ACCOUNTS[0])
    data = contract.encode("add", 1)

    def burst(count: int) -> int:
        for i in range(count):
            chain.send(chain.accounts[i % 10], contract.address, data)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    warm = burst(10_000)
    grown = burst(40_000) - warm
    assert contract.call("total") == 50_000
    assert grown < 16_384, f"{grown} KiB more after 40,000 transactions"


def test_nested_snapshots_have_a_limit_and_unwind(probe):
    chain = EmbeddedChain()
    contract = chain.deploy(probe, 0, DEV_ACCOUNTS[0])
    marks = []
    for _ in range(module.MAX_SNAPSHOTS):
        marks.append(chain.snapshot())
        contract.send(chain.accounts[0], "add", 1)
    with pytest.raises(ChainError, match="snapshots are open"):
        chain.snapshot()
    while marks:
        assert contract.call("total") == len(marks)
        chain.revert(marks.pop())
    assert (contract.call("total"), chain.block, chain.logs()) == (0, 1, [])


def test_options_that_exclude_each_other_say_so():
    with pytest.raises(ChainError, match="no snapshots"):
        EmbeddedChain(exact_gas=True).snapshot()
    with pytest.raises(ChainError, match="keep_logs=True"):
        EmbeddedChain(keep_logs=False).logs()
