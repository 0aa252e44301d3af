"""Options to test with: two expiries of each market with fresh curves, accounts under portfolio margin."""

from __future__ import annotations

from datetime import UTC, datetime

from margincall.model.instrument import DAY, HOUR_OF_EXPIRY, Instrument
from margincall.protocol.handle import Account
from margincall.protocol.orders import Order
from tests.unit.clearinghouse.world import World

DAYS = (10, 40)
VOL = 0.6


class Series:
    """`near` and `far` as they stand in names: 24NOV23."""

    def __init__(self, w: World, symbols: tuple[str, ...] = ("BTC", "ETH"), vol: float = VOL) -> None:
        self.w, self.symbols = w, symbols
        first = (w.chain.timestamp - HOUR_OF_EXPIRY) // DAY * DAY + HOUR_OF_EXPIRY
        self.expiries = [first + days * DAY for days in DAYS]
        self.near, self.far = (
            datetime.fromtimestamp(expiry, UTC).strftime("%d%b%y").lstrip("0").upper()
            for expiry in self.expiries
        )
        w.protocol.publish_vols({(s, expiry): (vol,) for s in symbols for expiry in self.expiries})
        self.refresh()

    def refresh(self) -> None:
        """Curves as of now."""
        for symbol in self.symbols:
            for expiry in self.expiries:
                self.w.protocol.refresh(symbol, expiry)

    def call(self, strike: int, symbol: str = "BTC", far: bool = False) -> str:
        return f"{symbol}-{self.far if far else self.near}-{strike}-C"

    def put(self, strike: int, symbol: str = "BTC", far: bool = False) -> str:
        return f"{symbol}-{self.far if far else self.near}-{strike}-P"

    def future(self, symbol: str = "BTC", far: bool = False) -> str:
        return f"{symbol}-{self.far if far else self.near}"

    def instrument(self, name: str) -> Instrument:
        return self.w.protocol.instrument(name)

    def trader(self, name: str = "trader", usd=100_000, index: int = 0) -> Account:
        """A portfolio account."""
        account = self.w.trader(name, usd, index)
        account.to_portfolio()
        return account

    def pair(self, name: str, maker: int, taker: int, lots: int, **both) -> tuple[Order, Order]:
        """Orders that cross at the mark: the taker buys `lots` of an instrument (sells when negative)."""
        price = both.pop("price", None)
        if price is None:
            price = self.w.protocol.mark_of(name)
        return tuple(
            Order(
                account,
                self.instrument(name).id,
                size,
                price,
                salt=self.w.protocol.next_salt(account),
                **both,
            )
            for account, size in ((maker, -lots), (taker, lots))
        )
