"""Stories told through the typed handle on the embedded chain, with numbers to check by hand."""

import pytest

from margincall.chain import EmbeddedChain, Reverted
from margincall.protocol.config import DEFAULT, USD
from margincall.protocol.deploy import deploy

PRICES = {"BTC": 100_000, "ETH": 4_000, "SOL": 200}


@pytest.fixture(params=[6, 18], ids=["6 decimals", "18 decimals"])
def protocol(request):
    made = deploy(EmbeddedChain(), DEFAULT._replace(token_decimals=request.param))
    made.set_prices(PRICES)
    return made


def jump(protocol, **usd) -> None:
    protocol.set_prices(usd, at=protocol.chain.timestamp + 100)


def conserved(protocol, names) -> None:
    """I-01: the tokens are exactly what accounts, pools and open positions claim."""
    house, claims = protocol.clearinghouse, 0
    for name in (*names, "counterparty"):
        account = protocol.account(name)
        for one in (account.id, *(account.vault(market.symbol) for market in protocol.spec.markets)):
            summary_cash = house.call("account", one)[0] & (2**128 - 1)
            claims += summary_cash - (2**128 if summary_cash >> 127 else 0)
            claims -= sum(position.entry for position in protocol.lens.call("positions", one))
    for pool in range(4):
        word = house.call("pools", pool)
        claims += (word & (2**128 - 1)) + (word >> 128)
        claims -= house.call("deficits", pool)
    claims += house.call("residue")
    assert protocol.token.call("balanceOf", house.address) == claims * protocol.scale


def test_isolated_loses_at_most_its_margin(protocol):
    """10,000 in the account, 500 isolated at ten times: the crash costs 500 (and 0 more), 9,500 stay."""
    a, k = protocol.account("a"), protocol.account("keeper")
    a.deposit(10_000)
    k.deposit(100_000)
    a.buy("BTC", "0.05", leverage=10, mode="isolated")
    jump(protocol, BTC=80_000)
    protocol.liquidate(a.vault("BTC"), k)
    assert a.summary().cash == 9_500 * USD
    assert a.size("BTC", "isolated") == 0
    conserved(protocol, ["a", "keeper"])


def test_the_same_trade_survives_in_cross(protocol):
    a = protocol.account("a")
    a.deposit(10_000)
    a.buy("BTC", "0.05", leverage=10)
    assert a.liquidation_price("BTC") is None
    jump(protocol, BTC=50_000)
    assert not a.summary().liquidatable
    conserved(protocol, ["a"])


def test_cross_positions_that_lose_together(protocol):
    """With 60,000 of ETH beside it the account goes, and all 10,000 stood behind both."""
    a, k = protocol.account("a"), protocol.account("keeper")
    a.deposit(10_000)
    k.deposit(1_000_000)
    a.buy("BTC", "0.05")
    a.buy("ETH", 15)
    jump(protocol, BTC=85_000, ETH=3_400)
    assert a.summary().liquidatable
    protocol.liquidate(a.id, k)
    assert not a.summary().liquidatable
    assert a.summary().equity < 350 * USD
    conserved(protocol, ["a", "keeper"])


def test_winners_are_paid_and_can_leave(protocol):
    """Nothing is left but insurance, fees and residue when everybody has gone."""
    names = ["a", "b", "keeper"]
    a, b, k = (protocol.account(name) for name in names)
    a.deposit(1_000)
    b.deposit(5_000)
    k.deposit(100_000)
    a.buy("BTC", "0.2", against=b)
    jump(protocol, BTC=90_000)
    protocol.liquidate(a.id, k)
    k.close("BTC", against=b)
    house = protocol.clearinghouse
    for account in (a, b, k):
        house.send(account.owner.address, "close_account", account.id, account.owner.address)
    assert house.call("open_interest", 1) == 0
    assert protocol.token.call("balanceOf", b.owner.address) > 6_900 * USD * protocol.scale
    conserved(protocol, names)


def test_retail(protocol):
    """Restricted to isolated: no cross position, no switch to it; what stood before can only shrink."""
    chain = protocol.chain
    a = protocol.account("retail")
    a.deposit(10_000)
    a.buy("ETH", 1)
    protocol.access.send(chain.accounts[2], "set_denied_modes", a.owner.address, 1)
    for refused in (
        lambda: a.buy("ETH", 1),
        lambda: a.buy("BTC", "0.01"),
    ):
        with pytest.raises(Reverted, match="access: mode not allowed"):
            refused()
    a.buy("BTC", "0.05", leverage=10, mode="isolated")
    with pytest.raises(Reverted, match="access: mode not allowed"):
        a.to_cross("BTC")
    a.sell("ETH", "0.5")
    a.close("ETH")
    protocol.access.send(chain.accounts[2], "set_denied_modes", a.owner.address, 3)
    with pytest.raises(Reverted, match="access: mode not allowed"):
        a.buy("BTC", "0.01", mode="isolated", margin=100)
    a.close("BTC", mode="isolated")
    a.withdraw(9_900)
    conserved(protocol, ["retail"])


def test_bad_orders_of_a_newcomer(protocol):
    """One line each that says what to do, before anything is sent."""
    a = protocol.account("a")
    a.deposit(100)
    block = protocol.chain.block
    for attempt, message in (
        (lambda: a.buy("DOGE", 1), "unknown market 'DOGE'; this deployment has BTC, ETH, SOL"),
        (lambda: a.buy("BTC", 1, mode="both"), "unknown mode 'both'; expected isolated or cross"),
        (lambda: a.buy("BTC", 1, leverage=26), "leverage 26 on BTC: expected 1 to 25"),
        (lambda: a.buy("BTC", 1, leverage="ten"), "leverage ten on BTC: expected 1 to 25"),
        (lambda: a.buy("BTC", 1, leverage=10), "deposit more or raise the leverage"),
        (lambda: a.buy("BTC", 0), "size is zero"),
        (lambda: a.buy("BTC", "0.000000001"), "has more than 8 decimals"),
        (lambda: a.close("BTC"), "no cross position in BTC to close"),
    ):
        with pytest.raises(ValueError, match=message) as refused:
            attempt()
        assert "\n" not in str(refused.value)
    assert protocol.chain.block == block
