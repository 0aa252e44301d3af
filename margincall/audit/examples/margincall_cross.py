"""The adapter of margincall itself: its cross accounts, with funding, stale prices, pause and all.

`margincall audit` knows the protocol far better (an exact twin, vaults, options); this shows a larger engine
behind the same interface: signed orders, a feed that takes one step at a time, funding.
"""

from __future__ import annotations

from margincall.audit.adapter import CROSS, Account, Margin, Market, Stocks
from margincall.chain import EmbeddedChain
from margincall.chain.base import Receipt
from margincall.model.accounts import unpack_header, unpack_words
from margincall.protocol.config import DEFAULT, USD
from margincall.protocol.deploy import deploy
from margincall.protocol.handle import Protocol
from margincall.protocol.orders import Order, Report

RICH = 10**30
SPEC = DEFAULT._replace(markets=DEFAULT.markets[:2])
PRICES = (10_000_000_000, 40_000_000)
PPM = 10**6


def _market(place: int) -> Market:
    listed, price = SPEC.markets[place], PRICES[place]
    terms = listed.terms
    return Market(
        listed.symbol, price, price // 20, price * 20, 10**8, terms.penalty, terms.band, listed.rules.step
    )


class MargincallCross:
    """money: 1e-6 USD; size: lots; price: price units (contracts/README.md, "Units")."""

    name = "margincall, cross accounts"
    markets = (_market(0), _market(1))
    money = 20_000 * USD
    rounding = 8
    transfer = SPEC.transfer_rate
    partial = True
    accrues = True
    reward = SPEC.reward
    max_age = SPEC.max_age

    def __init__(self) -> None:
        self.chain = EmbeddedChain(keep_logs=False)
        self.protocol: Protocol = deploy(self.chain, SPEC)
        house = self.protocol.clearinghouse
        self.roots = [self.protocol.account(f"trader {i}") for i in range(6)]
        self.traders = [root.owner.address for root in self.roots]
        self.accounts = [Account(trader) for trader in range(6)]
        for holder in self.traders:
            self.protocol.token.send(holder, "mint", holder, RICH)
            self.protocol.token.send(holder, "approve", house.address, 2**256 - 1)
        self._publish({i: market.price for i, market in enumerate(self.markets)}, 1)
        self.contracts = [house, self.protocol.exchange, self.protocol.liquidation, self.protocol.access]
        self.anyone = ("deposit", "fund_insurance", "collect_fees")

    def deposit(self, account: Account, amount: int) -> Receipt:
        return self._house(account, "deposit", amount)

    def withdraw(self, account: Account, amount: int) -> Receipt:
        return self._house(account, "withdraw", amount, self.traders[account.trader])

    def trade(self, market: int, buyer: Account, seller: Account, size: int, price: int) -> Receipt:
        """The seller is the maker; both sign."""
        orders, keys = [], []
        for account, lots in ((seller, -size), (buyer, size)):
            root = self.roots[account.trader]
            salt = self.protocol.next_salt(root.id)
            orders.append(Order(root.id, SPEC.markets[market].id, lots, price, salt=salt))
            keys.append(root.owner)
        signatures = [self.protocol.sign(owner, one) for owner, one in zip(keys, orders, strict=True)]
        return self.protocol.settle([(*orders, size, *signatures)])

    def set_price(self, market: int, price: int) -> Receipt:
        """After as many intervals as the feed's step asks for; an outage and its grace are waited out."""
        rules = SPEC.markets[market].rules
        marks = {i: self._last(i)[0] for i in range(len(self.markets))}
        if self.chain.timestamp - self._last(market)[1] >= min(rules.outage, SPEC.max_age) - 1:
            self._publish(marks, 1)
            self._publish(marks, rules.grace)
        old, published = self._last(market)
        intervals = -(-abs(price - old) * PPM // (old * rules.step))
        seconds = intervals * rules.interval - (self.chain.timestamp - published)
        return self._publish(marks | {market: price}, max(1, seconds))

    def liquidate(self, liquidator: int, account: Account, share: int) -> Receipt:
        return self.protocol.liquidate(self.roots[account.trader].id, self.roots[liquidator], share)

    def donate(self, amount: int) -> Receipt:
        token, house = self.protocol.token, self.protocol.clearinghouse
        return token.send(self.traders[0], "transfer", house.address, amount)

    def set_paused(self, paused: bool) -> Receipt:
        access = self.protocol.access
        return access.send(access.call("guardian"), "set_paused", paused)

    def cash(self, account: Account) -> int:
        return unpack_header(self._words(account)[0])[0]

    def size(self, account: Account, market: int) -> int:
        header, words = self._words(account)
        held = unpack_words(words, unpack_header(header)[1])
        return next((size for id, size, _ in held if id == SPEC.markets[market].id), 0)

    def margin(self, account: Account) -> Margin | None:
        if max(self.age(market) for market in range(len(self.markets))) > SPEC.max_age:
            return None
        found = self.roots[account.trader].summary()
        return Margin(found.equity, found.initial, found.maintenance)

    def age(self, market: int) -> int:
        return self.chain.timestamp - self._last(market)[1]

    def wallet(self, trader: int) -> int:
        return self.protocol.token.call("balanceOf", self.traders[trader])

    def held(self) -> int:
        return self.protocol.token.call("balanceOf", self.protocol.clearinghouse.address)

    def stocks(self) -> Stocks:
        """Deficits on record are already out of the winners' equity: none is left over."""
        pools = [self.protocol.clearinghouse.call("pools", market.id) for market in SPEC.markets]
        pools.append(self.protocol.clearinghouse.call("pools", 0))
        low = 2**128 - 1
        return Stocks(tuple(pool & low for pool in pools), fees=sum(pool >> 128 for pool in pools))

    def open_interest(self, market: int) -> int:
        return self.protocol.clearinghouse.call("open_interest", SPEC.markets[market].id)

    def _words(self, account: Account) -> tuple[int, list[int]]:
        return self.protocol.clearinghouse.call("account", self.roots[account.trader].id)

    def _house(self, account: Account, function: str, *args) -> Receipt:
        root = self.roots[account.trader]
        assert account.pool == CROSS
        return self.protocol.clearinghouse.send(root.owner.address, function, root.id, *args)

    def _last(self, market: int) -> tuple[int, int]:
        """Mark and when it was published."""
        found = self.protocol.markets.call("last_price", SPEC.markets[market].id)
        return found[0], found[1]

    def _publish(self, marks: dict[int, int], seconds: int) -> Receipt:
        at = self.chain.timestamp + seconds
        reports = [Report(SPEC.markets[i].id, mark, mark, at) for i, mark in marks.items()]
        return self.protocol.publish(reports, at=at)


adapter = MargincallCross
