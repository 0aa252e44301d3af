"""The property machine: random runs over every setting, and hypothesis for short failing ones."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from margincall.audit.draw import RandomDraw
from margincall.audit.machine import Machine, Violation
from margincall.audit.report import missing
from margincall.audit.running import Plan, run
from margincall.audit.settings import SETTINGS, Setting
from margincall.audit.tables import live_line

STEPS = 36_000  # equally over the settings


def test_random_runs_reach_what_they_must(record_property):
    plan = Plan(STEPS, seed=7)
    tally = run(plan)
    assert not tally.failures, tally.failures[0].text
    record_property("summary", live_line(plan, tally))
    assert tally.checked["storage"] > STEPS // 2  # what reverts is looked at every eighth time
    assert not missing(plan.settings, tally.counts, tally.checked, STEPS)


def drive(machine, draw, times):
    for _ in range(times):
        machine.step(draw)


@pytest.mark.parametrize("decimals", [8, 18])
def test_the_same_trace_on_another_token(decimals):
    """I-15: decimals of the token change nothing but the token balance."""
    ends = []
    for places in (6, decimals):
        setting = SETTINGS["thin"]
        spec = setting.spec._replace(token_decimals=places)
        machine, draw = Machine(Setting("decimals", spec, setting.marks), rates={}), RandomDraw(3)
        while machine.steps < 700:
            machine.step(draw)
        twin = machine.twin
        ends.append((twin.cash, twin.positions, twin.insurance, twin.deficit, twin.residue, machine.refusals))
    assert ends[0] == ends[1]
    assert ends[0][1]


@pytest.mark.parametrize(
    ("break_it", "name"),
    [
        (lambda m: m.twin.cash.__setitem__(m.world.roots[1], 1), "differential|I-01"),
        (lambda m: setattr(m.world, "extra", 1), "I-01"),
        (lambda m: m.twin.open_interest.__setitem__(1, 5), "differential"),
        (lambda m: setattr(m.twin, "transfer_rate", 10**6), "differential"),
    ],
)
def test_the_machine_notices(break_it, name):
    """Something is wrong in the twin or its books: the machine fails, and names what."""
    machine, draw = Machine(SETTINGS["plain"]), RandomDraw(1)
    drive(machine, draw, 200)
    break_it(machine)
    with pytest.raises(Violation, match=name):
        drive(machine, draw, 300)


class HypothesisDraw:
    """The machine's choices as hypothesis data, so that failing runs shrink."""

    def __init__(self, data) -> None:
        self._draw = data.draw

    def choice(self, options):
        return options[self.integer(0, len(options) - 1)]

    def integer(self, low, high):
        return self._draw(st.integers(low, high))

    def chance(self, percent):
        return self.integer(0, 99) < percent


class Protocol(RuleBasedStateMachine):
    machine: Machine

    @initialize(name=st.sampled_from(sorted(SETTINGS)))
    def deploy(self, name):
        self.machine = Machine(SETTINGS[name])

    @rule(data=st.data())
    def act(self, data):
        self.machine.step(HypothesisDraw(data))


Protocol.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestProtocol = Protocol.TestCase
