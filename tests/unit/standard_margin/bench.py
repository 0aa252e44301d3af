"""A deployed protocol of nine markets with the prices, smiles and books of a sample, for margin rules that
value whole books: the contract's view of a book and the twin's, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from margincall.chain import EmbeddedChain
from margincall.model import accounts, curves, portfolio, standard
from margincall.model.arithmetic import NOTIONAL_SCALE, Refused
from margincall.model.book import Book
from margincall.model.curves import Vol
from margincall.model.markets import Market
from margincall.model.portfolio import Dials, Risk
from margincall.model.standard import Terms
from margincall.protocol.artifacts import artifact
from margincall.protocol.config import DEFAULT, PortfolioTerms, ProtocolSpec
from margincall.protocol.deploy import deploy
from margincall.protocol.handle import Protocol
from margincall.protocol.orders import Report
from tests.fuzz.portfolios import NOW, Sample
from tests.fuzz.valuation import words_of
from tests.unit.clearinghouse.world import OWNER, _own

HAIRCUT = 50_000
RISK_TERMS = PortfolioTerms(32, 48, HAIRCUT, 5_000)
TERMS = Terms(200_000, 120_000, 90_000, 80_000)
WINDOW = 3_600
MARKETS = tuple(DEFAULT.markets[i % 3]._replace(id=i + 1, symbol=f"M{i + 1}", options=None) for i in range(9))


def spec() -> ProtocolSpec:
    return DEFAULT._replace(markets=MARKETS, timelock_delay=0)


def new_protocol(exact_gas: bool = False) -> Protocol:
    """Without prices, smiles or strike steps; owned by the account number OWNER."""
    chain = EmbeddedChain(timestamp=NOW - 1_000, exact_gas=exact_gas)
    protocol = deploy(chain, spec())
    _own(protocol)
    owner = chain.accounts[OWNER]
    pricing = protocol.contracts["Pricing"].address
    smiles = chain.deploy(artifact("CurvesHarness"), pricing, sender=owner)
    protocol.contracts["Smiles"] = smiles
    protocol.portfolio.send(owner, "set_curves", smiles.address, WINDOW, False)
    for market in MARKETS:
        protocol.portfolio.send(owner, "set_risk_terms", market.id, tuple(RISK_TERMS))
        protocol.standard.send(owner, "set_terms", market.id, tuple(TERMS))
    return protocol


@cache
def protocol() -> Protocol:
    return new_protocol()


class Bench:
    """A sample on chain: prices published, curves refreshed one second after the other."""

    def __init__(self, protocol: Protocol, sample: Sample, in_slots: bool = False) -> None:
        self.protocol, self.chain, self.sample = protocol, protocol.chain, sample
        self.owner = self.chain.accounts[OWNER]
        self.book = Book(sample.steps)
        self.prices: dict[int, int] = {}
        self.markets: dict[int, Market] = {}
        self.curves: dict[tuple[int, int], curves.Curve] = {}
        self.set_prices(sample.prices)
        for market, step in sample.steps.items():
            protocol.book.send(self.owner, "set_grid", market, step)
        smiles = protocol.contracts["Smiles"]
        protocol.portfolio.send(self.owner, "set_curves", smiles.address, WINDOW, in_slots)
        for key, smile in sample.smiles.items():
            smiles.send(self.owner, "publish", *key, *smile)
        for key in sample.smiles:
            self.refresh(*key)

    @property
    def now(self) -> int:
        return self.chain.timestamp

    def set_prices(self, prices: dict[int, int], at: int | None = None) -> None:
        """In price units; the index is the mark."""
        at = at or self.now + 1
        self.protocol.publish([Report(m, price, price, at) for m, price in prices.items()], at=at)
        self.prices |= prices
        for spec in MARKETS:
            if spec.id in prices:
                market = self.markets.setdefault(spec.id, Market(spec.id, spec.rules, spec.terms))
                last = self.protocol.markets.call("last_price", spec.id)
                market.mark, market.published, market.accrued_at, market.funding, market.rate = last
                market.forget_quote()

    def refresh(self, market: int, expiry: int) -> None:
        """The curve of an expiry, on chain and in the twin."""
        self.protocol.portfolio.send(self.owner, "refresh", market, expiry)
        vol = Vol(*self.sample.smiles[market, expiry])
        self.curves[market, expiry] = curves.refresh(vol, expiry, self.now, WINDOW)

    # ------------------------------------------------------------ accounts

    def positions(self) -> list[tuple[int, int, int]]:
        """The sample's perps as (market, lots, entry)."""
        return [
            (p.market, p.size, p.size * self.prices[p.market] // NOTIONAL_SCALE - p.amount)
            for p in self.sample.positions
            if not p.kind
        ]

    def words(self) -> list[int]:
        return words_of(self.sample.positions, self.book)

    def ask(self, contract, function: str, cash: int, perps: Sequence, words: Sequence[int]) -> Any:
        """What a margin rule says of an account that nobody holds."""
        header = accounts.pack_header(cash, len(perps), 0) | len(words) << 144
        return contract.call(function, header, [*accounts.pack_words(perps), *words])

    def risk(self) -> Risk:
        haircuts = {market.id: portfolio.Terms(*RISK_TERMS) for market in MARKETS}
        calm = Dials(24_576, 26_214)
        return Risk(self.prices, self.curves, haircuts, calm, calm, self.book.strike, self.now)

    def standard(self, function: Callable, cash: int, perps: Sequence, words: Sequence[int]) -> Any:
        """The twin's answer of `standard.margin` or `standard.close_out`."""
        terms = {market.id: TERMS for market in MARKETS}
        max_age = self.protocol.spec.max_age
        return function(cash, perps, words, self.risk(), self.markets, terms, self.now, max_age)

    def check_standard(self, cash: int, perps: Sequence, words: Sequence[int]) -> standard.Margin:
        """Contract and twin agree to the unit, in every view."""
        rule = self.protocol.standard
        got = self.ask(rule, "margin", cash, perps, words)
        assert got == self.standard(standard.margin, cash, perps, words)
        assert self.ask(rule, "initial", cash, perps, words) == got[:2]
        closing = self.ask(rule, "close_out", cash, perps, words)
        assert closing == self.standard(standard.close_out, cash, perps, words)
        assert (closing[0], closing[1]) == (got[0], got[2])
        return standard.Margin(*got)


@contextmanager
def bench(sample: Sample, in_slots: bool = False) -> Iterator[Bench]:
    """A bench on a snapshot of one protocol."""
    mark = protocol().chain.snapshot()
    try:
        yield Bench(protocol(), sample, in_slots)
    finally:
        protocol().chain.revert(mark)


def refusal(function: Callable, *args) -> str:
    """The twin's reason."""
    try:
        function(*args)
    except Refused as refused:
        return refused.reason
    raise AssertionError("not refused")
