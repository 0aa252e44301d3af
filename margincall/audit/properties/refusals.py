"""Refusals: what a refused action tells, and what must have been refused."""

from __future__ import annotations

from margincall.audit.machine import Machine, Step
from margincall.audit.operations import options
from margincall.audit.operations.money import EMPTY
from margincall.audit.properties import portfolio
from margincall.audit.properties.kinds import SELF, STOPPED_BY_PAUSE, TRADES
from margincall.model import accounts


def i_38(machine: Machine, step: Step) -> None:
    """refused => no state changed; paused => only what adds risk or takes money out is refused

    Of every refused action (all storage was compared). That deposits and reductions do go through in a pause
    is shown in i_10_reduce, that no third party's transfer stops a liquidation in i_17.
    """
    kind, reason = step.action.kind, step.reason
    machine.need("I-38", not step.touched, step.touched)
    if reason == "access: paused":
        machine.counts["pause refused"] += 1
        machine.need("I-38", kind in STOPPED_BY_PAUSE, kind)
        if kind in TRADES:
            machine.need("I-38", _adds_risk(machine, step), "a reduction was refused in a pause")
        if kind in options.KINDS:
            reduces = portfolio.reduces(machine, step)
            machine.need("I-38", not reduces, "a reduction of options was refused in a pause")
        if kind == "move_margin":
            machine.need("I-38", accounts.is_vault(step.action.facts["source"]), "adding margin was refused")


def i_06(machine: Machine, step: Step) -> None:
    """trade(a, a), liquidate(a by a), move(a, a): state' == state, or it is refused

    They are drawn on purpose; each must be refused for what it is or for another reason, and none succeeds
    (`i_06_done`).
    """
    if _with_itself(step):
        machine.need("I-06", not step.touched, step.touched)
    if step.reason in ("order: self trade", "liquidation: own account", "margin: not vault and parent"):
        machine.counts[f"self: {step.reason}"] += 1


def i_06_done(machine: Machine, step: Step) -> None:
    """No action of an owner with himself succeeded."""
    if step.action.kind in SELF:
        machine.need("I-06", not _with_itself(step), step.action.kind)


def _with_itself(step: Step) -> bool:
    """Whether an owner trades with himself, liquidates himself or moves margin from an account to itself."""
    facts, kind = step.action.facts, step.action.kind
    if kind == "liquidate":
        return facts["victim"] >> 96 == facts["taker"] >> 96
    if kind == "move_margin":
        return facts["source"] == facts["target"]
    if kind in TRADES:
        return facts["maker"].order.account >> 96 == facts["taker"].order.account >> 96
    return kind in options.KINDS and facts["maker"] >> 96 == facts["taker"] >> 96


def count_refusals(machine: Machine, step: Step) -> None:
    """Counts refusals worth reaching; I-07: that the token balance is short needs somebody insolvent."""
    reason = step.reason
    if reason == "price: stale":
        machine.counts["stale refused"] += 1
    if reason == "clearing: open interest cap":
        machine.counts["open interest cap hit"] += 1
    if reason == "access: mode not allowed":
        machine.counts["denied mode refused"] += 1
    if reason in EMPTY:
        lacking = any(x is None or x.equity < 0 for x in machine.margins().values())
        lacking = lacking or machine.twin.deficit.get(0, 0) > 0 or min(machine.twin.cash.values()) < 0
        machine.need("I-07", lacking, "a payable claim was not paid, and nobody is insolvent")
        machine.counts["balance short while somebody is insolvent"] += 1
    if reason.startswith(("hostile:", "token:")):
        machine.counts["hostile token refused"] += 1
    if reason == "liquidation: grace after outage":
        machine.counts["grace refused"] += 1


def i_16_refused(machine: Machine, step: Step) -> None:
    """Refused as healthy => Eq >= MM."""
    kind, reason = step.action.kind, step.reason
    if kind == "liquidate" and reason == "liquidation: healthy":
        _at_boundary(machine, step)
        found = step.before.margins[step.action.facts["victim"]]
        machine.need("I-16", found.equity >= found.maintenance, found)


def _adds_risk(machine: Machine, step: Step) -> bool:
    """Whether either side of a refused trade would not have been a plain reduction."""
    facts = step.action.facts
    for side, change in (("maker", -facts["size"]), ("taker", facts["size"])):
        order = facts[side].order
        held = machine.twin.size(order.account, facts["market"])
        if held * change >= 0 or abs(change) > abs(held) or facts["margins"][order.account]:
            return True
    return False


def _at_boundary(machine: Machine, step: Step) -> None:
    found = step.before.margins[step.action.facts["victim"]]
    if found and abs(found.equity - found.maintenance) <= 1:
        where = ("one unit below", "at", "one unit above")[found.equity - found.maintenance + 1]
        machine.counts[f"liquidation {where} the requirement"] += 1


MUST_REFUSE = (
    ("feed: unknown signer", "I-39"),
    ("price", "I-36"),
    ("feed", "I-36"),
    ("vol", "I-36"),
    ("hostile", "I-01"),
    ("token", "I-01"),
    ("erc20", "I-01"),
    ("order: self trade", "I-06"),
    ("liquidation: own account", "I-06"),
    ("margin: not vault and parent", "I-06"),
)
"""By what a refusal begins with, whose business it is; others are a matter of authority: I-39."""


def consent(machine: Machine, step: Step) -> None:
    """What an action says must be refused, whatever the balances, is: I-36 (reports that the feed must not
    accept), I-01 (transfers that the token refused), I-06 (acts with oneself), I-39 (who may not, orders that
    are expired, cancelled, filled, badly signed, or do not cross). I-38: nothing that a pause stops goes on.
    """
    reason = step.refusal
    name = next((i for start, i in MUST_REFUSE if reason and reason.startswith(start)), "I-39")
    if reason is not None:
        machine.fail(name, f"{step.action.kind} succeeded, though {reason}")
    if machine.twin.paused and step.action.kind in STOPPED_BY_PAUSE and step.action.kind != "pause":
        _stopped(machine, step)


def _stopped(machine: Machine, step: Step) -> None:
    kind, facts = step.action.kind, step.action.facts
    if kind in TRADES:
        adds = any(_grew(machine, step, facts[side].order.account) for side in ("maker", "taker"))
    elif kind == "move_margin":
        adds = accounts.is_vault(facts["source"])
    elif kind in options.KINDS:
        adds = not portfolio.reduced(machine, step)
    else:
        adds = True
    machine.need("I-38", not adds, f"{kind} in a pause")


def _grew(machine: Machine, step: Step, account: int) -> bool:
    market = step.action.facts["market"]
    old = next((q for m, q, _ in step.before.positions.get(account, ()) if m == market), 0)
    new = machine.twin.size(account, market)
    return abs(new) > abs(old) or new * old < 0


def i_39_refused(machine: Machine, step: Step) -> None:
    """A stranger's call changed nothing."""
    if step.action.kind == "stranger":
        machine.need("I-39", not step.touched, step.action.call[0])


REFUSED = (i_38, i_06, i_39_refused, i_16_refused, count_refusals)
DONE = (consent, i_06_done)
