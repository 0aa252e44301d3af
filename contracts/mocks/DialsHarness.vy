# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title DialsHarness
@license GNU Affero General Public License v3.0 only
@notice The stress dials (margin/dials.vy) alone, owned by who deploys it, for tests.
"""

from snekmate.auth import ownable
from ..margin import dials

initializes: ownable
initializes: dials[ownable := ownable]

exports: ownable.owner
exports: dials.__interface__


@deploy
def __init__(markets: address, settings: dials.Settings):
    ownable.__init__()
    dials.__init__(markets, settings)
