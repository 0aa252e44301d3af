"""Calls of setters, each on its own: accepted or refused for one reason, and what can be read after it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from margincall.audit.machine import Machine
from margincall.chain import Contract
from margincall.chain.base import Reverted
from margincall.model import Refused
from margincall.protocol.deploy import NO_SALT


class Asked(NamedTuple):
    """A call of the owner's (`sender`: of somebody else's), why it is refused ("" when not), and (call,
    value) of a view after it. `before`: (contract, call) that the owner makes first, and may; `stored`:
    (slot, value) of words afterwards. A value may depend on the time of the call."""

    target: Contract
    call: tuple
    refused: str = ""
    view: tuple = ()
    sender: str = ""
    before: tuple = ()
    stored: tuple = ()


def ask(machine: Machine, asked: list[Asked]) -> None:
    """Through the timelock that owns everything: announced, and when it is time each on its own, undone
    before the next."""
    chain, timelock, caller = machine.chain, machine.protocol.timelock, machine.chain.accounts[0]
    delay = machine.setting.spec.timelock_delay
    planned: list[list[tuple]] = []
    salts = itertools.count(2**128)
    for one in asked:
        calls = one.before if one.sender else (*one.before, (one.target, one.call))
        planned.append([])
        for target, call in calls:
            operation = (target.address, 0, target.encode(*call), NO_SALT, next(salts).to_bytes(32, "big"))
            timelock.send(caller, "schedule", *operation, delay)
            planned[-1].append(operation)
    ready = chain.timestamp + delay + 1
    for one, operations in zip(asked, planned, strict=True):
        mark = chain.snapshot()
        try:
            for i, operation in enumerate(operations):
                timelock.send(caller, "execute", *operation, at=ready + i)
            if one.sender:
                one.target.send(one.sender, *one.call, at=ready + len(operations))
            seen = ""
            if not one.refused:
                _look(machine, one, chain.timestamp)
        except Reverted as error:
            seen = error.reason
        finally:
            chain.revert(mark)
        machine.need("I-14", seen == one.refused, lambda o=one, s=seen: (o.call, s, o.refused))


def by_owner(machine: Machine, *calls: tuple[Contract, tuple], later: int = 0) -> None:
    """Calls through the timelock, `later` seconds after its delay."""
    timelock, caller = machine.protocol.timelock, machine.chain.accounts[0]
    delay = machine.setting.spec.timelock_delay
    salt = (2**129 + machine.chain.timestamp).to_bytes(32, "big")
    operations = [(target.address, 0, target.encode(*call), NO_SALT, salt) for target, call in calls]
    for operation in operations:
        timelock.send(caller, "schedule", *operation, delay)
    ready = machine.chain.timestamp + delay + later + 1
    for i, operation in enumerate(operations):
        timelock.send(caller, "execute", *operation, at=ready + i)


def _look(machine: Machine, one: Asked, now: int) -> None:
    if one.view:
        wanted, found = _at(one.view[1], now), one.target.call(*one.view[0])
        same = tuple(found) == tuple(wanted) if isinstance(found, (list, tuple)) else found == wanted
        machine.need("I-14", same, lambda: (one.call, found, wanted))
    for slot, value in one.stored:
        wanted, found = _at(value, now), machine.chain.storage(one.target.address, slot)
        machine.need("I-14", found == wanted, lambda f=found, w=wanted: (one.call, f, w))


def _at(value: Any, now: int) -> Any:
    return value(now) if callable(value) else value


def answer(ask: Callable, *args, **kwargs):
    """What a view or the model says: values, or why it refuses."""
    try:
        return ask(*args, **kwargs)
    except Refused as refused:
        return refused.reason
    except Reverted as error:
        return error.reason


def refusal(machine: Machine, act: Callable, *args, **kwargs) -> str:
    """Why the chain refuses a transaction or deployment, which is undone; "" when it does not."""
    mark = machine.chain.snapshot()
    try:
        act(*args, **kwargs)
    except Reverted as error:
        return error.reason
    finally:
        machine.chain.revert(mark)
    return ""


def reason_of(check: Callable, *args) -> str:
    """Why the model refuses; "" when it does not."""
    try:
        check(*args)
    except Refused as refused:
        return refused.reason
    return ""
