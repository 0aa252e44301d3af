"""Transition properties of a liquidation that succeeded."""

from __future__ import annotations

from margincall.audit.machine import Machine, Step
from margincall.audit.properties import portfolio
from margincall.audit.world import MARKETS
from margincall.model import accounts
from margincall.model.arithmetic import INDEX_SCALE, NOTIONAL_SCALE, PPM, RATE_SCALE, ceil_div
from margincall.model.margin import Margin, bracket_of, value_down

QUANTA, TARGET = 1_000, 1_200_000


def _views(machine: Machine, step: Step) -> tuple[Margin, Margin]:
    """The victim's margin before and after; a vault that became flat counts with what its parent got."""
    victim = step.action.facts["victim"]
    after = machine.margin_of(victim, step.now)
    if accounts.is_vault(victim) and machine.twin.is_flat(victim):
        root = accounts.parent(victim)
        got = machine.twin.cash.get(root, 0) - step.before.cash.get(root, 0)
        after = after._replace(equity=got)
    return step.before.margins[victim], after


def i_16(machine: Machine, step: Step) -> None:
    """liquidate(a) succeeds => Eq < MM now, at an admissible price

    At this second's prices; no market of a closed leg is in grace.
    """
    facts, before = step.action.facts, step.before
    victim = facts["victim"]
    old = before.margins[victim]
    machine.need("I-16", old.equity < old.maintenance, old)
    held = before.positions.get(victim, ())
    left = {m: q for m, q, _ in machine.twin.positions.get(victim, ())}
    closed = [m for m, q, _ in held if left.get(m, 0) != q]
    machine.need("I-16", not any(machine.twin.markets[m].in_grace(step.now) for m in closed), "grace")
    _count(machine, step, old)


def i_23_clean(machine: Machine, step: Step) -> None:
    """The victim ends with positions, or flat with cash >= 0 (a vault with none)."""
    victim = step.action.facts["victim"]
    if machine.twin.is_flat(victim):
        cash = machine.twin.cash.get(victim, 0)
        machine.need("I-23", cash == 0 if accounts.is_vault(victim) else cash >= 0, cash)


def i_37(machine: Machine, step: Step) -> None:
    """gas(liquidate) <= 300k + 250k legs; of a book or into one <= 15M, half a block of 30M

    Whatever the number of accounts, donations, or calls before. The legs are at most three perps; books are
    bounded by their words. All other acts: i_37_acts.
    """
    before, facts = step.before, step.action.facts
    both = facts["victim"], facts["taker"]
    legs, words = len(before.positions.get(facts["victim"], ())), [before.books.get(a, ()) for a in both]
    bound = 300_000 + 250_000 * legs
    if any(words) or any(account in before.modes for account in both):
        bound = portfolio.GAS
        machine.memory["gas"] = max(machine.memory.get("gas", 0), step.receipt.gas_used)
    gas = step.receipt.gas_used
    machine.need("I-37", gas <= bound, (gas, legs, [len(book) for book in words]))


def _count(machine: Machine, step: Step, old: Margin) -> None:
    plan, outcome = step.result
    counts = machine.counts
    counts["full liquidation" if plan.full else "partial liquidation"] += 1
    counts["insolvent liquidation"] += old.equity < 0
    counts["socialised liquidation"] += outcome.socialised > 0
    counts["reward paid by insurance"] += outcome.reward > 0
    counts["liquidation of a vault"] += accounts.is_vault(step.action.facts["victim"])
    counts["liquidation of several legs"] += len(plan.closes) > 1
    counts["liquidation in a pause"] += machine.twin.paused
    portfolio.count_liquidation(machine, step, old)
    if abs(old.equity - old.maintenance) <= 1:
        counts["liquidation one unit below the requirement"] += 1


def i_13(machine: Machine, step: Step) -> None:
    """is_liquidatable(a) <=> liquidate(a) succeeds; previews equal results to the unit, at Eq == MM +-1 too

    What was computed before (from the state one second earlier, for this second) is what happened: equity,
    maintenance, quanta, penalty. The views: i_13_views.
    """
    facts = step.action.facts
    if machine.observer:
        _previewed(machine, step)
        return
    expected = facts["model"]
    if expected is None or isinstance(expected, str):
        return
    done = step.result.plan
    same = (done.equity, done.maintenance) == (expected.equity, expected.maintenance)
    if facts["quanta"] == QUANTA:
        same = same and (done.quanta, done.penalty) == (expected.quanta, expected.penalty)
    machine.need("I-13", same, lambda: (expected, done))
    if step.receipt.output is not None:  # a node's receipt has none
        returned = int.from_bytes(step.receipt.output[:32], "big")
        machine.need("I-13", returned == done.quanta, lambda: (done, returned))


def _previewed(machine: Machine, step: Step) -> None:
    """I-13 without a twin: the contracts' own preview of this second is what happened."""
    if machine.observer.view is None:
        machine.fail("I-13", "it succeeded where its preview reverted")
        return
    quanta, equity, maintenance, penalty = machine.observer.view
    done = machine.protocol.liquidation.events(step.receipt, "Liquidated")[-1].args
    returned = int.from_bytes(step.receipt.output[:32], "big")
    same = (done["equity"], done["maintenance"]) == (equity, maintenance) and returned == done["quanta"]
    if step.action.facts["quanta"] == QUANTA:
        same = same and (done["quanta"], done["penalty"]) == (quanta, penalty)
    machine.need("I-13", same, lambda: (machine.observer.view, done, returned))


def i_18(machine: Machine, step: Step) -> None:
    """max(0, -Eq') <= max(0, -Eq); of a slice H' >= H, and of perps alone Eq'/MM' >= Eq/MM

    (Of a slice Eq >= the penalty of the whole, so Eq/N > pen.) With a book the requirement is no sum: it is
    homogeneous of degree one only up to whole contracts, so MM' <= MM is counted, not required. Nor is the
    ratio where a leg's part was raised to the least notional: such a slice is no part of the whole.
    """
    old, new = _views(machine, step)
    plan = step.result.plan
    machine.need("I-18", max(0, -new.equity) <= max(0, -old.equity), (old, new))
    if plan.full:
        return
    machine.need("I-18", new.equity - new.maintenance >= old.equity - old.maintenance, (old, new))
    victim = step.action.facts["victim"]
    held = step.before.positions.get(victim, ())
    even = all(
        closed == ceil_div(abs(size) * plan.quanta, QUANTA)
        for (_, size, _), closed in zip(held, plan.closes, strict=True)
    )
    if even and not plan.fragment and victim not in step.before.modes:
        better = (new.equity + 2 * len(plan.closes)) * old.maintenance >= old.equity * new.maintenance
        machine.need("I-18", better, (old, new))


def i_20(machine: Machine, step: Step) -> None:
    """0 <= Eq - Eq' <= min(pen N_closed, max(Eq, 0)) before absorption; sum cost(chunks) <= cost(once) + eps

    Each leg's rounding is a unit or two on top. Chunks: i_20_chunks.
    """
    old, new = _views(machine, step)
    plan, outcome = step.result
    legs = len(plan.closes)
    if plan.fragment or step.action.facts["victim"] in step.before.modes:
        portfolio.i_20_books(machine, step, old, new)
        return
    cost = old.equity + outcome.shortfall - new.equity
    bound = 0
    held = step.before.positions[step.action.facts["victim"]]
    for (market, _, _), closed in zip(held, plan.closes, strict=True):
        known = machine.twin.markets[market]
        bound += ceil_div(closed * known.mark * known.terms.penalty, RATE_SCALE)
    bound = min(bound + legs, max(old.equity, 0))
    machine.need("I-20", 0 <= cost <= bound + 2 * legs, lambda: (cost, bound, legs))


def i_19(machine: Machine, step: Step) -> None:
    """the slice closed restores Eq' >= 1.2 MM', the quantum before it does not; full only if no slice does

    Or the caller asked for less. A whole account goes only when Eq < its penalty or nothing smaller reaches
    the target (then the quantum before the first that leaves nothing does not).
    """
    facts = step.action.facts
    plan, held = step.result.plan, step.before.positions.get(facts["victim"], ())
    if plan.fragment or facts["victim"] in step.before.modes:
        portfolio.i_19_books(machine, step)
        return
    legs = [(machine.twin.markets[m], abs(q)) for m, q, _ in held]
    whole = _requirements(legs, 0)
    if plan.equity < whole[1]:
        machine.need("I-19", plan.full and plan.closes == tuple(q for _, q in legs), plan)
        return

    def reaches(quanta: int) -> bool:
        maintenance, penalty = _requirements(legs, quanta)
        return (plan.equity - (whole[1] - penalty)) * PPM >= TARGET * maintenance

    quanta = plan.quanta
    if plan.full:
        # The first quantum that leaves nothing: what is closed never falls as quanta rise.
        low, high = 0, QUANTA
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if _requirements(legs, middle) == (0, 0) else (middle, high)
        quanta = high
    limited = facts["quanta"] < QUANTA and quanta >= facts["quanta"]
    machine.need("I-19", limited or plan.full or reaches(quanta), lambda: (plan, quanta))
    machine.need("I-19", quanta == 1 or not reaches(quanta - 1), lambda: (plan, quanta))


def _requirements(legs: list, quanta: int) -> tuple[int, int]:
    """(maintenance, penalty) of what `quanta` thousandths leave: whole lots, at least a smallest trade."""
    maintenance = penalty = 0
    for market, held in legs:
        least = market.terms.min_notional * NOTIONAL_SCALE
        closed = max(ceil_div(held * quanta, QUANTA), ceil_div(least, market.mark)) if quanta else 0
        left = held - closed
        if left <= 0 or (quanta and left * market.mark < least):
            continue
        raw = left * market.mark
        bracket = bracket_of(market, raw)
        maintenance += ceil_div(raw * bracket.mmf, RATE_SCALE) - bracket.mm_deduction
        penalty += ceil_div(raw * market.terms.penalty, RATE_SCALE)
    return maintenance, penalty


def i_21(machine: Machine, step: Step) -> None:
    """dEq(victim) + dEq(liquidator) + dI + dFEE + dRES == 0 at the liquidation's price

    Exactly: cash + I + FEE + RES - entries - D is as before. At prices of now:
    over everybody dEq + dI + dFEE == 0 but for rounding (what the socialised amount takes from the winners
    is what it grants the victim; RES grows only by what they had been charged beyond their deficits).
    """
    twin, before = machine.twin, step.before
    margins = machine.margins()
    if None in margins.values():
        return
    total = sum(x.equity for x in margins.values())
    total += sum(cash for a, cash in twin.cash.items() if a not in twin.positions)
    total += sum(twin.insurance.values()) + sum(twin.treasury.values())
    claims = twin.claims()
    claimed = (
        sum(before.cash.values())
        + sum(before.insurance.values())
        + sum(before.treasury.values())
        + before.residue
        - sum(e for ps in before.positions.values() for _, _, e in ps)
        - sum(before.deficit.values())
        - before.unsettled
    )
    machine.need("I-21", claims == claimed, lambda: (claims, claimed))
    if machine.setting.options:  # books change hands as they are: I-03; what each rule sees of them differs
        return
    worth_before = _worth(machine, step)
    legs = sum(len(p) for p in twin.positions.values()) + 8
    slack = legs + sum(
        _interest(step, m) // INDEX_SCALE + 1
        for m in MARKETS
        if before.social[m - 1] != (twin.markets[m].social_long, twin.markets[m].social_short)
    )
    machine.need("I-21", -slack <= total - worth_before <= legs, lambda: (total, worth_before, slack))


def _interest(step: Step, market: int) -> int:
    """Open interest before the action."""
    return sum(q for ps in step.before.positions.values() for m, q, _ in ps if m == market and q > 0)


def _worth(machine: Machine, step: Step) -> int:
    """All equity, insurance and fees before the liquidation, at this second's prices."""
    before, markets = step.before, machine.twin.markets
    total = sum(before.cash.values())
    total += sum(before.insurance.values()) + sum(before.treasury.values())
    for positions in before.positions.values():
        for market, size, entry in positions:
            plain = markets[market].quote(step.now, machine.twin.max_age)[0] * 100 - markets[
                market
            ].funding_now(step.now)
            longs, shorts = before.social[market - 1]
            total += size * (plain - longs if size > 0 else plain + shorts) // INDEX_SCALE - entry
    return total


def i_25(machine: Machine, step: Step) -> None:
    """shortfall == paid by I[p] + socialised, paid == min(shortfall, I[p]), socialised > 0 => I'[p] == 0

    p is the victim's pool; other pools and the treasury are untouched. Elsewhere I falls by no more than
    recorded draws (i_25_pools).
    """
    twin, before = machine.twin, step.before
    plan, outcome = step.result
    pool = accounts.market_of(step.action.facts["victim"])
    had = before.insurance.get(pool, 0)
    shortfall = max(-plan.equity - plan.credit, 0) if plan.full else 0
    machine.need("I-25", outcome.shortfall == shortfall, (outcome, plan))
    machine.need("I-25", outcome.insurance_paid == min(outcome.shortfall, had), outcome)
    machine.need("I-25", outcome.socialised == outcome.shortfall - outcome.insurance_paid, outcome)
    machine.need("I-25", not outcome.socialised or twin.insurance.get(pool, 0) == 0, outcome)
    expected = had - outcome.insurance_paid - outcome.reward + plan.penalty - plan.cut
    machine.need("I-25", twin.insurance.get(pool, 0) == expected, (had, expected))
    others = all(twin.insurance.get(p, 0) == x for p, x in before.insurance.items() if p != pool)
    machine.need("I-25", others and twin.treasury == before.treasury, "another pool changed")


def i_26(machine: Machine, step: Step) -> None:
    """holder i opposite owes |q_i| dS <= amount |q_i| / OI + eps; amount <= sum owed <= amount + eps

    Restated for an index per side: only the sides opposite to the victim's legs are charged, the sum of
    what holders owe is in [amount, amount + OI/1e10 + 1], holder i owes |q_i| dS / 1e10 <= amount |q_i| /
    OI + |q_i| / 1e10 + 1, no position owes nothing. All holders of the side pay by size, a loser among them
    too; one may so fall below maintenance and is then liquidated. The sum at all times: i_26_backed.
    """
    twin, before, socialised = machine.twin, step.before, step.result.outcome.socialised
    held = {m: q for m, q, _ in before.positions.get(step.action.facts["victim"], ())}
    # What the perps of an account with a book do not explain is recorded, and nobody is charged.
    granted = twin.deficit.get(0, 0) - before.deficit.get(0, 0)
    machine.need("I-25", granted >= 0 and (held or granted == socialised), (granted, socialised))
    machine.counts["deficit of market 0 recorded"] += granted > 0
    for market in MARKETS:
        known = twin.markets[market]
        old_longs, old_shorts = before.social[market - 1]
        longs, shorts = known.social_long - old_longs, known.social_short - old_shorts
        if not longs and not shorts:
            continue
        interest = _interest(step, market)
        opposite = held.get(market, 0)
        machine.need("I-26", (longs == 0) == (opposite > 0) and (shorts == 0) == (opposite < 0), market)
        owed = (longs + shorts) * interest
        granted += owed // INDEX_SCALE
        for positions in before.positions.values():
            for m, size, _ in positions:
                if m == market and size * opposite < 0:
                    part = abs(size) * (longs + shorts)
                    most = socialised * abs(size) * INDEX_SCALE // interest + abs(size) + INDEX_SCALE
                    machine.need("I-26", part <= most, lambda p=part, x=most: (p, x))
        machine.counts["side charged"] += 1
    slack = sum(q for ps in before.positions.values() for _, q, _ in ps if q > 0) // INDEX_SCALE + 4
    within = socialised <= granted + 3 and granted <= socialised + slack
    _check_shares(machine, step, held)
    if not socialised and not granted:  # nothing to charge: no check
        return
    machine.need("I-26", within, (granted, socialised))


def _check_shares(machine: Machine, step: Step, held: dict[int, int]) -> None:
    """What the victim's losing perps explain is charged to their markets in proportion to what each lost."""
    twin, victim, socialised = machine.twin, step.action.facts["victim"], step.result.outcome.socialised
    losses = {}
    for market, size, entry in step.before.positions.get(victim, ()):
        quote = twin.markets[market].quote(step.now, twin.max_age)
        losses[market] = max(-value_down(size, entry, quote), 0)
    total = sum(losses.values())
    if not socialised or total < socialised:
        return
    for market in held:
        known = twin.markets[market]
        before = step.before.social[market - 1]
        charge = (known.social_long + known.social_short - sum(before)) * _interest(step, market)
        share = socialised * losses[market] // total
        most = share + len(held) + _interest(step, market) // INDEX_SCALE + 4
        machine.need("I-26", charge // INDEX_SCALE <= most, lambda m=market, c=charge, s=share: (m, c, s))


def i_24(machine: Machine, step: Step) -> None:
    """|dP| <= step between liquidations, keepers liquidate => Eq >= 0, D == 0 and I non-decreasing

    Nobody was insolvent, insurance paid no shortfall, nothing was socialised. No
    penalty is less than what the liquidator gets of it and of insurance.
    """
    if not machine.setting.envelope:
        return
    plan, outcome = step.result
    machine.need("I-24", plan.equity >= 0 and not outcome.shortfall, lambda: (plan, outcome))
    pool = accounts.market_of(step.action.facts["victim"])
    grown = machine.twin.insurance.get(pool, 0) >= step.before.insurance.get(pool, 0)
    machine.need("I-24", grown, lambda: (plan, outcome))


EVERY = (i_16, i_23_clean, i_37, i_13, i_18, i_20, i_19, i_21, i_25, i_26, i_24)
