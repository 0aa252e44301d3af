"""Halmos on our compiled bytecode, without Foundry: artifacts are written as forge would write them.

Halmos pins a z3 and a rich that are older than ours, so it lives in an environment beside the project's, made
by `make test` from requirements-proofs.txt. It asks `forge` to build; ours answers yes and does nothing. What
it said of a bytecode is kept in build/proofs/: the same bytecode has the same proof.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from margincall.protocol.artifacts import CONTRACTS, ROOT, Artifact, compile_file

BINARY = ROOT / ".venv-proofs" / "bin" / "halmos"
HARNESS = Path(__file__).with_name("harness")
REQUIREMENTS = ROOT / "requirements-proofs.txt"
KEPT = ROOT / "build" / "proofs"
SECONDS = 100


class Proof(NamedTuple):
    """What halmos said of one check. `paths`: explored, of which `normal` ended without a revert (what
    reverts did not meet an assumption: a check whose every path reverts proves nothing)."""

    contract: str
    name: str
    proved: bool
    paths: int
    normal: int
    seconds: float
    said: str


def prove(contract: str, contracts: Path = CONTRACTS, only: str = "check_") -> list[Proof]:
    """Compile a harness against the modules in `contracts` and let halmos decide its checks, or those that
    begin with `only`. Raises RuntimeError when halmos cannot be run or says nothing of them."""
    if not BINARY.exists():
        raise RuntimeError(f"{BINARY} is not there; run `make .venv-proofs/.ready`")
    with tempfile.TemporaryDirectory(prefix="proofs-") as folder:
        home = Path(folder)
        compiled = _compiled(home, contract, contracts)
        key = hashlib.sha256(compiled.bytecode + f"{contract} {only} {REQUIREMENTS.read_text()}".encode())
        kept = KEPT / f"{contract}.{key.hexdigest()[:16]}.json"
        if not kept.exists():
            _write_artifact(home, compiled)
            found = _run(home, contract, only)
            KEPT.mkdir(parents=True, exist_ok=True)
            part = kept.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps(found))
            part.replace(kept)
        return [Proof(*one) for one in json.loads(kept.read_text())]


def _run(home: Path, contract: str, only: str) -> list[Proof]:
    forge = home / "bin" / "forge"
    forge.parent.mkdir()
    forge.write_text("#!/bin/sh\nexit 0\n")
    forge.chmod(0o755)
    out = home / "out.json"
    command = [
        str(BINARY), "--root", str(home), "--contract", contract, "--function", only,
        "--storage-layout", "generic", "--loop", "4", "--solver-timeout-assertion", f"{SECONDS}s",
        "--no-status", "--json-output", str(out),
    ]  # fmt: skip
    path = os.pathsep.join((str(forge.parent), str(BINARY.parent), os.environ.get("PATH", "")))
    done = subprocess.run(
        command, cwd=home, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    if not out.exists():
        raise RuntimeError(f"halmos said nothing: {(done.stdout + done.stderr)[-2_000:]}")
    results = json.loads(out.read_text())["test_results"]
    return [_proof(contract, one, done.stdout) for found in results.values() for one in found]


def _proof(contract: str, found: dict, said: str) -> Proof:
    name = found["name"].partition("(")[0]
    total, success, _ = found["num_paths"]
    lines = [line for line in said.splitlines() if name in line or "Counterexample" in line or "  p_" in line]
    return Proof(
        contract,
        name,
        found["exitcode"] == 0 and not found["num_bounded_loops"],
        total,
        success,
        sum(found["time"][1:2]) or 0.0,
        "\n".join(lines),
    )


def _compiled(home: Path, name: str, contracts: Path) -> Artifact:
    """A harness imports from the folder that `contracts` lies in."""
    source = home / f"{name}.vy"
    shutil.copy(HARNESS / source.name, source)
    return compile_file(source, contracts)


def _write_artifact(home: Path, compiled: Artifact) -> None:
    """`out/X.sol/X.json` as forge writes it, from what Vyper says."""
    name = compiled.name
    links = {"linkReferences": {}}
    node = {"nodeType": "ContractDefinition", "id": 1, "name": name, "contractKind": "contract",
            "abstract": False, "nodes": [], "src": "0:0:0"}  # fmt: skip
    record = {
        "abi": compiled.abi,
        "bytecode": {"object": "0x" + compiled.bytecode.hex(), **links},
        "deployedBytecode": {"object": "0x" + compiled.runtime.hex(), "sourceMap": "", **links},
        "methodIdentifiers": _selectors(compiled.abi),
        "metadata": {"compiler": {"version": "0.4.3"}, "output": {"devdoc": {"methods": {}}}},
        "id": 0,
        "ast": {
            "absolutePath": f"{name}.vy",
            "id": 0,
            "nodeType": "SourceUnit",
            "nodes": [node],
            "src": "0:0:0",
        },
    }
    folder = home / "out" / f"{name}.sol"
    folder.mkdir(parents=True)
    (folder / f"{name}.json").write_text(json.dumps(record))


def _selectors(abi: list) -> dict[str, str]:
    from eth_utils import keccak

    from margincall.chain.codec import arguments

    functions = (entry for entry in abi if entry["type"] == "function")
    signatures = (entry["name"] + arguments(entry["inputs"]).kind for entry in functions)
    return {signature: keccak(text=signature)[:4].hex() for signature in signatures}
