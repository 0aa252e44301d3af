# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title judge
@license GNU Affero General Public License v3.0 only
@notice The rules that a posted state must meet, whatever the margin rule of its mode.
"""

from ..access import gate
from ..interfaces import IRiskEngine
from ..ledger import lanes
from ..math import rounding
from ..math import units

uses: gate


@internal
@view
def _margin(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256, uint256, uint256):
    """
    @return equity, initial margin, maintenance margin, gross notional
    """
    if lanes._is_flat(header):
        return lanes._cash(header), 0, 0, 0
    return staticcall IRiskEngine(gate._engine(lanes._rule(header))).margin(header, words)


@internal
@view
def _health(header: uint256, words: DynArray[uint256, 64]) -> int256:
    """
    @return equity minus maintenance margin
    """
    equity: int256 = 0
    initial: uint256 = 0
    maintenance: uint256 = 0
    notional: uint256 = 0
    equity, initial, maintenance, notional = self._margin(header, words)
    return equity - convert(maintenance, int256)


@internal
@view
def _initial(header: uint256, words: DynArray[uint256, 64]) -> (int256, uint256):
    """
    @return equity, initial margin
    """
    if lanes._is_flat(header):
        return lanes._cash(header), 0
    return staticcall IRiskEngine(gate._engine(lanes._rule(header))).initial(header, words)


@internal
@view
def _check_initial(header: uint256, words: DynArray[uint256, 64]):
    equity: int256 = 0
    initial: uint256 = 0
    equity, initial = self._initial(header, words)
    assert equity >= convert(initial, int256), "margin: below initial"


@internal
@view
def _check_withdrawal(header: uint256, words: DynArray[uint256, 64]):
    """
    @notice Unrealised profit stays, and so does the larger of initial and transfer margin.
    """
    assert lanes._cash(header) >= 0, "margin: not enough cash"
    equity: int256 = 0
    initial: uint256 = 0
    maintenance: uint256 = 0
    notional: uint256 = 0
    equity, initial, maintenance, notional = self._margin(header, words)
    required: uint256 = max(initial, rounding._div_up(notional * gate._transfer_rate(), units.PPM))
    assert equity >= convert(required, int256), "margin: below transfer margin"


@internal
@view
def _check_reduced(
    old_header: uint256, old_words: DynArray[uint256, 64], header: uint256, words: DynArray[uint256, 64]
):
    """
    @notice Risk was not added: initial margin is enough. Below it a reduction may not cost
            a larger share of equity than it frees of maintenance, or an account could hand
            what stands behind its losses to a friend, at the edge of the band; where
            nothing is left, only liquidation reduces. A flat account owes nothing.
    """
    if lanes._is_flat(header):
        assert lanes._cash(header) >= 0, "margin: loss exceeds cash"
        return
    equity: int256 = 0
    initial: uint256 = 0
    equity, initial = self._initial(header, words)
    if equity >= convert(initial, int256):
        return
    maintenance: uint256 = 0
    notional: uint256 = 0
    equity, initial, maintenance, notional = self._margin(header, words)
    old_equity: int256 = 0
    old_maintenance: uint256 = 0
    old_equity, initial, old_maintenance, notional = self._margin(old_header, old_words)
    assert old_equity > 0, "margin: insolvent"
    kept: int256 = equity * convert(old_maintenance, int256)
    assert kept >= old_equity * convert(maintenance, int256), "margin: health falls"
