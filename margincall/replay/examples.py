"""The worked examples of isolated and cross margin, played on chain; every number is read from it.

One fall of all prices, walked in steps with a keeper after each, and people who differ only in mode:
what is said about them is asserted from what the chain answers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from margincall.chain import Chain
from margincall.protocol.config import USD, ProtocolSpec
from margincall.protocol.deploy import deploy
from margincall.protocol.handle import CROSS, ISOLATED, QUANTA, Account, Protocol

START = {"BTC": Decimal(100_000), "ETH": Decimal(4_000), "SOL": Decimal(200)}
DEPOSIT, MARGIN = 10_000, 500
BTC_SIZE, ETH_SIZE = "0.05", "15"  # 5,000 and 60,000 USD
STEP = Decimal("0.991")  # rounding to cents must stay inside the price step
SHOWN = (0, 5, 8, 10, 12, 15, 20)  # percent of fall at which the people are looked at
EIGHT_HOURS = 28_800


class Contradiction(Exception):
    """The chain does not do what the examples say."""


class Person(NamedTuple):
    """`vaults`: the markets in which this person holds isolated positions."""

    name: str
    account: Account
    vaults: tuple[str, ...] = ()

    def equity(self) -> int:
        """Everything the person owns at the marks, money."""
        return self.account.summary().equity + sum(self.account.summary(v).equity for v in self.vaults)


def play(chain: Chain, spec: ProtocolSpec, console: Console) -> None:
    """Deploy, play and print. Raises Contradiction if the chain does otherwise than claimed."""
    protocol = deploy(chain, spec, seed="examples")
    protocol.set_prices(START)
    _same_at_ten_times(protocol, console)
    _fall(protocol, console)


# ---------------------------------------------------------------- leverage is not the mode


def _same_at_ten_times(protocol: Protocol, console: Console) -> None:
    isolated, cross = _person(protocol, "same-isolated", ("BTC",)), _person(protocol, "same-cross")
    isolated.account.buy("BTC", BTC_SIZE, leverage=10, mode=ISOLATED)
    cross.account.buy("BTC", BTC_SIZE, leverage=10)
    people = (isolated, cross)
    before = [_position(person, "BTC").value for person in people]
    # Eight hours at the interest rate; prices are renewed before they would be an outage.
    for _ in range(48):
        protocol.set_prices(START, at=protocol.chain.timestamp + EIGHT_HOURS // 48)
    summaries = [person.account.summary(*person.vaults) for person in people]
    funding = [value - _position(person, "BTC").value for person, value in zip(people, before, strict=True)]
    claim(summaries[0].notional == summaries[1].notional, "notional differs by mode")
    claim(summaries[0].maintenance == summaries[1].maintenance, "maintenance differs by mode")
    claim(funding[0] == funding[1] > 0, "funding differs by mode")
    console.print("[bold]1. The same BTC long of 5,000 at 10x: leverage is one setting, the mode another")
    table = table_of("isolated", "cross")
    table.add_row("notional", *[usd(summary.notional) for summary in summaries])
    table.add_row("maintenance requirement", *[usd(summary.maintenance) for summary in summaries])
    table.add_row("funding paid in eight hours", *[usd(paid) for paid in funding])
    table.add_row("the pool that meets it", *[usd(summary.equity) for summary in summaries])
    console.print(table)
    console.print()
    for person in people:
        person.account.close("BTC", mode=ISOLATED if person.vaults else CROSS)


# ---------------------------------------------------------------- one fall


def _fall(protocol: Protocol, console: Console) -> None:
    isolated = _person(protocol, "isolated", ("BTC",))
    topped = _person(protocol, "isolated, 250 added", ("BTC",))
    cross = _person(protocol, "cross")
    both = _person(protocol, "cross with ETH")
    apart = _person(protocol, "isolated with ETH", ("BTC", "ETH"))
    people = (isolated, topped, cross, both, apart)
    for person in people:
        mode = {"mode": ISOLATED} if person.vaults else {}
        person.account.buy("BTC", BTC_SIZE, leverage=10, **mode)
        if person in (both, apart):
            person.account.buy("ETH", ETH_SIZE, leverage=10, **mode)
    prices = _prices_of_liquidation(protocol, topped, people)
    rest = isolated.account.summary().cash
    claim(rest == (DEPOSIT - MARGIN) * USD, "the isolated trade took its 500 and nothing else")
    _print_prices(console, protocol, people, prices)

    keeper = protocol.account("keeper")
    keeper.deposit(10_000_000)
    console.print("[bold]3. All prices fall together, a keeper after every step: what each still owns, USD")
    table = table_of(*[person.name for person in people])
    first: dict[str, Decimal] = {}
    mark, shown = Decimal(1), list(SHOWN)
    while True:
        fall = 100 * (1 - mark)
        if shown and fall >= shown[0]:
            table.add_row(f"-{shown.pop(0)} %", *[usd(person.equity(), 0) for person in people])
        if not shown:
            break
        mark = max(mark * STEP, 1 - Decimal(shown[0]) / 100)
        marks = {symbol: (start * mark).quantize(Decimal("0.01")) for symbol, start in START.items()}
        protocol.set_prices(marks, at=protocol.chain.timestamp + 2)
        for name in _keep(protocol, keeper, people):
            first.setdefault(name, 100 * (1 - mark))
        if isolated.account.size("BTC", ISOLATED):
            claim(isolated.account.summary().cash == rest, "a vault drew on the account behind it")
    table.add_row(
        "first slice at", *[f"-{first[p.name]:.1f} %" if p.name in first else "never" for p in people]
    )
    console.print(table)
    _conclude(console, people, first)


def _prices_of_liquidation(protocol: Protocol, topped: Person, people) -> list[tuple[int | None, int | None]]:
    before = topped.account.liquidation_price("BTC", ISOLATED)
    topped.account.add_margin("BTC", 250)
    after = topped.account.liquidation_price("BTC", ISOLATED)
    claim(after < before, "added margin must move the liquidation price away")
    found = []
    for person in people:
        mode = ISOLATED if person.vaults else CROSS
        found.append(tuple(person.account.liquidation_price(s, mode) for s in ("BTC", "ETH")))
    claim(found[0][0] > found[1][0], "added margin must show against the same trade without it")
    claim(found[2][0] is None, "a 5,000 long backed by 10,000 has no liquidation price")
    claim(found[3][1] is not None, "with 60,000 of ETH beside it, the account has one")
    return found


def _print_prices(console: Console, protocol: Protocol, people, prices) -> None:
    console.print("[bold]2. 10,000 USD each and a BTC long of 5,000 at 10x, twice with an ETH long of 60,000")
    table = table_of(*[person.name for person in people])
    for row, symbol in enumerate(("BTC", "ETH")):
        market = protocol.spec.market(symbol)
        cells = []
        for person, found in zip(people, prices, strict=True):
            held = person.account.size(symbol, ISOLATED if person.vaults else CROSS)
            price = found[row]
            cells.append("" if not held else "none" if price is None else f"{market.usd(price):,.2f}")
        table.add_row(f"liquidation price of {symbol} (now {START[symbol]:,})", *cells)
    console.print(table)
    console.print()


def _conclude(console: Console, people, first: dict[str, Decimal]) -> None:
    isolated, topped, cross, both, apart = people
    left = isolated.account.summary().cash
    returned = left - (DEPOSIT - MARGIN) * USD
    lost = DEPOSIT * USD - left
    claim(isolated.account.size("BTC", ISOLATED) == 0, "the vault was not liquidated")
    claim(0 < lost <= MARGIN * USD, "an isolated loss above its margin")
    claim(first[isolated.name] < first[topped.name], "added margin must delay the liquidation")
    claim(cross.name not in first, "cross was liquidated")
    claim(both.name in first, "cross with ETH was not liquidated")
    claim(both.equity() < apart.equity(), "two losers in one pool must cost more than apart")
    kept = DEPOSIT - MARGIN - 10 * MARGIN * 12 // 10  # 500 and 6,000 went into the vaults
    claim(apart.account.summary().cash >= kept * USD, "two vaults drew on the account behind them")
    console.print(
        f"\nIsolated: the loss is {usd(lost)} of {MARGIN} (fees and penalty included), {usd(returned)} came"
        f" back, the other {DEPOSIT - MARGIN:,} unchanged to the unit.\n"
        f"Cross: the same trade was never liquidated; with ETH beside it the account is left with"
        f" {usd(both.equity())}, where isolated margin kept {usd(apart.equity())}.\n"
    )


def _keep(protocol: Protocol, keeper: Account, people) -> list[str]:
    """Liquidate whoever is below maintenance; whose accounts it were."""
    found = []
    for person in people:
        ids = [person.account.vault(v) for v in person.vaults] or [person.account.id]
        for account in ids:
            while protocol.liquidation.call("preview", account)[0]:
                protocol.liquidate(account, keeper, QUANTA)
                found.append(person.name)
    return found


def _person(protocol: Protocol, name: str, vaults: tuple[str, ...] = ()) -> Person:
    account = protocol.account(f"examples: {name}")
    account.deposit(DEPOSIT)
    return Person(name, account, vaults)


def _position(person: Person, symbol: str):
    account = person.account
    held = account.protocol.lens.call("positions", account.vault(symbol) if person.vaults else account.id)
    market = account.protocol.spec.market(symbol).id
    return next(position for position in held if position.market == market)


def claim(holds: bool, what: str) -> None:
    if not holds:
        raise Contradiction(what)


def usd(money: int, decimals: int = 2) -> str:
    return f"{money / USD:,.{decimals}f}"


def table_of(*columns: str) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table
