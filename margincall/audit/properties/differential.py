"""I-14 where short histories do not lead: curves of any smile and time, smiles at the edge of what is
refused, every setter at its bounds. Contracts and model must say the same.

Run on mutants often; in ordinary runs seldom: the unit tests and fuzz tests of the repository say the same of
the contracts themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, isqrt, log

from margincall.audit.machine import Machine
from margincall.audit.operations import expiries
from margincall.audit.properties import asking, optionsetters, probe, setters
from margincall.audit.world import MARKETS
from margincall.chain.base import Reverted
from margincall.model import Refused
from margincall.model.curves import Vol, refresh
from margincall.model.instrument import DAY
from margincall.model.surface import (
    MAX_ATM,
    MAX_CURVATURE,
    MAX_EXPIRIES,
    MAX_SKEW,
    MAX_TERM,
    MIN_ATM,
    YEAR,
    VolReport,
    check_smile,
)
from margincall.protocol.vols import vol_rules_tuple

NOT_OWNER = "ownable: caller is not the owner"


def between(draw, low: int, high: int) -> int:
    """Of all orders of magnitude alike; now and then an end, or one beyond it."""
    if draw.chance(15):
        return draw.choice((low, high, low - 1, high + 1))
    return round(exp(log(low) + draw.integer(0, 10**6) / 10**6 * log(high / low)))


def _signed(draw, size: int) -> int:
    return draw.choice((0, 1, -1)) * size


def _smile(draw, wild: bool) -> Vol:
    """A smile as markets have it, or any that is or is not allowed."""
    if wild:
        return Vol(
            between(draw, 10_000, 10**8),
            _signed(draw, between(draw, 10_000, 10**7)),
            draw.choice((0, between(draw, 10_000, 10**8))),
        )
    return Vol(
        between(draw, 150_000, 3_000_000),
        _signed(draw, between(draw, 10_000, 1_500_000)),
        draw.choice((0, between(draw, 10_000, 20_000_000))),
    )


def _kinked(draw, term: int) -> Vol:
    """A smile that meets an end of its clamp about where options are worth something, of any deviation."""
    deviation = between(draw, 3_000, 3_300_000)
    atm = min(max(isqrt(deviation**2 * YEAR // term), 10_000), 10**8)
    skew = draw.choice((1, -1)) * draw.integer(300_000, 1_900_000)
    return Vol(atm, skew, draw.choice((0, draw.integer(0, 3_000_000))))


def i_14_pricing(machine: Machine, draw) -> None:
    """curve(smile, time) on chain == the model's: 36 words and the bound of their error, or one refusal"""
    pricing = machine.protocol.contracts["Pricing"]
    for _ in range(8):
        term, window = between(draw, 60, 400 * DAY), draw.choice((60, 900, 3_600, 14_400))
        vol = _smile(draw, draw.chance(35)) if draw.chance(60) else _kinked(draw, term)
        left = term - min(window, term)
        try:
            curve = refresh(vol, term, 0, window)
            wanted = curve.blob.hex(), curve.err
        except Refused as refused:
            wanted = refused.reason, 0
        except (ArithmeticError, ValueError):  # beyond what the contract's types can hold
            continue
        try:
            words, err = pricing.call("sheet", vol.atm, vol.skew, vol.curvature, term, left)
            seen = b"".join(word.to_bytes(32, "big") for word in words).hex(), err
        except Reverted as error:
            seen = error.reason, 0
        machine.need("I-14", seen == wanted, lambda v=vol, t=term, w=window: (v, t, w))
    machine.counts["curves of any smile"] += 1


def i_14_smiles(machine: Machine, draw) -> None:
    """a smile is stored iff the model stores it, and refused for the same reason

    Shapes on both sides of the bound by one unit, calendars that are level or just fall, levels one step
    away, off the grid, late, too many.
    """
    with probe.undone(machine, "I-14"):
        for make in (_edge_of_calendar, _edge_of_step, _odd_report, _as_many):
            reports, seconds = make(machine, draw)
            machine.do(expiries.vols_of(machine, reports, seconds))
        _check_tracked(machine)
    with probe.undone(machine, "I-14"):
        check_shapes(machine, draw, _edge_of_shape, 10)


def check_shapes(machine: Machine, draw, make: Callable, times: int) -> None:
    """Of a market whose bounds are as wide as they may be: what a report would do, none is stored.
    `make(machine, draw, market)` makes one."""
    protocol, surface, market = machine.protocol, machine.twin.options.surface, draw.choice(MARKETS)
    rules = surface.rules[market]._replace(lower=MIN_ATM, upper=MAX_ATM)
    asking.by_owner(machine, (protocol.surface, ("set_rules", market, vol_rules_tuple(rules))))
    surface.set_rules(market, rules)
    feed = protocol.feed.address
    for _ in range(times):
        report = make(machine, draw, market)
        at, kept = report.published, surface.snapshot()
        wanted = asking.reason_of(surface.update, feed, [report], at)
        surface.restore(kept)
        try:
            protocol.surface.call("update_vols", feed, machine.world.series.payload([report]), at=at)
            seen = ""
        except Reverted as error:
            seen = error.reason
        machine.need("I-14", seen == wanted, lambda r=report, s=seen, w=wanted: (r, s, w))


def _live(machine: Machine, draw) -> tuple[int, list[int], int]:
    """A market, its expiries, and a time at which any step of the level is allowed."""
    at = machine.chain.timestamp + 200
    return draw.choice(MARKETS), machine.world.series.live(at + 1), at


def _edge_of_shape(machine: Machine, draw, market: int) -> VolReport:
    """The steepest skew or the largest curvature that passes beside the other, or one more; or anything. Of
    an expiry that trades, or of one far away whose level may be anything."""
    at = machine.chain.timestamp + 200
    series, atm = machine.world.series.live(at + 1), machine.world.series.level[market]
    expiry = draw.choice(series)
    if draw.chance(80):
        expiry = series[0] + draw.choice((20, 90, draw.integer(5, 390))) * DAY
        atm = min(max(between(draw, 200_000, MAX_ATM), 200_000), MAX_ATM)
    remaining, how, more = expiry - at, draw.integer(0, 6), draw.choice((0, 1))
    if how == 0:  # as high as curves are valued
        root = isqrt((remaining << 128) // YEAR)
        atm = (10 * 2**64 // 3 * 10**7 - 1) // (13 * root) + more
        return VolReport(market, expiry, min(atm, MAX_ATM), 0, 0, at)
    if how == 1:
        smile = _smile(draw, draw.chance(50))
        return VolReport(market, expiry, atm, smile.skew, smile.curvature, at)
    widest = _most(lambda x: check_smile(atm, 0, x, remaining), MAX_CURVATURE)
    curvature, side = draw.choice((0, draw.integer(0, widest))), draw.choice((1, -1))
    skew = side * _most(lambda x: check_smile(atm, side * x, curvature, remaining), MAX_SKEW)
    if how < 5:
        return VolReport(market, expiry, atm, skew + side * more, curvature, at)
    skew = skew * draw.integer(0, 100) // 100
    curvature = _most(lambda x: check_smile(atm, skew, x, remaining), MAX_CURVATURE) + more
    return VolReport(market, expiry, atm, skew, curvature, at)


def level_edge(machine: Machine, draw, market: int) -> VolReport:
    """Any smile, at the highest level that passes or one more; or one of those whose skew is at its edge."""
    if draw.chance(40):
        return _edge_of_shape(machine, draw, market)
    at = machine.chain.timestamp + 200
    expiry = machine.world.series.live(at + 1)[0] + draw.choice((0, 1, draw.integer(2, 390))) * DAY
    if draw.chance(10):
        skew, curvature = draw.choice((1, -1)) * (MAX_SKEW + draw.choice((0, 1))), MAX_CURVATURE
        return VolReport(market, expiry, 500_000, skew, curvature + draw.choice((0, 1)), at)
    skew, curvature = draw.integer(-2_500_000, 2_500_000), draw.choice((0, between(draw, 10_000, 4_000_000)))
    atm = _most(lambda level: check_smile(level, skew, curvature, expiry - at), MAX_ATM) + draw.choice((0, 1))
    return VolReport(market, expiry, max(atm, 1), skew, curvature, at)


def _most(check, high: int) -> int:
    """Some number that passes a check while the next does not: the most up to `high` where there is one."""
    low, high = 0, high + 1
    while high - low > 1:
        middle = (low + high) // 2
        if asking.reason_of(check, middle):
            high = middle
        else:
            low = middle
    return low


def _edge_of_calendar(machine: Machine, draw) -> tuple[list[VolReport], int]:
    """Two neighbours of one total variance, give or take the last unit."""
    market, series, at = _live(machine, draw)
    i = draw.integer(0, len(series) - 2)
    near, far = series[i], series[i + 1]
    atm = machine.world.series.level[market]
    other = isqrt(atm**2 * (near - at) // (far - at)) + draw.choice((-1, 0, 1, 2))
    reports = [VolReport(market, near, atm, 0, 0, at), VolReport(market, far, other, 0, 0, at)]
    return reports[:: draw.choice((1, -1))], 200


def _edge_of_step(machine: Machine, draw) -> tuple[list[VolReport], int]:
    market, series, _ = _live(machine, draw)
    expiry, seconds = series[-1], draw.choice((1, 7, 29, 30, 31, 90))
    at = machine.chain.timestamp + seconds
    smile = machine.twin.options.surface.smiles.get((market, expiry))
    if smile is None:
        return [VolReport(market, expiry, machine.world.series.level[market], 0, 0, at)], seconds
    rules = machine.twin.options.surface.rules[market]
    limit = min(rules.step * max(at - smile.published, 0) // rules.interval, 500_000)
    atm = smile.atm + draw.choice((1, -1)) * (smile.atm * limit // 10**6 + draw.choice((0, 0, 1)))
    return [VolReport(market, expiry, atm, 0, 0, at)], seconds


def _odd_report(machine: Machine, draw) -> tuple[list[VolReport], int]:
    """Late, early, too far, off the grid, out of the market's bounds."""
    market, series, at = _live(machine, draw)
    level, last = machine.world.series.level[market], series[-1]
    report = VolReport(market, last, level, 0, 0, at)
    whole = (at + MAX_TERM - last) // DAY * DAY
    changes = (
        {"published": at - 240},
        {"published": at - 241},
        {"published": at + 1},
        {"expiry": last + 1},
        {"expiry": last + whole},
        {"expiry": last + whole + DAY},
        {"expiry": series[0] - DAY},
        {"atm": machine.twin.options.surface.rules[market].lower - 1},
        {"atm": machine.twin.options.surface.rules[market].upper + 1},
        {"skew": 10_000_001},
        {"curvature": 100_000_001},
        {"market": 9},
    )
    return [report._replace(**draw.choice(changes))], 200


def _as_many(machine: Machine, draw) -> tuple[list[VolReport], int]:
    """So many new expiries that as many are tracked as may be, or one more."""
    market, series, at = _live(machine, draw)
    tracked = [e for e in machine.twin.options.surface.expiries.get(market, ()) if e > at]
    level, last = machine.world.series.level[market], max([*tracked, *series])
    more = MAX_EXPIRIES - len(tracked) + draw.choice((0, 0, 1))
    days = range(1, min(more, 14) + 1)
    return [VolReport(market, last + i * DAY, level, 0, 0, at) for i in days], 200


def _check_tracked(machine: Machine) -> None:
    surface, now = machine.protocol.surface, machine.chain.timestamp
    for market in MARKETS:
        tracked = machine.twin.options.surface.expiries.get(market, ())
        word = sum(expiry // DAY << 16 * i for i, expiry in enumerate(tracked))
        machine.need("I-14", surface.call("expiries", market) == word, lambda m=market: m)
        age = machine.twin.options.surface.rules[market].max_age
        for expiry in tracked:
            smile = machine.twin.options.surface.smiles[market, expiry]
            for at in (now, smile.published + age, smile.published + age + 1, expiry):
                if at >= now:
                    _check_smile(machine, market, expiry, at)


def _check_smile(machine: Machine, market: int, expiry: int, at: int) -> None:
    wanted = asking.answer(machine.twin.options.surface.vol, market, expiry, at)
    seen = asking.answer(machine.protocol.surface.call, "vol", market, expiry, at=at)
    seen, wanted = (x if isinstance(x, str) else tuple(x) for x in (seen, wanted))
    machine.need("I-14", seen == wanted, lambda: (market, expiry, at, seen, wanted))


def i_14_setters(machine: Machine, draw) -> None:
    """a setter takes what its documentation allows, to the last unit, and refuses the rest by name"""
    with probe.undone(machine, "I-14"):
        asked = list(setters.of_perps(machine, draw))
        if machine.setting.options:
            asked += optionsetters.of_options(machine, draw)
        strangers = [one._replace(sender=machine.world.actors[1].address) for one in asked if not one.sender]
        asked += [draw.choice(strangers)._replace(refused=NOT_OWNER, view=()) for _ in range(6)]
        asking.ask(machine, asked)
