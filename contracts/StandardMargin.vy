# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title StandardMargin
@license GNU Affero General Public License v3.0 only
@notice The margin rule of CROSS accounts that hold a book (options/book.vy): position by
        position, no offsets. Perps as the base engine judges them. An option bought requires
        what equity holds of it, so it backs nothing else, and paid for it is never liquidated;
        an option sold requires, beside its mark,
            max(a * S - out-of-the-money amount, b * S).
        A dated future is like a perp of its market: it pays by the tier of its own notional, and so
        does spot, which counts less its haircut: money may be owed against it. Options are valued on
        the curves of the portfolio rule; their error bound is margin of options sold.
"""

from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from .interfaces import ICurves
from .interfaces import IMarkets
from .interfaces import IRiskEngine
from .ledger import lanes
from .margin import terms
from .math import rounding
from .math import units
from .options import book
from .options import instrument
from .options import sheets

implements: IRiskEngine

initializes: ownable
initializes: ownable_2step[ownable := ownable]

exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
    # renounce_ownership is left out: rates must stay adjustable.
)

interface IGrid:
    def steps(market: uint256) -> uint256: view


MAX_UNDERLYINGS: constant(uint256) = 8
TARGET: constant(uint256) = 1_200_000  # ppm of maintenance margin that a liquidation restores
VALUE: constant(int256) = 2**28  # of one whole price
VALUE_SCALE: constant(int256) = 2**28 * 10**8  # 2**-28 lots * price -> money
# The same windows of a curve as the portfolio rule's, so that both rules see one equity.
FIRST: constant(int256) = 32 << 14
LAST_TAP: constant(int256) = 161 << 14
LAST: constant(int256) = LAST_TAP + 2**14 - 1
EDGE: constant(uint256) = 8134692025083028251  # ceil(exp(-131/160) * 2**64), the strike at LAST_TAP
SOLD_EDGE: constant(uint256) = EDGE + 2**47 + 2**42  # for calls sold, as margin/portfolio.vy has it


struct Terms:
    a_im: uint256  # all in ppm of the price
    b_im: uint256
    a_mm: uint256
    b_mm: uint256


struct Sums:
    equity: int256  # of the book
    initial: uint256
    maintenance: uint256
    deductions: uint256  # of the tiers in maintenance: what its slope has more
    raw: uint256  # lots * price of what can lose more than it is worth
    penalty: uint256


struct Underlying:
    market: uint256
    price: uint256
    spot: uint256  # log code of the price
    value: int256  # of its calls less their error, 2**-28 contracts
    linear: int256  # lots
    money: int256  # entries and strikes


event TermsSet:
    market: indexed(uint256)
    terms: Terms


MARKETS: public(immutable(address))
GRID: immutable(IGrid)  # the book's strike steps
PORTFOLIO: public(immutable(address))  # curves and haircuts

_terms: uint256[64]  # a_im 20 | b_im 20 | a_mm 20 | b_mm 20


@deploy
def __init__(markets: address, positions: address, portfolio: address):
    ownable.__init__()
    ownable_2step.__init__()
    assert markets.is_contract and positions.is_contract and portfolio.is_contract, "standard: bad address"
    MARKETS = markets
    GRID = IGrid(positions)
    PORTFOLIO = portfolio


@external
def set_terms(market: uint256, t: Terms):
    """
    @notice Set what options sold on an underlying require. Owner (a timelock).
    """
    ownable._check_owner()
    assert market > 0 and market < units.MAX_MARKETS, "standard: no such market"
    assert t.b_im > 0 and t.b_im <= t.a_im and t.a_im <= units.PPM, "standard: initial rates"
    assert t.b_mm > 0 and t.b_mm <= t.a_mm and t.a_mm <= units.PPM, "standard: maintenance rates"
    assert t.a_mm <= t.a_im and t.b_mm <= t.b_im, "standard: im below mm"
    # A slice must free more than it costs, or no slice restores an account.
    penalty: uint256 = terms._penalty(self._word(self._blob(), terms._offset(market)))
    assert t.b_mm * TARGET > penalty * units.PPM, "standard: target below penalty"
    self._terms[market] = t.a_im | (t.b_im << 20) | (t.a_mm << 40) | (t.b_mm << 60)
    log TermsSet(market=market, terms=t)


@external
@view
def terms_of(market: uint256) -> Terms:
    """
    @return An underlying's rates; zeros when options on it cannot be sold
    """
    packed: uint256 = self._terms[market]
    mask: uint256 = 2**20 - 1
    return Terms(
        a_im=packed & mask, b_im=(packed >> 20) & mask, a_mm=(packed >> 40) & mask, b_mm=packed >> 60
    )


@external
@view
def margin(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256, uint256, uint256):
    """
    @notice See IRiskEngine. Notional: of perps, futures, spot that counts and options sold.
    """
    sums: Sums = self._assess(header, words)
    equity: int256 = 0
    initial: uint256 = 0
    maintenance: uint256 = 0
    notional: uint256 = 0
    equity, initial, maintenance, notional = staticcall IRiskEngine(MARKETS).margin(header, words)
    return (
        equity + sums.equity,
        initial + sums.initial,
        maintenance + sums.maintenance,
        notional + rounding._div_up(sums.raw, units.NOTIONAL_SCALE),
    )


@external
@view
def initial(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256):
    """
    @notice See IRiskEngine.
    """
    sums: Sums = self._assess(header, words)
    equity: int256 = 0
    required: uint256 = 0
    equity, required = staticcall IRiskEngine(MARKETS).initial(header, words)
    return equity + sums.equity, required + sums.initial


@external
@view
def close_out(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256, uint256, uint256):
    """
    @notice See IRiskEngine. Penalty: each market's rate on the notional that `margin` counts.
    """
    sums: Sums = self._assess(header, words)
    equity: int256 = 0
    maintenance: uint256 = 0
    slope: uint256 = 0
    penalty: uint256 = 0
    equity, maintenance, slope, penalty = staticcall IRiskEngine(MARKETS).close_out(header, words)
    return (
        equity + sums.equity,
        maintenance + sums.maintenance,
        slope + sums.maintenance + sums.deductions,
        penalty + sums.penalty,
    )


@external
@view
def haircut(market: uint256) -> uint256:
    """
    @notice See IRiskEngine. Both rules take the same part of spot collateral.
    """
    return staticcall IRiskEngine(PORTFOLIO).haircut(market)


# ---------------------------------------------------------------- internal


@internal
@pure
def _kept(size: int256, beyond: int256) -> int256:
    """
    @return Contracts of a call bought, so many log codes off the curve, that still count as its
            last call (margin/portfolio.vy)
    """
    return size * max(2**17 - beyond, 0) >> 17


@internal
@view
def _assess(header: uint256, words: DynArray[uint256, 64]) -> Sums:
    """
    @notice Everything but cash and perps, which the base engine sees in the same header and words.
    """
    sums: Sums = empty(Sums)
    first: uint256 = lanes._perp_words(header)
    wanted: uint256 = 0
    at: uint256 = first
    for i: uint256 in range(48):
        if at >= len(words):
            break
        wanted |= 1 << book._market(words[at])
        at += book._length(words[at])
    flat: int256 = 0
    marks: DynArray[uint256, 16] = []
    flat, marks = staticcall IMarkets(MARKETS).marks(0, [], wanted)
    assert len(marks) <= MAX_UNDERLYINGS, "standard: too many underlyings"
    blob: address = self._blob()
    at = first
    for mark: uint256 in marks:
        u: Underlying = empty(Underlying)
        u.market = mark >> 40
        u.price = mark & units.MAX_PRICE
        penalty: uint256 = terms._penalty(self._word(blob, terms._offset(u.market)))
        for segment: uint256 in range(48):
            if at >= len(words):
                break
            head: uint256 = words[at]
            if book._market(head) != u.market:
                break
            outright: int256 = book._forward(head)  # spot that counts, or futures
            if book._expiry(head) == 0:
                kept: uint256 = units.PPM - staticcall IRiskEngine(PORTFOLIO).haircut(u.market)
                outright = rounding._floor_div(outright * convert(kept, int256), convert(units.PPM, int256))
                u.linear += outright
            else:
                u.linear += outright
                u.money += book._money(head)
                if book._count(head) == 0:
                    assert block.timestamp < book._expiry(head), "standard: settle first"
                else:
                    u, sums, outright = self._options(u, sums, words, at, penalty)
            if outright != 0:
                raw: uint256 = lanes._bits(abs(outright)) * u.price
                tier: uint256 = terms._tier(slice(blob.code, terms._offset(u.market), 256), raw)
                sums.initial += terms._initial_up(tier, raw)
                sums.maintenance += terms._maintenance_up(tier, raw)
                sums.deductions += tier >> 176
                sums.penalty += rounding._div_up(raw * penalty, units.RATE_SCALE)
                sums.raw += raw
            at += book._length(head)
        lots: int256 = u.value * instrument.CONTRACT + u.linear * VALUE
        sums.equity += rounding._floor_div(lots * convert(u.price, int256), VALUE_SCALE) - u.money
    return sums


@internal
@view
def _options(
    known: Underlying, so_far: Sums, words: DynArray[uint256, 64], at: uint256, penalty: uint256
) -> (Underlying, Sums, int256):
    """
    @notice The options of the segment whose head is words[at].
    @return Underlying and sums with them, and the segment's futures: its forward without what
            the puts put into it
    """
    u: Underlying = known
    # Only options need the code: spot and futures are judged at any price.
    u.spot = instrument._log_code(u.price)
    sums: Sums = so_far
    head: uint256 = words[at]
    futures: int256 = book._forward(head)
    expiry: uint256 = book._expiry(head)
    word: uint256 = sheets._usable(ICurves(PORTFOLIO), u.market, expiry)
    sheet: Bytes[1184] = sheets._sheet(ICurves(PORTFOLIO), word, u.market, expiry)
    price: int256 = convert(u.price, int256)
    step: uint256 = staticcall GRID.steps(u.market)
    rates: uint256 = 0
    if book._short(head) > 0:
        rates = self._terms[u.market]
        assert rates != 0, "standard: no terms"
    err: uint256 = sheets._err(word)
    for i: uint256 in range(book._count(head), bound=128):
        lane: uint256 = book._lane(words[at + 1 + (i >> 2)], i)
        size: int256 = book._size(lane)
        put: bool = book._is_put(lane)
        place: int256 = sheets._place(u.spot, book._code(lane))
        strike: int256 = 0
        if size < 0 or put or place > LAST:
            strike = convert(instrument._strike_of(book._code(lane), step), int256)
        # A call at the mark; off the curve as margin/portfolio.vy has it.
        counted: int256 = size
        linear: int256 = 0  # lots that join the linear part
        money: int256 = 0  # to take from equity
        if place > LAST:
            # Deep in the money a call is the curve's last one and what its strike lies below
            # that one's, C(K) <= C(K_e) + K_e - K; one bought fades to its intrinsic value.
            if size > 0:
                counted = self._kept(size, place - LAST - 1)
                linear = (size - counted) * instrument.CONTRACT
                last: int256 = convert(u.price * (EDGE - 1) // 2**64, int256)
                money = rounding._ceil_div(linear // instrument.CONTRACT * strike - counted * (last - strike), 10_000)
            else:
                below: int256 = convert(rounding._div_up(u.price * SOLD_EDGE, 2**64), int256) - strike
                money = rounding._ceil_div(-size * below, 10_000)
            place = LAST_TAP
        elif place < FIRST:
            # Far out of the money a call is the curve's first one; one bought fades to nothing.
            if size > 0:
                counted = self._kept(size, FIRST - place)
            place = FIRST
        value: int256 = counted * sheets._value(sheet, sheets.MARK, place)
        u.value += value
        u.linear += linear
        u.money += money
        if put:
            futures += size * instrument.CONTRACT
        if size > 0:
            if put:
                linear -= size * instrument.CONTRACT
                money -= size * strike // 10_000
            # Rounded down: in all no more than equity holds of what was bought.
            lots: int256 = value * instrument.CONTRACT + linear * VALUE
            worth: int256 = rounding._floor_div(lots * price, VALUE_SCALE) - money
            sums.initial += lanes._bits(max(worth, 0))
            sums.maintenance += lanes._bits(max(worth, 0))
            sums.equity += max(-worth, 0)
        else:
            otm: int256 = strike - price
            if put:
                otm = -otm
            sold: uint256 = lanes._bits(-size)
            # What the curve may be wrong by is margin, not a price.
            error: uint256 = rounding._div_up(err * sold * 10_000 * u.price, 2**28 * 10**8)
            sums.initial += self._sold(sold, u.price, otm, rates) + error
            sums.maintenance += self._sold(sold, u.price, otm, rates >> 40) + error
            raw: uint256 = sold * 10_000 * u.price
            sums.penalty += rounding._div_up(raw * penalty, units.RATE_SCALE)
            sums.raw += raw
    return u, sums, futures


@internal
@pure
def _sold(contracts: uint256, price: uint256, otm: int256, rates: uint256) -> uint256:
    """
    @param rates a 20 | b 20
    @return contracts * max(a * S - otm, b * S), money, rounded up once
    """
    out: uint256 = lanes._bits(max(otm, 0)) * units.PPM
    a: uint256 = (rates & (2**20 - 1)) * price
    each: uint256 = ((rates >> 20) & (2**20 - 1)) * price
    if a > out:
        each = max(each, a - out)
    return rounding._div_up(contracts * each, units.PPM * instrument.STRIKE_UNIT)


@internal
@view
def _blob() -> address:
    """
    @return Where the perp markets' terms are (margin/terms.vy)
    """
    return convert((staticcall IMarkets(MARKETS).book()) & (2**160 - 1), address)


@internal
@view
def _word(blob: address, offset: uint256) -> uint256:
    return convert(convert(slice(blob.code, offset, 32), bytes32), uint256)
