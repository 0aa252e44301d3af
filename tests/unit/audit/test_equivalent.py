"""Generic mutants that provably change nothing are not made; their near neighbours are."""

import pytest

from margincall.audit.mutants.operators import edits

LIBRARY = """
LIMIT: constant(uint256) = 9
level: uint256


@internal
@pure
def _double(a: uint256) -> uint256:
    return a * 2


@internal
@view
def _level() -> uint256:
    return self.level


@internal
def _raise(a: uint256) -> uint256:
    self.level += a
    return a
"""
FUNCTION = """
from . import lib
from snekmate.auth import ownable

p: uint256
q: uint256
P: immutable(uint256)
Q: immutable(uint256)


struct Pair:
    left: uint256
    right: uint256


@internal
@view
def {name}(a: uint256, b: uint256) -> uint256:
{body}
    return x + y


@internal
@view
def _pair(a: uint256) -> (uint256, uint256):
    return a, self.p


@internal
def _put(a: uint256) -> uint256:
    self.p = a
    return a
"""


def made(tmp_path, kind, *lines, name="_one"):
    body = "\n".join(f"    {line}" for line in lines)
    (tmp_path / "One.vy").write_text(FUNCTION.format(name=name, body=body))
    (tmp_path / "lib.vy").write_text(LIBRARY)
    return [(e.old, e.new) for e in edits("One.vy", tmp_path) if e.kind == kind]


TWO = "y: uint256 = b"
BOTH = ("x: uint256 = a", TWO)
PAIR = (*BOTH, "s: Pair = Pair(left=a, right=b)")
LIST = (*BOTH, "l: DynArray[uint256, 4] = [a]")
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
        (("x: uint256 = self._put(0)", "x = a", TWO), True),
        (("x: uint256 = a - 0", "x = b", TWO), True),
    ],
)
def test_an_initial_value_that_nothing_reads(tmp_path, lines, made_of_it):
    assert (("0", "1") in made(tmp_path, "constant", *lines)) is made_of_it


@pytest.mark.parametrize(
    ("lines", "made_of_it"),
    [
        ((*BOTH, "x = unsafe_add(a, 1)", "y = max(b, 1)"), False),
        ((*BOTH, "x += a", "y -= b"), False),
        ((*BOTH, "x += y", "y -= b"), True),
        ((*BOTH, "x = a", "x = b"), True),
        ((*BOTH, "x = self._one(a, b)", "y = b"), False),
        ((*BOTH, "x = self._put(a)", "y = b"), False),
        ((*BOTH, "x = self._put(a)", "y = self.q"), True),
        ((*BOTH, "x = self._put(a)", "y = self._put(b)"), True),
        ((*BOTH, "x = raw_call(self, b'', max_outsize=32)", "y = b"), True),
        ((*BOTH, 'assert a > b, "one"', 'assert b > 0, "two"'), False),
        ((*BOTH, 'assert self._one(a, b) > b, "one"', 'assert self.p > 0, "two"'), False),
        ((*BOTH, 'assert self._put(a) > b, "one"', 'assert b > 0, "two"'), False),
        ((*BOTH, 'assert self._put(a) > b, "one"', 'assert self.p > 0, "two"'), True),
        ((*BOTH, 'assert self._put(a) > b, "one"', 'assert lib.level > 0, "two"'), True),
        ((*BOTH, 'assert self._put(a) > b, "one"', 'assert a < lib.LIMIT, "two"'), False),
        ((*BOTH, 'assert a > b, "one"', "x = a"), False),
        ((*BOTH, 'assert x > b, "one"', "x = a"), True),
        ((*BOTH, 'assert a > b, "one"', "self._put(a)"), False),
        ((*BOTH, 'assert staticcall A(self).p() > b, "one"', "self._put(a)"), True),
        ((*BOTH, 'assert staticcall A(self).p() > b, "one"', "self.p = a"), True),
        ((*BOTH, 'assert staticcall A(self).p() > b, "one"', "x = a"), False),
        ((*BOTH, 'assert msg.sender.balance > b, "one"', "extcall A(self).f()"), True),
        ((*BOTH, "ownable._check_owner()", "assert a > b"), False),
        ((*BOTH, "ownable._check_owner()", "self.p = a"), True),
        ((*BOTH, "self.p = lib._double(a)", "self.q = lib._double(b)"), False),
        ((*BOTH, "lib._raise(a)", "x = lib._double(b)"), False),
        ((*BOTH, "lib._raise(a)", "x = lib._level()"), True),
        ((*BOTH, "self.p = a", "x, y = self._pair(a)"), True),
        ((*BOTH, "self.p = a", "self.q = b"), False),
        ((*BOTH, "self.p = a", "self.q = self.p"), True),
        ((*ARRAY, "z[0] = b", "z[1] = a"), False),
        ((*ARRAY, "z[0] = b", "z[0] = a"), True),
        ((*ARRAY, "z[0] = b", "z[1] = z[0]"), True),
        ((*ARRAY, "z[0] = b", "z[x] = a"), True),
        ((*ARRAY, "z[0] = y", "z[1], y = self._pair(a)"), True),
        ((*PAIR, "s.left = b", "s.right = a"), False),
        ((*PAIR, "s.left = b", "s.right = s.left"), True),
        ((*PAIR, "s.left = b", "s = Pair(left=b, right=a)"), True),
        ((*LIST, "l.append(a)", "x = b"), False),
        ((*LIST, "l.append(a)", "x = len(l)"), True),
        ((*LIST, "l.append(a)", "l.append(b)"), True),
    ],
)
def test_neighbours_that_commute(tmp_path, lines, made_of_it):
    assert bool(made(tmp_path, "swap statements", *lines)) is made_of_it


@pytest.mark.parametrize(
    ("lines", "made_of_it"),
    [
        (("P = a", "Q = b"), False),
        (("P = a", "Q = P"), True),
        (("P = a", "Q = lib._double(b)"), True),  # it might see immutables
    ],
)
def test_neighbours_that_commute_where_immutables_are_set(tmp_path, lines, made_of_it):
    assert bool(made(tmp_path, "swap statements", *BOTH, *lines, name="__init__")) is made_of_it


@pytest.mark.parametrize(
    ("lines", "made_of_it"),
    [
        (("if a > x:", "    x = a"), False),
        (("if x > a:", "    x = a"), False),
        (("if a > x:", "    x = b"), True),
        (("if a > x:", "    x = a", "    y = 1"), True),
        (("if a > x:", "    x = a", "else:", "    y = 1"), True),
        (("if a > x:", "    x += a"), True),
    ],
)
def test_ties(tmp_path, lines, made_of_it):
    comparisons = made(tmp_path, "comparison", *BOTH, *lines)
    assert ((">", ">=") in comparisons) is made_of_it
    assert (">", "<=") in comparisons


@pytest.mark.parametrize(("call", "made_of_it"), [("unsafe_add(a, b)", False), ("unsafe_sub(a, b)", True)])
def test_arguments_without_an_order(tmp_path, call, made_of_it):
    assert bool(made(tmp_path, "wrong argument", f"x: uint256 = {call}", TWO)) is made_of_it
