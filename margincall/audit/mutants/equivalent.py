"""Generic mutants that provably change nothing, told from the syntax tree: none is made of them.

Dead initialisers: Vyper demands an initial value; one that the next statement which mentions the name
overwrites is never read. Independent neighbours: two assignments to different names, elements or variables
of storage, neither of which reads the other, commute. Two asserts: both still hold, only which of two
reasons is given first differs. Commutative arguments: their order is none.
"""

from __future__ import annotations

import vyper.ast as va

PURE = {"unsafe_add", "unsafe_sub", "unsafe_mul", "unsafe_div", "min", "max", "abs", "convert", "len"}
"""Calls without effects, whatever their order."""
COMMUTATIVE = {"unsafe_add", "unsafe_mul"}


def dead_initialisers(function) -> set[int]:
    """`node_id`s of initial values that nothing reads, of a function's declarations."""
    found: set[int] = set()
    for body in _bodies(function):
        for i, node in enumerate(body):
            if isinstance(node, va.AnnAssign) and isinstance(node.target, va.Name):
                following = next((later for later in body[i + 1 :] if _mentions(later, node.target.id)), None)
                if following is not None and _overwrites(following, node.target.id):
                    found.add(node.value.node_id)
    return found


def commutes(one, two) -> bool:
    """Whether two neighbours may change places without a difference."""
    if isinstance(one, va.Assert) and isinstance(two, va.Assert):
        return not any(_has_effects(node.test) for node in (one, two))
    targets = [_targets(node) for node in (one, two)]
    if None in targets or any(_has_effects(node.value) for node in (one, two)):
        return False
    if targets[0] & targets[1]:
        return False
    names = [{name for name, *_ in found} for found in targets]
    if names[0] & names[1]:  # elements of one array: the values must not read it
        return not any(_mentions(node.value, name) for node in (one, two) for name in names[0])
    return not any(
        _mentions(node, name) for node, found in ((one, names[1]), (two, names[0])) for name in found
    )


def _bodies(node) -> list[list]:
    """Every list of statements inside a function."""
    found = [node.body]
    for inner in node.get_descendants((va.If, va.For)):
        found.append(inner.body)
        if isinstance(inner, va.If):
            found.append(inner.orelse)
    return found


def _mentions(node, name: str) -> bool:
    """Whether a name, or a variable of storage ("self.x"), is in an expression or statement."""
    if name.startswith("self."):
        return any(_storage(one) == name for one in node.get_descendants(va.Attribute, include_self=True))
    return any(one.id == name for one in node.get_descendants(va.Name, include_self=True))


def _storage(node) -> str:
    """ "self.x" of a variable of storage, "" of anything else."""
    is_own = isinstance(node, va.Attribute) and isinstance(node.value, va.Name) and node.value.id == "self"
    return f"self.{node.attr}" if is_own else ""


def _overwrites(node, name: str) -> bool:
    """Whether an assignment gives a name a new value without reading the old one."""
    if not isinstance(node, va.Assign) or _mentions(node.value, name):
        return False
    target = node.target
    parts = target.elements if isinstance(target, va.Tuple) else [target]
    whole = [part for part in parts if isinstance(part, va.Name) and part.id == name]
    return len(whole) == 1 and not any(_mentions(part, name) for part in parts if part is not whole[0])


def _targets(node) -> set[tuple] | None:
    """What an assignment sets, (name, index) each; None where it does more, or is none."""
    if not isinstance(node, (va.Assign, va.AugAssign)):
        return None
    found = set()
    for part in node.target.elements if isinstance(node.target, va.Tuple) else [node.target]:
        if isinstance(part, va.Name):
            found.add((part.id, None))
        elif _storage(part):
            found.add((_storage(part), None))
        elif (
            isinstance(part, va.Subscript)
            and isinstance(part.value, va.Name)
            and isinstance(part.slice, va.Int)
        ):
            found.add((part.value.id, part.slice.value))
        else:
            return None
    return found


def _has_effects(node) -> bool:
    """Whether an expression may do more than compute: any call but PURE ones and views of other contracts."""
    calls = node.get_descendants(va.Call, include_self=True)
    seen = {one.value.node_id for one in node.get_descendants(va.StaticCall, include_self=True)}
    for call in calls:
        name = call.func.id if isinstance(call.func, va.Name) else ""
        if name not in PURE and call.node_id not in seen:
            return True
    return bool(node.get_descendants(va.ExtCall, include_self=True))
