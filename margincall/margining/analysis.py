"""What an account's margin is in both modes, what makes it, and what would change it. Everything is money
(1e-6 USD) unless a name says otherwise; the numbers are the twin's, to the unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mpmath import mp

from margincall.margining.case import Case, Holding
from margincall.model import Refused, explanation, portfolio
from margincall.model.arithmetic import NOTIONAL_SCALE
from margincall.model.instrument import CALL, FUTURE, PERP, PUT, log_code
from margincall.model.portfolio import SCENARIOS, VALUE
from margincall.replay.candles import BadInput

CROSS, PORTFOLIO = "cross", "portfolio"
MODES = (CROSS, PORTFOLIO)
KINDS = ("mm", "im")
NUDGE = 100  # delta is measured over a hundredth of the price each way: lanes have 16 bits
PRECISION = 100  # bits of the exact numbers


class Figures(NamedTuple):
    """An account in one mode. notional: gross in cross mode, net in portfolio mode."""

    equity: int
    initial: int
    maintenance: int
    notional: int

    @property
    def free(self) -> int:
        """What may be withdrawn or margin new positions, before the transfer rule; negative: missing."""
        return self.equity - self.initial

    @property
    def leverage(self) -> float | None:
        """Notional over equity; None when there is no equity."""
        return self.notional / self.equity if self.equity > 0 else None

    @property
    def room(self) -> int:
        """Equity above maintenance margin; negative: liquidatable."""
        return self.equity - self.maintenance

    @property
    def usage(self) -> float | None:
        """Maintenance margin over equity: at 1 the account is liquidated; None when there is no equity."""
        return self.maintenance / self.equity if self.equity > 0 else None


class Saving(NamedTuple):
    """From every position alone to the account, one kind of requirement of the portfolio rule.

    positions: each alone; netting: what they save within their underlyings; underlyings: each alone;
    diversification: what 1 - rho saves; hedging: what psi saves; required: what is left.
    """

    positions: int
    netting: int
    underlyings: int
    diversification: int
    hedging: int
    required: int


class Position(NamedTuple):
    """One position. value: what it adds to equity; delta: coins; profit: against its entry, None when that is
    unknown; mm, im: its share of the account's requirement before the floor (negative: it relieves);
    frees: (mm, im) that closing all of it at the mark frees in each mode (negative: it takes more)."""

    holding: Holding
    name: str
    value: int
    delta: float
    profit: int | None
    mm: int
    im: int
    frees: dict[str, tuple[int, int]]


class Underlying(NamedTuple):
    """One underlying alone. value, delta (coins) of all positions in it; losses: per scenario, unweighted;
    mm, im: standalone requirement; worst_*: index of its scenario."""

    market: int
    symbol: str
    price: int
    value: int
    delta: float
    losses: tuple[int, ...]
    mm: int
    worst_mm: int
    im: int
    worst_im: int


class Exact(NamedTuple):
    """The portfolio rule in real numbers, rounded to money; gross: notional of all options."""

    value: int
    initial: int
    maintenance: int
    gross: int


class Report(NamedTuple):
    """modes: figures by mode, the chosen ones; underlyings, savings, shares and exact are the portfolio
    rule's. driver: the position with the largest share of initial margin."""

    case: Case
    modes: dict[str, Figures]
    underlyings: tuple[Underlying, ...]
    positions: tuple[Position, ...]
    savings: dict[str, Saving]
    explained: explanation.Explanation
    driver: Position | None
    exact: Exact | None

    @property
    def cross(self) -> Figures:
        return self.modes[CROSS]

    @property
    def portfolio(self) -> Figures:
        return self.modes[PORTFOLIO]


def measure(case: Case, modes: Sequence[str] = MODES, exact: bool = False) -> Report:
    """Everything about an account's margin. Raises BadInput when the rule refuses the account."""
    try:
        return _measure(case, modes, exact)
    except Refused as refused:
        raise BadInput(f"{case.name}: the margin rule refuses the account ({refused.reason})") from None


def figures(case: Case, mode: str) -> Figures:
    """The account in one mode. Raises Refused."""
    return Figures(*(case.cross() if mode == CROSS else case.portfolio())[:4])


def _measure(case: Case, modes: Sequence[str], exact: bool) -> Report:
    whole = {mode: figures(case, mode) for mode in MODES}
    explained = explanation.explain(case.cash, case.perps(), case.words(), case.risk)
    positions = tuple(_position(case, holding, explained, whole) for holding in case.holdings)
    return Report(
        case,
        {mode: whole[mode] for mode in modes},
        tuple(_underlying(case, one) for one in explained.underlyings),
        positions,
        {kind: saving(case, kind) for kind in KINDS},
        explained,
        max(positions, key=lambda position: position.im, default=None),
        _exact(case) if exact else None,
    )


def saving(case: Case, kind: str) -> Saving:
    """What netting, diversification and hedging save of "mm" or "im". Raises Refused."""

    def required(part: Case) -> int:
        margin = part.portfolio()
        return margin.maintenance if kind == "mm" else margin.initial

    alone = sum(required(case.with_holdings([holding])) for holding in case.holdings)
    apart = 0
    for market in case.underlyings:
        held = [holding for holding in case.holdings if holding.instrument.market == market.id]
        apart += required(case.with_holdings(held))
    unhedged, final = required(case.with_dials(psi=0)), required(case)
    return Saving(alone, alone - apart, apart, apart - unhedged, unhedged - final, final)


def delta(case: Case, market: int) -> float:
    """Coins that the account's value moves by over a percent of the price each way, as the curves have it:
    the smile moves with the price."""
    price = case.risk.prices[market]
    reach = price // NUDGE

    def value(moved: int) -> float:
        risk = case.risk._replace(prices={**case.risk.prices, market: moved})
        perps = [(m, lots, 0) for m, lots, _ in case.perp_positions() if m == market]
        nets = portfolio.exposures(perps, case.words(), risk)
        return sum(
            net.at_mark() * net.price / (VALUE * NOTIONAL_SCALE) - net.money
            for net in nets
            if net.market == market
        )

    spec = next(m for m in case.spec.markets if m.id == market)
    slope = (value(price + reach) - value(price - reach)) / (2 * reach)  # money a price unit
    return slope * NOTIONAL_SCALE / 10**spec.size_decimals


def _underlying(case: Case, one: explanation.Underlying) -> Underlying:
    return Underlying(
        one.market,
        next(m.symbol for m in case.spec.markets if m.id == one.market),
        case.risk.prices[one.market],
        one.value,
        delta(case, one.market),
        one.losses,
        one.loss_mm,
        one.worst_mm,
        one.loss_im,
        one.worst_im,
    )


def _position(
    case: Case, holding: Holding, explained: explanation.Explanation, whole: dict[str, Figures]
) -> Position:
    alone = case.with_holdings([holding])
    rest = case._replace(holdings=tuple(other for other in case.holdings if other != holding))
    frees = {}
    for mode, all_of_it in whole.items():
        left = figures(rest, mode)
        frees[mode] = (all_of_it.maintenance - left.maintenance, all_of_it.initial - left.initial)
    share = _share(holding, explained)
    value = alone.portfolio().equity
    return Position(
        holding,
        case.label(holding),
        value,
        delta(alone, holding.instrument.market),
        _profit(holding, value),
        share.mm,
        share.im,
        frees,
    )


def _profit(holding: Holding, value: int) -> int | None:
    if holding.paid is None:
        return None
    # The value of a perp or future is its profit already, of an option or spot what it would sell for.
    return value if holding.instrument.kind in (PERP, FUTURE) else value - holding.paid


def _share(holding: Holding, explained: explanation.Explanation) -> explanation.Holding:
    market, kind, expiry, strike = holding.instrument
    code = log_code(strike) if kind in (CALL, PUT) else 0
    return next(h for h in explained.holdings if h[:4] == (market, kind, expiry, code))


def _exact(case: Case) -> Exact:
    if {(h.instrument.market, h.instrument.expiry) for h in case.holdings if h.instrument.is_option} - set(
        case.smiles
    ):
        raise BadInput("--exact: the chain keeps curves, not smiles; give the positions as a file")
    with mp.workprec(PRECISION):
        found = case.exact()
        return Exact(*(int(mp.nint(amount)) for amount in found))


def unit_value(case: Case, position: Position) -> float:
    """The mark of a position's instrument, USD a coin; of an option its value as the rule counts it."""
    spec = next(m for m in case.spec.markets if m.id == position.holding.instrument.market)
    if not position.holding.instrument.is_option:
        return spec.usd(case.risk.prices[spec.id])
    return position.value / 10**6 / spec.coins(position.holding.lots)


def scenario_rows() -> list[tuple[int, dict[str, int]]]:
    """(steps, {vol: index of the scenario}) of the 24 scenarios, by falling price move."""
    rows: dict[int, dict[str, int]] = {}
    for index, scenario in enumerate(SCENARIOS):
        rows.setdefault(scenario.steps, {})[scenario.vol] = index
    return sorted(rows.items(), reverse=True)
