"""Everything that SpanMargin refuses, each for its reason."""

from pathlib import Path

import pytest

from margincall.chain.base import Reverted
from margincall.model import span
from margincall.model.instrument import CALL, CONTRACT, FUTURE, PUT
from margincall.model.span import Terms, check_terms
from tests.unit.clearinghouse.world import reasons_in
from tests.unit.span_margin.arrays import Span
from tests.unit.standard_margin.bench import WINDOW, bench, refusal
from tests.unit.standard_margin.test_standard import EXPIRY, PLAIN, PRICE, fragment

TERMS_REASONS = [
    ("span: range", Terms(0)),
    ("span: range", Terms(5_462)),
    ("span: short minimum", Terms(1, 100_001)),
    ("span: haircut", Terms(1, 0, 10**6)),
]


def refused(call) -> str:
    with pytest.raises(Reverted) as caught:
        call()
    return caught.value.reason


@pytest.mark.parametrize(("reason", "terms"), TERMS_REASONS)
def test_terms_out_of_bounds(reason, terms):
    with bench(PLAIN) as b:
        rule = Span(b).contract
        assert refused(lambda: rule.send(b.owner, "set_terms", 1, tuple(terms))) == reason
    assert refusal(check_terms, terms) == reason


def test_setting_terms():
    with bench(PLAIN) as b:
        rule, widest = Span(b).contract, Terms(5_461, 100_000, 999_999)
        for market in (0, 64):
            call = (b.owner, "set_terms", market, tuple(widest))
            assert refused(lambda c=call: rule.send(*c)) == "span: no such market"
        stranger = b.chain.accounts[1]
        assert refused(lambda: rule.send(stranger, "set_terms", 1, tuple(widest))).startswith("ownable")
        check_terms(widest)
        rule.send(b.owner, "set_terms", 1, tuple(widest))
        assert tuple(rule.call("terms", 1)) == tuple(widest)
        assert rule.call("haircut", 1) == 999_999


def check(rule: Span, reason: str, perps, words) -> None:
    """All views and the twin, for this reason."""
    for view in ("margin", "initial", "close_out"):
        assert refused(lambda v=view: rule.bench.ask(rule.contract, v, 0, perps, words)) == reason
    for function in (span.margin, span.close_out):
        assert refusal(function, *rule.account(0, perps, words)) == reason


def test_arrays():
    with bench(PLAIN) as b:
        rule = Span(b)
        words = fragment(b, PUT, PRICE, -CONTRACT)
        check(rule, "span: no risk array", [], words)
        rule.refresh_all(words)
        rule.check(0, [], words)
        b.set_prices({2: PRICE * 102 // 100}, at=b.now + 60)
        check(rule, "span: price moved", [], words)
        b.set_prices({2: PRICE}, at=b.now + WINDOW)
        check(rule, "span: stale", [], words)


def test_what_no_array_can_be_made_of():
    with bench(PLAIN) as b:
        rule = Span(b)
        make = rule.contract
        assert refused(lambda: make.send(b.owner, "refresh", 60, EXPIRY, [PRICE])) == "span: no terms"
        assert refused(lambda: make.send(b.owner, "refresh", 3, EXPIRY, [PRICE])) == "price: none"
        other = EXPIRY + 86_400
        assert refused(lambda: make.send(b.owner, "refresh", 2, other, [PRICE])) == "curve: none"
        b.set_prices({2: PRICE}, at=b.now + WINDOW + 60)
        assert refused(lambda: make.send(b.owner, "refresh", 2, EXPIRY, [PRICE])) == "curve: stale"


def test_futures_that_expired():
    with bench(PLAIN) as b:
        rule = Span(b)
        words = fragment(b, FUTURE, 0, CONTRACT, 5)
        b.set_prices({2: PRICE}, at=EXPIRY - 1)
        rule.check(0, [], words)
        b.set_prices({2: PRICE}, at=EXPIRY)
        check(rule, "span: settle first", [], words)


def test_underlyings_without_terms():
    with bench(PLAIN) as b:
        rule = Span(b)
        bare = b.chain.deploy(
            rule.contract.artifact, b.protocol.markets.address, b.protocol.portfolio.address
        )
        words = fragment(b, CALL, PRICE, CONTRACT)
        assert refused(lambda: b.ask(bare, "margin", 0, [], words)) == "span: no terms"
        account = rule.account(0, [], words)
        assert refusal(span.margin, *account[:5], {}, account[6]) == "span: no terms"


def test_every_reason_is_here():
    tested = Path(__file__).read_text()
    for reason in reasons_in("SpanMargin.vy"):
        assert reason in tested
