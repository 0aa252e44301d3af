# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Terms
@license GNU Affero General Public License v3.0 only
@notice What halmos proves of the markets' terms and of who may set what there, on the modules' bytecode: the
        bounds that listing asserts are enough for the packed layout. The caller of an outer call is this
        contract.
"""

from snekmate.auth import ownable
from contracts.margin import terms
from contracts.markets import listing
from contracts.markets import prices

initializes: ownable
initializes: prices
initializes: listing[ownable := ownable, prices := prices]

exports: (listing.set_clearinghouse, listing.set_max_age)


@deploy
def __init__():
    ownable.__init__()
    listing._set_max_age(600)


@external
@pure
def check_accepted_fees_are_read_as_they_were_set(fees: listing.Fees, imf: uint256, mmf: uint256):
    tiers: DynArray[listing.Tier, 6] = [listing.Tier(lower=0, imf=imf, mmf=mmf)]
    listing._check_terms(fees, tiers)
    packed: uint256[8] = listing._pack_terms(fees, tiers)
    word: uint256 = packed[0]
    self._hold(terms._maker_fee(word) == fees.maker_fee and terms._taker_fee(word) == fees.taker_fee)
    self._hold(terms._penalty(word) == fees.penalty and terms._band(word) == fees.band)
    self._hold(terms._min_notional(word) == fees.min_notional and terms._oi_cap(word) == fees.oi_cap)
    self._hold(terms._oi_multiple(word) == fees.oi_multiple and terms._status(word) == fees.status)
    self._hold(packed[1] == (imf << 64) | (mmf << 88) and packed[2] == terms.NO_TIER)


@external
@pure
def check_a_front_word_has_rates_and_second_edge(first: uint256, second: uint256):
    front: uint256 = terms._front(first, second)
    self._hold(front & (2**24 - 1) == (first >> 64) & (2**24 - 1))
    self._hold((front >> 24) & (2**24 - 1) == (first >> 88) & (2**24 - 1))
    self._hold(front >> 48 == second & (2**64 - 1))


@external
def check_only_the_owner_sets_the_age_of_prices(owner: address, age: uint256):
    ownable.owner = owner
    book: uint256 = prices.book
    done: bool = raw_call(
        self, abi_encode(age, method_id=method_id("set_max_age(uint256)")), revert_on_failure=False
    )
    self._hold(not done or (owner == self and age > 0 and age <= 3_600))
    self._hold(prices.book == ((book & (2**160 - 1)) | (age << 160) if done else book))


@external
def check_the_clearinghouse_is_set_once_by_the_owner(owner: address, known: address, house: address):
    ownable.owner = owner
    prices.clearinghouse = known
    done: bool = raw_call(
        self, abi_encode(house, method_id=method_id("set_clearinghouse(address)")), revert_on_failure=False
    )
    self._hold(not done or (owner == self and known == empty(address)))
    self._hold(prices.clearinghouse == (house if done else known))


@internal
@pure
def _hold(condition: bool):
    if not condition:
        raw_revert(concat(method_id("Panic(uint256)"), convert(1, bytes32)))
