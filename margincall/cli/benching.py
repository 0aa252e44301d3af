"""`margincall bench`: what every operation and every margin check costs."""

from __future__ import annotations

from pathlib import Path

import click

from margincall.cli.reporting import report, report_options, tell
from margincall.cli.shared import compile_contracts, console_for

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
@click.option("--update", is_flag=True, help="Write tests/gas/snapshot.json, the reviewed figures.")
@click.option(
    "--only", multiple=True, metavar="NAME", help="Measure names that contain this; repeat the option."
)
@report_options
@click.pass_context
def bench(context, json_path, update, only, **asked) -> int | None:
    """Measure every operation cold, on Anvil and on the embedded EVM, which must agree.

    Beside each figure stands its floor: what the state that it touches costs, whatever computes with it.
    Exit code 1 when gas or bytes differ from tests/gas/snapshot.json. Writes report.html beside the record;
    `margincall bench report` tells it again, with other options, without measuring.
    """
    if context.invoked_subcommand:
        return None
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from margincall.bench import run
    from margincall.bench.records import Bench
    from margincall.bench.versions import versions

    compile_contracts()
    console = console_for(stderr=True)
    columns = TextColumn("{task.description:34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("measuring")
        found = Bench(
            run.measure(
                only,
                lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
            ),
            meta=versions(),
        )
    found.write(json_path)
    if only:
        _print(found)
    else:
        tell(found, json_path.parent, **asked)
    return 0


def _print(found) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    table.add_column("operation")
    for heading in ("gas", "floor", "ratio"):
        table.add_column(heading, justify="right")
    for m in found.measurements:
        table.add_row(m.name, f"{m.gas:,}", f"{m.floor:,}", f"{m.gas / m.floor:.2f}")
    console_for().print(table)


bench.add_command(report)
