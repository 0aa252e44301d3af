"""Funding: rates as the venue published them, to the last unit of the chain's formula."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margincall import data
from margincall.model.markets import funding_rate
from margincall.protocol.config import DEFAULT, RULES
from margincall.replay.candles import BadInput, moment_of, read
from margincall.replay.funding import Funding, index_for, read_funding

HEADER = "timestamp_utc,funding_rate\n"


@given(mark=st.integers(2 * 10**9, 10**12), rate=st.integers(-RULES.rate_cap + 1, RULES.rate_cap - 1))
def test_the_index_yields_exactly_the_rate(mark, rate):
    assert funding_rate(mark, index_for(mark, rate, RULES), RULES) == rate


def test_inside_the_damp_band_the_index_is_the_mark():
    assert index_for(10**10, RULES.interest, RULES) == 10**10


def test_a_rate_beyond_the_cap_has_no_index():
    with pytest.raises(ValueError, match="no index price"):
        index_for(10**10, RULES.rate_cap + 1, RULES)


def test_a_settlement_holds_for_the_interval_before_it():
    history = read(data.CANDLES, DEFAULT)
    funding = read_funding(data.FUNDING, DEFAULT, history)
    btc = DEFAULT.market("BTC")
    before = moment_of("2025-10-10T15:59:59Z", "")
    assert funding.rate(btc, before) == 10_130  # settled at 16:00: 0.00001013
    assert funding.rate(btc, before + 1) == 100_000  # settled at midnight: 0.0001
    assert Funding({}).rate(btc, before) == RULES.interest


def test_shorter_intervals_are_scaled_to_eight_hours(tmp_path):
    path = tmp_path / "sol_funding.csv"
    times = [f"2025-10-{day:02}T{hour:02}:00:00Z" for day in range(8, 14) for hour in range(0, 24, 4)]
    path.write_text(HEADER + "".join(f"{time},0.0001\n" for time in times))
    funding = read_funding([path], DEFAULT, read(data.CANDLES, DEFAULT))
    assert funding.rate(DEFAULT.market("SOL"), moment_of("2025-10-10T12:00:00Z", "")) == 200_000


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["2025-10-08T00:00:00Z,nan"], "line 2: funding_rate: 'nan' is not finite"),
        (["2025-10-08T00:00:00Z,0.03"], "line 2: 0.03 in 28800 seconds is beyond the cap of BTC"),
        (["2025-10-08T00:00:00Z,0", "2025-10-08T00:00:00Z,0"], "line 3: 2025-10-08T00:00:00Z is not after"),
        (["2025-10-08T00:00:00Z"], "line 2: no value for 'funding_rate'"),
        (["2025-10-08T00:00:00Z,0", "2025-10-08T08:00:00Z,0"], "do not cover the candles"),
        (["2025-10-08T00:00:00Z,0", "2025-10-13T08:00:00Z,0"], "no settlement between"),
        ([], "no rates"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path, lines, said):
    path = tmp_path / "btc_funding.csv"
    path.write_text(HEADER + "".join(line + "\n" for line in lines))
    with pytest.raises(BadInput) as refusal:
        read_funding([path], DEFAULT, read(data.CANDLES, DEFAULT))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)
