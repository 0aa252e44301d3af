# pragma version 0.4.3
"""
@title Report checks
@license GNU Affero General Public License v3.0 only
@notice What every feed refuses, whoever vouches for the price.
"""


from ..interfaces import IPriceFeed
from ..math import units


@internal
@view
def _admit(report: IPriceFeed.Report, seen: uint256) -> uint256:
    """
    @notice Checks one report.
    @param seen The set of markets already reported in the payload (bit i: market i).
    @return `seen` with the market of this report added.
    """
    self._check_market(report.market)
    assert seen & (1 << report.market) == 0, "feed: duplicate market"
    assert report.published <= block.timestamp, "feed: published in future"
    self._check_price(report.mark)
    self._check_price(report.index)
    return seen | (1 << report.market)


@internal
@pure
def _check_market(market: uint256):
    assert 0 < market and market < units.MAX_MARKETS, "feed: market id"


@internal
@pure
def _check_price(price: uint256):
    assert price > 0, "feed: zero price"
    assert price <= units.MAX_PRICE, "feed: price bound"
