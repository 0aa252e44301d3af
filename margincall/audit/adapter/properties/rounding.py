"""Round trips, pieces and the pause, each on a copy of the present state."""

from __future__ import annotations

import random
from collections.abc import Callable

from margincall.audit.adapter.properties.acts import (
    close,
    do,
    fund_keeper,
    holders,
    keeper_account,
    later,
    reducible,
)
from margincall.audit.adapter.protocol import Account
from margincall.audit.adapter.run import Run


def i_35_money(run: Run, seed: int) -> None:
    """deposit(x), withdraw(x): the wallet ends no higher and the equity no higher."""
    rng = random.Random(seed)
    account = rng.choice(list(run.state.accounts))
    wallet = run.state.wallets[account.trader]
    amount = rng.choice((1, 3, run.adapter.money, run.adapter.money + 1))
    with run.on_copy():
        later(run, 2)
        seen = run.state.accounts[account]
    with run.on_copy():
        if do(run, "deposit", account, amount) or do(run, "withdraw", account, amount):
            return
        gained = run.state.wallets[account.trader] - wallet
        more = (run.state.accounts[account].equity or 0) - (seen.equity or 0)
    run.need(gained <= 0 and gained + more <= 0, "a round trip of money gains", wallet=gained, equity=more)


def i_35_trip(run: Run, seed: int) -> None:
    """Open and close at one price: equity ends no higher."""
    rng = random.Random(seed)
    flat = [
        a for a, s in run.state.accounts.items() if s.flat and (s.equity or 0) > 0 and a.trader != run.keeper
    ]
    if not flat or run.stale():
        return
    account = rng.choice(flat)
    market = account.pool if account.pool >= 0 else rng.randrange(len(run.prices))
    other = keeper_account(run, market)
    if other is None:
        return
    before = run.state.accounts[account].equity
    with run.on_copy():
        fund_keeper(run, other, 100 * before)
        size = before * run.adapter.markets[market].scale * rng.choice((1, 3, 7)) // run.prices[market]
        sides = (account, other) if rng.random() < 0.5 else (other, account)
        if (
            size <= 0
            or do(run, "trade", market, *sides, size, run.prices[market])
            or close(run, account, market)
        ):
            return
        gained = run.state.accounts[account].equity - before
    run.need(gained <= 0, f"a round trip in market {market} gains", size=size, gained=gained)


def i_35_pieces(run: Run, seed: int) -> None:
    """Closing in n pieces never leaves more than closing at once (where time alone changes nothing)."""
    found = reducible(run)
    if not found or run.stale() or run.adapter.accrues:
        return
    rng = random.Random(seed)
    account, market = rng.choice(found)
    size = abs(run.state.accounts[account].sizes[market])
    if size < 4:
        return
    cuts = sorted(rng.randrange(1, size) for _ in range(rng.choice((1, 3, 6))))
    left = []
    for pieces in ([size], [b - a for a, b in zip([0, *cuts], [*cuts, size], strict=True) if b > a]):
        with run.on_copy():
            if any(close(run, account, market, piece) for piece in pieces):
                return
            left.append(run.state.accounts[account].equity)
    run.need(left[1] <= left[0], f"{account} gains by closing in pieces", once=left[0], pieces=left[1])


def i_38_pause(run: Run, seed: int) -> None:
    """Paused: deposits and reductions succeed, or liquidation is blocked too."""
    found = reducible(run)
    if not found or run.stale() or run.paused:
        return
    account, market = random.Random(seed).choice(found)
    with run.on_copy():
        if do(run, "set_paused", True):
            return
        run.paused = True
        shut = [what for what, act in _ways_out(run, account, market) if act()]
        if not shut:
            run.need(True, "")
            return
        bad = [a for a in holders(run, healthy=False) if a.trader != run.keeper]
        if bad:
            reason = do(run, "liquidate", run.keeper, bad[0], 1_000)
            run.need(
                bool(reason), f"paused: {', '.join(shut)} refused while liquidation goes on", account=account
            )


def _ways_out(run: Run, account: Account, market: int) -> list[tuple[str, Callable[[], str]]]:
    """A deposit, and closing against somebody who closes too (who would open may well be refused)."""
    held = run.state.accounts[account].sizes[market]
    ways = [("deposit", lambda: do(run, "deposit", account, run.adapter.money))]
    others = {a: run.state.accounts[a].sizes[market] for a in holders(run, healthy=True)}
    other = next((a for a, size in others.items() if size * held < 0), None)
    if other is not None:
        size = min(abs(held), abs(others[other]))
        sides = (other, account) if held > 0 else (account, other)
        ways.append(("closing", lambda: do(run, "trade", market, *sides, size, run.prices[market])))
    return ways


PROBES = (i_35_money, i_35_trip, i_35_pieces, i_38_pause)
