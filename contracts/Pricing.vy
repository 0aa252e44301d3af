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
# Every second 16-bit lane of a word, and the bits above these lanes.
EVERY: constant(uint256) = max_value(uint256) // (2**32 - 1)
LANES: constant(uint256) = EVERY * (2**16 - 1)
GUARDS: constant(uint256) = EVERY * 2**16


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
    sheet: uint256[36] = black._sheet(s0, ratio, a, b)
    self._check_rising(sheet)
    mark: int256 = s0 * ratio >> 64
    err: int256 = max(black._error(mark, a, b), black._error(3 * mark >> 2, a, b))
    err = max(err, black._error(s0, a, b))
    assert err < 2**24, "curve: smile"
    return sheet, convert(err, uint256)


@internal
@pure
def _root(x: uint256, y: uint256) -> uint256:
    """
    @return sqrt(x / y) in 2**-64
    """
    return isqrt((x << 128) // y)


@internal
@pure
def _check_rising(sheet: uint256[36]):
    """
    @notice A call is worth no less at a lower strike: in all three rows every lane is at least
            its left neighbour on the fine grid, which is the phase before, and for phase 0 the
            coarse point before in phase 3. Engines add lanes in one word and rely on it.
    """
    for i: uint256 in range(36):
        table: uint256 = 0
        words: uint256 = 6  # of a phase
        bits: uint256 = 32  # of a point
        if i >= 24:
            table = 24
            words = 3
            bits = 16
        above: uint256 = 0
        last: uint256 = unsafe_add(table, unsafe_mul(3, words))
        if i < last:
            above = sheet[unsafe_add(i, words)]
        else:
            next: uint256 = unsafe_sub(unsafe_add(i, 1), unsafe_mul(3, words))
            above = max_value(uint256)
            if next < unsafe_add(table, words):
                above = sheet[next]
            above = (sheet[unsafe_sub(next, 1)] << bits) | (above >> unsafe_sub(256, bits))
        left: uint256 = sheet[i]
        even: uint256 = unsafe_sub((above & LANES) | GUARDS, left & LANES)
        odd: uint256 = unsafe_sub(((above >> 16) & LANES) | GUARDS, (left >> 16) & LANES)
        assert even & odd & GUARDS == GUARDS, "curve: not monotone"
