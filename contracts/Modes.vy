# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Modes
@license GNU Affero General Public License v3.0 only
@notice The door through which an owner moves margin and positions between his own root
        account and its vaults, and a root account between CROSS and PORTFOLIO.
"""

from .interfaces import IAccess
from .interfaces import IClearinghouse
from .interfaces import IMarkets
from .interfaces import IRiskEngine
from .ledger import lanes
from .ledger import legs
from .math import rounding
from .math import units

RIGHT_MARGIN: constant(uint256) = 2

CLEARINGHOUSE: public(immutable(IClearinghouse))
ACCESS: public(immutable(IAccess))
MARKETS: public(immutable(IMarkets))


event MarginMoved:
    source: indexed(uint256)
    target: indexed(uint256)
    amount: uint256


event Switched:
    source: indexed(uint256)
    target: indexed(uint256)
    market: uint256
    size: int256
    margin: uint256


event ModeSwitched:
    account: indexed(uint256)
    mode: indexed(uint256)
    equity_before: int256  # by the rule of the old mode
    equity: int256
    initial: uint256  # by the rule of the new one


@deploy
def __init__(clearinghouse: address, markets: address):
    CLEARINGHOUSE = IClearinghouse(clearinghouse)
    ACCESS = IAccess(staticcall IClearinghouse(clearinghouse).ACCESS())
    MARKETS = IMarkets(markets)


@external
def move_margin(source: uint256, target: uint256, amount: uint256):
    """
    @notice Add margin to a vault or take it back: money moves between a root account and
            one of its vaults that has a position. Owner or delegate. Adding stays open
            in a pause.
    @param amount money
    """
    owner: address = lanes._owner(source)
    assert staticcall ACCESS.may(owner, msg.sender, RIGHT_MARGIN), "margin: not owner or delegate"
    assert lanes._parent(source) == lanes._parent(target), "margin: not vault and parent"
    assert lanes._is_vault(source) != lanes._is_vault(target), "margin: not vault and parent"
    assert amount > 0 and amount < 2**96, "margin: bad amount"
    if lanes._is_vault(target):
        header: uint256 = 0
        words: DynArray[uint256, 64] = []
        header, words = staticcall CLEARINGHOUSE.account(target)
        assert lanes._count(header) > 0, "margin: vault has no position"
    else:
        assert not staticcall ACCESS.paused(), "access: paused"
    extcall CLEARINGHOUSE.move_cash(source, target, amount)
    log MarginMoved(source=source, target=target, amount=amount)


@external
def switch_to_isolated(root: uint256, market: uint256, number: uint256, margin: uint256) -> uint256:
    """
    @notice Move a root account's position into an empty vault with `margin` of its cash.
            Owner. The account must not be liquidatable and both pools must meet their
            initial margin afterwards.
    @return The vault's account id
    """
    assert market > 0 and market < 2**32 and number < 2**32 and margin < 2**96, "switch: bad vault"
    assert not lanes._is_vault(root), "switch: not a root account"
    vault: uint256 = root | (market << 32) | number
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = self._check_source(root)
    vault_header: uint256 = 0
    vault_words: DynArray[uint256, 64] = []
    vault_header, vault_words = staticcall CLEARINGHOUSE.account(vault)
    assert vault_header == 0, "switch: vault is open"
    lane: uint256 = lanes._lane_of(header, words, market)
    assert lane != 0, "switch: no position"
    self._move(root, vault, lane, margin)
    self._check_giver(root)
    return vault


@external
def switch_to_cross(vault: uint256):
    """
    @notice Move a vault's position and all its cash into its parent. Owner. Neither may
            be liquidatable; the parent must meet its initial margin afterwards.
    """
    assert lanes._is_vault(vault), "switch: not a vault"
    root: uint256 = lanes._parent(vault)
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = self._check_source(vault)
    assert lanes._count(header) > 0, "switch: no position"
    lane: uint256 = lanes._lane(words[0], 0)
    root_header: uint256 = 0
    root_words: DynArray[uint256, 64] = []
    root_header, root_words = self._check_source(root)
    assert lanes._lane_of(root_header, root_words, lanes._market(lane)) == 0, "switch: position exists"
    # The vault ends flat, so the clearinghouse hands its cash to the parent.
    self._move(vault, root, lane, 0)


@external
def switch_mode(root: uint256, mode: uint256):
    """
    @notice Put a root account under the margin rule of CROSS (0) or PORTFOLIO (2). Owner.
            Not out of a liquidation; the account must meet the initial margin of its new
            mode. Cash and positions stay as they are, so there and back is nothing; equity
            differs by what the two rules leave off the value of spot only.
    """
    assert not lanes._is_vault(root), "switch: not a root account"
    assert msg.sender == lanes._owner(root), "switch: not owner"
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = staticcall CLEARINGHOUSE.account(root)
    assert lanes._mode(header) != mode, "switch: in that mode"
    before: int256 = 0
    initial: uint256 = 0
    before, initial = self._initial(header, words)
    # The clearinghouse judges both: health by the old rule, initial margin by the new one.
    extcall CLEARINGHOUSE.set_mode(root, mode)
    header, words = staticcall CLEARINGHOUSE.account(root)
    equity: int256 = 0
    equity, initial = self._initial(header, words)
    log ModeSwitched(account=root, mode=mode, equity_before=before, equity=equity, initial=initial)


# ---------------------------------------------------------------- internal


@internal
def _move(source: uint256, target: uint256, lane: uint256, margin: uint256):
    """
    @notice Close the source at its own entry, so that nothing is realised, and open the
            target there.
    """
    size: int256 = lanes._size(lane)
    market: uint256 = lanes._market(lane)
    amount: int256 = lanes._entry(lane)
    quote: IMarkets.Pin = staticcall MARKETS.quote(market)
    # The ledger takes the social charge of the side out of what closes (legs._fold).
    amount -= legs._fold(-abs(size), size > 0, quote.social_long, quote.social_short)
    extcall CLEARINGHOUSE.trade(
        IClearinghouse.Trade(
            market=market,
            maker=source,
            taker=target,
            change=size,
            amount=amount,
            maker_fee=0,
            taker_fee=0,
            maker_margin=0,
            taker_margin=margin,
            reduce_only=0,
        )
    )
    log Switched(source=source, target=target, market=market, size=size, margin=margin)


@internal
@view
def _check_source(account: uint256) -> (uint256, DynArray[uint256, 64]):
    """
    @notice Only the owner switches, and not out of a liquidation.
    """
    assert msg.sender == lanes._owner(account), "switch: not owner"
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = staticcall CLEARINGHOUSE.account(account)
    if not lanes._is_flat(header):
        equity: int256 = 0
        initial: uint256 = 0
        maintenance: uint256 = 0
        notional: uint256 = 0
        equity, initial, maintenance, notional = self._margin(header, words)
        assert equity >= convert(maintenance, int256), "switch: liquidatable"
    return header, words


@internal
@view
def _check_giver(root: uint256):
    """
    @notice The clearinghouse has judged the side that took the position; the root account
            that gave one away with margin obeys the withdrawal rule.
    """
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = staticcall CLEARINGHOUSE.account(root)
    assert lanes._cash(header) >= 0, "margin: not enough cash"
    if lanes._is_flat(header):
        return
    equity: int256 = 0
    initial: uint256 = 0
    maintenance: uint256 = 0
    notional: uint256 = 0
    equity, initial, maintenance, notional = self._margin(header, words)
    kept: uint256 = rounding._div_up(notional * staticcall ACCESS.transfer_rate(), units.PPM)
    assert equity >= convert(max(initial, kept), int256), "margin: below transfer margin"


@internal
@view
def _margin(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256, uint256, uint256):
    engine: IRiskEngine = IRiskEngine(staticcall CLEARINGHOUSE.engines(lanes._rule(header)))
    return staticcall engine.margin(header, words)


@internal
@view
def _initial(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256):
    """
    @return equity and initial margin by the rule of the account
    """
    if lanes._is_flat(header):
        return lanes._cash(header), 0
    engine: IRiskEngine = IRiskEngine(staticcall CLEARINGHOUSE.engines(lanes._rule(header)))
    return staticcall engine.initial(header, words)
