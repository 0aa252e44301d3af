# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title portfolio
@license GNU Affero General Public License v3.0 only
@notice The margin rule of PORTFOLIO accounts: the worst loss of the whole account over 24
        scenarios an underlying, spot, perps, futures and options netted, then combined over
        underlyings by the stress dials.
@dev An option costs one lookup of three windows in its expiry's curve (options/curves.vy):
     a window is one unaligned word of 16 lanes, so 8 moves at two vols, or 8 of 16 moves at
     the mark vol, are multiplied and added at once. Four 64-bit lanes an accumulator, biased
     by 2**63; book.MAX_GROSS keeps every sum below that. Weights are positive: nothing borrows.
"""

from snekmate.auth import ownable
from . import dials
from . import scenarios
from ..interfaces import IBook
from ..interfaces import IMarkets
from ..interfaces import IPortfolio
from ..ledger import lanes
from ..math import rounding
from ..math import units
from ..options import book
from ..options import curves
from ..options import instrument

uses: ownable
uses: dials
uses: curves

MAX_UNDERLYINGS: constant(uint256) = 8
KAPPA: constant(uint256) = 100_000  # ppm of maintenance margin that a full liquidation costs

E_UP: constant(int256) = 4_746_672_950  # moves of +2 and -2 steps, 2**-32 (margin/scenarios.vy)
E_DOWN: constant(int256) = 3_886_247_119

M8: constant(uint256) = 1766820105243087041267848467410591083712559083657179364930612997358944255
M32: constant(uint256) = 26959946660873538060741835960174461801791452538186943042387869433855
BIAS: constant(uint256) = 57896044618658097714924043372037294308723028227884584459520880401941320957952
FIRST: constant(uint256) = 127 * 2**13 + 2  # of the first usable window; 2: to nearest
LAST: constant(uint256) = 129
EDGE: constant(uint256) = 8134692025083028251  # ceil(exp(-131/160) * 2**64), at the last window
# For calls sold: more by what the last value may be too low, half a lane and Phi's error.
SOLD_EDGE: constant(uint256) = EDGE + 2**47 + 2**42
FADE: constant(uint256) = 2**17  # log codes (10 %) over which a long off the table loses its time value
NEAR: constant(uint256) = 12  # taps: as far before an end, three steps, scenarios begin to lose sight of a long

WINDOW: constant(uint256) = 1_800  # seconds before expiry over which prices are averaged: Expiry.WINDOW
LEAD: constant(uint256) = 300  # so much further the average will be at the next chance to act

VALUE_SCALE: constant(int256) = 2**28 * 10**8  # lots * 2**-28 * price -> money
SWING: constant(uint256) = 860_425_831  # e_2 - e_-2: of one lot, in 2**-28 lots
NOTIONAL_DIVISOR: constant(uint256) = SWING * 2**28 * 10**8  # delta -> money


struct RiskTerms:
    range_mm: uint256  # 1/16 of a step of 5 %, whole steps: one of the scenarios is its end
    range_im: uint256
    haircut: uint256  # ppm of spot collateral, a multiple of 100
    least: uint256  # ppm of the notional of perps, forwards and options sold, whatever hedges them


struct Near:  # an option at an end of the table
    seen: int256  # contracts in the scenarios
    unseen: uint256  # of a long
    linear: int256  # lots that join the linear part
    money: int256  # to take from equity
    fading: int256  # 2**-28 contracts that equity has and no scenario
    struck: int256  # 2**-28 contracts that the scenarios have and equity has not


event RiskTermsSet:
    market: indexed(uint256)
    terms: RiskTerms


MARKETS: immutable(IMarkets)
BOOK: immutable(IBook)

# two markets a word: weights less one of |d| = 1, 2, 3, 4, 6, 8 for MM (8 bits each, 1/256)
# | the same for IM | haircut 16 | least 16 (1e-4)
_terms: uint256[32]


@deploy
def __init__(markets: address, positions: address):
    MARKETS = IMarkets(markets)
    BOOK = IBook(positions)


@external
def set_risk_terms(market: uint256, terms: RiskTerms):
    """
    @notice Set how far an underlying is moved. Owner (a timelock).
    """
    ownable._check_owner()
    assert market > 0 and market < units.MAX_MARKETS, "portfolio: no such market"
    assert terms.range_mm >= 16 and terms.range_im <= 48, "portfolio: range"
    assert (terms.range_mm | terms.range_im) % 16 == 0, "portfolio: whole steps"
    assert terms.range_im > terms.range_mm, "portfolio: im range"
    assert terms.haircut < units.PPM and terms.haircut % 100 == 0, "portfolio: haircut"
    assert terms.least <= 100_000 and terms.least % 100 == 0, "portfolio: floor"
    packed: uint256 = (terms.haircut // 100 << 96) | (terms.least // 100 << 112)
    place: uint256 = 0
    for distance: uint256 in [1, 2, 3, 4, 6, 8]:
        mm: uint256 = min(256, rounding._div_up(terms.range_mm * 16, distance))
        im: uint256 = min(256, rounding._div_up(terms.range_im * 16, distance))
        packed |= (mm - 1 << place) | (im - 1 << place + 48)
        place += 8
    offset: uint256 = (market & 1) << 7
    kept: uint256 = self._terms[market >> 1] & ~(lanes.LANE_MASK << offset)
    self._terms[market >> 1] = kept | (packed << offset)
    log RiskTermsSet(market=market, terms=terms)


@external
@view
def margin(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256, uint256, uint256):
    """
    @notice See IRiskEngine. Notional: of the net delta of each underlying.
    """
    n: IPortfolio.Nets = self._nets(header, words)
    d: uint256[4] = self._dials_of(n.count)
    initial: uint256 = scenarios._requirement(n, scenarios.INITIAL, d[0], d[1])
    return n.equity, initial, min(scenarios._requirement(n, 0, d[2], d[3]), initial), n.notional


@external
@view
def initial(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256):
    """
    @notice See IRiskEngine.
    """
    n: IPortfolio.Nets = self._nets(header, words)
    d: uint256[4] = self._dials_of(n.count)
    return n.equity, scenarios._requirement(n, scenarios.INITIAL, d[0], d[1])


@external
@view
def close_out(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256, uint256, uint256):
    """
    @notice See IRiskEngine. Maintenance is never more than initial margin: of a book hedged
            across underlyings a higher rho can ask less, and underlyings move by different
            ranges. The requirement is homogeneous, so the slope is all of it; the
            penalty is a share of it, because a hedged book has a huge notional.
    """
    n: IPortfolio.Nets = self._nets(header, words)
    d: uint256[4] = self._dials_of(n.count)
    maintenance: uint256 = scenarios._requirement(n, 0, d[2], d[3])
    if n.count > 1:
        maintenance = min(maintenance, scenarios._requirement(n, scenarios.INITIAL, d[0], d[1]))
    return n.equity, maintenance, maintenance, rounding._div_up(maintenance * KAPPA, units.PPM)


@external
@view
def nets(header: uint256, words: DynArray[uint256, 64]) -> IPortfolio.Nets:
    """
    @notice See IPortfolio.
    """
    return self._nets(header, words)


@external
@view
def haircut(market: uint256) -> uint256:
    """
    @notice See IRiskEngine.
    """
    return ((self._risk(market) >> 96) & (2**16 - 1)) * 100


@internal
@view
def _dials_of(count: uint256) -> uint256[4]:
    """
    @return rho and psi of IM, of MM. One underlying alone needs none.
    """
    d: uint256[4] = [scenarios.ONE, 0, scenarios.ONE, 0]
    if count > 1:
        d[0], d[1], d[2], d[3] = dials._dials()
    return d


@internal
@view
def _risk(market: uint256) -> uint256:
    packed: uint256 = (self._terms[market >> 1] >> ((market & 1) << 7)) & lanes.LANE_MASK
    assert packed != 0, "portfolio: no risk terms"
    return packed


# ---------------------------------------------------------------- netting


@internal
@view
def _nets(header: uint256, words: DynArray[uint256, 64]) -> IPortfolio.Nets:
    """
    @notice Everything that the account holds in each underlying, valued in every scenario.
    """
    n: IPortfolio.Nets = empty(IPortfolio.Nets)
    held: int256[64] = empty(int256[64])
    wanted: uint256 = 0
    for i: uint256 in range(lanes._count(header), bound=32):
        lane: uint256 = lanes._lane(words[i >> 1], i)
        held[lanes._market(lane)] = lanes._size(lane)
        wanted |= 1 << lanes._market(lane)
    start: uint256 = lanes._perp_words(header)
    at: uint256 = start
    for i: uint256 in range(48):
        if at >= len(words):
            break
        wanted |= 1 << book._market(words[at])
        at = unsafe_add(at, book._length(words[at]))
    marks: DynArray[uint256, 16] = []
    if start == 0:
        n.equity, marks = staticcall MARKETS.marks(header, [], wanted)
    else:
        n.equity, marks = staticcall MARKETS.marks(header, words, wanted)
    n.count = len(marks)
    assert n.count <= MAX_UNDERLYINGS, "portfolio: too many underlyings"
    at = start
    for u: uint256 in range(n.count, bound=8):
        market: uint256 = marks[u] >> 40
        price: uint256 = marks[u] & units.MAX_PRICE
        n.price[u] = price
        n.terms[u] = self._risk(market)
        linear: int256 = held[market]
        gross: uint256 = lanes._bits(abs(linear))
        error: uint256 = 0  # 2**-28 contracts
        fading: int256 = 0  # of longs near an end, 2**-28 contracts: equity has it and no scenario
        struck: int256 = 0  # strikes of those that are linear to the scenarios, likewise
        code: uint256 = 0
        own: int256 = 0  # delta of the expiry whose price is averaged: it is the first
        left: uint256 = 0  # seconds to it
        sums: uint256[6] = [BIAS, BIAS, BIAS, BIAS, BIAS, BIAS]
        for segment: uint256 in range(48):
            if at >= len(words):
                break
            head: uint256 = words[at]
            if book._market(head) != market:
                break
            expiry: uint256 = book._expiry(head)
            end: uint256 = unsafe_add(at, book._length(head))
            if expiry == 0:
                kept: uint256 = 10_000 - ((n.terms[u] >> 96) & (2**16 - 1))
                linear += rounding._floor_div(book._forward(head) * convert(kept, int256), 10_000)
                at = end
                continue
            before: int256 = linear
            linear += book._forward(head)
            gross += lanes._bits(abs(book._forward(head)))
            n.equity -= book._money(head)
            if book._count(head) == 0:
                assert block.timestamp < expiry, "portfolio: settle first"
                if unsafe_sub(expiry, block.timestamp) <= WINDOW:
                    left = unsafe_sub(expiry, block.timestamp)
                    own = self._delta(sums[4], unsafe_sub(linear, before))
                at = end
                continue
            gross += book._short(head) * 10_000
            curve: uint256 = curves._usable(market, expiry)
            error = unsafe_add(error, unsafe_mul(curves._err(curve), book._gross(head)))
            sheet: Bytes[1152] = curves._blob(curve, market, expiry)
            # Two rows more, the first two a coarse step on: taps are one row apart.
            blob: Bytes[1728] = concat(
                slice(sheet, 0, 768), slice(sheet, 4, 384), slice(sheet, 768, 384), slice(sheet, 770, 192)
            )
            if code == 0:
                code = instrument._log_code(price) + FIRST
            for w: uint256 in range(unsafe_add(at, 1), end, bound=33):
                lane: uint256 = words[w]
                for i: uint256 in range(4):
                    if lane == 0:
                        break
                    y: uint256 = unsafe_sub(code, lane & book.CODE_MASK)
                    q: uint256 = unsafe_sub((lane >> 25) & (2**39 - 1), 2**38)
                    n0: uint256 = y >> 14
                    if unsafe_sub(n0, NEAR) > LAST - 2 * NEAR:
                        if n0 > LAST or q >> 255 == 0:
                            place: uint256 = y
                            if n0 > LAST:
                                n0 = 0 if n0 >> 200 != 0 else LAST
                                y = 0
                            tap: uint256 = 1152 + (n0 & 3) * 96 + (n0 >> 2 << 1)
                            worth: uint256 = self._worth(
                                extract32(blob, tap, output_type=uint256),
                                extract32(blob, tap + 96, output_type=uint256),
                                extract32(blob, tap + 192, output_type=uint256),
                                (y >> 2) & 4095,
                            )
                            end_of: Near = self._near(market, lane & book.LANE_MASK, price, place, worth)
                            q = lanes._bits(end_of.seen)
                            linear += end_of.linear
                            n.equity -= end_of.money
                            fading += end_of.fading
                            struck += end_of.struck
                            error = unsafe_sub(error, unsafe_mul(curves._err(curve), end_of.unseen))
                    y = (y >> 2) & 4095
                    # The weights of a quadratic spline's three taps are y, z, t (options/black.vy).
                    t: uint256 = unsafe_mul(y, y) >> 13
                    z: uint256 = unsafe_sub(unsafe_add(2048, y), t << 1)
                    y = unsafe_sub(unsafe_add(2048, t), y)
                    n0 = unsafe_add(unsafe_mul(n0 & 3, 96), (n0 >> 2) << 1)
                    # The mark vol at every second of sixteen moves, even and odd lanes apart.
                    a: uint256 = unsafe_add(
                        unsafe_add(
                            unsafe_mul(
                                (extract32(blob, unsafe_add(n0, 1248), output_type=uint256) >> 16) & M8, z
                            ),
                            unsafe_mul(
                                (extract32(blob, unsafe_add(n0, 1344), output_type=uint256) >> 16) & M8, t
                            ),
                        ),
                        unsafe_mul(
                            (extract32(blob, unsafe_add(n0, 1152), output_type=uint256) >> 16) & M8, y
                        ),
                    )
                    sums[4] = unsafe_add(sums[4], unsafe_mul(a & M32, q))
                    sums[5] = unsafe_add(sums[5], unsafe_mul((a >> 32) & M32, q))
                    # Vol down at eight moves, then vol up.
                    n0 = n0 << 1
                    v0: uint256 = extract32(blob, unsafe_add(n0, 16), output_type=uint256)
                    v1: uint256 = extract32(blob, unsafe_add(n0, 208), output_type=uint256)
                    n0 = extract32(blob, unsafe_add(n0, 400), output_type=uint256)
                    a = unsafe_add(
                        unsafe_add(unsafe_mul(v1 & M8, z), unsafe_mul(n0 & M8, t)), unsafe_mul(v0 & M8, y)
                    )
                    sums[0] = unsafe_add(sums[0], unsafe_mul(a & M32, q))
                    sums[1] = unsafe_add(sums[1], unsafe_mul((a >> 32) & M32, q))
                    a = unsafe_add(
                        unsafe_add(unsafe_mul((v1 >> 16) & M8, z), unsafe_mul((n0 >> 16) & M8, t)),
                        unsafe_mul((v0 >> 16) & M8, y),
                    )
                    sums[2] = unsafe_add(sums[2], unsafe_mul(a & M32, q))
                    sums[3] = unsafe_add(sums[3], unsafe_mul((a >> 32) & M32, q))
                    lane = lane >> 64
            if unsafe_sub(expiry, block.timestamp) <= WINDOW:
                left = unsafe_sub(expiry, block.timestamp)
                own = self._delta(sums[4], unsafe_sub(linear, before))
            at = end
        # The error of the curves is margin and no price: scenarios are charged for it, equity is not.
        exact: int256 = unsafe_mul(linear, 2**28)
        n.base[u] = unsafe_add(
            scenarios._lots(sums[5] >> 64, exact), unsafe_mul(fading, scenarios.CONTRACT)
        )
        n.rest[u] = unsafe_sub(exact, unsafe_mul(convert(error, int256), scenarios.CONTRACT))
        n.held[u] = gross
        # Perps' values are in already.
        now: int256 = unsafe_sub(
            unsafe_sub(n.base[u], unsafe_mul(struck, scenarios.CONTRACT)),
            unsafe_mul(held[market], 2**28),
        )
        n.equity += rounding._floor_div(unsafe_mul(now, convert(price, int256)), VALUE_SCALE)
        delta: int256 = self._delta(sums[4], linear)
        if own != 0:
            hedges: uint256 = lanes._bits(min(max(-own, own), max(delta - own, own - delta)))
            if (own < 0) != (delta < own) and not self._paid_for(header, words):
                share: uint256 = min(WINDOW + LEAD - left, WINDOW)
                n.settling[u] = rounding._div_up(hedges * share, WINDOW * SWING)
        n.notional = unsafe_add(
            n.notional, rounding._div_up(unsafe_mul(lanes._bits(abs(delta)), price), NOTIONAL_DIVISOR)
        )
        n.sums[u] = sums
    return n


@internal
@pure
def _delta(lane: uint256, linear: int256) -> int256:
    """
    @return What the value at the mark vol moves by between two steps down and up, 2**-28 lots * SWING
    @param lane The accumulator of the moves +6, +2, -2, -6
    """
    # scenarios._lots of both, without the calls.
    exact: int256 = unsafe_sub(unsafe_mul(linear, 2**28), 2**63 * scenarios.CONTRACT)
    up: int256 = convert((lane >> 64) & (2**64 - 1), int256)
    down: int256 = convert((lane >> 128) & (2**64 - 1), int256)
    return unsafe_sub(
        unsafe_mul(unsafe_add(unsafe_mul(up, scenarios.CONTRACT), exact), E_UP),
        unsafe_mul(unsafe_add(unsafe_mul(down, scenarios.CONTRACT), exact), E_DOWN),
    )


@internal
@pure
def _paid_for(header: uint256, words: DynArray[uint256, 64]) -> bool:
    """
    @return Whether the account holds options bought and spot alone, and owes no cash: it loses nothing
            that it has not
    """
    if lanes._count(header) > 0 or lanes._cash(header) < 0:
        return False
    at: uint256 = 0
    for segment: uint256 in range(48):
        if at >= len(words):
            break
        head: uint256 = words[at]
        futures: int256 = book._forward(head)
        if book._expiry(head) != 0:
            for i: uint256 in range(book._count(head), bound=128):
                lane: uint256 = book._lane(words[at + 1 + (i >> 2)], i)
                if book._is_put(lane):
                    futures += book._size(lane) * scenarios.CONTRACT
            if futures != 0 or book._short(head) > 0:
                return False
        at += book._length(head)
    return True


@internal
@pure
def _kept(size: int256, beyond: uint256) -> int256:
    """
    @return How much of a long counts where what counts fades over 10 %, so far beyond the beginning
    """
    if beyond >= FADE:
        return 0
    return unsafe_mul(size, convert(unsafe_sub(FADE, beyond), int256)) >> 17


@internal
@view
def _near(market: uint256, lane: uint256, price: uint256, place: uint256, worth: uint256) -> Near:
    """
    @notice An option off the table, or one bought within three steps of its ends. Off the table a
            call is worth what the table's last one is, and deep in the money what its strike lies below
            that one's: C(K) <= C(K_e) + K_e - K. One bought fades there to nothing, resp. to its
            intrinsic value: none of it may vanish at once, or a small move would take it from its owner.
            No scenario sees that, so before it is in reach of a move they lose sight of the time
            value, over 10 % likewise, and margin asks for all of it.
    @param place Of the unmoved value, 2**-14 taps from the table's first
    @param worth There, or at the table's end: 2**-28 of the price
    """
    near: Near = empty(Near)
    size: int256 = book._size(lane)
    tap: uint256 = place >> 14
    low: bool = tap < NEAR or tap >> 200 != 0
    beyond: uint256 = unsafe_sub(place, (LAST + 1 - NEAR) << 14)
    strike: int256 = 0
    if low:
        beyond = unsafe_sub(NEAR << 14, place)
    else:
        strike = convert(staticcall BOOK.strike(market, book._code(lane)), int256)
    kept: int256 = size  # worth as much as a call of the table
    if tap > LAST:
        if size > 0:
            kept = self._kept(size, unsafe_sub(beyond, NEAR << 14))
        if not low:
            last: int256 = convert(rounding._div_up(price * SOLD_EDGE, 2**64), int256)
            if size > 0:
                last = convert(price * (EDGE - 1) // 2**64, int256)
            near.linear = (size - kept) * scenarios.CONTRACT
            near.money = rounding._ceil_div((size - kept) * strike - kept * (last - strike), 10_000)
            strike = last
    near.seen = kept
    if size > 0:
        near.seen = self._kept(size, beyond)
        near.unseen = lanes._bits(size - near.seen)
        hidden: int256 = kept - near.seen
        inner: uint256 = 0
        if not low:
            # To the scenarios it is linear: they see its intrinsic value.
            near.linear += hidden * scenarios.CONTRACT
            inner = min(worth, 2**28 - rounding._div_up(lanes._bits(strike) << 28, price))
            near.struck = hidden * lanes._signed(2**28 - inner)
        near.fading = hidden * lanes._signed(worth - inner)
    return near


@internal
@pure
def _worth(first: uint256, second: uint256, third: uint256, part: uint256) -> uint256:
    """
    @return A call at the mark vol whose taps are these windows', 2**-28 of the price
    """
    t: uint256 = part * part >> 13
    return (
        ((first >> 112) & (2**16 - 1)) * (2048 + t - part)
        + ((second >> 112) & (2**16 - 1)) * (2048 + part - 2 * t)
        + ((third >> 112) & (2**16 - 1)) * t
    )
