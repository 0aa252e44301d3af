# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title CrossMargin
@license GNU Affero General Public License v3.0 only
@notice The margin rule of CROSS and ISOLATED accounts: the sum of the positions' tiered
        requirements. A vault is judged by the same rule over itself alone.
"""

from .interfaces import IMarkets
from .interfaces import IRiskEngine
from .ledger import lanes
from .margin import terms
from .math import rounding
from .math import units

implements: IRiskEngine

WORTH_SHIFT: constant(int256) = 2**120  # above |size * adjusted mark| / INDEX_SCALE

MARKETS: public(immutable(IMarkets))


@deploy
def __init__(markets: address):
    MARKETS = IMarkets(markets)


@external
@view
def margin(header: uint256, words: DynArray[uint256, 16]) -> (int256, uint256, uint256, uint256):
    """
    @notice See IRiskEngine.
    """
    equity: int256 = lanes._cash(header)
    initial: uint256 = 0
    maintenance: uint256 = 0
    notional_raw: uint256 = 0
    book: address = empty(address)
    quotes: DynArray[uint256, 32] = []
    book, quotes = staticcall MARKETS.quotes(self._markets(words))
    front: Bytes[2048] = slice(book.code, terms.FRONT_HEAD, 2048)
    i: uint256 = 0
    lane: uint256 = 0
    # Every trade runs this loop twice: it is `_leg` written out, and most positions are in
    # their market's first tier (close_out is the plain form; tests hold the two together).
    for quote: uint256 in quotes:
        if i & 1 == 0:
            lane = words[i >> 1]
        else:
            lane >>= 128
        i = unsafe_add(i, 1)
        size: int256 = convert(convert(lane << 144, bytes32), int256) >> 208
        raw: uint256 = 0
        worth: int256 = 0
        if size > 0:
            worth = unsafe_mul(size, convert(convert(quote << 96, bytes32), int256) >> 160)
            raw = unsafe_mul(convert(convert(size, bytes32), uint256), quote & (2**64 - 1))
        else:
            worth = unsafe_mul(size, convert(convert(quote, bytes32), int256) >> 160)
            raw = unsafe_mul(convert(convert(unsafe_sub(0, size), bytes32), uint256), quote & (2**64 - 1))
        # floor(worth / INDEX_SCALE) - entry, by an offset that makes the dividend positive
        equity = unsafe_add(
            equity,
            unsafe_sub(
                unsafe_sub(
                    unsafe_div(unsafe_add(worth, WORTH_SHIFT * units.INDEX_SCALE), units.INDEX_SCALE),
                    WORTH_SHIFT,
                ),
                convert(convert(lane << 192, bytes32), int256) >> 192,
            ),
        )
        terms_word: uint256 = extract32(front, ((lane >> 112) & 255) << 5, output_type=uint256)
        if raw < unsafe_mul(terms_word >> 48, units.NOTIONAL_SCALE):
            initial = unsafe_add(
                initial,
                unsafe_div(
                    unsafe_add(unsafe_mul(raw, terms_word & (2**24 - 1)), units.RATE_SCALE - 1),
                    units.RATE_SCALE,
                ),
            )
            maintenance = unsafe_add(
                maintenance,
                unsafe_div(
                    unsafe_add(unsafe_mul(raw, (terms_word >> 24) & (2**24 - 1)), units.RATE_SCALE - 1),
                    units.RATE_SCALE,
                ),
            )
        else:
            tier: uint256 = self._tier(book, lane & lanes.LANE_MASK, raw)
            initial = unsafe_add(initial, terms._initial_up(tier, raw))
            maintenance = unsafe_add(maintenance, terms._maintenance_up(tier, raw))
        notional_raw = unsafe_add(notional_raw, raw)
    return equity, initial, maintenance, rounding._div_up(notional_raw, units.NOTIONAL_SCALE)


@external
@view
def close_out(header: uint256, words: DynArray[uint256, 16]) -> (int256, uint256, uint256, uint256):
    """
    @notice See IRiskEngine. Slope: the marginal maintenance rate times the notional.
            Penalty: each market's rate on its notional.
    """
    equity: int256 = lanes._cash(header)
    maintenance: uint256 = 0
    slope: uint256 = 0
    penalty: uint256 = 0
    book: address = empty(address)
    quotes: DynArray[uint256, 32] = []
    book, quotes = staticcall MARKETS.quotes(self._markets(words))
    i: uint256 = 0
    for quote: uint256 in quotes:
        lane: uint256 = lanes._lane(words[i >> 1], i)
        i = unsafe_add(i, 1)
        unrealised: int256 = 0
        raw: uint256 = 0
        unrealised, raw = self._leg(lane, quote)
        equity = unsafe_add(equity, unrealised)
        tier: uint256 = self._tier(book, lane, raw)
        required: uint256 = terms._maintenance_up(tier, raw)
        maintenance = unsafe_add(maintenance, required)
        slope = unsafe_add(slope, unsafe_add(required, tier >> 176))
        word: Bytes[32] = slice(book.code, terms._offset(lanes._market(lane)), 32)
        rate: uint256 = terms._penalty(convert(word, uint256))
        penalty = unsafe_add(penalty, rounding._div_up(unsafe_mul(raw, rate), units.RATE_SCALE))
    return equity, maintenance, slope, penalty


@internal
@pure
def _markets(words: DynArray[uint256, 16]) -> uint256:
    """
    @return The markets of the account's positions, a byte each (an empty lane has none).
    """
    markets: uint256 = 0
    offset: uint256 = 0
    for word: uint256 in words:
        markets |= (((word >> 112) & 255) | ((word >> 240) << 8)) << offset
        offset = unsafe_add(offset, 16)
    return markets


@internal
@pure
def _leg(lane: uint256, quote: uint256) -> (int256, uint256):
    """
    @return Unrealised P&L net of funding and social charges, rounded down; lots * price
    """
    size: int256 = convert(convert(lane << 144, bytes32), int256) >> 208
    entry: int256 = convert(convert(lane << 192, bytes32), int256) >> 192
    mark: uint256 = quote & (2**64 - 1)
    if size > 0:
        adjusted: int256 = convert(convert(quote << 96, bytes32), int256) >> 160
        return (
            unsafe_sub(rounding._floor_div(unsafe_mul(size, adjusted), units.INDEX_SCALE), entry),
            unsafe_mul(convert(size, uint256), mark),
        )
    adjusted: int256 = convert(convert(quote, bytes32), int256) >> 160
    return (
        unsafe_sub(rounding._floor_div(unsafe_mul(size, adjusted), units.INDEX_SCALE), entry),
        unsafe_mul(convert(unsafe_sub(0, size), uint256), mark),
    )


@internal
@view
def _tier(book: address, lane: uint256, raw: uint256) -> uint256:
    """
    @return The tier word that holds at a notional of `raw`.
    """
    return terms._tier(slice(book.code, terms._offset(lanes._market(lane)), 256), raw)
