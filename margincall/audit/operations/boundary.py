"""To the exact boundary of liquidation: by price to within a tick, by money to the unit."""

from __future__ import annotations

from margincall.audit.machine import Action, Machine
from margincall.audit.operations import money, prices, trades
from margincall.model import Refused, accounts, liquidation_price, portfolio
from margincall.model.arithmetic import MAX_PRICE, PPM
from margincall.model.book import unpack
from margincall.model.rules import risk_of


def boundary(machine: Machine, draw) -> Action | None:
    """Publish the price at which an account becomes liquidatable, or one unit to either side; then pay in
    what makes equity equal the requirement, or a unit less or more; then try to liquidate.
    """
    twin = machine.twin
    held = machine.plain()
    if not held:
        return None
    account = draw.choice(held)
    market = draw.choice(twin.positions[account])[0]
    known = twin.markets[market]
    for seconds in (2, 12, 40):
        try:
            price = liquidation_price(twin, machine.chain.timestamp + seconds, account, market)
        except Refused:
            return None
        if price is None:
            return None
        target = min(max(price + draw.choice((-1, 0, 0, 1)), 1), MAX_PRICE)
        intervals = max((machine.chain.timestamp + seconds - known.published) // known.rules.interval, 1)
        limit = min(known.rules.step * intervals, 500_000)
        if abs(target - known.mark) * PPM <= known.mark * limit:
            machine.queue.append(lambda m: _to_the_unit(m, account, draw.choice((-1, 0, 1))))
            machine.queue.append(lambda m: attempt(m, account))
            return prices.report(machine, {market: target}, seconds, kind="boundary price")
    return None


def to_the_unit(machine: Machine, draw) -> Action | None:
    """Pay in what leaves an account below maintenance exactly there, or a unit to either side; liquidate."""
    unhealthy = machine.unhealthy()
    if not unhealthy:
        return None
    account = draw.choice(unhealthy)
    machine.queue.append(lambda m: attempt(m, account))
    return _to_the_unit(machine, account, draw.choice((-1, 0, 1)))


def book_edge(machine: Machine, draw) -> Action | None:
    """Publish a price at which a portfolio account is below maintenance and far from insolvent, by the model;
    then liquidate it."""
    twin, now = machine.twin, machine.chain.timestamp
    if not machine.fresh(now):
        return None
    books = [
        a for a in twin.books if a in twin.modes and a not in twin.positions and machine.margin_of(a, now)
    ]
    if not books:
        return None
    account = draw.choice(books)
    words = twin.books[account]
    risk = risk_of(twin, now, set(twin.markets))
    market = draw.choice(sorted({segment.market for segment in unpack(words)}))
    known = twin.markets[market]
    percents = [sign * size for size in (2, 3, 5, 7, 10, 14, 19, 25) for sign in (1, -1)]
    for percent in percents if draw.chance(50) else percents[::-1]:
        mark = known.mark * (100 + percent) // 100
        try:
            found = portfolio.margin(
                twin.cash.get(account, 0), [], words, risk._replace(prices=risk.prices | {market: mark})
            )
        except Refused:
            continue
        if found.maintenance // 3 < found.equity < found.maintenance * 98 // 100:
            needed = (abs(percent) * 11_000 // known.rules.step + 1) * known.rules.interval
            seconds = max(known.published + needed - now, 1)
            if known.published + seconds >= known.published + known.rules.outage or mark > MAX_PRICE:
                return None
            machine.queue.append(lambda m: attempt(m, account))
            return prices.report(machine, {market: mark}, seconds, kind="jump")
    return None


def to_the_brink(machine: Machine, draw) -> Action | None:
    """Pay in what leaves an insolvent account with next to nothing: too little for its penalty, so that it
    goes whole; then liquidate."""
    broke = [a for a, m in machine.margins().items() if m and m.equity < 0]
    if not broke:
        return to_the_unit(machine, draw)
    account = draw.choice(broke)
    later = machine.chain.timestamp + 2
    found = machine.margin_of(account, later)
    if found is None or found.equity >= 0:
        return None
    amount = -found.equity + draw.choice((0, 1, found.maintenance // 200, found.maintenance // 40))
    machine.queue.append(lambda m: attempt(m, account))
    if accounts.is_vault(account):
        return money.move(machine, accounts.parent(account), account, amount, None)
    return money.deposit_of(machine, account, amount)


def _to_the_unit(machine: Machine, account: int, offset: int) -> Action | None:
    """Money that leaves equity - maintenance = `offset` two seconds later, when the next call comes."""
    later = machine.chain.timestamp + 2
    found = machine.margin_of(account, later)
    if found is None or machine.twin.is_flat(account):
        return None
    amount = found.maintenance - found.equity + offset
    if amount <= 0:
        return None
    if accounts.is_vault(account):
        return money.move(machine, accounts.parent(account), account, amount, None)
    return money.deposit_of(machine, account, amount)


def attempt(machine: Machine, account: int) -> Action | None:
    """Take over all that an account may lose; None when it holds nothing."""
    if machine.twin.is_flat(account):
        return None
    taker = machine.world.roots[0]
    if taker >> 96 == account >> 96:
        taker = machine.world.roots[2]
    return trades.take(machine, account, taker, 1_000)
