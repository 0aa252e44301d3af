"""Compile the Vyper contracts below `contracts/` and keep the results in `build/artifacts/`.

CamelCase files deploy; snake_case files are modules. Every file carries its own pragmas (compiler
version, EVM version, optimisation); the legacy code generator is used unless a file says otherwise.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / "contracts"
BUILD = ROOT / "build" / "artifacts"
FORMATS = ("abi", "bytecode", "bytecode_runtime", "layout")
_IMPORT = re.compile(r"^(?:from[ \t]+(\S+)[ \t]+)?import[ \t]+([^#\n]+)", re.M)


class CompileError(Exception):
    """A contract is missing or the compiler refused it; the message is the compiler's own."""


@dataclass(frozen=True)
class Artifact:
    """A compiled contract.

    `bytecode` is the deployment code without constructor arguments; `runtime` the code that runs,
    without the immutables that deployment appends (EIP-170 counts both: measure a deployed contract
    that has immutables with `Chain.code`). `layout` maps a storage variable (a module's variable as
    `module.variable`) to its first slot.
    """

    name: str
    abi: list
    bytecode: bytes
    runtime: bytes
    layout: dict[str, int]


def names(contracts: Path = CONTRACTS) -> list[str]:
    """The contracts that deploy (CamelCase files), mocks and feeds included, sorted."""
    return sorted(_files(contracts))


def artifact(name: str, contracts: Path = CONTRACTS) -> Artifact:
    """The compiled contract `name`, from the cache or compiled now. Raises CompileError."""
    path = _path(name, contracts)
    cached = _cache_file(path, contracts)
    return _load(cached) if cached.exists() else _compile_to(path, cached, contracts)


def compile_all(
    wanted: Iterable[str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    contracts: Path = CONTRACTS,
) -> dict[str, Artifact]:
    """Compile what the cache lacks, two processes at a time; `wanted=None` means every contract.

    `progress(name, done, total)` is called as each contract becomes ready. Raises CompileError.
    """
    wanted = list(names(contracts) if wanted is None else wanted)
    paths = {name: _path(name, contracts) for name in wanted}
    caches = {name: _cache_file(path, contracts) for name, path in paths.items()}
    done: dict[str, Artifact] = {}

    def ready(name: str, compiled: Artifact) -> None:
        done[name] = compiled
        if progress:
            progress(name, len(done), len(paths))

    missing = [name for name in paths if not caches[name].exists()]
    for name in paths:
        if name not in missing:
            ready(name, _load(caches[name]))
    if len(missing) == 1:
        ready(missing[0], _compile_to(paths[missing[0]], caches[missing[0]], contracts))
    elif missing:
        with ProcessPoolExecutor(min(len(missing), max(2, os.cpu_count() or 2))) as pool:
            jobs = {pool.submit(_compile_to, paths[n], caches[n], contracts): n for n in missing}
            try:
                for job in as_completed(jobs):
                    ready(jobs[job], job.result())
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return {name: done[name] for name in paths}


def sources(name: str, contracts: Path = CONTRACTS) -> list[str]:
    """The files below `contracts` that the contract is compiled from, relative to it, sorted."""
    files = _closure(_path(name, contracts), contracts)
    return sorted(file.relative_to(contracts).as_posix() for file in files if file.is_relative_to(contracts))


def fingerprint(name: str, contracts: Path = CONTRACTS) -> str:
    """Hex digits that name a contract's sources, imports included, and the toolchain. Raises CompileError."""
    return _cache_file(_path(name, contracts), contracts).stem


def compile_file(path: Path, contracts: Path = CONTRACTS, formats: tuple[str, ...] = FORMATS) -> Artifact:
    """Compile one file, no cache. Imports resolve in `contracts`, its parent, then site-packages. Without
    "bytecode_runtime" among the formats (a tenth faster) the artifact's runtime is empty."""
    from vyper.compiler import compile_from_file_input
    from vyper.compiler.input_bundle import FilesystemInputBundle
    from vyper.exceptions import VyperException

    # The compiler tries the last search path first. Snekmate lies in site-packages.
    bundle = FilesystemInputBundle([_site_packages(), contracts.parent, contracts])
    try:
        out = compile_from_file_input(bundle.load_file(path), input_bundle=bundle, output_formats=formats)
    except VyperException as error:
        raise CompileError(f"{path.name} does not compile: {error}") from None
    return Artifact(
        name=path.stem,
        abi=out["abi"],
        bytecode=bytes.fromhex(out["bytecode"][2:]),
        runtime=bytes.fromhex(out.get("bytecode_runtime", "0x")[2:]),
        layout=dict(_slots(out["layout"].get("storage_layout", {}))),
    )


def _compile_to(path: Path, cached: Path, contracts: Path) -> Artifact:
    compiled = compile_file(path, contracts)
    if _cache_file(path, contracts) != cached:  # edited meanwhile: not what the name says
        return compiled
    cached.parent.mkdir(parents=True, exist_ok=True)
    for stale in cached.parent.glob(f"{path.stem}.*.json"):
        stale.unlink(missing_ok=True)
    record = asdict(compiled) | {"bytecode": compiled.bytecode.hex(), "runtime": compiled.runtime.hex()}
    # Several test processes may compile the same contract: only a complete file may appear.
    partial = cached.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(record))
    partial.replace(cached)
    return compiled


def _load(cached: Path) -> Artifact:
    record = json.loads(cached.read_text())
    record["bytecode"] = bytes.fromhex(record["bytecode"])
    record["runtime"] = bytes.fromhex(record["runtime"])
    return Artifact(**record)


def _slots(layout: dict, prefix: str = "") -> Iterable[tuple[str, int]]:
    for name, entry in layout.items():
        if isinstance(entry.get("slot"), int):
            yield prefix + name, entry["slot"]
        else:
            yield from _slots(entry, f"{prefix}{name}.")


def _files(contracts: Path) -> dict[str, Path]:
    return {path.stem: path for path in contracts.rglob("*.vy") if path.stem[:1].isupper()}


def _path(name: str, contracts: Path) -> Path:
    found = _files(contracts)
    if name not in found:
        known = ", ".join(sorted(found)) or f"none: is {contracts} the source folder?"
        raise CompileError(f"no contract named {name}; known: {known}")
    return found[name]


@lru_cache
def _site_packages() -> Path:
    return Path(find_spec("snekmate").submodule_search_locations[0]).parent


@lru_cache
def _toolchain() -> str:
    return f"vyper {version('vyper')} snekmate {version('snekmate')}"


def _cache_file(path: Path, contracts: Path) -> Path:
    digest = hashlib.sha256(_toolchain().encode())
    for file in sorted(_closure(path, contracts)):
        digest.update(file.relative_to(contracts.parent).as_posix().encode() + b"\0" + file.read_bytes())
    build = BUILD if contracts == CONTRACTS else contracts.parent / "build" / "artifacts"
    return build / f"{path.stem}.{digest.hexdigest()[:16]}.json"


def _closure(path: Path, contracts: Path) -> set[Path]:
    """The file and everything below `contracts.parent` that it imports, directly or not."""
    seen, todo = set(), [path]
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        for package, listed in _IMPORT.findall(file.read_text()):
            for item in listed.split(","):
                todo += _resolve(package, item.split()[0], file.parent, contracts)
    return seen


def _resolve(package: str, module: str, folder: Path, contracts: Path) -> list[Path]:
    """The existing files an import can mean (every candidate: more in the hash is harmless)."""
    dots = len(package) - len(package.lstrip("."))
    roots = [folder.joinpath(*[".."] * (dots - 1))] if dots else [folder, contracts, contracts.parent]
    parts = [p for p in f"{package}.{module}".split(".") if p]
    stems = [root.joinpath(*parts).resolve() for root in roots]
    return [file for stem in stems for file in (Path(f"{stem}.vy"), Path(f"{stem}.vyi")) if file.is_file()]
