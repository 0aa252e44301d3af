"""Figures of other systems: a JSON file that says how each was measured.

    {"methods": {"cold check": {"about": "...", "cold": true, "intrinsic": false}, ...},
     "systems": [{"name": "...", "source": "...", "commit": "...", "compiler": "...", "tool": "...",
                  "scenarios": 23,
                  "checks": [{"book": "ladder", "gas": {"16": 3789486}, "method": "cold check"}, ...],
                  "operations": [{"what": "open", "gas": [559442, 749781], "method": "receipt"}, ...]}]}

A check's gas is by number of positions, an operation's is one transaction or a list of them. cold: no slot
or account was touched before; intrinsic: the transaction's own gas and its calldata are counted; null where
that was not recorded. peers.json beside this file is what is shown when no file is given.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from margincall.replay.candles import BadInput

FILE = Path(__file__).with_name("peers.json")
MOST = 2**40  # gas; more is a slip of the keyboard

Gas = Annotated[int, Field(gt=0, lt=MOST, strict=True)]
Text = Annotated[str, Field(min_length=1, max_length=300)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Method(_Part):
    """How a figure came about."""

    about: Text
    cold: bool | None
    intrinsic: bool | None

    @property
    def as_our_checks(self) -> bool:
        """Whether it is how this project's checks are measured: only then a ratio means something."""
        return self.cold is True and self.intrinsic is False

    def apart(self, intrinsic: bool) -> str:
        """What sets it apart from a cold figure of ours, with intrinsic gas or without; "" for nothing."""
        said = []
        if self.cold is not True:
            said.append("partly warm" if self.cold is False else "not recorded whether cold")
        if self.intrinsic is None:
            said.append("not recorded whether with intrinsic and calldata gas")
        elif self.intrinsic != intrinsic:
            said.append(f"{'with' if self.intrinsic else 'without'} intrinsic and calldata gas")
        return ", ".join(said)


class _Figure(_Part):
    method: Text
    conditions: str = Field("", max_length=300)


class Check(_Figure):
    """Gas of judging one account, by number of positions; book: a ladder of calls of one expiry, or perps."""

    book: Literal["ladder", "perps"]
    gas: Annotated[dict[str, Gas], Field(min_length=1)]

    @field_validator("gas")
    @classmethod
    def _counted(cls, gas: dict[str, int]) -> dict[str, int]:
        for count in gas:
            if not count.isdecimal() or not 0 < int(count) < MOST:
                raise ValueError(f'{count!r} is no number of positions; expected keys like "16"')
        return gas

    @property
    def ladder(self) -> dict[int, int]:
        """Gas by number of positions, ascending."""
        return {count: self.gas[str(count)] for count in sorted(map(int, self.gas))}


class Operation(_Figure):
    """Gas of an operation: of each transaction that it takes. ours: the operation of this benchmark that does
    the same, by its name."""

    what: Text
    ours: str = ""
    gas: Annotated[list[Gas], Field(min_length=1)]

    @field_validator("gas", mode="before")
    @classmethod
    def _listed(cls, gas):
        return gas if isinstance(gas, list) else [gas]


class System(_Part):
    """scenarios: how many its rule looks at; 0: a formula or a sum over positions."""

    name: Text
    source: Text
    commit: Text
    compiler: Text
    tool: Text
    scenarios: int = Field(ge=0, le=1_000, strict=True)
    checks: list[Check] = []
    operations: list[Operation] = []

    def check(self, book: str) -> Check | None:
        """Its check of a book."""
        return next((check for check in self.checks if check.book == book), None)


class Peers(_Part):
    about: str = Field("", max_length=300)
    methods: dict[Text, Method]
    systems: Annotated[list[System], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Peers:
        for i, system in enumerate(self.systems):
            for kind in ("checks", "operations"):
                for j, figure in enumerate(getattr(system, kind)):
                    if figure.method not in self.methods:
                        known = ", ".join(self.methods) or "none"
                        where = f"systems.{i}.{kind}.{j}.method"
                        raise ValueError(f"{where}: {figure.method!r} is not among methods ({known})")
        names = [system.name for system in self.systems]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"systems: two are called {min(twice)!r}; give each a name of its own")
        return self

    def method(self, figure: Check | Operation) -> Method:
        return self.methods[figure.method]


def read_peers(path: Path = FILE) -> Peers:
    """Read and check such a file. Raises BadInput: file, key, what was expected."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); expected a JSON file of peers") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: is no text; expected a JSON file of peers in UTF-8") from None
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}: line {error.lineno}: no JSON ({error.msg}); expected an object") from None
    try:
        return Peers.model_validate(found)
    except ValidationError as error:
        raise BadInput(f"{path}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """The first complaint: key, what was expected, what is there."""
    found = error.errors()[0]
    key = ".".join(map(str, found["loc"]))
    said = found["msg"].removeprefix("Value error, ")
    if found["type"] == "missing":
        said = "is missing"
    elif found["type"] == "extra_forbidden":
        said = "is no key of such a file"
    elif found["type"] != "value_error":
        given = json.dumps(found["input"], default=str)
        said += f", got {given if len(given) <= 60 else given[:57] + '...'}"
    return f"{key}: {said}" if key else said
