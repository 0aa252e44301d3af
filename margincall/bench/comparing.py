"""Other systems' figures beside ours, on the same book; a ratio only where both were measured alike."""

from __future__ import annotations

from typing import Any

from margincall.bench.peers import Check, Peers, System
from margincall.bench.records import OPERATION, Bench
from margincall.bench.rules import Rule, rule, rules
from margincall.bench.sheets import Sheet, gas, times
from margincall.replay.candles import BadInput

TITLES = {
    "ladder": "Checks of a ladder of calls, by positions",
    "perps": "Checks of perps, by positions",
}
AGAINST = {True: "portfolio", False: "standard"}  # a peer with scenarios, without
"""Which rule of ours a peer's check of options is held against."""


def rival(bench: Bench, book: str, scenarios: int) -> Rule | None:
    """Our rule that a peer with that many scenarios is held against; None where none was measured."""
    if book == "perps":
        return rule(bench, "portfolio" if scenarios else "cross", book)
    return rule(bench, AGAINST[bool(scenarios)]) or rule(bench, "portfolio")


def checks(bench: Bench, peers: Peers, book: str) -> Sheet:
    """Rules in rows, positions in columns; a peer's cell holds the ratio to ours where it means something."""
    mine, theirs = rules(bench, book), [(s, check) for s in peers.systems if (check := s.check(book))]
    positions = sorted({n for one in mine for n in one.checks} | {n for _, c in theirs for n in c.ladder})
    rows = [(one.name, *[gas(one.gas.get(n)) for n in positions], "") for one in mine]
    for system, check in theirs:
        against, apart = _against(bench, peers, system, check)
        cells = [_cell(check, n, against.gas if against else {}) for n in positions]
        said = f"as ours; × {against.name}" if against else f"no ratio: {apart}"
        rows.append((system.name, *cells, said))
    note = (
        "Ours: cold, without intrinsic and calldata gas. A ratio is shown where a peer was measured so too."
    )
    columns = ("rule", *map(str, positions), "measured")
    return Sheet(TITLES[book], columns, rows, (note,), frozenset({len(columns) - 1}))


def _against(bench: Bench, peers: Peers, system: System, check: Check) -> tuple[Rule | None, str]:
    """Our rule that a ratio to this check means something against, or what sets the two apart."""
    method = peers.method(check)
    if not method.as_our_checks:
        return None, method.apart(intrinsic=False)
    found = rival(bench, check.book, system.scenarios)
    return found, "" if found else "ours was not measured"


def _cell(check: Check, n: int, held: dict[int, int]) -> str:
    if n not in check.ladder:
        return ""
    ratio = f" ({times(check.ladder[n] / held[n])})" if n in held else ""
    return gas(check.ladder[n]) + ratio


def operations(bench: Bench, peers: Peers) -> Sheet:
    """Each operation of each peer with ours beside it, and what sets the two apart."""
    held = {m.name: m for m in bench.select(kind=OPERATION)}
    rows = []
    for system in peers.systems:
        for one in system.operations:
            total = gas(sum(one.gas))
            split = " + ".join(map(gas, one.gas)) if len(one.gas) > 1 else ""
            mine = held.get(one.ours)
            method = peers.method(one)
            said = "; ".join(
                filter(None, (method.apart(intrinsic=True) or "receipt as ours", split, one.conditions))
            )
            rows.append((system.name, one.what, total, gas(mine.gas) if mine else "", one.ours, said))
    return Sheet(
        "Operations of other systems",
        ("system", "operation", "gas", "ours", "ours is", "theirs is"),
        rows,
        ("Ours are whole receipts. No ratios: the operations are not the same.",),
        frozenset({1, 4, 5}),
    )


def require_ours(bench: Bench, peers: Peers) -> None:
    """Raises BadInput where a peer names an operation of ours that was not measured."""
    held = {m.name for m in bench.select(kind=OPERATION)}
    for i, system in enumerate(peers.systems):
        for j, one in enumerate(system.operations):
            if one.ours and one.ours not in held:
                raise BadInput(
                    f"systems.{i}.operations.{j}.ours: {one.ours!r} was not measured; expected a name under "
                    "operations in bench.json"
                )


def methods(peers: Peers) -> Sheet:
    """Where the peers' figures come from."""
    rows = []
    for system in peers.systems:
        checked = [", ".join(filter(None, (peers.method(c).about, c.conditions))) for c in system.checks]
        used = dict.fromkeys([*checked, *(peers.method(one).about for one in system.operations)])
        rows.append(
            (system.name, system.source, system.commit, system.compiler, system.tool, "; ".join(used))
        )
    columns = ("system", "source", "commit", "compiler", "tool", "method")
    notes = (peers.about,) if peers.about else ()
    return Sheet("How the others were measured", columns, rows, notes, frozenset(range(1, 6)))


def record(bench: Bench, peers: Peers) -> dict[str, Any]:
    """All of it as plain data."""
    found: dict[str, Any] = {"checks": [], "operations": []}
    held = {m.name: m.gas for m in bench.select(kind=OPERATION)}
    for system in peers.systems:
        for check in system.checks:
            against, apart = _against(bench, peers, system, check)
            ours = against.gas if against else {}
            common = [n for n in check.ladder if n in ours]
            found["checks"].append(
                {"system": system.name, "book": check.book, "gas": check.gas, "apart": apart}
                | {"against": against.name if against else None, "ours": {str(n): ours[n] for n in common}}
                | {"ratio": {str(n): check.ladder[n] / ours[n] for n in common}}
            )
        for one in system.operations:
            apart = peers.method(one).apart(intrinsic=True)
            found["operations"].append(
                {"system": system.name, "what": one.what, "gas": one.gas, "apart": apart}
                | {"conditions": one.conditions, "against": one.ours or None, "ours": held.get(one.ours)}
            )
    return found
