# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Storage
@license GNU Affero General Public License v3.0 only
@notice What halmos proves of the ledger's writers on their bytecode: a lane is written alone.
"""

from contracts.ledger import lanes
from contracts.ledger import ledger

initializes: ledger


@external
def check_position_lane_is_stored_alone(account: uint256, low: uint256, high: uint256, lane: uint256):
    assert low < 2**128 and high < 2**128 and lane < 2**128
    for i: uint256 in range(2):
        ledger._words[account][3] = low | (high << 128)
        ledger._write_lane(account, 6 + i, lane)
        word: uint256 = ledger._words[account][3]
        self._hold(lanes._lane(word, i) == lane)
        self._hold(lanes._lane(word, 1 - i) == (high if i == 0 else low))


@external
def check_cash_of_another_account_is_untouched(one: uint256, two: uint256, header: uint256, change: int256):
    assert one != two
    ledger.headers[two] = header
    ledger._add_cash(one, change)
    self._hold(ledger.headers[two] == header)


@external
def check_mode_is_stored_alone(account: uint256, header: uint256, mode: uint256):
    assert mode < 256
    ledger.headers[account] = header
    ledger._set_mode(account, mode)
    stored: uint256 = ledger.headers[account]
    self._hold(lanes._mode(stored) == mode and lanes._cash(stored) == lanes._cash(header))
    self._hold(stored >> 144 == header >> 144 and lanes._count(stored) == lanes._count(header))


@external
def check_a_flat_vault_returns_all_its_cash(vault: uint256, kept: uint256, held: uint256):
    parent: uint256 = lanes._parent(vault)
    assert lanes._is_vault(vault)
    ledger.headers[parent] = kept
    ledger.headers[vault] = held
    ledger._return_cash(vault)
    self._hold(ledger.headers[vault] == 0)
    got: int256 = unsafe_sub(lanes._cash(ledger.headers[parent]), lanes._cash(kept))
    self._hold(got == lanes._cash(held) and ledger.headers[parent] >> 128 == kept >> 128)


@internal
def _hold(condition: bool):
    if not condition:
        raw_revert(concat(method_id("Panic(uint256)"), convert(1, bytes32)))
