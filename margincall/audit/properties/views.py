"""I-13 of the views that no action looks at: what the lenses say is what the model says of the same state.
Run on mutants, where these views are changed as well; on the contracts themselves unit tests do the same."""

from __future__ import annotations

from collections.abc import Callable

from margincall.audit.machine import Machine
from margincall.audit.operations import options
from margincall.audit.properties import drawn, probe
from margincall.audit.properties.asking import reason_of
from margincall.audit.world import MARKETS
from margincall.chain.base import Reverted
from margincall.model import accounts, explanation, liquidation_price, max_trade_size, portfolio
from margincall.model.arithmetic import MAX_PRICE, MAX_SIZE, NOTIONAL_SCALE
from margincall.model.book import PUT_FLAG, Segment, merge, unpack
from margincall.model.instrument import (
    CALL,
    CONTRACT,
    FUTURE,
    MAX_CODE,
    PUT,
    SPOT,
    STRIKE_UNIT,
    WINDOW,
    Instrument,
)
from margincall.model.margin import value_down
from margincall.model.rules import risk_of

ROUNDED = 200
"""Money: the notional whose initial margin is what four roundings can make of an account."""


def i_13_lens(machine: Machine, draw) -> None:
    """positions, explanation and mark of an option == the model's; what a view says can be traded can be"""
    if not machine.fresh(machine.chain.timestamp, 10):
        return
    if machine.observer:  # without an exact model views are held to what they are views of
        _explained(machine, draw)
        _largest(machine, draw)
        return
    if plain := machine.plain():
        account = draw.choice(plain)
        _of_perps(machine, account)
        _marks(machine, draw, account)
        _to_the_lot(machine, draw, account)
    if machine.setting.options:
        _of_options(machine, draw)
        for _ in range(2):
            check_words(machine, draw)
        check_observed(machine)
    _largest(machine, draw)


def _explained(machine: Machine, draw) -> None:
    """The explanation adds up to the margin that it explains."""
    protocol, held = machine.protocol, _in_portfolio(machine)
    if not held:
        return
    account = draw.choice(held)
    equity, *asked, _ = machine.world.house.call("margin", account)
    for initial, wanted in zip((True, False), asked, strict=True):
        seen = protocol.portfolio_lens.call("explain", account, initial)
        same = (seen.equity, seen.requirement) == (equity, wanted)
        machine.need("I-13", same, lambda s=seen, w=wanted: (s, w))


def _in_portfolio(machine: Machine) -> list[int]:
    """Portfolio accounts that hold something and can be judged now."""
    twin, now = machine.twin, machine.chain.timestamp
    return [a for a in twin.modes if machine.margin_of(a, now) and not twin.is_flat(a)]


def _of_perps(machine: Machine, account: int) -> None:
    twin, now, lens = machine.twin, machine.chain.timestamp, machine.protocol.lens
    held = twin.positions[account]
    wanted = [(m, q, e, value_down(q, e, twin.markets[m].quote(now, twin.max_age))) for m, q, e in held]
    seen = [tuple(one) for one in lens.call("positions", account)]
    machine.need("I-13", seen == wanted, lambda: (seen, wanted))
    for market, *_ in held:
        known = twin.markets[market]
        wanted = (known.mark, known.published, known.accrued_at, known.funding, known.rate)
        shown = tuple(machine.protocol.markets.call("last_price", market))
        machine.need("I-13", shown == wanted, lambda s=shown, w=wanted: (s, w))
        wanted = liquidation_price(twin, now, account, market)
        exists, price = lens.call("liquidation_price", account, market)
        # But for the rounding of values, of which a unit is a long way of a small position's price.
        near = abs(price - (wanted or 0)) <= 4 * NOTIONAL_SCALE // abs(twin.size(account, market))
        machine.need("I-13", exists == (wanted is not None) and near, lambda w=wanted, p=price: (w, p))


def _marks(machine: Machine, draw, account: int) -> None:
    """Equity of perps, and the marks of any markets, ascending."""
    twin, now = machine.twin, machine.chain.timestamp
    held, cash = twin.positions[account], twin.cash.get(account, 0)
    wanted = [market for market in MARKETS if draw.chance(60)]
    value = sum(value_down(q, e, twin.markets[m].quote(now, twin.max_age)) for m, q, e in held)
    expected = cash + value, [twin.markets[market].mark | market << 40 for market in wanted]
    header = accounts.pack_header(cash, len(held), accounts.CROSS)
    mask = sum(1 << market for market in wanted)
    seen = machine.protocol.markets.call("marks", header, accounts.pack_words(held), mask)
    machine.need("I-13", (seen[0], list(seen[1])) == expected, lambda: (seen, expected))


def _to_the_lot(machine: Machine, draw, account: int) -> None:
    """The largest trade of a perp, bought and sold, in all markets and at any price of the band. Where a lot
    is less than a unit of money it is one of several: what is rounded by units may pass, not pass, pass."""
    twin, now = machine.twin, machine.chain.timestamp
    for market in MARKETS:
        for buys in (True, False):
            known = twin.markets[market]
            price = known.mark * draw.choice((985, 1_000, 1_000, 1_015)) // 1_000
            wanted = max_trade_size(twin, now, account, market, buys, price, known.terms.taker_fee)
            seen = machine.protocol.lens.call("max_trade", account, market, buys, price)
            near = abs(seen - wanted) * price <= ROUNDED * NOTIONAL_SCALE
            machine.need("I-13", near, lambda s=seen, w=wanted, m=market, b=buys: (m, b, s, w))


def check_words(machine: Machine, draw) -> None:
    """Why a book that nobody holds would ask for what it does."""
    words = drawn.any_book(machine, draw)
    if not words or any(not _is_told(machine, segment) for segment in unpack(words)):
        return
    positions, cash = drawn.any_perps(machine, draw), draw.choice((0, -1, 10**9))
    check_explanation(machine, cash, positions, words)


def check_explanation(machine: Machine, cash: int, positions: tuple, words: list[int]) -> None:
    """The explanation of an account that nobody has."""
    header = accounts.pack_header(cash, len(positions), accounts.PORTFOLIO, len(words))
    account = header, [*accounts.pack_words(positions), *words]
    call = machine.protocol.portfolio_lens.call
    _check_told(machine, cash, positions, words, lambda initial: call("explain_words", *account, initial))


def _is_told(machine: Machine, segment: Segment) -> bool:
    if not segment.lanes:
        return not segment.expiry or machine.chain.timestamp < segment.expiry
    return _is_usable(machine, *segment.key)


def check_observed(machine: Machine) -> None:
    """What the average of the next settlement is made of."""
    series = machine.world.series
    for (market, expiry), track in list(series.expiry.tracks.items())[-2:]:
        wanted = (track.price, track.published, track.total, track.counted)
        seen = tuple(machine.protocol.expiry.call("observed", market, expiry))
        machine.need("I-13", seen == wanted, lambda s=seen, w=wanted: (s, w))


def _largest(machine: Machine, draw) -> None:
    """A taker can trade what Lens.max_trade says, and of a perp not a lot more, but for what is no question
    of his margin."""
    twin, market, account = machine.twin, draw.choice(MARKETS), draw.choice(machine.world.roots[1:])
    id, mark, buys = market, twin.markets[market].mark, draw.chance(50)
    if machine.setting.options and draw.chance(60):
        instrument = options.any_instrument(machine, draw)
        if not instrument.is_option or _is_usable(machine, instrument.market, instrument.expiry):
            id, mark = instrument.id, options.fair(machine, instrument, machine.chain.timestamp)
    for more in (0, 1):
        with probe.undone(machine, "I-13"):
            probe.open_doors(machine)
            maker = probe.newcomer(machine, 10**9)
            try:
                at = machine.chain.timestamp + 1
                lots = machine.protocol.lens.call("max_trade", account, id, buys, mark, at=at)
            except Reverted:
                return  # a price or curve is stale, or the book is full
            if not 0 < lots + more < MAX_SIZE or (more and id != market):
                return
            if lots * twin.markets[market].mark > 10**15 * NOTIONAL_SCALE:
                return  # more than the maker's money can answer for
            sign = 1 if buys else -1
            limit = MAX_PRICE if buys else 0
            step = probe.settle(machine, probe.orders(maker, account, id, sign * (lots + more), mark, limit))
            fine = not step.ok if more else not step.reason.startswith("margin: ")
            machine.need("I-13", fine, lambda s=step, n=lots, m=more: (id, n, m, s.reason))


def _is_usable(machine: Machine, market: int, expiry: int) -> bool:
    return not reason_of(machine.twin.options.usable, market, expiry, machine.chain.timestamp)


def _of_options(machine: Machine, draw) -> None:
    twin, now, protocol = machine.twin, machine.chain.timestamp, machine.protocol
    instrument = options.any_instrument(machine, draw)
    if instrument.is_option and _is_usable(machine, instrument.market, instrument.expiry):
        fair = options.fair(machine, instrument, now)
        shown = protocol.exchange.call("mark_of", instrument.id)
        machine.need("I-13", shown == fair, lambda: (shown, fair))
    held = _in_portfolio(machine)
    if not held:
        return
    account = draw.choice(held)
    words, positions = twin.books.get(account, []), twin.positions.get(account, ())
    cash, call = twin.cash.get(account, 0), protocol.portfolio_lens.call
    _check_told(machine, cash, positions, words, lambda initial: call("explain", account, initial))


def _check_told(machine: Machine, cash: int, positions, words, shown: Callable) -> None:
    twin, now = machine.twin, machine.chain.timestamp
    perps = [(m, q, value_down(q, e, twin.markets[m].quote(now, twin.max_age))) for m, q, e in positions]
    risk = risk_of(twin, now, set(MARKETS))
    told = explanation.explain(cash, perps, words, risk)
    for initial, kind in ((False, told.mm), (True, told.im)):
        seen = shown(initial)
        wanted = (told.margin.equity, kind.amount, kind.floor, kind.error, kind.rho, kind.psi, kind.worst)
        wanted = (*wanted, kind.synchronised, kind.alone)
        machine.need("I-13", tuple(seen[:9]) == wanted, lambda s=seen, w=wanted: (s, w))
        apart = [
            (u.market, u.value, u.loss_im if initial else u.loss_mm, u.worst_im if initial else u.worst_mm)
            for u in told.underlyings
        ]
        parts = [tuple(one) for one in seen.underlyings]
        machine.need("I-13", parts == apart, lambda s=parts, w=apart: (s, w))
        if any(0 <= segment.expiry - now <= WINDOW for segment in unpack(words)):
            continue  # what legs ask for that settle at an average is left as it is, whatever is taken out
        # Where initial margin explains maintenance, it does so without each position as well.
        relief = _reliefs(machine, perps, words, risk, initial or told.mm is told.im)
        most = max([0, *relief.values()])
        named = relief.get((seen.driver, seen.size), 0)
        machine.need("I-13", seen.relief == most == named, lambda s=seen, r=relief: (s, r))


def _reliefs(machine: Machine, perps, words, risk, initial: bool) -> dict[tuple[int, int], int]:
    """(instrument, lots) -> how much less is asked without it."""

    def asked(held, book) -> int:
        found = portfolio.margin(0, held, book, risk)
        return found.initial if initial else found.maintenance

    whole, relief = asked(perps, words), {}
    for perp in perps:
        relief[perp[0], perp[1]] = whole - asked([each for each in perps if each is not perp], words)
    for instrument, lots, part in _parts(machine, words):
        left = whole - asked(perps, merge(words, part, negate=True)[0])
        relief[instrument.id, lots] = max(left, relief.get((instrument.id, lots), left))
    return relief


def _parts(machine: Machine, words):
    """(instrument, lots, its fragment) of every position, whatever its expiry and its strike's code."""
    strikes = machine.twin.options.grid.strike
    for held in unpack(words):
        for name, size in held.lanes:
            strike, put = strikes(held.market, name & MAX_CODE), bool(name & PUT_FLAG)
            instrument = Instrument(held.market, PUT if put else CALL, held.expiry, strike)
            forward, money = (-size * CONTRACT, -size * strike // STRIKE_UNIT) if put else (0, 0)
            part = Segment(held.market, held.expiry, forward, money, [[name, size]])
            yield instrument, size * CONTRACT, part.words()
        if held.futures:
            kind = FUTURE if held.expiry else SPOT
            part = Segment(held.market, held.expiry, held.futures)
            yield Instrument(held.market, kind, held.expiry), held.futures, part.words()
