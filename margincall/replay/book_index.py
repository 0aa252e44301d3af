"""Which portfolio accounts may be liquidatable, and what their requirement is made of: the portfolio rule
for all accounts at once, in float64.

A bound, not a verdict, like `index`: whoever it names is checked by the exact twin and then by the chain.
An option too far from the price for its curve is not valued here; its account is named every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from margincall.model import State
from margincall.model.arithmetic import INDEX_SCALE, NOTIONAL_SCALE, PPM
from margincall.model.book import unpack
from margincall.model.curves import CODES_PER_STEP, tap_weights
from margincall.model.instrument import CONTRACT, MAX_CODE, WINDOW, log_code
from margincall.model.portfolio import (
    FADE,
    FIRST,
    FULL_WEIGHT,
    LAST,
    MARK,
    MOVE,
    NEAR,
    ONE,
    PRICES,
    SCENARIOS,
    VALUE,
    taps,
    weights,
)

# Money: losses of the contract's rule are rounded up by at most 11 an underlying, values by one a leg.
SLACK = 500.0
# The lanes' sums are exact in a float64; products with prices lose a few units of its last place.
RELATIVE = 1e-11
MOVES = np.array(PRICES, float) / MOVE


class Credits(NamedTuple):
    """Sums over accounts, money: standalone worsts, what diversification and hedging across underlyings take
    off them, and the requirement that is left (with the floor of options sold)."""

    standalone: float
    diversification: float
    hedging: float
    requirement: float


class _Part(NamedTuple):
    """One account's lanes: market column, curve, log code, contracts."""

    column: np.ndarray
    curve: np.ndarray
    code: np.ndarray
    size: np.ndarray


class _Nets(NamedTuple):
    """Per account and market (rows, markets): losses has a third axis of scenarios; money."""

    losses: np.ndarray
    equity: np.ndarray
    least: np.ndarray  # of maintenance margin: perps, forwards and options sold, whatever hedges them
    error: np.ndarray  # of the curves
    magnitude: np.ndarray
    unsure: np.ndarray

    def required(self, risk: np.ndarray, initial: bool) -> np.ndarray:
        return np.maximum(risk, self.least * (1.5 if initial else 1)) + self.error


class BookIndex:
    """`accounts` by row, all under portfolio margin. Arrays: sizes, entries, forwards, held, gross of
    shape (accounts, markets), cash and money (accounts,)."""

    def __init__(self, twin: State, markets: Sequence[int], accounts: Sequence[int]) -> None:
        self.twin = twin
        self.markets = list(markets)
        self.accounts = list(accounts)
        self._row = {account: row for row, account in enumerate(self.accounts)}
        self._column = {market: column for column, market in enumerate(self.markets)}
        self._curves: dict[tuple[int, int], int] = {}
        shape = (len(self.accounts), len(self.markets))
        self.sizes, self.entries, self.forwards = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.held, self.gross = np.zeros(shape), np.zeros(shape)
        self.cash, self.money = np.zeros(shape[0]), np.zeros(shape[0])
        self.expiries: list[set[int]] = [set()] * shape[0]
        self._parts: list[_Part] = [_part([])] * shape[0]
        self._lanes: tuple | None = None
        for account in self.accounts:
            self.refresh(account)

    def __contains__(self, account: int) -> bool:
        return account in self._row

    def refresh(self, account: int) -> None:
        """Read one account again from the twin."""
        row, twin = self._row[account], self.twin
        self.cash[row] = twin.cash.get(account, 0)
        for array in (self.sizes, self.entries, self.forwards, self.held, self.gross, self.money):
            array[row] = 0
        for market, size, entry in twin.positions.get(account, ()):
            column = self._column[market]
            self.sizes[row, column], self.entries[row, column] = size, entry
        lanes = []
        self.expiries[row] = {segment.expiry for segment in unpack(twin.books.get(account, ()))}
        for segment in unpack(twin.books.get(account, ())):
            column, counted = self._column[segment.market], segment.forward
            if segment.expiry:
                self.gross[row, column] += segment.gross * CONTRACT + abs(segment.futures)
                self.held[row, column] += abs(segment.forward) + segment.short * CONTRACT
                curve = self._curves.setdefault(segment.key, len(self._curves))
            else:
                self.gross[row, column] += counted
                counted = counted * (PPM - twin.options.terms[segment.market].haircut) // PPM
            self.forwards[row, column] += counted
            self.money[row] += segment.money
            lanes += [(column, curve, name & MAX_CODE, size) for name, size in segment.lanes]
        self._parts[row] = _part(lanes)
        self._lanes = None

    # ------------------------------------------------------------ who is unhealthy

    def candidates(self, now: int) -> list[int]:
        """Accounts that may be below maintenance at `now`, in row order."""
        health, magnitude, unsure = self._health(now, 1.0)
        near = unsure | (health < SLACK + RELATIVE * magnitude)
        return [self.accounts[row] for row in np.flatnonzero((magnitude > 0) & near)]

    def unhealthy(self, now: int) -> list[int]:
        """Accounts below maintenance at `now`, exactly, in row order."""
        found = []
        for account in self.candidates(now):
            equity, _, maintenance, _ = self.twin.margin(account, now)
            if equity < maintenance:
                found.append(account)
        return found

    def notional(self) -> np.ndarray:
        """Gross notional by account (perps, options, futures, spot at the marks), money."""
        marks = np.array([self.twin.markets[market].mark for market in self.markets], float)
        return (np.abs(self.sizes) + self.gross) @ marks / NOTIONAL_SCALE

    def below_at(self, now: int, factor: float) -> np.ndarray:
        """Which accounts would be below maintenance with all marks multiplied by `factor`, shape (accounts,);
        volatility and dials as they are. For maps and pictures: to float64's precision."""
        health, magnitude, _ = self._health(now, factor)
        return (magnitude > 0) & (health < 0)

    def credits(self, now: int, rows: np.ndarray, initial: bool = False) -> Credits:
        """What the requirement of the accounts of `rows` (a mask) is made of, MM or (`initial`) IM."""
        nets = self._nets(now, 1.0)
        rho, psi = self._dials(now)[0 if initial else 1]
        alone, joint, apart = _worsts(self._weighted(nets.losses, initial), rho)
        needed = nets.required(psi * joint + (1 - psi) * apart, initial)
        return Credits(
            alone[rows].sum(),
            (alone - apart)[rows].sum(),
            (psi * (apart - joint))[rows].sum(),
            needed[rows].sum(),
        )

    def _health(self, now: int, factor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        nets = self._nets(now, factor)
        rho, psi = self._dials(now)[1]
        _, joint, apart = _worsts(self._weighted(nets.losses, False), rho)
        needed = nets.required(psi * joint + (1 - psi) * apart, False)
        settling = [any(0 <= expiry - now <= WINDOW for expiry in held) for held in self.expiries]
        return nets.equity - needed, nets.magnitude, nets.unsure | settling

    def _dials(self, now: int) -> tuple[tuple[float, float], tuple[float, float]]:
        dials = self.twin.options.dials.read(now)
        return (dials.rho_im / ONE, dials.psi_im / ONE), (dials.rho_mm / ONE, dials.psi_mm / ONE)

    def _weighted(self, losses: np.ndarray, initial: bool) -> np.ndarray:
        terms = [self.twin.options.terms[market] for market in self.markets]
        extents = [weights(t.range_im if initial else t.range_mm) for t in terms]
        return losses * (np.array(extents, float) / FULL_WEIGHT)[None]

    # ------------------------------------------------------------ nets

    def _nets(self, now: int, factor: float) -> _Nets:
        twin, shape = self.twin, self.sizes.shape
        quotes = [twin.markets[market].quote(now, twin.max_age) for market in self.markets]
        marks = [max(round(quote[0] * factor), 1) for quote in quotes]
        values, err, fading, unsure = self._options(marks)
        price = np.array(marks, float) / NOTIONAL_SCALE
        linear = self.sizes + self.forwards
        options, error = values * (CONTRACT / VALUE), err * (CONTRACT / VALUE)
        at = options + linear[:, :, None]
        charged = at - error[:, :, None]
        losses = (charged[:, :, MARK, None] - charged * MOVES) * price[None, :, None]
        equity = self.cash - self.money
        for column, quote in enumerate(quotes):
            moved = (marks[column] - quote[0]) * (INDEX_SCALE // NOTIONAL_SCALE)
            size = self.sizes[:, column]
            adjusted = np.where(size > 0, quote[1] + moved, quote[2] + moved)
            equity = equity + size * adjusted / INDEX_SCALE - self.entries[:, column]
        hidden = fading * (CONTRACT / VALUE)
        equity += ((options[:, :, MARK] + hidden + self.forwards) * price).sum(axis=1)
        rates = np.array([twin.options.terms[market].floor_rate for market in self.markets], float)
        least = ((np.abs(self.sizes) + self.held) * (price * rates / PPM)).sum(axis=1)
        held = ((np.abs(self.sizes) + np.abs(self.forwards) + self.gross) * price).sum(axis=1)
        magnitude = np.where(
            held > 0, held + np.abs(self.cash) + np.abs(self.money) + np.abs(self.entries).sum(axis=1), 0
        )
        assert losses.shape == (*shape, len(SCENARIOS))
        return _Nets(losses, equity, least, ((error + hidden) * price).sum(axis=1), magnitude, unsure)

    def _options(self, marks: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(values by account, market and scenario; their error bounds; what no scenario sees of calls bought;
        accounts that this cannot value)."""
        shape = self.sizes.shape
        values = np.zeros((shape[0] * shape[1], len(SCENARIOS)))
        err, fading = np.zeros(shape[0] * shape[1]), np.zeros(shape[0] * shape[1])
        unsure = np.zeros(shape[0], bool)
        cells, starts, row, column, curve, code, size = self._joined()
        if not len(size):
            return values.reshape(*shape, -1), err.reshape(shape), fading.reshape(shape), unsure
        spots = np.array([log_code(mark) for mark in marks])
        place = spots[column] - code + 2 + 191 * CODES_PER_STEP // 2
        tap, f = place >> 14, (place >> 2) & 4095
        far = (tap < FIRST) & (size > 0)  # bought: fades to nothing (`portfolio.kept_of`)
        end = (LAST + 1 - NEAR) << 14
        unsure[row[((tap < FIRST) & ~far) | (tap > LAST) | ((place > end) & (size > 0))]] = True
        kept = np.where(far, size * np.maximum(FADE - ((FIRST << 14) - place), 0) // FADE, size)
        beyond = np.maximum(((FIRST + NEAR) << 14) - place, 0)  # `portfolio.beyond_of`
        seen = np.where(size > 0, size * np.maximum(FADE - beyond, 0) // FADE, size)
        f = np.where(far, 0, f)
        inside = np.clip(tap, FIRST, LAST) - FIRST
        table, errors = self._tables()
        lanes = sum(table[curve, inside + i] * weight[:, None] for i, weight in enumerate(tap_weights(f)))
        values[cells] = np.add.reduceat(lanes * seen[:, None], starts)
        fading[cells] = np.add.reduceat(lanes[:, MARK] * (kept - seen), starts)
        err[cells] = np.add.reduceat(np.abs(seen) * errors[curve], starts)
        return values.reshape(*shape, -1), err.reshape(shape), fading.reshape(shape), unsure

    def _tables(self) -> tuple[np.ndarray, np.ndarray]:
        held = self.twin.options.curves
        blobs = tuple(held[key].blob if key in held else b"" for key in self._curves)
        errors = np.array([held[key].err if key in held else 0 for key in self._curves], float)
        return _stacked(blobs), errors

    def _joined(self) -> tuple:
        """All lanes, sorted by account and market: where each cell of both begins, then the lanes."""
        if self._lanes is None:
            rows = np.repeat(np.arange(len(self._parts)), [len(part.size) for part in self._parts])
            parts = [np.concatenate(arrays) for arrays in zip(*self._parts, strict=True)]
            key = rows * len(self.markets) + parts[0]
            cells, starts = np.unique(key, return_index=True)
            self._lanes = (cells, starts, rows, *parts)
        return self._lanes


class Indexes:
    """Several indexes as one: rows in the order of the indexes."""

    def __init__(self, *indexes) -> None:
        self.indexes = [index for index in indexes if index.accounts]
        self._home = {account: index for index in self.indexes for account in index.accounts}

    def refresh(self, account: int) -> None:
        """Read one account again from the twin."""
        self._home[account].refresh(account)

    def candidates(self, now: int) -> list[int]:
        """Accounts that may be below maintenance at `now`, in row order."""
        return [account for index in self.indexes for account in index.candidates(now)]

    def unhealthy(self, now: int) -> list[int]:
        """Accounts below maintenance at `now`, exactly, in row order."""
        return [account for index in self.indexes for account in index.unhealthy(now)]

    def notional(self) -> np.ndarray:
        """Gross notional by account, money, shape (accounts,)."""
        return np.concatenate([index.notional() for index in self.indexes])

    def below_at(self, now: int, factor: float) -> np.ndarray:
        """Which accounts would be below maintenance with all marks multiplied by `factor`."""
        return np.concatenate([index.below_at(now, factor) for index in self.indexes])


def _part(lanes: Sequence[tuple[int, int, int, int]]) -> _Part:
    return _Part(*np.array(lanes, np.int64).reshape(-1, 4).T)


def _worsts(table: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(sum of standalone worsts, worst together, worst apart) by account; `table` (accounts, markets,
    scenarios) of weighted losses."""
    largest = np.maximum(table, 0).max(axis=1)
    joint = np.maximum((rho * table.sum(axis=1) + (1 - rho) * largest).max(axis=1), 0)
    alone = np.maximum(table.max(axis=2), 0)
    return alone.sum(axis=1), joint, rho * alone.sum(axis=1) + (1 - rho) * alone.max(axis=1)


@lru_cache(maxsize=4)
def _stacked(blobs: tuple[bytes, ...]) -> np.ndarray:
    return np.array([_table(blob) for blob in blobs], np.float64)


@lru_cache(maxsize=64)
def _table(blob: bytes) -> np.ndarray:
    if not blob:
        return np.zeros((LAST - FIRST + 3, len(SCENARIOS)))
    return np.array(taps(blob), np.float64)
