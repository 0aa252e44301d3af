"""Published formulas, exact: every number goes in as int, str, Decimal or Fraction (no float) and comes out
as a Fraction. Prices and amounts in USD, sizes in coins, rates as fractions of one (0.01 is one percent).

side: +1 long, -1 short. A liquidation price that does not exist (at or below zero) is None.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

Number = int | str | Decimal | Fraction


class VenueTier(NamedTuple):
    """From a notional of `lower` (USD) upward; rates as fractions of one."""

    lower: Fraction
    initial: Fraction
    maintenance: Fraction


class Reduction(NamedTuple):
    """A cross account after all its positions were cut by `share`. Amounts in USD."""

    share: Fraction
    account_value: Fraction
    maintenance: Fraction


def exact(value: Number) -> Fraction:
    """The value as a Fraction. Raises ValueError for a float, which has already lost its decimals."""
    if isinstance(value, float):
        raise ValueError(f"{value!r} is a float; pass an int, a string, a Decimal or a Fraction")
    return Fraction(value)


def deductions(tiers: Sequence[VenueTier]) -> list[Fraction]:
    """Maintenance amount per tier: cum_n = lower_n * (MMR_n - MMR_(n-1)) + cum_(n-1), cum_0 = 0; USD.

    Source: Binance, "How to Calculate Liquidation Price of USDT-Margined Futures"; Hyperliquid, margin tiers.
    """
    result = [Fraction(0)]
    for previous, tier in pairwise(tiers):
        result.append(result[-1] + tier.lower * (tier.maintenance - previous.maintenance))
    return result


def tier_at(tiers: Sequence[VenueTier], notional: Number) -> int:
    """Index of the last tier whose lower edge is at or below the notional (USD)."""
    notional = exact(notional)
    return max(i for i, tier in enumerate(tiers) if tier.lower <= notional)


def binance_liquidation_price(
    side: int,
    quantity: Number,
    entry: Number,
    wallet: Number,
    tiers: Sequence[VenueTier],
    other_maintenance: Number = 0,
    other_pnl: Number = 0,
) -> Fraction | None:
    """LP = (WB - TMM + UPNL + cum - side q EP) / (q MMR - side q), with the tier that holds at LP itself.

    wallet: cross or isolated wallet balance; other_*: maintenance margin and unrealised P&L of all other
    contracts (0 when isolated). Source: Binance FAQ b3c689c1f50a44cabb3a84e663b81d93 (one-way mode).
    """
    quantity, entry = exact(quantity), exact(entry)
    backing = exact(wallet) - exact(other_maintenance) + exact(other_pnl) - side * quantity * entry
    for i, (tier, cum) in enumerate(zip(tiers, deductions(tiers), strict=True)):
        price = (backing + cum) / (quantity * tier.maintenance - side * quantity)
        if price > 0 and tier_at(tiers, quantity * price) == i:
            return price
    return None


def bybit_liquidation_price(
    side: int, quantity: Number, entry: Number, initial: Number, maintenance: Number, extra: Number = 0
) -> Fraction | None:
    """LP = EP - side * ((IM - MM) + extra margin) / q, isolated; margins in USD, MM at the entry price.

    Source: Bybit, "Liquidation Price (USDT Contract)".
    """
    room = exact(initial) - exact(maintenance) + exact(extra)
    return _positive(exact(entry) - side * room / exact(quantity))


def hyperliquid_liquidation_price(
    side: int, size: Number, price: Number, available: Number, maintenance_leverage: Number
) -> Fraction | None:
    """LP = price - side * available / size / (1 - l * side), l = 1 / maintenance leverage (twice the tier's
    largest leverage).

    available: account value (isolated: the position's margin) minus the maintenance margin required at
    `price`, USD. Source: Hyperliquid docs, trading/liquidations.
    """
    rate = 1 / exact(maintenance_leverage)
    return _positive(exact(price) - side * exact(available) / exact(size) / (1 - rate * side))


def dydx_liquidation_price(
    size: Number, price: Number, equity: Number, maintenance: Number, other_maintenance: Number = 0
) -> Fraction | None:
    """p' = (e - s p - MMR_other) / (|s| M - s), cross.

    size: signed; equity: of the whole subaccount at oracle price `price`, USD; maintenance: the market's
    fraction M; other_maintenance: requirement of all other positions, USD. Source: dYdX v4 docs,
    concepts/trading.
    """
    size = exact(size)
    backing = exact(equity) - size * exact(price) - exact(other_maintenance)
    return _positive(backing / (abs(size) * exact(maintenance) - size))


def paradex_reduction(
    account_value: Number,
    maintenance: Number,
    fee: Number = Fraction(1, 2),
    *,
    step: Number = Fraction(1, 5),
    target: Number = Fraction(9, 10),
) -> Reduction:
    """The smallest multiple of `step` by which all positions are cut so that MMR / AV falls under `target`;
    everything when none does. The cut pays `fee` of the maintenance margin it frees.

    Source: Paradex docs, liquidations; their table uses a fee of 50 % (their text says 70 %).
    """
    account_value, maintenance, step = exact(account_value), exact(maintenance), exact(step)
    share = Fraction(0)
    while True:
        share = min(share + step, Fraction(1))
        value = account_value - share * maintenance * exact(fee)
        left = (1 - share) * maintenance
        if share == 1 or left < exact(target) * value:
            return Reduction(share, value, left)


def funding_rate(
    premium: Number,
    interest: Number = Fraction(1, 10_000),
    damp: Number = Fraction(1, 2_000),
    cap: Number | None = None,
) -> Fraction:
    """F = P + clamp(I - P, -damp, damp), limited to +-cap when one is given; per eight hours.

    Source: Hyperliquid docs, trading/funding (an hour pays an eighth of it, at most 4 %).
    """
    premium, damp = exact(premium), exact(damp)
    rate = premium + min(max(exact(interest) - premium, -damp), damp)
    if cap is None:
        return rate
    return min(max(rate, -exact(cap)), exact(cap))


def _positive(price: Fraction) -> Fraction | None:
    return price if price > 0 else None
