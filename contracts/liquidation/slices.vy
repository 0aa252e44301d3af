# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title slices
@license GNU Affero General Public License v3.0 only
@notice What leaves and what stays when a fraction of every position of an account is taken
        over, and how a shortfall that insurance could not pay is split.
"""

from ..interfaces import IClearinghouse
from ..interfaces import IMarkets
from ..interfaces import IRiskEngine
from ..ledger import lanes
from ..ledger import legs
from ..margin import terms
from ..math import rounding
from ..math import units
from ..options import book
from ..options import instrument

CONTRACT: constant(uint256) = 10_000  # instrument.CONTRACT
QUANTA: constant(uint256) = 1_000  # a slice is a multiple of 1 / QUANTA of the account


@internal
@pure
def _perps_after(
    header: uint256, words: DynArray[uint256, 64], marks: DynArray[uint256, 32], quanta: uint256
) -> DynArray[uint256, 16]:
    """
    @notice The perp words that stay when `quanta` of every leg are closed: rounded up to
            whole lots, at least the market's smallest notional, and nothing smaller than
            it stays.
    @param marks of each leg's market: mark 40 | least notional (`_marks`)
    @return words with the sizes that stay (their entries are not adjusted: the margin rule
            is asked for requirements only)
    """
    left: DynArray[uint256, 16] = []
    for i: uint256 in range(lanes._count(header), bound=32):
        lane: uint256 = lanes._lane(words[i >> 1], i)
        size: int256 = lanes._size(lane)
        lots: uint256 = lanes._bits(abs(size))
        mark: uint256 = marks[i] & units.MAX_PRICE
        smallest: uint256 = (marks[i] >> 40) * units.NOTIONAL_SCALE
        closed: uint256 = max(
            rounding._div_up(lots * quanta, QUANTA), rounding._div_up(smallest, mark)
        )
        stays: uint256 = 0
        if closed < lots and (lots - closed) * mark >= smallest:
            stays = lots - closed
        signed: int256 = convert(stays, int256) if size > 0 else -convert(stays, int256)
        packed: uint256 = lanes._pack(lanes._market(lane), signed, lanes._entry(lane))
        if i & 1 == 0:
            left.append(packed)
        else:
            left[i >> 1] |= packed << lanes.LANE_BITS
    return left


@internal
@pure
def _book_words(header: uint256, words: DynArray[uint256, 64]) -> DynArray[uint256, 48]:
    held: DynArray[uint256, 48] = []
    first: uint256 = lanes._perp_words(header)
    for i: uint256 in range(lanes._book_count(header), bound=48):
        held.append(words[unsafe_add(first, i)])
    return held


@internal
@pure
def _perp_words(header: uint256, words: DynArray[uint256, 64]) -> DynArray[uint256, 16]:
    perps: DynArray[uint256, 16] = []
    for i: uint256 in range(lanes._perp_words(header), bound=16):
        perps.append(words[i])
    return perps


@internal
@view
def _marks(header: uint256, words: DynArray[uint256, 64], markets: IMarkets) -> DynArray[uint256, 32]:
    """
    @return Of each perp's market: mark 40 | least notional
    """
    marks: DynArray[uint256, 32] = []
    for i: uint256 in range(lanes._count(header), bound=32):
        quote: IMarkets.Pin = staticcall markets.quote(lanes._market(lanes._lane(words[i >> 1], i)))
        marks.append(quote.mark | (terms._min_notional(quote.terms) << 40))
    return marks


@internal
@view
def _with_book(
    header: uint256, perps: DynArray[uint256, 16], kept: DynArray[uint256, 48]
) -> (uint256, DynArray[uint256, 64]):
    """
    @return header and words of the perps of `perps` with another book
    """
    words: DynArray[uint256, 64] = []
    for word: uint256 in perps:
        words.append(word)
    for word: uint256 in kept:
        words.append(word)
    return lanes._with_book(header, len(kept)), words


@internal
def _notional(fragment: DynArray[uint256, 48], markets: IMarkets) -> (uint256, uint256):
    """
    @notice What a fragment is about. Reverts in an underlying's grace period: liquidations
            wait there. Pins the underlyings: no other price in this transaction.
    @return gross notional of its options, futures and spot (lots * price); value of its
            spot (money, rounded down)
    """
    raw: uint256 = 0
    spot: uint256 = 0
    skip: uint256 = 0
    for word: uint256 in fragment:
        if skip > 0:
            skip -= 1
            continue
        quote: IMarkets.Pin = extcall markets.pin(book._market(word))
        assert not quote.grace, "liquidation: grace after outage"
        skip = book._length(word) - 1
        held: uint256 = lanes._bits(abs(book._forward(word))) * quote.mark
        raw += held + book._gross(word) * CONTRACT * quote.mark
        if book._expiry(word) == 0:
            spot += held // units.NOTIONAL_SCALE
    return raw, spot


@internal
@view
def _haircut(fragment: DynArray[uint256, 48], markets: IMarkets, engine: IRiskEngine) -> uint256:
    """
    @return The part of the fragment's spot value that did not count as equity (money,
            rounded down)
    """
    credit: uint256 = 0
    skip: uint256 = 0
    for word: uint256 in fragment:
        if skip > 0:
            skip -= 1
            continue
        skip = book._length(word) - 1
        if book._expiry(word) == 0:
            quote: IMarkets.Pin = staticcall markets.quote(book._market(word))
            rate: uint256 = staticcall engine.haircut(book._market(word))
            held: uint256 = lanes._bits(abs(book._forward(word))) * quote.mark
            credit += held // units.NOTIONAL_SCALE * rate // units.PPM
    return credit


@internal
@pure
def _without_spot(fragment: DynArray[uint256, 48]) -> DynArray[uint256, 48]:
    rest: DynArray[uint256, 48] = []
    skip: uint256 = 0
    for word: uint256 in fragment:
        if skip > 0:
            skip -= 1
        else:
            if book._expiry(word) == 0:
                continue
            skip = book._length(word) - 1
        rest.append(word)
    return rest


@internal
@view
def _charges(
    header: uint256,
    words: DynArray[uint256, 64],
    markets: IMarkets,
    amount: uint256,
) -> DynArray[IClearinghouse.Charge, 33]:
    """
    @notice Split a shortfall that insurance could not pay over the losing perps, pro rata
            to the losses. What these do not explain falls on all perps by notional, or, in
            an account with a book, is recorded (market 0) until insurance repays it.
    """
    weights: DynArray[uint256, 32] = []
    total: uint256 = 0
    for i: uint256 in range(lanes._count(header), bound=32):
        lane: uint256 = lanes._lane(words[i >> 1], i)
        quote: IMarkets.Pin = staticcall markets.quote(lanes._market(lane))
        unrealised: int256 = legs._value_down(lanes._size(lane), lanes._entry(lane), quote)
        weights.append(convert(max(-unrealised, 0), uint256))
        total += weights[i]
    charges: DynArray[IClearinghouse.Charge, 33] = []
    left: uint256 = amount
    if total < amount and lanes._book_count(header) != 0:
        charges.append(IClearinghouse.Charge(market=0, longs=False, amount=amount - total))
        left = total
    elif total < amount:
        # What the open legs lose does not explain the shortfall: no single one bears it.
        total = 0
        for i: uint256 in range(lanes._count(header), bound=32):
            lane: uint256 = lanes._lane(words[i >> 1], i)
            quote: IMarkets.Pin = staticcall markets.quote(lanes._market(lane))
            weights[i] = lanes._bits(abs(lanes._size(lane))) * quote.mark
            total += weights[i]
    last: uint256 = 0
    for i: uint256 in range(len(weights), bound=32):
        if weights[i] > 0:
            last = i
    split: uint256 = left
    for i: uint256 in range(len(weights), bound=32):
        share: uint256 = left if i == last else split * weights[i] // max(total, 1)
        if share == 0:
            continue
        left -= share
        lane: uint256 = lanes._lane(words[i >> 1], i)
        longs: bool = lanes._size(lane) < 0
        charges.append(IClearinghouse.Charge(market=lanes._market(lane), longs=longs, amount=share))
    return charges
