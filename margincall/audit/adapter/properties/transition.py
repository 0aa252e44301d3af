"""What a call may do, and what a refused one must not."""

from __future__ import annotations

from margincall.audit.adapter.properties.state import bound
from margincall.audit.adapter.protocol import Account
from margincall.audit.adapter.run import Run, Seen, State, Step

OUTSIDE = ("set_price", "wait", "set_paused")


def i_05(run: Run, step: Step) -> None:
    """Not a price, time or a liquidation: C(b), q(b), Eq(b) are unchanged for every b that the call does not
    name.
    """
    if not step.ok or step.call.kind in (*OUTSIDE, "liquidate") or _for_anyone(run, step):
        return
    for account in step.after.accounts.keys() - step.named:
        old, new = step.before.accounts[account], step.after.accounts[account]
        run.need(old == new, f"{step.call.kind} changed {account}", before=old, after=new)


def i_06(run: Run, step: Step) -> None:
    """trade(a, a) and liquidate(a by a) revert or change nothing."""
    kind, args = step.call
    oneself = (kind == "trade" and args[1] == args[2]) or (kind == "liquidate" and args[0] == args[1].trader)
    if oneself:
        same = not step.ok or step.before.accounts == step.after.accounts
        changed = {a: (step.before.accounts[a], step.after.accounts[a]) for a in step.named}
        run.need(same, f"{kind} with oneself changed something", **{str(a): x for a, x in changed.items()})


def i_08(run: Run, step: Step) -> None:
    """H(a) >= 0 and the call is no price, time or pause => H'(a) >= 0, for all a. (A loss that a liquidation
    hands to third parties is I-26's.)
    """
    if not step.ok or step.call.kind in OUTSIDE or _for_anyone(run, step):
        return
    charged = step.call.kind == "liquidate" and (step.before.accounts[step.call.args[1]].equity or 0) < 0
    for account, old in step.before.accounts.items():
        new = step.after.accounts[account]
        if (
            old.health is None
            or new.health is None
            or old.health < 0
            or (charged and account != step.call.args[1])
        ):
            continue
        run.need(new.health >= 0, f"{step.call.kind} left {account} liquidatable", before=old, after=new)


def i_09(run: Run, step: Step) -> None:
    """Risk up (IM' > IM at the same prices, or a trade that turns a position over) => Eq' >= IM'."""
    if not step.ok or step.call.kind not in ("trade", "liquidate"):
        return
    for account in step.named:
        old, new = step.before.accounts[account], step.after.accounts[account]
        if old.margin is None or new.margin is None or old.sizes == new.sizes:
            continue
        turned = step.call.kind == "trade" and any(
            a * b < 0 for a, b in zip(old.sizes, new.sizes, strict=True)
        )
        if turned or new.margin.initial > old.margin.initial:
            run.need(
                new.equity >= new.margin.initial, f"{account} took risk without initial margin", after=new
            )


def i_10(run: Run, step: Step) -> None:
    """H(a) < 0 and the owner acts => H'(a) >= H(a)."""
    if not step.ok or step.call.kind not in ("deposit", "withdraw", "trade"):
        return
    for account in step.named:
        old, new = step.before.accounts[account], step.after.accounts[account]
        if old.health is not None and new.health is not None and old.health < 0:
            run.need(new.health >= old.health, f"{account} got worse", before=old.health, after=new.health)


def i_11(run: Run, step: Step) -> None:
    """x <= min(C, Eq - max(IM, lambda N)): unrealised profit never leaves the pool."""
    if not step.ok or step.call.kind != "withdraw":
        return
    account, amount = step.call.args
    seen = step.before.accounts[account]
    if seen.margin is None:
        return
    most = bound(run, seen)
    run.need(
        amount <= most or amount == 0,
        f"{account} withdrew more than it may",
        amount=amount, bound=most, cash=seen.cash, **seen.margin._asdict(),
    )  # fmt: skip
    run.counts["all that is withdrawable left"] += amount == most > 0


def i_25(run: Run, step: Step) -> None:
    """I falls only in a liquidation, by at most the shortfall and the reward; others bear a loss, or a
    deficit is recorded, only once the victim's pool is empty.
    """
    if not step.ok or _for_anyone(run, step):
        return
    old, new = step.before.stocks, step.after.stocks
    if step.call.kind != "liquidate":
        same = all(b >= a for a, b in zip(old.insurance, new.insurance, strict=True))
        run.need(same, f"{step.call.kind} lowered insurance", before=old.insurance, after=new.insurance)
        return
    victim = step.call.args[1]
    equity = step.before.accounts[victim].equity
    if equity is None:
        return
    spent = old.insurance[victim.pool] - new.insurance[victim.pool]
    most = max(-equity, 0) + run.adapter.reward
    run.need(spent <= most, "insurance paid more than the shortfall", spent=spent, most=most)
    if new.deficit > old.deficit or lost_by_others(run, step.before, step.after, step.named):
        left = new.insurance[victim.pool]
        run.need(left == 0, "a loss was handed on while insurance had money", insurance=left)


def lost_by_others(run: Run, before: State, after: State, named: frozenset[Account]) -> dict[Account, int]:
    """What accounts that a liquidation does not name lost beyond rounding."""
    found = {}
    for account in after.accounts.keys() - named:
        old, new = before.accounts[account].equity, after.accounts[account].equity
        if old is not None and new is not None and old - new > run.adapter.rounding:
            found[account] = old - new
    return found


def i_27(run: Run, step: Step) -> None:
    """Events in a vault (trade, price, time, liquidation) leave C of its owner's other accounts and his
    wallet as they were or higher: no more is lost than was put in.
    """
    if not step.ok or step.call.kind in ("deposit", "withdraw", "donate", "stranger"):
        return
    for account in step.after.accounts.keys() - step.named:
        old, new = step.before.accounts[account], step.after.accounts[account]
        run.need(new.cash >= old.cash, f"{step.call.kind} took cash from {account}", before=old, after=new)
    for trader, (old, new) in enumerate(zip(step.before.wallets, step.after.wallets, strict=True)):
        run.need(new >= old, f"{step.call.kind} took tokens from trader {trader}", before=old, after=new)


def i_34(run: Run, step: Step) -> None:
    """Time alone: sum_a Eq + I + FEE - D is unchanged but for a rounding an account (funding is zero-sum)."""
    if step.call.kind == "wait" and step.ok and run.state.judged and step.before.judged:
        # `before` is as at the later second where equity accrues: compare with what was seen last.
        gained = step.after.total - run.seen_total
        most = len(step.after.accounts) * run.adapter.rounding
        run.need(-most <= gained <= most, "time changed what is owed in all", gained=gained, most=most)


def i_36(run: Run, step: Step) -> None:
    """t - tau <= t_pub of every price that is used: with a stale price nobody with positions trades,
    withdraws or is liquidated.
    """
    if step.call.kind not in ("trade", "withdraw", "liquidate"):
        return
    named = (step.call.args[1],) if step.call.kind == "liquidate" else step.named
    used = {m for a in named for m, size in enumerate(step.before.accounts[a].sizes) if size}
    used |= {step.call.args[0]} if step.call.kind == "trade" else set()
    ages = {run.adapter.markets[m].name: run.adapter.age(m) for m in used}
    if any(age > run.adapter.max_age for age in ages.values()):
        run.counts["stale price tried"] += 1
        run.need(not step.ok, f"{step.call.kind} at a stale price", max_age=run.adapter.max_age, **ages)


def i_38(run: Run, step: Step) -> None:
    """A refused call changes nothing: every view is as before."""
    if not step.ok:
        same = step.before._replace(prices=()) == step.after._replace(prices=())
        run.need(
            same, f"refused ({step.reason}), yet something changed", before=step.before, after=step.after
        )


def i_39(run: Run, step: Step) -> None:
    """A stranger's call takes nothing: C'(a) >= C(a), Eq'(a) >= Eq(a), no new legs, for all a; no wallet and
    not the contract's money falls. Functions meant for anyone are left out.
    """
    if step.call.kind != "stranger" or _for_anyone(run, step):
        return
    if not step.ok:
        run.need(True, "")
        return
    name = step.call.args[1]
    for account, old in step.before.accounts.items():
        new = step.after.accounts[account]
        run.need(_no_less(old, new), f"a stranger's {name} hurt {account}", before=old, after=new)
    kept = step.after.held >= step.before.held and step.after.wallets >= step.before.wallets
    run.need(kept, f"a stranger's {name} took money", before=step.before.held, after=step.after.held)


def i_40(run: Run, step: Step) -> None:
    """A donation changes no account, no stock: only the tokens held."""
    if step.call.kind == "donate" and step.ok:
        same = step.before.accounts == step.after.accounts and step.before.stocks == step.after.stocks
        run.need(same, "a donation changed claims", before=step.before.stocks, after=step.after.stocks)


def _no_less(old: Seen, new: Seen) -> bool:
    if old.sizes != new.sizes or new.cash < old.cash:
        return False
    return old.margin is None or (new.margin is not None and new.equity >= old.equity)


def _for_anyone(run: Run, step: Step) -> bool:
    return step.call.kind == "stranger" and step.call.args[1] in run.adapter.anyone


EVERY = (i_05, i_06, i_08, i_09, i_10, i_11, i_25, i_27, i_34, i_36, i_38, i_39, i_40)
