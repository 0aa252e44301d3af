"""What the stress dials did to the portfolio population of a replay."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from margincall.model import State, portfolio, rules
from margincall.model.book import unpack
from margincall.model.dials import ONE
from margincall.model.margin import value_down
from margincall.model.portfolio import Dials
from margincall.protocol.config import ProtocolSpec
from margincall.replay.book_index import BookIndex
from margincall.replay.candles import History
from margincall.replay.funding import Funding
from margincall.replay.population import PORTFOLIO
from margincall.replay.result import DialsResult, ModeResult, Moment, Settings


class DialsWatch:
    """Looks at the dials of `twin` and at whom they have liquidated; `result` is what it found."""

    def __init__(self, twin: State, index: BookIndex, traders: Sequence[bool]) -> None:
        self.twin, self.index = twin, index
        self.traders = np.array(traders, bool)  # rows of the index
        self.result = DialsResult()

    def look(self, now: int) -> None:
        """After a price update: the extremes of the dials."""
        found, dials = self.result, self.twin.options.dials.read(now)
        found.rho_max = max(found.rho_max, dials.rho_im / ONE)
        found.psi_min = min(found.psi_min, dials.psi_im / ONE)
        found.rho_mm_max = max(found.rho_mm_max, dials.rho_mm / ONE)
        found.psi_mm_min = min(found.psi_mm_min, dials.psi_mm / ONE)

    def judge(self, victim: int, now: int) -> None:
        """Before a liquidation: is it the dials' alone?"""
        equity, maintenance = calm_margin(self.twin, victim, now)
        self.result.alone += equity >= maintenance

    def note(self, now: int) -> None:
        """At a candle's end."""
        dials = self.twin.options.dials.read(now)
        self.result.moments.append(
            Moment(
                dials.rho_im / ONE,
                dials.psi_im / ONE,
                dials.rho_mm / ONE,
                dials.psi_mm / ONE,
                self.index.credits(now, self.traders, initial=True),
                self.index.credits(now, self.traders),
            )
        )


def calm_margin(twin: State, account: int, now: int) -> tuple[int, int]:
    """(equity, maintenance margin) of a portfolio account at `now`, were the dials at rest. Money."""
    positions, words = twin.positions.get(account, ()), twin.books.get(account, ())
    held = {market for market, _, _ in positions} | {segment.market for segment in unpack(words)}
    perps = [
        (market, size, value_down(size, entry, twin.markets[market].quote(now, twin.max_age)))
        for market, size, entry in positions
    ]
    settings = twin.options.dials.settings
    calm = rules.risk_of(twin, now, held)._replace(mm=Dials(settings.rho, settings.psi))
    found = portfolio.margin(twin.cash.get(account, 0), perps, words, calm)
    return found.equity, found.maintenance


class Calm:
    """The same replay in which nobody pokes the dials, in a process of its own: the same seed, prices and
    keepers, the portfolio population alone (all populations where liquidations push prices). `with` it,
    then `result()`."""

    def __init__(self, spec: ProtocolSpec, history: History, funding: Funding, settings: Settings) -> None:
        modes = settings.modes if settings.impact else (PORTFOLIO,)
        self._arguments = spec, history, funding, settings._replace(modes=modes, dials=False)
        self._pool = ProcessPoolExecutor(1, get_context("spawn"))
        self._future: Future | None = None

    def __enter__(self) -> Calm:
        self._future = self._pool.submit(calm_replay, *self._arguments)
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def result(self) -> ModeResult:
        """What happened to the portfolio population."""
        return self._future.result()


def calm_replay(spec: ProtocolSpec, history: History, funding: Funding, settings: Settings) -> ModeResult:
    """Play on a chain in this process and give what happened to the portfolio population."""
    from margincall.chain import EmbeddedChain
    from margincall.protocol.deploy import deploy
    from margincall.replay.engine import Replay

    chain = EmbeddedChain(keep_logs=False)
    return Replay(deploy(chain, spec), history, funding, settings).run().modes[PORTFOLIO]
