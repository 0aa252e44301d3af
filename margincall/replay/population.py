"""The people of a replay: traders who hold the same trades in every mode, and those who face them.

Everything follows from the seed. A trader of the isolated population and its twin of the cross
population start with the same money and make the same trades (market, side, size, price); isolated
trades take notional / leverage along into a vault, cross trades are backed by the whole account. Its
twin of the portfolio population holds the same markets and sides, hedged (`hedges`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from margincall.chain.keys import Key, key
from margincall.model import accounts
from margincall.model.arithmetic import NOTIONAL_SCALE, PPM, ceil_div
from margincall.protocol.config import USD, MarketSpec
from margincall.replay.candles import BadInput

ISOLATED, CROSS, PORTFOLIO = "isolated", "cross", "portfolio"
MODES = (ISOLATED, CROSS, PORTFOLIO)

MAKERS = 4  # market makers a mode; they run the keepers, too
DEPTH = {ISOLATED: 1, CROSS: 1, PORTFOLIO: 4}
"""A market maker's money as a multiple of what the mode's traders' perps are worth together."""
LEVERAGES = (2, 3, 5, 8, 10, 15, 20, 25)
LEVERAGE_WEIGHTS = (14, 14, 20, 14, 18, 9, 8, 3)
ALL_LONG, ALL_SHORT, PAIR = 70, 12, 18  # percent of traders
MEDIAN_MONEY, MONEY_SIGMA = 8_000, 1.0  # lognormal, USD
LEAST_MONEY, MOST_MONEY = 2_000, 400_000
LEAST_USE, MOST_USE = 0.30, 0.90  # share of the money that the trades' margins add up to


class Trade(NamedTuple):
    """One opening trade. market: or an instrument's id; size: lots, signed; margin: money, notional /
    leverage rounded up (0 in a book)."""

    market: int
    size: int
    leverage: float
    margin: int


class Trader(NamedTuple):
    """What one trader of each mode starts with. money: 1e-6 USD."""

    money: int
    trades: tuple[Trade, ...]


class Owner(NamedTuple):
    """An owner in one mode. id: root account; `trader` is None for a market maker."""

    mode: str
    key: Key
    id: int
    money: int
    trader: Trader | None

    def accounts(self) -> list[int]:
        """The root account and, in isolated mode, a vault per trade."""
        if self.mode != ISOLATED or not self.trader:
            return [self.id]
        return [self.id] + [accounts.vault(self.id, trade.market) for trade in self.trader.trades]


class Leverage(NamedTuple):
    """The range that leverages are drawn from; equal ends fix it."""

    low: float
    high: float


def most_leverage(market: MarketSpec) -> float:
    """What a market allows at the opening: the taker's fee leaves the margin before it is judged."""
    return PPM / (market.terms.tiers[0].imf + market.terms.taker_fee)


def parse_leverage(text: str | None, markets: Sequence[MarketSpec]) -> Leverage:
    """ "10" (everyone) or "2-15" (drawn from); None: 2 up to what each market allows. Raises BadInput."""
    highest = max(most_leverage(market) for market in markets)
    if text is None:
        return Leverage(LEVERAGES[0], highest)
    low, _, high = text.partition("-")
    try:
        found = Leverage(float(low), float(high or low))
    except ValueError:
        found = Leverage(0, 0)
    lowest = min(most_leverage(market) for market in markets)
    if not 1 <= found.low <= found.high <= highest or (found.low > lowest):
        bounds = ", ".join(f"{market.symbol} {most_leverage(market):.2f}" for market in markets)
        raise BadInput(
            f"leverage {text!r}: expected one number, or a range like 2-15, from 1 to what the markets allow"
            f" at the opening ({bounds})"
        )
    return found


def traders(
    count: int,
    seed: int,
    markets: Sequence[MarketSpec],
    prices: Mapping[int, int],
    leverage: Leverage,
) -> list[Trader]:
    """`count` traders with one to three positions each; prices: price units by market id."""
    if not 1 <= count <= 20_000:
        raise BadInput(f"accounts {count}: expected 1 to 20,000 in each mode")
    draw = random.Random(f"margincall population {seed}")
    return [_trader(draw, markets, prices, leverage) for _ in range(count)]


def owners(found: Sequence[Trader], mode: str, seed: int, markets, prices: Mapping[int, int]) -> list[Owner]:
    """The traders as owners in one mode, and behind them the market makers who take the other side.

    A market maker has DEPTH times as much money as all trades of a mode together are worth."""
    result = []
    for i, trader in enumerate(found):
        owner = key(seed, f"{mode} trader", i)
        result.append(Owner(mode, owner, accounts.root(owner.address), trader.money, trader))
    notional = (
        sum(abs(t.size) * prices[t.market] for trader in found for t in trader.trades) // NOTIONAL_SCALE
    )
    for i in range(MAKERS):
        owner = key(seed, f"{mode} market maker", i)
        money = max(DEPTH[mode] * notional, 1_000_000 * USD) // USD * USD
        result.append(Owner(mode, owner, accounts.root(owner.address), money, None))
    return result


def _trader(
    draw: random.Random, markets: Sequence[MarketSpec], prices: Mapping[int, int], leverage: Leverage
) -> Trader:
    usd = MEDIAN_MONEY * math.exp(MONEY_SIGMA * draw.gauss(0, 1))
    usd = int(min(max(usd, LEAST_MONEY), MOST_MONEY))
    count = min(draw.choices((1, 2, 3), (45, 35, 20))[0], len(markets))
    # The first markets of a list are the largest: BTC before ETH before SOL.
    chosen = sorted(markets, key=lambda market: draw.random() / (len(markets) + 2 - markets.index(market)))
    chosen = sorted(chosen[:count], key=lambda market: market.id)
    style = draw.choices((ALL_LONG, ALL_SHORT, PAIR), (ALL_LONG, ALL_SHORT, PAIR))[0]
    weights = [1.0] * count if style == PAIR else [0.5 + draw.random() for _ in chosen]
    used = usd * draw.uniform(LEAST_USE, MOST_USE)
    times = _leverage(draw, leverage)
    trades = []
    for i, market in enumerate(chosen):
        if style != PAIR:
            times = _leverage(draw, leverage)
        sign = -1 if style == ALL_SHORT or (style == PAIR and i % 2) else 1
        trades.append(_trade(market, prices[market.id], sign, times, used * weights[i] / sum(weights)))
    return Trader(usd * USD, tuple(trades))


def _leverage(draw: random.Random, leverage: Leverage) -> float:
    if leverage.low == leverage.high:
        return leverage.low
    inside = [
        (times, weight)
        for times, weight in zip(LEVERAGES, LEVERAGE_WEIGHTS, strict=True)
        if leverage.low <= times <= leverage.high
    ]
    if not inside:
        return round(draw.uniform(leverage.low, leverage.high), 1)
    return draw.choices([times for times, _ in inside], [weight for _, weight in inside])[0]


def _trade(market: MarketSpec, price: int, sign: int, times: float, margin_usd: float) -> Trade:
    """A trade of about `margin_usd` * leverage, inside the first tier: further up the market allows less."""
    times = min(times, math.floor(100 * most_leverage(market)) / 100)
    tiers = market.terms.tiers
    edge = tiers[1].lower if len(tiers) > 1 else 2**60
    notional = min(int(margin_usd * times * USD), edge * 9 // 10)
    notional = max(notional, 2 * market.terms.min_notional)
    lots = max(notional * NOTIONAL_SCALE // price, 1)
    hundredths = round(100 * times)
    return Trade(market.id, sign * lots, times, ceil_div(lots * price * 100, NOTIONAL_SCALE * hundredths))
