"""Trades of perps: in cross accounts of many positions, in vaults, in portfolio accounts; batches."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from margincall.bench.meter import Meter
from margincall.bench.stage import FILLS, PRICE, Stage, count_of, like_eth, many_markets
from margincall.chain.base import Receipt
from margincall.protocol.handle import Account

COUNTS = (1, 4, 8, 16, 32)
BESIDE = (0, 16, 64)  # options that a portfolio account holds beside its perp
STEP = "0.01"


def cross(meter: Meter) -> None:
    """Two accounts that hold the same number of perps, the other way round."""
    stage = Stage(meter, many_markets(max(COUNTS)), 100_000)
    _first(stage)
    for count in COUNTS:
        pair = [stage.account(f"{role} of {count}") for role in ("taker", "maker")]
        stage.perps(*pair, count)
        facts = {"engine": "cross", "positions": count, "underlyings": count}
        _life(stage, f"cross, {count_of(count, 'perp')}", *pair, "M1", STEP, facts)
    _fills(stage, *(stage.account(role) for role in ("taker", "maker")))


def _first(stage: Stage) -> None:
    """The first trades of a market and of two accounts."""
    facts = {"engine": "cross", "positions": 1, "underlyings": 1}
    for name in ("a market without positions", "two fresh accounts"):
        pair = [stage.account(f"{role}, {name}") for role in ("taker", "maker")]
        stage.meter.take(f"open, cross, {name}", stage.trade(*pair, "M1", STEP, new=(True, True)), **facts)


def _life(
    stage: Stage, name: str, taker: Account, maker: Account, symbol: str, size: str, facts: dict, **how
) -> None:
    """Increase, reduce, flip and close a position of `size`, open it again; fill words are in use. `margin`
    comes along where risk is added."""
    margin = how.pop("margin", 0)
    for operation, times in (
        ("increase", 1),
        ("reduce", -1),
        ("flip", -2),
        ("", 2),
        ("close", -1),
        ("open", 1),
    ):
        brings = 0 if operation in ("reduce", "close") else margin
        receipt = stage.trade(taker, maker, symbol, str(times * Decimal(size)), margin=brings, **how)
        if operation:
            stage.meter.take(f"{operation}, {name}", receipt, **facts)


def _fills(stage: Stage, taker: Account, maker: Account) -> None:
    """The same trade with fill lanes in new words of storage."""
    stage.perps(taker, maker, 1)
    facts = {"engine": "cross", "positions": 1, "underlyings": 1}
    for name, new in (("one new fill word", (True, False)), ("two new fill words", (True, True))):
        for operation, size in (("increase", STEP), ("flip", "-0.04"), ("", "0.03")):
            receipt = stage.trade(taker, maker, "M1", size, new=new)
            if operation:
                stage.meter.take(f"{operation}, cross, {name}", receipt, **facts)


def batches(meter: Meter) -> None:
    """Ten pairs in one call."""
    stage = Stage(meter, many_markets(1), 100_000)
    pairs = [[stage.account(f"{role} {i}") for role in ("taker", "maker")] for i in range(FILLS + 1)]
    facts = {"engine": "cross", "positions": 1, "underlyings": 1}
    for name, new in (("fresh", True), ("again", False)):
        for some, what in ((pairs[:FILLS], "ten trades"), (pairs[FILLS:], "one trade")):
            meter.take(f"{what} in a call, {name}", _settle(stage, some, new), **facts)


def _settle(stage: Stage, pairs: Sequence[Sequence[Account]], new: bool) -> Receipt:
    fills = []
    for taker, maker in pairs:
        salts = [stage.salts(account, account.id, new) for account in (taker, maker)]
        fills += stage.fills(taker, maker, ["M1"], STEP, *salts)
    return stage.protocol.settle(fills)


def isolated(meter: Meter) -> None:
    """Vaults, and moving money and positions between them and their parents."""
    stage = Stage(meter, many_markets(max(COUNTS)), 100_000)
    taker, maker, rich = stage.account("taker"), stage.account("maker"), stage.account("rich", 50_000_000)
    stage.perps(stage.account("other"), maker, 1)
    facts = {"engine": "cross", "positions": 1, "underlyings": 1}
    first = stage.trade(taker, maker, "M1", STEP, vault=True, margin=200, new=(True, False))
    meter.take("open, isolated, fresh vault", first, **facts)
    _life(stage, "isolated", taker, maker, "M1", STEP, facts, vault=True, margin=100)
    meter.take("add margin", taker.add_margin("M1", 100), **facts)
    meter.take("remove margin", taker.remove_margin("M1", 50), **facts)
    for count in COUNTS:
        account = stage.account(f"parent of {count}")
        stage.perps(account, rich, count)
        facts = {"engine": "cross", "positions": count, "underlyings": count}
        name = f"{count_of(count, 'perp')}"
        meter.take(f"switch to isolated, {name}", account.to_isolated("M1", 200), **facts)
        meter.take(f"switch to cross, {name}", account.to_cross("M1"), **facts)


def portfolio(meter: Meter) -> None:
    """A perp in two portfolio accounts, alone and beside options."""
    stage = Stage(meter, like_eth(1), PRICE)
    stage.set_vols((30,))
    expiry = stage.expiry(30)
    stage.refresh(expiry)
    for beside in BESIDE:
        pair = [stage.writer(f"{role} {beside}", beside, 1, expiry) for role in ("taker", "maker")]
        stage.perps(*pair, 1, "1")
        facts = {"engine": "portfolio", "positions": beside + 1, "underlyings": 1, "store": "code"}
        _life(stage, f"portfolio, perp beside {beside} options", *pair, "M1", "1", facts)
