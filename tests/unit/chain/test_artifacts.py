"""Compiling, the cache and its key, and what a refused contract says."""

import pytest

from margincall.protocol import artifacts
from margincall.protocol.artifacts import CompileError, artifact, compile_all

MODULE = """
# pragma version 0.4.3
rate: uint256

def double(x: uint256) -> uint256:
    return x * 2
"""
MAIN = """
# pragma version 0.4.3
# pragma evm-version cancun
from snekmate.auth import ownable
from .math import doubling
initializes: ownable
initializes: doubling
count: uint256

@deploy
def __init__():
    ownable.__init__()

@external
def twice(x: uint256) -> uint256:
    self.count += 1
    return doubling.double(x)
"""


@pytest.fixture
def contracts(tmp_path):
    folder = tmp_path / "contracts"
    (folder / "math").mkdir(parents=True)
    (folder / "mocks").mkdir()
    (folder / "math" / "doubling.vy").write_text(MODULE)
    (folder / "Main.vy").write_text(MAIN)
    (folder / "mocks" / "Plain.vy").write_text("# pragma version 0.4.3\nx: public(uint256)\n")
    return folder


def cached(contracts):
    return sorted(path.name for path in (contracts.parent / "build" / "artifacts").iterdir())


def test_only_camel_case_files_deploy(contracts):
    assert artifacts.names(contracts) == ["Main", "Plain"]


def test_layout_reaches_into_modules(contracts):
    layout = artifact("Main", contracts).layout
    assert set(layout) == {"ownable.owner", "doubling.rate", "count"}
    assert len(set(layout.values())) == 3


def test_cache_is_used_and_follows_every_import(contracts, monkeypatch):
    seen = []
    both = compile_all(contracts=contracts, progress=lambda *step: seen.append(step))
    assert [(done, total) for _, done, total in seen] == [(1, 2), (2, 2)]
    assert list(both) == ["Main", "Plain"]
    before = cached(contracts)

    def refuse(*_):
        raise AssertionError("compiled again")

    with monkeypatch.context() as patch:
        patch.setattr(artifacts, "compile_file", refuse)
        assert artifact("Main", contracts) == both["Main"]
        assert compile_all(["Plain"], contracts=contracts) == {"Plain": both["Plain"]}
    (contracts / "math" / "doubling.vy").write_text(MODULE.replace("* 2", "* 3"))
    changed = artifact("Main", contracts)
    assert changed.runtime != both["Main"].runtime
    after = cached(contracts)
    assert len(after) == 2, "the stale file is gone"
    assert set(before) & set(after) == {name for name in before if name.startswith("Plain")}


def test_what_does_not_compile_says_where(contracts):
    (contracts / "Broken.vy").write_text("# pragma version 0.4.3\nx: uint25\n")
    with pytest.raises(CompileError, match=r"Broken\.vy does not compile: .*uint25"):
        artifact("Broken", contracts)
    with pytest.raises(CompileError, match=r"Broken\.vy does not compile"):
        compile_all(contracts=contracts)
    with pytest.raises(CompileError, match="no contract named Mian; known: Broken, Main, Plain"):
        artifact("Mian", contracts)
