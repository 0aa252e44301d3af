"""Operations that a hunt draws two times in five: what bugs need to show and ordinary histories seldom do."""

from __future__ import annotations

from collections.abc import Callable

from margincall.audit.machine import Action, Machine
from margincall.audit.operations import (
    admin,
    boundary,
    expiries,
    money,
    options,
    prices,
    strangers,
    token,
    trades,
)
from margincall.audit.world import MARKETS, TOKEN_MODES
from margincall.model import accounts
from margincall.model.arithmetic import MAX_PRICE, NOTIONAL_SCALE
from margincall.model.instrument import CALL, CONTRACT, PUT, Instrument
from margincall.protocol.orders import Order


def _by_oneself(machine: Machine, draw) -> Action | None:
    """An owner takes over his own vault that is below maintenance."""
    vaults = [account for account in machine.unhealthy() if accounts.is_vault(account)]
    if not vaults:
        return trades.trade(machine, draw)
    victim = draw.choice(vaults)
    return trades.take(machine, victim, accounts.parent(victim), 1_000)


def _after_outage(machine: Machine, draw) -> Action | None:
    """Once somebody holds a position, prices a quarter away after a silence that was an outage; then, in the
    grace, a liquidation. A grace that leaves nobody to liquidate is waited for: in it nothing opens."""
    now, markets = machine.chain.timestamp + 1, machine.twin.markets
    marks = {number: market.mark for number, market in markets.items()}
    if any(market.in_grace(now) for market in markets.values()):
        if not (victims := machine.unhealthy(now)):
            return prices.report(machine, marks, 20)
        return boundary.attempt(machine, draw.choice(victims))
    if len(machine.twin.positions) < 4 or draw.chance(50):
        return trades.trade(machine, draw)
    share = draw.choice((76, 124))
    moved = {number: mark * share // 100 for number, mark in marks.items()}
    return prices.report(machine, moved, machine.twin.max_age + 35, kind="jump")


def _slices(machine: Machine, draw) -> Action | None:
    """The keeper's next liquidation; where nobody is below maintenance, a step of prices or a trade."""
    if not machine.fresh(machine.chain.timestamp, 30):
        return prices.again(machine)
    return trades.keep(machine) or draw.choice((prices.step_all, trades.trade))(machine, draw)


def _book_slices(machine: Machine, draw) -> Action | None:
    """Option trades of portfolio accounts, and prices that take them a little below maintenance."""
    if not machine.fresh(machine.chain.timestamp, 30):
        return prices.again(machine)
    if expiries.stale(machine):
        return expiries.upkeep(machine, draw)
    act = boundary.book_edge if len(machine.twin.books) > 3 and draw.chance(60) else options.trade
    return act(machine, draw)


def _strikes(machine: Machine, draw) -> Action | None:
    """Many strikes of one expiry in few accounts: segments of several words, bought, sold and given back."""
    if not machine.fresh(machine.chain.timestamp, 30):
        return prices.again(machine)
    if expiries.stale(machine):
        return expiries.upkeep(machine, draw)
    series, roots = machine.world.series.live(machine.chain.timestamp + 1), machine.world.roots
    step, mark = machine.twin.options.grid.steps[2], machine.twin.markets[2].mark
    strike = (mark * draw.integer(90, 110) // 100 // step) * step
    instrument = Instrument(2, draw.choice((CALL, PUT)), series[1], strike)
    taker = roots[draw.choice((2, 3))]
    lots = 300 * 10**6 * NOTIONAL_SCALE // mark // CONTRACT * CONTRACT * draw.choice((1, -1, 2))
    price = options.fair(machine, instrument, machine.chain.timestamp + 1)
    return options.orders(machine, instrument.id, roots[0], taker, lots, price)


def _shortfalls(machine: Machine, draw) -> Action | None:
    """Books of several perps, a jump that takes all their money, liquidations: some after a rescue that pays
    for less than the penalty."""
    now = machine.chain.timestamp + 1
    if not machine.fresh(now, 30):
        return prices.again(machine)
    if machine.unhealthy(now) and not any(m.in_grace(now) for m in machine.twin.markets.values()):
        return boundary.to_the_brink(machine, draw) if draw.chance(20) else trades.keep(machine)
    several = [held for held in machine.twin.positions.values() if len(held) > 1]
    act = prices.jump if len(several) > 2 and draw.chance(30) else trades.trade
    return act(machine, draw)


def _least(machine: Machine, draw) -> Action | None:
    """Vaults little larger than what may be held at all, which go whole or not at all; steps; the keeper."""
    if not machine.fresh(machine.chain.timestamp, 30):
        return prices.again(machine)
    if (action := trades.keep(machine)) or draw.chance(50):
        return action or prices.step_all(machine, draw)
    market, root = draw.choice(MARKETS), draw.choice(machine.world.roots[2:])
    known = machine.twin.markets[market]
    lots = known.terms.min_notional * draw.choice((101, 130)) // 100 * NOTIONAL_SCALE // known.mark + 1
    vault = accounts.vault(root, market, 2)
    return trades.between(machine, draw, market, machine.world.roots[0], vault, lots, known.mark)


def _late_switch(machine: Machine, draw) -> Action | None:
    """A vault that can be liquidated is switched into an account that could carry it; else steps, vaults."""
    twin = machine.twin
    if not machine.fresh(machine.chain.timestamp, 30):
        return prices.again(machine)
    vaults = [account for account in machine.unhealthy() if accounts.is_vault(account)]
    for vault in vaults:
        if all(m != accounts.market_of(vault) for m, *_ in twin.positions.get(accounts.parent(vault), ())):
            return trades.to_cross(machine, vault)
    if draw.chance(60):
        return prices.step_all(machine, draw)
    market, root = draw.choice(MARKETS), draw.choice(machine.world.roots[2:])
    mark = twin.markets[market].mark
    lots = draw.choice((300, -300, 900)) * 10**6 * NOTIONAL_SCALE // mark
    return trades.between(
        machine, draw, market, machine.world.roots[0], accounts.vault(root, market), lots, mark
    )


def _give_away(machine: Machine, draw) -> Action | None:
    """A root account with positions moves most of what it may, and a little more, along with an order of its
    vault."""
    twin, now, roots = machine.twin, machine.chain.timestamp, machine.world.roots
    held = [
        account for account in machine.plain() if account in roots[1:] and machine.margin_of(account, now)
    ]
    if not held:
        return trades.trade(machine, draw)
    root, market = draw.choice(held), draw.choice(MARKETS)
    found = machine.margin_of(root, now)
    amount = min(twin.cash.get(root, 0), found.equity - found.maintenance) + draw.choice((-1_000, 1_000))
    mark, least = twin.markets[market].mark, twin.markets[market].terms.min_notional
    lots = 2 * least * NOTIONAL_SCALE // mark + 1
    vault = accounts.vault(root, market, 3)
    maker = roots[0] if root >> 96 != roots[0] >> 96 else roots[1]
    order = Order(vault, market, lots, MAX_PRICE, max(amount, 0))
    making = machine.book.resting(maker, market, -lots, mark)
    return trades.settle(machine, making, machine.book.make(order), lots)


def _odd(machine: Machine, draw) -> Action | None:
    """What has to be refused, and the settings of the protocol."""
    acts = (strangers.attempt, trades.bad_order, trades.cancel, prices.refused_report, admin.parameters)
    acts += (admin.delegate, money.move_margin)
    acts += (options.odd, options.withdraw_spot, expiries.tighten) if machine.setting.options else ()
    return draw.choice(acts)(machine, draw)


def _with_oneself(machine: Machine, draw) -> Action | None:
    """An owner's two accounts trade with each other."""
    root, market = draw.choice(machine.world.roots), draw.choice(MARKETS)
    known = machine.twin.markets[market]
    lots = 2 * known.terms.min_notional * NOTIONAL_SCALE // known.mark + 1
    vault = accounts.vault(root, market)
    return trades.between(machine, draw, market, root, vault, lots, known.mark)


def _partly_stale(machine: Machine, draw) -> Action | None:
    """One market's price alone is fresh; then withdrawals of who holds that market and others."""
    twin, now = machine.twin, machine.chain.timestamp
    if machine.fresh(now, 2):
        return prices.report(machine, {1: twin.markets[1].mark}, twin.max_age + 5)
    held = [root for root in machine.world.roots if len(twin.positions.get(root, ())) > 1]
    if not held:
        return trades.trade(machine, draw)
    root = draw.choice(held)
    owner = machine.world.owner(root).address
    return money.payout(machine, "withdraw", root, owner, 10**6 * machine.world.scale, None)


def _under(mode: str, act: Callable) -> Callable:
    """An operation while the hostile token misbehaves in one way."""
    wanted = TOKEN_MODES.index(mode)
    return lambda machine, draw: (
        act(machine, draw) if machine.world.token_mode == wanted else token.to_mode(machine, wanted)
    )


FOCUSED: dict[str, Callable] = {
    "own liquidation": _by_oneself,
    "outage": _after_outage,
    "slices": _slices,
    "book slices": _book_slices,
    "strikes": _strikes,
    "shortfalls": _shortfalls,
    "least": _least,
    "late switch": _late_switch,
    "give away": _give_away,
    "fee token": _under("fee", money.deposit),
    "collect": money.collect_fees,
    "press": expiries.press,
    "expiry": expiries.to_expiry,
    "odd": _odd,
    "self trade": _with_oneself,
    "partly stale": _partly_stale,
    "false token": _under("false", money.withdraw),
    "paused token": _under("paused", trades.reduce),
    "parameters": admin.parameters,
    "edge": trades.edge,
    "switch": trades.switch_to_cross,
    "poke": expiries.poke,
    "settle": expiries.settle,
    "option": options.trade,
    "reduce option": options.reduce,
    "spot": lambda machine, draw: draw.choice((options.deposit_spot, options.withdraw_spot))(machine, draw),
    "move": money.move_margin,
    "withdraw": money.withdraw,
    "silence": prices.silence,
    "pause": admin.pause,
}
