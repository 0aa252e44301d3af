"""What both files of lemmas prove with."""

from z3 import And, If, Not, Solver, unsat

MILLISECONDS = 20_000


def proved(claim, *given) -> None:
    """No integers meet the assumptions and break the claim, and the assumptions are not absurd."""
    solver = Solver()
    solver.set("timeout", MILLISECONDS)
    solver.add(*given)
    assert solver.check() != unsat, "the assumptions contradict each other"
    solver.add(Not(claim))
    assert solver.check() == unsat, solver.model() if solver.reason_unknown() == "" else "not decided"


def truncated(x, y):
    """Vyper's signed division by a positive y: toward zero."""
    return If(x >= 0, x / y, -((-x) / y))


def within(x, bound):
    return And(-bound <= x, x <= bound)
