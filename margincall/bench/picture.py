"""`gas.svg`, the picture that the README shows.

It carries the figures that it shows, with the names of the measurements: a test holds them against
tests/gas/snapshot.json and draws it again, so it cannot go stale.
"""

from __future__ import annotations

import json
import re
from html import escape, unescape
from pathlib import Path

from margincall.bench import draw
from margincall.bench.draw import Books, Line
from margincall.bench.peers import read_peers
from margincall.bench.records import Bench

FILE = Path(__file__).with_name("gas.svg")
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.S)


def drawn(books: Books) -> str:
    """The SVG of what `draw.gas_lines` gives."""
    with draw.gas(books) as figure:
        text = draw.svg(figure)
    held = {
        book: [line._asdict() | {"measured": dict(line.measured)} for line in lines]
        for book, lines in books.items()
    }
    return _METADATA.sub(
        lambda _: f"<metadata>{escape(json.dumps(held), quote=False)}</metadata>", text, count=1
    )


def shown(text: str) -> Books:
    """What such an SVG says that it shows. Raises ValueError for another."""
    found = _METADATA.search(text)
    if not found:
        raise ValueError("the picture carries no figures")
    held = json.loads(unescape(found[0].removeprefix("<metadata>").removesuffix("</metadata>")))
    return {book: [_line(line) for line in lines] for book, lines in held.items()}


def _line(held: dict) -> Line:
    numbered = {key: {int(n): value for n, value in held[key].items()} for key in ("points", "measured")}
    return Line(**held | numbered)


def save(bench: Bench, path: Path = FILE) -> None:
    """Draw it anew, with the peers that come with the package."""
    path.write_text(drawn(draw.gas_lines(bench, read_peers())), encoding="utf-8")
