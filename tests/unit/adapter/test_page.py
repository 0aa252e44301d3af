"""YOUR_CONTRACT.md: its Python is one file, its commands run in order, and print what the page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from margincall.protocol.artifacts import ROOT

PAGE = ROOT / "margincall" / "audit" / "YOUR_CONTRACT.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCKS if found == kind]


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> list[tuple[str, int, str]]:
    """Every command of the page with its exit code and what it printed."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "my_engine.py").write_text("\n\n".join(blocks("python")))
    (folder / "bin").mkdir()
    program = folder / "bin" / "margincall"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m margincall.cli "$@"\n')
    program.chmod(0o755)
    path = os.pathsep.join((str(program.parent), str(Path(sys.executable).parent), os.environ["PATH"]))
    env = os.environ | {
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "PYTEST_ADDOPTS": "-p no:ape_test -p no:cacheprovider",
    }
    found = []
    for command in "".join(blocks("sh")).splitlines():
        done = subprocess.run(
            command, shell=True, cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        found.append((command, done.returncode, done.stdout + done.stderr))
    return found


def test_every_command_ends_as_the_page_says(said):
    for command, code, printed in said:
        assert code == ("audit contract" in command), (command, printed)
    assert len(said) == 8


def test_the_audit_prints_what_the_page_says(said):
    printed = " ".join(next(out for command, _, out in said if "audit contract" in command).split())
    for line in blocks("text")[0].splitlines():
        assert line in printed, line


def test_abilities_are_those_of_the_kit():
    from margincall.audit.adapter.protocol import ABILITIES

    table = PAGE.read_text()
    assert all(kind.__name__ in table for kind in ABILITIES)


def test_fences_are_known():
    assert {kind for kind, _ in BLOCKS} == {"sh", "python", "text"}
