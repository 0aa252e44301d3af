"""A deployed protocol brought into the state that an operation is measured in, in few transactions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from margincall.bench.meter import Meter
from margincall.chain import Contract
from margincall.chain.base import Receipt
from margincall.model.accounts import PORTFOLIO
from margincall.model.book import merge
from margincall.model.instrument import CALL, CONTRACT, Instrument
from margincall.protocol.config import DEFAULT, USD, ProtocolSpec
from margincall.protocol.deploy import SOURCE_DOOR, TRADE_DOOR, deploy
from margincall.protocol.handle import Account
from margincall.protocol.orders import Order

DAY, HOUR = 86_400, 28_800
DAYS = (1, 7, 30, 180)  # expiries that have volatility
PRICE = 2_000  # USD, of `like_eth`
SIZE = 1_000 * CONTRACT  # lots of each call sold
FILLS, REPORTS = 10, 8  # a call of settle, of update_prices


def many_markets(count: int) -> ProtocolSpec:
    """`count` markets with BTC's terms: M1, M2, ..."""
    first = DEFAULT.markets[0]
    return DEFAULT._replace(markets=tuple(first._replace(id=i, symbol=f"M{i}") for i in range(1, count + 1)))


def like_eth(count: int) -> ProtocolSpec:
    """`count` markets with ETH's terms."""
    second = DEFAULT.markets[1]
    return DEFAULT._replace(markets=tuple(second._replace(id=i, symbol=f"M{i}") for i in range(1, count + 1)))


def strikes(count: int, price: int = PRICE) -> list[int]:
    """The ladder: 2,000, 2,100, ... USD while the grid reaches (0.75 in the log), then denser."""
    found: list[int] = []
    for step in (100, 50, 25, 5):
        reach = range(price, int(price * math.exp(0.75)) + 1, step)
        found += [strike for strike in reach if strike not in found]
    return found[:count]


def count_of(number: int, what: str) -> str:
    """ "1 perp", "4 perps"."""
    return f"{number} {what}{'s' * (number != 1)}"


class Stage:
    """A protocol without a timelock's delay, and doors through which states are posted.

    `prices`: USD by symbol, published at once.
    """

    def __init__(self, meter: Meter, spec: ProtocolSpec = DEFAULT, price: int | None = None) -> None:
        self.meter, self.chain = meter, meter.chain
        self.protocol = deploy(self.chain, spec._replace(timelock_delay=0))
        self.symbols = [market.symbol for market in spec.markets]
        self.doors, self.source = self.chain.accounts[8:10]
        self.as_owner(self.protocol.access, "set_door", self.doors, TRADE_DOOR)
        self.as_owner(self.protocol.access, "set_door", self.source, SOURCE_DOOR)
        self.words: dict[int, int] = {}  # of fills that an account used
        if price is not None:
            self.set_prices(price)

    def as_owner(self, contract: Contract, function: str, *args) -> None:
        """Through the timelock, which owns everything."""
        operation = (contract.address, 0, contract.encode(function, *args), bytes(32), bytes(32))
        for step, delay in (("schedule", (0,)), ("execute", ())):
            self.protocol.timelock.send(self.chain.accounts[0], step, *operation, *delay)

    # ------------------------------------------------------------ prices and curves

    def set_prices(self, usd: int, pause: int = 1) -> None:
        """Of every market, after `pause` seconds."""
        at = self.chain.timestamp + pause
        for first in range(0, len(self.symbols), REPORTS):
            some = self.symbols[first : first + REPORTS]
            self.protocol.set_prices(dict.fromkeys(some, usd), at=at + first)

    def expiry(self, days: int) -> int:
        """The expiry of the grid on the day that many days later."""
        return self.chain.timestamp // DAY * DAY + days * DAY + HOUR

    def set_vols(self, days: Sequence[int] = DAYS) -> None:
        """60 % for every market and expiry."""
        expiries = [self.expiry(each) for each in days]
        for symbol in self.symbols:
            self.protocol.publish_vols({(symbol, expiry): (0.6,) for expiry in expiries})

    def refresh(self, expiry: int, symbols: Iterable[str] = ()) -> None:
        """The curves of one expiry."""
        for symbol in symbols or self.symbols:
            self.protocol.refresh(symbol, expiry)

    def keep(self, store: str) -> None:
        """Where curves are kept from now on: "code" or "slots"."""
        protocol = self.protocol
        window = protocol.spec.curve_window
        self.as_owner(protocol.portfolio, "set_curves", protocol.surface.address, window, store == "slots")

    # ------------------------------------------------------------ accounts

    def account(self, name: str, usd: int = 1_000_000, mode: int = 0) -> Account:
        """A root account with cash whose owner has tokens left, as most depositors do."""
        account = self.protocol.account(name)
        self.protocol.token.send(account.owner.address, "mint", account.owner.address, 10 * usd * USD)
        account.deposit(usd)
        if mode:
            self.protocol.clearinghouse.send(self.doors, "set_mode", account.id, mode)
        return account

    def fund_insurance(self, pool: int, usd: int) -> None:
        """Pay into the insurance of root accounts (pool 0) or of a market's vaults."""
        deployer, house = self.chain.accounts[0], self.protocol.clearinghouse
        self.protocol.token.send(deployer, "mint", deployer, usd * USD)
        self.protocol.token.send(deployer, "approve", house.address, usd * USD)
        house.send(deployer, "fund_insurance", pool, usd * USD)

    def calls(self, per_market: int, markets: int, expiry: int, lots: int = -SIZE) -> list[int]:
        """A book: the ladder of `per_market` calls in each of `markets` markets."""
        grid, words, now = self.protocol.grid(), [], self.chain.timestamp
        for market in range(1, markets + 1):
            for strike in strikes(per_market):
                fragment = grid.fragment(Instrument(market, CALL, expiry, strike * 10**7), lots, now)
                words, _ = merge(words, fragment)
        return words

    def post(self, account: Account, words: Sequence[int], negate: bool = False) -> None:
        """Give an account a book; nobody is judged."""
        if words:
            house = self.protocol.clearinghouse
            house.send(self.source, "post_book", account.id, list(words), negate, 0, 0)

    def writer(
        self, name: str, options: int, markets: int, expiry: int, mode: int = PORTFOLIO, usd: int = 50_000_000
    ) -> Account:
        """An account that sold a ladder of calls."""
        account = self.account(name, usd, mode)
        self.post(account, self.calls(options // markets, markets, expiry))
        return account

    # ------------------------------------------------------------ trades

    def trade(
        self,
        taker: Account,
        maker: Account,
        names: Sequence[str] | str,
        size,
        *,
        new: tuple[bool, bool] = (False, False),
        vault: bool = False,
        margin: int = 0,
    ) -> Receipt:
        """One call that settles the same trade in each of `names`: the taker gets `size` coins at the mark.

        new: whether the taker's and the maker's fill lanes lie in words of storage that nothing used before;
        vault: the taker is the account's vault, with `margin` USD.
        """
        names = [names] if isinstance(names, str) else names
        party = taker.vault(names[0]) if vault else taker.id
        salts = self.salts(taker, party, new[0]), self.salts(maker, maker.id, new[1])
        return self.protocol.settle(self.fills(taker, maker, names, size, *salts, party, margin))

    def fills(
        self,
        taker: Account,
        maker: Account,
        names: Sequence[str],
        size,
        taker_salt: int,
        maker_salt: int,
        party: int | None = None,
        margin: int = 0,
    ) -> list[tuple]:
        """Signed pairs as Exchange.settle takes them; `party`: the taker's account id, else its root."""
        protocol, found = self.protocol, []
        for place, name in enumerate(names):
            market = protocol.spec.market(name.partition("-")[0])
            id = protocol.instrument(name).id if "-" in name else market.id
            price, lots = protocol.mark_of(name), market.lots(size)
            sell = Order(maker.id, id, -lots, price, salt=maker_salt + place)
            buy = Order(party or taker.id, id, lots, price, margin * USD, salt=taker_salt + place)
            signed = protocol.sign(maker.owner, sell), protocol.sign(taker.owner, buy)
            found.append((sell, buy, abs(lots), *signed))
        return found

    def salts(self, owner: Account, party: int, new: bool = True) -> int:
        """A salt whose fill lane lies in a word that nothing used, or only an order that was cancelled."""
        word = self.words.get(party, 0)
        self.words[party] = word + 1 + FILLS // 4
        if not new:
            self.protocol.exchange.send(owner.owner.address, "cancel", party, 4 * word)
        return 4 * word + (not new)

    def perps(self, taker: Account, maker: Account, count: int, size="0.01") -> None:
        """Positions in the first `count` markets."""
        for first in range(0, count, FILLS):
            self.trade(taker, maker, self.symbols[first : min(count, first + FILLS)], size, new=(True, True))
