"""The property machine notices planted bugs: rows of every family of the catalogue (all of them: `margincall
audit mutants --catalogue`), and nine in ten of fifty generic mutants."""

import pytest

from margincall.audit.mutants import campaign, verdict
from margincall.audit.mutants.campaign import examine_row
from margincall.audit.mutants.catalogue import rows

PART = (
    "ELG-2",
    "ELG-3",
    "ELG-9",
    "LIQ-1",
    "LIQ-4",
    "BAD-4",
    "BAD-11",
    "ADL-1",
    "ADL-8",
    "ORC-4",
    "ORC-10",
    "FND-2",
    "FND-6",
    "ISO-3",
    "ISO-5",
    "OPT-11",
    "DOS-9",
    "GRF-1",
    "GRF-4",
    "TOK-1",
    "INI-3",
)
GENERIC, BAR = 50, 90  # per cent of those that nobody found to be equivalent


@pytest.mark.parametrize("row", [row for row in rows() if row.id in PART], ids=lambda row: row.id)
def test_a_planted_bug_is_noticed(row):
    record = examine_row(row)
    assert record["status"] == "killed", f"{row.id} survives without the exact twin: {row.note}"


def test_generic_mutants_are_noticed(tmp_path):
    found = campaign.run(GENERIC, 1, 2, path=tmp_path / "generic.jsonl")
    generic = verdict.verdict([], found, 1)["generic"]
    assert generic["total"] + len(generic["equivalent_by_review"]) >= GENERIC
    assert generic["killed"] * 100 >= generic["total"] * BAR, generic["survivors"]
