# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title slices
@license GNU Affero General Public License v3.0 only
@notice What needs the strikes of a segment: the part of it that leaves with a slice, and
        what its lanes pay at expiry.
"""

from . import book
from . import instrument
from ..math import rounding

QUANTA: constant(int256) = 1_000  # a slice is so many thousandths


@internal
@pure
def _split(
    parts: DynArray[uint256, 48], words: DynArray[uint256, 48], i: uint256, quanta: int256, step: uint256
) -> DynArray[uint256, 48]:
    """
    @notice Append the part of the segment at word `i` that leaves.
    @param step the strike step of its market; needed for puts only
    """
    out: DynArray[uint256, 48] = parts
    at: uint256 = len(out)
    out.append(0)
    head: uint256 = words[i]
    count: uint256 = book._count(head)
    gross: int256 = 0
    short: int256 = 0
    # The linear part: `futures` and `entry` of the whole, `forward` and `money` of the part.
    futures: int256 = book._forward(head)
    entry: int256 = book._money(head)
    forward: int256 = 0
    money: int256 = 0
    word: uint256 = 0
    for j: uint256 in range(count, bound=128):
        lane: uint256 = words[unsafe_add(unsafe_add(i, 1), j >> 2)] >> ((j & 3) << 6)
        name: uint256 = lane & book.NAME_MASK
        size: int256 = unsafe_sub(convert((lane >> 25) & book.SIZE_MASK, int256), book.SIZE_BIAS)
        part: int256 = 0
        if size < 0:
            part = unsafe_div(unsafe_sub(unsafe_mul(size, quanta), QUANTA - 1), QUANTA)
            gross = unsafe_sub(gross, part)
            short = unsafe_sub(short, part)
        else:
            part = unsafe_div(unsafe_add(unsafe_mul(size, quanta), QUANTA - 1), QUANTA)
            gross = unsafe_add(gross, part)
        if name >= book.PUT_FLAG:
            strike: uint256 = instrument._strike_of(name & book.CODE_MASK, step)
            futures += size * instrument.CONTRACT
            entry += self._strikes(size, strike)
            forward -= part * instrument.CONTRACT
            money -= self._strikes(part, strike)
        word |= book._pack(name, part) << ((j & 3) << 6)
        if j & 3 == 3:
            out.append(word)
            word = 0
    if word != 0:
        out.append(word)
    if futures != 0:
        leaves: int256 = 0
        if book._expiry(head) == 0:
            leaves = self._part(futures, quanta)
        else:
            leaves = self._part(futures // instrument.CONTRACT, quanta) * instrument.CONTRACT
        forward += leaves
        money += rounding._floor_div(entry * abs(leaves), abs(futures))
    out[at] = book._head(
        book._key(head), forward, money, convert(gross, uint256), convert(short, uint256), count
    )
    if book._is_empty(out[at]):
        out.pop()
    return out


@internal
@pure
def _part(size: int256, quanta: int256) -> int256:
    """
    @return So many thousandths of a size, away from zero
    """
    part: int256 = rounding._ceil_div(abs(size) * quanta, QUANTA)
    return part if size > 0 else -part


@internal
@pure
def _calls(segment: DynArray[uint256, 48], price: uint256, step: uint256) -> int256:
    """
    @return What a segment's lanes pay at `price`, each as a call, money
    """
    paid: int256 = 0
    code: uint256 = instrument._log_code(min(max(price, instrument.MIN_PRICE), instrument.MAX_PRICE))
    for j: uint256 in range(book._count(segment[0]), bound=128):
        lane: uint256 = segment[unsafe_add(1, j >> 2)] >> ((j & 3) << 6)
        # Codes are in the order of strikes: above the price's there is nothing to pay.
        if lane & book.CODE_MASK <= code:
            strike: uint256 = instrument._strike_of(lane & book.CODE_MASK, step)
            if strike < price:
                paid += self._strikes(book._size(lane & book.LANE_MASK), price - strike)
    return paid


@internal
@pure
def _strikes(contracts: int256, strike: uint256) -> int256:
    """
    @return The strikes of so many contracts, money; exact
    """
    return contracts * convert(strike // instrument.STRIKE_UNIT, int256)
