"""Properties that need runs of their own: everything happens on a copy of the present state."""

from __future__ import annotations

import random

from margincall.audit.adapter.properties.acts import (
    clamp,
    close,
    do,
    fund_keeper,
    holders,
    keeper_account,
    later,
    reducible,
    traders_of,
    wealth,
)
from margincall.audit.adapter.properties.liquidation import penalty
from margincall.audit.adapter.properties.state import bound
from margincall.audit.adapter.protocol import Account, Liquidatable, Withdrawable
from margincall.audit.adapter.run import BLOCK_HALF, Call, Run

PPM = 10**6


# ---------------------------------------------------------------- accounting


def i_02(run: Run, seed: int) -> None:
    """From any state: liquidate what is unhealthy, close all at the mark, withdraw all in a permutation pi:
    every call succeeds, and each trader ends with the same tokens for two permutations but for rounding.
    """
    if not run.state.judged or run.stale() or run.paused:
        return
    outs = []
    for turn in range(2):
        rng = random.Random(seed + turn)
        with run.on_copy():
            _clean_up(run)
            if holders(run, healthy=False) or _close_everything(run, rng):
                return  # who takes the positions over lacks margin: not the exit's fault
            order = list(run.state.accounts)
            rng.shuffle(order)
            for account in order:
                amount = run.state.accounts[account].cash
                reason = do(run, "withdraw", account, amount) if amount > 0 else ""
                run.need(not reason, f"{account} cannot leave: {reason}", amount=amount, held=run.state.held)
            outs.append(run.state.wallets)
    eps = run.adapter.rounding * 4 * len(run.adapter.accounts)
    same = all(abs(a - b) <= eps for a, b in zip(*outs, strict=True))
    # Another order takes other seconds: where equity accrues, only that everyone can leave is said.
    run.need(same or run.adapter.accrues, "payouts depend on the order", first=outs[0], second=outs[1])
    run.counts["everyone left"] += 1


def _clean_up(run: Run) -> None:
    for _ in range(2 * len(run.adapter.accounts)):
        bad = [a for a in holders(run, healthy=False) if a.trader != run.keeper]
        if not bad:
            return
        taker = keeper_account(run, bad[0].pool)
        if taker:
            fund_keeper(run, taker, 2 * run.notional(run.state.accounts[bad[0]]))
        if do(run, "liquidate", run.keeper, bad[0], 1_000):
            return


def _close_everything(run: Run, rng: random.Random) -> str:
    """Longs against shorts at the mark, in any order; the reason if one is refused."""
    for market in range(len(run.adapter.markets)):
        for _ in range(4 * len(run.adapter.accounts)):
            sizes = {a: s.sizes[market] for a, s in run.state.accounts.items() if s.sizes[market]}
            longs, shorts = ([a for a in sizes if sizes[a] * sign > 0] for sign in (1, -1))
            if not longs or not shorts:
                break
            seller, buyer = rng.choice(longs), rng.choice(shorts)
            size = min(sizes[seller], -sizes[buyer])
            for account in (seller, buyer):  # the keeper, who may be short of margin, can always pay in
                if account.trader == run.keeper:
                    fund_keeper(run, account, run.notional(run.state.accounts[account]))
            if reason := do(run, "trade", market, buyer, seller, size, run.prices[market]):
                return reason
    return ""


def i_04(run: Run, seed: int) -> None:
    """For P and P': |sum_a Eq(a; P) - sum_a Eq(a; P')| <= a rounding an account."""
    if not run.state.judged:
        return
    rng = random.Random(seed)
    market = rng.randrange(len(run.prices))
    price = clamp(run, market, run.prices[market] * rng.choice((1, 50, 90, 99, 101, 110, 300)) // 100)
    before = run.state.total
    with run.on_copy():
        if do(run, "set_price", market, price) or not run.state.judged:
            return
        change = run.state.total - before
    most = 2 * len(run.state.accounts) * run.adapter.rounding
    run.need(abs(change) <= most, f"total equity depends on the price {price}", change=change, most=most)


# ---------------------------------------------------------------- health


def i_10_reduce(run: Run, seed: int) -> None:
    """For every healthy account with q != 0 a reduction succeeds (fresh price): all of it at the mark."""
    found = reducible(run)
    if not found or run.stale():
        return
    account, market = random.Random(seed).choice(found)
    with run.on_copy():
        reason = close(run, account, market)
        if "nobody" not in reason:
            run.need(
                not reason,
                f"{account} cannot close in market {market}: {reason}",
                seen=run.state.accounts[account],
            )


def i_12(run: Run, seed: int) -> None:
    """C + d => H + d. A book of one leg: a price in its favour never lowers H, one against it never raises
    it; so liquidatable stays so at every worse price.
    """
    rng = random.Random(seed)
    account = rng.choice(list(run.state.accounts))
    seen = run.state.accounts[account]
    if seen.health is None:
        return
    amount = rng.choice((1, 7, run.adapter.money))
    with run.on_copy():
        later(run, 1)
        before = run.state.accounts[account].health
    with run.on_copy():
        if before is not None and not do(run, "deposit", account, amount):
            gained = run.state.accounts[account].health - before
            run.need(gained == amount, f"a deposit of {amount} moved health of {account}", gained=gained)
    legs = [m for m, size in enumerate(seen.sizes) if size]
    if len(legs) != 1 or run.adapter.accrues:
        return
    market, size = legs[0], seen.sizes[legs[0]]
    price = clamp(run, market, run.prices[market] * rng.choice((3, 60, 95, 99, 101, 105, 140)) // 100)
    with run.on_copy():
        if do(run, "set_price", market, price) or run.state.accounts[account].health is None:
            return
        moved = run.state.accounts[account].health - seen.health
    good = (price - run.prices[market]) * size
    wrong = (good > 0 and moved < 0) or (good < 0 and moved > 0)
    run.need(not wrong, f"health of {account} moved against its price", price=price, size=size, moved=moved)


def i_13(run: Run, seed: int) -> None:
    """liquidatable(a) <=> liquidate(a) succeeds; withdrawable(a) can be withdrawn, one more cannot."""
    account = random.Random(seed).choice(list(run.state.accounts))
    if account.trader != run.keeper and isinstance(run.adapter, Liquidatable):
        with run.on_copy():
            taker = keeper_account(run, account.pool)
            if taker:
                fund_keeper(run, taker, 2 * run.notional(run.state.accounts[account]))
            said = run.adapter.liquidatable(account)
            reason = do(run, "liquidate", run.keeper, account, 1_000)
        run.need(said == (not reason), f"liquidatable({account}) is {said}", refused=reason)
    if isinstance(run.adapter, Withdrawable) and not run.stale() and not run.paused:
        said = run.adapter.withdrawable(account)
        with run.on_copy():
            reason = do(run, "withdraw", account, said) if said else ""
            short = run.state.held < said
            run.need(not reason or short, f"withdrawable({account}) was refused: {reason}", said=said)
        with run.on_copy():
            reason = do(run, "withdraw", account, said + 1)
        run.need(bool(reason), f"more than withdrawable({account}) left", said=said)


# ---------------------------------------------------------------- symmetry, interference


def i_15(run: Run, seed: int) -> None:
    """The same history with the traders in other places: the same refusals, the same accounts under their new
    owners. (Units, decimals and mirrored prices need another deployment of the engine.)
    """
    rng = random.Random(seed)
    places = list(range(run.keeper))
    rng.shuffle(places)
    places.append(run.keeper)

    def moved(arg):
        return arg._replace(trader=places[arg.trader]) if isinstance(arg, Account) else arg

    calls = replayable(run)
    other = [Call(c.kind, tuple(moved(arg) for arg in c.args)) for c in calls]
    other = [c._replace(args=(places[c.args[0]], *c.args[1:])) if c.kind == "liquidate" else c for c in other]
    plain, permuted = _replay(run, calls), _replay(run, other)
    run.need(plain[1] == permuted[1], "a refusal depends on who it is", places=places)
    for account, seen in plain[0].accounts.items():
        other_seen = permuted[0].accounts[moved(account)]
        run.need(seen == other_seen, f"{account} depends on who it is", one=seen, other=other_seen)


def i_28(run: Run, seed: int) -> None:
    """The same history with and without all calls of a market's vaults: cash, positions and equity of all
    other pools, and their insurance, are identical.
    """
    pools = sorted({a.pool for a in run.adapter.accounts if a.pool >= 0})
    pool = random.Random(seed).choice(pools)
    mixed = any(a.pool == -1 for a in run.adapter.accounts)

    def touches(call: Call) -> bool:
        if call.kind == "set_price" and not mixed:
            return call.args[0] == pool
        return any(isinstance(arg, Account) and arg.pool == pool for arg in call.args)

    calls = [call for call in replayable(run) if call.kind != "donate"]
    full, _ = _replay(run, calls)
    less, _ = _replay(run, [call for call in calls if not touches(call)])
    for account, seen in full.accounts.items():
        if account.pool != pool:
            same = seen == less.accounts[account] or run.adapter.accrues
            run.need(same, f"{account} depends on pool {pool}", with_it=seen, without=less.accounts[account])
    one, two = list(full.stocks.insurance), list(less.stocks.insurance)
    one[pool] = two[pool] = 0
    run.need(one == two, f"insurance depends on pool {pool}", with_it=one, without=two)


def replayable(run: Run) -> list[Call]:
    """The history so far without what names addresses or looks only."""
    return [call for call in run.history if call.kind not in ("probe", "stranger")]


def _replay(run: Run, calls: list[Call]) -> tuple:
    other = Run(run.factory)
    reasons = [other.attempt(call)[0] for call in calls]
    for call, reason in zip(calls, reasons, strict=True):
        if call.kind == "set_price" and not reason:
            other.prices[call.args[0]] = call.args[1]
    return other.read(), reasons


# ---------------------------------------------------------------- liquidation


def i_17(run: Run, seed: int) -> None:
    """Eq < MM and a fresh price => a call anybody can make succeeds, within half a block of gas, and does
    not cost the caller, whatever the victim did just before (a deposit of one unit, a closing order of one
    lot).
    """
    bad = [a for a in holders(run, healthy=False) if a.trader != run.keeper]
    if not bad or run.stale():
        return
    rng = random.Random(seed)
    account = rng.choice(bad)
    with run.on_copy():
        taker = keeper_account(run, account.pool)
        if taker:
            fund_keeper(run, taker, 2 * run.notional(run.state.accounts[account]))
        act = rng.randrange(3)
        if act == 1:
            do(run, "deposit", account, 1)
        elif act == 2:
            legs = [m for m, size in enumerate(run.state.accounts[account].sizes) if size]
            close(run, account, legs[0], 1)
        run.state = run.read()
        if (run.state.accounts[account].health or 0) >= 0:
            return
        with run.on_copy():
            later(run, 1)
            before = wealth(run, {run.keeper})
        insolvent = run.state.accounts[account].equity < 0
        reason, receipt = run.attempt(Call("liquidate", (run.keeper, account, 1_000)))
        run.need(
            not reason,
            f"{account} cannot be liquidated: {reason}",
            **run.state.accounts[account].margin._asdict(),
        )
        gas = receipt.gas_used if receipt else 0
        run.need(gas <= BLOCK_HALF, f"liquidating {account} takes too much gas", gas=gas)
        run.state = run.read()
        payoff = wealth(run, {run.keeper}) - before
        eps = run.adapter.rounding * (1 + len(run.prices))
        # Whose position was on the winning side of an insolvent victim bears his share (I-26).
        run.need(payoff >= -eps or insolvent, "liquidating costs the liquidator", payoff=payoff)


def i_20_chunks(run: Run, seed: int) -> None:
    """sum cost(chunks) <= cost(once) + a rounding a chunk, where both end flat (and time costs nothing)."""
    bad = [a for a in holders(run, healthy=False) if a.trader != run.keeper]
    if not bad or not run.adapter.partial or run.adapter.accrues:
        return
    rng = random.Random(seed)
    account = rng.choice(bad)
    if run.state.accounts[account].equity < penalty(run, run.state.accounts[account]):
        return
    costs = []
    for shares in ((1_000,), (rng.randrange(1, 999), rng.randrange(1, 999), 1_000)):
        with run.on_copy():
            taker = keeper_account(run, account.pool)
            if taker:
                fund_keeper(run, taker, 2 * run.notional(run.state.accounts[account]))
            before = run.state.accounts[account].equity
            if any(do(run, "liquidate", run.keeper, account, share) for share in shares):
                return
            if not run.state.accounts[account].flat:
                return
            costs.append(before - run.state.accounts[account].equity)
    eps = run.adapter.rounding * 3 * len(run.prices)
    run.need(costs[1] <= costs[0] + eps, "pieces cost more than the whole", once=costs[0], pieces=costs[1])


def i_22(run: Run, seed: int) -> None:
    """A set S of two traders without positions acts on itself only, at constant prices (trades at the edges
    of the band, liquidations of each other, deposits, withdrawals): wallets and equity of S never rise in
    sum.
    """
    rng = random.Random(seed)
    pair = traders_of(run, 2, rng)
    own = [a for a in run.adapter.accounts if a.trader in pair]
    if len(pair) < 2 or any(not run.state.accounts[a].flat for a in own) or run.stale():
        return
    with run.on_copy():
        before, traded = wealth(run, set(pair)), 0
        for _ in range(14):
            account = rng.choice(own)
            others = [a for a in own if a.trader != account.trader and a.pool == account.pool]
            act = rng.randrange(8)
            if act < 2:
                do(run, "deposit", account, rng.choice((1, run.adapter.money // 3, run.adapter.money)))
            elif act < 6 and others:
                market = account.pool if account.pool >= 0 else rng.randrange(len(run.prices))
                traded += not do(run, "trade", *_trade(run, market, account, rng.choice(others), rng))
            elif act == 6 and others:
                do(run, "liquidate", rng.choice(others).trader, account, 1_000)
            elif run.state.accounts[account].margin:
                do(run, "withdraw", account, max(0, bound(run, run.state.accounts[account])))
        gained = wealth(run, set(pair)) - before
    if traded:
        run.need(gained <= 0, "a coalition gained by itself", traders=pair, gained=gained)


def _trade(run: Run, market: int, one: Account, two: Account, rng: random.Random) -> tuple:
    spec, mark = run.adapter.markets[market], run.prices[market]
    equity = max(1, run.state.accounts[one].equity or 1)
    size = equity * spec.scale * rng.choice((1, 5, 9, 10, 20)) // mark or 1
    gap = mark * spec.band // PPM
    return market, one, two, size, mark + rng.choice((-gap, 0, gap))


PROBES = (
    i_02, i_04, i_10_reduce, i_12, i_13, i_15, i_17, i_20_chunks, i_22, i_28,
)  # fmt: skip
