"""`ape run deploy` against Ape's own Anvil and Hardhat, as an Ape user types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deployments" / "31337.json"


def ape(*arguments: str) -> str:
    """Run ape with this environment's programs and the project's nodes; its output."""
    places = [str(ROOT / "node_modules" / ".bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(
        [Path(sys.executable).with_name("ape"), *arguments],
        cwd=ROOT,
        env=os.environ | {"PATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def deployments():
    """The file that the script writes; what stood there before comes back."""
    before = FILE.read_bytes() if FILE.exists() else None
    yield FILE
    if before is not None:
        FILE.write_bytes(before)
    elif FILE.exists():
        FILE.unlink()


def test_run_deploy(deployments):
    """Both in one test: they write the same file."""
    for provider in ("foundry", "hardhat"):
        deployments.unlink(missing_ok=True)
        output = ape("run", "deploy", "--network", f"ethereum:local:{provider}")
        assert "31337.json" in output
        record = json.loads(deployments.read_text())
        assert record["chain_id"] == 31337
        assert {"Clearinghouse", "Markets", "Exchange", "Modes", "Liquidation", "Lens"} <= set(
            record["contracts"]
        )
        assert [market["symbol"] for market in record["parameters"]["markets"]] == ["BTC", "ETH", "SOL"]


def test_ape_test():
    """`ape test` runs the project's tests as pytest does."""
    assert " passed" in ape("test", "tests/unit/lens", "-q")
