"""Properties of books, modes and expired series, and of the portfolio rule on the books that a run makes."""

from __future__ import annotations

from fractions import Fraction

from mpmath import exp as mp_exp
from mpmath import mp, mpf

from margincall.audit.machine import Machine, Step
from margincall.audit.operations import options as acts
from margincall.audit.world import MARKETS
from margincall.model import Refused, accounts, portfolio
from margincall.model.arithmetic import NOTIONAL_SCALE, PPM
from margincall.model.book import PUT_FLAG, Segment, merge, pack, unpack
from margincall.model.instrument import CALL, CONTRACT, FUTURE, PERP, PUT, SPOT, STRIKE_UNIT, Instrument
from margincall.model.margin import value_down
from margincall.model.portfolio import GRAIN, ONE, VALUE
from margincall.model.rules import risk_of
from margincall.specification import portfolio as specification
from margincall.specification.portfolio import Position

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


def i_03_04(machine: Machine, step: Step) -> None:
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
                owed += _payoff(machine, segment, price)
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


def _payoff(machine: Machine, segment: Segment, price: int) -> int:
    """What a segment pays at a price, by instrument: calls, puts, futures less their entry."""
    grid, market = machine.twin.options.grid, segment.market
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
    book as they were: so there and back is the identity. Equity is the same but for what CROSS does not
    charge of the curves' errors on options bought that are worth less than these.
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
    nets = portfolio.exposures((), words, risk)
    machine.need("I-29", 0 <= cross.equity - own.equity <= _errors(nets, 2), (old, new))
    if old.maintenance and old.equity * 4 <= old.maintenance * 7:
        machine.counts["mode switched near maintenance"] += 1


def i_33(machine: Machine, step: Step) -> None:
    """sum of long and short payoffs == 0 (with I-03 and `unsettled`); each account is paid once, exactly
    sum q max(P - K, 0) (puts: K - P; futures: q P - entry) at the one price fixed for the series, whenever
    and in whatever order; what a flat account cannot pay is paid by insurance, the rest recorded as D[0].
    """
    if step.action.kind != "settle":
        return
    series, twin, before = step.action.facts["series"], machine.twin, step.before
    price = machine.world.series.settlement(*series)
    fixed = machine.memory.setdefault("fixed", {}).setdefault(series, price)
    machine.need("I-33", price == fixed and price % STRIKE_UNIT == 0, (price, fixed))
    shortfall = 0
    for account, payoff in step.result:
        held = next(s for s in segments(before.books[account]) if s.key == series)
        machine.need("I-33", payoff == _payoff(machine, held, price), (hex(account), payoff))
        left = [s.key for s in segments(twin.books.get(account, ()))]
        machine.need("I-33", series not in left, "it was not taken out")
        cash = before.cash.get(account, 0) + payoff
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


def i_18_20(machine: Machine, step: Step, old, new) -> None:
    """Accounts with a book, where the requirement is no sum: a slice leaves H' >= H (it is homogeneous of
    degree one only up to whole contracts, so MM' <= MM is counted, not required). I-20: 0 <= Eq - Eq' <=
    penalty before absorption, the penalty at most kappa MM under portfolio margin, and what Eq covers.
    """
    plan, outcome = step.result
    if not plan.full:
        machine.need("I-18", new.equity - new.maintenance >= old.equity - old.maintenance, (old, new))
    cost = old.equity + plan.credit + outcome.shortfall - new.equity
    slack = 2 * len(plan.closes) + dust(machine)
    machine.need("I-20", -slack <= cost <= plan.penalty + slack, lambda: (cost, plan, old, new))
    machine.need("I-20", plan.penalty <= max(old.equity + plan.credit, 0), lambda: (plan, old))
    if step.action.facts["victim"] in step.before.modes:
        machine.need("I-20", plan.penalty <= -(-old.maintenance * 100_000 // PPM), lambda: (plan, old))


def i_19(machine: Machine, step: Step) -> None:
    """The slice taken restores Eq >= 1.2 MM (or the caller asked for less), the quantum before it does not;
    the whole account goes only when Eq < penalty or nothing would stay.
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


# ------------------------------------------------------------ the rule, on books of the run


def _books(machine: Machine) -> list[int]:
    """Accounts with a book that can be judged now."""
    now = machine.chain.timestamp
    return [a for a in machine.twin.books if machine.margin_of(a, now)]


def _risk(machine: Machine, floors: bool = True) -> portfolio.Risk:
    risk = risk_of(machine.twin, machine.chain.timestamp, set(MARKETS))
    if floors:
        return risk
    return risk._replace(terms={m: t._replace(floor_rate=0) for m, t in risk.terms.items()})


def _perps(machine: Machine, account: int) -> list[portfolio.Perp]:
    twin, now = machine.twin, machine.chain.timestamp
    held = twin.positions.get(account, ())
    return [(m, q, value_down(q, e, twin.markets[m].quote(now, twin.max_age))) for m, q, e in held]


def _errors(nets, scale: int = 1) -> int:
    """What the curves charge for their own error, money, rounded up."""
    return sum(-(-scale * net.err * net.price // (VALUE * 10**4)) for net in nets)


def i_04_books(machine: Machine, draw) -> None:
    """sum_a value of the books at any price P' is in [-(sum of the curves' errors) - n, 0]: nothing is made
    by the price; below only where a strike is off the curve, which costs the short side alone.
    """
    if not machine.fresh(machine.chain.timestamp):
        return
    books = _books(machine)
    if len(books) < len(machine.twin.books):
        return
    risk = _risk(machine)
    prices = {m: p * draw.choice((88, 97, 100, 106, 119)) // 100 for m, p in risk.prices.items()}
    risk = risk._replace(prices=prices)
    total = errors = 0
    for account in books:
        words = pack(s for s in segments(machine.twin.books[account]) if s.expiry)
        nets = portfolio.exposures((), words, risk)
        total += portfolio.equity_of(0, (), nets)
        errors += _errors(nets)
    machine.need("I-04", total <= 0, total)
    on_curve = all(
        portfolio.FIRST <= portfolio.place(portfolio.log_code(prices[s.market]), name & 2**24 - 1)[0] < 161
        for account in books
        for s in segments(machine.twin.books[account])
        for name, _ in s.lanes
    )
    if on_curve:
        machine.need("I-04", total >= -errors - 4 * len(books), (total, errors))


def i_30(machine: Machine, draw) -> None:
    """H(A+B) >= H(A) + H(B) and R(A+B) <= R(A) + R(B) + errors (netting gives charges for the curves'
    error back, in equity); R <= max(sum of each underlying's own worst, floor); only bought options:
    R <= what they are worth (+ 1.4 of the curves' errors).
    """
    books = _books(machine)
    if not books or not machine.fresh(machine.chain.timestamp):
        return
    risk, slack = _risk(machine), dust(machine)
    one, other = draw.choice(books), draw.choice(list(machine.twin.holders()))
    if machine.margin_of(other, machine.chain.timestamp) is None:
        return
    apart = [(_perps(machine, a), machine.twin.books.get(a, [])) for a in (one, other)]
    words = merge(apart[0][1], apart[1][1])[0]
    joined = portfolio.margin(0, [*apart[0][0], *apart[1][0]], words, risk)
    found = [portfolio.margin(0, *part, risk) for part in apart]
    errors = sum(_errors(portfolio.exposures(*part, risk)) for part in apart)
    for name in ("initial", "maintenance"):
        health = joined.equity - getattr(joined, name)
        asked = sum(getattr(each, name) for each in found)
        machine.need("I-30", health >= sum(each.equity for each in found) - asked - slack, (joined, found))
        machine.need("I-30", getattr(joined, name) <= asked + errors + slack, (joined, found, errors))
    nets = portfolio.exposures(*apart[0], risk)
    alone = sum(
        portfolio.money_of(max(0, *portfolio.weighted(net.losses(), risk.terms[net.market].range_mm)))
        for net in nets
    )
    most = max(alone, portfolio.floor_of(nets, risk.terms))
    machine.need("I-30", found[0].maintenance <= most + slack, (found[0], most))
    bought = [Segment(s.market, s.expiry, lanes=_bought(s)) for s in segments(apart[0][1]) if s.expiry]
    nets = portfolio.exposures((), pack(bought), risk)
    only = portfolio.margin(0, (), pack(bought), risk)
    machine.need("I-30", only.initial <= only.equity + _errors(nets, 2) + slack, (only, bought))


def _bought(segment: Segment) -> list[list[int]]:
    """The lanes as calls bought, one a strike."""
    found: dict[int, int] = {}
    for name, size in segment.lanes:
        found[name & 2**24 - 1] = found.get(name & 2**24 - 1, 0) + abs(size)
    return [[name, size] for name, size in found.items()]


def i_31(machine: Machine, draw) -> None:
    """In each underlying: MM + (exact value - Eq) >= worst loss of exact Black-76 over a dense grid of moves
    within the range, volatility up and down, less the grid's slack (a bought option is convex between two
    prices of the rule: a quarter of their distance a coin; a range between two steps is covered at the
    nearer one, and by a share of the farther one's loss). Fewer scenarios never ask more. MM >= floor.
    """
    books = _books(machine)
    if not books or not machine.fresh(machine.chain.timestamp):
        return
    account = draw.choice(books)
    words, perps = machine.twin.books[account], _perps(machine, account)
    risk = _risk(machine)
    nets = portfolio.exposures(perps, words, risk)
    found = portfolio.margin(0, perps, words, risk)
    machine.need("I-31", found.maintenance >= portfolio.floor_of(nets, risk.terms), found)
    table = [portfolio.weighted(net.losses(), risk.terms[net.market].range_mm) for net in nets]
    kept = [j for j in range(24) if draw.chance(60)] or [3]
    fewer = portfolio.requirement([[row[j] for j in kept] for row in table], risk.mm)
    machine.need("I-31", fewer <= portfolio.requirement(table, risk.mm), (fewer, kept))
    market = draw.choice([net.market for net in nets])
    _dense(machine, market, [p for p in perps if p[0] == market], words)


def _dense(machine: Machine, market: int, perps, words) -> None:
    risk, twin = _risk(machine, floors=False), machine.twin
    own = [s for s in segments(words) if s.market == market]
    positions = [Position(market, PERP, 0, 0, size, amount) for _, size, amount in perps]
    expiries = {}
    for segment in own:
        for name, size in segment.lanes:
            kind = PUT if name & PUT_FLAG else CALL
            strike = twin.options.grid.strike(market, name & 2**24 - 1)
            positions.append(Position(market, kind, segment.expiry, strike, size * CONTRACT))
        if segment.lanes:
            smile, start = machine.world.series.made[segment.key]
            until = risk.curves[segment.key].valid_until
            expiries[segment.key] = specification.Expiry(
                *smile[:3], segment.expiry - start, segment.expiry - until
            )
        money = segment.money + sum(
            size * twin.options.grid.strike(market, name & 2**24 - 1) // STRIKE_UNIT
            for name, size in segment.lanes
            if name & PUT_FLAG
        )
        if segment.futures or money:
            kind = FUTURE if segment.expiry else SPOT
            positions.append(Position(market, kind, segment.expiry, 0, segment.futures, money))
    terms = risk.terms[market]
    with mp.workprec(60):
        spec = specification.Terms(
            Fraction(terms.range_mm), Fraction(terms.range_im), Fraction(terms.haircut, PPM)
        )
        dials = tuple(Fraction(dial, ONE) for dial in risk.mm)
        setting = specification.Setting(risk.prices, expiries, {market: spec}, dials, dials)
        worst = specification.dense(positions, setting, Fraction(terms.range_mm), moves=9)
        price = mpf(risk.prices[market])
        value = sum(specification.worth(p, setting, price, 1, False) for p in positions)
        bought = sum(p.size for p in positions if p.kind in (CALL, PUT) and p.size > 0)
        reach = mp_exp(mpf(terms.range_mm) / 320)
        slack = bought * price * reach * (1 - mp_exp(mpf(-1) / 20)) / 4 / 10**8 + dust(machine)
        slack += _between_steps(perps, pack(own), risk, market)
        found = portfolio.margin(0, perps, pack(own), risk)
        enough = value - found.equity + found.maintenance >= worst - slack
    machine.need("I-31", enough, lambda: (found, float(value), float(worst), float(slack), positions))
    machine.counts["dense grid of prices"] += bool(expiries)


def _between_steps(perps, words, risk: portfolio.Risk, market: int) -> mpf:
    """What the rule may lack of a loss between its two steps around a range that is no whole step, money: it
    asks for all of the nearer one's and a share of the farther one's; the loss between them is at most their
    mean, weighted by the distances of prices, as far as it is convex."""
    extent = risk.terms[market].range_mm
    near, far = extent // 16, -(-extent // 16)
    if near == far:
        return mpf(0)
    net = next(net for net in portfolio.exposures(perps, words, risk) if net.market == market)
    loss = dict(zip(portfolio.SCENARIOS, net.losses(), strict=True))
    asked = portfolio.money_of(max(0, *portfolio.weighted(net.losses(), extent)))
    least = mpf(0)
    for vol in ("up", "down"):
        for sign in (-1, 1):
            edges = [mp_exp(sign * mpf(x) / 320) for x in (16 * near, extent, 16 * far)]
            share = (edges[1] - edges[0]) / (edges[2] - edges[0])
            ends = [portfolio.money_of(256 * loss[sign * step, vol]) for step in (near, far)]
            least = max(least, (1 - share) * ends[0] + share * ends[1])
    return max(least - asked, 0)


def i_32(machine: Machine, draw) -> None:
    """Every put as a call and a future sold at its strike, and the other way round: the same payoff at any
    price and the same margin to the unit. Call and put butterflies likewise. A box added changes equity by
    what it pays and the requirement by no more than the curves' error (the floor of calls sold aside).
    """
    books = _books(machine)
    if not books or not machine.fresh(machine.chain.timestamp):
        return
    twin, risk = machine.twin, _risk(machine, floors=False)
    grid = twin.options.grid
    account = draw.choice(books)
    words, perps = twin.books[account], _perps(machine, account)
    rewritten = pack(_rewritten(segment) for segment in segments(words))
    plain, other = (portfolio.margin(0, perps, each, _risk(machine)) for each in (words, rewritten))
    machine.need("I-32", plain == other, lambda: (plain, other, words, rewritten))
    for segment in segments(words):
        if segment.expiry:
            price = twin.markets[segment.market].mark * draw.integer(50, 200) // 100 // 10**4 * 10**4
            paid = [_payoff(machine, each, price) for each in (segment, _rewritten(segment))]
            paid.append(grid.payoff(words, *segment.key, price)[1])
            machine.need("I-32", len(set(paid)) == 1, paid)
    market = draw.choice(MARKETS)
    expiry = draw.choice([e for m, e in risk.curves if m == market and e > machine.chain.timestamp])
    try:
        portfolio.usable(risk, market, expiry)
    except Refused:
        return
    step, now = grid.steps[market], machine.chain.timestamp
    low = max(risk.prices[market] * draw.choice((9, 10, 11)) // 10 // step, 1) * step
    width, contracts = draw.integer(1, 8) * step, draw.integer(1, 50)

    def book(legs) -> list[int]:
        made: list[int] = []
        for kind, strike, size in legs:
            one = Instrument(market, kind, expiry, strike)
            made = merge(made, grid.fragment(one, size * contracts * CONTRACT, now))[0]
        return made

    strikes = (low, low + width, low + 2 * width)
    flies = [book(zip((kind,) * 3, strikes, (1, -2, 1), strict=True)) for kind in (CALL, PUT)]
    margins = [portfolio.margin(0, (), fly, risk) for fly in flies]
    machine.need("I-32", margins[0] == margins[1], margins)
    box = book(((CALL, low, 1), (PUT, low, -1), (CALL, low + width, -1), (PUT, low + width, 1)))
    joined = portfolio.margin(0, perps, merge(words, box)[0], risk)
    plain = portfolio.margin(0, perps, words, risk)
    errors = 2 * _errors(portfolio.exposures((), box, risk)) + dust(machine)
    pays = contracts * width // STRIKE_UNIT
    machine.need("I-32", abs(joined.equity - plain.equity - pays) <= errors, (joined, plain, pays))
    machine.need("I-32", abs(joined.maintenance - plain.maintenance) <= errors, (joined, plain, errors))


def _rewritten(segment: Segment) -> Segment:
    """The same payoff by parity: each option as one of the other kind and a future at its strike. Of the
    words only the flags change: what a put takes from forward and money, the future puts back."""
    lanes = [[name ^ PUT_FLAG, size] for name, size in segment.lanes]
    return Segment(segment.market, segment.expiry, segment.forward, segment.money, lanes)
