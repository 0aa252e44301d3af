"""What a deployed protocol offers for options, dated futures and portfolio accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from margincall.chain.base import Receipt
from margincall.model.accounts import CROSS, PORTFOLIO, unpack_header
from margincall.model.arithmetic import PPM
from margincall.model.book import Book, Position
from margincall.model.dials import PLACES, Dials
from margincall.model.instrument import Instrument
from margincall.model.options import Options
from margincall.model.surface import VolReport
from margincall.protocol.vols import publish_vols


class Holding(NamedTuple):
    """A position of a book by name; `size` in coins, signed, as a float for people; `lots` exactly."""

    name: str
    size: float
    lots: int
    instrument: Instrument


class Desk:
    """The part of `Protocol` that knows instruments other than perps.

    Names: BTC-27DEC26-100000-C (an option), BTC-27DEC26 (a dated future), BTC-SPOT, BTC (the perp).
    """

    def instrument(self, name: str) -> Instrument:
        """The instrument of a name. Raises ValueError."""
        return Instrument.parse(name, self.spec.markets)

    def expiry_of(self, symbol: str, date: str | int) -> int:
        """Unix seconds of an expiry: "27DEC26" (08:00 UTC) or seconds as they are."""
        if isinstance(date, int):
            return date
        return self.instrument(f"{symbol}-{date}").expiry

    def mark_of(self, name: str) -> int:
        """What an instrument's price is banded around now, price units: an option's value a coin, the
        mark of anything else. Raises Reverted without a usable price or curve."""
        instrument = self.instrument(name)
        if not instrument.is_option:
            return self.mark(name.strip().upper().partition("-")[0])
        return self.exchange.call("mark_of", instrument.id)

    def publish_vols(
        self, smiles: Mapping[tuple[str, str | int], Sequence], at: int | None = None
    ) -> Receipt:
        """Sign and publish smiles: {("BTC", "27DEC26"): (atm, skew, curvature), ...} as plain numbers
        (0.6 is 60 % a year; skew and curvature may be left out), at `at` (default: the next second).

        A payload holds 14. Raises Reverted when a smile breaks the surface's rules ("vol: ...").
        """
        if not self.signers:
            raise ValueError("this process has no feed signer's key; volatility comes from elsewhere")
        published = at if at is not None else self.chain.timestamp + 1
        reports = [
            VolReport(
                self.spec.market(symbol).id,
                self.expiry_of(symbol, date),
                *(_ppm(number) for number in (*smile, 0, 0)[:3]),
                published,
            )
            for (symbol, date), smile in smiles.items()
        ]
        signers = self.signers[: self.spec.quorum]
        return publish_vols(
            self.surface, self.feed.address, self._reports, reports, signers, self.relayer, at=published
        )

    def set_vols(
        self, symbol: str, date: str | int, atm, skew=0, curvature=0, at: int | None = None
    ) -> Receipt:
        """Publish one smile, as `publish_vols`."""
        return self.publish_vols({(symbol, date): (atm, skew, curvature)}, at=at)

    def refresh(self, symbol: str, date: str | int, at: int | None = None) -> Receipt:
        """Value an expiry anew: its curve is usable for the deployment's window from now on."""
        market, expiry = self.spec.market(symbol).id, self.expiry_of(symbol, date)
        return self.portfolio.send(self.relayer, "refresh", market, expiry, at=at)

    def poke(self, at: int | None = None) -> Receipt:
        """Let the stress dials look at the prices."""
        return self.portfolio.send(self.relayer, "poke", at=at)

    def grid(self) -> Book:
        """The strike steps of this deployment's markets, with the arithmetic of books."""
        return Book({m.id: m.options.strike_step for m in self.spec.markets if m.options})

    def options_twin(self) -> Options:
        """The exact model of this deployment's side of options, as it was deployed."""
        listed = [market for market in self.spec.markets if market.options]
        options = Options(self.grid(), dials=Dials(self.spec.dials), window=self.spec.curve_window)
        for place, market in enumerate(listed[:PLACES]):
            options.dials.track(place, market.id)
            options.terms[market.id] = market.options.terms
            options.standard[market.id] = market.options.standard
            rules = market.options.vols._replace(feed=self.feed.address)
            options.surface.set_rules(market.id, rules)
        return options


class Portfolios:
    """The part of `Account` that knows books and root modes."""

    def to_portfolio(self, at: int | None = None) -> Receipt:
        """Put this account under portfolio margin. Raises Reverted when its initial margin does not hold."""
        return self._switch(PORTFOLIO, at)

    def to_cross_mode(self, at: int | None = None) -> Receipt:
        """Put this account back under cross margin (`to_cross` brings a vault home)."""
        return self._switch(CROSS, at)

    @property
    def mode(self) -> int:
        """0 cross, 2 portfolio."""
        return unpack_header(self.protocol.clearinghouse.call("account", self.id)[0])[2]

    def words(self) -> list[int]:
        """The words of this account's book as stored."""
        header, words = self.protocol.clearinghouse.call("account", self.id)
        return words[unpack_header(header)[1] + 1 >> 1 :]

    def positions(self) -> list[Position]:
        """Options, dated futures and spot of this account: instruments with lots."""
        return self.protocol.grid().positions(self.words())

    def book(self) -> list[Holding]:
        """`positions` by name."""
        markets = {market.id: market for market in self.protocol.spec.markets}
        return [
            Holding(held.name(markets.values()), markets[held.market].coins(lots), lots, held)
            for held, lots in self.positions()
        ]

    def held(self, name: str) -> int:
        """Signed lots of an instrument's name in this account's book."""
        wanted = self.protocol.instrument(name)
        return next((lots for instrument, lots in self.positions() if instrument == wanted), 0)

    def _switch(self, mode: int, at: int | None) -> Receipt:
        return self.protocol.modes.send(self.owner.address, "switch_mode", self.id, mode, at=at)


def _ppm(number) -> int:
    """A plain number (int, str, Decimal; a float by its shortest decimal) in ppm, to the nearest."""
    return round(Decimal(str(number)) * PPM)
