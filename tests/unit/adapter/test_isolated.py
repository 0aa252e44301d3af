"""The clean engine passes, reaching all that a run must; also as bytecode that anything may have compiled."""

import json

import pytest

from margincall.audit.adapter import Account, abilities, artifact_from
from margincall.audit.adapter.audit import audit, replay
from margincall.audit.adapter.properties import ALL, NOT_EXPRESSIBLE, unavailable
from margincall.audit.adapter.run import Call, Run
from margincall.audit.examples import isolated
from margincall.cli import main


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A long run, through the command line."""
    path = tmp_path_factory.mktemp("audit") / "isolated.json"
    target = "margincall.audit.examples.isolated"
    with pytest.raises(SystemExit) as ended:
        main(["audit", "contract", target, "--steps", "2000", "--seed", "2", "--json", str(path)])
    assert ended.value.code == 0
    return json.loads(path.read_text())


def test_a_long_run_is_clean(record):
    assert record["violations"] == []
    assert record["missing"] == []
    assert record["reached"]["loss borne by others"] > 0
    assert record["reached"]["everyone left"] > 10


def test_every_id_is_checked_or_has_its_reason(record):
    without = unavailable(Run(isolated.adapter))
    assert without == {"I-36": "the adapter lacks Ageing"}
    assert record["left_out"] == NOT_EXPRESSIBLE | without
    assert set(record["checked"]) == set(ALL) - record["left_out"].keys()


def test_the_same_seed_gives_the_same_run():
    one, two = (audit(isolated.adapter, 120, seed=9) for _ in range(2))
    assert (one.checked, one.counts, one.refusals) == (two.checked, two.counts, two.refusals)


def test_abi_and_bytecode_are_enough(tmp_path):
    """As solc, Foundry or Hardhat leave them: no source, no compiler."""
    compiled = isolated.compiled()
    (tmp_path / "Engine.abi").write_text(json.dumps(compiled.abi))
    (tmp_path / "Engine.bin").write_text(compiled.bytecode.hex())
    foundry = {"abi": compiled.abi, "bytecode": {"object": "0x" + compiled.bytecode.hex()}}
    (tmp_path / "Foundry.json").write_text(json.dumps(foundry))
    (tmp_path / "Hardhat.json").write_text(
        json.dumps({"abi": compiled.abi, "bytecode": compiled.bytecode.hex()})
    )
    for files in (("Engine.abi", "Engine.bin"), ("Foundry.json",), ("Hardhat.json",)):
        artifact = artifact_from(*(tmp_path / name for name in files))
        report = audit(lambda artifact=artifact: isolated.adapter(artifact), 100)
        assert report.findings == []
        assert report.counts["trade ok"] > 0


def test_a_history_replays_without_a_violation():
    history = [
        Call("deposit", (Account(0, 0), 10**9)),
        Call("deposit", (Account(5, 0), 10**12)),
        Call("trade", (0, Account(0, 0), Account(5, 0), 50_000, 10_000_000)),
        Call("set_price", (0, 8_300_000)),
        Call("liquidate", (5, Account(0, 0), 1_000)),
        Call("probe", ("i_02", 1)),
    ]
    run = replay(isolated.adapter, history)
    assert run.counts["liquidate ok"] == 1
    assert run.counts["everyone left"] == 1
    assert "Vaults" in abilities(run.adapter)
