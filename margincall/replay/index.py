"""Which accounts may be liquidatable: equity less maintenance of all of them at once, in float64.

A bound, not a verdict: its slack is larger than every rounding in it, so that no account below
maintenance is missed; whoever it names is checked by the exact twin and then by the chain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from margincall.model import State
from margincall.model.arithmetic import INDEX_PER_PRICE, INDEX_SCALE, NOTIONAL_SCALE, RATE_SCALE

# Every leg rounds its value and its requirement by a unit, its deduction by one a tier.
SLACK = 64.0
# A float64 carries 53 bits; a sum of a few products loses a few units of its last place.
RELATIVE = 1e-13


class HealthIndex:
    """`accounts` by row; sizes, entries: float64 arrays of shape (accounts, markets); cash: (accounts,)."""

    def __init__(self, twin: State, markets: Sequence[int], accounts: Sequence[int]) -> None:
        self.twin = twin
        self.markets = list(markets)
        self.accounts = list(accounts)
        self._row = {account: row for row, account in enumerate(self.accounts)}
        self._column = {market: column for column, market in enumerate(self.markets)}
        shape = (len(self.accounts), len(self.markets))
        self.sizes, self.entries, self.cash = np.zeros(shape), np.zeros(shape), np.zeros(shape[0])
        for account in self.accounts:
            self.refresh(account)

    def refresh(self, account: int) -> None:
        """Read one account again from the twin."""
        row = self._row[account]
        self.cash[row] = self.twin.cash.get(account, 0)
        self.sizes[row] = self.entries[row] = 0
        for market, size, entry in self.twin.positions.get(account, ()):
            column = self._column[market]
            self.sizes[row, column], self.entries[row, column] = size, entry

    def candidates(self, now: int) -> list[int]:
        """Accounts that may be below maintenance at `now`, in row order."""
        health, magnitude = self._health(now, 1.0)
        held = magnitude > 0
        return [self.accounts[row] for row in np.flatnonzero(held & (health < SLACK + RELATIVE * magnitude))]

    def unhealthy(self, now: int) -> list[int]:
        """Accounts below maintenance at `now`, exactly, in row order."""
        found = []
        for account in self.candidates(now):
            equity, _, maintenance, _ = self.twin.margin(account, now)
            if equity < maintenance:
                found.append(account)
        return found

    def notional(self) -> np.ndarray:
        """Gross notional by account, money, shape (accounts,)."""
        marks = np.array([self.twin.markets[market].mark for market in self.markets], float)
        return np.abs(self.sizes) @ marks / NOTIONAL_SCALE

    def below_at(self, now: int, factor: float) -> np.ndarray:
        """Which accounts would be below maintenance with all marks multiplied by `factor`, shape (accounts,).

        For maps and pictures: to float64's precision."""
        health, magnitude = self._health(now, factor)
        return (magnitude > 0) & (health < 0)

    def _health(self, now: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
        health, magnitude = self.cash.copy(), np.zeros(len(self.accounts))
        for column, market_id in enumerate(self.markets):
            market = self.twin.markets[market_id]
            mark, longs, shorts, _ = market.quote(now, self.twin.max_age)
            moved = mark * INDEX_PER_PRICE * (factor - 1)
            size, entry = self.sizes[:, column], self.entries[:, column]
            adjusted = np.where(size > 0, longs + moved, shorts + moved)
            value = size * adjusted / INDEX_SCALE
            raw = np.abs(size) * (mark * factor)
            required = np.zeros(len(self.accounts))
            # Continuous and convex in the notional: the tier in force is the one that asks most.
            for bracket in market.brackets:
                np.maximum(required, raw * (bracket.mmf / RATE_SCALE) - bracket.mm_deduction, out=required)
            health += value - entry - required
            magnitude += np.abs(value) + np.abs(entry) + required
        held = magnitude > 0
        magnitude += np.where(held, np.abs(self.cash), 0)
        return health, magnitude
