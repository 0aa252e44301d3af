"""The deployments that the machine runs on: three markets, small enough for every limit to be met."""

from __future__ import annotations

from typing import NamedTuple

from margincall.model import Rules, Terms, Tier
from margincall.model.surface import VolRules
from margincall.protocol.config import STEP, USD, MarketSpec, OptionSpec, PortfolioTerms, ProtocolSpec

RULES = Rules(
    step=10_000, interval=2, outage=120, grace=15, interest=100_000, damp=500_000, rate_cap=20_000_000
)
BASE_MARKS = {1: 60_000 * 10**6, 2: 3_000 * 10**7, 3: 150 * 10**8}
VOLS = VolRules(feed=None, lower=100_000, upper=2_000_000, step=100_000, interval=30, max_age=6 * 3_600)
OPTIONS = {
    1: OptionSpec(500 * 10**6, PortfolioTerms(2 * STEP, 3 * STEP, 50_000, 5_000), VOLS),
    2: OptionSpec(5 * 10**7, PortfolioTerms(2 * STEP, 3 * STEP, 50_000, 5_000), VOLS),
    3: OptionSpec(10**8 // 2, PortfolioTerms(2 * STEP, 3 * STEP, 100_000, 10_000), VOLS),
}
EDGE_MARKS = {1: 60_000 * 10**6, 2: 2**39, 3: 50_000}
CROSS, ISOLATED, PORTFOLIO, BOTH = "cross", "isolated", "portfolio", "both"


class Setting(NamedTuple):
    """One deployment. `envelope`: prices move one step at most and keepers liquidate after each;
    `hostile`: the token is one whose transfers can be told to misbehave; `options`: all markets carry
    options, accounts may be PORTFOLIO, spot tokens are collateral; `accounts`: what holds perps."""

    name: str
    spec: ProtocolSpec
    marks: dict[int, int]
    hostile: bool = False
    envelope: bool = False
    options: bool = False
    accounts: str = BOTH

    @property
    def offers(self) -> frozenset[str]:
        """What can be reached here at all; `report.REQUIRED` names what a state needs."""
        found = {"always", self.accounts} | ({CROSS, ISOLATED} if self.accounts == BOTH else set())
        found |= {"envelope"} if self.envelope else {"jumps"}
        found |= {name for name in ("hostile", "options") if getattr(self, name)}
        return frozenset(found)


def _terms(edge: int, imf: int, mmf: int, maker_fee: int, taker_fee: int, multiple: int) -> Terms:
    return Terms(
        tiers=(
            Tier(0, imf, mmf),
            Tier(edge * USD, imf * 3 // 2, mmf * 3 // 2),
            Tier(4 * edge * USD, imf * 3, mmf * 3),
        ),
        maker_fee=maker_fee,
        taker_fee=taker_fee,
        penalty=10_000,
        band=20_000,
        min_notional=100 * USD,
        oi_cap=400_000 * USD,
        oi_multiple=multiple,
    )


def _spec(decimals: int, seeds: int, fees: tuple[int, int], multiple: int) -> ProtocolSpec:
    return ProtocolSpec(
        markets=(
            MarketSpec(1, "BTC", 8, RULES, _terms(50_000, 40_000, 25_000, *fees, multiple), seeds * USD),
            MarketSpec(2, "ETH", 7, RULES, _terms(30_000, 40_000, 25_000, *fees, multiple), seeds * USD),
            MarketSpec(3, "SOL", 6, RULES, _terms(20_000, 50_000, 30_000, *fees, multiple), seeds * USD),
        ),
        token_decimals=decimals,
        cross_seed=seeds * USD,
        max_age=90,
        timelock_delay=40,
        signers=1,
        quorum=1,
    )


def _with_options(spec: ProtocolSpec, curve_window: int = 3_600) -> ProtocolSpec:
    markets = tuple(market._replace(options=OPTIONS[market.id]) for market in spec.markets)
    return spec._replace(markets=markets, curve_window=curve_window)


SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("plain", _spec(6, 5_000, (200, 500), 30), BASE_MARKS),
        Setting("thin", _spec(6, 5, (200, 500), 60_000), BASE_MARKS),
        Setting("wide", _spec(18, 300, (0, 0), 60_000), EDGE_MARKS),
        Setting("hostile", _spec(8, 200, (0, 300), 60_000), BASE_MARKS, hostile=True),
        Setting("envelope", _spec(6, 2_000, (200, 500), 60_000), BASE_MARKS, envelope=True),
        Setting("portfolio", _with_options(_spec(6, 300, (200, 500), 60_000)), BASE_MARKS, options=True),
        Setting(
            "smooth",
            _with_options(_spec(6, 2_000, (200, 500), 60_000), 900),
            BASE_MARKS,
            envelope=True,
            options=True,
        ),
    )
}
ABOUT = {
    "plain": "6 decimals, insurance that lasts",
    "thin": "insurance of 5 USD: deficits are socialised",
    "wide": "18 decimals, prices at the edges of their range, no fees",
    "hostile": "a token of 8 decimals whose transfers are told to misbehave",
    "envelope": "prices move one step at most between liquidations by keepers that never sleep",
    "portfolio": "options on all markets, portfolio accounts, spot as collateral",
    "smooth": "options, prices that move one step at most, keepers and curves that are never late",
}


def of_mode(mode: str | None) -> tuple[Setting, ...]:
    """The settings of a mode: None all; "cross" and "isolated" those without options, where takers and makers
    are root accounts (and have no vaults) or vaults; "portfolio" those with options."""
    if mode is None:
        return tuple(SETTINGS.values())
    plain = [setting for setting in SETTINGS.values() if not setting.options]
    if mode == PORTFOLIO:
        return tuple(setting for setting in SETTINGS.values() if setting.options)
    return tuple(setting._replace(accounts=mode) for setting in plain)
