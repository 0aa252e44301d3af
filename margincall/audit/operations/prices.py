"""Prices: steps inside the envelope, jumps outside it, silence, and reports that must be refused."""

from __future__ import annotations

from collections.abc import Mapping

from margincall.audit.machine import ANY, Action, Machine
from margincall.audit.world import MARKETS
from margincall.chain.keys import key
from margincall.model import Refused
from margincall.model.arithmetic import MAX_PRICE, PPM
from margincall.protocol.orders import Report, feed_payload


def report(
    machine: Machine,
    marks: Mapping[int, int],
    seconds: int,
    premium: int = 0,
    lag: int = 0,
    kind: str = "price",
    refusal: str | None = None,
) -> Action:
    """Publish marks `seconds` after the last block, `lag` seconds old; index = mark less `premium` ppm."""
    world, twin = machine.world, machine.twin
    published = machine.chain.timestamp + seconds - lag
    reports = [Report(m, v, _index(v, premium), published) for m, v in marks.items()]

    def apply(now: int) -> None:
        before = {r.market: twin.markets[r.market].snapshot() for r in reports}
        try:
            for r in reports:
                twin.update(r.market, r.mark, r.index, r.published, now)
        except Refused:
            for market, values in before.items():
                twin.markets[market].restore(values)
            raise

    return Action(
        kind,
        world.chain.accounts[0],
        world.protocol.markets,
        ("update_prices", world.protocol.feed.address, world.payload(reports)),
        apply,
        refusal=refusal,
        seconds=seconds,
        facts={"published": published, "markets": tuple(marks), "marks": dict(marks)},
    )


def _index(mark: int, premium: int) -> int:
    return min(max(mark - mark * premium // PPM, 1), MAX_PRICE) if 0 < mark <= MAX_PRICE else mark


def _moved(machine: Machine, draw, market: int) -> int:
    """The next mark: at most one step, in the direction of the market's trend, which turns at the edges."""
    mark, base = machine.twin.markets[market].mark, machine.setting.marks[market]
    step = machine.twin.markets[market].rules.step
    if draw.chance(6):
        machine.trend[market] = draw.choice((-1, 1))
    if mark > base * 8 // 5:
        machine.trend[market] = -1
    elif mark < base * 5 // 8:
        machine.trend[market] = 1
    size = draw.choice((0, step // 20, step // 2, step * 9 // 10, step))
    move = mark * size // PPM
    return min(max(mark + machine.trend[market] * move, 1), MAX_PRICE)


def _premium(draw) -> int:
    return draw.choice((0, 0, 200, -200, 3_000, -3_000))


def step_inside(machine: Machine, draw) -> Action:
    """One market, at most one step."""
    market = draw.choice(MARKETS)
    seconds = draw.choice((1, 2, 2, 3, 5, 9))
    lag = draw.choice((0, 0, 0, 1)) if seconds > 1 else 0
    return report(machine, {market: _moved(machine, draw, market)}, seconds, _premium(draw), lag)


def step_all(machine: Machine, draw) -> Action:
    marks = {market: _moved(machine, draw, market) for market in MARKETS}
    return report(machine, marks, draw.choice((2, 3, 8)), _premium(draw))


def stride(machine: Machine, draw) -> Action:
    """All markets, at most one step each, after a minute or so: before the oldest price is an outage."""
    marks = {market: _moved(machine, draw, market) for market in MARKETS}
    oldest = min(machine.twin.markets[market].published for market in MARKETS)
    room = oldest + machine.twin.max_age - machine.chain.timestamp
    return report(machine, marks, max(min(draw.choice((20, 55, 80)), room), 1), _premium(draw))


def jump(machine: Machine, draw) -> Action:
    """As far as the time that passed allows: many steps at once, up to a half."""
    market = draw.choice(MARKETS)
    known = machine.twin.markets[market]
    intervals = draw.choice((5, 9, 15, 25, 45))
    seconds = max(known.published + intervals * known.rules.interval - machine.chain.timestamp, 1)
    passed = (machine.chain.timestamp + seconds - known.published) // known.rules.interval
    limit = min(known.rules.step * max(passed, 1), 500_000)
    up = draw.choice((True, False)) if known.mark < machine.setting.marks[market] * 3 else False
    if known.mark < machine.setting.marks[market] // 3:
        up = True
    mark = known.mark + (1 if up else -1) * (known.mark * limit // PPM)
    return report(machine, {market: min(max(mark, 1), MAX_PRICE)}, seconds, _premium(draw), kind="jump")


def silence(machine: Machine, draw) -> Action:
    """Nobody publishes until prices are stale; longer, and the next price begins a grace."""
    seconds = draw.choice((60, 95, 130, 400))
    return (
        report(machine, _marks(machine), seconds, kind="silence")
        if draw.chance(70)
        else _stale(machine, draw)
    )


def _marks(machine: Machine) -> dict[int, int]:
    return {market: machine.twin.markets[market].mark for market in MARKETS}


def again(machine: Machine) -> Action:
    """The same marks, a second later."""
    return report(machine, _marks(machine), 1)


def _stale(machine: Machine, draw) -> Action | None:
    """Let the clock run past the age of every price, then let the others find that out."""
    from margincall.audit.operations import money

    root = draw.choice(machine.world.roots)
    action = money.deposit_of(machine, root, 10**6)
    for _ in range(4):
        machine.queue.append(lambda m, d=draw: _stale_attempt(m, d))
    machine.queue.append(lambda m: report(m, _marks(m), 1, kind="end of silence"))
    return action._replace(seconds=machine.twin.max_age + 30)


def _stale_attempt(machine: Machine, draw) -> Action | None:
    from margincall.audit.operations import money, trades

    return draw.choice((trades.trade, trades.liquidate, money.withdraw, money.move_margin))(machine, draw)


def refused_report(machine: Machine, draw) -> Action:
    """Zero, beyond the largest price, a step too far, old, from the future, twice the same market."""
    market = draw.choice(MARKETS)
    known = machine.twin.markets[market]
    mark = known.mark
    what = draw.choice(("zero", "huge", "step", "old", "future", "not newer", "twice", "forged"))
    if what == "forged":
        action = report(machine, {market: mark}, 1, kind="bad report", refusal="feed: unknown signer")
        reports = [Report(market, mark, mark, machine.chain.timestamp + 1)]
        forged = feed_payload(machine.world.feed_domain, reports, [key("audit", "forger")])
        return action._replace(call=(*action.call[:2], forged))
    if what == "zero":
        return report(machine, {market: 0}, 1, kind="bad report", refusal="feed: zero price")
    if what == "huge":
        return report(machine, {market: MAX_PRICE + 1}, 1, kind="bad report", refusal="feed: price bound")
    if what == "step":
        passed = max((machine.chain.timestamp + 1 - known.published) // known.rules.interval, 1)
        far = mark + mark * min(passed * known.rules.step, 500_000) // PPM + 1
        return report(machine, {market: min(far, MAX_PRICE)}, 1, kind="bad report")
    if what == "old":
        return report(machine, {market: mark}, 1, lag=241, kind="bad report")
    if what == "future":
        return report(
            machine, {market: mark}, 1, lag=-1, kind="bad report", refusal="feed: published in future"
        )
    if what == "not newer":
        lag = machine.chain.timestamp + 1 - known.published
        return report(machine, {market: mark}, 1, lag=lag, kind="bad report")
    world = machine.world
    twice = [Report(market, mark, mark, machine.chain.timestamp + 1)] * 2
    call = ("update_prices", world.protocol.feed.address, world.payload(twice))
    return Action(
        "bad report",
        world.chain.accounts[0],
        world.protocol.markets,
        call,
        refusal="feed: duplicate market" if known.published else ANY,
    )
