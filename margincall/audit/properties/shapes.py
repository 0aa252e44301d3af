"""I-14 of books that nobody holds, each made so that one scenario, one rate or the second of expiry decides.
Both rules judge them, and the model does."""

from __future__ import annotations

from itertools import product

from margincall.audit.draw import RandomDraw
from margincall.audit.machine import Machine
from margincall.audit.properties import asking, drawn, probe
from margincall.audit.properties.asking import answer
from margincall.audit.properties.views import check_explanation
from margincall.audit.world import MARKETS
from margincall.model import accounts
from margincall.model.book import PUT_FLAG, Segment, pack
from margincall.model.instrument import CONTRACT, DAY, HOUR_OF_EXPIRY, MAX_CODE, log_code

STEPS = (-8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8)
"""Moves of the scenarios, in steps of 5 %."""
STEP = 2**16
"""Log codes of a step: two of them are portfolio.FADE."""


def moved(machine: Machine) -> None:
    """Butterflies sold and bought and straddles bought, whose worst is any one of the moves, the unmoved
    among them: of one underlying, and of two and three that move together."""
    now, many, series = machine.chain.timestamp, 10**7, machine.world.series
    for markets, expiry in product(((1,), (2,), (3,), (1, 2), MARKETS), series.live(now + 1)[-2:]):
        if any(isinstance(answer(machine.twin.options.usable, m, expiry, now), str) for m in markets):
            continue
        spots = {market: log_code(machine.twin.markets[market].mark) for market in markets}
        for steps, sign in product(STEPS, (1, -1)):
            wings = [((steps + i) * STEP, (2 if i == 0 else -1) * sign * many) for i in (-1, 0, 1)]
            _shape(
                machine,
                [
                    Segment(market, expiry, lanes=[[spot + away, size] for away, size in wings])
                    for market, spot in spots.items()
                ],
            )
        _shape(
            machine,
            [
                Segment(market, expiry, -many * CONTRACT, 0, [[spot, 2 * many]])
                for market, spot in spots.items()
            ],
        )


def late(machine: Machine) -> None:
    """A series that has expired and is not settled: a future, options, both, spot beside them."""
    gone = (machine.chain.timestamp - HOUR_OF_EXPIRY) // DAY * DAY + HOUR_OF_EXPIRY
    code = log_code(machine.twin.markets[1].mark)
    for forward, lanes in ((CONTRACT, []), (0, [[code, 1]]), (-CONTRACT, [[code, 1]])):
        late = Segment(1, gone, forward, lanes=lanes)
        for segments in ([late], [Segment(1, 0, CONTRACT), late]):
            for mode in (accounts.PORTFOLIO, accounts.CROSS):
                drawn.judged(machine, mode, 10**12, (), pack(segments))


def odd_rates(machine: Machine, own: RandomDraw) -> None:
    """Options sold in numbers of which the last digit of each rate tells."""
    standard, known = machine.protocol.standard, machine.twin.options.standard
    for market in MARKETS:
        known[market] = known[market]._replace(
            **{name: rate | 1 for name, rate in known[market]._asdict().items()}
        )
        asking.by_owner(machine, (standard, ("set_terms", market, tuple(known[market]))))
    probe.quiet_prices(machine)
    for market, expiry in product(MARKETS, machine.world.series.live(machine.chain.timestamp + 1)):
        if isinstance(answer(machine.twin.options.usable, market, expiry, machine.chain.timestamp), str):
            continue
        code = log_code(machine.twin.markets[market].mark)
        for far, flag in product((-400_000, 0, 20_000, 400_000), (0, PUT_FLAG)):
            words = pack([Segment(market, expiry, lanes=[[(code + far) | flag, -own.integer(10**7, 10**8)]])])
            drawn.judged(machine, accounts.CROSS, 0, (), words)


def _shape(machine: Machine, segments: list[Segment]) -> None:
    if any(not 0 < code <= MAX_CODE for segment in segments for code, _ in segment.lanes):
        return
    words = pack(segments)
    for mode in (accounts.PORTFOLIO, accounts.CROSS):
        drawn.judged(machine, mode, 0, (), words)
    check_explanation(machine, 0, (), words)
