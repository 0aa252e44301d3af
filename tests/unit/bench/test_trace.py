"""An opcode trace split into parts, by hand."""

from collections import Counter

from margincall.bench.trace import split


def trace(*steps):
    return split(steps)


def test_a_frame_of_its_own():
    found = trace(
        ("PUSH1", 1, 100_000, 3),
        ("SLOAD", 1, 99_997, 2_100),
        ("SLOAD", 1, 97_897, 100),
        ("STOP", 1, 97_797, 0),
    )
    assert found.parts == Counter({"control": 3, "storage": 2_200})
    assert found.warm_slots == 1


def test_a_call_costs_what_its_frame_leaves():
    """2,600 for the account, 40 of memory; the frame used 5 of the 60,000 that it got."""
    found = trace(
        ("STATICCALL", 1, 100_000, 62_640),
        ("ADD", 2, 60_000, 3),
        ("CALLER", 2, 59_997, 2),
        ("RETURN", 2, 59_995, 0),
        ("STOP", 1, 97_355, 0),
    )
    assert found.parts == Counter(
        {"accounts": 2_600, "calls": 40, "arithmetic": 3, "control": 2, "memory": 0}
    )
    assert found.parts.total() == 100_000 - 97_355


def test_the_outermost_frame_alone():
    found = split(
        [
            ("CALL", 1, 1_000, 700),
            ("ADD", 2, 600, 3),
            ("STOP", 2, 597, 0),
            ("POP", 1, 897, 2),
            ("STOP", 1, 895, 0),
        ],
        outermost=True,
    )
    assert found.parts == Counter({"calls": 100, "control": 2})


def test_a_signature_is_a_call_without_a_frame():
    found = trace(("STATICCALL", 1, 10_000, 3_106), ("STOP", 1, 6_894, 0))
    assert found.parts == Counter({"accounts": 0, "signatures": 3_000, "calls": 106, "control": 0})


def test_code_made_and_read():
    """32,000 and 200 for each of ten bytes; then 2,600 for an account and 3 for a word of it."""
    found = trace(
        ("CREATE", 1, 100_000, 0),
        ("CODECOPY", 2, 60_000, 6),
        ("RETURN", 2, 59_994, 0),
        ("EXTCODECOPY", 1, 65_994, 2_603),
        ("STOP", 1, 63_391, 0),
    )
    assert found.parts["code"] == 34_000 + 3
    assert found.parts["accounts"] == 2_600
    assert found.parts.total() == 100_000 - 63_391
