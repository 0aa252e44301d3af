"""From a portfolio file and a market that somebody assumes to a `Case`.

Volatility is a level a year and, if wanted, a skew and a curvature per unit of x = ln(S/K) and of its square,
"0.6" or "0.6,-0.1,0.3". It must be one that the chain's surface would accept.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor, isqrt
from typing import NamedTuple

from margincall.margining.case import Case, Holding, Smile, check, entry_money
from margincall.margining.files import Line, PortfolioFile
from margincall.model import Market, Refused, money
from margincall.model.arithmetic import MAX_PRICE, PPM
from margincall.model.book import Book
from margincall.model.curves import Curve, Vol, refresh
from margincall.model.instrument import FUTURE, MIN_PRICE, PERP, Instrument
from margincall.model.portfolio import MAX_UNDERLYINGS, ONE, Dials, Risk
from margincall.model.surface import Surface, VolReport
from margincall.protocol.config import DEFAULT, MarketSpec, ProtocolSpec
from margincall.replay.candles import BadInput, moment_of, number

DERIBIT = "deribit"
DERIBIT_SYMBOL = "ETH"


class Assumptions(NamedTuple):
    """What somebody assumes over what a file says. Texts as written; prices and vols by symbol, vols also by
    SYMBOL:DATE. rho, psi: 0 to 1."""

    cash: str | None = None
    now: str | None = None
    prices: Mapping[str, str] = {}
    vols: Mapping[str, str] = {}
    smile: str | None = None
    rho: str | None = None
    psi: str | None = None


def pairs(texts: Sequence[str], option: str, sample: str) -> dict[str, str]:
    """NAME=VALUE options as a mapping. Raises BadInput."""
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name.strip() and sign and value.strip()):
            raise BadInput(f"{option} {text}: expected NAME=VALUE like {sample}")
        if name.strip().upper() in found:
            raise BadInput(f"{option} {text}: {name.strip()} is given twice; keep one")
        found[name.strip().upper()] = value.strip()
    return found


def case_of(file: PortfolioFile, assumed: Assumptions | None = None, spec: ProtocolSpec = DEFAULT) -> Case:
    """The account of a file in an assumed market. Raises BadInput: what is missing or cannot be."""
    assumed = assumed or Assumptions()
    now = _now(assumed.now or file.now)
    lines = [(line, _instrument(line, spec)) for line in file.positions]
    wanted = [m for m in spec.markets if any(i.market == m.id for _, i in lines)]
    if len(wanted) > MAX_UNDERLYINGS:
        raise BadInput(f"{len(wanted)} underlyings: a portfolio account holds at most {MAX_UNDERLYINGS}")
    prices = _prices(wanted, {**_upper(file.prices), **assumed.prices}, spec)
    book = Book({m.id: m.options.strike_step for m in spec.markets if m.options})
    markets = {m.id: Market(m.id, m.rules, m.terms) for m in spec.markets}
    for market_id, price in prices.items():
        market = markets[market_id]
        market.mark, market.published, market.accrued_at = price, now, now
    dials = override(Dials(spec.dials.rho, spec.dials.psi), assumed.rho, assumed.psi)
    empty = Risk(
        prices,
        {},
        {m.id: m.options.terms for m in spec.markets if m.options},
        dials,
        dials,
        book.strike,
        now,
    )
    cash = _cash(assumed.cash if assumed.cash is not None else file.cash)
    account = Case(file.name, file.about, cash, (), spec, markets, empty, book, {})
    holdings = _holdings(lines, prices, spec)
    check(holdings, account)
    needed = sorted({(i.market, i.expiry) for i in (h.instrument for h in holdings) if i.is_option})
    vols = {**_upper(file.vols), **assumed.vols}
    smiles = _smiles(needed, vols, assumed.smile or file.smile, spec, now)
    curves = _curves(smiles, spec, now)
    return account._replace(holdings=holdings, risk=empty._replace(curves=curves), smiles=smiles)


# ---------------------------------------------------------------- positions and prices


def _instrument(line: Line, spec: ProtocolSpec) -> Instrument:
    try:
        return Instrument.parse(line.instrument, spec.markets)
    except ValueError as error:
        raise BadInput(f"{line.where}: {error}") from None


def _holdings(
    lines: Sequence[tuple[Line, Instrument]], prices: Mapping[int, int], spec: ProtocolSpec
) -> tuple[Holding, ...]:
    """One holding an instrument, in the order of the file; what nets to nothing is refused."""
    found: dict[Instrument, Holding] = {}
    for line, instrument in lines:
        market = next(m for m in spec.markets if m.id == instrument.market)
        try:
            lots = market.lots(line.size)
        except ValueError as error:
            raise BadInput(f"{line.where}: {line.instrument}: {error}; expected fewer") from None
        if lots == 0:
            raise BadInput(f"{line.where}: {line.instrument}: size is zero; leave the position out")
        price: int | Fraction = prices[market.id]
        paid = None
        if line.entry is not None:
            price = Fraction(line.entry) * 10**market.price_decimals
            paid = round(lots * price / 10**8)
        amount = entry_money(instrument, lots, price, up=line.entry is not None)
        before = found.get(instrument)
        if before:
            both = before.paid is not None and paid is not None
            lots, amount = before.lots + lots, before.amount + amount
            paid = before.paid + paid if both else None
        found[instrument] = Holding(instrument, lots, amount, paid)
    for instrument, holding in found.items():
        if holding.lots == 0:
            raise BadInput(f"{instrument.name(spec.markets)}: the sizes add up to zero; leave it out")
    return tuple(found.values())


def _prices(wanted: Sequence[MarketSpec], given: Mapping[str, str], spec: ProtocolSpec) -> dict[int, int]:
    if unknown := [symbol for symbol in given if symbol not in {m.symbol for m in spec.markets}]:
        known = ", ".join(m.symbol for m in spec.markets)
        raise BadInput(f"price of {unknown[0]}: unknown market; known: {known}")
    prices = {}
    for market in wanted:
        text = given.get(market.symbol)
        if text is None:
            raise BadInput(f"no price of {market.symbol}; give one with --price {market.symbol}=100000")
        value = number(text, f"price of {market.symbol}")
        try:
            price = market.price(value)
        except ValueError as error:
            raise BadInput(f"price of {market.symbol}: {error}; expected fewer") from None
        if not MIN_PRICE <= price < MAX_PRICE:
            low, high = market.usd(MIN_PRICE), market.usd(MAX_PRICE)
            raise BadInput(f"price of {market.symbol}: {text} USD; expected {low:.6g} to {high:,.0f}")
        prices[market.id] = price
    return prices


def _now(text: str | None) -> int:
    return int(time.time()) if text is None else moment_of(text, "now")


def _cash(text: str | None) -> int:
    if text is None:
        return 0
    try:
        cash = money(number(text, "cash"))
    except ValueError as error:
        raise BadInput(str(error) if isinstance(error, BadInput) else f"cash: {error}") from None
    if abs(cash) >= 2**63:
        raise BadInput(f"cash: {text} USD is too much; expected less than 9 trillion")
    return cash


def override(dials: Dials, rho: str | None, psi: str | None) -> Dials:
    """Dials with what somebody gave (0 to 1) in their place, on the strict side. Raises BadInput."""
    return Dials(
        dials.rho if rho is None else ceil(_share(rho, "--rho") * ONE),
        dials.psi if psi is None else floor(_share(psi, "--psi") * ONE),
    )


def _share(text: str, option: str) -> Decimal:
    value = number(text, option)
    if not 0 <= value <= 1:
        raise BadInput(f"{option} {text}: expected 0 to 1")
    return value


# ---------------------------------------------------------------- volatility


def _smiles(
    needed: Sequence[tuple[int, int]],
    vols: Mapping[str, str],
    smile: str | None,
    spec: ProtocolSpec,
    now: int,
) -> dict[tuple[int, int], Smile]:
    """The smile of each expiry: its own, else the chain's shape, at the market's own level if one is given,
    else the market's own."""
    given = {_vol_key(name, spec): _vol(text, f"vol of {name}") for name, text in vols.items()}
    if smile not in (None, DERIBIT):
        raise BadInput(f"--smile {smile}: expected {DERIBIT}")
    found = {}
    for market_id, expiry in needed:
        symbol = next(m.symbol for m in spec.markets if m.id == market_id)
        own, general = given.get((market_id, expiry)), given.get((market_id, 0))
        if own:
            found[market_id, expiry] = Smile(*own, "given")
        elif smile and symbol == DERIBIT_SYMBOL:
            found[market_id, expiry] = _deribit(expiry - now, general[0] if general else None)
        elif general:
            found[market_id, expiry] = Smile(*general, "given")
        else:
            date = _date(market_id, expiry, spec)
            raise BadInput(
                f"no volatility of {date}; give one with --vol {symbol}=0.6 or --vol {date}=0.6,-0.1,0.3"
                " (level a year, skew, curvature)"
            )
    return found


def _vol_key(name: str, spec: ProtocolSpec) -> tuple[int, int]:
    try:
        instrument = Instrument.parse(name.replace(":", "-", 1), spec.markets)
    except ValueError:
        instrument = None
    if instrument is None or instrument.kind not in (PERP, FUTURE):
        raise BadInput(f"vol of {name}: expected BTC or BTC:27DEC26 before the =")
    return instrument.market, instrument.expiry


def _vol(text: str, where: str) -> tuple[int, int, int]:
    parts = text.split(",")
    if len(parts) > 3:
        raise BadInput(f"{where}: {text!r} has {len(parts)} parts; expected level,skew,curvature")
    atm, *shape = (number(part, where) for part in parts)
    if not Decimal("0.05") <= atm <= 4:
        raise BadInput(f"{where}: level {atm}; expected 0.05 to 4 a year, 0.6 for 60 %")
    values = [round(part * PPM) for part in (atm, *shape)]
    return (*values, *[0] * (3 - len(values)))


def _deribit(term: int, level: int | None) -> Smile:
    """The shipped chain's smile for a term in seconds: the variance between the neighbouring expiries, the
    shape of the nearest one, flattened as far as the surface asks."""
    from margincall.venues.smiles import chain_smiles, flattened

    chain = chain_smiles()
    nearest = min(chain, key=lambda smile: abs(smile.term - term))
    if level is None:
        after = next((smile for smile in chain if smile.term >= term), chain[-1])
        before = next((smile for smile in reversed(chain) if smile.term <= term), chain[0])
        low, high = (smile.atm**2 * smile.term for smile in (before, after))
        span = after.term - before.term
        variance = low + (high - low) * (term - before.term) // span if span else low * term // before.term
        level = isqrt(variance // term)
    smile = flattened(level, nearest.skew, nearest.curvature, term)
    return Smile(*smile, f"Deribit ETH, {nearest.term / 86_400:.0f} days")


def _curves(
    smiles: Mapping[tuple[int, int], Smile], spec: ProtocolSpec, now: int
) -> dict[tuple[int, int], Curve]:
    """The value curves, refreshed now, of smiles that the surface accepts."""
    surface, feed = Surface(), "file"
    for market in spec.markets:
        if market.options:
            surface.set_rules(market.id, market.options.vols._replace(feed=feed))
    curves = {}
    for (market, expiry), smile in smiles.items():
        try:
            surface.update(feed, [VolReport(market, expiry, *smile[:3], now)], now)
            curves[market, expiry] = refresh(Vol(*smile[:3]), expiry, now, spec.curve_window)
        except Refused as refused:
            values = ",".join(f"{part / PPM:g}" for part in smile[:3])
            expected = (
                "a level that gives no less variance than the expiry before it"
                if refused.reason == "vol: calendar"
                else "a level of 0.1 to 4, and skew and curvature near enough to 0 to leave no arbitrage"
            )
            raise BadInput(
                f"vol of {_date(market, expiry, spec)}: the surface refuses {values} ({refused.reason});"
                f" expected {expected}"
            ) from None
    return curves


def _date(market: int, expiry: int, spec: ProtocolSpec) -> str:
    return Instrument(market, FUTURE, expiry).name(spec.markets).replace("-", ":")


def _upper(values: Mapping[str, str]) -> dict[str, str]:
    return {name.upper(): value for name, value in values.items()}
