# pragma version 0.4.3
"""
@title units
@license GNU Affero General Public License v3.0 only
@notice Every unit once. money: 1e-6 of the settlement currency. size: lots
        (10**size_decimals a coin). price: 10**(14 - size_decimals) units a coin unit of
        money, so that lots * price / 10**8 is money for every market alike.
        index (funding, social charge, adjusted mark): a hundredth of a price unit.
        rates: parts per million (ppm). funding rate: 1e-9 per eight hours.
"""

PPM: constant(uint256) = 10**6
NOTIONAL_SCALE: constant(uint256) = 10**8  # lots * price -> money
RATE_SCALE: constant(uint256) = 10**14  # lots * price * ppm -> money
INDEX_PER_PRICE: constant(int256) = 100
INDEX_SCALE: constant(int256) = 10**10  # lots * index -> money
FUNDING_SCALE: constant(int256) = 28_800 * 10**9  # price * 100 * rate * seconds -> index

CROSS: constant(uint256) = 0
ISOLATED: constant(uint256) = 1
PORTFOLIO: constant(uint256) = 2
CROSS_BOOK: constant(uint256) = 3  # the rule of a CROSS account that holds options or spot

MAX_PERPS: constant(uint256) = 32  # perp positions of one account
MAX_BOOK: constant(uint256) = 48  # book words of one account
MAX_MARKETS: constant(uint256) = 64  # market ids are 1 .. 63
MAX_PRICE: constant(uint256) = 2**40 - 1
MAX_SIZE: constant(uint256) = 2**47 - 1
