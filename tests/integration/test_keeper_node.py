"""The keeper on a real Anvil: what it rebuilds from the log is what the chain stores, and it acts."""

from decimal import Decimal

import pytest

from margincall.keeper import Keeper
from margincall.model import accounts
from margincall.protocol.config import USD
from margincall.protocol.deploy import deploy
from margincall.protocol.handle import Account


class _Owner:
    def __init__(self, address: str) -> None:
        self.address = address


@pytest.fixture
def protocol(anvil):
    made = deploy(anvil)
    made.set_prices({"BTC": 100_000, "ETH": 4_000, "SOL": 200})
    return made


def _fund_keeper(protocol, address: str) -> None:
    Account(protocol, _Owner(address), accounts.root(address)).deposit(1_000_000)


def _fall(protocol, percent: int) -> None:
    mark = Decimal(1)
    while mark > 1 - Decimal(percent) / 100:
        mark *= Decimal("0.991")
        prices = {"BTC": 100_000 * mark, "ETH": 4_000 * mark, "SOL": 200 * mark}
        rounded = {symbol: price.quantize(Decimal("0.01")) for symbol, price in prices.items()}
        protocol.set_prices(rounded, at=protocol.chain.timestamp + 2)


def _same_as_chain(keeper: Keeper) -> int:
    """Compare every rebuilt account with storage; how many there are."""
    twin, house = keeper.watch.twin, keeper.protocol.clearinghouse
    everyone = set(twin.cash) | set(twin.positions)
    for account in everyone:
        assert house.call("account", account) == (twin.header(account), twin.words(account))
    return len(everyone)


def test_it_liquidates_the_unhealthy_and_leaves_the_healthy(protocol, anvil):
    vaulted, crossed, safe = (protocol.account(f"keeper test {i}") for i in range(3))
    for account in (vaulted, crossed, safe):
        account.deposit(10_000)
    vaulted.buy("BTC", "0.05", leverage=10, mode="isolated")
    crossed.buy("ETH", "30", leverage=20)
    safe.sell("SOL", "100", leverage=5)
    sender, lines = anvil.accounts[9], []
    _fund_keeper(protocol, sender)
    keeper = Keeper(protocol, sender, lines.append)

    assert keeper.round() == []
    assert "liquidation price" in lines[1]
    _fall(protocol, 7)
    acted = keeper.round()

    assert {done.account for done in acted} == {vaulted.vault("BTC"), crossed.id}
    assert sum("took" in line for line in lines) == len(acted)
    assert all(done.penalty > 0 for done in acted)
    assert keeper.round() == []
    assert safe.size("SOL") == -100 * 10**6
    assert _same_as_chain(keeper) >= 5


def test_it_rebuilds_every_kind_of_change(protocol, anvil):
    trader, leaver = protocol.account("rebuild"), protocol.account("leaver")
    for account in (trader, leaver):
        account.deposit(10_000)
    trader.buy("BTC", "0.05", leverage=10, mode="isolated")
    trader.add_margin("BTC", 100)
    trader.remove_margin("BTC", 50)
    trader.buy("ETH", 2)
    trader.buy("SOL", 20)
    trader.to_cross("BTC")
    trader.to_isolated("ETH", 900)
    trader.close("SOL")
    trader.close("ETH", mode="isolated")
    trader.withdraw(1_000)
    house = protocol.clearinghouse
    house.send(leaver.owner.address, "close_account", leaver.id, leaver.owner.address)
    keeper = Keeper(protocol, anvil.accounts[9], lambda line: None)
    keeper.round()

    assert _same_as_chain(keeper) >= 2
    assert leaver.id not in keeper.watch.twin.cash
    assert house.call("account", leaver.id)[0] == 0
    assert keeper.watch.twin.cash[trader.id] < 9_000 * USD


def test_a_stale_price_stops_it_without_an_error(protocol, anvil):
    trader = protocol.account("stale")
    trader.deposit(10_000)
    trader.buy("BTC", "0.05", leverage=10, mode="isolated")
    protocol.token.send(anvil.accounts[0], "mint", anvil.accounts[0], 1, at=anvil.timestamp + 3_600)
    lines = []

    assert Keeper(protocol, anvil.accounts[9], lines.append).round() == []
    assert "2 without a fresh price" in lines[0]
