"""Funding rates of a venue, and the index price that makes the chain's formula yield exactly them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from margincall.model import Rules
from margincall.model.arithmetic import MAX_PRICE, clamp
from margincall.model.markets import funding_rate
from margincall.protocol.config import MarketSpec, ProtocolSpec
from margincall.replay.candles import BadInput, History, market_of, moment, moment_of, number, rows

EIGHT_HOURS = 28_800
UNIT = 10**9  # rates are 1e-9 per eight hours


class Funding:
    """Rates in force over time: a settlement's rate holds for the interval that ends with it.

    `settlements`: market id -> [(unix seconds, rate in 1e-9 per eight hours)]; a market without any has
    the protocol's interest rate."""

    def __init__(self, settlements: Mapping[int, Sequence[tuple[int, int]]]) -> None:
        self._times = {market: [time for time, _ in found] for market, found in settlements.items()}
        self._rates = {market: [rate for _, rate in found] for market, found in settlements.items()}

    def rate(self, market: MarketSpec, time: int) -> int:
        """Rate in force just after `time`, 1e-9 per eight hours."""
        times = self._times.get(market.id)
        if times is None:
            return market.rules.interest
        # The first settlement later than `time`; behind the last one its rate stays.
        return self._rates[market.id][min(bisect_left(times, time + 1), len(times) - 1)]


def read_funding(files: Sequence[Path], spec: ProtocolSpec, history: History) -> Funding:
    """Read one file per market (columns timestamp_utc, funding_rate as a fraction per interval).

    Raises BadInput: malformed lines, candles that no settlement covers, a rate beyond the market's cap.
    """
    settlements: dict[int, list[tuple[int, int]]] = {}
    for path in map(Path, files):
        market = market_of(path, spec)
        if market.id in settlements:
            raise BadInput(f"{path}: a second file for {market.symbol}; give one file per market")
        settlements[market.id] = _settlements(path, market)
        if market.id in history.candles:
            _check_cover(path, settlements[market.id], history)
    return Funding(settlements)


def index_for(mark: int, rate: int, rules: Rules) -> int:
    """The index price (price units) nearest the mark with funding_rate(mark, index, rules) == rate.

    rate = clamp(premium + clamp(interest - premium, damp), cap) with premium = floor of
    (mark - index) * 1e9 / index; inside the damp band the premium is free and 0 or the nearest edge is
    taken. Raises ValueError when no index does it (rate beyond the cap, or a mark of too few units).
    """
    if rate == rules.interest:
        premium = rules.interest - clamp(rules.interest, rules.damp)
    else:
        premium = rate + rules.damp if rate > rules.interest else rate - rules.damp
    # floor(mark * 1e9 / index) == premium + 1e9 for index in (mark * 1e9 / (g + 1), mark * 1e9 / g].
    index = mark * UNIT // (premium + UNIT)
    if not 0 < index <= MAX_PRICE or funding_rate(mark, index, rules) != rate:
        raise ValueError(
            f"no index price makes a funding rate of {rate / UNIT:.9f} at a mark of {mark} units"
        )
    return index


def _settlements(path: Path, market: MarketSpec) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for line, row in rows(path, ("timestamp_utc", "funding_rate")):
        here = f"{path}: line {line}"
        time = moment_of(row["timestamp_utc"], here)
        if found and time <= found[-1][0]:
            raise BadInput(
                f"{here}: {row['timestamp_utc']} is not after the line before; expected rising times"
            )
        # The first line has no line before it: its interval is taken for the usual eight hours.
        interval = time - found[-1][0] if found else EIGHT_HOURS
        rate = number(row["funding_rate"], f"{here}: funding_rate") * UNIT * EIGHT_HOURS / interval
        scaled = int(rate.to_integral_value())
        if abs(scaled) > market.rules.rate_cap:
            raise BadInput(
                f"{here}: {row['funding_rate']} in {interval} seconds is beyond the cap of {market.symbol};"
                f" expected at most {market.rules.rate_cap / UNIT:g} in eight hours"
            )
        found.append((time, scaled))
    if not found:
        raise BadInput(f"{path}: no rates; expected lines of timestamp_utc,funding_rate")
    return found


def _check_cover(path: Path, found: list[tuple[int, int]], history: History) -> None:
    start, end = history.times[0], history.times[-1] + history.step
    if found[0][0] - EIGHT_HOURS > start or found[-1][0] < end:
        raise BadInput(
            f"{path}: settlements from {moment(found[0][0])} to {moment(found[-1][0])} do not cover"
            f" the candles, {moment(start)} to {moment(end)}; give the rates of those days"
        )
    for (before, _), (after, _) in pairwise(found):
        if after - before > EIGHT_HOURS and before < end and after > start:
            raise BadInput(
                f"{path}: no settlement between {moment(before)} and {moment(after)};"
                " expected one at least every eight hours"
            )
