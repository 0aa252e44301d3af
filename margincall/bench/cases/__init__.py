"""What is measured. A case is a function that deploys a protocol on a meter's chain and takes readings; it
is run twice, on the embedded EVM and on Anvil, and must do the same on both."""

from __future__ import annotations

from collections.abc import Callable

from margincall.bench.cases import checks, keepers, liquidations, money, options, perps
from margincall.bench.meter import Meter

CASES: dict[str, Callable[[Meter], None]] = {
    "money": money.cash,
    "money, portfolio": money.portfolio,
    "money, standard": money.standard,
    "money, span": money.span,
    "perps, cross": perps.cross,
    "perps, batches": perps.batches,
    "perps, isolated": perps.isolated,
    "perps, portfolio": perps.portfolio,
    "options, portfolio": options.portfolio,
    "options, standard": options.standard,
    "options, span": options.span,
    "liquidations, perps": liquidations.cross,
    "liquidations, portfolio": liquidations.portfolio,
    "liquidations, standard": liquidations.standard,
    "liquidations, largest": liquidations.largest,
    "liquidations, span": liquidations.span,
    "prices": keepers.prices,
    "curves": keepers.curves,
    "risk arrays": keepers.arrays,
    "settlement": keepers.settlement,
    "checks, perps": checks.cross,
    "checks, books": checks.books,
    "checks, span": checks.spans,
}
