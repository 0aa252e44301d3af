"""The command line: what it writes, and how it refuses: one line on standard error, exit code 2."""

import json

import pytest

from margincall import data
from margincall.cli import main

SHORT = ["--accounts", "3", "--from", "2025-10-10T21:10Z", "--to", "2025-10-10T21:20Z", "--quiet"]


@pytest.fixture
def node(anvil):
    """The session's Anvil; the commands are other clients of it, so it looks its last block up afterwards."""
    yield anvil
    anvil.refresh()


def _run(capsys, *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(list(args))
    out, err = capsys.readouterr()
    return end.value.code or 0, out, err


def _refused(capsys, *args: str) -> str:
    code, out, err = _run(capsys, *args)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    "command", [[], ["demo"], ["replay"], ["bench"], ["bench", "report"], ["deploy"], ["keeper"]]
)
def test_help_explains_itself(capsys, command):
    code, out, _ = _run(capsys, *command, "--help")
    assert code == 0
    assert "Usage: margincall" in out
    assert len(out.splitlines()) > 8


def test_replay_writes_json_and_a_picture(capsys, tmp_path):
    record, png, dials = tmp_path / "a" / "summary.json", tmp_path / "replay.png", tmp_path / "dials.png"
    pictures = "--png", str(png), "--dials-png", str(dials)
    code, out, err = _run(capsys, "replay", *SHORT, "--json", str(record), *pictures)
    assert (code, err) == (0, "")
    assert "liquidated notional" in out
    found = json.loads(record.read_text())
    assert found["candles"] == 3
    assert found["accounts_per_mode"] == 3
    assert found["conservation_error"] == 0
    assert found["dials"]["shortfall_without_dials"] == 0
    assert min(png.stat().st_size, dials.stat().st_size) > 10_000


def test_replay_prints_json_alone(capsys):
    code, out, _ = _run(capsys, "replay", *SHORT, "--json")
    assert code == 0
    assert set(json.loads(out)["modes"]) == {"isolated", "cross", "portfolio"}


def test_own_files_are_replayed(capsys, tmp_path):
    path = tmp_path / "eth_mine.csv"
    path.write_text(
        "timestamp_utc,open,high,low,close\n2026-01-01,4000,4010,3600,3900\n2026-01-02,3900,3950,3000,3100\n"
    )
    code, out, err = _run(capsys, "replay", "--candles", str(path), "--accounts", "5", "--quiet", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["candles"] == 2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--candles", "doge_x.csv"], "unknown market 'DOGE'"),
        (["--candles", "btc_absent.csv"], "cannot be read"),
        (["--leverage", "0"], "leverage '0': expected"),
        (["--leverage", "1000"], "leverage '1000': expected"),
        (["--accounts", "0"], "accounts 0: expected"),
        (["--impact", "-1"], "impact -1.0: expected"),
        (["--impact", "nan"], "impact nan: expected"),
        (["--modes", "hedged"], "modes 'hedged': expected"),
        (["--modes", "cross", "--dials-png", "x.png"], "--dials-png: no portfolio accounts"),
        (["--modes", "cross,cross"], "modes 'cross,cross': expected"),
        (["--from", "soon"], "--from: 'soon' is no time"),
        (["--from", "2030-01-01"], "no candle is left"),
        (["--insurance", "none"], "--insurance none: expected"),
        (["--accounts", "many"], "'many' is not a valid integer"),
        (["--rpc", "http://127.0.0.1:9"], "no answer from http://127.0.0.1:9"),
        (["--chain-id", "1"], "--chain-id: only with --rpc"),
        (["--accounts", "50", "--insurance", "1", "--max-candles", "1"], "exceed the open interest"),
        (["--bogus"], "No such option"),
    ],
)
def test_bad_input_is_one_line(capsys, args, said):
    assert said in _refused(capsys, "replay", *args)


def test_a_malformed_candle_is_named(capsys, tmp_path):
    lines = data.CANDLES[0].read_text().splitlines()
    lines[5] = lines[5].replace(lines[5].split(",")[3], "nan", 1)
    path = tmp_path / "btc_bad.csv"
    path.write_text("\n".join(lines))
    assert "btc_bad.csv: line 6: low: 'nan' is not finite" in _refused(
        capsys, "replay", "--candles", str(path)
    )


@pytest.mark.parametrize("command", ["deploy", "keeper"])
def test_a_node_is_needed(capsys, command):
    assert "--rpc" in _refused(capsys, command)
    assert "no answer" in _refused(capsys, command, "--rpc", "http://127.0.0.1:9")


def test_a_wrong_chain_id_is_refused(capsys, node):
    for command in ("replay", "deploy", "keeper"):
        said = _refused(capsys, command, "--rpc", node.url, "--chain-id", "5")
        assert "has chain id 31337, expected 5" in said


def test_deploy_then_keep(capsys, node, tmp_path):
    code, out, _ = _run(capsys, "deploy", "--rpc", node.url, "--out", str(tmp_path))
    assert code == 0
    file = tmp_path / "31337.json"
    assert "31337.json" in out
    keeper = ["keeper", "--rpc", node.url, "--once", "--deployment", str(file)]
    code, out, err = _run(capsys, *keeper, "--deposit", "1000")
    assert (code, err) == (0, "")
    assert "0 accounts with positions, 0 below maintenance" in out


def test_the_keeper_refuses_bad_identities(capsys, node, tmp_path, monkeypatch):
    _run(capsys, "deploy", "--rpc", node.url, "--out", str(tmp_path))
    keeper = ["keeper", "--rpc", node.url, "--once", "--deployment", str(tmp_path / "31337.json")]
    monkeypatch.setenv("KEEPER_TEST_KEY", "zz")
    assert "holds no private key" in _refused(capsys, *keeper, "--key-env", "KEEPER_TEST_KEY")
    monkeypatch.setenv("KEEPER_TEST_KEY", "0x" + "00" * 32)
    assert "holds no private key" in _refused(capsys, *keeper, "--key-env", "KEEPER_TEST_KEY")
    assert "not unlocked" in _refused(capsys, *keeper, "--account", "0x" + "11" * 20)
    assert "--deposit -5: expected" in _refused(capsys, *keeper, "--deposit", "-5")
    assert "not a deployment file" in _refused(
        capsys, *keeper[:4], "--deployment", str(tmp_path / "none.json")
    )
    monkeypatch.setenv("KEEPER_TEST_KEY", "0x" + "11" * 32)
    code, out, _ = _run(capsys, *keeper, "--key-env", "KEEPER_TEST_KEY")
    assert code == 0
    assert "accounts with positions" in out
