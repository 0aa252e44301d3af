"""What is measured. A case is a function that deploys a protocol on a meter's chain and takes readings; it
is run twice, on the embedded EVM and on Anvil, and must do the same on both."""

from __future__ import annotations

from collections.abc import Callable

from margincall.bench.cases import checks
from margincall.bench.meter import Meter

CASES: dict[str, Callable[[Meter], None]] = {
    "checks, perps": checks.cross,
    "checks, books": checks.books,
}
