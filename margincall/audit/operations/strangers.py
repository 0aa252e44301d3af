"""Calls by those who may not: every one is refused and changes nothing."""

from __future__ import annotations

from margincall.audit.machine import Action, Machine
from margincall.audit.world import MARKETS, Actor
from margincall.model import accounts


def attempt(machine: Machine, draw) -> Action:
    """A stranger, a delegate without the right, an owner who is nobody's guardian."""
    world, protocol = machine.world, machine.protocol
    root = draw.choice(world.roots)
    other = draw.choice([a for a in world.actors if a.number != root >> 96])
    vault = accounts.vault(root, draw.choice(MARKETS))
    house, modes, markets = world.house, protocol.modes, protocol.markets
    access = protocol.access
    trade = (1, root, world.roots[0], 10**6, 1, 0, 0, 0, 0, 0)
    leg = (1, 10**6, 1)
    may_move = world.may(root >> 96, other.number, 2, machine.chain.timestamp + 1)
    attempts = (
        (house, ("withdraw", root, 1, other.address), "withdraw: not owner"),
        (house, ("close_account", root, other.address), "withdraw: not owner"),
        (modes, ("switch_to_cross", vault), "switch: not owner"),
        (modes, ("switch_to_isolated", root, 1, 0, 0), None),
        (modes, ("move_margin", root, vault, 10**6), None if may_move else "margin: not owner or delegate"),
        (access, ("set_paused", True), "access: not guardian"),
        (access, ("set_denied_modes", other.address, 1), "access: not compliance"),
        (
            access,
            ("set_roles", other.address, other.address, other.address),
            "ownable: caller is not the owner",
        ),
        (access, ("set_door", other.address, 1), "ownable: caller is not the owner"),
        (access, ("set_rates", 0, 0), "ownable: caller is not the owner"),
        (house, ("trade", trade), "clearing: not a trade door"),
        (house, ("move_cash", root, vault, 1), "clearing: not a trade door"),
        (house, ("take_over", root, world.roots[0], [leg], 0, 1, [], []), "clearing: not a liquidation door"),
        (markets, ("charge", 1, True, 1, 1), "markets: not clearinghouse"),
        (markets, ("set_max_age", 10), "ownable: caller is not the owner"),
        (markets, ("set_clearinghouse", other.address), "ownable: caller is not the owner"),
        (protocol.feed, ("set_quorum", 1), "ownable: caller is not the owner"),
        (protocol.liquidation, ("liquidate", vault, root, 1_000), "liquidation: not taker's owner"),
        (
            protocol.liquidation,
            ("liquidate", accounts.root(other.address), root, draw.choice((0, 1_001))),
            "liquidation: bad quanta",
        ),
        (house, ("withdraw", vault, 1, world.owner(root).address), "withdraw: not a root account"),
        (house, ("withdraw", root, 1, house.address), "withdraw: bad receiver"),
    )
    if machine.setting.options:
        attempts += _on_options(machine, root, other)
    target, call, reason = draw.choice(attempts)
    if reason is None:  # a delegate who may move margin: what he does is move_margin's business
        target, call, reason = modes, ("switch_to_cross", vault), "switch: not owner"
    own = reason in ("withdraw: not a root account", "withdraw: bad receiver", "liquidation: bad quanta")
    sender = world.owner(root).address if own else other.address
    return Action("stranger", sender, target, call, refusal=reason, facts={"stranger": True})


def _on_options(machine: Machine, root: int, other: Actor) -> tuple:
    """Doors, curves, dials, grids and spot of options."""
    world, protocol, house = machine.world, machine.protocol, machine.world.house
    owner = "ownable: caller is not the owner"
    return (
        (house, ("trade_book", (root, world.roots[0], [], 1, 0, 0, 0)), "clearing: not a trade door"),
        (house, ("post_book", root, [], False, 1, 0), "clearing: not a source door"),
        (house, ("set_mode", root, 2), "clearing: not a trade door"),
        (house, ("set_engine", 2, other.address), owner),
        (protocol.modes, ("switch_mode", root, 2), "switch: not owner"),
        (protocol.portfolio, ("set_curves", other.address, 10, True), owner),
        (protocol.portfolio, ("relax",), owner),
        (protocol.portfolio, ("set_guardian", other.address), owner),
        (protocol.book, ("set_grid", 9, 10_000), owner),
        (protocol.collateral, ("set_limits", 1, 0, 1), owner),
        (protocol.collateral, ("withdraw", root, 1, 1, other.address), "collateral: not owner"),
    )
