"""Terms, prices and funding of one perp market."""

from typing import NamedTuple

from margincall.model.arithmetic import (
    FUNDING_LIMIT,
    FUNDING_SCALE,
    INDEX_PER_PRICE,
    INDEX_SCALE,
    MAX_PRICE,
    MAX_TIERS,
    NOTIONAL_SCALE,
    PPM,
    Refused,
    ceil_div,
    clamp,
)

OPEN = 1
REDUCE_ONLY = 2

MAX_AGE = 3_600  # seconds: the largest age that a price may be allowed
MAX_LAG = 240  # seconds from publication to acceptance
MAX_JUMP = 500_000  # ppm, whatever the time that passed
MAX_RATE = 500_000_000  # 1e-9 per eight hours
TARGET = 1_200_000  # ppm of maintenance margin that a liquidation restores
MAX_RAISE = 1_250_000  # ppm: largest raise of a maintenance rate in one change


class Rules(NamedTuple):
    """How a market's price and funding may move. Rates in 1e-9 per eight hours, times in seconds."""

    step: int = 10_000  # ppm per interval
    interval: int = 5
    outage: int = 900
    grace: int = 60
    interest: int = 100_000
    damp: int = 500_000
    rate_cap: int = 40_000_000


class Tier(NamedTuple):
    """A tier of requirements from a notional of `lower` money upward; rates in ppm."""

    lower: int
    imf: int
    mmf: int


class Bracket(NamedTuple):
    """A tier with its deductions (money) and its edge in lots * price."""

    lower_raw: int
    imf: int
    im_deduction: int
    mmf: int
    mm_deduction: int


def brackets(tiers: tuple[Tier, ...]) -> tuple[Bracket, ...]:
    """Deductions that make requirements continuous over the tiers, rounded down to money:
    d_0 = 0, d_t = d_(t-1) + floor(lower_t * (rate_t - rate_(t-1)) / 1e6).
    Source: the bracket tables of the large perp venues (VENUES: Binance `cum`, Hyperliquid margin tiers).
    """
    result = []
    im_deduction = mm_deduction = 0
    previous = tiers[0]
    for tier in tiers:
        im_deduction += tier.lower * (tier.imf - previous.imf) // PPM
        mm_deduction += tier.lower * (tier.mmf - previous.mmf) // PPM
        result.append(Bracket(tier.lower * NOTIONAL_SCALE, tier.imf, im_deduction, tier.mmf, mm_deduction))
        previous = tier
    return tuple(result)


class Terms(NamedTuple):
    """What a market asks of its traders. Rates in ppm, amounts in money."""

    tiers: tuple[Tier, ...]
    maker_fee: int = 0
    taker_fee: int = 0
    penalty: int = 0
    band: int = 100_000
    min_notional: int = 10_000_000
    oi_cap: int = 2**63 - 1
    oi_multiple: int = 2**16 - 1
    status: int = OPEN


def check_rules(rules: Rules) -> None:
    """Refuse rules out of bounds. Raises Refused."""
    if not 0 < rules.step <= MAX_JUMP:
        raise Refused("terms: step")
    if not 0 < rules.interval <= 3_600:
        raise Refused("terms: interval")
    if rules.outage < rules.interval or not 0 <= rules.grace <= 86_400:
        raise Refused("terms: outage or grace")
    if not 0 <= rules.rate_cap <= MAX_RATE:
        raise Refused("terms: rate cap")
    if not 0 <= rules.damp <= MAX_RATE:
        raise Refused("terms: damp")
    if abs(rules.interest) > MAX_RATE:
        raise Refused("terms: interest")


def check_cover(rules: Rules, terms: Terms) -> None:
    """Refuse a market in which an account that one step left liquidatable could not pay its penalty at the
    moved price, or where closing frees less than it costs: mmf >= step + penalty * (1 + step),
    target * mmf > penalty. Raises Refused.
    """
    mmf = terms.tiers[0].mmf
    if mmf < rules.step + ceil_div(terms.penalty * (PPM + rules.step), PPM):
        raise Refused("terms: mm below penalty + step")
    if mmf * TARGET <= terms.penalty * PPM:
        raise Refused("terms: target below penalty")


def check_terms(terms: Terms) -> None:
    """Refuse terms out of bounds, or under which an account could be opened next to its liquidation:
    imf >= mmf + penalty + fee in every tier. Raises Refused.
    """
    if not (0 <= terms.maker_fee < 2**16 and 0 <= terms.taker_fee < 2**16):
        raise Refused("terms: fee")
    if not 0 <= terms.band < PPM:
        raise Refused("terms: band")
    if not 0 < terms.min_notional < 2**48:
        raise Refused("terms: min notional")
    if not (0 <= terms.oi_cap < 2**63 and 0 <= terms.oi_multiple < 2**16):
        raise Refused("terms: open interest")
    if terms.status not in (OPEN, REDUCE_ONLY):
        raise Refused("terms: status")
    tiers = terms.tiers
    if not 0 < len(tiers) <= MAX_TIERS or tiers[0].lower != 0:
        raise Refused("terms: first tier")
    fee = max(terms.maker_fee, terms.taker_fee)
    if tiers[0].mmf <= fee:
        raise Refused("terms: mm below fee")
    previous = tiers[0]
    for tier in tiers:
        if tier.imf < tier.mmf + terms.penalty + fee:
            raise Refused("terms: im below mm + penalty + fee")
        if tier.imf > PPM:
            raise Refused("terms: imf")
        if tier.imf < previous.imf or tier.mmf < previous.mmf:
            raise Refused("terms: rates must rise")
        if not previous.lower <= tier.lower < 2**60:
            raise Refused("terms: tier edges must rise")
        previous = tier


def check_ramp(old: Terms, new: Terms) -> None:
    """Refuse a change that raises maintenance margin by more than a quarter at any notional: both are
    piecewise linear, so their edges decide, and a notional beyond all. Raises Refused."""

    def maintenance(terms: Terms, notional: int) -> int:
        tier = [b for b in brackets(terms.tiers) if b.lower_raw <= notional * NOTIONAL_SCALE][-1]
        return notional * tier.mmf - tier.mm_deduction * PPM

    for notional in {tier.lower for tier in old.tiers + new.tiers} - {0} | {2**60}:
        if maintenance(new, notional) > maintenance(old, notional) * MAX_RAISE // PPM + PPM:
            raise Refused("terms: maintenance rises too fast")


def funding_rate(mark: int, index: int, rules: Rules) -> int:
    """r = clamp(premium + clamp(interest - premium, damp), cap), premium = floor((mark - index) / index);
    1e-9 per eight hours. Source: the funding formula of the large perp venues (VENUES: Hyperliquid).
    """
    premium = (mark - index) * 10**9 // index
    return clamp(premium + clamp(rules.interest - premium, rules.damp), rules.rate_cap)


class Market:
    """State of one market.

    mark: price units (0 before the first price); published, accrued_at, grace_until: unix seconds;
    funding: cumulative index (index units) at accrued_at; rate: 1e-9 per eight hours;
    social_long, social_short: cumulative social charges (index units).
    """

    __slots__ = (
        "_quote",
        "_quoted_at",
        "accrued_at",
        "brackets",
        "funding",
        "grace_flag",
        "grace_until",
        "id",
        "mark",
        "published",
        "rate",
        "rules",
        "social_long",
        "social_short",
        "terms",
        "upper_brackets",
    )

    _STORED = (
        "rules",
        "terms",
        "mark",
        "published",
        "accrued_at",
        "funding",
        "rate",
        "social_long",
        "social_short",
        "grace_until",
        "grace_flag",
    )

    def __init__(self, market: int, rules: Rules, terms: Terms):
        self.id = market
        self.rules = rules
        self.mark = self.published = self.accrued_at = self.funding = self.rate = 0
        self.social_long = self.social_short = self.grace_until = 0
        self.grace_flag = False
        self.set_terms(terms)

    def set_terms(self, terms: Terms) -> None:
        """Replace the terms. No check; see `State.set_market`."""
        self.terms = terms
        self.brackets = brackets(terms.tiers)
        self.upper_brackets = self.brackets[1:]
        self._quoted_at = -1

    def snapshot(self) -> tuple:
        """All stored values, immutable."""
        return tuple(getattr(self, name) for name in self._STORED)

    def restore(self, values: tuple) -> None:
        """Back to a `snapshot`."""
        for name, value in zip(self._STORED, values, strict=True):
            if name != "terms":
                setattr(self, name, value)
        self.set_terms(values[1])

    def forget_quote(self) -> None:
        """Drop the cached quote after a direct change of stored values."""
        self._quoted_at = -1

    def funding_now(self, now: int) -> int:
        """F(now) = F + floor(P * 100 * r * (now - accrued_at) / (28800 * 1e9)), index units."""
        growth = self.mark * INDEX_PER_PRICE * self.rate * (now - self.accrued_at)
        return self.funding + growth // FUNDING_SCALE

    def quote(self, now: int, max_age: int) -> tuple[int, int, int, int]:
        """(mark, adjusted mark of longs, adjusted mark of shorts, funding index) at `now`.

        A_long = 100 P - F - S_long; A_short = 100 P - F + S_short; index units.
        Raises Refused when there is no price or it is older than `max_age` seconds.
        """
        if self._quoted_at == now:
            return self._quote
        if not self.mark:
            raise Refused("price: none")
        if now > self.published + max_age:
            raise Refused("price: stale")
        funding = self.funding_now(now)
        plain = self.mark * INDEX_PER_PRICE - funding
        self._quote = (self.mark, plain - self.social_long, plain + self.social_short, funding)
        self._quoted_at = now
        return self._quote

    def in_grace(self, now: int) -> bool:
        """Whether liquidations wait because an outage just ended."""
        return self.grace_flag and now < self.grace_until

    def update(self, mark: int, index: int, published: int, now: int, max_age: int = MAX_AGE) -> None:
        """A report arrives at block time `now`. A silence longer than `rules.outage` or `max_age` was an
        outage. Raises Refused; nothing changes then."""
        rules = self.rules
        if not 0 < mark <= MAX_PRICE:
            raise Refused("price: mark out of range")
        if not 0 < index <= MAX_PRICE:
            raise Refused("price: index out of range")
        if published > now:
            raise Refused("price: from the future")
        if now - published > MAX_LAG:
            raise Refused("price: report too old")
        funding = 0
        if self.published:
            elapsed = published - self.published
            if elapsed <= 0:
                raise Refused("price: not newer")
            limit = min(rules.step * max(elapsed // rules.interval, 1), MAX_JUMP)
            if abs(mark - self.mark) * PPM > self.mark * limit:
                raise Refused("price: step too large")
            funding = clamp(self.funding_now(now), FUNDING_LIMIT)
            if elapsed > min(rules.outage, max_age):
                self.grace_until = now + rules.grace
                self.grace_flag = True
            elif self.grace_flag and now >= self.grace_until:
                self.grace_flag = False
        self.mark = mark
        self.published = published
        self.accrued_at = now
        self.funding = funding
        self.rate = funding_rate(mark, index, rules)
        self._quoted_at = -1

    def charge(self, longs: bool, amount: int, open_interest: int) -> int:
        """Charge `amount` money to one side: S_side += ceil(amount * 1e10 / open_interest).

        Rounded against the holders. Returns the increment (index units).
        """
        increment = ceil_div(amount * INDEX_SCALE, open_interest)
        if longs:
            self.social_long += increment
        else:
            self.social_short += increment
        self._quoted_at = -1
        return increment
