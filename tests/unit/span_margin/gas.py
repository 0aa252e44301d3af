"""Gas of margin checks under the three rules, cold state, without a transaction's own cost.

python -m tests.unit.span_margin.gas
"""

from __future__ import annotations

from random import Random

from margincall.model.accounts import pack_header
from margincall.model.book import unpack
from margincall.model.instrument import CALL, MAX_CODE, PUT
from tests.fuzz.portfolios import Maker, Sample
from tests.unit.span_margin.arrays import Span
from tests.unit.standard_margin.bench import Bench, new_protocol

BOOKS = ((16, 1), (64, 1), (127, 1), (124, 4))  # options, expiries
BATCH = 32  # arrays a transaction


def book(options: int, expiries: int) -> Sample:
    """Calls and puts around the money of one underlying, bought and sold in turn."""
    maker = Maker(Random(5), days=tuple(range(7, 7 + expiries)))
    market = maker.market()
    for expiry in maker.expiries:
        count = options // expiries
        middle = maker.strike(market, 0)
        for i in range(count):
            strike = middle + (i - count // 2) * maker.steps[market]
            maker.option(market, expiry, strike, (i + 1) * (-1) ** (i // 2), (CALL, PUT)[i % 2])
    return maker.done("gas")


def arrays(rule: Span, words: list[int]) -> int:
    """Make the arrays of a book anew; the gas of it."""
    gas = 0
    for segment in unpack(words):
        codes = sorted({name & MAX_CODE for name, _ in segment.lanes})
        strikes = [rule.bench.book.strike(segment.market, code) for code in codes]
        for first in range(0, len(strikes), BATCH):
            batch = strikes[first : first + BATCH]
            gas += rule.refresh(segment.market, segment.expiry, batch).gas_used
    return gas


def measure(options: int, expiries: int) -> dict[str, int]:
    """Gas of `margin` by rule, of the arrays when new and of making them again after the price moved."""
    bench = Bench(new_protocol(exact_gas=True), book(options, expiries))
    rule, words = Span(bench), bench.words()
    header = pack_header(10**12, 0, 0) | len(words) << 144
    first = arrays(rule, words)

    def check(contract) -> int:
        return bench.chain.view_gas(contract.address, contract.encode("margin", header, words))

    made = bench.protocol
    found = {"portfolio": check(made.portfolio), "standard": check(made.standard)}
    found |= {"span": check(rule.contract), "arrays, new": first}
    bench.set_prices({m: price * 102 // 100 for m, price in bench.prices.items()}, bench.now + 60)
    return found | {"arrays, again": arrays(rule, words), "portfolio again": check(made.portfolio)}


if __name__ == "__main__":
    for options, expiries in BOOKS:
        found = ", ".join(f"{name} {gas:,}" for name, gas in measure(options, expiries).items())
        print(f"{options} options in {expiries} expiries: {found}")
