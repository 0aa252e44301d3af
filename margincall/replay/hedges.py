"""The books of the portfolio population: every trader's trades of the other modes, hedged.

A trader of the portfolio population has the same money as its twins and is in the same markets, on the same
sides, in the same sizes. Every trade becomes a structure on its market, drawn from the seed: the perp and a
hedge, or options of that size. A trader who is long one market and short another (BTC against ETH) keeps that
pair of perps. Books whose initial margin is above MOST_USE of the money on the way to them are smaller.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from margincall.model import State, rules
from margincall.model.arithmetic import NOTIONAL_SCALE
from margincall.model.book import merge
from margincall.model.instrument import CALL, CONTRACT, PUT, Instrument
from margincall.model.portfolio import margin
from margincall.model.surface import YEAR
from margincall.protocol.config import MarketSpec
from margincall.replay.population import Owner, Trade, Trader, most_leverage

PROTECTED, COVERED, STRADDLE, CALENDAR, PAIR = "protected", "covered", "straddle", "calendar", "pair"
WEIGHTS = {PROTECTED: 30, COVERED: 30, STRADDLE: 20, CALENDAR: 20}
OUT_OF_THE_MONEY = (5, 10)  # percent from the price, of bought and sold wings
MOST_USE = 0.9  # of the money, as initial margin on the way to the whole book


class Grid(NamedTuple):
    """Where structures find their options: opening prices and at-the-money levels (per year) by market,
    expiries near, middle, far; `now` unix seconds."""

    markets: Mapping[int, MarketSpec]
    prices: Mapping[int, int]
    levels: Mapping[tuple[int, int], float]
    expiries: tuple[int, int, int]
    now: int

    def strike(self, market: int, percent: int) -> int:
        """The strike of the grid nearest to so many percent of the price."""
        step = self.markets[market].options.strike_step
        return max(round(self.prices[market] * percent / 100 / step), 1) * step

    def option(self, market: int, kind: int, expiry: int, percent: int) -> int:
        """The id of an option with a strike at so many percent of the price."""
        return Instrument(market, kind, expiry, self.strike(market, percent)).id


class Leg(NamedTuple):
    """`part`: size in parts of the structure's, signed."""

    instrument: int
    part: float


def structure(draw: random.Random, grid: Grid, trade: Trade, pair: bool) -> tuple[str, list[Leg]]:
    """What a trade becomes: a name and legs, in an order in which no leg needs much more margin than the
    whole. A short trade is mirrored (calls protect, puts are sold)."""
    market, side = trade.market, 1 if trade.size > 0 else -1
    if pair:
        return PAIR, [Leg(market, side)]
    near, middle, far = grid.expiries
    away = draw.choice(OUT_OF_THE_MONEY)
    wing = {-1: 100 - away, 1: 100 + away}
    kind = {-1: PUT, 1: CALL}
    (name,) = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))
    if name == PROTECTED:
        option = grid.option(market, kind[-side], draw.choice((middle, far)), wing[-side])
        return name, [Leg(option, 1), Leg(market, side)]
    if name == COVERED:
        option = grid.option(market, kind[side], draw.choice((near, middle)), wing[side])
        return name, [Leg(market, side), Leg(option, -1)]
    if name == CALENDAR:
        first, second = draw.choice(((near, middle), (near, far), (middle, far)))
        return name, [
            Leg(grid.option(market, kind[side], second, 100), 1),
            Leg(grid.option(market, kind[side], first, 100), -1),
        ]
    expiry = draw.choice((middle, far))
    legs = [Leg(grid.option(market, option, expiry, 100), -1) for option in (CALL, PUT)]
    return name, [Leg(market, _delta(grid, market, expiry)), *legs]


def _delta(grid: Grid, market: int, expiry: int) -> float:
    """Of a straddle at the money, in coins a coin: 2 Phi(s / 2 + x / s) - 1."""
    deviation = grid.levels[market, expiry] * math.sqrt((expiry - grid.now) / YEAR)
    x = math.log(grid.prices[market] / grid.strike(market, 100))
    return math.erf((x / deviation + deviation / 2) / math.sqrt(2))


def hedges(state: State, owners: Sequence[Owner], seed: int, grid: Grid) -> dict[int, list[Trade]]:
    """The opening trades of every trader, by account. `state` has prices, curves and dials of now."""
    draw = random.Random(f"margincall hedges {seed}")
    risk = rules.risk_of(state, grid.now, set(grid.markets))
    found = {}
    for owner in owners:
        if not owner.trader:
            continue
        trades = owner.trader.trades
        pair = len({trade.size > 0 for trade in trades}) == 2
        legs = [(trade, leg) for trade in trades for leg in structure(draw, grid, trade, pair)[1] if leg.part]
        unit = _sized(grid, legs, 1.0)
        found[owner.id] = _sized(grid, legs, _scale(state, risk, grid, owner.trader, unit))
    return found


def _sized(grid: Grid, legs: Sequence[tuple[Trade, Leg]], scale: float) -> list[Trade]:
    """Trades of whole contracts, at least twice the least notional of the market (a hedge below it is
    left out)."""
    found = []
    for trade, leg in legs:
        spec, price = grid.markets[trade.market], grid.prices[trade.market]
        least = -(-2 * spec.terms.min_notional * NOTIONAL_SCALE // (price * CONTRACT))
        contracts = max(round(abs(trade.size) * scale / CONTRACT), least)
        size = round(contracts * leg.part)
        if leg.instrument < 256 and abs(size) < least:
            continue
        found.append(Trade(leg.instrument, size * CONTRACT, trade.leverage, 0))
    return found


def _scale(state: State, risk, grid: Grid, trader: Trader, unit: Sequence[Trade]) -> float:
    """1, or less where the money does not carry the book: margins are homogeneous in size."""
    perps, words, worst, gross = [], [], 1, 0
    for trade in unit:
        market = trade.market & 255
        gross += abs(trade.size) * grid.prices[market] // NOTIONAL_SCALE
        if trade.market < 256:
            perps.append((market, trade.size, 0))
        else:
            fragment = state.options.grid.fragment(trade.market, trade.size, grid.now)
            words = merge(words, fragment)[0]
        worst = max(worst, margin(0, perps, words, risk).initial)
    most = min(most_leverage(spec) for spec in grid.markets.values())
    return min(1.0, MOST_USE * trader.money / worst, MOST_USE * most * trader.money / max(gross, 1))
