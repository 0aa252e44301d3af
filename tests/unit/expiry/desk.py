"""Expired series on a deployed protocol next to the twin: what is shown, fixed and paid is compared."""

from __future__ import annotations

from collections.abc import Iterable

from margincall.chain.keys import key
from margincall.model import State, money
from margincall.model.accounts import unpack_header
from margincall.model.book import Book, merge
from margincall.model.expiry import Expiry, next_expiry
from margincall.model.instrument import CALL, CONTRACT, FUTURE, PUT, Instrument
from margincall.protocol.handle import Account
from tests.unit.clearinghouse.world import World
from tests.unit.markets.feed import echo, payload

MAX_AGE = 600  # seconds that a price may be used, of the default deployment
SOURCE = 3  # kind of door
WINDOW = 1_800


class Desk:
    """A world with a feed that believes everything, an address that hands out positions, and the twin.
    `expiry`: 08:00 of the next day but one."""

    def __init__(self, w: World) -> None:
        self.w, self.chain, self.contract = w, w.chain, w.protocol.expiry
        self.feed = echo(w, *(market.symbol for market in w.protocol.spec.markets))
        self.source = key("account", "source").address
        w.access.send(w.owner, "set_door", self.source, SOURCE)
        self.expiry = next_expiry(w.chain.timestamp) + 86_400
        self.twin = Expiry(Book({m.id: m.options.strike_step for m in w.protocol.spec.markets if m.options}))
        self.accounts: list[Account] = [w.maker]

    # ------------------------------------------------------------ prices

    def units(self, usd, symbol: str = "BTC") -> int:
        return self.w.market(symbol).price(usd)

    def publish(self, usd, at: int, symbol: str = "BTC", units: int | None = None) -> None:
        """A price (USD, or price units) published at `at`, in a block of that time."""
        price = units or self.units(usd, symbol)
        report = payload((self.w.market(symbol).id, price, price, at))
        self.w.markets.send(self.w.stranger, "update_prices", self.feed.address, report, at=at)

    def observe(self, symbol: str = "BTC", expiry: int | None = None, at: int | None = None) -> int:
        """Anyone shows the last price. Returns the settlement price (0: not fixed)."""
        market, wanted = self.w.market(symbol).id, self.expiry if expiry is None else expiry
        price, published, *_ = self.w.markets.call("last_price", market)
        self.twin.observe(market, price, published, MAX_AGE, wanted)
        self.contract.send(self.w.stranger, "observe", market, wanted, at=at)
        return self.agreed(symbol, wanted or None)

    def agreed(self, symbol: str = "BTC", expiry: int | None = None) -> int:
        """The settlement price, once contract and twin hold the same of an expiry."""
        market, wanted = self.w.market(symbol).id, expiry or self.expiry
        track = self.twin.track(market, wanted)
        shown = self.contract.call("observed", market, wanted)
        assert shown == (track.price, track.published, track.total, track.counted)
        assert self.contract.call("settlement", market, wanted) == track.settlement
        return track.settlement

    def show(self, usd, at: int, symbol: str = "BTC") -> int:
        """Publish and observe."""
        self.publish(usd, at, symbol)
        return self.observe(symbol)

    def fix(self, usd, symbol: str = "BTC") -> int:
        """One price all through the window. Returns the settlement price."""
        if self.chain.timestamp < self.expiry - WINDOW:
            for time in range(self.expiry - WINDOW, self.expiry + 1, MAX_AGE):
                self.show(usd, time, symbol)
        return self.show(usd, max(self.expiry, self.chain.timestamp) + 1, symbol)

    # ------------------------------------------------------------ positions

    def trader(self, name: str, usd=10_000) -> Account:
        account = self.w.trader(name, usd)
        self.accounts.append(account)
        return account

    def instrument(self, name: str) -> Instrument:
        """'BTC-100000-C' is the call of this desk's expiry, 'BTC-F' the future; else a whole name."""
        symbol, *rest = name.split("-")
        market = self.w.market(symbol)
        if rest == ["F"]:
            return Instrument(market.id, FUTURE, self.expiry)
        if len(rest) == 2:
            kind = CALL if rest[1] == "C" else PUT
            return Instrument(market.id, kind, self.expiry, market.price(rest[0]))
        return Instrument.parse(name, self.w.protocol.spec.markets)

    def give(self, buyer: Account, seller: Account, name: str, contracts: int, entry=0) -> None:
        """The buyer gets `contracts` from the seller; nobody is judged. entry: USD that a future cost."""
        id = self.instrument(name).id
        fragment = list(self.w.book.call("fragment", id, contracts * CONTRACT, money(entry)))
        for account, negate in ((buyer, False), (seller, True)):
            self.w.house.send(self.source, "post_book", account.id, fragment, negate, 0, 0)

    def book(self, account: int | Account) -> list[int]:
        header, words = self.w.house.call("account", getattr(account, "id", account))
        return list(words[((header >> 128 & 255) + 1) // 2 :])

    # ------------------------------------------------------------ settlement

    def state(self) -> State:
        """What settling may change, as the twin keeps it."""
        state = self.w.protocol.twin()
        for account in self.accounts:
            state.write(account.id, self.w.cash(account.id), self.w.held(account.id))
            state.write_book(account.id, self.book(account))
        state.insurance[0] = self.w.pool(0)[0]
        state.deficit[0] = self.w.house.call("deficits", 0)
        state.unsettled = self.w.house.call("unsettled")
        return state

    def settle(self, ids: Iterable[int | Account], symbol: str = "BTC", expiry: int | None = None) -> list:
        """Settle by anyone. Returns [(account id, payoff)], the same as the twin's, and all stocks too."""
        ids = [getattr(account, "id", account) for account in ids]
        market, wanted = self.w.market(symbol).id, expiry or self.expiry
        state = self.state()
        receipt = self.contract.send(self.w.stranger, "settle", ids, market, wanted)
        events = [event.args for event in self.contract.events(receipt, "Settled")]
        price, published, *_ = self.w.markets.call("last_price", market)
        if not self.twin.settlement(market, wanted):
            self.twin.observe(market, price, published, MAX_AGE, wanted)
        paid = self.twin.settle(state, ids, market, wanted)
        fixed = self.agreed(symbol, wanted)
        assert [(event["account"], event["payoff"]) for event in events] == paid
        assert all((e["market"], e["expiry"], e["price"]) == (market, wanted, fixed) for e in events)
        assert stocks(self.state()) == stocks(state)
        self.conserved()
        return paid

    def conserved(self) -> None:
        """I-01 with what is not settled: the token balance is exactly what the stocks say."""
        w, house = self.w, self.w.house
        markets = [market.id for market in w.protocol.spec.markets]
        cash, entries = 0, 0
        for account in self.accounts:
            header, _ = house.call("account", account.id)
            cash += unpack_header(header)[0]
            entries += sum(entry for _, _, entry in w.held(account.id))
        pools = sum(sum(w.pool(pool)) for pool in [0, *markets])
        deficits = sum(house.call("deficits", market) for market in [0, *markets])
        claims = cash + pools + house.call("residue") - entries - deficits - house.call("unsettled")
        assert w.tokens(house.address) == w.protocol.scale * claims

    def total_book(self) -> list[int]:
        """The books of all accounts added up: what is in no book's favour is nobody's."""
        words: list[int] = []
        for account in self.accounts:
            words, _ = merge(words, self.book(account))
        return words


def stocks(state: State) -> tuple:
    return state.cash, state.positions, state.books, state.insurance, state.deficit, state.unsettled
