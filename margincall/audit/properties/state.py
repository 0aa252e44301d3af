"""State properties: after every action that changed something. The twin's values are the stored ones."""

from __future__ import annotations

from margincall.audit.machine import Machine, Step
from margincall.audit.properties import portfolio
from margincall.audit.world import MARKETS
from margincall.model import accounts
from margincall.model.arithmetic import INDEX_SCALE, PPM


def i_01(machine: Machine, step: Step) -> None:
    """sum C + sum M + sum I + FEE + RES - sum e == V + sum D - donations and dust

    Exactly: the clearing account CLR is minus the sum of entries (a position's unrealised side), and what the
    token holds above the claims is to the unit the donations and the dust of deposits and withdrawals.
    """
    residual = machine.twin.residual(machine.world.held, machine.world.scale)
    machine.need("I-01", residual == machine.world.extra, lambda: f"{residual} != {machine.world.extra}")


def i_03(machine: Machine, step: Step) -> None:
    """sum_a q[a,m] == 0 and OI[m] == sum_a max(q, 0)

    In every market; an account's positions are of distinct markets, a vault has one and of its own.
    """
    twin = machine.twin
    net, longs = dict.fromkeys(MARKETS, 0), dict.fromkeys(MARKETS, 0)
    for account, positions in twin.positions.items():
        for market, size, _ in positions:
            net[market] += size
            if size > 0:
                longs[market] += size
        if account & accounts.LOW_64:
            machine.need(
                "I-03", len(positions) == 1 and positions[0][0] == accounts.market_of(account), positions
            )
        elif len(positions) > 1:
            machine.need("I-03", len({market for market, _, _ in positions}) == len(positions), positions)
    interest = {market: twin.open_interest.get(market, 0) for market in MARKETS}
    machine.need("I-03", not any(net.values()) and interest == longs, lambda: (net, interest, longs))


def i_23(machine: Machine, step: Step) -> None:
    """no asset, no debt: flat(a) => C[a] >= 0; a liquidated account ends flat without debt, or with positions

    After every action here, after each liquidation (a vault keeps nothing) in `i_23_clean`, and in i_17: at
    most three calls end it.
    """
    twin = machine.twin
    debts = [a for a, cash in twin.cash.items() if cash < 0 and twin.is_flat(a)]
    machine.need("I-23", not debts, lambda: f"debt without position: {[hex(a) for a in debts]}")


def i_04(machine: Machine, step: Step) -> None:
    """|sum_a Eq(a; P, F) - sum_a Eq(a; P', F')| <= number of positions, for all P', F'

    Every market's values sum to -(S_long + S_short) * OI but for a unit of rounding each (sum e + CLR == 0 is
    part of I-01: entries and realised P&L share one ledger).
    """
    twin = machine.twin
    market = MARKETS[machine.steps % 3]
    known = twin.markets[market]
    sizes = [q for positions in twin.positions.values() for m, q, _ in positions if m == market]
    for plain in (known.mark * 100 - known.funding, machine.steps * 7_919 % (known.mark * 300)):
        longs, shorts = plain - known.social_long, plain + known.social_short
        total = sum(q * (longs if q > 0 else shorts) // INDEX_SCALE for q in sizes)
        exact = -(known.social_long + known.social_short) * twin.open_interest.get(market, 0)
        gap = exact - total * INDEX_SCALE
        machine.need("I-04", 0 <= gap <= len(sizes) * INDEX_SCALE, (market, exact, total, len(sizes)))


def i_07(machine: Machine, step: Step) -> None:
    """sum withdrawable + sum I + FEE <= V + sum_a max(-Eq(a), 0)

    Deficits that winners still owe are already out of their equity, so they need not be added to V. With
    options: + D[0], which no winner owes, + the spot that backs cash below zero: it lies in Collateral, not
    in V (every fifth step; not while a series is unsettled, whose holders have no equity until then).
    """
    if machine.setting.options and machine.steps % 5:
        return
    twin, margins = machine.twin, machine.margins()
    if None in margins.values():
        return
    claims = sum(twin.insurance.values()) + sum(twin.treasury.values())
    lacking = 0
    for account, cash in twin.cash.items():
        found = margins.get(account)
        if found is None:
            claims += cash
            continue
        kept = max(found.initial, -(-found.notional * twin.transfer_rate // PPM))
        claims += max(0, min(cash, found.equity - kept))
        if found.equity < 0:
            lacking -= found.equity
    lacking -= sum(x.equity for a, x in margins.items() if a not in twin.cash and x.equity < 0)
    held = machine.world.held // machine.world.scale
    if machine.setting.options:
        held += twin.deficit.get(0, 0) + portfolio.lent(machine)
    machine.need("I-07", claims <= held + lacking, lambda: (claims, held, lacking))


def i_26_backed(machine: Machine, step: Step) -> None:
    """D[m] <= (S_long + S_short) * OI / 1e10 <= D[m] + slack

    The sum over holders: the sides owe together at least the deficit on record, and more only by what was
    rounded against them (two units a posted leg, OI / 1e10 + 1 a charge) since the market was last empty.
    """
    twin = machine.twin
    for market in MARKETS:
        known = twin.markets[market]
        interest = twin.open_interest.get(market, 0)
        if not interest:
            machine.slack[market] = 0
        if not (known.social_long or known.social_short):
            continue
        owed = (known.social_long + known.social_short) * interest
        deficit = twin.deficit.get(market, 0) * INDEX_SCALE
        most = deficit + machine.slack[market] * INDEX_SCALE
        machine.need("I-26", deficit <= owed <= most, (market, deficit, owed, machine.slack[market]))


def slack(machine: Machine, step: Step) -> None:
    """What rounding may add to the sides' debt in this step (see I-26)."""
    action = step.action
    market = action.facts.get("market")
    if market:
        machine.slack[market] += 8
    if action.kind == "liquidate":
        for number in MARKETS:
            machine.slack[number] += 8
            if step.before.social[number - 1] != _social(machine, number):
                held = step.before.positions.values()
                interest = sum(q for ps in held for m, q, _ in ps if m == number and q > 0)
                machine.slack[number] += interest // INDEX_SCALE + 2


def i_22_envelope(machine: Machine, step: Step) -> None:
    """S = all traders, prices inside the envelope: what S could leave with <= what S paid in, and
    I + FEE >= what the protocol put in, less what it took out.

    In the settings "envelope" and "smooth", every fourth step: seeds and payments into insurance are the
    protocol's. With options S's spot is left out of what it has: there the funds are looked at, which with
    I-01 says the same, and that no account has less than nothing (I-24).
    """
    if not machine.setting.envelope:
        return
    twin, kind = machine.twin, step.action.kind
    if "fund" not in machine.memory:
        spec = machine.setting.spec
        machine.memory["fund"] = spec.cross_seed + sum(market.seed for market in spec.markets)
    if kind in ("fund_insurance", "collect_fees"):
        machine.memory["fund"] += (machine.world.held - step.before.held) // machine.world.scale
    if machine.steps % 4:
        return
    fund, own = machine.memory["fund"], sum(twin.insurance.values()) + sum(twin.treasury.values())
    machine.need("I-22", own >= fund, lambda: f"the fund is {own}, was given {fund}")
    margins = machine.margins()
    if machine.setting.options:
        for account, found in margins.items():
            if found:
                machine.need("I-24", found.equity >= 0, lambda a=account, f=found: (hex(a), f))
        machine.need("I-24", not any(twin.deficit.values()), lambda: twin.deficit)
    elif None not in margins.values():
        _check_worth(machine, margins, fund)


def _check_worth(machine: Machine, margins: dict, fund: int) -> None:
    twin = machine.twin
    worth = sum(found.equity for found in margins.values())
    worth += sum(cash for account, cash in twin.cash.items() if account not in margins)
    paid_in = (machine.world.held - machine.world.extra) // machine.world.scale - fund
    machine.need("I-22", worth <= paid_in, lambda: f"all traders together have {worth}, paid in {paid_in}")


def _social(machine: Machine, market: int) -> tuple[int, int]:
    known = machine.twin.markets[market]
    return known.social_long, known.social_short


EVERY = (slack, i_01, i_03, i_23, i_04, i_07, i_22_envelope, i_26_backed)
OPTIONS = (*EVERY, portfolio.i_03_04_33_books)
