"""Misbehaviour outside the protocol: the token's transfers, a wallet's answers."""

from __future__ import annotations

from margincall.audit.machine import Action, Machine
from margincall.audit.world import TOKEN_MODES


def set_mode(machine: Machine, draw) -> Action:
    """Tell the hostile token how to misbehave; half the time it behaves again."""
    world = machine.world
    mode = draw.integer(1, 8) if world.token_mode == 0 else draw.choice((0, 0, draw.integer(1, 8)))
    if TOKEN_MODES[mode] == "reenter":
        _arm(machine, draw)
    return to_mode(machine, mode)


def to_mode(machine: Machine, mode: int) -> Action:
    """Tell the hostile token to behave like TOKEN_MODES[mode]."""
    world = machine.world

    def done(now: int) -> None:
        world.token_mode = mode

    sender = world.chain.accounts[0]
    return Action(f"token {TOKEN_MODES[mode]}", sender, world.token, ("set_mode", mode), done=done)


def _arm(machine: Machine, draw) -> None:
    """What the token calls in the middle of a transfer: outside one, the first two would succeed."""
    world = machine.world
    token, house, root = world.token, world.house, world.roots[1]
    target, call = draw.choice(
        (
            (house, ("fund_insurance", 0, 10**9)),
            (house, ("deposit", root, 10**9)),
            (house, ("collect_fees", 0)),
            (house, ("account", root)),
            (house, ("margin", root)),
            (machine.protocol.modes, ("switch_to_cross", root | 1 << 32)),
            (machine.protocol.liquidation, ("preview", root)),
        )
    )
    token.send(world.chain.accounts[0], "set_reentry", target.address, target.encode(*call))


def blacklist(machine: Machine, draw) -> Action:
    """Put an owner on the token's list, or take him off."""
    world = machine.world
    address = draw.choice(world.actors).address
    status = address not in world.blacklist

    def done(now: int) -> None:
        (world.blacklist.add if status else world.blacklist.discard)(address)

    call = ("set_blacklisted", address, status)
    return Action("blacklist", world.chain.accounts[0], world.token, call, done=done)


def wallet_answer(machine: Machine, draw) -> Action:
    """How the ERC-1271 wallet answers when it is asked for its signature."""
    world = machine.world
    answer = draw.integer(1, 5) if world.wallet_answer == 0 else 0

    def done(now: int) -> None:
        world.wallet_answer = answer

    sender = world.chain.accounts[0]
    return Action("wallet answer", sender, world.wallet, ("set_answer", answer), done=done)
