"""I-14 where books end: as many positions, words, underlyings and as much money as may be, keys out of order,
the instants at which a settlement's average begins and a series is gone. Draws nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import product

from margincall.audit.draw import RandomDraw
from margincall.audit.machine import Machine
from margincall.audit.operations import expiries, prices
from margincall.audit.optionmirror import dial_word
from margincall.audit.properties import asking, brinks, drawn, probe, shapes
from margincall.audit.properties.asking import answer
from margincall.audit.properties.differential import check_shapes, i_14_pricing, level_edge
from margincall.audit.properties.views import check_observed, check_words
from margincall.audit.world import MARKETS
from margincall.model import accounts
from margincall.model.arithmetic import NOTIONAL_SCALE
from margincall.model.book import (
    MAX_FORWARD,
    MAX_GROSS,
    MAX_MONEY,
    MAX_POSITIONS,
    PUT_FLAG,
    Segment,
    merge,
    pack,
    unpack,
)
from margincall.model.dials import ONE
from margincall.model.instrument import (
    CALL,
    CONTRACT,
    DAY,
    FUTURE,
    PUT,
    SPOT,
    STRIKE_UNIT,
    WINDOW,
    Instrument,
    log_code,
)
from margincall.model.margin import initial_up, maintenance_up
from margincall.model.markets import Market, Terms, Tier
from margincall.model.portfolio import MAX_UNDERLYINGS
from margincall.model.surface import VolReport
from margincall.protocol.deploy import fees_tuple, rules_tuple
from margincall.protocol.orders import Report


def i_14_edges(machine: Machine, draw) -> None:
    """books at the last position, word, lot and underlying, and at the instants where their rules change"""
    own = RandomDraw(machine.steps)
    for _ in range(3):
        i_14_pricing(machine, own)
    with probe.undone(machine, "I-14"):
        check_shapes(machine, own, level_edge, 40)
    _bounds(machine)
    _fragments(machine)
    with probe.undone(machine, "I-14"):
        probe.quiet_prices(machine)
        _full(machine)
        shapes.moved(machine)
        shapes.late(machine)
    with probe.undone(machine, "I-14"):
        _window(machine, own)
    with probe.undone(machine, "I-14"):
        _far_away(machine, own)
    for apart in (_gone, _replaced, _many, _bounded):
        with probe.undone(machine, "I-14"):
            apart(machine)
    with probe.undone(machine, "I-14"):
        shapes.odd_rates(machine, own)
    for mode in (accounts.CROSS, accounts.PORTFOLIO):
        for wide in (False, True):
            probe.apart(machine, "I-14", brinks.backed, mode, wide)
    for usd, buys in product((3_000, 5_000), (True, False)):
        probe.apart(machine, "I-14", brinks.largest, usd, buys)


def _merged(machine: Machine, words: list[int], other: list[int]) -> None:
    for negate in (False, True):
        seen = answer(machine.protocol.book.call, "merge", words, other, negate)
        drawn.same(machine, seen, answer(merge, words, other, negate), (words, other, negate))


def _bounds(machine: Machine) -> None:
    """Sums as large as may be and one larger; a fragment's segments twice, and the wrong way round."""
    first, second = machine.world.series.live(machine.chain.timestamp + 1)[:2]
    for sign in (1, -1):
        for name, most in (("forward", MAX_FORWARD), ("money", MAX_MONEY)):
            for held, more in ((most - 1, 1), (most, 1), (most, most), (most - 3, 2)):
                one, other = Segment(1, first, 1), Segment(1, first)
                setattr(one, name, sign * held)
                setattr(other, name, sign * more)
                _merged(machine, pack([one]), pack([other]))
        for expiry, size in product((first, second), (1, 2)):
            held = Segment(1, first, lanes=[[1_000_000, sign * (MAX_GROSS - 2)]])
            more = Segment(1, expiry, lanes=[[1_000_000, sign * size]])
            _merged(machine, pack([held]), pack([more]))
    one, other = pack([Segment(1, first, 5, 5)]), pack([Segment(2, first, 5, 5)])
    for fragment in ([*one, *one], [*other, *one], [*one, *other], [*other, *other]):
        for words in ([], one, other, [*one, *other]):
            _merged(machine, words, fragment)


def _fragments(machine: Machine) -> None:
    """Of every kind, as they are traded."""
    now, grid = machine.chain.timestamp, machine.twin.options.grid
    expiry = machine.world.series.live(now + 1)[0]
    for market, kind in product(MARKETS, (CALL, PUT, FUTURE, SPOT)):
        strike = grid.strike(market, log_code(machine.twin.markets[market].mark)) if kind <= PUT else 0
        id = Instrument(market, kind, 0 if kind == SPOT else expiry, strike).id
        for lots in (CONTRACT, -3 * CONTRACT):
            wanted = answer(grid.fragment, id, lots, now, 7)
            seen = answer(machine.protocol.book.call, "fragment", id, lots, 7)
            drawn.same(machine, seen, wanted, (id, lots))


def _full(machine: Machine) -> None:
    """Books of one position less than may be, as many, one more: of options, futures, both."""
    now = machine.chain.timestamp
    live = machine.world.series.live(now + 1)
    usable = [e for e in live if not isinstance(answer(machine.twin.options.usable, 1, e, now), str)]
    series = (usable or live)[:2]
    new = pack([Segment(3, series[0], lanes=[[_far(machine, 3, 200), 1]])])
    future = pack([Segment(3, series[-1], CONTRACT)])
    for count in (MAX_POSITIONS - 2, MAX_POSITIONS - 1, MAX_POSITIONS):
        words = _many_lanes(machine, series, count)
        segments = unpack(words)
        half = pack([Segment(*segments[0].key, lanes=[list(segments[0].lanes[0])])])
        for other in (new, future, pack([*unpack(future), *unpack(new)][::-1]), half):
            merged = answer(merge, words, other, False)
            _merged(machine, words, other)
            if not isinstance(merged, str):
                _merged(machine, merged[0], other)
        for quanta in (1, 500, 1_000):
            part = answer(machine.twin.options.grid.split, words, quanta)
            drawn.same(machine, answer(machine.protocol.book.call, "split", words, quanta), part, quanta)
    for mode in (accounts.PORTFOLIO, accounts.CROSS):
        drawn.judged(machine, mode, 10**12, (), _many_lanes(machine, series, MAX_POSITIONS))
        zero = [Segment(market, series[0], 0, 5) for market in (1, 2)]  # futures that were closed
        drawn.judged(machine, mode, 0, (), pack(zero))


def _many_lanes(machine: Machine, series: list[int], count: int) -> list[int]:
    """A book of so many options of two markets, bought and sold, calls alone."""
    segments = {key: Segment(*key) for key in product((1, 2), series)}
    for i in range(count):
        segment = list(segments.values())[i % len(segments)]
        segment.lanes.append([_far(machine, segment.market, i), 1 if i % 3 else -2])
    return pack([segment for segment in segments.values() if segment.lanes])


def _far(machine: Machine, market: int, i: int) -> int:
    return log_code(machine.twin.markets[market].mark) + (i - 64) * 3_000


def _window(machine: Machine, own: RandomDraw) -> None:
    """The second before a settlement's average begins, that second, and some of it seen."""
    start = machine.world.series.live(machine.chain.timestamp + 60)[0] - WINDOW
    expiry = start + WINDOW
    grace = max(known.rules.grace for known in machine.twin.markets.values())
    seconds = start - 14 - grace - machine.chain.timestamp
    if seconds < 1:
        return
    marks = {market: known.mark for market, known in machine.twin.markets.items()}
    machine.do(prices.report(machine, marks, seconds))
    machine.do(prices.report(machine, marks, grace))  # the silence before was an outage
    machine.do(expiries.same_vols(machine))
    for market in MARKETS:
        machine.do(expiries.refresh_of(machine, market, expiry))
    trade = _future(machine, expiry)
    trade(reduce_only=(True, False))
    trade(reduce_only=(False, True))
    while machine.chain.timestamp < start + 2:
        if machine.chain.timestamp < start - 3:
            machine.do(prices.again(machine))
        else:
            trade()
        if machine.chain.timestamp >= start - 1:
            drawn.look(machine, own, 1)
            check_words(machine, own)
            _hedged(machine, expiry)
    for seconds in (1, 17, 30):
        machine.do(prices.report(machine, marks, seconds))
        for market in MARKETS:
            machine.do(expiries.observe_of(machine, market, expiry))
        check_observed(machine)
    drawn.look(machine, own, 2)
    check_words(machine, own)
    _hedged(machine, expiry)


def _future(machine: Machine, expiry: int) -> Callable:
    """Trades of two newcomers in a dated future, the maker sells."""
    pair, known = [probe.newcomer(machine, probe.MAKER, i) for i in range(2)], machine.twin.markets[1]
    lots = (2 * known.terms.min_notional * NOTIONAL_SCALE // known.mark // CONTRACT + 1) * CONTRACT
    id = Instrument(1, FUTURE, expiry).id

    def trade(reduce_only: tuple[bool, bool] = (False, False)) -> None:
        asked = zip(probe.orders(*pair, id, lots, known.mark), reduce_only, strict=True)
        probe.settle(machine, [order._replace(reduce_only=only) for order, only in asked])

    return trade


def _hedged(machine: Machine, expiry: int) -> None:
    """Legs that settle at an average against perps, and against spot alone: paid for, or all but."""
    for market in MARKETS:
        mark = machine.twin.markets[market].mark
        size = 7 * CONTRACT
        for sign in (1, -1):
            perp = ((market, -sign * size, -sign * size * mark // NOTIONAL_SCALE),)
            drawn.judged(machine, accounts.PORTFOLIO, 0, perp, pack([Segment(market, expiry, sign * size)]))
        code = log_code(mark)
        strike = machine.twin.options.grid.strike(market, code)
        spot, put = Segment(market, 0, size), Segment(market, expiry, -size, -7 * strike // STRIKE_UNIT)
        put.lanes = [[code | PUT_FLAG, 7]]
        sold, future = deepcopy(put), deepcopy(put)
        sold.lanes.append([code + 40_000, -1])
        future.forward -= CONTRACT
        for cash, held in ((0, put), (-1, put), (0, sold), (0, future)):
            drawn.judged(machine, accounts.PORTFOLIO, cash, (), pack([spot, held]))


def _far_away(machine: Machine, own: RandomDraw) -> None:
    """Curves of a year, on which options at the ends of the table are worth something."""
    series, at = machine.world.series, machine.chain.timestamp + 1
    expiry = series.live(at)[0] + 360 * DAY
    reports = [VolReport(market, expiry, series.level[market], 0, 0, at) for market in MARKETS]
    machine.do(expiries.vols_of(machine, reports, 1))
    for market in MARKETS:
        machine.do(expiries.refresh_of(machine, market, expiry))
    machine.do(prices.again(machine))
    for market in MARKETS:
        for sign in (1, -1):
            for end, near in product(drawn.ENDS, (0, 1, 2**13, -(2**13))):
                code = drawn.code_at(machine, market, (end << 14) + near)
                words = pack([Segment(market, expiry, lanes=[[code, sign * 10_000]])])
                for mode in (accounts.PORTFOLIO, accounts.CROSS):
                    drawn.judged(machine, mode, 0, (), words)
    series.expiries.append(expiry)
    drawn.look(machine, own, 3)
    check_words(machine, own)


def _gone(machine: Machine) -> None:
    """A series at the second of its expiry, and an engine that knows no surface."""
    protocol, chain = machine.protocol, machine.chain
    expiry = machine.world.series.live(chain.timestamp + 1)[0]
    arguments = (protocol.markets.address, protocol.book.address, protocol.contracts["Pricing"].address)
    arguments = (*arguments, tuple(machine.setting.spec.dials))
    engine = chain.deploy(protocol.portfolio.artifact, *arguments, sender=chain.accounts[0])
    for target, at, wanted in (
        (engine, None, "curve: no surface"),
        (protocol.portfolio, expiry, "curve: expired"),
    ):
        seen = answer(target.send, chain.accounts[0], "refresh", 1, expiry, at=at)
        machine.need("I-14", seen == wanted, lambda s=seen, w=wanted: (s, w))


def _replaced(machine: Machine) -> None:
    """At the second of an expiry the volatility of a new one."""
    series, now = machine.world.series, machine.chain.timestamp
    gone, *_, last = series.live(now + 1)
    report = VolReport(1, last + 14 * DAY, series.level[1], 0, 0, gone)
    machine.do(expiries.vols_of(machine, [report], gone - now))
    seen, tracked = machine.protocol.surface.call("expiries", 1), machine.twin.options.surface.expiries[1]
    wanted = sum(expiry // DAY << 16 * i for i, expiry in enumerate(tracked))
    machine.need("I-14", seen == wanted, lambda: (hex(seen), hex(wanted)))


def _many(machine: Machine) -> None:
    """Spot of as many underlyings as an account may have, and one more: judged, or refused by name. The
    ninth market has a rate of its own, and terms whose every number is odd."""
    protocol, chain = machine.protocol, machine.chain
    known, feed = machine.twin.markets[1], protocol.feed.address
    more = range(len(MARKETS) + 1, MAX_UNDERLYINGS + 2)
    calls, odd = [], _odd(known.terms)
    for market in more:
        terms = odd if market > MAX_UNDERLYINGS else known.terms
        calls.append((protocol.markets, ("set_rules", market, rules_tuple(feed, known.rules))))
        packed = fees_tuple(terms), list(terms.tiers)
        calls.append((protocol.markets, ("set_terms", market, *packed)))
        calls.append((protocol.portfolio, ("set_risk_terms", market, (32, 48, 0, 0))))
    asking.by_owner(machine, *calls)
    at = chain.timestamp + 1
    marks = dict.fromkeys(more, known.mark)
    marks |= {market: machine.twin.markets[market].mark for market in MARKETS}
    # Of one set of rules: the last one's index alone tells of another rate. Its notionals are its lots.
    marks[MAX_UNDERLYINGS + 1] = mark = NOTIONAL_SCALE
    indexes = marks | {MAX_UNDERLYINGS + 1: mark * 9 // 10}
    reports = [Report(market, marks[market], indexes[market], at) for market in marks]
    payload = machine.world.payload(reports)
    protocol.markets.send(chain.accounts[0], "update_prices", feed, payload, at=at)
    rates = [
        protocol.markets.call("last_price", market)[-1]
        for market in (1, MAX_UNDERLYINGS, MAX_UNDERLYINGS + 1)
    ]
    machine.need("I-14", rates[0] == rates[1] < rates[2], lambda: rates)
    last = Market(MAX_UNDERLYINGS + 1, known.rules, odd)
    for edge in (*(tier.lower for tier in odd.tiers), 10**11):
        for beyond in (-1, 0, 1):
            size = max(edge + beyond, 0)
            wanted = (initial_up(last, size * mark), maintenance_up(last, size * mark))
            seen = probe.engine_margin(protocol.markets, 0, ((MAX_UNDERLYINGS + 1, size, 0),))
            machine.need("I-14", seen[1:3] == wanted, lambda n=size, s=seen, w=wanted: (n, s, w))
    for engine, mode in ((protocol.portfolio, accounts.PORTFOLIO), (protocol.standard, accounts.CROSS)):
        name = "portfolio" if mode == accounts.PORTFOLIO else "standard"
        for count in (MAX_UNDERLYINGS, MAX_UNDERLYINGS + 1):
            words = pack([Segment(market, 0, CONTRACT) for market in range(1, count + 1)])
            header = accounts.pack_header(0, 0, mode, len(words))
            seen = answer(engine.call, "margin", header, words)
            refused = f"{name}: too many underlyings"
            fine = seen == refused if count > MAX_UNDERLYINGS else not isinstance(seen, str)
            machine.need("I-14", fine, lambda c=count, s=seen: (c, s))


def _odd(terms: Terms) -> Terms:
    odd = 10**6 - 1  # of money: what tiers ask where they meet differs by their rounding
    tiers = tuple(Tier(tier.lower and tier.lower + odd, tier.imf | 1, tier.mmf | 1) for tier in terms.tiers)
    return terms._replace(tiers=tiers, band=terms.band | 1, min_notional=terms.min_notional | 1)


def _bounded(machine: Machine) -> None:
    """Dials that rest at no stress at all; the guardian's tightest bounds, and none again."""
    portfolio, dials = machine.protocol.portfolio, machine.twin.options.dials
    rest = dials.settings._replace(rho=0, psi=ONE)
    asking.by_owner(machine, (portfolio, ("set_dials", tuple(rest))))
    dials.set_dials(machine.chain.timestamp, rest)
    asking.by_owner(machine, (portfolio, ("relax",)), later=2 * DAY)
    dials.relax(machine.chain.timestamp)
    _same_dials(machine)
    portfolio.send(machine.world.guardian, "tighten", ONE, 0)
    dials.tighten(machine.chain.timestamp, ONE, 0)
    asking.by_owner(machine, (portfolio, ("relax",)))
    dials.relax(machine.chain.timestamp)
    _same_dials(machine)


def _same_dials(machine: Machine) -> None:
    seen = machine.protocol.portfolio.call("dial_word")
    wanted = dial_word(machine.twin.options.dials)
    machine.need("I-14", seen == wanted, lambda: (hex(seen), hex(wanted)))
