"""Generic mutants that provably change nothing, told from the syntax tree: none is made of them.

Dead initialisers: Vyper demands an initial value; a literal that the next statement which mentions the name
overwrites is never read. Neighbours that commute: neither sets what the other reads or sets. What reverts
undoes all that was done before it, so of asserts and calls only the reason that is given first differs.
Commutative arguments: their order is none. Ties: where two equal values compete, either one is the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import vyper.ast as va

PURE = {"unsafe_add", "unsafe_sub", "unsafe_mul", "unsafe_div", "min", "max", "abs", "convert", "len",
        "empty", "slice", "extract32", "concat", "keccak256", "isqrt", "ecrecover", "abi_encode"}  # fmt: skip
"""Builtins without effects, whatever their order."""
COMMUTATIVE = {"unsafe_add", "unsafe_mul"}
TIES = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
FRAME = ("msg", "block", "tx", "chain")
"""What is the same all through a call."""
OF_ADDRESS = ("balance", "code", "codehash", "codesize", "is_contract")
"""What an effect may change of any address."""
WORLD = ("self",)
"""The path of all that is stored, here and elsewhere: a part of it is "self", name, ... ."""
Place = tuple[str, ...]


class Known(NamedTuple):
    """What a file's names outside of its functions mean."""

    callees: Mapping[str, str]
    """Internal functions that the compiler holds to "view" or "pure", as they are called ("lanes._size")."""
    fixed: frozenset[str]
    """Constants and immutables of modules, as they are read ("units.PPM")."""
    imported: frozenset[str]


def names_of(tree, file: Path) -> Known:
    """The meaning of a file's names. Of a module from elsewhere nothing is known: it may do anything."""
    callees = {f"self.{name}": kind for name, kind in _declared(tree)[0].items()}
    fixed: set[str] = set()
    imported: set[str] = set()
    for node in tree.body:
        if isinstance(node, (va.Import, va.ImportFrom)):
            name = node.alias or node.name
            imported.add(name)
            path = _module(node, file)
            if path is not None:
                functions, constants = _declared_in(path.read_text())
                callees |= {f"{name}.{one}": kind for one, kind in functions.items()}
                fixed |= {f"{name}.{one}" for one in constants}
    return Known(callees, frozenset(fixed), frozenset(imported))


def dead_initialisers(function) -> set[int]:
    """`node_id`s of initial values that nothing reads, of a function's declarations."""
    found: set[int] = set()
    for body in _bodies(function):
        for i, node in enumerate(body):
            if (
                isinstance(node, va.AnnAssign)
                and isinstance(node.target, va.Name)
                and _is_literal(node.value)
            ):
                following = next((later for later in body[i + 1 :] if _mentions(later, node.target.id)), None)
                if following is not None and _overwrites(following, node.target.id):
                    found.add(node.value.node_id)
    return found


def ties(function) -> set[int]:
    """`node_id`s of comparisons that may go either way where both sides are equal (`if a > b: b = a`)."""
    found: set[int] = set()
    for node in function.get_descendants(va.If):
        if isinstance(node.test, va.Compare) and len(node.body) == 1 and not node.orelse:
            (only,) = node.body
            if isinstance(only, va.Assign) and _same_pair(node.test, only.target, only.value):
                found.add(node.test.node_id)
    return found


def commutes(one, two, names: Known) -> bool:
    """Whether two neighbours may change places without a difference."""
    constructs = one.get_ancestor(va.FunctionDef).name == "__init__"  # there, calls set and see immutables
    first, second = (_Footprint(node, names, constructs) for node in (one, two))
    if first.opaque or second.opaque:
        return False
    return not (
        _overlap(first.sets, second.sets)
        or _overlap(first.sets, second.reads)
        or _overlap(first.reads, second.sets)
    )


# ------------------------------------------------------------ what a statement reads and sets


class _Footprint:
    """What a statement reads and sets, as paths: a name, then fields and constant indices."""

    def __init__(self, node, names: Known, constructs: bool) -> None:
        self.names, self.constructs = names, constructs
        self.reads: set[Place] = set()
        self.sets: set[Place] = set()
        self.opaque = False
        if isinstance(node, va.Assert):
            self._read(node.test)
        else:
            self._read(node.value)
        if isinstance(node, (va.Assign, va.AugAssign)):
            for part in node.target.elements if isinstance(node.target, va.Tuple) else [node.target]:
                self.sets.add(self._path(part))
            if isinstance(node, va.AugAssign):
                self._read(node.target)

    def _read(self, node) -> None:
        if isinstance(node, (va.StaticCall, va.ExtCall)):
            self.reads.add(WORLD)
            if isinstance(node, va.ExtCall):
                self.sets.add(WORLD)
            self._read(node.value.func.value)
            self._arguments(node.value)
        elif isinstance(node, va.Call):
            self._call(node)
            self._arguments(node)
        elif isinstance(node, (va.Name, va.Attribute, va.Subscript)):
            if path := self._path(node):
                self.reads.add(path)
        else:
            for child in node.get_children():
                self._read(child)

    def _arguments(self, call) -> None:
        for argument in (*call.args, *(one.value for one in call.keywords)):
            self._read(argument)

    def _call(self, call) -> None:
        func = call.func
        if isinstance(func, va.Name):  # a builtin, or a struct or interface
            self.opaque |= func.id not in PURE and not func.id[0].isupper()
            return
        owner = func.value.id if isinstance(func.value, va.Name) else ""
        if func.attr in ("append", "pop") and owner not in self.names.imported:
            self.sets.add(self._path(func.value))
            self._read(func.value)
            return
        self.opaque |= self.constructs
        kind = self.names.callees.get(f"{owner}.{func.attr}")
        if kind != "pure":
            self.reads.add(WORLD)
        if kind is None:
            self.sets.add(WORLD)

    def _path(self, node) -> Place:
        """The path of a name, field or element, () of what does not change; reads what stands in its
        indices. An index that is computed may be any: the path ends before it."""
        steps = []
        while isinstance(node, (va.Attribute, va.Subscript)):
            if isinstance(node, va.Attribute):
                steps.append(node.attr)
                if node.attr in OF_ADDRESS:
                    self.reads.add(WORLD)
            else:
                steps.append(str(node.slice.value) if isinstance(node.slice, va.Int) else "")
                self._read(node.slice)
            node = node.value
        if not isinstance(node, va.Name):
            self._read(node)
            return ()
        steps.reverse()
        if node.id in self.names.imported:
            return () if steps and f"{node.id}.{steps[0]}" in self.names.fixed else WORLD
        if node.id in FRAME or (node.id == "self" and not steps):
            return ()
        return (node.id, *steps[: steps.index("")]) if "" in steps else (node.id, *steps)


def _overlap(some: set[Place], others: set[Place]) -> bool:
    """Whether a path of the one is a part of a path of the other, or the other way round."""
    return any(a[: len(b)] == b[: len(a)] for a in some for b in others)


# ------------------------------------------------------------ the tree


def _declared(tree) -> tuple[dict[str, str], set[str]]:
    """A file's functions without effects, and its constants and immutables."""
    functions: dict[str, str] = {}
    constants: set[str] = set()
    for node in tree.body:
        if isinstance(node, va.FunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, va.Name) and decorator.id in ("view", "pure"):
                    functions[node.name] = decorator.id
        elif isinstance(node, va.VariableDecl) and (node.is_constant or node.is_immutable):
            constants.add(node.target.id)
    return functions, constants


@cache
def _declared_in(text: str) -> tuple[dict[str, str], set[str]]:
    return _declared(va.parse_to_ast(text))


def _module(node, file: Path) -> Path | None:
    """The file of a module that is imported by its place (`from ..ledger import lanes`)."""
    if not isinstance(node, va.ImportFrom) or not node.level:
        return None
    folder = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
    path = folder / f"{node.name}.vy"
    return path if path.is_file() else None


def _bodies(node) -> Iterator[list]:
    """Every list of statements inside a function."""
    yield node.body
    for inner in node.get_descendants((va.If, va.For)):
        yield inner.body
        if isinstance(inner, va.If):
            yield inner.orelse


def _mentions(node, name: str) -> bool:
    return any(one.id == name for one in node.get_descendants(va.Name, include_self=True))


def _is_literal(node) -> bool:
    """Whether a value is written out, or `empty(...)`: it does nothing, and does not revert."""
    if isinstance(node, va.Call):
        return isinstance(node.func, va.Name) and node.func.id == "empty"
    return not node.get_descendants((va.Name, va.Attribute, va.BinOp, va.Call), include_self=True)


def _overwrites(node, name: str) -> bool:
    """Whether an assignment gives a name a new value without reading the old one."""
    if not isinstance(node, va.Assign) or _mentions(node.value, name):
        return False
    target = node.target
    parts = target.elements if isinstance(target, va.Tuple) else [target]
    whole = [part for part in parts if isinstance(part, va.Name) and part.id == name]
    return len(whole) == 1 and not any(_mentions(part, name) for part in parts if part is not whole[0])


def _same_pair(test, one, two) -> bool:
    """Whether a comparison is one of these two names or elements, in either order."""
    plain = (va.Name, va.Attribute, va.Subscript, va.Int)
    if not all(isinstance(node, plain) and not node.get_descendants(va.Call) for node in (one, two)):
        return False
    sides = [test.left.node_source_code, test.right.node_source_code]
    pair = [one.node_source_code, two.node_source_code]
    return sides in (pair, pair[::-1])
