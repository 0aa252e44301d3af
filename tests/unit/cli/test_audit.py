"""`margincall audit`: exit codes, the record, refusals, interruption."""

import json
import signal

import pytest

from margincall.audit import tables
from margincall.audit.properties import registry
from margincall.cli import auditing, main


def _run(capsys, *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["audit", *args])
    out, err = capsys.readouterr()
    return end.value.code or 0, out, err


def test_a_run_that_reaches_too_little_says_so(capsys, tmp_path):
    file = tmp_path / "deep" / "audit.json"
    code, out, _ = _run(capsys, "--steps", "300", "--setting", "plain", "--json", str(file))
    assert code == 3
    assert "reached too little" in out
    assert "never reached: everyone left" in out
    record = json.loads(file.read_text())
    assert set(record) >= {
        "steps",
        "seconds",
        "steps_per_second",
        "checked",
        "reached",
        "violations",
        "probes",
    }
    assert list(record["checked"]) == list(registry.IDS)
    assert record["checked"]["I-01"] > 50
    assert 300 <= record["steps"] < 330
    assert record["steps_per_second"] > 10
    assert record["violations"] == []
    assert record["probes"]["i_14"]["every"] == 10
    assert record["reached"]["everyone left"] == 0
    for id in registry.IDS:
        assert id in out


def test_the_same_seed_writes_the_same_counters(capsys, tmp_path):
    found = []
    for name in ("a", "b"):
        _run(capsys, "--steps", "200", "--seed", "9", "--mode", "portfolio", "--json", str(tmp_path / name))
        record = json.loads((tmp_path / name).read_text())
        found.append((record["checked"], record["reached"], record["refused"], record["contracts"]))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--setting", "fancy"], "'fancy' is not a setting; expected one of plain"),
        (["--setting", "portfolio", "--mode", "cross"], "not a setting of --mode cross"),
        (["--mode", "hedged"], "'hedged' is not one of"),
        (["--steps", "0"], "0 is not in the range"),
        (["--steps", "many"], "'many' is not a valid integer"),
        (["--minutes", "0"], "not in the range"),
        (["--workers", "0"], "not in the range"),
        (["--seed", "-1"], "not in the range"),
        (["--contracts", "/nowhere"], "'/nowhere' does not exist"),
        (["--json", "/dev/null/audit.json"], "cannot be written"),
    ],
)
def test_bad_input_is_one_line(capsys, args, said):
    code, out, err = _run(capsys, *args)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err


def test_contracts_elsewhere_must_be_contracts(capsys, tmp_path):
    code, _, err = _run(capsys, "--contracts", str(tmp_path))
    assert code == 2
    assert "no contract named" in err


def test_settings_are_listed(capsys):
    code, out, _ = _run(capsys, "--settings")
    assert code == 0
    assert "envelope" in out


def test_verdicts():
    passed = {"violations": [], "interrupted": False, "unmet": []}
    assert auditing._verdict(passed) == 0
    assert auditing._verdict(passed | {"violations": [{}]}) == 1
    assert auditing._verdict(passed | {"interrupted": True}) == 130


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupted_run_writes_what_it_did(capsys, tmp_path, monkeypatch, workers):
    file = tmp_path / "audit.json"

    def interrupt(plan, tally) -> str:
        if tally.total and not heard:
            heard.append(tally.total)
            signal.raise_signal(signal.SIGINT)
        return ""

    heard = []
    monkeypatch.setattr(tables, "live_line", interrupt)
    options = ["--minutes", "20", "--workers", workers, "--setting", "plain", "--json", str(file)]
    code, out, err = _run(capsys, *options)
    assert code == 130
    assert "interrupted" in err
    record = json.loads(file.read_text())
    assert record["interrupted"]
    assert record["steps"] >= heard[0] > 0
    assert "Properties" in out


def test_a_record_goes_into_the_log(capsys, tmp_path):
    file, log = tmp_path / "audit.json", tmp_path / "AUDIT.md"
    log.write_text("# Log\n\n<!-- runs, newest first -->\n")
    _run(capsys, "--steps", "60", "--setting", "plain", "--json", str(file))
    code, _, _ = _run(capsys, "log", "--json", str(file), "--to", str(log))
    assert code == 0
    assert "steps, seed 1, 1 workers" in log.read_text()
    log.write_text("no marker")
    code, _, err = _run(capsys, "log", "--json", str(file), "--to", str(log))
    assert (code, err.count("\n")) == (2, 1)
