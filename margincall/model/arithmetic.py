"""Units and explicit rounding. Everything in this package is a plain `int`.

money: 1e-6 USD. size: lots. price: `price_decimals` units, so lots * price / 1e8 is money
in every market. index unit (funding index, social charge, adjusted mark): price / 100.
rates: parts per million (ppm); funding rate: 1e-9 per eight hours.
"""

PPM = 10**6
NOTIONAL_SCALE = 10**8  # lots * price -> money
RATE_SCALE = 10**14  # lots * price * ppm -> money
INDEX_PER_PRICE = 100
INDEX_SCALE = 10**10  # lots * index -> money
FUNDING_SCALE = 28_800 * 10**9  # index * rate * seconds -> index

MAX_PRICE = 2**40 - 1
MAX_SIZE = 2**47 - 1
MAX_ENTRY = 2**63 - 1
FUNDING_LIMIT = 2**47 - 1
MAX_PERPS = 32
MAX_MARKET = 63
MAX_TIERS = 6


class Refused(Exception):
    """An operation that the contracts would revert; `reason` is their error string.

    Nothing has changed when it is raised.
    """

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def floor_div(x: int, y: int) -> int:
    """floor(x / y), toward minus infinity. y != 0."""
    return x // y


def ceil_div(x: int, y: int) -> int:
    """ceil(x / y), toward plus infinity. y != 0."""
    return -(-x // y)


def clamp(x: int, bound: int) -> int:
    """x limited to [-bound, bound]. bound >= 0."""
    return -bound if x < -bound else bound if x > bound else x


def notional_up(size: int, price: int) -> int:
    """|size| * price in money, rounded up. size: lots, signed; price: price units."""
    return -(-abs(size) * price // NOTIONAL_SCALE)


def money(usd) -> int:
    """USD (int, str, Decimal or Fraction) -> money, exact.

    Raises ValueError when it is not a whole number of 1e-6 USD.
    """
    return _exact(usd, 6, "money")


def to_price(value, price_decimals: int) -> int:
    """A price in USD (int, str, Decimal or Fraction) -> price units, exact (else ValueError)."""
    return _exact(value, price_decimals, "price")


def to_lots(coins, size_decimals: int) -> int:
    """A signed number of coins (int, str, Decimal or Fraction) -> lots, exact (else ValueError)."""
    return _exact(coins, size_decimals, "size")


def _exact(value, decimals: int, what: str) -> int:
    from fractions import Fraction

    if isinstance(value, float):
        raise ValueError(f"{what}: {value!r} is a float; pass an int, a string or a Decimal")
    scaled = Fraction(value) * 10**decimals
    if scaled.denominator != 1:
        raise ValueError(f"{what}: {value} has more than {decimals} decimals")
    return scaled.numerator
