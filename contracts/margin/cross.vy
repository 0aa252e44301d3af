# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title cross
@license GNU Affero General Public License v3.0 only
@notice The margin rule of CROSS and ISOLATED accounts: the sum of the positions' tiered
        requirements. A vault is judged by the same rule over itself alone.
@dev Composed into Markets: read beside the prices, an account of many positions costs no
     second contract and no copies of quotes.
"""

from . import terms
from ..interfaces import IMarkets
from ..ledger import lanes
from ..ledger import legs
from ..markets import prices
from ..math import rounding
from ..math import units

uses: prices

WORTH_SHIFT: constant(int256) = 2**120  # above |size * adjusted mark| / INDEX_SCALE


@external
@view
def margin(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256, uint256, uint256):
    """
    @notice See IRiskEngine.
    """
    return self._margin(header, words)


@internal
@view
def _margin(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256, uint256, uint256):
    """
    @notice Equity, initial and maintenance margin, notional. Every trade runs this loop twice, so it is prices' `_price` and
            legs' `_value_down` written out, and most positions are in their market's first
            tier; `close_out` is the plain form, and tests hold the two together.
    """
    equity: int256 = lanes._cash(header)
    initial: uint256 = 0
    maintenance: uint256 = 0
    notional_raw: uint256 = 0
    packed: uint256 = prices.book
    book: address = convert(packed & (2**160 - 1), address)
    oldest: uint256 = unsafe_sub(block.timestamp, packed >> 160)
    front: Bytes[2048] = slice(book.code, terms.FRONT_HEAD, 2048)
    lane: uint256 = 0
    for i: uint256 in range((header >> 128) & 255, bound=32):
        if i & 1 == 0:
            lane = words[i >> 1]
        else:
            lane >>= 128
        at: uint256 = unsafe_sub((lane >> 112) & 255, 1)
        price: uint256 = prices.price_lanes[at >> 1] >> ((at & 1) << 7)
        rate: uint256 = prices.rate_lanes[at >> 3] >> ((at & 7) << 5)
        published: uint256 = (price >> 40) & (2**32 - 1)
        assert published >= oldest, "price: stale"
        mark: uint256 = price & units.MAX_PRICE
        scaled: int256 = convert(convert(unsafe_mul(mark, 100), bytes32), int256)
        # The mark less funding. floor(mark * rate * time / FUNDING_SCALE) by an offset that
        # keeps the dividend positive.
        adjusted: int256 = unsafe_sub(
            unsafe_sub(
                scaled,
                unsafe_sub(
                    unsafe_div(
                        unsafe_add(
                            unsafe_mul(
                                unsafe_mul(scaled, convert(convert(rate << 226, bytes32), int256) >> 226),
                                convert(
                                    convert(
                                        unsafe_sub(block.timestamp, unsafe_add(published, (price >> 72) & 255)),
                                        bytes32,
                                    ),
                                    int256,
                                ),
                            ),
                            prices.FUNDING_SHIFT * units.FUNDING_SCALE,
                        ),
                        units.FUNDING_SCALE,
                    ),
                    prices.FUNDING_SHIFT,
                ),
            ),
            convert(convert(price << 128, bytes32), int256) >> 208,
        )
        size: int256 = convert(convert(lane << 144, bytes32), int256) >> 208
        if rate & prices.SOCIAL_FLAG != 0:
            charged: uint256 = prices.social[unsafe_add(at, 1)]
            if size > 0:
                adjusted -= convert(charged & (2**128 - 1), int256)
            else:
                adjusted += convert(charged >> 128, int256)
        # floor(size * adjusted / INDEX_SCALE) - entry, by the same trick
        equity = unsafe_add(
            equity,
            unsafe_sub(
                unsafe_sub(
                    unsafe_div(
                        unsafe_add(unsafe_mul(size, adjusted), WORTH_SHIFT * units.INDEX_SCALE),
                        units.INDEX_SCALE,
                    ),
                    WORTH_SHIFT,
                ),
                convert(convert(lane << 192, bytes32), int256) >> 192,
            ),
        )
        raw: uint256 = 0
        if size > 0:
            raw = unsafe_mul(convert(convert(size, bytes32), uint256), mark)
        else:
            raw = unsafe_mul(convert(convert(unsafe_sub(0, size), bytes32), uint256), mark)
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
def initial(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256):
    """
    @notice See IRiskEngine. Here one loop gives all.
    """
    equity: int256 = 0
    initial: uint256 = 0
    maintenance: uint256 = 0
    notional: uint256 = 0
    equity, initial, maintenance, notional = self._margin(header, words)
    return equity, initial


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
    book: address = convert(prices.book & (2**160 - 1), address)
    for i: uint256 in range(lanes._count(header), bound=32):
        lane: uint256 = lanes._lane(words[i >> 1], i)
        size: int256 = lanes._size(lane)
        pin: IMarkets.Pin = prices._pin(lanes._market(lane))
        equity += legs._value_down(size, lanes._entry(lane), pin)
        raw: uint256 = lanes._bits(abs(size)) * pin.mark
        tier: uint256 = self._tier(book, lane, raw)
        required: uint256 = terms._maintenance_up(tier, raw)
        maintenance += required
        slope += required + (tier >> 176)
        penalty += rounding._div_up(raw * terms._penalty(pin.terms), units.RATE_SCALE)
    return equity, maintenance, slope, penalty


@external
@view
def haircut(market: uint256) -> uint256:
    """
    @notice See IRiskEngine. Accounts without a book hold no spot collateral.
    """
    return 0


@external
@view
def marks(header: uint256, words: DynArray[uint256, 64], wanted: uint256) -> (int256, DynArray[uint256, 16]):
    """
    @notice See IMarkets.
    """
    equity: int256 = lanes._cash(header)
    max_age: uint256 = prices.book >> 160
    for i: uint256 in range(lanes._count(header), bound=32):
        lane: uint256 = lanes._lane(words[i >> 1], i)
        market: uint256 = lanes._market(lane)
        mark: uint256 = 0
        funding: int256 = 0
        rate_lane: uint256 = 0
        mark, funding, rate_lane = prices._price(market, max_age)
        size: int256 = lanes._size(lane)
        adjusted: int256 = convert(mark, int256) * units.INDEX_PER_PRICE - funding
        if rate_lane & prices.SOCIAL_FLAG != 0:
            charged: uint256 = prices.social[market]
            if size > 0:
                adjusted -= convert(charged & (2**128 - 1), int256)
            else:
                adjusted += convert(charged >> 128, int256)
        equity += rounding._floor_div(size * adjusted, units.INDEX_SCALE) - lanes._entry(lane)
    found: DynArray[uint256, 16] = []
    left: uint256 = wanted >> 1
    market: uint256 = 1
    for i: uint256 in range(63):
        if left == 0:
            break
        if left & 1 != 0:
            lane: uint256 = prices._price_lane(market)
            mark: uint256 = lane & units.MAX_PRICE
            assert mark != 0, "price: none"
            assert block.timestamp <= unsafe_add((lane >> 40) & (2**32 - 1), max_age), "price: stale"
            found.append(mark | (market << 40))
        left >>= 1
        market = unsafe_add(market, 1)
    return equity, found


@internal
@view
def _tier(book: address, lane: uint256, raw: uint256) -> uint256:
    """
    @return The tier word that holds at a notional of `raw`.
    """
    return terms._tier(slice(book.code, terms._offset(lanes._market(lane)), 256), raw)
