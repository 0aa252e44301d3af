# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Markets
@license GNU Affero General Public License v3.0 only
@notice The perp markets: their prices and funding (markets/prices.vy), their terms
        (markets/listing.vy), and the margin rule of cross and isolated accounts over them
        (margin/cross.vy).
"""

from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from .interfaces import IMarkets
from .interfaces import IRiskEngine
from .margin import cross
from .markets import listing
from .markets import prices

implements: IMarkets
implements: IRiskEngine

initializes: ownable
initializes: ownable_2step[ownable := ownable]
initializes: prices
initializes: listing[ownable := ownable, prices := prices]
initializes: cross[prices := prices]

exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
    # renounce_ownership is left out: terms must stay adjustable.
)
exports: (
    prices.update_prices,
    prices.pin,
    prices.quote,
    prices.charge,
    prices.last_price,
    prices.book,
    prices.clearinghouse,
    prices.rules,
    prices.grace_until,
    prices.price_lanes,
    prices.rate_lanes,
    prices.social,
)
exports: (
    listing.set_rules,
    listing.set_terms,
    listing.set_clearinghouse,
    listing.set_max_age,
    listing.terms_of,
    listing.market_count,
)
exports: (cross.margin, cross.initial, cross.close_out, cross.haircut, cross.marks)


@deploy
def __init__(max_age: uint256):
    ownable.__init__()
    ownable_2step.__init__()
    listing._set_max_age(max_age)
