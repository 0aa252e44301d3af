"""I-13 and I-14 of newcomers' accounts that are taken to where rules change: open interest of what insurance
has, equity of nothing, of the penalty and of what insurance cannot pay, spot behind a perp, options bought
back below initial margin. Prices fall without keepers here: not where the envelope holds (I-24).

Each part says whether it could be played to its end."""

from __future__ import annotations

from margincall.audit.machine import Machine
from margincall.audit.operations import money, options, trades
from margincall.audit.properties import asking, probe
from margincall.audit.properties.asking import reason_of
from margincall.audit.world import MARKETS, USD
from margincall.model import accounts, liquidation
from margincall.model.arithmetic import NOTIONAL_SCALE, PPM
from margincall.model.instrument import CALL, CONTRACT, Instrument
from margincall.model.markets import check_ramp
from margincall.model.slices import QUANTA
from margincall.protocol.deploy import fees_tuple

STAKE = 1_000
"""USD of a newcomer who has something to lose; probe.MAKER has who answers for anything."""
LEAST_MARK = 1_000
"""Nothing falls further: a step of 1 % is still ten units of price."""
FALLS, PART = 12, 40
"""Steps by which a perp before spot falls, and the quanta of it liquidated after each."""


def interest(machine: Machine) -> bool:
    """Open interest up to once what insurance has."""
    known = machine.twin.markets[1]
    terms = known.terms._replace(oi_multiple=1, status=1)
    if reason_of(check_ramp, known.terms, terms):
        return False
    probe.open_doors(machine)
    call = ("set_terms", 1, fees_tuple(terms), list(terms.tiers))
    asking.by_owner(machine, (machine.protocol.markets, call))
    known.set_terms(terms)
    probe.quiet_prices(machine)
    payer = machine.world.actors[0].address
    held = machine.twin.open_interest.get(1, 0) * known.mark // NOTIONAL_SCALE
    funds = (held + 5 * terms.min_notional) * machine.world.scale
    probe.must(machine, "I-14", money.incoming(machine, "fund_insurance", payer, 0, funds))
    for i in range(2):
        probe.newcomer(machine, STAKE * 1_000, i)
    opened = _open(machine, 1, 3 * terms.min_notional)
    _open(machine, 1, 1_000 * terms.min_notional)
    return opened


def brinks(machine: Machine) -> bool:
    """Equity of nothing at all, where no reduction helps; of the penalty to the unit, where a liquidation
    still is of a part; and where the reward of a full one, or the shortfall, is more than insurance has."""
    if machine.setting.envelope:
        return False
    probe.open_doors(machine)
    probe.quiet_prices(machine)
    brought = (probe.MAKER, STAKE, probe.MAKER)
    maker, taker, keeper = (probe.newcomer(machine, usd, i) for i, usd in enumerate(brought))
    twin = machine.twin
    stake = STAKE * USD * 7 // 10
    if not _open(machine, 2, stake * PPM // twin.markets[2].terms.tiers[0].imf):
        return False
    for market in (1, 3):
        _open(machine, market, 3 * twin.markets[market].terms.min_notional)
    sold = 0
    while _fall(machine, taker, 0):
        for market in MARKETS:
            sold += _whole(machine, maker, taker, market, twin.markets[market].mark)
    probe.quiet_prices(machine)
    penalty = liquidation.plan(twin, machine.chain.timestamp + 1, taker).whole_penalty
    _pay_up_to(machine, taker, 0)
    size, mark, band = twin.size(taker, 2), twin.markets[2].mark, twin.markets[2].terms.band
    sells, buys = probe.orders(maker, taker, 2, -(size // 2), mark)
    probe.settle(machine, (sells, buys._replace(reduce_only=True)))
    sold += _whole(machine, maker, taker, 2, mark + mark * band // PPM // 2)
    fund, least = twin.insurance[0], twin.reward
    for equity in (least // 4, least // 2 - fund, -fund - 1, -fund - USD):
        with probe.undone(machine, "I-14"):
            while _fall(machine, taker, equity):
                pass
            probe.quiet_prices(machine)
            if _pay_up_to(machine, taker, equity):
                machine.do(trades.take(machine, taker, keeper, QUANTA))
    _pay_up_to(machine, taker, penalty)
    machine.do(trades.take(machine, taker, keeper, 1))
    return sold > 0


def _open(machine: Machine, market: int, notional: int) -> bool:
    """The second newcomer buys of the first."""
    mark = machine.twin.markets[market].mark
    pair = probe.orders(*machine.world.newcomers[:2], market, notional * NOTIONAL_SCALE // mark + 1, mark)
    return probe.settle(machine, pair).ok


def _fall(machine: Machine, account: int, equity: int) -> bool:
    """Two prices fall by a step unless the account has no more equity than this, or they fell too far."""
    known = machine.twin.markets[2]
    if machine.margin_of(account, machine.chain.timestamp).equity <= equity or known.mark < LEAST_MARK:
        return False
    for market in (2, 3):
        probe.fall(machine, market)
    return True


def _whole(machine: Machine, maker: int, taker: int, market: int, price: int) -> bool:
    """What of a long can be sold is no less than all, if that succeeds: where equity is below initial margin,
    and where it is nothing but the price is a good one, so that no part of it can be. Whether it did."""
    size = machine.twin.size(taker, market)
    lots = machine.protocol.lens.call("max_trade", taker, market, False, price)
    with probe.undone(machine, "I-13"):
        done = probe.settle(machine, probe.orders(maker, taker, market, -size, price))
    machine.need("I-13", lots >= size or not done.ok, lambda: (market, lots, size))
    return done.ok


def _pay_up_to(machine: Machine, account: int, equity: int) -> bool:
    """A deposit after which equity is this much when the next second begins; False where it is more."""
    then = machine.margin_of(account, machine.chain.timestamp + 2).equity
    if then > equity:
        return False
    probe.must(machine, "I-14", money.deposit_of(machine, account, equity - then))
    seen = machine.margin_of(account, machine.chain.timestamp + 1).equity
    machine.need("I-14", seen == equity, lambda: (seen, equity))
    return True


def backed(machine: Machine, mode: int, wide: bool) -> bool:
    """A perp behind which spot stands: liquidated in part, and at equity below its penalty whole. wide: with
    spot of another underlying and an option of which each slice takes a part."""
    if machine.setting.envelope:
        return False
    probe.open_doors(machine)
    probe.quiet_prices(machine)
    known, world = machine.twin.markets[1], machine.world
    listings = world.series.collateral.listings
    maker, victim, keeper = (
        probe.newcomer(machine, usd, i) for i, usd in enumerate((probe.MAKER, STAKE // 2, probe.MAKER))
    )
    if mode != accounts.CROSS and not machine.do(options.to_mode(machine, victim, mode)).ok:
        return False
    owner, scale, mark = world.owner(victim).address, listings[1].scale, known.mark
    held = STAKE * USD * NOTIONAL_SCALE // mark
    machine.do(options.spot_in(machine, owner, victim, 1, held * scale + scale // 2))
    if wide:
        option = _at_the_money(machine)
        if option is None:
            return False
        machine.do(options.spot_in(machine, owner, victim, 2, held * listings[2].scale))
        price = options.fair(machine, option, machine.chain.timestamp + 1)
        probe.settle(machine, probe.orders(maker, victim, option.id, 100 * CONTRACT, price))
    lots = STAKE * USD * 8 // 10 * PPM // known.terms.tiers[0].imf * NOTIONAL_SCALE // mark
    lots = min(lots, machine.protocol.lens.call("max_trade", victim, 1, True, mark))
    probe.settle(machine, probe.orders(maker, victim, 1, lots, mark))
    machine.do(options.spot_out(machine, owner, victim, 1, held * scale))
    taken = 0
    for _ in range(FALLS):
        probe.fall(machine, 1)
        taken += machine.do(trades.take(machine, victim, keeper, PART)).ok
    machine.do(trades.take(machine, victim, keeper, QUANTA))
    return taken > 0


def largest(machine: Machine, usd: int, buys: bool) -> bool:
    """Of an option at the money a newcomer can trade what Lens.max_trade says, not the next power of two;
    and buy back what it says where initial margin is not met, and where there is no equity."""
    probe.open_doors(machine)
    probe.quiet_prices(machine)
    option = _at_the_money(machine)
    if option is None:
        return False
    maker, taker = probe.newcomer(machine, probe.MAKER * 10), probe.newcomer(machine, usd, 1)
    price = options.fair(machine, option, machine.chain.timestamp + 1)
    lots = machine.protocol.lens.call("max_trade", taker, option.id, buys, price)
    machine.need("I-13", lots > 0, lambda: (option, price))
    above = CONTRACT << (lots // CONTRACT).bit_length()
    sign, asked = 1 if buys else -1, ((above, False), (lots, True))
    for part, fine in asked:
        done = probe.settle(machine, probe.orders(maker, taker, option.id, sign * part, price))
        told = done.ok or not done.reason.startswith("margin: ") if fine else not done.ok
        machine.need("I-13", told, lambda p=part, d=done: (p, lots, d.reason))
    if machine.setting.envelope:
        return True
    for falls in range(8):
        probe.fall(machine, 1, -1)
        equity = machine.margin_of(taker, machine.chain.timestamp + 1).equity
        if falls and equity > 0:
            continue
        price = options.fair(machine, option, machine.chain.timestamp + 1)
        for dear in (price, price * 5 // 4, price * 2):
            lots = machine.protocol.lens.call("max_trade", taker, option.id, not buys, dear)
            if part := min(lots, above):
                done = probe.settle(machine, probe.orders(maker, taker, option.id, -sign * part, dear))
                fine = not done.reason.startswith("margin: ")
                machine.need("I-13", fine, lambda p=part, d=done: (p, d.reason))
        if equity <= 0:
            break
    return True


def _at_the_money(machine: Machine) -> Instrument | None:
    """A call of the last expiry whose curve serves for a minute."""
    at, twin = machine.chain.timestamp + 60, machine.twin
    usable = [e for e in machine.world.series.live(at) if not reason_of(twin.options.usable, 1, e, at)]
    step = twin.options.grid.steps[1]
    return Instrument(1, CALL, usable[-1], twin.markets[1].mark // step * step) if usable else None
