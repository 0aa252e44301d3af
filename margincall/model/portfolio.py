"""The margin rule of PORTFOLIO accounts: net risk per underlying over 24 scenarios of price and volatility,
put together across underlyings by the dials rho (moving together) and psi (hedging).

Every option is valued as a call (a put is a call, a short forward and its strike: parity) on the value curve
of its expiry, gamma(x) = C / S with x = ln(S / K), interpolated between three points. Sizes of options are
contracts of 10,000 lots; a lane's value is in 2**-28 of the price, a scenario's price in 2**-32 of it.
Equity is rounded down, requirements up, a scenario's loss to 1e-5 USD; the curves' error bounds are charged
to every scenario, not to equity: they are margin, not a price.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import NamedTuple

from margincall.model.arithmetic import NOTIONAL_SCALE, PPM, RATE_SCALE, Refused
from margincall.model.book import Segment, unpack
from margincall.model.curves import Curve, place, tap_weights
from margincall.model.curves import unpack as rows_of
from margincall.model.instrument import CONTRACT, MAX_CODE, STRIKE_UNIT, WINDOW, log_code

ONE = 32_768  # a dial of 1
FULL_WEIGHT = 256
VALUE = 2**28  # a lane's value of one whole price
MOVE = 2**32  # a scenario's price of one whole price
LOSS_BITS = 90  # a loss (2**-60 lots * price) is kept in 2**30 / 10**8 of money, rounded up
GRAIN = 11  # the most by which one such rounding raises a requirement, money
RISK_SCALE = NOTIONAL_SCALE << 8  # weighted losses times two dials -> money

FADE = 2**17  # log codes (10 %) beyond the curve over which a call bought loses its time value
NEAR = 12  # taps (three steps) before the curve's ends, from which on scenarios see less and less of it
LEAD = 300  # seconds by which the average will be further at the next chance to act
FIRST, LAST = 32, 161  # first taps for which every scenario's points are on the curve
MAX_UNDERLYINGS = 8
FAR = 16  # index of the scenario of eight steps
MARK = 20  # index of the unmoved scenario at mark volatility
NOTIONAL_UP, NOTIONAL_DOWN = 21, 19  # mark volatility, two steps up and down


def _exp(exponent: str, scale: int, rounding: str) -> int:
    with localcontext(prec=60):
        return int((Decimal(exponent).exp() * scale).to_integral_value(rounding))


class Scenario(NamedTuple):
    """A price move of `steps` of 0.05 in the log, and a row of the curves: "up", "down" or "mark"."""

    steps: int
    vol: str

    @property
    def price(self) -> int:
        """Price after the move, 2**-32 of the price before: round(exp(0.05 * steps) * 2**32)."""
        return _exp(f"{5 * self.steps}e-2", MOVE, "ROUND_HALF_EVEN")

    @property
    def percent(self) -> float:
        """The move in percent of the price."""
        return (self.price / MOVE - 1) * 100

    @property
    def name(self) -> str:
        """For people: "-18.1 %, vol up"."""
        return f"{self.percent:+.1f} %, vol {self.vol}"

    def weight(self, extent: int) -> int:
        """The share of a loss that counts, in 1/256: all of it within the range, and beyond it as much as
        a linear loss makes at its edge. extent: range in 1/16 of a step."""
        if not self.steps:
            return FULL_WEIGHT
        return min(FULL_WEIGHT, -(-16 * extent // abs(self.steps)))


SCENARIOS = (
    *(Scenario(steps, vol) for vol in ("up", "down") for steps in range(-4, 4)),
    *(Scenario(steps, "mark") for steps in range(-8, 8, 2)),
)
PRICES = tuple(scenario.price for scenario in SCENARIOS)
SWING = PRICES[NOTIONAL_UP] - PRICES[NOTIONAL_DOWN]
EDGE = _exp("-0.81875", 2**64, "ROUND_CEILING")  # strike over spot of first tap LAST, 2**-64
SOLD_EDGE = EDGE + 2**47 + 2**42  # for calls sold: the last value may be half a lane and Phi's error low


class Terms(NamedTuple):
    """What the rule asks of one underlying. Ranges in 1/16 of a step of 0.05; rates in ppm."""

    range_mm: int
    range_im: int
    haircut: int = 0  # of spot collateral
    floor_rate: int = 0  # of the notional of calls sold, bought back or not


class Dials(NamedTuple):
    """Of one kind of requirement, 1/32768: rho 1 grants no diversification, psi 0 no hedge across
    underlyings."""

    rho: int
    psi: int


Perp = tuple[int, int, int]  # market, lots, value in money rounded down


class Risk(NamedTuple):
    """All that the rule needs beside the account.

    prices: price units by market; curves: by (market, expiry); strike: (market, log code) -> price units;
    now: unix seconds; kappa: penalty of closing everything, ppm of the maintenance margin.
    """

    prices: Mapping[int, int]
    curves: Mapping[tuple[int, int], Curve]
    terms: Mapping[int, Terms]
    mm: Dials
    im: Dials
    strike: Callable[[int, int], int]
    now: int = 0
    kappa: int = 100_000


class Margin(NamedTuple):
    """All in money. notional: net; penalty: of closing everything."""

    equity: int
    initial: int
    maintenance: int
    notional: int
    penalty: int


class Exposure:
    """What an account holds in one underlying.

    perps: lots; lin: lots of everything linear, perps included; values: sum of contracts * value, by
    scenario (2**-28 contracts); err: its error bound; held: lots that ask for the least margin (perps,
    forwards of every expiry, calls sold); money: entries and strikes that leave equity. Of calls bought near
    the curve's ends, 2**-28 contracts: fading, the value that no scenario sees and margin asks for; struck,
    what `lin` has too much of where they are linear to the scenarios. settling: 2**-28 lots that hedge the
    rest now and settle at an average already known, their share of it.
    """

    __slots__ = (
        "_spot",
        "err",
        "fading",
        "held",
        "lin",
        "market",
        "money",
        "perps",
        "price",
        "settling",
        "struck",
        "values",
    )

    def __init__(self, market: int, price: int):
        self.market = market
        self.price = price
        self._spot: int | None = None
        self.values = [0] * len(SCENARIOS)
        self.perps = self.lin = self.err = self.held = self.money = 0
        self.fading = self.struck = self.settling = 0

    @property
    def spot(self) -> int:
        """Log code of the price; only options ask for it."""
        if self._spot is None:
            self._spot = log_code(self.price)
        return self._spot

    def at_mark(self, perps: bool = True) -> int:
        """b of the mark: value of everything (or of all but the perps), 2**-28 lots."""
        lin = self.lin if perps else self.lin - self.perps
        return (self.values[MARK] + self.fading - self.struck) * CONTRACT + lin * VALUE

    def losses(self) -> list[int]:
        """l_j = (V_0 - V_j) * price: what each scenario loses, 2**30 / 10**8 of money, rounded up; both
        values less the curves' error at their prices (`error_of` is asked beside)."""
        lin = self.lin * VALUE - self.err * CONTRACT
        now = (self.values[MARK] * CONTRACT + lin) * MOVE
        return [
            -(((value * CONTRACT + lin) * move - now) * self.price >> LOSS_BITS)
            for value, move in zip(self.values, PRICES, strict=True)
        ]

    def delta(self) -> int:
        """What the value moves by between two steps down and up at the mark vol, 2**-28 lots * SWING."""
        lin = self.lin * VALUE
        up = (self.values[NOTIONAL_UP] * CONTRACT + lin) * PRICES[NOTIONAL_UP]
        return up - (self.values[NOTIONAL_DOWN] * CONTRACT + lin) * PRICES[NOTIONAL_DOWN]

    def notional(self) -> int:
        """Net notional, money, rounded up: of the delta."""
        return -(-abs(self.delta()) * self.price // (SWING * VALUE * NOTIONAL_SCALE))


@lru_cache(maxsize=256)
def weights(extent: int) -> tuple[int, ...]:
    """Weights of the 24 scenarios for a range in 1/16 of a step."""
    return tuple(scenario.weight(extent) for scenario in SCENARIOS)


@lru_cache(maxsize=256)
def taps(blob: bytes) -> tuple[tuple[int, ...], ...]:
    """Lanes of the 24 scenarios for every tap from FIRST to LAST + 2, in 2**-16 of the price."""
    up, mark, down = rows_of(blob)
    rows = {"up": up, "down": down, "mark": mark}
    at = [(rows[vol], 4 * steps) for steps, vol in SCENARIOS]
    return tuple(tuple(row[tap + ahead] for row, ahead in at) for tap in range(FIRST, LAST + 3))


def usable(risk: Risk, market: int, expiry: int) -> Curve:
    """The curve of an expiry. Raises Refused when there is none for now."""
    curve = risk.curves.get((market, expiry))
    if curve is None:
        raise Refused("curve: none")
    if risk.now > curve.valid_until:
        raise Refused("curve: stale")
    return curve


def add_lane(
    exposure: Exposure, curve: Curve, code: int, size: int, strike: Callable[[int, int], int]
) -> int:
    """Add `size` contracts of the call at `code`. Off the curve a call is worth the nearest strike on the
    curve, and the difference of the strikes where that one is higher (C(K) <= C(K') + K' - K); a call
    bought fades from there to nothing or to its intrinsic value. No scenario sees that loss: from three
    steps before the ends they see less and less of a call bought (its intrinsic value apart), and margin
    asks for the rest of its value. Returns the contracts whose value is not in the scenarios."""
    tap, f = place(exposure.spot, code)
    at = position(exposure.spot, code)
    low = tap < FIRST + NEAR
    beyond = beyond_of(at)
    kept, exact = size, 0 if low or beyond <= 0 else strike(exposure.market, code)
    if not FIRST <= tap <= LAST:
        tap, f = FIRST if low else LAST, 0
        if size > 0:
            kept = kept_of(size, beyond - (NEAR << 14))
        if not low:
            nearest = -(-exposure.price * SOLD_EDGE // 2**64)
            if size > 0:
                nearest = exposure.price * (EDGE - 1) // 2**64
            exposure.lin += (size - kept) * CONTRACT
            exposure.money -= ((kept - size) * exact + kept * (nearest - exact)) // STRIKE_UNIT
            exact = nearest
    shares = tap_weights(f)
    lanes = taps(curve.blob)[tap - FIRST : tap - FIRST + 3]
    seen = kept
    if size > 0 and beyond > 0:
        seen = kept_of(size, beyond)
        hidden = kept - seen
        worth = sum(weight * lane[MARK] for weight, lane in zip(shares, lanes, strict=True))
        if not low:
            inner = min(worth, VALUE + (-exact * VALUE // exposure.price))
            exposure.lin += hidden * CONTRACT
            exposure.struck += hidden * (VALUE - inner)
            worth -= inner
        exposure.fading += hidden * worth
    before, between, after = (seen * weight for weight in shares)
    exposure.values = [
        total + before * a + between * b + after * c
        for total, a, b, c in zip(exposure.values, *lanes, strict=True)
    ]
    return size - seen


def position(spot: int, code: int) -> int:
    """Where the unmoved value of a call is read, log codes (see `curves.place`)."""
    return spot - code + 2 + 191 * 2**13


def beyond_of(at: int) -> int:
    """Log codes by which a position is nearer to an end of the curve than NEAR; below 0: farther."""
    return max(((FIRST + NEAR) << 14) - at, at - ((LAST + 1 - NEAR) << 14))


def kept_of(size: int, beyond: int) -> int:
    """Contracts of a call bought that count, `beyond` log codes after it began to fade."""
    return size * min(max(FADE - beyond, 0), FADE) >> 17


def exposures(perps: Iterable[Perp], words: Iterable[int], risk: Risk, cash: int = 0) -> list[Exposure]:
    """Net exposure per underlying, ascending by market; cash: money, of which only the sign counts. Raises
    Refused without risk terms or a usable curve, with a future that expired, or with more than eight
    underlyings."""
    lots: dict[int, int] = {}
    for market, size, _ in perps:
        lots[market] = lots.get(market, 0) + size
    segments = unpack(words)
    markets = sorted(lots.keys() | {segment.market for segment in segments})
    if len(markets) > MAX_UNDERLYINGS:
        raise Refused("portfolio: too many underlyings")
    found = []
    for market in markets:
        if market not in risk.terms:
            raise Refused("portfolio: no risk terms")
        exposure = Exposure(market, risk.prices[market])
        exposure.perps = exposure.lin = lots.get(market, 0)
        exposure.held = abs(exposure.perps)
        own, share = 0, 0
        for segment in segments:
            if segment.market == market:
                before = exposure.delta()
                _add_segment(exposure, segment, risk)
                if segment.expiry and 0 <= segment.expiry - risk.now <= WINDOW:
                    own = exposure.delta() - before
                    share = min(WINDOW + LEAD - (segment.expiry - risk.now), WINDOW)
        rest = exposure.delta() - own
        if own * rest < 0 and (cash < 0 or lots or not all(map(_is_bought, segments))):
            exposure.settling = -(-min(abs(own), abs(rest)) * share // (WINDOW * SWING))
        found.append(exposure)
    return found


def _is_bought(segment: Segment) -> bool:
    """Options bought, or spot: paid for, they lose nothing that the account has not."""
    return not (segment.expiry and (segment.short or segment.futures))


def _add_segment(exposure: Exposure, segment: Segment, risk: Risk) -> None:
    market, expiry = segment.key
    if not expiry:
        exposure.lin += segment.forward * (PPM - risk.terms[market].haircut) // PPM
        return
    exposure.lin += segment.forward
    exposure.held += abs(segment.forward)
    exposure.money += segment.money
    if not segment.lanes:
        if risk.now >= expiry:
            raise Refused("portfolio: settle first")
        return
    curve = usable(risk, market, expiry)
    exposure.held += segment.short * CONTRACT
    unseen = sum(
        add_lane(exposure, curve, name & MAX_CODE, size, risk.strike) for name, size in segment.lanes
    )
    exposure.err += curve.err * (segment.gross - unseen)


def equity_of(cash: int, perps: Iterable[Perp], nets: Sequence[Exposure]) -> int:
    """Equity at the marks, money: the perps' values as given, the rest rounded down per underlying."""
    equity = cash + sum(value for _, _, value in perps)
    for net in nets:
        equity += net.at_mark(perps=False) * net.price // (VALUE * NOTIONAL_SCALE) - net.money
    return equity


def weighted(losses: Sequence[int], extent: int) -> list[int]:
    """X_j: losses weighted for a range (`money_of` gives money)."""
    return [loss * weight for loss, weight in zip(losses, weights(extent), strict=True)]


def money_of(weighted: int, dials: int = 0) -> int:
    """Weighted losses, multiplied by 0, 1 or 2 dials, in money, rounded up."""
    return -(-(weighted << 15 * (2 - dials)) // RISK_SCALE)


def floor_of(nets: Sequence[Exposure], terms: Mapping[int, Terms], initial: bool = False) -> int:
    """The least that perps, forwards and calls sold require whatever hedges them, money, rounded up per
    underlying; initial margin asks for half as much again."""
    halves = 3 if initial else 2
    return sum(
        -(-terms[net.market].floor_rate * net.held * net.price * halves // (2 * RATE_SCALE)) for net in nets
    )


def error_of(nets: Iterable[Exposure], terms: Mapping[int, Terms], initial: bool = False) -> int:
    """What is asked beside all else, money, rounded up: what the curves may be wrong by, what no scenario
    sees of calls bought, and the range of what hedges no more once it settles."""
    total = 0
    for net in nets:
        ranges = terms[net.market]
        eight = SCENARIOS[FAR].weight(ranges.range_im if initial else ranges.range_mm)  # 640: all the price
        total += (net.err + net.fading) * CONTRACT * net.price - (-net.settling * net.price * eight // 640)
    return -(-total // (VALUE * NOTIONAL_SCALE))


def requirement(table: Sequence[Sequence[int]], dials: Dials) -> int:
    """R = psi max_j [rho SUM_u X_j + (1 - rho) max_u X_j+]+ + (1 - psi) (rho SUM_u L + (1 - rho) max_u L)
    with L = max_j X_j+, money, rounded up once. table: X of each underlying.
    """
    if not table:
        return 0
    rho, psi = dials
    worst = max(rho * sum(row) + (ONE - rho) * max(0, *row) for row in zip(*table, strict=True))
    alone = [max(0, *row) for row in table]
    total = psi * max(0, worst) + (ONE - psi) * (rho * sum(alone) + (ONE - rho) * max(alone))
    return money_of(total, 2)


def margin(cash: int, perps: Sequence[Perp], words: Sequence[int], risk: Risk) -> Margin:
    """Equity, IM, MM, net notional and penalty of an account.

    cash: money; words: of the book. Raises Refused without a usable curve.
    """
    nets = exposures(perps, words, risk, cash)
    losses = [net.losses() for net in nets]

    def of(kind: str, dials: Dials) -> int:
        table = [
            weighted(loss, getattr(risk.terms[net.market], kind))
            for net, loss in zip(nets, losses, strict=True)
        ]
        least = floor_of(nets, risk.terms, kind == "range_im")
        return max(requirement(table, dials), least) + error_of(nets, risk.terms, kind == "range_im")

    initial = of("range_im", risk.im)
    # Never more than initial margin: of a book hedged across underlyings a higher rho can ask less.
    maintenance = min(of("range_mm", risk.mm), initial)
    return Margin(
        equity_of(cash, perps, nets),
        initial,
        maintenance,
        sum(net.notional() for net in nets),
        -(-risk.kappa * maintenance // PPM),
    )
