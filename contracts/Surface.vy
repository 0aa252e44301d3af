# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Surface
@license GNU Affero General Public License v3.0 only
@notice Volatility per market and expiry: an at-the-money level and a smile that a feed vouches for.
        Whatever the feed, smiles are held to a publish time that only rises, a step in proportion to
        the time that passed, bounds, a largest age, and freedom from arbitrage: between strikes
        (options/smile.vy) and, at the money, between expiries.
@dev Calendar: the live expiries of a market are tracked as 16 day numbers in one word, so a report
     costs that word and its two neighbours (stale ones are passed over, at most 15 reads). Total
     variance atm**2 * T at the money may not fall with expiry. It is checked once a whole payload is
     stored, so that a surface that moves as one is posted as one payload. What holds at posting holds
     until the nearer expiry: both variances are linear in time, and at that expiry the nearer is zero.
"""

from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from .interfaces import ISurface
from .interfaces import IVolFeed
from .math import units
from .options import smile

implements: ISurface
initializes: ownable
initializes: ownable_2step[ownable := ownable]

# renounce_ownership is left out: a market's feed must stay replaceable.
exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
)

DAY: constant(uint256) = 86_400
HOUR_OF_EXPIRY: constant(uint256) = 28_800  # 08:00 UTC
MAX_TERM: public(constant(uint256)) = 401 * DAY
MAX_EXPIRIES: public(constant(uint256)) = 16  # tracked per market
MAX_LAG: public(constant(uint256)) = 240  # seconds from publication to acceptance
MAX_JUMP: public(constant(uint256)) = 500_000  # ppm, whatever the time that passed
MIN_ATM: public(constant(uint256)) = 50_000  # ppm a year
MAX_ATM: public(constant(uint256)) = 4_000_000
MAX_AGE: public(constant(uint256)) = 6 * 3_600
MAX_INTERVAL: public(constant(uint256)) = 86_400
MAX_SKEW: public(constant(int256)) = 10_000_000
MAX_CURVATURE: public(constant(uint256)) = 100_000_000


struct Rules:
    feed: address
    lower: uint256  # bounds of atm, ppm a year
    upper: uint256
    step: uint256  # ppm that atm may move per interval, in proportion to the time that passed
    interval: uint256  # seconds
    max_age: uint256  # seconds


event RulesSet:
    market: indexed(uint256)
    rules: Rules


event VolUpdated:
    market: indexed(uint256)
    expiry: indexed(uint256)
    atm: uint256
    skew: int256
    curvature: uint256
    published: uint256


rules: public(HashMap[uint256, Rules])
# market | expiry << 16 -> atm 32 | published 32 | skew int64 | curvature 64; 0 is none
words: public(HashMap[uint256, uint256])
# market -> day numbers of the tracked expiries, 16 bits each, ascending from the low end
expiries: public(HashMap[uint256, uint256])


@deploy
def __init__():
    ownable.__init__()
    ownable_2step.__init__()


@external
@view
def vol(market: uint256, expiry: uint256) -> (uint256, int256, uint256, uint256):
    """
    @notice See ISurface. Reverts "vol: none", also once expired, and "vol: stale".
    """
    word: uint256 = self.words[self._key(market, expiry)]
    assert word != 0 and block.timestamp < expiry, "vol: none"
    assert self._is_fresh(word, self.rules[market].max_age), "vol: stale"
    skew: int256 = convert(convert(word << 128, bytes32), int256) >> 192
    return self._atm(word), skew, word >> 128, self._published(word)


@external
def set_rules(market: uint256, rules: Rules):
    """
    @notice Sets who may vouch for a market's volatility and how it may move. Owner (a timelock).
    """
    ownable._check_owner()
    assert 0 < market and market < units.MAX_MARKETS, "vol: market id"
    assert rules.feed != empty(address), "vol: zero feed"
    assert MIN_ATM <= rules.lower and rules.lower < rules.upper and rules.upper <= MAX_ATM, "vol: bounds"
    assert 0 < rules.step and rules.step <= MAX_JUMP, "vol: step bound"
    assert 0 < rules.interval and rules.interval <= MAX_INTERVAL, "vol: interval bound"
    assert 0 < rules.max_age and rules.max_age <= MAX_AGE, "vol: max age bound"
    self.rules[market] = rules
    log RulesSet(market=market, rules=rules)


@external
def update_vols(feed: address, payload: Bytes[4096]):
    """
    @notice Stores new smiles, all or none. Anyone may call; the feed verifies, the rules bound.
    @param feed An `IVolFeed`; must be the feed of every market that it reports.
    """
    reports: DynArray[IVolFeed.VolReport, 16] = staticcall IVolFeed(feed).fetch_vols(payload)
    for report: IVolFeed.VolReport in reports:
        self._update(feed, report)
    for report: IVolFeed.VolReport in reports:
        self._check_calendar(report)


@internal
def _update(feed: address, report: IVolFeed.VolReport):
    rules: Rules = self.rules[report.market]
    assert rules.feed == feed and feed != empty(address), "vol: not this market's feed"
    assert report.expiry % DAY == HOUR_OF_EXPIRY, "vol: expiry off the grid"
    assert report.expiry > block.timestamp, "vol: expired"
    remaining: uint256 = report.expiry - block.timestamp
    assert remaining <= MAX_TERM, "vol: expiry too far"
    assert report.published <= block.timestamp, "vol: from the future"
    assert block.timestamp - report.published <= MAX_LAG, "vol: report too old"
    assert rules.lower <= report.atm and report.atm <= rules.upper, "vol: atm out of bounds"
    assert abs(report.skew) <= MAX_SKEW, "vol: skew out of bounds"
    assert report.curvature <= MAX_CURVATURE, "vol: curvature out of bounds"

    key: uint256 = self._key(report.market, report.expiry)
    word: uint256 = self.words[key]
    if word == 0:
        self._track(report.market, report.expiry // DAY)
    else:
        assert report.published > self._published(word), "vol: not newer"
        elapsed: uint256 = report.published - self._published(word)
        limit: uint256 = min(rules.step * elapsed // rules.interval, MAX_JUMP)
        old: uint256 = self._atm(word)
        move: uint256 = max(old, report.atm) - min(old, report.atm)
        assert move * units.PPM <= old * limit, "vol: step too large"
    # The largest deviation that contracts/Pricing.vy values.
    root: uint256 = isqrt((remaining << 128) // smile.YEAR)
    assert root * report.atm * 13 // 10**7 < 10 * 2**64 // 3, "vol: too high"
    smile._check(report.atm, report.skew, report.curvature, remaining)
    self.words[key] = (
        report.atm
        | (report.published << 32)
        | ((convert(convert(report.skew, bytes32), uint256) & (2**64 - 1)) << 64)
        | (report.curvature << 128)
    )
    log VolUpdated(
        market=report.market,
        expiry=report.expiry,
        atm=report.atm,
        skew=report.skew,
        curvature=report.curvature,
        published=report.published,
    )


@internal
def _track(market: uint256, day: uint256):
    """
    @notice Adds a new expiry to the market's tracked ones and drops those that are over.
    """
    tracked: uint256 = self.expiries[market]
    kept: uint256 = 0
    count: uint256 = 0
    placed: bool = False
    for i: uint256 in range(MAX_EXPIRIES + 1):
        lane: uint256 = tracked & (2**16 - 1)
        tracked >>= 16
        if not placed and (lane == 0 or lane > day):
            kept |= day << (16 * count)
            count += 1
            placed = True
        if lane == 0:
            break
        if lane * DAY + HOUR_OF_EXPIRY > block.timestamp:
            assert count < MAX_EXPIRIES, "vol: too many expiries"
            kept |= lane << (16 * count)
            count += 1
    assert count <= MAX_EXPIRIES, "vol: too many expiries"
    self.expiries[market] = kept


@internal
@view
def _check_calendar(report: IVolFeed.VolReport):
    """
    @notice Total variance at the money does not fall from the last fresh expiry before this one to
            this one, nor from this one to the next fresh one.
    """
    max_age: uint256 = self.rules[report.market].max_age
    tracked: uint256 = self.expiries[report.market]
    # A payload may name an expiry twice: what is stored counts.
    own: uint256 = self._variance(self.words[self._key(report.market, report.expiry)], report.expiry)
    before: uint256 = 0
    for i: uint256 in range(MAX_EXPIRIES):
        lane: uint256 = (tracked >> (16 * i)) & (2**16 - 1)
        if lane == 0:
            break
        expiry: uint256 = lane * DAY + HOUR_OF_EXPIRY
        if expiry < report.expiry:
            before = i + 1
        elif expiry > report.expiry:
            word: uint256 = self.words[self._key(report.market, expiry)]
            if self._is_fresh(word, max_age):
                assert own <= self._variance(word, expiry), "vol: calendar"
                break
    for i: uint256 in range(MAX_EXPIRIES):
        if i >= before:
            break
        expiry: uint256 = ((tracked >> (16 * (before - 1 - i))) & (2**16 - 1)) * DAY + HOUR_OF_EXPIRY
        if expiry <= block.timestamp:
            break
        word: uint256 = self.words[self._key(report.market, expiry)]
        if self._is_fresh(word, max_age):
            assert self._variance(word, expiry) <= own, "vol: calendar"
            break


@internal
@view
def _variance(word: uint256, expiry: uint256) -> uint256:
    """
    @return atm**2 * seconds to expiry
    """
    atm: uint256 = self._atm(word)
    return atm * atm * (expiry - block.timestamp)


@internal
@view
def _is_fresh(word: uint256, max_age: uint256) -> bool:
    return block.timestamp <= self._published(word) + max_age


@internal
@pure
def _key(market: uint256, expiry: uint256) -> uint256:
    return market | (expiry << 16)


@internal
@pure
def _atm(word: uint256) -> uint256:
    return word & (2**32 - 1)


@internal
@pure
def _published(word: uint256) -> uint256:
    return (word >> 32) & (2**32 - 1)

