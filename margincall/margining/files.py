"""Portfolio files: positions by the names of their instruments, and what a file may say about their market.

CSV: columns instrument,size and, if wanted, entry. JSON: a list of such objects, or an object with
`positions` and any of name, about, cash, now, prices, vols, smile. Sizes are coins (negative: sold), entries
and cash USD. Every refusal is one line: file, position, value, what was expected.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from margincall.data import PORTFOLIOS
from margincall.replay.candles import BadInput, number

COLUMNS = ("instrument", "size", "entry")
KEYS = ("name", "about", "cash", "now", "prices", "vols", "smile", "positions")
STDIN = "-"


class Line(NamedTuple):
    """A position as a file gives it. where: for error messages; size: coins; entry: USD a coin."""

    where: str
    instrument: str
    size: Decimal
    entry: Decimal | None


class PortfolioFile(NamedTuple):
    """What a file says; None or empty where it says nothing. Values are texts as they were written."""

    positions: tuple[Line, ...]
    name: str = ""
    about: str = ""
    cash: str | None = None
    now: str | None = None
    prices: Mapping[str, str] = {}
    vols: Mapping[str, str] = {}
    smile: str | None = None


def read_portfolio(path: Path | str) -> PortfolioFile:
    """The portfolio of a file, "-" for standard input. Raises BadInput."""
    name = "standard input" if str(path) == STDIN else str(path)
    try:
        text = sys.stdin.read() if str(path) == STDIN else Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"{name}: cannot be read ({error.strerror}); expected a JSON or CSV file") from None
    except UnicodeDecodeError:
        raise BadInput(f"{name}: is no text; expected a JSON or CSV file in UTF-8") from None
    if not text.strip():
        raise BadInput(f"{name}: is empty; expected positions like BTC,1.5 under a line instrument,size")
    found = _json(text, name) if text.lstrip()[0] in "[{" else PortfolioFile(_csv(text, name))
    if not found.positions:
        raise BadInput(f"{name}: holds no position; expected at least one instrument and size")
    return found if found.name else found._replace(name=Path(name).stem)


def example_names() -> list[str]:
    """Names of the portfolios that come with the package."""
    return sorted(path.stem for path in PORTFOLIOS.glob("*.json"))


def example(name: str) -> PortfolioFile:
    """A portfolio that comes with the package. Raises BadInput for an unknown name."""
    if name not in example_names():
        raise BadInput(f"--example {name}: expected one of {', '.join(example_names())}")
    return read_portfolio(PORTFOLIOS / f"{name}.json")


def _csv(text: str, name: str) -> tuple[Line, ...]:
    rows = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    rows.fieldnames = [(field or "").strip().lower() for field in rows.fieldnames or ()]
    unknown = [field for field in rows.fieldnames if field not in COLUMNS]
    missing = [column for column in COLUMNS[:2] if column not in rows.fieldnames]
    if missing or unknown:
        what = f"no column {missing[0]!r}" if missing else f"unknown column {unknown[0]!r}"
        raise BadInput(f"{name}: {what}; expected a first line instrument,size or instrument,size,entry")
    lines = []
    for row in rows:
        here = f"{name}: line {rows.line_num}"
        if None in row or row["size"] is None:
            count = "more" if None in row else "fewer"
            raise BadInput(f"{here}: {count} values than columns; expected {','.join(rows.fieldnames)}")
        lines.append(_line(row, here))
    return tuple(lines)


def _json(text: str, name: str) -> PortfolioFile:
    def constant(value: str):
        raise BadInput(f"{name}: {value} is not finite; expected a decimal like 123.4")

    try:
        found = json.loads(text, parse_float=Decimal, parse_constant=constant, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise BadInput(f"{name}: line {error.lineno}: not JSON ({error.msg}); check it there") from None
    except _Twice as twice:
        raise BadInput(f"{name}: {twice.args[0]!r} is given twice in one object; keep one") from None
    if isinstance(found, list):
        found = {"positions": found}
    if unknown := [key for key in found if key not in KEYS]:
        raise BadInput(f"{name}: unknown key {unknown[0]!r}; expected some of {', '.join(KEYS)}")
    positions = found.get("positions")
    if not isinstance(positions, list):
        raise BadInput(f"{name}: no list 'positions'; expected [{{'instrument': 'BTC', 'size': 1.5}}, ...]")
    lines = []
    for count, row in enumerate(positions, 1):
        here = f"{name}: position {count}"
        if not isinstance(row, dict) or not {"instrument", "size"} <= set(row) <= set(COLUMNS):
            raise BadInput(f"{here}: expected an object with instrument, size and perhaps entry")
        lines.append(_line(row, here))
    return PortfolioFile(
        tuple(lines),
        _text(found.get("name"), "") or "",
        _text(found.get("about"), "") or "",
        _text(found.get("cash"), None),
        _text(found.get("now"), None),
        _texts(found.get("prices"), f"{name}: prices"),
        _texts(found.get("vols"), f"{name}: vols"),
        _text(found.get("smile"), None),
    )


class _Twice(Exception):
    pass


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def _line(row: Mapping[str, Any], here: str) -> Line:
    instrument = _text(row["instrument"], "") or ""
    if not instrument:
        raise BadInput(f"{here}: no instrument; expected a name like BTC or BTC-27DEC26-100000-C")
    size = number(_text(row["size"], "") or "", f"{here}: {instrument}: size")
    entry = _text(row.get("entry"), None)
    if entry is None:
        return Line(here, instrument, size, None)
    price = number(entry, f"{here}: {instrument}: entry")
    if price < 0:
        raise BadInput(f"{here}: {instrument}: entry {entry} is negative; expected USD a coin")
    return Line(here, instrument, size, price)


def _text(value: Any, missing: str | None) -> str | None:
    return missing if value is None or str(value).strip() == "" else str(value).strip()


def _texts(values: Any, where: str) -> dict[str, str]:
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise BadInput(f"{where}: expected an object like {{'BTC': 100000}}")
    return {key: str(value) for key, value in values.items()}
