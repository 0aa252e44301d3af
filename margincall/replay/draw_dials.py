"""The picture of the stress dials: how the credits of portfolio margin collapse in a crash."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

from margincall.protocol.config import USD
from margincall.replay.draw import COLOURS, GREYS, MILLION, styled
from margincall.replay.population import PORTFOLIO
from margincall.replay.report import shortfall
from margincall.replay.result import DialsResult, Result

SHOWN = 30 * 3_600  # seconds from the moment before the crash
RHO, PSI = "#d1495b", "#00798c"
KEPT, HEDGING, DIVERSIFICATION = "#7a4fbf", "#66b2b2", "#edae49"


def draw_dials(result: Result, path: Path) -> None:
    """Write the PNG: prices, dials and liquidations over time, and what initial and maintenance margin of
    the portfolio population are made of. `result.dials` must be there."""
    plt = styled()
    figure = plt.figure(figsize=(14, 9.6), layout="constrained")
    grid = figure.add_gridspec(6, 2, hspace=0.05, wspace=0.05)
    prices = figure.add_subplot(grid[0:2, 0])
    dials, volume = (figure.add_subplot(grid[i : i + 2, 0], sharex=prices) for i in (2, 4))
    initial, maintenance = (figure.add_subplot(grid[i : i + 3, 1], sharex=prices) for i in (0, 3))
    start = result.before_crash
    end = min(start + SHOWN // result.history.step, len(result.history.times))
    times = [datetime.fromtimestamp(t + result.history.step, UTC) for t in result.history.times[start:end]]
    span = slice(start, end)
    moments = result.dials.moments[span]
    _prices(prices, result, times, span)
    _dials(dials, times, moments)
    _liquidations(volume, result, times, span)
    for axes, name, kind in ((initial, "Initial", "initial"), (maintenance, "Maintenance", "maintenance")):
        _credits(axes, times, [getattr(moment, kind) for moment in moments], name)
    import matplotlib.dates as dates

    for axes in (prices, dials, initial):
        axes.tick_params(labelbottom=False)
    prices.set_xlim(times[0], times[-1])
    locator = dates.AutoDateLocator(minticks=4, maxticks=8)
    volume.xaxis.set_major_locator(locator)
    volume.xaxis.set_major_formatter(dates.DateFormatter("%d %b\n%H:%M"))
    figure.suptitle(_headline(result.dials, result), x=0.01, ha="left", fontsize=13)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _headline(found: DialsResult, result: Result) -> str:
    mine = result.modes[PORTFOLIO]
    text = (
        f"{result.settings.accounts:,} portfolio traders with hedged books:  {mine.liquidations:,}"
        f" liquidations, {found.alone:,} by the dials alone"
    )
    if found.calm:
        text += (
            f"   |   dials held calm: {found.calm.liquidations:,} liquidations, shortfall"
            f" {shortfall(found.calm) / USD:,.0f} USD (with dials {shortfall(mine) / USD:,.0f})"
        )
    return text


def _prices(axes, result: Result, times, span: slice) -> None:
    for market, grey in zip(result.history.markets, GREYS, strict=False):
        candles = result.history.candles[market.id][span]
        base = candles[0].open / 100
        lows, highs = [c.low / base for c in candles], [c.high / base for c in candles]
        axes.fill_between(times, lows, highs, color=grey, alpha=0.3, lw=0)
        axes.plot(times, [c.close / base for c in candles], color=grey, lw=1.5, label=market.symbol)
    axes.set_title("Prices (100 at the left edge, lows and highs shaded)")
    axes.legend(loc="lower right", ncols=len(result.history.markets))


def _dials(axes, times, moments) -> None:
    for label, colour, im, mm in (
        ("rho: losses that add up", RHO, "rho_im", "rho_mm"),
        ("psi: hedges that count", PSI, "psi_im", "psi_mm"),
    ):
        axes.plot(times, [getattr(m, im) for m in moments], color=colour, lw=2, label=label)
        axes.plot(times, [getattr(m, mm) for m in moments], color=colour, lw=1.6, ls="--")
    axes.set_title("The stress dials (maintenance margin's are dashed)")
    axes.set_ylim(-0.03, 1.06)
    axes.legend(loc="lower right")


def _liquidations(axes, result: Result, times, span: slice) -> None:
    mine, calm = result.modes[PORTFOLIO], result.dials.calm
    runs = [(mine, COLOURS[PORTFOLIO], "-", "with the dials")]
    if calm:
        runs.append((calm, "#999999", "--", "dials held calm"))
    for found, colour, style, label in runs:
        total = [amount / MILLION for amount in accumulate(found.by_candle)][span]
        axes.step(times, total, where="post", color=colour, ls=style, lw=2, label=label)
    axes.set_title("Liquidated notional of the portfolio population, million USD")
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower right")


def _credits(axes, times, found, name: str) -> None:
    kept = [(c.standalone - c.diversification - c.hedging) / MILLION for c in found]
    hedged = [part + c.hedging / MILLION for part, c in zip(kept, found, strict=True)]
    alone = [c.standalone / MILLION for c in found]
    nothing = [0.0] * len(found)
    for low, high, colour, label in (
        (nothing, kept, KEPT, "required"),
        (kept, hedged, HEDGING, "credit for hedging (psi)"),
        (hedged, alone, DIVERSIFICATION, "credit for diversification (rho)"),
    ):
        axes.fill_between(times, low, high, color=colour, alpha=0.8, lw=0, label=label)
    axes.plot(times, alone, color="#222222", lw=1.2, label="worst cases of all markets")
    axes.set_title(f"{name} margin of the population, million USD")
    axes.set_ylim(0, 1.3 * max(alone))
    axes.legend(loc="upper left", ncols=2, fontsize=10)
