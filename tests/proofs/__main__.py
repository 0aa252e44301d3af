"""Every proof, what it proves, with what, in how many seconds, as a Markdown table.

python -m tests.proofs > tests/PROOFS.md
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from margincall.protocol.artifacts import ROOT
from tests.lemmas import code

FILES = (
    "tests/lemmas/test_lemmas.py",
    "tests/lemmas/test_portfolio_lemmas.py",
    "tests/proofs/test_bytecode.py",
)
PREFIX = "test_bytecode["
HEAD = """# Proofs

Written by `python -m tests.proofs`. z3: over the integers within the bounds that the contracts assert;
constants are read from the sources, rounding is translated from them, and the rest stands on code whose
digest (`tests/lemmas/digests.json`) must be what it was when the lemma was read. halmos: on the bytecode
that the modules compile to in a harness (`tests/proofs/harness/`), for every input; multiplication and
division by what is no power of two are beyond its solvers, and are z3's. Seconds are wall-clock on a shared
machine.
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "proofs.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "0",
            "-p",
            "no:ape_test",
            *FILES,
            f"--junitxml={out}",
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if not out.exists():
            print(done.stdout + done.stderr, file=sys.stderr)
            return 2
        cases = list(ElementTree.parse(out).iter("testcase"))
    print(HEAD)
    print("| proof | about | with | seconds |\n|---|---|---|--:|")
    for case in cases:
        if row := _row(case):
            print("| " + " | ".join(row) + " |")
    refuted = sum("test_a_planted_bug" in case.get("name") for case in cases)
    print(
        f"\n{refuted} bugs planted in copies of the modules are refuted."
        if not done.returncode
        else done.stdout[-2_000:]
    )
    return done.returncode


def _row(case: ElementTree.Element) -> tuple[str, ...] | None:
    name, failed = case.get("name"), case.find("failure") is not None or case.find("error") is not None
    mark = "FAILED: " if failed else ""
    if name.startswith(PREFIX):
        harness, _, check = name.removeprefix(PREFIX).rstrip("]").partition("-check_")
        said = [one.get("value") for one in case.iter("property") if one.get("name") == "seconds"]
        return mark + check.replace("_", " "), f"bytecode, {harness}", "halmos", said[0] if said else ""
    if any(word in name for word in ("planted", "prover_refutes", "the_list")):
        return None
    lemma = f"{case.get('classname').rpartition('.')[2]}.{name.partition('[')[0]}"
    parts = ", ".join(f"`{part}`" for part in code.references()[lemma])
    return mark + name.removeprefix("test_").replace("_", " "), parts, "z3", f"{float(case.get('time')):.2f}"


if __name__ == "__main__":
    sys.exit(main())
