"""Everything that StandardMargin refuses, each for its reason."""

import pytest

from margincall.chain.base import Reverted
from margincall.model import standard
from margincall.model.instrument import CALL, CONTRACT, FUTURE
from margincall.model.standard import Terms, check_terms
from margincall.protocol.orders import Report
from tests.unit.clearinghouse.world import reasons_in
from tests.unit.standard_margin.bench import MARKETS, WINDOW, bench, refusal
from tests.unit.standard_margin.test_standard import EXPIRY, PLAIN, PRICE, fragment, together

TERMS_REASONS = {
    "standard: initial rates": [Terms(b_im=150_001), Terms(b_im=0), Terms(a_im=10**6 + 1, b_im=10**6)],
    "standard: maintenance rates": [Terms(b_mm=75_001), Terms(b_mm=0), Terms(10**6, 10**6, 10**6 + 1)],
    "standard: im below mm": [Terms(a_mm=150_001), Terms(a_mm=110_000, b_mm=100_001)],
    "standard: target below penalty": [Terms(b_mm=8_333), Terms(b_mm=1)],
}
VIEWS = ("margin", "initial", "close_out")


def refused(call) -> str:
    with pytest.raises(Reverted) as caught:
        call()
    return caught.value.reason


@pytest.mark.parametrize(("reason", "terms"), [(r, t) for r, many in TERMS_REASONS.items() for t in many])
def test_rates_out_of_bounds(reason, terms):
    """BTC's penalty is 10,000 ppm: a liquidation restores 1.2 times b_mm, which must be more."""
    with bench(PLAIN) as b:
        assert refused(lambda: b.protocol.standard.send(b.owner, "set_terms", 1, tuple(terms))) == reason
    assert refusal(check_terms, terms, MARKETS[0].terms.penalty) == reason


def test_the_least_rate_that_covers_the_penalty_is_taken():
    with bench(PLAIN) as b:
        least = Terms(b_mm=8_334)
        check_terms(least, MARKETS[0].terms.penalty)
        b.protocol.standard.send(b.owner, "set_terms", 1, tuple(least))
        assert tuple(b.protocol.standard.call("terms_of", 1)) == tuple(least)


def test_setting_rates():
    with bench(PLAIN) as b:
        rule, terms = b.protocol.standard, tuple(Terms())
        for market in (0, 64):
            assert refused(lambda m=market: rule.send(b.owner, "set_terms", m, terms)) == (
                "standard: no such market"
            )
        stranger = b.chain.accounts[1]
        assert refused(lambda: rule.send(stranger, "set_terms", 1, terms)).startswith("ownable")


def test_made_of_contracts():
    with bench(PLAIN) as b:
        made = [b.protocol.markets.address, b.protocol.book.address, b.protocol.portfolio.address]
        for place in range(3):
            args = [b.protocol.standard.artifact, *made[:place], b.owner, *made[place + 1 :]]
            assert refused(lambda a=args: b.chain.deploy(*a)) == "standard: bad address"


def check(b, reason: str, perps, words) -> None:
    """All views and the twin, for this reason."""
    for view in VIEWS:
        assert refused(lambda v=view: b.ask(b.protocol.standard, v, 0, perps, words)) == reason
    for function in (standard.margin, standard.close_out):
        assert refusal(b.standard, function, 0, perps, words) == reason


@pytest.mark.parametrize("in_slots", [False, True])
def test_curves(in_slots):
    with bench(PLAIN, in_slots) as b:
        words = fragment(b, CALL, PRICE, -CONTRACT)
        b.check_standard(0, [], words)
        other = [word + (86_400 << 176) if not i else word for i, word in enumerate(words)]
        check(b, "curve: none", [], other)
        valid = b.curves[2, EXPIRY].valid_until
        assert valid == b.now + WINDOW
        b.set_prices({2: PRICE}, at=valid)
        b.check_standard(0, [], words)
        b.set_prices({2: PRICE}, at=valid + 1)
        check(b, "curve: stale", [], words)


def test_prices():
    with bench(PLAIN) as b:
        words = fragment(b, CALL, PRICE, -CONTRACT)
        late = b.now + b.protocol.spec.max_age + 1
        for view in VIEWS:
            with pytest.raises(Reverted, match="price: stale"):
                b.protocol.standard.call(view, len(words) << 144, words, at=late)
        elsewhere = [words[0] ^ (2 ^ 3) << 208, words[1]]
        for view in VIEWS:
            assert refused(lambda v=view: b.ask(b.protocol.standard, v, 0, [], elsewhere)) == "price: none"


def test_futures_that_expired():
    with bench(PLAIN) as b:
        words = fragment(b, FUTURE, 0, CONTRACT, 5)
        b.set_prices({2: PRICE}, at=EXPIRY - 1)
        b.check_standard(0, [], words)
        b.set_prices({2: PRICE}, at=EXPIRY)
        check(b, "standard: settle first", [], words)


def test_sold_without_terms():
    with bench(PLAIN) as b:
        rule = b.chain.deploy(
            b.protocol.standard.artifact,
            b.protocol.markets.address,
            b.protocol.book.address,
            b.protocol.portfolio.address,
        )
        sold, bought = (fragment(b, CALL, PRICE, lots) for lots in (-CONTRACT, CONTRACT))
        assert refused(lambda: b.ask(rule, "margin", 0, [], sold)) == "standard: no terms"
        assert refusal(standard.margin, 0, [], sold, b.risk(), b.markets, {}, b.now, 600) == (
            "standard: no terms"
        )
        assert b.ask(rule, "margin", 0, [], bought) == b.ask(b.protocol.standard, "margin", 0, [], bought)


def test_at_most_eight_underlyings():
    with bench(PLAIN) as b:
        at = b.now + 1
        b.protocol.publish([Report(m, PRICE, PRICE, at) for m in range(1, 10)], at=at)
        b.prices |= dict.fromkeys(range(1, 10), PRICE)
        b.markets |= dict.fromkeys(range(1, 10), b.markets[2])
        futures = [fragment(b, FUTURE, 0, CONTRACT, 0, market) for market in range(1, 10)]
        assert b.ask(b.protocol.standard, "margin", 0, [], together(*futures[:8]))[1] > 0
        check(b, "standard: too many underlyings", [], together(*futures))


def test_every_reason_is_here():
    from pathlib import Path

    tested = Path(__file__).read_text()
    for reason in reasons_in("StandardMargin.vy", "options/sheets.vy"):
        assert reason in tested
