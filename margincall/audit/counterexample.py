"""A violation for people, and as a test that replays it: on the embedded chain, on Anvil or on Hardhat."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from margincall.audit.history import Entry, History, Probe, replay
from margincall.audit.machine import Machine, Violation
from margincall.audit.narration import Narrator, columns
from margincall.audit.properties import registry
from margincall.audit.settings import SETTINGS, Setting
from margincall.chain import Chain, nodes
from margincall.protocol.artifacts import Artifact, compile_all, fingerprint
from margincall.protocol.deploy import CONTRACTS

CHAINS = ("embedded", "anvil", "hardhat")
FOLDER_VARIABLE = "MARGINCALL_CONTRACTS"


class Row(NamedTuple):
    """One act: seconds since the history began, who, what, result; `kind` of its action."""

    seconds: int
    who: str
    what: str
    result: str
    kind: str


class Counterexample(NamedTuple):
    """A history that violates property `id`. detail: what does not hold, with the numbers; states: (account,
    when, cash, positions, equity, maintenance)."""

    id: str
    formula: str
    detail: str
    setting: Setting
    history: History
    rows: list[Row]
    states: list[tuple[str, ...]]


def property_id(name: str) -> str:
    """The id under which a violation counts: contracts that differ from the exact model violate I-14."""
    return "I-14" if name == "differential" else name


def explain(history: History, setting: Setting, replaced: Mapping[str, Artifact] | None) -> Counterexample:
    """Replay a history that fails and tell it. Raises RuntimeError if it does not fail."""
    machine = Machine(setting, rates={}, replaced=replaced)
    narrator, rows = Narrator(machine.world), []
    began = machine.chain.timestamp

    def see(step) -> None:
        if step is None:
            rows.append(Row(machine.chain.timestamp - began, "", "nothing to do", "", ""))
            return
        result = "ok" if step.ok else f"refused: {step.reason}"
        rows.append(_row(narrator, step.now - began, step.action, result))

    try:
        replay(machine, history, see)
    except Violation as violation:
        if violation.action:
            at = machine.chain.timestamp - began
            result = f"VIOLATES {property_id(violation.name)}"
            if history.probe:
                result += f", within the check {history.probe.name}"
            rows.append(_row(narrator, at, violation.action, result))
        return Counterexample(
            property_id(violation.name),
            registry.formula(violation.name),
            narrator.named(violation.detail),
            setting,
            history,
            rows,
            _states(narrator, violation),
        )
    raise RuntimeError("the history does not fail when it is replayed")


def _row(narrator: Narrator, seconds: int, action, result: str) -> Row:
    return Row(seconds, narrator.who(action.sender), narrator.action(action), result, action.kind)


def _states(narrator: Narrator, violation: Violation) -> list[tuple[str, ...]]:
    states = []
    for account in violation.before:
        for when, held in (("before", violation.before[account]), ("after", violation.after[account])):
            equity, _, maintenance, _ = held.margin or (None,) * 4
            told = [narrator.money(x) if x is not None else "no fresh price" for x in (equity, maintenance)]
            cash, positions = narrator.money(held.cash), narrator.positions(held)
            states.append((narrator.account(account), when, cash, positions, *told))
    return states


def lines(found: Counterexample) -> list[str]:
    """The counterexample as text."""
    start = "after every market has a price and every account money"
    table = columns([("s", "who", "what", "result"), *((str(r[0]), *r[1:4]) for r in found.rows)])
    held = columns([("account", "", "cash", "positions", "equity", "maintenance"), *found.states])
    return [
        f"{found.id} is violated: {found.formula}",
        f"  {found.detail}",
        "",
        f"The history (setting {found.setting.name}, {start}):",
        *(f"  {line}" for line in table),
        "",
        "The accounts of the last action, as the contracts have them:",
        *(f"  {line}" for line in held),
    ]


# ------------------------------------------------------------ as a test

_TEST = '''"""{title}

{story}

    pytest {name} -k embedded        # or anvil, or hardhat: `npm ci` installs both

Fails while the property is violated and passes when it holds. {variable} names another folder of contracts.
"""

import pytest

from margincall.audit.counterexample import CHAINS, check

SETTING, ACCOUNTS = {setting!r}, {accounts!r}
CONTRACTS = {contracts!r}

# Each act: its number in the run it is from, which act had deferred it, its kind, its choices.
HISTORY = [
{acts}
]
PROBE = {probe}


@pytest.mark.parametrize("chain", CHAINS)
def test_{function}(chain):
    check(SETTING, ACCOUNTS, HISTORY, PROBE, chain, CONTRACTS)
'''


def write_test(found: Counterexample, folder: Path, contracts: Path | None) -> Path:
    """Write `counterexample_<id>.py` into a folder."""
    name = f"counterexample_{found.id}.py"
    acts = []
    for entry, row in zip(found.history.entries, found.rows, strict=False):
        acts.append(f"    # {row.seconds} s, {row.who}: {row.what} -> {row.result}")
        acts.append(f"    ({entry.number}, {entry.own}, {row.kind!r}, {entry.draws}),")
    text = _TEST.format(
        title=f"{found.id}: {found.formula}",
        story="\n".join(lines(found)[1:]).replace("\\", "/").replace('"""', "'''"),
        name=name,
        variable=FOLDER_VARIABLE,
        setting=found.setting.name,
        accounts=found.setting.accounts,
        contracts=str(contracts) if contracts else None,
        acts="\n".join(acts),
        probe=tuple(found.history.probe) if found.history.probe else None,
        function=re.sub(r"\W", "_", found.id).lower(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def check(
    setting: str,
    accounts: str,
    acts: Sequence[tuple],
    probe: tuple | None,
    chain: str = "embedded",
    contracts: str | None = None,
) -> None:
    """Replay the acts of a counterexample on a chain of CHAINS. Raises Violation while it still is one, and
    AssertionError when the acts no longer do what they did, so that it cannot pass for nothing."""
    folder = os.environ.get(FOLDER_VARIABLE) or contracts
    kinds = [kind for _, _, kind, _ in acts]
    seen: list[str] = []

    def see(step) -> None:
        done = step.action.kind if step else ""
        assert done == kinds[len(seen)], (
            f"act {len(seen)} is {done!r}, was {kinds[len(seen)]!r}: record it anew"
        )
        seen.append(done)

    entries = [Entry(number, own, draws) for number, own, _, draws in acts]
    with _chain(chain) as found:
        machine = Machine(
            SETTINGS[setting]._replace(accounts=accounts),
            rates={},
            replaced=replacements(Path(folder)) if folder else None,
            chain=found,
        )
        replay(machine, History(entries, Probe(*probe) if probe else None), see)
    assert len(seen) == len(acts)


def replacements(folder: Path) -> dict[str, Artifact]:
    """The contracts of another folder whose sources are not the project's own. Raises CompileError."""
    folder = folder.resolve()
    changed = [name for name in CONTRACTS if fingerprint(name, folder) != fingerprint(name)]
    return compile_all(changed, contracts=folder)


@contextmanager
def _chain(name: str) -> Iterator[Chain | None]:
    if name == "embedded":
        yield None
        return
    with nodes.anvil(ipc=True) if name == "anvil" else nodes.hardhat() as chain:
        yield chain
