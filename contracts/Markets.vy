# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Markets
@license GNU Affero General Public License v3.0 only
@notice Terms, prices and funding of the perp markets. Prices come through an
        `IPriceFeed`; whatever the feed, this contract holds them to a publish time that
        only rises, a step per interval, a largest age, and one price per market per
        transaction. Users' trades move nothing here.
@dev State of one market: a price lane of 128 bits (mark 40 | published 32 | seconds from
     publication to the block that stored it 8 | funding index 48), a rate lane of 32
     bits (funding rate 30 | grace flag | social flag) and eight words of terms in a code
     blob shared by all markets.
"""

from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from .interfaces import IPriceFeed
from .ledger import lanes
from .margin import terms
from .math import rounding
from .math import units
from .interfaces import IMarkets

implements: IMarkets

initializes: ownable
initializes: ownable_2step[ownable := ownable]

exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
    # renounce_ownership is left out: terms must stay adjustable.
)

MAX_LAG: constant(uint256) = 240  # seconds from publication to acceptance
MAX_JUMP: constant(uint256) = 500_000  # ppm, whatever the time that passed
MAX_AGE_BOUND: constant(uint256) = 3_600
MAX_RATE: constant(int256) = 500_000_000  # 50 % per eight hours
FUNDING_SHIFT: constant(int256) = 2**120  # above |growth| / FUNDING_SCALE for any rate and time
FUNDING_LIMIT: constant(int256) = 2**47 - 1
TARGET: public(constant(uint256)) = 1_200_000  # ppm of maintenance margin that a liquidation restores
MAX_RAISE: constant(uint256) = 1_250_000  # ppm: largest raise of a maintenance rate in one change

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


struct Fees:
    maker_fee: uint256  # ppm of notional
    taker_fee: uint256
    penalty: uint256
    band: uint256  # ppm around the mark in which trades are allowed
    min_notional: uint256  # money
    oi_cap: uint256  # money
    oi_multiple: uint256  # open interest per unit of insurance
    status: uint256  # 1 open, 2 reduce-only


struct Tier:
    lower: uint256  # money; the first is 0
    imf: uint256  # ppm
    mmf: uint256  # ppm


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


event RulesSet:
    market: indexed(uint256)
    rules: Rules


event TermsSet:
    market: indexed(uint256)
    fees: Fees
    tiers: DynArray[Tier, 6]


event MaxAgeSet:
    max_age: uint256


clearinghouse: public(address)
# address of the terms blob | max age << 160
book: public(uint256)
rules: public(HashMap[uint256, Rules])
grace_until: public(HashMap[uint256, uint256])
price_lanes: public(uint256[32])  # at (market - 1) >> 1, two lanes
rate_lanes: public(uint256[8])  # at (market - 1) >> 3, eight lanes
social: public(HashMap[uint256, uint256])  # market -> longs 128 | shorts 128
market_count: public(uint256)
_terms: HashMap[uint256, uint256[8]]
_pinned: transient(HashMap[uint256, bool])


@deploy
def __init__(max_age: uint256):
    ownable.__init__()
    ownable_2step.__init__()
    self._set_max_age(max_age)


# ---------------------------------------------------------------- reads


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
def quotes(markets: uint256) -> (address, DynArray[uint256, 32]):
    """
    @notice See IMarkets. Reverts when any of the prices is stale.
    """
    packed: uint256 = self.book
    oldest: uint256 = unsafe_sub(block.timestamp, packed >> 160)
    result: DynArray[uint256, 32] = []
    left: uint256 = markets
    lane_slot: uint256 = max_value(uint256)
    rate_slot: uint256 = max_value(uint256)
    lane_word: uint256 = 0
    rate_word: uint256 = 0
    for i: uint256 in range(32):
        if left == 0:
            break
        # The body of `_price` again: an account's margin reads this once a position.
        at: uint256 = unsafe_sub(left & 255, 1)
        left >>= 8
        if lane_slot != at >> 1:
            lane_slot = at >> 1
            lane_word = self.price_lanes[lane_slot]
            if rate_slot != at >> 3:
                rate_slot = at >> 3
                rate_word = self.rate_lanes[rate_slot]
        lane: uint256 = lane_word >> ((at & 1) << 7)
        rate_lane: uint256 = rate_word >> ((at & 7) << 5)
        published: uint256 = (lane >> 40) & (2**32 - 1)
        assert published >= oldest, "price: stale"
        scaled: int256 = convert(convert(unsafe_mul(lane & units.MAX_PRICE, 100), bytes32), int256)
        # floor(mark * rate * time / FUNDING_SCALE), by an offset that keeps the dividend positive
        shorts: int256 = unsafe_sub(
            unsafe_sub(
                scaled,
                unsafe_sub(
                    unsafe_div(
                        unsafe_add(
                            unsafe_mul(
                                unsafe_mul(scaled, convert(convert(rate_lane << 226, bytes32), int256) >> 226),
                                convert(
                                    convert(
                                        unsafe_sub(block.timestamp, unsafe_add(published, (lane >> 72) & 255)),
                                        bytes32,
                                    ),
                                    int256,
                                ),
                            ),
                            FUNDING_SHIFT * units.FUNDING_SCALE,
                        ),
                        units.FUNDING_SCALE,
                    ),
                    FUNDING_SHIFT,
                ),
            ),
            convert(convert(lane << 128, bytes32), int256) >> 208,
        )
        both: uint256 = convert(convert(shorts, bytes32), uint256) & (2**96 - 1)
        if rate_lane & SOCIAL_FLAG != 0:
            charged: uint256 = self.social[unsafe_add(at, 1)]
            longs: int256 = shorts - convert(charged & (2**128 - 1), int256)
            shorts += convert(charged >> 128, int256)
            both = convert(convert(longs, bytes32), uint256) & (2**96 - 1)
            both |= convert(convert(shorts, bytes32), uint256) << 96
        else:
            both = unsafe_mul(both, 2**96 + 1)
        result.append((lane & units.MAX_PRICE) | (both << 64))
    return convert(packed & (2**160 - 1), address), result


@external
@view
def terms_of(market: uint256) -> uint256[8]:
    """
    @notice The market's eight words of terms (layout: margin/terms.vy).
    """
    return self._terms[market]


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


# ---------------------------------------------------------------- prices


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


# ---------------------------------------------------------------- owner


@external
def set_rules(market: uint256, rules: Rules):
    """
    @notice Set how a market's price may move and its funding. Owner (a timelock).
    """
    ownable._check_owner()
    assert market > 0 and market <= min(self.market_count + 1, 63), "terms: ids are consecutive"
    self._check_rules(rules)
    if market <= self.market_count:
        packed: uint256[8] = self._terms[market]
        self._check_cover(rules.step, terms._penalty(packed[0]), (packed[1] >> 88) & (2**24 - 1))
    self.rules[market] = rules
    log RulesSet(market=market, rules=rules)


@external
def set_terms(market: uint256, fees: Fees, tiers: DynArray[Tier, 6]):
    """
    @notice List a market (its rules come first) or change its terms. Owner (a timelock): a
            change is announced before it binds, and no maintenance rate rises by more than
            a quarter at once.
    """
    ownable._check_owner()
    assert self.rules[market].interval > 0, "terms: no rules yet"
    self._check_terms(fees, tiers)
    self._check_cover(self.rules[market].step, fees.penalty, tiers[0].mmf)
    packed: uint256[8] = self._pack_terms(fees, tiers)
    if market > self.market_count:
        self.market_count = market
    else:
        self._check_ramp(self._terms[market], packed)
    self._terms[market] = packed
    self._publish()
    log TermsSet(market=market, fees=fees, tiers=tiers)


@external
def set_clearinghouse(clearinghouse: address):
    """
    @notice Set once.
    """
    ownable._check_owner()
    assert self.clearinghouse == empty(address), "markets: already set"
    self.clearinghouse = clearinghouse


@external
def set_max_age(max_age: uint256):
    ownable._check_owner()
    self._set_max_age(max_age)


# ---------------------------------------------------------------- internal


@internal
def _set_max_age(max_age: uint256):
    assert max_age > 0 and max_age <= MAX_AGE_BOUND, "markets: max age out of bounds"
    self.book = (self.book & (2**160 - 1)) | (max_age << 160)
    log MaxAgeSet(max_age=max_age)


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
        if report.published - last > rules.outage:
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


@internal
@pure
def _check_rules(rules: Rules):
    assert rules.feed != empty(address), "terms: feed"
    assert rules.step > 0 and rules.step <= MAX_JUMP, "terms: step"
    assert rules.interval > 0 and rules.interval <= 3_600, "terms: interval"
    assert rules.outage >= rules.interval and rules.grace <= 86_400, "terms: outage or grace"
    assert rules.rate_cap >= 0 and rules.rate_cap <= MAX_RATE, "terms: rate cap"
    assert rules.damp >= 0 and rules.damp <= MAX_RATE, "terms: damp"
    assert abs(rules.interest) <= MAX_RATE, "terms: interest"


@internal
@pure
def _check_cover(step: uint256, penalty: uint256, mmf: uint256):
    """
    @notice After one step against it, an account that was not yet liquidatable still pays
            the penalty at the moved price: E' >= MM - step*N >= penalty*(1 + step)*N.
    """
    moved: uint256 = step + rounding._div_up(penalty * (units.PPM + step), units.PPM)
    assert mmf >= moved, "terms: mm below penalty + step"
    assert mmf * TARGET > penalty * units.PPM, "terms: target below penalty"


@internal
@pure
def _check_terms(fees: Fees, tiers: DynArray[Tier, 6]):
    """
    @notice Refuse terms under which an account could be opened next to its liquidation.
    """
    assert fees.maker_fee < 2**16 and fees.taker_fee < 2**16, "terms: fee"
    assert fees.band < units.PPM, "terms: band"
    assert fees.min_notional > 0 and fees.min_notional < 2**48, "terms: min notional"
    assert fees.oi_cap < 2**63 and fees.oi_multiple < 2**16, "terms: open interest"
    assert fees.status == terms.OPEN or fees.status == terms.REDUCE_ONLY, "terms: status"
    assert len(tiers) > 0 and tiers[0].lower == 0, "terms: first tier"
    fee: uint256 = max(fees.maker_fee, fees.taker_fee)
    assert tiers[0].mmf > fee, "terms: mm below fee"
    previous: Tier = tiers[0]
    for tier: Tier in tiers:
        # Marginal rates differ by at least penalty + fee in every tier, so the averages do.
        assert tier.imf >= tier.mmf + fees.penalty + fee, "terms: im below mm + penalty + fee"
        assert tier.imf <= units.PPM, "terms: imf"
        assert tier.imf >= previous.imf and tier.mmf >= previous.mmf, "terms: rates must rise"
        assert tier.lower >= previous.lower and tier.lower < 2**60, "terms: tier edges must rise"
        previous = tier


@internal
@pure
def _pack_terms(fees: Fees, tiers: DynArray[Tier, 6]) -> uint256[8]:
    packed: uint256[8] = empty(uint256[8])
    packed[0] = (
        fees.maker_fee
        | (fees.taker_fee << 16)
        | (fees.penalty << 32)
        | (fees.band << 56)
        | (fees.min_notional << 80)
        | (fees.oi_cap << 128)
        | (fees.oi_multiple << 192)
        | (fees.status << 208)
    )
    im_deduction: uint256 = 0
    mm_deduction: uint256 = 0
    previous: Tier = tiers[0]
    for i: uint256 in range(6):
        if i >= len(tiers):
            packed[i + 1] = terms.NO_TIER
            continue
        tier: Tier = tiers[i]
        # Rounded down, so that requirements stay rounded up and continuous to one unit.
        im_deduction += tier.lower * (tier.imf - previous.imf) // units.PPM
        mm_deduction += tier.lower * (tier.mmf - previous.mmf) // units.PPM
        packed[i + 1] = (
            tier.lower | (tier.imf << 64) | (tier.mmf << 88) | (im_deduction << 112) | (mm_deduction << 176)
        )
        previous = tier
    return packed


@internal
@pure
def _check_ramp(old: uint256[8], new: uint256[8]):
    """
    @notice The first maintenance rate bounds what a change can do to an open position.
    """
    for i: uint256 in range(1, 7):
        before: uint256 = (old[i] >> 88) & (2**24 - 1)
        after: uint256 = (new[i] >> 88) & (2**24 - 1)
        if before != 0 and after != 0:
            assert after * units.PPM <= before * MAX_RAISE, "terms: maintenance rises too fast"


@internal
def _publish():
    """
    @notice Write the terms of all markets into the code of a new contract.
    """
    words: DynArray[uint256, 576] = []
    count: uint256 = self.market_count
    for market: uint256 in range(64):
        packed: uint256 = 0
        if market > 0 and market <= count:
            first: uint256 = self._terms[market][1]
            packed = terms._front(first, self._terms[market][2])
        words.append(packed)
    for market: uint256 in range(1, count + 1, bound=63):
        packed: uint256[8] = self._terms[market]
        for word: uint256 in packed:
            words.append(word)
    code: Bytes[18497] = concat(b"\x00", abi_encode(words))
    # Init code: return everything behind its own ten bytes.
    blob: address = raw_create(
        concat(x"61", convert(convert(len(code), uint16), bytes2), x"80600a3d393df3", code)
    )
    self.book = (self.book & ~convert(max_value(uint160), uint256)) | convert(blob, uint256)
