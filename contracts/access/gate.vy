# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title gate
@license GNU Affero General Public License v3.0 only
@notice The clearinghouse's side of `Access`: asked once a transaction, and which margin rule
        judges which account.
"""

from ..interfaces import IAccess
from ..math import units

TRADE_DOOR: constant(uint256) = 1
LIQUIDATION_DOOR: constant(uint256) = 2
SOURCE_DOOR: constant(uint256) = 3  # settles expired series, holds spot tokens


event EngineSet:
    rule: indexed(uint256)
    engine: address


ACCESS: public(immutable(IAccess))
BASE_ENGINE: immutable(address)  # IRiskEngine of perps in CROSS and ISOLATED accounts

_engines: HashMap[uint256, address]  # of rules above ISOLATED
_gate: transient(uint256)  # what Access answered to this call


@deploy
def __init__(access: address, base_engine: address):
    assert base_engine.is_contract, "access: bad engine"
    ACCESS = IAccess(access)
    BASE_ENGINE = base_engine


@external
def set_engine(rule: uint256, engine: address):
    """
    @notice Set the rule of PORTFOLIO accounts (2) or of CROSS accounts with a book (3). Owner
            of Access. That of perps in CROSS and ISOLATED accounts is fixed at deployment:
            nobody can change it under open positions.
    """
    assert msg.sender == staticcall ACCESS.owner(), "ownable: caller is not the owner"
    assert rule == units.PORTFOLIO or rule == units.CROSS_BOOK, "access: bad engine"
    assert engine.is_contract, "access: bad engine"
    self._engines[rule] = engine
    log EngineSet(rule=rule, engine=engine)


@external
@view
def engines(rule: uint256) -> address:
    """
    @notice The `IRiskEngine` of a rule (lanes._rule: a mode, or 3 for CROSS with a book).
    """
    return self._engine(rule)


@internal
@view
def _engine(rule: uint256) -> address:
    if rule <= units.ISOLATED:
        return BASE_ENGINE
    return self._engines[rule]


@internal
def _enter() -> uint256:
    """
    @notice Before anything else: what Access says about this call.
    @return the kind of the calling door
    """
    answer: uint256 = staticcall ACCESS.gate(msg.sender)
    self._gate = answer
    return answer >> 248


@internal
def _enter_trade():
    assert self._enter() == TRADE_DOOR, "clearing: not a trade door"


@internal
@view
def _insurance_share() -> uint256:
    return (self._gate >> 8) & (2**24 - 1)


@internal
@view
def _transfer_rate() -> uint256:
    return (self._gate >> 32) & (2**24 - 1)


@internal
@view
def _check_not_paused():
    assert self._gate & 1 == 0, "access: paused"


@internal
@view
def _check_mode(owner: address, mode: uint256):
    # Until the first denial no trade looks an owner up.
    if self._gate & 2 != 0:
        assert ((staticcall ACCESS.denied_modes(owner)) >> mode) & 1 == 0, "access: mode not allowed"
