"""Sheets on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from margincall.bench.sheets import Sheet


def show(console: Console, sheet: Sheet) -> None:
    """Print a sheet with its notes."""
    table = Table(
        title=escape(sheet.title),
        title_justify="left",
        title_style="bold",
        show_edge=False,
        pad_edge=False,
        box=None,
    )
    table.header_style = "dim"
    for place, column in enumerate(sheet.columns):
        text = place == 0 or place in sheet.texts
        table.add_column(
            escape(column), justify="left" if text else "right", overflow="fold", no_wrap=place == 0
        )
    for row in sheet.rows:
        table.add_row(*map(escape, row))
    console.print()
    console.print(table)
    for note in sheet.notes:
        console.print(escape(note), style="dim", highlight=False)
