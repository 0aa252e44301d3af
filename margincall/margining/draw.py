"""One picture of an account: its value across the prices of each underlying, and what it must hold."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from margincall.margining.analysis import CROSS, PORTFOLIO, Report, Underlying
from margincall.margining.profile import Profile, profile, weight
from margincall.margining.tables import price_text, usd
from margincall.model.portfolio import SCENARIOS
from margincall.protocol.config import USD

LINES = {"mark": ("#222222", "vol mark"), "up": ("#d1495b", "vol up"), "down": ("#edae49", "vol down")}
MODE_COLOURS = {CROSS: "#00798c", PORTFOLIO: "#7a4fbf"}
TICKS = (-8, -6, -4, -2, 0, 2, 4, 6)  # steps of 0.05 in the log


def draw(report: Report, path: Path) -> None:
    """Write the PNG: a panel for each underlying. Raises OSError or ValueError when it cannot be written."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "font.size": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 12.5,
            "axes.titleweight": "bold",
            "axes.grid": True,
            "grid.color": "#e8e8e8",
            "axes.axisbelow": True,
            "legend.frameon": False,
        }
    )
    count = len(report.underlyings)
    columns = min(count, 2)
    rows = -(-count // columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(11 if columns == 1 else 17, 1 + 6.2 * rows),
        layout="constrained",
        squeeze=False,
    )
    for axes, one in zip(grid.flat, report.underlyings, strict=False):
        _panel(axes, report, one)
    for axes in list(grid.flat)[count:]:
        axes.set_visible(False)
    figure.suptitle(_headline(report), x=0.01, ha="left", fontsize=13)
    named = {}
    for axes in grid.flat:
        named |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(named.values(), named.keys(), loc="outside lower left", ncols=len(named))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _headline(report: Report) -> str:
    modes = [
        f"{mode} {usd(figures.initial)} / {usd(figures.maintenance)}"
        for mode, figures in report.modes.items()
    ]
    equity = next(iter(report.modes.values())).equity
    return (
        f"{report.case.name}: equity {usd(equity)} USD; initial / maintenance margin {', '.join(modes)} USD"
    )


def _panel(axes, report: Report, one: Underlying) -> None:
    """The value now and under the shocks of volatility, what counts of the tails, the worst point."""
    found = profile(report.case, one.market)
    equity = next(iter(report.modes.values())).equity / USD
    spot = _spec(report, one).usd(one.price)
    prices = spot * found.factors
    drawn = LINES if found.has_options else {"mark": LINES["mark"]}
    values = {vol: equity + found.change[vol] / USD for vol in drawn}
    for vol, (colour, label) in drawn.items():
        axes.plot(
            prices,
            values[vol],
            color=colour,
            lw=2.4 if vol == "mark" else 1.8,
            label=label,
            zorder=4 if vol == "mark" else 3,
        )
    _tails(axes, report, one, found, equity, spot)
    axes.axvline(spot, color="#999999", lw=1, ls=":", zorder=1)
    _limits(axes, report, prices, list(values.values()))
    _levels(axes, report)
    _worst(axes, report, one, found, equity, spot, (prices, values))
    _ticks(axes, one, spot)
    axes.annotate(
        f"now {price_text(spot)}",
        (spot, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, -2),
        textcoords="offset points",
        va="top",
        color="#666666",
    )
    others = ", other prices unmoved" if len(report.underlyings) > 1 else ""
    axes.set_title(f"Value of the account over the price of {one.symbol}{others}, USD")


def _spec(report: Report, one: Underlying):
    return next(m for m in report.case.spec.markets if m.id == one.market)


def _tails(axes, report: Report, one: Underlying, found: Profile, equity: float, spot: float) -> None:
    """Grey where a loss counts in part only, darker the part of it that does not."""
    extent = report.case.risk.terms[one.market].range_im
    change = found.change["mark"] / USD
    counted = np.where(change < 0, change * weight(found.factors, extent), change)
    prices = spot * found.factors
    axes.fill_between(
        prices,
        equity + change,
        equity + counted,
        where=counted > change,
        color="#222222",
        alpha=0.13,
        lw=0,
        label="loss that does not count",
    )
    edge = np.exp(extent / 320)
    for side in ((prices[0], spot / edge), (spot * edge, prices[-1])):
        axes.axvspan(*side, color="#f3f3f3", zorder=0, lw=0)


def _limits(axes, report: Report, prices, lines) -> None:
    levels = [amount / USD for f in report.modes.values() for amount in (f.initial, f.maintenance)]
    values = np.concatenate([*lines, levels])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = max(high - low, abs(high) * 1e-3, 1.0)
    axes.set_ylim(low - 0.12 * room, high + 0.12 * room)
    axes.set_xlim(prices[0], prices[-1])


def _worst(axes, report: Report, one: Underlying, found: Profile, equity: float, spot: float, lines) -> None:
    """The scenario that decides initial margin of this underlying, and the loss that counts there."""
    if not one.im:
        return
    scenario = SCENARIOS[one.worst_im]
    loss, share = one.losses[one.worst_im], one.im / one.losses[one.worst_im]
    price, value = spot * (1 + scenario.percent / 100), equity + found.at(one.worst_im) / USD
    axes.plot([price], [value], "o", ms=9, color="#d1495b", mec="white", mew=1.5, zorder=5, clip_on=False)
    part = f", {share:.0%} counts: {usd(-one.im)}" if share < 0.999 else ""
    axes.annotate(
        f"worst: {scenario.name}\n{usd(-loss)} USD{part}",
        (price, value),
        xytext=_free_place(axes, price, value, lines, 0.2 if len(report.underlyings) == 1 else 0.3),
        textcoords="axes fraction",
        ha="center",
        va="center",
        fontweight="bold",
        color="#b23447",
        arrowprops={"arrowstyle": "-", "color": "#b23447", "lw": 1},
        bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": "none", "alpha": 0.7},
        zorder=6,
    )


def _free_place(axes, price: float, value: float, lines, half_width: float) -> tuple[float, float]:
    """The middle of a label, in shares of the panel: as near as can be to a point without touching lines."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()

    def at(x, y) -> np.ndarray:
        return np.stack([(np.asarray(x) - left) / (right - left), (np.asarray(y) - low) / (high - low)], -1)

    prices, values = lines
    level_lines = [line.get_ydata()[0] for line in axes.lines if len(line.get_ydata()) == 2]
    span = np.linspace(left, right, 60)
    taken = [at(prices, line) for line in values.values()]
    taken += [at(span, np.full(60, y)) for y in level_lines if y not in (0, 1)]
    points = np.concatenate(taken)
    points = points[~np.isnan(points).any(axis=1)]
    point = at(price, value)
    best, cost = (0.5, 0.5), np.inf
    for x in np.arange(half_width + 0.02, 0.99 - half_width, 0.03):
        for y in np.arange(0.06, 0.90, 0.03):
            far = np.abs(points - (x, y)) / (half_width + 0.01, 0.055)
            touching = np.count_nonzero((far < 1).all(axis=1))
            found = 100 * touching + np.hypot(x - point[0], y - point[1])
            if found < cost:
                best, cost = (float(x), float(y)), found
    return best


def _levels(axes, report: Report) -> None:
    """What each mode requires today, as levels that the value must stay above."""
    levels = []
    for mode, figures in report.modes.items():
        for name, amount, style in (
            ("initial", figures.initial, "--"),
            ("maintenance", figures.maintenance, "-."),
        ):
            axes.axhline(amount / USD, color=MODE_COLOURS[mode], lw=1.3, ls=style, zorder=2)
            levels.append((amount / USD, f"{mode} {name} {usd(amount)}", MODE_COLOURS[mode]))
    low, high = axes.get_ylim()
    levels.sort()
    places = _apart([level for level, _, _ in levels], (high - low) * 0.042)
    for place, (_, text, colour) in zip(places, levels, strict=True):
        axes.annotate(
            text,
            (1.015, place),
            xycoords=("axes fraction", "data"),
            va="center",
            color=colour,
            fontsize=10,
            annotation_clip=False,
        )
    if low < 0 < high:
        axes.axhline(0, color="#222222", lw=0.8)


def _apart(places: list[float], gap: float) -> list[float]:
    """Ascending places moved as little as it takes to be `gap` apart."""
    places = list(places)
    for _ in range(200):
        for i, (lower, upper) in enumerate(pairwise(places)):
            push = (gap - (upper - lower)) / 2
            if push > 0:
                places[i], places[i + 1] = places[i] - push, places[i + 1] + push
    return places


def _ticks(axes, one: Underlying, spot: float) -> None:
    moves = [np.exp(0.05 * steps) for steps in TICKS]
    labels = [
        price_text(spot * move) + (f"\n{(move - 1) * 100:+.0f} %" if move != 1 else "") for move in moves
    ]
    axes.set_xticks([spot * move for move in moves], labels)
    axes.set_xlabel(f"price of {one.symbol}, USD (grey: beyond the range of initial margin)")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
