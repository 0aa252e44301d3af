"""Auditing a perp engine that is not ours: an adapter, generated histories, the same properties.

`margincall audit contract FILE.py` runs it; YOUR_CONTRACT.md walks through it.
"""

from margincall.audit.adapter.files import artifact_from
from margincall.audit.adapter.protocol import (
    CROSS,
    Account,
    Adapter,
    Margin,
    Market,
    Rates,
    Stocks,
    abilities,
)

__all__ = [
    "CROSS",
    "Account",
    "Adapter",
    "Margin",
    "Market",
    "Rates",
    "Stocks",
    "abilities",
    "artifact_from",
]
