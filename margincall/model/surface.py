"""Volatility per market and expiry: what contracts/Surface.vy accepts, and the values it gives.

sigma(x) = atm * clamp(1 + skew*x + curvature*x**2, 0.4, 3), x = ln(S/K). atm: ppm a year; skew, curvature:
ppm per unit of x and of x squared, curvature >= 0. Times in seconds. The conditions and their proofs are
described in contracts/options/smile.vy; here they are the same integers.
"""

from collections.abc import Iterable
from math import isqrt
from typing import NamedTuple

from margincall.model.arithmetic import MAX_MARKET, PPM, Refused, ceil_div

YEAR = 31_536_000
DAY = 86_400
HOUR_OF_EXPIRY = 28_800  # 08:00 UTC
MAX_TERM = 401 * DAY
MAX_EXPIRIES = 16  # tracked per market
MAX_LAG = 240  # seconds from publication to acceptance
MAX_JUMP = 500_000  # ppm, whatever the time that passed
MIN_ATM, MAX_ATM = 50_000, 4_000_000  # ppm a year
MAX_AGE = 6 * 3_600
MAX_INTERVAL = 86_400
MAX_SKEW = 10_000_000
MAX_CURVATURE = 100_000_000

ONE = 2**30  # unit of the checks
EDGE = 1_288_490_189  # 1.2
LOW, HIGH = 429_496_729, 3 * 2**30  # 0.4, 3
CELLS = 16
SLACK = 8
NEGLIGIBLE = 17_546  # 7e-6 * sqrt(2 * pi), in 1e-9
MAX_EXPONENT = 40 * 2**30


class VolRules(NamedTuple):
    """Who may vouch for a market's volatility (any hashable; on chain an address) and how it may move.

    lower, upper: bounds of atm, ppm a year; step: ppm that atm may move per `interval` seconds, in
    proportion to the time that passed; max_age: seconds.
    """

    feed: object
    lower: int = 100_000
    upper: int = MAX_ATM
    step: int = 100_000
    interval: int = 300
    max_age: int = 3_600


class VolReport(NamedTuple):
    """A smile of one market and expiry, as a feed gives it."""

    market: int
    expiry: int
    atm: int
    skew: int
    curvature: int
    published: int


class Smile(NamedTuple):
    """A stored smile, as `ISurface.vol` returns it."""

    atm: int
    skew: int
    curvature: int
    published: int


class Surface:
    """The surface contract's state."""

    def __init__(self) -> None:
        self.rules: dict[int, VolRules] = {}
        self.smiles: dict[tuple[int, int], Smile] = {}
        self.expiries: dict[int, tuple[int, ...]] = {}

    def set_rules(self, market: int, rules: VolRules) -> None:
        """Set a market's rules. Raises Refused."""
        if not 0 < market <= MAX_MARKET:
            raise Refused("vol: market id")
        if not rules.feed:
            raise Refused("vol: zero feed")
        if not MIN_ATM <= rules.lower < rules.upper <= MAX_ATM:
            raise Refused("vol: bounds")
        if not 0 < rules.step <= MAX_JUMP:
            raise Refused("vol: step bound")
        if not 0 < rules.interval <= MAX_INTERVAL:
            raise Refused("vol: interval bound")
        if not 0 < rules.max_age <= MAX_AGE:
            raise Refused("vol: max age bound")
        self.rules[market] = rules

    def vol(self, market: int, expiry: int, now: int) -> Smile:
        """The smile in force. Raises Refused "vol: none" (also once expired) or "vol: stale"."""
        smile = self.smiles.get((market, expiry))
        if smile is None or now >= expiry:
            raise Refused("vol: none")
        if not self._is_fresh(market, smile, now):
            raise Refused("vol: stale")
        return smile

    def update(self, feed: object, reports: Iterable[VolReport], now: int) -> None:
        """Store a payload's reports at block time `now`, all or (Refused) none."""
        reports = list(reports)
        before = self.snapshot()
        try:
            for report in reports:
                self._update(feed, report, now)
            for report in reports:
                self._check_calendar(report, now)
        except Refused:
            self.restore(before)
            raise

    def snapshot(self) -> tuple:
        """All stored values."""
        return dict(self.rules), dict(self.smiles), dict(self.expiries)

    def restore(self, values: tuple) -> None:
        """Back to a `snapshot`."""
        self.rules, self.smiles, self.expiries = (dict(part) for part in values)

    def _update(self, feed: object, report: VolReport, now: int) -> None:
        market, expiry, atm, skew, curvature, published = report
        rules = self.rules.get(market)
        if rules is None or rules.feed != feed:
            raise Refused("vol: not this market's feed")
        if expiry % DAY != HOUR_OF_EXPIRY:
            raise Refused("vol: expiry off the grid")
        if expiry <= now:
            raise Refused("vol: expired")
        if expiry - now > MAX_TERM:
            raise Refused("vol: expiry too far")
        if published > now:
            raise Refused("vol: from the future")
        if now - published > MAX_LAG:
            raise Refused("vol: report too old")
        if not rules.lower <= atm <= rules.upper:
            raise Refused("vol: atm out of bounds")
        if abs(skew) > MAX_SKEW:
            raise Refused("vol: skew out of bounds")
        if not 0 <= curvature <= MAX_CURVATURE:
            raise Refused("vol: curvature out of bounds")
        old = self.smiles.get((market, expiry))
        if old is None:
            self._track(market, expiry, now)
        else:
            elapsed = published - old.published
            if elapsed <= 0:
                raise Refused("vol: not newer")
            limit = min(rules.step * elapsed // rules.interval, MAX_JUMP)
            if abs(atm - old.atm) * PPM > old.atm * limit:
                raise Refused("vol: step too large")
        # The largest deviation that contracts/Pricing.vy values.
        if isqrt((expiry - now << 128) // YEAR) * atm * 13 // 10**7 >= 10 * 2**64 // 3:
            raise Refused("vol: too high")
        check_smile(atm, skew, curvature, expiry - now)
        self.smiles[market, expiry] = Smile(atm, skew, curvature, published)

    def _track(self, market: int, expiry: int, now: int) -> None:
        live = [known for known in self.expiries.get(market, ()) if known > now]
        if len(live) == MAX_EXPIRIES:
            raise Refused("vol: too many expiries")
        self.expiries[market] = tuple(sorted([*live, expiry]))

    def _check_calendar(self, report: VolReport, now: int) -> None:
        market, expiry = report.market, report.expiry
        fresh = [
            known
            for known in self.expiries[market]
            if known > now and self._is_fresh(market, self.smiles[market, known], now)
        ]
        place = fresh.index(expiry)
        around = fresh[max(place - 1, 0) : place + 2]
        variances = [self.smiles[market, known].atm ** 2 * (known - now) for known in around]
        if variances != sorted(variances):
            raise Refused("vol: calendar")

    def _is_fresh(self, market: int, smile: Smile, now: int) -> bool:
        return now <= smile.published + self.rules[market].max_age


def check_smile(atm: int, skew: int, curvature: int, remaining: int) -> None:
    """Raise Refused unless the smile allows no arbitrage between strikes at |x| <= 1.2, at every level up to
    1.3 of it and every time up to `remaining` seconds before expiry.

    Sufficient, not necessary: cells take lower bounds. The formulas are Durrleman's condition and, at the
    ends, Birnbaum's bound of Mills' ratio.
    """
    level = ceil_div(atm * atm * remaining * 169 << 30, 10**14 * YEAR)
    s, c = skew * ONE // PPM, curvature * ONE // PPM
    edge = min(EDGE, isqrt(2**90 // c) + 1) if c else EDGE
    _check_side(level, -s, c, edge, 1)
    _check_side(level, s, c, edge, -1)


def _h(s: int, c: int, y: int) -> int:
    return ONE + ((s + (c * y >> 30)) * y >> 30)


def _check_side(level: int, s: int, c: int, edge: int, side: int) -> None:
    bulge = (c * (edge // CELLS + 1) ** 2 >> 62) + 2 * SLACK
    h_near, slope_near, remainder = ONE, s, 0
    for i in range(1, CELLS + 1):
        y = edge * i >> 4
        cy = c * y >> 30
        h_far, slope_far = _h(s, c, y), s + 2 * cy
        high = max(h_near, h_far) + SLACK
        remainder = max(ONE - (cy * y >> 30) - SLACK, 0)
        if high > HIGH:
            raise Refused("vol: butterfly")
        if high > LOW:
            low = max(min(h_near, h_far) - bulge, LOW)
            slope = max(abs(slope_near), abs(slope_far)) + SLACK
            gain = 4 * remainder**2 + (8 * level * c * low**3 >> 90)
            loss = (level * slope * high**2 >> 90) + 1
            if gain < loss**2:
                raise Refused("vol: butterfly")
        h_near, slope_near = h_far, slope_far
    if edge < EDGE:
        _check_tail(level, s, c)
    elif h_near > LOW - SLACK and slope_near > -SLACK:
        h, slope = h_near + SLACK, slope_near + SLACK
        if remainder <= level * h * slope * (2 * slope + side * h) >> 91:
            raise Refused("vol: not monotone")


def _check_tail(level: int, s: int, c: int) -> None:
    y = (isqrt(s * s + 8 * ONE * c) - s) * ONE // (2 * c)
    h = HIGH
    if y >= EDGE:
        y = EDGE
        h = max(_h(s, c, y), LOW) + SLACK
    variance = (level * h * h >> 60) + 1
    ratio = y * y // variance
    spread = ratio - (variance >> 2) - 1
    exponent = (ratio - y + (variance >> 2)) >> 1
    if not (variance < 2 * y and spread > 0 and exponent > 0):
        raise Refused("vol: wings")
    growth = 2**60 + (min(exponent, MAX_EXPONENT) << 20)
    for _ in range(10):
        growth = growth * growth >> 60
    v = isqrt(variance * ONE) + 1
    if v * 10**9 << 60 > NEGLIGIBLE * spread * growth:
        raise Refused("vol: wings")
