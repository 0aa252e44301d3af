# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title CurvesHarness
@license GNU Affero General Public License v3.0 only
@notice The value curves alone, and a surface that says whatever it is told: for tests.
"""

from snekmate.auth import ownable

from ..interfaces import ISurface
from ..options import curves

implements: ISurface

initializes: ownable
initializes: curves[ownable := ownable]

exports: (
    ownable.transfer_ownership,
    curves.curve,
    curves.curve_setup,
    curves.set_curves,
    curves.refresh,
)

_vols: HashMap[uint256, HashMap[uint256, uint256[3]]]


@deploy
def __init__(pricing: address):
    ownable.__init__()
    curves.__init__(pricing)


@external
def publish(market: uint256, expiry: uint256, atm: uint256, skew: int256, curvature: uint256):
    """
    @notice Say what `vol` returns.
    """
    self._vols[market][expiry] = [atm, convert(convert(skew, bytes32), uint256), curvature]


@external
@view
@reentrant
def vol(market: uint256, expiry: uint256) -> (uint256, int256, uint256, uint256):
    """
    @notice What was published, at the present time.
    """
    said: uint256[3] = self._vols[market][expiry]
    assert said[0] != 0, "vol: none"
    return said[0], convert(convert(said[1], bytes32), int256), said[2], block.timestamp


@external
@view
def blob(market: uint256, expiry: uint256) -> Bytes[1152]:
    """
    @notice The sheet of a curve that may be used now.
    """
    return curves._blob(curves._usable(market, expiry), market, expiry)


@external
@view
def err(market: uint256, expiry: uint256) -> uint256:
    """
    @notice The error bound of the curve, 2**-28 of the spot.
    """
    return curves._err(curves._curves[market][expiry])
