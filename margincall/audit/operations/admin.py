"""Roles and parameters: pause, denied modes, delegates, changes through the timelock."""

from __future__ import annotations

from collections.abc import Callable

from margincall.audit.machine import Action, Machine
from margincall.audit.world import FOREVER, MARKETS
from margincall.chain import Contract
from margincall.model import Refused, Tier, set_denied_modes, set_paused
from margincall.protocol.deploy import NO_SALT, fees_tuple

CHANGES = ("tiers",) * 3 + ("steep", "bare") * 2 + ("status", "max age", "rates")
"""Of these steep (maintenance rises too fast) and bare (it covers no penalty) must be refused."""
NOT_READY = "timelock_controller: operation is not ready"


def pause(machine: Machine, draw) -> Action:
    """Pauses are short: a paused machine unpauses three times in four."""
    twin = machine.twin
    paused = draw.chance(25) if twin.paused else True
    if paused and not twin.paused:
        for _ in range(6):
            machine.queue.append(lambda m: _ordinary(m, draw))
        machine.queue.append(lambda m: pause_action(m, False))
    return pause_action(machine, paused)


def pause_action(machine: Machine, paused: bool) -> Action:
    world, twin = machine.world, machine.twin
    return Action(
        "pause" if paused else "unpause",
        world.guardian,
        world.protocol.access,
        ("set_paused", paused),
        lambda now: set_paused(twin, paused),
    )


def _ordinary(machine: Machine, draw) -> Action | None:
    from margincall.audit.operations import money, trades

    options = (
        trades.trade,
        trades.reduce,
        money.withdraw,
        money.deposit,
        money.move_margin,
        trades.liquidate,
    )
    return draw.choice(options)(machine, draw)


def deny(machine: Machine, draw) -> Action:
    """Take a mode away from an owner, or give all back."""
    world, twin = machine.world, machine.twin
    actor = draw.choice(world.actors[1:])
    if len(twin.denied) > 1 or (twin.denied and draw.chance(50)):
        actor, modes = world.by_number[draw.choice(list(twin.denied))], 0
    else:
        modes = draw.choice((1, 4, 4, 5) if machine.setting.options else (1, 2, 2, 3))
    return Action(
        "deny modes",
        world.compliance,
        world.protocol.access,
        ("set_denied_modes", actor.address, modes),
        lambda now: set_denied_modes(twin, actor.number, modes),
    )


def delegate(machine: Machine, draw) -> Action:
    """Grant or withdraw rights; a delegate's grant may end soon."""
    world = machine.world
    actor, other = draw.choice(world.actors[1:7]), world.actors[draw.choice((0, 1, 1, 2))]
    rights = draw.choice((0, 1, 2, 3, 4))
    expiry = draw.choice((machine.chain.timestamp + 30, FOREVER))
    refusal = None
    if rights > 3:
        refusal = "delegate: no such right"
    elif actor is other:
        refusal = "delegate: bad delegate"
    return Action(
        "delegate",
        actor.address,
        world.protocol.access,
        ("set_delegate", other.address, rights, expiry),
        refusal=refusal,
        done=lambda now: world.delegates.__setitem__((actor.number, other.number), (rights, expiry)),
    )


def parameters(machine: Machine, draw) -> Action | None:
    """Announce a change, or execute one: too early it is refused, later it binds."""
    if machine.pending and draw.chance(75):
        return _execute(machine)
    return _announce(machine, draw)


def _announce(machine: Machine, draw) -> Action:
    return announce(machine, *_change(machine, draw))


def announce(machine: Machine, target: Contract, call: tuple, apply: Callable, what: str) -> Action:
    """Schedule a call of the timelock; `apply` is its twin."""
    world = machine.world
    salt = machine.steps.to_bytes(32, "big")
    payload = target.encode(*call)
    operation = (target.address, 0, payload, NO_SALT, salt)
    ready = machine.chain.timestamp + 1 + machine.setting.spec.timelock_delay

    def done(now: int) -> None:
        machine.pending.append((operation, apply, ready, what, call))

    schedule = ("schedule", *operation, machine.setting.spec.timelock_delay)
    deployer = world.chain.accounts[0]
    return Action("announce", deployer, world.protocol.timelock, schedule, done=done)


def _change(machine: Machine, draw) -> tuple:
    """(contract, call, twin's change, name) of a new parameter."""
    world, twin = machine.world, machine.twin
    what = draw.choice(CHANGES)
    markets, access = world.protocol.markets, world.protocol.access
    if what == "max age":
        age = draw.choice((60, 90, 120))
        return markets, ("set_max_age", age), lambda: twin.set_max_age(age), what
    if what == "rates":
        share, kept = draw.choice((0, 300_000, 1_000_000)), draw.choice((50_000, 100_000, 150_000))

        def set_rates() -> None:
            twin.insurance_share, twin.transfer_rate = share, kept

        return access, ("set_rates", share, kept), set_rates, what
    number = draw.choice(MARKETS)
    closed = [n for n in MARKETS if twin.markets[n].terms.status != 1]
    if closed:  # a market does not stay reduce-only for long
        number, what = closed[0], "status"
    known = twin.markets[number]
    terms = next(m for m in machine.setting.spec.markets if m.id == number).terms
    if what == "status":
        terms = terms._replace(status=2 if known.terms.status == 1 else 1)
    else:
        rise = 1_300_000 if what == "steep" else draw.choice((1_000_000, 1_100_000, 1_200_000))
        tiers = tuple(
            Tier(t.lower, min(t.imf * rise // 10**6, 10**6), t.mmf * rise // 10**6) for t in terms.tiers
        )
        if what == "bare":  # covers a step of the price, and not the penalty after it
            tiers = (tiers[0]._replace(mmf=known.rules.step + terms.penalty // 2), *tiers[1:])
        terms = terms._replace(tiers=tiers, oi_cap=draw.choice((terms.oi_cap, terms.oi_cap // 4)))
    call = ("set_terms", number, fees_tuple(terms), list(terms.tiers))
    return markets, call, lambda: twin.set_market(number, known.rules, terms), what


def _execute(machine: Machine) -> Action | None:
    operation, apply, ready, what, call = machine.pending[0]
    world = machine.world
    if machine.memory.get("executed") is operation:  # when it was ready, and it was refused
        machine.pending.pop(0)
        return None
    if machine.chain.timestamp + 1 >= ready:
        machine.memory["executed"] = operation

    def twin(now: int) -> None:
        if now < ready:
            raise Refused(NOT_READY)
        apply()

    return Action(
        f"parameter {what}",
        world.chain.accounts[0],
        world.protocol.timelock,
        ("execute", *operation),
        twin,
        done=lambda now: machine.pending.pop(0),
        facts={"call": call},
    )
