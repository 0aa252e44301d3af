"""Candles and funding rates that come with the package; README.md names their exchange and sources."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent

CANDLES = tuple(FOLDER / f"{symbol}_2025-10-10_5m_perp.csv" for symbol in ("btc", "eth", "sol"))
"""Five-minute perp candles of 9-12 October 2025: BTC, ETH, SOL."""

FUNDING = tuple(FOLDER / f"{symbol}_funding_2025-10-08_8h.csv" for symbol in ("btc", "eth", "sol"))
"""Funding rates of 8-13 October 2025, one a settlement."""

OPTIONS = FOLDER / "deribit_eth_options_2024-01-08_chain.csv"
"""Deribit's ETH options of 8 January 2024: marks, bids, asks, open interest."""

PORTFOLIOS = FOLDER / "portfolios"
"""Example portfolios of `margincall margin`, made up, one JSON file each."""
