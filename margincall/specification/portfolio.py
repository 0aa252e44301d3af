"""The requirement of a portfolio account in real numbers: exact Black-76 at the exact strikes, no curves, no
error charges. Same scenarios, weights and dials as the rule; nothing is rounded but, as the rule does, the
contracts of a call bought near the curve's ends that scenarios see.

The unit of everything is money (1e-6 USD); sizes are lots, prices are price units.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from mpmath import exp, log, mpf, sqrt

from margincall.model.instrument import CALL, CONTRACT, FUTURE, PERP, PUT, SPOT, log_code
from margincall.specification.black import YEAR, gamma, sigma

STEP = Fraction(1, 20)  # of the log of the price
MOVE = 2**32  # moves are the rule's own, rounded to this
UP, DOWN = Fraction(13, 10), Fraction(3, 4)
# Log codes, 80 * 2**14 a unit of the log: scenarios see less and less of a call bought at -0.64375 (out of
# the money) and at 0.68125, none of it 0.1 beyond; 2: places are read to nearest.
OUT, DEEP, FADE = 843_776 + 2, 892_928 - 2, 2**17


class Position(NamedTuple):
    """size: lots, signed; strike: price units (options); amount: value of a perp, entry money of a future."""

    market: int
    kind: int
    expiry: int = 0
    strike: int = 0
    size: int = 0
    amount: int = 0


class Expiry(NamedTuple):
    """The smile of an expiry (ppm) and the seconds to it at the window's start and end."""

    atm: int
    skew: int
    curvature: int
    start: int
    end: int


class Terms(NamedTuple):
    """Ranges in 1/16 of a step; haircut of spot and floor of calls sold, real."""

    range_mm: Fraction
    range_im: Fraction
    haircut: Fraction = Fraction(0)
    floor: Fraction = Fraction(0)


class Setting(NamedTuple):
    """prices by market, expiries by (market, expiry), terms by market; (rho, psi) of each kind, real."""

    prices: Mapping[int, int]
    expiries: Mapping[tuple[int, int], Expiry]
    terms: Mapping[int, Terms]
    mm: tuple[Fraction, Fraction]
    im: tuple[Fraction, Fraction]


class Scenario(NamedTuple):
    """steps of the log price; a shock of volatility; whether time is the window's start."""

    steps: int
    shock: Fraction
    at_start: bool


class Margin(NamedTuple):
    """value: of everything at the mark, cash included; requirements; gross: notional of the options."""

    value: mpf
    initial: mpf
    maintenance: mpf
    gross: mpf


SCENARIOS = (
    *(Scenario(steps, UP, True) for steps in range(-4, 4)),
    *(Scenario(steps, DOWN, False) for steps in range(-4, 4)),
    *(Scenario(steps, Fraction(1), False) for steps in range(-8, 8, 2)),
)
UNMOVED = Scenario(0, Fraction(1), False)


def real(number) -> mpf:
    """An int or Fraction as mpf."""
    number = Fraction(number)
    return mpf(number.numerator) / number.denominator


def move(steps: int) -> mpf:
    """Price after a move over the price before: exp(0.05 * steps), rounded to 2**-32 as in the rule."""
    return mpf(round(exp(real(steps * STEP)) * MOVE)) / MOVE


def option(position: Position, setting: Setting, price: mpf, shock, at_start: bool) -> mpf:
    """Value of one option at a price, its smile times `shock`, at the window's start or end."""
    expiry = setting.expiries[position.market, position.expiry]
    x = log(price / position.strike)
    vol = sigma(expiry.atm, expiry.skew, expiry.curvature, x) * real(shock)
    years = mpf(expiry.start if at_start else expiry.end) / YEAR
    call = gamma(x, vol * sqrt(years)) * price
    value = call if position.kind == CALL else call - price + position.strike
    return value * position.size / 10**8


def worth(position: Position, setting: Setting, price: mpf, shock, at_start: bool) -> mpf:
    """Value of one position at a price of its underlying, money."""
    if position.kind in (CALL, PUT):
        return option(position, setting, price, shock, at_start)
    if position.kind == FUTURE:
        return position.size * price / 10**8 - position.amount
    if position.kind == SPOT:
        return position.size * price * real(1 - setting.terms[position.market].haircut) / 10**8
    return position.amount + position.size * (price - setting.prices[position.market]) / 10**8


def loss(positions: Sequence[Position], market: int, setting: Setting, scenario: Scenario) -> mpf:
    """What the positions in one underlying lose in a scenario."""
    price = mpf(setting.prices[market])
    moved = price * move(scenario.steps)
    return sum(
        worth(position, setting, price, 1, False)
        - worth(position, setting, moved, scenario.shock, scenario.at_start)
        for position in positions
        if position.market == market
    )


def weight(steps: int, extent: Fraction) -> mpf:
    """Share of a loss that counts, rounded up to 1/256 as in the rule."""
    if not steps:
        return mpf(1)
    return mpf(min(256, -(-16 * extent // abs(steps)))) / 256


def combine(table: Sequence[Sequence[mpf]], rho, psi) -> mpf:
    """R of weighted losses by underlying and scenario."""
    rho, psi = real(rho), real(psi)
    joint = [rho * sum(row) + (1 - rho) * max(0, *row) for row in zip(*table, strict=True)]
    alone = [max(0, *row) for row in table]
    return psi * max(0, *joint) + (1 - psi) * (rho * sum(alone) + (1 - rho) * max(alone))


def margin(cash: int, positions: Sequence[Position], setting: Setting) -> Margin:
    """Value, requirements and gross notional of an account."""
    markets = sorted({position.market for position in positions})
    value = cash + sum(
        worth(position, setting, mpf(setting.prices[position.market]), 1, False) for position in positions
    )
    if not markets:
        return Margin(value, mpf(0), mpf(0), mpf(0))
    seen, unseen = sight(positions, setting)
    losses = [[loss(seen, market, setting, s) for s in SCENARIOS] for market in markets]
    floor = sum(
        real(setting.terms[market].floor) * held(positions, market) * setting.prices[market] / 10**8
        for market in markets
    )

    def requirement(kind: str, dials: tuple[Fraction, Fraction]) -> mpf:
        table = [
            [
                weight(s.steps, getattr(setting.terms[market], kind)) * x
                for s, x in zip(SCENARIOS, row, strict=True)
            ]
            for market, row in zip(markets, losses, strict=True)
        ]
        return max(combine(table, *dials), floor * 3 / 2 if kind == "range_im" else floor) + unseen

    initial = requirement("range_im", setting.im)
    maintenance = min(requirement("range_mm", setting.mm), initial)
    return Margin(value, initial, maintenance, gross(positions, setting))


def sight(positions: Iterable[Position], setting: Setting) -> tuple[list[Position], mpf]:
    """The positions as scenarios see them, net per series, and the value that they do not see: of calls
    bought (puts too, by parity) near the curve's ends, which count as nothing or, deep in the money, as
    linear."""
    net: dict[tuple[int, int, int, int], int] = {}
    seen, unseen = [], mpf(0)
    for p in positions:
        if p.kind in (CALL, PUT):
            net[p[:4]] = net.get(p[:4], 0) + p.size
        else:
            seen.append(p)
    for (market, kind, expiry, strike), size in net.items():
        price = setting.prices[market]
        reach = log_code(price) - log_code(strike)
        beyond = max(-reach - OUT, reach - DEEP)
        kept = size
        if size > 0 and beyond > 0:
            kept = (size // CONTRACT * max(FADE - beyond, 0) >> 17) * CONTRACT
            hidden, deep = size - kept, reach > 0
            call = Position(market, CALL, expiry, strike, hidden)
            unseen += option(call, setting, mpf(price), 1, False)
            unseen -= deep * mpf(hidden) * (price - strike) / 10**8
            seen.append(Position(market, FUTURE, expiry, 0, hidden * (deep - (kind == PUT))))
        seen.append(Position(market, kind, expiry, strike, kept))
    return seen, unseen


def held(positions: Iterable[Position], market: int) -> int:
    """Lots of one underlying that ask for the least margin whatever hedges them: the perp, the forward of
    every expiry (futures less puts, by parity) and options sold, net per series."""
    forwards: dict[int, int] = {}
    total = 0
    for p in positions:
        if p.market != market:
            continue
        if p.kind == PERP:
            total += abs(p.size)
        elif p.kind == FUTURE:
            forwards[p.expiry] = forwards.get(p.expiry, 0) + p.size
        elif p.kind in (CALL, PUT):
            total += max(-p.size, 0)
            if p.kind == PUT:
                forwards[p.expiry] = forwards.get(p.expiry, 0) - p.size
    return total + sum(abs(size) for size in forwards.values())


def gross(positions: Iterable[Position], setting: Setting) -> mpf:
    """Notional of all options, money."""
    return (
        mpf(sum(abs(p.size) * setting.prices[p.market] for p in positions if p.kind in (CALL, PUT))) / 10**8
    )


def dense(
    positions: Sequence[Position],
    setting: Setting,
    extent: Fraction,
    moves: int = 41,
    rows: Sequence[tuple[Fraction, bool]] = ((UP, True), (DOWN, False)),
) -> mpf:
    """Worst loss of an account over a dense grid of one common log move within the range.

    extent: range in 1/16 of a step; rows: shocks of volatility, and whether at the window's start.
    """
    now = sum(worth(p, setting, mpf(setting.prices[p.market]), 1, False) for p in positions)
    reach = real(extent * STEP / 16)
    worst = mpf(0)
    for i in range(moves):
        factor = exp(reach * (2 * mpf(i) / (moves - 1) - 1))
        for shock, at_start in rows:
            then = sum(
                worth(p, setting, setting.prices[p.market] * factor, shock, at_start) for p in positions
            )
            worst = max(worst, now - then)
    return worst
