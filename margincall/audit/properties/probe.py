"""What the two-run properties share: undoing, newcomers with fresh money, everybody's way out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from margincall.audit.machine import Action, Machine, Step
from margincall.audit.operations import expiries, money, options, prices, trades
from margincall.audit.operations.admin import pause_action as pause
from margincall.audit.world import MARKETS
from margincall.chain import Contract
from margincall.model import accounts
from margincall.model.arithmetic import MAX_PRICE, MAX_SIZE, PPM
from margincall.model.book import unpack
from margincall.model.bookings import FIRST_BOOK_ID
from margincall.model.instrument import WINDOW
from margincall.model.margin import Margin
from margincall.protocol.orders import Order

USD = 10**6
MAKER = 10**7
"""USD of a newcomer who answers for anything."""
Arrange = Callable[[Iterable], list]


@contextmanager
def undone(machine: Machine, name: str) -> Iterator[None]:
    """Run something on contracts and twin and take it back: state, clock, orders, counters."""
    world, book = machine.world, machine.book
    mark, twin = machine.chain.snapshot(), machine.twin.snapshot()
    kept = (world.held, world.extra, world.token_mode, world.wallet_answer, set(world.blacklist))
    filled, below = book.filled.copy(), book.below.copy()
    own = (machine.steps, machine.counts.copy(), machine.refusals.copy(), machine.slack.copy())
    series = world.series.snapshot() if machine.setting.options else None
    memory = machine.memory | {"accrued": dict(machine.memory["accrued"])}
    memory["fixed"] = dict(machine.memory.get("fixed", {}))
    machine.history.append(f"-- {name} begins")
    try:
        yield
    finally:
        machine.history.append(f"-- {name} undone")
        machine.chain.revert(mark)
        machine.twin.restore(twin)
        world.held, world.extra, world.token_mode, world.wallet_answer, world.blacklist = kept
        book.filled, book.below = filled, below
        machine.steps, machine.counts, machine.refusals, machine.slack = own
        machine.memory = memory
        if series:
            world.series.restore(series)
        machine.forget()
    machine.compare(f"after {name} was undone")


def do(machine: Machine, action: Action | None) -> Step:
    """An action of a probe: compared and checked like any other."""
    return machine.do(action)


def apart(machine: Machine, name: str, part: Callable[..., bool], *args) -> None:
    """A part of property `name` on its own, undone, and counted if it was played to its end."""
    with undone(machine, name):
        played = part(machine, *args)
    machine.counts[f"played {part.__name__.strip('_')}"] += played


def orders(
    maker: int, taker: int, id: int, lots: int, price: int, limit: int | None = None
) -> tuple[Order, Order]:
    """The taker buys `lots` (below zero: sells) at the maker's price; `limit` is his own."""
    return Order(maker, id, -lots, price), Order(taker, id, lots, price if limit is None else limit)


def settle(machine: Machine, pair: Sequence[Order]) -> Step:
    """A maker's order and a taker's, of a perp or another instrument, at once and whole."""
    act = trades.settle if pair[0].market < FIRST_BOOK_ID else options.settle
    return machine.do(act(machine, *map(machine.book.make, pair), abs(pair[0].size)))


def must(machine: Machine, name: str, action: Action) -> Step:
    """An action that has to succeed, or property `name` fails."""
    step = machine.do(action)
    machine.need(name, step.ok, lambda: f"{action.kind} was refused: {step.reason}")
    return step


def token_mode(machine: Machine, mode: int) -> int:
    """Set how the token behaves; returns how it did."""
    world, old = machine.world, machine.world.token_mode
    if mode != old:
        world.token.send(world.chain.accounts[0], "set_mode", mode)
        world.token_mode = mode
    return old


def open_doors(machine: Machine) -> None:
    """No pause, no denied modes, a token that behaves, a wallet that signs."""
    world, twin = machine.world, machine.twin
    token_mode(machine, 0)
    if world.wallet_answer:
        world.wallet.send(world.chain.accounts[0], "set_answer", 0)
        world.wallet_answer = 0
    if twin.paused:
        do(machine, pause(machine, False))
    for owner in list(twin.denied):
        address = world.by_number[owner].address
        world.protocol.access.send(world.compliance, "set_denied_modes", address, 0)
        twin.denied.pop(owner)


def newcomer(machine: Machine, usd: int, which: int = 0, dust: int = 0) -> int:
    """A fresh owner's root account with money; the token misbehaves again afterwards."""
    mode = token_mode(machine, 0)
    root = machine.world.newcomers[which]
    payer = machine.world.owner(root).address
    tokens = usd * USD * machine.world.scale + dust
    must(machine, "I-40", money.incoming(machine, "deposit", payer, root, tokens))
    token_mode(machine, mode)
    return root


def quiet_prices(machine: Machine) -> None:
    """The same marks, fresh, with indexes that make the funding rate vanish; and past any grace."""
    marks = {m: machine.twin.markets[m].mark for m in MARKETS}
    damp = machine.twin.markets[1].rules.damp  # rate = premium + damp below interest - damp
    do(machine, prices.report(machine, marks, 1, premium=-damp // 1_000))
    now = machine.chain.timestamp + 1
    if any(m.in_grace(now) for m in machine.twin.markets.values()):
        wait = machine.twin.markets[1].rules.grace
        do(machine, prices.report(machine, marks, wait, premium=-damp // 1_000))


def fall(machine: Machine, market: int, sign: int = 1) -> None:
    """The price one whole step lower (`sign` -1: higher); the others stay."""
    marks, known = {m: machine.twin.markets[m].mark for m in MARKETS}, machine.twin.markets[market]
    marks[market] -= sign * (known.mark * known.rules.step // PPM)
    must(machine, "I-36", prices.report(machine, marks, known.rules.interval))


def close(machine: Machine, account: int, taker: int, market: int, lots: int) -> Step:
    """`account` gives `lots` (signed as held) to `taker` at the mark."""
    mark = machine.twin.markets[market].mark
    order = machine.book.make(Order(account, market, -lots, mark, reduce_only=True))
    other = machine.book.resting(taker, market, lots, MAX_PRICE if lots > 0 else 1)
    return do(machine, trades.settle(machine, order, other, abs(lots), "reduce"))


def base(machine: Machine, buyer: int, seller: int, market: int) -> bool:
    """A position between two newcomers, above the smallest one, so that they can take any size over.
    False when open interest may not grow."""
    known = machine.twin.markets[market]
    lots = 2 * known.terms.min_notional * 10**8 // known.mark + 1
    return settle(machine, orders(seller, buyer, market, lots, known.mark)).ok


def in_order(seed: int | None) -> Arrange:
    """Sorts, or (with a seed) puts into an order that depends on nothing else."""
    if seed is None:
        return sorted
    return lambda items: sorted(items, key=lambda one: hash((seed, one)))


class Exit(NamedTuple):
    """Money by root account; by market, how far the funding index still moved, index units."""

    payouts: dict[int, int]
    drift: dict[int, int]


def everyone_leaves(machine: Machine, order: Arrange) -> Exit | None:
    """Liquidate, close all, pay all out. None where newcomers could not take
    everything over (a market that is reduce-only or full, or more open interest than one position holds), or
    the settlement price of a series is averaged (then nobody may take anything over) in the meantime."""
    twin = machine.twin
    if machine.setting.options:
        now = machine.chain.timestamp
        if machine.world.series.live(now)[0] < now + WINDOW + 300:
            return None
    if any(m.terms.status != 1 for m in twin.markets.values()):
        return None
    if any(interest > MAX_SIZE for interest in twin.open_interest.values()):
        return None
    open_doors(machine)
    quiet_prices(machine)
    quiet = _funding(machine)
    if machine.setting.options:
        _fresh_series(machine)
    longs, shorts, keeper = (newcomer(machine, 10**9, i) for i in range(3))
    for market in MARKETS:
        if not base(machine, longs, shorts, market):
            return None
    _liquidate_all(machine, keeper)
    if machine.setting.options:
        _close_books(machine, keeper, order)
    holders = order(set(twin.positions) - {longs, shorts})
    for account in holders:
        for market, size, _ in order(twin.positions[account]):
            if not machine.fresh(machine.chain.timestamp, 10):
                quiet_prices(machine)
            step = close(machine, account, longs if size > 0 else shorts, market, size)
            machine.need("I-02", step.ok, lambda s=step, a=account: f"{hex(a)} could not close: {s.reason}")
    for market in MARKETS:
        if size := twin.size(longs, market):
            step = close(machine, longs, shorts, market, size)
            machine.need("I-02", step.ok, lambda s=step: f"the last could not close: {s.reason}")
    if machine.setting.options:
        _last_series(machine, keeper, order)
    machine.need("I-02", not twin.positions and not any(twin.deficit.values()), "something is left")
    payouts = {}
    for root in order(machine.world.roots):
        payouts[root] = twin.cash.get(root, 0)
        owner = machine.world.owner(root).address
        must(machine, "I-02", money.payout(machine, "close_account", root, owner, None, None))
    left = machine.world.held - machine.world.extra
    pools = sum(twin.insurance.values()) + sum(twin.treasury.values()) + twin.residue
    kept = pools + sum(twin.cash.get(a, 0) for a in (longs, shorts, keeper))
    machine.need("I-02", left == kept * machine.world.scale, (left, kept))
    return Exit(payouts, {market: abs(now - quiet[market]) for market, now in _funding(machine).items()})


def _funding(machine: Machine) -> dict[int, int]:
    return {m: known.funding_now(machine.chain.timestamp) for m, known in machine.twin.markets.items()}


def _fresh_series(machine: Machine) -> None:
    """Volatility and curves that serve for a while; what expired is settled."""
    must(machine, "I-02", expiries.same_vols(machine))
    for market, expiry in expiries.stale(machine, 900):
        must(machine, "I-02", expiries.refresh_of(machine, market, expiry))
    for market, expiry in expiries.due(machine):
        must(machine, "I-02", expiries.settle_of(machine, machine.world.roots, market, expiry))
    quiet_prices(machine)


def _close_books(machine: Machine, keeper: int, order: Arrange) -> None:
    """Everybody gives his options and futures to the keeper at their marks. Between maintenance and initial
    margin a hedge cannot be taken off alone, so all pay in before."""
    twin = machine.twin
    roots = order((twin.books.keys() | twin.modes.keys()) - {keeper})
    for root in roots:
        must(machine, "I-02", money.deposit_of(machine, root, MAKER * USD))
    held = {root: dict(options.held(machine, root)) for root in roots}
    # One instrument after another: what the keeper takes over of it is nothing in all, and his book stays
    # short.
    for instrument in order({one for lots in held.values() for one in lots}):
        for root in (root for root in roots if instrument in held[root]):
            if not machine.fresh(machine.chain.timestamp, 10):
                quiet_prices(machine)
            lots = held[root][instrument]
            price = options.fair(machine, instrument, machine.chain.timestamp + 1)
            giving = machine.book.make(Order(root, instrument.id, -lots, price, reduce_only=True))
            taking = machine.book.resting(keeper, instrument.id, lots, MAX_PRICE if lots > 0 else 0)
            must(machine, "I-02", options.settle(machine, giving, taking, abs(lots), options.REDUCE))


def _last_series(machine: Machine, keeper: int, order: Arrange) -> None:
    """What is left of books is money of futures that were closed, paid at expiry, and spot, taken out."""
    twin, world = machine.twin, machine.world
    roots = order([*world.roots, *world.newcomers])
    while series := sorted({s.key[::-1] for w in twin.books.values() for s in unpack(w) if s.expiry}):
        expiry, market = series[0]
        machine.need("I-02", all(not s.lanes and not s.forward for w in twin.books.values()
                                 for s in unpack(w) if s.expiry), "an option is left")  # fmt: skip
        if machine.chain.timestamp < expiry:
            marks = {m: known.mark for m, known in twin.markets.items()}
            do(machine, prices.report(machine, marks, expiry - machine.chain.timestamp + 1))
        if not must(machine, "I-02", expiries.settle_of(machine, roots, market, expiry)).ok:
            return  # noted
    for root in list(twin.books):
        for segment in unpack(twin.books[root]):
            quiet_prices(machine)
            owner = world.owner(root).address
            tokens = segment.forward * world.series.collateral.listings[segment.market].scale
            must(machine, "I-02", options.spot_out(machine, owner, root, segment.market, tokens))
    machine.need("I-33", twin.unsettled == 0, twin.unsettled)
    if owed := twin.deficit.get(0, 0):
        payer = world.actors[0].address
        must(machine, "I-25", money.incoming(machine, "fund_insurance", payer, 0, owed * world.scale))


def _liquidate_all(machine: Machine, keeper: int) -> None:
    for _ in range(60):
        victims = machine.unhealthy(machine.chain.timestamp + 1)
        if not victims:
            return
        step = do(machine, trades.take(machine, victims[0], keeper, 1_000))
        machine.need("I-17", step.ok, lambda s=step: f"liquidation was refused: {s.reason}")
    machine.need("I-23", False, "liquidations do not end")


def round_trip(machine: Machine, market: int, lots: int, price: int, pieces: int) -> list[int] | None:
    """Two newcomers deposit, open against each other in pieces, close at the same price, leave: what each
    has gained, token units. None when the market does not let them."""
    world = machine.world
    quiet_prices(machine)
    pair = [world.newcomers[0], world.newcomers[1]]
    before = [world.balance(world.owner(root).address) for root in pair]
    for i in range(2):
        newcomer(machine, 5_000, i, dust=world.scale * 2 // 3)
    for sign in (1, -1):
        for i in range(pieces):
            part = lots // pieces if i else lots - lots // pieces * (pieces - 1)
            maker = machine.book.resting(pair[0], market, -sign * part, price)
            taker = machine.book.resting(pair[1], market, sign * part, price)
            if not do(machine, trades.settle(machine, maker, taker, part)).ok:
                return None
    for root in pair:
        owner = world.owner(root).address
        must(machine, "I-35", money.payout(machine, "close_account", root, owner, None, None))
    return [world.balance(world.owner(r).address) - b for r, b in zip(pair, before, strict=True)]


def portfolio_margin(machine: Machine, positions: tuple, words: list[int]) -> Margin:
    """The contracts' portfolio rule on an account without cash that need not exist."""
    header = accounts.pack_header(0, len(positions), accounts.PORTFOLIO, len(words))
    return Margin(
        *machine.protocol.portfolio.call("margin", header, accounts.pack_words(positions) + list(words))
    )


def engine_margin(engine: Contract, cash: int, positions: tuple) -> tuple[int, int, int, int]:
    """The contracts' margin rule on an account that need not exist."""
    header = accounts.pack_header(cash, len(positions), accounts.CROSS)
    return tuple(engine.call("margin", header, accounts.pack_words(positions)))
