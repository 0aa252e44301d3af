"""What a liquidation that succeeded may do."""

from __future__ import annotations

from margincall.audit.adapter.properties.transition import lost_by_others
from margincall.audit.adapter.run import BLOCK_HALF, Run, Seen, Step

PPM = 10**6


def _victim(step: Step) -> tuple[Seen, Seen]:
    account = step.call.args[1]
    return step.before.accounts[account], step.after.accounts[account]


def penalty(run: Run, old: Seen, new: Seen | None = None) -> int:
    """The most that closing what `old` has more than `new` (None: all of it) may cost, money."""
    total = 0
    for m, market in enumerate(run.adapter.markets):
        closed = abs(old.sizes[m]) - (abs(new.sizes[m]) if new else 0)
        total += -(-closed * run.prices[m] * market.penalty // (market.scale * PPM))
    return total


def i_16(run: Run, step: Step) -> None:
    """It succeeded => Eq < MM before it."""
    old, new = _victim(step)
    run.need(old.health < 0, "a healthy account was liquidated", **old.margin._asdict())
    run.counts["insolvent liquidation" if old.equity < 0 else "solvent liquidation"] += 1
    run.counts["full liquidation" if new.flat else "partial liquidation"] += 1
    run.counts["liquidation one unit below the requirement"] += old.health == -1


def i_18(run: Run, step: Step) -> None:
    """max(0, -Eq') <= max(0, -Eq); if Eq covers the penalty of all and something is left: H' >= H, and
    Eq' / MM' >= Eq / MM.
    """
    old, new = _victim(step)
    run.need(max(0, -new.equity) <= max(0, -old.equity), "the debt grew", before=old.equity, after=new.equity)
    if not new.flat and old.equity >= penalty(run, old):
        run.need(new.health >= old.health, "health fell", before=old.health, after=new.health)
        better = (new.equity + run.adapter.rounding) * old.margin.maintenance
        better -= old.equity * new.margin.maintenance
        run.need(better >= 0, "Eq / MM fell", before=old.margin, after=new.margin)


def i_20(run: Run, step: Step) -> None:
    """0 <= Eq - Eq' <= min(pen N_closed, max(Eq, 0)) before absorption, a rounding aside."""
    old, new = _victim(step)
    cost = old.equity - new.equity
    most = min(penalty(run, old, new), max(old.equity, 0)) + run.adapter.rounding
    run.need(cost <= most, "the penalty exceeds its bound", cost=cost, most=most, equity=old.equity)
    least = -run.adapter.rounding if old.equity >= 0 else old.equity - run.adapter.rounding
    run.need(cost >= least, "the victim gained", cost=cost, least=least)


def i_21(run: Run, step: Step) -> None:
    """sum_a dEq + dI + dFEE - dD == dV but for a rounding an account: value in = value out."""
    change = step.after.total - step.before.total - (step.after.held - step.before.held)
    most = len(step.after.accounts) * run.adapter.rounding
    run.need(-most <= change <= most, "a liquidation made or lost value", change=change, most=most)


def i_26(run: Run, step: Step) -> None:
    """Who is not named loses only when the victim is insolvent, only with a position on the other side of
    one of its legs, and all together at most the shortfall that insurance did not pay, a rounding each on
    top. (That nobody loses more than his profit is not said: engines that charge by size do not promise it.)
    """
    account = step.call.args[1]
    old, _ = _victim(step)
    losses = lost_by_others(run, step.before, step.after, step.named)
    paid = step.before.stocks.insurance[account.pool] - step.after.stocks.insurance[account.pool]
    rest = max(-old.equity, 0) - max(paid, 0)
    most = rest + len(step.after.accounts) * run.adapter.rounding
    run.need(
        sum(losses.values()) <= most or not losses,
        "others lost more than was missing",
        losses=losses,
        most=most,
    )
    for other in losses:
        sizes = zip(step.before.accounts[other].sizes, old.sizes, strict=True)
        run.need(any(a * b < 0 for a, b in sizes), f"{other} holds nothing against the victim", losses=losses)
    run.counts["loss borne by others"] += bool(losses)


def i_37(run: Run, step: Step) -> None:
    """gas(liquidate) <= half a block."""
    if step.receipt is not None:
        run.need(step.receipt.gas_used <= BLOCK_HALF, "a liquidation's gas", gas=step.receipt.gas_used)


EVERY = (i_16, i_18, i_20, i_21, i_26, i_37)
