"""The dials over real markets, next to their twin: every step is made by both and compared, bit by bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import cache

import pytest

from margincall.chain import EmbeddedChain, Reverted
from margincall.model.arithmetic import Refused
from margincall.model.dials import DEFAULT, ONE, Dials, Reading, Settings
from margincall.protocol.artifacts import artifact
from margincall.protocol.config import DEFAULT as SPEC
from margincall.protocol.deploy import fees_tuple
from tests.unit.markets.feed import ECHO, payload

MAX_AGE = 600  # seconds that a price stays fresh
MARKETS = 10
FIRST = dict.fromkeys(range(1, 9), 4_000 * 10**7) | {9: 3_035_502, MARKETS: 2**40 - 1}
"""Prices of the start, price units; the last two are outside the log codes' range."""


class Board:
    """One deployment and its twin. `at` is unix seconds."""

    def __init__(self, settings: Settings = DEFAULT, exact_gas: bool = False) -> None:
        self.chain = chain = EmbeddedChain(exact_gas=exact_gas)
        self.owner, self.guardian, self.stranger = chain.accounts[:3]
        self.markets = chain.deploy(artifact("Markets"), MAX_AGE)
        self.feed = chain.deploy(ECHO)
        listed = SPEC.markets[0]
        rules = (self.feed.address, *listed.rules._replace(interval=1))
        for market in FIRST:
            self.markets.send(self.owner, "set_rules", market, rules)
            self.markets.send(
                self.owner, "set_terms", market, fees_tuple(listed.terms), list(listed.terms.tiers)
            )
        self.dials = chain.deploy(artifact("DialsHarness"), self.markets.address, settings)
        self.dials.send(self.owner, "set_guardian", self.guardian)
        self.twin = Dials(settings)
        self.prices: dict[int, tuple[int, int]] = {}  # market -> price, published
        self.report(FIRST)

    @property
    def now(self) -> int:
        return self.chain.timestamp

    def report(self, prices: Mapping[int, int], at: int | None = None) -> None:
        """New marks. A jump of half the price needs 50 seconds."""
        at = at or self.now + 1
        reports = [(market, price, price, at) for market, price in prices.items()]
        self.markets.send(self.owner, "update_prices", self.feed.address, payload(*reports), at=at)
        self.prices |= {market: (price, at) for market, price in prices.items()}

    def fresh(self, at: int) -> dict[int, int]:
        return {market: price for market, (price, time) in self.prices.items() if at <= time + MAX_AGE}

    def poke(self, at: int | None = None) -> Reading:
        """Anyone pokes; the dials then."""
        at = at or self.now + 1
        self.dials.send(self.stranger, "poke", at=at)
        self.twin.poke(at, self.fresh(at))
        return self.agreed()

    def act(self, sender: str, function: str, *args, at: int | None = None) -> Reading:
        """`tighten`, `relax` or `set_dials`, refused by both or done by both."""
        at = at or self.now + 1
        reason = None
        try:
            getattr(self.twin, function)(at, *args)
        except Refused as refusal:
            reason = refusal.reason
        if reason is None:
            self.dials.send(sender, function, *args, at=at)
        else:
            with pytest.raises(Reverted) as caught:
                self.dials.send(sender, function, *args, at=at)
            assert caught.value.reason == reason
        return self.agreed()

    def track(self, *markets: int) -> None:
        """Look at these markets, in this order."""
        for place, market in enumerate(markets):
            self.dials.send(self.owner, "track", place, market)
            self.twin.track(place, market)

    def agreed(self, at: int | None = None) -> Reading:
        """What the dials show at `at` (default: now). Fails unless contract and twin are the same."""
        at = at or self.now
        shown = Reading(*self.dials.call("stress_dials", at=at))
        assert shown == self.twin.read(at)
        assert self.dials.call("dial_word") == dial_word(self.twin)
        assert self.dials.call("references") == codes(self.twin.references) | self.twin.followed << 192
        ids = sum(market << 8 * place for place, market in enumerate(self.twin.markets))
        assert self.dials.call("seen") == codes(self.twin.seen) | ids << 192
        # Never stricter for maintenance than for initial margin; nothing out of range.
        assert 0 <= shown.rho_mm <= shown.rho_im <= ONE
        assert 0 <= shown.psi_im <= shown.psi_mm <= ONE
        return shown


def codes(listed: list[int]) -> int:
    return sum(code << 24 * place for place, code in enumerate(listed))


def dial_word(twin: Dials) -> int:
    """The twin's dials in the layout that contracts/margin/dials.vy states."""
    rho, psi = twin.stresses
    settings, (least, most) = twin.settings, twin.bounds
    return (
        rho.im
        | psi.im << 24
        | rho.mm << 48
        | psi.mm << 72
        | twin.settled << 96
        | max(settings.rho, least) << 128
        | (ONE - min(settings.psi, most)) << 144
        | settings.rho << 160
        | (ONE - settings.psi) << 176
        | least << 192
        | (ONE - most) << 208
        | settings.rho_scale << 224
        | settings.psi_scale << 240
    )


@cache
def _deployed(settings: Settings) -> Board:
    return Board(settings)


@contextmanager
def board(settings: Settings = DEFAULT) -> Iterator[Board]:
    """A `Board` on a snapshot, untracked, at rest."""
    found = _deployed(settings)
    mark, twin, prices = found.chain.snapshot(), deepcopy(found.twin), dict(found.prices)
    try:
        yield found
    finally:
        found.chain.revert(mark)
        found.twin, found.prices = twin, prices
