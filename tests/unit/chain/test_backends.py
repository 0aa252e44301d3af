"""The embedded chain and real nodes agree: results, clock, logs, reasons, storage."""

import pytest
from eth_utils import keccak

from margincall.chain import ChainError, EmbeddedChain, Reverted
from margincall.chain.base import DEV_ACCOUNTS, TX_GAS

STRANGER = "0x00000000000000000000000000000000DeaDBeef"


def story(chain, probe) -> list:
    """Everything observable of one fixed sequence, times relative to its start."""
    seen: list = []
    zero = chain.timestamp + 1_000
    contract = chain.deploy(probe, 5, DEV_ACCOUNTS[3], at=zero)
    first = chain.block
    senders = [*chain.accounts[:3], STRANGER]
    for i, sender in enumerate(senders):
        receipt = contract.send(sender, "add", 20 + i, at=zero + 10 * (i + 1))
        seen.append((receipt.ok, receipt.timestamp - zero, receipt.block - first))
        seen.append([(event.name, event.args) for event in contract.events(receipt)])
    contract.send(senders[0], "add", 3, 4)
    seen.append(("default clock", chain.timestamp - zero, chain.block - first))
    mark = chain.snapshot()
    contract.send(senders[1], "clear", senders[1])
    inner = chain.snapshot()
    contract.send(senders[1], "add", 99, at=zero + 5_000)
    seen.append((contract.call("total"), chain.timestamp - zero))
    chain.revert(inner)
    seen.append((contract.call("total"), contract.call("of", senders[1]), chain.timestamp - zero))
    chain.revert(mark)
    seen.append((contract.call("of", senders[1]), chain.timestamp - zero, chain.block - first))
    for args in (("add", 13), ("refuse", 0), ("refuse", 1), ("refuse", 2), ("refuse", 3), ("burn",)):
        with pytest.raises(Reverted) as viewed:
            contract.call(*args)
        before = contract.call("total")
        with pytest.raises(Reverted) as sent:
            contract.send(senders[0], *args)
        seen.append((args, viewed.value.reason, viewed.value.data, sent.value.reason, sent.value.data))
        seen.append((contract.call("total") - before, chain.timestamp - zero, chain.block - first))
    for _ in range(2):
        seen.append(("transient", contract.call("enter")))
        contract.send(senders[0], "enter")
    seen.append(contract.call("clock")[0] - zero)
    seen.append(contract.call("clock", at=chain.timestamp + 77)[0] - zero)
    seen.append(contract.call("clock")[0] - zero)
    seen.append((contract.call("clock")[1], chain.chain_id))
    contract.send(senders[0], "add", 1)
    seen.append(("after a later call", chain.timestamp - zero, contract.call("clock")[0] - zero))
    seen.append((chain.storage(contract.address, probe.layout["total"]), contract.call("DEPLOYER")))
    seen.append((len(chain.code(contract.address)), chain.code(contract.address)[: len(probe.runtime)]))
    logs = chain.logs(contract.address, first)
    seen.append([(log.block - first, log.topics, log.data) for log in logs])
    seen.append(len(chain.logs(contract.address, first + 2)))
    return seen


@pytest.fixture(scope="module")
def expected(probe) -> list:
    return story(EmbeddedChain(), probe)


@pytest.mark.parametrize("backend", ["anvil", "hardhat"])
def test_node_tells_the_embedded_story(backend, request, probe, expected):
    told = story(request.getfixturevalue(backend), probe)
    for mine, theirs in zip(expected, told, strict=True):
        assert theirs == mine


def test_exact_gas_chain_tells_it_too(probe, expected):
    """Without snapshots the story differs only in where it turns back, so replay a plain part of it."""
    plain, exact = EmbeddedChain(), EmbeddedChain(exact_gas=True)
    for chain in (plain, exact):
        contract = chain.deploy(probe, 5, DEV_ACCOUNTS[0])
        for i in range(30):
            contract.send(chain.accounts[i % 3], "add", 20 + i)
    assert exact.logs() == plain.logs()
    assert exact.storage(exact.logs()[0].address, 0) == plain.storage(plain.logs()[0].address, 0) == 1_040


def test_the_story_reverts_for_the_reasons_given(expected):
    reasons = {entry[0]: entry[1] for entry in expected if isinstance(entry, tuple) and len(entry) == 5}
    assert reasons["add", 13] == "probe: unlucky"
    assert reasons["refuse", 0] == ""
    assert reasons["refuse", 1] == f"0x{keccak(text='Custom()')[:4].hex()}"
    assert reasons["refuse", 2] == ""  # Vyper's checked arithmetic reverts without a reason
    assert reasons["refuse", 3] == "panic 0x11"
    assert reasons[("burn",)] == "OutOfGas"


@pytest.mark.parametrize("backend", ["embedded", "anvil", "hardhat"])
def test_bad_times_and_snapshots_are_refused(backend, request, probe):
    chain = request.getfixturevalue(backend)
    contract = chain.deploy(probe, 0, DEV_ACCOUNTS[0])
    now, block = chain.timestamp, chain.block
    for late in (now, now - 5):
        with pytest.raises(ChainError, match="not later than the last block's"):
            contract.send(chain.accounts[0], "add", 1, at=late)
    with pytest.raises(ChainError, match="before the last block's"):
        contract.call("clock", at=now - 1)
    assert (chain.timestamp, chain.block, contract.call("total")) == (now, block, 0)
    outer = chain.snapshot()
    inner = chain.snapshot()
    with pytest.raises(ChainError, match="newest"):
        chain.revert(outer)
    chain.revert(inner)
    with pytest.raises(ChainError, match="newest"):
        chain.revert(inner)
    chain.revert(outer)


@pytest.mark.parametrize("backend", ["embedded", "anvil", "hardhat"])
def test_ten_rich_accounts_are_shared(backend, request):
    chain = request.getfixturevalue(backend)
    assert tuple(chain.accounts[:10]) == DEV_ACCOUNTS
    assert chain.chain_id == 31337


def test_gas_limit_is_a_transactions(anvil, embedded, probe):
    """EIP-7825 holds on Anvil as we start it; the default limit is the largest allowed."""
    contract = anvil.deploy(probe, 0, DEV_ACCOUNTS[0])
    with pytest.raises(ChainError, match="gas"):
        contract.send(anvil.accounts[0], "add", 1, gas=TX_GAS + 1)
    contract.send(anvil.accounts[0], "add", 1, gas=TX_GAS)
    assert contract.call("total") == 1
