"""What a deployment is made of: markets with their rules and terms, rates, seeds. Money in 1e-6 USD."""

from __future__ import annotations

from typing import NamedTuple

from margincall.model import Rules, Terms, Tier, to_lots, to_price
from margincall.model.dials import DEFAULT as DEFAULT_DIALS
from margincall.model.dials import Settings as DialSettings
from margincall.model.portfolio import Terms as PortfolioTerms
from margincall.model.standard import Terms as StandardTerms
from margincall.model.surface import VolRules

USD = 10**6
"""Money units in one USD."""

PRICE_AND_SIZE_DECIMALS = 14
"""Decimals of price and size together, the same for every market: lots * price / 10**8 is money."""


class OptionSpec(NamedTuple):
    """What a market needs to carry options and to be held in portfolio mode.

    strike_step: price units; terms: of the portfolio rule; vols: how volatility may move (its feed is
    filled in at deployment); standard: rates of options sold by cross accounts.
    """

    strike_step: int
    terms: PortfolioTerms
    vols: VolRules = VolRules(feed=None)
    standard: StandardTerms = StandardTerms()


class MarketSpec(NamedTuple):
    """A perp market. `id` is its number on chain, `seed` the insurance of its vaults' pool (money)."""

    id: int
    symbol: str
    size_decimals: int
    rules: Rules
    terms: Terms
    seed: int
    options: OptionSpec | None = None

    @property
    def price_decimals(self) -> int:
        return PRICE_AND_SIZE_DECIMALS - self.size_decimals

    def lots(self, coins) -> int:
        """Coins (int, str or Decimal; a float by its shortest decimal) to lots, exactly."""
        return to_lots(coins, self.size_decimals)

    def price(self, usd) -> int:
        """USD a coin to price units, exactly."""
        return to_price(usd, self.price_decimals)

    def usd(self, price: int) -> float:
        """Price units to USD a coin, for people."""
        return price / 10**self.price_decimals

    def coins(self, lots: int) -> float:
        """Lots to coins, for people."""
        return lots / 10**self.size_decimals


class ProtocolSpec(NamedTuple):
    """Everything that a deployment needs beside the chain. Shares and rates in ppm."""

    markets: tuple[MarketSpec, ...]
    token_decimals: int = 6
    insurance_share: int = 500_000  # of every fee
    transfer_rate: int = 100_000  # of notional that a withdrawal leaves
    liquidator_share: int = 500_000  # of every penalty
    reward: int = USD // 2  # what a full close pays at least
    max_age: int = 600  # seconds a price stays usable
    cross_seed: int = 2_000_000 * USD
    timelock_delay: int = 2 * 86_400
    signers: int = 3
    quorum: int = 2
    dials: DialSettings = DEFAULT_DIALS
    # seconds a value curve is usable: in it a level may move by three steps of a vol report, and no more than
    # the scenarios move it, or risk could be opened on a curve that the surface has left behind
    curve_window: int = 900

    def market(self, symbol: str) -> MarketSpec:
        """The market of a symbol. Raises ValueError for an unknown one."""
        for market in self.markets:
            if market.symbol == symbol:
                return market
        known = ", ".join(market.symbol for market in self.markets)
        raise ValueError(f"unknown market {symbol!r}; this deployment has {known}")


RULES = Rules(
    step=10_000,
    interval=2,
    outage=600,
    grace=600,
    interest=100_000,
    damp=500_000,
    rate_cap=20_000_000,
)
"""A price may move 1 % every two seconds; funding as on the large venues (0.01 % interest, 0.05 % damp)."""


def _terms(first_edge: int, imf: int = 40_000, mmf: int = 25_000) -> Terms:
    tiers = (
        Tier(0, imf, mmf),
        Tier(first_edge * USD, imf * 3 // 2, mmf * 3 // 2),
        Tier(10 * first_edge * USD, imf * 3, mmf * 3),
        Tier(50 * first_edge * USD, imf * 6, mmf * 6),
    )
    return Terms(
        tiers=tiers,
        maker_fee=200,
        taker_fee=500,
        penalty=10_000,
        band=20_000,
        min_notional=100 * USD,
        oi_cap=5_000_000_000 * USD,
        oi_multiple=500,
    )


STEP = 16
"""One log step of 5 % in the units of a range."""

DEFAULT = ProtocolSpec(
    markets=(
        MarketSpec(
            1,
            "BTC",
            8,
            RULES,
            _terms(5_000_000),
            500_000 * USD,
            OptionSpec(500 * 10**6, PortfolioTerms(2 * STEP, 3 * STEP, 50_000, 15_000)),
        ),
        MarketSpec(
            2,
            "ETH",
            7,
            RULES,
            _terms(3_000_000),
            500_000 * USD,
            OptionSpec(5 * 10**7, PortfolioTerms(2 * STEP, 3 * STEP, 50_000, 15_000)),
        ),
        MarketSpec(
            3,
            "SOL",
            6,
            RULES,
            _terms(1_000_000, 50_000, 30_000),
            500_000 * USD,
            OptionSpec(10**8 // 2, PortfolioTerms(2 * STEP, 3 * STEP, 100_000, 20_000)),
        ),
    )
)
"""BTC and ETH at up to 25x, SOL at up to 20x: the terms of the demo, and of the tests unless they say so.
Portfolio margin moves prices by two steps (about 10 %) for maintenance and three for initial margin."""
