"""The picture that the README shows: its figures are the snapshot's, and it is drawn from them."""

import re

import pytest

from margincall.bench import picture, snapshot
from margincall.bench.peers import read_peers

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
IDS = re.compile(r'(?<=id=")[^"]*|(?<=#)[\w-]+(?=["\)])')  # made of hashes of what they name
CLOSE = 0.02  # of a point: floating point of another machine


@pytest.fixture(scope="module")
def text():
    return picture.FILE.read_text(encoding="utf-8")


def test_its_figures_are_the_snapshots(text):
    checks, shown = snapshot.load()["checks"], 0
    for lines in picture.shown(text).values():
        for line in lines:
            for n, name in line.measured.items():
                assert line.points[n] == checks[name], f"{name}: run `margincall bench --update`"
                shown += 1
    assert shown > 30


def test_its_peers_are_those_that_ship(text):
    books = picture.shown(text)
    for system in read_peers().systems:
        for check in system.checks:
            lines = [line for line in books[check.book] if line.name.rstrip("*") == system.name]
            assert [line.points for line in lines] == [check.ladder]


def test_it_is_drawn_from_its_figures(text):
    again = picture.drawn(picture.shown(text))
    (old, seen), (new, drawn) = map(_parts, (text, again))
    assert seen == drawn
    assert len(old) == len(new) > 1_000
    assert max(abs(a - b) for a, b in zip(old, new, strict=True)) < CLOSE


def _parts(svg: str) -> tuple[list[float], list[str]]:
    """The numbers of an SVG, and what stands between them; ids aside."""
    bare = IDS.sub("", svg)
    return [float(number) for number in NUMBER.findall(bare)], NUMBER.split(bare)
