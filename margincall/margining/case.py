"""An account at a moment: what it holds, and its markets, for the twin and for the specification.

Amounts are money (1e-6 USD), sizes lots, prices price units, unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

from margincall.model import Market, Refused, standard
from margincall.model import portfolio as rule
from margincall.model.arithmetic import MAX_ENTRY, MAX_PERPS, MAX_SIZE, NOTIONAL_SCALE, PPM
from margincall.model.book import Book, Words, merge
from margincall.model.instrument import FUTURE, PERP, Instrument
from margincall.model.margin import Margin, value_down
from margincall.model.portfolio import ONE, Dials, Risk
from margincall.protocol.config import MarketSpec, ProtocolSpec
from margincall.replay.candles import BadInput
from margincall.specification import portfolio as specification


class Holding(NamedTuple):
    """A position. lots: signed; amount: entry money of a perp or future (signed as the size, 0 otherwise);
    paid: money that it was entered for, None when unknown."""

    instrument: Instrument
    lots: int
    amount: int = 0
    paid: int | None = None


class Smile(NamedTuple):
    """Volatility of an expiry, ppm (see model.surface), and where it comes from."""

    atm: int
    skew: int
    curvature: int
    source: str


class Case(NamedTuple):
    """markets: the perps' markets with their marks, by id; risk: what the portfolio rule needs; book: the
    strike grid; smiles by (market, expiry): empty when only the curves are known."""

    name: str
    about: str
    cash: int
    holdings: tuple[Holding, ...]
    spec: ProtocolSpec
    markets: Mapping[int, Market]
    risk: Risk
    book: Book
    smiles: Mapping[tuple[int, int], Smile]

    @property
    def now(self) -> int:
        """Unix seconds."""
        return self.risk.now

    @property
    def underlyings(self) -> list[MarketSpec]:
        """The markets that the account has anything in, ascending by id."""
        held = {holding.instrument.market for holding in self.holdings}
        return [market for market in self.spec.markets if market.id in held]

    def label(self, holding: Holding) -> str:
        """The name of a position's instrument."""
        return holding.instrument.name(self.spec.markets)

    def with_holdings(self, holdings: Iterable[Holding]) -> Case:
        """The same market with other positions and no cash."""
        return self._replace(cash=0, holdings=tuple(holdings))

    def with_dials(self, rho: int | None = None, psi: int | None = None) -> Case:
        """Other dials of both kinds, 32768 is 1."""

        def of(dials: Dials) -> Dials:
            return Dials(dials.rho if rho is None else rho, dials.psi if psi is None else psi)

        return self._replace(risk=self.risk._replace(mm=of(self.risk.mm), im=of(self.risk.im)))

    def perp_positions(self) -> list[tuple[int, int, int]]:
        """(market, lots, entry money) of the perps."""
        return [(h.instrument.market, h.lots, h.amount) for h in self.holdings if h.instrument.kind == PERP]

    def perps(self) -> list[rule.Perp]:
        """(market, lots, value) of the perps."""
        return [
            (market, lots, value_down(lots, amount, self.quote(market)))
            for market, lots, amount in self.perp_positions()
        ]

    def quote(self, market: int) -> tuple[int, int, int, int]:
        """The market's mark and adjusted marks. Raises Refused."""
        return self.markets[market].quote(self.now, self.spec.max_age)

    def words(self) -> Words:
        """The book words. Raises Refused."""
        words: Words = []
        for holding in self.holdings:
            if holding.instrument.kind != PERP:
                part = self.book.fragment(holding.instrument, holding.lots, self.now, holding.amount)
                words, _ = merge(words, part)
        return words

    def portfolio(self) -> rule.Margin:
        """The portfolio rule's margin. Raises Refused."""
        return rule.margin(self.cash, self.perps(), self.words(), self.risk)

    def cross(self) -> Margin:
        """The cross rule's margin; notional is gross. Raises Refused."""
        terms = {m.id: m.options.standard for m in self.spec.markets if m.options}
        return standard.margin(
            self.cash,
            self.perp_positions(),
            self.words(),
            self.risk,
            self.markets,
            terms,
            self.now,
            self.spec.max_age,
        )

    def exact(self) -> specification.Margin:
        """The portfolio rule in real numbers, money; precision is mpmath's. Needs the smiles."""
        expiries = {
            key: specification.Expiry(
                *smile[:3], key[1] - self.now, key[1] - self.risk.curves[key].valid_until
            )
            for key, smile in self.smiles.items()
        }
        terms = {
            market: specification.Terms(
                one.range_mm, one.range_im, Fraction(one.haircut, PPM), Fraction(one.floor_rate, PPM)
            )
            for market, one in self.risk.terms.items()
        }
        mm, im = (tuple(Fraction(dial, ONE) for dial in dials) for dials in (self.risk.mm, self.risk.im))
        values = {market: value for market, _, value in self.perps()}
        positions = [specification.Position(*h.instrument, h.lots, _amount(h, values)) for h in self.holdings]
        setting = specification.Setting(self.risk.prices, expiries, terms, mm, im)
        return specification.margin(self.cash, positions, setting)


def _amount(holding: Holding, perp_values: Mapping[int, int]) -> int:
    return perp_values[holding.instrument.market] if holding.instrument.kind == PERP else holding.amount


def check(holdings: Iterable[Holding], case: Case) -> None:
    """Refuse what no account could hold. Raises BadInput."""
    perps = 0
    for holding in holdings:
        name, step = case.label(holding), case.book.steps.get(holding.instrument.market)
        if holding.instrument.kind == PERP:
            perps += 1
            if abs(holding.lots) > MAX_SIZE or abs(holding.amount) > MAX_ENTRY:
                raise BadInput(f"{name}: the position is too large for an account; give a smaller size")
            continue
        if step is None:
            raise BadInput(f"{name}: the market has no options, futures or spot; take the perp")
        try:
            merge([], case.book.fragment(holding.instrument, holding.lots, case.now, holding.amount))
        except Refused as refused:
            raise BadInput(f"{name}: {_advice(refused.reason, holding, case)}") from None
    if perps > MAX_PERPS:
        raise BadInput(f"{perps} perps: an account holds at most {MAX_PERPS}")
    try:
        case.words()
    except Refused as refused:
        raise BadInput(f"the positions do not fit an account ({refused.reason}); leave some out") from None


def _advice(reason: str, holding: Holding, case: Case) -> str:
    market = next(m for m in case.spec.markets if m.id == holding.instrument.market)
    step = f"{market.usd(case.book.steps[market.id]):,g}"
    return {
        "option: expired": "has expired; take it out, or give the moment with --now",
        "option: expiry too far": "expires too late; expected at most 400 days from now",
        "option: strike": f"the strike is not on the grid; expected a multiple of {step} USD",
        "option: not whole contracts": "is not whole contracts;"
        f" expected a multiple of {market.coins(10_000):g} {market.symbol}",
        "book: spot below zero": "spot cannot be sold short; sell the perp",
    }.get(reason, f"an account cannot hold this ({reason})")


def entry_money(instrument: Instrument, lots: int, price: int | Fraction, up: bool) -> int:
    """Entry money of lots at a price in price units, rounded up (against the holder) or down."""
    if instrument.kind not in (PERP, FUTURE):
        return 0
    exact = Fraction(lots) * price / NOTIONAL_SCALE
    return -(-exact.numerator // exact.denominator) if up else exact.numerator // exact.denominator
