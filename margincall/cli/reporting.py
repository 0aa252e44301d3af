"""`margincall bench report`, and what it shares with `margincall bench`: options, tables, the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isfinite
from pathlib import Path

import click

from margincall.cli.shared import console_for
from margincall.replay.candles import BadInput

BENCH = Path("build/bench/bench.json")
PRICES = {
    "cold_sload": "A slot's first touch.",
    "cold_account": "Another account's first touch.",
    "sstore_set": "A slot created, its touch aside.",
    "sstore_reset": "A slot changed or cleared, its touch aside.",
    "log": "A log.",
    "log_topic": "A topic of a log.",
    "log_byte": "A byte of a log.",
    "calldata_zero": "A zero byte of calldata.",
    "calldata_byte": "Another byte of calldata.",
    "create": "A contract made.",
    "code_byte": "A byte of code made.",
}
"""The what-if's options; their defaults are today's prices (margincall.bench.whatif.Schedule)."""


def report_options(command: Callable) -> Callable:
    """--compare, --gas-price, --eth-price and the prices of the what-if."""
    options = [
        click.option(
            "--compare",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Figures of other systems. [default: those that come with the package]",
        ),
        click.option("--gas-price", type=float, metavar="GWEI", help="Show costs at this gas price."),
        click.option("--eth-price", type=float, metavar="USD", help="Show costs in USD."),
    ]
    for name, about in PRICES.items():
        flag = "--" + name.replace("_", "-")
        options.append(
            click.option(flag, type=click.IntRange(0, 10**9), metavar="GAS", help=f"What if: {about}")
        )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=BENCH, required=False)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FOLDER", help="Of the page. [default: FILE's folder]"
)
@click.option("--json", "as_json", is_flag=True, help="The analysis as one JSON record, no page.")
@report_options
def report(file, out, as_json, **asked) -> None:
    """Tell the story of a benchmark that was measured before (FILE, build/bench/bench.json).

    Tables here; report.html and its pictures beside FILE. What-if options restate the measured gas for other
    prices of state, exactly as far as it is linear in what transactions touch.

    \b
    margincall bench report --gas-price 1 --eth-price 3000
    margincall bench report --cold-sload 3000 --cold-account 5000
    margincall bench report --compare mine.json --json
    """
    found = _read(file)
    if (said := _stale(found)) and file == BENCH:
        raise BadInput(f"{file}: {said}; `margincall bench` measures these")
    if said:
        click.echo(f"note: {file}: {said}", err=True)
    tell(found, out or file.parent, as_json=as_json, **asked)


def tell(
    found, folder: Path, as_json: bool = False, compare=None, gas_price=None, eth_price=None, **prices
) -> None:
    """Write the page into `folder` and print the tables; or the analysis as JSON alone. Raises BadInput."""
    from margincall.bench import report as page
    from margincall.bench import story
    from margincall.bench.comparing import require_ours
    from margincall.bench.peers import FILE, read_peers
    from margincall.bench.sheets import summary
    from margincall.bench.whatif import Schedule

    for flag, value in (("--gas-price", gas_price), ("--eth-price", eth_price)):
        if value is not None and not (isfinite(value) and value > 0):
            raise BadInput(f"{flag} {value}: expected a number above 0")
    peers = read_peers(compare or FILE)
    if compare:
        try:
            require_ours(found, peers)
        except BadInput as error:
            raise BadInput(f"{compare}: {error}") from None
    given = {name: price for name, price in prices.items() if price is not None}
    asked = story.Asked(gas_price, eth_price, Schedule(**given))
    if as_json:
        click.echo(json.dumps(story.record(found, peers, asked), indent=2))
        return
    told = story.sections(found, peers, asked)
    try:
        written = page.write(summary(found, peers), told, folder)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written ({error.strerror}); give another folder") from None
    _print(told)
    click.echo(f"\nWritten: {', '.join(map(str, written))}")


def _print(told) -> None:
    from margincall.bench.tables import show

    console = console_for()
    for section in told:
        if not section.page_only:
            for sheet in section.sheets:
                show(console, sheet)


def _stale(found) -> str:
    """What sets a benchmark's contracts apart from those of this folder; "" for nothing."""
    from margincall.bench.versions import digest

    measured, here = found.meta.get("contracts"), digest()
    return "" if measured == here else f"was measured on other contracts ({measured}, here {here})"


def _read(file: Path):
    """A bench.json. Raises BadInput."""
    from margincall.bench.records import load

    try:
        return load(file)
    except FileNotFoundError:
        raise BadInput(f"{file}: no such file; `margincall bench` measures and writes one") from None
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror}); expected a bench.json") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise BadInput(f"{file}: is no bench.json ({said}); `margincall bench` writes one") from None
