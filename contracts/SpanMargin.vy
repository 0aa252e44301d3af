# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title SpanMargin
@license GNU Affero General Public License v3.0 only
@notice A margin rule to learn from (contracts/ENGINES.md): plain SPAN. Of every series, anyone
        keeps a risk array: what one call loses in 16 scenarios. An underlying requires the worst
        of its scenarios, an account the sum over underlyings.

        Scenarios: the price unmoved and moved by one, two and three thirds of the scan range
        either way, each with vol up and vol down; then twice the range either way at unmoved
        vol, of which 35 % count. Source: CME, SPAN methodology overview (scenarios 1 to 16).
@dev    An array is made at one price and at one time. It serves until its curve is stale, and
        while the price is within DRIFT of where it was: arrays must follow the price.
"""

from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from .interfaces import ICurves
from .interfaces import IMarkets
from .interfaces import IRiskEngine
from .ledger import lanes
from .math import rounding
from .math import units
from .options import book
from .options import instrument
from .options import sheets

implements: IRiskEngine
implements: ICurves

initializes: ownable
initializes: ownable_2step[ownable := ownable]

exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
    # renounce_ownership is left out: ranges must stay adjustable.
)

# Moves of the scenarios in thirds of the scan range; even ones vol up, odd ones vol down.
THIRDS: constant(int256[16]) = [0, 0, 1, 1, -1, -1, 2, 2, -2, -2, 3, 3, -3, -3, 6, -6]
EXTREME: constant(uint256) = 14  # the first scenario of which only COVER counts
COVER: constant(int256) = 350_000  # ppm
INITIAL: constant(uint256) = 1_250_000  # ppm of maintenance margin
PENALTY: constant(uint256) = 100_000  # ppm of maintenance margin that closing everything costs
PRICE: constant(int256) = 2**16  # moves and lanes: 1 is the price
DRIFT: constant(int256) = 655  # 2**-16 of the price: 1 %
BIAS: constant(int256) = 2**15  # of a lane
VALUE: constant(int256) = 2**28  # values, deltas, errors: 1 is the price
VALUE_SCALE: constant(int256) = 2**28 * 10**8  # 2**-28 lots * price -> money
LOSS_SCALE: constant(uint256) = 2**16 * 10**8  # 2**-16 lots * price -> money


struct Terms:
    third: uint256  # of the scan range, 2**-16 of the price
    short_minimum: uint256  # ppm of the notional of calls sold: the least requirement
    haircut: uint256  # ppm of spot


struct Sums:
    equity: int256
    maintenance: uint256
    notional: uint256  # of the net delta of each underlying


event TermsSet:
    market: indexed(uint256)
    terms: Terms


event SeriesRefreshed:
    market: indexed(uint256)
    expiry: indexed(uint256)
    code: indexed(uint256)
    series: uint256[2]


MARKETS: immutable(IMarkets)
CURVES: immutable(ICurves)

terms: public(HashMap[uint256, Terms])  # by market
# by expiry and log code of the strike, by market: 16 lanes of 16 bits, the loss of a call in each
# scenario, 2**-16 of the price, plus BIAS | price 40, valid until 32, value 32, delta 32, error 32
_series: HashMap[uint256, HashMap[uint256, uint256[2]]]


@deploy
def __init__(markets: address, curves: address):
    ownable.__init__()
    ownable_2step.__init__()
    MARKETS = IMarkets(markets)
    CURVES = ICurves(curves)


@external
def set_terms(market: uint256, t: Terms):
    """
    @notice Set an underlying's scan range, short option minimum and haircut. Owner.
    """
    ownable._check_owner()
    assert market > 0 and market < units.MAX_MARKETS, "span: no such market"
    assert t.third > 0 and t.third <= 5_461, "span: range"  # a quarter of the price: lanes fit 16 bits
    assert t.short_minimum <= 100_000, "span: short minimum"
    assert t.haircut < units.PPM, "span: haircut"
    self.terms[market] = t
    log TermsSet(market=market, terms=t)


# ---------------------------------------------------------------- risk arrays


@external
def refresh(market: uint256, expiry: uint256, strikes: DynArray[uint256, 64]):
    """
    @notice Make the risk arrays of some strikes (price units) anew, at the price and curve of
            now. Anyone, at any time.
    """
    third: int256 = convert(self.terms[market].third, int256)
    assert third > 0, "span: no terms"
    equity: int256 = 0
    marks: DynArray[uint256, 16] = []
    equity, marks = staticcall MARKETS.marks(0, [], 1 << market)
    price: uint256 = marks[0] & units.MAX_PRICE
    curve: uint256 = sheets._usable(CURVES, market, expiry)
    sheet: Bytes[1184] = sheets._sheet(CURVES, curve, market, expiry)
    for strike: uint256 in strikes:
        code: uint256 = instrument._log_code(strike)
        value: int256 = self._value(sheet, sheets.MARK, price, 0, strike, code)
        array: uint256 = 0
        for j: uint256 in range(16):
            row: uint256 = sheets.MARK
            if j < EXTREME:
                row = j & 1  # sheets.UP, sheets.DOWN
            loss: int256 = value - self._value(sheet, row, price, THIRDS[j] * third, strike, code)
            if j >= EXTREME:
                loss = rounding._floor_div(loss * COVER, 10**6)
            lane: int256 = ((loss + 2**11) >> 12) + BIAS  # to the nearest 2**-16
            array |= convert(convert(lane, uint16), uint256) << (16 * j)
        # The value on the way to the next refresh: a line, and how far the ends lie off it.
        above: int256 = self._value(sheet, sheets.MARK, price, DRIFT, strike, code)
        below: int256 = self._value(sheet, sheets.MARK, price, -DRIFT, strike, code)
        rise: int256 = max(above - below, 0) // 2
        bend: int256 = max(abs(above - value - rise), abs(below - value + rise))
        # Of the value and a scenario's, a lane's rounding, and what `_value` rounds.
        error: int256 = 2 * convert(sheets._err(curve), int256) + bend + 2**11 + 2
        stamp: uint256 = price | (sheets._until(curve) << 40) | (convert(value, uint256) << 72)
        stamp |= convert(rise * PRICE // DRIFT, uint256) << 104
        stamp |= convert(error, uint256) << 136
        self._series[market][expiry << 24 | code] = [array, stamp]
        log SeriesRefreshed(market=market, expiry=expiry, code=code, series=[array, stamp])


@external
@view
def series(market: uint256, expiry: uint256, code: uint256) -> uint256[2]:
    """
    @return A series' risk array and its stamp (see `_series`), usable or not; zeros: none yet
    """
    return self._series[market][expiry << 24 | code]


@internal
@pure
def _value(
    sheet: Bytes[1184], row: uint256, price: uint256, move: int256, strike: uint256, code: uint256
) -> int256:
    """
    @return A call after the price moved by `move` (2**-16 of it), in 2**-28 of the price before.
            Off the curve it is its intrinsic value.
    """
    factor: int256 = PRICE + move
    moved: uint256 = price * convert(factor, uint256) >> 16
    place: int256 = sheets._place(instrument._log_code(moved), code)
    value: int256 = 0
    if place >= 0 and place < 190 << 14:
        value = sheets._value(sheet, row, place)
    elif moved > strike:
        value = convert((moved - strike) * 2**28 // moved, int256)
    return value * factor >> 16


# ---------------------------------------------------------------- curves

# The exchange values options by the engine of PORTFOLIO accounts.


@external
@view
def curve(market: uint256, expiry: uint256) -> uint256:
    """
    @notice See ICurves.
    """
    return staticcall CURVES.curve(market, expiry)


@external
@view
def sheet(market: uint256, expiry: uint256) -> uint256[36]:
    """
    @notice See ICurves.
    """
    return staticcall CURVES.sheet(market, expiry)


# ---------------------------------------------------------------- the rule


@external
@view
def margin(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256, uint256, uint256):
    """
    @notice See IRiskEngine.
    """
    s: Sums = self._assess(header, words)
    return s.equity, self._initial(s.maintenance), s.maintenance, s.notional


@external
@view
def initial(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256):
    """
    @notice See IRiskEngine.
    """
    s: Sums = self._assess(header, words)
    return s.equity, self._initial(s.maintenance)


@external
@view
def close_out(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256, uint256, uint256):
    """
    @notice See IRiskEngine. Losses are sums of sizes times constants, so a slice of everything
            frees its share of the requirement: the slope is all of it.
    """
    s: Sums = self._assess(header, words)
    return s.equity, s.maintenance, s.maintenance, rounding._div_up(s.maintenance * PENALTY, units.PPM)


@external
@view
def haircut(market: uint256) -> uint256:
    """
    @notice See IRiskEngine.
    """
    return self.terms[market].haircut


@internal
@pure
def _initial(maintenance: uint256) -> uint256:
    return rounding._div_up(maintenance * INITIAL, units.PPM)


@internal
@view
def _assess(header: uint256, words: DynArray[uint256, 64]) -> Sums:
    """
    @notice One underlying after the other: what it is worth, and what its worst scenario costs.
    """
    s: Sums = empty(Sums)
    perps: int256[64] = empty(int256[64])
    wanted: uint256 = 0  # a bit per underlying
    for i: uint256 in range(lanes._count(header), bound=32):
        perp: uint256 = lanes._lane(words[i >> 1], i)
        perps[lanes._market(perp)] = lanes._size(perp)
        wanted |= 1 << lanes._market(perp)
    at: uint256 = lanes._perp_words(header)
    for i: uint256 in range(48):
        if at >= len(words):
            break
        wanted |= 1 << book._market(words[at])
        at += book._length(words[at])
    marks: DynArray[uint256, 16] = []
    s.equity, marks = staticcall MARKETS.marks(header, words, wanted)  # cash and perps
    at = lanes._perp_words(header)
    for mark: uint256 in marks:
        market: uint256 = mark >> 40
        price: int256 = convert(mark & units.MAX_PRICE, int256)
        t: Terms = self.terms[market]
        assert t.third > 0, "span: no terms"
        forward: int256 = 0  # futures, the forwards of puts, spot: lots
        short: uint256 = 0  # contracts
        worth: int256 = 0  # of the options, 2**-28 contracts * price
        delta: int256 = 0  # of the options, 2**-28 contracts
        losses: int256[16] = empty(int256[16])  # of the options, 2**-16 contracts
        for segment: uint256 in range(48):
            if at >= len(words) or book._market(words[at]) != market:
                break
            head: uint256 = words[at]
            expiry: uint256 = book._expiry(head)
            if expiry == 0:
                kept: int256 = convert(units.PPM - t.haircut, int256)
                forward += rounding._floor_div(book._forward(head) * kept, 10**6)
            else:
                assert block.timestamp < expiry or book._count(head) > 0, "span: settle first"
                forward += book._forward(head)
                s.equity -= book._money(head)
                short += book._short(head)
            for i: uint256 in range(book._count(head), bound=128):
                lane: uint256 = book._lane(words[at + 1 + (i >> 2)], i)
                size: int256 = book._size(lane)
                series: uint256[2] = self._series[market][expiry << 24 | book._code(lane)]
                stamp: uint256 = series[1]
                made_at: int256 = convert(stamp & units.MAX_PRICE, int256)
                assert stamp != 0, "span: no risk array"
                assert block.timestamp <= (stamp >> 40) & (2**32 - 1), "span: stale"
                assert abs(price - made_at) * PRICE <= made_at * DRIFT, "span: price moved"
                rise: int256 = convert((stamp >> 104) & (2**32 - 1), int256)
                one: int256 = convert((stamp >> 72) & (2**32 - 1), int256) * made_at + rise * (price - made_at)
                worth += size * one - abs(size) * convert(stamp >> 136, int256) * made_at
                delta += size * rise
                for j: uint256 in range(16):
                    losses[j] += size * (convert((series[0] >> (16 * j)) & (2**16 - 1), int256) - BIAS)
            at += book._length(head)
        s.equity += rounding._floor_div(worth * instrument.CONTRACT + forward * price * VALUE, VALUE_SCALE)
        linear: int256 = perps[market] + forward
        worst: int256 = 0
        for j: uint256 in range(16):
            loss: int256 = -linear * THIRDS[j] * convert(t.third, int256)
            if j >= EXTREME:
                loss = rounding._ceil_div(loss * COVER, 10**6)
            worst = max(worst, loss + losses[j] * instrument.CONTRACT)
        required: uint256 = rounding._div_up(convert(worst * price, uint256), LOSS_SCALE)
        sold: uint256 = short * 10_000 * convert(price, uint256)
        s.maintenance += max(required, rounding._div_up(sold * t.short_minimum, units.RATE_SCALE))
        net: int256 = abs(delta * instrument.CONTRACT + linear * VALUE) * price
        s.notional += convert(rounding._ceil_div(net, VALUE_SCALE), uint256)
    return s
