# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title book
@license GNU Affero General Public License v3.0 only
@notice The layout of book words: the options, dated futures and spot of an account.

        A book is a list of segments, sorted by market and then expiry. A segment is a head
        word and ceil(count / 4) words of four lanes, filled from the low bits; the rest of
        the last word is zero. Expiry 0 is the spot of the market.

        head, from the low bits:
            forward int56 (lots) | money int72 | gross uint40 (contracts) | count uint8 |
            expiry uint32 | market uint8 | short uint40 (contracts)
        lane (64 bits), from the low bits:
            log code of the strike, 24 bits | put, 1 bit | size + 2**38, 39 bits (contracts)

        forward: lots of futures less those of puts (of spot: the balance, never negative).
        money: entries of futures less strikes of puts, so that the linear part of a segment
        is worth forward * price - money. gross: sum of |size|; short: of short lanes.
@dev A put is kept as a call and a short forward at its strike (P = C - S + K): a margin
     rule needs calls and a linear part only, and the put flag is read only when the put
     itself moves. No multiple of 10_000 has the code zero, so an unused lane has no name.
"""

MAX_WORDS: constant(uint256) = 48  # of one account
MAX_POSITIONS: constant(uint256) = 128  # lanes and forwards of one account
MAX_GROSS: constant(uint256) = 2**34  # contracts of one underlying, exclusive
MAX_FORWARD: constant(int256) = 2**55 - 1
MAX_MONEY: constant(int256) = 2**71 - 1

LANE_MASK: constant(uint256) = 2**64 - 1
NAME_MASK: constant(uint256) = 2**25 - 1  # code and put flag: what makes two lanes one
CODE_MASK: constant(uint256) = 2**24 - 1
PUT_FLAG: constant(uint256) = 2**24
SIZE_MASK: constant(uint256) = 2**39 - 1
SIZE_BIAS: constant(int256) = 2**38

KEY_SHIFT: constant(uint256) = 176  # of market and expiry in a head
KEY_MASK: constant(uint256) = 2**40 - 1
FORWARD_MASK: constant(uint256) = 2**56 - 1

EACH_LANE: constant(uint256) = 1 + 2**64 + 2**128 + 2**192
NAMES: constant(uint256) = (2**25 - 1) * (1 + 2**64 + 2**128 + 2**192)
FLAGS: constant(uint256) = 2**25 * (1 + 2**64 + 2**128 + 2**192)


# ---------------------------------------------------------------- heads


@internal
@pure
def _forward(head: uint256) -> int256:
    return convert(convert(head << 200, bytes32), int256) >> 200


@internal
@pure
def _money(head: uint256) -> int256:
    return convert(convert(head << 128, bytes32), int256) >> 184


@internal
@pure
def _gross(head: uint256) -> uint256:
    return (head >> 128) & (2**40 - 1)


@internal
@pure
def _count(head: uint256) -> uint256:
    return (head >> 168) & 255


@internal
@pure
def _expiry(head: uint256) -> uint256:
    return (head >> 176) & (2**32 - 1)


@internal
@pure
def _market(head: uint256) -> uint256:
    return (head >> 208) & 255


@internal
@pure
def _short(head: uint256) -> uint256:
    return head >> 216


@internal
@pure
def _key(head: uint256) -> uint256:
    """
    @return market and expiry in one number, by which segments are sorted
    """
    return (head >> 176) & (2**40 - 1)


@internal
@pure
def _key_of(market: uint256, expiry: uint256) -> uint256:
    return (market << 32) | expiry


@internal
@pure
def _length(head: uint256) -> uint256:
    """
    @return Words of the segment, its head included
    """
    return unsafe_add(self._count(head), 7) >> 2


@internal
@pure
def _head(
    key: uint256, forward: int256, money: int256, gross: uint256, short: uint256, count: uint256
) -> uint256:
    assert abs(forward) <= MAX_FORWARD, "book: forward too large"
    assert abs(money) <= MAX_MONEY, "book: money too large"
    assert gross < MAX_GROSS, "book: gross too large"
    return (
        (self._bits(forward) & (2**56 - 1))
        | ((self._bits(money) & (2**72 - 1)) << 56)
        | (gross << 128)
        | (count << 168)
        | (key << 176)
        | (short << 216)
    )


@internal
@pure
def _is_empty(head: uint256) -> bool:
    """
    @return Whether nothing is left of the segment: no lane, no forward, no money
    """
    return head & (2**128 - 1) == 0 and self._count(head) == 0


# ---------------------------------------------------------------- lanes


@internal
@pure
def _lane(word: uint256, i: uint256) -> uint256:
    return (word >> ((i & 3) << 6)) & LANE_MASK


@internal
@pure
def _with_lane(word: uint256, i: uint256, lane: uint256) -> uint256:
    place: uint256 = (i & 3) << 6
    return (word & ~(LANE_MASK << place)) | (lane << place)


@internal
@pure
def _name(lane: uint256) -> uint256:
    return lane & NAME_MASK


@internal
@pure
def _code(lane: uint256) -> uint256:
    return lane & CODE_MASK


@internal
@pure
def _is_put(lane: uint256) -> bool:
    return (lane >> 24) & 1 == 1


@internal
@pure
def _size(lane: uint256) -> int256:
    return unsafe_sub(convert(lane >> 25, int256), SIZE_BIAS)


@internal
@pure
def _pack(name: uint256, size: int256) -> uint256:
    """
    @dev The head's bound on gross keeps |size| far below the bias.
    """
    return name | (self._bits(unsafe_add(size, SIZE_BIAS)) << 25)


@internal
@pure
def _negated(lane: uint256) -> uint256:
    """
    @return The lane with the sign of its size changed; bits above the lane are dropped
    """
    return (lane & NAME_MASK) | (unsafe_sub(2**39, (lane >> 25) & SIZE_MASK) << 25)


@internal
@pure
def _place(word: uint256, flags: uint256) -> uint256:
    """
    @return The index in its segment of the lane that a flag marks in the segment's word
            (1: the first behind the head)
    """
    place: uint256 = unsafe_sub(word, 1) << 2
    if flags & (2**90 - 1) == 0:
        place |= 2
    if flags & ((1 << 25) | (1 << 153)) == 0:
        place |= 1
    return place


@internal
@pure
def _bits(x: int256) -> uint256:
    return convert(convert(x, bytes32), uint256)
