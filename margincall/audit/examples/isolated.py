"""The adapter of `IsolatedPerps.vy`: vaults only, no bug that is known."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from margincall.audit.adapter import Account, Margin, Market, Rates, Stocks
from margincall.chain import EmbeddedChain
from margincall.chain.base import Receipt
from margincall.protocol.artifacts import Artifact, artifact, compile_file

SOURCE = Path(__file__).with_name("IsolatedPerps.vy")
USD = 10**6
RICH = 10**30
MARKETS = (
    Market("BTC", price=10_000_000, low=1, high=2**40, scale=100, penalty=20_000, band=10_000, step=20_000),
    Market("ETH", price=400_000, low=1, high=2**40, scale=100, penalty=20_000, band=10_000, step=20_000),
)
UNIT = 100 * 10**12


@lru_cache
def compiled() -> Artifact:
    return compile_file(SOURCE)


class IsolatedPerps:
    """money: 1e-6 USD; size: 1e-6 coins; price: 0.01 USD a coin."""

    name = "IsolatedPerps"
    markets = MARKETS
    money = 1_000 * USD
    rounding = 4
    transfer = 0
    partial = True
    accrues = False
    reward = 0
    anyone = ("liquidate", "deposit")

    def __init__(self, engine: Artifact) -> None:
        self.chain = chain = EmbeddedChain(keep_logs=False)
        owner, self.matcher, self.oracle, *others = chain.accounts
        self.traders = others[:6]
        self.accounts = [Account(t, m) for t in range(len(self.traders)) for m in range(len(MARKETS))]
        self.token = chain.deploy(artifact("Token"), "Dollar", "USD", 6)
        prices = [market.price for market in MARKETS]
        self.engine = chain.deploy(engine, self.token.address, self.matcher, self.oracle, prices)
        self.contracts = [self.engine]
        for holder in (owner, *self.traders):
            self.token.send(owner, "mint", holder, RICH)
            self.token.send(holder, "approve", self.engine.address, 2**256 - 1)
        for market in range(len(MARKETS)):
            self.engine.send(owner, "fund_insurance", market, 100 * USD)

    def deposit(self, account: Account, amount: int) -> Receipt:
        return self.engine.send(self.traders[account.trader], "deposit", account.pool, amount)

    def withdraw(self, account: Account, amount: int) -> Receipt:
        return self.engine.send(self.traders[account.trader], "withdraw", account.pool, amount)

    def trade(self, market: int, buyer: Account, seller: Account, size: int, price: int) -> Receipt:
        sides = self.traders[buyer.trader], self.traders[seller.trader]
        return self.engine.send(self.matcher, "trade", *sides, market, size, price)

    def set_price(self, market: int, price: int) -> Receipt:
        return self.engine.send(self.oracle, "set_price", market, price)

    def liquidate(self, liquidator: int, account: Account, share: int) -> Receipt:
        victim = self.traders[account.trader]
        return self.engine.send(self.traders[liquidator], "liquidate", victim, account.pool, share)

    def donate(self, amount: int) -> Receipt:
        return self.token.send(self.traders[0], "transfer", self.engine.address, amount)

    def cash(self, account: Account) -> int:
        return self._vault(account).cash

    def size(self, account: Account, market: int) -> int:
        return self._vault(account).size if market == account.pool else 0

    def margin(self, account: Account) -> Margin:
        return Margin(*self.engine.call("margin", self.traders[account.trader], account.pool))

    def wallet(self, trader: int) -> int:
        return self.token.call("balanceOf", self.traders[trader])

    def held(self) -> int:
        return self.token.call("balanceOf", self.engine.address)

    def stocks(self) -> Stocks:
        pools = tuple(self.engine.call("insurance", market) for market in range(len(MARKETS)))
        return Stocks(pools, fees=self.engine.call("fees"))

    def open_interest(self, market: int) -> int:
        return self.engine.call("interest", market)

    def withdrawable(self, account: Account) -> int:
        return self.engine.call("withdrawable", self.traders[account.trader], account.pool)

    def entry(self, account: Account, market: int) -> tuple[int, int]:
        held = self._vault(account)
        if market != account.pool or not held.size:
            return 0, 1
        side = self.engine.call("charges", market, 0 if held.size > 0 else 1)
        return held.entry + abs(held.size) * side, UNIT

    def rates(self, market: int) -> Rates:
        return Rates(initial=100_000, maintenance=50_000)

    def _vault(self, account: Account):
        return self.engine.call("vaults", self.traders[account.trader], account.pool)


def adapter(engine: Artifact | None = None) -> IsolatedPerps:
    """A new deployment, of another artifact with the same interface if one is given."""
    return IsolatedPerps(engine or compiled())
