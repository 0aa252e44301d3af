"""The margin rules in exact fractions, in other words than the twin's: wealth instead of entries, integrals
instead of deductions. Units are the twin's; nothing is rounded anywhere.
"""

from fractions import Fraction
from itertools import pairwise

INDEX = 10**10
PPM = 10**6


def requirement(tiers, notional: Fraction, rate) -> Fraction:
    """Integral of the marginal rate from 0 to `notional` (money); rate picks it from a tier (ppm)."""
    edges = [Fraction(tier.lower) for tier in tiers] + [max(notional, Fraction(tiers[-1].lower))]
    return sum(
        (
            (min(upper, notional) - lower) * rate(tier) / PPM
            for tier, (lower, upper) in zip(tiers, pairwise(edges), strict=True)
            if notional > lower
        ),
        Fraction(0),
    )


def adjusted(price: Fraction, funding: Fraction, size: int, longs: int, shorts: int) -> Fraction:
    """The mark net of funding and of the side's social charge, index units."""
    return price * 100 - funding - longs if size > 0 else price * 100 - funding + shorts


def wealth(cash, size: int, entry, plain: Fraction, longs: int, shorts: int) -> Fraction:
    """cash + value of one position at a mark net of funding of `plain` index units."""
    side = plain - longs if size > 0 else plain + shorts
    return Fraction(cash) + Fraction(size) * side / INDEX - entry


class Book:
    """One trader: cash flows and fills, and what they are worth. No entry is ever split or rounded."""

    def __init__(self):
        self.money = Fraction(0)
        self.sizes: dict[int, int] = {}
        self.roundings = 0

    def fill(self, market: int, size: int, price: int, funding: Fraction, fee_ppm: int) -> None:
        """Pay for `size` lots at `price`, net of the funding accrued so far, and the fee."""
        self.money -= Fraction(size) * (price * 100 - funding) / INDEX
        self.money -= Fraction(abs(size) * price * fee_ppm, 10**14)
        self.sizes[market] = self.sizes.get(market, 0) + size
        self.roundings += 3

    def equity(self, prices: dict[int, int], funding: dict[int, Fraction]) -> Fraction:
        return self.money + sum(
            Fraction(size) * (prices[market] * 100 - funding[market]) / INDEX
            for market, size in self.sizes.items()
        )


class Funding:
    """Cumulative funding index: price * rate * time, integrated without rounding."""

    def __init__(self, now: int):
        self.index, self.at, self.price, self.rate = Fraction(0), now, 0, Fraction(0)
        self.updates = 0

    def at_time(self, now: int) -> Fraction:
        return self.index + Fraction(self.price * 100) * self.rate * (now - self.at) / (28_800 * 10**9)

    def update(self, now: int, price: int, rate: Fraction) -> None:
        self.index, self.at, self.price, self.rate = self.at_time(now), now, price, rate
        self.updates += 1


def rate(mark: int, index: int, interest: int, damp: int, cap: int) -> Fraction:
    """premium + clamp(interest - premium, damp), capped; 1e-9 per eight hours."""
    premium = Fraction(mark - index, index) * 10**9
    return max(min(premium + max(min(interest - premium, damp), -damp), Fraction(cap)), Fraction(-cap))
