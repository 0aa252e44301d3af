"""A sampled book under both rules: what the integer twin and the specification take."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from margincall.model import curves, portfolio
from margincall.model.book import Book, Words, merge
from margincall.model.instrument import PERP, Instrument
from margincall.model.portfolio import ONE, Dials, Perp, Risk
from margincall.specification import portfolio as specification
from margincall.specification.portfolio import Position
from tests.fuzz.portfolios import NOW, Sample, Smile

WINDOW = 3_600  # seconds that a curve serves
CALM = Dials(24_576, 26_214)  # rho 0.75, psi 0.8
CASH = 10**9


class Rules(NamedTuple):
    """Ranges in 1/16 of a step of 0.05; haircut and floor in ppm."""

    range_mm: int = 48
    range_im: int = 64
    haircut: int = 50_000
    floor: int = 10_000
    mm: Dials = CALM
    im: Dials = CALM


class Case(NamedTuple):
    """A book and its market as the twin takes them, and as the specification does."""

    perps: tuple[Perp, ...]
    words: Words
    risk: Risk
    positions: tuple[Position, ...]
    setting: specification.Setting

    def margin(self) -> portfolio.Margin:
        return portfolio.margin(CASH, self.perps, self.words, self.risk)

    def exact(self) -> specification.Margin:
        return specification.margin(CASH, self.positions, self.setting)

    def requirement(self, dials: Dials | None = None) -> int:
        """Maintenance margin, under other dials if given."""
        risk = self.risk if dials is None else self.risk._replace(mm=dials)
        return portfolio.margin(CASH, self.perps, self.words, risk).maintenance

    @property
    def gross(self) -> int:
        """Notional of the options, money."""
        return int(specification.gross(self.positions, self.setting))

    @property
    def dust(self) -> int:
        """What rounding may cost: equity, floor and a lot of spot per underlying, a requirement once."""
        each = 3 + portfolio.GRAIN
        return sum(each + price // 10**8 for price in self.risk.prices.values()) + 3

    def error_bound(self) -> int:
        """What the curves charge for their own error on this book, money, rounded up."""
        nets = portfolio.exposures(self.perps, self.words, self.risk)
        return sum(-(-net.err * net.price // (portfolio.VALUE * 10**4)) for net in nets)


@lru_cache(maxsize=512)
def curve(smile: Smile, expiry: int, now: int) -> curves.Curve:
    return curves.refresh(curves.Vol(*smile), expiry, now, WINDOW)


def case(sample: Sample, rules: Rules | None = None, now: int = NOW) -> Case:
    """The sample with all curves refreshed at `now`; its positions were opened at NOW."""
    rules = rules or Rules()
    book = Book(sample.steps)
    markets, positions = sample.prices, sample.positions
    times = {key: (key[1] - now, max(key[1] - now - WINDOW, 0)) for key in sample.smiles}
    risk = Risk(
        markets,
        {key: curve(smile, key[1], now) for key, smile in sample.smiles.items()},
        {m: portfolio.Terms(rules.range_mm, rules.range_im, rules.haircut, rules.floor) for m in markets},
        rules.mm,
        rules.im,
        book.strike,
        now,
    )
    ppm = 10**6
    terms = specification.Terms(
        rules.range_mm, rules.range_im, Fraction(rules.haircut, ppm), Fraction(rules.floor, ppm)
    )
    setting = specification.Setting(
        markets,
        {key: specification.Expiry(*smile, *times[key]) for key, smile in sample.smiles.items()},
        dict.fromkeys(markets, terms),
        tuple(Fraction(dial, ONE) for dial in rules.mm),
        tuple(Fraction(dial, ONE) for dial in rules.im),
    )
    return Case(perps_of(positions), words_of(positions, book), risk, positions, setting)


def perps_of(positions: tuple[Position, ...]) -> tuple[Perp, ...]:
    return tuple((p.market, p.size, p.amount) for p in positions if p.kind == PERP)


def words_of(positions: tuple[Position, ...], book: Book) -> Words:
    """The book words of positions opened one after the other."""
    words: Words = []
    for position in positions:
        if position.kind != PERP:
            instrument = Instrument(*position[:4])
            words, _ = merge(words, book.fragment(instrument, position.size, NOW, position.amount))
    return words
