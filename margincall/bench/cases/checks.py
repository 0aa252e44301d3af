"""What it costs to judge an account, cold, without a transaction's own cost: by margin rule and book."""

from __future__ import annotations

from margincall.bench.meter import Meter
from margincall.bench.stage import PRICE, Stage, like_eth, many_markets
from margincall.chain import Contract
from margincall.model.accounts import CROSS, PORTFOLIO
from margincall.protocol.handle import Account

LADDERS = (1, 4, 8, 16, 32, 64, 127)
SPREADS = (2, 4, 8)  # underlyings over which 64 options are spread
OPTIONS = 64
PERPS = (1, 4, 8, 16, 32)
PORTFOLIO_PERPS = (1, 2, 4, 8)


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
            name = f"{contract.artifact.name}.{function}, {count} perp{'s' * (count > 1)}"
            meter.view(name, (1, contract, contract.encode(function, held.id)), **facts)


def books(meter: Meter) -> None:
    """Ladders of calls sold in PORTFOLIO and CROSS accounts, curves kept as code and in slots; perps."""
    stage = Stage(meter, like_eth(max(SPREADS)), PRICE)
    stage.set_vols((30,))
    expiry = stage.expiry(30)
    stage.refresh(expiry)
    held: dict[tuple[str, int, int, int], Account] = {}
    for mode, engine in ((PORTFOLIO, "portfolio"), (CROSS, "standard")):
        for count in LADDERS:
            held[f"ladder of {count}", mode, count, 1] = stage.writer(
                f"{engine} {count}", count, 1, expiry, mode
            )
        for markets in SPREADS:
            held[f"{OPTIONS} over {markets} underlyings", mode, OPTIONS, markets] = stage.writer(
                f"{engine} over {markets}", OPTIONS, markets, expiry, mode
            )
    maker = stage.account("maker", 50_000_000)
    for count in PORTFOLIO_PERPS:
        account = stage.account(f"portfolio perps {count}", mode=PORTFOLIO)
        stage.perps(account, maker, count, 10)
        name = f"{count} perp{'s' * (count > 1)}"
        judged(stage, f"check, {name}", account, PORTFOLIO, positions=count, underlyings=count)
    for store in ("code", "slots"):
        if store == "slots":
            stage.keep(store)
            stage.refresh(expiry)
        for (name, mode, count, markets), account in held.items():
            rule = "" if mode == PORTFOLIO else "standard, "
            kept = "" if store == "code" else "slots, "
            facts = {"positions": count, "underlyings": markets, "store": store}
            judged(stage, f"check, {rule}{kept}{name}", account, mode, **facts)


def judged(stage: Stage, name: str, account: Account, mode: int, **facts) -> None:
    """What a trade pays for one account's check: Clearinghouse.margin (it reads the account and asks the
    rule for everything) less the rule's `margin` plus its `initial`, which is all that a trade asks for."""
    protocol = stage.protocol
    house, rule = protocol.clearinghouse, protocol.portfolio if mode == PORTFOLIO else protocol.standard
    engine = "portfolio" if mode == PORTFOLIO else "standard"
    check(stage.meter, name, house, rule, account, engine=engine, **facts)


def check(meter: Meter, name: str, house: Contract, rule: Contract, account: Account, **facts) -> None:
    held = house.call("account", account.id)
    meter.view(
        name,
        (1, house, house.encode("margin", account.id)),
        (-1, rule, rule.encode("margin", *held)),
        (1, rule, rule.encode("initial", *held)),
        **facts,
    )
