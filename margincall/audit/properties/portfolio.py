"""Properties of books, modes and expired series, and of the portfolio rule on the books that a run makes."""

from __future__ import annotations

from margincall.audit.machine import Machine, Step
from margincall.audit.operations import options as acts
from margincall.audit.world import MARKETS
from margincall.model import accounts
from margincall.model.arithmetic import NOTIONAL_SCALE, PPM
from margincall.model.book import PUT_FLAG, Book, Segment, merge, unpack
from margincall.model.instrument import STRIKE_UNIT
from margincall.model.portfolio import GRAIN, VALUE
from margincall.model.rules import risk_of

GAS = 15_000_000
"""Of a liquidation of an account with a book: half a block of 30 million."""
LATE = 3_600  # seconds after expiry from which a settlement counts as late

_known: dict[int, tuple[list[int], list[Segment]]] = {}


def segments(words) -> list[Segment]:
    """Segments of a book; words are never changed in place, so each list is unpacked once."""
    found = _known.get(id(words))
    if found is None or found[0] is not words:
        if len(_known) > 2_000:
            _known.clear()
        found = _known[id(words)] = words, unpack(words)
    return found[1]


def sizes(words) -> dict[tuple, int]:
    """(market, expiry, lane name or None for the future or spot) -> contracts or lots."""
    found = {}
    for segment in segments(words):
        for name, size in segment.lanes:
            found[(*segment.key, name)] = size
        if segment.futures:
            found[(*segment.key, None)] = segment.futures
    return found


# ------------------------------------------------------------ after every step


def i_03_04_33_books(machine: Machine, step: Step) -> None:
    """I-03: over all accounts every instrument's sizes sum to zero, and so do forwards and money of every
    (market, expiry) that nobody has settled; spot sums to what Collateral says it holds, and it holds that.
    I-04: so the books' total value does not depend on price. I-33: unsettled == - sum of what those still
    to settle get at their series' price.
    """
    twin, series = machine.twin, machine.world.series
    total: dict[tuple, int] = {}
    owed = 0
    for words in twin.books.values():
        for segment in segments(words):
            price = series.settlement(*segment.key)
            if price:
                owed += payoff(machine, segment, price)
                continue
            key = segment.key
            total[(*key, "forward")] = total.get((*key, "forward"), 0) + segment.forward
            total[(*key, "money")] = total.get((*key, "money"), 0) + segment.money
            for name, size in segment.lanes:
                total[(*key, name)] = total.get((*key, name), 0) + size
    spot = {market: total.pop((market, 0, "forward"), 0) for market in MARKETS}
    wrong = {key: value for key, value in total.items() if value}
    machine.need("I-03", not wrong, lambda: wrong)
    listings = series.collateral.listings
    machine.need("I-03", all(spot[m] == listings[m].total for m in MARKETS), lambda: (spot, listings))
    covered = all(listings[m].total * listings[m].scale <= listings[m].balance for m in MARKETS)
    machine.need("I-03", covered, lambda: listings)
    machine.need("I-33", twin.unsettled + owed == 0, lambda: (twin.unsettled, owed))


def payoff(machine: Machine, segment: Segment, price: int) -> int:
    """What a segment pays at a price, by instrument: calls, puts, futures less their entry."""
    return payoff_of(machine.twin.options.grid, segment, price)


def payoff_of(grid: Book, segment: Segment, price: int) -> int:
    """`payoff` on a strike grid."""
    market = segment.market
    paid, entry = 0, segment.money
    for name, size in segment.lanes:
        strike = grid.strike(market, name & 2**24 - 1)
        if name & PUT_FLAG:
            paid += size * max(strike - price, 0)
            entry += size * strike // STRIKE_UNIT
        else:
            paid += size * max(price - strike, 0)
    return paid // STRIKE_UNIT + segment.futures * price // NOTIONAL_SCALE - entry


def lent(machine: Machine) -> int:
    """Money that accounts could take out, or owe, against spot: the part of it that counts, at most."""
    total, twin = 0, machine.twin
    margins = machine.margins()
    for account, words in twin.books.items():
        spot = sum(
            s.forward * twin.markets[s.market].mark * (PPM - twin.options.haircut(s.market)) // 10**14 + 1
            for s in segments(words)
            if not s.expiry
        )
        if spot:
            own = margins[account].equity - spot
            total += min(spot, max(0, max(twin.cash.get(account, 0), 0) - own))
    machine.counts["cash owed against spot"] += total > 0
    return total


def reduces(machine: Machine, step: Step) -> bool:
    """Whether a refused trade would only have reduced both sides."""
    facts, twin = step.action.facts, machine.twin
    instrument, size = facts["instrument"], facts["size"]
    fragment = twin.options.grid.fragment(instrument, size, step.now)
    maker, taker = (twin.books.get(facts[side], ()) for side in ("maker", "taker"))
    return merge(maker, fragment, True)[1] and merge(taker, fragment)[1]


def reduced(machine: Machine, step: Step) -> bool:
    """Whether a trade left no instrument of either side larger than before, nor on the other side."""
    for account in (step.action.facts["maker"], step.action.facts["taker"]):
        old = sizes(step.before.books.get(account, ()))
        for key, size in sizes(machine.twin.books.get(account, ())).items():
            if abs(size) > abs(old.get(key, 0)) or size * old.get(key, 0) < 0:
                return False
    return True


def i_09_options(machine: Machine, step: Step) -> None:
    """Risk up in an instrument (|size| rises or its sign flips), spot withdrawn, the mode switched =>
    Eq' >= IM'. And IM >= MM under every rule.
    """
    kind = step.action.kind
    if kind not in (*acts.KINDS, "switch_mode", "withdraw spot", "liquidate"):
        return
    for account in step.touched:
        old = sizes(step.before.books.get(account, ()))
        new = sizes(machine.twin.books.get(account, ()))
        grown = any(abs(q) > abs(old.get(key, 0)) or q * old.get(key, 0) < 0 for key, q in new.items())
        if grown or kind in ("switch_mode", "withdraw spot"):
            found = machine.margin_of(account, step.now)
            machine.need("I-09", found.equity >= found.initial >= found.maintenance, (hex(account), found))


def i_29_modes(machine: Machine, step: Step) -> None:
    """CROSS <-> PORTFOLIO succeeded => H >= 0 by the old rule, Eq >= IM by the new one, cash, positions and
    book as they were: so there and back is the identity. Equity is the same, but that CROSS counts no option
    bought as worth less than nothing, as it can be by the curves' error.
    """
    if step.action.kind != "switch_mode":
        return
    root, before, twin = step.action.facts["root"], step.before, machine.twin
    old, new = before.margins[root], machine.margin_of(root, step.now)
    machine.need("I-29", old.equity >= old.maintenance and new.equity >= new.initial, (old, new))
    same = before.cash.get(root, 0) == twin.cash.get(root, 0)
    same = same and before.positions.get(root) is twin.positions.get(root)
    machine.need("I-29", same and before.books.get(root) is twin.books.get(root), "the account changed")
    cross, own = (old, new) if step.action.facts["mode"] == accounts.PORTFOLIO else (new, old)
    words = twin.books.get(root, ())
    risk = risk_of(twin, step.now, {s.market for s in segments(words)})
    wrong = sum(  # also of contracts that fade, which pay no error
        -(-risk.curves[s.key].err * s.gross * risk.prices[s.market] // (VALUE * 10**4))
        for s in segments(words)
        if s.lanes
    )
    machine.need("I-29", 0 <= cross.equity - own.equity <= wrong + len(words), (old, new))
    if old.maintenance and old.equity * 4 <= old.maintenance * 7:
        machine.counts["mode switched near maintenance"] += 1


def i_33(machine: Machine, step: Step) -> None:
    """sum of long and short payoffs == 0; each account once, exactly, at P(T) whenever it is settled

    (With I-03 and `unsettled`.) Paid is sum q max(P - K, 0) (puts: K - P; futures: q P - entry) at the one
    price fixed for the series, whenever and in whatever order; what a flat account cannot pay is paid by
    insurance, the rest recorded as D[0].
    """
    if step.action.kind != "settle":
        return
    series, twin, before = step.action.facts["series"], machine.twin, step.before
    price = machine.world.series.settlement(*series)
    fixed = machine.memory.setdefault("fixed", {}).setdefault(series, price)
    machine.need("I-33", price == fixed and price % STRIKE_UNIT == 0, (price, fixed))
    shortfall = 0
    for account, paid_out in step.result:
        held = next(s for s in segments(before.books[account]) if s.key == series)
        machine.need("I-33", paid_out == payoff(machine, held, price), (hex(account), paid_out))
        left = [s.key for s in segments(twin.books.get(account, ()))]
        machine.need("I-33", series not in left, "it was not taken out")
        cash = before.cash.get(account, 0) + paid_out
        if cash < 0 and twin.is_flat(account):
            shortfall -= cash
            cash = 0
        machine.need("I-33", twin.cash.get(account, 0) == cash, (hex(account), cash))
        machine.counts["settled late" if step.now > series[1] + LATE else "settled at expiry"] += 1
    had = before.insurance.get(0, 0)
    paid = had - twin.insurance.get(0, 0)
    recorded = twin.deficit.get(0, 0) - before.deficit.get(0, 0)
    machine.need("I-33", paid == min(shortfall, had) and paid + recorded == shortfall, (shortfall, paid))
    machine.need("I-33", sum(p for _, p in step.result) == twin.unsettled - before.unsettled, "unsettled")
    machine.counts["settlement absorbed by insurance"] += paid > 0
    machine.counts["settlement recorded as deficit of market 0"] += recorded > 0


def reached(machine: Machine, step: Step) -> None:
    """Counts states worth reaching; checks nothing."""
    if step.action.kind == "deposit spot":
        known = machine.twin.markets[step.action.facts["spot"]]
        is_stale = step.now > known.published + machine.twin.max_age
        machine.counts["spot deposited where its price is stale"] += is_stale
    if step.action.kind not in acts.KINDS:
        return
    for side in ("maker", "taker"):
        account = step.action.facts[side]
        old = sizes(step.before.books.get(account, ()))
        for key, size in sizes(machine.twin.books.get(account, ())).items():
            machine.counts["option flip"] += size * old.get(key, 0) < 0
            machine.counts["option reduced"] += 0 < abs(size) < abs(old.get(key, 0))
    mode = "portfolio" if machine.twin.mode(step.action.facts["taker"]) == accounts.PORTFOLIO else "cross"
    machine.counts[f"option traded by a {mode} account"] += 1


# ------------------------------------------------------------ liquidations


def count_liquidation(machine: Machine, step: Step, old) -> None:
    """What kinds of accounts with a book or under portfolio margin were liquidated, and into what."""
    facts, plan = step.action.facts, step.result.plan
    victim, taker = facts["victim"], facts["taker"]
    if not plan.fragment and victim not in step.before.modes:
        return
    name = "portfolio" if victim in step.before.modes else "cross with a book"
    size = "insolvent" if old.equity < 0 else "full" if plan.full else "partial"
    machine.counts[f"liquidation, {name}: {size}"] += 1
    machine.counts[f"liquidated into a {'portfolio' if taker in step.before.modes else 'cross'} account"] += 1
    machine.counts["liquidation with spot"] += plan.credit > 0
    machine.counts["liquidation raised the requirement"] += _maintenance(machine, step) > old.maintenance
    if abs(old.equity - old.maintenance) <= 1:
        machine.counts[f"liquidation, {name}: one unit below the requirement"] += 1


def _maintenance(machine: Machine, step: Step) -> int:
    return machine.margin_of(step.action.facts["victim"], step.now).maintenance


def i_20_books(machine: Machine, step: Step, old, new) -> None:
    """0 <= Eq - Eq' <= penalty before absorption, the penalty at most kappa MM under portfolio margin, and
    what Eq covers.
    """
    plan, outcome = step.result
    cost = old.equity + plan.credit + outcome.shortfall - new.equity
    slack = 2 * len(plan.closes) + dust(machine)
    machine.need("I-20", -slack <= cost <= plan.penalty + slack, lambda: (cost, plan, old, new))
    machine.need("I-20", plan.penalty <= max(old.equity + plan.credit, 0), lambda: (plan, old))
    if step.action.facts["victim"] in step.before.modes:
        machine.need("I-20", plan.penalty <= -(-old.maintenance * 100_000 // PPM), lambda: (plan, old))


def i_19_books(machine: Machine, step: Step) -> None:
    """The slice taken restores Eq >= 1.2 MM (or the caller asked for less), the quantum before it does not
    (of an account of at most 24 words: of others the search is cut short); the whole account goes only when
    Eq < penalty or nothing would stay.
    """
    facts, plan = step.action.facts, step.result.plan
    least = facts.get("least")
    if least is None:
        return
    reaches, before, whole = least
    limited = plan.quanta >= facts["quanta"] and facts["quanta"] < 1_000
    machine.need("I-19", reaches or limited or plan.full, (plan, least))
    machine.need("I-19", not before or whole, (plan, least))


def dust(machine: Machine) -> int:
    """What rounding may cost: equity, floor and a lot of spot per underlying, a requirement once."""
    return sum(3 + GRAIN + known.mark // 10**8 for known in machine.twin.markets.values()) + 3


def errors_of(nets, scale: int = 1) -> int:
    """What the curves charge for their own error, money, rounded up."""
    return sum(-(-scale * net.err * net.price // (VALUE * 10**4)) for net in nets)
