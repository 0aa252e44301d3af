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

from .access import gate
from .interfaces import IBook
from .interfaces import IClearinghouse
from .interfaces import IMarkets
from .ledger import lanes
from .ledger import ledger
from .margin import judge
from .margin import terms
from .math import rounding
from .math import units

initializes: gate
initializes: judge[gate := gate]
initializes: ledger

exports: (
    gate.ACCESS,
    gate.set_engine,
    gate.engines,
)
exports: (
    ledger.open_interest,
    ledger.deficits,
    ledger.pools,
    ledger.residue,
    ledger.unsettled,
)

TOKEN: public(immutable(IERC20))
SCALE: public(immutable(uint256))  # token units per unit of money
MARKETS: public(immutable(IMarkets))
BOOK: public(immutable(IBook))  # the arithmetic of book words


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


event Absorbed:
    account: indexed(uint256)
    shortfall: uint256
    insurance_paid: uint256


event FeesCollected:
    pool: indexed(uint256)
    amount: uint256


@deploy
def __init__(
    token: address,
    decimals: uint256,
    access: address,
    markets: address,
    base_engine: address,
    book: address,
):
    gate.__init__(access, base_engine)
    assert decimals >= 6 and decimals <= 18, "clearing: token decimals"
    TOKEN = IERC20(token)
    SCALE = 10 ** (decimals - 6)
    MARKETS = IMarkets(markets)
    BOOK = IBook(book)


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
    assert lanes._is_flat(header), "close: has positions"
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
    if pool == 0:
        # What options could not pay at expiry is insurance's debt.
        repaid: int256 = min(ledger.deficits[0], convert(ledger._insurance(0), int256))
        if repaid > 0:
            ledger.deficits[0] -= repaid
            ledger._add_pool(0, -repaid, 0)
    log InsuranceFunded(pool=pool, amount=credited)


@external
def collect_fees(pool: uint256):
    """
    @notice Pay a pool's treasury part to the treasury. Anyone.
    """
    amount: uint256 = ledger.pools[pool] >> 128
    assert amount > 0, "fees: nothing to collect"
    ledger._add_pool(pool, 0, -convert(amount, int256))
    self._push(staticcall gate.ACCESS.treasury(), amount * SCALE)
    log FeesCollected(pool=pool, amount=amount)


# ---------------------------------------------------------------- posting


@external
def trade(t: IClearinghouse.Trade):
    """
    @notice See IClearinghouse. Trade doors only: they answer for consent, price and fee.
    """
    gate._enter_trade()
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
def trade_book(t: IClearinghouse.BookTrade):
    """
    @notice See IClearinghouse. Trade doors only: they answer for consent, price, fee and
            the state of the underlying's market.
    """
    gate._enter_trade()
    assert t.maker != t.taker, "clearing: bad trade"
    self._fill_book(t.maker, t.fragment, True, t.cash - convert(t.maker_fee, int256), t.reduce_only & 1)
    self._fill_book(t.taker, t.fragment, False, -t.cash - convert(t.taker_fee, int256), t.reduce_only & 2)
    self._take_fees(0, t.maker_fee, 0, t.taker_fee)


@external
def post_book(
    account_id: uint256, fragment: DynArray[uint256, 48], negate: bool, cash: int256, rule: uint256
):
    """
    @notice See IClearinghouse. Source doors only. What an expired series leaves owing in a
            flat account is paid by insurance, or recorded; it never blocks a settlement.
    """
    assert gate._enter() == gate.SOURCE_DOOR, "clearing: not a source door"
    self._merge(account_id, fragment, negate)
    if cash != 0:
        ledger._add_cash(account_id, cash)
        ledger.unsettled += cash
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = ledger._load(account_id)
    if rule != 0:
        gate._check_not_paused()
        judge._check_withdrawal(header, words)
    elif lanes._is_flat(header) and lanes._cash(header) < 0:
        shortfall: int256 = -lanes._cash(header)
        paid: int256 = min(shortfall, convert(ledger._insurance(0), int256))
        ledger._add_cash(account_id, shortfall)
        ledger._add_pool(0, -paid, 0)
        ledger.deficits[0] += shortfall - paid
        log Absorbed(
            account=account_id,
            shortfall=convert(shortfall, uint256),
            insurance_paid=convert(paid, uint256),
        )


@external
def set_mode(account_id: uint256, mode: uint256):
    """
    @notice See IClearinghouse. Trade doors only. Not out of a liquidation, and the account
            meets the initial margin of its new mode.
    """
    gate._enter_trade()
    assert mode == units.CROSS or mode == units.PORTFOLIO, "switch: no such mode"
    assert not lanes._is_vault(account_id), "switch: not a root account"
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = ledger._load(account_id)
    assert judge._health(header, words) >= 0, "switch: liquidatable"
    gate._check_not_paused()
    gate._check_mode(lanes._owner(account_id), mode)
    ledger._set_mode(account_id, mode)
    judge._check_initial(lanes._with_mode(header, mode), words)


@external
def move_cash(source: uint256, target: uint256, amount: uint256):
    """
    @notice See IClearinghouse. Trade doors only, within one root account and its vaults.
    """
    gate._enter_trade()
    assert lanes._parent(source) == lanes._parent(target) and source != target, "clearing: other account"
    self._move_cash(source, target, amount)


@external
def take_over(
    victim: uint256,
    taker: uint256,
    legs: DynArray[IClearinghouse.Leg, 32],
    victim_cash: int256,
    taker_cash: int256,
    charges: DynArray[IClearinghouse.Charge, 33],
    fragment: DynArray[uint256, 48],
):
    """
    @notice See IClearinghouse. Liquidation doors only: they choose slice and penalty. That
            the victim was below maintenance and is no worse for it, that insurance pays
            before winners are charged and that the taker can carry what it takes is
            judged here.
    """
    assert gate._enter() == gate.LIQUIDATION_DOOR, "clearing: not a liquidation door"
    assert victim != taker and not lanes._is_vault(taker), "liquidation: taker is a vault"
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = ledger._load(victim)
    before: int256 = judge._health(header, words)
    assert before < 0, "liquidation: healthy"
    granted: uint256 = 0
    for charge: IClearinghouse.Charge in charges:
        # Before any leg moves: a taker who is himself the winner pays his part. What no
        # market's winners can be asked for is recorded (market 0).
        if charge.market != 0:
            extcall MARKETS.charge(
                charge.market, charge.longs, charge.amount, ledger.open_interest[charge.market]
            )
        ledger.deficits[charge.market] += convert(charge.amount, int256)
        granted += charge.amount
    for leg: IClearinghouse.Leg in legs:
        self._take_leg(victim, taker, leg)
    if len(fragment) > 0:
        assert self._merge(victim, fragment, True), "liquidation: adds risk"
        self._merge(taker, fragment, False)
    if victim_cash != 0:
        ledger._add_cash(victim, victim_cash)
    if taker_cash != 0:
        ledger._add_cash(taker, taker_cash)
    pool: uint256 = lanes._vault_market(victim)
    ledger._add_pool(pool, convert(granted, int256) - victim_cash - taker_cash, 0)
    assert granted == 0 or ledger._insurance(pool) == 0, "clearing: insurance comes first"

    header, words = ledger._load(victim)
    if not lanes._is_flat(header):
        assert judge._health(header, words) >= before, "liquidation: worsens health"
    else:
        assert lanes._cash(header) >= 0, "liquidation: shortfall left"
        if lanes._is_vault(victim):
            ledger._return_cash(victim)
    header, words = ledger._load(taker)
    gate._check_mode(lanes._owner(taker), lanes._mode(header))
    judge._check_initial(header, words)


@external
@view
def account(account_id: uint256) -> (uint256, DynArray[uint256, 64]):
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
    words: DynArray[uint256, 64] = []
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
    old_words: DynArray[uint256, 64] = []
    old_header: uint256 = header
    if reduces:
        old_header, old_words = ledger._load(account_id)
    else:
        assert reduce_only == 0, "clearing: reduce only"
        assert terms._status(pin.terms) == terms.OPEN, "clearing: market is reduce-only"
        # Liquidations of this market wait, so nobody may join what they cannot reach.
        assert not pin.grace, "clearing: grace after outage"
        gate._check_not_paused()
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

    words: DynArray[uint256, 64] = []
    header, words = ledger._load(account_id)
    if reduces:
        judge._check_reduced(old_header, old_words, header, words)
        if vault and after == 0:
            ledger._return_cash(account_id)
    else:
        gate._check_mode(lanes._owner(account_id), lanes._mode(header))
        judge._check_initial(header, words)
    return max(after, 0) - max(size, 0)


@internal
def _fill_book(
    account_id: uint256, fragment: DynArray[uint256, 2], negate: bool, cash: int256, reduce_only: uint256
):
    """
    @notice Post one side of a trade in the book and judge the account as `_fill` does.
    """
    old_header: uint256 = 0
    old_words: DynArray[uint256, 64] = []
    old_header, old_words = ledger._load(account_id)
    reduces: bool = self._merge(account_id, fragment, negate)
    if cash != 0:
        ledger._add_cash(account_id, cash)
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = ledger._load(account_id)
    if reduces:
        judge._check_reduced(old_header, old_words, header, words)
    else:
        assert reduce_only == 0, "clearing: reduce only"
        gate._check_not_paused()
        gate._check_mode(lanes._owner(account_id), lanes._mode(header))
        judge._check_initial(header, words)


@internal
def _merge(account_id: uint256, fragment: DynArray[uint256, 48], negate: bool) -> bool:
    """
    @notice Add a fragment to an account's book, or take it out.
    @return whether every position that it touches got smaller
    """
    assert not lanes._is_vault(account_id) and account_id != 0, "clearing: not a root account"
    book: DynArray[uint256, 48] = ledger._load_book(account_id, ledger.headers[account_id])
    reduces: bool = False
    book, reduces = staticcall BOOK.merge(book, fragment, negate)
    ledger._store_book(account_id, book)
    return reduces


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
    words: DynArray[uint256, 64] = []
    header, words = ledger._load(source)
    judge._check_withdrawal(header, words)


@internal
def _take_fees(maker_pool: uint256, maker_fee: uint256, taker_pool: uint256, taker_fee: uint256):
    """
    @notice Split fees between insurance and treasury of the pools they come from.
    """
    share: uint256 = gate._insurance_share()
    maker_part: uint256 = maker_fee * share // units.PPM
    taker_part: uint256 = taker_fee * share // units.PPM
    ledger._add_pool(maker_pool, convert(maker_part, int256), convert(maker_fee - maker_part, int256))
    ledger._add_pool(taker_pool, convert(taker_part, int256), convert(taker_fee - taker_part, int256))


@internal
def _check_payout(account_id: uint256, receiver: address):
    gate._enter()
    assert msg.sender == lanes._owner(account_id), "withdraw: not owner"
    assert not lanes._is_vault(account_id), "withdraw: not a root account"
    assert receiver != empty(address) and receiver != self, "withdraw: bad receiver"
    gate._check_not_paused()


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
