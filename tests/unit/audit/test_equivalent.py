"""Generic mutants that provably change nothing are not made; their near neighbours are."""

import pytest

from margincall.audit.mutants.operators import edits

FUNCTION = """
p: uint256
q: uint256


@internal
@view
def _one(a: uint256, b: uint256) -> uint256:
{body}
    return x + y


@internal
@view
def _pair(a: uint256) -> (uint256, uint256):
    return a, a
"""


def made(tmp_path, kind, *lines):
    body = "\n".join(f"    {line}" for line in lines)
    (tmp_path / "One.vy").write_text(FUNCTION.format(body=body))
    return [(e.old, e.new) for e in edits("One.vy", tmp_path) if e.kind == kind]


TWO = "y: uint256 = b"
ARRAY = ("x: uint256 = a", TWO, "z: uint256[4] = [a, a, a, a]")


@pytest.mark.parametrize(
    ("lines", "made_of_it"),
    [
        (("x: uint256 = 0", "x = a", TWO), False),
        (("x: uint256 = 0", TWO, "x, y = self._pair(a)"), False),
        (("x: uint256 = 0", "if a > b:", "    y: uint256 = x", TWO), True),
        (("x: uint256 = 0", "x = x + a", TWO), True),
        (("x: uint256 = 0", "if a > b:", "    x = a", TWO), True),
        (("x: uint256 = 0", "x += a", TWO), True),
        (("x: uint256 = 0", TWO), True),
    ],
)
def test_an_initial_value_that_nothing_reads(tmp_path, lines, made_of_it):
    assert (("0", "1") in made(tmp_path, "constant", *lines)) is made_of_it


@pytest.mark.parametrize(
    ("lines", "made_of_it"),
    [
        (("x: uint256 = a", TWO, "x = unsafe_add(a, 1)", "y = max(b, 1)"), False),
        (("x: uint256 = a", TWO, "x += a", "y -= b"), False),
        (("x: uint256 = a", TWO, "x += y", "y -= b"), True),
        (("x: uint256 = a", TWO, "x = a", "x = b"), True),
        (("x: uint256 = a", TWO, "x = self._one(a, b)", "y = b"), True),
        (("x: uint256 = a", TWO, 'assert a > b, "one"', 'assert b > 0, "two"'), False),
        (("x: uint256 = a", TWO, 'assert self._one(a, b) > b, "one"', 'assert b > 0, "two"'), True),
        (("x: uint256 = a", TWO, 'assert a > b, "one"', "x = a"), True),
        ((*ARRAY, "z[0] = b", "z[1] = a"), False),
        ((*ARRAY, "z[0] = b", "z[0] = a"), True),
        ((*ARRAY, "z[0] = b", "z[1] = z[0]"), True),
        (("x: uint256 = a", TWO, "self.p = a", "self.q = b"), False),
        (("x: uint256 = a", TWO, "self.p = a", "self.q = self.p"), True),
    ],
)
def test_neighbours_that_commute(tmp_path, lines, made_of_it):
    assert bool(made(tmp_path, "swap statements", *lines)) is made_of_it


@pytest.mark.parametrize(("call", "made_of_it"), [("unsafe_add(a, b)", False), ("unsafe_sub(a, b)", True)])
def test_arguments_without_an_order(tmp_path, call, made_of_it):
    assert bool(made(tmp_path, "wrong argument", f"x: uint256 = {call}", TWO)) is made_of_it
