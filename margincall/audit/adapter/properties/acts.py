"""What the runs are made of: who holds what, calls on a copy, the keeper."""

from __future__ import annotations

import random

from margincall.audit.adapter.protocol import Account
from margincall.audit.adapter.run import Call, Run


def holders(run: Run, *, healthy: bool) -> list[Account]:
    """Accounts with positions, healthy or below maintenance."""
    seen = run.state.accounts.items()
    return [a for a, s in seen if not s.flat and s.margin is not None and (s.health >= 0) == healthy]


def keeper_account(run: Run, pool: int) -> Account | None:
    """The keeper's account that backs positions of a pool."""
    own = [a for a in run.adapter.accounts if a.trader == run.keeper]
    return next((a for a in own if a.pool == pool), None) or next((a for a in own if a.pool == -1), None)


def fund_keeper(run: Run, account: Account, notional: int) -> None:
    """Enough for the keeper to take a notional on, whatever state his account is in."""
    margin = run.adapter.margin(account)
    lacking = max(0, margin.initial - margin.equity) if margin else 0
    run.attempt(Call("deposit", (account, notional + lacking + run.adapter.money)))


def do(run: Run, kind: str, *args) -> str:
    """A call on the copy; the reason of a refusal."""
    call = Call(kind, args)
    reason, _ = run.attempt(call)
    if not reason and kind == "set_price":
        run.prices[args[0]] = args[1]
    run.state = run.read()
    return reason


def close(run: Run, account: Account, market: int, size: int | None = None) -> str:
    """Close (a part of) a position at the mark, against the keeper."""
    held = run.state.accounts[account].sizes[market]
    size = abs(held) if size is None else size
    other = keeper_account(run, account.pool if account.pool >= 0 else market)
    if other is None or other == account:
        return "(nobody to trade with)"
    worth = -(-size * run.prices[market] // run.adapter.markets[market].scale)
    fund_keeper(run, other, 2 * worth)
    sides = (other, account) if held > 0 else (account, other)
    return do(run, "trade", market, *sides, size, run.prices[market])


def later(run: Run, calls: int) -> None:
    """Let the time pass that as many calls take: what time does to an account is not theirs."""
    if run.adapter.accrues:
        do(run, "wait", calls)


def traders_of(run: Run, count: int, rng: random.Random) -> list[int]:
    return rng.sample(range(run.keeper), min(count, run.keeper))


def reducible(run: Run) -> list[tuple[Account, int]]:
    keeper = run.keeper
    return [
        (a, m)
        for a in holders(run, healthy=True)
        if a.trader != keeper
        for m, size in enumerate(run.state.accounts[a].sizes)
        if size
    ]


def wealth(run: Run, traders: set[int]) -> int:
    own = [s for a, s in run.state.accounts.items() if a.trader in traders]
    return sum(s.equity or 0 for s in own) + sum(run.state.wallets[t] for t in traders)


def clamp(run: Run, market: int, price: int) -> int:
    spec = run.adapter.markets[market]
    return max(spec.low, min(spec.high, price))
