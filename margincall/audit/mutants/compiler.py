"""The compiler without its dearest detours, for the many mutants that are compiled. The code that it makes is
the same byte for byte, which a test holds for every contract."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from vyper import ast as vy_ast
from vyper.ir import optimizer
from vyper.semantics.analysis import utils
from vyper.semantics.types import PRIMITIVE_TYPES, IntegerT


@contextmanager
def quicker() -> Iterator[None]:
    """In the block the compiler remembers what it made of a node and which types hold an integer, and its
    trees, of which none is garbage before the end, are not searched for garbage."""
    analyser = utils._ExprAnalyser
    kept = optimizer._optimize, analyser.types_from_Constant, utils.get_common_types
    optimizer._optimize = _walking_once(kept[0])
    analyser.types_from_Constant = _of_constants(kept[1])
    utils.get_common_types = _common_types
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()
        optimizer._optimize, analyser.types_from_Constant, utils.get_common_types = kept


def _walking_once(walk):
    """The optimizer walks a tree again from each node that it changed, and the code that runs twice. Here
    what it made of a node below a parent is remembered."""

    def once(node, parent):
        below = parent and str(parent.value)
        made = node.__dict__.setdefault("_made", {})
        if below not in made:
            made[below] = walk(node, parent)
        return made[below]

    return once


def _of_constants(types_of):
    """Each of the 64 integer types is asked whether it holds a literal, by an exception if not."""

    def of_constant(analyser, node):
        if type(node) is vy_ast.Int and (found := _integers(node.value)):
            return list(found)
        return types_of(analyser, node)

    return of_constant


@cache
def _integers(value: int) -> tuple[IntegerT, ...]:
    """The integer types that hold a value, in the compiler's order."""
    whole = (one for one in PRIMITIVE_TYPES.values() if isinstance(one, IntegerT))
    return tuple(one for one in whole if one.ast_bounds[0] <= value <= one.ast_bounds[1])


def _common_types(*nodes, filter_fn=None):
    """As the original, which compares each type of one node with each of another: integers by sign and width,
    and a type that is the same object, need no comparison."""
    common, *others = (utils._ExprAnalyser().get_possible_types_from_node(node) for node in nodes)
    for types in others:
        same = set(map(_identity, types))
        rest = [one for one in types if type(one) is not IntegerT]
        common = [
            one
            for one in common
            if _identity(one) in same or any(two.compare_type(one) or one.compare_type(two) for two in rest)
        ]
    return common if filter_fn is None else [one for one in common if filter_fn(one)]


def _identity(one):
    return (one.is_signed, one.bits) if type(one) is IntegerT else id(one)
