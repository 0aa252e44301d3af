"""Trades through signed orders, mode switches, liquidations."""

from __future__ import annotations

from margincall.audit.book import Signed
from margincall.audit.machine import Action, Machine
from margincall.audit.operations import money
from margincall.audit.settings import BOTH, CROSS
from margincall.audit.world import MARKETS
from margincall.model import (
    Refused,
    accounts,
    max_trade_size,
    plan,
    slices,
)
from margincall.model import (
    liquidate as model_liquidate,
)
from margincall.model import (
    switch_to_cross as model_to_cross,
)
from margincall.model import (
    switch_to_isolated as model_to_isolated,
)
from margincall.model import (
    trade as model_trade,
)
from margincall.model.arithmetic import MAX_PRICE, MAX_SIZE, NOTIONAL_SCALE, PPM, ceil_div
from margincall.model.liquidation import Plan
from margincall.model.markets import TARGET
from margincall.protocol.orders import Order

USD = 10**6
LEVERAGES = (2, 5, 20, 60, 110, 160, 190, 230, 300)  # tenths


def parties(maker: int, taker: int) -> frozenset[int]:
    """Accounts that a trade between the two may change."""
    return frozenset((maker, taker, accounts.parent(maker), accounts.parent(taker)))


def settle(machine: Machine, maker: Signed, taker: Signed, lots: int, kind: str = "trade") -> Action:
    """Settle `lots` of two orders."""
    world, twin, book = machine.world, machine.twin, machine.book
    make, take = maker.order, taker.order
    size = lots if take.size > 0 else -lots

    def refusal(now: int) -> str | None:
        found = book.refusal(maker, lots, now) or book.refusal(taker, lots, now)
        if found:
            return found
        if make.market != take.market:
            return "order: other market"
        if (make.size > 0) == (take.size > 0):
            return "order: same side"
        crosses = take.price >= make.price if take.size > 0 else take.price <= make.price
        return None if crosses else "order: prices do not cross"

    def apply(now: int):
        return model_trade(
            twin,
            now,
            make.market,
            make.account,
            take.account,
            size,
            make.price,
            maker_margin=_part(make, lots),
            taker_margin=_part(take, lots),
            maker_max_fee=make.max_fee,
            taker_max_fee=take.max_fee,
            maker_reduce_only=make.reduce_only,
            taker_reduce_only=take.reduce_only,
        )

    def done(now: int) -> None:
        book.fill(maker, lots)
        book.fill(taker, lots)

    fill = (make, take, lots, maker.signature, taker.signature)
    return Action(
        kind,
        world.chain.accounts[0],
        world.protocol.exchange,
        ("settle", [fill]),
        apply,
        parties(make.account, take.account),
        refusal,
        done=done,
        facts={"maker": maker, "taker": taker, "signed": (maker, taker), "market": make.market,
               "size": size, "price": make.price,
               "margins": {make.account: _part(make, lots), take.account: _part(take, lots)}},
    )  # fmt: skip


def _part(order: Order, lots: int) -> int:
    return ceil_div(order.margin * lots, abs(order.size)) if order.margin and order.size else 0


def _account(machine: Machine, draw, root: int, market: int, isolated: int) -> int:
    """A root account, or (in `isolated` of a hundred, where the setting has both) its vault."""
    held_by = machine.setting.accounts
    if held_by == CROSS or (held_by == BOTH and not draw.chance(isolated)):
        return root
    number = 1 if draw.chance(15) else 0
    return accounts.vault(root, market if not draw.chance(1) else market % 3 + 1, number)


def _lots(machine: Machine, draw, account: int, market: int) -> int:
    """Signed lots the taker asks for: new risk, all of it back, half, or beyond it."""
    mark = machine.twin.markets[market].mark
    backing = min(max(machine.twin.cash.get(accounts.parent(account), 0), 300 * USD), 20_000 * USD)
    value = backing * draw.choice(LEVERAGES) // 10 if draw.chance(92) else draw.choice((60, 101, 10**6)) * USD
    lots = max(value * NOTIONAL_SCALE // mark, 1)
    held = machine.twin.size(account, market)
    if held and draw.chance(25):
        return -held - draw.choice((0, 0, -held // 2, held // 2, held))
    return lots if draw.chance(50) else -lots


def _price(machine: Machine, draw, market: int) -> int:
    mark = machine.twin.markets[market].mark
    away = draw.choice((0, 0, 0, 0, 1_000, -1_000, 19_999, -19_999, 20_001))
    return min(max(mark + mark * away // PPM, 1), MAX_PRICE)


def trade(machine: Machine, draw) -> Action | None:
    """A maker and a taker, cross or isolated, with margin moved along or not."""
    world = machine.world
    market = draw.choice(MARKETS)
    one, other = draw.choice(world.roots), draw.choice(world.roots)
    if one >> 96 == other >> 96 and not draw.chance(3):
        other = world.roots[0] if one != world.roots[0] else world.roots[1]
    if draw.chance(40):
        one = world.roots[0]
        if other >> 96 == one >> 96:
            other = world.roots[2]
    taker = _account(machine, draw, other, market, 40)
    maker = _account(machine, draw, one, market, 12)
    lots = _lots(machine, draw, taker, market)
    if not lots:
        return None
    return between(machine, draw, market, maker, taker, lots, _price(machine, draw, market))


def between(machine: Machine, draw, market: int, maker: int, taker: int, lots: int, price: int) -> Action:
    """The taker buys `lots` (sells when negative) from the maker."""
    book = machine.book
    value = abs(lots) * price // NOTIONAL_SCALE

    def margin(account: int) -> int:
        if not accounts.is_vault(account) or draw.chance(20):
            return 0
        return value // draw.choice((23, 20, 10, 3, 1))

    sides = []
    for account, size, limit in (
        (maker, -lots, price),
        (taker, lots, MAX_PRICE if lots > 0 else 1),
    ):
        moved = margin(account)
        if moved or draw.chance(6):
            order = Order(
                account,
                market,
                size * draw.choice((1, 1, 3)),
                limit,
                moved,
                reduce_only=draw.chance(12),
                max_fee=100 if draw.chance(6) else 2**16,
            )
            sides.append(book.make(order))
        else:
            sides.append(book.resting(account, market, size, limit))
    return settle(machine, sides[0], sides[1], abs(lots))


def edge(machine: Machine, draw) -> Action | None:
    """Exactly as much as an account's initial margin allows at the mark, or a lot more."""
    twin, roots = machine.twin, machine.world.roots
    market, taker = draw.choice(MARKETS), draw.choice(roots[1:])
    known, now, buy = twin.markets[market], machine.chain.timestamp + 1, draw.chance(50)
    if taker in twin.books or taker in twin.modes:
        return None
    try:
        fee = known.terms.taker_fee
        lots = max_trade_size(twin, now, taker, market, buy, known.mark, fee) + draw.choice((0, 0, 1))
    except Refused:
        return None
    if not 0 < lots < MAX_SIZE // 2:
        return None
    maker = roots[0] if taker >> 96 != roots[0] >> 96 else roots[1]
    lots = lots if buy else -lots
    making = machine.book.resting(maker, market, -lots, known.mark)
    taking = machine.book.resting(taker, market, lots, MAX_PRICE if buy else 1)
    return settle(machine, making, taking, abs(lots))


def reduce(machine: Machine, draw) -> Action | None:
    """Somebody who holds a position gives some or all of it to somebody else, or all but dust."""
    twin, world = machine.twin, machine.world
    if not twin.positions:
        return None
    account = draw.choice(list(twin.positions))
    market, size, _ = draw.choice(twin.positions[account])
    known = twin.markets[market]
    least = known.terms.min_notional * NOTIONAL_SCALE // known.mark
    dust = least * draw.choice((1, 50, 100)) // 100 * (1 if size > 0 else -1)
    shares = (size, size, size // 2, size // 3, size * 3 // 2, size - dust if abs(dust) < abs(size) else size)
    lots = draw.choice(shares) or size
    other = world.roots[0] if account >> 96 != world.roots[0] >> 96 else world.roots[1]
    if draw.chance(40):
        holders = [a for a in twin.positions if a >> 96 != account >> 96 and twin.size(a, market) * size < 0]
        other = draw.choice(holders) if holders else other
    price = known.mark
    reducer = machine.book.make(Order(account, market, -lots, price, reduce_only=abs(lots) <= abs(size)))
    if draw.chance(50):
        return settle(machine, machine.book.resting(other, market, lots, price), reducer, abs(lots), "reduce")
    limit = MAX_PRICE if lots > 0 else 1
    return settle(machine, reducer, machine.book.resting(other, market, lots, limit), abs(lots), "reduce")


def bad_order(machine: Machine, draw) -> Action | None:
    """Expired, badly signed, for the wrong side, not crossing, too large, by a delegate, with itself."""
    world, book = machine.world, machine.book
    market = draw.choice(MARKETS)
    mark = machine.twin.markets[market].mark
    maker, taker = world.roots[0], draw.choice(world.roots[1:])
    lots = 500 * USD * NOTIONAL_SCALE // mark
    order = Order(taker, market, lots, MAX_PRICE)
    signer = world.owner(taker).signer
    what = draw.choice(
        ("expired", "signer", "side", "limit", "size", "delegate", "self", "margin", "other", "cancelled")
    )
    resting = book.resting(maker, market, -lots, mark)
    if what == "expired":
        order = order._replace(expiry=machine.chain.timestamp + draw.choice((0, 1)))
    elif what == "signer":
        signer = draw.choice(world.actors).signer
    elif what == "side":
        order = order._replace(size=-lots)
    elif what == "limit":
        order = order._replace(price=mark - 1)
    elif what == "delegate":
        signer = world.actors[1].signer
    elif what == "self":
        resting = book.resting(taker, market, -lots, mark)
    elif what == "margin":
        order = order._replace(margin=USD)
    elif what == "other":
        order = order._replace(market=market % 3 + 1)
    signed = book.make(order, signer)
    if what == "cancelled" and (salt := book.cancelled(taker)) is not None:
        signed = book.sign(order._replace(salt=salt), signer)
    return settle(machine, resting, signed, lots + 1 if what == "size" else lots, "odd order")


def cancel(machine: Machine, draw) -> Action | None:
    """One order or all below a salt; then somebody may try to fill it."""
    world, book = machine.world, machine.book
    root = draw.choice(world.roots)
    below, top = book.below.get(root, 0), book.top(root)
    owner = world.owner(root)
    sender = owner.address if draw.chance(80) else draw.choice(world.actors).address

    def refusal(now: int) -> str | None:
        if not world.may(root >> 96, int(sender, 16), 1, now):
            return "order: not owner or delegate"
        return None

    if draw.chance(70):
        salt = draw.integer(below, max(top, below) + 2)
        call = ("cancel", root, salt)
        return Action("cancel", sender, world.protocol.exchange, call, refusal=refusal,
                      done=lambda now: book.filled.__setitem__((root, salt), 2**64 - 1),
                      facts={"order": (root, salt)})  # fmt: skip
    bound = draw.integer(below, top + 1)

    def bound_refusal(now: int) -> str | None:
        return refusal(now) or (None if bound > below else "order: bound must rise")

    call = ("cancel_all", root, bound)
    return Action("cancel_all", sender, world.protocol.exchange, call, refusal=bound_refusal,
                  done=lambda now: book.below.__setitem__(root, bound))  # fmt: skip


def switch_to_isolated(machine: Machine, draw) -> Action | None:
    twin = machine.twin
    held = [(a, p) for a, ps in twin.positions.items() if not accounts.is_vault(a) for p in ps]
    if not held:
        return None
    root, (market, size, _) = draw.choice(held)
    if draw.chance(3):
        market = market % 3 + 1
    value = abs(size) * twin.markets[market].mark // NOTIONAL_SCALE
    amount = value // draw.choice((24, 20, 10, 2)) if draw.chance(85) else 0
    number = draw.choice((0, 0, 1))
    return to_isolated(machine, root, market, number, amount)


def to_isolated(machine: Machine, root: int, market: int, number: int, amount: int) -> Action:
    """Switch a root account's position into its vault `number` with `amount` of margin."""
    world, twin = machine.world, machine.twin
    vault = accounts.vault(root, market, number)
    return Action(
        "switch_to_isolated",
        world.owner(root).address,
        world.protocol.modes,
        ("switch_to_isolated", root, market, number, amount),
        lambda now: model_to_isolated(twin, now, root, market, number, amount),
        frozenset((root, vault)),
        facts={"from": root, "to": vault, "market": market, "amount": amount},
    )


def switch_to_cross(machine: Machine, draw) -> Action | None:
    twin = machine.twin
    vaults = [a for a in twin.positions if accounts.is_vault(a)]
    if not vaults:
        return None
    return to_cross(machine, draw.choice(vaults))


def to_cross(machine: Machine, vault: int) -> Action:
    """Switch a vault's position into its root account."""
    world, twin = machine.world, machine.twin
    root = accounts.parent(vault)
    return Action(
        "switch_to_cross",
        world.owner(root).address,
        world.protocol.modes,
        ("switch_to_cross", vault),
        lambda now: model_to_cross(twin, now, vault),
        frozenset((root, vault)),
        facts={"from": vault, "to": root, "market": accounts.market_of(vault)},
    )


def liquidate(machine: Machine, draw) -> Action | None:
    """Somebody, below maintenance if there is one, by the keeper, an ally or himself."""
    world = machine.world
    unhealthy = machine.unhealthy()
    if unhealthy:
        victim = draw.choice(unhealthy)
    elif machine.twin.positions and draw.chance(30):
        victim = draw.choice(list(machine.twin.holders()))
    elif draw.chance(10):
        victim = draw.choice(world.roots)
    else:
        return trade(machine, draw)
    if draw.chance(5):
        taker = accounts.parent(victim)
    else:
        taker = world.roots[0] if draw.chance(75) else draw.choice(world.roots)
    return take(machine, victim, taker, draw.choice((1_000, 1_000, 1_000, 300, 40, 1)))


def take(
    machine: Machine, victim: int, taker: int, quanta: int, seconds: int = 1, preview: bool = True
) -> Action:
    """Liquidate at most `quanta` of the victim into the taker's root account."""
    world, twin = machine.world, machine.twin
    at = machine.chain.timestamp + seconds
    facts = {"victim": victim, "taker": taker, "quanta": quanta, "view": None}
    try:
        facts["model"] = plan(twin, at, victim) if preview else None
    except Refused as error:
        facts["model"] = error.reason
    planned = facts.get("model")
    if planned and not isinstance(planned, str) and (victim in twin.books or victim in twin.modes):
        facts["least"] = _least(machine, at, victim, planned, quanta)

    return Action(
        "liquidate",
        world.owner(taker).address,
        world.protocol.liquidation,
        ("liquidate", victim, taker, quanta),
        lambda now: model_liquidate(twin, now, victim, taker, quanta),
        frozenset((victim, taker, accounts.parent(victim))),
        seconds=seconds,
        facts=facts,
    )


def _least(machine: Machine, now: int, victim: int, planned: Plan, most: int) -> tuple[bool, bool, bool]:
    """Whether the slice planned, or `most` thousandths, reaches the target, whether one less does, and
    whether the account goes whole because it does not cover the penalty. A slice that leaves nothing counts
    as the first that does."""
    account = slices.Account(machine.twin, now, victim)
    standing = account.standing

    def reaches(one: slices.Slice) -> bool:
        equity = standing.equity - max(standing.penalty - one.after.penalty, 0) + one.credit
        return equity * PPM >= TARGET * one.after.maintenance

    quanta = min(planned.quanta, most)
    if planned.full:
        low, high = 0, 1_000
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if not account.part(middle).after.slope else (middle, high)
        quanta = high
    searched = quanta > 1 and account.length <= slices.FEW  # to the end
    less = searched and reaches(account.part(quanta - 1))
    return reaches(account.part(quanta)), less, standing.equity < standing.penalty


def keep(machine: Machine) -> Action | None:
    """The sleepless keeper's next liquidation: anybody that is below maintenance when it would be mined. Who
    could not carry one brings more money. Until prices, curves or dials change the keeper need not look
    again: what owners do leaves nobody below maintenance (I-08)."""
    now, counts = machine.chain.timestamp + 1, machine.counts
    if not machine.fresh(now) or any(m.in_grace(now) for m in machine.twin.markets.values()):
        return None
    seen = [known.published for known in machine.twin.markets.values()]
    seen += [counts[f"{kind} ok"] for kind in ("refresh", "poke", "settle", "liquidate")]
    if machine.memory.get("kept") == seen:
        return None
    for victim in machine.unhealthy(now):
        free = [root for root in machine.world.roots if root >> 96 not in machine.twin.denied]
        taker = next(root for root in free if root >> 96 != victim >> 96)
        last = machine.history[-1]
        if not isinstance(last, str) and last[2].kind == "liquidate" and last[3].startswith("margin: "):
            return money.deposit_of(machine, taker, 10**6 * USD)
        return take(machine, victim, taker, 1_000)
    machine.memory["kept"] = seen
    return None
