"""PortfolioLens: what it says is what the twin's explanation says, and its driver is the position that the
engine itself, asked about the account without it, misses most."""

import pytest

from margincall.chain.base import Reverted
from margincall.model import accounts, explanation
from margincall.model.book import merge
from margincall.model.instrument import CALL, CONTRACT, PERP, Instrument
from margincall.model.portfolio import ONE, Dials
from tests.fuzz.portfolios import KINDS, samples
from tests.fuzz.test_portfolio_margin import CASH, _value
from tests.unit.clearinghouse.world import world
from tests.unit.portfolio_margin.ladder import EXPIRY, PRICE, ladder
from tests.unit.standard_margin.bench import WINDOW, Bench, bench, new_protocol


def explained(b: Bench, perps, words, initial: bool):
    header = accounts.pack_header(CASH, len(perps), 0) | len(words) << 144
    lens = b.protocol.portfolio_lens
    return lens.call("explain_words", header, [*accounts.pack_words(perps), *words], initial)


def asked(b: Bench, perps, words, initial: bool) -> int:
    return b.ask(b.protocol.portfolio, "margin", CASH, perps, words)[1 if initial else 2]


def check_twin(b: Bench, perps, words) -> None:
    dials = b.protocol.portfolio.call("stress_dials")
    risk = b.risk()._replace(im=Dials(*dials[:2]), mm=Dials(*dials[2:]))
    valued = [(m, lots, _value(b, m, lots, entry)) for m, lots, entry in perps]
    twin = explanation.explain(CASH, valued, words, risk)
    for initial, kind in ((False, twin.mm), (True, twin.im)):
        got = explained(b, perps, words, initial)
        numbers = kind.amount, kind.floor, kind.error, kind.rho, kind.psi, kind.worst
        numbers += kind.synchronised, kind.alone
        assert tuple(got[:9]) == (twin.margin.equity, *numbers)
        assert [tuple(each) for each in got.underlyings] == [
            (u.market, u.value, u.loss_im, u.worst_im)
            if initial
            else (u.market, u.value, u.loss_mm, u.worst_mm)
            for u in twin.underlyings
        ]
        assert got.equity == CASH + sum(each.value for each in got.underlyings)


def reliefs(b: Bench, perps, words, initial: bool) -> dict[tuple[int, int], int]:
    """(instrument, lots) -> how much less the engine asks without it."""
    before, found = asked(b, perps, words, initial), {}
    for perp in perps:
        rest = [each for each in perps if each != perp]
        found[perp[0], perp[1]] = before - asked(b, rest, words, initial)
    for instrument, lots in b.book.positions(words):
        part = b.book.fragment(instrument, lots, b.now, 0)
        rest, _ = merge(words, part, negate=True)
        found[instrument.id, lots] = before - asked(b, perps, rest, initial)
    return found


def check_driver(b: Bench, perps, words) -> None:
    for initial in (False, True):
        got, relief = explained(b, perps, words, initial), reliefs(b, perps, words, initial)
        assert got.relief == max(0, *relief.values())
        if got.relief:
            assert relief[got.driver, got.size] == got.relief
        else:
            assert (got.driver, got.size) == (0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_books_of_every_kind(kind):
    for sample in samples(kind, 2, seed=5):
        with bench(sample, in_slots=True) as b:
            check_twin(b, b.positions(), b.words())
            check_driver(b, b.positions(), b.words())
            b.set_prices({m: p * 13 // 10 for m, p in b.prices.items()}, b.now + 120)
            check_twin(b, b.positions(), b.words())
            check_driver(b, b.positions(), b.words())


def test_an_account_on_chain():
    with world() as w:
        a = w.trader(usd=100_000)
        a.buy("BTC", "0.5")
        a.sell("ETH", "1")
        a.to_portfolio()
        summary = a.summary()
        for initial, required in ((False, summary.maintenance), (True, summary.initial)):
            got = a.explain(initial)
            assert (got.equity, got.requirement) == (summary.equity, required)
            assert [each.market for each in got.underlyings] == [1, 2]
            assert (got.driver, got.size) == (Instrument(1, PERP, 0, 0).id, 50_000_000)
            # A long loses most at the end of its range; a short's loss grows faster than the weight
            # of a move beyond it falls: +6 steps.
            assert [each.scenario for each in got.underlyings] == [1 if initial else 2, 23]
            assert 0 < got.rho < ONE
            assert 0 < got.psi < ONE


def test_an_empty_account():
    with world() as w:
        got = w.protocol.account("nobody").explain()
        assert (got.equity, got.requirement, got.floor, got.driver, got.underlyings) == (0, 0, 0, 0, [])


def test_what_the_rule_refuses_is_not_explained():
    with bench(ladder(1)) as b:
        words = b.words()
        b.set_prices({2: PRICE}, at=b.now + WINDOW + 1)
        with pytest.raises(Reverted, match="curve: stale"):
            explained(b, [], words, True)
        b.refresh(2, EXPIRY)
        assert explained(b, [], words, True).requirement > 0
        with pytest.raises(Reverted, match="price: stale"):
            b.protocol.portfolio_lens.call(
                "explain_words", len(words) << 144, words, True, at=b.now + b.protocol.spec.max_age + 1
            )


def test_128_positions():
    """127 calls sold and a perp: the view explains the largest account."""
    sample = ladder(127)
    with bench(sample) as b:
        perps, words = b.positions(), b.words()
        assert len(perps) + sum(1 for _ in b.book.positions(words)) == 128
        check_twin(b, perps, words)
        got = explained(b, perps, words, True)
        nearest = min(p.strike for p in sample.positions if p.kind == CALL)
        assert Instrument.of(got.driver).strike == nearest
        assert got.size == -CONTRACT * 1_000


def test_gas_of_128_positions():
    """Cold, well within the 50 million that nodes give an eth_call."""
    b = Bench(new_protocol(exact_gas=True), ladder(127))
    perps, words = b.positions(), b.words()
    header = accounts.pack_header(CASH, len(perps), 0) | len(words) << 144
    lens, cells = b.protocol.portfolio_lens, [*accounts.pack_words(perps), *words]
    gas = b.chain.view_gas(lens.address, lens.encode("explain_words", header, cells, True))
    print(f"PortfolioLens.explain, 128 positions: {gas:,} gas")
    assert gas < 20_000_000
