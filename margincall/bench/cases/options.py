"""Options: trades between two accounts that hold as many, under each margin rule; a dated future."""

from __future__ import annotations

from collections.abc import Callable

from margincall.bench.meter import Meter
from margincall.bench.spans import use_span
from margincall.bench.stage import PRICE, Stage, like_eth, strikes
from margincall.model.accounts import CROSS, PORTFOLIO
from margincall.model.instrument import CALL, FUTURE, Instrument
from margincall.protocol.config import ProtocolSpec
from margincall.protocol.handle import Account

HELD = {
    "portfolio": (0, 1, 4, 8, 16, 32, 64, 126),
    "standard": (0, 1, 4, 16, 64, 126),
    "span": (0, 1, 16, 64),
}
SPREADS = (2, 4, 8)  # underlyings over which 64 options are spread
LIFE = 16  # options beside which a position is increased, reduced, flipped, closed
ENGINES = {"portfolio": PORTFOLIO, "standard": CROSS, "span": PORTFOLIO}
USD = 50_000_000


def portfolio(meter: Meter) -> None:
    _trades(meter, "portfolio")


def standard(meter: Meter) -> None:
    _trades(meter, "standard")


def span(meter: Meter) -> None:
    _trades(meter, "span")


def staged(
    meter: Meter,
    engine: str,
    markets: int,
    options: int,
    change: Callable[[ProtocolSpec], ProtocolSpec] | None = None,
) -> tuple[Stage, int]:
    """A stage on which `engine` judges books of up to so many options, and their expiry. `change`: of the
    specification."""
    spec = like_eth(markets)
    stage = Stage(meter, change(spec) if change else spec, PRICE)
    stage.set_vols((30,))
    expiry = stage.expiry(30)
    stage.refresh(expiry)
    if engine == "span":
        ladders = {market: strikes(options if market == 1 else 32) for market in range(1, markets + 1)}
        use_span(stage, expiry, ladders)
    return stage, expiry


def _trades(meter: Meter, engine: str) -> None:
    stage, expiry = staged(meter, engine, max(SPREADS), 127)
    mode = ENGINES[engine]
    for held in HELD[engine]:
        pair = _pair(stage, f"{held}", mode, stage.calls(held, 1, expiry))
        facts = {"engine": engine, "positions": held + 1, "underlyings": 1, "store": "code"}
        name = f"option trade, {engine}, one more beside {held}"
        meter.take(name, stage.trade(*pair, _call(stage, expiry, held), "1"), **facts)
        if held == LIFE:
            _life(stage, engine, pair, expiry, facts)
            pair = _pair(stage, f"{held}, new words", mode, stage.calls(held, 1, expiry))
            receipt = stage.trade(*pair, _call(stage, expiry, held), "1", new=(True, True))
            meter.take(f"{name}, two new fill words", receipt, **facts)
    for markets in SPREADS:
        each = 64 // markets
        pair = _pair(stage, f"over {markets}", mode, stage.calls(each, markets, expiry))
        facts = {"engine": engine, "positions": 65, "underlyings": markets, "store": "code"}
        name = f"option trade, {engine}, one more beside 64 over {markets} underlyings"
        meter.take(name, stage.trade(*pair, _call(stage, expiry, each), "1"), **facts)


def _pair(stage: Stage, name: str, mode: int, words: list[int]) -> list[Account]:
    """Who bought a book and who sold it."""
    pair = [stage.account(f"{role} {name}", USD, mode) for role in ("holder", "writer")]
    for account, negate in zip(pair, (True, False), strict=True):
        stage.post(account, words, negate)
    return pair


def _call(stage: Stage, expiry: int, place: int) -> str:
    """The name of a call of the ladder of the first market."""
    strike = strikes(place + 1)[place] * 10**7
    return Instrument(1, CALL, expiry, strike).name(stage.protocol.spec.markets)


def _life(stage: Stage, engine: str, pair: list[Account], expiry: int, facts: dict) -> None:
    call = _call(stage, expiry, LIFE)
    for operation, size in (("increase", "1"), ("reduce", "-1"), ("flip", "-2"), ("close", "1")):
        receipt = stage.trade(*pair, call, size)
        stage.meter.take(f"option {operation}, {engine}, beside {LIFE}", receipt, **facts)
    future = Instrument(1, FUTURE, expiry).name(stage.protocol.spec.markets)
    for operation, size in (("open", "1"), ("close", "-1")):
        receipt = stage.trade(*pair, future, size)
        stage.meter.take(f"future {operation}, {engine}, beside {LIFE} options", receipt, **facts)
