"""What plants bugs: changes, equivalence, operators, campaigns that are resumed, verdicts, the command."""

import json

import pytest
from click.testing import CliRunner

from margincall.audit.mutants import campaign, verdict
from margincall.audit.mutants.catalogue import OWN, rows
from margincall.audit.mutants.hunting import Run, hunt, killers
from margincall.audit.mutants.operators import edits, key_of, sample
from margincall.audit.mutants.planting import Change, PlantError, _compile, compiled, holders, planted
from margincall.audit.mutants.reviewed import reason_of, reviewed
from margincall.audit.mutants.schedules import files, homes
from margincall.cli import main
from margincall.cli.mutating import mutants
from margincall.protocol.artifacts import CONTRACTS, CompileError, artifact
from margincall.protocol.deploy import CONTRACTS as DEPLOYED

REAL_ROWS = 72


def test_a_change_must_fit_exactly_once():
    once = Change("Access.vy", "def paused() -> bool:", "def halted() -> bool:")
    assert "def halted() -> bool:" in planted([once])["Access.vy"]
    for change, words in (
        (once._replace(old="no such text"), "occurs not at all"),
        (once._replace(old="@external"), "times, it must occur exactly once"),
        (once._replace(file="Nowhere.vy"), "no file Nowhere.vy"),
        (once._replace(new=once.old), "the new text is the old one"),
    ):
        with pytest.raises(PlantError, match=words):
            planted([change])


def test_two_changes_of_one_file_apply_after_another():
    one = Change("Access.vy", "def paused() -> bool:", "def halted() -> bool:")
    two = Change("Access.vy", "def halted() -> bool:", "def stopped() -> bool:")
    assert "def stopped() -> bool:" in planted([one, two])["Access.vy"]


def test_the_contracts_themselves_are_never_touched():
    before = {path: path.read_bytes() for path in CONTRACTS.rglob("*.vy")}
    compiled(planted([Change("Access.vy", "modes < 8", "modes < 9")]))
    assert before == {path: path.read_bytes() for path in CONTRACTS.rglob("*.vy")}


def test_only_what_differs_in_bytecode_is_deployed_instead():
    text = (CONTRACTS / "Access.vy").read_text()
    assert compiled({"Access.vy": text + "\n# a comment\n"}) == {}
    found = compiled({"Access.vy": text.replace("modes < 8", "modes < 9")})
    assert list(found) == ["Access"]


def test_modules_are_known_with_the_contracts_that_hold_them():
    assert set(holders()["ledger/ledger.vy"]) == {"Clearinghouse"}
    assert "Markets" in holders()["margin/cross.vy"]
    assert homes("math/rounding.vy", "_div_up")[-1] in ("Lens", "PortfolioLens")


def test_every_mutant_of_a_file_is_one_change_of_its_text():
    text = (CONTRACTS / "Liquidation.vy").read_text()
    found = edits("Liquidation.vy")
    kinds = {edit.kind for edit in found}
    assert kinds == {
        "comparison",
        "sign",
        "rounding",
        "min/max",
        "constant",
        "delete statement",
        "delete assert",
        "swap statements",
        "wrong argument",
    }
    assert len({edit.apply(text) for edit in found}) == len(found)
    assert text not in {edit.apply(text) for edit in found}
    with pytest.raises(ValueError, match="not the text"):
        found[0].apply("another text")


def test_a_sample_is_seeded_and_every_beginning_is_spread_over_the_files():
    some = files()
    order = sample(some, 1)
    assert order == sample(some, 1)
    assert order != sample(some, 2)
    assert len({edit.file for edit in order[:200]}) > len(some) * 3 // 4


def test_a_campaign_is_resumed_where_it_was(tmp_path):
    path = tmp_path / "generic.jsonl"
    first = campaign.run(1, 3, 1, path=path, files=["Access.vy"])
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines) + '\n{"key": "cut sho')
    heard = []
    again = campaign.run(1, 3, 1, say=lambda record, n: heard.append(n), path=path, files=["Access.vy"])
    assert again == first
    assert len(path.read_text().splitlines()) == len(lines) + 1
    assert heard[-1] == 1


def test_a_planted_bug_is_noticed_with_the_exact_twin_and_without():
    row = next(row for row in rows() if row.id == "ACC-9")
    replaced = compiled(planted(row.changes))
    history = [Run("plain", 1, 60)]
    assert hunt(replaced, history, True).by == "I-14"
    assert hunt(replaced, history, False).by == "I-01"
    assert "I-01" in killers(replaced, history)
    assert hunt({}, history, True) is None
    assert killers({}, history) == {}


def test_the_catalogue_names_every_finding_and_why_some_do_not_apply():
    real = [row for row in rows() if not row.id.startswith(OWN)]
    assert len(real) == REAL_ROWS
    assert all(row.source and row.defect for row in real)
    assert all(row.reason or row.note for row in rows())
    assert all(row.runs for row in rows() if not row.reason)
    for row in rows():
        if row.changes:
            planted(row.changes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[A-1]\ndefect = 'd'", "needs either a `reason`"),
        ("[A-1]\ndefect = 'd'\nreason = 'r'\n[[A-1.change]]\nfile = 'f'", "needs either a `reason`"),
        ("[A-1]\nreason = 'r'", "lacks 'defect'"),
        ("[A-1]\ndefect = 'd'\nreason = 'r'\nruns = ['nowhere']", "runs in 'nowhere'"),
        ("[A-1", "is not TOML"),
    ],
)
def test_a_catalogue_that_says_something_else_is_refused(tmp_path, text, words):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(PlantError, match=words):
        rows(tmp_path)


def _record(status: str, exact: bool, observed: bool, line: int) -> dict:
    kill = {"by": "I-05", "steps": 3, "setting": "plain", "text": ""}
    return {
        "key": str(line),
        "file": "Access.vy",
        "line": line,
        "kind": "sign",
        "start": 0,
        "end": 1,
        "old": "+",
        "new": "-",
        "function": "f",
        "contract": "Access",
        "status": status,
        "exact": kill if exact else None,
        "observed": kill if observed else None,
        "seconds": 1.0,
    }


def test_a_verdict_is_the_same_in_whichever_order_processes_were_done():
    generic = [_record("survived", False, False, line) for line in (3, 1, 2)]
    survivors = verdict.verdict([], generic, 1, only=True)["generic"]["survivors"]
    assert [s["line"] for s in survivors] == [1, 2, 3]


def test_a_verdict_counts_with_the_exact_twin_and_without():
    generic = [
        _record("killed", True, True, 1),
        _record("killed", True, False, 2),
        _record("survived", False, False, 3),
        _record("equivalent", False, False, 4),
        _record("invalid", False, False, 5),
    ]
    row = {"id": "ACC-2", "status": "killed", "by": ["I-01"], "steps": 9, "reason": "", "exact": None}
    other = row | {"id": "ACC-4", "status": "survived", "by": []}
    found = verdict.verdict([row, other], generic, 1, only=True)
    one = found["generic"]
    assert (one["total"], one["killed"], one["killed_without_exact"]) == (3, 2, 1)
    assert (one["equivalent"], one["invalid"]) == (1, 1)
    assert [s["line"] for s in one["survivors"]] == [3]
    assert [s["line"] for s in one["survivors_without_exact"]] == [2]
    assert found["properties"]["sole_killers"] == {"I-01": ["ACC-2"]}
    assert verdict.failures(found) == [
        "ACC-4 survives",
        "2 of 3 generic mutants noticed, 66.7 %: at least 95 % are expected",
    ]


def test_what_was_reviewed_is_there():
    """A reviewed mutant that is no mutant of the contracts any more must be taken off the list."""
    known, merged = reviewed()
    assert set(merged) <= set(verdict.IDS)
    for one in known:
        found = [
            e
            for e in edits(one["file"])
            if (e.function, e.old, e.new) == (one["function"], one["old"], one["new"])
            and reason_of(e._asdict()) == one["reason"]
        ]
        assert found, one
        assert one["reason"]


def test_what_was_reviewed_is_not_run(tmp_path, monkeypatch):
    one = reviewed()[0][0]
    edit = next(e for e in edits(one["file"]) if reason_of(e._asdict()) == one["reason"])
    monkeypatch.setattr(campaign, "sample", lambda *_: [edit])
    kept = tmp_path / "kept.jsonl"
    (record,) = campaign.run(1, 1, 1, path=kept, files=[one["file"]])
    assert (record["status"], record["contract"]) == (campaign.REVIEWED, "")
    assert not kept.exists()
    found = verdict.verdict([], [record], 1)["generic"]
    assert (found["total"], found["equivalent_by_review"][0]["reason"]) == (0, one["reason"])
    kept.write_text(json.dumps(record) + "\n")
    assert campaign.known(kept) == {}


def test_a_review_names_one_of_two_places_in_a_line():
    bounds = [e for e in edits("Modes.vy") if (e.old, e.new) == ("32", "31") and "switch" in e.function]
    assert [bool(reason_of(e._asdict())) for e in bounds][:2] == [True, False]  # market, number


def test_a_mutant_of_one_contract_stays_one_if_the_next_does_not_compile(monkeypatch):
    def compiled_first(texts, wanted):
        if wanted == ["Exchange"]:
            raise CompileError("too much")
        return {"Clearinghouse": artifact("Clearinghouse")}

    monkeypatch.setattr(campaign, "compiled", compiled_first)
    monkeypatch.setattr(campaign, "hunt", lambda *_: None)
    monkeypatch.setattr(campaign.schedules, "homes", lambda *_: ("Clearinghouse", "Exchange", "Lens"))
    record = campaign.examine(edits("ledger/legs.vy")[0])
    assert (record["status"], record["contract"]) == (campaign.SURVIVED, "Clearinghouse")


@pytest.mark.parametrize("name", DEPLOYED)
def test_mutants_compile_to_what_the_compiler_makes(name):
    """The compiler's detours that mutants do without must not change a byte."""
    assert _compile(name, CONTRACTS)["bytecode"] == artifact(name).bytecode.hex()


def test_keys_change_with_the_text():
    text = (CONTRACTS / "Access.vy").read_text()
    edit = edits("Access.vy")[0]
    assert key_of(edit, text) != key_of(edit, text + "\n")


def test_the_command_writes_what_it_found(tmp_path):
    record, page = tmp_path / "m.json", tmp_path / "m.md"
    args = ["--only", "ACC-9", "--only", "BAD-10", "--json", str(record), "--page", str(page), "--quiet"]
    result = CliRunner().invoke(mutants, args, standalone_mode=False)
    assert result.return_value == 0, result.output
    found = json.loads(record.read_text())["catalogue"]
    assert found["ACC-9"]["status"] == "killed"
    assert found["ACC-9"]["by"][0] == "I-01"
    assert found["BAD-10"]["status"] == "not applicable"
    assert "| ACC-9 |" in page.read_text()


def test_bad_input_is_one_line_and_exit_code_2(tmp_path, capsys):
    record, page = tmp_path / "m.json", tmp_path / "m.md"
    page.write_text("an earlier page")
    with pytest.raises(SystemExit) as stopped:
        main(["audit", "mutants", "--only", "XYZ-1", "--json", str(record), "--page", str(page), "--quiet"])
    assert stopped.value.code == 2
    assert "--only XYZ-1: no such row" in capsys.readouterr().err
    assert page.read_text() == "an earlier page"  # a run that ends early takes nothing away
