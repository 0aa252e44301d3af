"""What the machine does. Each operation draws its details and returns an `Action`, or None when there is
nothing to do it on; `picker` chooses among them by weight.
"""

from __future__ import annotations

from collections.abc import Callable

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
from margincall.audit.settings import CROSS, Setting

COMMON = {
    prices.step_inside: 20,
    prices.step_all: 3,
    prices.refused_report: 2,
    trades.trade: 22,
    trades.reduce: 9,
    trades.edge: 2,
    trades.bad_order: 2,
    trades.cancel: 2,
    trades.liquidate: 15,
    trades.switch_to_isolated: 4,
    trades.switch_to_cross: 4,
    money.deposit: 5,
    money.withdraw: 6,
    money.move_margin: 7,
    money.close_account: 1,
    money.fund_insurance: 1,
    money.collect_fees: 1,
    money.donate: 1,
    admin.pause: 1,
    admin.deny: 1,
    admin.delegate: 1,
    admin.parameters: 4,
    strangers.attempt: 3,
    boundary.boundary: 3,
    boundary.to_the_brink: 1,
    token.wallet_answer: 1,
}
VAULTS = (trades.switch_to_isolated, trades.switch_to_cross, money.move_margin)
WILD = {prices.jump: 2, prices.silence: 1}
"""Outside the price envelope: jumps, and silences after which prices are stale."""
OPTIONS = {
    prices.step_inside: 12,
    prices.step_all: 30,
    prices.jump: 5,
    options.trade: 44,
    options.reduce: 8,
    options.odd: 2,
    options.switch_mode: 7,
    options.deposit_spot: 2,
    options.withdraw_spot: 2,
    boundary.to_the_unit: 5,
    boundary.to_the_brink: 5,
    boundary.book_edge: 4,
    expiries.vols: 1,
    expiries.upkeep: 4,
    expiries.press: 8,
    expiries.poke: 3,
    expiries.tighten: 1,
    expiries.observe: 1,
    expiries.settle: 4,
}
SMOOTH = {
    prices.step_all: 20,
    prices.stride: 30,
    options.trade: 44,
    options.reduce: 10,
    options.odd: 1,
    options.switch_mode: 5,
    options.deposit_spot: 2,
    options.withdraw_spot: 3,
    expiries.level: 1,
    expiries.upkeep: 1,
    expiries.poke: 4,
    expiries.observe: 2,
    expiries.settle: 1,
}
"""Of options inside the envelope: time passes, nothing moves more than one step between two looks."""
RARE = {expiries.to_expiry: 2}
"""Some four times in a thousand operations, each with a dozen or two behind it."""
HOSTILE = {token.set_mode: 5, token.blacklist: 2}


def picker(setting: Setting) -> Callable:
    """The weighted choice of a setting: `pick(machine, draw) -> Action | None`."""
    weights = dict(COMMON)
    if setting.accounts == CROSS:
        for operation in VAULTS:
            del weights[operation]
    if setting.envelope:
        return _envelope(weights | SMOOTH if setting.options else weights)
    weights |= WILD
    if setting.hostile:
        weights |= HOSTILE
    if setting.options:
        weights |= OPTIONS
        weights = {operation: 2 * weight for operation, weight in weights.items()} | RARE
    table = [operation for operation, weight in weights.items() for _ in range(weight)]
    return lambda machine, draw: draw.choice(table)(machine, draw)


def _envelope(weights: dict[Callable, int]) -> Callable:
    """Keepers first: while an account can be liquidated nothing else happens, and no price moves before it
    is healthy or flat again; curves are renewed and what expired is settled as soon. Terms stay (a raise of
    maintenance is a step of its own)."""
    del weights[boundary.boundary], weights[boundary.to_the_brink], weights[admin.parameters]
    table = [operation for operation, weight in weights.items() for _ in range(weight)]

    def pick(machine, draw):
        if not machine.fresh(machine.chain.timestamp, 30):
            return prices.again(machine)
        action = expiries.keep(machine) if machine.setting.options else None
        action = action or trades.keep(machine)
        return action or draw.choice(table)(machine, draw)

    return pick


def start(machine) -> None:
    """First prices, first deposits: the machine's own actions, so all properties see them."""
    machine.do(prices.report(machine, machine.setting.marks, 1))
    for index, root in enumerate(machine.world.roots):
        amount = 2_000_000 if index == 0 else (300, 3_000, 8_000, 30_000)[index % 4]
        machine.do(money.deposit_of(machine, root, amount * 10**6))
    if not machine.setting.options:
        return
    machine.do(expiries.same_vols(machine))
    for market, expiry in expiries.stale(machine):
        machine.do(expiries.refresh_of(machine, market, expiry))
    machine.do(expiries.poke(machine, None))
    for root in machine.world.roots[::2]:
        machine.do(options.to_mode(machine, root, 2))
