# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title marks
@license GNU Affero General Public License v3.0 only
@notice What one option is worth at the mark: the unmoved row of its expiry's curve, between the
        points that the margin rule takes.
"""

from ..interfaces import ICurves
from . import book
from . import instrument

ROW: constant(uint256) = 768  # bytes of a sheet before the mark's row
PHASE: constant(uint256) = 96  # bytes of every fourth point of it
# The code of a spot at the row's first point of interpolation; 2: to nearest.
ORIGIN: constant(uint256) = 95 * 2**14 + 2
LAST_TAP: constant(uint256) = 189


@internal
@view
def _option(reader: ICurves, id: uint256, name: uint256, price: uint256, spot: uint256) -> uint256:
    """
    @param id a call or put
    @param name its lane's log code and put flag
    @param price the underlying's mark, whose log code is `spot`
    @return value a coin, price units, rounded down and never below zero. Beyond the row a call is
            worth its intrinsic value. Reverts when the curve may not be used now.
    """
    strike: uint256 = instrument._strike(id)
    call: uint256 = 0
    y: uint256 = unsafe_sub(unsafe_add(spot, ORIGIN), name & book.CODE_MASK)
    tap: uint256 = y >> 14
    row: Bytes[384] = self._row(reader, instrument._market(id), instrument._expiry(id))
    if tap <= LAST_TAP:
        f: uint256 = (y >> 2) & 4095
        t: uint256 = unsafe_mul(f, unsafe_sub(4096, f)) >> 13
        up: uint256 = unsafe_add(
            unsafe_mul(self._point(row, unsafe_add(tap, 1)), unsafe_sub(unsafe_add(4096, 2 * t), f)),
            unsafe_mul(self._point(row, unsafe_add(tap, 2)), unsafe_sub(f, t)),
        )
        call = (unsafe_sub(up, unsafe_mul(self._point(row, tap), t)) * price) >> 28
    elif price > strike:
        call = price - strike
    if name & book.PUT_FLAG == 0:
        return call
    return max(call + strike, price) - price


@internal
@view
def _row(reader: ICurves, market: uint256, expiry: uint256) -> Bytes[384]:
    word: uint256 = staticcall reader.curve(market, expiry)
    assert word != 0, "curve: none"
    assert block.timestamp <= (word >> 160) & (2**32 - 1), "curve: stale"
    blob: address = convert(word & (2**160 - 1), address)
    if blob == empty(address):
        return slice(abi_encode(staticcall reader.sheet(market, expiry)), ROW, 384)
    return slice(blob.code, ROW + 1, 384)


@internal
@pure
def _point(row: Bytes[384], n: uint256) -> uint256:
    """
    @return The value at a point of the fine grid, 2**-16 of the price
    """
    at: uint256 = unsafe_add(unsafe_mul(n & 3, PHASE), (n >> 2) << 1)
    if at <= 352:
        return convert(extract32(row, at), uint256) >> 240
    return (convert(extract32(row, 352), uint256) >> unsafe_mul(8, unsafe_sub(382, at))) & (2**16 - 1)
