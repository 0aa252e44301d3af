"""`margincall bench report`: tables, JSON, the page's files, and refusals of one line with exit code 2."""

import json

import pytest

from margincall.cli import main
from margincall.cli.reporting import PRICES
from tests.unit.bench.figures import bench


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "bench.json"
    bench().write(path)
    return path


def _run(capsys, *args) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["bench", "report", *map(str, args)])
    out, err = capsys.readouterr()
    return end.value.code or 0, out, err


def _refused(capsys, *args) -> str:
    code, out, err = _run(capsys, *args)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def test_it_tells_the_story_and_writes_the_page(capsys, file, tmp_path):
    code, out, err = _run(capsys, file, "--out", tmp_path / "page", "--gas-price", "1", "--eth-price", "3000")
    assert (code, err) == (0, "")
    for said in (
        "178,000",
        "14,497,949",
        "Targets: 2 of 4 met",
        "slots up to 2 checks a refresh",
        "at 1 gwei",
    ):
        assert said in out
    assert "…" not in out.replace("2,100, …", "")
    assert max(map(len, out.splitlines()[:-2])) <= 120
    written = {path.name: path.stat().st_size for path in (tmp_path / "page").iterdir()}
    assert written.keys() == {"report.html", "gas.png", "growth.png", "where.png"}
    assert min(written.values()) > 10_000


def test_json_alone(capsys, file):
    code, out, err = _run(capsys, file, "--json", "--cold-sload", "3000")
    assert (code, err) == (0, "")
    assert json.loads(out)["what_if"]["changed"] == {"cold_sload": [2_100, 3_000]}
    assert not (file.parent / "report.html").exists()


def test_every_price_has_its_option(capsys, file):
    flags = [part for name in PRICES for part in ("--" + name.replace("_", "-"), 7)]
    found = json.loads(_run(capsys, file, "--json", *flags)[1])["what_if"]
    assert set(found["schedule"].values()) == {7}


def test_own_peers(capsys, file, tmp_path):
    method = {"about": "x", "cold": True, "intrinsic": False}
    check = {"book": "ladder", "gas": {"64": 356_000}, "method": "m"}
    system = {"name": "Mine", "source": "s", "commit": "c", "compiler": "v", "tool": "t", "scenarios": 9}
    peers = tmp_path / "mine.json"
    peers.write_text(json.dumps({"methods": {"m": method}, "systems": [system | {"checks": [check]}]}))
    found = json.loads(_run(capsys, file, "--json", "--compare", peers)[1])["compare"]
    assert found["checks"][0]["ratio"] == {"64": 2.0}
    check["method"] = "n"
    peers.write_text(json.dumps({"methods": {"m": method}, "systems": [system | {"checks": [check]}]}))
    assert f"{peers}: systems.0.checks.0.method: 'n' is not among methods (m)" in _refused(
        capsys, file, "--compare", peers
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--gas-price", "nan"], "--gas-price nan: expected a number above 0"),
        (["--gas-price", "0"], "--gas-price 0.0: expected"),
        (["--eth-price", "-5"], "--eth-price -5.0: expected"),
        (["--eth-price", "inf"], "--eth-price inf: expected"),
        (["--cold-sload", "-1"], "'--cold-sload': -1 is not in the range"),
        (["--cold-sload", "many"], "'--cold-sload': 'many' is not a valid integer"),
        (["--cold-sload", "10000000000000"], "'--cold-sload': 10000000000000 is not in the range"),
        (["--compare", "absent.json"], "absent.json: cannot be read"),
        (["--bogus"], "No such option"),
    ],
)
def test_bad_input_is_one_line(capsys, file, args, said):
    assert said in _refused(capsys, file, *args)


def test_other_contracts_are_told(capsys, file, tmp_path, monkeypatch):
    """A file of one's own is shown with a note; build/bench/bench.json must be of these contracts."""
    found = bench()
    found.meta["contracts"] = "0123"
    found.write(file)
    code, _, err = _run(capsys, file, "--json")
    assert code == 0
    assert err.startswith(f"note: {file}: was measured on other contracts (0123, here ")
    found.write(tmp_path / "build" / "bench" / "bench.json")
    monkeypatch.chdir(tmp_path)
    assert "`margincall bench` measures these" in _refused(capsys)


def test_what_is_no_benchmark(capsys, file, tmp_path):
    assert "no such file; `margincall bench` measures" in _refused(capsys, tmp_path / "absent.json")
    assert "cannot be read" in _refused(capsys, tmp_path)
    for text in ("{}", "[]", "no", '{"measurements": [{"name": 5}]}'):
        file.write_text(text)
        assert "is no bench.json" in _refused(capsys, file)
    bench().write(file)
    assert "cannot be written" in _refused(capsys, file, "--out", file)
