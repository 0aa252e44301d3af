"""What the clearinghouse judges whoever asks: a liquidation door that chooses as it likes."""

from __future__ import annotations

from margincall.audit.machine import Machine
from margincall.audit.properties import asking, probe
from margincall.chain.base import Reverted
from margincall.model import accounts
from margincall.model.arithmetic import INDEX_SCALE
from margincall.model.margin import Margin
from margincall.protocol.deploy import LIQUIDATION_DOOR


def i_18_door(machine: Machine, draw) -> None:
    """any liquidation door: Eq < MM before, H' >= H or flat with C >= 0; |q| falls; Eq' >= IM' of the taker;
    charges only once insurance is used up

    A door that the owner let in asks for legs, amounts, money and charges at random; what the clearinghouse
    accepts has to hold all the same (I-16, I-23, I-09, I-25).
    """
    if any(market.in_grace(machine.chain.timestamp) for market in machine.twin.markets.values()):
        return
    with probe.undone(machine, "I-18"):
        probe.open_doors(machine)
        door = machine.world.owner(machine.world.newcomers[2]).address
        asking.by_owner(machine, (machine.protocol.access, ("set_door", door, LIQUIDATION_DOOR)))
        probe.quiet_prices(machine)
        taker = probe.newcomer(machine, 10**6)
        chain = machine.chain
        holders = [a for a in machine.twin.positions if a not in machine.twin.books]
        below = [a for a in machine.unhealthy(chain.timestamp + 1) if a in holders]
        for _ in range(6 if holders else 0):
            victim = draw.choice(below if below and draw.chance(75) else holders)
            mark = chain.snapshot()
            try:
                _ask(machine, draw, door, victim, taker)
            finally:
                chain.revert(mark)


def _ask(machine: Machine, draw, door: str, victim: int, taker: int) -> None:
    house, at = machine.world.house, machine.chain.timestamp + 1
    held = machine.twin.positions[victim]
    before, pool = Margin(*house.call("margin", victim, at=at)), accounts.market_of(victim)
    legs = [leg for position in held if draw.chance(70) for leg in _leg(machine, draw, position, at)]
    spread = max(before.maintenance, 10)
    money = draw.choice((0, -1, 1, -before.equity, 10 - before.equity, draw.integer(-spread, spread)))
    cut = draw.choice((0, 0, 1, spread // 100, -money, draw.integer(-spread, spread)))
    charges = [(held[0][0], held[0][1] < 0, abs(money) or 1)] if draw.chance(25) else []
    try:
        house.send(door, "take_over", victim, taker, legs, money, cut, charges, [], at=at)
    except Reverted:
        return
    machine.counts["take-over by any door"] += 1
    machine.need("I-16", before.equity < before.maintenance, lambda: (hex(victim), before))
    header, words = house.call("account", victim)
    cash, count, _ = accounts.unpack_header(header)
    left = {market: size for market, size, _ in accounts.unpack_words(words[: (count + 1) // 2], count)}
    shrank = all(abs(left.get(m, 0)) <= abs(q) and left.get(m, 0) * q >= 0 for m, q, _ in held)
    machine.need("I-16", shrank and left.keys() <= {m for m, *_ in held}, lambda: (held, left))
    if left:
        after = Margin(*house.call("margin", victim))
        better = after.equity - after.maintenance >= before.equity - before.maintenance
        machine.need("I-18", better, lambda: (before, after))
    else:
        machine.need("I-23", cash >= 0, cash)
    found = Margin(*house.call("margin", taker))
    machine.need("I-09", found.equity >= found.initial, found)
    if charges:
        machine.need("I-25", house.call("pools", pool) & 2**128 - 1 == 0, "charged before insurance paid")


def _leg(machine: Machine, draw, position: tuple[int, int, int], at: int) -> list[tuple[int, int, int]]:
    """(market, change, amount) of a close: all of it, some, too much, or more; near the mark."""
    market, size, _ = position
    change = -draw.choice((size, size, size, size // 2, size + size // 3, -size)) or -size
    _, longs, shorts, _ = machine.twin.markets[market].quote(at, machine.twin.max_age)
    value = change * (longs if size > 0 else shorts) // INDEX_SCALE
    away = draw.choice((0, 0, 0, 1, -1, abs(value) // 50, -abs(value) // 50))
    return [(market, change, value + away)]
