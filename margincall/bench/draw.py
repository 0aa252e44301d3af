"""The benchmark's pictures: gas over positions, growth up to a full transaction, where the gas goes.

Each is drawn wide, or narrow for a phone. `png` writes one, `svg` gives one, `inline` one for a page, whose
own colours of text and grid it takes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle, pairwise
from math import log10
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from margincall.bench.growth import TRANSACTION_GAS, Grown, grown
from margincall.bench.peers import Peers, System
from margincall.bench.records import Bench, Measurement
from margincall.bench.rules import RULES, rules
from margincall.replay.draw import COLOURS, styled

INK, GRID, SOFT = "#222222", "#e8e8e8", "#8a8a8a"
RULE_COLOURS = {
    "portfolio": COLOURS["portfolio"],
    "cross": COLOURS["cross"],
    "standard": "#3a7d44",
    "span": "#e08e0b",
}
PEER_COLOURS = (
    "#d1495b",
    "#a23b72",
    "#8c6d62",
    "#5b6c8f",
    "#c26a3d",
    "#7d8a2e",
    "#2b6cb0",
    "#b08d00",
    "#6b6b6b",
)
PART_COLOURS = {  # state, then computing, then what the transaction itself asks for
    "storage": "#4c2a85",
    "accounts": "#7a4fbf",
    "code": "#b59ae0",
    "arithmetic": "#00798c",
    "control": "#4fa3b1",
    "memory": "#9bd0d8",
    "keccak": "#c9e5e9",
    "calls": "#2f6f4f",
    "logs": "#edae49",
    "signatures": "#e08e0b",
    "calldata": "#d98a94",
    "intrinsic": "#d1495b",
    "refund": "#8a8a8a",
}
HEIGHTS = {False: 5.4, True: 8.6}


class Line(NamedTuple):
    """A series of a picture: gas by positions, how it is drawn; the measurements' names, where it is ours."""

    name: str
    points: dict[int, float]
    colour: str
    style: str = "-"
    marker: str = "o"
    hollow: bool = False
    measured: Mapping[int, str] = MappingProxyType({})


@contextmanager
def _canvas(narrow: bool, height: float, **grid) -> Iterator[tuple]:
    """A figure and its axes in the pictures' style."""
    plt = styled()
    colours = dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    )
    with plt.rc_context(colours | {"grid.color": GRID, "font.size": 10 if narrow else 11}):
        figure, axes = plt.subplots(
            figsize=(4.6 if narrow else 11.5, height), layout="constrained", squeeze=False, **grid
        )
        yield figure, axes
        plt.close(figure)


Books = dict[str, list[Line]]
TITLES = {"ladder": "Options of one expiry", "perps": "Perps"}


def gas_lines(bench: Bench, peers: Peers | None) -> Books:
    """What the picture of gas shows, by book."""
    return {book: list(_lines(bench, peers, book)) for book in TITLES}


@contextmanager
def gas(books: Books, narrow: bool = False) -> Iterator:
    """Gas of a check over the number of positions, with floors and peers: options, and perps."""
    shown = {book: lines for book, lines in books.items() if lines}
    rows, columns = (len(shown), 1) if narrow else (1, len(shown))
    with _canvas(narrow, HEIGHTS[narrow], nrows=rows, ncols=columns) as (figure, axes):
        for one, (book, lines) in zip(axes.flat, shown.items(), strict=True):
            _plot(one, lines, narrow)
            one.set_title(f"{TITLES[book]}: gas of a check", fontsize=10.5 if narrow else 12)
            otherwise = "  (* measured otherwise)" if any(line.hollow for line in lines) else ""
            one.set_xlabel(f"positions of the account{otherwise}")
            _powers(one, sorted({n for line in lines for n in line.points}))
        yield figure


def _lines(bench: Bench, peers: Peers | None, book: str) -> Iterator[Line]:
    for rule in rules(bench, book):
        style = "--" if rule.store == "slots" else "-"
        names = {n: measured.name for n, measured in rule.checks.items()}
        yield Line(rule.name, rule.gas, RULE_COLOURS[rule.engine], style, measured=names)
        if rule.store != "slots" and rule.engine == FLOORED[book]:
            floor = {n: m.floor for n, m in rule.checks.items() if m.floor}
            if floor:
                yield Line(f"floor of {RULES[rule.engine]}", floor, RULE_COLOURS[rule.engine], ":", "")
    for system, colour in _coloured(peers):
        if check := system.check(book):
            alike = peers.method(check).as_our_checks
            name = system.name if alike else f"{system.name}*"
            yield Line(name, check.ladder, colour, "-" if alike else "-.", "s", not alike)


FLOORED = {"ladder": "portfolio", "perps": "cross"}
"""Whose floor is shown."""


def _coloured(peers: Peers | None) -> Iterator[tuple[System, str]]:
    """The peers, each with its colour in every picture."""
    return zip(peers.systems if peers else (), cycle(PEER_COLOURS))


def _plot(axes, lines: Sequence[Line], narrow: bool) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for line in lines:
        axes.plot(
            list(line.points),
            list(line.points.values()),
            color=line.colour,
            ls=line.style,
            lw=1.6 if line.style == ":" else 2,
            marker=line.marker,
            ms=4.5,
            mfc="none" if line.hollow else line.colour,
            label=line.name,
        )
    if narrow:
        axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.16), ncols=2, fontsize=8.5, handlelength=1.6)
    else:
        _name_ends(axes, lines)
    axes.yaxis.set_major_formatter(lambda value, _: short(value))


def _name_ends(axes, lines: Sequence[Line]) -> None:
    """Each line's name and last figure at its right end, moved apart where they would touch."""
    low, high = map(log10, axes.get_ylim())
    right = max(n for line in lines for n in line.points)
    ends = sorted((log10(line.points[max(line.points)]), line) for line in lines)
    places = apart([end for end, _ in ends], (high - low) * 0.048)
    for place, (_, line) in zip(places, ends, strict=True):
        last = max(line.points)
        at = "" if last == right else f" at {last}"
        axes.annotate(
            f"{line.name}  {short(line.points[last])}{at}",
            (last, line.points[last]),
            xytext=(1.03, 10**place),
            textcoords=("axes fraction", "data"),
            va="center",
            color=line.colour,
            fontsize=9.5,
            annotation_clip=False,
        )


def apart(places: list[float], gap: float) -> list[float]:
    """Ascending places moved as little as it takes to be `gap` apart."""
    places = list(places)
    for _ in range(300):
        for i, (lower, upper) in enumerate(pairwise(places)):
            push = (gap - (upper - lower)) / 2
            if push > 0:
                places[i], places[i + 1] = places[i] - push, places[i + 1] + push
    return places


def short(value: float) -> str:
    """79k, 14.5M."""
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if value >= size:
            scaled = value / size
            return f"{scaled:.3g}{unit}" if scaled < 100 else f"{scaled:.0f}{unit}"
    return f"{value:.0f}"


def _powers(axes, counts: Sequence[int]) -> None:
    """Ticks at the numbers that were measured, as far as they leave room for each other."""
    shown: list[int] = []
    for count in counts:
        if not shown or count >= 1.6 * shown[-1]:
            shown.append(count)
    axes.set_xticks(shown, [str(count) for count in shown])
    axes.minorticks_off()


# ---------------------------------------------------------------- growth


@contextmanager
def growth(bench: Bench, peers: Peers | None, narrow: bool = False) -> Iterator:
    """Fits continued until they fill a transaction."""
    with _canvas(narrow, 6.2 if narrow else 5.0) as (figure, grid):
        axes, found = grid[0, 0], grown(bench, peers)
        colours = {system.name: (colour, "-") for system, colour in _coloured(peers)}
        for rule in rules(bench):
            colours[rule.name] = RULE_COLOURS[rule.engine], "--" if rule.store == "slots" else "-"
        for one in found:
            _continued(axes, one, *colours[one.name])
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.axhline(TRANSACTION_GAS, color=INK, lw=1)
        most = bench.limits.get("max_positions")
        axes.annotate(
            f"a transaction: {TRANSACTION_GAS:,} gas",
            (1.25 * (most or 128), TRANSACTION_GAS),
            xytext=(0, 6),
            textcoords="offset points",
            fontsize=8.5 if narrow else 9.5,
        )
        if most:
            axes.axvline(most, color=SOFT, lw=1, ls=":")
            axes.annotate(
                f"{most} positions:\nthe contracts' limit",
                (most, 0),
                xycoords=("data", "axes fraction"),
                xytext=(4, 6),
                textcoords="offset points",
                fontsize=9.5,
            )
        axes.set_ylim(top=TRANSACTION_GAS * 2.2)
        axes.set_xlim(left=1)
        axes.set_title(
            "Until a check fills a transaction (thin: by the fit)", fontsize=10.5 if narrow else 12
        )
        axes.set_xlabel("options of one expiry")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.yaxis.set_major_formatter(lambda value, _: short(value))
        axes.minorticks_off()
        columns = 1 if narrow else 3
        figure.legend(loc="outside lower left", ncols=columns, fontsize=9, handlelength=1.8)
        yield figure


def _continued(axes, one: Grown, colour: str, style: str) -> None:
    measured = sorted(one.points)
    axes.plot(
        measured,
        [one.points[n] for n in measured],
        color=colour,
        ls=style,
        lw=2.2,
        marker="o" if one.ours else "s",
        ms=4.5,
        label=f"{one.name}: {int(one.fits_transaction):,} fit",
    )
    end = one.fits_transaction
    if end > measured[-1]:
        steps = [measured[-1] * (end / measured[-1]) ** (i / 40) for i in range(41)]
        axes.plot(steps, [one.fit.gas(n) for n in steps], color=colour, ls=style, lw=0.9)
    axes.plot([end], [TRANSACTION_GAS], "x", color=colour, ms=8, mew=2)


# ---------------------------------------------------------------- where it goes


class Bars(NamedTuple):
    """A panel of stacked bars; share: of the gas of each, so that small and large ones show what they are."""

    title: str
    measured: Sequence[Measurement]
    share: bool = False


@contextmanager
def where(panels: Sequence[Bars], narrow: bool = False) -> Iterator:
    """Stacked bars of the parts of measurements."""
    shown = [panel for panel in panels if panel.measured]
    ratios = [len(panel.measured) + 1.2 for panel in shown]
    height = (0.5 if narrow else 0.36) * sum(ratios) + 1.2
    grid = {"nrows": len(shown), "ncols": 1, "gridspec_kw": {"height_ratios": ratios}}
    with _canvas(narrow, height, **grid) as (figure, axes):
        everything = [measured for panel in shown for measured in panel.measured]
        used = [part for part in PART_COLOURS if any(m.parts.get(part) for m in everything)]
        for one, panel in zip(axes.flat, shown, strict=True):
            _bars(one, panel, used, narrow)
        handles, names = axes.flat[0].get_legend_handles_labels()
        columns = 4 if narrow else 7
        figure.legend(handles, names, loc="outside lower left", ncols=columns, fontsize=9, handlelength=1)
        yield figure


def _bars(axes, panel: Bars, used: Sequence[str], narrow: bool) -> None:
    held, places = panel.measured, range(len(panel.measured))
    spent = [sum(max(gas, 0) for gas in m.parts.values()) for m in held]
    scale = [1 / total if panel.share else 1 for total in spent]
    right, left = [0.0] * len(held), [0.0] * len(held)
    for part in used:
        widths = [m.parts.get(part, 0) * scale[i] for i, m in enumerate(held)]
        starts = [left[i] if width < 0 else right[i] for i, width in enumerate(widths)]
        axes.barh(places, widths, left=starts, color=PART_COLOURS[part], label=part, height=0.72)
        for i, width in enumerate(widths):
            if width < 0:
                left[i] += width
            else:
                right[i] += width
    for i, measured in enumerate(held):
        text, place = short(measured.gas), (right[i], i)
        axes.annotate(text, place, xytext=(4, 0), textcoords="offset points", va="center", fontsize=9.5)
    names = [_wrapped(m.name, 22 if narrow else 60) for m in held]
    axes.set_yticks(places, names, fontsize=8.5 if narrow else 10)
    axes.invert_yaxis()
    axes.set_title(panel.title)
    axes.set_xlim(right=(1.2 if narrow else 1.12) * max(right))
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_locator(_ticks(panel.share, 4 if narrow else 8))
    axes.xaxis.set_major_formatter(lambda value, _: _tick(value, panel.share))


def _tick(value: float, share: bool) -> str:
    sign = "−" if value < 0 else ""
    return f"{sign}{abs(value):.0%}" if share else sign + short(abs(value))


def _ticks(share: bool, count: int):
    from matplotlib.ticker import FixedLocator, MaxNLocator

    return FixedLocator([0, 0.25, 0.5, 0.75, 1]) if share else MaxNLocator(count)


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


# ---------------------------------------------------------------- files


def png(figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def svg(figure) -> str:
    """The figure as SVG: the same text for the same figure."""
    from matplotlib import rc_context

    text = io.StringIO()
    with rc_context({"svg.hashsalt": "margincall", "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def inline(figure, name: str) -> str:
    """The figure as SVG for a page: in the page's colours and as wide as there is room, its ids with `name`
    before them, so that several pictures do not share any."""
    figure.set_facecolor("none")
    for axes in figure.axes:
        axes.set_facecolor("none")
    drawn = svg(figure)
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.S)
    drawn = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{name}-", drawn)
    drawn = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", drawn, count=1)
    drawn = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawn, count=1)
    return drawn.replace(INK, "currentColor").replace(GRID, "var(--grid)")
