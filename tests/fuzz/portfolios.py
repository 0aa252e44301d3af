"""Seeded option books of every kind that a portfolio account may hold: on the grid, with hedges, in whole
contracts. Nothing here depends on a margin rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from margincall.model.arithmetic import Refused
from margincall.model.instrument import CALL, CONTRACT, FUTURE, PERP, PUT, SPOT, STRIKE_UNIT
from margincall.model.surface import check_smile
from margincall.specification.portfolio import Position

NOW = 1_760_170_800  # 2025-10-11 08:20 UTC: the first expiry is in 23 hours and 40 minutes
DAY = 86_400
GRID = 28_800  # 08:00 UTC
REACH = 0.74  # |ln(S / K)| of what may be opened

PRICES = {1: 60_000_000_000, 2: 2_000_000_000, 3: 15_000_000_000, 4: 200_000_000_000}
PRICES |= {5: 25_000_000, 6: 300_000_000, 7: 9_000_000_000, 8: 120_000_000_000}


class Smile(NamedTuple):
    """sigma(x) = atm * clamp(1 + skew x + curvature x^2, 0.4, 3), x = ln(S/K); ppm."""

    atm: int
    skew: int
    curvature: int


class Sample(NamedTuple):
    """A book and the market around it: prices and strike steps (price units) by market, smiles by
    (market, expiry). Positions: one per instrument; a perp's amount is the money it is worth."""

    kind: str
    prices: dict[int, int]
    steps: dict[int, int]
    smiles: dict[tuple[int, int], Smile]
    positions: tuple[Position, ...]


class Maker:
    """Collects the positions of one book."""

    def __init__(self, rng: Random, markets: int = 1, days: tuple[int, ...] = ()):
        self.rng = rng
        ids = sorted(rng.sample(sorted(PRICES), markets))
        self.prices = {market: round(PRICES[market] * math.exp(rng.uniform(-0.5, 0.5))) for market in ids}
        self.steps = {market: step_of(price) for market, price in self.prices.items()}
        days = days or tuple(sorted(rng.sample((2, 3, 5, 7, 14, 30, 60, 90, 180, 360), rng.randint(1, 4))))
        self.expiries = [first_expiry(NOW) + (count - 1) * DAY for count in days]
        self.smiles: dict[tuple[int, int], Smile] = {}
        self.sizes: dict[tuple[int, int, int, int], int] = {}
        self.amounts: dict[tuple[int, int, int, int], int] = {}

    def market(self) -> int:
        return self.rng.choice(list(self.prices))

    def expiry(self) -> int:
        return self.rng.choice(self.expiries)

    def size(self, most: int = 500) -> int:
        """Contracts, one sign or the other; about log-uniform."""
        return self.rng.choice((-1, 1)) * round(math.exp(self.rng.uniform(0, math.log(most))))

    def deviation(self, market: int, expiry: int) -> float:
        """sigma * sqrt(T) at the money."""
        return self.smile(market, expiry).atm / 10**6 * math.sqrt((expiry - NOW) / 31_536_000)

    def smile(self, market: int, expiry: int) -> Smile:
        """Drawn for all expiries at once: total variance never falls with time."""
        if (market, expiry) not in self.smiles:
            least = 0.0
            for each in self.expiries:
                years = (each - NOW) / 31_536_000
                atm = max(self.rng.randint(350_000, 1_100_000), math.ceil(least / math.sqrt(years)))
                least = atm * math.sqrt(years)
                self.smiles[market, each] = self._accepted(atm, each - NOW)
        return self.smiles[market, expiry]

    def _accepted(self, atm: int, seconds: int) -> Smile:
        """A smile free of arbitrage, as steep as it comes."""
        skew, curvature = self.rng.gauss(0, 300_000), self.rng.uniform(0, 1_200_000)
        while True:
            smile = Smile(atm, round(skew), round(curvature))
            try:
                check_smile(*smile, seconds)
            except Refused:
                skew, curvature = skew * 0.7, curvature * 0.7
            else:
                return smile

    def strike(self, market: int, x: float) -> int:
        """The strike of the grid nearest to ln(S/K) = x, within reach."""
        price, step = self.prices[market], self.steps[market]
        x = max(-REACH, min(REACH, x))
        return max(round(price * math.exp(-x) / step), 1) * step

    def add(self, market: int, kind: int, expiry: int, strike: int, lots: int, amount: int = 0) -> None:
        key = (market, kind, expiry, strike)
        self.sizes[key] = self.sizes.get(key, 0) + lots
        self.amounts[key] = self.amounts.get(key, 0) + amount

    def option(self, market: int, expiry: int, strike: int, contracts: int, kind: int | None = None) -> None:
        """kind None: a call or a put at random."""
        self.smile(market, expiry)
        kind = self.rng.choice((CALL, PUT)) if kind is None else kind
        self.add(market, kind, expiry, strike, contracts * CONTRACT)

    def perp(self, market: int, lots: int) -> None:
        self.add(market, PERP, 0, 0, lots, self.rng.randint(-(10**9), 10**9))

    def delta(self, market: int) -> float:
        """Lots of the options' delta, roughly."""
        total = 0.0
        for (m, kind, expiry, strike), lots in self.sizes.items():
            if m == market and kind in (CALL, PUT):
                s = self.deviation(m, expiry)
                call = 0.5 * math.erfc(-(math.log(self.prices[m] / strike) / s + s / 2) / math.sqrt(2))
                total += lots * (call if kind == CALL else call - 1)
        return total

    def done(self, kind: str) -> Sample:
        positions = tuple(Position(*key, size, self.amounts[key]) for key, size in self.sizes.items() if size)
        used = {(p.market, p.expiry) for p in positions if p.kind in (CALL, PUT)}
        smiles = {key: smile for key, smile in self.smiles.items() if key in used}
        return Sample(kind, self.prices, self.steps, smiles, positions)


def step_of(price: int) -> int:
    """A strike step of about a quarter of a percent, in whole strike units."""
    digits = 10 ** (len(str(price // 400)) - 1)
    return max(price // 400 // digits * digits // STRIKE_UNIT, 1) * STRIKE_UNIT


def first_expiry(now: int) -> int:
    """The first expiry of the grid after `now`."""
    return (now - GRID) // DAY * DAY + DAY + GRID


def random(rng: Random) -> Sample:
    """Options of every kind with perps, futures and spot."""
    maker = Maker(rng)
    market = maker.market()
    for _ in range(rng.randint(1, 16)):
        expiry = maker.expiry()
        width = 1.2 * maker.deviation(market, expiry)
        maker.option(market, expiry, maker.strike(market, rng.gauss(0, width)), maker.size())
    _hedge(maker, market, rng.choice((0, 0.5, 1)))
    if rng.random() < 0.3:
        _future(maker, market)
    if rng.random() < 0.3:
        maker.add(market, SPOT, 0, 0, rng.randint(1, 3_000_000))
    return maker.done("random")


def spread(rng: Random) -> Sample:
    """Vertical spreads, bought and sold."""
    maker = Maker(rng)
    market = maker.market()
    for _ in range(rng.randint(1, 4)):
        expiry, size = maker.expiry(), maker.size()
        s = maker.deviation(market, expiry)
        x = rng.gauss(0, s)
        kind = rng.choice((CALL, PUT))
        maker.option(market, expiry, maker.strike(market, x), size, kind)
        maker.option(market, expiry, maker.strike(market, x - rng.uniform(0.2, 1.5) * s), -size, kind)
    return maker.done("spread")


def fly(rng: Random) -> Sample:
    """One butterfly of equal wings, in calls or puts."""
    maker = Maker(rng)
    market, expiry, size = maker.market(), maker.expiry(), maker.size()
    s, step = maker.deviation(market, expiry), maker.steps[market]
    low, high = maker.strike(market, REACH), maker.strike(market, -REACH)
    middle = min(max(maker.strike(market, rng.gauss(0, 0.7 * s)), low + step), high - step)
    reach = round(middle * rng.uniform(0.3, 1.5) * s / step) * step
    wing = max(min(reach, middle - low, high - middle), step)
    kind = rng.choice((CALL, PUT))
    for strike, count in ((middle - wing, 1), (middle, -2), (middle + wing, 1)):
        maker.option(market, expiry, strike, count * size, kind)
    return maker.done("fly")


def box(rng: Random) -> Sample:
    """A long and a short synthetic forward at two strikes: worth the difference whatever happens."""
    maker = Maker(rng)
    market, expiry, size = maker.market(), maker.expiry(), maker.size()
    s = maker.deviation(market, expiry)
    low, high = (
        maker.strike(market, rng.uniform(0.1, 1.5) * s),
        maker.strike(market, -rng.uniform(0.1, 1.5) * s),
    )
    for strike, sign in ((low, 1), (high, -1)):
        maker.option(market, expiry, strike, sign * size, CALL)
        maker.option(market, expiry, strike, -sign * size, PUT)
    return maker.done("box")


def calendar(rng: Random) -> Sample:
    """Near options against far ones at one strike."""
    near, far = sorted(rng.sample((2, 7, 14, 30, 60, 120, 240), 2))
    maker = Maker(rng, days=(near, far))
    market = maker.market()
    for _ in range(rng.randint(1, 3)):
        size = maker.size()
        strike = maker.strike(market, rng.gauss(0, maker.deviation(market, maker.expiries[0])))
        kind = rng.choice((CALL, PUT))
        maker.option(market, maker.expiries[0], strike, -size, kind)
        maker.option(market, maker.expiries[1], strike, size, kind)
    return maker.done("calendar")


def covered(rng: Random) -> Sample:
    """Calls sold on spot or a perp, puts bought on a perp, sold straddles hedged with a perp."""
    maker = Maker(rng)
    market, expiry, size = maker.market(), maker.expiry(), abs(maker.size())
    s = maker.deviation(market, expiry)
    shape = rng.choice(("spot", "perp", "put", "straddle"))
    strike = maker.strike(market, rng.gauss(-0.5, 0.5) * s)
    if shape in ("spot", "perp"):
        maker.option(market, expiry, strike, -size, CALL)
        if shape == "spot":
            maker.add(market, SPOT, 0, 0, size * CONTRACT)
        else:
            maker.perp(market, size * CONTRACT)
    elif shape == "put":
        maker.option(market, expiry, strike, size, PUT)
        maker.perp(market, size * CONTRACT)
    else:
        maker.option(market, expiry, strike, -size, CALL)
        maker.option(market, expiry, strike, -size, PUT)
        _hedge(maker, market, 1)
    return maker.done("covered")


def multi(rng: Random) -> Sample:
    """Up to eight underlyings, hedged within and against each other."""
    maker = Maker(rng, markets=rng.randint(2, 8))
    for market in maker.prices:
        for _ in range(rng.randint(0, 3)):
            expiry = maker.expiry()
            width = maker.deviation(market, expiry)
            maker.option(market, expiry, maker.strike(market, rng.gauss(0, width)), maker.size())
        if rng.random() < 0.7:
            maker.perp(market, maker.size() * CONTRACT)
    return maker.done("multi")


def ladder(rng: Random) -> Sample:
    """Calls sold at every strike from the money up, one expiry, delta hedged or not."""
    maker = Maker(rng)
    market, expiry = maker.market(), maker.expiry()
    count = rng.choice((4, 8, 16, 32))
    reach = min(0.7, 3 * maker.deviation(market, expiry))
    for index in range(count):
        strike = maker.strike(market, -reach * index / count)
        maker.option(market, expiry, strike, -rng.randint(1, 50), CALL)
    _hedge(maker, market, rng.choice((0, 1)))
    return maker.done("ladder")


def wings(rng: Random) -> Sample:
    """Far out of and far in the money, up to the end of the grid."""
    maker = Maker(rng)
    market = maker.market()
    for _ in range(rng.randint(1, 8)):
        x = rng.choice((-1, 1)) * rng.uniform(0.4, REACH)
        maker.option(market, maker.expiry(), maker.strike(market, x), maker.size())
    _hedge(maker, market, rng.choice((0, 1)))
    return maker.done("wings")


def oneday(rng: Random) -> Sample:
    """Around the money, a day to go."""
    maker = Maker(rng, days=(1,))
    market, expiry = maker.market(), maker.expiries[0]
    for _ in range(rng.randint(1, 6)):
        x = rng.gauss(0, maker.deviation(market, expiry))
        maker.option(market, expiry, maker.strike(market, x), maker.size())
    _hedge(maker, market, rng.choice((0, 1)))
    return maker.done("oneday")


KINDS: dict[str, Callable[[Random], Sample]] = {
    kind.__name__: kind
    for kind in (random, spread, fly, box, calendar, covered, multi, ladder, wings, oneday)
}


def samples(kind: str, count: int, seed: int = 1) -> Iterator[Sample]:
    """`count` books of a kind; the same for the same seed."""
    for index in range(count):
        sample = KINDS[kind](Random(f"{kind} {seed} {index}"))
        if sample.positions:
            yield sample


def _hedge(maker: Maker, market: int, share: float) -> None:
    lots = -round(maker.delta(market) * share)
    if lots:
        maker.perp(market, lots)


def _future(maker: Maker, market: int) -> None:
    contracts = maker.size(100)
    entry = contracts * maker.prices[market] // STRIKE_UNIT + maker.rng.randint(-(10**6), 10**6)
    maker.add(market, FUTURE, maker.expiry(), 0, contracts * CONTRACT, entry)
