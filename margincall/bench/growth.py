"""How a check's gas grows: least squares over what was measured, and what follows from the fit.

A check of n positions costs start + each · n, where a rule needs it + bend · n². What the fit leaves is told
beside it: an extrapolation is worth no more than that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from margincall.bench.peers import Peers
from margincall.bench.records import CHECK, Bench, Measurement
from margincall.bench.rules import rules
from margincall.chain.base import BLOCK_GAS

TRANSACTION_GAS = 2**24  # EIP-7825
INTRINSIC = 21_000
STRAIGHT = 0.10  # a line that misses a figure by more of it is no line: n² is fitted too


class Fit(NamedTuple):
    """gas = start + each · n + bend · n². worst: the largest |residual|, at `at`; share: the largest
    |residual| as a part of the figure it misses."""

    start: float
    each: float
    bend: float
    worst: float
    at: int
    share: float

    def gas(self, n: float) -> float:
        return self.start + self.each * n + self.bend * n * n

    def largest(self, budget: float) -> float:
        """The n whose gas is the budget; inf where it never is."""
        room = budget - self.start
        if room < 0:
            return 0.0
        if self.bend > 0:
            return (sqrt(self.each * self.each + 4 * self.bend * room) - self.each) / (2 * self.bend)
        return room / self.each if self.each > 0 else inf


class Grown(NamedTuple):
    """One rule's growth over positions of one expiry. ours: measured here; most: positions that a contract
    admits (None: no such limit is known); points: gas by positions."""

    name: str
    ours: bool
    scenarios: int
    points: dict[int, int]
    fit: Fit
    most: int | None

    @property
    def fits_transaction(self) -> float:
        """Positions whose check, by the fit, fills the gas that EIP-7825 lets a transaction use."""
        return self.fit.largest(TRANSACTION_GAS - INTRINSIC)

    @property
    def largest(self) -> tuple[int, str]:
        """The largest account, and what stops it there."""
        by_gas = self.fits_transaction
        if self.most is not None and self.most <= by_gas:
            return self.most, "limit"
        return int(by_gas), "gas"

    @property
    def position_and_scenario(self) -> float | None:
        """Gas of a position in a scenario on average (of the first position, where gas bends). What a
        position costs once, whatever the scenarios, is in it."""
        return self.fit.each / self.scenarios if self.scenarios else None

    def block_share(self, n: int) -> float:
        """What part of a block one check takes, as measured, else by the fit."""
        return self.points.get(n, self.fit.gas(n)) / BLOCK_GAS


class Spread(NamedTuple):
    """gas = start + position · n + underlying · u, over checks of several underlyings with an expiry each."""

    start: float
    position: float
    underlying: float
    worst: float
    share: float
    count: int


def fit(points: Mapping[int, float], bend: bool = False) -> Fit:
    """Least squares. Raises ValueError for fewer points than coefficients."""
    degree = 2 if bend else 1
    if len(points) <= degree:
        raise ValueError(f"{len(points)} points do not fix {degree + 1} coefficients")
    n, gas = np.array(list(points), float), np.array(list(points.values()), float)
    found = np.linalg.lstsq(np.vander(n, degree + 1, increasing=True), gas, rcond=None)[0]
    start, each, curve = (*found, 0.0)[:3]
    left = np.abs(gas - (start + each * n + curve * n * n))
    worst = int(left.argmax())
    return Fit(*map(float, (start, each, curve, left[worst])), int(n[worst]), float((left / gas).max()))


def fitted(points: Mapping[int, float]) -> Fit:
    """A line, or a parabola where a line misses a figure by more than a tenth and the parabola by less."""
    line = fit(points)
    if line.share <= STRAIGHT or len(points) < 4:
        return line
    bent = fit(points, bend=True)
    return bent if bent.bend > 0 and bent.share < line.share else line


def grown(bench: Bench, peers: Peers | None = None) -> list[Grown]:
    """Every rule of which at least three ladders were measured: ours, then the peers'."""
    most = bench.limits.get("max_positions")
    found = [
        Grown(one.name, True, one.scenarios, one.gas, fitted(one.gas), most)
        for one in rules(bench)
        if len(one.checks) >= 3
    ]
    for system in peers.systems if peers else ():
        check = system.check("ladder")
        if check and len(check.ladder) >= 3:
            fit_ = fitted(check.ladder)
            found.append(Grown(system.name, False, system.scenarios, check.ladder, fit_, None))
    return found


def over_underlyings(measured: Iterable[Measurement]) -> Spread | None:
    """The plane through checks of options over one and several underlyings; None where they do not fix it."""
    rows = [(m.positions, m.underlyings, m.gas) for m in measured if m.positions and m.underlyings]
    if len(rows) < 4 or len({u for _, u, _ in rows}) < 2:
        return None
    n, u, gas = np.array(rows, float).T
    found = np.linalg.lstsq(np.stack([np.ones(len(rows)), n, u], axis=1), gas, rcond=None)[0]
    left = np.abs(gas - found[0] - found[1] * n - found[2] * u)
    return Spread(*map(float, found), float(left.max()), float((left / gas).max()), len(rows))


def options_over_underlyings(bench: Bench, store: str = "code") -> Spread | None:
    """The portfolio rule's plane."""
    spread = [
        m
        for m in bench.select(kind=CHECK, engine="portfolio", store=store)
        if "underlyings" in m.name or "ladder of" in m.name
    ]
    return over_underlyings(spread)


def further_scenario(fewer: Grown, more: Grown) -> float | None:
    """Gas of one more scenario for one position, from two rules of one code base that differ in their number
    of scenarios; it is theirs only as far as they differ in nothing else."""
    apart = more.scenarios - fewer.scenarios
    return (more.fit.each - fewer.fit.each) / apart if apart > 0 else None
