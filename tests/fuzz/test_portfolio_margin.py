"""PortfolioMargin, its twin and the specification on books of every kind: contract and twin agree to the
unit in every view, sheets as code and in slots, where the books were opened and after moves that take
options off their curves.

`python -m tests.fuzz.test_portfolio_margin 200` tries as many books of each kind.
"""

from __future__ import annotations

import sys
from random import Random

import pytest

from margincall.model import portfolio
from margincall.model.margin import value_down
from margincall.model.portfolio import Dials
from tests.fuzz.portfolios import KINDS, samples
from tests.unit.clearinghouse.world import OWNER
from tests.unit.standard_margin.bench import Bench, bench

COUNT = 8
CASH = 10**9


def check(b: Bench) -> portfolio.Margin:
    """Contract and twin agree to the unit in every view."""
    rule, perps, words = b.protocol.portfolio, b.positions(), b.words()
    dials = b.protocol.portfolio.call("stress_dials")
    risk = b.risk()._replace(im=Dials(*dials[:2]), mm=Dials(*dials[2:]))
    valued = [(m, lots, _value(b, m, lots, entry)) for m, lots, entry in perps]
    expected = portfolio.margin(CASH, valued, words, risk)
    assert b.ask(rule, "margin", CASH, perps, words) == tuple(expected[:4])
    assert b.ask(rule, "initial", CASH, perps, words) == tuple(expected[:2])
    closing = b.ask(rule, "close_out", CASH, perps, words)
    assert closing == (expected.equity, expected.maintenance, expected.maintenance, expected.penalty)
    return expected


def _value(b: Bench, market: int, lots: int, entry: int) -> int:
    """A perp's value with the funding since its price was published, money rounded down."""
    return value_down(lots, entry, b.markets[market].quote(b.now, b.protocol.spec.max_age))


def compare(kind: str, count: int, seed: int) -> int:
    """How many books of a kind were compared; each at its own prices, after a move, with tight dials."""
    tried = 0
    for sample in samples(kind, count, seed):
        rng = Random(f"{kind} {seed} {tried}")
        with bench(sample, in_slots=tried % 2 == 1) as b:
            check(b)
            b.set_prices({m: round(p * rng.uniform(0.55, 1.45)) for m, p in b.prices.items()}, b.now + 120)
            check(b)
            guardian = b.chain.accounts[8]
            b.protocol.portfolio.send(b.chain.accounts[OWNER], "set_guardian", guardian)
            rho, psi = rng.randrange(24_576, 32_769), rng.randrange(26_215)
            b.protocol.portfolio.send(guardian, "tighten", rho, psi)
            check(b)
        tried += 1
    return tried


@pytest.mark.parametrize("kind", KINDS)
def test_contract_is_the_twin(kind: str):
    assert compare(kind, COUNT, seed=1) == COUNT


if __name__ == "__main__":
    each = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for kind in KINDS:
        print(f"{kind}: {compare(kind, each, seed=7)} books, contract and twin agree to the unit")
