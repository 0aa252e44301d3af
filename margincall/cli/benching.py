"""`margincall bench`: what every operation and every margin check costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from margincall.cli.reporting import report, report_options, tell
from margincall.cli.shared import compile_contracts, console_for
from margincall.replay.candles import BadInput

JSON = Path("build/bench/bench.json")


@click.group(invoke_without_command=True)
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path),
    default=JSON,
    show_default=True,
    metavar="FILE",
    help="Where the record goes.",
)
@click.option(
    "--update",
    is_flag=True,
    help="Write tests/gas/snapshot.json, the reviewed figures, and the README's picture.",
)
@click.option(
    "--only", multiple=True, metavar="NAME", help="Measure names that contain this; repeat the option."
)
@click.option("--no-speed", is_flag=True, help="Gas and bytes alone: do not time the tools.")
@report_options
@click.pass_context
def bench(context, json_path, update, only, no_speed, **asked) -> int | None:
    """Measure every operation cold, on Anvil and on the embedded EVM, which must agree.

    Beside each figure stands its floor: what the state that it touches costs, whatever computes with it.
    Exit code 1 when gas or bytes differ from tests/gas/snapshot.json. Writes report.html beside the record;
    `margincall bench report` tells it again, with other options, without measuring.
    """
    if context.invoked_subcommand:
        return None
    from margincall.bench import picture, run, snapshot

    if update and only:
        raise BadInput("--update: not with --only, or the figures that are not measured would go")
    compile_contracts()
    with _progress() as (bar, task):
        found = run.measure(
            only,
            lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
            fast=no_speed,
        )
    if only and not found.measurements:
        raise BadInput(f"--only {' '.join(only)}: no name contains that")
    found.write(json_path)
    if only:
        _print(found)
    else:
        tell(found, json_path.parent, **asked)
    changed = snapshot.compared(found, partly=bool(only))
    if update:
        snapshot.save(snapshot.figures(found))
        picture.save(found)
    return _told(changed, update)


@contextmanager
def _progress() -> Iterator[tuple]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description:44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console_for(stderr=True)) as bar:
        yield bar, bar.add_task("measuring")


def _told(changed: list[str], update: bool) -> int:
    """The exit code, after saying what differs from the reviewed figures."""
    for line in changed:
        click.echo(line)
    if not changed:
        click.echo("gas and bytes are those of tests/gas/snapshot.json")
    elif update:
        click.echo("tests/gas/snapshot.json and the README's picture were written")
    else:
        click.echo("review these, then `margincall bench --update` writes them")
    return int(bool(changed) and not update)


def _print(found) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    table.add_column("operation")
    for heading in ("gas", "floor", "ratio"):
        table.add_column(heading, justify="right")
    for m in found.measurements:
        table.add_row(m.name, f"{m.gas:,}", f"{m.floor:,}", f"{m.gas / m.floor:.2f}" if m.floor else "-")
    console_for().print(table)


bench.add_command(report)
