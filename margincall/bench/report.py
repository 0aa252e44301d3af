"""`report.html`: the benchmark as one page that needs nothing but itself, on a screen or a phone."""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template

from margincall.bench import draw
from margincall.bench.sheets import Sheet
from margincall.bench.story import Picture, Section

TEMPLATE = Path(__file__).with_name("report.template.html")


class _Template(Template):
    delimiter = "@@"  # its scripts use "$"


def write(summary: str, told: list[Section], folder: Path) -> list[Path]:
    """Write report.html and its pictures as PNG files; the paths. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "report.html"]
    written[0].write_text(page(summary, told), encoding="utf-8")
    for picture in (picture for section in told for picture in section.pictures):
        written.append(folder / f"{picture.name}.png")
        with picture.drawn() as figure:
            draw.png(figure, written[-1])
    return written


def page(summary: str, told: list[Section]) -> str:
    """The page of these sections, with a first sentence."""
    links = "".join(f'<a href="#{_anchor(one)}">{escape(one.title)}</a>' for one in told)
    body = "\n".join(_section(one) for one in told)
    return _Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        summary=escape(summary), links=links, body=body
    )


def _anchor(section: Section) -> str:
    return section.title.lower().replace(" ", "-")


def _section(section: Section) -> str:
    # One table, one picture, then what else there is.
    pictures = [_picture(picture) for picture in section.pictures]
    tables = [_table(sheet, section.sortable) for sheet in section.sheets]
    text = f"<p>{escape(section.text)}</p>" if section.text else ""
    parts = [text, *tables[:1], *pictures, *tables[1:], section.panel]
    return f'<section id="{_anchor(section)}"><h2>{escape(section.title)}</h2>{"".join(parts)}</section>'


def _picture(picture: Picture) -> str:
    """Drawn twice, for a screen and for a phone; the page shows one of them."""
    drawn = []
    for name, narrow in (("wide", False), ("narrow", True)):
        with picture.drawn(narrow=narrow) as figure:
            image = draw.inline(figure, f"{picture.name}-{name}")
        drawn.append(f'<div class="{name}">{image}</div>')
    return f'<figure role="img" aria-label="{escape(picture.about, quote=True)}">{"".join(drawn)}</figure>'


def _table(sheet: Sheet, sortable: bool) -> str:
    texts = {0, *sheet.texts}
    head = "".join(
        f'<th scope="col"{_class(i, texts)}>{escape(column)}</th>' for i, column in enumerate(sheet.columns)
    )
    rows = "".join(f"<tr>{_row(row, texts)}</tr>" for row in sheet.rows)
    notes = "".join(f"<p>{escape(note)}</p>" for note in sheet.notes)
    kind = ' class="sortable"' if sortable else ""
    return (
        f"<h3>{escape(sheet.title)}</h3>"
        '<div class="scroll" tabindex="0">'
        f"<table{kind}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f'</div><div class="notes">{notes}</div>'
    )


def _row(row: tuple[str, ...], texts: set[int]) -> str:
    first = f'<th scope="row">{escape(row[0])}</th>'
    return first + "".join(
        f"<td{_class(i, texts, cell)}>{escape(cell)}</td>" for i, cell in enumerate(row[1:], 1)
    )


def _class(place: int, texts: set[int], cell: str = "") -> str:
    names = ["text"] * (place in texts) + ["long"] * (len(cell) > 40) + [cell] * (cell in ("yes", "no"))
    return f' class="{" ".join(names)}"' if names else ""
