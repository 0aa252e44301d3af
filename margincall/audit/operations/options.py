"""Trades in options and dated futures through signed orders, margin modes, spot collateral."""

from __future__ import annotations

from math import exp

from margincall.audit.book import Signed
from margincall.audit.machine import Action, Machine
from margincall.audit.world import MARKETS
from margincall.model import Refused, accounts
from margincall.model.arithmetic import MAX_PRICE, NOTIONAL_SCALE, PPM, ceil_div
from margincall.model.book import unpack
from margincall.model.bookings import set_mode, trade_instrument
from margincall.model.instrument import CALL, CONTRACT, FUTURE, PUT, SPOT, Instrument
from margincall.protocol.orders import Order

USD = 10**6
DISTANCES = (0, 0, 2, -2, 5, -5, 10, -10, 30, -30, 60, -70, 81, -81, 90)  # ln(K/S) of a strike, percent
LEVERAGES = (2, 5, 10, 20, 40, 80, 160)  # tenths of the account's cash, as notional
TRADE, REDUCE, ODD = "option", "option reduce", "odd option"
KINDS = (TRADE, REDUCE, ODD)


def settle(machine: Machine, maker: Signed, taker: Signed, lots: int, kind: str = TRADE) -> Action:
    """Settle `lots` of two orders of an instrument other than a perp."""
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
        if make.account >> 96 == take.account >> 96:
            return "order: self trade"
        if make.margin or take.margin:
            return "order: margin needs a vault"
        crosses = take.price >= make.price if take.size > 0 else take.price <= make.price
        return None if crosses else "order: prices do not cross"

    def apply(now: int):
        return trade_instrument(
            twin,
            now,
            make.market,
            make.account,
            take.account,
            size,
            make.price,
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
        frozenset((make.account, take.account)),
        refusal,
        done=done,
        facts={"maker": make.account, "taker": take.account, "signed": (maker, taker),
               "instrument": make.market, "size": size, "price": make.price},
    )  # fmt: skip


def orders(
    machine: Machine, instrument: int, maker: int, taker: int, lots: int, price: int, kind: str = TRADE
) -> Action:
    """The taker buys `lots` (sells when negative) of an instrument from the maker."""
    book = machine.book
    make = book.resting(maker, instrument, -lots, price)
    take = book.resting(taker, instrument, lots, MAX_PRICE if lots > 0 else 0)
    return settle(machine, make, take, abs(lots), kind)


def fair(machine: Machine, instrument: Instrument, now: int) -> int:
    """What the price of an instrument is banded around; a guess where its curve is stale."""
    twin, market = machine.twin, machine.twin.markets[instrument.market]
    if not instrument.is_option:
        return market.mark
    try:
        name = twin.options.grid.fragment(instrument, CONTRACT, now)[1] & 2**25 - 1
        return twin.options.mark(
            name, instrument.market, instrument.expiry, instrument.strike, market.mark, now
        )
    except Refused:
        return market.mark // 25


def held(machine: Machine, account: int) -> list[tuple[Instrument, int]]:
    """Instruments of an account's book with lots, spot and what expired left out."""
    now = machine.chain.timestamp + 1
    found = machine.twin.options.grid.positions(machine.twin.books.get(account, ()))
    return [(one, lots) for one, lots in found if one.kind != SPOT and one.expiry > now]


def any_instrument(machine: Machine, draw) -> Instrument:
    """A live option or dated future of the grid, near the mark or far from it."""
    market = draw.choice(MARKETS)
    expiry = draw.choice(machine.world.series.live(machine.chain.timestamp + 1))
    kind = draw.choice((CALL, CALL, PUT, PUT, FUTURE))
    if kind == FUTURE:
        return Instrument(market, FUTURE, expiry)
    step = machine.twin.options.grid.steps[market]
    strike = machine.twin.markets[market].mark * exp(draw.choice(DISTANCES) / 100) / step
    return Instrument(market, kind, expiry, max(round(strike), 1) * step)


def _parties(machine: Machine, draw) -> tuple[int, int]:
    roots = machine.world.roots
    maker = roots[0] if draw.chance(45) else draw.choice(roots)
    taker = draw.choice(roots)
    if maker >> 96 == taker >> 96 and not draw.chance(2):
        taker = next(root for root in roots[draw.integer(1, 4) :] if root >> 96 != maker >> 96)
    return maker, taker


def trade(machine: Machine, draw) -> Action | None:
    """Open, add, reduce or flip an option or a dated future."""
    maker, taker = _parties(machine, draw)
    instrument = any_instrument(machine, draw)
    if (known := held(machine, taker)) and draw.chance(35):
        instrument, lots = draw.choice(known)
        lots = -lots * draw.choice((1, 1, 2))
    else:
        mark = machine.twin.markets[instrument.market].mark
        backing = min(max(machine.twin.cash.get(taker, 0), 300 * USD), 30_000 * USD)
        value = backing * draw.choice(LEVERAGES) // 10 if draw.chance(93) else 10**6 * USD
        lots = max(value * NOTIONAL_SCALE // mark // CONTRACT, 1) * CONTRACT * draw.choice((1, -1))
    return orders(machine, instrument.id, maker, taker, lots, _price(machine, draw, instrument))


def _price(machine: Machine, draw, instrument: Instrument) -> int:
    mark = machine.twin.markets[instrument.market].mark
    away = draw.choice((0, 0, 0, 0, 0, 1_000, -1_000, 19_000, -19_000, 20_001))
    price = fair(machine, instrument, machine.chain.timestamp + 1)
    return min(max(price + mark * away // PPM, 0), MAX_PRICE)


def reduce(machine: Machine, draw) -> Action | None:
    """Who holds an instrument gives some or all of it back, at its mark, to who sold it if he is found."""
    books = list(machine.twin.books)
    if not books:
        return None
    account = draw.choice(books)
    known = held(machine, account)
    if not known:
        return None
    instrument, lots = draw.choice(known)
    part = lots // 2 // CONTRACT * CONTRACT if draw.chance(40) else lots
    part = part or lots
    others = [a for a in books if a >> 96 != account >> 96 and _lots(machine, a, instrument) * lots < 0]
    other = draw.choice(others) if others and draw.chance(60) else machine.world.roots[0]
    if other >> 96 == account >> 96:
        other = machine.world.roots[1]
    price = fair(machine, instrument, machine.chain.timestamp + 1)
    order = Order(account, instrument.id, -part, price, reduce_only=True)
    reducer = machine.book.make(order)
    if draw.chance(50):
        resting = machine.book.resting(other, instrument.id, part, price)
        return settle(machine, resting, reducer, abs(part), REDUCE)
    taking = machine.book.resting(other, instrument.id, part, MAX_PRICE if part > 0 else 0)
    return settle(machine, reducer, taking, abs(part), REDUCE)


def _lots(machine: Machine, account: int, instrument: Instrument) -> int:
    return next((lots for one, lots in held(machine, account) if one == instrument), 0)


def odd(machine: Machine, draw) -> Action | None:
    """Off the grid, not whole contracts, expired, spot, nonsense, by a vault, over the fee, not crossing."""
    world = machine.world
    one = any_instrument(machine, draw)
    lots, price = 3 * CONTRACT, fair(machine, one, machine.chain.timestamp + 1)
    maker, taker = world.roots[0], draw.choice(world.roots[1:])
    id, fee, only = one.id, 2**16, False
    what = draw.choice(
        ("strike", "expiry", "expired", "lots", "spot", "kind", "vault", "fee", "side", "only", "limit")
    )
    if what == "strike":
        id = one._replace(kind=CALL, strike=one.strike + 10_000).id
    elif what == "expiry":
        id = one._replace(expiry=one.expiry + 3_600).id
    elif what == "expired":
        id = one._replace(expiry=one.expiry - 30 * 86_400).id
    elif what == "lots":
        lots += 1
    elif what == "spot":
        id = Instrument(one.market, SPOT).id
    elif what == "kind":
        id = one.market | 9 << 8
    elif what == "vault":
        taker = accounts.vault(taker, one.market)
    elif what == "fee":
        fee = 100
    elif what == "only":
        only = True
    make = machine.book.make(Order(maker, id, lots if what == "side" else -lots, price))
    limit = max(price - 1, 0) if what == "limit" else MAX_PRICE
    take = machine.book.make(Order(taker, id, lots, limit, max_fee=fee, reduce_only=only))
    return settle(machine, make, take, lots, ODD)


def switch_mode(machine: Machine, draw) -> Action:
    """CROSS <-> PORTFOLIO by the owner; now and then to where it is, or to what is no root's mode."""
    twin, world = machine.twin, machine.world
    root = draw.choice(world.roots)
    if draw.chance(40):
        near = [a for a, m in machine.margins().items() if m and a in world.roots and _is_near(m)]
        root = draw.choice(near) if near else root
    mode = accounts.PORTFOLIO if twin.mode(root) == accounts.CROSS else accounts.CROSS
    if draw.chance(4):
        mode = draw.choice((0, 1, 2, 3))
    return to_mode(machine, root, mode)


def _is_near(margin) -> bool:
    return margin.maintenance <= margin.equity and margin.equity * 4 <= margin.maintenance * 7


def to_mode(machine: Machine, root: int, mode: int) -> Action:
    world, twin = machine.world, machine.twin
    return Action(
        "switch_mode",
        world.owner(root).address,
        world.protocol.modes,
        ("switch_mode", root, mode),
        lambda now: set_mode(twin, now, root, mode),
        frozenset((root,)),
        facts={"root": root, "mode": mode},
    )


# ------------------------------------------------------------ spot


def deposit_spot(machine: Machine, draw) -> Action:
    """Spot tokens into a root account, now and then another's; dust stays with the payer."""
    world = machine.world
    root, market = draw.choice(world.roots), draw.choice(MARKETS)
    payer = draw.choice(world.actors).address if draw.chance(20) else world.owner(root).address
    value = draw.choice((50, 150, 900, 5_000)) * USD
    lots = value * NOTIONAL_SCALE // machine.twin.markets[market].mark
    target = root if not draw.chance(3) else accounts.vault(root, market)
    return spot_in(machine, payer, target, market, lots * 100 + draw.choice((0, 0, 7)))


def spot_in(machine: Machine, payer: str, target: int, market: int, amount: int) -> Action:
    """Pay `amount` token units of a market's spot in."""
    world, series, twin = machine.world, machine.world.series, machine.twin
    scale = series.collateral.listings[market].scale

    def refusal(now: int) -> str | None:
        return None if world.may(target >> 96, int(payer, 16), 2, now) else "collateral: not owner"

    def apply(now: int) -> int:
        return series.collateral.deposit(twin, now, target, market, amount // scale * scale)

    call = ("deposit", target, market, amount)
    return Action("deposit spot", payer, world.protocol.collateral, call, apply, frozenset((target,)),
                  refusal, facts={"market": None, "spot": market})  # fmt: skip


def withdraw_spot(machine: Machine, draw) -> Action | None:
    """All of it, half, one lot too many."""
    world = machine.world
    root, market = draw.choice(world.roots), draw.choice(MARKETS)
    with_spot = [r for r in world.roots if any(_spot(machine, r, m) for m in MARKETS)]
    if with_spot and draw.chance(90):
        root = draw.choice(with_spot)
        market = draw.choice([m for m in MARKETS if _spot(machine, root, m)])
    lots = _spot(machine, root, market)
    amount = draw.choice((lots * 100, lots * 50 + 1, lots * 33 + 1, lots * 100 + 1))
    if not amount:
        return None
    sender = world.owner(root).address if draw.chance(95) else world.actors[0].address
    return spot_out(machine, sender, root, market, amount)


def spot_out(machine: Machine, sender: str, root: int, market: int, amount: int) -> Action:
    """Take `amount` token units of a market's spot out to the owner."""
    world, series, twin = machine.world, machine.world.series, machine.twin
    owner = world.owner(root).address

    def apply(now: int) -> int:
        return series.collateral.withdraw(twin, now, root, market, amount)

    return Action(
        "withdraw spot",
        sender,
        world.protocol.collateral,
        ("withdraw", root, market, amount, owner),
        apply,
        frozenset((root,)),
        refusal=None if sender == owner else "collateral: not owner",
        facts={"market": None, "spot": market, "lots": ceil_div(amount, 100)},
    )


def _spot(machine: Machine, account: int, market: int) -> int:
    words = machine.twin.books.get(account, ())
    return next((s.forward for s in unpack(words) if s.key == (market, 0)), 0)
