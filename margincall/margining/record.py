"""A report as one record for programs: amounts in USD, sizes and deltas in coins, keys that stay."""

from __future__ import annotations

from typing import Any

from margincall.margining.analysis import KINDS, Figures, Position, Report, Underlying, unit_value
from margincall.margining.case import Case
from margincall.model.arithmetic import PPM
from margincall.model.instrument import FUTURE, Instrument
from margincall.model.portfolio import FULL_WEIGHT, ONE, SCENARIOS
from margincall.protocol.config import USD
from margincall.replay.candles import moment


def record(report: Report) -> dict[str, Any]:
    """What `margincall margin --json` prints. `modes` and `frees` hold the chosen modes, all else is of the
    portfolio rule; `exact` is there when it was asked for."""
    case = report.case
    found: dict[str, Any] = {
        "name": case.name,
        "about": case.about,
        "now": moment(case.now).replace(" ", "T") + "Z",
        "cash": case.cash / USD,
        "prices": {m.symbol: m.usd(case.risk.prices[m.id]) for m in case.underlyings},
        "smiles": [_smile(case, *key) for key in case.smiles],
        "modes": {mode: _figures(figures) for mode, figures in report.modes.items()},
        "requirements": {kind: _requirement(report, kind) for kind in KINDS},
        "underlyings": [_underlying(case, one) for one in report.underlyings],
        "positions": [_position(report, position) for position in report.positions],
        "driver": report.driver.name if report.driver else None,
    }
    if report.exact:
        names = ("equity", "initial", "maintenance", "option_notional")
        found["exact"] = {name: amount / USD for name, amount in zip(names, report.exact, strict=True)}
    return found


def _smile(case: Case, market: int, expiry: int) -> dict[str, Any]:
    smile = case.smiles[market, expiry]
    return {
        "expiry": Instrument(market, FUTURE, expiry).name(case.spec.markets),
        "level": smile.atm / PPM,
        "skew": smile.skew / PPM,
        "curvature": smile.curvature / PPM,
        "source": smile.source,
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "equity": figures.equity / USD,
        "initial": figures.initial / USD,
        "maintenance": figures.maintenance / USD,
        "free": figures.free / USD,
        "above_maintenance": figures.room / USD,
        "notional": figures.notional / USD,
        "leverage": figures.leverage,
        "maintenance_share": figures.usage,
    }


def _requirement(report: Report, kind: str) -> dict[str, Any]:
    requirement = getattr(report.explained, kind)
    symbols = {one.market: one.symbol for one in report.underlyings}
    return {
        "amount": requirement.amount / USD,
        "rho": requirement.rho / ONE,
        "psi": requirement.psi / ONE,
        "synchronised": requirement.synchronised / USD,
        "synchronised_scenario": requirement.worst,
        "standalone": requirement.alone / USD,
        "floor": requirement.floor / USD,
        "error": requirement.error / USD,
        "by_underlying": {symbols[m]: share / USD for m, share in requirement.contributions.items()},
        "savings": {name: amount / USD for name, amount in report.savings[kind]._asdict().items()},
    }


def _underlying(case: Case, one: Underlying) -> dict[str, Any]:
    terms = case.risk.terms[one.market]
    scenarios = [
        {
            "move_percent": round(scenario.percent, 6),
            "vol": scenario.vol,
            "pnl": -loss / USD,
            "weight_mm": scenario.weight(terms.range_mm) / FULL_WEIGHT,
            "weight_im": scenario.weight(terms.range_im) / FULL_WEIGHT,
        }
        for scenario, loss in zip(SCENARIOS, one.losses, strict=True)
    ]
    return {
        "symbol": one.symbol,
        "price": _spec(case, one.market).usd(one.price),
        "value": one.value / USD,
        "delta": one.delta,
        "mm": {"standalone": one.mm / USD, "worst_scenario": one.worst_mm},
        "im": {"standalone": one.im / USD, "worst_scenario": one.worst_im},
        "scenarios": scenarios,
    }


def _position(report: Report, position: Position) -> dict[str, Any]:
    market = position.holding.instrument.market
    return {
        "instrument": position.name,
        "size": _spec(report.case, market).coins(position.holding.lots),
        "mark": unit_value(report.case, position),
        "value": position.value / USD,
        "delta": position.delta,
        "profit": None if position.profit is None else position.profit / USD,
        "share_mm": position.mm / USD,
        "share_im": position.im / USD,
        "frees": {
            mode: {kind: amount / USD for kind, amount in zip(KINDS, position.frees[mode], strict=True)}
            for mode in report.modes
        },
    }


def _spec(case: Case, market: int):
    return next(m for m in case.spec.markets if m.id == market)
