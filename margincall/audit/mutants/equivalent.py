"""Generic mutants that provably change nothing, told from the syntax tree: none is made of them.

Dead initialisers: Vyper demands an initial value; one that the next statement which mentions the name
overwrites is never read. Independent neighbours: two assignments to different local names, neither of which
reads the other, commute. Two asserts: both still hold, only which of two reasons is given first differs.
Commutative arguments: their order is none.
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
    targets = [_local_targets(node) for node in (one, two)]
    if None in targets or any(_has_effects(node.value) for node in (one, two)):
        return False
    apart = not targets[0] & targets[1]
    return apart and not any(
        _mentions(node, name) for node, names in ((one, targets[1]), (two, targets[0])) for name in names
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
    return any(one.id == name for one in node.get_descendants(va.Name, include_self=True))


def _overwrites(node, name: str) -> bool:
    """Whether an assignment gives a name a new value without reading the old one."""
    if not isinstance(node, va.Assign) or _mentions(node.value, name):
        return False
    target = node.target
    parts = target.elements if isinstance(target, va.Tuple) else [target]
    whole = [part for part in parts if isinstance(part, va.Name) and part.id == name]
    return len(whole) == 1 and not any(_mentions(part, name) for part in parts if part is not whole[0])


def _local_targets(node) -> set[str] | None:
    """Names of the locals that an assignment sets; None where it does more, or is none."""
    if not isinstance(node, (va.Assign, va.AugAssign)):
        return None
    parts = node.target.elements if isinstance(node.target, va.Tuple) else [node.target]
    return {part.id for part in parts} if all(isinstance(part, va.Name) for part in parts) else None


def _has_effects(node) -> bool:
    """Whether an expression may do more than compute: any call but PURE ones and views of other contracts."""
    calls = node.get_descendants(va.Call, include_self=True)
    seen = {one.value.node_id for one in node.get_descendants(va.StaticCall, include_self=True)}
    for call in calls:
        name = call.func.id if isinstance(call.func, va.Name) else ""
        if name not in PURE and call.node_id not in seen:
            return True
    return bool(node.get_descendants(va.ExtCall, include_self=True))
