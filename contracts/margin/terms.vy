# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title terms
@license GNU Affero General Public License v3.0 only
@notice The terms of a market as eight words of a code blob (contract code is read for
        2,600 gas once, where slots would cost 2,100 each).

        word 0, from the low bits: maker fee 16 | taker fee 16 | penalty 24 | band 24
            (all ppm) | min notional 48 | open-interest cap 64 (money) | open-interest
            multiple 16 | status 8
        words 1 .. 6, one a tier: lower edge 64 (money) | imf 24 | mmf 24 (ppm) |
            im deduction 64 | mm deduction 64 (money). An absent tier has the largest
            possible lower edge.

        In front of them the blob has a table of one word a market (its id is the index):
        imf 24 | mmf 24 of the first tier | lower edge of the second 64.
"""

from ..math import rounding
from ..math import units

OPEN: constant(uint256) = 1
REDUCE_ONLY: constant(uint256) = 2
NO_TIER: constant(uint256) = 2**64 - 1
FEE_CAP: constant(uint256) = 125_000  # of an option's fee, ppm of its premium

TERM_BYTES: constant(uint256) = 256
# STOP byte, then the ABI head of a dynamic array (offset, length).
FRONT_HEAD: constant(uint256) = 65
BLOB_HEAD: constant(uint256) = 65 + 64 * 32


@internal
@pure
def _offset(market: uint256) -> uint256:
    """
    @return Where a market's terms start in the blob.
    """
    return unsafe_add(BLOB_HEAD, unsafe_mul(TERM_BYTES, unsafe_sub(market, 1)))


@internal
@pure
def _front(first: uint256, second: uint256) -> uint256:
    """
    @return A market's word in the front table, from its first two tiers.
    """
    return ((first >> 64) & (2**48 - 1)) | ((second & (2**64 - 1)) << 48)


@internal
@pure
def _maker_fee(word: uint256) -> uint256:
    return word & (2**16 - 1)


@internal
@pure
def _taker_fee(word: uint256) -> uint256:
    return (word >> 16) & (2**16 - 1)


@internal
@pure
def _penalty(word: uint256) -> uint256:
    return (word >> 32) & (2**24 - 1)


@internal
@pure
def _band(word: uint256) -> uint256:
    return (word >> 56) & (2**24 - 1)


@internal
@pure
def _min_notional(word: uint256) -> uint256:
    return (word >> 80) & (2**48 - 1)


@internal
@pure
def _oi_cap(word: uint256) -> uint256:
    return (word >> 128) & (2**64 - 1)


@internal
@pure
def _oi_multiple(word: uint256) -> uint256:
    return (word >> 192) & (2**16 - 1)


@internal
@pure
def _status(word: uint256) -> uint256:
    return word >> 208


@internal
@pure
def _tier(terms: Bytes[256], notional_raw: uint256) -> uint256:
    """
    @notice The tier word that holds at a notional of `notional_raw` (lots * price).
    """
    tier: uint256 = extract32(terms, 32, output_type=uint256)
    for i: uint256 in range(2, 7):
        next: uint256 = extract32(terms, i * 32, output_type=uint256)
        if unsafe_mul(next & (2**64 - 1), units.NOTIONAL_SCALE) > notional_raw:
            break
        tier = next
    return tier


@internal
@pure
def _initial_up(tier: uint256, notional_raw: uint256) -> uint256:
    """
    @notice Initial margin of one position, rounded up.
    """
    rate: uint256 = (tier >> 64) & (2**24 - 1)
    return rounding._div_up(unsafe_mul(notional_raw, rate), units.RATE_SCALE) - ((tier >> 112) & (2**64 - 1))


@internal
@pure
def _maintenance_up(tier: uint256, notional_raw: uint256) -> uint256:
    """
    @notice Maintenance margin of one position, rounded up.
    """
    rate: uint256 = (tier >> 88) & (2**24 - 1)
    return rounding._div_up(unsafe_mul(notional_raw, rate), units.RATE_SCALE) - (tier >> 176)
