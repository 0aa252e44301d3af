"""Money in and out, and between an owner's own accounts."""

from __future__ import annotations

from margincall.audit.machine import Action, Machine
from margincall.audit.world import MARKETS, TOKEN_MODES
from margincall.model import (
    Refused,
    accounts,
    withdrawable,
)
from margincall.model import (
    close_account as model_close,
)
from margincall.model import (
    collect_fees as model_collect,
)
from margincall.model import (
    deposit as model_deposit,
)
from margincall.model import (
    fund_insurance as model_fund,
)
from margincall.model import (
    move_margin as model_move,
)
from margincall.model import (
    withdraw as model_withdraw,
)
from margincall.model.arithmetic import ceil_div

USD = 10**6
EMPTY = ("erc20: transfer amount exceeds balance", "hostile: balance")


def arriving(machine: Machine, amount: int) -> int:
    """What of a transfer of `amount` token units the receiver gets."""
    percent = -(-amount // 100)
    return amount - percent if machine.world.token_mode == 1 else amount


def transfer_refusal(
    machine: Machine, source: str, target: str, incoming: bool, amount: int = 0
) -> str | None:
    """Why the token, or the clearinghouse because of what the token did, refuses a transfer. What is paid
    out can exceed the balance while an insolvent account waits for its liquidation (I-07).
    """
    world = machine.world
    mode = TOKEN_MODES[world.token_mode]
    if mode == "paused":
        return "hostile: paused"
    if mode == "blacklist" and (source in world.blacklist or target in world.blacklist):
        return "hostile: blacklisted"
    if mode == "false":
        return "token: refused"
    if not incoming and amount > world.held:
        return EMPTY[machine.setting.hostile]
    return "token: took too much" if mode == "more" and not incoming else None


def deposit_of(machine: Machine, root: int, amount: int, payer: str | None = None) -> Action:
    """Pay `amount` money and a drawn dust of token units into a root account."""
    world = machine.world
    payer = payer or world.owner(root).address
    return incoming(machine, "deposit", payer, root, amount * world.scale)


def incoming(machine: Machine, kind: str, payer: str, target: int, tokens: int) -> Action:
    """A deposit, or (kind "fund_insurance") a payment into a pool."""
    world, twin = machine.world, machine.twin
    arrives = arriving(machine, tokens)

    def apply(now: int) -> int:
        act = model_deposit if kind == "deposit" else model_fund
        return act(twin, target, arrives)

    def refusal(now: int) -> str | None:
        if kind == "deposit" and accounts.is_vault(target):
            return "deposit: not a root account"
        if tokens == 0 and TOKEN_MODES[world.token_mode] == "no zero":
            return "hostile: zero amount"
        return transfer_refusal(machine, payer, world.house.address, True)

    def done(now: int) -> None:
        world.held += arrives
        world.extra += arrives % world.scale

    return Action(
        kind,
        payer,
        world.house,
        (kind, target, tokens),
        apply,
        frozenset([target]) if kind == "deposit" else frozenset(),
        refusal,
        done=done,
        facts={
            "tokens": tokens,
            "own": kind == "deposit" and world.owner(target).address == payer,
            "pool": None if kind == "deposit" else target,
        },
    )


def deposit(machine: Machine, draw) -> Action:
    world = machine.world
    root = draw.choice(world.roots)
    payer = draw.choice(world.actors).address if draw.chance(30) else world.owner(root).address
    held = machine.twin.cash.get(root, 0)
    tokens = draw.choice((50, 500, 4_000) if held < 20_000 * USD else (1, 20)) * USD * world.scale
    if draw.chance(20):
        tokens += draw.integer(0, 1_999) * world.scale // 1_000
    if draw.chance(3):
        tokens = draw.integer(1, 1_000) * world.scale // 1_000
    target = root if not draw.chance(2) else accounts.vault(root, 1)
    return incoming(machine, "deposit", payer, target, tokens)


def fund_insurance(machine: Machine, draw) -> Action:
    payer = draw.choice(machine.world.actors).address
    amount = draw.choice((1, 5, 40)) * USD * machine.world.scale
    return incoming(machine, "fund_insurance", payer, draw.integer(0, 3), amount)


def withdraw(machine: Machine, draw) -> Action:
    """Small, exactly what can leave, or one unit more."""
    world, twin = machine.world, machine.twin
    root = draw.choice(world.roots)
    now = machine.chain.timestamp + 1
    amount = draw.choice((1, 30, 700, 20_000)) * USD
    exact = None
    if draw.chance(60):
        try:
            exact = withdrawable(twin, now, root)
            amount = exact + draw.choice((0, 0, 1))
        except Refused:
            pass
    tokens = amount * world.scale
    if exact is None and draw.chance(30):
        tokens = max(tokens - draw.integer(0, 999) * world.scale // 1_000, 0)
    owner = world.owner(root).address
    target = owner if draw.chance(80) else draw.choice(world.actors).address
    return payout(machine, "withdraw", root, target, tokens, exact)


def close_account(machine: Machine, draw) -> Action | None:
    flat = [root for root in machine.world.roots[1:] if not machine.twin.positions.get(root)]
    root = draw.choice(flat) if flat and draw.chance(60) else draw.choice(machine.world.roots)
    return payout(machine, "close_account", root, machine.world.owner(root).address, None, None)


def payout(
    machine: Machine, kind: str, root: int, receiver: str, tokens: int | None, exact: int | None
) -> Action:
    """A withdrawal of `tokens`, or (None) the closing of an account."""
    world, twin = machine.world, machine.twin
    call = (kind, root, tokens, receiver) if tokens is not None else (kind, root, receiver)
    paid = tokens if tokens is not None else twin.cash.get(root, 0) * world.scale
    debit = ceil_div(paid, world.scale)

    def apply(now: int) -> int:
        mode = twin.modes.get(root)
        done = model_withdraw(twin, now, root, paid) if kind == "withdraw" else model_close(twin, root)
        # The token moves last: what it refuses undoes everything.
        refused = None
        if paid:
            refused = transfer_refusal(machine, world.house.address, receiver, False, paid)
        if refused:
            twin.cash[root] = twin.cash.get(root, 0) + done
            if mode is not None:
                twin.modes[root] = mode
            raise Refused(refused)
        return done

    def finish(now: int) -> None:
        world.held -= paid
        world.extra += debit * world.scale - paid

    return Action(
        kind,
        world.owner(root).address,
        world.house,
        call,
        apply,
        frozenset([root]),
        done=finish,
        facts={"amount": debit, "exact": exact, "tokens": paid},
    )


def collect_fees(machine: Machine, draw) -> Action:
    world, twin = machine.world, machine.twin
    pool = draw.integer(0, 3)
    amount = twin.treasury.get(pool, 0)

    def apply(now: int) -> int:
        refused = amount and transfer_refusal(
            machine, world.house.address, world.treasury, False, amount * world.scale
        )
        if refused:
            raise Refused(refused)
        return model_collect(twin, pool)

    def done(now: int) -> None:
        world.held -= amount * world.scale

    sender = draw.choice(world.actors).address
    return Action("collect_fees", sender, world.house, ("collect_fees", pool), apply, done=done)


def donate(machine: Machine, draw) -> Action | None:
    """Tokens sent straight to the clearinghouse (not while transfers re-enter: nothing is locked then)."""
    world = machine.world
    if TOKEN_MODES[world.token_mode] == "reenter":
        return None
    giver = draw.choice(world.actors).address
    tokens = draw.integer(1, 5 * USD) * world.scale
    arrives = arriving(machine, tokens)

    def done(now: int) -> None:
        if TOKEN_MODES[world.token_mode] != "false":
            world.held += arrives
            world.extra += arrives

    def refusal(now: int) -> str | None:
        found = transfer_refusal(machine, giver, world.house.address, True)
        return None if found == "token: refused" else found

    call = ("transfer", world.house.address, tokens)
    return Action("donate", giver, world.token, call, refusal=refusal, done=done)


def move_margin(machine: Machine, draw) -> Action:
    """Into a vault or back out of it; by the owner or a delegate."""
    twin = machine.twin
    vaults = [a for a in twin.positions if accounts.is_vault(a)]
    vault = draw.choice(vaults) if vaults and draw.chance(90) else _any_vault(machine, draw)
    source, target = (accounts.parent(vault), vault) if draw.chance(50) else (vault, accounts.parent(vault))
    if draw.chance(8):
        target = source
    amount = draw.choice((1, 15, 200)) * USD
    exact = None
    if draw.chance(40):
        try:
            exact = withdrawable(twin, machine.chain.timestamp + 1, source)
            amount = exact + draw.choice((0, 0, 1))
        except Refused:
            pass
    return move(machine, source, target, amount, exact, draw.chance(10))


def _any_vault(machine: Machine, draw) -> int:
    return accounts.vault(draw.choice(machine.world.roots), draw.choice(MARKETS))


def move(
    machine: Machine, source: int, target: int, amount: int, exact: int | None, by_delegate: bool = False
) -> Action:
    """Move margin between a root account and its vault."""
    world, twin = machine.world, machine.twin
    owner = world.owner(source)
    sender = owner.signer.address if by_delegate else owner.address

    def refusal(now: int) -> str | None:
        may = world.may(source >> 96, int(sender, 16), 2, now)
        return None if may else "margin: not owner or delegate"

    return Action(
        "move_margin",
        sender,
        world.protocol.modes,
        ("move_margin", source, target, amount),
        lambda now: model_move(twin, now, source, target, amount),
        frozenset([source, target]),
        refusal,
        facts={"amount": amount, "exact": exact, "source": source, "target": target},
    )
