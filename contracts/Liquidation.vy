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

from .interfaces import IClearinghouse
from .interfaces import IMarkets
from .interfaces import IRiskEngine
from .ledger import lanes
from .ledger import legs
from .margin import terms
from .math import rounding
from .math import units

TARGET: public(constant(uint256)) = 1_200_000  # ppm of maintenance margin restored
QUANTA: public(constant(uint256)) = 1_000  # a slice is a multiple of 1 / QUANTA of the account

CLEARINGHOUSE: public(immutable(IClearinghouse))
MARKETS: public(immutable(IMarkets))
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


struct Book:
    equity: int256
    maintenance: uint256
    slope: uint256
    penalty: uint256


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
    words: DynArray[uint256, 16] = []
    header, words = staticcall CLEARINGHOUSE.account(victim)
    assert lanes._count(header) > 0, "liquidation: no position"
    book: Book = self._book(header, words)
    assert book.equity < convert(book.maintenance, int256), "liquidation: healthy"
    quotes: DynArray[IMarkets.Pin, 32] = self._quotes(header, words)
    quanta: uint256 = QUANTA
    left: DynArray[uint256, 16] = []
    penalty_left: uint256 = 0
    if book.equity >= convert(book.penalty, int256):
        quanta, left, penalty_left = self._slice(header, words, quotes, book, max_quanta)
    self._take(victim, taker, header, words, left, quotes, book, penalty_left, quanta)
    return quanta


@external
@view
def preview(victim: uint256) -> (uint256, int256, uint256, uint256):
    """
    @notice What `liquidate` would do to an account now.
    @return quanta (0: healthy or flat), equity, maintenance margin, penalty
    """
    header: uint256 = 0
    words: DynArray[uint256, 16] = []
    header, words = staticcall CLEARINGHOUSE.account(victim)
    book: Book = self._book(header, words)
    if lanes._count(header) == 0 or book.equity >= convert(book.maintenance, int256):
        return 0, book.equity, book.maintenance, 0
    if book.equity < convert(book.penalty, int256):
        return QUANTA, book.equity, book.maintenance, convert(max(book.equity, 0), uint256)
    quanta: uint256 = 0
    left: DynArray[uint256, 16] = []
    penalty_left: uint256 = 0
    quanta, left, penalty_left = self._slice(header, words, self._quotes(header, words), book, QUANTA)
    return quanta, book.equity, book.maintenance, book.penalty - penalty_left


# ---------------------------------------------------------------- internal: the slice


@internal
@view
def _slice(
    header: uint256,
    words: DynArray[uint256, 16],
    quotes: DynArray[IMarkets.Pin, 32],
    book: Book,
    max_quanta: uint256,
) -> (uint256, DynArray[uint256, 16], uint256):
    """
    @notice The smallest slice after which E' >= TARGET * MM'. With a requirement that is
            homogeneous of degree one f = (b*MM - E) / (b*MM - penalty); tiers make MM'
            convex in f, so the same step is repeated from where it led (Newton from the
            left), at most once per tier edge crossed. Whole lots and smallest notionals
            can make that too much: then the last step is bisected, until the quantum
            before does not reach.
    @return quanta, the words that stay, their penalty
    """
    low: uint256 = 0
    high: uint256 = 0
    after: Book = book
    left: DynArray[uint256, 16] = words
    missing: int256 = self._missing(book, book)
    for step: uint256 in range(16):
        freed: int256 = convert(TARGET * after.slope, int256) - convert(units.PPM * after.penalty, int256)
        more: uint256 = QUANTA
        if freed > 0:
            quanta_left: int256 = convert(QUANTA - high, int256)
            more = max(convert(rounding._ceil_div(quanta_left * missing, freed), uint256), 1)
        low = high
        high = min(high + more, max_quanta)
        left = self._after_slice(header, words, quotes, high)
        after = self._book(header, left)
        missing = self._missing(book, after)
        if missing <= 0:
            break
        if high == max_quanta:
            return high, left, after.penalty
    best: Book = after
    probe: uint256 = high - 1
    for step: uint256 in range(12):
        if high - low <= 1:
            break
        candidate: DynArray[uint256, 16] = self._after_slice(header, words, quotes, probe)
        after = self._book(header, candidate)
        if self._missing(book, after) <= 0:
            high = probe
            left = candidate
            best = after
        else:
            low = probe
        probe = (low + high) // 2
    if best.slope == 0:
        high = QUANTA  # nothing stays
    return high, left, best.penalty


@internal
@pure
def _missing(book: Book, after: Book) -> int256:
    """
    @notice What a slice leaves missing to the target (money * ppm); its cost is the
            difference of the penalties before and after it.
    """
    equity: int256 = book.equity - convert(book.penalty - after.penalty, int256)
    return convert(TARGET * after.maintenance, int256) - equity * convert(units.PPM, int256)


@internal
@view
def _book(header: uint256, words: DynArray[uint256, 16]) -> Book:
    engine: IRiskEngine = IRiskEngine(staticcall CLEARINGHOUSE.engines(lanes._mode(header)))
    book: Book = empty(Book)
    book.equity, book.maintenance, book.slope, book.penalty = staticcall engine.close_out(header, words)
    return book


@internal
@view
def _quotes(header: uint256, words: DynArray[uint256, 16]) -> DynArray[IMarkets.Pin, 32]:
    quotes: DynArray[IMarkets.Pin, 32] = []
    for i: uint256 in range(lanes._count(header), bound=32):
        quotes.append(staticcall MARKETS.quote(lanes._market(lanes._lane(words[i >> 1], i))))
    return quotes


@internal
@pure
def _after_slice(
    header: uint256, words: DynArray[uint256, 16], quotes: DynArray[IMarkets.Pin, 32], quanta: uint256
) -> DynArray[uint256, 16]:
    """
    @notice What stays when `quanta` of every leg are closed: rounded up to whole lots, at
            least the market's smallest notional, and nothing smaller than it stays.
    @return words with the sizes that stay (their entries are not adjusted: the margin rule
            is asked for requirements only)
    """
    left: DynArray[uint256, 16] = words
    for i: uint256 in range(lanes._count(header), bound=32):
        lane: uint256 = lanes._lane(words[i >> 1], i)
        size: int256 = lanes._size(lane)
        lots: uint256 = lanes._bits(abs(size))
        smallest: uint256 = terms._min_notional(quotes[i].terms) * units.NOTIONAL_SCALE
        closed: uint256 = max(
            rounding._div_up(lots * quanta, QUANTA), rounding._div_up(smallest, quotes[i].mark)
        )
        stays: uint256 = 0
        if closed < lots and (lots - closed) * quotes[i].mark >= smallest:
            stays = lots - closed
        signed: int256 = convert(stays, int256) if size > 0 else -convert(stays, int256)
        offset: uint256 = (i & 1) * lanes.LANE_BITS
        packed: uint256 = lanes._pack(lanes._market(lane), signed, lanes._entry(lane))
        left[i >> 1] = (left[i >> 1] & ~(lanes.LANE_MASK << offset)) | (packed << offset)
    return left


# ---------------------------------------------------------------- internal: the take-over


@internal
def _take(
    victim: uint256,
    taker: uint256,
    header: uint256,
    words: DynArray[uint256, 16],
    left: DynArray[uint256, 16],
    quotes: DynArray[IMarkets.Pin, 32],
    book: Book,
    penalty_left: uint256,
    quanta: uint256,
):
    """
    @notice Post the take-over of everything, or of everything but `left`.
    """
    full: bool = quanta == QUANTA
    pool: uint256 = lanes._vault_market(victim)
    s: Settlement = self._settlement(book, penalty_left, full, pool)
    charges: DynArray[IClearinghouse.Charge, 32] = []
    if s.socialised > 0:
        charges = self._charges(header, words, quotes, s.socialised)
    taken: DynArray[IClearinghouse.Leg, 32] = []
    for i: uint256 in range(lanes._count(header), bound=32):
        lane: uint256 = lanes._lane(words[i >> 1], i)
        market: uint256 = lanes._market(lane)
        size: int256 = lanes._size(lane)
        closing: int256 = -size
        if not full:
            closing += lanes._size(lanes._lane(left[i >> 1], i))
        if closing == 0:
            continue
        amount: int256 = legs._closing_amount(size, closing, quotes[i])
        taken.append(IClearinghouse.Leg(market=market, change=closing, amount=amount))
        s.notional += lanes._bits(abs(closing)) * quotes[i].mark
        log LegTaken(
            victim=victim,
            market=market,
            mode=lanes._mode(header),
            size=-closing,
            size_left=size + closing,
            price=quotes[i].mark,
        )
    victim_cash: int256 = convert(s.shortfall, int256) - convert(s.penalty, int256)
    taker_cash: int256 = convert(s.cut + s.reward, int256)
    extcall CLEARINGHOUSE.take_over(victim, taker, taken, victim_cash, taker_cash, charges)
    log Liquidated(
        victim=victim,
        taker=taker,
        mode=lanes._mode(header),
        quanta=quanta,
        equity=book.equity,
        maintenance=book.maintenance,
        notional=rounding._div_up(s.notional, units.NOTIONAL_SCALE),
        penalty=s.penalty,
        cut=s.cut,
        reward=s.reward,
        shortfall=s.shortfall,
        insurance_paid=s.insurance_paid,
        socialised=s.socialised,
    )


@internal
@view
def _settlement(book: Book, penalty_left: uint256, full: bool, pool: uint256) -> Settlement:
    """
    @notice Who pays whom. The penalty is a potential: a slice pays the difference before
            and after it, a full close no more than the equity that is there.
    """
    s: Settlement = empty(Settlement)
    s.penalty = book.penalty - penalty_left
    if full:
        s.penalty = min(book.penalty, convert(max(book.equity, 0), uint256))
    s.cut = s.penalty * LIQUIDATOR_SHARE // units.PPM
    if not full:
        return s
    fund: uint256 = (staticcall CLEARINGHOUSE.pools(pool)) & lanes.LANE_MASK
    s.shortfall = convert(max(-book.equity, 0), uint256)
    s.insurance_paid = min(s.shortfall, fund)
    s.socialised = s.shortfall - s.insurance_paid
    if s.cut < REWARD:
        s.reward = min(REWARD - s.cut, fund - s.insurance_paid)
    return s


@internal
@pure
def _charges(
    header: uint256,
    words: DynArray[uint256, 16],
    quotes: DynArray[IMarkets.Pin, 32],
    amount: uint256,
) -> DynArray[IClearinghouse.Charge, 32]:
    """
    @notice Split a shortfall that insurance could not pay over the losing legs, pro rata
            to the losses; over all legs by notional when part of it was realised before.
    """
    weights: DynArray[uint256, 32] = []
    total: uint256 = 0
    for i: uint256 in range(lanes._count(header), bound=32):
        lane: uint256 = lanes._lane(words[i >> 1], i)
        unrealised: int256 = legs._value_down(lanes._size(lane), lanes._entry(lane), quotes[i])
        weights.append(convert(max(-unrealised, 0), uint256))
        total += weights[i]
    if total < amount:
        # What the open legs lose does not explain the shortfall: no single one bears it.
        total = 0
        for i: uint256 in range(lanes._count(header), bound=32):
            weights[i] = lanes._bits(abs(lanes._size(lanes._lane(words[i >> 1], i)))) * quotes[i].mark
            total += weights[i]
    last: uint256 = 0
    for i: uint256 in range(len(weights), bound=32):
        if weights[i] > 0:
            last = i
    charges: DynArray[IClearinghouse.Charge, 32] = []
    left: uint256 = amount
    for i: uint256 in range(len(weights), bound=32):
        share: uint256 = left if i == last else amount * weights[i] // total
        if share == 0:
            continue
        left -= share
        lane: uint256 = lanes._lane(words[i >> 1], i)
        longs: bool = lanes._size(lane) < 0
        charges.append(IClearinghouse.Charge(market=lanes._market(lane), longs=longs, amount=share))
    return charges
