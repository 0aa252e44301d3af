"""Why a portfolio account's margin is what it is: worst scenarios, and who drives them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from margincall.model import portfolio
from margincall.model.book import PUT_FLAG, unpack
from margincall.model.instrument import CALL, CONTRACT, FUTURE, MAX_CODE, PERP, PUT, SPOT
from margincall.model.portfolio import ONE, Dials, Exposure, Margin, Perp, Risk


class Underlying(NamedTuple):
    """One underlying alone, money. losses: per scenario, unweighted (negative: a gain); loss_*: weighted
    standalone worst; worst_*: its scenario; value: what everything in it adds to equity."""

    market: int
    value: int
    losses: tuple[int, ...]
    loss_mm: int
    worst_mm: int
    loss_im: int
    worst_im: int


class Holding(NamedTuple):
    """One position and its share of the two requirements, money (negative: it relieves).

    size: lots of a perp, future or spot, contracts of an option; code: log code of an option's strike.
    """

    market: int
    kind: int
    expiry: int
    code: int
    size: int
    mm: int
    im: int


class Requirement(NamedTuple):
    """One kind of requirement, money. worst: the scenario of the synchronised worst; synchronised: that
    term before psi; alone: the term of the standalone worsts before 1 - psi; floor: of perps, forwards and
    calls sold; error: of the curves, asked beside all else; contributions: by market, adding up to the
    requirement without its floor and error (each rounded up)."""

    amount: int
    rho: int
    psi: int
    worst: int
    synchronised: int
    alone: int
    floor: int
    error: int
    contributions: dict[int, int]


class Explanation(NamedTuple):
    """driver_*: the holding with the largest share of the requirement, or None of an empty account."""

    margin: Margin
    underlyings: tuple[Underlying, ...]
    mm: Requirement
    im: Requirement
    holdings: tuple[Holding, ...]
    driver_mm: Holding | None
    driver_im: Holding | None


class _Gradient(NamedTuple):
    """The linear function of losses that a requirement is around this account: weights of the losses of
    each underlying at the synchronised worst and at its own."""

    worst: int
    both: dict[int, int]
    own: dict[int, tuple[int, int]]  # market -> (scenario, weight)


def explain(cash: int, perps: Sequence[Perp], words: Sequence[int], risk: Risk) -> Explanation:
    """The margin of an account and what makes it. Arguments as in `portfolio.margin`. Raises Refused."""
    margin = portfolio.margin(cash, perps, words, risk)
    nets = portfolio.exposures(perps, words, risk, cash)
    losses = [net.losses() for net in nets]
    mm_table = _table(nets, losses, risk, "range_mm")
    im_table = _table(nets, losses, risk, "range_im")
    mm, mm_at = _requirement(nets, mm_table, risk, risk.mm, False)
    im, im_at = _requirement(nets, im_table, risk, risk.im, True)
    mm_range = "range_mm"
    if len(nets) > 1 and im.amount <= mm.amount:  # maintenance is never more than initial margin
        mm, mm_at, mm_range = im, im_at, "range_im"
    underlyings = []
    for index, net in enumerate(nets):
        low, high = mm_table[index], im_table[index]
        underlyings.append(
            Underlying(
                net.market,
                portfolio.equity_of(0, [perp for perp in perps if perp[0] == net.market], [net]),
                tuple(portfolio.money_of(loss * portfolio.FULL_WEIGHT) for loss in losses[index]),
                portfolio.money_of(max(0, *low)),
                low.index(max(low)),
                portfolio.money_of(max(0, *high)),
                high.index(max(high)),
            )
        )
    holdings = tuple(_holdings(perps, words, risk, mm_at, im_at, mm_range))
    return Explanation(
        margin,
        tuple(underlyings),
        mm,
        im,
        holdings,
        max(holdings, key=lambda holding: holding.mm, default=None),
        max(holdings, key=lambda holding: holding.im, default=None),
    )


def _table(nets: Sequence[Exposure], losses, risk: Risk, kind: str) -> list[list[int]]:
    return [
        portfolio.weighted(loss, getattr(risk.terms[net.market], kind))
        for net, loss in zip(nets, losses, strict=True)
    ]


def _requirement(
    nets: Sequence[Exposure], table, risk: Risk, dials: Dials, initial: bool
) -> tuple[Requirement, _Gradient]:
    rho, psi = dials
    floor = portfolio.floor_of(nets, risk.terms, initial)
    if not nets:
        return Requirement(0, rho, psi, portfolio.MARK, 0, 0, floor, 0, {}), _Gradient(portfolio.MARK, {}, {})
    markets = [net.market for net in nets]
    joint = [rho * sum(row) + (ONE - rho) * max(0, *row) for row in zip(*table, strict=True)]
    worst = joint.index(max(joint))
    column = [row[worst] for row in table]
    alone = [max(0, *row) for row in table]
    largest, largest_alone = column.index(max(column)), alone.index(max(alone))
    both, own = {}, {}
    for index, market in enumerate(markets):
        share = rho + (ONE - rho) * (index == largest and column[index] > 0)
        both[market] = psi * share if joint[worst] > 0 else 0
        share = rho + (ONE - rho) * (index == largest_alone)
        own[market] = (table[index].index(max(table[index])), (ONE - psi) * share * (alone[index] > 0))
    gradient = _Gradient(worst, both, own)
    contributions = {
        market: _share(row, market, gradient) for market, row in zip(markets, table, strict=True)
    }
    joined = portfolio.money_of(max(0, joint[worst]), 1)
    apart = portfolio.money_of(rho * sum(alone) + (ONE - rho) * max(alone), 1)
    error = portfolio.error_of(nets, risk.terms, initial)
    amount = max(portfolio.requirement(table, dials), floor) + error
    return Requirement(amount, rho, psi, worst, joined, apart, floor, error, contributions), gradient


def _share(row: Sequence[int], market: int, at: _Gradient) -> int:
    """Share of weighted losses in the requirement, money, rounded up."""
    scenario, weight = at.own[market]
    return portfolio.money_of(at.both[market] * row[at.worst] + weight * row[scenario], 2)


def _holdings(
    perps, words, risk: Risk, mm_at: _Gradient, im_at: _Gradient, mm_range: str
) -> Iterable[Holding]:
    def holding(market: int, kind: int, expiry: int, code: int, size: int, net: Exposure) -> Holding:
        losses, terms = net.losses(), risk.terms[market]
        mm = _share(portfolio.weighted(losses, getattr(terms, mm_range)), market, mm_at)
        im = _share(portfolio.weighted(losses, terms.range_im), market, im_at)
        return Holding(market, kind, expiry, code, size, mm, im)

    for market, size, value in perps:
        (net,) = portfolio.exposures([(market, size, value)], [], risk)
        yield holding(market, PERP, 0, 0, size, net)
    for segment in unpack(words):
        market, expiry = segment.market, segment.expiry
        if not expiry:
            (net,) = portfolio.exposures([], segment.words(), risk)
            yield holding(market, SPOT, 0, 0, segment.forward, net)
            continue
        for name, size in segment.lanes:
            net = Exposure(market, risk.prices[market])
            code, is_put = name & MAX_CODE, name & PUT_FLAG
            portfolio.add_lane(net, risk.curves[market, expiry], code, size, risk.strike)
            if is_put:
                net.lin -= size * CONTRACT
            yield holding(market, PUT if is_put else CALL, expiry, code, size, net)
        if segment.futures:
            net = Exposure(market, risk.prices[market])
            net.lin = segment.futures
            yield holding(market, FUTURE, expiry, 0, segment.futures, net)
