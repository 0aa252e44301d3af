# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title PortfolioMargin
@license GNU Affero General Public License v3.0 only
@notice The margin rule of PORTFOLIO accounts (margin/portfolio.vy) with what only it reads
        at every check: the value curves of the expiries (options/curves.vy) and the stress
        dials (margin/dials.vy).
"""

from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from .interfaces import IPortfolio
from .interfaces import IRiskEngine
from .margin import dials
from .margin import portfolio
from .options import curves

implements: IPortfolio
implements: IRiskEngine

initializes: ownable
initializes: ownable_2step[ownable := ownable]
initializes: dials[ownable := ownable]
initializes: curves[ownable := ownable]
initializes: portfolio[ownable := ownable, dials := dials, curves := curves]

exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
    # renounce_ownership is left out: ranges must stay adjustable.
)
exports: (
    curves.refresh,
    curves.curve,
    curves.sheet,
    curves.curve_setup,
    curves.set_curves,
)
exports: dials.__interface__
exports: (
    portfolio.margin,
    portfolio.initial,
    portfolio.close_out,
    portfolio.haircut,
    portfolio.nets,
    portfolio.set_risk_terms,
)


@deploy
def __init__(markets: address, book: address, pricing: address, settings: dials.Settings):
    ownable.__init__()
    ownable_2step.__init__()
    curves.__init__(pricing)
    dials.__init__(markets, settings)
    portfolio.__init__(markets, book)
