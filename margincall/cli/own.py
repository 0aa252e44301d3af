"""`margincall audit contract`: the properties on somebody's own perp engine, through an adapter."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from margincall.cli.shared import console_for, write
from margincall.replay.candles import BadInput

VACUOUS = 3


@click.command("contract")
@click.argument("target", metavar="PATH_OR_MODULE[:ADAPTER]")
@click.option("--steps", type=click.IntRange(1), default=5_000, show_default=True, help="Calls in all.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the histories.")
@click.option(
    "--json", "as_json", type=click.Path(path_type=Path), metavar="FILE", help="Write a record too."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("."),
    metavar="FOLDER",
    help="Where counterexample_<id>.py files go. [default: here]",
)
def contract(target: str, steps: int, seed: int, as_json: Path | None, out: Path) -> int:
    """Audit a perp engine of your own.

    PATH_OR_MODULE is a Python file or module with a function (by default `adapter`) that deploys the engine
    on a chain and returns an adapter; margincall/audit/YOUR_CONTRACT.md shows how to write one. Each
    property that is violated is reported once, with the shortest history found, and as a test file that
    replays it.

    Exit code 1 on a violation, 3 when the run did not reach what it must to mean anything.

    \b
    margincall audit contract margincall.audit.examples.naive_cross
    margincall audit contract my_engine.py:deploy --steps 50000 --json build/mine.json
    """
    from margincall.audit.adapter import report as said
    from margincall.audit.adapter.audit import audit
    from margincall.audit.adapter.load import load

    factory = load(target)
    console = console_for()
    with Console(stderr=True).status("auditing") as status:
        found = audit(factory, steps, seed, lambda now: status.update(_line(now, steps)))
    said.print_report(console, found)
    for finding in found.findings:
        said.print_finding(console, finding, factory)
        console.print(f"  replay: pytest {_save(said.write_test, finding, target, out)}", highlight=False)
    if as_json:
        write(as_json, json.dumps(said.record(found), indent=2) + "\n")
    for one in found.missing():
        console.print(one, highlight=False)
    if found.findings:
        return 1
    if found.missing():
        console.print(
            "The run reached too little to mean anything: more --steps, or an adapter that lets it."
        )
        return VACUOUS
    return 0


def _line(report, steps: int) -> str:
    checks = sum(report.checked.values())
    violated = len(report.findings)
    return f"{report.steps:,} of {steps:,} calls · {checks:,} checks in whole histories · {violated} violated"


def _save(write_test, finding, target: str, folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return write_test(finding, target, folder)
    except OSError as error:
        raise BadInput(f"--out {folder}: cannot be written ({error.strerror}); give another folder") from None
