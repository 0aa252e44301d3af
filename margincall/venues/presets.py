"""Margin like venue X: tier tables as published, with the date of their source.

Venues change their tables; a preset is a record of one, not a promise. Tables longer than the six tiers
that a market of this protocol has are cut after the sixth, whose rates then hold for all that is larger.
"""

from dataclasses import dataclass
from fractions import Fraction

from margincall.model.arithmetic import MAX_TIERS, PPM, ceil_div, money
from margincall.model.markets import Tier
from margincall.venues.formulas import VenueTier


@dataclass(frozen=True, slots=True)
class Preset:
    """A venue's tier table. rows: (lower edge in USD, initial rate, maintenance rate), rates in percent."""

    venue: str
    market: str
    date: str
    source: str
    rows: tuple[tuple[int, str, str], ...]

    def published(self) -> tuple[VenueTier, ...]:
        """The table exactly as published."""
        return tuple(
            VenueTier(Fraction(lower), Fraction(initial) / 100, Fraction(maintenance) / 100)
            for lower, initial, maintenance in self.rows
        )

    def tiers(self) -> tuple[Tier, ...]:
        """The first six tiers in the twin's units (money, ppm); rates are rounded up to a ppm."""
        return tuple(
            Tier(money(tier.lower), _ppm_up(tier.initial), _ppm_up(tier.maintenance))
            for tier in self.published()[:MAX_TIERS]
        )


def _ppm_up(rate: Fraction) -> int:
    return ceil_div(rate.numerator * PPM, rate.denominator)


PRESETS: dict[str, Preset] = {
    "binance-btc": Preset(
        "Binance USD-M",
        "BTCUSDT",
        "2021-03-18",
        "announcement 'Updates to Leverage and Margin Tiers of Binance Futures Contracts'",
        (
            (0, "0.8", "0.4"),
            (50_000, "1", "0.5"),
            (250_000, "2", "1"),
            (1_000_000, "5", "2.5"),
            (10_000_000, "10", "5"),
            (20_000_000, "20", "10"),
            (50_000_000, "25", "12.5"),
            (100_000_000, "33.3", "15"),
            (200_000_000, "50", "25"),
            (300_000_000, "100", "50"),
        ),
    ),
    "binance-eth": Preset(
        "Binance USD-M",
        "ETHUSDT",
        "2021",
        "the table behind the example of FAQ b3c689c1f50a44cabb3a84e663b81d93 (cum 135,365 at 10 %)",
        (
            (0, "1", "0.5"),
            (10_000, "1.3", "0.65"),
            (100_000, "2", "1"),
            (500_000, "4", "2"),
            (1_000_000, "10", "5"),
            (2_000_000, "20", "10"),
            (5_000_000, "25", "12.5"),
        ),
    ),
    "bybit-btc": Preset(
        "Bybit",
        "BTCUSDT",
        "2026-08",
        "help page 'Liquidation Price (USDT Contract)', its example at 50x",
        ((0, "2", "0.5"),),
    ),
    "hyperliquid-btc": Preset(
        "Hyperliquid",
        "BTC",
        "2026-08",
        "docs, trading/margin-tiers: 40x, from 150M 20x; maintenance is half of initial",
        ((0, "2.5", "1.25"), (150_000_000, "5", "2.5")),
    ),
    "hyperliquid-eth": Preset(
        "Hyperliquid",
        "ETH",
        "2026-08",
        "docs, trading/margin-tiers: 25x, from 100M 15x; maintenance is half of initial",
        ((0, "4", "2"), (100_000_000, "20/3", "10/3")),
    ),
    "dydx-eth": Preset(
        "dYdX v4",
        "ETH-USD",
        "2026-08",
        "docs, concepts/trading, example (maintenance 5 %); initial is twice that",
        ((0, "10", "5"),),
    ),
    "paradex-btc": Preset(
        "Paradex",
        "BTC-USD-PERP",
        "2026-08",
        "docs, liquidation example (maintenance 1 %) and portfolio margin example (initial 2 %)",
        ((0, "2", "1"),),
    ),
}


def preset(name: str) -> Preset:
    """The preset of that name. Raises ValueError that lists the names."""
    try:
        return PRESETS[name]
    except KeyError:
        raise ValueError(f"preset {name!r} is unknown; choose one of {', '.join(PRESETS)}") from None
