"""`margincall audit`: the property machine, and what proves that it would notice."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from margincall.cli.shared import compile_contracts, console_for, write
from margincall.replay.candles import BadInput

STEPS = 36_000
VIOLATED, TOO_LITTLE, INTERRUPTED = 1, 3, 130


@click.group(invoke_without_command=True)
@click.option(
    "--steps",
    type=click.IntRange(1),
    metavar="N",
    help=f"Steps in all, equally over workers and settings. [default: {STEPS:,}, or what --minutes allow]",
)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), metavar="M", help="Stop after M minutes.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Same seed, same run.")
@click.option(
    "--mode",
    type=click.Choice(["cross", "isolated", "portfolio"]),
    help="One kind of accounts alone: root accounts without vaults; trades from vaults; options, spot and"
    " portfolio margin. [default: all]",
)
@click.option(
    "--setting", multiple=True, metavar="NAME", help="Of these deployments alone; --settings lists them."
)
@click.option("--settings", "list_settings", is_flag=True, help="List the deployments and stop.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes to share the steps.",
)
@click.option(
    "--json",
    "record_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("build/audit.json"),
    show_default=True,
    metavar="FILE",
    help="Where the record of the run goes.",
)
@click.option(
    "--contracts",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Audit a changed copy of the folder contracts/ instead of it.",
)
@click.option(
    "--shrink-seconds",
    type=click.FloatRange(1),
    default=60,
    show_default=True,
    metavar="S",
    help="How long to shorten the history of a violation.",
)
@click.option("--quiet", is_flag=True, help="No line that moves.")
@click.pass_context
def audit(
    context: click.Context, steps, minutes, seed, mode, setting, list_settings, workers, record_file,
    contracts, shrink_seconds, quiet,
) -> int | None:  # fmt: skip
    """Drive the contracts with generated histories and check forty properties after every step.

    The histories run on the real contracts (embedded EVM) and on their exact twin; prices, money and time go
    to the edges where liquidation logic breaks. At the end: which states were reached and how often each
    property was really checked. A violation is shortened to the few acts that matter, told as a table, and
    written beside the record as counterexample_<id>.py, a test that replays it on any chain.

    Exit codes: 0 passed, 1 a property is violated, 2 bad input, 3 nothing violated, but the run reached too
    little to say so (more steps do), 130 interrupted (what was done is printed and written).

    \b
    margincall audit                                      some minutes, all settings
    margincall audit --minutes 60 --workers 2 --seed 7    an hour on two cores
    margincall audit --mode portfolio --steps 5000        options, spot and portfolio margin alone
    """
    if context.invoked_subcommand:
        return None
    from margincall.audit import running, tables
    from margincall.audit.counterexample import replacements
    from margincall.audit.record import record
    from margincall.protocol.artifacts import CONTRACTS

    if list_settings:
        return _list_settings()
    settings = _settings(mode, setting)
    if steps is None and minutes is None:
        steps = STEPS
    _writable(record_file)
    compile_contracts(quiet)
    replaced = replacements(contracts.resolve()) if contracts else None
    plan = running.Plan(steps, minutes and minutes * 60, seed, settings, workers, replaced)
    with _interruptible() as interrupted, _line(quiet) as say:
        tally = running.run(plan, lambda found: say(tables.live_line(plan, found)), interrupted)
    found = record(plan, tally, mode, interrupted(), contracts or CONTRACTS)
    write(record_file, json.dumps(found, indent=2) + "\n")
    told = []
    for failure, known in zip(tally.failures, found["violations"], strict=True):
        try:
            with _line(quiet) as say:
                told.append(
                    _counterexample(plan, failure, contracts, record_file.parent, shrink_seconds, say, known)
                )
        except (KeyboardInterrupt, RuntimeError) as error:
            told.append(f"{failure.text}\nNot shortened: {error or 'interrupted'}")
    write(record_file, json.dumps(found, indent=2) + "\n")
    console = console_for()
    tables.print_run(console, found)
    console.print(f"Written: {record_file}", soft_wrap=True)
    for text in told:
        click.echo("\n" + text)
    return _verdict(found)


def _writable(path: Path) -> None:
    """Hear now, and not after the run, that a record cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror}); give another path") from None


def _counterexample(plan, failure, contracts, folder, seconds, say, known: dict) -> str:
    """Shorten a violation, write its test and put both into its part of the record; what to print."""
    from margincall.audit import counterexample, history, running, shrinking

    if failure.name in (running.DEPLOYMENT, running.BROKEN):
        return f"VIOLATED: {failure.name} (setting {failure.episode.setting.name}): {failure.detail}"
    setting = failure.episode.setting
    say(f"{failure.name} is violated after {failure.at_step:,} acts: running them again")
    recorded, violation = history.record(failure.episode, plan.replaced)
    shrunk = shrinking.shrink(
        recorded,
        violation,
        setting,
        plan.replaced,
        seconds,
        lambda left: say(f"shortening: {left} acts left"),
    )
    told = counterexample.explain(shrunk.history, setting, plan.replaced)
    path = counterexample.write_test(told, folder, contracts and contracts.resolve())
    known["counterexample"] = str(path)
    known["history"] = [dict(row._asdict()) for row in told.rows]
    state = "no act can be left out" if shrunk.complete else "the time for shortening was over"
    acts = f"{len(recorded.entries):,} acts shortened to {len(shrunk.history.entries)}"
    return "\n".join(
        [*counterexample.lines(told), "", f"{acts} in {shrunk.attempts} replays ({state}). Written: {path}"]
    )


@audit.command()
@click.option(
    "--json",
    "record_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=Path("build/audit.json"),
    show_default=True,
    metavar="FILE",
    help="The record of the run.",
)
@click.option(
    "--to",
    "log_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=Path("tests/AUDIT.md"),
    show_default=True,
    metavar="FILE",
    help="The log.",
)
def log(record_file: Path, log_file: Path) -> None:
    """Enter a run into the audit log, from its record alone."""
    from margincall.audit.log import insert

    try:
        text = insert(log_file.read_text(), json.loads(record_file.read_text()))
    except (ValueError, KeyError) as error:
        raise click.BadParameter(f"{record_file} into {log_file}: {error}", param_hint="--json") from None
    write(log_file, text)
    click.echo(f"Written: {log_file}")


def _verdict(found: dict) -> int:
    if found["violations"]:
        return VIOLATED
    if found["interrupted"]:
        click.echo("interrupted: the tables hold what was done until then", err=True)
        return INTERRUPTED
    if found["unmet"]:
        click.echo("\nNothing is violated, but the run reached too little:")
        for one in found["unmet"]:
            click.echo(f"  {one}")
        return TOO_LITTLE
    click.echo("passed")
    return 0


def _settings(mode: str | None, names: tuple[str, ...]) -> tuple:
    from margincall.audit.settings import SETTINGS, of_mode

    for name in names:
        if name not in SETTINGS:
            raise click.BadParameter(
                f"{name!r} is not a setting; expected one of {', '.join(SETTINGS)}", param_hint="--setting"
            )
    chosen = tuple(one for one in of_mode(mode) if not names or one.name in names)
    if not chosen:
        raise click.BadParameter(
            f"{', '.join(names)}: not a setting of --mode {mode}; leave one of the two options out",
            param_hint="--setting",
        )
    return chosen


def _list_settings() -> None:
    from margincall.audit.settings import ABOUT

    for name, about in ABOUT.items():
        click.echo(f"{name:12}{about}")


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Ctrl-C ends the run after its step; a second one ends the program."""
    heard = []

    def hear(number, frame) -> None:
        if heard:
            raise KeyboardInterrupt
        heard.append(number)

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield lambda: bool(heard)
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _line(quiet: bool) -> Iterator[Callable[[str], None]]:
    """A line that moves on standard error; none where that is no terminal."""
    console = console_for(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda text: None
        return
    with console.status("deploying") as status:
        yield status.update
