# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title sheets
@license GNU Affero General Public License v3.0 only
@notice The value curves of PortfolioMargin (options/curves.vy) as other margin rules read them:
        any of the three rows of an expiry, at any point between the first and the last.
"""

from ..interfaces import ICurves

UP: constant(uint256) = 0  # vol up, now
DOWN: constant(uint256) = 1  # vol down, at the window's end
MARK: constant(uint256) = 2  # the vol itself, at the window's end

# A call's place on the grid is spot - strike in log codes plus this; 2: to nearest.
ORIGIN: constant(int256) = 191 * 2**13 + 2


@internal
@view
def _usable(curves: ICurves, market: uint256, expiry: uint256) -> uint256:
    """
    @return The curve word; reverts unless it may be used now.
    """
    word: uint256 = staticcall curves.curve(market, expiry)
    assert word != 0, "curve: none"
    assert block.timestamp <= self._until(word), "curve: stale"
    return word


@internal
@pure
def _until(word: uint256) -> uint256:
    return (word >> 160) & (2**32 - 1)


@internal
@pure
def _err(word: uint256) -> uint256:
    """
    @return Bound of one value's error, 2**-28 of the spot
    """
    return (word >> 192) & (2**24 - 1)


@internal
@view
def _sheet(curves: ICurves, word: uint256, market: uint256, expiry: uint256) -> Bytes[1184]:
    """
    @return The sheet of a usable curve behind one word of zeros: a lane is the low end of the
            32 bytes that start at its own place and two.
    """
    blob: address = convert(word & (2**160 - 1), address)
    if blob == empty(address):
        return concat(empty(bytes32), abi_encode(staticcall curves.sheet(market, expiry)))
    return concat(empty(bytes32), slice(blob.code, 1, 1152))


@internal
@pure
def _place(spot: uint256, code: uint256) -> int256:
    """
    @param spot the spot's log code; `code` the strike's
    @return Where the call lies: first tap << 14 | fraction of 12 bits << 2. `_value` takes
            taps 0 .. 189.
    """
    return convert(spot, int256) - convert(code, int256) + ORIGIN


@internal
@pure
def _value(sheet: Bytes[1184], row: uint256, place: int256) -> int256:
    """
    @return Value of a call, 2**-28 of the spot: the row's quadratic spline (options/black.vy).
    """
    # Four phases of the fine grid: 192 bytes of pairs (UP, DOWN), then 96 bytes of MARK each.
    first: uint256 = unsafe_add(2, row << 1)
    phase: uint256 = 192
    step: uint256 = 2
    if row == MARK:
        first = 770
        phase = 96
        step = 1
    lanes: uint256[3] = empty(uint256[3])
    n: uint256 = convert(place >> 14, uint256)
    for i: uint256 in range(3):
        at: uint256 = unsafe_add(unsafe_mul(n & 3, phase), (n >> 2) << step)
        lanes[i] = extract32(sheet, unsafe_add(first, at), output_type=uint256) & (2**16 - 1)
        n = unsafe_add(n, 1)
    f: uint256 = convert(place & (2**14 - 1), uint256) >> 2
    after: uint256 = unsafe_mul(f, f) >> 13
    before: uint256 = unsafe_sub(unsafe_add(after, 2048), f)
    between: uint256 = unsafe_sub(4096, unsafe_add(before, after))
    value: uint256 = unsafe_add(unsafe_mul(lanes[1], between), unsafe_mul(lanes[2], after))
    return convert(unsafe_add(value, unsafe_mul(lanes[0], before)), int256)
