"""What a run of mutants says: counts with the exact twin and without, sole killers, survivors one by one."""

from __future__ import annotations

from collections import Counter
from typing import Any

from margincall.audit.mutants.campaign import EQUIVALENT, INVALID, KILLED, REVIEWED, SURVIVED
from margincall.audit.mutants.catalogue import OWN
from margincall.audit.mutants.catalogue import rows as catalogue
from margincall.audit.mutants.hunting import BROKEN, EXACT
from margincall.audit.mutants.reviewed import reason_of, reviewed

IDS = tuple(f"I-{i:02d}" for i in range(1, 41))
BAR = 95
"""Per cent of the generic mutants that are not equivalent that have to be noticed."""


def sole_killers(rows: list[dict]) -> dict[str, list[str]]:
    """property -> planted bugs that it alone notices once the exact twin is left aside."""
    found: dict[str, list[str]] = {}
    for row in rows:
        by = [name for name in row["by"] if name != BROKEN]
        if len(by) == 1:
            found.setdefault(by[0], []).append(row["id"])
    return found


def verdict(rows: list[dict], generic: list[dict], seed: int, only: bool = False) -> dict[str, Any]:
    """The record that `--json` writes; build/mutants.json by default. only: not the whole catalogue."""
    _, merged = reviewed()
    sole = sole_killers(rows)
    return {
        "only": only,
        "catalogue": {row["id"]: _row(row) for row in rows},
        "not_run": [row.id for row in catalogue() if rows and row.id not in {one["id"] for one in rows}],
        "properties": {
            "sole_killers": sole,
            "merged": merged,
            "missing": [id for id in IDS if id not in (*sole, *merged, EXACT)] if rows and not only else [],
        },
        "generic": _generic(generic, seed),
    }


def _row(row: dict) -> dict[str, Any]:
    kept = ("status", "by", "steps", "reason", "after", "exact", "seconds")
    return {name: row[name] for name in kept if name in row}


def _generic(records: list[dict], seed: int) -> dict[str, Any]:
    # By source, not by when a process was done with it: two runs write the same page.
    records = sorted(records, key=lambda r: (r["file"], r["line"], r["start"], r["new"]))
    reasons = {r["key"]: reason_of(r) for r in records if r["status"] in (SURVIVED, REVIEWED)}
    same = [r for r in records if reasons.get(r["key"])]
    counted = [r for r in records if r["status"] in (KILLED, SURVIVED) and r not in same]
    killed = [r for r in counted if r["status"] == KILLED]
    without = [r for r in counted if r["observed"]]
    spent = sum(r["seconds"] for r in records)
    status = Counter(r["status"] for r in records)
    return {
        "seed": seed,
        "total": len(counted),
        "killed": len(killed),
        "killed_without_exact": len(without),
        "equivalent": status[EQUIVALENT] + len(same),
        "equivalent_by_bytecode": status[EQUIVALENT],
        "equivalent_by_review": [_line(r) | {"reason": reasons[r["key"]]} for r in same],
        "invalid": status[INVALID],
        "percent": _percent(len(killed), len(counted)),
        "percent_without_exact": _percent(len(without), len(counted)),
        "seconds": round(spent, 1),
        "by": dict(Counter(r["exact"]["by"] for r in killed).most_common()),
        "by_without_exact": dict(Counter(r["observed"]["by"] for r in without).most_common()),
        "files": _files(counted),
        "survivors": [_line(r) for r in counted if r["status"] == SURVIVED],
        "survivors_without_exact": [_line(r) for r in counted if r["status"] == KILLED and not r["observed"]],
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def _files(counted: list[dict]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for r in counted:
        one = found.setdefault(r["file"], {"total": 0, "killed": 0, "killed_without_exact": 0})
        one["total"] += 1
        one["killed"] += r["status"] == KILLED
        one["killed_without_exact"] += r["observed"] is not None
    return dict(sorted(found.items()))


def _line(record: dict) -> dict[str, Any]:
    kept = ("file", "line", "function", "kind", "old", "new", "contract")
    return {name: record[name] for name in kept}


def failures(found: dict[str, Any]) -> list[str]:
    """What a run must not end with; empty when every planted bug was noticed and enough generic mutants."""
    lines = [f"{id} survives" for id, row in found["catalogue"].items() if row["status"] == SURVIVED]
    lines += [f"{id} is alone noticed by no mutant" for id in found["properties"]["missing"]]
    generic = found["generic"]
    if generic["total"] and generic["percent"] < BAR:
        lines.append(
            f"{generic['killed']} of {generic['total']} generic mutants noticed, {generic['percent']} %:"
            f" at least {BAR} % are expected"
        )
    return lines


def counts(found: dict[str, Any]) -> dict[str, int]:
    """Of the catalogue: real rows, ours, killed, not applicable."""
    rows = found["catalogue"]
    real = {id: row for id, row in rows.items() if not id.startswith(OWN)}
    return {
        "real": len(real),
        "own": len(rows) - len(real),
        "applicable": sum(row["status"] != "not applicable" for row in real.values()),
        "killed": sum(bool(row["by"]) for row in rows.values()),
        "killed with": sum(bool(row.get("exact") or row["by"]) for row in rows.values()),
    }
