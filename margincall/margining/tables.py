"""A report as tables for people; USD throughout, P&L negative where the account loses."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from margincall.margining.analysis import (
    CROSS,
    PORTFOLIO,
    Figures,
    Position,
    Report,
    Underlying,
    scenario_rows,
    unit_value,
)
from margincall.margining.case import Case
from margincall.model.arithmetic import PPM
from margincall.model.explanation import Requirement
from margincall.model.instrument import FUTURE, Instrument
from margincall.model.portfolio import FULL_WEIGHT, ONE, SCENARIOS
from margincall.protocol.config import USD
from margincall.replay.candles import moment

WORST = "bold red"
WORST_SHOWN = 6


def print_report(console: Console, report: Report) -> None:
    """Everything, the portfolio rule's parts only when that mode was asked for."""
    _head(console, report)
    _modes(console, report)
    if PORTFOLIO in report.modes:
        _underlyings(console, report)
        for one in report.underlyings:
            _scenarios(console, report, one)
        if len(report.underlyings) > 1:
            _together(console, report)
        _savings(console, report)
    _positions(console, report)
    for line in advice(report):
        console.print(line, highlight=False)


def usd(money: float | None) -> str:
    """Money units as USD; whole ones from 10 up."""
    if money is None:
        return ""
    amount = money / USD
    return f"{amount:,.0f}" if abs(amount) >= 10 or not amount else f"{amount:,.2f}"


def price_text(price: float) -> str:
    """USD a coin, to about six digits."""
    return f"{price:,.0f}" if abs(price) >= 1_000 else f"{price:,.2f}" if abs(price) >= 1 else f"{price:.5g}"


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", show_edge=False, pad_edge=False, box=None
    )
    table.header_style = "dim"
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _show(console: Console, table: Table) -> None:
    console.print()
    console.print(table)


def _head(console: Console, report: Report) -> None:
    case = report.case
    about = f": {case.about}" if case.about else ""
    console.print(f"[bold]{case.name}[/bold]{about}", highlight=False)
    prices = ", ".join(f"{m.symbol} {m.usd(case.risk.prices[m.id]):,g}" for m in case.underlyings)
    console.print(f"{moment(case.now)} UTC; {prices} USD; cash {usd(case.cash)}", highlight=False)
    if PORTFOLIO in report.modes and len(report.underlyings) > 1:
        explained = (report.explained.im, report.explained.mm)
        console.print(f"dials: {_dials(explained, 'rho')}, {_dials(explained, 'psi')}", highlight=False)
    for (market, expiry), smile in case.smiles.items():
        name = Instrument(market, FUTURE, expiry).name(case.spec.markets)
        shape = f"skew {smile.skew / PPM:g}, curvature {smile.curvature / PPM:g}"
        console.print(f"vol {name}: {smile.atm / PPM:.1%} a year, {shape} ({smile.source})", highlight=False)


def _modes(console: Console, report: Report) -> None:
    columns: list[tuple[str, Figures]] = [(f"{mode} mode", f) for mode, f in report.modes.items()]
    if report.exact:
        exact = report.exact
        columns.append(("portfolio, exact", Figures(exact.value, exact.initial, exact.maintenance, 0)))
    table = _table("Margin, USD", "", *[name for name, _ in columns])

    def row(name: str, *cells: str) -> None:
        table.add_row(name, *cells, *[""] * (len(columns) - len(cells)))

    row("equity", *[usd(f.equity) for _, f in columns])
    row("initial margin", *[usd(f.initial) for _, f in columns])
    row("maintenance margin", *[usd(f.maintenance) for _, f in columns])
    row("free equity (above initial)", *[_signed(f.free) for _, f in columns])
    row("above maintenance", *[_signed(f.room) for _, f in columns])
    row("maintenance / equity (liquidated at 100 %)", *[_share(f.usage) for _, f in columns])
    shown = report.modes.items()
    what = {CROSS: "gross", PORTFOLIO: "net"}
    row("notional", *[f"{what[mode]} {usd(f.notional)}" for mode, f in shown])
    row("notional / equity", *[_times(f.leverage) for _, f in shown])
    _show(console, table)
    if report.exact:
        console.print(_above(report), highlight=False)


def _above(report: Report) -> str:
    """How far the engine is above the exact numbers, of a health (equity less requirement)."""
    exact, held = report.exact, report.case.portfolio()
    over = (exact.value - held.equity + held.initial - exact.initial) / USD
    share = f", {over * USD / exact.gross:.1e} of the options' notional" if exact.gross else ""
    return f"The engine's free equity is {over:,.2f} USD below the exact rule's{share}."


def _underlyings(console: Console, report: Report) -> None:
    table = _table(
        "Underlyings alone, portfolio mode",
        "",
        "price",
        "value",
        "delta, coins",
        "delta, USD",
        "initial",
        "worst for it",
        "maintenance",
        "worst for it",
    )
    for one in report.underlyings:
        price = _spec(report.case, one.market).usd(one.price)
        table.add_row(
            one.symbol,
            price_text(price),
            usd(one.value),
            f"{one.delta:+,.4f}",
            f"{one.delta * price:+,.0f}",
            usd(one.im),
            SCENARIOS[one.worst_im].name if one.im else "none",
            usd(one.mm),
            SCENARIOS[one.worst_mm].name if one.mm else "none",
        )
    _show(console, table)


def _scenarios(console: Console, report: Report, one: Underlying) -> None:
    terms = report.case.risk.terms[one.market]
    table = _table(
        f"{one.symbol}: P&L of 24 scenarios, and the share of a loss that counts",
        "price",
        "move",
        "vol up",
        "vol mark",
        "vol down",
        "counts for IM",
        "for MM",
    )
    worst = {one.worst_im: "IM"} if one.im else {}
    if one.mm:
        worst[one.worst_mm] = "IM, MM" if worst.get(one.worst_mm) else "MM"
    spec = _spec(report.case, one.market)
    for steps, row in scenario_rows():
        scenario = SCENARIOS[next(iter(row.values()))]
        table.add_row(
            price_text(spec.usd(one.price) * (1 + scenario.percent / 100)),
            f"{scenario.percent:+.1f} %" if steps else "none",
            *[_cell(one.losses, row.get(vol), worst) for vol in ("up", "mark", "down")],
            f"{scenario.weight(terms.range_im) / FULL_WEIGHT:.0%}",
            f"{scenario.weight(terms.range_mm) / FULL_WEIGHT:.0%}",
        )
    _show(console, table)


def _cell(losses: tuple[int, ...], index: int | None, worst: dict[int, str]) -> str:
    if index is None:
        return ""
    text = _signed(-losses[index])
    return f"[{WORST}]{worst[index]}  {text}[/]" if index in worst else text


def _together(console: Console, report: Report) -> None:
    """The worst scenarios in which all prices move alike, and how the dials combine them with the worsts of
    each underlying alone."""
    im, mm = report.explained.im, report.explained.mm
    counted = {kind: together(report, kind) for kind in ("im", "mm")}
    symbols = [one.symbol for one in report.underlyings]
    table = _table(
        "All prices moving alike: P&L of the worst scenarios", "", *symbols, "sum", "counts for IM", "for MM"
    )
    worst = sorted(range(len(SCENARIOS)), key=lambda j: -counted["im"][j])[:WORST_SHOWN]
    for index in sorted({*worst, im.worst, mm.worst}, key=lambda j: -counted["im"][j]):
        pnl = [-one.losses[index] for one in report.underlyings]
        cells = [_signed(round(-counted[kind][index])) for kind in ("im", "mm")]
        cells = [
            f"[{WORST}]{text}[/]" if at.worst == index else text
            for text, at in zip(cells, (im, mm), strict=True)
        ]
        table.add_row(SCENARIOS[index].name, *[_signed(amount) for amount in (*pnl, sum(pnl))], *cells)
    _show(console, table)


def together(report: Report, kind: str) -> list[float]:
    """Of every scenario the loss that counts when all prices move alike, money: rho times the sum of the
    weighted losses and 1 - rho times the largest."""
    rho = getattr(report.explained, kind).rho / ONE
    terms = report.case.risk.terms
    counted = []
    for index, scenario in enumerate(SCENARIOS):
        losses = [
            one.losses[index] * scenario.weight(getattr(terms[one.market], f"range_{kind}")) / FULL_WEIGHT
            for one in report.underlyings
        ]
        counted.append(rho * sum(losses) + (1 - rho) * max(0, *losses))
    return counted


def _savings(console: Console, report: Report) -> None:
    im, mm = report.savings["im"], report.savings["mm"]
    explained = (report.explained.im, report.explained.mm)
    table = _table("From the positions to the requirement, portfolio mode", "", "initial", "maintenance")

    def row(name: str, initial: float, maintenance: float, sign: str = "") -> None:
        table.add_row(name, *[f"{sign if m else ''}{usd(m)}" for m in (initial, maintenance)])

    row("every position alone", im.positions, mm.positions)
    row("netting within underlyings saves", im.netting, mm.netting, "-")
    if len(report.underlyings) > 1:
        row("underlyings alone", im.underlyings, mm.underlyings)
        row(f"diversification saves, {_dials(explained, 'rho')}", im.diversification, mm.diversification, "-")
        row(f"hedging across saves, {_dials(explained, 'psi')}", im.hedging, mm.hedging, "-")
    floors = [one.floor for one in explained]
    if any(floors):
        row("floor of options sold (counted above)", *floors)
    errors = [one.error for one in explained]
    if any(errors):
        row("error of the curves (counted above)", *errors)
    row("requirement", im.required, mm.required)
    if len(report.underlyings) > 1:
        alike = [one.synchronised * one.psi / ONE for one in explained]
        alone = [one.alone * (ONE - one.psi) / ONE for one in explained]
        row("  of it psi x the worst of all moving alike", *alike)
        row("  of it (1 - psi) x the worsts of each alone", *alone)
    _show(console, table)


def _dials(explained: tuple[Requirement, Requirement], name: str) -> str:
    im, mm = (getattr(one, name) / ONE for one in explained)
    return f"{name} {im:.2f}" + ("" if im == mm else f" (maintenance {mm:.2f})")


def _positions(console: Console, report: Report) -> None:
    columns = ["size", "mark", "value", "P&L", "delta,\ncoins"]
    if PORTFOLIO in report.modes:
        columns += ["share of\nIM", "share of\nMM"]
    columns += [f"closing frees\nIM, {mode}" for mode in report.modes]
    table = _table("Positions", "", *columns)
    for position in report.positions:
        table.add_row(*_position(report, position))
    _show(console, table)


def _position(report: Report, position: Position) -> list[str]:
    case, holding = report.case, position.holding
    size = _spec(case, holding.instrument.market).coins(holding.lots)
    cells = [
        position.name,
        f"{size:+,.10g}",
        price_text(unit_value(case, position)),
        usd(position.value),
        "" if position.profit is None else _signed(position.profit),
        f"{position.delta:+,.4f}",
    ]
    if PORTFOLIO in report.modes:
        driver = report.driver is position and len(report.positions) > 1
        share = usd(position.im)
        cells += [f"[{WORST}]{share}[/]" if driver else share, usd(position.mm)]
    return cells + [_signed(position.frees[mode][1]) for mode in report.modes]


def advice(report: Report) -> list[str]:
    """Sentences: what drives the requirement, what is missing, what closing a position would do."""
    lines = [""]
    if PORTFOLIO in report.modes and report.driver and len(report.positions) > 1:
        im = report.explained.im
        lines.append(
            f"{report.driver.name} drives the portfolio requirement: it adds {usd(report.driver.im)} USD of"
            f" initial margin, everything together needs {usd(im.amount)}."
        )
    for mode, figures in report.modes.items():
        lines += _shortage(mode, figures)
        best = max(report.positions, key=lambda one: one.frees[mode][1])
        freed = best.frees[mode][1]
        if freed > 0:
            lines.append(f"{mode} mode: closing {best.name} frees {usd(freed)} USD of initial margin.")
        hedge = min(report.positions, key=lambda one: one.frees[mode][1])
        if hedge.frees[mode][1] < 0:
            lines.append(
                f"{mode} mode: {hedge.name} hedges; without it initial margin is"
                f" {usd(-hedge.frees[mode][1])} USD higher."
            )
    if len(report.modes) == 2:
        saved = report.cross.initial - report.portfolio.initial
        word = "less" if saved >= 0 else "more"
        lines.append(f"Portfolio mode asks {usd(abs(saved))} USD {word} initial margin than cross mode.")
    return lines


def _shortage(mode: str, figures: Figures) -> list[str]:
    if figures.room < 0:
        return [
            f"[{WORST}]{mode} mode: liquidatable; {usd(-figures.room)} USD below maintenance margin,"
            f" {usd(-figures.free)} USD below initial margin.[/]"
        ]
    if figures.free < 0:
        return [f"{mode} mode: may only reduce; {usd(-figures.free)} USD below initial margin."]
    return []


def _signed(money: int) -> str:
    text = usd(money)
    return f"+{text}" if money > 0 else text


def _share(value: float | None) -> str:
    return "no equity" if value is None else f"{value:.1%}"


def _times(value: float | None) -> str:
    return "no equity" if value is None else f"{value:,.2f}x"


def _spec(case: Case, market: int):
    return next(m for m in case.spec.markets if m.id == market)
