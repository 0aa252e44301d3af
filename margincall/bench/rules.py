"""The checks that were measured, by margin rule and by where it keeps its curves."""

from __future__ import annotations

from typing import NamedTuple

from margincall.bench.records import CHECK, Bench, Measurement

RULES = {
    "portfolio": "portfolio margin",
    "standard": "standard formula",
    "span": "SPAN over risk arrays",
    "cross": "cross margin",
}
SCENARIOS = {"portfolio": 24, "span": 16}
"""How many scenarios a rule looks at; the others are formulas."""
BOOKS = {"ladder": " ladder of ", "perps": " perp"}
"""A ladder of calls sold of one expiry; perps alone."""


class Rule(NamedTuple):
    """A rule's checks of one book, by number of positions."""

    engine: str
    store: str
    name: str
    checks: dict[int, Measurement]

    @property
    def scenarios(self) -> int:
        return SCENARIOS.get(self.engine, 0)

    @property
    def gas(self) -> dict[int, int]:
        return {n: measured.gas for n, measured in self.checks.items()}


def rules(bench: Bench, book: str = "ladder") -> list[Rule]:
    """Every rule that was measured on a book, with its curves in code before slots."""
    found = []
    for engine, name in RULES.items():
        held = [m for m in bench.select(kind=CHECK, engine=engine) if m.positions and BOOKS[book] in m.name]
        held = [m for m in held if not m.name.startswith("Lens.")]  # a view for people; no trade asks it
        stores = sorted({m.store for m in held})
        for store in stores:
            checks = {m.positions: m for m in sorted(held, key=lambda m: m.positions) if m.store == store}
            found.append(Rule(engine, store, f"{name}, {store}" if len(stores) > 1 else name, checks))
    return found


def rule(bench: Bench, engine: str, book: str = "ladder") -> Rule | None:
    """That rule, with its curves in code where it has a choice; None where it was not measured."""
    return next((one for one in rules(bench, book) if one.engine == engine), None)
