# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title rounding
@license GNU Affero General Public License v3.0 only
@notice Division with its rounding in the name. Vyper's signed `//` truncates toward
        zero, which rounds a loss in the user's favour: it is never used bare here.
"""


@internal
@pure
def _floor_div(x: int256, y: int256) -> int256:
    """
    @notice floor(x / y), toward minus infinity.
    @dev The caller guarantees y > 0.
    """
    quotient: int256 = unsafe_div(x, y)
    if x < 0 and unsafe_mul(quotient, y) != x:
        return unsafe_sub(quotient, 1)
    return quotient


@internal
@pure
def _ceil_div(x: int256, y: int256) -> int256:
    """
    @notice ceil(x / y), toward plus infinity.
    @dev The caller guarantees y > 0.
    """
    quotient: int256 = unsafe_div(x, y)
    if x > 0 and unsafe_mul(quotient, y) != x:
        return unsafe_add(quotient, 1)
    return quotient


@internal
@pure
def _div_up(x: uint256, y: uint256) -> uint256:
    """
    @notice ceil(x / y) of unsigned amounts.
    @dev The caller guarantees y > 0 and x + y < 2**256.
    """
    return unsafe_div(unsafe_add(x, unsafe_sub(y, 1)), y)
