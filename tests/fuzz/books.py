"""Random books of accounts, made through the protocol's own doors."""

from __future__ import annotations

from random import Random

from margincall.chain import Reverted
from margincall.protocol.handle import Account
from margincall.protocol.orders import Report
from tests.unit.clearinghouse.world import USD, World

SYMBOLS = ("BTC", "ETH", "SOL")
NAMES = ("a", "b", "c")
CANNOT_AFFORD = (
    "clearing: below min notional",
    "clearing: open interest cap",
    "margin: below initial",
    "margin: below transfer margin",
    "margin: loss exceeds cash",
    "margin: not enough cash",
)


def build(w: World, rng: Random) -> list[Account]:
    """Traders with up to four positions each, cross and isolated, up to the leverage that opens; then two
    moves of the prices. What an account cannot afford is left out. The counterparty is the last."""
    traders = [w.trader(name, rng.randint(300, 6_000)) for name in NAMES]
    for trader in traders:
        for _ in range(rng.randint(1, 4)):
            usd = w.cash(trader.id) * rng.randint(1, 18) // USD
            lots = lots_of(w, symbol := rng.choice(SYMBOLS), max(usd, 110) * rng.choice((-1, 1)))
            options = {"leverage": rng.randint(5, 18), "mode": "isolated"} if rng.random() < 0.4 else {}
            try:
                trader.trade(symbol, lots, in_lots=True, **options)
            except Reverted as refused:
                if refused.reason not in CANNOT_AFFORD:
                    raise
    premium = rng.randint(-5_000, 5_000)
    for _ in range(2):
        worst = rng.choice((5_000, 40_000, 80_000))
        marks = {s: w.protocol.mark(s) * (10**6 + rng.randint(-worst, worst)) // 10**6 for s in SYMBOLS}
        publish(w, marks, premium)
    return [*traders, w.maker]


def lots_of(w: World, symbol: str, usd: int) -> int:
    return usd * USD * 10**8 // w.protocol.mark(symbol)


def publish(w: World, marks: dict[str, int], premium: int = 0) -> None:
    """Prices in price units, `premium` ppm above the index, after a pause."""
    at = w.chain.timestamp + 100
    reports = [
        Report(w.market(symbol).id, mark, mark * 10**6 // (10**6 + premium), at)
        for symbol, mark in marks.items()
    ]
    w.protocol.publish(reports, at=at)


def pick(w: World, rng: Random, trader: Account) -> tuple[int, str]:
    """An account of the trader and a market, mostly such that there is a position."""
    places = [(trader.id, symbol) for symbol in SYMBOLS] + [
        (trader.vault(symbol), symbol) for symbol in SYMBOLS
    ]
    held = [
        (account, symbol)
        for account, symbol in places
        if any(market == w.market(symbol).id for market, _, _ in w.held(account))
    ]
    return rng.choice(held if held and rng.random() < 0.8 else places)
