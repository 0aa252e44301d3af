"""I-13 and I-14 of newcomers' accounts that are taken to where rules change: open interest of what insurance
has, equity of nothing and of the penalty, spot behind a perp, options bought back below initial margin.
Prices fall without keepers here: not where the envelope holds (I-24)."""

from __future__ import annotations

from margincall.audit.machine import Machine, Step
from margincall.audit.operations import money, options, trades
from margincall.audit.properties import asking, probe
from margincall.audit.properties.asking import reason_of
from margincall.model import accounts
from margincall.model.arithmetic import NOTIONAL_SCALE, PPM
from margincall.model.instrument import CALL, CONTRACT, Instrument
from margincall.model.markets import check_ramp
from margincall.protocol.deploy import fees_tuple
from margincall.protocol.orders import Order


def interest(machine: Machine) -> None:
    """Open interest up to once what insurance has."""
    known = machine.twin.markets[1]
    terms = known.terms._replace(oi_multiple=1, status=1)
    if reason_of(check_ramp, known.terms, terms):
        return
    call = ("set_terms", 1, fees_tuple(terms), list(terms.tiers))
    asking.by_owner(machine, (machine.protocol.markets, call))
    known.set_terms(terms)
    probe.quiet_prices(machine)
    payer = machine.world.actors[0].address
    held = machine.twin.open_interest.get(1, 0) * known.mark // NOTIONAL_SCALE
    funds = (held + 5 * terms.min_notional) * machine.world.scale
    probe.must(machine, "I-14", money.incoming(machine, "fund_insurance", payer, 0, funds))
    for i in range(2):
        probe.newcomer(machine, 10**6, i)
    for part in (3, 1_000):
        _open(machine, 1, part * terms.min_notional)


def brinks(machine: Machine) -> None:
    """Equity of nothing at all, where no reduction helps; and of the penalty to the unit, where a liquidation
    still is of a part."""
    if machine.setting.envelope:
        return
    maker, taker, keeper = (probe.newcomer(machine, usd, i) for i, usd in enumerate((10**7, 1_000, 10**7)))
    known = machine.twin.markets[2]
    tier = known.terms.tiers[0]
    if not _open(machine, 2, 700 * 10**6 * PPM // tier.imf):
        return
    while machine.margin_of(taker, machine.chain.timestamp).equity > 0:
        probe.fall(machine, 2)
    probe.quiet_prices(machine)
    size, mark = machine.twin.size(taker, 2), known.mark
    penalty = -(-size * mark * known.terms.penalty // (NOTIONAL_SCALE * PPM))
    _pay_up_to(machine, taker, 0)
    orders = Order(taker, 2, -(size // 2), mark, reduce_only=True), Order(maker, 2, size // 2, mark)
    machine.do(trades.settle(machine, *map(machine.book.make, orders), size // 2))
    _pay_up_to(machine, taker, penalty)
    machine.do(trades.take(machine, taker, keeper, 1))


def _open(machine: Machine, market: int, notional: int) -> bool:
    """The second newcomer buys of the first."""
    mark = machine.twin.markets[market].mark
    lots = notional * NOTIONAL_SCALE // mark + 1
    maker, taker = machine.world.newcomers[:2]
    orders = Order(maker, market, -lots, mark), Order(taker, market, lots, mark)
    return machine.do(trades.settle(machine, *map(machine.book.make, orders), lots)).ok


def _pay_up_to(machine: Machine, account: int, equity: int) -> None:
    """A deposit after which equity is this much when the next second begins."""
    then = machine.margin_of(account, machine.chain.timestamp + 2).equity
    probe.must(machine, "I-14", money.deposit_of(machine, account, equity - then))
    seen = machine.margin_of(account, machine.chain.timestamp + 1).equity
    machine.need("I-14", seen == equity, lambda: (seen, equity))


def backed(machine: Machine, mode: int) -> None:
    """A perp behind which spot stands: liquidated in part, and at equity below its penalty whole."""
    if machine.setting.envelope:
        return
    probe.open_doors(machine)
    probe.quiet_prices(machine)
    known, world = machine.twin.markets[1], machine.world
    maker, victim, keeper = (probe.newcomer(machine, usd, i) for i, usd in enumerate((10**7, 500, 10**7)))
    if mode != accounts.CROSS and not machine.do(options.to_mode(machine, victim, mode)).ok:
        return
    held = 1_000 * 10**6 * NOTIONAL_SCALE // known.mark
    scale = world.series.collateral.listings[1].scale
    machine.do(options.spot_in(machine, world.owner(victim).address, victim, 1, held * scale + scale // 2))
    lots = 800 * 10**6 * PPM // known.terms.tiers[0].imf * NOTIONAL_SCALE // known.mark
    orders = Order(maker, 1, -lots, known.mark), Order(victim, 1, lots, known.mark)
    machine.do(trades.settle(machine, *map(machine.book.make, orders), lots))
    machine.do(options.spot_out(machine, world.owner(victim).address, victim, 1, held * scale))
    for _ in range(12):
        probe.fall(machine, 1)
        machine.do(trades.take(machine, victim, keeper, 40))
    machine.do(trades.take(machine, victim, keeper, 1_000))


def largest(machine: Machine, usd: int, buys: bool) -> None:
    """Of an option at the money a newcomer can trade what Lens.max_trade says, not the next power of two."""
    probe.open_doors(machine)
    probe.quiet_prices(machine)
    at, twin = machine.chain.timestamp + 60, machine.twin
    usable = [e for e in machine.world.series.live(at) if not reason_of(twin.options.usable, 1, e, at)]
    if not usable:
        return
    maker, taker = probe.newcomer(machine, 10**8), probe.newcomer(machine, usd, 1)
    step = twin.options.grid.steps[1]
    option = Instrument(1, CALL, usable[-1], twin.markets[1].mark // step * step)
    price = options.fair(machine, option, machine.chain.timestamp + 1)
    lots = machine.protocol.lens.call("max_trade", taker, option.id, buys, price)
    machine.need("I-13", lots > 0, lambda: (option, price))
    above = CONTRACT << (lots // CONTRACT).bit_length()
    sign, asked = 1 if buys else -1, ((above, False), (lots, True))
    for part, fine in asked:
        done = _of_option(machine, option, price, (maker, taker), sign * part)
        told = done.ok or not done.reason.startswith("margin: ") if fine else not done.ok
        machine.need("I-13", told, lambda p=part, d=done: (p, lots, d.reason))
    if machine.setting.envelope:
        return
    # Below initial margin: what costs too much to buy back.
    probe.fall(machine, 1, -1)
    price = options.fair(machine, option, machine.chain.timestamp + 1)
    for dear in (price, price * 5 // 4, price * 2):
        lots = machine.protocol.lens.call("max_trade", taker, option.id, not buys, dear)
        if part := min(lots, above):
            done = _of_option(machine, option, dear, (maker, taker), -sign * part)
            machine.need("I-13", not done.reason.startswith("margin: "), lambda p=part, d=done: (p, d.reason))


def _of_option(machine: Machine, option: Instrument, price: int, pair: tuple[int, int], lots: int) -> Step:
    """The taker buys (`lots` below zero: sells)."""
    orders = Order(pair[0], option.id, -lots, price), Order(pair[1], option.id, lots, price)
    return machine.do(options.settle(machine, *map(machine.book.make, orders), abs(lots)))
