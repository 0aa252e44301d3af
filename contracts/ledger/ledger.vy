# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title ledger
@license GNU Affero General Public License v3.0 only
@notice The only writer of cash, positions, open interest, pools and deficits.
@dev Typed stocks, all in money: token balance = sum of cash + insurance + treasury +
     residue - sum of entries - sum of deficits (times the token's scale, plus
     donations). A deficit is what socialisation granted and the winners of the market
     have not yet paid; it falls to zero as they close.
"""

from . import lanes
from . import legs
from ..math import rounding
from ..math import units

headers: public(HashMap[uint256, uint256])
open_interest: public(HashMap[uint256, uint256])  # market -> lots held long 128 | short 128
deficits: public(HashMap[uint256, int256])  # market -> money
pools: public(HashMap[uint256, uint256])  # 0 cross, market id isolated -> insurance 128 | treasury 128
residue: public(uint256)  # money left over by rounding against users
_words: HashMap[uint256, uint256[64]]


@internal
@view
def _load(account: uint256) -> (uint256, DynArray[uint256, 64]):
    header: uint256 = self.headers[account]
    words: DynArray[uint256, 64] = []
    count: uint256 = lanes._count(header)
    for i: uint256 in range(unsafe_add(count, 1) >> 1, bound=16):
        words.append(self._words[account][i])
    return header, words


@internal
@view
def _find(account: uint256, count: uint256, market: uint256) -> uint256:
    """
    @return The lane that holds `market`, or `count`.
    """
    for word: uint256 in range(unsafe_add(count, 1) >> 1, bound=16):
        packed: uint256 = self._words[account][word]
        if lanes._market(packed & lanes.LANE_MASK) == market:
            return word << 1
        if lanes._market(packed >> lanes.LANE_BITS) == market:
            return (word << 1) | 1
    return count


@internal
@view
def _read_lane(account: uint256, i: uint256) -> uint256:
    return lanes._lane(self._words[account][i >> 1], i)


@internal
def _write_lane(account: uint256, i: uint256, lane: uint256):
    offset: uint256 = (i & 1) * lanes.LANE_BITS
    packed: uint256 = self._words[account][i >> 1]
    self._words[account][i >> 1] = (packed & ~(lanes.LANE_MASK << offset)) | (lane << offset)


@internal
def _post_leg(
    account: uint256,
    market: uint256,
    change: int256,
    amount: int256,
    social_long: uint256,
    social_short: uint256,
) -> (int256, int256, int256):
    """
    @notice Post a change of position; the account's cash takes the realised P&L, open
            interest and the market's deficit follow.
    @return size before, size after, entry after
    """
    assert change != 0, "ledger: zero size"
    header: uint256 = self.headers[account]
    count: uint256 = lanes._count(header)
    mode: uint256 = units.ISOLATED if lanes._is_vault(account) else lanes._mode(header)
    i: uint256 = self._find(account, count, market)
    size: int256 = 0
    entry: int256 = 0
    if i < count:
        lane: uint256 = self._read_lane(account, i)
        size = lanes._size(lane)
        entry = lanes._entry(lane)
    new_size: int256 = 0
    realised: int256 = 0
    social: int256 = 0
    new_size, entry, realised, social = legs._apply(size, entry, change, amount, social_long, social_short)
    if social != 0:
        self.deficits[market] -= social
    self._count_interest(market, size, new_size)
    if new_size != 0:
        self._write_lane(account, i, lanes._pack(market, new_size, entry))
        if i == count:
            assert count < units.MAX_PERPS, "ledger: too many positions"
            count = unsafe_add(count, 1)
    else:
        # The last lane takes the place of the emptied one.
        count = unsafe_sub(count, 1)
        if i != count:
            self._write_lane(account, i, self._read_lane(account, count))
        self._write_lane(account, count, 0)
    self.headers[account] = lanes._header(lanes._cash(header) + realised, count, mode)
    return size, new_size, entry


@internal
def _add_cash(account: uint256, change: int256):
    self.headers[account] = lanes._add_cash(self.headers[account], change)


@internal
def _return_cash(vault: uint256):
    """
    @notice A vault that became flat hands its cash back to its parent and disappears.
    """
    self._add_cash(lanes._parent(vault), lanes._cash(self.headers[vault]))
    self.headers[vault] = 0


@internal
def _count_interest(market: uint256, before: int256, after: int256):
    """
    @notice Move the market's lots held long and short with one position. Until all
            entries are posted the two may differ.
    """
    longs: int256 = max(after, 0) - max(before, 0)
    shorts: int256 = max(-after, 0) - max(-before, 0)
    held: uint256 = self.open_interest[market]
    self.open_interest[market] = convert(convert(held & lanes.LANE_MASK, int256) + longs, uint256) | (
        convert(convert(held >> 128, int256) + shorts, uint256) << 128
    )


@internal
def _close_interest(market: uint256) -> uint256:
    """
    @notice Check that a market is zero-sum. When nobody holds it any more, what the
            winners paid beyond the deficit by rounding becomes residue.
    @return lots held long
    """
    held: uint256 = self.open_interest[market]
    assert held & lanes.LANE_MASK == held >> 128, "ledger: not zero-sum"
    if held == 0:
        left: int256 = self.deficits[market]
        if left != 0:
            self.residue += convert(-left, uint256)
            self.deficits[market] = 0
    return held >> 128


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
