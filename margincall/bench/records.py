"""What the benchmark measures, as data: `Bench.record()` is what `build/bench/bench.json` holds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

OPERATION, CHECK = "operation", "check"
PARTS = (
    "intrinsic",  # 21,000 a transaction
    "calldata",  # 4 a zero byte, 16 another, and what EIP-7623 adds
    "storage",  # SLOAD, SSTORE, TLOAD, TSTORE
    "accounts",  # the first touch of another account, 2,600
    "calls",  # between contracts that are warm
    "signatures",  # ECRECOVER, 3,000 each
    "logs",
    "code",  # data kept as code: made (CREATE and 200 a byte) and copied out of it
    "keccak",
    "memory",  # moved and grown; calldata and return data as well
    "arithmetic",  # with comparisons and bit operations
    "control",  # jumps, the stack, the environment
    "refund",  # negative
)


@dataclass(frozen=True)
class Access:
    """What of the state a transaction touched; `warm_slots` counts accesses, the other slots are distinct.

    cold_slots: slots touched at all; slots_created (0 -> x), slots_changed (x -> y) and slots_cleared
    (x -> 0) are those of them that hold something else afterwards. cold_accounts: other contracts touched,
    those that only hold data (code_bytes_read: the size of these) included. deploy_bytes: of code made.
    """

    cold_slots: int = 0
    cold_accounts: int = 0
    warm_slots: int = 0
    slots_created: int = 0
    slots_changed: int = 0
    slots_cleared: int = 0
    log_topics: int = 0
    log_bytes: int = 0
    logs: int = 0
    code_bytes_read: int = 0
    calldata_zero: int = 0
    calldata_nonzero: int = 0
    deploy_bytes: int = 0
    deployments: int = 0


@dataclass(frozen=True)
class Measurement:
    """Gas of one operation or check.

    kind: "operation", a transaction as its receipt says, or "check", a view on cold state without a
    transaction's own cost and its calldata's. floor: what `access` alone costs (margincall.bench.floors).
    parts: where the gas goes, by PARTS; they sum to `gas`. engine: the rule that judges, "cross" (perps),
    "portfolio", "standard", "span" or ""; positions, underlyings: of the account that is judged; store:
    where its value curves are kept, "code" or "slots".
    """

    name: str
    kind: str
    gas: int
    floor: int
    parts: dict[str, int]
    access: Access
    engine: str = ""
    positions: int | None = None
    underlyings: int | None = None
    store: str = ""


@dataclass(frozen=True)
class Target:
    """A promised number. `at_least`: it is a lower bound (a speed). `measured` is None where it could not be
    measured, and `note` says why; it also says what a missed target lacks."""

    name: str
    target: float
    measured: float | None
    unit: str = "gas"
    at_least: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.target if self.at_least else self.measured <= self.target


@dataclass
class Bench:
    """Everything that one run measured. `bytes`: of deployed code by contract; `limits`, `speed`: see
    margincall.bench.run and .speed; meta: versions and the contracts' digest."""

    measurements: list[Measurement] = field(default_factory=list)
    bytes: dict[str, int] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    speed: dict[str, Any] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)

    def find(self, name: str) -> Measurement:
        """The measurement of a name. Raises KeyError."""
        for measured in self.measurements:
            if measured.name == name:
                return measured
        raise KeyError(name)

    def select(self, **wanted) -> list[Measurement]:
        """Measurements by their fields: select(kind="check", engine="portfolio", underlyings=1)."""
        return [
            m for m in self.measurements if all(getattr(m, key) == value for key, value in wanted.items())
        ]

    def record(self) -> dict:
        """As plain data, with the summary that readers of the JSON look for first."""
        operations = [m for m in self.measurements if m.kind == OPERATION]
        return {
            "portfolio_check": self._portfolio_check(),
            "operations": {m.name: {"gas": m.gas, "floor": m.floor} for m in operations},
            "limits": self.limits,
            "bytes": self.bytes,
            "speed": self.speed,
            "targets": [asdict(target) | {"met": target.met} for target in self.targets],
            "meta": self.meta,
            "measurements": [asdict(m) for m in self.measurements],
        }

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.record(), indent=1) + "\n")

    def _portfolio_check(self) -> dict[str, Any]:
        """Of PORTFOLIO accounts whose curves are kept as code: a ladder of calls sold, 64 options over four
        underlyings, one perp."""
        held = {m.name: m for m in self.select(kind=CHECK, engine="portfolio")}
        ladder = [m for m in held.values() if m.name.startswith("check, ladder of ") and m.store == "code"]
        found: dict[str, Any] = {
            "ladder": {str(m.positions): m.gas for m in ladder},
            "floor": {str(m.positions): m.floor for m in ladder},
        }
        for key, name in (
            ("four_underlyings_64", "check, 64 over 4 underlyings"),
            ("perp_only", "check, 1 perp"),
        ):
            if name in held:
                found |= {key: held[name].gas}
                found["floor"] |= {key: held[name].floor}
        return found


def load(path: Path) -> Bench:
    """A bench as `Bench.write` wrote it. Raises OSError, ValueError, KeyError, TypeError."""
    data = json.loads(path.read_text())
    return Bench(
        measurements=[Measurement(**m | {"access": Access(**m["access"])}) for m in data["measurements"]],
        targets=[
            Target(**{key: value for key, value in target.items() if key != "met"})
            for target in data["targets"]
        ],
        **{key: data[key] for key in ("bytes", "limits", "speed", "meta")},
    )
