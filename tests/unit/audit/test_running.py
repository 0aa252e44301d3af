"""Runs: episodes, workers, the same result for the same seed; every property has a function and a formula."""

import re

import pytest

from margincall.audit.log import MARKER, insert
from margincall.audit.properties import registry
from margincall.audit.record import record
from margincall.audit.report import REQUIRED, SUBJECTS, missing, required
from margincall.audit.running import LONGEST_EPISODE, Plan, episodes, run
from margincall.audit.settings import SETTINGS, of_mode

PLAIN = (SETTINGS["plain"],)


def test_episodes_share_the_steps_exactly():
    plan = Plan(100_001, settings=tuple(SETTINGS.values()), workers=2)
    lengths = [[e.steps for e in episodes(plan, worker)] for worker in range(2)]
    assert sum(map(sum, lengths)) == 100_001
    assert max(map(max, lengths)) <= LONGEST_EPISODE
    seeds = [e.seed for worker in range(2) for e in episodes(plan, worker)]
    assert len(set(seeds)) == len(seeds)


def test_the_same_seed_and_workers_do_the_same():
    plan = Plan(600, seed=5, settings=PLAIN, workers=2)
    one, two = run(plan), run(plan)
    assert (one.counts, one.checked, one.refusals, one.steps) == (
        two.counts, two.checked, two.refusals, two.steps,
    )  # fmt: skip
    assert one.checked["I-01"]
    assert run(plan._replace(seed=6)).counts != one.counts


def test_a_run_ends_when_it_is_told_to():
    tally = run(Plan(50_000, settings=PLAIN), stopped=lambda: True)
    assert tally.total < 1_000
    timed = run(Plan(None, seconds=1, settings=PLAIN))
    assert 1 <= timed.elapsed < 60
    assert timed.total > 20


def test_every_property_has_a_function_of_its_name_and_a_formula():
    assert len(registry.IDS) == 40
    for id in registry.IDS:
        first = registry.functions()[id][0]
        assert first.__name__ == f"i_{id[2:]}", id
        assert 10 < len(registry.formula(id)) <= 108, id
        assert re.search(r"[<>=:]", registry.formula(id)), id


def test_modes_ask_for_what_they_can_reach():
    everything = set(REQUIRED)
    assert set(required(of_mode(None))) == everything
    cross, isolated = (set(required(of_mode(mode))) for mode in ("cross", "isolated"))
    assert "liquidation of a vault" in isolated - cross
    assert "liquidation of several legs" in cross - isolated
    assert set(required(of_mode("portfolio"))) > {n for n, needs in REQUIRED.items() if needs == "options"}
    said = missing(of_mode("cross"), *(run(Plan(60, settings=PLAIN)).counts,) * 2)
    assert "never reached: everyone left" in said
    assert not any(id in line for line in said for id, needs in SUBJECTS.items() if needs == "options")


def test_a_section_of_the_log_comes_from_the_record_alone():
    plan = Plan(60, settings=PLAIN)
    made = record(plan, run(plan), None, False)
    old = f"# Log\n\n{MARKER}\n\n## 7 steps\n\nold\n"
    text = insert(insert(old, made), made)
    assert text.count("\n## ") == 2
    assert text.index(f"## {made['steps']:,} steps, seed 1") < text.index("## 7 steps")
    assert f"| I-01 | {made['checked']['I-01']:,} |" in text
    assert "no violation" in text
    assert "never reached: everyone left" in text
    with pytest.raises(ValueError, match="no line"):
        insert("# Log\n", made)
