"""Transition properties: what an action that succeeded may do."""

from __future__ import annotations

from margincall.audit.machine import Machine, Step
from margincall.audit.operations import options
from margincall.audit.properties import portfolio, refusals
from margincall.audit.properties.kinds import OWN_ACTS, PRICES, SWITCHES, TRADES, WITH_BOOK, WORK
from margincall.audit.world import MARKETS, slot_of
from margincall.model import accounts
from margincall.model.arithmetic import FUNDING_SCALE, PPM
from margincall.model.margin import Margin


def i_05(machine: Machine, step: Step) -> None:
    """b not named in the call => C[b], M[b,k], q[b] unchanged

    (Funding, prices and charges act through indices: who is charged is I-26). Prices and donations name
    nobody.
    """
    others = step.touched - step.action.named
    machine.need("I-05", not others, lambda: f"{step.action.kind} touched {[hex(a) for a in others]}")


def i_08(machine: Machine, step: Step) -> None:
    """H(a) >= 0 and the action is none of {price, time, parameter, liquidation} => H'(a) >= 0, for all a

    At the same prices and second, for every account the action touched; the others are as before. A
    socialised deficit may lower health (I-26 bounds it).
    """
    for account, old, new in _judged(machine, step):
        if old.equity >= old.maintenance:
            healthy = new.equity >= new.maintenance
            machine.need("I-08", healthy, lambda a=account, o=old, n=new: (hex(a), o, n))


def i_10(machine: Machine, step: Step) -> None:
    """H(a) < 0 and the owner acts => H'(a) >= H(a); for every q != 0 a reduction exists that succeeds

    The second part is i_10_reduce.
    """
    for account, old, new in _judged(machine, step):
        if old.equity < old.maintenance:
            better = new.equity - new.maintenance >= old.equity - old.maintenance
            machine.need("I-10", better, lambda a=account, o=old, n=new: (hex(a), o, n))


def _judged(machine: Machine, step: Step) -> list[tuple[int, Margin, Margin]]:
    """(account, margin before, margin after) of the accounts touched, where both can be told."""
    if step.action.kind == "liquidate":
        return []
    margins = ((a, step.before.margins.get(a), machine.margin_of(a, step.now)) for a in step.touched)
    return [found for found in margins if found[1] and found[2]]


def i_09(machine: Machine, step: Step) -> None:
    """risk up (|q| rises, or its sign flips) => Eq' >= IM'; imf >= mmf + penalty + fee, mmf >= step + penalty

    IM leaves a gap to liquidation in every tier, and MM covers one price step and the penalty after it: of
    parameters, whenever they change.
    """
    if step.action.kind.startswith("parameter"):
        for known in machine.twin.markets.values():
            terms, step_ppm = known.terms, known.rules.step
            for tier in terms.tiers:
                machine.need("I-09", tier.imf >= tier.mmf + terms.penalty + terms.taker_fee, terms)
            machine.need(
                "I-09", terms.tiers[0].mmf * PPM >= step_ppm * PPM + terms.penalty * (PPM + step_ppm)
            )
    if step.action.kind not in (*TRADES, *SWITCHES, "liquidate"):
        return
    for account in step.touched:
        old = {m: q for m, q, _ in step.before.positions.get(account, ())}
        for market, size, _ in machine.twin.positions.get(account, ()):
            held = old.get(market, 0)
            if abs(size) > abs(held) or size * held < 0:
                found = machine.margin_of(account, step.now)
                machine.need("I-09", found.equity >= found.initial, lambda a=account, f=found: (hex(a), f))
                break


def i_11(machine: Machine, step: Step) -> None:
    """x <= min(C[a], Eq - max(IM, lambda N)) of what leaves an account

    What was computed as exactly withdrawable may leave (the operation draws it and one unit more, which is
    refused).
    """
    facts, kind = step.action.facts, step.action.kind
    if kind not in ("withdraw", "move_margin"):
        return
    source = facts.get("source", next(iter(step.action.named)))
    found, cash = step.before.margins[source], step.before.cash.get(source, 0)
    bound = cash
    if step.before.positions.get(source) or step.before.books.get(source):
        kept = max(found.initial, -(-found.notional * machine.twin.transfer_rate // PPM))
        bound = min(cash, found.equity - kept)
    machine.need("I-11", facts["amount"] <= bound, lambda: (facts["amount"], bound))
    if facts["exact"] == facts["amount"]:
        machine.counts["all that is withdrawable left"] += 1


def i_25_pools(machine: Machine, step: Step) -> None:
    """I falls only by recorded draws

    Outside liquidations no pool's insurance falls, and the treasury's
    part only by a collection.
    """
    if step.action.kind == "liquidate":
        return
    now, before = machine.twin.insurance, step.before.insurance
    if step.action.kind == "settle":
        before = before | {0: now.get(0, 0)}  # what options could not pay: I-33
    if step.action.facts.get("pool") == 0 and step.before.deficit.get(0, 0):
        repaid = step.before.deficit[0] - machine.twin.deficit.get(0, 0)
        machine.need("I-25", repaid > 0, "insurance was funded, market 0's deficit stayed")
        spent = before.get(0, 0) + step.result - now.get(0, 0)
        machine.need("I-25", spent == repaid, (spent, repaid))
        before = before | {0: before.get(0, 0) + step.result - repaid}
        machine.counts["market 0's deficit repaid"] += 1
    machine.need("I-25", all(now.get(p, 0) >= x for p, x in before.items()), (before, now))
    if step.action.kind != "collect_fees":
        now, before = machine.twin.treasury, step.before.treasury
        machine.need("I-25", all(now.get(p, 0) >= x for p, x in before.items()), (before, now))


def i_27(machine: Machine, step: Step) -> None:
    """loss of a from vault k <= margin put into k: its trades and liquidation leave C[a] but for that

    They take from the root account at most the margin that the owner moved with this order; a root that is
    no party itself loses nothing else. Whole paths: i_28.
    """
    if step.action.kind not in (*TRADES, "liquidate"):
        return
    facts = step.action.facts
    if step.action.kind == "liquidate":
        vaults, parties = [(facts["victim"], 0)], (facts["victim"], facts["taker"])
    else:
        vaults, parties = list(facts["margins"].items()), tuple(facts["margins"])
    for vault, moved in vaults:
        root = accounts.parent(vault)
        if vault == root or root in parties:
            continue
        lost = step.before.cash.get(root, 0) - machine.twin.cash.get(root, 0)
        machine.need("I-27", lost <= moved, lambda lost=lost, moved=moved: (lost, moved))
        if vault not in machine.twin.positions and vault in step.before.positions:
            machine.counts["vault closed"] += 1


def i_29(machine: Machine, step: Step) -> None:
    """a switch succeeds => H >= 0 before, Eq >= IM where the position is now, sum Eq and q as before

    In both buckets, and the withdrawal rule in a root that gave margin; total cash exactly and total equity
    but for the fold of a social charge (two units, downward). There and back: i_29_back.
    """
    if step.action.kind not in SWITCHES:
        return
    facts, twin = step.action.facts, machine.twin
    source, target = facts["from"], facts["to"]
    before = [step.before.margins[a] for a in (source, target)]
    after = [machine.margin_of(a, step.now) for a in (source, target)]
    machine.need("I-29", all(x.equity >= x.maintenance for x in before), before)
    machine.need("I-29", after[1].equity >= after[1].initial, after)
    drop = sum(x.equity for x in before) - sum(x.equity for x in after)
    machine.need("I-29", 0 <= drop <= 2, lambda: f"total equity fell by {drop}")
    cash = sum(step.before.cash.get(a, 0) for a in (source, target))
    machine.need("I-29", cash == sum(twin.cash.get(a, 0) for a in (source, target)), "cash changed")
    size = sum(
        q for a in (source, target) for m, q, _ in step.before.positions.get(a, ()) if m == facts["market"]
    )
    machine.need("I-29", twin.size(target, facts["market"]) == size, "size changed")
    if before[0].equity * 4 <= before[0].maintenance * 7:
        machine.counts["switch near maintenance"] += 1


def i_34(machine: Machine, step: Step) -> None:
    """F' == F + floor(P r dt) at an update, and only then; who opens at t pays nothing for what was before t

    An account without a position in the market has, after the trade, the equity it had less fee and
    price distance (two roundings), whatever F is.
    """
    if step.action.kind in PRICES:
        for market in step.action.facts["markets"]:
            old, known = step.before.prices[market - 1], machine.twin.markets[market]
            if old[1]:
                elapsed = step.now - machine.memory["accrued"][market]
                grown = old[2] + old[0] * 100 * old[3] * elapsed // FUNDING_SCALE
                machine.need("I-34", known.funding == grown, lambda k=known, g=grown: (k.funding, g))
            machine.memory.setdefault("accrued", {})[market] = step.now
    elif step.action.kind in TRADES:
        facts = step.action.facts
        mark, size = machine.twin.markets[facts["market"]].mark, facts["size"]
        for side, change, fee in (
            ("maker", -size, step.result.maker_fee),
            ("taker", size, step.result.taker_fee),
        ):
            account = facts[side].order.account
            if any(m == facts["market"] for m, _, _ in step.before.positions.get(account, ())):
                continue
            old, new = step.before.margins[account], machine.margin_of(account, step.now)
            gained = new.equity - old.equity - facts["margins"][account] + fee
            away = change * (mark - facts["price"]) // 10**8
            # A maker's other side may be the taker's parent: its margin went there.
            if account in _parents(facts):
                continue
            machine.need("I-34", away - 3 <= gained <= away + 1, lambda g=gained, w=away: (g, w))


def _parents(facts: dict) -> set[int]:
    return {accounts.parent(a) for a, moved in facts["margins"].items() if accounts.is_vault(a)}


def i_36(machine: Machine, step: Step) -> None:
    """price used => 0 < P < 2^40, t - tau <= t_pub <= t, tau <= 3,600; t_pub non-decreasing

    Who holds positions trades, withdraws, switches or is liquidated only at fresh prices, and a price changes
    only by a report. Counted: prices that an action used, and reports.
    """
    twin, reported = machine.twin, step.action.facts.get("markets", ())
    for market, old in zip(twin.markets.values(), step.before.prices, strict=True):
        if market.id in reported:
            machine.need("I-36", market.published >= old[1] and 0 < market.mark < 2**40, market.id)
        elif (market.mark, market.published) != old[:2]:
            machine.fail("I-36", f"the price of market {market.id} changed without a report")
    if step.action.kind not in (*OWN_ACTS, "liquidate"):
        return
    for account in step.action.named & step.touched:
        for market, _, _ in (*twin.positions.get(account, ()), *step.before.positions.get(account, ())):
            published = twin.markets[market].published
            fresh = published <= step.now <= published + twin.max_age <= published + 3_600
            gave = step.action.kind == "move_margin" and account != step.action.facts["source"]
            gave = gave or (account not in _acting(step) and not accounts.is_vault(account))
            machine.need("I-36", fresh or gave, lambda a=account: f"{hex(a)} at a stale price")


def _acting(step: Step) -> tuple[int, ...]:
    """The accounts whose margin the action has to judge (a parent only receives, or gave before)."""
    facts = step.action.facts
    if "margins" in facts:
        return tuple(facts["margins"])
    if "victim" in facts:
        return facts["victim"], facts["taker"]
    return tuple(step.action.named)


def i_37_acts(machine: Machine, step: Step) -> None:
    """Every other act's gas has a bound that no number of accounts, orders, donations or past acts moves; of
    accounts with a book, five million."""
    limit = WORK.get(step.action.kind)
    if limit is None or step.receipt is None:
        return
    twin = machine.twin
    if any(a in twin.books or a in twin.modes or a in step.before.books for a in step.action.named):
        limit = WITH_BOOK
    machine.need("I-37", step.receipt.gas_used <= limit, lambda: (step.receipt.gas_used, limit))


def i_39(machine: Machine, step: Step) -> None:
    """a call by another than a's owner: C'[a] >= C[a], no new legs; nested calls in a callback revert

    Deposits for another, payments into insurance, collections and donations leave C' >= C and every position.
    Strangers' calls at every door are refused (`i_39_refused`), an order only counts with a signature that
    the owner may give.
    """
    kind = step.action.kind
    if kind == "stranger":
        machine.fail("I-39", "a stranger's call succeeded")
    if kind in (*TRADES, *options.KINDS):
        _signed(machine, step)
    if kind in ("deposit", "fund_insurance", "collect_fees", "donate"):
        for account in step.touched:
            more = machine.twin.cash.get(account, 0) >= step.before.cash.get(account, 0)
            same = machine.twin.positions.get(account) is step.before.positions.get(account)
            machine.need("I-39", more and same, lambda a=account: hex(a))
    if machine.setting.hostile:
        _nested(machine)


def _signed(machine: Machine, step: Step) -> None:
    """Every account of a trade is one whose owner, delegate or wallet signed."""
    for signed in step.action.facts["signed"]:
        allowed = machine.book.signed_well(signed, step.now)
        machine.need("I-39", allowed, lambda s=signed: f"{hex(s.signer)} signed for {hex(s.order.account)}")


def _nested(machine: Machine) -> None:
    """The token's nested call, if it made one in this step, failed."""
    token, read = machine.world.token, machine.chain.storage
    tried = read(token.address, slot_of(token.artifact.layout, "reentries"))
    if tried != machine.memory.get("reentries", 1):
        succeeded = read(token.address, slot_of(token.artifact.layout, "reentry_succeeded"))
        machine.need("I-39", not succeeded, "a nested call succeeded")
        machine.counts["nested call refused"] += 1
    machine.memory["reentries"] = tried


def i_40(machine: Machine, step: Step) -> None:
    """donation d => no account, pool or index changes; newcomers get what they paid in

    Only the tokens held above the claims change. (That an empty deployment meets all properties is checked by
    the machine's own first actions.)
    """
    if step.action.kind != "donate":
        return
    twin, before = machine.twin, step.before
    same = not step.touched and twin.insurance == before.insurance and twin.treasury == before.treasury
    social = tuple((m.social_long, m.social_short) for m in twin.markets.values())
    machine.need("I-40", same and social == before.social and twin.residue == before.residue, "donation")


def reached(machine: Machine, step: Step) -> None:
    """Counts states worth reaching; checks nothing."""
    kind, before = step.action.kind, step.before
    if kind in TRADES:
        facts = step.action.facts
        for account in facts["margins"]:
            had = next((q for m, q, _ in before.positions.get(account, ()) if m == facts["market"]), 0)
            has = machine.twin.size(account, facts["market"])
            if had and not has and accounts.is_vault(account):
                machine.counts["last position of a vault"] += 1
            elif had * has < 0:
                machine.counts["flip"] += 1
            elif 0 < abs(has) < abs(had):
                machine.counts["partial reduction"] += 1
    for market in MARKETS:
        if machine.twin.markets[market].published and not machine.twin.open_interest.get(market, 1):
            machine.counts["market emptied"] += 1


EVERY = (
    *(*refusals.DONE, i_05, i_08, i_10, i_09, i_11, i_25_pools),
    *(i_27, i_29, i_34, i_36, i_37_acts, i_39, i_40, reached),
)
OPTIONS = (*EVERY, portfolio.i_09_options, portfolio.i_29_modes, portfolio.i_33, portfolio.reached)
