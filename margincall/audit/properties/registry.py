"""Which functions check a property, and its formula."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

IDS = tuple(f"I-{number:02d}" for number in range(1, 41))
_NAME = re.compile(r"i((?:_\d\d)+)(?:_[a-z]\w*)?")


@cache
def functions() -> dict[str, list[Callable]]:
    """Property id -> the functions that check it, the one named by the id alone first."""
    from margincall.audit.properties import (
        differential,
        doors,
        drawn,
        economic,
        liquidation,
        portfolio,
        refusals,
        rule,
        state,
        transition,
        tworun,
    )

    found: dict[str, list[Callable]] = {id: [] for id in IDS}
    for module in (
        state,
        transition,
        refusals,
        liquidation,
        portfolio,
        tworun,
        economic,
        rule,
        differential,
        doors,
        drawn,
    ):
        for name, value in vars(module).items():
            named = _NAME.fullmatch(name)
            if named and getattr(value, "__module__", "") == module.__name__:
                for number in named[1].split("_")[1:]:
                    found[f"I-{number}"].append(value)
    for id, known in found.items():
        known.sort(key=lambda one: one.__name__ != f"i_{id[2:]}")
    return found


def formula(id: str) -> str:
    """The property in one line, the first of its function's docstring; "" for a name that is none
    ("deployment", "differential" is I-14).
    """
    known = functions().get("I-14" if id == "differential" else id)
    return known[0].__doc__.partition("\n")[0] if known else ""
