# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Clearinghouse
@license GNU Affero General Public License v3.0 only
@notice Holds the tokens and the ledger. Doors (contracts registered by the owner) ask it
        to post zero-sum entries; it posts first and then judges the state that will
        persist, by the margin rule of each account's mode.
@dev Money is 1e-6 of the settlement currency; account ids and words: ledger/lanes.vy.
"""

from ethereum.ercs import IERC20
from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from .access import access
from .interfaces import IClearinghouse
from .interfaces import IMarkets
from .ledger import lanes
from .ledger import ledger
from .margin import judge
from .margin import terms
from .math import rounding
from .math import units

initializes: ownable
initializes: ownable_2step[ownable := ownable]
initializes: access[ownable := ownable]
initializes: judge[access := access]
initializes: ledger

exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
    # renounce_ownership is left out: doors and engines must stay replaceable.
)
exports: (
    access.set_delegate,
    access.set_denied_modes,
    access.set_paused,
    access.set_roles,
    access.set_door,
    access.set_engine,
    access.set_rates,
    access.may,
    access.paused,
    access.insurance_share,
    access.transfer_rate,
    access.engines,
    access.doors,
    access.denied_modes,
    access.guardian,
    access.compliance,
    access.treasury,
)
exports: (
    ledger.open_interest,
    ledger.deficits,
    ledger.pools,
    ledger.residue,
)

TOKEN: public(immutable(IERC20))
SCALE: public(immutable(uint256))  # token units per unit of money
MARKETS: public(immutable(IMarkets))


event Deposited:
    account: indexed(uint256)
    payer: indexed(address)
    amount: uint256


event Withdrawn:
    account: indexed(uint256)
    receiver: indexed(address)
    amount: uint256


event InsuranceFunded:
    pool: indexed(uint256)
    amount: uint256


event FeesCollected:
    pool: indexed(uint256)
    amount: uint256


@deploy
def __init__(
    token: address,
    decimals: uint256,
    markets: address,
    base_engine: address,
    insurance_share: uint256,
    transfer_rate: uint256,
):
    ownable.__init__()
    ownable_2step.__init__()
    access.__init__(base_engine, insurance_share, transfer_rate)
    assert decimals >= 6 and decimals <= 18, "clearing: token decimals"
    TOKEN = IERC20(token)
    SCALE = 10 ** (decimals - 6)
    MARKETS = IMarkets(markets)


# ---------------------------------------------------------------- money in and out


@external
def deposit(account_id: uint256, amount: uint256):
    """
    @notice Pay tokens into a root account, one's own or another's. What arrives is
            credited, rounded down to a unit of money.
    @param amount token units
    """
    assert not lanes._is_vault(account_id) and account_id != 0, "deposit: not a root account"
    credited: uint256 = self._pull(amount)
    ledger._add_cash(account_id, convert(credited, int256))
    log Deposited(account=account_id, payer=msg.sender, amount=credited)


@external
def withdraw(account_id: uint256, amount: uint256, receiver: address):
    """
    @notice Take tokens out of a root account. Only its owner; unrealised profit and the
            larger of initial margin and the transfer margin stay.
    @param amount token units; what the account pays is rounded up to a unit of money
    """
    self._check_payout(account_id, receiver)
    assert amount > 0, "withdraw: zero amount"
    debit: uint256 = rounding._div_up(amount, SCALE)
    assert debit < 2**96, "withdraw: bad amount"
    ledger._add_cash(account_id, -convert(debit, int256))
    header: uint256 = 0
    words: DynArray[uint256, 16] = []
    header, words = ledger._load(account_id)
    judge._check_withdrawal(header, words)
    self._push(receiver, amount)
    log Withdrawn(account=account_id, receiver=receiver, amount=debit)


@external
def close_account(account_id: uint256, receiver: address):
    """
    @notice Pay out a flat root account whole and clear its storage.
    """
    self._check_payout(account_id, receiver)
    header: uint256 = ledger.headers[account_id]
    assert lanes._count(header) == 0, "close: has positions"
    cash: uint256 = convert(lanes._cash(header), uint256)
    ledger.headers[account_id] = 0
    if cash > 0:
        self._push(receiver, cash * SCALE)
    log Withdrawn(account=account_id, receiver=receiver, amount=cash)


@external
def fund_insurance(pool: uint256, amount: uint256):
    """
    @notice Pay tokens into a pool's insurance. Anyone; it cannot be taken back.
    @param pool 0 for cross accounts, a market id for the vaults of that market
    """
    assert pool < units.MAX_MARKETS, "insurance: no such pool"
    credited: uint256 = self._pull(amount)
    ledger._add_pool(pool, convert(credited, int256), 0)
    log InsuranceFunded(pool=pool, amount=credited)


@external
def collect_fees(pool: uint256):
    """
    @notice Pay a pool's treasury part to the treasury. Anyone.
    """
    amount: uint256 = ledger.pools[pool] >> 128
    assert amount > 0, "fees: nothing to collect"
    ledger._add_pool(pool, 0, -convert(amount, int256))
    self._push(access.treasury, amount * SCALE)
    log FeesCollected(pool=pool, amount=amount)


# ---------------------------------------------------------------- posting


@external
def trade(t: IClearinghouse.Trade):
    """
    @notice See IClearinghouse. Trade doors only: they answer for consent, price and fee.
    """
    assert access.doors[msg.sender] == access.TRADE_DOOR, "clearing: not a trade door"
    assert t.change != 0 and t.maker != t.taker, "clearing: bad trade"
    pin: IMarkets.Pin = extcall MARKETS.pin(t.market)
    if t.maker_margin > 0:
        self._move_cash(lanes._parent(t.maker), t.maker, t.maker_margin)
    longs: int256 = self._fill(t.maker, t.market, -t.change, -t.amount, t.maker_fee, t.reduce_only & 1, pin)
    # After the maker's side: who isolates a position gives margin from what that set free.
    if t.taker_margin > 0:
        self._move_cash(lanes._parent(t.taker), t.taker, t.taker_margin)
    longs += self._fill(t.taker, t.market, t.change, t.amount, t.taker_fee, t.reduce_only & 2, pin)
    self._take_fees(lanes._vault_market(t.maker), t.maker_fee, lanes._vault_market(t.taker), t.taker_fee)
    if longs != 0:
        interest: uint256 = ledger._move_interest(t.market, longs)
        if longs > 0:
            # Open interest grows only within what the funds behind it could pay.
            insurance: uint256 = ledger._insurance(0) + ledger._insurance(t.market)
            cap: uint256 = min(terms._oi_cap(pin.terms), terms._oi_multiple(pin.terms) * insurance)
            assert interest * pin.mark <= cap * units.NOTIONAL_SCALE, "clearing: open interest cap"


@external
def move_cash(source: uint256, target: uint256, amount: uint256):
    """
    @notice See IClearinghouse. Trade doors only, within one root account and its vaults.
    """
    assert access.doors[msg.sender] == access.TRADE_DOOR, "clearing: not a trade door"
    assert lanes._parent(source) == lanes._parent(target) and source != target, "clearing: other account"
    self._move_cash(source, target, amount)


@external
def take_over(
    victim: uint256,
    taker: uint256,
    legs: DynArray[IClearinghouse.Leg, 32],
    victim_cash: int256,
    taker_cash: int256,
    charges: DynArray[IClearinghouse.Charge, 32],
):
    """
    @notice See IClearinghouse. Liquidation doors only: they choose slice and penalty. That
            the victim was below maintenance and is no worse for it, that insurance pays
            before winners are charged and that the taker can carry what it takes is
            judged here.
    """
    assert access.doors[msg.sender] == access.LIQUIDATION_DOOR, "clearing: not a liquidation door"
    assert victim != taker and not lanes._is_vault(taker), "liquidation: taker is a vault"
    header: uint256 = 0
    words: DynArray[uint256, 16] = []
    header, words = ledger._load(victim)
    before: int256 = judge._health(header, words)
    assert before < 0, "liquidation: healthy"
    granted: uint256 = 0
    for charge: IClearinghouse.Charge in charges:
        # Before any leg moves: a taker who is himself the winner pays his part.
        extcall MARKETS.charge(
            charge.market, charge.longs, charge.amount, ledger.open_interest[charge.market]
        )
        ledger.deficits[charge.market] += convert(charge.amount, int256)
        granted += charge.amount
    for leg: IClearinghouse.Leg in legs:
        self._take_leg(victim, taker, leg)
    if victim_cash != 0:
        ledger._add_cash(victim, victim_cash)
    if taker_cash != 0:
        ledger._add_cash(taker, taker_cash)
    pool: uint256 = lanes._vault_market(victim)
    ledger._add_pool(pool, convert(granted, int256) - victim_cash - taker_cash, 0)
    assert granted == 0 or ledger._insurance(pool) == 0, "clearing: insurance comes first"

    header, words = ledger._load(victim)
    if lanes._count(header) > 0:
        assert judge._health(header, words) >= before, "liquidation: worsens health"
    else:
        assert lanes._cash(header) >= 0, "liquidation: shortfall left"
        if lanes._is_vault(victim):
            ledger._return_cash(victim)
    header, words = ledger._load(taker)
    access._check_mode(lanes._owner(taker), lanes._mode(header))
    judge._check_initial(header, words)


@external
@view
def account(account_id: uint256) -> (uint256, DynArray[uint256, 16]):
    """
    @return The account's header and its position words (layout: ledger/lanes.vy).
    """
    return ledger._load(account_id)


@external
@view
def margin(account_id: uint256) -> (int256, uint256, uint256, uint256):
    """
    @notice An account's margin now, by the rule of its mode.
    @return equity, initial margin, maintenance margin, gross notional (money)
    """
    header: uint256 = 0
    words: DynArray[uint256, 16] = []
    header, words = ledger._load(account_id)
    return judge._margin(header, words)


# ---------------------------------------------------------------- internal


@internal
def _fill(
    account_id: uint256,
    market: uint256,
    change: int256,
    amount: int256,
    fee: uint256,
    reduce_only: uint256,
    pin: IMarkets.Pin,
) -> int256:
    """
    @notice Post one side of a trade and judge the account: initial margin when risk was
            added, otherwise what judge._check_reduced asks.
    @return change of lots held long
    """
    header: uint256 = ledger.headers[account_id]
    i: uint256 = 0
    lane: uint256 = 0
    i, lane = ledger._find(account_id, lanes._count(header), market)
    size: int256 = lanes._size(lane)
    after: int256 = unsafe_add(size, change)
    reduces: bool = abs(after) < abs(size) and (after == 0 or (after > 0) == (size > 0))
    old_words: DynArray[uint256, 16] = []
    old_header: uint256 = header
    if reduces:
        old_header, old_words = ledger._load(account_id)
    else:
        assert reduce_only == 0, "clearing: reduce only"
        assert terms._status(pin.terms) == terms.OPEN, "clearing: market is reduce-only"
        # Liquidations of this market wait, so nobody may join what they cannot reach.
        assert not pin.grace, "clearing: grace after outage"
        access._check_not_paused()
    vault: bool = lanes._is_vault(account_id)
    assert not vault or lanes._vault_market(account_id) == market, "clearing: not the vault's market"
    after = ledger._post_leg(
        account_id,
        header,
        market,
        i,
        lane,
        change,
        amount,
        -convert(fee, int256),
        pin.social_long,
        pin.social_short,
    )
    if after != 0:
        held: uint256 = unsafe_mul(lanes._bits(abs(after)), pin.mark)
        smallest: uint256 = unsafe_mul(terms._min_notional(pin.terms), units.NOTIONAL_SCALE)
        assert held >= smallest, "clearing: below min notional"

    words: DynArray[uint256, 16] = []
    header, words = ledger._load(account_id)
    if reduces:
        judge._check_reduced(old_header, old_words, header, words)
        if vault and after == 0:
            ledger._return_cash(account_id)
    else:
        access._check_mode(lanes._owner(account_id), lanes._mode(header))
        judge._check_initial(header, words)
    return max(after, 0) - max(size, 0)


@internal
def _take_leg(victim: uint256, taker: uint256, leg: IClearinghouse.Leg):
    """
    @notice Move part of the victim's position to the taker.
    """
    pin: IMarkets.Pin = extcall MARKETS.pin(leg.market)
    assert not pin.grace, "liquidation: grace after outage"
    longs: int256 = 0
    for side: uint256 in range(2):
        account_id: uint256 = victim if side == 0 else taker
        change: int256 = leg.change if side == 0 else -leg.change
        amount: int256 = leg.amount if side == 0 else -leg.amount
        header: uint256 = ledger.headers[account_id]
        i: uint256 = 0
        lane: uint256 = 0
        i, lane = ledger._find(account_id, lanes._count(header), leg.market)
        size: int256 = lanes._size(lane)
        after: int256 = ledger._post_leg(
            account_id, header, leg.market, i, lane, change, amount, 0, pin.social_long, pin.social_short
        )
        if side == 0:
            closes: bool = abs(after) < abs(size) and (after == 0 or (after > 0) == (size > 0))
            assert closes, "liquidation: adds risk"
        longs += max(after, 0) - max(size, 0)
    if longs != 0:
        ledger._move_interest(leg.market, longs)


@internal
def _move_cash(source: uint256, target: uint256, amount: uint256):
    """
    @notice Cash leaves an account only under the withdrawal rule.
    """
    assert source != target and amount < 2**96, "clearing: bad cash"
    ledger._add_cash(source, -convert(amount, int256))
    ledger._add_cash(target, convert(amount, int256))
    header: uint256 = 0
    words: DynArray[uint256, 16] = []
    header, words = ledger._load(source)
    judge._check_withdrawal(header, words)


@internal
def _take_fees(maker_pool: uint256, maker_fee: uint256, taker_pool: uint256, taker_fee: uint256):
    """
    @notice Split fees between insurance and treasury of the pools they come from.
    """
    share: uint256 = access._insurance_share()
    maker_part: uint256 = maker_fee * share // units.PPM
    taker_part: uint256 = taker_fee * share // units.PPM
    if maker_pool == taker_pool:
        fees: uint256 = maker_fee + taker_fee
        part: uint256 = maker_part + taker_part
        ledger._add_pool(maker_pool, convert(part, int256), convert(fees - part, int256))
    else:
        ledger._add_pool(maker_pool, convert(maker_part, int256), convert(maker_fee - maker_part, int256))
        ledger._add_pool(taker_pool, convert(taker_part, int256), convert(taker_fee - taker_part, int256))


@internal
@view
def _check_payout(account_id: uint256, receiver: address):
    assert msg.sender == lanes._owner(account_id), "withdraw: not owner"
    assert not lanes._is_vault(account_id), "withdraw: not a root account"
    assert receiver != empty(address) and receiver != self, "withdraw: bad receiver"
    access._check_not_paused()


@internal
def _pull(amount: uint256) -> uint256:
    """
    @return Money: what really arrived, rounded down.
    """
    before: uint256 = staticcall TOKEN.balanceOf(self)
    assert extcall TOKEN.transferFrom(msg.sender, self, amount, default_return_value=True), "token: refused"
    after: uint256 = staticcall TOKEN.balanceOf(self)
    assert after >= before, "token: balance fell"
    credited: uint256 = (after - before) // SCALE
    assert credited > 0 and credited < 2**96, "deposit: bad amount"
    return credited


@internal
def _push(receiver: address, amount: uint256):
    before: uint256 = staticcall TOKEN.balanceOf(self)
    assert extcall TOKEN.transfer(receiver, amount, default_return_value=True), "token: refused"
    assert staticcall TOKEN.balanceOf(self) + amount >= before, "token: took too much"
