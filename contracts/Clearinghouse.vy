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

ADDS_RISK: constant(uint256) = 1
WITHDRAWS: constant(uint256) = 2

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


event Posted:
    account: indexed(uint256)
    market: indexed(uint256)
    change: int256
    size: int256  # after, like entry and cash
    entry: int256
    cash: int256


event InsuranceFunded:
    pool: indexed(uint256)
    amount: uint256


event FeesCollected:
    pool: indexed(uint256)
    amount: uint256


@deploy
def __init__(token: address, decimals: uint256, markets: address, insurance_share: uint256, transfer_rate: uint256):
    ownable.__init__()
    ownable_2step.__init__()
    access.__init__(insurance_share, transfer_rate)
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
    words: DynArray[uint256, 64] = []
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
def post(
    entries: DynArray[IClearinghouse.Entry, 72],
    pool_entries: DynArray[IClearinghouse.PoolEntry, 4],
    charges: DynArray[IClearinghouse.Charge, 32],
):
    """
    @notice See IClearinghouse. Doors only: they answer for consent, price and slice; what
            is checked here holds whatever the door. Trade doors may not draw on insurance
            or charge winners; in a liquidation the first entry's account is the victim.
    """
    kind: uint256 = access.doors[msg.sender]
    assert kind != 0, "clearing: not a door"
    liquidation: bool = kind == access.LIQUIDATION_DOOR
    victim: uint256 = entries[0].account
    owed: int256 = self._charge(charges, victim, liquidation)
    amounts: int256 = 0
    interests: DynArray[uint256, 72] = []
    for entry: IClearinghouse.Entry in entries:
        interests.append(0 if entry.market == 0 else ledger.open_interest[entry.market] >> 128)
    old_header: uint256 = 0
    old_words: DynArray[uint256, 64] = []
    flags: uint256 = 0
    last: uint256 = len(entries) - 1
    for i: uint256 in range(len(entries), bound=72):
        entry: IClearinghouse.Entry = entries[i]
        if i == 0 or entries[i - 1].account != entry.account:
            old_header, old_words = ledger._load(entry.account)
            flags = 0
        flags |= self._post_entry(entry, liquidation)
        owed += entry.cash
        amounts += entry.amount
        if i == last or entries[i + 1].account != entry.account:
            if liquidation:
                self._judge_liquidation(entry.account, entry.account == victim, flags, old_header, old_words)
            else:
                self._judge_trade(entry.account, flags, old_header, old_words)
    for entry: IClearinghouse.PoolEntry in pool_entries:
        assert liquidation or (entry.insurance >= 0 and entry.treasury >= 0), "clearing: draws on a pool"
        ledger._add_pool(entry.pool, entry.insurance, entry.treasury)
        owed += entry.insurance + entry.treasury
    if len(charges) > 0:
        assert ledger._insurance(lanes._vault_market(victim)) == 0, "clearing: insurance comes first"
    assert owed == 0 and amounts == 0, "clearing: not zero-sum"
    self._check_interest(entries, interests, liquidation)


@external
@view
def account(account_id: uint256) -> (uint256, DynArray[uint256, 64]):
    """
    @return The account's header and its position words (layout: ledger/lanes.vy).
    """
    return ledger._load(account_id)


# ---------------------------------------------------------------- internal


@internal
def _charge(charges: DynArray[IClearinghouse.Charge, 32], victim: uint256, liquidation: bool) -> int256:
    """
    @notice Charge a shortfall to the winners of markets, before any leg moves, so that a
            liquidator who is himself the winner pays his part.
    @return minus what was granted
    """
    granted: int256 = 0
    for charge: IClearinghouse.Charge in charges:
        assert liquidation, "clearing: charges winners"
        held: uint256 = ledger.open_interest[charge.market] >> 128
        extcall MARKETS.charge(charge.market, charge.longs, charge.amount, held)
        ledger.deficits[charge.market] += convert(charge.amount, int256)
        granted -= convert(charge.amount, int256)
    return granted


@internal
def _post_entry(entry: IClearinghouse.Entry, liquidation: bool) -> uint256:
    """
    @return What the entry did, as flags
    """
    if entry.cash != 0:
        ledger._add_cash(entry.account, entry.cash)
    if entry.market == 0:
        self._log_entry(entry, 0, 0)
        return WITHDRAWS if entry.cash < 0 else 0
    if lanes._is_vault(entry.account):
        assert lanes._vault_market(entry.account) == entry.market, "clearing: not the vault's market"
    pin: IMarkets.Pin = extcall MARKETS.pin(entry.market)
    assert not (liquidation and pin.grace), "liquidation: grace after outage"
    size: int256 = 0
    new_size: int256 = 0
    entry_after: int256 = 0
    size, new_size, entry_after = ledger._post_leg(
        entry.account, entry.market, entry.change, entry.amount, pin.social_long, pin.social_short
    )
    self._log_entry(entry, new_size, entry_after)
    if not liquidation and new_size != 0:
        held: uint256 = lanes._bits(abs(new_size)) * pin.mark
        assert held >= terms._min_notional(pin.terms) * units.NOTIONAL_SCALE, "clearing: below min notional"
    if abs(new_size) <= abs(size) and (new_size == 0 or (new_size > 0) == (size > 0)):
        return 0
    assert not entry.reduce_only, "clearing: reduce only"
    assert liquidation or terms._status(pin.terms) == terms.OPEN, "clearing: market is reduce-only"
    return ADDS_RISK


@internal
def _log_entry(entry: IClearinghouse.Entry, size: int256, entry_after: int256):
    log Posted(
        account=entry.account,
        market=entry.market,
        change=entry.change,
        size=size,
        entry=entry_after,
        cash=lanes._cash(ledger.headers[entry.account]),
    )


@internal
def _judge_trade(account_id: uint256, flags: uint256, old_header: uint256, old_words: DynArray[uint256, 64]):
    """
    @notice Initial margin when risk was added, the withdrawal rule when money left for
            another account; otherwise it is enough that health did not fall.
    """
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = ledger._load(account_id)
    if flags & ADDS_RISK != 0:
        access._check_not_paused()
        access._check_mode(lanes._owner(account_id), lanes._mode(header))
        judge._check_initial(header, words)
    elif flags & WITHDRAWS != 0:
        judge._check_withdrawal(header, words)
    else:
        judge._check_reduced(old_header, old_words, header, words)
    if lanes._is_vault(account_id) and lanes._count(header) == 0:
        ledger._return_cash(account_id)


@internal
def _judge_liquidation(
    account_id: uint256, victim: bool, flags: uint256, old_header: uint256, old_words: DynArray[uint256, 64]
):
    """
    @notice The victim was below maintenance, adds no risk and ends flat with nothing owed
            or no less healthy; whoever takes over meets its own initial margin.
    """
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = ledger._load(account_id)
    if not victim:
        assert not lanes._is_vault(account_id), "liquidation: taker is a vault"
        access._check_mode(lanes._owner(account_id), lanes._mode(header))
        judge._check_initial(header, words)
        return
    before: int256 = judge._health(old_header, old_words)
    assert before < 0, "liquidation: healthy"
    assert flags & ADDS_RISK == 0, "liquidation: adds risk"
    if lanes._count(header) == 0:
        assert lanes._cash(header) >= 0, "liquidation: shortfall left"
        if lanes._is_vault(account_id):
            ledger._return_cash(account_id)
    else:
        assert judge._health(header, words) >= before, "liquidation: worsens health"


@internal
def _check_interest(
    entries: DynArray[IClearinghouse.Entry, 72], interests: DynArray[uint256, 72], liquidation: bool
):
    """
    @notice Every touched market is zero-sum, and open interest grows only within what the
            funds behind it could pay.
    """
    for i: uint256 in range(len(entries), bound=72):
        market: uint256 = entries[i].market
        if market == 0 or (i > 0 and entries[i - 1].market == market):
            continue
        interest: uint256 = ledger._close_interest(market)
        if liquidation or interest <= interests[i]:
            continue
        pin: IMarkets.Pin = staticcall MARKETS.quote(market)
        insurance: uint256 = ledger._insurance(0) + ledger._insurance(market)
        cap: uint256 = min(terms._oi_cap(pin.terms), terms._oi_multiple(pin.terms) * insurance)
        assert interest * pin.mark <= cap * units.NOTIONAL_SCALE, "clearing: open interest cap"


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
