"""An account read from a chain: its margin is the chain's, to the unit, in both modes."""

import pytest

from margincall.chain import EmbeddedChain
from margincall.margining import measure
from margincall.margining.onchain import account_id, case_of, difference
from margincall.model import accounts as ids
from margincall.protocol.deploy import deploy
from margincall.replay.candles import BadInput

START = 1_795_161_600  # 20 November 2026, 08:00
SMILE = ("0.6", "-0.1", "0.3")


@pytest.fixture(scope="module")
def protocol():
    found = deploy(EmbeddedChain(timestamp=START))
    found.set_prices({"BTC": 100_000, "ETH": 3_000})
    found.publish_vols({("BTC", "25DEC26"): SMILE, ("ETH", "25DEC26"): SMILE})
    for symbol in ("BTC", "ETH"):
        found.refresh(symbol, "25DEC26")
    return found


@pytest.fixture(scope="module")
def trader(protocol):
    found = protocol.account("trader")
    found.deposit(100_000)
    found.buy("BTC", "1.5")
    found.sell("ETH", "20")
    found.buy("BTC-25DEC26-95000-P", "1")
    found.sell("ETH-25DEC26-3200-C", "10")
    found.buy("BTC-25DEC26", "0.2")
    protocol.set_prices({"BTC": 99_500, "ETH": 3_010})
    return found


def test_both_modes_are_the_chain_s(protocol, trader):
    address = trader.owner.address
    report = measure(case_of(protocol, address))
    assert report.case.about == "on chain 31337, now in cross mode"
    names = [position.name for position in report.positions]
    assert names == [
        "BTC", "ETH", "BTC-25DEC26-95000-P", "BTC-25DEC26", "ETH-25DEC26-3200-C"
    ]  # fmt: skip
    assert report.positions[3].profit is not None
    house = protocol.clearinghouse
    assert tuple(house.call("margin", trader.id)) == report.cross
    assert tuple(protocol.portfolio.call("margin", *house.call("account", trader.id))) == report.portfolio
    assert difference(protocol, address, report) is None
    trader.to_portfolio()
    report = measure(case_of(protocol, hex(trader.id)))
    assert tuple(house.call("margin", trader.id)) == report.portfolio
    assert difference(protocol, address, report) is None
    other = report._replace(modes={**report.modes, "portfolio": report.portfolio._replace(initial=1)})
    assert "other than shown" in difference(protocol, address, other)


def test_dials_of_the_chain_or_given(protocol, trader):
    address = trader.owner.address
    asked = case_of(protocol, address, rho="1", psi="0").risk
    assert asked.mm == asked.im == (32_768, 0)
    rho, psi, *_ = protocol.portfolio.call("stress_dials")
    assert case_of(protocol, address).risk.im == (rho, psi)


def test_refusals(protocol, trader):
    for bad in ("trader", "0x12", "0x" + "g" * 40):
        with pytest.raises(BadInput, match="expected an address"):
            account_id(bad)
    with pytest.raises(BadInput, match="holds no position on chain 31337"):
        case_of(protocol, "0x" + "11" * 20)
    with pytest.raises(BadInput, match="is a vault"):
        case_of(protocol, hex(ids.vault(trader.id, 1)))
    with pytest.raises(BadInput, match="--exact: the chain keeps curves"):
        measure(case_of(protocol, trader.owner.address), exact=True)


def test_a_stale_chain_is_refused_by_the_rule(protocol, trader):
    before = protocol.chain.snapshot()
    protocol.token.send(
        trader.owner.address, "approve", trader.owner.address, 0, at=protocol.chain.timestamp + 700
    )
    with pytest.raises(BadInput, match="refuses the account .price: stale."):
        measure(case_of(protocol, trader.owner.address))
    protocol.chain.revert(before)
