"""Money and spot tokens in and out, and changes of an account's margin rule."""

from __future__ import annotations

from margincall.bench.cases.options import ENGINES, USD, staged
from margincall.bench.meter import Meter
from margincall.bench.stage import Stage, count_of, many_markets
from margincall.protocol.artifacts import artifact
from margincall.protocol.handle import Account

PERPS = (1, 4, 8, 16, 32)
OPTIONS = {"portfolio": (1, 4, 8, 16, 32, 64, 127), "standard": (1, 4, 16, 64, 127), "span": (1, 16, 64)}
SPREADS = (2, 4, 8)
SWITCHED, BESIDE = (1, 16, 127), (1, 16, 64)  # options of accounts that change their rule, that move spot
COIN_DECIMALS = 18


def cash(meter: Meter) -> None:
    """Deposits, and withdrawals from accounts under each rule."""
    stage = Stage(meter, many_markets(max(PERPS)), 100_000)
    account = stage.protocol.account("saver")
    owner = account.owner.address
    stage.protocol.token.send(owner, "mint", owner, 10**12)
    stage.protocol.token.send(owner, "approve", stage.protocol.clearinghouse.address, 2**256 - 1)
    for what in ("first", "repeated"):
        meter.take(f"deposit, {what}", account.deposit(1_000))
    meter.take("withdraw, no positions", account.withdraw(500), engine="cross", positions=0, underlyings=0)
    maker = stage.account("maker", 50_000_000)
    for count in PERPS:
        account = stage.account(f"holder of {count}")
        stage.perps(account, maker, count)
        facts = {"engine": "cross", "positions": count, "underlyings": count}
        meter.take(f"withdraw, cross, {count_of(count, 'perp')}", account.withdraw(500), **facts)


def portfolio(meter: Meter) -> None:
    """Of books: withdrawals, mode switches, spot in and out."""
    _books(meter, "portfolio")


def standard(meter: Meter) -> None:
    _books(meter, "standard")


def span(meter: Meter) -> None:
    _books(meter, "span")


def _books(meter: Meter, engine: str) -> None:
    stage, expiry = staged(meter, engine, max(SPREADS), 127)
    mode = ENGINES[engine]
    books = [(count_of(count, "option"), count, 1) for count in OPTIONS[engine]]
    books += [(f"64 options over {markets} underlyings", 64, markets) for markets in SPREADS]
    token = _list_spot(stage)
    for name, count, markets in books:
        account = stage.writer(f"{engine} {name}", count, markets, expiry, mode, USD)
        facts = {"engine": engine, "positions": count, "underlyings": markets, "store": "code"}
        meter.take(f"withdraw, {engine}, {name}", account.withdraw(500), **facts)
        if engine == "portfolio" and markets == 1 and count in SWITCHED:
            meter.take(
                f"switch to cross mode, {name}", account.to_cross_mode(), **facts | {"engine": "standard"}
            )
            meter.take(f"switch to portfolio mode, {name}", account.to_portfolio(), **facts)
        if markets == 1 and count in BESIDE:
            _spot(stage, f"{engine}, beside {name}", token, account, facts)
    if engine == "portfolio":
        _flat(stage, token)


def _flat(stage: Stage, token: str) -> None:
    """Of an account without positions."""
    account = stage.account("flat")
    stage.meter.take(
        "switch to portfolio mode, no positions", account.to_portfolio(), engine="portfolio", positions=0
    )
    stage.meter.take(
        "switch to cross mode, no positions", account.to_cross_mode(), engine="cross", positions=0
    )
    _spot(stage, "no positions", token, account, {"engine": "standard", "positions": 1, "underlyings": 1})


def _list_spot(stage: Stage) -> str:
    """A token with 18 decimals as spot of the first market."""
    market = stage.protocol.spec.markets[0]
    coin = stage.chain.deploy(artifact("Token"), f"{market.symbol} coin", "COIN", COIN_DECIMALS)
    scale = 10 ** (COIN_DECIMALS - market.size_decimals)
    terms = (market.id, coin.address, scale, market.lots(10**6), market.lots("0.01"))
    stage.as_owner(stage.protocol.collateral, "list_token", *terms)
    return market.symbol


def _spot(stage: Stage, name: str, symbol: str, account: Account, facts: dict) -> None:
    account.deposit_spot(symbol, 2)  # the token's first slots of the owner and of the contract
    account.withdraw_spot(symbol, 1)
    for what, move in (("deposit", account.deposit_spot), ("withdraw", account.withdraw_spot)):
        stage.meter.take(f"{what} spot, {name}", move(symbol, 1), **facts)
