"""A bug planted in the contracts: found, shortened, told, and replayed by the test that is written."""

import json
import runpy
import shutil

import pytest

from margincall.audit import counterexample, history, properties, running, shrinking
from margincall.audit.draw import RandomDraw
from margincall.audit.machine import Machine, Violation
from margincall.audit.narration import Narrator
from margincall.audit.operations import money, prices, strangers
from margincall.audit.running import Plan, run
from margincall.audit.settings import SETTINGS
from margincall.chain import Reverted
from margincall.cli import main
from margincall.model import Refused
from margincall.protocol.artifacts import CONTRACTS

LINE = '    assert equity >= convert(initial, int256), "margin: below initial"\n'


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A copy of the contracts in which a trade needs nothing but equity."""
    folder = tmp_path_factory.mktemp("planted") / "contracts"
    shutil.copytree(CONTRACTS, folder)
    judge = folder / "margin" / "judge.vy"
    source = judge.read_text()
    assert source.count(LINE) == 1
    judge.write_text(source.replace(LINE, LINE.replace("convert(initial, int256)", "0")))
    return folder


@pytest.fixture(scope="module")
def found(planted):
    """The counterexample of the first violation, and how many acts the run took."""
    replaced = counterexample.replacements(planted)
    assert set(replaced) < {*replaced, "Token"}  # only what the line is in was compiled anew
    tally = run(Plan(3_000, settings=(SETTINGS["plain"],), replaced=replaced))
    failure = tally.failures[0]
    recorded, violation = history.record(failure.episode, replaced)
    shrunk = shrinking.shrink(recorded, violation, SETTINGS["plain"], replaced, 120)
    assert shrunk.complete
    return counterexample.explain(shrunk.history, SETTINGS["plain"], replaced), len(recorded.entries)


def test_it_is_short_and_told(found):
    told, acts = found
    assert len(told.rows) <= 6 < acts
    assert told.rows[-1].result == "VIOLATES I-14"
    text = "\n".join(counterexample.lines(told))
    assert "margin: below initial" in text
    assert " USD" in text
    assert {state[1] for state in told.states} == {"before", "after"}


@pytest.mark.parametrize("chain", ["embedded", "anvil", "hardhat"])
def test_its_test_fails_on_every_chain_while_the_bug_is_there(found, planted, tmp_path, chain):
    path = counterexample.write_test(found[0], tmp_path, planted)
    assert path.name == "counterexample_I-14.py"
    test = runpy.run_path(str(path))["test_i_14"]
    with pytest.raises(Violation, match="below initial"):
        test(chain)


@pytest.mark.parametrize("chain", ["embedded", "anvil"])
def test_its_test_passes_when_the_bug_is_fixed(found, tmp_path, chain, monkeypatch):
    path = counterexample.write_test(found[0], tmp_path, None)
    monkeypatch.delenv(counterexample.FOLDER_VARIABLE, raising=False)
    runpy.run_path(str(path))["test_i_14"](chain)


def test_a_history_that_does_something_else_does_not_pass(found):
    acts = [(e.number, e.own, "withdraw", e.draws) for e in found[0].history.entries]
    with pytest.raises(AssertionError, match="record it anew"):
        counterexample.check("plain", "both", acts, None)


def test_the_command_says_it_all(planted, tmp_path, capsys):
    """Exit code 1, the history and the accounts on the screen, in the record, and the test beside it."""
    file = tmp_path / "audit.json"
    options = ["--steps", "3000", "--setting", "plain", "--shrink-seconds", "60", "--quiet"]
    with pytest.raises(SystemExit) as end:
        main(["audit", *options, "--contracts", str(planted), "--json", str(file)])
    out, _ = capsys.readouterr()
    assert end.value.code == 1
    assert "I-14 is violated" in out
    assert "The history" in out
    violation = json.loads(file.read_text())["violations"][0]
    assert violation["property"] == "I-14"
    assert violation["history"][-1]["result"] == "VIOLATES I-14"
    assert violation["counterexample"] == str(tmp_path / "counterexample_I-14.py")
    assert str(planted) in (tmp_path / "counterexample_I-14.py").read_text()


def test_a_check_that_runs_now_and_then_is_shortened_too(monkeypatch):
    """A two-run property that fails where somebody holds BTC: found, shortened and told with its name."""

    def nobody_holds_btc(machine, draw):
        draw.integer(0, 9)
        held = [a for a, positions in machine.twin.positions.items() for p in positions if p[0] == 1]
        machine.need("I-35", not held, lambda: f"{held[0]} holds BTC")

    monkeypatch.setitem(properties._SOMETIMES, "i_35", nobody_holds_btc)
    failure = run(Plan(2_000, settings=(SETTINGS["plain"],))).failures[0]
    assert failure.name == "I-35"
    recorded, violation = history.record(failure.episode, None)
    assert recorded.probe.name == "i_35"
    shrunk = shrinking.shrink(recorded, violation, SETTINGS["plain"], None, 120)
    told = counterexample.explain(shrunk.history, SETTINGS["plain"], None)
    assert len(shrunk.history.entries) <= 3 < len(recorded.entries)
    assert "BTC" in told.rows[0].what
    assert "/BTC" in told.detail or "holds BTC" in told.detail


def test_a_deployment_that_is_refused_is_a_failure(monkeypatch):
    def refuse(*args, **kwargs):
        raise Reverted("access: not so")

    monkeypatch.setattr(running, "Machine", refuse)
    failure = run(Plan(100, settings=(SETTINGS["plain"],))).failures[0]
    assert (failure.name, failure.detail) == (running.DEPLOYMENT, "access: not so")


def test_every_act_of_a_stranger_is_told():
    machine = Machine(SETTINGS["portfolio"])
    narrator = Narrator(machine.world)
    told = [narrator.action(strangers.attempt(machine, RandomDraw(seed))) for seed in range(400)]
    assert all(text.startswith("stranger: ") or text[0].islower() for text in told)
    assert any("Collateral.withdraw(" in text for text in told)


def test_a_stride_of_prices_is_no_outage():
    machine = Machine(SETTINGS["smooth"])
    draw = RandomDraw(1)
    for _ in range(60):
        only = {1: machine.twin.markets[1].mark}  # the other markets' prices grow old
        assert machine.do(prices.report(machine, only, draw.choice((10, 25)))).ok
        machine.do(prices.stride(machine, draw))
        now = machine.chain.timestamp
        assert not any(market.in_grace(now) for market in machine.twin.markets.values())


def test_an_account_that_cannot_be_paid_out_keeps_its_mode():
    machine = Machine(SETTINGS["portfolio"])
    root = next(one for one in machine.world.roots if machine.twin.modes.get(one))
    owner = machine.world.owner(root).address
    machine.world.held = 0  # what the twin believes that the clearinghouse has
    twin = machine.twin
    kept = dict(twin.cash), dict(twin.modes)
    action = money.payout(machine, "close_account", root, owner, None, None)
    with pytest.raises(Refused, match="exceeds balance"):
        action.twin(machine.chain.timestamp + 1)
    assert (twin.cash, twin.modes) == kept
