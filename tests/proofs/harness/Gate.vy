# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Gate
@license GNU Affero General Public License v3.0 only
@notice What halmos proves of the clearinghouse's gate on its bytecode. This contract stands for Access too: it
        says who owns it.
"""

from contracts.access import gate
from contracts.math import units

initializes: gate

exports: (gate.set_engine, gate.engines)

owner: public(address)


@deploy
def __init__():
    gate.__init__(self, create_minimal_proxy_to(self))


@external
def check_only_the_owner_of_access_sets_engines(owner: address, rule: uint256, engine: address, other: uint256):
    self.owner = owner
    assert other != rule
    before: address = gate._engine(rule)
    kept: address = gate._engine(other)
    data: Bytes[68] = abi_encode(rule, engine, method_id=method_id("set_engine(uint256,address)"))
    done: bool = raw_call(self, data, revert_on_failure=False)
    self._hold(not done or (owner == self and (rule == units.PORTFOLIO or rule == units.CROSS_BOOK)))
    self._hold(gate._engine(rule) == (engine if done else before) and gate._engine(other) == kept)


@external
def check_the_engine_of_perps_is_fixed(owner: address, engine: address):
    self.owner = owner
    before: address = gate._engine(units.CROSS)
    for rule: uint256 in range(2):
        data: Bytes[68] = abi_encode(rule, engine, method_id=method_id("set_engine(uint256,address)"))
        self._hold(not raw_call(self, data, revert_on_failure=False))
    self._hold(gate._engine(units.CROSS) == before and gate._engine(units.ISOLATED) == before)


@external
def check_a_pause_stops_and_no_pause_does_not(answer: uint256):
    gate._gate = answer
    done: bool = raw_call(self, method_id("guarded()"), revert_on_failure=False)
    self._hold(done == (answer & 1 == 0))
    self._hold(gate._insurance_share() == (answer >> 8) & (2**24 - 1))
    self._hold(gate._transfer_rate() == (answer >> 32) & (2**24 - 1))


@external
@view
def guarded():
    gate._check_not_paused()


@internal
@pure
def _hold(condition: bool):
    if not condition:
        raw_revert(concat(method_id("Panic(uint256)"), convert(1, bytes32)))
