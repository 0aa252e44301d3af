"""Everything that PortfolioMargin's rule refuses, each for its reason, and what may be set."""

import pytest

from margincall.chain.base import Reverted
from margincall.model import portfolio
from margincall.model.instrument import CALL, CONTRACT, FUTURE
from margincall.model.portfolio import Terms
from margincall.protocol.orders import Report
from tests.unit.clearinghouse.world import reasons_in
from tests.unit.portfolio_margin.ladder import EXPIRY, MARKET, PRICE, fragment, plain, together
from tests.unit.standard_margin.bench import MARKETS, WINDOW, bench, refusal

TERMS_REASONS = {
    "portfolio: range": [Terms(15, 48), Terms(0, 48), Terms(32, 49), Terms(32, 2**250)],
    "portfolio: whole steps": [Terms(16, 19), Terms(40, 48), Terms(17, 32), Terms(2**200 + 1, 48)],
    "portfolio: im range": [Terms(16, 16), Terms(48, 48), Terms(2**200, 48)],
    "portfolio: haircut": [Terms(32, 48, 10**6), Terms(32, 48, 50_001), Terms(32, 48, 2**250)],
    "portfolio: floor": [Terms(32, 48, 0, 100_100), Terms(32, 48, 0, 99)],
}
WITHIN = [Terms(16, 32), Terms(32, 48), Terms(16, 48, 999_900, 100_000)]
VIEWS = ("margin", "initial", "close_out", "nets")


def refused(call) -> str:
    with pytest.raises(Reverted) as caught:
        call()
    return caught.value.reason


# ---------------------------------------------------------------- terms


@pytest.mark.parametrize(("reason", "terms"), [(r, t) for r, many in TERMS_REASONS.items() for t in many])
def test_terms_out_of_bounds(reason, terms):
    with bench(plain()) as b:
        rule = b.protocol.portfolio
        assert refused(lambda: rule.send(b.owner, "set_risk_terms", MARKET, tuple(terms))) == reason


@pytest.mark.parametrize("terms", WITHIN)
def test_terms_at_their_bounds(terms):
    with bench(plain()) as b:
        rule, words = b.protocol.portfolio, fragment(b, CALL, PRICE, -CONTRACT)
        receipt = rule.send(b.owner, "set_risk_terms", MARKET, tuple(terms))
        (event,) = rule.events(receipt, "RiskTermsSet")
        assert event.args["market"] == MARKET
        assert tuple(event.args["terms"]) == tuple(terms)
        assert rule.call("haircut", MARKET) == terms.haircut
        assert rule.call("haircut", MARKET + 1) != terms.haircut  # its neighbour in the slot stays
        risk = b.risk()
        risk = risk._replace(terms={**risk.terms, MARKET: terms})
        assert b.ask(rule, "margin", 0, [], words) == portfolio.margin(0, [], words, risk)[:4]


def test_who_sets_terms():
    with bench(plain()) as b:
        rule, terms = b.protocol.portfolio, tuple(Terms(32, 48))
        for market in (0, 64, 2**200):
            reason = refused(lambda m=market: rule.send(b.owner, "set_risk_terms", m, terms))
            assert reason == "portfolio: no such market"
        for market in (1, 63):
            rule.send(b.owner, "set_risk_terms", market, terms)
        stranger = b.chain.accounts[1]
        assert refused(lambda: rule.send(stranger, "set_risk_terms", 1, terms)).startswith("ownable")


# ---------------------------------------------------------------- accounts


def check(b, reason: str, perps, words) -> None:
    """All views and the twin, for this reason."""
    for view in VIEWS:
        assert refused(lambda v=view: b.ask(b.protocol.portfolio, v, 0, perps, words)) == reason
    assert refusal(portfolio.margin, 0, [(m, lots, 0) for m, lots, _ in perps], words, b.risk()) == reason


@pytest.mark.parametrize("in_slots", [False, True])
def test_curves(in_slots):
    with bench(plain(), in_slots) as b:
        words = fragment(b, CALL, PRICE, -CONTRACT)
        other = [word + (86_400 << 176) if not i else word for i, word in enumerate(words)]
        check(b, "curve: none", [], other)
        valid = b.curves[MARKET, EXPIRY].valid_until
        assert valid == b.now + WINDOW
        b.set_prices({MARKET: PRICE}, at=valid)
        b.ask(b.protocol.portfolio, "margin", 0, [], words)
        b.set_prices({MARKET: PRICE}, at=valid + 1)
        check(b, "curve: stale", [], words)
        b.refresh(MARKET, EXPIRY)
        b.ask(b.protocol.portfolio, "margin", 0, [], words)


def test_prices():
    with bench(plain()) as b:
        words = fragment(b, CALL, PRICE, -CONTRACT)
        late = b.now + b.protocol.spec.max_age + 1
        for view in VIEWS:
            with pytest.raises(Reverted, match="price: stale"):
                b.protocol.portfolio.call(view, len(words) << 144, words, at=late)
        elsewhere = [words[0] ^ (2 ^ 3) << 208, words[1]]
        for view in VIEWS:
            assert refused(lambda v=view: b.ask(b.protocol.portfolio, v, 0, [], elsewhere)) == "price: none"


def test_a_future_that_expired():
    with bench(plain()) as b:
        words = fragment(b, FUTURE, 0, CONTRACT, 5)
        b.set_prices({MARKET: PRICE}, at=EXPIRY - 1)
        b.ask(b.protocol.portfolio, "margin", 0, [], words)
        b.set_prices({MARKET: PRICE}, at=EXPIRY)
        check(b, "portfolio: settle first", [], words)


def test_money_of_an_expiry_alone():
    """What a future sold again left behind is owed until it is settled, and refused after."""
    with bench(plain()) as b:
        words = together(fragment(b, FUTURE, 0, CONTRACT, 7), fragment(b, FUTURE, 0, -CONTRACT, -5))
        assert len(words) == 1
        assert b.ask(b.protocol.portfolio, "margin", 100, [], words) == (98, 0, 0, 0)
        b.set_prices({MARKET: PRICE}, at=EXPIRY)
        check(b, "portfolio: settle first", [], words)


def test_markets_without_terms():
    with bench(plain()) as b:
        made = [b.protocol.markets.address, b.protocol.book.address]
        pricing, dials = b.protocol.contracts["Pricing"].address, tuple(b.protocol.spec.dials)
        rule = b.chain.deploy(b.protocol.portfolio.artifact, *made, pricing, dials)
        perps = [(MARKET, 10**7, 0)]
        for view in VIEWS:
            assert refused(lambda v=view: b.ask(rule, v, 0, perps, [])) == "portfolio: no risk terms"
        bare = b.risk()._replace(terms={})
        assert refusal(portfolio.margin, 0, perps, [], bare) == "portfolio: no risk terms"
        assert refused(lambda: rule.call("haircut", MARKET)) == "portfolio: no risk terms"
        assert b.ask(rule, "margin", -5, [], []) == (-5, 0, 0, 0)


def test_at_most_eight_underlyings():
    with bench(plain()) as b:
        at = b.now + 1
        b.protocol.publish([Report(m, PRICE, PRICE, at) for m in range(1, 10)], at=at)
        b.prices |= dict.fromkeys(range(1, 10), PRICE)
        futures = [fragment(b, FUTURE, 0, CONTRACT, 0, market) for market in range(1, 10)]
        perps = [(market.id, CONTRACT, 0) for market in MARKETS]
        eight = b.ask(b.protocol.portfolio, "margin", 0, [], together(*futures[:8]))
        assert b.ask(b.protocol.portfolio, "margin", 0, perps[:8], [])[1:] == eight[1:]
        check(b, "portfolio: too many underlyings", [], together(*futures))
        check(b, "portfolio: too many underlyings", perps, [])
        check(b, "portfolio: too many underlyings", perps[:5], together(*futures[5:]))


def test_every_reason_is_here():
    from pathlib import Path

    tested = Path(__file__).read_text()
    reasons = reasons_in("margin/portfolio.vy", "PortfolioMargin.vy")
    assert len(reasons) == 9
    for reason in reasons | {"curve: none", "curve: stale"}:
        assert reason in tested
