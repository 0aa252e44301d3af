"""Volatility in a replay: real smiles to begin with, and a rule by which they follow the crash.

Calm: the smiles of Deribit's ETH chain of 8 January 2024 (venues.smiles), each expiry taking the one whose
term is nearest in the log. Levels of other markets are ETH's times LEVELS: the ratio of realised volatility
(root mean square of five-minute log returns) to ETH's in the shipped candles before 10 October 2025, 12:00.

Crash: an expiry T days away is published at calm * (1 + REACTION * m * sqrt(30 / T)), at most MOST times
calm, where m is the largest distance of the log price from its average (time constant a day), forgotten with
a half-life of a day. REACTION: on 10 October 2025 BTC fell from 122,000 to 104,000 USD and 30-day implied
volatility (Volmex BVIV) rose from 40 % to 60 % (CoinDesk, 22 October 2025): 0.5 / ln(122 / 104) = 3.1. The
square root is how the term structure shifts in practice; it also keeps total variance rising with expiry.
The surface's own step (10 % of a level in five minutes) bounds how fast the level follows; a smile that is
not free of arbitrage at the new level is flattened as far as needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from margincall.model.arithmetic import PPM, Refused
from margincall.model.instrument import DAY
from margincall.model.surface import MAX_JUMP, Smile, VolReport, VolRules, check_smile
from margincall.protocol.config import MarketSpec
from margincall.venues.smiles import chain_smiles

LEVELS = {"BTC": 0.623, "ETH": 1.0, "SOL": 1.224}
REACTION = 3.1
MOST = 3.0
REFERENCE_TERM = 30 * DAY
SHORTEST_TERM = DAY // 2
AVERAGE_TIME = DAY
HALF_LIFE = DAY
FLATTER = 50  # thousandths by which a smile is flattened at a time


class Calm(NamedTuple):
    """A smile of an expiry before anything happens, ppm."""

    atm: int
    skew: int
    curvature: int


@cache
def _chain() -> tuple:
    return tuple(chain_smiles())


def calm(symbol: str, term: int) -> Calm:
    """The smile from which a market's expiry `term` seconds away starts."""
    nearest = min(_chain(), key=lambda smile: abs(math.log(smile.term / term)))
    return Calm(round(nearest.atm * LEVELS.get(symbol, 1.0)), nearest.skew, nearest.curvature)


class Move:
    """How far a market has moved of late: m of the rule, from prices as they come."""

    def __init__(self, price: int, now: int) -> None:
        self.average, self.held, self.at = math.log(price), 0.0, now

    def see(self, price: int, now: int) -> float:
        """Take a price of time `now` (seconds) and give m."""
        elapsed, self.at = now - self.at, now
        log = math.log(price)
        self.held = max(self.held * 0.5 ** (elapsed / HALF_LIFE), abs(log - self.average))
        self.average += (log - self.average) * (1 - math.exp(-elapsed / AVERAGE_TIME))
        return self.held


def wanted(base: Calm, move: float, term: int) -> int:
    """The level that the rule asks for `term` seconds before expiry, ppm."""
    stretch = math.sqrt(REFERENCE_TERM / max(term, SHORTEST_TERM))
    return round(base.atm * min(1 + REACTION * move * stretch, MOST))


def reports(
    market: MarketSpec,
    bases: Mapping[int, Calm],
    stored: Mapping[int, Smile],
    move: float,
    now: int,
) -> list[VolReport]:
    """One report for every expiry of `bases` that is still to come, such as the surface accepts at `now`:
    levels within its step of what is `stored` (by expiry), total variance rising with expiry."""
    rules = market.options.vols
    found, variance = [], 0
    for expiry in sorted(expiry for expiry in bases if expiry > now):
        base, term = bases[expiry], expiry - now
        atm = min(max(wanted(base, move, term), rules.lower), rules.upper)
        if expiry in stored:
            atm = _within_step(atm, stored[expiry], rules, now)
        atm = max(atm, math.isqrt(variance // term) + 1)
        variance = atm * atm * term
        found.append(VolReport(market.id, expiry, *_accepted(atm, base, term), now))
    return found


def _within_step(atm: int, old: Smile, rules: VolRules, now: int) -> int:
    limit = min(rules.step * (now - old.published) // rules.interval, MAX_JUMP)
    reach = old.atm * limit // PPM
    return min(max(atm, old.atm - reach), old.atm + reach)


def _accepted(atm: int, base: Calm, term: int) -> tuple[int, int, int]:
    for share in range(1_000, 0, -FLATTER):
        smile = atm, base.skew * share // 1_000, base.curvature * share // 1_000
        try:
            check_smile(*smile, term)
        except Refused:
            continue
        return smile
    return atm, 0, 0


def expiries_of(times: Sequence[int], step: int) -> tuple[int, int, int]:
    """Three expiries (08:00 UTC) for candles opening at `times`: the last one at least an hour inside the
    candles (the first one after them when none is), and one and four weeks later."""
    first, end = times[0] + 4 * 3_600, times[-1] + step
    near = (end - 3_600 - 28_800) // DAY * DAY + 28_800
    if near < first:
        near = end // DAY * DAY + 28_800
        near += 0 if near > end else DAY
    return near, near + 7 * DAY, near + 28 * DAY
