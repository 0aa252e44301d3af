"""Files of other systems' figures: what ships is what was given, and what is wrong is named in one line."""

import copy
import json

import pytest

from margincall.bench import comparing
from margincall.bench.peers import FILE, Method, read_peers
from margincall.replay.candles import BadInput
from tests.unit.bench.figures import bench


def test_what_ships():
    peers = read_peers()
    systems = {system.name: system for system in peers.systems}
    assert systems["Derive PMRM"].check("ladder").ladder[127] == 29_417_231
    assert systems["Derive PMRM_2"].check("ladder").ladder[1] == 915_657
    assert systems["Derive standard manager"].check("perps").ladder == {1: 166_374}
    assert [systems[f"Derive {name}"].scenarios for name in ("PMRM", "PMRM_2", "standard manager")] == [
        23,
        33,
        0,
    ]
    assert {(s.source, s.commit) for s in peers.systems} == {
        ("Derive v2-core", "7736900d"),
        ("Perp v2", "d520bd8"),
        ("GMX v2", "a5c0c88"),
        ("Synthetix v3", "23585f7"),
        ("Vertex", "e138181"),
    }
    alike = {s.name for s in peers.systems if (c := s.check("perps")) and peers.method(c).as_our_checks}
    assert alike == {"Derive PMRM", "Derive PMRM_2", "Derive standard manager"}


def test_positions_ascend_whatever_their_order_in_the_file(tmp_path):
    data = json.loads(FILE.read_text())
    data["systems"][0]["checks"][0]["gas"] = {"16": 3, "4": 2, "127": 9}
    path = tmp_path / "peers.json"
    path.write_text(json.dumps(data))
    assert list(read_peers(path).systems[0].check("ladder").ladder.items()) == [(4, 2), (16, 3), (127, 9)]


def changed(place, value):
    """A change of the file that ships: a key is set (None: taken out)."""

    def change(data):
        *way, last = place
        for step in way:
            data = data[step]
        if value is None:
            del data[last]
        else:
            data[last] = value

    return change


FIRST = ("systems", 0)
CHECK = (*FIRST, "checks", 0)
TRADE = (*FIRST, "operations", 0)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ((*FIRST, "commit"), None, "systems.0.commit: is missing"),
        (("methods",), None, "methods: is missing"),
        (("systems",), [], "systems: List should have at least 1 item"),
        ((*FIRST, "note"), "x", "systems.0.note: is no key of such a file"),
        ((*FIRST, "scenarios"), "23", "systems.0.scenarios: Input should be a valid integer, got \"23\""),
        ((*FIRST, "scenarios"), -1, "systems.0.scenarios: Input should be greater than or equal to 0"),
        ((*FIRST, "name"), "Vertex", "systems: two are called 'Vertex'"),
        ((*FIRST, "name"), "", "systems.0.name: String should have at least 1 character"),
        ((*CHECK, "method"), "guess", "systems.0.checks.0.method: 'guess' is not among methods (cold check,"),
        ((*CHECK, "book"), "lader", "systems.0.checks.0.book: Input should be 'ladder' or 'perps'"),
        ((*CHECK, "gas"), 5, "systems.0.checks.0.gas: Input should be a valid dictionary, got 5"),
        ((*CHECK, "gas"), {}, "systems.0.checks.0.gas: Dictionary should have at least 1 item"),
        ((*CHECK, "gas"), {"four": 5}, "systems.0.checks.0.gas: 'four' is no number of positions"),
        ((*CHECK, "gas"), {"0": 5}, "'0' is no number of positions"),
        ((*CHECK, "gas"), {"4": -5}, "systems.0.checks.0.gas.4: Input should be greater than 0, got -5"),
        ((*CHECK, "gas"), {"4": 1.5}, "systems.0.checks.0.gas.4: Input should be a valid integer"),
        ((*CHECK, "gas"), {"4": True}, "systems.0.checks.0.gas.4: Input should be a valid integer"),
        ((*CHECK, "gas"), {"4": 2**40}, "systems.0.checks.0.gas.4: Input should be less than"),
        ((*TRADE, "gas"), "many", "systems.0.operations.0.gas.0: Input should be a valid integer"),
        ((*TRADE, "gas"), [], "systems.0.operations.0.gas: List should have at least 1 item"),
        (("methods", "call", "cold"), "maybe", "methods.call.cold: Input should be a valid boolean"),
        (("methods", "call", "about"), None, "methods.call.about: is missing"),
    ],
)  # fmt: skip
def test_a_bad_file_is_one_line(tmp_path, place, value, said):
    data = copy.deepcopy(json.loads(FILE.read_text()))
    changed(place, value)(data)
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(data))
    with pytest.raises(BadInput) as error:
        read_peers(path)
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[]", "should be a valid dictionary"),
        (b"{", "line 1: no JSON"),
        (b"\xff\xfe", "is no text"),
        (b"", "line 1: no JSON"),
    ],
)
def test_what_is_no_such_file(tmp_path, content, said):
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        read_peers(path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_peers(tmp_path)


@pytest.mark.parametrize(
    ("cold", "intrinsic", "apart"),
    [
        (True, False, ""),
        (True, True, "with intrinsic and calldata gas"),
        (False, False, "partly warm"),
        (None, False, "not recorded whether cold"),
        (None, None, "not recorded whether cold, not recorded whether with intrinsic and calldata gas"),
    ],
)
def test_what_sets_a_method_apart(cold, intrinsic, apart):
    method = Method(about="x", cold=cold, intrinsic=intrinsic)
    assert method.apart(intrinsic=False) == apart
    assert method.as_our_checks == (apart == "")


def test_ratios_only_where_the_method_is_the_same():
    sheet = comparing.checks(bench(), read_peers(), "perps")
    rows = {row[0]: row[1:] for row in sheet.rows}
    one = sheet.columns.index("1") - 1
    assert rows["Derive PMRM"][one] == "333,901 (8.35 ×)"  # 40,000: portfolio margin
    assert rows["Derive standard manager"][one] == "166,374 (8.99 ×)"  # 18,500: a sum over positions as well
    assert rows["Vertex"][one] == "83,475"
    assert rows["Vertex"][-1] == "no ratio: not recorded whether cold"
    found = comparing.record(bench(), read_peers())["checks"]
    ladder = next(one for one in found if (one["system"], one["book"]) == ("Derive PMRM", "ladder"))
    assert ladder["ratio"]["64"] == 14_497_949 / 178_000
    assert next(one for one in found if one["system"] == "Perp v2")["ratio"] == {}


def test_operations_stand_beside_ours(tmp_path):
    data = json.loads(FILE.read_text())
    for system in data["systems"]:
        for one in system.get("operations", ()):
            one.pop("ours", None)
    data["systems"][4]["operations"][0]["ours"] = "increase, cross, 1 perp"
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(data))
    rows = comparing.operations(bench(), read_peers(path)).rows
    gmx = next(row for row in rows if row[:2] == ("GMX v2", "open"))
    assert gmx[2:5] == ("3,595,081", "150,000", "increase, cross, 1 perp")
    assert "978,775 + 2,616,306" in gmx[5]
    data["systems"][4]["operations"][0]["ours"] = "increase, crossed"
    path.write_text(json.dumps(data))
    with pytest.raises(BadInput, match=r"systems.4.operations.0.ours: 'increase, crossed' was not measured"):
        comparing.require_ours(bench(), read_peers(path))
