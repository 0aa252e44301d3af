"""Portfolio files: what is read, and every refusal in one line."""

import io
import json
from decimal import Decimal

import pytest

from margincall.margining import example, example_names, read_portfolio
from margincall.replay.candles import BadInput


def _file(tmp_path, text: str, name: str = "book.json"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_csv_and_json_say_the_same(tmp_path):
    table = _file(tmp_path, "Instrument, size, entry\nBTC,1.5,100000\nBTC-27DEC26-90000-P,2,\n", "book.csv")
    listed = [
        {"instrument": "BTC", "size": 1.5, "entry": "100000"},
        {"instrument": "BTC-27DEC26-90000-P", "size": "2"},
    ]
    rows = [
        [(line.instrument, line.size, line.entry) for line in read_portfolio(path).positions]
        for path in (
            table,
            _file(tmp_path, json.dumps(listed)),
            _file(tmp_path, json.dumps({"positions": listed}), "other.json"),
        )
    ]
    assert rows[0] == [("BTC", Decimal("1.5"), Decimal(100000)), ("BTC-27DEC26-90000-P", Decimal(2), None)]
    assert rows[0] == rows[1] == rows[2]


def test_decimals_are_read_as_written(tmp_path):
    path = _file(tmp_path, '[{"instrument": "BTC", "size": 0.12345678}]')
    assert read_portfolio(path).positions[0].size == Decimal("0.12345678")


def test_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("instrument,size\nETH,-3\n"))
    found = read_portfolio("-")
    assert [(line.instrument, line.size) for line in found.positions] == [("ETH", -3)]
    assert found.positions[0].where == "standard input: line 2"


def test_a_file_holds_its_market_too(tmp_path):
    path = _file(
        tmp_path,
        '{"name": "mine", "about": "b", "cash": 10.5, "now": "2026-11-20T08:00Z", "prices": {"BTC": 100000},'
        ' "vols": {"BTC": "0.6,0,0.1"}, "smile": "deribit", "positions": [{"instrument": "BTC", "size": 1}]}',
    )
    found = read_portfolio(path)
    assert (found.name, found.cash, found.now) == ("mine", "10.5", "2026-11-20T08:00Z")
    assert (found.prices, found.vols, found.smile) == ({"BTC": "100000"}, {"BTC": "0.6,0,0.1"}, "deribit")


def test_every_example_is_readable():
    assert set(example_names()) == {
        "box",
        "btc-against-eth",
        "calendar",
        "covered-call",
        "perp",
        "perp-put",
        "short-straddle",
    }
    for name in example_names():
        found = example(name)
        assert found.name == name
        assert found.about
        assert found.cash is not None
        assert found.now is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; expected positions"),
        ("instrument,amount\nBTC,1\n", "no column 'size'; expected a first line instrument,size"),
        ("instrument,size,colour\nBTC,1,red\n", "unknown column 'colour'; expected"),
        ("instrument,size\n", "holds no position; expected at least one"),
        ("instrument,size\nBTC\n", "line 2: fewer values than columns"),
        ("instrument,size\nBTC,1,2\n", "line 2: more values than columns"),
        ("instrument,size\nBTC,one\n", "line 2: BTC: size: 'one' is no number; expected a decimal"),
        ("instrument,size\nBTC,inf\n", "line 2: BTC: size: 'inf' is not finite"),
        ("instrument,size\n,1\n", "line 2: no instrument; expected a name like BTC"),
        ("instrument,size,entry\nBTC,1,-5\n", "line 2: BTC: entry -5 is negative"),
        ("[", "line 1: not JSON"),
        ("[]", "holds no position"),
        ('[{"instrument": "BTC"}]', "position 1: expected an object with instrument, size"),
        ('["BTC"]', "position 1: expected an object"),
        ('[{"instrument": "BTC", "size": NaN}]', "NaN is not finite"),
        ('[{"instrument": "BTC", "size": 1, "size": 2}]', "'size' is given twice"),
        ('{"positions": 5}', "no list 'positions'"),
        ('{"prices": [1], "positions": [{"instrument": "BTC", "size": 1}]}', "prices: expected an object"),
        ('{"book": []}', "unknown key 'book'; expected some of name"),
    ],
)
def test_refusals_name_the_place(tmp_path, text, said):
    path = _file(tmp_path, text, "bad.txt")
    with pytest.raises(BadInput) as refused:
        read_portfolio(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_portfolio(tmp_path / "absent.csv")
    path = tmp_path / "binary.csv"
    path.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(BadInput, match="is no text"):
        read_portfolio(path)
    with pytest.raises(BadInput, match="--example nope: expected one of box"):
        example("nope")
