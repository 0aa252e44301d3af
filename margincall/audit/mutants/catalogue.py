"""The planted bugs: rows of real findings, and our own that one property alone has to notice.

Each file of `catalogue/` holds rows by id. A row: `defect` (what was wrong), `source`, then either `reason`
(why it does not apply) or `note` (what the change does here), `expected` properties, `runs` (settings) and
one or more `change`s of the contracts.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from margincall.audit.mutants.planting import Change, PlantError
from margincall.audit.settings import SETTINGS

FOLDER = Path(__file__).parent / "catalogue"
ROOM = (
    Change("Clearinghouse.vy", 'assert debit < 2**96, "withdraw: bad amount"', "assert debit < 2**96"),
    Change("Clearinghouse.vy", 'assert after >= before, "token: balance fell"', "assert after >= before"),
)
"""Makes room for a change that makes the clearinghouse longer (`room = true`): it is near EIP-170's limit,
and nobody gets to these two refusals."""
OWN = "OWN-"
"""What our own rows' ids begin with."""


class Row(NamedTuple):
    """A planted bug; `reason` says why one does not apply, else `changes` plant it. `contracts`: compile
    these with the change, the others without; None: all that hold a changed file. `focus`, `often`: see
    `hunting.Run`."""

    id: str
    defect: str
    source: str
    note: str
    expected: tuple[str, ...]
    runs: tuple[str, ...]
    changes: tuple[Change, ...]
    reason: str
    contracts: tuple[str, ...] | None
    focus: str
    often: str


@cache
def rows(folder: Path = FOLDER) -> tuple[Row, ...]:
    """All rows, real ones first. Raises PlantError on a file that says something else than rows."""
    found: dict[str, Row] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            content = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            raise PlantError(f"{path.name} is not TOML: {error}") from None
        for name, entry in content.items():
            if name in found:
                raise PlantError(f"{path.name}: {name} is there twice")
            found[name] = _row(name, entry, path.name)
    return tuple(sorted(found.values(), key=lambda row: row.id.startswith(OWN)))


def _row(name: str, entry: dict, file: str) -> Row:
    reason, changes = entry.get("reason", ""), entry.get("change", [])
    if bool(reason) == bool(changes):
        raise PlantError(f"{file}: {name} needs either a `reason` why it does not apply or `change`s")
    try:
        planted = tuple(Change(one["file"], one["old"], one["new"]) for one in changes)
        planted += ROOM if entry.get("room") else ()
        defect, source = entry["defect"], entry.get("source", "")
    except (KeyError, TypeError) as error:
        raise PlantError(f"{file}: {name} lacks {error}") from None
    runs = tuple(entry.get("runs", ()))
    if unknown := [one for one in runs if one not in SETTINGS]:
        raise PlantError(f"{file}: {name} runs in {unknown[0]!r}; known: {', '.join(SETTINGS)}")
    contracts = entry.get("contracts")
    return Row(
        name,
        defect,
        source,
        entry.get("note", ""),
        tuple(entry.get("expected", ())),
        runs,
        planted,
        reason,
        contracts and tuple(contracts),
        entry.get("focus", ""),
        entry.get("often", ""),
    )
