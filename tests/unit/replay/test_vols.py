"""Volatility of a replay: real smiles, the rule by which they follow prices, what the surface accepts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margincall import data
from margincall.model.surface import Surface
from margincall.protocol.config import DEFAULT
from margincall.replay.candles import moment_of, read
from margincall.replay.vols import DAY, LEVELS, MOST, Calm, Move, calm, expiries_of, reports, wanted
from margincall.venues.smiles import chain_smiles

NOW = moment_of("2025-10-09T00:00:00Z", "")
ETH = DEFAULT.market("ETH")


def test_levels_are_the_ratios_of_realised_volatility():
    history = read(data.CANDLES, DEFAULT).cut(None, moment_of("2025-10-10T11:55:00Z", ""), None)
    realised = {}
    for market in history.markets:
        returns = np.diff(np.log([candle.close for candle in history.candles[market.id]]))
        realised[market.symbol] = math.sqrt(np.mean(returns**2))
    assert {s: round(vol / realised["ETH"], 3) for s, vol in realised.items()} == LEVELS


def test_eth_starts_from_the_chain_itself():
    for smile in chain_smiles():
        assert calm("ETH", smile.term) == (smile.atm, smile.skew, smile.curvature)
        assert calm("BTC", smile.term).atm == round(smile.atm * LEVELS["BTC"])


def test_the_size_of_the_reaction_is_that_of_october_2025():
    """A fall from 122,000 to 104,000 takes 30-day volatility from 40 % to 60 %."""
    fall = math.log(122 / 104)
    assert wanted(Calm(400_000, 0, 0), fall, 30 * DAY) == pytest.approx(600_000, rel=0.01)
    shorter = wanted(Calm(400_000, 0, 0), fall, 7 * DAY)
    assert shorter == pytest.approx(400_000 * (1 + 0.5 * math.sqrt(30 / 7)), rel=0.01)
    assert wanted(Calm(400_000, 0, 0), 2.0, DAY) == MOST * 400_000
    assert wanted(Calm(400_000, 0, 0), 0.0, DAY) == 400_000


def test_a_move_is_seen_at_once_and_forgotten_slowly():
    move = Move(100_000, 0)
    assert move.see(80_000, 60) == pytest.approx(math.log(1.25), rel=1e-6)
    for hour in range(1, 25):
        held = move.see(round(math.exp(move.average)), 60 + 3_600 * hour)  # back at the average
    assert held == pytest.approx(math.log(1.25) / 2, rel=0.01)


def test_a_rise_counts_like_a_fall():
    up, down = Move(100_000, 0), Move(100_000, 0)
    assert up.see(125_000, 60) == pytest.approx(down.see(80_000, 60))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(60, 3_000), st.floats(-0.3, 0.3)), min_size=1, max_size=40),
    st.sampled_from(DEFAULT.markets),
)
def test_the_surface_takes_every_report(path, market):
    """Whatever prices do, published smiles keep within the step and free of arbitrage."""
    surface = Surface()
    surface.set_rules(market.id, market.options.vols._replace(feed="feed"))
    expiries = expiries_of(range(NOW, NOW + 4 * DAY, 300), 300)
    bases = {expiry: calm(market.symbol, expiry - NOW) for expiry in expiries}
    now, price, move = NOW, 10**9, Move(10**9, NOW)
    surface.update("feed", reports(market, bases, {}, 0.0, now), now)
    for elapsed, change in path:
        now, price = now + elapsed, round(price * math.exp(change))
        stored = {expiry: surface.smiles[market.id, expiry] for expiry in expiries}
        surface.update("feed", reports(market, bases, stored, move.see(price, now), now), now)


@pytest.mark.parametrize(
    ("first", "last", "near"),
    [
        ("2025-10-09T00:00:00Z", "2025-10-12T23:55:00Z", "2025-10-12T08:00:00Z"),
        ("2025-10-10T21:00:00Z", "2025-10-10T21:40:00Z", "2025-10-11T08:00:00Z"),
        ("2025-10-12T02:00:00Z", "2025-10-12T08:30:00Z", "2025-10-13T08:00:00Z"),
        ("2025-10-12T02:00:00Z", "2025-10-12T09:00:00Z", "2025-10-12T08:00:00Z"),
    ],
)
def test_expiries(first, last, near):
    times = range(moment_of(first, ""), moment_of(last, "") + 1, 300)
    near = moment_of(near, "")
    assert expiries_of(times, 300) == (near, near + 7 * DAY, near + 28 * DAY)
