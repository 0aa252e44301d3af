# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Access
@license GNU Affero General Public License v3.0 only
@notice Who may do what: doors, roles, delegates, denied modes, pause, rates. Holds no money;
        the clearinghouse asks it once a transaction, doors ask it for delegates.
@dev Everything the owner sets is timelocked, because the owner is a timelock.
"""

from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from .interfaces import IAccess
from .math import units

implements: IAccess

initializes: ownable
initializes: ownable_2step[ownable := ownable]

exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
    # renounce_ownership is left out: doors and engines must stay replaceable.
)

RIGHT_TRADE: constant(uint256) = 1  # sign orders
RIGHT_MARGIN: constant(uint256) = 2  # move margin between an owner's own accounts


event DoorSet:
    door: indexed(address)
    kind: uint256


event RolesSet:
    guardian: address
    compliance: address
    treasury: address


event RatesSet:
    insurance_share: uint256
    transfer_rate: uint256


event DelegateSet:
    owner: indexed(address)
    delegate: indexed(address)
    rights: uint256
    expiry: uint256


event ModesDenied:
    owner: indexed(address)
    modes: uint256


event PauseSet:
    paused: bool


doors: public(HashMap[address, uint256])  # 0 none, 1 trades and switches, 2 liquidations, 3 sources
denied_modes: public(HashMap[address, uint256])  # owner -> a bit per mode
guardian: public(address)
compliance: public(address)
treasury: public(address)
# paused bit | restricted bit (some owner is denied a mode) | insurance share 24 << 8 | transfer rate 24 << 32 (ppm)
settings: public(uint256)
_delegates: HashMap[address, HashMap[address, uint256]]  # rights 8 | expiry << 8


@deploy
def __init__(insurance_share: uint256, transfer_rate: uint256):
    ownable.__init__()
    ownable_2step.__init__()
    self._set_rates(insurance_share, transfer_rate)


@external
def set_delegate(delegate: address, rights: uint256, expiry: uint256):
    """
    @notice Let `delegate` sign orders (1) and move margin between one's own accounts (2)
            until `expiry`. No delegate can withdraw or switch.
    """
    assert rights <= RIGHT_TRADE | RIGHT_MARGIN, "delegate: no such right"
    assert delegate != msg.sender and delegate != empty(address), "delegate: bad delegate"
    assert expiry < 2**40, "delegate: bad expiry"
    self._delegates[msg.sender][delegate] = rights | (expiry << 8)
    log DelegateSet(owner=msg.sender, delegate=delegate, rights=rights, expiry=expiry)


@external
def set_denied_modes(owner: address, modes: uint256):
    """
    @notice The compliance role denies an owner modes (a bit each). Positions stay; they
            can only be reduced.
    """
    assert msg.sender == self.compliance, "access: not compliance"
    assert modes < 8, "access: no such mode"
    self.denied_modes[owner] = modes
    # Until the first denial no trade looks an owner up.
    self.settings |= 2
    log ModesDenied(owner=owner, modes=modes)


@external
def set_paused(paused: bool):
    """
    @notice The guardian stops what adds risk or takes money out. Deposits, added margin,
            reductions and liquidations stay open: nobody is liquidated while he cannot act.
    """
    assert msg.sender == self.guardian, "access: not guardian"
    self.settings = ((self.settings >> 1) << 1) | convert(paused, uint256)
    log PauseSet(paused=paused)


@external
def set_roles(guardian: address, compliance: address, treasury: address):
    ownable._check_owner()
    assert treasury != empty(address), "access: bad treasury"
    self.guardian = guardian
    self.compliance = compliance
    self.treasury = treasury
    log RolesSet(guardian=guardian, compliance=compliance, treasury=treasury)


@external
def set_door(door: address, kind: uint256):
    ownable._check_owner()
    assert kind <= 3, "access: no such door"
    self.doors[door] = kind
    log DoorSet(door=door, kind=kind)


@external
def set_rates(insurance_share: uint256, transfer_rate: uint256):
    """
    @param insurance_share ppm of every fee that goes to insurance, the rest to the treasury
    @param transfer_rate ppm of gross notional that a withdrawal must leave as equity
    """
    ownable._check_owner()
    self._set_rates(insurance_share, transfer_rate)


@external
@view
def may(owner: address, delegate: address, right: uint256) -> bool:
    """
    @notice Whether `delegate` may use `right` for `owner`'s accounts now.
    """
    if delegate == owner:
        return True
    granted: uint256 = self._delegates[owner][delegate]
    return granted & right != 0 and block.timestamp <= granted >> 8


@external
@view
def gate(door: address) -> uint256:
    """
    @notice What the clearinghouse needs to know about a call.
    @return the settings, with the kind of the calling door above bit 248
    """
    return self.settings | (self.doors[door] << 248)


@external
@view
def paused() -> bool:
    return self.settings & 1 != 0


@external
@view
def insurance_share() -> uint256:
    return (self.settings >> 8) & (2**24 - 1)


@external
@view
def transfer_rate() -> uint256:
    return (self.settings >> 32) & (2**24 - 1)


@internal
def _set_rates(insurance_share: uint256, transfer_rate: uint256):
    assert insurance_share <= units.PPM, "access: insurance share"
    assert transfer_rate <= units.PPM, "access: transfer rate"
    kept: uint256 = self.settings & ~((2**56 - 1) << 8)
    self.settings = kept | (insurance_share << 8) | (transfer_rate << 32)
    log RatesSet(insurance_share=insurance_share, transfer_rate=transfer_rate)
