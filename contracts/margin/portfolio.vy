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

VALUE_SCALE: constant(int256) = 2**28 * 10**8  # lots * 2**-28 * price -> money
NOTIONAL_DIVISOR: constant(uint256) = 860_425_831 * 2**28 * 10**8  # (e_2 - e_-2): delta -> money


struct RiskTerms:
    range_mm: uint256  # 1/16 of a step of 5 %, whole steps: one of the scenarios is its end
    range_im: uint256
    haircut: uint256  # ppm of spot collateral, a multiple of 100
    least: uint256  # ppm of the notional of perps, forwards and options sold, whatever hedges them


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
        code: uint256 = 0
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
            linear += book._forward(head)
            gross += lanes._bits(abs(book._forward(head)))
            n.equity -= book._money(head)
            if book._count(head) == 0:
                assert block.timestamp < expiry, "portfolio: settle first"
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
                    if n0 > LAST:
                        if n0 >> 200 != 0:
                            # Deep out of the money: worth what the highest strike of the
                            # table is; a long fades to nothing.
                            n0 = 0
                            if q >> 255 == 0:
                                q = lanes._bits(self._kept(lanes._signed(q), unsafe_sub(0, y)))
                        else:
                            n0 = LAST
                            linear_part: int256 = 0
                            money_part: int256 = 0
                            kept: int256 = 0
                            kept, linear_part, money_part = self._deep(
                                market, lane & book.LANE_MASK, price, unsafe_sub(y, (LAST + 1) << 14)
                            )
                            q = lanes._bits(kept)
                            linear += linear_part
                            n.equity -= money_part
                        y = 0
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
            at = end
        # The error of the curves is margin and no price: scenarios are charged for it, equity is not.
        exact: int256 = unsafe_mul(linear, 2**28)
        n.base[u] = scenarios._lots(sums[5] >> 64, exact)
        n.rest[u] = unsafe_sub(exact, unsafe_mul(convert(error, int256), scenarios.CONTRACT))
        n.held[u] = gross
        # Perps' values are in already.
        now: int256 = unsafe_sub(n.base[u], unsafe_mul(held[market], 2**28))
        n.equity += rounding._floor_div(unsafe_mul(now, convert(price, int256)), VALUE_SCALE)
        delta: int256 = unsafe_sub(
            unsafe_mul(scenarios._lots(sums[4] >> 64, exact), E_UP),
            unsafe_mul(scenarios._lots(sums[4] >> 128, exact), E_DOWN),
        )
        n.notional = unsafe_add(
            n.notional, rounding._div_up(unsafe_mul(lanes._bits(abs(delta)), price), NOTIONAL_DIVISOR)
        )
        n.sums[u] = sums
    return n


@internal
@pure
def _kept(size: int256, beyond: uint256) -> int256:
    """
    @notice How much of a long off the table still counts as the table's last call: none of it
            may vanish at once, or a small move would take it from its owner.
    """
    if beyond >= FADE:
        return 0
    return unsafe_mul(size, convert(unsafe_sub(FADE, beyond), int256)) >> 17


@internal
@view
def _deep(market: uint256, lane: uint256, price: uint256, beyond: uint256) -> (int256, int256, int256):
    """
    @notice A call deep in the money, off the table. It is the table's last call and what its
            strike lies below that one's: C(K) <= C(K_e) + K_e - K; a long fades to its
            intrinsic value.
    @return contracts of the last call, lots that join the linear part, money to take from equity
    """
    strike: int256 = convert(staticcall BOOK.strike(market, book._code(lane)), int256)
    size: int256 = book._size(lane)
    if size < 0:
        last: int256 = convert(rounding._div_up(price * SOLD_EDGE, 2**64), int256)
        return size, 0, rounding._ceil_div(-size * (last - strike), 10_000)
    kept: int256 = self._kept(size, beyond)
    last: int256 = convert(price * (EDGE - 1) // 2**64, int256)
    money: int256 = rounding._ceil_div((size - kept) * strike - kept * (last - strike), 10_000)
    return kept, (size - kept) * scenarios.CONTRACT, money
