"""Plain SPAN: the worked example of another margin rule. The integer twin of SpanMargin.vy.

Of every series there is a risk array: what one call loses in 16 scenarios, 2**-16 of the price; puts are
calls and forwards (parity). An underlying requires the worst of its scenarios, an account the sum over
underlyings. An array is made at one price and serves until its curve is stale, and while the price is
within DRIFT of where it was. Source: CME, SPAN methodology (scenarios 1 to 16).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from margincall.model import curves
from margincall.model.arithmetic import NOTIONAL_SCALE, PPM, RATE_SCALE, Refused
from margincall.model.book import unpack
from margincall.model.instrument import CONTRACT, MAX_CODE, log_code
from margincall.model.margin import CloseOut, Margin
from margincall.model.portfolio import Perp

THIRDS = (0, 0, 1, 1, -1, -1, 2, 2, -2, -2, 3, 3, -3, -3, 6, -6)
"""Moves of the scenarios in thirds of the scan range; vol up, vol down, ...; the last two at unmoved vol."""
EXTREME = 14  # the first scenario of which only COVER counts
COVER = 350_000  # ppm
INITIAL = 1_250_000  # ppm of maintenance margin
PENALTY = 100_000  # ppm of maintenance margin that closing everything costs
PRICE = 2**16  # moves and lanes: 1 is the price
DRIFT = 655  # 2**-16 of the price
VALUE = 2**28  # values, deltas, errors: 1 is the price
LAST_TAP = 189
UP, MARK, DOWN = range(3)  # rows as curves.unpack gives them


class Terms(NamedTuple):
    """third: of the scan range, 2**-16 of the price; short_minimum: ppm of the notional of calls sold;
    haircut: ppm of spot."""

    third: int
    short_minimum: int = 0
    haircut: int = 0


class Series(NamedTuple):
    """A risk array and what it takes to use it. lanes: 2**-16 of the price; value, delta, error: 2**-28."""

    lanes: tuple[int, ...]
    price: int
    until: int
    value: int
    delta: int
    error: int

    def words(self) -> tuple[int, int]:
        """The two words that the contract stores."""
        array = sum((lane + 2**15) << 16 * j for j, lane in enumerate(self.lanes))
        stamp = self.price | self.until << 40 | self.value << 72 | self.delta << 104 | self.error << 136
        return array, stamp


Arrays = Mapping[tuple[int, int, int], Series]
"""By market, expiry and log code of the strike."""


def check_terms(terms: Terms) -> None:
    """Refuse terms out of bounds. Raises Refused."""
    if not 0 < terms.third <= 5_461:
        raise Refused("span: range")
    if not 0 <= terms.short_minimum <= 100_000:
        raise Refused("span: short minimum")
    if not 0 <= terms.haircut < PPM:
        raise Refused("span: haircut")


def refresh(curve: curves.Curve, price: int, strike: int, terms: Terms) -> Series:
    """The risk array of a strike (price units) at a price. The curve must be usable: no check."""
    rows, code = curves.unpack(curve.blob), log_code(strike)

    def value(row: int, move: int) -> int:
        """A call after the price moved by `move` (2**-16), in 2**-28 of the price before."""
        moved = price * (PRICE + move) >> 16
        tap, f = curves.place(log_code(moved), code)
        if 0 <= tap <= LAST_TAP:
            worth = curves.value(rows[row], tap, f)
        else:
            worth = max(moved - strike, 0) * VALUE // moved
        return worth * (PRICE + move) >> 16

    now, lanes = value(MARK, 0), []
    for j, thirds in enumerate(THIRDS):
        loss = now - value(MARK if j >= EXTREME else (UP, DOWN)[j & 1], thirds * terms.third)
        if j >= EXTREME:
            loss = loss * COVER // PPM
        lanes.append(loss + 2**11 >> 12)
    above, below = value(MARK, DRIFT), value(MARK, -DRIFT)
    rise = max(above - below, 0) // 2
    bend = max(abs(above - now - rise), abs(below - now + rise))
    error = 2 * curve.err + bend + 2**11 + 2
    return Series(tuple(lanes), price, curve.valid_until, now, rise * PRICE // DRIFT, error)


def assess(
    cash: int,
    perps: Sequence[Perp],
    words: Iterable[int],
    arrays: Arrays,
    prices: Mapping[int, int],
    terms: Mapping[int, Terms],
    now: int,
) -> tuple[int, int, int]:
    """Equity (rounded down), maintenance margin and net notional (rounded up), money.

    perps: (market, lots, value); now: unix seconds. Raises Refused without a usable array.
    """
    segments = unpack(words)
    equity = cash + sum(value for _, _, value in perps)
    maintenance = notional = 0
    for market in sorted({m for m, _, _ in perps} | {segment.market for segment in segments}):
        if market not in terms:
            raise Refused("span: no terms")
        price, rules = prices[market], terms[market]
        forward = short = worth = delta = 0
        losses = [0] * len(THIRDS)
        for segment in (s for s in segments if s.market == market):
            if not segment.expiry:
                forward += segment.forward * (PPM - rules.haircut) // PPM
                continue
            if not segment.lanes and now >= segment.expiry:
                raise Refused("span: settle first")
            forward += segment.forward
            equity -= segment.money
            short += segment.short
            for name, size in segment.lanes:
                series = usable(arrays, (market, segment.expiry, name & MAX_CODE), price, now)
                one = series.value * series.price + series.delta * (price - series.price)
                worth += size * one - abs(size) * series.error * series.price
                delta += size * series.delta
                losses = [loss + size * lane for loss, lane in zip(losses, series.lanes, strict=True)]
        equity += (worth * CONTRACT + forward * price * VALUE) // (VALUE * NOTIONAL_SCALE)
        linear = forward + sum(size for m, size, _ in perps if m == market)
        worst = max(0, *scenarios(linear, losses, rules.third))
        required = -(-worst * price // (PRICE * NOTIONAL_SCALE))
        least = -(-short * CONTRACT * price * rules.short_minimum // RATE_SCALE)
        maintenance += max(required, least)
        notional -= -abs(delta * CONTRACT + linear * VALUE) * price // (VALUE * NOTIONAL_SCALE)
    return equity, maintenance, notional


def scenarios(linear: int, losses: Sequence[int], third: int) -> Iterable[int]:
    """Loss of an underlying in each scenario, 2**-16 lots; losses: of its options, 2**-16 contracts."""
    for j, (thirds, options) in enumerate(zip(THIRDS, losses, strict=True)):
        loss = -linear * thirds * third
        if j >= EXTREME:
            loss = -(-loss * COVER // PPM)
        yield loss + options * CONTRACT


def usable(arrays: Arrays, key: tuple[int, int, int], price: int, now: int) -> Series:
    """The risk array of a series. Raises Refused when it may not be used now."""
    series = arrays.get(key)
    if series is None:
        raise Refused("span: no risk array")
    if now > series.until:
        raise Refused("span: stale")
    if abs(price - series.price) * PRICE > series.price * DRIFT:
        raise Refused("span: price moved")
    return series


def margin(*account) -> Margin:
    """Equity, IM, MM and net notional; arguments as `assess`."""
    equity, maintenance, notional = assess(*account)
    return Margin(equity, -(-maintenance * INITIAL // PPM), maintenance, notional)


def close_out(*account) -> CloseOut:
    """Equity, MM, slope (all of it) and penalty; arguments as `assess`."""
    equity, maintenance, _ = assess(*account)
    return CloseOut(equity, maintenance, maintenance, -(-maintenance * PENALTY // PPM))
