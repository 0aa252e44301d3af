# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title ledger
@license GNU Affero General Public License v3.0 only
@notice The only writer of cash, positions, open interest, pools and deficits.
@dev Typed stocks, all in money: token balance = sum of cash + insurance + treasury +
     residue - sum of entries - sum of deficits - unsettled (times the token's scale, plus
     donations). A deficit is what socialisation granted and the winners of the market
     have not yet paid; it falls to zero as they close. `unsettled` is what expired series
     paid out so far: it is zero once every account has settled.
"""

from . import lanes
from . import legs
from ..math import units

FIRST_BOOK_WORD: constant(uint256) = 16


event Posted:
    account: indexed(uint256)
    market: indexed(uint256)  # 0: cash only
    change: int256
    size: int256  # after, like entry and cash
    entry: int256
    cash: int256


event ModeSet:
    account: indexed(uint256)
    mode: uint256


headers: public(HashMap[uint256, uint256])
open_interest: public(HashMap[uint256, uint256])  # market -> lots held long (= held short)
deficits: public(HashMap[uint256, int256])  # market -> money
pools: public(HashMap[uint256, uint256])  # 0 cross, market id isolated -> insurance 128 | treasury 128
residue: public(uint256)  # money left over by rounding against users
unsettled: public(int256)  # money paid out at expiry and not yet paid in
_words: HashMap[uint256, uint256[64]]


@internal
@view
def _load(account: uint256) -> (uint256, DynArray[uint256, 64]):
    header: uint256 = self.headers[account]
    words: DynArray[uint256, 64] = []
    count: uint256 = lanes._count(header)
    for i: uint256 in range(unsafe_add(count, 1) >> 1, bound=16):
        words.append(self._words[account][i])
    for i: uint256 in range(lanes._book_count(header), bound=48):
        words.append(self._words[account][unsafe_add(FIRST_BOOK_WORD, i)])
    return header, words


@internal
@view
def _load_book(account: uint256, header: uint256) -> DynArray[uint256, 48]:
    book: DynArray[uint256, 48] = []
    for i: uint256 in range(lanes._book_count(header), bound=48):
        book.append(self._words[account][unsafe_add(FIRST_BOOK_WORD, i)])
    return book


@internal
def _store_book(account: uint256, book: DynArray[uint256, 48]):
    """
    @notice Replace an account's book; only words that change are written.
    """
    header: uint256 = self.headers[account]
    before: uint256 = lanes._book_count(header)
    for i: uint256 in range(max(before, len(book)), bound=48):
        word: uint256 = 0
        if i < len(book):
            word = book[i]
        at: uint256 = unsafe_add(FIRST_BOOK_WORD, i)
        if self._words[account][at] != word:
            self._words[account][at] = word
    if before != len(book):
        self.headers[account] = lanes._with_book(header, len(book))


@internal
def _set_mode(account: uint256, mode: uint256):
    self.headers[account] = lanes._with_mode(self.headers[account], mode)
    log ModeSet(account=account, mode=mode)


@internal
@view
def _find(account: uint256, count: uint256, market: uint256) -> (uint256, uint256):
    """
    @return The position that holds `market` and its lane; `count` and 0 when there is none
    """
    for i: uint256 in range(unsafe_add(count, 1) >> 1, bound=16):
        word: uint256 = self._words[account][i]
        if (word >> 112) & (2**16 - 1) == market:
            return i << 1, word & lanes.LANE_MASK
        if word >> 240 == market:
            return (i << 1) | 1, word >> lanes.LANE_BITS
    return count, 0


@internal
def _write_lane(account: uint256, i: uint256, lane: uint256):
    word: uint256 = self._words[account][i >> 1]
    if i & 1 == 0:
        self._words[account][i >> 1] = (word & ~lanes.LANE_MASK) | lane
    else:
        self._words[account][i >> 1] = (word & lanes.LANE_MASK) | (lane << lanes.LANE_BITS)


@internal
def _write_position(account: uint256, count: uint256, i: uint256, lane: uint256) -> uint256:
    """
    @notice Set position `i` (`count`: a new one); an empty lane removes it and the last
            one takes its place.
    @return The number of positions
    """
    if lane != 0:
        self._write_lane(account, i, lane)
        if i < count:
            return count
        assert count < units.MAX_PERPS, "ledger: too many positions"
        return unsafe_add(count, 1)
    last: uint256 = unsafe_sub(count, 1)
    if i != last:
        self._write_lane(account, i, lanes._lane(self._words[account][last >> 1], last))
    self._write_lane(account, last, 0)
    return last


@internal
def _post_leg(
    account: uint256,
    header: uint256,
    market: uint256,
    i: uint256,
    lane: uint256,
    change: int256,
    amount: int256,
    cash: int256,
    social_long: uint256,
    social_short: uint256,
) -> int256:
    """
    @notice Post a change of position `i`, whose lane is `lane`, and of cash; the cash also
            takes the realised P&L, the market's deficit what the social charge folds.
    @return size after
    """
    size: int256 = 0
    entry: int256 = 0
    realised: int256 = 0
    social: int256 = 0
    size, entry, realised, social = legs._apply(
        lanes._size(lane), lanes._entry(lane), change, amount, social_long, social_short
    )
    if social != 0:
        self.deficits[market] -= social
    packed: uint256 = 0
    if size != 0:
        packed = lanes._pack(market, size, entry)
    count: uint256 = self._write_position(account, lanes._count(header), i, packed)
    mode: uint256 = units.ISOLATED if lanes._is_vault(account) else lanes._mode(header)
    balance: int256 = lanes._cash(header) + cash + realised
    self.headers[account] = lanes._header(header, balance, count, mode)
    log Posted(account=account, market=market, change=change, size=size, entry=entry, cash=balance)
    return size


@internal
def _add_cash(account: uint256, change: int256):
    header: uint256 = lanes._add_cash(self.headers[account], change)
    self.headers[account] = header
    log Posted(account=account, market=0, change=0, size=0, entry=0, cash=lanes._cash(header))


@internal
def _return_cash(vault: uint256):
    """
    @notice A vault that became flat hands its cash back to its parent and disappears.
    """
    self._add_cash(lanes._parent(vault), lanes._cash(self.headers[vault]))
    self.headers[vault] = 0


@internal
def _move_interest(market: uint256, change: int256) -> uint256:
    """
    @notice Move a market's open interest. When nobody holds it any more, what the winners
            paid beyond the deficit by rounding becomes residue.
    @return lots held long
    """
    interest: uint256 = convert(convert(self.open_interest[market], int256) + change, uint256)
    self.open_interest[market] = interest
    if interest == 0:
        left: int256 = self.deficits[market]
        if left != 0:
            self.residue += convert(-left, uint256)
            self.deficits[market] = 0
    return interest


@internal
def _add_pool(pool: uint256, insurance: int256, treasury: int256):
    held: uint256 = self.pools[pool]
    new_insurance: uint256 = convert(convert(held & lanes.LANE_MASK, int256) + insurance, uint256)
    new_treasury: uint256 = convert(convert(held >> 128, int256) + treasury, uint256)
    assert new_insurance < 2**127 and new_treasury < 2**127  # dev: pool out of range
    self.pools[pool] = new_insurance | (new_treasury << 128)


@internal
@view
def _insurance(pool: uint256) -> uint256:
    return self.pools[pool] & lanes.LANE_MASK
