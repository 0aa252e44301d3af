"""What options and portfolio accounts need beside the perps: strike grid, volatility, value curves, stress
dials, terms. The state of Book, Surface, PortfolioMargin and StandardMargin.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field

from margincall.model import curves
from margincall.model.arithmetic import Refused
from margincall.model.book import PUT_FLAG, Book
from margincall.model.curves import MAX_TERM, Curve, Vol
from margincall.model.dials import Dials
from margincall.model.instrument import MAX_CODE, log_code
from margincall.model.portfolio import Dials as Pair
from margincall.model.portfolio import Risk, Terms
from margincall.model.standard import Terms as StandardTerms
from margincall.model.surface import Surface

LAST_TAP = 189  # of a row of a curve
KAPPA = 100_000  # ppm of maintenance margin that a full liquidation of a portfolio account costs


@dataclass
class Options:
    """`terms` of the portfolio rule and `standard` of cross accounts by market; `window`: seconds that a
    curve is usable. `prices` given to methods are price units by market."""

    grid: Book = field(default_factory=Book)
    surface: Surface = field(default_factory=Surface)
    dials: Dials = field(default_factory=Dials)
    terms: dict[int, Terms] = field(default_factory=dict)
    standard: dict[int, StandardTerms] = field(default_factory=dict)
    curves: dict[tuple[int, int], Curve] = field(default_factory=dict)
    window: int = 3_600

    def refresh(self, market: int, expiry: int, now: int) -> Curve:
        """Value an expiry anew. Raises Refused."""
        if expiry <= now:
            raise Refused("curve: expired")
        if expiry - now > MAX_TERM:
            raise Refused("curve: too far")
        smile = self.surface.vol(market, expiry, now)
        curve = curves.refresh(Vol(*smile[:3]), expiry, now, self.window)
        self.curves[market, expiry] = curve
        return curve

    def usable(self, market: int, expiry: int, now: int) -> Curve:
        """The curve of an expiry. Raises Refused when it may not be used now."""
        curve = self.curves.get((market, expiry))
        if curve is None:
            raise Refused("curve: none")
        if now > curve.valid_until:
            raise Refused("curve: stale")
        return curve

    def risk(self, prices: Mapping[int, int], now: int) -> Risk:
        """What the margin rules take, at the dials of now."""
        dials = self.dials.read(now)
        return Risk(
            prices,
            self.curves,
            self.terms,
            Pair(dials.rho_mm, dials.psi_mm),
            Pair(dials.rho_im, dials.psi_im),
            self.grid.strike,
            now,
            KAPPA,
        )

    def haircut(self, market: int) -> int:
        """ppm of the value of a market's spot that does not count. Raises Refused."""
        if market not in self.terms:
            raise Refused("portfolio: no risk terms")
        return self.terms[market].haircut

    def mark(self, name: int, market: int, expiry: int, strike: int, price: int, now: int) -> int:
        """Value of an option a coin, price units, rounded down and not below 0: the spline of the mark's
        row; beyond it a call is worth its intrinsic value. name: log code and, for a put, PUT_FLAG.
        """
        curve = self.usable(market, expiry, now)
        tap, f = curves.place(log_code(price), name & MAX_CODE)
        call = max(price - strike, 0) if tap >= 0 else 0
        if 0 <= tap <= LAST_TAP:
            call = curves.value(curves.unpack(curve.blob)[1], tap, f) * price >> 28
        return max(call + strike - price, 0) if name & PUT_FLAG else call

    def snapshot(self) -> Options:
        """A copy of everything that changes."""
        return Options(
            self.grid,
            deepcopy(self.surface),
            deepcopy(self.dials),
            dict(self.terms),
            dict(self.standard),
            dict(self.curves),
            self.window,
        )
