"""The way of prices through a candle: open, the nearer extreme, the other one, close."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from margincall.model.arithmetic import PPM, ceil_div
from margincall.model.markets import MAX_JUMP
from margincall.protocol.config import MarketSpec
from margincall.replay.candles import Candle

LEGS = 4


def waypoints(candle: Candle) -> tuple[int, int, int, int]:
    """Prices in the order in which they are visited; low and high are both among them."""
    low_first = candle.open - candle.low <= candle.high - candle.open
    extremes = (candle.low, candle.high) if low_first else (candle.high, candle.low)
    return (candle.open, *extremes, candle.close)


def steps(
    starts: Mapping[int, int], targets: Mapping[int, int], markets: Mapping[int, MarketSpec]
) -> Iterator[dict[int, int]]:
    """Prices by market, update by update: straight to the targets, all markets arriving together, no
    update moving any of them by more than its market's price step."""
    count = max(_updates(starts[i], targets[i], markets[i].rules.step) for i in targets)
    for k in range(1, count + 1):
        yield {i: starts[i] + (targets[i] - starts[i]) * k // count for i in targets}


def _updates(start: int, target: int, step: int) -> int:
    """Updates that a straight walk needs: the smallest price on the way decides how far one may go."""
    if start == target:
        return 0
    # A unit less: rounding makes single moves one unit longer.
    longest = max(min(start, target) * step // PPM - 1, 1)
    return ceil_div(abs(target - start), longest)


def seconds_to_jump(start: int, target: int, market: MarketSpec) -> int | None:
    """Seconds since the last price after which the contract allows this move at once; None: never."""
    rules = market.rules
    needed = ceil_div(abs(target - start) * PPM, start)
    if needed > MAX_JUMP:
        return None
    return max(ceil_div(needed, rules.step), 1) * rules.interval
