# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Pricing
@license GNU Affero General Public License v3.0 only
@notice Values an expiry: the three rows of its curve by Black-76, and the bound of what reading
        between their points costs (options/black.vy). Holds nothing, trusts nobody.
"""

from .interfaces import IPricing
from .options import black

implements: IPricing

YEAR: constant(uint256) = 31_536_000
MIN_RATIO: constant(uint256) = 2**40  # of vol in rows M and U where the window ends at expiry

@external
@pure
def sheet(
    atm: uint256, skew: int256, curvature: uint256, term: uint256, left: uint256
) -> (uint256[36], uint256):
    """
    @notice See IPricing.
    """
    assert atm >= 10_000 and atm <= 10**8, "curve: vol"
    assert abs(skew) <= 10**7 and curvature <= 10**8, "curve: smile"
    s0: int256 = convert(self._root(term, YEAR) * atm * 13 // 10**7, int256)
    assert s0 < 10 * 2**64 // 3, "curve: vol"
    ratio: int256 = convert(max(self._root(left, term) * 10 // 13, MIN_RATIO), int256)
    a: int256 = skew * 2**64 // 10**6
    b: int256 = convert(curvature, int256) * 2**64 // 10**6
    err: int256 = 0
    narrow: int256 = 0
    coarse: int256 = 0
    err, narrow, coarse = self._worst(s0, ratio, a, b)
    is_coarse: bool = coarse < black.TOO_MUCH
    if is_coarse:
        err = coarse
        narrow = black.TOO_MUCH
    assert min(err, narrow) < black.TOO_MUCH, "curve: smile"
    sheet: uint256[36] = empty(uint256[36])
    dip: uint256 = 0
    sheet, dip = black._sheet(s0, ratio, a, b, is_coarse)
    err = min(err + convert((dip + 2**28 - 1) >> 28, int256), narrow)
    assert err < black.TOO_MUCH, "curve: smile"
    return sheet, convert(err, uint256)


@internal
@pure
def _worst(
    s0: int256, ratio: int256, skew: int256, curvature: int256
) -> (int256, int256, int256):
    """
    @return The greatest of the rows' three bounds
    """
    fine: int256 = 0
    narrow: int256 = 0
    coarse: int256 = 0
    mark: int256 = s0 * ratio >> 64
    for s: int256 in [s0, mark, 3 * mark >> 2]:
        fine_row: int256 = 0
        narrow_row: int256 = 0
        coarse_row: int256 = 0
        fine_row, narrow_row, coarse_row = black._errors(s, skew, curvature)
        fine = max(fine, fine_row)
        narrow = max(narrow, narrow_row)
        coarse = max(coarse, coarse_row)
    return fine, narrow, coarse


@internal
@pure
def _root(x: uint256, y: uint256) -> uint256:
    """
    @return sqrt(x / y) in 2**-64
    """
    return isqrt((x << 128) // y)
