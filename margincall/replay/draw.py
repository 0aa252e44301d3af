"""One picture of a replay: the same prices, and what they did to each mode."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

from margincall.protocol.config import USD
from margincall.replay.candles import moment
from margincall.replay.result import LEVEL, LEVELS, Result

COLOURS = {"isolated": "#d1495b", "cross": "#00798c", "portfolio": "#7a4fbf"}
GREYS = ("#222222", "#777777", "#b5b5b5", "#d8d8d8")
MILLION = 1_000_000 * USD


def draw(result: Result, path: Path) -> None:
    """Write the PNG: prices and liquidated notional over time, and the map of liquidatable notional by
    price level and mode from before the crash."""
    plt = styled()
    figure = plt.figure(figsize=(14, 9), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.15, 1), hspace=0.06, wspace=0.06)
    over_time = figure.add_subplot(grid[0, 0])
    volume = figure.add_subplot(grid[1, 0], sharex=over_time)
    levels = figure.add_subplot(grid[:, 1])
    times = [datetime.fromtimestamp(time, UTC) for time in result.history.times]
    _prices(over_time, result, times)
    _volume(volume, result, times)
    _levels(levels, result)
    figure.suptitle(_headline(result), x=0.01, ha="left", fontsize=13)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def styled():
    """pyplot, drawing into files, in the style of this package's pictures."""
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
    return plt


def _headline(result: Result) -> str:
    parts = [
        f"{mode} {found.notional / MILLION:,.1f} ({found.emptied:,})" for mode, found in result.modes.items()
    ]
    count = f"{result.settings.accounts:,} traders a mode"
    return f"{count}.  Liquidated, million USD (and emptied accounts):  " + "   |   ".join(parts)


def _prices(axes, result: Result, times: list[datetime]) -> None:
    for market, grey in zip(result.history.markets, GREYS, strict=False):
        candles = result.history.candles[market.id]
        base = candles[0].open / 100
        axes.fill_between(
            times,
            [c.low / base for c in candles],
            [c.high / base for c in candles],
            color=grey,
            alpha=0.35,
            lw=0,
        )
        axes.plot(times, [c.close / base for c in candles], color=grey, lw=1.5, label=market.symbol)
    axes.set_title("Prices (first open = 100, lows and highs shaded)")
    axes.legend(loc="lower right", ncols=len(result.history.markets))
    axes.tick_params(labelbottom=False)
    axes.axvline(times[result.before_crash], color="#999999", lw=1, ls=":")


def _volume(axes, result: Result, times: list[datetime]) -> None:
    for mode, found in result.modes.items():
        total = [amount / MILLION for amount in accumulate(found.by_candle)]
        axes.step(times, total, where="post", color=COLOURS[mode], lw=2.2, label=mode)
        axes.annotate(
            f"{total[-1]:,.1f}",
            (times[-1], total[-1]),
            xytext=(4, 0),
            textcoords="offset points",
            color=COLOURS[mode],
            va="center",
            fontweight="bold",
            annotation_clip=False,
        )
    axes.set_title("Liquidated notional since the start, million USD")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")
    axes.axvline(times[result.before_crash], color="#999999", lw=1, ls=":")
    import matplotlib.dates as dates

    if (times[-1] - times[0]).days >= 2:
        axes.xaxis.set_major_locator(dates.DayLocator(interval=max((times[-1] - times[0]).days // 6, 1)))
        axes.xaxis.set_minor_locator(dates.AutoDateLocator(minticks=10, maxticks=40))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%d %b\n%H:%M"))


def _levels(axes, result: Result) -> None:
    height = 0.84 * LEVEL / len(result.modes)
    for k, (mode, found) in enumerate(result.modes.items()):
        offset = (k - (len(result.modes) - 1) / 2) * height
        axes.barh(
            [level + offset for level in LEVELS],
            [amount / MILLION for amount in found.levels],
            height=height,
            color=COLOURS[mode],
            label=mode,
        )
    when = moment(result.history.times[result.before_crash])
    axes.set_title("Where liquidation waits, before the crash")
    axes.set_xlabel(f"notional that becomes liquidatable at that level, million USD\n(state of {when} UTC)")
    axes.set_ylabel("all prices move by, %")
    axes.axhline(0, color="#222222", lw=0.8)
    axes.set_ylim(LEVELS[0] - 1, LEVELS[-1] + 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+.0f}" if value else "0")
    for market in result.history.markets:
        after = result.history.candles[market.id][result.before_crash :]
        fall = 100 * (min(candle.low for candle in after) / after[0].open - 1)
        axes.axhline(fall, color="#999999", lw=1, ls=":")
        axes.annotate(
            f"{market.symbol} fell {-fall:.0f} %",
            (1, fall),
            xycoords=("axes fraction", "data"),
            xytext=(0, -3),
            textcoords="offset points",
            ha="right",
            va="top",
            color="#666666",
        )
    axes.legend(loc="upper right")
