"""The integer twin of the portfolio rule against exact Black-76, and against itself.

`python -m tests.fuzz.test_portfolio_model 1000` tries as many books of each kind and prints what it saw.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from random import Random
from typing import NamedTuple

import pytest
from mpmath import mp

from margincall.model import explanation, portfolio
from margincall.model.book import Book, merge
from margincall.model.instrument import CALL, CONTRACT, FUTURE, PERP, PUT, STRIKE_UNIT
from margincall.model.portfolio import ONE, Dials
from margincall.specification import portfolio as specification
from margincall.specification.portfolio import Position
from tests.fuzz.portfolios import DAY, KINDS, NOW, Maker, Sample, samples
from tests.fuzz.valuation import CALM, Case, Rules, case, words_of

COUNTS = {"multi": 14, "ladder": 10}  # books of a kind by default: 24
HIGH, SHORT_DATED = Fraction(1, 10_000), Fraction(25, 100_000)  # over-charge, of the options' notional
FLY = Fraction(5, 100)  # of a margin that is at least FLY_LEAST of the notional
FLY_LEAST = Fraction(1, 1_000)
SINGLE = [kind for kind in KINDS if kind != "multi"]


@pytest.fixture(autouse=True)
def _precision():
    with mp.workprec(100):
        yield


class Over(NamedTuple):
    """What a requirement asks above the specification's, money; the exact requirement; the notional of the
    options; whether one of them has less than two days."""

    money: mp.mpf
    exact: mp.mpf
    gross: int
    is_short_dated: bool

    @property
    def share(self) -> float:
        return float(self.money / self.gross) if self.gross else 0.0

    @property
    def relative(self) -> float:
        return float(self.money / self.exact) if self.exact >= self.gross * float(FLY_LEAST) else 0.0


def over_charges(sample: Sample, at: Case) -> list[Over]:
    """Of the initial and of the maintenance margin. Compared is what must be there beside the exact value:
    an equity that is charged for the error of the curves counts as a requirement."""
    computed, exact = at.margin(), at.exact()
    near = min((p.expiry for p in sample.positions if p.expiry), default=NOW + 1_000 * DAY) - NOW < 2 * DAY
    return [
        Over(exact.value - computed.equity + asked - required, required, at.gross, near)
        for asked, required in (
            (computed.initial, exact.initial),
            (computed.maintenance, exact.maintenance),
        )
    ]


def check(kind: str, over: Over, dust: int) -> None:
    limit = SHORT_DATED if over.is_short_dated else HIGH
    assert over.money >= 0, over
    assert over.money <= limit * over.gross + dust, over
    if kind == "fly" and over.exact >= over.gross * float(FLY_LEAST):
        assert over.money <= float(FLY) * over.exact + dust, over


@pytest.mark.parametrize("kind", KINDS)
def test_never_below_exact_and_above_within_the_bound(kind: str, record_property):
    worst = []
    for sample in samples(kind, COUNTS.get(kind, 24)):
        at = case(sample)
        for over in over_charges(sample, at):
            check(kind, over, at.dust)
            worst.append(over)
    record_property("summary", figures(kind, worst, 1))


def figures(kind: str, overs: list[Over], dust: int) -> str:
    kept = [over for over in overs if over.gross > 10**6 * dust]
    parts = []
    for name, near in (("", False), (" under two days", True)):
        shares = [over.share for over in kept if over.is_short_dated == near]
        if shares:
            parts.append(f"{min(shares):.1e} to {max(shares):.1e} of the notional{name}")
    relative = max((over.relative for over in kept), default=0.0)
    return f"portfolio margin above exact, {kind}: {', '.join(parts)}; {relative:.2%} of the margin"


@pytest.mark.parametrize("kind", SINGLE)
def test_covers_a_dense_grid_of_prices(kind: str):
    """Between two of the rule's prices a bought option may lose more than at both: it is convex, its delta
    changes by at most one, so by at most a quarter of their distance."""
    rules = Rules(floor=0)
    for sample in samples(kind, 2, seed=2):
        at = case(sample, rules)
        worst = specification.dense(at.positions, at.setting, Fraction(rules.range_mm), moves=17)
        bought = sum(p.size for p in at.positions if p.kind in (CALL, PUT) and p.size > 0)
        (price,) = at.risk.prices.values()
        reach = mp.exp(mp.mpf(rules.range_mm) / 320)
        slack = bought * price * reach * (1 - mp.exp(mp.mpf(-1) / 20)) / 4 / 10**8
        computed = at.margin()
        assert at.exact().value - computed.equity + computed.maintenance >= worst - slack


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_positions_is_irrelevant(kind: str):
    rng = Random(3)
    for sample in samples(kind, 5, seed=3):
        shuffled = list(sample.positions)
        rng.shuffle(shuffled)
        assert case(sample._replace(positions=tuple(shuffled))).margin() == case(sample).margin()


def near_an_end(p: Position, prices: dict[int, int]) -> bool:
    codes = portfolio.log_code(prices[p.market]), portfolio.log_code(p.strike)
    return portfolio.beyond_of(portfolio.position(*codes)) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_scales_with_the_book(kind: str):
    for sample in samples(kind, 5, seed=4):
        factor = 7
        larger = [p._replace(size=p.size * factor, amount=p.amount * factor) for p in sample.positions]
        rules = Rules(haircut=0)  # what counts of spot is rounded to lots
        one = case(sample, rules).margin()
        many = case(sample._replace(positions=tuple(larger)), rules).margin()
        slack = factor * (len(sample.prices) * (1 + portfolio.GRAIN) + 1)
        # What scenarios see near the curve's ends is whole contracts: one of each option, 10,000 lots.
        ends = factor * sum(
            sample.prices[p.market] * CONTRACT // 10**8 + 1
            for p in sample.positions
            if p.strike and p.size > 0 and near_an_end(p, sample.prices)
        )
        for name in ("initial", "maintenance", "notional"):
            less = -2 * ends if name == "notional" else 0
            assert less <= factor * getattr(one, name) - getattr(many, name) <= slack + 2 * ends, name


@pytest.mark.parametrize("kind", KINDS)
def test_merged_never_needs_more_than_apart(kind: str):
    """Health, not the requirement alone: what nets is charged for the error of its curve no more."""
    rng = Random(5)
    for sample in samples(kind, 6, seed=5):
        parts = [], []
        for p in sample.positions:
            unit = CONTRACT if p.kind in (CALL, PUT, FUTURE) else 1
            size = rng.randint(-2, 3) * p.size // unit * unit if p.kind != 4 else p.size
            parts[0].append(p)
            if size:
                parts[1].append(p._replace(size=size))
        first, second = (case(sample._replace(positions=tuple(part))) for part in parts)
        words, _ = merge(first.words, second.words)
        joined = portfolio.margin(0, first.perps + second.perps, words, first.risk)
        apart = [portfolio.margin(0, one.perps, one.words, one.risk) for one in (first, second)]
        for name in ("initial", "maintenance"):
            health = joined.equity - getattr(joined, name)
            assert health >= sum(one.equity - getattr(one, name) for one in apart) - first.dust, name


def test_more_hedge_credit_never_asks_more():
    for sample in samples("multi", 10, seed=6):
        at = case(sample)
        asked = [at.requirement(Dials(CALM.rho, psi)) for psi in range(0, ONE + 1, ONE // 8)]
        assert asked == sorted(asked, reverse=True)


def test_less_diversification_asks_more_of_books_that_lose_together():
    rng = Random(7)
    for _ in range(10):
        maker = Maker(rng, markets=4)
        for market in maker.prices:
            maker.perp(market, abs(maker.size()) * CONTRACT)
            expiry = maker.expiry()
            strike = maker.strike(market, rng.uniform(0, 1) * maker.deviation(market, expiry))
            maker.option(market, expiry, strike, -abs(maker.size()), PUT)
        at = case(maker.done("bulls"), Rules(floor=0))
        asked = [at.requirement(Dials(rho, CALM.psi)) for rho in range(0, ONE + 1, ONE // 8)]
        assert asked == sorted(asked)
        assert asked[0] < asked[-1]


def test_more_scenarios_never_ask_less():
    rng = Random(8)
    for sample in samples("multi", 10, seed=8):
        at = case(sample)
        nets = portfolio.exposures(at.perps, at.words, at.risk)
        table = [portfolio.weighted(net.losses(), 48) for net in nets]
        all_asked = portfolio.requirement(table, CALM)
        for _ in range(10):
            kept = sorted(rng.sample(range(24), rng.randint(1, 23)))
            assert portfolio.requirement([[row[j] for j in kept] for row in table], CALM) <= all_asked


@pytest.mark.parametrize("kind", KINDS)
def test_never_more_than_each_underlying_alone(kind: str):
    for sample in samples(kind, 5, seed=9):
        at = case(sample, Rules(floor=0))
        why = explanation.explain(0, at.perps, at.words, at.risk)
        for name, losses, error in (
            ("maintenance", [one.loss_mm for one in why.underlyings], why.mm.error),
            ("initial", [one.loss_im for one in why.underlyings], why.im.error),
        ):
            asked = getattr(why.margin, name) - error
            assert asked <= sum(losses)
            if len(losses) == 1:
                assert asked == losses[0]


@pytest.mark.parametrize("kind", ["random", "wings", "oneday", "multi"])
def test_bought_options_need_no_more_than_they_are_worth(kind: str):
    for sample in samples(kind, 6, seed=10):
        options = [p._replace(size=abs(p.size)) for p in sample.positions if p.kind in (CALL, PUT)]
        at = case(sample._replace(positions=tuple(options)))
        value = at.exact().value - 10**9
        computed = at.margin()
        assert computed.maintenance <= computed.initial <= value + at.error_bound() + at.dust


@pytest.mark.parametrize("kind", KINDS)
def test_parity_rewrites_are_equal_to_the_unit(kind: str):
    """Every put as a call and a future sold at its strike, and the other way round."""
    for sample in samples(kind, 5, seed=11):
        parts = []
        for p in sample.positions:
            if p.kind not in (CALL, PUT):
                parts.append(p)
                continue
            sign = 1 if p.kind == CALL else -1
            entry = sign * p.size // CONTRACT * p.strike // STRIKE_UNIT
            parts.append(p._replace(kind=PUT if p.kind == CALL else CALL))
            parts.append(Position(p.market, FUTURE, p.expiry, 0, sign * p.size, entry))
        positions = tuple(parts)
        assert case(sample._replace(positions=positions)).margin() == case(sample).margin()


def test_conversions_need_no_more_than_the_curves_error():
    """A call sold, a put bought and the future at their strike, or the perp at the mark: no risk at all where
    scenarios see what is bought."""
    rng = Random(12)
    for linear in (FUTURE, PERP):
        for _ in range(10):
            maker = Maker(rng)
            market, expiry, size = maker.market(), maker.expiry(), maker.size()
            x = rng.gauss(0, maker.deviation(market, expiry))
            strike = maker.strike(market, max(-0.6, min(0.6, x)))
            maker.option(market, expiry, strike, -size, CALL)
            maker.option(market, expiry, strike, size, PUT)
            maker.add(market, linear, expiry if linear == FUTURE else 0, 0, size * CONTRACT)
            at = case(maker.done("conversion"), Rules(floor=0))
            # four steps up the error is 22 % more of the present price
            assert at.margin().initial <= at.error_bound() * 123 // 100 + at.dust


def test_never_below_exact_after_the_price_left_the_curves():
    """Positions that were opened on the grid, at prices where some are off the curves: long ones fade to
    nothing or their intrinsic value, short ones count as the last strike of the curve."""
    rng = Random(13)
    off = 0
    for kind in ("wings", "random", "ladder"):
        for sample in samples(kind, 8, seed=13):
            factor = mp.exp(rng.choice((-1, 1)) * rng.uniform(0.2, 0.5))
            at = case(sample)
            prices = {market: int(price * factor) for market, price in sample.prices.items()}
            at = at._replace(risk=at.risk._replace(prices=prices), setting=at.setting._replace(prices=prices))
            (market,) = prices
            spot = portfolio.log_code(prices[market])
            for p in at.positions:
                if p.strike:
                    tap, _ = portfolio.place(spot, portfolio.log_code(p.strike))
                    off += not portfolio.FIRST <= tap <= portfolio.LAST
            assert all(over.money >= 0 for over in over_charges(sample, at)), sample
    assert off > 20


def test_words_of_a_shuffled_book_name_the_same_positions():
    for sample in samples("random", 5, seed=14):
        book = Book(sample.steps)
        held = {(*p.instrument[:4],): p.size for p in book.positions(words_of(sample.positions, book))}
        assert held == {p[:4]: p.size for p in sample.positions if p.kind != PERP}


def main() -> None:
    """The comparison with the specification at length: books of each kind as the first argument says."""
    mp.prec = 100
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    for kind in KINDS:
        overs, broken = [], []
        for sample in samples(kind, count, seed=int(sys.argv[2]) if len(sys.argv) > 2 else 1):
            at = case(sample)
            for over in over_charges(sample, at):
                overs.append(over)
                try:
                    check(kind, over, at.dust)
                except AssertionError:
                    broken.append((over.share, over.relative, sample.smiles))
        print(figures(kind, overs, 13), f"; {len(broken)} of {len(overs)} out of bounds", flush=True)
        for line in sorted(broken, key=lambda one: one[0])[-2:]:
            print("   ", line)


if __name__ == "__main__":
    main()
