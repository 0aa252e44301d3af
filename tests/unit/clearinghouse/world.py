"""Deployed protocols to test with, and the one way to say that a call is refused and changes nothing.

A protocol is deployed once a process and specification; every test works on a snapshot of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from margincall.chain import Contract, EmbeddedChain, Key, Reverted
from margincall.chain.embedded import _ACCOUNT, _SLOT
from margincall.model.accounts import unpack_header, unpack_words
from margincall.protocol.artifacts import CONTRACTS, Artifact, artifact, compile_file
from margincall.protocol.config import DEFAULT, USD, MarketSpec, ProtocolSpec
from margincall.protocol.deploy import deploy
from margincall.protocol.handle import Account, Protocol
from margincall.protocol.orders import Order

PRICES = {"BTC": 100_000, "ETH": 4_000, "SOL": 200}
TRADE, LIQUIDATION = 1, 2  # kinds of doors
OWNER = 6  # number of the account that owns the contracts
PAUSE = 100  # seconds: enough for a jump of half the price
THIN = DEFAULT._replace(
    cross_seed=10 * USD,
    markets=tuple(
        market._replace(seed=10 * USD, terms=market.terms._replace(oi_multiple=65_535))
        for market in DEFAULT.markets
    ),
)
"""As DEFAULT, with hardly any insurance."""


def many_markets(count: int) -> ProtocolSpec:
    """`count` markets with BTC's terms: M1, M2, ..."""
    first = DEFAULT.markets[0]
    return DEFAULT._replace(markets=tuple(first._replace(id=i, symbol=f"M{i}") for i in range(1, count + 1)))


_deployed: dict[tuple[ProtocolSpec, str], Protocol] = {}


def deployed(spec: ProtocolSpec = DEFAULT, token: Artifact | None = None) -> Protocol:
    """A protocol with prices and a rich counterparty; `token` replaces the ordinary settlement token.
    Take a snapshot before touching it."""
    place = spec, token.name if token else ""
    if place not in _deployed:
        _deployed[place] = _deploy(spec, token)
    return _deployed[place]


def _deploy(spec: ProtocolSpec, token: Artifact | None) -> Protocol:
    chain = EmbeddedChain()
    address = None
    if token:
        money = chain.deploy(token, "Hostile", "HOST", spec.token_decimals)
        money.send(chain.accounts[0], "mint", chain.accounts[0], 10**30)
        address = money.address
    protocol = deploy(chain, spec._replace(timelock_delay=0), token=address)
    _own(protocol)
    symbols = [market.symbol for market in spec.markets]
    for i in range(0, len(symbols), 8):
        protocol.set_prices({s: PRICES.get(s, 100_000) for s in symbols[i : i + 8]})
    _ = protocol.counterparty
    return protocol


def _own(protocol: Protocol) -> None:
    """Hand everything from the timelock to a plain account: tests of terms need not wait each time."""
    chain, timelock = protocol.chain, protocol.timelock
    deployer, owner = chain.accounts[0], chain.accounts[OWNER]
    owned = (
        protocol.access,
        protocol.markets,
        protocol.book,
        protocol.surface,
        protocol.portfolio,
        protocol.standard,
        protocol.collateral,
        protocol.feed,
    )
    for contract in owned:
        operation = (contract.address, 0, contract.encode("transfer_ownership", owner), bytes(32), bytes(32))
        timelock.send(deployer, "schedule", *operation, 0)
        timelock.send(deployer, "execute", *operation)
        contract.send(owner, "accept_ownership")


@contextmanager
def world(spec: ProtocolSpec = DEFAULT, token: Artifact | None = None) -> Iterator[World]:
    """A `World` on a snapshot."""
    protocol = deployed(spec, token)
    mark = protocol.chain.snapshot()
    protocol._salts.clear()  # those that other tests used are free again
    try:
        yield World(protocol, token)
    finally:
        protocol.chain.revert(mark)


@cache
def inline(name: str, source: str) -> Artifact:
    """Compile a contract that stands in a test; it may import from `contracts`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.vy"
        path.write_text(source)
        return compile_file(path, CONTRACTS)


def storage(chain: EmbeddedChain) -> dict[tuple[str, str], tuple[int, int]]:
    """Every slot of every contract that was touched: (first known value, value now)."""
    slots = {}
    journal = chain._evm.journal_str.partition("transient_storage:")[0]
    for address, *_, held, _ in _ACCOUNT.findall(journal):
        for slot, original, present in _SLOT.findall(held):
            slots[address, slot] = int(original), int(present)
    return slots


def changes(before: dict, after: dict) -> dict:
    """The slots that hold something else now. One that was not loaded before shows by its first value."""
    return {
        place: present
        for place, (original, present) in after.items()
        if present != (before[place][1] if place in before else original)
    }


class World:
    """A protocol, its roles, and what tests do to it all the time."""

    def __init__(self, protocol: Protocol, token: Artifact | None = None) -> None:
        self.protocol = protocol
        self.chain = protocol.chain
        self.hostile = token and Contract(self.chain, protocol.token.address, token)
        self.token, self.house, self.markets = protocol.token, protocol.clearinghouse, protocol.markets
        self.access, self.book = protocol.access, protocol.book
        self.exchange, self.modes = protocol.exchange, protocol.modes
        self.liquidation, self.lens = protocol.liquidation, protocol.lens
        self.owner = self.chain.accounts[OWNER]
        self.deployer, self.guardian, self.compliance, self.treasury = self.chain.accounts[:4]
        self.stranger = self.chain.accounts[7]
        self.maker = protocol.counterparty

    # ------------------------------------------------------------ actors

    def trader(self, name: str = "trader", usd=10_000, index: int = 0) -> Account:
        account = self.protocol.account(name, index)
        if usd:
            account.deposit(usd)
        return account

    def victim(self, name: str = "victim", price=97_000) -> Account:
        """An account with 1,000 USD, long 0.2 BTC from 100,000, after BTC fell to `price`: at 97,000 a slice
        cures it, at 94,000 it is insolvent."""
        account = self.trader(name, 1_000)
        account.buy("BTC", "0.2")
        self.jump(BTC=price)
        return account

    def liquidator(self, usd=100_000) -> Account:
        return self.trader("liquidator", usd)

    def door(self, kind: int) -> str:
        """An address that may post as a door of this kind."""
        address = self.chain.accounts[7 + kind]
        self.access.send(self.owner, "set_door", address, kind)
        return address

    def new(self, name: str, *args) -> Contract:
        """Deploy one more contract of `contracts/`."""
        return self.chain.deploy(artifact(name), *args)

    def pause(self) -> None:
        self.access.send(self.guardian, "set_paused", True)

    def deny(self, account: Account, *modes: int) -> None:
        bits = sum(1 << mode for mode in modes)
        self.access.send(self.compliance, "set_denied_modes", account.owner.address, bits)

    # ------------------------------------------------------------ prices

    def market(self, symbol: str) -> MarketSpec:
        return self.protocol.spec.market(symbol)

    def jump(self, **usd) -> None:
        """Set prices after a pause that allows up to half of the old price."""
        self.protocol.set_prices(usd, at=self.chain.timestamp + PAUSE)

    def set_terms(self, symbol: str, tiers=None, **changes) -> None:
        """Change a market's terms as its owner."""
        from margincall.protocol.deploy import fees_tuple

        market = self.market(symbol)
        terms = market.terms._replace(**changes)
        self.markets.send(self.owner, "set_terms", market.id, fees_tuple(terms), list(tiers or terms.tiers))

    # ------------------------------------------------------------ orders

    def pair(self, maker: int, taker: int, lots: int, symbol: str = "BTC", **both) -> tuple[Order, Order]:
        """Orders that cross at the mark: the taker buys `lots` (sells when negative)."""
        market, price = self.market(symbol).id, both.pop("price", self.protocol.mark(symbol))
        return tuple(
            Order(account, market, size, price, salt=self.protocol.next_salt(account), **both)
            for account, size in ((maker, -lots), (taker, lots))
        )

    def settle(self, maker: Order, taker: Order, lots: int, maker_key: Key, taker_key: Key, at=None):
        signatures = self.protocol.sign(maker_key, maker), self.protocol.sign(taker_key, taker)
        return self.protocol.settle([(maker, taker, lots, *signatures)], at=at)

    # ------------------------------------------------------------ state

    def cash(self, account: int) -> int:
        return unpack_header(self.house.call("account", account)[0])[0]

    def held(self, account: int) -> tuple:
        """Positions as (market, size, entry), in lane order."""
        header, words = self.house.call("account", account)
        return unpack_words(words, unpack_header(header)[1])

    def pool(self, pool: int) -> tuple[int, int]:
        """Insurance and treasury parts."""
        word = self.house.call("pools", pool)
        return word & (2**128 - 1), word >> 128

    def tokens(self, address: str) -> int:
        return self.token.call("balanceOf", address)

    @contextmanager
    def refused(self, reason: str) -> Iterator[None]:
        """The block reverts for this reason; no slot of any contract, token included, has changed."""
        before = storage(self.chain)
        with pytest.raises(Reverted) as caught:
            yield
        assert caught.value.reason == reason
        assert changes(before, storage(self.chain)) == {}


class Refusals:
    """The cases of a contract: each sets a world up and returns the call that must be refused."""

    def __init__(self) -> None:
        self.cases: list = []

    def __call__(self, reason: str, spec: ProtocolSpec = DEFAULT, token: Artifact | None = None) -> Callable:
        def add(case: Callable[[World], Callable]) -> Callable:
            self.cases.append(pytest.param(reason, spec, token, case, id=f"{reason} [{case.__name__}]"))
            return case

        return add

    @property
    def reasons(self) -> set[str]:
        return {case.values[0] for case in self.cases}


def check(reason: str, spec: ProtocolSpec, token: Artifact | None, case: Callable) -> None:
    """Run one case."""
    with world(spec, token) as w:
        attempt = case(w)
        with w.refused(reason):
            attempt()


def reasons_in(*files: str) -> set[str]:
    """The reasons that contract sources give, by their string literals in assert and raise."""
    import re

    found = set()
    for file in files:
        text = re.sub(r'"""(?s:.*?)"""', "", (CONTRACTS / file).read_text())
        found |= set(re.findall(r'(?:assert\s.*|raise\s*)\s*"([a-z_]+: [^"]+)"', text))
    return found


__all__ = [
    "DEFAULT",
    "LIQUIDATION",
    "THIN",
    "TRADE",
    "USD",
    "Refusals",
    "World",
    "changes",
    "check",
    "deployed",
    "inline",
    "many_markets",
    "reasons_in",
    "storage",
    "world",
]
