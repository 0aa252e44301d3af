# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title lanes
@license GNU Affero General Public License v3.0 only
@notice The layout of what the ledger stores.

        header (one word an account), from the low bits:
            cash int128 | perp count uint8 | mode uint8 | book word count uint8
        position word: two perp lanes of 128 bits, from the low bits:
            entry int64 (money) | size int48 (lots) | market uint16
        book words (options, dated futures, spot): options/book.vy; handed to engines after
            the perp words
        account id: owner (160 bits) | index (32) | market (32) | number (32);
            market and number are zero for a root account, a vault has both its market
            and its number there, so its parent, market and mode need no storage.
@dev `entry` is the entry notional with the funding index (and the social charge of the
     side) at the time of each trade folded in: position value = size * adjusted mark -
     entry. Opening therefore pays nothing for the past, and touching a position settles
     nothing.
"""

from ..math import units

LANE_BITS: constant(uint256) = 128
LANE_MASK: constant(uint256) = 2**128 - 1
MAX_ENTRY: constant(int256) = 2**63 - 1


@internal
@pure
def _signed(x: uint256) -> int256:
    return convert(convert(x, bytes32), int256)


@internal
@pure
def _bits(x: int256) -> uint256:
    return convert(convert(x, bytes32), uint256)


# ---------------------------------------------------------------- header


@internal
@pure
def _cash(header: uint256) -> int256:
    return convert(convert(header << 128, bytes32), int256) >> 128


@internal
@pure
def _count(header: uint256) -> uint256:
    return (header >> 128) & 255


@internal
@pure
def _mode(header: uint256) -> uint256:
    return (header >> 136) & 255


@internal
@pure
def _book_count(header: uint256) -> uint256:
    return (header >> 144) & 255


@internal
@pure
def _rule(header: uint256) -> uint256:
    """
    @return Which margin rule holds: the mode, or CROSS_BOOK
    """
    mode: uint256 = self._mode(header)
    if mode == units.CROSS and self._book_count(header) != 0:
        return units.CROSS_BOOK
    return mode


@internal
@pure
def _is_flat(header: uint256) -> bool:
    return (header >> 128) & (255 | (255 << 16)) == 0


@internal
@pure
def _perp_words(header: uint256) -> uint256:
    """
    @return How many words the perps take; the book's follow them.
    """
    return unsafe_add(self._count(header), 1) >> 1


@internal
@pure
def _header(header: uint256, cash: int256, count: uint256, mode: uint256) -> uint256:
    """
    @return `header` with new cash, perp count and mode
    """
    assert cash >= -(2**127) and cash < 2**127  # dev: cash out of range
    return ((header >> 144) << 144) | (self._bits(cash) & LANE_MASK) | (count << 128) | (mode << 136)


@internal
@pure
def _with_mode(header: uint256, mode: uint256) -> uint256:
    return (header & ~(convert(255, uint256) << 136)) | (mode << 136)


@internal
@pure
def _with_book(header: uint256, count: uint256) -> uint256:
    return (header & ~(convert(255, uint256) << 144)) | (count << 144)


@internal
@pure
def _add_cash(header: uint256, change: int256) -> uint256:
    cash: int256 = self._cash(header) + change
    assert cash >= -(2**127) and cash < 2**127  # dev: cash out of range
    return (header & ~LANE_MASK) | (self._bits(cash) & LANE_MASK)


# ---------------------------------------------------------------- perp lanes


@internal
@pure
def _lane(word: uint256, i: uint256) -> uint256:
    return (word >> ((i & 1) * LANE_BITS)) & LANE_MASK


@internal
@pure
def _market(lane: uint256) -> uint256:
    return lane >> 112


@internal
@pure
def _size(lane: uint256) -> int256:
    return convert(convert(lane << 144, bytes32), int256) >> 208


@internal
@pure
def _entry(lane: uint256) -> int256:
    return convert(convert(lane << 192, bytes32), int256) >> 192


@internal
@pure
def _pack(market: uint256, size: int256, entry: int256) -> uint256:
    assert abs(size) <= convert(units.MAX_SIZE, int256), "ledger: size too large"
    assert entry <= MAX_ENTRY and entry >= -MAX_ENTRY, "ledger: entry too large"
    return (market << 112) | ((self._bits(size) & (2**48 - 1)) << 64) | (self._bits(entry) & (2**64 - 1))


@internal
@pure
def _lane_of(header: uint256, words: DynArray[uint256, 64], market: uint256) -> uint256:
    """
    @return The account's lane in `market`; 0 when it has none
    """
    for i: uint256 in range(self._count(header), bound=32):
        lane: uint256 = self._lane(words[i >> 1], i)
        if self._market(lane) == market:
            return lane
    return 0


# ---------------------------------------------------------------- account ids


@internal
@pure
def _owner(account: uint256) -> address:
    return convert(account >> 96, address)


@internal
@pure
def _is_vault(account: uint256) -> bool:
    return account & (2**64 - 1) != 0


@internal
@pure
def _parent(account: uint256) -> uint256:
    return (account >> 64) << 64


@internal
@pure
def _vault_market(account: uint256) -> uint256:
    return (account >> 32) & (2**32 - 1)
