"""I-14 of accounts that nobody has: the margin rules and the arithmetic of books are views of any words, so
they are asked about books that short histories never make. Contracts and model must say the same."""

from __future__ import annotations

from margincall.audit.machine import Machine
from margincall.audit.properties import asking, probe
from margincall.audit.properties.asking import answer
from margincall.audit.properties.differential import between
from margincall.audit.world import MARKETS
from margincall.chain.base import Reverted
from margincall.model import accounts
from margincall.model.arithmetic import MAX_ENTRY
from margincall.model.book import MAX_FORWARD, MAX_GROSS, MAX_MONEY, PUT_FLAG, Segment, merge, pack, unpack
from margincall.model.curves import Curve, place
from margincall.model.instrument import CONTRACT, DAY, LONGEST, MAX_CODE, STRIKE_UNIT, Instrument, log_code
from margincall.model.portfolio import FADE, FIRST, LAST, NEAR
from margincall.model.rules import measure, standing

ENDS = (FIRST, FIRST + NEAR, LAST + 1 - NEAR, LAST, LAST + 1)
"""First taps where something begins or ends on the curve of an option."""
ROW = (0, 190)  # of a whole row: what marks are read from
COUNTS = (1, 1, 2, 3, 4, 5, 8, 9)


def i_14_books(machine: Machine, draw) -> None:
    """margin, merge, split, pay-off of any book on chain == the model's, to the unit, or one refusal

    Strikes at and beyond the ends of the curves, segments of several words, sizes up to their bounds.
    """
    look(machine, draw, 3)
    if draw.chance(25):
        with probe.undone(machine, "I-14"):
            _into_slots(machine)
            look(machine, draw, 2)


def look(machine: Machine, draw, times: int) -> None:
    """Some books and perps that nobody holds: judged, merged, split, paid off."""
    for _ in range(times):
        words = any_book(machine, draw)
        positions = any_perps(machine, draw)
        cash = draw.choice((0, 1, -1, 10**9, -(10**9)))
        for mode in (accounts.PORTFOLIO, accounts.CROSS):
            judged(machine, mode, cash, positions, words)
        _arithmetic(machine, draw, words)
        _fragment(machine, draw)
        _mark(machine, draw)


def _into_slots(machine: Machine) -> None:
    """Curves that are kept in storage instead of code: the owner may choose, and nobody here does."""
    protocol, twin, chain = machine.protocol, machine.twin, machine.chain
    call = "set_curves", protocol.surface.address, twin.options.window, True
    asking.by_owner(machine, (protocol.portfolio, call))
    probe.quiet_prices(machine)
    for expiry in machine.world.series.live(chain.timestamp + 10):
        for market in MARKETS:
            at = chain.timestamp + 1
            wanted = answer(twin.options.refresh, market, expiry, at)
            try:
                protocol.portfolio.send(chain.accounts[0], "refresh", market, expiry, at=at)
            except Reverted as error:
                same(machine, error.reason, wanted, (market, expiry))
                continue
            sheet = protocol.portfolio.call("sheet", market, expiry)
            seen = (
                protocol.portfolio.call("curve", market, expiry),
                b"".join(x.to_bytes(32, "big") for x in sheet),
            )
            same(machine, seen, isinstance(wanted, Curve) and (wanted.word(), wanted.blob), (market, expiry))


def same(machine: Machine, seen, wanted, what) -> None:
    """I-14: what a view says is what the model does."""
    seen, wanted = (tuple(x) if isinstance(x, (list, tuple)) else x for x in (seen, wanted))
    machine.need("I-14", seen == wanted, lambda: (what, seen, wanted))


# ------------------------------------------------------------ drawing


def any_book(machine: Machine, draw) -> list[int]:
    """Segments of some markets: spot, series with a curve, seldom one that has none or has expired."""
    now, series = machine.chain.timestamp, machine.world.series
    gone = [expiry for expiry in series.expiries if expiry <= now][-1:]
    live = series.live(now + 1)
    markets = sorted({draw.choice(MARKETS) for _ in range(draw.choice((1, 1, 2, 3)))})
    found = []
    for market in markets:
        usable = [e for e in live if not isinstance(answer(machine.twin.options.usable, market, e, now), str)]
        expiries = {draw.choice(usable or live) for _ in range(draw.choice((1, 2, 3)))}
        expiries |= {0} if draw.chance(40) else set()
        expiries |= {draw.choice([*gone, *live, live[-1] + DAY])} if draw.chance(6) else set()
        for expiry in sorted(expiries):
            found.append(_segment(machine, draw, market, expiry))
    return pack(found)


def _segment(machine: Machine, draw, market: int, expiry: int) -> Segment:
    segment = Segment(market, expiry)
    if not expiry:
        segment.forward = between(draw, 1, MAX_FORWARD >> 8) % MAX_FORWARD + 1
        return segment
    # Long or short alone now and then: what is bought and paid for is judged in another way.
    signs = draw.choice(((1, -1), (1, -1), (1,), (-1,)))
    names = set()
    for _ in range(draw.choice((0, *COUNTS))):
        name = _code(machine, draw, market) | draw.choice((0, PUT_FLAG))
        if name in names:
            continue
        names.add(name)
        size = draw.choice(signs) * draw.choice((1, 2, draw.integer(1, 1_000), draw.integer(1, 10**8)))
        segment.lanes.append([name, size])
        if name & PUT_FLAG:
            strike = machine.twin.options.grid.strike(market, name & MAX_CODE)
            segment.forward -= size * CONTRACT
            segment.money -= size * strike // STRIKE_UNIT
    if draw.chance(40) or not segment.lanes:
        contracts = draw.choice((1, -1)) * draw.integer(1, 10**6)
        segment.forward += contracts * CONTRACT
        segment.money += contracts * machine.twin.markets[market].mark // STRIKE_UNIT + draw.integer(-9, 9)
    return segment


def _code(machine: Machine, draw, market: int, ends: tuple[int, ...] = ENDS) -> int:
    """A strike's log code: at an end of the table to the unit, near it, where longs fade, or anywhere."""
    end = draw.choice(ends) << 14
    faded = draw.choice((ends[0] << 14, ends[-1] << 14)) + draw.choice((-1, 1)) * FADE
    at = draw.choice(
        (
            end + draw.choice((-4, -1, 0, 1, 4)),
            end + draw.integer(-(NEAR << 14), NEAR << 14),
            faded + draw.integer(-1, 1),
            draw.integer(-2 * FADE, (191 << 14) + 2 * FADE),
            draw.integer((ends[0] + NEAR) << 14, (ends[-1] - NEAR) << 14),
        )
    )
    return code_at(machine, market, at)


def code_at(machine: Machine, market: int, at: int) -> int:
    """The log code of the strike whose call lies at a place of the table, 2**-14 taps."""
    spot = log_code(machine.twin.markets[market].mark)
    tap, part = place(spot, spot)
    return min(max(spot + (tap << 14) + (part << 2) - at, 1), MAX_CODE)


def any_perps(machine: Machine, draw) -> tuple:
    """Positions of some markets, in any order, of tiers that nobody reaches."""
    found = {}
    for _ in range(draw.choice((0, 0, 1, 2, 3))):
        market = draw.choice(MARKETS)
        known, sign = machine.twin.markets[market], draw.choice((1, -1))
        raw = draw.choice([tier.lower for tier in known.terms.tiers] + [10**12]) * 10**8
        size = sign * max(min(raw // known.mark + draw.integer(-2, 2), 2**46), 1)
        entry = size * known.mark // 10**8 + draw.integer(-(10**6), 10**6)
        if abs(entry) <= MAX_ENTRY:
            found[market] = (market, size, entry)
    return tuple(found.values())


# ------------------------------------------------------------ asking


def judged(machine: Machine, mode: int, cash: int, positions: tuple, words: list[int]) -> None:
    """Both margin rules, each by its three views."""
    if not words:
        return
    protocol, twin, now = machine.protocol, machine.twin, machine.chain.timestamp
    engine = protocol.portfolio if mode == accounts.PORTFOLIO else protocol.standard
    header = accounts.pack_header(cash, len(positions), mode, len(words))
    account = header, [*accounts.pack_words(positions), *words]
    what = engine.artifact.name, account
    wanted = answer(measure, twin, now, mode, cash, positions, words)
    same(machine, answer(engine.call, "margin", *account), wanted, what)
    short = wanted if isinstance(wanted, str) else wanted[:2]
    same(machine, answer(engine.call, "initial", *account), short, what)
    wanted = answer(standing, twin, now, mode, cash, positions, words)
    same(machine, answer(engine.call, "close_out", *account), wanted, what)


def _arithmetic(machine: Machine, draw, words: list[int]) -> None:
    """merge, split and payoff; parts of the book itself among what is merged, and sizes at their bounds."""
    book, grid = machine.protocol.book, machine.twin.options.grid
    quanta = draw.choice((0, 1, 333, 999, 1_000, 1_001))
    part = answer(grid.split, words, quanta)
    same(machine, answer(book.call, "split", words, quanta), part, ("split", words, quanta))
    others = [any_book(machine, draw), words, pack([_bound(machine, draw)])]
    if isinstance(part, list):
        others.append(part)
    for other in others:
        for negate in (False, True):
            wanted = answer(merge, words, other, negate)
            same(machine, answer(book.call, "merge", words, other, negate), wanted, (words, other, negate))
    market, live = draw.choice(MARKETS), machine.world.series.live(machine.chain.timestamp + 1)
    highest = 2**40 // STRIKE_UNIT * STRIKE_UNIT
    mark = machine.twin.markets[market].mark // STRIKE_UNIT * STRIKE_UNIT
    prices = (0, STRIKE_UNIT, mark, mark, mark * 9 // 10 // STRIKE_UNIT * STRIKE_UNIT, mark + 1, highest)
    words = _on_grid(machine, words)
    for price in (draw.choice(prices), draw.choice((highest + STRIKE_UNIT, mark))):
        call = draw.choice((market, market, 0)), draw.choice((*live, *live, 0)), price
        seen = answer(book.call, "payoff", words, *call)
        same(machine, seen, answer(grid.payoff, words, *call), ("payoff", words, call))


def _on_grid(machine: Machine, words: list[int]) -> list[int]:
    """The book with the codes that strikes of the grid have: by them a pay-off tells which calls are in the
    money, and Book takes no others."""
    segments = unpack(words)
    for segment in segments:
        lanes = {}
        for name, size in segment.lanes:
            strike = machine.twin.options.grid.strike(segment.market, name & MAX_CODE)
            code = answer(log_code, strike) if strike else ""
            if not isinstance(code, str):
                lanes.setdefault(code | name & PUT_FLAG, size)
        segment.lanes = [list(lane) for lane in lanes.items()]
    return pack([segment for segment in segments if not segment.is_empty])


def _bound(machine: Machine, draw) -> Segment:
    """One position as large as may be, or by one too large, beside what is there."""
    market = draw.choice(MARKETS)
    expiry = machine.world.series.live(machine.chain.timestamp + 1)[0]
    segment = Segment(market, expiry)
    if draw.chance(50):
        segment.lanes = [[_code(machine, draw, market), draw.choice((1, -1)) * (MAX_GROSS - 1)]]
    elif draw.chance(50):
        segment.forward = draw.choice((1, -1)) * MAX_FORWARD
    else:
        segment.money = draw.choice((1, -1)) * MAX_MONEY
    return segment


def _fragment(machine: Machine, draw) -> None:
    """Of ids as they come: every kind, off the grid, expired, too far, no whole contracts."""
    now, grid, market = machine.chain.timestamp, machine.twin.options.grid, draw.choice((1, 2, 3))
    live = machine.world.series.live(now + 1)
    last = (now + LONGEST - 28_800) // DAY * DAY + 28_800
    expiry = draw.choice((*live, *live, last, last + DAY, live[0] - DAY, live[0] + 1, 0))
    strike = grid.strike(market, _code(machine, draw, market))
    strike = draw.choice((strike, strike, strike, 0, strike + 1, strike + STRIKE_UNIT))
    market = draw.choice((market, market, market, market, 0, 63, 64))
    kind = draw.choice((0, 1, 1, 2, 2, 3, 4, 5))
    id = market | kind << 8 | expiry << 16 | (strike if draw.chance(75) or kind in (1, 2) else 0) << 48
    lots = draw.choice((CONTRACT, -CONTRACT, 7 * CONTRACT, 0, CONTRACT + 1, MAX_GROSS * CONTRACT))
    amount = draw.choice((0, 1, -(10**9), MAX_MONEY, MAX_MONEY + 1))
    wanted = answer(grid.fragment, id, lots, now, amount)
    same(machine, answer(machine.protocol.book.call, "fragment", id, lots, amount), wanted, (id, lots))


def _mark(machine: Machine, draw) -> None:
    """What one option is worth, at the ends of the row and beyond them."""
    twin, now, market = machine.twin, machine.chain.timestamp, draw.choice(MARKETS)
    if not machine.fresh(now):
        return
    strike = twin.options.grid.strike(market, _code(machine, draw, market, ROW))
    code, put = answer(log_code, strike), draw.chance(50)
    expiry = draw.choice(machine.world.series.live(now + 1))
    if isinstance(code, str) or twin.options.grid.strike(market, code) != strike or not strike:
        return
    name, mark = code | (PUT_FLAG if put else 0), twin.markets[market].mark
    wanted = answer(twin.options.mark, name, market, expiry, strike, mark, now)
    id = Instrument(market, 2 if put else 1, expiry, strike).id
    same(machine, answer(machine.protocol.exchange.call, "mark_of", id), wanted, (id, mark))
