"""Halmos decides what it can of the modules' bytecode: packing, ids, rounding by shifts, access control."""

from functools import lru_cache
from shutil import copytree

import pytest

from margincall.protocol.artifacts import CONTRACTS, ROOT
from tests.lemmas.code import references
from tests.proofs.bytecode import HARNESS, Proof, prove

LIST = ROOT / "tests" / "PROOFS.md"
HARNESSES = ("Packing", "Rounding", "Storage", "Authority", "Terms", "Gate")


def checks(harness: str) -> list[str]:
    lines = (HARNESS / f"{harness}.vy").read_text().splitlines()
    return [line[4:].partition("(")[0] for line in lines if line.startswith("def check_")]


@lru_cache
def proofs(harness: str) -> dict[str, Proof]:
    return {proof.name: proof for proof in prove(harness)}


@pytest.mark.parametrize(("harness", "name"), [(h, name) for h in HARNESSES for name in checks(h)])
def test_bytecode(harness, name, record_property):
    proof = proofs(harness)[name]
    record_property("seconds", f"{proof.seconds:.2f}")
    assert proof.proved, proof.said
    assert proof.normal > 0, "every path reverts: nothing was proved"


OWNED = "    ownable._check_owner()\n"
AGE = "    self._set_max_age(max_age)"
PLANTED = [
    (
        "Packing",
        "check_header_keeps",
        "ledger/lanes.vy",
        "((header >> 144) << 144) |",
        "((header >> 152) << 152) |",
    ),
    ("Packing", "check_perp_lane_round", "ledger/lanes.vy", "int256) >> 208", "int256) >> 207"),
    ("Packing", "check_account_id", "ledger/lanes.vy", "(account >> 64) << 64", "(account >> 32) << 32"),
    ("Packing", "check_instrument_id", "options/instrument.vy", "(kind << 8)", "(kind << 7)"),
    ("Packing", "check_book_head", "options/book.vy", "(count << 168)", "(count << 167)"),
    ("Packing", "check_negated", "options/book.vy", "unsafe_sub(2**39, (lane", "unsafe_sub(2**38, (lane"),
    ("Packing", "check_option_lane_is", "options/book.vy", "~(LANE_MASK << place)", "~(NAME_MASK << place)"),
    ("Rounding", "check_floor_div", "math/rounding.vy", "if x < 0 and", "if x > 0 and"),
    ("Rounding", "check_div_up", "math/rounding.vy", "unsafe_sub(y, 1))", "unsafe_sub(y, 2))"),
    (
        "Storage",
        "check_position_lane",
        "ledger/ledger.vy",
        "(word & lanes.LANE_MASK) | (lane",
        "word | (lane",
    ),
    ("Storage", "check_a_flat_vault", "ledger/ledger.vy", "    self.headers[vault] = 0\n", "    pass\n"),
    ("Authority", "check_only_the_guardian", "Access.vy", "msg.sender == self.guardian", "True"),
    (
        "Authority",
        "check_only_the_owner_sets_doors",
        "Access.vy",
        OWNED + "    assert kind",
        "    assert kind",
    ),
    (
        "Authority",
        "check_only_the_owner_sets_rates",
        "Access.vy",
        "~((2**56 - 1) << 8)",
        "~((2**56 - 1) << 9)",
    ),
    ("Terms", "check_accepted_fees", "markets/listing.vy", "min_notional < 2**48", "min_notional < 2**49"),
    ("Terms", "check_only_the_owner_sets_the_age", "markets/listing.vy", OWNED + AGE, AGE),
    (
        "Gate",
        "check_only_the_owner_of_access",
        "access/gate.vy",
        "msg.sender == staticcall ACCESS.owner()",
        "True",
    ),
    ("Authority", "check_a_delegate", "Access.vy", "timestamp <= granted", "timestamp < granted"),
]


@pytest.mark.parametrize(("harness", "name", "file", "old", "new"), PLANTED, ids=[p[1] for p in PLANTED])
def test_a_planted_bug_is_refuted(tmp_path, harness, name, file, old, new):
    """The proof is of the code: it falls when a module changes for the worse."""
    contracts = copytree(CONTRACTS, tmp_path / "contracts")
    source = contracts / file
    text = source.read_text()
    assert old in text, f"{file} no longer has this line: plant the bug anew"
    source.write_text(text.replace(old, new))
    found = prove(harness, contracts, only=name)
    assert found
    assert not all(proof.proved for proof in found)


def test_the_list_has_every_proof():
    """tests/PROOFS.md is what `python -m tests.proofs` prints: no proof is missing, none is left over."""
    listed = {
        line.split(" | ")[0][2:].partition("[")[0]
        for line in LIST.read_text().splitlines()
        if " | z3 | " in line or " | halmos | " in line
    }
    lemmas = {name.partition(".")[2].removeprefix("test_").replace("_", " ") for name in references()}
    assert listed == lemmas | {name[6:].replace("_", " ") for h in HARNESSES for name in checks(h)}
