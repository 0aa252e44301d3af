"""Smiles of a real option chain, fitted to the shape that the surface stores.

    for smile in chain_smiles():
        print(smile.expiry, smile.atm, smile.skew, smile.curvature, smile.rms_price)

The shape, sigma(x) = atm * clamp(1 + skew*x + curvature*x**2, 0.4, 3), is a parabola in x = ln(F/K). A
parabola that fits the quoted strikes of a short expiry promises absurd prices further out, and the surface
refuses those. So two fits are given: the free one, and the one with the largest curvature that is accepted.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from margincall.data import OPTIONS
from margincall.model.arithmetic import PPM, Refused
from margincall.model.surface import MAX_CURVATURE, YEAR, VolReport, check_smile

COLUMNS = (
    "snapshot_utc",
    "option_type",
    "strike",
    "expiry",
    "underlying_price_usd",
    "mark_price_eth",
)
TICK = 0.0005  # of the underlying: Deribit's price step; marks below it say nothing about volatility
MIN_STRIKES = 4


class Quote(NamedTuple):
    """An out-of-the-money option of the chain.

    term: seconds to expiry; x = ln(F/K); price: mark, in units of the underlying; vol: per year, from it.
    """

    expiry: int
    term: int
    x: float
    call: bool
    price: float
    vol: float


class FittedSmile(NamedTuple):
    """A smile in the surface's units (ppm), accepted by its checks, and what the fit costs.

    expiry: unix seconds; term: seconds from the snapshot to it; options: how many were fitted; rms_vol (per
    year) and rms_price (units of the underlying): root of the mean square of model less market.
    free: (atm, skew, curvature) of the fit without the checks, its rms_vol and rms_price, and the reason why
    the surface refuses it ("" if it does not).
    """

    expiry: int
    term: int
    options: int
    atm: int
    skew: int
    curvature: int
    rms_vol: float
    rms_price: float
    free: tuple[int, int, int]
    free_rms_vol: float
    free_rms_price: float
    free_refusal: str

    def report(self, market: int, published: int, expiry: int | None = None) -> VolReport:
        """This smile as a report of `market`, for its own expiry or another one."""
        return VolReport(market, expiry or self.expiry, self.atm, self.skew, self.curvature, published)


def black_price(x: float, deviation: float, call: bool) -> float:
    """Undiscounted Black-76 price in units of the forward; x = ln(F/K), deviation = sigma * sqrt(T)."""
    d1 = x / deviation + deviation / 2
    sign = 1 if call else -1
    return sign * (_normal(sign * d1) - math.exp(-x) * _normal(sign * (d1 - deviation)))


def implied_vol(x: float, term: int, price: float, call: bool) -> float:
    """The volatility per year at which Black-76 gives `price` (units of the forward), by bisection.

    Raises ValueError when no volatility up to 1,000 % does.
    """
    low, high = 1e-6, 10 * math.sqrt(term / YEAR)
    if not black_price(x, low, call) < price < black_price(x, high, call):
        raise ValueError(f"price {price} at ln(F/K) = {x:.4f}: no volatility up to 1,000 % gives it")
    for _ in range(60):
        middle = (low + high) / 2
        if black_price(x, middle, call) < price:
            low = middle
        else:
            high = middle
    return low / math.sqrt(term / YEAR)


def read_chain(path: Path = OPTIONS) -> list[Quote]:
    """The out-of-the-money options of a chain file whose marks are at least a tick, marks inverted.

    Columns as of the shipped file (margincall/data/README.md). Raises ValueError with the line that is bad.
    """
    quotes = []
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        if missing := set(COLUMNS) - set(rows.fieldnames or ()):
            raise ValueError(f"{path.name}: no column {', '.join(sorted(missing))}")
        for row in rows:
            try:
                quote = _quote(row)
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path.name} line {rows.line_num}: {error}") from None
            if quote:
                quotes.append(quote)
    return quotes


def fit(quotes: Iterable[Quote]) -> FittedSmile:
    """Fit one expiry's quotes by least squares of price errors (volatility errors times vega).

    Raises ValueError when there are fewer than four quotes.
    """
    quotes = list(quotes)
    if len(quotes) < MIN_STRIKES:
        raise ValueError(f"{len(quotes)} quotes of an expiry; a smile needs at least {MIN_STRIKES}")
    term = quotes[0].term
    x = np.array([quote.x for quote in quotes])
    vols = np.array([quote.vol for quote in quotes])
    deviation = vols * math.sqrt(term / YEAR)
    vega = np.exp(-((x / deviation + deviation / 2) ** 2) / 2)
    free = _free_fit(x, vols, vega)
    refusal = _refusal(free, term)
    smile = _accepted_fit(x, vols, vega, term, free) if refusal else free
    return FittedSmile(
        quotes[0].expiry,
        term,
        len(quotes),
        *smile,
        *_errors(smile, quotes),
        free,
        *_errors(free, quotes),
        refusal,
    )


def chain_smiles(path: Path = OPTIONS) -> list[FittedSmile]:
    """The fitted smiles of a chain, one an expiry, ascending."""
    expiries: dict[int, list[Quote]] = {}
    for quote in read_chain(path):
        expiries.setdefault(quote.expiry, []).append(quote)
    return [fit(expiries[expiry]) for expiry in sorted(expiries)]


def flattened(atm: int, skew: int, curvature: int, remaining: int) -> tuple[int, int, int]:
    """The smile with the largest share, in thousandths, of its skew and curvature that the surface accepts.

    A smile that was accepted may not be at a higher level (in a crash, say): publishers flatten it. ppm.
    """
    for share in range(1_000, 0, -1):
        smile = atm, skew * share // 1_000, curvature * share // 1_000
        if not _refusal(smile, remaining):
            return smile
    return atm, 0, 0


def smile_vol(smile: tuple[int, int, int], x: float) -> float:
    """sigma(x) per year of (atm, skew, curvature) in ppm."""
    atm, skew, curvature = (part / PPM for part in smile)
    return atm * min(max(1 + skew * x + curvature * x * x, 0.4), 3.0)


def _quote(row: dict[str, str]) -> Quote | None:
    now = datetime.strptime(row["snapshot_utc"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    expiry = datetime.strptime(row["expiry"], "%d%b%y").replace(hour=8, tzinfo=UTC)
    forward, strike = float(row["underlying_price_usd"]), float(row["strike"])
    price, call = float(row["mark_price_eth"]), row["option_type"] == "C"
    if price < TICK or call != (strike >= forward):
        return None
    term, x = int((expiry - now).total_seconds()), math.log(forward / strike)
    return Quote(int(expiry.timestamp()), term, x, call, price, implied_vol(x, term, price, call))


def _normal(z: float) -> float:
    return math.erfc(-z / math.sqrt(2)) / 2


def _free_fit(x, vols, vega) -> tuple[int, int, int]:
    powers = np.stack([np.ones_like(x), x, x * x], axis=1)
    level, slope, bend = np.linalg.lstsq(powers * vega[:, None], vols * vega, rcond=None)[0]
    if bend < 0:
        return _fit_at(x, vols, vega, 0)
    return round(level * PPM), round(slope / level * PPM), round(bend / level * PPM)


def _fit_at(x, vols, vega, curvature: int) -> tuple[int, int, int]:
    """The best level and skew at a given curvature (ppm): sigma = atm * (1 + c*x**2) + (atm*skew) * x."""
    powers = np.stack([1 + curvature / PPM * x * x, x], axis=1)
    level, slope = np.linalg.lstsq(powers * vega[:, None], vols * vega, rcond=None)[0]
    return round(level * PPM), round(slope / level * PPM), curvature


def _accepted_fit(x, vols, vega, term: int, free: tuple[int, int, int]) -> tuple[int, int, int]:
    """The fit of the largest curvature below the free one's that the surface accepts."""
    low, high = 0, min(free[2], MAX_CURVATURE)
    smile = _fit_at(x, vols, vega, low)
    if reason := _refusal(smile, term):
        raise ValueError(f"no curvature makes the smile at {term} s acceptable: {reason}")
    while high - low > 1:
        middle = (low + high) // 2
        candidate = _fit_at(x, vols, vega, middle)
        if _refusal(candidate, term):
            high = middle
        else:
            low, smile = middle, candidate
    return smile


def _refusal(smile: tuple[int, int, int], term: int) -> str:
    try:
        check_smile(*smile, term)
    except Refused as refused:
        return refused.reason
    return ""


def _errors(smile: tuple[int, int, int], quotes: list[Quote]) -> tuple[float, float]:
    vols = [smile_vol(smile, quote.x) for quote in quotes]
    prices = [
        black_price(quote.x, vol * math.sqrt(quote.term / YEAR), quote.call)
        for vol, quote in zip(vols, quotes, strict=True)
    ]
    return (
        math.sqrt(sum((vol - q.vol) ** 2 for vol, q in zip(vols, quotes, strict=True)) / len(quotes)),
        math.sqrt(sum((p - q.price) ** 2 for p, q in zip(prices, quotes, strict=True)) / len(quotes)),
    )
