"""The benchmark's page in a real browser: whole, silent, offline, true to bench.json, fit for a phone."""

from collections.abc import Iterator

import pytest

from margincall.bench import report, story
from margincall.bench.peers import read_peers
from margincall.bench.records import load
from margincall.bench.sheets import summary
from margincall.bench.whatif import Schedule, ranking
from tests.browser import NoBrowser, Page, chromium
from tests.unit.bench.figures import bench

CELLS = """[...document.querySelectorAll("#%s table")].map(table =>
    [...table.rows].map(row => [...row.cells].map(cell => cell.textContent)))"""
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
PICTURES = """[...document.querySelectorAll("figure svg")].map(svg => {
    const box = svg.getBoundingClientRect();
    const ink = [...svg.querySelectorAll("path, use")].filter(one => one.getBoundingClientRect().width > 0);
    return [box.width, box.height, ink.length];
})"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """bench.json as a benchmark writes it, and the page of what it says with an asked what-if."""
    folder = tmp_path_factory.mktemp("bench")
    bench().write(folder / "bench.json")
    found, peers = load(folder / "bench.json"), read_peers()
    told = story.sections(found, peers, story.Asked(1.0, 3_000.0, Schedule(cold_sload=3_000)))
    report.write(summary(found, peers), told, folder)
    return folder


@pytest.fixture(scope="module")
def page(written) -> Iterator[Page]:
    try:
        with chromium() as opened:
            opened.open(written / "report.html")
            yield opened
    except NoBrowser as error:
        pytest.fail(str(error), pytrace=False)


def test_the_browser_sees_what_is_wrong(tmp_path):
    """Console errors, exceptions and requests are noticed: the other tests can fail."""
    file = tmp_path / "bad.html"
    file.write_text(
        '<!doctype html><link rel="icon" href="data:,"><img src="http://example.invalid/a.png">'
        "<script>console.error('said'); nope()</script>"
    )
    with chromium() as opened:
        opened.open(file)
        assert opened.requests == ["http://example.invalid/a.png"]
        assert len(opened.errors) == 3


def test_it_loads_in_silence_and_asks_nobody(page):
    assert page.errors == []
    assert page.requests == []
    assert "costs 178,000 gas: 0.3% of a block" in page.evaluate("document.querySelector('header').innerText")
    assert page.evaluate("document.title") == "margincall: what margin costs on chain"


def test_the_story_is_in_order(page):
    titles = page.evaluate("[...document.querySelectorAll('h2')].map(title => title.textContent)")
    assert titles == [
        "One check",
        "Targets",
        "Growth",
        "Where the gas goes",
        "What if state cost something else",
        "Other systems",
        "Everything measured",
        "Speed",
        "Sizes and limits",
        "How it was measured",
    ]
    links = page.evaluate(
        "[...document.querySelectorAll('nav a')].map(a => !!document.querySelector(a.hash))"
    )
    assert links == [True] * len(titles)


def test_the_tables_are_bench_json(page, written):
    found = load(written / "bench.json").record()["portfolio_check"]
    (first,) = page.evaluate(CELLS % "one-check")
    rows = {row[0]: row for row in first[1:]}
    for n, gas in found["ladder"].items():
        row = rows[f"{n} option{'s' * (n != '1')}"]
        assert row[1:3] == [f"{gas:,}", f"{found['floor'][n]:,}"]
    assert rows["64 over 4 underlyings"][1] == f"{found['four_underlyings_64']:,}"
    assert rows["1 perp"][1] == f"{found['perp_only']:,}"
    assert rows["64 options"][4:] == ["14,497,949", "81.4 ×"]
    operations, checks = page.evaluate(CELLS % "everything-measured")
    shown = {row[0]: row[1] for row in operations[1:] + checks[1:]}
    assert shown == {m.name: f"{m.gas:,}" for m in load(written / "bench.json").measurements}
    (targets,) = page.evaluate(CELLS % "targets")
    assert [row[3] for row in targets[1:]] == ["yes", "no", "no", "yes"]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (320, True)])
def test_it_fits_and_every_picture_is_there(page, width, dark):
    page.resize(width, 844, dark)
    assert page.evaluate(OVERFLOW) == 0
    sizes = page.evaluate(PICTURES)
    assert len(sizes) == 6
    shown = [size for size in sizes if size[0]]
    assert len(shown) == 3  # those of a screen or those of a phone
    for across, down, ink in shown:
        assert 0.8 * min(width, 1_000) < across <= width
        assert down > 200
        assert ink > 50


def test_a_heading_sorts(page):
    page.resize(1280, 900)
    rows = "[...document.querySelector('#everything-measured tbody').rows]"
    column = f"{rows}.map(row => row.cells[1].textContent)"
    head = "document.querySelectorAll('#everything-measured thead th')[1].click()"
    for down in (False, True):
        page.evaluate(head)
        gas = [int(text.replace(",", "")) for text in page.evaluate(column)]
        assert gas == sorted(gas, reverse=down)
    assert len(gas) == 3


def test_a_filter_leaves_what_is_sought(page):
    visible = """(words => {
        const input = document.querySelector("#everything-measured input");
        input.value = words;
        input.dispatchEvent(new Event("input"));
        const rows = [...document.querySelector("#everything-measured tbody").rows];
        return rows.filter(row => !row.hidden).map(row => row.cells[0].textContent);
    })"""
    assert page.evaluate(f"{visible}('Slots  refresh')") == ["refresh, 30 days, slots, again"]
    assert page.evaluate(f"{visible}('none such')") == []
    assert len(page.evaluate(f"{visible}('')")) == 3


def test_other_prices_restate_the_checks(page):
    """The page's own arithmetic is the what-if's, to the unit."""
    set_to = """((name, value) => {
        const input = document.querySelector(`#prices [name=${name}]`);
        input.value = value;
        input.dispatchEvent(new Event("input", { bubbles: true }));
    })"""
    page.evaluate("document.querySelector('#prices button').click()")
    for changed in ({}, {"cold_account": 102_600}, {"cold_account": 102_600, "cold_sload": 9_999}):
        for name, value in changed.items():
            page.evaluate(f"{set_to}({name!r}, {value})")
        rows = page.evaluate(
            "[...document.querySelectorAll('#live tbody tr')].map(r => r.innerText.split('\\t'))"
        )
        expected = [
            [one.name, str(one.place_after), _moved(one.moved), f"{one.after:,}", f"{one.before:,}"]
            for one in ranking(bench(), Schedule(**changed), 64)
        ]
        assert rows == expected


def _moved(places: int) -> str:
    return f"▲ {places}" if places > 0 else f"▼ {-places}" if places < 0 else ""


def test_ids_are_unique(page):
    """Two pictures that share an id would draw each other's shapes."""
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
