"""What a replay is asked and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from margincall.replay.book_index import Credits
from margincall.replay.candles import History
from margincall.replay.population import MODES, Leverage

LEVEL = 2
LEVELS = tuple(range(-50, 31, LEVEL))
"""Price levels of the liquidation map, percent of the price before the crash, and their distance."""


class Settings(NamedTuple):
    """accounts: traders a mode; gap: jump once a leg instead of walking; impact: basis points that a
    million USD of forced trades of perps moves its market's price; dials: whether anybody pokes the stress
    dials (if not, they rest at their calm values)."""

    accounts: int = 300
    seed: int = 1
    leverage: Leverage = Leverage(2, 25)
    modes: tuple[str, ...] = MODES
    gap: bool = False
    impact: float = 0.0
    dials: bool = True


@dataclass
class ModeResult:
    """What happened in one mode; money in 1e-6 USD. by_candle: liquidated notional of each candle;
    open_interest: the traders' gross notional at each candle's end; levels: notional that becomes
    liquidatable at each of LEVELS, before the crash."""

    liquidations: int = 0
    full: int = 0
    victims: set[int] = field(default_factory=set)
    notional: int = 0
    penalties: int = 0
    rewards: int = 0
    insurance_paid: int = 0
    socialised: int = 0
    start_money: int = 0
    trader_loss: int = 0
    trader_gain: int = 0
    emptied: int = 0
    open_interest_start: int = 0
    by_candle: list[int] = field(default_factory=list)
    open_interest: list[int] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)


class Moment(NamedTuple):
    """The portfolio population at a candle's end. rho, psi: of initial and of maintenance margin, 1 is 1;
    initial, maintenance: what the traders' requirements are made of, money."""

    rho_im: float
    psi_im: float
    rho_mm: float
    psi_mm: float
    initial: Credits
    maintenance: Credits


@dataclass
class DialsResult:
    """What the stress dials did. alone: liquidations of accounts that would not have been liquidatable at
    the calm dials; rho_max, psi_min: of initial margin at any price update, rho_mm_max, psi_mm_min: of
    maintenance margin; moments: one a candle; calm: the portfolio population of the same replay in which
    nobody poked the dials (None: not played)."""

    alone: int = 0
    rho_max: float = 0.0
    psi_min: float = 1.0
    rho_mm_max: float = 0.0
    psi_mm_min: float = 1.0
    moments: list[Moment] = field(default_factory=list)
    calm: ModeResult | None = None


@dataclass
class Result:
    """What a replay found. lag_seconds: the largest delay with which a candle's close was reached;
    lag_percent: how far outside the low and high of the candle of that moment the chain's price was then;
    conservation_error: largest |residual| of I-01 over all candles, token units; dials: None without a
    portfolio population."""

    settings: Settings
    history: History
    modes: dict[str, ModeResult]
    transactions: int = 0
    updates: int = 0
    seconds: float = 0.0
    conservation_error: int = 0
    sweeps: int = 0
    lag_seconds: int = 0
    lag_percent: float = 0.0
    before_crash: int = 0
    dials: DialsResult | None = None
