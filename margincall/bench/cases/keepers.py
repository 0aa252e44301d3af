"""What keepers and publishers send: prices with their funding, volatility, curves, dials, settlements."""

from __future__ import annotations

from margincall.bench.cases.options import staged
from margincall.bench.meter import Meter
from margincall.bench.spans import use_span
from margincall.bench.stage import DAYS, PRICE, Stage, count_of, like_eth, many_markets, strikes
from margincall.model.instrument import WINDOW

HOURS = 8 * 3_600
REPORTS = 14  # volatility reports that a payload holds
ARRAYS = 8  # strikes
LADDERS = (1, 4, 8, 16, 32, 64, 127)
STEP = 600  # seconds that a price of the averaging window counts at most


def prices(meter: Meter) -> None:
    """The first of a market, again, and after eight hours of funding."""
    stage = Stage(meter, many_markets(8))
    protocol, symbols = stage.protocol, stage.symbols

    def publish(what: str, some: list[str], usd: int, at: int) -> None:
        receipt = protocol.set_prices(dict.fromkeys(some, usd), dict.fromkeys(some, usd - 100), at=at)
        meter.take(f"price update, {count_of(len(some), 'market')}, {what}", receipt)

    for first, last in ((0, 1), (1, 3), (3, 7)):
        publish("first", symbols[first:last], 100_000, stage.chain.timestamp + 1)
    protocol.set_prices({symbols[7]: 100_000})
    for what, pause in (("again", 10), ("after 8 hours", HOURS)):
        for count in (1, 2, 4, 8):
            publish(what, symbols[:count], 100_000, stage.chain.timestamp + pause)


def curves(meter: Meter) -> None:
    """Volatility reports, dials, and the curves of both stores: when new, and made again."""
    stage = Stage(meter, like_eth(1), PRICE)
    protocol, chain = stage.protocol, stage.chain
    days = {each: stage.expiry(each) for each in (*DAYS, *range(40, 40 + REPORTS - len(DAYS)))}
    for what in ("first", "again"):
        for name, some in (("1 report", DAYS[:1]), (f"{REPORTS} reports", tuple(days))):
            smiles = {("M1", days[each]): (0.6,) for each in some}
            meter.take(
                f"volatility update, {name}, {what}", protocol.publish_vols(smiles, chain.timestamp + 60)
            )
    stage.set_prices(PRICE)
    for what in ("first", "again"):
        meter.take(f"poke, {what}", protocol.poke())
    for store in ("code", "slots"):
        stage.keep(store)
        for what in ("first", "again"):
            for each in DAYS:
                receipt = protocol.refresh("M1", days[each])
                meter.take(f"refresh, {count_of(each, 'day')}, {store}, {what}", receipt, store=store)


def arrays(meter: Meter) -> None:
    """The risk arrays of SpanMargin, which must follow the price: of some strikes in a call."""
    stage, expiry = staged(meter, "portfolio", 1, 0)
    span = use_span(stage, expiry, {1: ()})
    some = [strike * 10**7 for strike in strikes(ARRAYS)]
    for what in ("first", "again"):
        receipt = span.send(stage.protocol.relayer, "refresh", 1, expiry, some)
        meter.take(f"refresh risk arrays, {ARRAYS} strikes, {what}", receipt, engine="span")


def settlement(meter: Meter) -> None:
    """An expiry is averaged, fixed, and taken out of books: of one account, of ten in a call."""
    stage = Stage(meter, like_eth(1), PRICE)
    protocol, expiry = stage.protocol, stage.expiry(2)
    held = {count: stage.writer(f"holder of {count}", count, 1, expiry) for count in LADDERS}
    several = [stage.writer(f"one of ten {i}", 1, 1, expiry) for i in range(10)]
    for what, time in (
        ("first", expiry - WINDOW),
        ("in the window", expiry - STEP),
        ("last, price fixed", expiry + 1),
    ):
        stage.protocol.set_prices({"M1": PRICE}, at=time)
        meter.take(f"observe, {what}", protocol.observe("M1", expiry))
    for count, account in held.items():
        receipt = protocol.settle_expiry([account.id], "M1", expiry)
        name = f"settle expiry, {count_of(count, 'option')}"
        meter.take(name, receipt, positions=count, underlyings=1)
    receipt = protocol.settle_expiry([account.id for account in several], "M1", expiry)
    meter.take("settle expiry, ten accounts of 1 option", receipt)
