"""What ties a lemma to the code: constants are read from the sources, formulas translated out of them where
that is a few lines, and of everything else a digest says whether it is as it was when the lemma was last
read.

    python -m tests.lemmas.code          # which lemmas stand on code that has changed
    python -m tests.lemmas.code --read   # after reading them against it: these are the digests now
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from margincall.protocol.artifacts import CONTRACTS

DIGESTS = Path(__file__).with_name("digests.json")
_CONSTANT = re.compile(r"^(\w+): (?:public\()?constant\([^)]*\)\)? = (.+?)(?:  #.*)?$", re.M)
_REFERENCES: dict[str, tuple[str, ...]] = {}


def about(*references: str) -> Callable:
    """Say what code a lemma is about: "math/rounding.vy:_floor_div", ... Every lemma does."""

    def mark(test: Callable) -> Callable:
        for reference in references:
            digest(reference)  # names something
        _REFERENCES[f"{test.__module__.rpartition('.')[2]}.{test.__name__}"] = references
        return test

    return mark


def constant(file: str, name: str) -> int:
    """The value of a constant of a contract or module, evaluated from its source."""
    return _constants(file)[name]


@cache
def _constants(file: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, expression in _CONSTANT.findall((CONTRACTS / file).read_text()):
        try:
            # Arithmetic over literals and the constants above; anything else is not a number of ours.
            found[name] = eval(expression, {"__builtins__": {}}, found)
        except (NameError, SyntaxError, AttributeError):
            continue
    return found


def function(file: str, name: str) -> ast.FunctionDef:
    """A function of a Vyper file; their syntax is Python's as far as these go."""
    text = (CONTRACTS / file).read_text()
    match = re.search(rf"^def {name}\(.*?(?=^[^\s)]|\Z)", text, re.M | re.S)
    if not match:
        raise LookupError(f"{file} has no function {name}: which one does the lemma stand on now?")
    body = re.sub(r"^( +)for (\w+): \w+ in ", r"\1for \2 in ", match[0], flags=re.M)
    body = re.sub(r"\b(extcall|staticcall|log) ", "", body)
    return ast.parse(body).body[0]


def digest(reference: str) -> str:
    """Of a function without comments, docstring and layout."""
    file, _, name = reference.partition(":")
    found = function(file, name)
    if isinstance(found.body[0], ast.Expr) and isinstance(found.body[0].value, ast.Constant):
        found.body.pop(0)
    return hashlib.sha256(ast.dump(found).encode()).hexdigest()[:12]


def references() -> dict[str, tuple[str, ...]]:
    """Lemma -> what it is about, of all lemmas."""
    from tests.lemmas import test_lemmas, test_portfolio_lemmas  # noqa: F401 - they register themselves

    return dict(_REFERENCES)


def changed() -> dict[str, list[str]]:
    """Code that is not as it was read -> the lemmas that stand on it."""
    known = json.loads(DIGESTS.read_text())
    found: dict[str, list[str]] = {}
    for lemma, parts in references().items():
        for part in parts:
            if known.get(part) != digest(part):
                found.setdefault(part, []).append(lemma)
    return found


class Translation:
    """A pure function of the contracts as z3 sees it: integers without bounds. `given` collects what
    divisions say of their quotients; the caller proves bounds that make unsafe_* exact.
    """

    def __init__(self, signed: bool) -> None:
        self.signed, self.given, self.quotients = signed, [], 0

    def of(self, file: str, name: str, **arguments):
        """The returned expression."""
        return self._block(function(file, name).body, dict(arguments))

    def expression(self, node: ast.expr, names: dict):
        """An expression with these names bound."""
        return self._value(node, names)

    def _block(self, body: list, names: dict):
        from z3 import If

        for place, line in enumerate(body):
            if isinstance(line, ast.AnnAssign):
                names[line.target.id] = self._value(line.value, names)
            elif isinstance(line, ast.Return):
                return self._value(line.value, names)
            elif isinstance(line, ast.If) and not line.orelse:
                taken = self._block(line.body, dict(names))
                return If(self._value(line.test, names), taken, self._block(body[place + 1 :], names))
            elif not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)):
                raise NotImplementedError(ast.unparse(line))
        raise NotImplementedError("a function without a return")

    def _value(self, node: ast.expr, names: dict):
        from z3 import And, Or

        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return names[node.id]
        if isinstance(node, ast.Attribute):
            return names[f"{node.value.id}.{node.attr}"]
        if isinstance(node, ast.BoolOp):
            return (And if isinstance(node.op, ast.And) else Or)(
                *(self._value(v, names) for v in node.values)
            )
        if isinstance(node, ast.Compare):
            left, right = self._value(node.left, names), self._value(node.comparators[0], names)
            return _COMPARE[type(node.ops[0])](left, right)
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            return self._operate(_BINARY[type(node.op)], node.left, node.right, names)
        if isinstance(node, ast.Call) and node.func.id in _UNSAFE:
            return self._operate(_UNSAFE[node.func.id], *node.args, names)
        raise NotImplementedError(ast.unparse(node))

    def _operate(self, operation: str, one: ast.expr, two: ast.expr, names: dict):
        x, y = self._value(one, names), self._value(two, names)
        return self._divide(x, y) if operation == "/" else {"+": x + y, "-": x - y, "*": x * y}[operation]

    def _divide(self, x, y):
        """What the EVM's div and sdiv give for y > 0, said without a division."""
        from z3 import And, Int, Or

        q = Int(f"quotient{self.quotients}")
        self.quotients += 1
        floor = And(q * y <= x, x < (q + 1) * y)
        toward_zero = Or(And(x >= 0, floor), And(x < 0, q * y >= x, x > (q - 1) * y))
        self.given.append(toward_zero if self.signed else floor)
        return q


_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "/"}
_UNSAFE = {"unsafe_add": "+", "unsafe_sub": "-", "unsafe_mul": "*", "unsafe_div": "/"}
_COMPARE = {
    ast.Lt: lambda x, y: x < y,
    ast.Gt: lambda x, y: x > y,
    ast.LtE: lambda x, y: x <= y,
    ast.GtE: lambda x, y: x >= y,
    ast.Eq: lambda x, y: x == y,
    ast.NotEq: lambda x, y: x != y,
}


def subtraction_of(file: str, name: str, subtrahend: str) -> ast.expr:
    """The one unsafe_sub(..., subtrahend) in a function: a floor by an offset."""
    found = [
        node
        for node in ast.walk(function(file, name))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "unsafe_sub"
        if ast.unparse(node.args[1]) == subtrahend
    ]
    if len(found) != 1:
        raise LookupError(f"{file}:{name} subtracts {subtrahend} {len(found)} times, not once")
    return found[0]


def main(arguments: list[str]) -> int:
    if arguments == ["--read"]:
        parts = sorted({part for found in references().values() for part in found})
        DIGESTS.write_text(json.dumps({part: digest(part) for part in parts}, indent=2) + "\n")
        return 0
    for part, lemmas in changed().items():
        print(f"{part} has changed; read against it: {', '.join(lemmas)}")
    return 1 if changed() else 0


if __name__ == "__main__":
    from tests.lemmas import code  # the registry of the imported module, not of __main__

    sys.exit(code.main(sys.argv[1:]))
