"""What a benchmark was measured on: `Bench.meta`."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path

from margincall.protocol.artifacts import CONTRACTS, ROOT

ANVIL = ROOT / "node_modules" / "@foundry-rs" / "anvil" / "package.json"


def versions() -> dict[str, str]:
    """Digest of the contracts' sources, compiler, EVMs."""
    anvil = json.loads(ANVIL.read_text())["version"] if ANVIL.exists() else "not installed"
    found = {"contracts": digest()} | {name: version(name) for name in ("vyper", "snekmate", "pyrevm")}
    return found | {"anvil": anvil, "python": platform.python_version()}


def digest(contracts: Path = CONTRACTS) -> str:
    """Of every source below `contracts`, comments included."""
    found = hashlib.sha256()
    for file in sorted(path for path in contracts.rglob("*") if path.suffix in (".vy", ".vyi")):
        found.update(file.relative_to(contracts).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()[:16]
