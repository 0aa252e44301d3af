"""Margin, tiers and funding against the exact specification: equity never above, requirements never below."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from margincall.model import Market, Rules, Terms, Tier
from margincall.model.arithmetic import MAX_PRICE
from margincall.model.margin import close_out, margin
from margincall.model.markets import FUNDING_LIMIT, MAX_LAG, funding_rate
from tests.unit.model import specification as spec

NOW = 1_000_000
AGE = 300


@st.composite
def tier_tables(draw):
    count = draw(st.integers(1, 6))
    lowers = [0, *sorted(draw(st.lists(st.integers(1, 10**15), min_size=count - 1, max_size=count - 1)))]
    mmfs = sorted(draw(st.lists(st.integers(1, 400_000), min_size=count, max_size=count)))
    imfs = sorted(draw(st.lists(st.integers(400_001, 10**6), min_size=count, max_size=count)))
    return tuple(Tier(*row) for row in zip(lowers, imfs, mmfs, strict=True))


@st.composite
def markets(draw, market=1):
    result = Market(market, Rules(), Terms(draw(tier_tables()), penalty=draw(st.integers(0, 300_000))))
    result.mark = draw(st.integers(1, 2**40 - 1))
    result.published = result.accrued_at = NOW - draw(st.integers(0, AGE))
    result.funding = draw(st.integers(-(2**46), 2**46))
    result.rate = draw(st.integers(-500_000_000, 500_000_000))
    result.social_long = draw(st.integers(0, 10**12))
    result.social_short = draw(st.integers(0, 10**12))
    return result


sizes = st.integers(-(2**47) + 1, 2**47 - 1).filter(bool)
entries = st.integers(-(2**63) + 1, 2**63 - 1)


@given(st.data(), st.integers(-(2**100), 2**100), st.integers(1, 4))
def test_margin_rounds_against_the_account(data, cash, legs):
    held, book = [], {}
    equity, initial, maintenance, notional = Fraction(cash), Fraction(0), Fraction(0), Fraction(0)
    slope, penalty, tier_count = Fraction(0), Fraction(0), 0
    for i in range(1, legs + 1):
        market = book[i] = data.draw(markets(i))
        size, entry = data.draw(sizes), data.draw(entries)
        held.append((i, size, entry))
        # The funding index is an integer by definition: the twin's own, tested below.
        plain = spec.adjusted(
            Fraction(market.mark),
            Fraction(market.funding_now(NOW)),
            size,
            market.social_long,
            market.social_short,
        )
        worth = Fraction(abs(size) * market.mark, 10**8)
        tiers = market.terms.tiers
        equity += size * plain / spec.INDEX - entry
        initial += spec.requirement(tiers, worth, lambda tier: tier.imf)
        maintenance += spec.requirement(tiers, worth, lambda tier: tier.mmf)
        slope += worth * next(t for t in reversed(tiers) if t.lower <= worth).mmf / spec.PPM
        penalty += worth * market.terms.penalty / spec.PPM
        notional += worth
        tier_count += len(tiers)
    found = margin(cash, held, book, NOW, AGE)
    assert equity - legs < found.equity <= equity
    assert initial <= found.initial < initial + legs + tier_count
    assert maintenance <= found.maintenance < maintenance + legs + tier_count
    assert notional <= found.notional < notional + 1
    closing = close_out(cash, held, book, NOW, AGE)
    assert (closing.equity, closing.maintenance) == (found.equity, found.maintenance)
    assert slope <= closing.slope < slope + legs
    assert penalty <= closing.penalty < penalty + legs


@given(tier_tables())
def test_requirements_are_continuous_at_the_edges(tiers):
    """One unit of price beside an edge changes the requirement by its rate and a unit per rounding."""
    market = Market(1, Rules(), Terms(tiers))
    market.mark, market.published, market.accrued_at = 10**6, NOW, NOW
    for tier in tiers[1:]:
        lots = tier.lower * 100  # worth exactly the edge at a price of 1e6
        at = margin(0, [(1, lots, 0)], {1: market}, NOW, AGE)
        below = margin(0, [(1, lots - 1, 0)], {1: market}, NOW, AGE)
        # Each edge's deduction is rounded down once; several tiers may share an edge.
        assert -1 <= at.initial - below.initial <= 1 + len(tiers)
        assert -1 <= at.maintenance - below.maintenance <= 1 + len(tiers)


@given(st.integers(1, 2**40 - 1), st.integers(1, 2**40 - 1), *[st.integers(0, 500_000_000)] * 3)
def test_funding_rate_is_the_exact_one_rounded_down(mark, index, interest, damp, cap):
    rules = Rules(interest=interest, damp=damp, rate_cap=cap)
    exact = spec.rate(mark, index, interest, damp, cap)
    assert exact - 1 < funding_rate(mark, index, rules) <= exact


@given(st.data())
def test_funding_index_follows_the_integral(data):
    """I-34: time-additive up to one index unit per accrual, and never above the integral."""
    market = Market(1, Rules(step=500_000, rate_cap=500_000_000, damp=0), Terms((Tier(0, 10**5, 10**4),)))
    now = 10**6
    exact = spec.Funding(now)
    price = data.draw(st.integers(10**4, 2**39))
    for _ in range(data.draw(st.integers(1, 8))):
        published = now - data.draw(st.integers(0, min(MAX_LAG, now - market.published - 1)))
        index = data.draw(st.integers(max(1, price // 2), min(price * 2, MAX_PRICE)))
        market.update(price, index, published, now)
        exact.update(now, price, Fraction(market.rate))
        now += data.draw(st.integers(1, 10**5))
        if abs(exact.at_time(now)) >= FUNDING_LIMIT:
            break  # an update would store the limit
        price = data.draw(st.integers(-(-price * 2 // 3), min(price * 4 // 3, MAX_PRICE)))
    due = exact.at_time(now)
    assert due - exact.updates < market.funding_now(now) <= due
