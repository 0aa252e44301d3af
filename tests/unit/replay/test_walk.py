"""The way through a candle: both extremes are visited, no update is longer than a price step."""

from hypothesis import given
from hypothesis import strategies as st

from margincall.model.arithmetic import PPM
from margincall.protocol.config import DEFAULT
from margincall.replay.candles import Candle
from margincall.replay.walk import seconds_to_jump, steps, waypoints

MARKETS = {market.id: market for market in DEFAULT.markets}
PRICES = st.integers(10**6, 10**12 - 1)


def test_the_nearer_extreme_comes_first():
    assert waypoints(Candle(0, 100, 110, 95, 105)) == (100, 95, 110, 105)
    assert waypoints(Candle(0, 100, 104, 90, 95)) == (100, 104, 90, 95)


@given(starts=st.tuples(PRICES, PRICES, PRICES), moves=st.tuples(*[st.floats(0.5, 2.0)] * 3))
def test_every_update_is_admissible_and_all_arrive_together(starts, moves):
    old = dict(zip(MARKETS, starts, strict=True))
    targets = {i: max(int(old[i] * move), 1) for i, move in zip(MARKETS, moves, strict=True)}
    marks = old
    for new in steps(old, targets, MARKETS):
        for i, market in MARKETS.items():
            assert abs(new[i] - marks[i]) * PPM <= marks[i] * market.rules.step
        marks = new
    assert marks == targets or targets == old


def test_a_jump_waits_for_the_steps_it_needs():
    btc = DEFAULT.market("BTC")
    assert seconds_to_jump(1_000_000, 1_000_000, btc) == 2
    assert seconds_to_jump(1_000_000, 900_000, btc) == 20
    assert seconds_to_jump(1_000_000, 899_999, btc) == 22
    assert seconds_to_jump(1_000_000, 500_000, btc) == 100
    assert seconds_to_jump(1_000_000, 499_999, btc) is None
