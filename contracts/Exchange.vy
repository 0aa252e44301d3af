# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Exchange
@license GNU Affero General Public License v3.0 only
@notice The door through which pairs of signed orders become trades. Anyone may settle a
        pair that crosses; the maker's price holds. The clearinghouse judges the result.

        An order's `market` is an instrument id (options/instrument.vy). Of options the price
        is the premium a coin, of a dated future the forward's; both trade in whole
        contracts. Options pay the market's fee on the notional of the underlying, at most
        terms.FEE_CAP of the premium (the form of Deribit's schedule: 0.03 % of the underlying,
        capped at 12.5 % of the option's price).
"""

from snekmate.utils import eip712_domain_separator
from snekmate.utils import signature_checker

from .interfaces import IAccess
from .interfaces import IBook
from .interfaces import IClearinghouse
from .interfaces import ICurves
from .interfaces import IMarkets
from .ledger import lanes
from .ledger import legs
from .margin import terms
from .math import rounding
from .math import units
from .options import book
from .options import instrument
from .options import marks
from .orders import order

initializes: eip712_domain_separator

exports: eip712_domain_separator.eip712Domain

RIGHT_TRADE: constant(uint256) = 1
LANE: constant(uint256) = 2**64 - 1
SETTLING: constant(uint256) = 1_800  # seconds before expiry: Expiry.WINDOW
REACH: constant(uint256) = 983_040  # |ln(S/K)| of an option that is opened: 0.75 in log codes

CLEARINGHOUSE: public(immutable(IClearinghouse))
ACCESS: public(immutable(IAccess))
MARKETS: public(immutable(IMarkets))
BOOK: public(immutable(IBook))


struct Fill:
    maker: order.Order
    taker: order.Order
    size: uint256  # lots
    maker_signature: Bytes[65]
    taker_signature: Bytes[65]


event Traded:
    maker: indexed(uint256)
    taker: indexed(uint256)
    market: indexed(uint256)  # instrument id
    size: int256  # lots, as the taker sees them
    price: uint256
    maker_fee: uint256
    taker_fee: uint256


event OrderCancelled:
    account: indexed(uint256)
    salt: uint256


event AllCancelled:
    account: indexed(uint256)
    below: uint256


# account -> salt >> 2 -> four lanes of 64 bits: lots filled, all ones when cancelled
_filled: HashMap[uint256, HashMap[uint256, uint256]]
# account -> salts below this are cancelled
cancelled_below: public(HashMap[uint256, uint256])


@deploy
def __init__(clearinghouse: address, markets: address):
    eip712_domain_separator.__init__("margincall", "1")
    CLEARINGHOUSE = IClearinghouse(clearinghouse)
    ACCESS = IAccess(staticcall IClearinghouse(clearinghouse).ACCESS())
    MARKETS = IMarkets(markets)
    BOOK = IBook(staticcall IClearinghouse(clearinghouse).BOOK())


@external
def settle(fills: DynArray[Fill, 10]):
    """
    @notice Settle pairs of signed orders, all or none.
    """
    for fill: Fill in fills:
        self._accept(fill.maker, fill.size, fill.maker_signature)
        self._accept(fill.taker, fill.size, fill.taker_signature)
        self._settle(fill.maker, fill.taker, fill.size)


@external
def cancel(account: uint256, salt: uint256):
    """
    @notice Cancel the orders of one salt. Owner or trading delegate.
    """
    self._check_party(account)
    offset: uint256 = (salt & 3) * 64
    self._filled[account][salt >> 2] |= LANE << offset
    log OrderCancelled(account=account, salt=salt)


@external
def cancel_all(account: uint256, below: uint256):
    """
    @notice Cancel every order of an account with a salt below `below`. Owner or trading
            delegate. The bound only rises.
    """
    self._check_party(account)
    assert below > self.cancelled_below[account], "order: bound must rise"
    self.cancelled_below[account] = below
    log AllCancelled(account=account, below=below)


@external
@view
def filled(account: uint256, salt: uint256) -> uint256:
    """
    @return Lots filled of an account's orders with this salt; 2**64 - 1 when cancelled
    """
    return (self._filled[account][salt >> 2] >> ((salt & 3) * 64)) & LANE


@external
@view
def hash_order(o: order.Order) -> bytes32:
    """
    @return The EIP-712 digest to sign
    """
    return eip712_domain_separator._hash_typed_data_v4(order._hash(o))


@external
@view
def mark_of(id: uint256) -> uint256:
    """
    @return What the price of an instrument is banded around now, price units: of an option
            its value at the mark (rounded down), of a future or a perp the mark
    """
    price: uint256 = (staticcall MARKETS.quote(instrument._market(id))).mark
    if not self._is_option(id):
        return price
    name: uint256 = (staticcall BOOK.fragment(id, instrument.CONTRACT, 0))[1] & book.NAME_MASK
    return marks._option(self._curves(), id, name, price, instrument._log_code(price))


# ---------------------------------------------------------------- internal


@internal
def _accept(o: order.Order, lots: uint256, signature: Bytes[65]):
    """
    @notice Check an order's life, use up part of it, check its signature.
    """
    assert block.timestamp <= o.expiry, "order: expired"
    assert o.salt >= self.cancelled_below[o.account], "order: cancelled"
    offset: uint256 = (o.salt & 3) * 64
    word: uint256 = self._filled[o.account][o.salt >> 2]
    used: uint256 = (word >> offset) & LANE
    assert used != LANE, "order: cancelled"
    assert lots > 0 and used + lots <= lanes._bits(abs(o.size)), "order: size exceeded"
    assert used + lots < LANE, "order: size exceeded"
    self._filled[o.account][o.salt >> 2] = word + (lots << offset)

    owner: address = lanes._owner(o.account)
    digest: bytes32 = eip712_domain_separator._hash_typed_data_v4(order._hash(o))
    signer: address = empty(address)
    if len(signature) == 65:
        # Recovered without the malleability check: a signature is no identifier here, and
        # a contract wallet's may be any 65 bytes.
        signer = ecrecover(
            digest,
            convert(slice(signature, 64, 1), uint256),
            extract32(signature, 0, output_type=uint256),
            extract32(signature, 32, output_type=uint256),
        )
    if signer == owner and signer != empty(address):
        return
    if signer != empty(address) and staticcall ACCESS.may(owner, signer, RIGHT_TRADE):
        return
    assert owner.is_contract, "order: bad signature"
    assert signature_checker._is_valid_ERC1271_signature_now(owner, digest, signature), "order: bad signature"


@internal
def _settle(maker: order.Order, taker: order.Order, lots: uint256):
    """
    @notice Price a pair, build its zero-sum entries, have them posted.
    """
    assert maker.market == taker.market, "order: other market"
    buys: bool = taker.size > 0
    assert buys != (maker.size > 0), "order: same side"
    assert taker.price >= maker.price if buys else taker.price <= maker.price, "order: prices do not cross"
    assert maker.account >> 96 != taker.account >> 96, "order: self trade"
    if maker.market >= instrument.FIRST_BOOK_ID:
        self._settle_book(maker, taker, lots, buys)
        return
    quote: IMarkets.Pin = staticcall MARKETS.quote(maker.market)
    price: uint256 = maker.price
    away: uint256 = max(price, quote.mark) - min(price, quote.mark)
    assert away * units.PPM <= quote.mark * terms._band(quote.terms), "order: price outside band"
    raw: uint256 = lots * price
    maker_fee: uint256 = self._fee(raw, terms._maker_fee(quote.terms), maker.maxFee)
    taker_fee: uint256 = self._fee(raw, terms._taker_fee(quote.terms), taker.maxFee)
    change: int256 = convert(lots, int256) if buys else -convert(lots, int256)
    # One entry amount for both, rounded against the taker, so that entries stay zero-sum.
    amount: int256 = legs._amount_up(change, price, quote)
    extcall CLEARINGHOUSE.trade(
        IClearinghouse.Trade(
            market=maker.market,
            maker=maker.account,
            taker=taker.account,
            change=change,
            amount=amount,
            maker_fee=maker_fee,
            taker_fee=taker_fee,
            maker_margin=self._margin_part(maker, lots),
            taker_margin=self._margin_part(taker, lots),
            reduce_only=convert(maker.reduceOnly, uint256) | (convert(taker.reduceOnly, uint256) << 1),
        )
    )
    log Traded(
        maker=maker.account,
        taker=taker.account,
        market=maker.market,
        size=change,
        price=price,
        maker_fee=maker_fee,
        taker_fee=taker_fee,
    )


@internal
def _settle_book(maker: order.Order, taker: order.Order, lots: uint256, buys: bool):
    """
    @notice Price a pair in an option or a dated future and have it posted. Unless both
            orders only reduce the underlying's market is open and the settlement price is
            not being averaged yet; unless one of them does the
            strike is near the mark, as the curves have it.
    """
    id: uint256 = maker.market
    reduces: bool = maker.reduceOnly and taker.reduceOnly
    assert maker.margin == 0 and taker.margin == 0, "order: margin needs a vault"
    assert instrument._kind(id) != instrument.SPOT, "order: spot is not traded"
    pin: IMarkets.Pin = extcall MARKETS.pin(instrument._market(id))
    if not reduces:
        assert terms._status(pin.terms) == terms.OPEN, "clearing: market is reduce-only"
        assert not pin.grace, "clearing: grace after outage"
    change: int256 = convert(lots, int256) if buys else -convert(lots, int256)
    price: uint256 = maker.price
    assert price <= units.MAX_PRICE, "order: price outside band"
    # One amount for both, rounded against the taker.
    amount: int256 = rounding._ceil_div(change * convert(price, int256), convert(units.NOTIONAL_SCALE, int256))
    fragment: DynArray[uint256, 2] = staticcall BOOK.fragment(id, change, amount)
    # The settlement price is largely known before the book judges at it.
    assert reduces or block.timestamp + SETTLING < book._expiry(fragment[0]), "order: settling"
    option: bool = self._is_option(id)
    mark: uint256 = pin.mark
    if option:
        spot: uint256 = instrument._log_code(pin.mark)
        code: uint256 = fragment[1] & book.CODE_MASK
        if not (maker.reduceOnly or taker.reduceOnly):
            assert max(code, spot) - min(code, spot) <= REACH, "order: strike too far"
        mark = marks._option(self._curves(), id, fragment[1] & book.NAME_MASK, pin.mark, spot)
    away: uint256 = max(price, mark) - min(price, mark)
    assert away * units.PPM <= pin.mark * terms._band(pin.terms), "order: price outside band"
    maker_fee: uint256 = self._fee(lots * pin.mark, terms._maker_fee(pin.terms), maker.maxFee)
    taker_fee: uint256 = self._fee(lots * pin.mark, terms._taker_fee(pin.terms), taker.maxFee)
    if option:
        cap: uint256 = rounding._div_up(lots * price * terms.FEE_CAP, units.RATE_SCALE)
        maker_fee = min(maker_fee, cap)
        taker_fee = min(taker_fee, cap)
    extcall CLEARINGHOUSE.trade_book(
        IClearinghouse.BookTrade(
            maker=maker.account,
            taker=taker.account,
            fragment=fragment,
            cash=amount if option else 0,
            maker_fee=maker_fee,
            taker_fee=taker_fee,
            reduce_only=convert(maker.reduceOnly, uint256) | (convert(taker.reduceOnly, uint256) << 1),
        )
    )
    log Traded(
        maker=maker.account,
        taker=taker.account,
        market=id,
        size=change,
        price=price,
        maker_fee=maker_fee,
        taker_fee=taker_fee,
    )


@internal
@view
def _curves() -> ICurves:
    return ICurves(staticcall CLEARINGHOUSE.engines(units.PORTFOLIO))


@internal
@pure
def _is_option(id: uint256) -> bool:
    kind: uint256 = instrument._kind(id)
    return kind == instrument.CALL or kind == instrument.PUT


@internal
@pure
def _margin_part(o: order.Order, lots: uint256) -> uint256:
    """
    @notice A fill's share of the order's margin, rounded up: many fills move no less.
    """
    if o.margin == 0:
        return 0
    assert lanes._is_vault(o.account) and o.margin < 2**96, "order: margin needs a vault"
    return rounding._div_up(o.margin * lots, lanes._bits(abs(o.size)))


@internal
@pure
def _fee(raw: uint256, rate: uint256, max_rate: uint256) -> uint256:
    """
    @notice Fee in money, rounded up.
    """
    assert rate <= max_rate, "order: fee above max"
    return rounding._div_up(raw * rate, units.RATE_SCALE)


@internal
@view
def _check_party(account: uint256):
    owner: address = lanes._owner(account)
    assert staticcall ACCESS.may(owner, msg.sender, RIGHT_TRADE), "order: not owner or delegate"
