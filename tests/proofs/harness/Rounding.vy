# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Rounding
@license GNU Affero General Public License v3.0 only
@notice What halmos proves of math/rounding.vy on its bytecode, for the divisors that the contracts divide by
        where a solver decides it. Any divisor: tests/lemmas, over the integers.
"""

from contracts.math import rounding
from contracts.math import units


@external
@pure
def check_floor_div_of_a_power_of_two_is_a_shift(x: int256):
    self._hold(rounding._floor_div(x, 2**28) == x >> 28)


@external
@pure
def check_ceil_div_of_a_power_of_two_is_a_shift(x: int256):
    assert x <= max_value(int256) - 2**28
    self._hold(rounding._ceil_div(x, 2**28) == (x + (2**28 - 1)) >> 28)


@external
@pure
def check_div_up_of_a_power_of_two_is_a_shift(x: uint256):
    assert x <= max_value(uint256) - 2**28
    self._hold(rounding._div_up(x, 2**28) == (x + (2**28 - 1)) >> 28)


@internal
@pure
def _hold(condition: bool):
    if not condition:
        raw_revert(concat(method_id("Panic(uint256)"), convert(1, bytes32)))
