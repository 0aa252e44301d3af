"""Book.vy and its twin side by side: every call goes to both, and they must agree to the word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from margincall.chain import Contract, EmbeddedChain, Reverted
from margincall.model.arithmetic import Refused
from margincall.model.book import Book, merge, pack, unpack
from margincall.model.instrument import Instrument
from margincall.protocol.artifacts import artifact
from margincall.protocol.config import DEFAULT

STEPS = {1: 100_000_000, 2: 50_000_000, 3: 10_000_000}  # 100, 5 and 0.1 USD
MARKETS = DEFAULT.markets
START = 1_735_000_000  # 24 December 2024, 00:26 UTC


class Pair:
    """A deployed Book with the strike steps of STEPS, and its twin."""

    def __init__(self, steps: dict[int, int] = STEPS) -> None:
        self.chain = EmbeddedChain(timestamp=START)
        self.contract: Contract = self.chain.deploy(artifact("Book"), sender=self.chain.accounts[0])
        self.twin = Book()
        for market, step in steps.items():
            self.set_grid(market, step)

    def set_grid(self, market: int, step: int) -> None:
        self._both(
            lambda: self.contract.send(self.chain.accounts[0], "set_grid", market, step) and None,
            lambda: self.twin.set_grid(market, step),
        )

    def fragment(self, instrument: Instrument | int | str, lots: int, amount: int = 0) -> list[int]:
        if isinstance(instrument, str):
            instrument = Instrument.parse(instrument, MARKETS)
        id = instrument if isinstance(instrument, int) else instrument.id
        return self._both(
            lambda: list(self.contract.call("fragment", id, lots, amount)),
            lambda: self.twin.fragment(instrument, lots, self.chain.timestamp, amount),
        )

    def merge(self, words: Sequence[int], fragment: Sequence[int], negate: bool = False):
        """The merged words and whether all got smaller; their heads must be what their lanes say."""
        merged, reduces = self._both(
            lambda: _listed(self.contract.call("merge", words, fragment, negate)),
            lambda: merge(words, fragment, negate),
        )
        assert pack(unpack(merged)) == merged
        return merged, reduces

    def split(self, words: Sequence[int], quanta: int) -> list[int]:
        return self._both(
            lambda: list(self.contract.call("split", words, quanta)), lambda: self.twin.split(words, quanta)
        )

    def payoff(self, words: Sequence[int], market: int, expiry: int, price: int):
        return self._both(
            lambda: _listed(self.contract.call("payoff", words, market, expiry, price)),
            lambda: self.twin.payoff(words, market, expiry, price),
        )

    def strike(self, market: int, code: int) -> int:
        return self._both(
            lambda: self.contract.call("strike", market, code), lambda: self.twin.strike(market, code)
        )

    def book(self, *positions: tuple) -> list[int]:
        """The words of positions (name, lots[, entry money of a future])."""
        words: list[int] = []
        for position in positions:
            words, _ = self.merge(words, self.fragment(*position))
        return words

    def positions(self, words: Sequence[int]) -> dict[str, int]:
        """Lots by name."""
        return {found.instrument.name(MARKETS): found.size for found in self.twin.positions(words)}

    @staticmethod
    def _both(contract: Callable[[], Any], twin: Callable[[], Any]) -> Any:
        """What both say. Raises Refused, with the one reason, when both refuse."""
        expected, refusal = None, None
        try:
            expected = twin()
        except Refused as error:
            refusal = error
        if refusal:
            with pytest.raises(Reverted) as caught:
                contract()
            assert caught.value.reason == refusal.reason
            raise refusal
        assert contract() == expected
        return expected


def _listed(returned: tuple) -> tuple:
    words, *rest = returned
    return list(words), *rest
