"""A change of the contracts in a copied tree, compiled to what has to be deployed instead of the original."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from margincall.audit.mutants.compiler import quicker
from margincall.protocol import artifacts
from margincall.protocol.artifacts import CONTRACTS, Artifact, CompileError, artifact, compile_file
from margincall.protocol.deploy import CONTRACTS as DEPLOYED

CODE = artifacts.ROOT / "build" / "mutants" / "code"
"""Compiled mutants by the hash of their sources: a run that is resumed or repeated compiles nothing."""


class PlantError(Exception):
    """A change that does not fit the contracts: one line that says which and why."""


class Change(NamedTuple):
    """Replace `old`, which must occur exactly once in `file` (relative to contracts/), by `new`."""

    file: str
    old: str
    new: str


def planted(changes: Iterable[Change], contracts: Path = CONTRACTS) -> dict[str, str]:
    """The sources that the changes alter: file -> new text. Raises PlantError."""
    texts: dict[str, str] = {}
    for change in changes:
        path = contracts / change.file
        if change.file not in texts:
            if not path.is_file():
                raise PlantError(f"no file {change.file} below {contracts.name}/: correct `file`")
            texts[change.file] = path.read_text()
        count = texts[change.file].count(change.old)
        if count != 1:
            line = change.old.strip().partition("\n")[0]
            found = "not at all" if not count else f"{count} times"
            raise PlantError(f"{change.file}: {line!r} occurs {found}, it must occur exactly once")
        if change.old == change.new:
            raise PlantError(f"{change.file}: the new text is the old one")
        texts[change.file] = texts[change.file].replace(change.old, change.new)
    return texts


@cache
def holders(contracts: Path = CONTRACTS) -> dict[str, tuple[str, ...]]:
    """file -> deployed contracts that are compiled from it, themselves included."""
    found: dict[str, list[str]] = {}
    for name in DEPLOYED:
        for file in artifacts.sources(name, contracts):
            found.setdefault(file, []).append(name)
    return {file: tuple(names) for file, names in found.items()}


def compiled(
    texts: Mapping[str, str], wanted: Iterable[str] | None = None, contracts: Path = CONTRACTS
) -> dict[str, Artifact]:
    """Artifacts that differ from the originals once these files have these texts; `wanted`: only of these
    contracts. Empty: the change is equivalent, byte for byte. Raises CompileError."""
    if wanted is None:
        wanted = dict.fromkeys(name for file in texts for name in holders(contracts).get(file, ()))
    found: dict[str, Artifact] = {}
    tree: Path | None = None
    try:
        for name in wanted:
            original = artifact(name, contracts)
            stored = CODE / f"{name}.{_digest(name, texts, contracts)}.json"
            if not stored.exists():
                tree = tree or _tree(texts, contracts)
                _store(stored, _compile(name, tree))
            record = json.loads(stored.read_text())
            if "error" in record:
                raise CompileError(record["error"])
            code = bytes.fromhex(record["bytecode"])
            if without_metadata(code) != without_metadata(original.bytecode):
                found[name] = replace(original, bytecode=code)
    finally:
        if tree:
            shutil.rmtree(tree.parent, ignore_errors=True)
    return found


def without_metadata(code: bytes) -> bytes:
    """Deployment code without the compiler's CBOR trailer, which names a hash of all sources."""
    length = int.from_bytes(code[-2:], "big")
    return code[:-length] if 2 < length < 256 and length < len(code) else code


def _tree(texts: Mapping[str, str], contracts: Path) -> Path:
    tree = Path(tempfile.mkdtemp(prefix="mutant-")) / contracts.name
    shutil.copytree(contracts, tree)
    for file, text in texts.items():
        (tree / file).write_text(text)
    return tree


def _compile(name: str, tree: Path) -> dict[str, str]:
    path = next(tree.rglob(f"{name}.vy"))
    try:
        with quicker():
            return {"bytecode": compile_file(path, tree, ("abi", "layout", "bytecode")).bytecode.hex()}
    except CompileError as error:
        return {"error": str(error).partition("\n")[0]}
    except Exception as error:  # the compiler's own crashes: such a mutant is none
        return {"error": f"{path.name}: the compiler fails: {type(error).__name__}"}


def _store(path: Path, record: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(record))
    partial.replace(path)


def _digest(name: str, texts: Mapping[str, str], contracts: Path) -> str:
    digest = hashlib.sha256()
    for file in artifacts.sources(name, contracts):
        text = texts.get(file)
        body = text.encode() if text is not None else (contracts / file).read_bytes()
        digest.update(file.encode() + b"\0" + body)
    return digest.hexdigest()[:20]
