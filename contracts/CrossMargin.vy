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

MARKETS: public(immutable(IMarkets))


@deploy
def __init__(markets: address):
    MARKETS = IMarkets(markets)


@external
@view
def margin(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256, uint256, uint256):
    """
    @notice See IRiskEngine.
    """
    equity: int256 = lanes._cash(header)
    initial: uint256 = 0
    maintenance: uint256 = 0
    notional_raw: uint256 = 0
    book: address = empty(address)
    quotes: DynArray[uint256, 64] = []
    book, quotes = self._quotes(header, words)
    for i: uint256 in range(len(quotes), bound=32):
        lane: uint256 = lanes._lane(words[i >> 1], i)
        size: int256 = lanes._size(lane)
        quote: uint256 = quotes[i]
        equity = unsafe_add(equity, self._value_down(lane, size, quote))
        raw: uint256 = unsafe_mul(lanes._bits(abs(size)), quote & (2**64 - 1))
        tier: uint256 = terms._tier(self._terms(book, lane), raw)
        initial = unsafe_add(initial, terms._initial_up(tier, raw))
        maintenance = unsafe_add(maintenance, terms._maintenance_up(tier, raw))
        notional_raw = unsafe_add(notional_raw, raw)
    return equity, initial, maintenance, rounding._div_up(notional_raw, units.NOTIONAL_SCALE)


@external
@view
def close_out(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256, uint256, uint256):
    """
    @notice See IRiskEngine. Slope: the marginal maintenance rate times the notional.
            Penalty: each market's rate on its notional.
    """
    equity: int256 = lanes._cash(header)
    maintenance: uint256 = 0
    slope: uint256 = 0
    penalty: uint256 = 0
    book: address = empty(address)
    quotes: DynArray[uint256, 64] = []
    book, quotes = self._quotes(header, words)
    for i: uint256 in range(len(quotes), bound=32):
        lane: uint256 = lanes._lane(words[i >> 1], i)
        size: int256 = lanes._size(lane)
        quote: uint256 = quotes[i]
        equity = unsafe_add(equity, self._value_down(lane, size, quote))
        raw: uint256 = unsafe_mul(lanes._bits(abs(size)), quote & (2**64 - 1))
        market_terms: Bytes[256] = self._terms(book, lane)
        tier: uint256 = terms._tier(market_terms, raw)
        required: uint256 = terms._maintenance_up(tier, raw)
        maintenance = unsafe_add(maintenance, required)
        slope = unsafe_add(slope, unsafe_add(required, tier >> 176))
        rate: uint256 = terms._penalty(extract32(market_terms, 0, output_type=uint256))
        penalty = unsafe_add(penalty, rounding._div_up(unsafe_mul(raw, rate), units.RATE_SCALE))
    return equity, maintenance, slope, penalty


@internal
@view
def _quotes(header: uint256, words: DynArray[uint256, 64]) -> (address, DynArray[uint256, 64]):
    markets: DynArray[uint256, 64] = []
    for i: uint256 in range(lanes._count(header), bound=32):
        markets.append(lanes._market(lanes._lane(words[i >> 1], i)))
    return staticcall MARKETS.quotes(markets)


@internal
@view
def _terms(book: address, lane: uint256) -> Bytes[256]:
    return slice(book.code, terms.BLOB_HEAD + terms.TERM_BYTES * lanes._market(lane), 256)


@internal
@pure
def _value_down(lane: uint256, size: int256, quote: uint256) -> int256:
    """
    @notice Unrealised P&L net of funding and social charges, rounded down.
    """
    adjusted: int256 = 0
    if size > 0:
        adjusted = lanes._signed(quote << 96) >> 160
    else:
        adjusted = lanes._signed(quote) >> 160
    return unsafe_sub(
        rounding._floor_div(unsafe_mul(size, adjusted), units.INDEX_SCALE), lanes._entry(lane)
    )
