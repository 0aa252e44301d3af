"""`margincall audit contract`: exit codes, records, the test file it writes, and one line for bad input."""

import json
import os
import subprocess
import sys

import pytest

from margincall.audit.adapter.load import load
from margincall.cli import main
from margincall.protocol.artifacts import ROOT
from margincall.replay.candles import BadInput

NAIVE = "margincall.audit.examples.naive_cross"


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["audit", "contract", *args])
    return ended.value.code


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit")
    code = run(NAIVE, "--steps", "250", "--seed", "1", "--json", str(folder / "r.json"), "--out", str(folder))
    return code, folder


def test_a_violation_is_reported_and_recorded(found):
    code, folder = found
    record = json.loads((folder / "r.json").read_text())
    assert code == 1
    assert record["steps"] == 250
    assert {"checked", "reached", "violations", "steps_per_second"} <= record.keys()
    first = record["violations"][0]
    assert first["formula"]
    assert first["numbers"]
    assert len(first["history"]) <= first["drawn"]


def test_the_counterexample_replays_as_a_test(found):
    _, folder = found
    files = sorted(folder.glob("counterexample_*.py"))
    assert files
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:ape_test", str(files[0])],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Broken" in done.stdout


def test_a_run_that_reached_too_little_says_so(capsys):
    assert run("margincall.audit.examples.isolated", "--steps", "5") == 3
    assert "reached too little" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nowhere.py", "no such file"),
        ("no.such.module", "ModuleNotFoundError"),
        ("a b", "expected a Python file"),
        (f"{NAIVE}:nothing", "has no 'nothing'"),
        (f"{NAIVE}:RICH", "is a int"),
        (f"{NAIVE}:NaiveCross", "needs engine"),
        (f"{NAIVE}:compiled", "has no deposit()"),
    ],
)
def test_bad_input_is_one_line(target, said, capsys):
    assert run(target) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


ADAPTERS = """
from margincall.audit.examples import isolated
from margincall.audit.adapter import Account

def broken(**changes):
    def make():
        adapter = isolated.adapter()
        for name, value in changes.items():
            setattr(adapter, name, value)
        return adapter
    return make

no_traders = broken(traders=["0x" + "11" * 20])
no_account = broken(accounts=[Account(0, 0)])
far = broken(accounts=[Account(9, 0)])
bad_margin = broken(margin=lambda account: 7)
raising = broken(held=lambda: 1 // 0)

def explodes():
    raise RuntimeError("no node")
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_traders", "1 traders; expected three"),
        ("no_account", "the keeper, has no account"),
        ("far", "names no trader"),
        ("bad_margin", "margin() gave 7"),
        ("raising", "ZeroDivisionError"),
        ("explodes", "no node"),
    ],
)
def test_what_is_no_adapter_is_refused(tmp_path, name, said):
    path = tmp_path / "mine.py"
    path.write_text(ADAPTERS)
    with pytest.raises(BadInput) as refused:
        load(f"{path}:{name}")
    assert said in str(refused.value)
