"""Gas and bytes of the contracts, held against `snapshot.json`.

    python -m tests.gas.snapshot            # prints what differs, exit 1 when anything does
    python -m tests.gas.snapshot --update   # writes the file

receipts: gas of transactions on a real Anvil. views: gas of calls on cold state without the
transaction's own cost (embedded EVM). portfolio: checks of portfolio accounts, likewise
(tests/gas/portfolio.py). bytes: deployed code, EIP-170 allows 24,576.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from margincall.chain import Chain, EmbeddedChain, nodes
from margincall.protocol.artifacts import artifact
from margincall.protocol.config import DEFAULT, USD, ProtocolSpec
from margincall.protocol.deploy import deploy
from margincall.protocol.handle import Account, Protocol
from margincall.protocol.orders import Order
from tests.gas import portfolio

FILE = Path(__file__).with_name("snapshot.json")
PERPS = (1, 4, 8, 16, 32)
THIN = DEFAULT._replace(
    cross_seed=100 * USD,
    markets=tuple(m._replace(terms=m.terms._replace(oi_multiple=65_535)) for m in DEFAULT.markets),
)
"""Hardly any insurance for cross accounts: an insolvency beyond 100 USD is socialised."""


def measure() -> dict[str, dict[str, int]]:
    """Everything, anew. Starts an Anvil node."""
    with nodes.anvil() as chain:
        receipts = operations(chain)
    return {"receipts": receipts, "views": views(), "portfolio": portfolio.views(), "bytes": sizes()}


# ---------------------------------------------------------------- receipts


def operations(chain: Chain) -> dict[str, int]:
    """Gas of every operation, by name; protocols are deployed on `chain` for it."""
    protocol = deploy(chain, DEFAULT)
    gas = {"price update, 3 markets (first)": protocol.set_prices(_prices()).gas_used}
    _ = protocol.counterparty
    gas |= _money(protocol)
    gas |= _trades(protocol)
    gas |= _batches(protocol)
    gas |= _modes(protocol)
    gas["price update, 1 market"] = protocol.set_prices({"BTC": 100_100}).gas_used
    gas["price update, 3 markets"] = protocol.set_prices(_prices()).gas_used
    gas |= liquidations(chain)
    return gas | portfolio.operations(chain)


def _prices(btc: int = 100_000) -> dict[str, int]:
    return {"BTC": btc, "ETH": 4_000, "SOL": 200}


def _rich(protocol: Protocol, name: str, usd: int = 1_000_000) -> Account:
    """An account that has tokens left after its deposit, as most depositors do."""
    account = protocol.account(name)
    protocol.token.send(account.owner.address, "mint", account.owner.address, 10 * usd * USD)
    account.deposit(usd)
    return account


def _money(protocol: Protocol) -> dict[str, int]:
    account = protocol.account("saver")
    owner = account.owner.address
    protocol.token.send(owner, "mint", owner, 10**6 * USD)
    protocol.token.send(owner, "approve", protocol.clearinghouse.address, 2**256 - 1)
    return {
        "deposit, first": account.deposit(1_000).gas_used,
        "deposit, repeated": account.deposit(1_000).gas_used,
        "withdraw": account.withdraw(500).gas_used,
    }


def _pairs(protocol: Protocol, accounts: list[tuple[Account, Account]], symbol: str = "BTC") -> int:
    """Gas of one call that settles a trade of 0.01 BTC for every pair, with consecutive salts."""
    market, fills = protocol.spec.market(symbol), []
    lots, price = market.lots("0.01"), protocol.mark(symbol)
    for maker, taker in accounts:
        sell = Order(maker.id, market.id, -lots, price, salt=protocol.next_salt(maker.id))
        buy = Order(taker.id, market.id, lots, price, salt=protocol.next_salt(taker.id))
        signatures = protocol.sign(maker.owner, sell), protocol.sign(taker.owner, buy)
        fills.append((sell, buy, lots, *signatures))
    return protocol.settle(fills).gas_used


def _trades(protocol: Protocol) -> dict[str, int]:
    _pairs(protocol, [(_rich(protocol, "first maker"), _rich(protocol, "first taker"))])  # the market's
    pair = _rich(protocol, "maker"), _rich(protocol, "taker")
    gas = {"trade, two fresh accounts": _pairs(protocol, [pair])}
    gas["trade, cross, second fill of a word"] = _pairs(protocol, [pair])
    gas["trade, cross"] = _pairs(protocol, [pair])
    _pairs(protocol, [pair])  # the fourth of its word
    gas["trade, cross, new fill words"] = _pairs(protocol, [pair])
    return gas


def _batches(protocol: Protocol) -> dict[str, int]:
    pairs = [(_rich(protocol, f"maker {i}"), _rich(protocol, f"taker {i}")) for i in range(11)]
    fresh, first = _pairs(protocol, pairs[:10]), _pairs(protocol, pairs[10:])
    again, one = _pairs(protocol, pairs[:10]), _pairs(protocol, pairs[10:])
    return {
        "ten trades in one call, fresh": fresh,
        "ten trades in one call, cross": again,
        "further trade in a call, fresh": (fresh - first) // 9,
        "further trade in a call, cross": (again - one) // 9,
    }


def _modes(protocol: Protocol) -> dict[str, int]:
    account = _rich(protocol, "isolator")
    account.buy("ETH", 10)
    _rich(protocol, "other").buy("BTC", "0.1")
    return {
        "open isolated": account.buy("BTC", "0.1", leverage=10, mode="isolated").gas_used,
        "add margin": account.add_margin("BTC", 100).gas_used,
        "remove margin": account.remove_margin("BTC", 50).gas_used,
        "add to isolated": account.buy("BTC", "0.1", leverage=10, mode="isolated").gas_used,
        "switch to cross": account.to_cross("BTC").gas_used,
        "switch to isolated": account.to_isolated("BTC", 2_000).gas_used,
        "close isolated": account.close("BTC", mode="isolated").gas_used,
        "close cross": account.close("ETH").gas_used,
    }


def liquidations(chain: Chain) -> dict[str, int]:
    """Gas of liquidations; the taker holds nothing in the market, the dearest case."""
    gas = {}
    for name, spec, price in (
        ("slice", DEFAULT, 97_000),
        ("full", DEFAULT, 95_500),
        ("insolvent, insured", DEFAULT, 94_000),
        ("insolvent, socialised", THIN, 90_000),
    ):
        protocol = deploy(chain, spec)
        protocol.set_prices(_prices())
        victim, taker = _rich(protocol, "victim", 1_000), _rich(protocol, "liquidator")
        victim.buy("BTC", "0.2")
        protocol.set_prices(_prices(price), at=chain.timestamp + 100)
        receipt = protocol.liquidate(victim.id, taker)
        _check_kind(protocol, receipt, name)
        gas[f"liquidation, 1 perp, {name}"] = receipt.gas_used
    return gas | _large_liquidation(chain)


def _check_kind(protocol: Protocol, receipt, name: str) -> None:
    done = protocol.liquidation.events(receipt, "Liquidated")[0].args
    kind = {
        "slice": done["quanta"] < 1_000,
        "full": done["quanta"] == 1_000 and done["shortfall"] == 0,
        "insolvent, insured": done["insurance_paid"] > 0 and done["socialised"] == 0,
        "insolvent, socialised": done["insurance_paid"] > 0 and done["socialised"] > 0,
    }
    if not kind[name]:
        raise AssertionError(f"the liquidation was not of the kind {name!r}: {done}")


def _large_liquidation(chain: Chain) -> dict[str, int]:
    protocol, account = _many(chain, 32)
    symbols = [market.symbol for market in protocol.spec.markets]
    taker = _rich(protocol, "liquidator", 10**6)
    at = chain.timestamp + 100
    for i in range(0, 32, 8):
        protocol.set_prices(dict.fromkeys(symbols[i : i + 8], 94500), at=at + i)
    receipt = protocol.liquidate(account.id, taker)
    return {"liquidation, 32 perps, slice": receipt.gas_used}


# ---------------------------------------------------------------- views


def _many(chain: Chain, count: int, seen=None) -> tuple[Protocol, Account]:
    """An account with `count` perps of 1,000 USD on 2,300 USD of cash; `seen(n)` after the n-th."""
    protocol = deploy(chain, many_markets(count))
    symbols = [market.symbol for market in protocol.spec.markets]
    for i in range(0, count, 8):
        protocol.set_prices(dict.fromkeys(symbols[i : i + 8], 100000))
    account = _rich(protocol, "many", 2_300)
    for i, symbol in enumerate(symbols):
        account.buy(symbol, "0.01")
        if seen:
            seen(protocol, account, i + 1)
    return protocol, account


def many_markets(count: int) -> ProtocolSpec:
    """`count` markets with BTC's terms."""
    first = DEFAULT.markets[0]
    markets = tuple(first._replace(id=i, symbol=f"M{i}") for i in range(1, count + 1))
    return DEFAULT._replace(markets=markets)


def views() -> dict[str, int]:
    """Gas of margin views by the number of positions."""
    gas = {}

    def seen(protocol: Protocol, account: Account, count: int) -> None:
        if count in PERPS:
            for contract, function in ((protocol.clearinghouse, "margin"), (protocol.lens, "summary")):
                data = contract.encode(function, account.id)
                used = protocol.chain.view_gas(contract.address, data)
                gas[f"{contract.artifact.name}.{function}, {count} perps"] = used

    _many(EmbeddedChain(exact_gas=True), max(PERPS), seen)
    return dict(sorted(gas.items(), key=lambda item: (item[0].split(",")[0], int(item[0].split()[-2]))))


# ---------------------------------------------------------------- bytes


def sizes() -> dict[str, int]:
    """Bytes of deployed code, of what a deployment consists of and of the other feed."""
    chain = EmbeddedChain()
    protocol = deploy(chain, many_markets(63))
    found = {name: len(chain.code(contract.address)) for name, contract in protocol.contracts.items()}
    found["AggregatorFeed"] = len(chain.code(chain.deploy(artifact("AggregatorFeed")).address))
    book = protocol.markets.call("book") & (2**160 - 1)
    found["terms of 63 markets"] = len(chain.code(f"0x{book:040x}"))
    return dict(sorted(found.items()))


# ---------------------------------------------------------------- command line


def differences(old: dict, new: dict) -> list[str]:
    """One line for everything that changed, appeared or went."""
    lines = []
    for group in sorted(old.keys() | new.keys()):
        before, after = old.get(group, {}), new.get(group, {})
        for name in sorted(before.keys() | after.keys()):
            was, now = before.get(name), after.get(name)
            if was != now:
                change = f" ({now - was:+,}, {(now - was) / was:+.1%})" if was and now else ""
                shown = [f"{value:,}" if value is not None else "-" for value in (was, now)]
                lines.append(f"{group}: {name}: {shown[0]} -> {shown[1]}{change}")
    return lines


def load() -> dict:
    """The recorded snapshot; empty when there is none."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description="Gas and bytes of the contracts against snapshot.json.")
    parser.add_argument("--update", action="store_true", help="write the file")
    update = parser.parse_args().update
    measured = measure()
    lines = differences(load(), measured)
    print("\n".join(lines) or "no difference")
    if update:
        FILE.write_text(json.dumps(measured, indent=2) + "\n")
    sys.exit(bool(lines) and not update)


if __name__ == "__main__":
    main()
