"""The account's value across the prices of one underlying, on the engine's own curves: every 0.0125 of the
log price from -0.4 to +0.3, through the points of the 24 scenarios exactly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from margincall.margining.case import Case
from margincall.model import portfolio
from margincall.model.arithmetic import NOTIONAL_SCALE
from margincall.model.book import unpack
from margincall.model.curves import place, tap_weights
from margincall.model.curves import unpack as rows_of
from margincall.model.instrument import CONTRACT, MAX_CODE, log_code
from margincall.model.portfolio import FIRST, LAST, MARK, SCENARIOS, VALUE, beyond_of, kept_of, position

FINE = 80  # points of a curve in 1 of log price
STEP = 4  # points in one step of a scenario
LOW, HIGH = -8 * STEP, 6 * STEP
VOLS = ("up", "mark", "down")


class Profile(NamedTuple):
    """factors: price over the price of now, ascending; change: P&L in money by vol, an array each; scenario
    vols only reach as far as their scenarios do (nan beyond)."""

    market: int
    factors: np.ndarray
    change: dict[str, np.ndarray]
    has_options: bool

    def at(self, index: int) -> float:
        """P&L of one of the 24 scenarios, money."""
        scenario = SCENARIOS[index]
        return float(self.change[scenario.vol][scenario.steps * STEP - LOW])


def weight(factors: np.ndarray, extent: int) -> np.ndarray:
    """The share of a loss that counts at a price, for a range in 1/16 of a step: the rule's weights between
    its scenarios too."""
    steps = np.abs(np.log(factors)) * 20
    return np.minimum(1, np.ceil(16 * extent / np.maximum(steps, 1e-9) - 1e-6) / portfolio.FULL_WEIGHT)


def profile(case: Case, market: int) -> Profile:
    """The P&L of one underlying when only its price and volatility move. Raises Refused."""
    perps = [perp for perp in case.perps() if perp[0] == market]
    words = [word for segment in unpack(case.words()) if segment.market == market for word in segment.words()]
    (net,) = portfolio.exposures(perps, words, case.risk)
    points = np.arange(LOW, HIGH + 1)
    totals = {vol: np.zeros(len(points)) for vol in VOLS}
    for segment in unpack(words):
        if not segment.lanes:
            continue
        rows = rows_of(case.risk.curves[segment.key].blob)
        for name, size in segment.lanes:
            tap, part = place(log_code(net.price), name & MAX_CODE)
            if size > 0:  # what scenarios do not see is nothing, or linear: the exposure holds it so
                size = kept_of(size, beyond_of(position(log_code(net.price), name & MAX_CODE)))
            if not FIRST <= tap <= LAST:
                tap, part = (LAST if tap > LAST else FIRST), 0
            for vol, row in zip(VOLS, rows, strict=True):
                values = np.array(row, dtype=float)
                totals[vol] += size * sum(
                    w * values[points + tap + i] for i, w in enumerate(tap_weights(part))
                )
    factors = np.exp(points / FINE)
    scale = net.price / (VALUE * NOTIONAL_SCALE)
    now = ((net.values[MARK] - net.err) * CONTRACT + net.lin * VALUE) * scale
    change = {
        vol: ((total - net.err) * CONTRACT + net.lin * VALUE) * factors * scale - now
        for vol, total in totals.items()
    }
    reach = [scenario.steps * STEP for scenario in SCENARIOS if scenario.vol == "up"]
    outside = (points < min(reach)) | (points > max(reach))
    for vol in ("up", "down"):
        change[vol][outside] = np.nan
    return Profile(market, factors, change, any(segment.lanes for segment in unpack(words)))
