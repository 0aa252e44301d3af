"""What the portfolio rule asks above exact Black-76 where its curves are steepest: single options and narrow
butterflies, a week down to the last hour, low volatility, flat smiles. The bounds are what is reached, a
little rounded. It never asks less.
"""

from math import sqrt
from random import Random

import pytest
from mpmath import mp

from margincall.model.instrument import CALL, PUT
from tests.fuzz.portfolios import NOW, Maker, Smile
from tests.fuzz.test_portfolio_model import Over, over_charges
from tests.fuzz.valuation import case

# days: (of the notional; of a butterfly's margin) at 20, 35 and 50 % a year
BOUNDS = {
    1: ((2.5e-4, 0.05), (9e-5, 0.016), (5e-5, 0.009)),
    2: ((1.6e-4, 0.028), (4.5e-5, 0.008), (3.5e-5, 0.006)),
    3: ((8.5e-5, 0.015), (3.5e-5, 0.006), (3e-5, 0.005)),
    5: ((5.5e-5, 0.009), (3e-5, 0.005), (3e-5, 0.005)),
    7: ((4.5e-5, 0.007), (3e-5, 0.005), (3e-5, 0.005)),
}
# Hours to go, volatility in ppm: the same. What counts is sigma*sqrt(T) when the curve's hour ends: 1.2 % of
# it and more keep to the bounds of a day, half a percent asks for a fifth more; in the last two hours the
# kink at the money is finer than the curves' points.
HOURS = {
    (12, 350_000): (2.5e-4, 0.05),
    (6, 500_000): (2.5e-4, 0.05),
    (4, 800_000): (2.5e-4, 0.05),
    (3, 500_000): (3e-4, 0.05),
    (2, 500_000): (3e-4, 0.05),
    (1.5, 500_000): (7e-4, 0.12),
    (1, 500_000): (3e-3, 0.5),
    (0.25, 500_000): (3e-3, 0.5),
}
BOOKS = 12


def single(maker: Maker, market: int, expiry: int) -> None:
    x = maker.rng.uniform(-2, 2) * maker.deviation(market, expiry)
    sign, kind = maker.rng.choice((-1, 1)), maker.rng.choice((CALL, PUT))
    maker.option(market, expiry, maker.strike(market, x), sign * 1_000, kind)


def narrow(maker: Maker, market: int, expiry: int) -> None:
    s, step = maker.deviation(market, expiry), maker.steps[market]
    middle = maker.strike(market, maker.rng.gauss(0, 0.7) * s)
    wing = max(round(middle * maker.rng.uniform(0.2, 1.5) * s / step), 1) * step
    for strike, count in ((middle - wing, 1), (middle, -2), (middle + wing, 1)):
        maker.option(market, expiry, strike, count * 1_000, CALL)


class Late(Maker):
    """Books as of `now`."""

    now = NOW

    def deviation(self, market: int, expiry: int) -> float:
        return self.smile(market, expiry).atm / 10**6 * sqrt((expiry - self.now) / 31_536_000)


def overs(shape, days: int, atm: int, hours: float | None = None) -> list[Over]:
    """Of BOOKS books; hours: to the first expiry (days: 1), else as many as there are at NOW."""
    found = []
    for index in range(BOOKS):
        maker = Late(Random(f"{shape.__name__} {hours or days} {atm} {index}"), days=(days,))
        market, expiry = maker.market(), maker.expiries[0]
        maker.smiles[market, expiry] = Smile(atm, 0, 0)
        if hours:
            maker.now = expiry - round(hours * 3_600)
        shape(maker, market, expiry)
        sample = maker.done(shape.__name__)
        if sample.positions:
            found.extend(over_charges(sample, case(sample, now=maker.now)))
    return found


@pytest.mark.parametrize("level", range(3))
@pytest.mark.parametrize("days", BOUNDS)
def test_steep_curves(days: int, level: int, record_property):
    atm = (200_000, 350_000, 500_000)[level]
    check(days, atm, None, *BOUNDS[days][level], record_property)


@pytest.mark.parametrize(("hours", "atm"), HOURS)
def test_hours_to_go(hours: float, atm: int, record_property):
    check(1, atm, hours, *HOURS[hours, atm], record_property)


def check(days: int, atm: int, hours: float | None, of_notional, of_margin, record_property) -> None:
    with mp.workprec(100):
        singles, butterflies = overs(single, days, atm, hours), overs(narrow, days, atm, hours)
    assert min(over.money for over in singles + butterflies) >= 0
    share = max(over.share for over in singles + butterflies)
    relative = max(over.relative for over in butterflies)
    assert share <= of_notional
    assert relative <= of_margin
    term = f"{hours} hours" if hours else f"{days} days"
    record_property(
        "summary",
        f"portfolio margin above exact, {term} at {atm // 10**4} %: {share:.1e} of the notional, "
        f"butterflies {relative:.2%} of the margin",
    )
