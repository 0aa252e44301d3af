# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title instrument
@license GNU Affero General Public License v3.0 only
@notice What may be traded of an underlying, and the log code of its prices.

        instrument id, from the low bits:
            market uint8 | kind uint8 | expiry uint32 (unix seconds) | strike uint40 (price units)
        The id of a perp is the id of its market.

        log code (24 bits) of a price P: round(ln(P) * 80 * 2**14) - BASE. A step of it is
        7.6e-7 of the price; 2**14 of them are a step of 0.0125 of the value curves.
"""

from snekmate.utils import math

PERP: constant(uint256) = 0
CALL: constant(uint256) = 1
PUT: constant(uint256) = 2
FUTURE: constant(uint256) = 3
SPOT: constant(uint256) = 4

FIRST_BOOK_ID: constant(uint256) = 256  # instruments below it are perps
CONTRACT: constant(int256) = 10_000  # lots of one option or dated future
STRIKE_UNIT: constant(uint256) = 10_000  # price units; contracts * strike // 10**4 is money

CODES_PER_LOG: constant(int256) = 80 * 2**14
BASE: constant(int256) = 19_563_659
MAX_CODE: constant(uint256) = 2**24 - 1
MIN_PRICE: constant(uint256) = 3_035_501  # the least with a code: 0
MAX_PRICE: constant(uint256) = 1_099_511_292_113  # the greatest: MAX_CODE
WAD: constant(int256) = 10**18


@internal
@pure
def _instrument(market: uint256, kind: uint256, expiry: uint256, strike: uint256) -> uint256:
    return market | (kind << 8) | (expiry << 16) | (strike << 48)


@internal
@pure
def _market(id: uint256) -> uint256:
    return id & 255


@internal
@pure
def _kind(id: uint256) -> uint256:
    return (id >> 8) & 255


@internal
@pure
def _expiry(id: uint256) -> uint256:
    return (id >> 16) & (2**32 - 1)


@internal
@pure
def _strike(id: uint256) -> uint256:
    """
    @return The strike; more than 40 bits when the id has bits that mean nothing
    """
    return id >> 48


@internal
@pure
def _log_code(price: uint256) -> uint256:
    """
    @notice The log code of a price, rounded to nearest. It never falls as the price rises.
    """
    assert price >= MIN_PRICE and price <= MAX_PRICE, "log code: price out of range"
    ln: int256 = math._wad_ln(convert(price, int256) * WAD)
    code: int256 = unsafe_div(unsafe_add(unsafe_mul(ln, CODES_PER_LOG), WAD // 2), WAD)
    return convert(code - BASE, uint256)


@internal
@pure
def _strike_of(code: uint256, step: uint256) -> uint256:
    """
    @return The multiple of `step` (price units, above zero) that is nearest to the price
            of the log code
    """
    ln: int256 = unsafe_div((convert(code, int256) + BASE) * WAD, CODES_PER_LOG)
    wad: uint256 = convert(math._wad_exp(ln), uint256)
    unit: uint256 = step * convert(WAD, uint256)
    return (wad + unit // 2) // unit * step
