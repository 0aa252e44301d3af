# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Packing
@license GNU Affero General Public License v3.0 only
@notice What halmos proves of the packed layouts, on the bytecode of the modules themselves. A check that
        does not hold fails with Panic(1); a plain assert is an assumption.
"""

from contracts.ledger import lanes
from contracts.options import book
from contracts.options import instrument


@external
@pure
def check_header_keeps_its_fields(old: uint256, cash: int256, count: uint256, mode: uint256):
    assert count < 256 and mode < 256
    header: uint256 = lanes._header(old, cash, count, mode)
    same: bool = lanes._cash(header) == cash and lanes._count(header) == count
    self._hold(same and lanes._mode(header) == mode and header >> 144 == old >> 144)


@external
@pure
def check_mode_and_book_count_are_written_alone(old: uint256, given: uint256):
    assert given < 256
    mode: uint256 = lanes._with_mode(old, given)
    self._hold(lanes._mode(mode) == given and lanes._cash(mode) == lanes._cash(old))
    self._hold(lanes._count(mode) == lanes._count(old) and mode >> 144 == old >> 144)
    words: uint256 = lanes._with_book(old, given)
    self._hold(lanes._book_count(words) == given and words & (2**144 - 1) == old & (2**144 - 1))
    self._hold(words >> 152 == old >> 152)


@external
@pure
def check_cash_is_added_alone(old: uint256, change: int256):
    header: uint256 = lanes._add_cash(old, change)
    self._hold(lanes._cash(header) == unsafe_add(lanes._cash(old), change) and header >> 128 == old >> 128)


@external
@pure
def check_flat_means_no_position_and_no_book(header: uint256):
    flat: bool = lanes._count(header) == 0 and lanes._book_count(header) == 0
    self._hold(lanes._is_flat(header) == flat)


@external
@pure
def check_perp_lane_round_trip(market: uint256, size: int256, entry: int256):
    assert market < 2**16
    lane: uint256 = lanes._pack(market, size, entry)
    self._hold(lanes._market(lane) == market and lanes._size(lane) == size)
    self._hold(lanes._entry(lane) == entry and lane < 2**128)


@external
@pure
def check_perp_lanes_of_a_word_are_independent(low: uint256, high: uint256):
    assert low < 2**128 and high < 2**128
    word: uint256 = low | (high << 128)
    self._hold(lanes._lane(word, 0) == low and lanes._lane(word, 1) == high)
    self._hold(lanes._lane(word, 30) == low and lanes._lane(word, 31) == high)


@external
@pure
def check_account_id_round_trip(owner: address, index: uint256, market: uint256, number: uint256):
    assert index < 2**32 and market < 2**32 and number < 2**32
    id: uint256 = (convert(owner, uint256) << 96) | (index << 64) | (market << 32) | number
    self._hold(lanes._owner(id) == owner and lanes._vault_market(id) == market)
    self._hold(lanes._is_vault(id) == (market != 0 or number != 0))
    root: uint256 = lanes._parent(id)
    self._hold(not lanes._is_vault(root) and lanes._owner(root) == owner and (root >> 64) & (2**32 - 1) == index)


@external
@pure
def check_ids_with_one_owner_differ(one: uint256, two: uint256):
    # An id is its parts: parts that agree make equal ids, so accounts never collide.
    same: bool = lanes._owner(one) == lanes._owner(two) and lanes._vault_market(one) == lanes._vault_market(two)
    same = same and lanes._parent(one) == lanes._parent(two) and one & (2**32 - 1) == two & (2**32 - 1)
    self._hold(same == (one == two))


@external
@pure
def check_instrument_id_round_trip(market: uint256, kind: uint256, expiry: uint256, strike: uint256):
    assert market < 2**8 and kind < 2**8 and expiry < 2**32 and strike < 2**40
    id: uint256 = instrument._instrument(market, kind, expiry, strike)
    self._hold(instrument._market(id) == market and instrument._kind(id) == kind)
    self._hold(instrument._expiry(id) == expiry and instrument._strike(id) == strike)


@external
@pure
def check_instrument_of_a_perp_is_its_market(market: uint256):
    assert market < 2**8
    self._hold(instrument._instrument(market, instrument.PERP, 0, 0) == market)


@external
@pure
def check_book_head_round_trip(
    market: uint256, expiry: uint256, forward: int256, money: int256, gross: uint256, short: uint256, count: uint256
):
    assert market < 2**8 and expiry < 2**32 and count < 2**8 and short <= gross
    key: uint256 = book._key_of(market, expiry)
    head: uint256 = book._head(key, forward, money, gross, short, count)
    self._hold(book._key(head) == key and book._market(head) == market and book._expiry(head) == expiry)
    self._hold(book._forward(head) == forward and book._money(head) == money)
    self._hold(book._gross(head) == gross and book._short(head) == short and book._count(head) == count)


@external
@pure
def check_option_lane_round_trip(name: uint256, size: int256):
    assert name < 2**25 and size > -(2**38) and size < 2**38
    lane: uint256 = book._pack(name, size)
    self._hold(lane < 2**64 and book._name(lane) == name and book._size(lane) == size)
    self._hold(book._code(lane) == name & (2**24 - 1) and book._is_put(lane) == (name >> 24 == 1))


@external
@pure
def check_negated_lane_has_the_other_sign(name: uint256, size: int256, above: uint256):
    assert name < 2**25 and size > -(2**38) and size < 2**38
    lane: uint256 = book._negated(book._pack(name, size) | (above << 64))
    self._hold(lane < 2**64 and book._name(lane) == name and book._size(lane) == -size)


@external
@pure
def check_option_lane_is_written_alone(word: uint256, i: uint256, lane: uint256, j: uint256):
    assert i < 4 and j < 4 and lane < 2**64
    changed: uint256 = book._with_lane(word, i, lane)
    self._hold(book._lane(changed, i) == lane)
    self._hold(i == j or book._lane(changed, j) == book._lane(word, j))


@internal
@pure
def _hold(condition: bool):
    if not condition:
        raw_revert(concat(method_id("Panic(uint256)"), convert(1, bytes32)))
