"""What somebody looked at: generic mutants that change nothing, properties that are one statement."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from margincall.protocol.artifacts import CONTRACTS

REVIEWED = Path(__file__).parent / "reviewed.toml"


@cache
def reviewed(path: Path = REVIEWED) -> tuple[list[dict], dict[str, str]]:
    """Generic mutants that are equivalent, with the reason; and properties that are one statement with
    another here: id -> why no mutant can have it as its only killer."""
    content = tomllib.loads(path.read_text())
    return content.get("equivalent", []), content.get("merged", {})


def reason_of(mutant: Mapping[str, Any]) -> str | None:
    """Why a mutant (`file`, `function`, `start`, `old`, `new`) is equivalent, if somebody said so of a line
    of the contracts as they are; where `on` holds the old text, of its last place there."""
    for one in reviewed()[0]:
        if all(mutant[name] == one[name] for name in ("file", "function", "old", "new")):
            text, start = (CONTRACTS / mutant["file"]).read_text(), mutant["start"]
            line = text.rfind("\n", 0, start) + 1
            place = text.find(one["on"], line, text.find("\n", start))
            last = one["on"].rfind(one["old"])
            if place >= 0 and (last < 0 or place + last == start):
                return one["reason"]
    return None
