"""SpanMargin and its twin, to the unit, on books of every kind.

`python -m tests.fuzz.test_span_margin 200` tries as many books of each kind.
"""

from __future__ import annotations

import sys
from random import Random

import pytest

from tests.fuzz.portfolios import KINDS, samples
from tests.unit.span_margin.arrays import Span
from tests.unit.standard_margin.bench import bench

COUNT = 5
CASH = 10**9


def compare(kind: str, count: int, seed: int) -> int:
    """Books of a kind where they were opened, after a small move of the price, and after a large one with
    arrays made anew. Returns how many were compared."""
    tried = 0
    for sample in samples(kind, count, seed):
        rng = Random(f"{kind} {seed} {tried}")
        with bench(sample, in_slots=tried % 2 == 1) as b:
            rule, perps, words = Span(b), b.positions(), b.words()
            rule.refresh_all(words)
            rule.check(CASH, perps, words)
            b.set_prices({m: round(p * rng.uniform(0.9901, 1.0099)) for m, p in b.prices.items()}, b.now + 60)
            rule.check(CASH, perps, words)
            b.set_prices({m: round(p * rng.uniform(0.6, 1.4)) for m, p in b.prices.items()}, b.now + 120)
            rule.refresh_all(words)
            rule.check(CASH, perps, words)
        tried += 1
    return tried


@pytest.mark.parametrize("kind", KINDS)
def test_contract_is_the_twin(kind: str):
    assert compare(kind, COUNT, seed=1)


if __name__ == "__main__":
    each = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for kind in KINDS:
        print(f"{kind}: {compare(kind, each, seed=7)} books, contract and twin agree to the unit")
