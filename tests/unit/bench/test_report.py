"""Tables and pictures of the benchmark, without a browser."""

import json
import re

import pytest

from margincall.bench import draw, picture, repricing, sheets, snapshot, story
from margincall.bench.peers import read_peers
from margincall.bench.records import Bench
from margincall.bench.whatif import Schedule
from tests.unit.bench.figures import bench

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (None, ""),
        (1.414, "1.41 ×"),
        (9.994, "9.99 ×"),
        (48.26, "48.3 ×"),
        (141.2, "141 ×"),
        (1_234.5, "1,234 ×"),
    ],
)
def test_ratios(ratio, text):
    assert sheets.times(ratio) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(950, "950"), (79_129, "79.1k"), (174_071, "174k"), (14_497_949, "14.5M"), (10**6, "1M")],
)
def test_short_numbers(value, text):
    assert draw.short(value) == text


def test_the_first_table():
    sheet = sheets.headline(bench(), read_peers())
    rows = {row[0]: row[1:] for row in sheet.rows}
    assert sheet.columns == ("account", "gas", "floor", "gas / floor", "Derive PMRM", "times ours")
    assert rows["64 options"] == ("178,000", "89,000", "2.00 ×", "14,497,949", "81.4 ×")
    assert rows["64 over 4 underlyings"] == ("268,000", "134,000", "2.00 ×", "", "")
    assert rows["1 perp"] == ("40,000", "20,000", "2.00 ×", "333,901", "8.35 ×")
    assert {len(row) for row in sheets.headline(bench(), None).rows} == {4}


def test_targets_say_what_was_missed():
    sheet = sheets.targets(bench())
    assert sheet.title == "Targets: 2 of 4 met"
    assert sheet.rows[1] == ("check", "≤ 100,000 gas", "178,000", "no", "78.0%")
    assert sheet.rows[3] == ("steps", "≥ 1,000 a second", "1,234.5", "yes", "")
    assert sheet.notes == ("check; larger check: tried and not reached.",)


def test_costs_by_hand():
    costs = sheets.costs(bench(), ["increase, cross, 1 perp"], 2.0, 3_000.0)
    # 150,000 gas at 2 gwei are 0.0003 ETH.
    assert costs.columns == ("what", "gas", "at 2 gwei")
    assert costs.rows == [("increase, cross, 1 perp", "150,000", "0.90")]
    costs = sheets.costs(bench(), ["increase, cross, 1 perp"], None, None)
    assert costs.columns == ("what", "gas", "at 0.1 gwei", "at 1 gwei", "at 10 gwei", "at 50 gwei")
    assert costs.rows == [
        ("increase, cross, 1 perp", "150,000", "0.000015", "0.000150", "0.001500", "0.007500")
    ]


def test_the_what_if_marks_what_moved():
    titles = [sheet.title for sheet in repricing.sheets(bench(), Schedule())]
    assert titles == [
        "Rules by the gas of a check of 64 options",
        "Curves in code or in slots",
        "Where code and slots change places",
    ]
    found = {sheet.title: sheet for sheet in repricing.sheets(bench(), Schedule(cold_account=102_600))}
    assert found["Prices asked about"].rows == [("--cold-account", "2,600", "102,600")]
    assert [row[:4] for row in found["Rules by the gas of a check of 64 options"].rows] == [
        ("portfolio margin, slots", "2", "1", "▲ 1"),
        ("portfolio margin, code", "1", "2", "▼ 1"),
    ]
    assert {row[4] for row in found["Curves in code or in slots"].rows} == {"slots"}
    assert {row[5] for row in found["Curves in code or in slots"].rows} == {"changed"}


def test_the_record_is_json_and_restates_everything():
    asked = story.Asked(1.0, 2_000.0, Schedule(cold_sload=3_100))
    found = json.loads(json.dumps(story.record(bench(), read_peers(), asked)))
    assert found["what_if"]["changed"] == {"cold_sload": [2_100, 3_100]}
    assert found["what_if"]["gas"]["increase, cross, 1 perp"] == 170_000
    assert found["what_if"]["gas"].keys() == {m.name for m in bench().measurements}
    assert found["growth"]["portfolio margin, code"]["largest"] == {
        "positions": 128,
        "because": "limit",
    }
    assert found["underlyings"]["underlying"] == pytest.approx(30_000)


def test_what_was_not_measured_is_left_out():
    assert [one.title for one in story.sections(Bench(), read_peers(), story.Asked())] == [
        "Growth",
        "Other systems",
    ]


def _drawn_texts(figure):
    """Every text but the labels of ticks beyond an axis, which exist and are not drawn."""
    for legend in (*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))):
        yield from legend.get_texts()
    for axes in figure.axes:
        yield from (*axes.texts, axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title)
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            places = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            yield from (label for place, label in places if min(limits) <= place <= max(limits))


@pytest.mark.parametrize("narrow", [False, True])
def test_no_picture_is_cut_off(narrow):
    """Every text of every picture lies inside it."""
    for section in story.sections(bench(), read_peers(), story.Asked()):
        for one in section.pictures:
            with one.drawn(narrow=narrow) as figure:
                figure.canvas.draw()
                room = figure.bbox.padded(1)
                texts = [text for text in _drawn_texts(figure) if text.get_text()]
                assert len(texts) > 12
                for text in texts:
                    box = text.get_window_extent()
                    assert room.contains(box.x0, box.y0), (one.name, text.get_text())
                    assert room.contains(box.x1, box.y1), (one.name, text.get_text())


def test_labels_are_moved_apart():
    assert draw.apart([1.0, 1.0, 5.0], 2.0) == pytest.approx([0.0, 2.0, 5.0], abs=0.1)
    assert draw.apart([1.0, 9.0], 2.0) == [1.0, 9.0]


def test_a_picture_carries_its_figures():
    books = draw.gas_lines(bench(), read_peers())
    text = picture.drawn(books)
    assert picture.shown(text) == books
    assert picture.drawn(picture.shown(text)) == text
    with pytest.raises(ValueError, match="carries no figures"):
        picture.shown("<svg></svg>")


def test_what_is_named_is_measured():
    """A picture's bars, a price's rows and what stands beside a peer's operation do not fall out unseen."""
    recorded = snapshot.load()
    assert set(story.OPERATIONS_SHOWN) <= recorded["operations"].keys()
    assert set(story.CHECKS_SHOWN) <= recorded["checks"].keys()
    ours = {one.ours for system in read_peers().systems for one in system.operations} - {""}
    assert len(ours) > 5
    assert ours <= recorded["operations"].keys()
