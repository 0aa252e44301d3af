"""Economic properties: coalitions, and pools that must not hear of each other."""

from __future__ import annotations

from margincall.audit.machine import Machine
from margincall.audit.operations import expiries, money, options, prices, trades
from margincall.audit.properties import probe
from margincall.audit.world import MARKETS
from margincall.model import accounts, withdrawable
from margincall.model.arithmetic import INDEX_SCALE, MAX_PRICE, NOTIONAL_SCALE
from margincall.model.instrument import CONTRACT

USD = 10**6


def i_22(machine: Machine, draw) -> None:
    """S acts only on itself, or S = all traders, prices in the envelope: out_S - in_S + Eq_S <= 0, no I falls

    It trades, moves margin, switches and liquidates at constant prices. (All traders together inside the
    envelope: the setting "envelope" and I-24.)
    """
    with probe.undone(machine, "I-22"):
        probe.open_doors(machine)
        probe.quiet_prices(machine)
        paid_in = 0
        for i, usd in enumerate((900, 700, 2_500)):
            probe.newcomer(machine, usd, i)
            paid_in += usd * USD
        funds = sum(machine.twin.insurance.values())
        paid_out = 0
        for _ in range(14):
            step = machine.do(_among_themselves(machine, draw))
            if step.ok and step.action.kind == "withdraw":
                paid_out += step.action.facts["amount"]
        machine.need("I-22", sum(machine.twin.insurance.values()) >= funds, "insurance paid a coalition")
        worth = _worth_of(machine, set(machine.world.newcomers))
        if worth is not None:
            gain = paid_out + worth - paid_in
            machine.need("I-22", gain <= 0, f"a coalition gained {gain}")


def _among_themselves(machine: Machine, draw):
    """One act of the coalition; some are refused."""
    members, twin = machine.world.newcomers, machine.twin
    market = draw.choice(MARKETS)
    one, other = draw.choice(((0, 1), (1, 0), (0, 2), (2, 1)))
    maker, taker = members[one], members[other]
    act = draw.choice(
        ("trade", "trade", "trade", "vault", "vault", "liquidate", "withdraw", "switch", "move")
    )
    mine = [a for a in twin.positions if accounts.parent(a) in members]
    if act == "liquidate" and mine:
        victim = draw.choice(mine)
        others = [m for m in members if m >> 96 != victim >> 96]
        return trades.take(machine, victim, draw.choice(others), 1_000)
    if act == "withdraw" and machine.fresh(machine.chain.timestamp, 5):
        amount = withdrawable(twin, machine.chain.timestamp + 1, maker) // 2
        owner = machine.world.owner(maker).address
        return money.payout(machine, "withdraw", maker, owner, amount * machine.world.scale, None)
    if act == "switch" and mine:
        held = draw.choice(mine)
        if accounts.is_vault(held):
            return trades.to_cross(machine, held)
        return trades.to_isolated(machine, held, twin.positions[held][0][0], 0, 50 * USD)
    if act == "move" and mine:
        held = draw.choice(mine)
        if accounts.is_vault(held):
            return money.move(machine, accounts.parent(held), held, draw.choice((1, 30)) * USD, None)
    if act == "vault":
        taker = accounts.vault(taker, market)
    mark = twin.markets[market].mark
    value = draw.choice((110, 900, 9_000)) * USD
    lots = value * NOTIONAL_SCALE // mark * draw.choice((1, -1))
    if held := twin.size(taker, market):
        lots = -held if draw.chance(60) else lots
    price = mark + mark * draw.choice((0, 19_999, -19_999)) // 10**6
    return trades.between(machine, draw, market, maker, taker, lots or 1, max(price, 1))


def i_22_options(machine: Machine, draw) -> None:
    """I-22 with books: a set S that trades options and futures at the edges of the band, switches modes,
    liquidates and withdraws only among itself at constant prices and curves: out_S - in_S + Eq_S <= 0,
    insurance does not fall and D[0] does not rise.
    """
    if expiries.stale(machine, 90):
        return
    with probe.undone(machine, "I-22"):
        probe.open_doors(machine)
        probe.quiet_prices(machine)
        members, twin = machine.world.newcomers, machine.twin
        paid_in = 0
        for i, usd in enumerate((900, 700, 2_500)):
            probe.newcomer(machine, usd, i)
            paid_in += usd * USD
        machine.do(options.to_mode(machine, members[0], accounts.PORTFOLIO))
        funds, owed = sum(twin.insurance.values()), twin.deficit.get(0, 0)
        paid_out = 0
        for _ in range(16):
            step = machine.do(_with_options(machine, draw))
            if step.ok and step.action.kind == "withdraw":
                paid_out += step.action.facts["amount"]
        machine.need("I-22", sum(twin.insurance.values()) >= funds, "insurance paid a coalition")
        machine.need("I-22", twin.deficit.get(0, 0) <= owed, "a coalition left a deficit")
        worth = _worth_of(machine, set(members))
        if worth is not None:
            machine.need("I-22", paid_out + worth - paid_in <= 0, paid_out + worth - paid_in)


def _with_options(machine: Machine, draw):
    """One act of the coalition; some are refused."""
    members, twin = machine.world.newcomers, machine.twin
    act = draw.choice(("option", "option", "option", "back", "mode", "perps", "perps"))
    one, other = draw.choice(((0, 1), (1, 0), (0, 2), (2, 1)))
    maker, taker = members[one], members[other]
    if act == "mode":
        return options.to_mode(machine, maker, 2 - twin.mode(maker))
    if act == "perps":
        return _among_themselves(machine, draw)
    instrument = options.any_instrument(machine, draw)
    mark = twin.markets[instrument.market].mark
    lots = draw.choice((1, 40, 900)) * USD * NOTIONAL_SCALE // mark // CONTRACT * CONTRACT
    lots = max(lots, CONTRACT) * draw.choice((1, -1))
    if act == "back" and (known := options.held(machine, taker)):
        instrument, lots = draw.choice(known)
        lots, mark = -lots, twin.markets[instrument.market].mark
    fair = options.fair(machine, instrument, machine.chain.timestamp + 1)
    price = max(fair + mark * draw.choice((0, 19_900, -19_900)) // 10**6, 0)
    return options.orders(machine, instrument.id, maker, taker, lots, price)


def _worth_of(machine: Machine, roots: set[int]) -> int | None:
    margins = machine.margins()
    total = sum(
        cash for a, cash in machine.twin.cash.items() if accounts.parent(a) in roots and a not in margins
    )
    for account, found in margins.items():
        if accounts.parent(account) in roots:
            if found is None:
                return None
            total += found.equity
    return total


def i_28(machine: Machine, draw) -> None:
    """the same trace with and without pool k's events: C, q, I, D of every other pool identical

    (Two newcomers' vaults trade with each
    other, the price of k jumps, one is insolvent, liquidated and socialised): cash, positions, insurance
    of all other pools, other markets' charges and deficits are identical; equity changes only of holders of
    the charged side of k, each by |q_i| dS / 1e10 (two units of rounding).
    """
    market = draw.choice(MARKETS)
    if machine.twin.markets[market].terms.status != 1:
        return
    down = draw.choice((True, False))
    runs = []
    for active in (False, True):
        with probe.undone(machine, "I-28"):
            runs.append(_pool_trace(machine, market, down, active))
    without, done = runs
    if done is None:
        return
    members = set(machine.world.newcomers)
    for key in ("cash", "positions"):
        one = {a: x for a, x in without[key].items() if accounts.parent(a) not in members and x}
        two = {a: x for a, x in done[key].items() if accounts.parent(a) not in members and x}
        machine.need("I-28", one == two, f"{key} of a stranger to the pool changed")
    one = {p: x for p, x in without["insurance"].items() if p != market}
    machine.need("I-28", one == {p: x for p, x in done["insurance"].items() if p != market}, "insurance")
    charge = [b - a for a, b in zip(without["social"][market], done["social"][market], strict=True)]
    others = [m for m in MARKETS if m != market]
    same = all(without["social"][m] == done["social"][m] for m in others)
    same = same and all(without["deficit"].get(m, 0) == done["deficit"].get(m, 0) for m in others)
    machine.need("I-28", same, "another market was charged")
    for account, old in without["equity"].items():
        held = next((q for m, q, _ in without["positions"].get(account, ()) if m == market), 0)
        part = abs(held) * charge[held < 0]
        drop = old - done["equity"][account]
        machine.need("I-28", 0 <= drop <= part // INDEX_SCALE + 2, lambda a=account, d=drop: (hex(a), d))
    if any(charge):
        machine.counts["non-interference with a charge"] += 1


def _pool_trace(machine: Machine, market: int, down: bool, active: bool) -> dict | None:
    """Fixed times, so that both runs end in the same second."""
    twin = machine.twin
    probe.open_doors(machine)
    probe.quiet_prices(machine)
    start = machine.chain.timestamp
    known = twin.markets[market]
    for i in range(3):
        probe.newcomer(machine, 50_000, i)
    if active:
        seller, buyer = (accounts.vault(root, market, 3) for root in machine.world.newcomers[:2])
        lots = 3_000 * USD * NOTIONAL_SCALE // known.mark
        buys = lots if down else -lots
        sides = [
            machine.book.make(trades.Order(a, market, q, known.mark, margin))
            for a, q, margin in ((seller, -buys, 2_000 * USD), (buyer, buys, 160 * USD))
        ]
        if not machine.do(trades.settle(machine, sides[0], sides[1], lots)).ok:
            return None
    move = known.mark * 15 // 100 * (-1 if down else 1)
    if not 0 < known.mark + move <= MAX_PRICE:
        return None
    seconds = start + 45 - machine.chain.timestamp
    jump = prices.report(machine, {market: known.mark + move}, seconds, kind="jump")
    if not machine.do(jump).ok:
        return None
    if active:
        step = machine.do(trades.take(machine, buyer, machine.world.newcomers[2], 1_000))
        machine.need("I-17", step.ok, lambda: f"liquidation was refused: {step.reason}")
    end = start + 50
    if not machine.fresh(end):
        return None
    return {
        "cash": twin.cash.copy(),
        "positions": twin.positions.copy(),
        "insurance": twin.insurance.copy(),
        "deficit": twin.deficit.copy(),
        "social": {m: (twin.markets[m].social_long, twin.markets[m].social_short) for m in MARKETS},
        "equity": {
            a: machine.margin_of(a, end).equity
            for a in twin.positions
            if accounts.parent(a) not in machine.world.newcomers and machine.margin_of(a, end)
        },
    }
