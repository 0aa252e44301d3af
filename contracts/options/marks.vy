# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title marks
@license GNU Affero General Public License v3.0 only
@notice What one option is worth at the mark: the unmoved row of its expiry's curve.
"""

from ..interfaces import ICurves
from . import book
from . import instrument
from . import sheets

END: constant(int256) = 190 * 2**14  # behind the row's last tap


@internal
@view
def _option(curves: ICurves, id: uint256, name: uint256, price: uint256, spot: uint256) -> uint256:
    """
    @param id a call or put
    @param name its lane's log code and put flag
    @param price the underlying's mark, whose log code is `spot`
    @return value a coin, price units, rounded down and never below zero. Beyond the row a call is
            worth its intrinsic value. Reverts when the curve may not be used now.
    """
    market: uint256 = instrument._market(id)
    expiry: uint256 = instrument._expiry(id)
    strike: uint256 = instrument._strike(id)
    word: uint256 = sheets._usable(curves, market, expiry)
    place: int256 = sheets._place(spot, name & book.CODE_MASK)
    call: uint256 = 0
    if place >= 0 and place < END:
        sheet: Bytes[1184] = sheets._sheet(curves, word, market, expiry)
        call = (convert(sheets._value(sheet, sheets.MARK, place), uint256) * price) >> 28
    elif price > strike:
        call = price - strike
    if name & book.PUT_FLAG == 0:
        return call
    return max(call + strike, price) - price
