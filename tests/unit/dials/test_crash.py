"""The dials on the candles of 9-12 October 2025, poked at every close.

The default scales are what these figures, and the same of other days, led to. Largest common move and
largest distance from the mean, against references with a time constant of an hour, five-minute closes:

    day                        common move   from the mean
    2025-10-09 (calm)              0.014          0.009
    2024-08-03 (calm)              0.019          0.011
    2024-08-05                     0.082          0.044
    2022-11-08/09                  0.107          0.105
    2021-05-19 (minutes)           0.231          0.105
    2025-10-10                     0.187          0.127

With 0.08 for both scales the crashes of 2021, 2022 and 2025 take rho to 1 and psi to 0 (poked every
quarter of an hour, too; poked hourly, 2025 reaches 0.89 and 0.48, because its lowest prices lie between
two pokes), and a calm day's averages are rho 0.762 and psi 0.777 against 0.75 and 0.8 at rest.
With 0.06 a calm day's psi averages 0.767; with 0.10 the crash of 2021, poked every quarter of an hour,
leaves psi at 0.14.
"""

from functools import cache

import pytest

from margincall.data import CANDLES
from margincall.model.dials import DEFAULT, ONE, Dials, Reading
from margincall.protocol.config import DEFAULT as SPEC
from margincall.replay import candles
from tests.unit.dials.board import Board, board

DAY = 86_400
OCTOBER_9 = 1_759_968_000
CRASH = OCTOBER_9 + DAY + 21 * 3_600 + 10 * 60  # 10 October, 21:10


@cache
def shown(every: int = 1) -> dict[int, Reading]:
    """Time -> the dials, poked at every `every`-th close."""
    history = candles.read(CANDLES, SPEC)
    dials, found = Dials(), {}
    for place, market in enumerate(history.markets):
        dials.track(place, market.id)
    for i, time in enumerate(history.times):
        if i % every == 0:
            dials.poke(time, {market.id: history.candles[market.id][i].close for market in history.markets})
        found[time] = dials.read(time)
    return found


def average(readings: list[Reading], dial: int) -> float:
    return sum(reading[dial] for reading in readings) / len(readings) / ONE


def test_a_calm_day_stays_near_the_calm_values():
    """9 October: rho 0.762 and psi 0.777 on average, at most 0.795 and at least 0.713."""
    day = [reading for time, reading in shown().items() if time < OCTOBER_9 + DAY]
    assert average(day, 0) == pytest.approx(0.762, abs=0.001)
    assert average(day, 1) == pytest.approx(0.777, abs=0.001)
    assert max(reading.rho_im for reading in day) / ONE == pytest.approx(0.795, abs=0.001)
    assert min(reading.psi_im for reading in day) / ONE == pytest.approx(0.713, abs=0.001)


@pytest.mark.parametrize("every", [1, 3])
def test_the_crash_takes_rho_to_one_and_psi_to_zero(every):
    readings = shown(every)
    assert max(reading.rho_im for reading in readings.values()) == ONE
    assert min(reading.psi_im for reading in readings.values()) == 0
    assert readings[CRASH - 3_600].rho_im < 0.81 * ONE  # an hour earlier: hardly anything
    assert readings[CRASH + 300][:2] == (ONE, 0)  # at 21:15


def test_maintenance_follows_over_hours():
    """It meets IM after five hours (psi) at 0.14 and at rho 0.97, and is never the stricter one."""
    readings = shown()
    assert max(reading.rho_mm for reading in readings.values()) / ONE == pytest.approx(0.969, abs=0.001)
    assert min(reading.psi_mm for reading in readings.values()) / ONE == pytest.approx(0.139, abs=0.001)
    for before, after in zip(list(readings.values()), list(readings.values())[1:], strict=False):
        assert after.rho_mm <= after.rho_im
        assert after.psi_mm >= after.psi_im
        assert after.rho_mm - before.rho_mm <= 300 * 388 / 256 + 1
        assert before.psi_mm - after.psi_mm <= 300 * 388 / 256 + 1


def test_a_day_later_they_are_back():
    end = list(shown().values())[-1]
    assert end.rho_im / ONE == pytest.approx(DEFAULT.rho / ONE, abs=0.02)
    assert end.psi_im / ONE == pytest.approx(DEFAULT.psi / ONE, abs=0.06)


def test_the_contract_shows_the_same_through_the_crash():
    """From six hours before to six hours after, bit by bit."""
    history = candles.read(CANDLES, SPEC).cut(CRASH - 6 * 3_600, CRASH + 6 * 3_600, None)
    first = {market: rows[0].open for market, rows in history.candles.items()}
    with board() as b:
        approach(b, first)
        b.track(*first)
        shift = b.now + 300 - history.times[0]
        readings = []
        for i, time in enumerate(history.times):
            b.report({market: rows[i].close for market, rows in history.candles.items()}, time + shift)
            readings.append(b.poke())
        assert (ONE, 0) in [reading[:2] for reading in readings]


def approach(b: Board, prices: dict[int, int]) -> None:
    """From the board's first prices to others, by halves: what one report may move."""
    for market, price in prices.items():
        mark = b.prices[market][0]
        while mark != price:
            mark = min(max(price, mark // 2 + 1), mark * 3 // 2)
            b.report({market: mark}, b.now + 50)
