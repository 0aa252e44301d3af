"""Start a real Anvil or Hardhat node from `node_modules/`, and stop it again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from margincall.chain.base import BLOCK_GAS, ChainError
from margincall.chain.embedded import GENESIS_TIMESTAMP
from margincall.chain.node import NodeChain

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / "node_modules" / ".bin"
START_SECONDS = 60


@contextmanager
def anvil(
    timestamp: int = GENESIS_TIMESTAMP, port: int | None = None, ipc: bool = False
) -> Iterator[NodeChain]:
    """Anvil with Osaka's rules (EIP-7825 enforced), its clock starting at `timestamp`.

    `ipc` talks through a socket instead of HTTP: about twice as fast."""
    port = _free_port(port)
    with tempfile.TemporaryDirectory(prefix="anvil-") as folder:
        path = str(Path(folder) / "anvil.ipc")
        flags = ["--hardfork", "osaka", "--gas-limit", str(BLOCK_GAS), "--enable-tx-gas-limit", "--silent"]
        command = [
            _binary("anvil"),
            *flags,
            "--timestamp",
            str(timestamp),
            "--port",
            str(port),
            "--ipc",
            path,
        ]
        with _running(command, path if ipc else f"http://127.0.0.1:{port}", {}) as chain:
            yield chain


@contextmanager
def hardhat(timestamp: int = GENESIS_TIMESTAMP, port: int | None = None) -> Iterator[NodeChain]:
    """A Hardhat node as `hardhat.config.js` describes it, its clock starting at `timestamp`."""
    port = _free_port(port)
    command = [_binary("hardhat"), "node", "--port", str(port)]
    settings = {"GENESIS_TIMESTAMP": str(timestamp), "HARDHAT_DISABLE_TELEMETRY_PROMPT": "true"}
    with _running(command, f"http://127.0.0.1:{port}", settings) as chain:
        yield chain


def _binary(name: str) -> str:
    found = BIN / name
    if not found.exists():
        raise ChainError(f"{name} is not installed in {ROOT}; run `npm ci --ignore-scripts` (make test does)")
    return str(found)


def _free_port(wanted: int | None) -> int:
    """The port asked for, if it is free (else another node would answer for ours), or any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted or 0))
        except OSError:
            raise ChainError(f"port {wanted} is taken; give another, or none for any free one") from None
        return probe.getsockname()[1]


@contextmanager
def _running(command: list[str], url: str, settings: dict) -> Iterator[NodeChain]:
    with tempfile.TemporaryFile() as output:
        # The launchers are scripts with a child: a session of their own lets us end both.
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | settings, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield _wait(process, url, output)
        finally:
            _stop(process)


def _wait(process: subprocess.Popen, url: str, output) -> NodeChain:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return NodeChain(url)
        except ChainError:
            time.sleep(0.1)
    output.seek(0)
    said = output.read().decode(errors="replace").strip().splitlines()
    state = "ended" if process.poll() is not None else f"did not answer within {START_SECONDS} s"
    raise ChainError(f"{Path(process.args[0]).name} {state}: {said[-1] if said else 'no output'}")


def _stop(process: subprocess.Popen) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(timeout=5)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()
