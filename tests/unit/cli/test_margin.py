"""`margincall margin`: tables, JSON, picture, and refusals of one line with exit code 2."""

import io
import json
from functools import partial

import pytest

from margincall.cli import main
from margincall.margining import case_of, example, example_names, measure
from margincall.margining.record import record
from margincall.protocol.deploy import load


def _run(capsys, *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["margin", *args])
    out, err = capsys.readouterr()
    return end.value.code or 0, out, err


def _refused(capsys, *args: str) -> str:
    code, out, err = _run(capsys, *args)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("name", example_names())
def test_every_example_prints_and_fits(capsys, name):
    code, out, err = _run(capsys, "--example", name, "--exact")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 120
    assert "…" not in out
    for said in ("Margin, USD", "P&L of 24 scenarios", "From the positions to the requirement", "Positions"):
        assert said in out
    found = measure(case_of(example(name)))
    assert f"{found.portfolio.equity / 10**6:,.0f}" in out
    for position in found.positions:
        assert position.name in out
    assert ("All prices moving alike" in out) == (len(found.underlyings) > 1)


def test_examples_are_listed(capsys):
    code, out, _ = _run(capsys, "--examples")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == example_names()


def test_json_is_the_record(capsys):
    code, out, err = _run(capsys, "--example", "box", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads(json.dumps(record(measure(case_of(example("box"))))))


def test_csv_with_a_market_from_options(capsys, tmp_path, monkeypatch):
    """The same account from a CSV file, from standard input, and from the example's JSON."""
    text = "instrument,size,entry\nBTC,1,100000\nBTC-25DEC26-95000-P,1,4800\n"
    path = tmp_path / "perp-put.csv"
    path.write_text(text)
    market = ["--cash", "15200", "--price", "BTC=100000", "--vol", "BTC=0.6,-0.1,0.3"]
    market += ["--now", "2026-11-20T08:00Z", "--json"]
    _, from_file, err = _run(capsys, str(path), *market)
    assert err == ""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    _, from_stdin, _ = _run(capsys, "-", *market)
    _, from_example, _ = _run(capsys, "--example", "perp-put", "--json")
    assert json.loads(from_file)["modes"] == json.loads(from_example)["modes"]
    assert json.loads(from_stdin)["positions"] == json.loads(from_example)["positions"]


def test_the_long_before_and_after_the_put(capsys):
    """The put raises cross mode's requirement by its premium and lowers portfolio mode's."""
    before, after = (
        json.loads(_run(capsys, "--example", name, "--json")[1])["modes"] for name in ("perp", "perp-put")
    )
    assert before["cross"]["initial"] == 4_000
    assert 8_900 < after["cross"]["initial"] < 9_000
    assert 13_900 < before["portfolio"]["initial"] < 14_000
    assert 8_000 < after["portfolio"]["initial"] < 8_200


def test_one_mode(capsys):
    _, out, _ = _run(capsys, "--example", "perp-put", "--mode", "cross")
    assert "cross mode" in out
    assert "portfolio" not in out
    _, out, _ = _run(capsys, "--example", "perp-put", "--mode", "portfolio")
    assert "cross mode" not in out


def test_a_real_smile(capsys):
    _, out, err = _run(capsys, "--example", "covered-call", "--smile", "deribit")
    assert err == ""
    assert "(Deribit ETH, 39 days)" in out or "(Deribit ETH, 4" in out


def test_a_picture(capsys, tmp_path):
    path = tmp_path / "deep" / "margin.png"
    code, _, err = _run(capsys, "--example", "covered-call", "--plot", str(path))
    assert (code, err) == (0, "")
    assert path.read_bytes().startswith(b"\x89PNG")
    bad = str(tmp_path / "margin.txt")
    assert "cannot be written" in _refused(capsys, "--example", "perp", "--plot", bad)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "nothing to margin: expected one of FILE, --example NAME, --account ADDRESS"),
        (["book.csv", "--example", "box"], "FILE and --example: expected one of"),
        (["absent.csv"], "absent.csv: cannot be read"),
        (["--example", "nope"], "--example nope: expected one of box"),
        (["--example", "perp", "--price", "BTC"], "--price BTC: expected NAME=VALUE like BTC=100000"),
        (["--example", "perp", "--vol", "BTC:soon=1"], "vol of BTC:SOON: expected BTC or BTC:27DEC26"),
        (["--example", "perp", "--rho", "7"], "--rho 7: expected 0 to 1"),
        (["--example", "perp", "--mode", "isolated"], "'isolated' is not one of"),
        (["--example", "perp", "--mode", "cross", "--exact"], "--exact: only the portfolio rule"),
        (["--example", "perp", "--rpc", "http://127.0.0.1:9"], "only with --account"),
        (["--example", "perp-put", "--now", "2027-01-01"], "BTC-25DEC26-95000-P: has expired"),
        (["--account", "0x12"], "--account: needs the node's --rpc URL"),
        (["--account", "0x12", "--rpc", "http://127.0.0.1:9", "--cash", "1"], "--cash: not with --account"),
        (["--account", "0x12", "--rpc", "http://127.0.0.1:9"], "no answer from http://127.0.0.1:9"),
    ],
)
def test_bad_input_is_one_line(capsys, args, said):
    assert said in _refused(capsys, *args)


def test_an_account_on_a_node(capsys, anvil, tmp_path):
    """Deployed, traded and read back by the command; its numbers are the chain's own."""
    with pytest.raises(SystemExit):
        main(["deploy", "--rpc", anvil.url, "--out", str(tmp_path)])
    capsys.readouterr()
    anvil.refresh()
    file = tmp_path / "31337.json"
    from margincall.chain import key

    signers = [key(0, "feed signer", i) for i in range(3)]
    protocol = load(anvil, file, signers)
    protocol.set_prices({"BTC": 100_000})
    trader = protocol.account("margin reader")
    trader.deposit(20_000)
    trader.buy("BTC", "1")
    ask = partial(_run, capsys, "--account", trader.owner.address, "--rpc", anvil.url)
    code, out, err = ask("--deployment", str(file), "--json")
    assert (code, err) == (0, "")
    got = json.loads(out)
    equity, initial, *_ = protocol.clearinghouse.call("margin", trader.id)
    assert got["modes"]["cross"]["initial"] == initial / 10**6
    assert got["modes"]["cross"]["equity"] == equity / 10**6
    assert "holds no position" in _refused(
        capsys, "--account", "0x" + "11" * 20, "--rpc", anvil.url, "--deployment", str(file)
    )
