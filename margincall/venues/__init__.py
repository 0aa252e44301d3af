"""What other venues publish: liquidation-price formulas, and dated tier tables ("margin like venue X")."""

from margincall.venues.formulas import (
    binance_liquidation_price,
    bybit_liquidation_price,
    deductions,
    dydx_liquidation_price,
    funding_rate,
    hyperliquid_liquidation_price,
    paradex_reduction,
    tier_at,
)
from margincall.venues.presets import PRESETS, Preset, preset

__all__ = [
    "PRESETS",
    "Preset",
    "binance_liquidation_price",
    "bybit_liquidation_price",
    "deductions",
    "dydx_liquidation_price",
    "funding_rate",
    "hyperliquid_liquidation_price",
    "paradex_reduction",
    "preset",
    "tier_at",
]
