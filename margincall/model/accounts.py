"""Account ids, and the storage words of an account, exactly as the ledger stores them.

id (uint256): owner (160 bits) << 96 | index (32) << 64 | market (32) << 32 | number (32).
A root account has market = number = 0; a vault carries its market and number.
header: cash int128 | count uint8 << 128 | mode uint8 << 136 | book words uint8 << 144.
position word: two lanes of 128 bits; lane: entry int64 | size int48 << 64 | market uint16 << 112.
"""

from collections.abc import Iterable, Sequence

from margincall.model.arithmetic import MAX_ENTRY, MAX_SIZE

CROSS = 0
ISOLATED = 1
PORTFOLIO = 2

LOW_64 = 2**64 - 1
_LANE = 2**128 - 1

Position = tuple[int, int, int]  # market, size (lots, signed), entry (money, signed)


def root(owner: int | str, index: int = 0) -> int:
    """Id of the owner's root account number `index` (32 bits). owner: address as int or 0x-string."""
    if isinstance(owner, str):
        owner = int(owner, 16)
    if not 0 <= owner < 2**160:
        raise ValueError(f"owner: {owner:#x} is not an address of 160 bits")
    if not 0 <= index < 2**32:
        raise ValueError(f"index: {index} does not fit 32 bits")
    return owner << 96 | index << 64


def vault(parent: int, market: int, number: int = 0) -> int:
    """Id of the root's vault `number` (32 bits) in `market` (1 .. 2**32 - 1)."""
    if is_vault(parent):
        raise ValueError(f"parent: {parent:#x} is itself a vault; pass its root account")
    if not 1 <= market < 2**32 or not 0 <= number < 2**32:
        raise ValueError(f"vault: market {market} must be 1 or more and number {number} must fit 32 bits")
    return parent | market << 32 | number


def is_vault(account: int) -> bool:
    """Whether the id names a vault (an account in ISOLATED mode)."""
    return account & LOW_64 != 0


def parent(account: int) -> int:
    """The root account of a vault; of a root account, itself."""
    return account >> 64 << 64


def owner_of(account: int) -> int:
    """Address of the owner, as int."""
    return account >> 96


def index_of(account: int) -> int:
    """Index of the account's root among its owner's."""
    return account >> 64 & 0xFFFFFFFF


def market_of(account: int) -> int:
    """Market of a vault; 0 for a root account."""
    return account >> 32 & 0xFFFFFFFF


def number_of(account: int) -> int:
    """Number of a vault within its market; 0 for a root account."""
    return account & 0xFFFFFFFF


def mode_of(account: int) -> int:
    """Mode that an id implies: ISOLATED for a vault, CROSS for a root account."""
    return ISOLATED if account & LOW_64 else CROSS


def pack_header(cash: int, count: int, mode: int, book: int = 0) -> int:
    """Header word. cash: money, int128; count of perps, mode, book words: uint8. Raises ValueError when
    cash overflows."""
    if not -(2**127) <= cash < 2**127:
        raise ValueError(f"cash: {cash} does not fit int128")
    return cash & _LANE | count << 128 | mode << 136 | book << 144


def unpack_header(word: int) -> tuple[int, int, int]:
    """(cash, count, mode) of a header word."""
    return _signed(word & _LANE, 128), word >> 128 & 255, word >> 136 & 255


def pack_lane(market: int, size: int, entry: int) -> int:
    """One 128-bit lane. Raises ValueError when size or entry is out of bounds."""
    if abs(size) > MAX_SIZE or abs(entry) > MAX_ENTRY or not 0 <= market < 2**16:
        raise ValueError(f"lane: market {market}, size {size}, entry {entry} does not fit")
    return market << 112 | (size & (2**48 - 1)) << 64 | entry & LOW_64


def unpack_lane(lane: int) -> Position:
    """(market, size, entry) of a 128-bit lane."""
    return lane >> 112, _signed(lane >> 64 & (2**48 - 1), 48), _signed(lane & LOW_64, 64)


def pack_words(positions: Sequence[Position]) -> list[int]:
    """Position words, two lanes each, the even lane low; the unused lane of an odd count is 0."""
    lanes = [pack_lane(*position) for position in positions]
    if len(lanes) & 1:
        lanes.append(0)
    return [low | high << 128 for low, high in zip(lanes[::2], lanes[1::2], strict=True)]


def unpack_words(words: Iterable[int], count: int) -> tuple[Position, ...]:
    """The first `count` positions of an account's words."""
    lanes = [lane for word in words for lane in (word & _LANE, word >> 128)]
    if len(lanes) < count:
        raise ValueError(f"words: {len(lanes)} lanes for {count} positions")
    return tuple(unpack_lane(lane) for lane in lanes[:count])


def _signed(bits: int, width: int) -> int:
    return bits - (1 << width) if bits >> (width - 1) else bits
