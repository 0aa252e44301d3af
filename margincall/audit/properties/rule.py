"""I-30 to I-32, and I-04 over books: the portfolio rule on the books that a run makes."""

from __future__ import annotations

from fractions import Fraction

from mpmath import exp as mp_exp
from mpmath import mp, mpf

from margincall.audit.machine import Machine
from margincall.audit.properties import probe
from margincall.audit.properties.portfolio import dust, errors_of, payoff, segments
from margincall.audit.world import MARKETS
from margincall.model import Refused, portfolio
from margincall.model.arithmetic import NOTIONAL_SCALE, PPM
from margincall.model.book import PUT_FLAG, Segment, merge, pack
from margincall.model.instrument import (
    CALL,
    CONTRACT,
    FUTURE,
    MAX_CODE,
    PERP,
    PUT,
    SPOT,
    STRIKE_UNIT,
    WINDOW,
    Instrument,
)
from margincall.model.margin import Margin, value_down
from margincall.model.portfolio import ONE
from margincall.model.rules import risk_of
from margincall.specification import portfolio as specification
from margincall.specification.portfolio import Position


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


def _asked(machine: Machine, positions, words, risk: portfolio.Risk) -> Margin:
    """What the portfolio rule says of perps and a book without cash: the exact twin, or (without one) the
    contract itself."""
    if not machine.observer:
        twin, now = machine.twin, machine.chain.timestamp
        perps = [(m, q, value_down(q, e, twin.markets[m].quote(now, twin.max_age))) for m, q, e in positions]
        return portfolio.margin(0, perps, words, risk)
    return probe.portfolio_margin(machine, positions, words)


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
        errors += errors_of(nets)
    machine.need("I-04", total <= 0, total)
    on_curve = all(
        portfolio.FIRST <= portfolio.place(portfolio.log_code(prices[s.market]), name & 2**24 - 1)[0] < 161
        for account in books
        for s in segments(machine.twin.books[account])
        for name, _ in s.lanes
    )
    if on_curve:
        machine.need("I-04", total >= -errors - 4 * len(books), (total, errors))


def _whole_contracts(risk, one: list[int], other: list[int]) -> int:
    """Money: what rounding to whole contracts makes of calls bought that both books have and that fade near
    an end of the curve, at most: two contracts of each at the mark."""
    lanes = [{(s.key, name) for s in segments(words) for name, _ in s.lanes} for words in (one, other)]
    total = 0
    for (market, _), name in lanes[0] & lanes[1]:
        price = risk.prices[market]
        at = portfolio.position(portfolio.log_code(price), name & MAX_CODE)
        if portfolio.beyond_of(at) > 0:
            total += -(-2 * CONTRACT * price // NOTIONAL_SCALE)
    return total


def i_30(machine: Machine, draw) -> None:
    """R(A+B) <= R(A) + R(B); R <= sum of standalone worsts; only bought options: R <= value

    H(A+B) >= H(A) + H(B) and R(A+B) <= R(A) + R(B) + errors (netting gives charges for the curves'
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
    try:
        words = merge(apart[0][1], apart[1][1])[0]
    except Refused:
        return  # more than one book has room for
    held = [machine.twin.positions.get(a, ()) for a in (one, other)]
    both: dict[int, list[int]] = {}
    for m, size, entry in held[0] + held[1]:
        old = both.get(m, (0, 0))
        both[m] = [old[0] + size, old[1] + entry]
    joined = _asked(machine, tuple((m, q, e) for m, (q, e) in both.items() if q or e), words, risk)
    calm = not any(_settles(machine, segment) for segment in segments(words))
    whole = slack + _whole_contracts(risk, *(part[1] for part in apart))
    found = [_asked(machine, p, part[1], risk) for p, part in zip(held, apart, strict=True)]
    errors = sum(errors_of(portfolio.exposures(*part, risk)) for part in apart)
    for name in ("initial", "maintenance"):
        health = joined.equity - getattr(joined, name)
        asked = sum(getattr(each, name) for each in found)
        apart_health = sum(each.equity for each in found) - asked
        machine.need("I-30", health >= apart_health - whole or not calm, (joined, found))
        enough = getattr(joined, name) <= asked + errors + whole
        machine.need("I-30", enough or not calm, (joined, found, errors))
    nets = portfolio.exposures(*apart[0], risk)
    alone = sum(
        portfolio.money_of(max(0, *portfolio.weighted(net.losses(), risk.terms[net.market].range_mm)))
        for net in nets
    )
    most = max(alone, portfolio.floor_of(nets, risk.terms)) + portfolio.error_of(nets, risk.terms)
    machine.need("I-30", found[0].maintenance <= most + slack, (found[0], most))
    bought = [Segment(s.market, s.expiry, lanes=_bought(s)) for s in segments(apart[0][1]) if s.expiry]
    nets = portfolio.exposures((), pack(bought), risk)
    only = _asked(machine, (), pack(bought), risk)
    machine.need("I-30", only.initial <= only.equity + errors_of(nets, 2) + slack, (only, bought))


def _settles(machine: Machine, segment: Segment) -> bool:
    """Whether its price is being averaged: what it hedges is asked for beside the scenarios then."""
    return 0 <= segment.expiry - machine.chain.timestamp <= WINDOW


def _bought(segment: Segment) -> list[list[int]]:
    """The lanes as calls bought, one a strike."""
    found: dict[int, int] = {}
    for name, size in segment.lanes:
        found[name & 2**24 - 1] = found.get(name & 2**24 - 1, 0) + abs(size)
    return [[name, size] for name, size in found.items()]


def i_31(machine: Machine, draw) -> None:
    """MM >= worst loss of a dense price/vol grid - grid slack; more scenarios never lower MM; MM >= floor(N)

    In each underlying: MM + (exact value - Eq) >= worst loss of exact Black-76 over a dense grid of moves
    within the range, volatility up and down, less the grid's slack (a bought option is convex between two
    prices of the rule: a quarter of their distance a coin). Fewer scenarios never ask more. MM >= floor.
    """
    books = _books(machine)
    if not books or not machine.fresh(machine.chain.timestamp):
        return
    account = draw.choice(books)
    words, perps = machine.twin.books[account], _perps(machine, account)
    risk = _risk(machine)
    nets = portfolio.exposures(perps, words, risk)
    held = machine.twin.positions.get(account, ())
    found = _asked(machine, held, words, risk)
    least = portfolio.floor_of(nets, risk.terms) + portfolio.error_of(nets, risk.terms)
    machine.need("I-31", found.maintenance >= least, found)
    table = [portfolio.weighted(net.losses(), risk.terms[net.market].range_mm) for net in nets]
    kept = [j for j in range(24) if draw.chance(60)] or [3]
    fewer = portfolio.requirement([[row[j] for j in kept] for row in table], risk.mm)
    machine.need("I-31", fewer <= portfolio.requirement(table, risk.mm), (fewer, kept))
    market = draw.choice([net.market for net in nets])
    _dense(machine, market, tuple(p for p in held if p[0] == market), words)


def _dense(machine: Machine, market: int, held, words) -> None:
    risk, twin = _risk(machine, floors=False), machine.twin
    perps = [
        (m, q, value_down(q, e, twin.markets[m].quote(machine.chain.timestamp, twin.max_age)))
        for m, q, e in held
    ]
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
        found = _asked(machine, held, pack(own), risk)
        enough = value - found.equity + found.maintenance >= worst - slack
    machine.need("I-31", enough, lambda: (found, float(value), float(worst), float(slack), positions))
    machine.counts["dense grid of prices"] += bool(expiries)


def i_32(machine: Machine, draw) -> None:
    """equal payoff at expiry (parity, box, butterfly) => equal expiry loss and equal MM

    Every put as a call and a future sold at its strike, and the other way round: the same payoff at any
    price and the same margin to the unit. Call and put butterflies likewise. A box added changes equity by
    what it pays and the requirement by no more than the curves' error (the floor of calls sold aside).
    """
    books = _books(machine)
    if not books or not machine.fresh(machine.chain.timestamp):
        return
    twin, risk = machine.twin, _risk(machine, floors=False)
    grid = twin.options.grid
    account = draw.choice(books)
    words = twin.books[account]
    rewritten = pack(_rewritten(segment) for segment in segments(words))
    held = twin.positions.get(account, ())
    plain, other = (_asked(machine, held, each, _risk(machine)) for each in (words, rewritten))
    # In the settling window options bought and paid for are told from what is worth the same by name.
    calm = not any(_settles(machine, segment) for segment in segments(words))
    machine.need("I-32", plain == other or not calm, lambda: (plain, other, words, rewritten))
    for segment in segments(words):
        if segment.expiry:
            price = twin.markets[segment.market].mark * draw.integer(50, 200) // 100 // 10**4 * 10**4
            paid = [payoff(machine, each, price) for each in (segment, _rewritten(segment))]
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
    margins = [_asked(machine, (), fly, risk) for fly in flies]
    if machine.observer:  # the contract's own requirement has floors
        margins = [one.equity for one in margins]
    machine.need("I-32", margins[0] == margins[1], margins)
    box = book(((CALL, low, 1), (PUT, low, -1), (CALL, low + width, -1), (PUT, low + width, 1)))
    try:
        both = merge(words, box)[0]
    except Refused:
        return  # a book with no room for it
    joined = _asked(machine, held, both, risk)
    plain = _asked(machine, held, words, risk)
    errors = 2 * errors_of(portfolio.exposures((), box, risk)) + dust(machine)
    pays = contracts * width // STRIKE_UNIT
    machine.need("I-32", abs(joined.equity - plain.equity - pays) <= errors, (joined, plain, pays))
    if calm and not machine.observer:
        machine.need("I-32", abs(joined.maintenance - plain.maintenance) <= errors, (joined, plain, errors))


def _rewritten(segment: Segment) -> Segment:
    """The same payoff by parity: each option as one of the other kind and a future at its strike. Of the
    words only the flags change: what a put takes from forward and money, the future puts back."""
    lanes = [[name ^ PUT_FLAG, size] for name, size in segment.lanes]
    return Segment(segment.market, segment.expiry, segment.forward, segment.money, lanes)
