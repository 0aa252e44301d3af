"""The worked example of portfolio margin: a BTC long, then the same long with a put, in cross and portfolio
mode. Played on chain; every number is read from it, what is said about them is asserted.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from rich.console import Console

from margincall.chain import Chain
from margincall.model.instrument import DAY, HOUR_OF_EXPIRY
from margincall.protocol.config import ProtocolSpec
from margincall.protocol.deploy import deploy
from margincall.protocol.handle import Account, Protocol
from margincall.replay.examples import START, STEP, claim, table_of, usd
from margincall.replay.vols import calm

DEPOSIT = 20_000
STRIKE = 95_000
DAYS = 30
FALLS = (5, 10, 15, 20)  # percent


class Reading(NamedTuple):
    """Margin of the two accounts at one moment: cross, portfolio."""

    cross: tuple
    portfolio: tuple


def play(chain: Chain, spec: ProtocolSpec, console: Console) -> None:
    """Deploy, play and print. Raises Contradiction if the chain does otherwise than claimed."""
    protocol = deploy(chain, spec, seed="examples")
    protocol.set_prices(START)
    date = _list(protocol)
    put = f"BTC-{date}-{STRIKE}-P"
    cross, portfolio = (protocol.account(f"examples: put in {mode}") for mode in ("cross", "portfolio"))
    for account in (cross, portfolio):
        account.deposit(DEPOSIT)
    portfolio.to_portfolio()
    people = (cross, portfolio)
    for account in people:
        account.buy("BTC", 1)
    before = Reading(*(account.summary() for account in people))
    premium = protocol.spec.market("BTC").usd(protocol.mark_of(put))
    for account in people:
        account.buy(put, 1)
    after = Reading(*(account.summary() for account in people))
    claim(3 * after.portfolio.initial < 2 * before.portfolio.initial, "the put lowers no requirement")
    claim(after.cross.initial >= before.cross.initial, "cross margin gives credit for a hedge")
    console.print(
        f"[bold]4. A BTC long of 1 at {START['BTC']:,}, then the same with a put at {STRIKE:,}"
        f" ({DAYS} days, premium {premium:,.0f}): what it requires"
    )
    _print(console, before, after)
    worst = _fall(protocol, people, console)
    loss = START["BTC"] * FALLS[-1] / 100
    console.print(
        "\nCross asks for each leg as if it stood alone (for a bought option what it is worth, which its"
        " equity holds as well):\nthe put saves nothing, and after the fall an account whose loss is bounded"
        " can be liquidated. Portfolio margin asks\nfor the worst of 24 scenarios of the whole:"
        f" {usd(before.portfolio.initial, 0)} for the perp alone, {usd(after.portfolio.initial, 0)} with the"
        f" put, less and less\nas the put takes over. The fall cost {usd(worst, 0)} of the {DEPOSIT:,};"
        f" without the put it would have been {loss:,.0f}.\n"
    )


def _list(protocol: Protocol) -> str:
    """Publish the calm smile of an expiry and value it; its date as names have it."""
    now = protocol.chain.timestamp
    expiry = (now // DAY + DAYS) * DAY + HOUR_OF_EXPIRY
    day = datetime.fromtimestamp(expiry, UTC)
    date = f"{day.day}{day:%b%y}".upper()
    protocol.set_vols("BTC", date, *(Decimal(part) / 10**6 for part in calm("BTC", DAYS * DAY)))
    protocol.refresh("BTC", date)
    return date


def _print(console: Console, before: Reading, after: Reading) -> None:
    table = table_of("cross: initial", "maintenance", "portfolio: initial", "maintenance")
    for name, reading in (("the perp alone", before), ("the perp and the put", after)):
        cells = [(found.initial, found.maintenance) for found in reading]
        table.add_row(name, *[usd(amount, 0) for pair in cells for amount in pair])
    console.print(table)
    console.print()


def _fall(protocol: Protocol, people: tuple[Account, Account], console: Console) -> int:
    """Walk the price down; what both have and what they need. Returns what the portfolio account lost."""
    columns = "cross: equity", "maintenance", "portfolio: equity", "maintenance", "cross is liquidatable"
    table = table_of(*columns)
    mark, shown = Decimal(1), list(FALLS)
    start = people[1].summary().equity
    while shown:
        mark = max(mark * STEP, 1 - Decimal(shown[0]) / 100)
        marks = {symbol: (price * mark).quantize(Decimal("0.01")) for symbol, price in START.items()}
        protocol.set_prices(marks, at=protocol.chain.timestamp + 2)
        protocol.poke()
        if 100 * (1 - mark) >= shown[0]:
            found = [account.summary() for account in people]
            claim(not found[1].liquidatable, "the put does not hold the account up")
            cells = [usd(amount, 0) for s in found for amount in (s.equity, s.maintenance)]
            table.add_row(f"BTC -{shown.pop(0)} %", *cells, "yes" if found[0].liquidatable else "")
    console.print(table)
    claim(found[0].liquidatable, "cross margin holds the hedged account up")
    lost = start - people[1].summary().equity
    claim(0 < lost < (START["BTC"] - STRIKE + 3_000) * 10**6, "the put does not bound the loss")
    return lost
