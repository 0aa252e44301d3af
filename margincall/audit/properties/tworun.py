"""Metamorphic and liveness properties: run, look, undo. Contracts and twin go back together."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from margincall.audit.machine import Machine
from margincall.audit.operations import prices, trades
from margincall.audit.properties import observed, probe
from margincall.audit.properties.portfolio import dust
from margincall.audit.world import MARKETS
from margincall.model import Refused, accounts, plan, withdrawable
from margincall.model.arithmetic import INDEX_SCALE, NOTIONAL_SCALE, PPM, RATE_SCALE
from margincall.model.margin import maintenance_up, margin, value_down


def i_02(machine: Machine, draw) -> None:
    """close all, settle, withdraw all in any order: every call succeeds, payouts independent of it + eps

    Fresh prices, liquidations of who is below maintenance, all
    positions closed at one price against a newcomer, all accounts paid out. Every call succeeds; payouts
    do not depend on the order but for eps = 4 units a position and charge, and the last unit of a funding
    rate that an index in whole units cannot make zero; then V == FEE + I + RES (+ the newcomer, donations,
    dust), market deficits are absorbed.
    """
    exits, held = [], dict(machine.twin.positions)
    for seed in (None, draw.integer(0, 2**32)):
        with probe.undone(machine, "I-02"):
            exits.append(probe.everyone_leaves(machine, probe.in_order(seed)))
    if None in exits:
        return
    first, second = (one.payouts for one in exits)
    # Each account has at most three positions and six vaults; books hold some dozen more.
    most = 4 * 9 if not machine.setting.options else 4 * 40
    drift = {market: max(one.drift[market] for one in exits) for market in exits[0].drift}
    eps = dict.fromkeys(first, most)
    for account, positions in held.items():
        for market, size, _ in positions:
            eps[accounts.parent(account)] += abs(size) * drift[market] // INDEX_SCALE
    same = all(abs(first[root] - second[root]) <= eps[root] for root in first)
    machine.need(
        "I-02", same, lambda: [(hex(a), first[a], second[a]) for a in first if first[a] != second[a]]
    )
    machine.counts["everyone left"] += 1


def i_10_reduce(machine: Machine, draw) -> None:
    """For every q != 0 a reduction exists that succeeds at a fresh price: the whole position, when its fee is
    no larger a share of equity than what it frees of maintenance (Eq mm >= fee MM; below, as with no
    equity, only liquidation reduces). I-38: in a pause too, against whoever reduces.
    """
    twin = machine.twin
    held = machine.plain()
    if not held or not machine.fresh(machine.chain.timestamp, 8):
        return
    # What is left is judged only below initial margin, where other positions stay.
    close = [a for a in held if len(twin.positions[a]) > 1 and _is_close(machine, a)]
    account = draw.choice(close) if close and draw.chance(80) else draw.choice(held)
    market, size, _ = draw.choice(twin.positions[account])
    known = twin.markets[market]
    if known.terms.status != 1 or known.in_grace(machine.chain.timestamp):
        return
    with probe.undone(machine, "I-10"):
        probe.open_doors(machine)
        taker, other = probe.newcomer(machine, 10**8), probe.newcomer(machine, 10**8, 1)
        pair = (taker, other) if size > 0 else (other, taker)
        ready = probe.base(machine, *pair, market)
        found = machine.margin_of(account, machine.chain.timestamp + 1)
        raw = abs(size) * known.mark
        cost = (-(-raw * known.terms.maker_fee // RATE_SCALE) + 4) * found.maintenance
        if ready and found.equity * maintenance_up(known, raw) >= cost:
            step = probe.close(machine, account, taker, market, size)
            machine.need("I-10", step.ok, lambda: f"{hex(account)} cannot close {size}: {step.reason}")
    with probe.undone(machine, "I-38"):
        probe.open_doors(machine)
        _reduce_in_a_pause(machine, account, market, size)


def _is_close(machine: Machine, account: int) -> bool:
    """Whether an account is solvent and below initial margin."""
    found = machine.margin_of(account, machine.chain.timestamp)
    return found is not None and 0 < found.equity < found.initial


def _reduce_in_a_pause(machine: Machine, account: int, market: int, size: int) -> None:
    """Deposits and a reduction on both sides go through while everything else is stopped."""
    twin, now = machine.twin, machine.chain.timestamp
    probe.must(machine, "I-38", probe.pause(machine, True))
    probe.newcomer(machine, 10)
    found = machine.margin_of(account, now)
    least = twin.markets[market].terms.min_notional * NOTIONAL_SCALE
    for other in machine.plain():  # of a book a perp may be the hedge, and giving it up a risk
        opposite = twin.size(other, market)
        its = machine.margin_of(other, now)
        if other >> 96 == account >> 96 or opposite * size >= 0 or its is None:
            continue
        lots = min(abs(size), abs(opposite))
        left = [(abs(q) - lots) * twin.markets[market].mark for q in (size, opposite)]
        healthy = min(found.equity - found.initial, its.equity - its.initial) > 10
        if healthy and all(x == 0 or x >= least for x in left):
            step = probe.close(machine, account, other, market, lots if size > 0 else -lots)
            machine.need("I-38", step.ok, lambda s=step: f"a reduction in a pause was refused: {s.reason}")
            return


def i_12(machine: Machine, draw) -> None:
    """C + d => H + d; P' >= P => sign(q) (H(P') - H(P)) >= 0; liquidatable at P => at every worse P'

    A position alone: P' >= P => sign(q) (H(P') - H(P)) >= -2, and liquidatable at P
    => at every worse P' (but for two units of rounding).
    """
    twin, now = machine.twin, machine.chain.timestamp
    known = machine.plain()
    if not known or not machine.fresh(now):
        return
    account = draw.choice(known)
    cash, held = twin.cash.get(account, 0), twin.positions[account]
    paid = draw.integer(1, 10**9)
    one = margin(cash, held, twin.markets, now, twin.max_age)
    two = margin(cash + paid, held, twin.markets, now, twin.max_age)
    machine.need("I-12", two.equity - one.equity == paid and two.maintenance == one.maintenance, (one, two))
    market, size, entry = draw.choice(held)
    known = twin.markets[market]
    if machine.observer:
        _i_12_contracts(machine, (market, size, entry), cash, paid)
        return
    quote = known.quote(now, twin.max_age)
    health = []
    for percent in (97, 100, 104, 137):
        mark = known.mark * percent // 100
        shift = (mark - known.mark) * 100
        known._quote = (mark, quote[1] + shift, quote[2] + shift, quote[3])
        found = margin(cash, ((market, size, entry),), twin.markets, now, twin.max_age)
        health.append(found.equity - found.maintenance)
    known.forget_quote()
    if size < 0:
        health.reverse()
    rising = all(b >= a - 2 for a, b in pairwise(health))
    machine.need("I-12", rising, lambda: (size, health))


def _i_12_contracts(machine: Machine, position: tuple[int, int, int], cash: int, paid: int) -> None:
    """I-12 on the contracts' own rule: a price published a step lower, the same, a step higher."""
    engine, (market, size, _) = machine.protocol.markets, position
    known = machine.twin.markets[market]
    step = known.mark * known.rules.step // PPM
    found, more = (probe.engine_margin(engine, c, (position,)) for c in (cash, cash + paid))
    machine.need("I-12", more[0] - found[0] == paid and more[1:] == found[1:], lambda: (found, more))
    health = []
    for move in (-step, 0, step):
        with probe.undone(machine, "I-12"):
            machine.do(prices.report(machine, {market: max(known.mark + move, 1)}, 1))
            found = probe.engine_margin(engine, cash, (position,))
            health.append(found[0] - found[2])
    if size < 0:
        health.reverse()
    machine.need("I-12", all(b >= a - 2 for a, b in pairwise(health)), lambda: (size, health))


def _i_13_contracts(machine: Machine, ids: list[int]) -> None:
    """I-13 without a twin: what the lens shows is what the clearinghouse judges by, what it calls
    withdrawable and liquidatable follows from that, and the preview says a slice exactly where it is."""
    observed.i_04_contracts(machine)
    house, protocol, rate = machine.world.house, machine.protocol, machine.twin.transfer_rate
    for account, seen in zip(ids, protocol.lens.call("summaries", ids), strict=True):
        equity, initial, maintenance, notional = house.call("margin", account)
        cash = machine.twin.cash.get(account, 0)
        kept = max(initial, -(-notional * rate // PPM))
        left = max(min(cash, equity - kept), 0)
        wanted = (equity, initial, maintenance, notional, left, equity < maintenance)
        shown = (seen.equity, seen.initial, seen.maintenance, seen.notional)
        shown = (*shown, seen.withdrawable, seen.liquidatable)
        machine.need("I-13", shown == wanted, lambda s=shown, w=wanted: (s, w))
        quanta, *standing, _ = protocol.liquidation.call("preview", account)
        machine.need("I-13", (quanta > 0) == (equity < maintenance), lambda q=quanta: q)
        if machine.twin.positions.get(account) or machine.twin.books.get(account):
            machine.need("I-13", standing == [equity, maintenance], lambda s=standing: s)


def i_13_views(machine: Machine, draw) -> None:
    """Every view says what the twin computes, for every account: margin summary, withdrawable, liquidatable,
    the preview of a liquidation; the rule of `margin` and of `close_out` are one.
    """
    twin, now, protocol = machine.twin, machine.chain.timestamp, machine.protocol
    if not machine.fresh(now):
        return
    ids = list(twin.holders())[:12] + machine.world.roots[:2]
    ids = [account for account in ids if machine.margin_of(account, now)]
    if machine.observer:
        _i_13_contracts(machine, ids)
        return
    for account, seen in zip(ids, protocol.lens.call("summaries", ids), strict=True):
        found = machine.margin_of(account, now)
        same = (seen.equity, seen.initial, seen.maintenance, seen.notional) == tuple(found)
        same = same and seen.liquidatable == (found.equity < found.maintenance)
        same = same and seen.withdrawable == withdrawable(twin, now, account)
        same = same and tuple(machine.world.house.call("margin", account)) == tuple(found)
        machine.need("I-13", same, lambda s=seen, f=found: (s, f))
    for account in ids[:4]:
        quanta, equity, maintenance, penalty = protocol.liquidation.call("preview", account)
        try:
            wanted = plan(twin, now, account)
            wanted = (wanted.quanta, wanted.equity, wanted.maintenance, wanted.penalty)
        except Refused:
            wanted = (0, equity, maintenance, 0)
        seen = (quanta, equity, maintenance, penalty)
        machine.need("I-13", seen == wanted, lambda s=seen, w=wanted: (s, w))


def i_14(machine: Machine, draw) -> None:
    """all storage equals the exact model's; Eq <= Eq* <= Eq + eps, MM* <= MM <= MM* + eps in fractions

    Eq <= Eq* <= Eq + n, MM* <= MM <= MM* + n (tiers + 2), the same for IM: equity
    is rounded down and requirements up, term by term. (That storage equals the model is checked always.)
    """
    twin, now = machine.twin, machine.chain.timestamp
    known = machine.plain()
    if not known or not machine.fresh(now):
        return
    account = draw.choice(known)
    held = twin.positions[account]
    found = machine.margin_of(account, now)
    equity = Fraction(twin.cash.get(account, 0))
    initial = maintenance = Fraction(0)
    for number, size, entry in held:
        market = twin.markets[number]
        plain = market.mark * 100 - market.funding_now(now)
        adjusted = plain - market.social_long if size > 0 else plain + market.social_short
        equity += Fraction(size * adjusted, INDEX_SCALE) - entry
        notional = Fraction(abs(size) * market.mark, 10**8)
        initial += _tiered(notional, [(t.lower, t.imf) for t in market.terms.tiers])
        maintenance += _tiered(notional, [(t.lower, t.mmf) for t in market.terms.tiers])
    n = len(held)
    machine.need("I-14", found.equity <= equity <= found.equity + n, lambda: (found, equity))
    bound = n * 8
    machine.need(
        "I-14", maintenance <= found.maintenance <= maintenance + bound, lambda: (found, maintenance)
    )
    machine.need("I-14", initial <= found.initial <= initial + bound, lambda: (found, initial))


def _tiered(notional: Fraction, tiers: list[tuple[int, int]]) -> Fraction:
    """A requirement by its marginal rates: every slice of the notional at its tier's rate."""
    total = Fraction(0)
    for i, (lower, rate) in enumerate(tiers):
        upper = tiers[i + 1][0] if i + 1 < len(tiers) else None
        top = notional if upper is None else min(notional, Fraction(upper))
        if top > lower:
            total += (top - lower) * rate / PPM
    return total


def i_15(machine: Machine, draw) -> None:
    """same decision: legs permuted, book mirrored (q, e, S negated), scaled by k, token of 6/8/18 decimals

    On the contracts' rule: the order of positions does not matter; a mirrored book (q, e, S
    negated) has minus the unrealised value up to a unit a position and the same requirements; a book
    scaled within its first tier scales. (Decimals: a test replays one trace on tokens of 6, 8, 18.)
    """
    twin, now = machine.twin, machine.chain.timestamp
    plain = [(a, twin.positions[a]) for a in machine.plain()]
    books = [(a, p) for a, p in plain if len(p) > 1] or plain
    if not books or not machine.fresh(now):
        return
    account, held = draw.choice(books)
    cash = twin.cash.get(account, 0)
    engine = machine.protocol.markets
    seen = probe.engine_margin(engine, cash, held)
    if not machine.observer:
        machine.need("I-15", seen == tuple(machine.margin_of(account, now)), lambda: seen)
    machine.need(
        "I-15", probe.engine_margin(engine, cash, held[::-1]) == seen, "the order of positions matters"
    )
    plain = tuple(p for p in held if not any(_charges(machine, p[0])))
    if plain:
        one = probe.engine_margin(engine, 0, plain)
        two = probe.engine_margin(engine, 0, tuple((m, -q, -e) for m, q, e in plain))
        machine.need("I-15", -len(plain) <= one[0] + two[0] <= 0 and one[1:] == two[1:], lambda: (one, two))
    small = tuple((m, q // 10, e // 10) for m, q, e in plain if abs(q) * twin.markets[m].mark < 10**16)
    if small and all(q for _, q, _ in small):
        one = probe.engine_margin(engine, 0, small)
        two = probe.engine_margin(engine, 0, tuple((m, 3 * q, 3 * e) for m, q, e in small))
        slack = 3 * len(small)
        scales = all(abs(b - 3 * a) <= slack for a, b in zip(one, two, strict=True))
        machine.need("I-15", scales, lambda: (one, two))


def _charges(machine: Machine, market: int) -> tuple[int, int]:
    known = machine.twin.markets[market]
    return known.social_long, known.social_short


def i_17(machine: Machine, draw) -> None:
    """Eq < MM and price admissible => a permissionless liquidate(a) succeeds, payoff of the liquidator >= 0

    Whatever the pause, the victim's mode or the token do; the liquidator loses nothing (his own share of a
    socialised charge aside). I-23: at most three calls end it healthy or flat; I-38: a token that refuses
    all transfers stops none of it.
    """
    now = machine.chain.timestamp + 1
    twin = machine.twin
    if any(market.in_grace(now) for market in twin.markets.values()) or not machine.fresh(now, 10):
        return
    victims = machine.unhealthy(now)
    if not victims:
        return
    victim = draw.choice(victims)
    with probe.undone(machine, "I-17"):
        taker = probe.newcomer(machine, 10**9)
        for calls in range(4):
            found = machine.margin_of(victim, machine.chain.timestamp + 1)
            if twin.is_flat(victim) or found.equity >= found.maintenance:
                machine.need("I-23", calls <= 3, calls)
                return
            old = machine.margin_of(taker, machine.chain.timestamp + 1)
            step = probe.do(machine, trades.take(machine, victim, taker, 1_000))
            machine.need("I-17", step.ok, lambda s=step: f"{hex(victim)} could not be liquidated: {s.reason}")
            if not step.result.outcome.socialised:
                gained = machine.margin_of(taker, step.now).equity - old.equity
                legs = len(step.result.plan.closes) + len(step.result.plan.fragment)
                gained += step.result.plan.credit  # the haircut that his own rule takes off spot
                if step.result.plan.credit:  # and rounds to lots, whose worth is more than a unit
                    gained += dust(machine)
                machine.need("I-17", gained >= -3 * legs, lambda g=gained: f"the liquidator lost {-g}")
        machine.need("I-23", False, "not finished after four liquidations")


def i_20_chunks(machine: Machine, draw) -> None:
    """sum cost(chunks) <= cost(once) + eps: the penalty is a potential, so slices add up; eps is what the
    last chunk may close beyond (a smallest trade and a quantum of each leg) and a unit a leg and chunk.
    """
    now = machine.chain.timestamp + 1
    if not machine.fresh(now, 30) or any(m.in_grace(now) for m in machine.twin.markets.values()):
        return
    plain = machine.plain()
    for victim in [a for a in machine.unhealthy(now) if a in plain][:1]:
        once, closed_once = _liquidated(machine, victim, 1_000)
        parts, closed = _liquidated(machine, victim, 100)
        more = max(closed - closed_once, 0)
        rate = max(m.terms.penalty for m in machine.twin.markets.values())
        eps = more * rate // PPM + 40
        machine.need("I-20", parts <= once + eps, lambda o=once, p=parts: (o, p))


def _liquidated(machine: Machine, victim: int, quanta: int) -> tuple[int, int]:
    """(penalties, notional closed) of liquidating in slices of at most `quanta`."""
    cost = notional = 0
    with probe.undone(machine, "I-20"):
        taker = probe.newcomer(machine, 10**9)
        for _ in range(25):
            if victim not in machine.twin.positions:
                break
            held = machine.twin.positions[victim]
            step = probe.do(machine, trades.take(machine, victim, taker, quanta))
            if not step.ok:
                machine.need("I-20", step.reason == "liquidation: healthy", step.reason)
                break
            cost += step.result.plan.penalty
            for (market, _, _), lots in zip(held, step.result.plan.closes, strict=True):
                notional += lots * machine.twin.markets[market].mark // 10**8 + 1
    return cost, notional


def i_29_back(machine: Machine, draw) -> None:
    """CROSS -> ISOLATED -> CROSS is the identity: size, entry (two units with a charge), total cash."""
    twin, now = machine.twin, machine.chain.timestamp
    held = [(a, p) for a, ps in twin.positions.items() if not accounts.is_vault(a) for p in ps]
    if not held or not machine.fresh(now, 5):
        return
    root, (market, size, entry) = draw.choice(held)
    cash = twin.cash.get(root, 0)
    amount = max(cash // 2, 0)
    with probe.undone(machine, "I-29"):
        probe.open_doors(machine)
        there = probe.do(machine, trades.to_isolated(machine, root, market, 7, amount))
        if not there.ok:
            return
        back = probe.do(machine, trades.to_cross(machine, accounts.vault(root, market, 7)))
        if not back.ok:
            machine.need(
                "I-29", back.reason in ("margin: below initial", "switch: liquidatable"), back.reason
            )
            return
        after = next(p for p in twin.positions[root] if p[0] == market)
        machine.need("I-29", after[1] == size and 0 <= after[2] - entry <= 2, lambda: (entry, after))
        machine.need("I-29", twin.cash.get(root, 0) == cash, "cash changed")
    machine.counts["switched there and back"] += 1


def i_34_twice(machine: Machine, draw) -> None:
    """accrue(t1); accrue(t2) == accrue(t1 + t2) but for an index unit; twice in a second is refused; over
    everybody funding sums to zero up to a unit a position.
    """
    now = machine.chain.timestamp
    market = machine.twin.markets[draw.choice(MARKETS)]
    if not machine.fresh(now, 10):
        return
    first, second = draw.integer(1, 5), draw.integer(1, 5)
    once = market.funding_now(now + first + second) - market.funding_now(now)
    parts = market.funding_now(now + first) - market.funding_now(now)
    growth = market.mark * 100 * market.rate * second
    parts += growth // (28_800 * 10**9)
    machine.need("I-34", abs(once - parts) <= 1, lambda: (once, parts))
    sizes = [q for ps in machine.twin.positions.values() for m, q, _ in ps if m == market.id]
    paid = sum(value_down(q, 0, (0, -once, -once, 0)) for q in sizes)
    machine.need("I-34", -len(sizes) <= paid <= 0, lambda: (paid, len(sizes)))


def i_35(machine: Machine, draw) -> None:
    """round trips gain <= 0; n pieces are never cheaper than one

    Rounding is always against the user: deposit and withdraw, open and close at one price gain nothing
    (two newcomers together); n pieces are never cheaper than one.
    """
    if not machine.fresh(machine.chain.timestamp, 60):
        return
    market = draw.choice(MARKETS)
    known = machine.twin.markets[market]
    lots = draw.integer(300, 3_000) * 10**6 * 10**8 // known.mark + draw.integer(0, 9)
    price = known.mark + draw.choice((-1, 0, 1)) * (known.mark // 900)
    results = []
    for pieces in (1, 3):
        with probe.undone(machine, "I-35"):
            probe.open_doors(machine)
            results.append(probe.round_trip(machine, market, lots, price, pieces))
    for gains in results:
        if gains is not None:
            machine.need("I-35", sum(gains) <= 0, gains)
    if None not in results:
        machine.need("I-35", sum(results[1]) <= sum(results[0]), results)
