"""Instruments of the option grid: ids, names, log codes. The integer twin of options/instrument.vy.

A name is SYMBOL (the perp), SYMBOL-SPOT, SYMBOL-27DEC24 (a dated future) or SYMBOL-27DEC24-60000-C (an
option; C or P). Dates mean 08:00 UTC. Strikes are price units inside, USD in names.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from margincall.model.arithmetic import Refused

PERP, CALL, PUT, FUTURE, SPOT = range(5)
KINDS = ("perp", "call", "put", "future", "spot")

CONTRACT = 10_000  # lots of one option or dated future
STRIKE_UNIT = 10_000  # price units
DAY = 86_400
HOUR_OF_EXPIRY = 28_800  # 08:00 UTC
WINDOW = 1_800  # seconds before expiry over which prices are averaged
LONGEST = 400 * DAY + 3_600  # seconds to the last expiry of the grid

CODES_PER_LOG = 80 * 2**14
BASE = 19_563_659
MAX_CODE = 2**24 - 1
MIN_PRICE = 3_035_501  # the least price with a code
MAX_PRICE = 1_099_511_292_113  # the greatest
WAD = 10**18

_NAME = re.compile(r"([A-Z0-9]+)(?:-(SPOT)|-(\d{1,2}[A-Z]{3}\d{2})(?:-(\d+(?:\.\d+)?)-([CP]))?)?")


class Instrument(NamedTuple):
    """What may be traded. `kind` is PERP, CALL, PUT, FUTURE or SPOT; `expiry` unix seconds, `strike`
    price units, both 0 where the kind has none."""

    market: int
    kind: int = PERP
    expiry: int = 0
    strike: int = 0

    @property
    def id(self) -> int:
        """The number that orders carry."""
        return self.market | self.kind << 8 | self.expiry << 16 | self.strike << 48

    @property
    def is_option(self) -> bool:
        return self.kind in (CALL, PUT)

    @classmethod
    def of(cls, id: int) -> "Instrument":
        """The instrument of an id. Raises ValueError for bits that mean nothing."""
        if not 0 <= id < 1 << 88 or id >> 8 & 255 > SPOT:
            raise ValueError(f"instrument id {id:#x}: not an instrument (88 bits, kind 0 to 4)")
        return cls(id & 255, id >> 8 & 255, id >> 16 & 0xFFFFFFFF, id >> 48)

    @classmethod
    def parse(cls, name: str, markets: Iterable) -> "Instrument":
        """The instrument of a name. `markets` have `symbol`, `id` and `price(usd)` (a ProtocolSpec's have).

        Raises ValueError: not a name, unknown symbol, no such date.
        """
        found = _NAME.fullmatch(name.strip().upper())
        if not found:
            raise ValueError(
                f"instrument {name!r}: expected BTC, BTC-SPOT, BTC-27DEC24 or BTC-27DEC24-60000-C"
            )
        symbol, spot, date, strike, side = found.groups()
        known = {market.symbol: market for market in markets}
        if symbol not in known:
            raise ValueError(f"instrument {name!r}: unknown market {symbol!r}; known: {', '.join(known)}")
        market = known[symbol]
        if spot:
            return cls(market.id, SPOT)
        if not date:
            return cls(market.id)
        try:
            day = datetime.strptime(date, "%d%b%y").replace(tzinfo=UTC)
        except ValueError:
            raise ValueError(
                f"instrument {name!r}: {date} is no date; expected one such as 27DEC24"
            ) from None
        expiry = int(day.timestamp()) + HOUR_OF_EXPIRY
        if not strike:
            return cls(market.id, FUTURE, expiry)
        return cls(market.id, CALL if side == "C" else PUT, expiry, market.price(strike))

    def name(self, markets: Iterable) -> str:
        """The name that `parse` reads; `markets` have `symbol`, `id` and `price_decimals`."""
        market = next((m for m in markets if m.id == self.market), None)
        if market is None:
            raise ValueError(f"instrument: no market has the id {self.market}")
        if self.kind == PERP:
            return market.symbol
        if self.kind == SPOT:
            return f"{market.symbol}-SPOT"
        day = datetime.fromtimestamp(self.expiry, UTC)
        name = f"{market.symbol}-{day.day}{day:%b%y}".upper()
        if self.kind == FUTURE:
            return name
        whole, part = divmod(self.strike, 10**market.price_decimals)
        decimals = f".{part:0{market.price_decimals}d}".rstrip("0").rstrip(".")
        return f"{name}-{whole}{decimals}-{'C' if self.kind == CALL else 'P'}"


def log_code(price: int) -> int:
    """round(ln(price) * 80 * 2**14) - BASE, of price units. Never falls as the price rises."""
    if not MIN_PRICE <= price <= MAX_PRICE:
        raise Refused("log code: price out of range")
    return (wad_ln(price * WAD) * CODES_PER_LOG + WAD // 2) // WAD - BASE


def strike_of(code: int, step: int) -> int:
    """The multiple of `step` (price units) nearest to the price of a log code."""
    unit = step * WAD
    return (wad_exp((code + BASE) * WAD // CODES_PER_LOG) + unit // 2) // unit * step


def check_expiry(expiry: int, now: int) -> None:
    """Refuse what is not an expiry of the grid at time `now`."""
    if expiry % DAY != HOUR_OF_EXPIRY:
        raise Refused("option: not an expiry")
    if expiry <= now:
        raise Refused("option: expired")
    if expiry > now + LONGEST:
        raise Refused("option: expiry too far")


# The two functions below give, bit for bit, what `_wad_ln` and `_wad_exp` of snekmate 0.1.2
# (utils/math.vy, AGPL-3.0-only) give; both follow Remco Bloemen, https://xn--2-umb.com/22/exp-ln (MIT).
# Rational approximations in fixed point of 96 bits; `>>` rounds toward minus infinity in both worlds.

_LN_P = (
    3_273_285_459_638_523_848_632_254_066_296,
    24_828_157_081_833_163_892_658_089_445_524,
    43_456_485_725_739_037_958_740_375_743_393,
    -11_111_509_109_440_967_052_023_855_526_967,
    -45_023_709_667_254_063_763_336_534_515_857,
    -14_706_773_417_378_608_786_704_636_184_526,
)
_LN_Q = (
    5_573_035_233_440_673_466_300_451_813_936,
    71_694_874_799_317_883_764_090_561_454_958,
    283_447_036_172_924_575_727_196_451_306_956,
    401_686_690_394_027_663_651_624_208_769_553,
    204_048_457_590_392_012_362_485_061_816_622,
    31_853_899_698_501_571_402_653_359_427_138,
    909_429_971_244_387_300_277_376_558_375,
)
_EXP_Q = (
    -2_855_989_394_907_223_263_936_484_059_900,
    50_020_603_652_535_783_019_961_831_881_945,
    -533_845_033_583_426_703_283_633_433_725_380,
    3_604_857_256_930_695_427_073_651_918_091_429,
    -14_423_608_567_350_463_180_887_372_962_807_573,
    26_449_188_498_355_588_339_934_803_723_976_023,
)
_LN_2 = 54_916_777_467_707_473_351_141_471_128  # 96 bits


def wad_ln(x: int) -> int:
    """ln(x / 1e18) * 1e18 of x > 0, to within one unit."""
    k = x.bit_length() - 1 - 96
    x = x << (159 - k) >> 159 & (1 << 97) - 1
    p = (_horner(_LN_P, x) * x) - (795_164_235_651_350_426_258_249_787_498 << 96)
    q = _horner(_LN_Q, x)
    return (
        _toward_zero(p, q) * 1_677_202_110_996_718_588_342_820_967_067_443_963_516_166
        + k * 16_597_577_552_685_614_221_487_285_958_193_947_469_193_820_559_219_878_177_908_093_499_208_371
        + 600_920_179_829_731_861_736_702_779_321_621_459_595_472_258_049_074_101_567_377_883_020_018_308
    ) >> 174


def wad_exp(x: int) -> int:
    """exp(x / 1e18) * 1e18, rounded down within the approximation; x / 1e18 below 135."""
    if x <= -41_446_531_673_892_822_313:
        return 0
    x = _toward_zero(x << 78, 5**18)
    k = _toward_zero(x << 96, _LN_2) + 2**95 >> 96
    x -= k * _LN_2
    y = (
        (x + 1_346_386_616_545_796_478_920_950_773_328) * x >> 96
    ) + 57_155_421_227_552_351_082_224_309_758_442
    p = ((y + x - 94_201_549_194_550_492_254_356_042_504_812) * y >> 96) + (
        28_719_021_644_029_726_153_956_944_680_412_240
    )
    p = p * x + (4_385_272_521_454_847_904_659_076_985_693_276 << 96)
    r = _toward_zero(p, _horner(_EXP_Q, x))
    return r * 3_822_833_074_963_236_453_042_738_258_902_158_003_155_416_615_667 >> (195 - k)


def _horner(coefficients: tuple[int, ...], x: int) -> int:
    """A monic polynomial, highest power first, 96 bits."""
    value = x + coefficients[0]
    for coefficient in coefficients[1:]:
        value = (value * x >> 96) + coefficient
    return value


def _toward_zero(x: int, y: int) -> int:
    """The EVM's signed division; y > 0."""
    return x // y if x >= 0 else -(-x // y)
