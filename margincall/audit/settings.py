"""The deployments that the machine runs on: three markets, small enough for every limit to be met."""

from __future__ import annotations

from typing import NamedTuple

from margincall.model import Rules, Terms, Tier
from margincall.protocol.config import USD, MarketSpec, ProtocolSpec

RULES = Rules(
    step=10_000, interval=2, outage=120, grace=15, interest=100_000, damp=500_000, rate_cap=20_000_000
)
BASE_MARKS = {1: 60_000 * 10**6, 2: 3_000 * 10**7, 3: 150 * 10**8}
EDGE_MARKS = {1: 60_000 * 10**6, 2: 2**39, 3: 50_000}


class Setting(NamedTuple):
    """One deployment. `envelope`: prices move one step at most and keepers liquidate after each;
    `hostile`: the token is one whose transfers can be told to misbehave."""

    name: str
    spec: ProtocolSpec
    marks: dict[int, int]
    hostile: bool = False
    envelope: bool = False


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
        timelock_delay=120,
        signers=1,
        quorum=1,
    )


SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("plain", _spec(6, 5_000, (200, 500), 30), BASE_MARKS),
        Setting("thin", _spec(6, 5, (200, 500), 60_000), BASE_MARKS),
        Setting("wide", _spec(18, 300, (0, 0), 60_000), EDGE_MARKS),
        Setting("hostile", _spec(8, 200, (0, 300), 60_000), BASE_MARKS, hostile=True),
        Setting("envelope", _spec(6, 2_000, (200, 500), 60_000), BASE_MARKS, envelope=True),
    )
}
"""By name: plain; thin insurance (deficits are socialised); 18 decimals, edge prices and no fees; a hostile
token of 8 decimals; prices inside the envelope with keepers that never sleep."""
