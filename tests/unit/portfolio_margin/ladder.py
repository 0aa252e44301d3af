"""The ladder book: calls of one expiry sold at 2,000, 2,100 ... while the grid reaches, then denser."""

from __future__ import annotations

from margincall.bench.stage import strikes
from margincall.model.book import merge
from margincall.model.instrument import CALL, CONTRACT, PERP, SPOT, Instrument
from margincall.specification.portfolio import Position
from tests.fuzz.portfolios import DAY, NOW, Sample, Smile, first_expiry

MARKET, PRICE, STEP = 2, 2_000 * 10**7, 5 * 10**7  # like ETH: 2,000 USD, strikes 5 USD apart
EXPIRY = first_expiry(NOW) + 29 * DAY
SMILE = Smile(600_000, 0, 0)
SIZE = 1_000  # contracts of each


def ladder(count: int, perp: int = 10 * CONTRACT) -> Sample:
    """`count` calls sold, and a perp."""
    calls = [Position(MARKET, CALL, EXPIRY, k * 10**7, -SIZE * CONTRACT, 0) for k in strikes(count)]
    perps = [Position(MARKET, PERP, 0, 0, perp, 0)] if perp else []
    return Sample("ladder", {MARKET: PRICE}, {MARKET: STEP}, {(MARKET, EXPIRY): SMILE}, (*perps, *calls))


def plain(*markets: int, price: int = PRICE) -> Sample:
    """No positions; markets (default: one) at one price, one expiry each."""
    ids = markets or (MARKET,)
    return Sample(
        "plain",
        dict.fromkeys(ids, price),
        dict.fromkeys(ids, STEP),
        {(market, EXPIRY): SMILE for market in ids},
        (),
    )


def fragment(b, kind: int, strike: int, lots: int, amount: int = 0, market: int = MARKET) -> list[int]:
    """The fragment of a position of `EXPIRY` (of spot: of none)."""
    expiry = 0 if kind == SPOT else EXPIRY
    return b.book.fragment(Instrument(market, kind, expiry, strike), lots, b.now, amount)


def together(*fragments) -> list[int]:
    """The book of fragments, one after the other."""
    words: list[int] = []
    for each in fragments:
        words, _ = merge(words, each)
    return words
