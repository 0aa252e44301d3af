# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title listing
@license GNU Affero General Public License v3.0 only
@notice Terms of the markets: what the owner may set, its bounds, and the code blob that
        carries them (layout: margin/terms.vy).
"""

from snekmate.auth import ownable
from . import prices
from ..margin import terms
from ..math import rounding
from ..math import units

uses: ownable
uses: prices

MAX_AGE_BOUND: constant(uint256) = 3_600
MAX_RATE: constant(int256) = 500_000_000  # 50 % per eight hours
TARGET: constant(uint256) = 1_200_000  # ppm of maintenance margin that a liquidation restores
MAX_RAISE: constant(uint256) = 1_250_000  # ppm: largest raise of a maintenance rate in one change


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


event RulesSet:
    market: indexed(uint256)
    rules: prices.Rules


event TermsSet:
    market: indexed(uint256)
    fees: Fees
    tiers: DynArray[Tier, 6]


event MaxAgeSet:
    max_age: uint256


market_count: public(uint256)
_terms: HashMap[uint256, uint256[8]]


@external
@view
def terms_of(market: uint256) -> uint256[8]:
    """
    @notice The market's eight words of terms (layout: margin/terms.vy).
    """
    return self._terms[market]


@external
def set_rules(market: uint256, rules: prices.Rules):
    """
    @notice Set how a market's price may move and its funding. Owner (a timelock).
    """
    ownable._check_owner()
    assert market > 0 and market <= min(self.market_count + 1, 63), "terms: ids are consecutive"
    self._check_rules(rules)
    if market <= self.market_count:
        packed: uint256[8] = self._terms[market]
        self._check_cover(rules.step, terms._penalty(packed[0]), (packed[1] >> 88) & (2**24 - 1))
    prices.rules[market] = rules
    log RulesSet(market=market, rules=rules)


@external
def set_terms(market: uint256, fees: Fees, tiers: DynArray[Tier, 6]):
    """
    @notice List a market (its rules come first) or change its terms. Owner (a timelock): a
            change is announced before it binds, and no maintenance rate rises by more than
            a quarter at once.
    """
    ownable._check_owner()
    assert prices.rules[market].interval > 0, "terms: no rules yet"
    self._check_terms(fees, tiers)
    self._check_cover(prices.rules[market].step, fees.penalty, tiers[0].mmf)
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
    assert prices.clearinghouse == empty(address), "markets: already set"
    prices.clearinghouse = clearinghouse


@external
def set_max_age(max_age: uint256):
    ownable._check_owner()
    self._set_max_age(max_age)


@internal
def _set_max_age(max_age: uint256):
    assert max_age > 0 and max_age <= MAX_AGE_BOUND, "markets: max age out of bounds"
    prices.book = (prices.book & (2**160 - 1)) | (max_age << 160)
    log MaxAgeSet(max_age=max_age)


@internal
@pure
def _check_rules(rules: prices.Rules):
    assert rules.feed != empty(address), "terms: feed"
    assert rules.step > 0 and rules.step <= prices.MAX_JUMP, "terms: step"
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
    @notice At no notional may maintenance margin rise by more than a quarter. Both are
            piecewise linear, so the edges of both decide, and a notional beyond all.
    """
    notionals: DynArray[uint256, 16] = [2**60]
    for i: uint256 in range(1, 7):
        notionals.append(old[i] & (2**64 - 1))
        notionals.append(new[i] & (2**64 - 1))
    for notional: uint256 in notionals:
        if notional != 0 and notional != terms.NO_TIER:
            limit: uint256 = self._maintenance_at(old, notional) * MAX_RAISE // units.PPM
            # One unit more: deductions are rounded.
            assert self._maintenance_at(new, notional) <= limit + units.PPM, "terms: maintenance rises too fast"


@internal
@pure
def _maintenance_at(packed: uint256[8], notional: uint256) -> uint256:
    """
    @return Maintenance margin at a notional (money), times a million
    """
    tier: uint256 = packed[1]
    for i: uint256 in range(2, 7):
        if packed[i] & (2**64 - 1) <= notional:
            tier = packed[i]
    return notional * ((tier >> 88) & (2**24 - 1)) - (tier >> 176) * units.PPM


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
    prices.book = (prices.book & ~convert(max_value(uint160), uint256)) | convert(blob, uint256)
