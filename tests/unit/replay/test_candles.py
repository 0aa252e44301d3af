"""Candle files: what is read, and every malformed one refused with one line that names the place."""

import pytest

from margincall import data
from margincall.protocol.config import DEFAULT
from margincall.replay.candles import BadInput, Candle, read

HEADER = "timestamp_utc,open,high,low,close,volume\n"
GOOD = [
    "2025-10-10T21:00:00Z,100,110,90,105,1",
    "2025-10-10T21:05:00Z,105,106,104,105.5,1",
    "2025-10-10T21:10:00Z,105.5,106,80,81,1",
]


def _file(folder, lines, name="btc_test.csv", header=HEADER):
    path = folder / name
    path.write_text(header + "\n".join(lines) + "\n")
    return path


def test_prices_are_read_exactly(tmp_path):
    history = read([_file(tmp_path, GOOD)], DEFAULT)
    assert [market.symbol for market in history.markets] == ["BTC"]
    assert history.step == 300
    assert history.candles[1][1] == Candle(1760130300, 105_000_000, 106_000_000, 104_000_000, 105_500_000)


def test_the_shipped_candles_are_whole():
    history = read(data.CANDLES, DEFAULT)
    assert [market.symbol for market in history.markets] == ["BTC", "ETH", "SOL"]
    assert len(history.times) == 1_152
    lows = {
        market.symbol: market.usd(min(c.low for c in history.candles[market.id]))
        for market in history.markets
    }
    assert lows == {"BTC": 101_516.5, "ETH": 3_400.0, "SOL": 141.28}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2025-10-10T21:10:00Z,105.5,106,nan,81,1", "line 4: low: 'nan' is not finite"),
        ("2025-10-10T21:10:00Z,105.5,inf,80,81,1", "line 4: high: 'inf' is not finite"),
        ("2025-10-10T21:10:00Z,105.5,x,80,81,1", "line 4: high: 'x' is no number"),
        ("2025-10-10T21:10:00Z,105.5,79,80,81,1", "line 4: high 79 is below low 80"),
        ("2025-10-10T21:10:00Z,107,106,80,81,1", "line 4: open 107 or close 81 is outside low 80"),
        ("2025-10-10T21:10:00Z,105.5,106,0,81,1", "line 4: low: 0 is not a price"),
        ("2025-10-10T21:10:00Z,105.5,106,-1,81,1", "line 4: low: -1 is not a price"),
        ("2025-10-10T21:10:00Z,105.5,2e6,80,81,1", "line 4: high: 2e6 is too large"),
        ("2025-10-10T21:10:00Z,105.1234567,106,80,81,1", "line 4: open: 105.1234567 is too fine"),
        ("2025-10-10T21:05:00Z,105.5,106,80,81,1", "line 4: 2025-10-10T21:05:00Z is a duplicate"),
        ("2025-10-10T21:15:00Z,105.5,106,80,81,1", "line 4: 2025-10-10T21:15:00Z leaves a gap"),
        ("2025-10-10T20:00:00Z,105.5,106,80,81,1", "line 4: 2025-10-10T20:00:00Z is before the line above"),
        ("yesterday,105.5,106,80,81,1", "line 4: 'yesterday' is no time"),
        ("2025-10-10T21:10:00Z,105.5,106", "line 4: no value for 'low'"),
    ],
)  # fmt: skip
def test_a_malformed_line_is_refused(tmp_path, line, said):
    path = _file(tmp_path, [*GOOD[:2], line])
    with pytest.raises(BadInput) as refusal:
        read([path], DEFAULT)
    message = str(refusal.value)
    assert message.startswith(f"{path}: {said}")
    assert "\n" not in message
    assert "expected" in message or "takes at most" in message or "goes to" in message


@pytest.mark.parametrize("column", ["timestamp_utc", "open", "high", "low", "close"])
def test_a_missing_column_is_refused(tmp_path, column):
    header = HEADER.replace(column, "other")
    with pytest.raises(BadInput, match=f"line 1: no column '{column}'"):
        read([_file(tmp_path, GOOD, header=header)], DEFAULT)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (GOOD[1:], "expected files that start together"),
        (GOOD[:2], "expected files that end together"),
        (
            [GOOD[0], "2025-10-10T21:01:00Z,105,106,104,105.5,1", "2025-10-10T21:02:00Z,1,1,1,1,1"],
            "expected the same",
        ),
    ],
)
def test_files_must_share_one_clock(tmp_path, second, said):
    files = [_file(tmp_path, GOOD), _file(tmp_path, second, "eth_test.csv")]
    with pytest.raises(BadInput, match=said):
        read(files, DEFAULT)


def test_files_are_one_per_known_market(tmp_path):
    with pytest.raises(
        BadInput, match="unknown market 'DOGE'; the file's name must begin with one of btc_, eth_"
    ):
        read([_file(tmp_path, GOOD, "doge_test.csv")], DEFAULT)
    with pytest.raises(BadInput, match="a second file for BTC"):
        read([_file(tmp_path, GOOD), _file(tmp_path, GOOD, "btc_other.csv")], DEFAULT)
    with pytest.raises(BadInput, match="cannot be read"):
        read([tmp_path / "btc_absent.csv"], DEFAULT)
    with pytest.raises(BadInput, match="no candles"):
        read([_file(tmp_path, [])], DEFAULT)
    with pytest.raises(BadInput, match="no candle file given"):
        read([], DEFAULT)


def test_cut_keeps_the_asked_span(tmp_path):
    history = read([_file(tmp_path, GOOD)], DEFAULT)
    assert history.cut(history.times[1], None, None).times == history.times[1:]
    assert history.cut(None, history.times[1], None).times == history.times[:2]
    assert history.cut(None, None, 1).times == history.times[:1]
    with pytest.raises(BadInput, match="no candle is left"):
        history.cut(history.times[2] + 1, None, None)
