"""Which contract a mutant of a file is put into, and which histories look at it."""

from __future__ import annotations

import re
from functools import cache

from margincall.audit.mutants.catalogue import Row
from margincall.audit.mutants.hunting import Run
from margincall.audit.mutants.planting import holders
from margincall.protocol.artifacts import CONTRACTS, artifact, sources

EXCLUDED = {
    "SpanMargin.vy": "the worked example of another margin rule: not deployed (tests/unit/span_margin)",
    "feeds/AggregatorFeed.vy": "another price feed: not deployed (tests/unit/feeds)",
    "Timelock.vy": "snekmate's timelock controller and nothing else",
    "mocks/": "tokens and wallets that misbehave: they are the tests",
    "log statements": "events: the machine judges what is stored; unit tests compare events",
}
"""What no generic mutant is made of, and why."""

VIEWS = ("Lens", "PortfolioLens")
OPTION_FILES = ("options/", "Book.vy", "PortfolioMargin.vy", "margin/portfolio.vy", "margin/scenarios.vy",
                "margin/dials.vy", "Surface.vy", "Pricing.vy", "StandardMargin.vy", "Expiry.vy",
                "Collateral.vy", "PortfolioLens.vy")  # fmt: skip
"""Files whose code runs in a setting with options only."""
OF_OPTIONS = (
    Run("portfolio", 21, 180, "strikes"),
    Run("portfolio", 22, 200, "odd"),
    Run("portfolio", 23, 200, "expiry"),
    Run("portfolio", 24, 250, "book slices"),
)
OF_PERPS = (
    Run("thin", 11, 260, "late switch"),
    Run("hostile", 12, 260, "odd"),
    Run("plain", 13, 260, "slices"),
    Run("wide", 14, 160, "shortfalls"),
    Run("portfolio", 15, 200, "book slices"),
    Run("portfolio", 16, 200, "expiry"),
    Run("thin", 32, 260, "shortfalls"),
)
WITH_TWIN = (13, 16, 23, 24, 32)
"""Seeds of those that are played with the exact twin alone: without it they noticed next to nothing more."""

STEPS_OF_ROW = (500, 400)
"""Of a planted bug, a setting with perps alone and the one with options."""


def files() -> list[str]:
    """The sources that generic mutants are made of."""
    return sorted(
        file
        for file in holders()
        if file.endswith(".vy") and not any(file.startswith(out) for out in EXCLUDED)
    )


def runs(file: str, exact: bool = True) -> tuple[Run, ...]:
    """The histories that look at a mutant of a file, in order. Half of all mutants only the exact twin sees,
    and these go to the end of what runs without it: there those of WITH_TWIN are left out, and two-run
    properties rarer."""
    found = OF_OPTIONS if file.startswith(OPTION_FILES) else OF_PERPS
    return found if exact else tuple(run._replace(times=3) for run in found if run.seed not in WITH_TWIN)


def of_row(row: Row) -> tuple[Run, ...]:
    """The histories that look at a planted bug: some of each setting that it names."""
    return tuple(
        Run(name, 31 + i, STEPS_OF_ROW[name == "portfolio"], row.focus, row.often)
        for i in (0, 1)
        for name in row.runs
    )


@cache
def homes(file: str, function: str) -> tuple[str, ...]:
    """Deployed contracts that use a function (or constant) of a file: its namesake or the
    smallest that acts first, those that are only looked at last."""
    names = holders()[file]
    stem = file.rpartition("/")[2].removesuffix(".vy")
    if stem in names:
        return (stem,)
    wanted = [f"{stem}.{one}" for one in (*_reached_from(file, function), "__interface__")]
    used = [name for name in names if _mentions(name, file, wanted)]
    namesake = next((name for name in names if name.lower() == stem), None)

    def place(name: str) -> tuple:
        return name in VIEWS, name != namesake, len(artifact(name).bytecode)

    return tuple(sorted(used or names, key=place))


def _mentions(name: str, file: str, wanted: list[str]) -> bool:
    texts = [_text(other) for other in sources(name) if other != file]
    return any(re.search(rf"\b{re.escape(one)}\b", text) for one in wanted for text in texts)


def _reached_from(file: str, function: str) -> set[str]:
    """The functions of the file that use this one, directly or not, and itself."""
    bodies = dict(re.findall(r"^def (\w+)(.*?)(?=^@|\Z)", _text(file), re.M | re.S))
    found = {function}
    while True:
        more = {
            name
            for name, body in bodies.items()
            if name not in found and any(re.search(rf"\b{one}\b", body) for one in found)
        }
        if not more:
            return found
        found |= more


@cache
def _text(file: str) -> str:
    return (CONTRACTS / file).read_text()
