"""Volatility, value curves, stress dials, and the way of a series through its expiry."""

from __future__ import annotations

from margincall.audit.machine import Action, Machine
from margincall.audit.operations import admin, prices
from margincall.audit.world import MARKETS
from margincall.model import Refused
from margincall.model.arithmetic import NOTIONAL_SCALE
from margincall.model.book import unpack
from margincall.model.dials import ONE
from margincall.model.instrument import CALL, CONTRACT, PUT, WINDOW, Instrument
from margincall.model.surface import VolReport

REFRESH, VOLS = "refresh", "vols"
BOUNDS = ((28_000, 20_000), (24_576, 26_214), (ONE, 0), (ONE + 1, 0), (0, 10_000), (30_000, 30_000))
"""Of rho and psi, as a guardian might set them; 32768 is 1, the calm dials 24576 and 26214."""


def vols(machine: Machine, draw) -> Action:
    """New smiles for every live expiry: one level per market, small skews; now and then a bad one."""
    world = machine.world
    seconds = draw.choice((1, 2, 3))
    at = machine.chain.timestamp + seconds
    reports = []
    for market in MARKETS:
        level = world.series.level[market] * draw.choice((950, 990, 1_000, 1_010, 1_060)) // 1_000
        level = min(max(level, 250_000), 1_500_000)
        skew, curvature = draw.integer(-100_000, 100_000), draw.integer(0, 150_000)
        for expiry in world.series.live(at):
            reports.append(VolReport(market, expiry, level, skew, curvature, at))
    if draw.chance(6):
        i = draw.integer(0, len(reports) - 1)
        bad = draw.choice(({"atm": 3_900_000}, {"skew": 9_000_000}, {"published": at + 1}, {"curvature": -1}))
        if "curvature" in bad:
            bad = {"expiry": reports[i].expiry + 1}
        reports[i] = reports[i]._replace(**bad)
    return vols_of(machine, reports, seconds)


def level(machine: Machine, draw) -> Action:
    """A level a hundredth away at most, without skew."""
    series = machine.world.series
    for market, known in series.level.items():
        series.level[market] = min(max(known * draw.choice((990, 1_000, 1_010)) // 1_000, 250_000), 1_500_000)
    return same_vols(machine)


def vols_of(machine: Machine, reports: list[VolReport], seconds: int) -> Action:
    """Publish smiles `seconds` after the last block."""
    world, twin = machine.world, machine.twin
    feed = world.protocol.feed.address

    def done(now: int) -> None:
        for report in reports:
            world.series.level[report.market] = report.atm

    return Action(
        VOLS,
        world.chain.accounts[0],
        world.protocol.surface,
        ("update_vols", feed, world.series.payload(reports)),
        lambda now: twin.options.surface.update(feed, reports, now),
        seconds=seconds,
        done=done,
    )


def same_vols(machine: Machine) -> Action:
    """The last levels again, flat: nothing moves but the time."""
    at, series = machine.chain.timestamp + 1, machine.world.series
    reports = [VolReport(m, e, series.level[m], 0, 0, at) for m in MARKETS for e in series.live(at)]
    return vols_of(machine, reports, 1)


def refresh_of(machine: Machine, market: int, expiry: int) -> Action:
    """Value one expiry anew."""
    world, twin = machine.world, machine.twin

    def done(now: int) -> None:
        world.series.made[market, expiry] = twin.options.surface.vol(market, expiry, now), now

    return Action(
        REFRESH,
        world.chain.accounts[0],
        world.protocol.portfolio,
        ("refresh", market, expiry),
        lambda now: twin.options.refresh(market, expiry, now),
        done=done,
    )


def stale(machine: Machine, ahead: int = 30) -> list[tuple[int, int]]:
    """Live series whose curve is not usable `ahead` seconds from now."""
    now, curves = machine.chain.timestamp + 1, machine.twin.options.curves
    return [
        (market, expiry)
        for expiry in machine.world.series.live(now)
        for market in MARKETS
        if (market, expiry) not in curves or curves[market, expiry].valid_until < min(now + ahead, expiry)
    ]


def upkeep(machine: Machine, draw) -> Action | None:
    """Refresh what is stale, with new volatility where that is stale as well; else any curve."""
    found = stale(machine)
    if not found:
        series = machine.world.series.live(machine.chain.timestamp + 1)
        return refresh_of(machine, draw.choice(MARKETS), draw.choice(series))
    if draw.chance(15):
        return refresh_of(machine, *draw.choice(found))
    return _all_fresh(machine)


def _all_fresh(machine: Machine, ahead: int = 30) -> Action | None:
    now, found = machine.chain.timestamp + 1, stale(machine, ahead)
    for series in found:
        machine.queue.append(lambda m, s=series: refresh_of(m, *s) if s[1] > m.chain.timestamp + 1 else None)
    try:
        for market, expiry in found:
            machine.twin.options.surface.vol(market, expiry, now + len(found))
    except Refused:
        return same_vols(machine)
    return machine.queue.popleft()(machine) if found else None


def keep(machine: Machine) -> Action | None:
    """What options need before prices move on: expired series settled, curves that last."""
    series = machine.world.series
    for market, expiry in due(machine):
        if series.settlement(market, expiry) or machine.twin.markets[market].published >= expiry:
            return settle_of(machine, list(machine.world.roots), market, expiry)
        return prices.again(machine)
    return _all_fresh(machine, 100) if stale(machine, 100) else None


def press(machine: Machine, draw) -> Action | None:
    """A common move while curves are fresh, then liquidations: partial ones, and some that come too late."""
    if stale(machine):
        return _all_fresh(machine)
    seconds, up = draw.choice((8, 16, 16, 30, 70)), draw.chance(50)
    marks = {}
    for market, known in machine.twin.markets.items():
        base = machine.setting.marks[market]
        rises = known.mark < base if abs(known.mark - base) * 5 > base * 2 else up
        passed = (machine.chain.timestamp + seconds - known.published) // known.rules.interval
        move = known.mark * min(known.rules.step * max(passed, 1), 350_000) // 10**6
        marks[market] = known.mark + (move if rises else -move)
    for _ in range(5):
        machine.queue.append(lambda m: _pressed(m, draw) if m.unhealthy() else None)
    return prices.report(machine, marks, seconds, kind="jump")


def _pressed(machine: Machine, draw) -> Action | None:
    """Liquidate somebody, or bring him to an edge before."""
    from margincall.audit.operations import boundary, trades

    acts = (trades.liquidate, trades.liquidate, boundary.to_the_unit, boundary.to_the_brink)
    return draw.choice(acts)(machine, draw)


def poke(machine: Machine, draw) -> Action:
    world, twin = machine.world, machine.twin

    def apply(now: int) -> None:
        marks = {}
        for market, known in twin.markets.items():
            try:
                marks[market] = known.quote(now, twin.max_age)[0]
            except Refused:
                continue
        twin.options.dials.poke(now, marks)

    return Action("poke", world.chain.accounts[0], world.protocol.portfolio, ("poke",), apply)


def tighten(machine: Machine, draw) -> Action:
    """The guardian's bounds, sometimes out of them or by somebody else; the owner lifts them again."""
    world, twin = machine.world, machine.twin
    rho, psi = draw.choice(BOUNDS)
    sender = world.guardian if draw.chance(90) else draw.choice(world.actors).address
    if twin.options.dials.bounds != (0, ONE) and draw.chance(70):
        return _relax(machine)

    def done(now: int) -> None:
        machine.counts["dials tightened"] += 1

    return Action(
        "tighten",
        sender,
        world.protocol.portfolio,
        ("tighten", rho, psi),
        lambda now: twin.options.dials.tighten(now, rho, psi),
        refusal=None if sender == world.guardian else "dials: not guardian",
        done=done,
    )


def _relax(machine: Machine) -> Action:
    def apply() -> None:
        machine.twin.options.dials.relax(machine.chain.timestamp + 1)

    return admin.announce(machine, machine.protocol.portfolio, ("relax",), apply, "relax")


# ------------------------------------------------------------ expiry


def observe(machine: Machine, draw) -> Action:
    """Show a market's last price to the average of an expiry."""
    now, series = machine.chain.timestamp, machine.world.series
    near = [e for e in series.expiries if abs(e - now) < 2 * WINDOW] or series.expiries[:1]
    expiry = draw.choice((0, draw.choice(near), draw.choice(near)))
    if draw.chance(3):
        expiry += 1
    return observe_of(machine, draw.choice(MARKETS), expiry)


def observe_of(machine: Machine, market: int, expiry: int) -> Action:
    world, twin, known = machine.world, machine.twin, machine.twin.markets[market]
    call = ("observe", market, expiry) if expiry else ("observe", market)

    def apply(now: int) -> None:
        if expiry:
            world.series.expiry.track(market, expiry)  # refuses what is none
        world.series.expiry.observe(market, known.mark, known.published, twin.max_age, expiry)

    return Action("observe", world.chain.accounts[0], world.protocol.expiry, call, apply)


def due(machine: Machine) -> list[tuple[int, int]]:
    """Expired series that somebody still holds."""
    now = machine.chain.timestamp
    return sorted(
        {
            segment.key
            for words in machine.twin.books.values()
            for segment in unpack(words)
            if 0 < segment.expiry <= now
        }
    )


def settle(machine: Machine, draw) -> Action | None:
    """An expired series of some or all accounts, in any order; too early too."""
    series = due(machine)
    if not series and draw.chance(70):
        return None
    expiries = machine.world.series.expiries
    market, expiry = draw.choice(series) if series else (draw.choice(MARKETS), draw.choice(expiries))
    ids = list(machine.world.roots)
    start = draw.integer(0, len(ids) - 1)
    ids = (ids[start:] + ids[:start])[:: draw.choice((1, -1))]
    if draw.chance(40):
        ids = ids[: draw.integer(1, len(ids))]
    if draw.chance(10):
        ids.append(ids[0])
    return settle_of(machine, ids, market, expiry)


def settle_of(machine: Machine, ids: list[int], market: int, expiry: int) -> Action:
    """Pay an expired series of these accounts."""
    world, twin = machine.world, machine.twin
    clerk, known = world.series.expiry, twin.markets[market]

    def apply(now: int) -> list[tuple[int, int]]:
        before = dict(clerk.tracks)
        if not clerk.settlement(market, expiry):
            clerk.observe(market, known.mark, known.published, twin.max_age, expiry)
        try:
            return clerk.settle(twin, ids, market, expiry)
        except Refused:
            clerk.tracks = before
            raise

    return Action(
        "settle",
        world.chain.accounts[0],
        world.protocol.expiry,
        ("settle", ids, market, expiry),
        apply,
        frozenset(ids),
        facts={"series": (market, expiry), "ids": ids},
    )


def to_expiry(machine: Machine, draw) -> Action | None:
    """Through the next expiry: prices for its average, acts at its last second, settlement then or late."""
    queue, series = machine.queue, machine.world.series
    now = machine.chain.timestamp
    expiry = series.live(now)[0]
    stops = [expiry - WINDOW + draw.choice((-60, 5)), expiry - draw.integer(300, 1_500), expiry - 40]
    crash = draw.chance(60)
    for _ in range(4 if crash else 0):
        queue.append(lambda m: _all_in(m, draw, expiry))
    for i, stop in enumerate(stop for stop in stops if stop > now + 1):
        far = 450_000 if crash and i == 0 else 0
        queue.append(lambda m, at=stop, far=far: _prices_at(m, draw, at, far))
        for _ in range(draw.integer(1, 3)):
            queue.append(lambda m: observe(m, draw))
        queue.append(lambda m: _all_fresh(m))
        for _ in range(0 if crash else 4):
            queue.append(lambda m: _ordinary(m, draw))
    queue.append(lambda m: _last_second(m, draw, expiry))
    queue.append(lambda m: _prices_at(m, draw, expiry + draw.choice((0, 3, 45))))
    for market in MARKETS:
        queue.append(lambda m, market=market: observe_of(m, market, draw.choice((0, expiry))))
    if crash or draw.chance(60):
        for _ in range(5):
            queue.append(lambda m: settle(m, draw))
    else:
        queue.append(lambda m: _prices_at(m, draw, m.chain.timestamp + draw.choice((30, 4_000))))
    queue.append(lambda m: same_vols(m))
    queue.append(lambda m: _all_fresh(m))
    return queue.popleft()(machine)


def _prices_at(machine: Machine, draw, at: int, far: int = 0) -> Action | None:
    """All prices at a time, moved a little, or far (ppm, as far as the time that passed allows)."""
    seconds = at - machine.chain.timestamp
    if seconds < 1:
        return None
    marks = {}
    for market, known in machine.twin.markets.items():
        passed = max((at - known.published) // known.rules.interval, 1)
        limit = min(known.rules.step * passed, far or draw.choice((5_000, 30_000, 150_000)))
        base = machine.setting.marks[market]
        up = known.mark < base if abs(known.mark - base) * 3 > base else draw.chance(50)
        move = known.mark * draw.integer(limit * 3 // 4 if far else 0, limit) // 10**6
        marks[market] = known.mark + (move if up else -move)
    return prices.report(machine, marks, seconds, kind="silence")


def _all_in(machine: Machine, draw, expiry: int) -> Action | None:
    """An account that holds nothing sells options of the next expiry for some times its cash."""
    from margincall.audit.operations import options

    twin, roots = machine.twin, machine.world.roots
    flat = [r for r in roots[1:] if twin.is_flat(r) and 100 * 10**6 < twin.cash.get(r, 0) < 40_000 * 10**6]
    if not flat:
        return None
    account, market = draw.choice(flat), draw.choice(MARKETS)
    mark, step = twin.markets[market].mark, twin.options.grid.steps[market]
    instrument = Instrument(market, draw.choice((CALL, PUT)), expiry, max(round(mark / step), 1) * step)
    value = twin.cash[account] * draw.choice((3, 4, 5))
    lots = max(value * NOTIONAL_SCALE // mark // CONTRACT, 1) * CONTRACT
    price = options.fair(machine, instrument, machine.chain.timestamp + 1)
    return options.orders(machine, instrument.id, roots[0], account, -lots, price)


def _last_second(machine: Machine, draw, expiry: int) -> Action | None:
    """Something at the second of expiry itself."""
    from margincall.audit.operations import options

    seconds = expiry - machine.chain.timestamp
    action = draw.choice((options.trade, options.reduce, poke))(machine, draw) if seconds > 0 else None
    return action and action._replace(seconds=seconds)


def _ordinary(machine: Machine, draw) -> Action | None:
    from margincall.audit.operations import options, trades

    acts = (options.trade, options.trade, options.reduce, trades.liquidate, options.switch_mode)
    return draw.choice(acts)(machine, draw)
