# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Authority
@license GNU Affero General Public License v3.0 only
@notice What halmos proves of Access.vy on its bytecode. The harness is Access with checks beside it: a check
        calls itself from outside, so that the caller is this contract, which is or is not who may.
"""

from contracts import Access
from snekmate.auth import ownable

initializes: Access

exports: Access.__interface__


@deploy
def __init__():
    Access.__init__(200_000, 100_000)


@external
def check_only_the_owner_sets_doors(owner: address, door: address, kind: uint256):
    Access.ownable.owner = owner
    before: uint256 = Access.doors[door]
    done: bool = self._try(abi_encode(door, kind, method_id=method_id("set_door(address,uint256)")))
    self._hold(not done or owner == self)
    self._hold(Access.doors[door] == (kind if done else before) and (not done or kind <= 3))


@external
def check_only_the_owner_sets_rates(owner: address, share: uint256, rate: uint256, settings: uint256):
    Access.ownable.owner = owner
    Access.settings = settings
    done: bool = self._try(abi_encode(share, rate, method_id=method_id("set_rates(uint256,uint256)")))
    self._hold(not done or owner == self)
    after: uint256 = Access.settings
    if done:
        self._hold((after >> 8) & (2**24 - 1) == share and (after >> 32) & (2**24 - 1) == rate)
        self._hold(after & 255 == settings & 255 and after >> 64 == settings >> 64)
        self._hold(share <= 10**6 and rate <= 10**6)
    else:
        self._hold(after == settings)


@external
def check_only_the_owner_sets_roles(owner: address, guardian: address, compliance: address, treasury: address):
    Access.ownable.owner = owner
    kept: address = Access.guardian
    done: bool = self._try(
        abi_encode(guardian, compliance, treasury, method_id=method_id("set_roles(address,address,address)"))
    )
    self._hold(not done or (owner == self and treasury != empty(address)))
    self._hold(Access.guardian == (guardian if done else kept))


@external
def check_only_the_guardian_pauses(guardian: address, paused: bool, settings: uint256):
    Access.guardian = guardian
    Access.settings = settings
    done: bool = self._try(abi_encode(paused, method_id=method_id("set_paused(bool)")))
    self._hold(done == (guardian == self))
    after: uint256 = Access.settings
    self._hold(after >> 1 == settings >> 1 and (after & 1 == convert(paused, uint256) if done else after == settings))


@external
def check_only_compliance_denies_modes(compliance: address, owner: address, modes: uint256):
    Access.compliance = compliance
    before: uint256 = Access.denied_modes[owner]
    done: bool = self._try(abi_encode(owner, modes, method_id=method_id("set_denied_modes(address,uint256)")))
    self._hold(done == (compliance == self and modes < 8))
    self._hold(Access.denied_modes[owner] == (modes if done else before))


@external
def check_only_the_owner_hands_over(owner: address, pending: address, heir: address):
    Access.ownable.owner = owner
    Access.ownable_2step.pending_owner = pending
    offered: bool = self._try(abi_encode(heir, method_id=method_id("transfer_ownership(address)")))
    self._hold(offered == (owner == self) and Access.ownable.owner == owner)
    accepted: bool = self._try(method_id("accept_ownership()"))
    wanted: address = heir if offered else pending
    self._hold(accepted == (wanted == self) and Access.ownable.owner == (self if accepted else owner))


@external
def check_a_delegate_has_the_rights_given_until_they_end(
    owner: address, delegate: address, rights: uint256, expiry: uint256, right: uint256
):
    done: bool = self._try(
        abi_encode(delegate, rights, expiry, method_id=method_id("set_delegate(address,uint256,uint256)"))
    )
    self._hold(done == (rights <= 3 and delegate != self and delegate != empty(address) and expiry < 2**40))
    assert right == 1 or right == 2
    if done:
        granted: bool = rights & right != 0 and block.timestamp <= expiry
        self._hold(staticcall Access.IAccess(self).may(self, delegate, right) == granted)
    # Nobody's rights but the caller's were touched.
    if owner != self and owner != delegate:
        self._hold(not staticcall Access.IAccess(self).may(owner, delegate, right))


@external
def check_gate_tells_the_door_and_the_settings_apart(door: address, kind: uint256, settings: uint256):
    assert kind <= 3 and settings < 2**248
    Access.doors[door] = kind
    Access.settings = settings
    answer: uint256 = staticcall Access.IAccess(self).gate(door)
    self._hold(answer >> 248 == kind and answer & (2**248 - 1) == settings)


@internal
def _try(data: Bytes[132]) -> bool:
    return raw_call(self, data, revert_on_failure=False)


@internal
def _hold(condition: bool):
    if not condition:
        raw_revert(concat(method_id("Panic(uint256)"), convert(1, bytes32)))
