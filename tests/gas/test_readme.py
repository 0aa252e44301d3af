"""The figures of the README's tables are the snapshot's."""

import re

import pytest

from margincall.bench import snapshot
from margincall.protocol.artifacts import ROOT

ROWS = {
    "16 options of one expiry": ("checks", "check, ladder of 16"),
    "64 options": ("checks", "check, ladder of 64"),
    "127 options": ("checks", "check, ladder of 127"),
    "64 over 4 underlyings, both dials": ("checks", "check, 64 over 4 underlyings"),
    "one perp": ("checks", "check, 1 perp"),
    "a perp trade between two cross accounts": ("operations", "one trade in a call, again"),
    "the same, both accounts fresh": ("operations", "one trade in a call, fresh"),
    "an option trade between two portfolio accounts": (
        "operations",
        "option trade, portfolio, one more beside 16, two new fill words",
    ),
    "liquidation of a one-perp account": ("operations", "liquidation, 1 perp, slice"),
    "liquidation of half of a portfolio account": (
        "operations",
        "liquidation, portfolio, 128 positions, half",
    ),
    "making the value curve of an expiry of 30 days": ("operations", "refresh, 30 days, code, again"),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_figure_is_the_snapshots(row):
    group, name = ROWS[row]
    shown = re.findall(rf"^\| {re.escape(row)}[^|]*\| ([\d,]+) \|", (ROOT / "README.md").read_text(), re.M)
    assert shown == [f"{snapshot.load()[group][name]:,}"]
