"""What a replay found, as tables for people and as one record for programs."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from margincall.protocol.config import USD
from margincall.replay.candles import moment
from margincall.replay.engine import Replay
from margincall.replay.population import PORTFOLIO
from margincall.replay.result import DialsResult, ModeResult, Result


def summary(result: Result) -> dict:
    """The record that `summary.json` holds; amounts in USD, conservation_error in token units."""
    return {
        "candles": len(result.history.times),
        "transactions": result.transactions,
        "accounts_per_mode": result.settings.accounts,
        "seconds": round(result.seconds, 3),
        "conservation_error": result.conservation_error,
        "modes": {mode: _mode(found) for mode, found in result.modes.items()},
        "seed": result.settings.seed,
        "gap": result.settings.gap,
        "impact": result.settings.impact,
        "price_updates": result.updates,
        "sweeps": result.sweeps,
        "lag_seconds": result.lag_seconds,
        "lag_percent": round(result.lag_percent, 4),
        "first_candle": moment(result.history.times[0]),
        "last_candle": moment(result.history.times[-1]),
        "dials": result.dials and _dials(result.dials, result.modes[PORTFOLIO]),
    }


def _dials(found: DialsResult, with_them: ModeResult) -> dict:
    """null without a portfolio population; what was not played is null."""
    calm = found.calm
    return {
        "rho_max": round(found.rho_max, 6),
        "psi_min": round(found.psi_min, 6),
        "liquidations_by_dials_alone": found.alone,
        "shortfall_without_dials": calm and shortfall(calm) / USD,
        "shortfall_with_dials": shortfall(with_them) / USD,
        "liquidations_without_dials": calm and calm.liquidations,
        "liquidated_notional_without_dials": calm and calm.notional / USD,
        "rho_max_maintenance": round(found.rho_mm_max, 6),
        "psi_min_maintenance": round(found.psi_mm_min, 6),
    }


def shortfall(found: ModeResult) -> int:
    """What accounts could not pay: paid by insurance or socialised, money."""
    return found.insurance_paid + found.socialised


def _mode(found: ModeResult) -> dict:
    return {
        "liquidations": found.liquidations,
        "liquidated_notional": found.notional / USD,
        "emptied_accounts": found.emptied,
        "trader_loss": found.trader_loss / USD,
        "penalties": found.penalties / USD,
        "insurance_paid": found.insurance_paid / USD,
        "socialised": found.socialised / USD,
        "liquidated_owners": len(found.victims),
        "full_liquidations": found.full,
        "rewards": found.rewards / USD,
        "start_money": found.start_money / USD,
        "trader_gain": found.trader_gain / USD,
        "open_interest_start": found.open_interest_start / USD,
        "open_interest_end": found.open_interest[-1] / USD,
    }


_ROWS = (
    ("traders", lambda s, f: f"{s.accounts:,}"),
    ("their money at the start", lambda s, f: dollars(f.start_money)),
    ("their open interest at the start", lambda s, f: dollars(f.open_interest_start)),
    ("their open interest at the end", lambda s, f: dollars(f.open_interest[-1])),
    ("liquidations (slices taken)", lambda s, f: f"{f.liquidations:,}"),
    ("  of them whole accounts or vaults", lambda s, f: f"{f.full:,}"),
    ("owners liquidated", lambda s, f: f"{len(f.victims):,}"),
    ("liquidated notional", lambda s, f: dollars(f.notional)),
    ("penalties", lambda s, f: dollars(f.penalties)),
    ("loss of the traders who lost", lambda s, f: dollars(f.trader_loss)),
    ("gain of the traders who gained", lambda s, f: dollars(f.trader_gain)),
    ("emptied (under 1 % of the start left)", lambda s, f: f"{f.emptied:,}"),
    ("paid by insurance", lambda s, f: dollars(f.insurance_paid)),
    ("socialised", lambda s, f: dollars(f.socialised)),
)


def dollars(money: int) -> str:
    """Money units as rounded USD."""
    return f"{money / USD:,.0f}"


def print_result(console: Console, result: Result) -> None:
    """The modes side by side, then what the run itself says."""
    console.print("[bold]The same traders and money in each mode, USD")
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("")
    for mode in result.modes:
        table.add_column(mode, justify="right")
    for name, cell in _ROWS:
        table.add_row(name, *[cell(result.settings, found) for found in result.modes.values()])
    console.print(table)
    console.print()
    if result.dials:
        print_dials(console, result.dials, result.modes[PORTFOLIO])
    first, last = moment(result.history.times[0]), moment(result.history.times[-1])
    console.print(
        f"{len(result.history.times):,} candles, {first} to {last} UTC: {result.transactions:,} transactions,"
        f" {result.updates:,} price updates, {result.seconds:.1f} s"
    )
    if result.settings.gap:
        console.print("Prices jumped once a leg (--gap): outside the envelope, where the waterfall pays.")
    if result.settings.impact:
        console.print(impact_rule(result.settings.impact))
    late = f"{result.lag_seconds:,} s behind the candles at most"
    if result.lag_percent:
        late += f", {result.lag_percent:.1f} % outside the candle of that moment"
    console.print(f"Prices on chain: {late} (keepers send one transaction a second)")
    console.print(
        f"Conservation (I-01), from storage after every candle: error {result.conservation_error} units;"
        f" {result.sweeps} full sweeps found no account missed and chain and twin equal to the unit"
    )


def print_dials(console: Console, found: DialsResult, with_them: ModeResult) -> None:
    """The portfolio population's rule in words, then what the dials did to it."""
    console.print(
        "Isolated and cross hold the same perps. Portfolio: the same money, markets, sides and sizes as"
        " hedged books (perp\nwith a put, covered calls, short straddles with a perp hedge, calendar spreads,"
        " pairs of perps), smaller where\nportfolio margin does not carry them.\n"
    )
    console.print("[bold]What the stress dials did to the portfolio population")
    table = Table(show_edge=False, pad_edge=False)
    for column in ("", "at once (IM)", "gliding (MM)"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("highest rho: losses that add up", f"{found.rho_max:.3f}", f"{found.rho_mm_max:.3f}")
    table.add_row("lowest psi: hedges that count", f"{found.psi_min:.3f}", f"{found.psi_mm_min:.3f}")
    console.print(table)
    console.print(
        f"\n{found.alone:,} of {with_them.liquidations:,} liquidations were the dials' alone: at that moment"
        " the account was above its maintenance margin at the calm dials."
    )
    if found.calm:
        console.print(
            "The same replay with the dials never poked (same seed, prices, volatility and keepers):"
            f" {found.calm.liquidations:,} liquidations of {dollars(found.calm.notional)} USD, a shortfall of"
            f" {dollars(shortfall(found.calm))} where there was {dollars(shortfall(with_them))} with them."
        )
    console.print()


def impact_rule(basis_points: float) -> str:
    """The rule of --impact in words."""
    return (
        f"Impact: a million USD of forced trades moves its market's price by {basis_points:g} basis points"
        " their way, at most 30 %; half of that is gone after an hour."
    )


class Bar:
    """A progress bar on standard error: time of the candle, prices, liquidations so far by mode."""

    def __init__(self, candles: int) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=6),
            TextColumn("{task.percentage:>3.0f} %"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("deposits and opening trades", total=candles)

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int, replay: Replay) -> None:
        if done % 4 and done != total:
            return
        marks = replay.desk.marks
        prices = " ".join(f"{m.symbol} {_short(m.usd(marks[m.id]))}" for m in replay.markets.values())
        counts = " ".join(f"{mode} {found.liquidations:,}" for mode, found in replay.result.modes.items())
        text = f"{moment(replay.history.times[done - 1])[5:]} {prices} | {counts}"
        self._bar.update(self._task, completed=done, description=text)


def _short(price: float) -> str:
    return f"{price:,.0f}" if price >= 100 else f"{price:,.4g}"
