"""SpanMargin on a bench: deployed, its terms set, its risk arrays made and kept beside the twin's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from margincall.model import span
from margincall.model.book import unpack
from margincall.model.instrument import MAX_CODE, log_code
from margincall.model.span import Series, Terms
from margincall.protocol.artifacts import artifact
from tests.unit.standard_margin.bench import MARKETS, Bench

TERMS = Terms(third=3_277, short_minimum=5_000, haircut=50_000)  # a scan range of 15 %


class Span:
    """The rule and its twin. `arrays` are those that `refresh` made."""

    def __init__(self, bench: Bench) -> None:
        self.bench, made = bench, bench.protocol
        self.contract = bench.chain.deploy(
            artifact("SpanMargin"), made.markets.address, made.portfolio.address, sender=bench.owner
        )
        self.arrays: dict[tuple[int, int, int], Series] = {}
        for market in MARKETS:
            self.contract.send(bench.owner, "set_terms", market.id, tuple(TERMS))

    def refresh(self, market: int, expiry: int, strikes: Sequence[int]) -> Any:
        """On chain and in the twin; what the contract stored is what the twin says."""
        receipt = self.contract.send(self.bench.owner, "refresh", market, expiry, list(strikes))
        curve, price = self.bench.curves[market, expiry], self.bench.prices[market]
        for strike in strikes:
            key = market, expiry, log_code(strike)
            self.arrays[key] = series = span.refresh(curve, price, strike, TERMS)
            assert tuple(self.contract.call("series", *key)) == series.words()
        return receipt

    def refresh_all(self, words: Sequence[int]) -> None:
        """Of everything that a book holds."""
        for segment in unpack(words):
            names = {name & MAX_CODE for name, _ in segment.lanes}
            if names:
                strikes = [self.bench.book.strike(segment.market, code) for code in sorted(names)]
                self.refresh(segment.market, segment.expiry, strikes)

    def account(self, cash: int, perps: Sequence, words: Sequence[int]) -> tuple:
        """An account as the twin takes it. perps: (market, lots, entry)."""
        b = self.bench
        values = []
        for market, size, entry in perps:
            quote = b.markets[market].quote(b.now, b.protocol.spec.max_age)
            values.append((market, size, size * quote[1 if size > 0 else 2] // 10**10 - entry))
        terms = {market.id: TERMS for market in MARKETS}
        return cash, values, words, self.arrays, b.prices, terms, b.now

    def check(self, cash: int, perps: Sequence, words: Sequence[int]) -> span.Margin:
        """Contract and twin agree to the unit, in every view."""
        b, account = self.bench, self.account(cash, perps, words)
        got = b.ask(self.contract, "margin", cash, perps, words)
        assert got == span.margin(*account)
        assert b.ask(self.contract, "initial", cash, perps, words) == got[:2]
        assert b.ask(self.contract, "close_out", cash, perps, words) == span.close_out(*account)
        return span.Margin(*got)
