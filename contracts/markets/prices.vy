# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title prices
@license GNU Affero General Public License v3.0 only
@notice Prices and funding of the markets. Prices come through an `IPriceFeed`; whatever
        the feed, they are held to a publish time that only rises, a step per interval, a
        largest age, and one price per market per transaction. Users' trades move nothing.
@dev State of one market: a price lane of 128 bits (mark 40 | published 32 | seconds from
     publication to the block that stored it 8 | funding index 48) and a rate lane of 32
     bits (funding rate 30 | grace flag | social flag).
"""

from ..interfaces import IMarkets
from ..interfaces import IPriceFeed
from ..ledger import lanes
from ..margin import terms
from ..math import rounding
from ..math import units

MAX_LAG: constant(uint256) = 240  # seconds from publication to acceptance
MAX_JUMP: constant(uint256) = 500_000  # ppm, whatever the time that passed
FUNDING_SHIFT: constant(int256) = 2**120  # above |growth| / FUNDING_SCALE for any rate and time
FUNDING_LIMIT: constant(int256) = 2**47 - 1

GRACE_FLAG: constant(uint256) = 1 << 30
SOCIAL_FLAG: constant(uint256) = 1 << 31


struct Rules:
    feed: address
    step: uint256  # ppm a market's price may move per interval
    interval: uint256  # seconds
    outage: uint256  # a longer silence than this is an outage
    grace: uint256  # seconds without liquidation after an outage
    interest: int256  # 1e-9 per eight hours, like the three below
    damp: int256
    rate_cap: int256


event PriceUpdated:
    market: indexed(uint256)
    mark: uint256
    index: uint256
    published: uint256
    funding: int256
    rate: int256


event Charged:
    market: indexed(uint256)
    longs: bool
    amount: uint256
    increment: uint256


clearinghouse: public(address)
# address of the terms blob | max age << 160
book: public(uint256)
rules: public(HashMap[uint256, Rules])
grace_until: public(HashMap[uint256, uint256])
price_lanes: public(uint256[32])  # at (market - 1) >> 1, two lanes
rate_lanes: public(uint256[8])  # at (market - 1) >> 3, eight lanes
social: public(HashMap[uint256, uint256])  # market -> longs 128 | shorts 128
_pinned: transient(HashMap[uint256, bool])


@external
def pin(market: uint256) -> IMarkets.Pin:
    """
    @notice See IMarkets. Anyone may pin: it binds his own transaction only.
    """
    self._pinned[market] = True
    return self._pin(market)


@external
@view
def quote(market: uint256) -> IMarkets.Pin:
    """
    @notice See IMarkets.
    """
    return self._pin(market)


@external
@view
def last_price(market: uint256) -> (uint256, uint256, uint256, int256, int256):
    """
    @notice The stored price, stale or not.
    @return mark, published, accrued at, funding index then, funding rate
    """
    lane: uint256 = self._price_lane(market)
    published: uint256 = (lane >> 40) & (2**32 - 1)
    return (
        lane & units.MAX_PRICE,
        published,
        published + ((lane >> 72) & 255),
        self._funding(lane),
        self._rate(self._rate_lane(market)),
    )


@external
def update_prices(feed: address, payload: Bytes[4096]):
    """
    @notice Store new prices. Anyone may call; the feed verifies, the rules bound.
    @param feed An `IPriceFeed`; must be the feed of every market that it reports.
    """
    reports: DynArray[IPriceFeed.Report, 16] = staticcall IPriceFeed(feed).fetch(payload)
    for report: IPriceFeed.Report in reports:
        self._update(feed, report)


@external
def charge(market: uint256, longs: bool, amount: uint256, open_interest: uint256):
    """
    @notice Charge a deficit to one side of a market, by size: the side's index rises so
            that its holders owe at least `amount` together. Only the clearinghouse.
    @param amount money; rounded against the holders
    @param open_interest lots of the side
    """
    assert msg.sender == self.clearinghouse, "markets: not clearinghouse"
    increment: uint256 = rounding._div_up(amount * convert(units.INDEX_SCALE, uint256), open_interest)
    charged: uint256 = self.social[market]
    if longs:
        charged += increment
    else:
        charged += increment << 128
    self.social[market] = charged
    self.rate_lanes[(market - 1) >> 3] |= SOCIAL_FLAG << (((market - 1) & 7) * 32)
    log Charged(market=market, longs=longs, amount=amount, increment=increment)


@internal
@view
def _price_lane(market: uint256) -> uint256:
    return lanes._lane(self.price_lanes[(market - 1) >> 1], market - 1)


@internal
@view
def _rate_lane(market: uint256) -> uint256:
    return (self.rate_lanes[(market - 1) >> 3] >> (((market - 1) & 7) * 32)) & (2**32 - 1)


@internal
@pure
def _funding(lane: uint256) -> int256:
    return lanes._signed(lane << 128) >> 208


@internal
@pure
def _rate(rate_lane: uint256) -> int256:
    return lanes._signed(rate_lane << 226) >> 226


@internal
@view
def _funding_now(lane: uint256, rate_lane: uint256) -> int256:
    """
    @notice The funding index at this second: it grows continuously at the rate in force,
            so it does not matter who touches the market when.
    """
    accrued_at: uint256 = unsafe_add((lane >> 40) & (2**32 - 1), (lane >> 72) & 255)
    elapsed: int256 = convert(unsafe_sub(block.timestamp, accrued_at), int256)
    rate: int256 = convert(convert(rate_lane << 226, bytes32), int256) >> 226
    growth: int256 = unsafe_mul(
        convert(unsafe_mul(lane & units.MAX_PRICE, 100), int256), unsafe_mul(rate, elapsed)
    )
    funding: int256 = convert(convert(lane << 128, bytes32), int256) >> 208
    return unsafe_add(funding, rounding._floor_div(growth, units.FUNDING_SCALE))


@internal
@view
def _price(market: uint256, max_age: uint256) -> (uint256, int256, uint256):
    """
    @return mark, funding index now, rate lane with its flags
    """
    lane: uint256 = self._price_lane(market)
    mark: uint256 = lane & units.MAX_PRICE
    assert mark != 0, "price: none"
    assert block.timestamp <= unsafe_add((lane >> 40) & (2**32 - 1), max_age), "price: stale"
    rate_lane: uint256 = self._rate_lane(market)
    return mark, self._funding_now(lane, rate_lane), rate_lane


@internal
@view
def _pin(market: uint256) -> IMarkets.Pin:
    assert market > 0 and market <= 63, "markets: id out of range"
    packed: uint256 = self.book
    mark: uint256 = 0
    funding: int256 = 0
    flags: uint256 = 0
    mark, funding, flags = self._price(market, packed >> 160)
    social: uint256 = 0
    if flags & SOCIAL_FLAG != 0:
        social = self.social[market]
    word: Bytes[32] = slice(
        convert(packed & (2**160 - 1), address).code, terms._offset(market), 32
    )
    return IMarkets.Pin(
        terms=convert(word, uint256),
        mark=mark,
        funding=funding,
        social_long=social & (2**128 - 1),
        social_short=social >> 128,
        grace=flags & GRACE_FLAG != 0 and block.timestamp < self.grace_until[market],
    )


@internal
def _update(feed: address, report: IPriceFeed.Report):
    market: uint256 = report.market
    rules: Rules = self.rules[market]
    assert rules.feed == feed and feed != empty(address), "price: not this market's feed"
    assert not self._pinned[market], "price: second in transaction"
    self._pinned[market] = True
    assert report.mark > 0 and report.mark <= units.MAX_PRICE, "price: mark out of range"
    assert report.index > 0 and report.index <= units.MAX_PRICE, "price: index out of range"
    assert report.published <= block.timestamp, "price: from the future"
    assert block.timestamp - report.published <= MAX_LAG, "price: report too old"

    lane: uint256 = self._price_lane(market)
    rate_lane: uint256 = self._rate_lane(market)
    last: uint256 = (lane >> 40) & (2**32 - 1)
    flags: uint256 = rate_lane & (GRACE_FLAG | SOCIAL_FLAG)
    funding: int256 = 0
    if last != 0:
        assert report.published > last, "price: not newer"
        self._check_step(lane & units.MAX_PRICE, report.mark, report.published - last, rules)
        funding = min(max(self._funding_now(lane, rate_lane), -FUNDING_LIMIT), FUNDING_LIMIT)
        # Whoever could not act, because the price was too old, gets his grace.
        if report.published - last > min(rules.outage, self.book >> 160):
            self.grace_until[market] = block.timestamp + rules.grace
            flags |= GRACE_FLAG
        elif flags & GRACE_FLAG != 0 and block.timestamp >= self.grace_until[market]:
            flags &= SOCIAL_FLAG
    rate: int256 = self._rate_from_premium(report.mark, report.index, rules)
    lane = (
        report.mark
        | (report.published << 40)
        | ((block.timestamp - report.published) << 72)
        | ((lanes._bits(funding) & (2**48 - 1)) << 80)
    )
    offset: uint256 = ((market - 1) & 1) * lanes.LANE_BITS
    slot: uint256 = (market - 1) >> 1
    self.price_lanes[slot] = (self.price_lanes[slot] & ~(lanes.LANE_MASK << offset)) | (lane << offset)
    offset = ((market - 1) & 7) * 32
    rate_lane = (lanes._bits(rate) & (2**30 - 1)) | flags
    slot = (market - 1) >> 3
    self.rate_lanes[slot] = (self.rate_lanes[slot] & ~((2**32 - 1) << offset)) | (rate_lane << offset)
    log PriceUpdated(
        market=market,
        mark=report.mark,
        index=report.index,
        published=report.published,
        funding=funding,
        rate=rate,
    )


@internal
@pure
def _check_step(old: uint256, new: uint256, elapsed: uint256, rules: Rules):
    """
    @notice A price may move `step` per interval that passed, at least one step, and
            never more than MAX_JUMP.
    """
    limit: uint256 = min(rules.step * max(elapsed // rules.interval, 1), MAX_JUMP)
    move: uint256 = max(old, new) - min(old, new)
    assert move * units.PPM <= old * limit, "price: step too large"


@internal
@pure
def _rate_from_premium(mark: uint256, index: uint256, rules: Rules) -> int256:
    """
    @notice rate = clamp(premium + clamp(interest - premium, damp), cap), the formula of
            the large perp venues; premium = (mark - index) / index.
    """
    premium: int256 = rounding._floor_div(
        (convert(mark, int256) - convert(index, int256)) * 10**9, convert(index, int256)
    )
    rate: int256 = premium + min(max(rules.interest - premium, -rules.damp), rules.damp)
    return min(max(rate, -rules.rate_cap), rules.rate_cap)
