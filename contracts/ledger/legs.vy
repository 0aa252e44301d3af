# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title legs
@license GNU Affero General Public License v3.0 only
@notice The arithmetic of one position: what a change of size does to it and what it is
        worth. Writes nothing; the ledger, the doors and the lens share it.
"""

from ..interfaces import IMarkets
from ..math import rounding
from ..math import units


@internal
@pure
def _apply(
    size: int256, entry: int256, change: int256, amount: int256, social_long: uint256, social_short: uint256
) -> (int256, int256, int256, int256):
    """
    @notice Post a signed change of size with its entry amount to a position.
    @param amount This party's share of the zero-sum entry amount (money, positive buys).
    @return size, entry, realised P&L (rounded down), social: the part of the entries that
            folds the social charge in or out, to be taken from the market's deficit
    """
    if size == 0 or (size > 0) == (change > 0):
        folded: int256 = amount - self._fold(abs(change), change > 0, social_long, social_short)
        return size + change, entry + folded, 0, folded - amount
    closing: int256 = change
    amount_closing: int256 = amount
    if abs(change) > abs(size):
        closing = -size
        amount_closing = rounding._ceil_div(amount * abs(closing), abs(change))
    delta: int256 = amount_closing - self._fold(-abs(closing), size > 0, social_long, social_short)
    released: int256 = entry
    if closing != -size:
        released = rounding._ceil_div(entry * abs(closing), abs(size))
    realised: int256 = -(released + delta)
    social: int256 = delta - amount_closing
    if closing == change:
        return size + closing, entry - released, realised, social
    opening: int256 = change - closing
    amount_opening: int256 = amount - amount_closing
    opened: int256 = amount_opening - self._fold(abs(opening), opening > 0, social_long, social_short)
    return opening, opened, realised, social + opened - amount_opening


@internal
@pure
def _fold(lots: int256, long: bool, social_long: uint256, social_short: uint256) -> int256:
    """
    @notice The social charge that `lots` of a side have behind them; rounded so that who
            opens is credited less and who closes pays more.
    """
    index: uint256 = social_long if long else social_short
    if index == 0:
        return 0
    return rounding._floor_div(lots * convert(index, int256), units.INDEX_SCALE)


@internal
@pure
def _adjusted(size: int256, pin: IMarkets.Pin) -> int256:
    """
    @notice The mark less funding and the social charge of the position's side, index units.
    """
    adjusted: int256 = convert(pin.mark, int256) * units.INDEX_PER_PRICE - pin.funding
    if size > 0:
        return adjusted - convert(pin.social_long, int256)
    return adjusted + convert(pin.social_short, int256)


@internal
@pure
def _value_down(size: int256, entry: int256, pin: IMarkets.Pin) -> int256:
    """
    @notice Unrealised P&L net of funding and social charges, rounded down.
    """
    return rounding._floor_div(size * self._adjusted(size, pin), units.INDEX_SCALE) - entry


@internal
@pure
def _amount_up(change: int256, price: uint256, pin: IMarkets.Pin) -> int256:
    """
    @notice Entry amount of a trade at `price`, rounded up: against the party whose signed
            change it is; the other party's amount is its negative.
    """
    index: int256 = convert(price, int256) * units.INDEX_PER_PRICE - pin.funding
    return rounding._ceil_div(change * index, units.INDEX_SCALE)


@internal
@pure
def _closing_amount(size: int256, closing: int256, pin: IMarkets.Pin) -> int256:
    """
    @notice The entry amount that closes part of a position exactly at its value, rounded
            down; the fold takes the social charge of its side back out.
    """
    return rounding._ceil_div(closing * self._adjusted(size, pin), units.INDEX_SCALE) + self._fold(
        -abs(closing), size > 0, pin.social_long, pin.social_short
    )
