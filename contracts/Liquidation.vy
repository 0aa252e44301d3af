# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Liquidation
@license GNU Affero General Public License v3.0 only
@notice The door through which anyone takes over a slice of an account that is below its
        maintenance margin: the smallest fraction, all legs alike, that restores the
        target, at the mark less a penalty. Where equity does not cover the penalty of
        the whole account, the whole account goes; a shortfall is paid by the pool's
        insurance and then by the winners of the losing markets.
"""

from .interfaces import IBook
from .interfaces import IClearinghouse
from .interfaces import IMarkets
from .interfaces import IRiskEngine
from .ledger import lanes
from .ledger import legs
from .liquidation import slices
from .math import rounding
from .math import units

TARGET: public(constant(uint256)) = 1_200_000  # ppm of maintenance margin restored
QUANTA: public(constant(uint256)) = slices.QUANTA
FEW: constant(uint256) = 24  # words of an account whose least slice is searched to the end

CLEARINGHOUSE: public(immutable(IClearinghouse))
MARKETS: public(immutable(IMarkets))
BOOK: public(immutable(IBook))
LIQUIDATOR_SHARE: public(immutable(uint256))  # ppm of the penalty, the rest is insurance
REWARD: public(immutable(uint256))  # money a full close pays at least, topped up by insurance


event Liquidated:
    victim: indexed(uint256)
    taker: indexed(uint256)
    mode: indexed(uint256)
    quanta: uint256
    equity: int256
    maintenance: uint256
    notional: uint256  # closed
    penalty: uint256
    cut: uint256
    reward: uint256
    shortfall: uint256
    insurance_paid: uint256
    socialised: uint256


event LegTaken:
    victim: indexed(uint256)
    market: indexed(uint256)
    mode: indexed(uint256)
    size: int256  # taken over, signed as the victim held it
    size_left: int256
    price: uint256


event BookTaken:
    victim: indexed(uint256)
    taker: indexed(uint256)
    fragment: DynArray[uint256, 48]


struct Standing:
    equity: int256
    maintenance: uint256
    slope: uint256
    penalty: uint256


struct Slice:
    quanta: uint256
    after: Standing  # of what stays; its equity counts only what the rule can see
    credit: uint256  # haircut that spot leaving with the slice gives back


struct Settlement:
    penalty: uint256
    cut: uint256
    reward: uint256
    shortfall: uint256
    insurance_paid: uint256
    socialised: uint256
    notional: uint256


@deploy
def __init__(clearinghouse: address, markets: address, liquidator_share: uint256, reward: uint256):
    assert liquidator_share <= units.PPM, "liquidation: share"
    CLEARINGHOUSE = IClearinghouse(clearinghouse)
    MARKETS = IMarkets(markets)
    BOOK = IBook(staticcall IClearinghouse(clearinghouse).BOOK())
    LIQUIDATOR_SHARE = liquidator_share
    REWARD = reward


@external
def liquidate(victim: uint256, taker: uint256, max_quanta: uint256) -> uint256:
    """
    @notice Liquidate `victim` into the caller's root account `taker`.
    @param max_quanta Take at most this slice (QUANTA for no limit). An account that goes
           whole goes whole whatever it says.
    @return quanta taken
    """
    assert msg.sender == lanes._owner(taker), "liquidation: not taker's owner"
    assert victim >> 96 != taker >> 96, "liquidation: own account"
    assert max_quanta > 0 and max_quanta <= QUANTA, "liquidation: bad quanta"
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = staticcall CLEARINGHOUSE.account(victim)
    assert not lanes._is_flat(header), "liquidation: no position"
    now: Standing = self._standing(header, words)
    assert now.equity < convert(now.maintenance, int256), "liquidation: healthy"
    marks: DynArray[uint256, 32] = slices._marks(header, words, MARKETS)
    s: Slice = self._whole(header, words)
    if now.equity >= convert(now.penalty, int256):
        s = self._slice(header, words, marks, now, max_quanta)
    self._take(victim, taker, header, words, s, marks, now)
    return s.quanta


@external
@view
def preview(victim: uint256) -> (uint256, int256, uint256, uint256):
    """
    @notice What `liquidate` would do to an account now.
    @return quanta (0: healthy or flat), equity, maintenance margin, penalty
    """
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = staticcall CLEARINGHOUSE.account(victim)
    if lanes._is_flat(header):
        return 0, lanes._cash(header), 0, 0
    now: Standing = self._standing(header, words)
    if now.equity >= convert(now.maintenance, int256):
        return 0, now.equity, now.maintenance, 0
    s: Slice = self._whole(header, words)
    if now.equity >= convert(now.penalty, int256):
        s = self._slice(header, words, slices._marks(header, words, MARKETS), now, QUANTA)
    due: uint256 = self._cost(now, s)
    if s.quanta == QUANTA:
        due = min(due, convert(max(now.equity + convert(s.credit, int256), 0), uint256))
    return s.quanta, now.equity, now.maintenance, due


# ---------------------------------------------------------------- internal: the slice


@internal
@view
def _slice(
    header: uint256,
    words: DynArray[uint256, 64],
    marks: DynArray[uint256, 32],
    now: Standing,
    max_quanta: uint256,
) -> Slice:
    """
    @notice The smallest slice after which E' >= TARGET * MM'. With a requirement that is
            homogeneous of degree one f = (b*MM - E) / (b*MM - penalty); tiers make MM'
            convex in f, so the same step is repeated from where it led (Newton from the
            left), at most once per tier edge crossed. Whole lots and smallest notionals
            can make that too much: then the last step is bisected, until the quantum
            before does not reach. Each probe judges the whole account: of a book of more
            than 24 words it is two at most, which leaves no more than a quarter of that
            step too much and fits a transaction.
    """
    low: uint256 = 0
    high: uint256 = 0
    best: Slice = empty(Slice)
    best.after = now
    missing: int256 = self._missing(now, best)
    for step: uint256 in range(16):
        freed: int256 = (
            convert(TARGET * best.after.slope, int256) - convert(units.PPM * best.after.penalty, int256)
        )
        more: uint256 = QUANTA
        if freed > 0:
            quanta_left: int256 = convert(QUANTA - high, int256)
            more = max(convert(rounding._ceil_div(quanta_left * missing, freed), uint256), 1)
        low = high
        high = min(high + more, max_quanta)
        best = self._after(header, words, marks, high)
        missing = self._missing(now, best)
        if missing <= 0:
            break
        if high == max_quanta:
            return best
    probe: uint256 = high - 1
    for step: uint256 in range(12):
        if high - low <= 1 or (step == 2 and len(words) > FEW):
            break
        candidate: Slice = self._after(header, words, marks, probe)
        if self._missing(now, candidate) <= 0:
            high = probe
            best = candidate
        else:
            low = probe
        probe = (low + high) // 2
    if best.after.slope == 0:
        best = self._whole(header, words)  # nothing stays
    return best


@internal
@view
def _after(
    header: uint256, words: DynArray[uint256, 64], marks: DynArray[uint256, 32], quanta: uint256
) -> Slice:
    """
    @notice What stays and what leaves at a slice of `quanta`.
    """
    s: Slice = empty(Slice)
    s.quanta = quanta
    left: uint256 = header
    stays: DynArray[uint256, 64] = slices._perps_after(header, words, marks, quanta)
    if lanes._book_count(header) != 0:
        s.credit, left, stays = self._book_after(header, words, marks, quanta)
    s.after = self._standing(left, stays)
    return s


@internal
@view
def _book_after(
    header: uint256, words: DynArray[uint256, 64], marks: DynArray[uint256, 32], quanta: uint256
) -> (uint256, uint256, DynArray[uint256, 64]):
    """
    @return credit of a slice of the book, and header and words with what stays of it
    """
    kept: DynArray[uint256, 48] = slices._book_words(header, words)
    fragment: DynArray[uint256, 48] = staticcall BOOK.split(kept, quanta)
    credit: uint256 = slices._haircut(fragment, MARKETS, self._engine(header))
    reduces: bool = False
    kept, reduces = staticcall BOOK.merge(kept, fragment, True)
    left: uint256 = 0
    stays: DynArray[uint256, 64] = []
    left, stays = slices._with_book(header, slices._perps_after(header, words, marks, quanta), kept)
    return credit, left, stays


@internal
@view
def _whole(header: uint256, words: DynArray[uint256, 64]) -> Slice:
    """
    @notice The slice that takes everything.
    """
    s: Slice = empty(Slice)
    s.quanta = QUANTA
    if lanes._book_count(header) != 0:
        s.credit = slices._haircut(slices._book_words(header, words), MARKETS, self._engine(header))
    return s


@internal
@pure
def _missing(now: Standing, s: Slice) -> int256:
    """
    @notice What a slice leaves missing to the target (money * ppm); its cost is the
            difference of the penalties before and after it.
    """
    cost: int256 = convert(now.penalty, int256) - convert(s.after.penalty, int256)
    equity: int256 = now.equity - cost + convert(s.credit, int256)
    return convert(TARGET * s.after.maintenance, int256) - equity * convert(units.PPM, int256)


@internal
@pure
def _cost(now: Standing, s: Slice) -> uint256:
    """
    @notice What a slice costs. One that takes more of a hedge than of what it hedges (whole
            contracts, smallest notionals) can raise the requirement: it costs nothing, and
            the clearinghouse refuses it unless health rises.
    """
    return now.penalty - min(s.after.penalty, now.penalty)


@internal
@view
def _engine(header: uint256) -> IRiskEngine:
    return IRiskEngine(staticcall CLEARINGHOUSE.engines(lanes._rule(header)))


@internal
@view
def _standing(header: uint256, words: DynArray[uint256, 64]) -> Standing:
    now: Standing = empty(Standing)
    now.equity = lanes._cash(header)
    if not lanes._is_flat(header):
        now.equity, now.maintenance, now.slope, now.penalty = staticcall self._engine(header).close_out(
            header, words
        )
    return now


# ---------------------------------------------------------------- internal: the take-over


@internal
def _take(
    victim: uint256,
    taker: uint256,
    header: uint256,
    words: DynArray[uint256, 64],
    taken: Slice,
    marks: DynArray[uint256, 32],
    now: Standing,
):
    """
    @notice Post the take-over of a slice. The taker pays for what the book is worth at the
            mark, spot at its full price.
    """
    s: Settlement = self._settlement(now, taken, lanes._vault_market(victim))
    charges: DynArray[IClearinghouse.Charge, 33] = []
    if s.socialised > 0:
        charges = slices._charges(header, words, MARKETS, s.socialised)
    stays: DynArray[uint256, 16] = []
    if taken.quanta != QUANTA:
        stays = slices._perps_after(header, words, marks, taken.quanta)
    legs_taken: DynArray[IClearinghouse.Leg, 32] = []
    for i: uint256 in range(lanes._count(header), bound=32):
        lane: uint256 = lanes._lane(words[i >> 1], i)
        market: uint256 = lanes._market(lane)
        size: int256 = lanes._size(lane)
        closing: int256 = -size
        if taken.quanta != QUANTA:
            closing += lanes._size(lanes._lane(stays[i >> 1], i))
        if closing == 0:
            continue
        quote: IMarkets.Pin = staticcall MARKETS.quote(market)
        amount: int256 = legs._closing_amount(size, closing, quote)
        legs_taken.append(IClearinghouse.Leg(market=market, change=closing, amount=amount))
        s.notional += lanes._bits(abs(closing)) * quote.mark
        log LegTaken(
            victim=victim,
            market=market,
            mode=lanes._mode(header),
            size=-closing,
            size_left=size + closing,
            price=quote.mark,
        )
    worth: int256 = 0
    fragment: DynArray[uint256, 48] = []
    if lanes._book_count(header) != 0:
        fragment = staticcall BOOK.split(slices._book_words(header, words), taken.quanta)
        raw: uint256 = 0
        raw, worth = self._worth(header, words, fragment, now)
        s.notional += raw
        log BookTaken(victim=victim, taker=taker, fragment=fragment)
    extcall CLEARINGHOUSE.take_over(
        victim,
        taker,
        legs_taken,
        worth + convert(s.shortfall, int256) - convert(s.penalty, int256),
        convert(s.cut + s.reward, int256) - worth,
        charges,
        fragment,
    )
    log Liquidated(
        victim=victim,
        taker=taker,
        mode=lanes._mode(header),
        quanta=taken.quanta,
        equity=now.equity,
        maintenance=now.maintenance,
        notional=rounding._div_up(s.notional, units.NOTIONAL_SCALE),
        penalty=s.penalty,
        cut=s.cut,
        reward=s.reward,
        shortfall=s.shortfall,
        insurance_paid=s.insurance_paid,
        socialised=s.socialised,
    )


@internal
def _worth(
    header: uint256, words: DynArray[uint256, 64], fragment: DynArray[uint256, 48], now: Standing
) -> (uint256, int256):
    """
    @notice What the taker pays for a fragment: options and futures at what the margin rule
            says they are worth (equity with them less equity without), spot at the mark.
    @return gross notional (lots * price), money
    """
    raw: uint256 = 0
    spot: uint256 = 0
    raw, spot = slices._notional(fragment, MARKETS)
    kept: DynArray[uint256, 48] = slices._book_words(header, words)
    reduces: bool = False
    kept, reduces = staticcall BOOK.merge(kept, slices._without_spot(fragment), True)
    left: uint256 = 0
    stays: DynArray[uint256, 64] = []
    left, stays = slices._with_book(header, slices._perp_words(header, words), kept)
    without: Standing = self._standing(left, stays)
    return raw, now.equity - without.equity + convert(spot, int256)


@internal
@view
def _settlement(now: Standing, taken: Slice, pool: uint256) -> Settlement:
    """
    @notice Who pays whom. The penalty is a potential: a slice pays the difference before
            and after it, a full close no more than the equity that is there.
    """
    s: Settlement = empty(Settlement)
    full: bool = taken.quanta == QUANTA
    equity: int256 = now.equity + convert(taken.credit, int256)
    s.penalty = self._cost(now, taken)
    if full:
        s.penalty = min(now.penalty, convert(max(equity, 0), uint256))
    s.cut = s.penalty * LIQUIDATOR_SHARE // units.PPM
    if not full:
        return s
    fund: uint256 = (staticcall CLEARINGHOUSE.pools(pool)) & lanes.LANE_MASK
    s.shortfall = convert(max(-equity, 0), uint256)
    s.insurance_paid = min(s.shortfall, fund)
    s.socialised = s.shortfall - s.insurance_paid
    # Never more than the penalty, or dust (books have no least notional) would drain insurance.
    least: uint256 = min(REWARD, now.penalty)
    if s.cut < least:
        s.reward = min(least - s.cut, fund - s.insurance_paid)
    return s
