"""What holds in every state."""

from __future__ import annotations

from fractions import Fraction

from margincall.audit.adapter.protocol import CROSS
from margincall.audit.adapter.run import Run, Seen, Step

PPM = 10**6


def i_01(run: Run, step: Step) -> None:
    """sum_a Eq(a) + I + FEE - D <= V - donations <= the same + what was rounded so far. (Equity counts
    unrealised profit, so no clearing account is needed.)
    """
    if not step.after.judged:
        return
    spare = step.after.held - step.after.total - run.donated - (run.first.held - run.first.total)
    most = run.rounded + len(step.after.accounts) * run.adapter.rounding
    run.need(
        spare >= 0, "more is owed than is there", owed=step.after.total, held=step.after.held, spare=spare
    )
    run.need(
        spare <= most, "value vanished", owed=step.after.total, held=step.after.held, spare=spare, most=most
    )


def i_03(run: Run, step: Step) -> None:
    """sum_a q[a,m] == 0; OI[m] == sum_a max(q[a,m], 0); a vault has positions in its own market only."""
    accounts = step.after.accounts
    for m, market in enumerate(run.adapter.markets):
        sizes = [seen.sizes[m] for seen in accounts.values()]
        run.need(sum(sizes) == 0, f"sizes in {market.name} do not sum to zero", net=sum(sizes))
        if step.after.interest:
            longs = sum(size for size in sizes if size > 0)
            run.need(
                step.after.interest[m] == longs, "open interest", said=step.after.interest[m], longs=longs
            )
    for account, seen in accounts.items():
        if account.pool != CROSS:
            strays = [m for m, size in enumerate(seen.sizes) if size and m != account.pool]
            run.need(not strays, f"{account} has positions in other markets", markets=strays)


def i_07(run: Run, step: Step) -> None:
    """sum_a withdrawable(a) + I + FEE <= V + D + sum_a max(-Eq(a), 0)."""
    if not step.after.judged:
        return
    stocks = step.after.stocks
    claims, lacking = sum(stocks.insurance) + stocks.fees, 0
    for account, seen in step.after.accounts.items():
        if "Withdrawable" in run.abilities:
            claims += run.adapter.withdrawable(account)
        else:
            claims += max(0, bound(run, seen))
        lacking += max(-seen.equity, 0)
    run.need(
        claims <= step.after.held + stocks.deficit + lacking,
        "payable claims exceed what is there",
        claims=claims, held=step.after.held, deficit=stocks.deficit, lacking=lacking,
    )  # fmt: skip


def i_14(run: Run, step: Step) -> None:
    """Eq_c <= Eq* <= Eq_c + eps and MM* <= MM_c <= MM* + eps, IM alike, with Eq* and MM* in fractions from
    cash, sizes, entries, marks and rates.
    """
    for account, seen in step.after.accounts.items():
        if seen.margin is None or seen.flat:
            continue
        worth, notional = Fraction(seen.cash), [Fraction(0), Fraction(0)]
        for m, size in enumerate(seen.sizes):
            market = run.adapter.markets[m]
            value = Fraction(size * run.prices[m], market.scale)
            worth += value - Fraction(*run.adapter.entry(account, m))
            for i, rate in enumerate(run.adapter.rates(m)):
                notional[i] += abs(value) * rate / PPM
        eps, said = run.adapter.rounding, seen.margin
        held = f"{account}"
        run.need(0 <= worth - said.equity <= eps, f"{held}: equity", exact=float(worth), said=said.equity)
        for name, exact, given in zip(("initial", "maintenance"), notional, said[1:], strict=True):
            run.need(0 <= given - exact <= eps, f"{held}: {name}", exact=float(exact), said=given)


def i_23(run: Run, step: Step) -> None:
    """q = 0 => C >= 0 and Eq >= 0: no asset, no debt (what a liquidation leaves owing is borne in the same
    call).
    """
    for account, seen in step.after.accounts.items():
        if seen.flat:
            owing = seen.cash < 0 or (seen.equity is not None and seen.equity < 0)
            run.need(not owing, f"{account} has no position and owes", cash=seen.cash, equity=seen.equity)


def i_24(run: Run, step: Step) -> None:
    """If each price moves by at most its market's step between liquidations and liquidations run: D == 0,
    every Eq(a) >= 0, and I does not fall but by rewards.
    """
    if not run.envelope or not step.after.judged or not all(m.step for m in run.adapter.markets):
        return
    stocks, before = step.after.stocks, step.before.stocks
    run.need(stocks.deficit == 0, "a deficit inside the envelope", deficit=stocks.deficit)
    for account, seen in step.after.accounts.items():
        run.need(seen.equity >= 0, f"{account} is insolvent inside the envelope", **seen.margin._asdict())
    spent = sum(before.insurance) - sum(stocks.insurance)
    run.need(spent <= run.adapter.reward, "insurance paid inside the envelope", spent=spent)


def bound(run: Run, seen: Seen) -> int:
    """The withdrawal bound of I-11."""
    if seen.flat:
        return seen.cash
    kept = max(seen.margin.initial, -(-run.notional(seen) * run.adapter.transfer // PPM))
    return min(seen.cash, seen.equity - kept)


EVERY = (i_01, i_03, i_07, i_14, i_23, i_24)
