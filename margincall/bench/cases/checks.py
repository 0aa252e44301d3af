"""What it costs to judge an account, cold, without a transaction's own cost: by margin rule and book."""

from __future__ import annotations

from margincall.bench.cases.options import ENGINES, staged
from margincall.bench.meter import Meter
from margincall.bench.stage import Stage, count_of, many_markets, strikes
from margincall.model.accounts import PORTFOLIO
from margincall.model.instrument import CALL, CONTRACT, Instrument
from margincall.protocol.handle import Account

LADDERS = (1, 4, 8, 16, 32, 64, 127)
SPREADS = (2, 4, 8)  # underlyings over which 64 options are spread
OPTIONS = 64
SLOTS = (16, 64, 127)  # of the standard formula, whose curves are those of the portfolio rule
STORES = ("code", "slots")
EXPLAINED = 16
PERPS = (1, 4, 8, 16, 32)
PORTFOLIO_PERPS = (1, 2, 4, 8)
RULES = {"portfolio": "PortfolioMargin", "standard": "StandardMargin", "span": "SpanMargin"}


def cross(meter: Meter) -> None:
    """Perps under the base rule."""
    stage = Stage(meter, many_markets(max(PERPS)), 100_000)
    maker = stage.account("maker", 50_000_000)
    for count in PERPS:
        held = stage.account(f"holder of {count}")
        stage.perps(held, maker, count)
        protocol = stage.protocol
        facts = {"engine": "cross", "positions": count, "underlyings": count}
        for contract, function in ((protocol.clearinghouse, "margin"), (protocol.lens, "summary")):
            name = f"{contract.artifact.name}.{function}, {count_of(count, 'perp')}"
            meter.view(name, contract, contract.encode(function, held.id), **facts)


def books(meter: Meter) -> None:
    """Ladders of calls sold in PORTFOLIO and CROSS accounts, curves kept as code and in slots."""
    for engine in ("portfolio", "standard"):
        stage, expiry = staged(meter, engine, max(SPREADS), 0)
        ladders = [(f"ladder of {count}", count, 1) for count in LADDERS]
        spread = [(f"{OPTIONS} over {markets} underlyings", OPTIONS, markets) for markets in SPREADS]
        held = [
            (name, count, markets, stage.writer(name, count, markets, expiry, ENGINES[engine]))
            for name, count, markets in ladders + spread
        ]
        if engine == "portfolio":
            _arithmetic(stage, held[LADDERS.index(OPTIONS)][3].words(), expiry)
            _explained(stage, held[LADDERS.index(EXPLAINED)][3])
            _perps(stage)
        for store in STORES:
            if store == "slots":
                stage.keep(store)
                stage.refresh(expiry)
            prefix = "check, " + "standard, " * (engine == "standard") + "slots, " * (store == "slots")
            for name, count, markets, account in held:
                if (engine, store) == ("standard", "slots") and count not in SLOTS:
                    continue
                facts = {"positions": count, "underlyings": markets, "store": store}
                _judged(stage, prefix + name, account, engine, **facts)


def spans(meter: Meter) -> None:
    """The same under SpanMargin; what its risk arrays cost is among the operations (keepers.py)."""
    stage, expiry = staged(meter, "span", max(SPREADS), max(LADDERS))
    for name, count, markets in [
        *((f"ladder of {count}", count, 1) for count in LADDERS),
        *((f"{OPTIONS} over {markets} underlyings", OPTIONS, markets) for markets in SPREADS),
    ]:
        account = stage.writer(name, count, markets, expiry)
        facts = {"positions": count, "underlyings": markets, "store": "code"}
        _judged(stage, f"check, span, {name}", account, "span", **facts)


def _judged(stage: Stage, name: str, account: Account, engine: str, **facts) -> None:
    """What a trade pays for one account's check: Clearinghouse.margin (it reads the account and asks the
    rule for everything) less the rule's `margin` plus its `initial`, which is all that a trade asks for."""
    house = stage.protocol.clearinghouse
    rule = stage.protocol.contracts[RULES[engine]]
    held = house.call("account", account.id)
    whole = house.encode("margin", account.id)
    asked = [rule.encode(function, *held) for function in ("margin", "initial")]
    stage.meter.check(name, (house, whole), rule, *asked, engine=engine, **facts)


def _perps(stage: Stage) -> None:
    """Perps alone in PORTFOLIO accounts."""
    maker = stage.account("maker", 50_000_000)
    for count in PORTFOLIO_PERPS:
        account = stage.account(f"perps {count}", mode=PORTFOLIO)
        stage.perps(account, maker, count, 10)
        facts = {"positions": count, "underlyings": count}
        _judged(stage, f"check, {count_of(count, 'perp')}", account, "portfolio", **facts)


def _arithmetic(stage: Stage, words: list[int], expiry: int) -> None:
    """Of books: positions added, shares taken out."""
    book, grid, now = stage.protocol.book, stage.protocol.grid(), stage.chain.timestamp
    held, new = (
        grid.fragment(Instrument(1, CALL, expiry, strike * 10**7), -CONTRACT, now)
        for strike in (strikes(1)[0], strikes(OPTIONS + 1)[-1])
    )
    for name, fragment, negate in (
        ("one more of 64", held, False),
        ("a 65th", new, False),
        ("half of each of 64 out", book.call("split", words, 500), True),
        ("all 64 out", words, True),
    ):
        data = book.encode("merge", words, list(fragment), negate)
        stage.meter.view(f"Book.merge, {name}", book, data, positions=OPTIONS)


def _explained(stage: Stage, account: Account) -> None:
    lens = stage.protocol.portfolio_lens
    data = lens.encode("explain", account.id, True)
    facts = {"positions": EXPLAINED, "underlyings": 1, "store": "code"}
    stage.meter.view(f"PortfolioLens.explain, {EXPLAINED} options", lens, data, **facts)
