# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Lens
@license GNU Affero General Public License v3.0 only
@notice Views for people and programs: what an account has, owes and may do. Writes nothing.
"""

from .interfaces import IAccess
from .interfaces import IBook
from .interfaces import IClearinghouse
from .interfaces import IMarkets
from .interfaces import IRiskEngine
from .ledger import lanes
from .ledger import legs
from .margin import terms
from .math import rounding
from .math import units
from .options import book
from .options import instrument

CLEARINGHOUSE: public(immutable(IClearinghouse))
ACCESS: public(immutable(IAccess))
MARKETS: public(immutable(IMarkets))
BOOK: immutable(IBook)


struct Summary:
    mode: uint256
    cash: int256
    equity: int256
    initial: uint256
    maintenance: uint256
    notional: uint256
    withdrawable: uint256
    liquidatable: bool


struct Position:
    market: uint256
    size: int256
    entry: int256  # with funding folded in
    value: int256  # unrealised P&L after funding and social charges


@deploy
def __init__(clearinghouse: address, markets: address):
    CLEARINGHOUSE = IClearinghouse(clearinghouse)
    ACCESS = IAccess(staticcall IClearinghouse(clearinghouse).ACCESS())
    MARKETS = IMarkets(markets)
    BOOK = IBook(staticcall IClearinghouse(clearinghouse).BOOK())


@external
@view
def summary(account: uint256) -> Summary:
    """
    @notice Margin summary of an account, money. Reverts on a stale price.
    """
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = staticcall CLEARINGHOUSE.account(account)
    return self._summary(header, words, staticcall ACCESS.transfer_rate())


@external
@view
def summaries(accounts: DynArray[uint256, 512]) -> DynArray[Summary, 512]:
    result: DynArray[Summary, 512] = []
    rate: uint256 = staticcall ACCESS.transfer_rate()
    for account: uint256 in accounts:
        header: uint256 = 0
        words: DynArray[uint256, 64] = []
        header, words = staticcall CLEARINGHOUSE.account(account)
        result.append(self._summary(header, words, rate))
    return result


@external
@view
def positions(account: uint256) -> DynArray[Position, 32]:
    """
    @notice The account's positions in the ledger's order.
    """
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = staticcall CLEARINGHOUSE.account(account)
    result: DynArray[Position, 32] = []
    for i: uint256 in range(lanes._count(header), bound=32):
        lane: uint256 = lanes._lane(words[i >> 1], i)
        size: int256 = lanes._size(lane)
        pin: IMarkets.Pin = staticcall MARKETS.quote(lanes._market(lane))
        result.append(
            Position(
                market=lanes._market(lane),
                size=size,
                entry=lanes._entry(lane),
                value=legs._value_down(size, lanes._entry(lane), pin),
            )
        )
    return result


@external
@view
def liquidation_price(account: uint256, market: uint256) -> (bool, uint256):
    """
    @notice The price of one market at which the account becomes liquidatable while all
            other prices stay: the highest for a long, the lowest for a short, but for the
            rounding of a unit of money. The other positions' P&L and requirements count.
    @return whether there is one (False: none), price in price units
    """
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = staticcall CLEARINGHOUSE.account(account)
    lane: uint256 = lanes._lane_of(header, words, market)
    size: int256 = lanes._size(lane)
    if size == 0:
        return False, 0
    equity: int256 = 0
    initial: uint256 = 0
    maintenance: uint256 = 0
    notional: uint256 = 0
    equity, initial, maintenance, notional = self._margin(header, words)
    pin: IMarkets.Pin = staticcall MARKETS.quote(market)
    market_terms: Bytes[256] = self._terms(market)
    health: int256 = equity - convert(maintenance, int256)
    # What the rest of the account brings, this leg taken out.
    rest: int256 = health - self._health_at(lane, pin, market_terms)
    long: bool = size > 0
    # But for rounding, health falls as the price moves against the position: bisect.
    low: uint256 = 0
    high: uint256 = units.MAX_PRICE + 1
    pin.mark = 1 if long else units.MAX_PRICE
    if rest + self._health_at(lane, pin, market_terms) >= 0:
        return False, 0
    for step: uint256 in range(41):
        if high - low <= 1:
            break
        pin.mark = (low + high) // 2
        if (rest + self._health_at(lane, pin, market_terms) < 0) == long:
            low = pin.mark
        else:
            high = pin.mark
    return True, low if long else high


@external
@view
def max_trade(account: uint256, market: uint256, buys: bool, price: uint256) -> uint256:
    """
    @notice The largest size (lots) that the account could buy or sell as a taker at
            `price`, fee included, under the margin rule of a trade: initial margin when
            risk rises, the rule of a reduction when it does not. What else a trade needs (band,
            smallest notional, open interest, the other side) is not looked at.
    @param market The market of a perp, or the id of an option or dated future. Of these not
            every smaller size need be affordable: what hedges may be asked for less of.
            Reverts where the book would (no such instrument, too many positions).
    @return lots; 0 when none
    """
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = staticcall CLEARINGHOUSE.account(account)
    if market >= instrument.FIRST_BOOK_ID:
        return 0 if lanes._is_vault(account) else self._max_book_trade(header, words, market, buys, price)
    pin: IMarkets.Pin = staticcall MARKETS.quote(market)
    low: uint256 = 0
    high: uint256 = units.MAX_SIZE
    held: int256 = lanes._size(lanes._lane_of(header, words, market))
    lots: uint256 = lanes._bits(abs(held))
    before: int256[2] = self._health(header, words)
    if (held > 0) == buys:
        high -= lots
    elif held != 0:
        # Closing may be allowed where adding is not: look beyond zero only if it is.
        if self._affords(header, words, pin, market, lots, buys, price, before):
            low = lots
        else:
            high = lots - 1
    for step: uint256 in range(48):
        if low >= high:
            break
        middle: uint256 = (low + high + 1) // 2
        if self._affords(header, words, pin, market, middle, buys, price, before):
            low = middle
        else:
            high = middle - 1
    return low


# ---------------------------------------------------------------- internal


@internal
@view
def _margin(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256, uint256, uint256):
    if lanes._is_flat(header):
        return lanes._cash(header), 0, 0, 0
    engine: IRiskEngine = IRiskEngine(staticcall CLEARINGHOUSE.engines(lanes._rule(header)))
    return staticcall engine.margin(header, words)


@internal
@view
def _health(header: uint256, words: DynArray[uint256, 64]) -> int256[2]:
    """
    @return equity, maintenance margin
    """
    equity: int256 = 0
    initial: uint256 = 0
    maintenance: uint256 = 0
    notional: uint256 = 0
    equity, initial, maintenance, notional = self._margin(header, words)
    return [equity, convert(maintenance, int256)]


@internal
@view
def _summary(header: uint256, words: DynArray[uint256, 64], transfer_rate: uint256) -> Summary:
    s: Summary = empty(Summary)
    s.mode = lanes._mode(header)
    s.cash = lanes._cash(header)
    s.equity, s.initial, s.maintenance, s.notional = self._margin(header, words)
    kept: uint256 = max(s.initial, rounding._div_up(s.notional * transfer_rate, units.PPM))
    free: int256 = min(s.cash, s.equity - convert(kept, int256))
    s.withdrawable = convert(max(free, 0), uint256)
    s.liquidatable = s.equity < convert(s.maintenance, int256)
    return s


@internal
@view
def _terms(market: uint256) -> Bytes[256]:
    blob: address = convert((staticcall MARKETS.book()) & (2**160 - 1), address)
    return slice(blob.code, terms._offset(market), 256)


@internal
@pure
def _health_at(lane: uint256, pin: IMarkets.Pin, market_terms: Bytes[256]) -> int256:
    """
    @notice One leg's value less its maintenance margin at the pin's mark.
    """
    size: int256 = lanes._size(lane)
    raw: uint256 = lanes._bits(abs(size)) * pin.mark
    required: uint256 = terms._maintenance_up(terms._tier(market_terms, raw), raw)
    return legs._value_down(size, lanes._entry(lane), pin) - convert(required, int256)


@internal
@view
def _affords(
    header: uint256,
    words: DynArray[uint256, 64],
    pin: IMarkets.Pin,
    market: uint256,
    lots: uint256,
    buys: bool,
    price: uint256,
    old: int256[2],
) -> bool:
    """
    @notice Whether the account, of `old` equity and maintenance, would pass the margin rule
            of a trade, computed as the ledger would post it.
    """
    change: int256 = convert(lots, int256) if buys else -convert(lots, int256)
    lane: uint256 = lanes._lane_of(header, words, market)
    size: int256 = 0
    entry: int256 = 0
    realised: int256 = 0
    social: int256 = 0
    size, entry, realised, social = legs._apply(
        lanes._size(lane),
        lanes._entry(lane),
        change,
        legs._amount_up(change, price, pin),
        pin.social_long,
        pin.social_short,
    )
    if abs(entry) > lanes.MAX_ENTRY:
        return False
    fee: uint256 = rounding._div_up(lots * price * terms._taker_fee(pin.terms), units.RATE_SCALE)
    count: uint256 = lanes._count(header)
    new_words: DynArray[uint256, 64] = words
    i: uint256 = count
    for j: uint256 in range(count, bound=32):
        if lanes._market(lanes._lane(words[j >> 1], j)) == market:
            i = j
    if i == count:
        if count == units.MAX_PERPS:
            return False
        count += 1
        if i & 1 == 0:
            # A new perp word stands in front of the book.
            new_words.append(0)
            for j: uint256 in range(len(words) - (i >> 1), bound=64):
                at: uint256 = len(words) - j
                new_words[at] = new_words[at - 1]
            new_words[i >> 1] = 0
    offset: uint256 = (i & 1) * lanes.LANE_BITS
    packed: uint256 = lanes._pack(market, size, entry)
    new_words[i >> 1] = (new_words[i >> 1] & ~(lanes.LANE_MASK << offset)) | (packed << offset)
    cash: int256 = lanes._cash(header) + realised - convert(fee, int256)
    equity: int256 = 0
    initial: uint256 = 0
    maintenance: uint256 = 0
    notional: uint256 = 0
    equity, initial, maintenance, notional = self._margin(
        lanes._header(header, cash, count, lanes._mode(header)), new_words
    )
    before: int256 = lanes._size(lane)
    reduces: bool = abs(size) < abs(before) and (size == 0 or (size > 0) == (before > 0))
    flat: bool = size == 0 and count <= 1 and lanes._book_count(header) == 0
    return equity >= convert(initial, int256) or (
        reduces and not flat and old[0] > 0 and equity * old[1] >= old[0] * convert(maintenance, int256)
    )


# ---------------------------------------------------------------- options and futures


@internal
@view
def _max_book_trade(
    header: uint256, words: DynArray[uint256, 64], id: uint256, buys: bool, price: uint256
) -> uint256:
    """
    @return Lots: the largest affordable power of two of contracts, and what can be added to
            it by halves of it
    """
    pin: IMarkets.Pin = staticcall MARKETS.quote(instrument._market(id))
    held: DynArray[uint256, 48] = []
    gross: uint256 = 0
    front: uint256 = lanes._perp_words(header)
    heads: uint256 = front
    for i: uint256 in range(front, len(words), bound=48):
        held.append(words[i])
        if i == heads:
            heads += book._length(words[i])
            if book._market(words[i]) == instrument._market(id):
                gross += book._gross(words[i])
    before: int256[2] = self._health(header, words)
    size: uint256 = 0
    part: uint256 = book.MAX_GROSS
    for step: uint256 in range(35):
        part >>= 1
        if part == 0:
            break
        if gross + size + part >= book.MAX_GROSS:
            continue
        if self._affords_book(header, words, held, id, size + part, buys, price, pin, before):
            size += part
    return size * convert(instrument.CONTRACT, uint256)


@internal
@view
def _affords_book(
    header: uint256,
    words: DynArray[uint256, 64],
    held: DynArray[uint256, 48],
    id: uint256,
    contracts: uint256,
    buys: bool,
    price: uint256,
    pin: IMarkets.Pin,
    old: int256[2],
) -> bool:
    """
    @notice As `_affords`, of contracts of an option or dated future.
    """
    lots: uint256 = contracts * convert(instrument.CONTRACT, uint256)
    change: int256 = convert(lots, int256) if buys else -convert(lots, int256)
    amount: int256 = rounding._ceil_div(
        change * convert(price, int256), convert(units.NOTIONAL_SCALE, int256)
    )
    fee: uint256 = rounding._div_up(lots * pin.mark * terms._taker_fee(pin.terms), units.RATE_SCALE)
    cash: int256 = lanes._cash(header)
    if instrument._kind(id) != instrument.FUTURE:
        fee = min(fee, rounding._div_up(lots * price * terms.FEE_CAP, units.RATE_SCALE))
        cash -= amount
    cash -= convert(fee, int256)
    merged: DynArray[uint256, 48] = []
    reduces: bool = False
    merged, reduces = staticcall BOOK.merge(held, staticcall BOOK.fragment(id, change, amount), False)
    new_words: DynArray[uint256, 64] = []
    for i: uint256 in range(lanes._perp_words(header), bound=16):
        new_words.append(words[i])
    for word: uint256 in merged:
        new_words.append(word)
    after: uint256 = lanes._with_book(
        lanes._header(header, cash, lanes._count(header), lanes._mode(header)), len(merged)
    )
    equity: int256 = 0
    initial: uint256 = 0
    maintenance: uint256 = 0
    notional: uint256 = 0
    equity, initial, maintenance, notional = self._margin(after, new_words)
    return equity >= convert(initial, int256) or (
        reduces
        and not lanes._is_flat(after)
        and old[0] > 0
        and equity * old[1] >= old[0] * convert(maintenance, int256)
    )
