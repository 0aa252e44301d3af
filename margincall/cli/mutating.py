"""`margincall audit mutants`: bugs planted in a copy of the contracts, and whether the machine notices."""

from __future__ import annotations

import json
from pathlib import Path

import click

from margincall.cli.shared import compile_contracts, console_for, write
from margincall.replay.candles import BadInput

SAMPLE = 1_000


@click.command()
@click.option(
    "--catalogue", is_flag=True, help="Real findings, and bugs that one property alone must notice."
)
@click.option("--generic", is_flag=True, help="Small changes of every line, a seeded sample.")
@click.option(
    "--sample",
    type=click.IntRange(1),
    default=SAMPLE,
    show_default=True,
    metavar="N",
    help="So many of them.",
)
@click.option("--only", multiple=True, metavar="ID", help="Of the catalogue these rows alone, such as ACC-2.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the sample.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), metavar="M", help="Stop the sample after M minutes."
)
@click.option(
    "--json",
    "record_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("build/mutants.json"),
    show_default=True,
    metavar="FILE",
    help="Where the record goes.",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The same as a page of Markdown.",
)
@click.option("--quiet", is_flag=True, help="No bar that moves.")
def mutants(catalogue, generic, sample, only, seed, workers, minutes, record_file, page, quiet) -> int:
    """Plant bugs in copies of the contracts, and see which property of `margincall audit` notices.

    Each is hunted twice: with the exact twin (I-14), which sees every word that differs, and without it, when
    the other properties must see it by themselves. Generic mutants that were examined before are not examined
    again (build/mutants/generic.jsonl): an interrupted run goes on where it was.

    Exit codes: 0 enough was noticed, 1 a planted bug survives or fewer than 95 % of the generic mutants were
    noticed, 2 bad input.

    \b
    margincall audit mutants --catalogue --workers 2
    margincall audit mutants --only ACC-2
    margincall audit mutants --generic --sample 1000 --workers 2
    """
    from margincall.audit.mutants import tables
    from margincall.audit.mutants.planting import PlantError
    from margincall.audit.mutants.verdict import failures, verdict

    both = not (catalogue or generic or only)
    for path in (record_file, *([page] if page else [])):
        write(path, "", "a")  # one that cannot be written is heard of now, and what it holds is not lost
    compile_contracts(quiet)
    try:
        rows = _catalogue(only, workers, quiet) if catalogue or only or both else []
        records = _generic(sample, seed, workers, minutes, quiet) if generic or both else []
    except PlantError as error:
        raise BadInput(str(error)) from None
    found = verdict(rows, records, seed, bool(only))
    write(record_file, json.dumps(found, indent=2) + "\n")
    if page:
        write(page, tables.page(found))
    console = console_for()
    tables.print_verdict(console, found)
    console.print(f"Written: {record_file}", soft_wrap=True)
    wrong = failures(found)
    for line in wrong:
        click.echo(line)
    return 1 if wrong else 0


def _catalogue(only: tuple[str, ...], workers: int, quiet: bool) -> list[dict]:
    from margincall.audit.mutants.campaign import examine_rows
    from margincall.audit.mutants.catalogue import rows

    known = {row.id: row for row in rows()}
    for id in only:
        if id not in known:
            raise BadInput(f"--only {id}: no such row; ids are like {', '.join(list(known)[:3])}")
    wanted = [known[id] for id in only] if only else list(known.values())
    with _bar("planted bugs", len(wanted), quiet) as advance:
        return examine_rows(wanted, workers, lambda record: advance(1, record["id"]))


def _generic(sample: int, seed: int, workers: int, minutes: float | None, quiet: bool) -> list[dict]:
    from margincall.audit.mutants.campaign import run

    with _bar("generic mutants", sample, quiet) as advance:
        done = [0]

        def say(record: dict, counted: int) -> None:
            advance(counted - done[0], f"{record['file']}:{record['line']}")
            done[0] = counted

        return run(sample, seed, workers, minutes, say)


def _bar(title: str, total: int, quiet: bool):
    """A progress bar on standard error: `advance(by, what was last)`."""
    from contextlib import contextmanager

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    @contextmanager
    def shown():
        console = console_for(stderr=True)
        if quiet or not console.is_terminal:
            yield lambda by, last: None
            return
        columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, TextColumn("{task.fields[last]}"), console=console, transient=True) as bar:
            task = bar.add_task(title, total=total, last="")
            yield lambda by, last: bar.update(task, advance=by, last=last)

    return shown()
