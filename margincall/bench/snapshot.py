"""Gas and bytes held against a file that is reviewed: `tests/gas/snapshot.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from margincall.bench.records import CHECK, OPERATION, Bench

FILE = Path(__file__).resolve().parents[2] / "tests" / "gas" / "snapshot.json"
GROUPS = {"operations": OPERATION, "checks": CHECK}

Figures = dict[str, dict[str, int]]


def figures(bench: Bench) -> Figures:
    """What the file keeps of a bench: {"operations": {name: gas}, "checks": ..., "bytes": ...}."""
    found = {group: {m.name: m.gas for m in bench.select(kind=kind)} for group, kind in GROUPS.items()}
    return found | {"bytes": dict(bench.bytes)}


def load(path: Path = FILE) -> Figures:
    """The recorded figures; empty when there are none."""
    return json.loads(path.read_text()) if path.exists() else {}


def save(figures: Figures, path: Path = FILE) -> None:
    path.write_text(json.dumps(figures, indent=2) + "\n")


def compared(bench: Bench, partly: bool = False, path: Path = FILE) -> list[str]:
    """What differs from the recorded figures; `partly`: among what was measured."""
    old, new = load(path), figures(bench)
    if partly:
        old = {group: {n: old.get(group, {}).get(n) for n in found} for group, found in new.items()}
    return differences(old, new)


def differences(old: Mapping, new: Mapping) -> list[str]:
    """One line for everything that changed, appeared or went."""
    lines = []
    for group in sorted(old.keys() | new.keys()):
        before, after = old.get(group, {}), new.get(group, {})
        for name in sorted(before.keys() | after.keys()):
            was, now = before.get(name), after.get(name)
            if was != now:
                change = f" ({now - was:+,}, {(now - was) / was:+.1%})" if was and now else ""
                shown = [f"{value:,}" if value is not None else "-" for value in (was, now)]
                lines.append(f"{group}: {name}: {shown[0]} -> {shown[1]}{change}")
    return lines
