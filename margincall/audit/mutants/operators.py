"""Generic mutants of Vyper source: a small change of one line each, found in the compiler's own syntax tree.

Kinds: comparison, sign (also and/or, not), rounding, min/max, constant (+-1; of a packed word the middle
bit), delete statement, delete assert, swap statements, wrong argument. What provably changes nothing is left
out (`equivalent`). Whether a mutant compiles, and differs in bytecode, shows later.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import vyper.ast as va

from margincall.audit.mutants.equivalent import (
    COMMUTATIVE,
    TIES,
    Known,
    commutes,
    dead_initialisers,
    names_of,
    ties,
)
from margincall.protocol.artifacts import CONTRACTS

COMPARISONS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
}
SIGNS = {"+": "-", "-": "+", "and": "or", "or": "and", "<<": ">>", ">>": "<<", "|": "&", "&": "|"}
CALLS = {
    "min": ("min/max", "max"),
    "max": ("min/max", "min"),
    "unsafe_add": ("sign", "unsafe_sub"),
    "unsafe_sub": ("sign", "unsafe_add"),
    "_floor_div": ("rounding", "_ceil_div"),
    "_ceil_div": ("rounding", "_floor_div"),
}
PACKED = 2**64
"""From here on a constant is a word of several coefficients, and 1 is less than any output shows."""
VALUED = (va.AnnAssign, va.Assign, va.AugAssign, va.Expr, va.Return)
SIMPLE = (va.Assign, va.AugAssign, va.Expr, va.Assert)


class Edit(NamedTuple):
    """A mutant: in `file`, at `line`, the characters start .. end become `new`."""

    file: str
    line: int
    kind: str
    start: int
    end: int
    old: str
    new: str
    function: str

    def apply(self, text: str) -> str:
        """The file's text with the change. Raises ValueError where the text is another."""
        if text[self.start : self.end] != self.old:
            raise ValueError(f"{self.file}:{self.line} is not the text that the mutant was made of")
        return text[: self.start] + self.new + text[self.end :]


def key_of(edit: Edit, text: str) -> str:
    """What names a mutant from run to run: the file's text and the change."""
    parts = (edit.file, text, str(edit.start), str(edit.end), edit.new)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def edits(file: str, contracts: Path = CONTRACTS) -> list[Edit]:
    """All mutants of a file, in its order."""
    text = (contracts / file).read_text()
    source = _Source(file, text)
    tree = va.parse_to_ast(text)
    source.names = names_of(tree, contracts / file)
    found: list[Edit] = []
    for node in tree.body:
        if isinstance(node, va.FunctionDef):
            source.dead, source.ties = dead_initialisers(node), ties(node)
            for statement in node.body:
                found += _in_statement(source, statement, node.name)
            found += _in_body(source, node.body, node.name)
        elif isinstance(node, va.VariableDecl) and node.is_constant:
            found += _in_expressions(source, node.value, node.target.id)
    return sorted(set(found), key=lambda e: (e.start, e.kind, e.new))


def sample(files: Iterable[str], seed: int, contracts: Path = CONTRACTS) -> list[Edit]:
    """All mutants of the files in a seeded order in which every beginning is spread over files and, within a
    file, over kinds."""
    ordered: list[tuple[float, str, Edit]] = []
    for file in sorted(files):
        chance = random.Random(f"{seed} {file}")
        kinds: dict[str, list[Edit]] = {}
        for edit in edits(file, contracts):
            kinds.setdefault(edit.kind, []).append(edit)
        spread: list[tuple[float, Edit]] = []
        for of_kind in kinds.values():
            chance.shuffle(of_kind)
            spread += [((i + chance.random()) / len(of_kind), edit) for i, edit in enumerate(of_kind)]
        spread.sort(key=lambda one: one[0])
        ordered += [((i + 0.5) / len(spread), file, edit) for i, (_, edit) in enumerate(spread)]
    return [edit for _, _, edit in sorted(ordered, key=lambda one: one[:2])]


class _Source:
    """A file's text with offsets of its lines."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text = file, text
        self.dead: set[int] = set()  # initial values that nothing reads, of the function looked at
        self.ties: set[int] = set()  # comparisons that may go either way where both sides are equal
        self.names = Known({}, frozenset(), frozenset())
        self._starts = [0]
        for line in text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def start(self, node) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def end(self, node) -> int:
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node) -> str:
        return self.text[self.start(node) : self.end(node)]

    def edit(self, kind: str, start: int, end: int, new: str, function: str) -> Edit:
        line = self.text.count("\n", 0, start) + 1
        return Edit(self.file, line, kind, start, end, self.text[start:end], new, function)


# ------------------------------------------------------------ statements


def _in_statement(source: _Source, node, function: str) -> Iterator[Edit]:
    """Mutants of a statement and of all that it holds. Logs stay: the machine judges what is stored."""
    if isinstance(node, va.Log):
        return
    if isinstance(node, va.Assert):
        yield source.edit("delete assert", source.start(node), source.end(node), "pass", function)
        yield from _in_expressions(source, node.test, function)
        return
    if isinstance(node, (va.Assign, va.AugAssign, va.Expr)) and not _is_docstring(node):
        yield source.edit("delete statement", source.start(node), source.end(node), "pass", function)
    if isinstance(node, va.AugAssign):
        found = re.match(r"\s*([+-])=", source.text[source.end(node.target) :])
        if found:
            at = source.end(node.target) + found.start(1)
            yield source.edit("sign", at, at + 1, "-" if found.group(1) == "+" else "+", function)
    if isinstance(node, va.If):
        yield from _in_expressions(source, node.test, function)
        for body in (node.body, node.orelse):
            for statement in body:
                yield from _in_statement(source, statement, function)
            yield from _in_body(source, body, function)
    elif isinstance(node, va.For):
        for statement in node.body:
            yield from _in_statement(source, statement, function)
        yield from _in_body(source, node.body, function)
    elif isinstance(node, VALUED) and node.value is not None and not _is_docstring(node):
        if node.value.node_id in source.dead:
            return
        yield from _in_expressions(source, node.value, function)


def _in_body(source: _Source, body: list, function: str) -> Iterator[Edit]:
    """Adjacent statements that could change places."""
    for one, two in pairwise(body):
        if isinstance(one, SIMPLE) and isinstance(two, SIMPLE) and not _is_docstring(one):
            start, end = source.start(one), source.end(two)
            between = source.text[source.end(one) : source.start(two)]
            new = source.of(two) + between + source.of(one)
            if source.of(one) != source.of(two) and not commutes(one, two, source.names):
                yield source.edit("swap statements", start, end, new, function)


def _is_docstring(node) -> bool:
    return isinstance(node, va.DocStr) or (
        isinstance(node, va.Expr) and isinstance(node.value, (va.Str, va.DocStr))
    )


# ------------------------------------------------------------ expressions


def _in_expressions(source: _Source, root, function: str) -> Iterator[Edit]:
    for node in root.get_descendants(include_self=True):
        for kind, of in _RULES:
            if isinstance(node, kind):
                yield from of(source, node, function)


def _operator(source: _Source, left, right, known: Iterable[str]) -> tuple[int, int, str] | None:
    """Where the operator between two nodes stands; parentheses may stand there as well."""
    start, end = source.end(left), source.start(right)
    found = re.fullmatch(r"[\s)]*?(\S+?)[\s(]*", source.text[start:end])
    if not found or found.group(1) not in known:
        return None
    return start + found.start(1), start + found.end(1), found.group(1)


def _comparison(source: _Source, node, function: str) -> Iterator[Edit]:
    if at := _operator(source, node.left, node.right, COMPARISONS):
        for new in COMPARISONS[at[2]]:
            if node.node_id in source.ties and new == TIES.get(at[2]):
                continue
            yield source.edit("comparison", at[0], at[1], new, function)


def _binary(source: _Source, node, function: str) -> Iterator[Edit]:
    if at := _operator(source, node.left, node.right, (*SIGNS, "//")):
        if at[2] in SIGNS:
            yield source.edit("sign", at[0], at[1], SIGNS[at[2]], function)
        elif "import rounding" in source.text:
            new = f"rounding._div_up({source.of(node.left)}, {source.of(node.right)})"
            yield source.edit("rounding", source.start(node), source.end(node), new, function)


def _boolean(source: _Source, node, function: str) -> Iterator[Edit]:
    for left, right in pairwise(node.values):
        if at := _operator(source, left, right, ("and", "or")):
            yield source.edit("sign", at[0], at[1], SIGNS[at[2]], function)


def _unary(source: _Source, node, function: str) -> Iterator[Edit]:
    text = source.of(node)
    found = re.match(r"-|not\s+", text)
    if found:
        new = text[found.end() :]
        yield source.edit("sign", source.start(node), source.end(node), new, function)


def _call(source: _Source, node, function: str) -> Iterator[Edit]:
    name = source.of(node.func)
    last = name.rpartition(".")[2]
    if last in CALLS:
        kind, new = CALLS[last]
        at = source.end(node.func) - len(last)
        yield source.edit(kind, at, at + len(last), new, function)
    if last == "_div_up" and len(node.args) == 2:
        new = f"({source.of(node.args[0])}) // ({source.of(node.args[1])})"
        yield source.edit("rounding", source.start(node), source.end(node), f"({new})", function)
    if last in ("min", "max", "convert", "slice", "extract32", "empty"):
        return
    for one, two in pairwise(() if last in COMMUTATIVE else node.args):
        plain = all(isinstance(arg, (va.Name, va.Attribute, va.Int)) for arg in (one, two))
        if plain and source.of(one) != source.of(two):
            start, end = source.start(one), source.end(two)
            between = source.text[source.end(one) : source.start(two)]
            new = source.of(two) + between + source.of(one)
            yield source.edit("wrong argument", start, end, new, function)
    for one, two in pairwise(node.keywords):
        names = isinstance(one.value, va.Name) and isinstance(two.value, va.Name)
        if names and one.value.id != two.value.id:
            start, end = source.start(one.value), source.end(one.value)
            yield source.edit("wrong argument", start, end, two.value.id, function)


def _constant(source: _Source, node, function: str) -> Iterator[Edit]:
    text = source.of(node)
    if re.fullmatch(r"[0-9_]+", text):
        value = int(text)
        if value >= PACKED:
            new = str(value ^ 1 << value.bit_length() // 2)
            yield source.edit("constant", source.start(node), source.end(node), new, function)
            return
        yield source.edit("constant", source.start(node), source.end(node), str(value + 1), function)
        if value:
            yield source.edit("constant", source.start(node), source.end(node), str(value - 1), function)


_RULES: tuple[tuple[type, Callable], ...] = (
    (va.Compare, _comparison),
    (va.BinOp, _binary),
    (va.BoolOp, _boolean),
    (va.UnaryOp, _unary),
    (va.Call, _call),
    (va.Int, _constant),
)
