# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Aggregator price feed
@license GNU Affero General Public License v3.0 only
@notice Adapter for AggregatorV3 price sources: per market one aggregator for the mark and one for the
        index, which may be the same. The payload is `abi_encode(markets)`, a `uint256[]`.
"""


from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from ..interfaces import IAggregatorV3
from ..interfaces import IPriceFeed
from ..math import units
from . import report_checks


implements: IPriceFeed
initializes: ownable
initializes: ownable_2step[ownable := ownable]


# `renounce_ownership` is left out: without an owner a retired aggregator could never be replaced.
exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
)


MAX_REPORTS: constant(uint256) = 16
# A market's price has 14 - size_decimals decimals.
MAX_PRICE_DECIMALS: public(constant(uint256)) = 14
MAX_AGGREGATOR_DECIMALS: public(constant(uint256)) = 36


struct Source:
    mark: IAggregatorV3
    index: IAggregatorV3
    # Decimals of the price in reports.
    decimals: uint256
    # Largest age of an answer, in seconds.
    heartbeat: uint256


sources: public(HashMap[uint256, Source])


event SourceChanged:
    market: indexed(uint256)
    mark: address
    index: address
    decimals: uint256
    heartbeat: uint256


@deploy
def __init__():
    """
    @notice The deployer becomes the owner.
    """
    ownable.__init__()
    ownable_2step.__init__()


@external
@view
def fetch(payload: Bytes[4096]) -> DynArray[IPriceFeed.Report, MAX_REPORTS]:
    """
    @notice The latest prices of the markets named in `payload`, published when the older of the two
            answers was.
    @param payload `abi_encode(uint256[])`.
    """
    markets: DynArray[uint256, MAX_REPORTS] = abi_decode(payload, DynArray[uint256, MAX_REPORTS])
    reports: DynArray[IPriceFeed.Report, MAX_REPORTS] = []
    seen: uint256 = 0
    for market: uint256 in markets:
        source: Source = self.sources[market]
        assert source.heartbeat > 0, "feed: unknown market"
        report: IPriceFeed.Report = IPriceFeed.Report(market=market, mark=0, index=0, published=0)
        report.mark, report.published = self._read(source.mark, source)
        report.index = report.mark
        if source.index != source.mark:
            updated: uint256 = 0
            report.index, updated = self._read(source.index, source)
            report.published = min(report.published, updated)
        seen = report_checks._admit(report, seen)
        reports.append(report)
    return reports


@external
def set_source(
    market: uint256, mark: IAggregatorV3, index: IAggregatorV3, decimals: uint256, heartbeat: uint256
):
    """
    @notice Names the aggregators of a market; owner only.
    @param market The market's id.
    @param mark Aggregator of the mark price.
    @param index Aggregator of the index price, which may be that of the mark.
    @param decimals Decimals of the price in reports, 0 to 14.
    @param heartbeat Largest age of an answer in seconds, above zero.
    """
    ownable._check_owner()
    report_checks._check_market(market)
    assert mark.address.is_contract and index.address.is_contract, "feed: not a contract"
    assert decimals <= MAX_PRICE_DECIMALS, "feed: decimals"
    assert heartbeat > 0, "feed: heartbeat"
    self.sources[market] = Source(mark=mark, index=index, decimals=decimals, heartbeat=heartbeat)
    log SourceChanged(
        market=market, mark=mark.address, index=index.address, decimals=decimals, heartbeat=heartbeat
    )


@internal
@view
def _read(aggregator: IAggregatorV3, source: Source) -> (uint256, uint256):
    """
    @return The aggregator's price in the decimals of `source`, rounded down, and its time in seconds.
    """
    round_id: uint80 = 0
    answer: int256 = 0
    started: uint256 = 0
    updated: uint256 = 0
    answered_in: uint80 = 0
    round_id, answer, started, updated, answered_in = staticcall aggregator.latestRoundData()
    assert answer > 0, "feed: answer not positive"
    assert updated > 0 and answered_in >= round_id, "feed: incomplete round"
    assert updated <= block.timestamp, "feed: published in future"
    assert block.timestamp - updated <= source.heartbeat, "feed: stale"

    # Read every time: a proxy can change the decimals of what stands behind it.
    decimals: uint256 = convert(staticcall aggregator.decimals(), uint256)
    assert decimals <= MAX_AGGREGATOR_DECIMALS, "feed: decimals"
    price: uint256 = convert(answer, uint256)
    if decimals > source.decimals:
        return price // 10 ** (decimals - source.decimals), updated
    # The cap keeps the product from overflowing and leaves what is out of bound out of bound.
    return min(price, units.MAX_PRICE + 1) * 10 ** (source.decimals - decimals), updated
