# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Collateral
@license GNU Affero General Public License v3.0 only
@notice The source door that holds spot tokens: what is paid in stands in an account's book
        as spot of a market, in lots, and is margined as linear exposure with a haircut.
        The tokens lie here and nowhere else, so one that lies, blocks or reenters harms
        nobody but its own holders.
@dev Invariant: for every token, the lots of all accounts times its scale are covered by the
     balance here. Lots move between accounts in liquidations; whoever holds them may
     withdraw.
"""

from ethereum.ercs import IERC20
from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from .interfaces import IAccess
from .interfaces import IClearinghouse
from .interfaces import IMarkets
from .interfaces import IRiskEngine
from .ledger import lanes
from .math import rounding
from .math import units
from .options import book

initializes: ownable
initializes: ownable_2step[ownable := ownable]

exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
    # renounce_ownership is left out: caps must stay adjustable.
)

interface IJudge:
    def margin(account_id: uint256) -> (int256, uint256, uint256, uint256): view
    def MARKETS() -> address: view


RIGHT_MARGIN: constant(uint256) = 2  # of Access
WITHDRAWAL_RULE: constant(uint256) = 1  # of Clearinghouse.post_book
MAX_LOTS: constant(uint256) = 2**55 - 1
M64: constant(uint256) = 2**64 - 1


event TokenListed:
    market: indexed(uint256)
    token: address
    scale: uint256


event LimitsSet:
    market: indexed(uint256)
    cap: uint256
    minimum: uint256


event SpotDeposited:
    account: indexed(uint256)
    market: indexed(uint256)
    payer: indexed(address)
    lots: uint256


event SpotWithdrawn:
    account: indexed(uint256)
    market: indexed(uint256)
    receiver: indexed(address)
    lots: uint256
    amount: uint256


CLEARINGHOUSE: public(immutable(IClearinghouse))
ACCESS: immutable(IAccess)
MARKETS: immutable(IMarkets)

_tokens: HashMap[uint256, uint256]  # market -> token 160 | token units a lot 64
_levels: HashMap[uint256, uint256]  # market -> lots of all accounts 64 | cap 64 | least deposit 64


@deploy
def __init__(clearinghouse: address):
    ownable.__init__()
    ownable_2step.__init__()
    assert clearinghouse.is_contract, "collateral: bad clearinghouse"
    CLEARINGHOUSE = IClearinghouse(clearinghouse)
    ACCESS = IAccess(staticcall IClearinghouse(clearinghouse).ACCESS())
    MARKETS = IMarkets(staticcall IJudge(clearinghouse).MARKETS())


@external
def list_token(market: uint256, token: address, scale: uint256, cap: uint256, minimum: uint256):
    """
    @notice Take a token as spot of a market, once and for all. Owner (a timelock). The
            market has risk terms, or nobody who holds it could be judged.
    @param scale token units a lot: 10**(its decimals - the market's size decimals)
    @param cap lots of all accounts together
    @param minimum lots of one deposit
    """
    ownable._check_owner()
    assert market > 0 and market < units.MAX_MARKETS, "collateral: no such market"
    assert self._tokens[market] == 0, "collateral: listed"
    assert token.is_contract, "collateral: no token"
    assert scale > 0 and scale <= 10**18, "collateral: scale"
    engine: IRiskEngine = IRiskEngine(staticcall CLEARINGHOUSE.engines(units.PORTFOLIO))
    rate: uint256 = staticcall engine.haircut(market)
    self._tokens[market] = convert(token, uint256) | (scale << 160)
    log TokenListed(market=market, token=token, scale=scale)
    self._set_limits(market, cap, minimum)


@external
def set_limits(market: uint256, cap: uint256, minimum: uint256):
    """
    @notice Change the limits of deposits, in lots. Owner (a timelock). A cap below what is
            held stops deposits only.
    """
    ownable._check_owner()
    self._token(market)
    self._set_limits(market, cap, minimum)


@external
def deposit(account: uint256, market: uint256, amount: uint256) -> uint256:
    """
    @notice Pay tokens into a root account of one's own, or as its owner's delegate for
            margin. What arrives is credited in whole lots; of `amount` only whole lots are
            taken. Open in a pause. The account must be one that can be judged with it, now
            and by liquidators: nobody hides behind a market without a price or in its grace.
    @param amount token units
    @return lots credited
    """
    token: IERC20 = empty(IERC20)
    scale: uint256 = 0
    token, scale = self._token(market)
    assert staticcall ACCESS.may(lanes._owner(account), msg.sender, RIGHT_MARGIN), "collateral: not owner"
    before: uint256 = staticcall token.balanceOf(self)
    assert extcall token.transferFrom(
        msg.sender, self, amount // scale * scale, default_return_value=True
    ), "token: refused"
    after: uint256 = staticcall token.balanceOf(self)
    assert after >= before, "token: balance fell"
    lots: uint256 = (after - before) // scale
    level: uint256 = self._levels[market]
    cap: uint256 = (level >> 64) & M64
    assert lots >= level >> 128, "collateral: below minimum"
    assert lots <= cap and (level & M64) + lots <= cap, "collateral: cap"
    assert not (staticcall MARKETS.quote(market)).grace, "collateral: grace after outage"
    self._levels[market] = level + lots
    extcall CLEARINGHOUSE.post_book(account, self._fragment(market, lots), False, 0, 0)
    equity: int256 = 0
    asked: uint256[3] = empty(uint256[3])
    equity, asked[0], asked[1], asked[2] = staticcall IJudge(CLEARINGHOUSE.address).margin(account)
    log SpotDeposited(account=account, market=market, payer=msg.sender, lots=lots)
    return lots


@external
def withdraw(account: uint256, market: uint256, amount: uint256, receiver: address):
    """
    @notice Take tokens out of a root account, under the withdrawal rule. Only its owner, not
            in a pause.
    @param amount token units; what the account gives is rounded up to whole lots
    """
    assert msg.sender == lanes._owner(account), "collateral: not owner"
    assert receiver != empty(address) and receiver != self, "collateral: bad receiver"
    token: IERC20 = empty(IERC20)
    scale: uint256 = 0
    token, scale = self._token(market)
    lots: uint256 = rounding._div_up(amount, scale)
    assert lots > 0 and lots <= MAX_LOTS, "collateral: bad amount"
    extcall CLEARINGHOUSE.post_book(account, self._fragment(market, lots), True, 0, WITHDRAWAL_RULE)
    # The account held them, so the total, the low bits, covers them.
    self._levels[market] -= lots
    before: uint256 = staticcall token.balanceOf(self)
    assert extcall token.transfer(receiver, amount, default_return_value=True), "token: refused"
    assert staticcall token.balanceOf(self) + amount >= before, "token: took too much"
    log SpotWithdrawn(account=account, market=market, receiver=receiver, lots=lots, amount=amount)


@external
@view
def listing(market: uint256) -> (address, uint256, uint256, uint256, uint256):
    """
    @return token, token units a lot, lots of all accounts, their cap, least deposit (lots);
            zeros when no token is listed
    """
    token: uint256 = self._tokens[market]
    level: uint256 = self._levels[market]
    return (
        convert(token & (2**160 - 1), address), token >> 160, level & M64, (level >> 64) & M64, level >> 128
    )


# ---------------------------------------------------------------- internal


@internal
@view
def _token(market: uint256) -> (IERC20, uint256):
    """
    @return token, token units a lot
    """
    token: uint256 = self._tokens[market]
    assert token != 0, "collateral: not listed"
    return IERC20(convert(token & (2**160 - 1), address)), token >> 160


@internal
def _set_limits(market: uint256, cap: uint256, minimum: uint256):
    assert cap <= MAX_LOTS, "collateral: cap too large"
    assert minimum > 0 and minimum <= MAX_LOTS, "collateral: bad minimum"
    self._levels[market] = (self._levels[market] & M64) | (cap << 64) | (minimum << 128)
    log LimitsSet(market=market, cap=cap, minimum=minimum)


@internal
@pure
def _fragment(market: uint256, lots: uint256) -> DynArray[uint256, 48]:
    """
    @return So much spot as a book fragment: one head, without lanes
    """
    return [book._head(book._key_of(market, 0), convert(lots, int256), 0, 0, 0, 0)]
