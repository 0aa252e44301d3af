"""The margin rule of CROSS accounts that hold a book: position by position, no offsets.

Perps as in `margin`. A dated future is like a perp of its market and pays by the tier of its own notional,
and so does spot, less its haircut: money may be owed against it. An option bought requires what equity
holds of it, so it backs nothing else and paid for it is never liquidated; an option sold requires
max(a * S - out-of-the-money amount, b * S) and the curve's error bound beside its mark, which equity holds
as a debt. Equity is rounded down, requirements up, position by position.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from margincall.model import margin as cross
from margincall.model import portfolio
from margincall.model.accounts import Position
from margincall.model.arithmetic import NOTIONAL_SCALE, PPM, RATE_SCALE, Refused
from margincall.model.book import PUT_FLAG, unpack
from margincall.model.curves import Curve
from margincall.model.instrument import CONTRACT, MAX_CODE, STRIKE_UNIT
from margincall.model.margin import CloseOut, Margin
from margincall.model.markets import TARGET, Market
from margincall.model.portfolio import MAX_UNDERLYINGS, VALUE, Exposure, Risk


class Terms(NamedTuple):
    """Rates of an option sold, ppm of the price."""

    a_im: int = 150_000
    b_im: int = 100_000
    a_mm: int = 75_000
    b_mm: int = 75_000


class Leg(NamedTuple):
    """What one position of a book requires, money; its notional (lots * price) as far as it can lose more
    than it is worth. credit: what equity gets back of an option bought that its error bound took below 0.
    deduction: of a future's tier, what the slope of its maintenance has more."""

    initial: int
    maintenance: int
    raw: int
    credit: int = 0
    deduction: int = 0


def check_terms(terms: Terms, penalty: int = 0) -> None:
    """Refuse rates under which IM could be below MM, or closing frees less than it costs: target * b_mm >
    penalty (the market's, ppm). Raises Refused."""
    if not 0 < terms.b_im <= terms.a_im <= PPM:
        raise Refused("standard: initial rates")
    if not 0 < terms.b_mm <= terms.a_mm <= PPM:
        raise Refused("standard: maintenance rates")
    if terms.a_mm > terms.a_im or terms.b_mm > terms.b_im:
        raise Refused("standard: im below mm")
    if terms.b_mm * TARGET <= penalty * PPM:
        raise Refused("standard: target below penalty")


def legs(words: Sequence[int], risk: Risk, markets: Mapping[int, Market], terms: Mapping[int, Terms]):
    """Every position of the book as a Leg, with its market. Raises Refused without a usable curve, with a
    future that expired, or with more than eight underlyings."""
    segments = unpack(words)
    if len({segment.market for segment in segments}) > MAX_UNDERLYINGS:
        raise Refused("standard: too many underlyings")
    for segment in segments:
        market, expiry = segment.market, segment.expiry
        if not expiry:
            counted = segment.forward * (PPM - risk.terms[market].haircut) // PPM
            yield market, _outright(counted, risk.prices[market], markets[market])
            continue
        if not segment.lanes and risk.now >= expiry:
            raise Refused("standard: settle first")
        curve = portfolio.usable(risk, market, expiry) if segment.lanes else None
        price = risk.prices[market]
        if segment.futures:
            yield market, _outright(segment.futures, price, markets[market])
        for name, size in segment.lanes:
            if size > 0:
                value = option_value(risk, market, curve, name, size)
                yield market, Leg(max(value, 0), max(value, 0), 0, max(-value, 0))
            else:
                if market not in terms:
                    raise Refused("standard: no terms")
                strike = risk.strike(market, name & MAX_CODE)
                leg = sold(-size, price, strike, bool(name & PUT_FLAG), terms[market])
                # What the curve may be wrong by is margin, not a price.
                error = -(curve.err * size * CONTRACT * price // (VALUE * NOTIONAL_SCALE))
                yield market, leg._replace(initial=leg.initial + error, maintenance=leg.maintenance + error)


def option_value(risk: Risk, market: int, curve: Curve, name: int, size: int) -> int:
    """Value at the mark of `size` contracts bought, money, rounded down: in all no more than equity holds of
    them."""
    net = Exposure(market, risk.prices[market])
    portfolio.add_lane(net, curve, name & MAX_CODE, size, risk.strike)
    if name & PUT_FLAG:
        net.lin -= size * CONTRACT
        net.money -= size * risk.strike(market, name & MAX_CODE) // STRIKE_UNIT
    return net.at_mark() * net.price // (VALUE * NOTIONAL_SCALE) - net.money


def sold(contracts: int, price: int, strike: int, is_put: bool, terms: Terms) -> Leg:
    """Requirement of contracts sold, beside their mark: max(a * S - otm, b * S) each, rounded up once."""
    otm = max(price - strike if is_put else strike - price, 0) * PPM

    def required(a: int, b: int) -> int:
        return -(-contracts * max(a * price - otm, b * price) // (PPM * STRIKE_UNIT))

    initial, maintenance = required(terms.a_im, terms.b_im), required(terms.a_mm, terms.b_mm)
    return Leg(initial, maintenance, contracts * CONTRACT * price)


def _outright(lots: int, price: int, market: Market) -> Leg:
    raw = abs(lots) * price
    maintenance, marginal, _ = cross.closing_costs(market, raw)
    return Leg(cross.initial_up(market, raw), maintenance, raw, deduction=marginal - maintenance)


def book_equity(words: Sequence[int], risk: Risk, parts: Iterable[Leg]) -> int:
    """What the book, whose legs are `parts`, adds to equity at the marks, money, rounded down per
    underlying."""
    value = portfolio.equity_of(0, (), portfolio.exposures((), words, risk))
    return value + sum(leg.credit for leg in parts)


def margin(
    cash: int,
    positions: Sequence[Position],
    words: Sequence[int],
    risk: Risk,
    markets: Mapping[int, Market],
    terms: Mapping[int, Terms],
    now: int,
    max_age: int,
) -> Margin:
    """Equity, IM, MM and notional (perps, futures, spot that counts, options sold) of a cross account with a
    book. Raises Refused on a stale price or curve."""
    parts = [leg for _, leg in legs(words, risk, markets, terms)]
    base = cross.margin(cash, positions, markets, now, max_age)
    return Margin(
        base.equity + book_equity(words, risk, parts),
        base.initial + sum(leg.initial for leg in parts),
        base.maintenance + sum(leg.maintenance for leg in parts),
        base.notional - (-sum(leg.raw for leg in parts) // NOTIONAL_SCALE),
    )


def close_out(
    cash: int,
    positions: Sequence[Position],
    words: Sequence[int],
    risk: Risk,
    markets: Mapping[int, Market],
    terms: Mapping[int, Terms],
    now: int,
    max_age: int,
) -> CloseOut:
    """Equity, MM, slope and penalty: the market's penalty rate on the notional of perps, futures, spot
    that counts and options sold. Raises Refused on a stale price or curve."""
    parts = list(legs(words, risk, markets, terms))
    equity, maintenance, slope, penalty = cross.close_out(cash, positions, markets, now, max_age)
    for market, leg in parts:
        maintenance += leg.maintenance
        slope += leg.maintenance + leg.deduction
        penalty += -(-leg.raw * markets[market].terms.penalty // RATE_SCALE)
    equity += book_equity(words, risk, [leg for _, leg in parts])
    return CloseOut(equity, maintenance, slope, penalty)
