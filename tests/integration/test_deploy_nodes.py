"""The whole protocol on a real Anvil and a real Hardhat: deploy, save, load elsewhere, trade, liquidate."""

import json

import pytest

from margincall.chain import ChainError, EmbeddedChain, Reverted
from margincall.chain.node import NodeChain
from margincall.model.accounts import unpack_header, unpack_words
from margincall.protocol.config import DEFAULT, USD
from margincall.protocol.deploy import CONTRACTS, deploy, load, save

PRICES = {"BTC": 100_000, "ETH": 4_000, "SOL": 200}


@pytest.fixture(params=["anvil", "hardhat"])
def node(request) -> NodeChain:
    return request.getfixturevalue(request.param)


def play(protocol) -> list:
    """A short life of the protocol; what every account and pool holds at its end."""
    chain = protocol.chain
    start = chain.timestamp + 10
    protocol.set_prices(PRICES, at=start)
    a, b, k = (protocol.account(name) for name in ("a", "b", "keeper"))
    a.deposit(1_000)
    b.deposit(10_000)
    k.deposit(100_000)
    a.buy("BTC", "0.2", against=k, at=start + 30)
    b.buy("ETH", 1, leverage=10, mode="isolated", against=k, at=start + 40)
    protocol.set_prices(PRICES | {"BTC": 97_000}, at=start + 100)
    protocol.liquidate(a.id, b, at=start + 110)
    b.add_margin("ETH", 50)
    with pytest.raises(Reverted) as refused:
        a.withdraw(1_000)
    assert refused.value.reason == "margin: not enough cash"
    ids = [a.id, b.id, b.vault("ETH"), k.id]
    end = start + 300
    held = []
    for account in ids:
        header, words = protocol.clearinghouse.call("account", account)
        held.append((unpack_header(header), unpack_words(words, unpack_header(header)[1])))
    pools = [protocol.clearinghouse.call("pools", pool) for pool in range(4)]
    views = [protocol.lens.call("summary", account, at=end) for account in ids]
    balance = protocol.token.call("balanceOf", protocol.clearinghouse.address)
    return [held, pools, views, balance]


def test_a_node_does_what_the_embedded_chain_does(node):
    """The same story from the same second on, to the unit."""
    embedded = EmbeddedChain(timestamp=node.timestamp)
    results = []
    for chain in (node, embedded):
        began = chain.timestamp
        protocol = deploy(chain)
        # Deployment takes as many blocks on both, so the clocks agree.
        results.append((chain.timestamp - began, play(protocol)))
    assert results[0] == results[1]


def test_saved_and_loaded(node, tmp_path):
    protocol = deploy(node)
    protocol.set_prices(PRICES)
    path = save(protocol, tmp_path / "deployments")
    assert path.name == "31337.json"
    record = json.loads(path.read_text())
    assert record["contracts"]["Clearinghouse"] == {
        "address": protocol.clearinghouse.address,
        "abi": "Clearinghouse",
    }
    elsewhere = NodeChain(node.url, expect_chain_id=31337)
    loaded = load(elsewhere, path)
    assert loaded.spec == DEFAULT
    trader = loaded.account("loaded")
    trader.deposit(1_000)
    trader.buy("BTC", "0.01")
    node.refresh()
    assert protocol.account("loaded").size("BTC") == 10**6
    assert trader.summary().cash == 999_500_000
    with pytest.raises(ValueError, match="no feed signer's key"):
        loaded.set_prices(PRICES)
    assert protocol.clearinghouse.call("pools", 1) == 500_000 * USD


def test_a_file_of_another_chain_or_of_nothing(node, tmp_path):
    path = save(deploy(node), tmp_path)
    with pytest.raises(ChainError, match="no contract at 0x.*; deploy first"):
        load(EmbeddedChain(), path)
    with pytest.raises(ChainError, match="was deployed on chain 31337, this node is chain 5"):
        load(EmbeddedChain(chain_id=5), path)
    path.write_text("{}")
    with pytest.raises(ChainError, match="is not a deployment file"):
        load(node, path)


def test_every_contract_fits_in_the_nodes_limit(node):
    """The nodes enforce EIP-170 and, Anvil, EIP-7825: that deployment succeeded says so; the sizes too."""
    protocol = deploy(node)
    sizes = {name: len(node.code(contract.address)) for name, contract in protocol.contracts.items()}
    assert {"Clearinghouse", "PortfolioMargin", "Liquidation"} < sizes.keys()
    assert len(sizes) == len(CONTRACTS)
    assert all(0 < size < 24_576 for size in sizes.values()), sizes
