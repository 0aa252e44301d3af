"""The operations of the clearinghouse on accounts' own money, modes and pauses.

Each either changes the state or raises `Refused` and changes nothing. `now`: unix seconds.
Amounts in money unless said otherwise. Who may call is not modelled: only what is allowed.
"""

from margincall.model import accounts
from margincall.model.accounts import Position
from margincall.model.arithmetic import INDEX_SCALE, MAX_MARKET, NOTIONAL_SCALE, PPM, Refused, ceil_div
from margincall.model.ledger import Positions, State, Words, apply, find, put
from margincall.model.margin import check_reduced
from margincall.model.markets import OPEN, Market


def deposit(state: State, account: int, tokens: int) -> int:
    """Credit tokens (token units) that arrived to a root account, rounded down. Returns the money."""
    if accounts.is_vault(account) or account == 0:
        raise Refused("deposit: not a root account")
    credited = tokens // state.scale
    if not 0 < credited < 2**96:
        raise Refused("deposit: bad amount")
    state.cash[account] = state.cash.get(account, 0) + credited
    return credited


def withdraw(state: State, now: int, account: int, tokens: int) -> int:
    """Take tokens (token units) out of a root account. Returns the debit in money, rounded up."""
    if accounts.is_vault(account):
        raise Refused("withdraw: not a root account")
    if state.paused:
        raise Refused("access: paused")
    if tokens <= 0:
        raise Refused("withdraw: zero amount")
    debit = ceil_div(tokens, state.scale)
    if debit >= 2**96:
        raise Refused("withdraw: bad amount")
    cash = state.cash.get(account, 0) - debit
    positions = state.positions.get(account, ())
    check_withdrawal(state, now, account, cash, positions)
    state.write(account, cash, positions)
    return debit


def close_account(state: State, account: int) -> int:
    """Pay out a flat root account whole. Returns the money paid."""
    if accounts.is_vault(account):
        raise Refused("withdraw: not a root account")
    if state.paused:
        raise Refused("access: paused")
    if not state.is_flat(account):
        raise Refused("close: has positions")
    cash = state.cash.get(account, 0)
    state.write(account, 0, ())
    state.modes.pop(account, None)
    return cash


def move_margin(state: State, now: int, source: int, target: int, amount: int) -> None:
    """Move money between a root account and one of its vaults that holds a position."""
    if accounts.parent(source) != accounts.parent(target):
        raise Refused("margin: not vault and parent")
    if accounts.is_vault(source) == accounts.is_vault(target):
        raise Refused("margin: not vault and parent")
    if not 0 < amount < 2**96:
        raise Refused("margin: bad amount")
    if accounts.is_vault(target):  # adding margin de-risks and stays open in a pause
        if not state.positions.get(target):
            raise Refused("margin: vault has no position")
    elif state.paused:
        raise Refused("access: paused")
    cash = state.cash.get(source, 0) - amount
    positions = state.positions.get(source, ())
    check_withdrawal(state, now, source, cash, positions)
    state.write(source, cash, positions)
    state.cash[target] = state.cash.get(target, 0) + amount


def check_withdrawal(
    state: State, now: int, account: int, cash: int, positions: Positions, words: Words | None = None
) -> None:
    """The rule for what has just left: cash >= 0 and E >= max(IM, ceil(N * transfer_rate / 1e6)).

    words: the book as it is then (default: as it stands). Unrealised profit never leaves the pool. Source:
    VENUES, Hyperliquid's transfer rule.
    """
    if cash < 0:
        raise Refused("margin: not enough cash")
    equity, initial, _, notional = state.measure(now, account, cash, positions, words)
    if equity < initial or equity < ceil_div(notional * state.transfer_rate, PPM):
        raise Refused("margin: below transfer margin")


def switch_to_isolated(state: State, now: int, account: int, market: int, number: int, amount: int) -> int:
    """Move a root account's position in `market` into its empty vault `number` with `amount` of margin.

    Returns the vault's id.
    """
    if not (0 < market < 2**32 and 0 <= number < 2**32 and 0 <= amount < 2**96):
        raise Refused("switch: bad vault")
    if accounts.is_vault(account):
        raise Refused("switch: not a root account")
    _check_solvent(state, now, account)
    vault = account | market << 32 | number
    if state.positions.get(vault) or state.cash.get(vault):
        raise Refused("switch: vault is open")
    cash, positions = state.cash.get(account, 0), state.positions.get(account, ())
    lane = find(positions, market)
    if lane < 0:
        raise Refused("switch: no position")
    moved, social = _rehome(state, positions[lane])
    rest = put(positions, lane, market, 0, 0)
    _check_left(state, now, account, cash, rest)
    if amount:
        check_withdrawal(state, now, account, cash - amount, rest)
    _check_taken(state, now, vault, amount, (moved,))
    check_withdrawal(state, now, account, cash - amount, rest)
    state.write(account, cash - amount, rest)
    state.write(vault, amount, (moved,))
    _settle(state, market, social)
    return vault


def switch_to_cross(state: State, now: int, vault: int) -> None:
    """Move a vault's position and all its cash into its root account."""
    if not accounts.is_vault(vault):
        raise Refused("switch: not a vault")
    _check_solvent(state, now, vault)
    held = state.positions.get(vault, ())
    if not held:
        raise Refused("switch: no position")
    account = accounts.parent(vault)
    _check_solvent(state, now, account)
    positions = state.positions.get(account, ())
    market = held[0][0]
    if find(positions, market) >= 0:
        raise Refused("switch: position exists")
    cash = state.cash.get(account, 0) + state.cash.get(vault, 0)
    moved, social = _rehome(state, held[0])
    joined = put(positions, -1, *moved)
    _check_taken(state, now, account, cash, joined)
    state.write(account, cash, joined)
    state.write(vault, 0, ())
    _settle(state, market, social)


def fund_insurance(state: State, pool: int, tokens: int) -> int:
    """Add tokens (token units) to a pool's insurance, rounded down to money. Insurance of pool 0 first repays
    what options could not pay (market 0's deficit). Returns the credit."""
    if not 0 <= pool <= MAX_MARKET:
        raise Refused("insurance: no such pool")
    credited = tokens // state.scale
    if not 0 < credited < 2**96:
        raise Refused("deposit: bad amount")
    state.insurance[pool] = state.insurance.get(pool, 0) + credited
    if pool == 0 and (repaid := min(state.deficit.get(0, 0), state.insurance[0])) > 0:
        state.deficit[0] -= repaid
        state.insurance[0] -= repaid
    return credited


def collect_fees(state: State, pool: int) -> int:
    """Pay a pool's treasury part out. Returns the money paid."""
    held = state.treasury.get(pool, 0)
    if not held:
        raise Refused("fees: nothing to collect")
    state.treasury[pool] = 0
    return held


def set_denied_modes(state: State, owner: int, modes: int) -> None:
    """Forbid modes to an owner (bit per mode): positions stay, risk can only fall. 0 allows all."""
    if modes:
        state.denied[owner] = modes
    else:
        state.denied.pop(owner, None)


def set_paused(state: State, paused: bool) -> None:
    """Pause: deposits, added margin, reductions and liquidations stay open."""
    state.paused = paused


def is_denied(state: State, account: int) -> bool:
    """Whether the account's owner may not take risk in the account's mode."""
    return bool(state.denied.get(account >> 96, 0) >> state.mode(account) & 1)


def _rehome(state: State, position: Position) -> tuple[Position, int]:
    """Close a position at its own entry, so that nothing is realised, and open it anew; with social
    charges in its market that can raise the entry by a unit. Returns (position, social).
    """
    market, size, entry = position
    charges = state.markets[market].social_long, state.markets[market].social_short
    amount = entry - -abs(size) * charges[size < 0] // INDEX_SCALE
    closed = apply(size, entry, -size, -amount, *charges)
    opened = apply(0, 0, size, amount, *charges)
    return (market, size, opened[1]), closed[3] + opened[3]


def _settle(state: State, market: int, social: int) -> None:
    if social:
        state.deficit[market] = state.deficit.get(market, 0) - social
    state.pin(market)


def _check_solvent(state: State, now: int, account: int) -> None:
    if state.is_flat(account):
        return
    equity, _, maintenance, _ = state.margin(account, now)
    if equity < maintenance:
        raise Refused("switch: liquidatable")


def _check_left(state: State, now: int, account: int, cash: int, positions: Positions) -> None:
    """The account that gave a position away: initial margin, or the rule of a reduction."""
    judge_reduced(state, now, account, cash, positions)


def judge_initial(
    state: State, now: int, account: int, cash: int, positions: Positions, words: Words | None = None
) -> None:
    """Initial margin of an account as it will be (words: its book then). Raises Refused."""
    equity, initial, _, _ = state.measure(now, account, cash, positions, words)
    if equity < initial:
        raise Refused("margin: below initial")


def judge_reduced(
    state: State,
    now: int,
    account: int,
    cash: int,
    positions: Positions,
    words: Words | None = None,
    old_cash: int | None = None,
) -> None:
    """What is asked of an account that added no risk: see `margin.check_reduced`. old_cash: of the account
    as it stands otherwise. Raises Refused."""
    if not (positions or (state.books.get(account) if words is None else words)):
        if cash < 0:
            raise Refused("margin: loss exceeds cash")
        return
    equity, initial, maintenance, _ = state.measure(now, account, cash, positions, words)
    if equity < initial:
        before = state.cash.get(account, 0) if old_cash is None else old_cash
        old = state.measure(now, account, before, state.positions.get(account, ()))
        check_reduced(old, equity, maintenance)


def check_opening(state: State, now: int, market: Market) -> None:
    """Whether anybody may add risk in a market now. Raises Refused."""
    if market.terms.status != OPEN:
        raise Refused("clearing: market is reduce-only")
    if market.in_grace(now):
        raise Refused("clearing: grace after outage")
    if state.paused:
        raise Refused("access: paused")


def _check_taken(state: State, now: int, account: int, cash: int, positions: Positions) -> None:
    """The account that took the last of `positions`, as if it had opened it."""
    market_id, size, _ = positions[-1]
    market = state.markets[market_id]
    check_opening(state, now, market)
    mark = market.quote(now, state.max_age)[0]
    if abs(size) * mark < market.terms.min_notional * NOTIONAL_SCALE:
        raise Refused("clearing: below min notional")
    if is_denied(state, account):
        raise Refused("access: mode not allowed")
    judge_initial(state, now, account, cash, positions)
