"""I-13 of the views that no action looks at: what the lenses say is what the model says of the same state.
Run on mutants, where these views are changed as well; on the contracts themselves unit tests do the same."""

from __future__ import annotations

from margincall.audit.machine import Machine
from margincall.audit.operations import options
from margincall.audit.world import MARKETS
from margincall.model import Refused, explanation
from margincall.model.instrument import Instrument
from margincall.model.margin import value_down
from margincall.model.rules import risk_of


def i_13_lens(machine: Machine, draw) -> None:
    """positions, explanation and mark of an option == the model's"""
    if not machine.fresh(machine.chain.timestamp):
        return
    if plain := machine.plain():
        _of_perps(machine, draw.choice(plain))
    if machine.setting.options:
        _of_options(machine, draw)


def _of_perps(machine: Machine, account: int) -> None:
    twin, now, lens = machine.twin, machine.chain.timestamp, machine.protocol.lens
    held = twin.positions[account]
    wanted = [(m, q, e, value_down(q, e, twin.markets[m].quote(now, twin.max_age))) for m, q, e in held]
    seen = [tuple(one) for one in lens.call("positions", account)]
    machine.need("I-13", seen == wanted, lambda: (seen, wanted))


def _is_usable(machine: Machine, instrument: Instrument) -> bool:
    try:
        machine.twin.options.usable(instrument.market, instrument.expiry, machine.chain.timestamp)
    except Refused:
        return False
    return True


def _of_options(machine: Machine, draw) -> None:
    twin, now, protocol = machine.twin, machine.chain.timestamp, machine.protocol
    instrument = options.any_instrument(machine, draw)
    if instrument.is_option and _is_usable(machine, instrument):
        fair = options.fair(machine, instrument, now)
        shown = protocol.exchange.call("mark_of", instrument.id)
        machine.need("I-13", shown == fair, lambda: (shown, fair))
    held = [a for a in twin.modes if machine.margin_of(a, now) and not twin.is_flat(a)]
    if not held:
        return
    account = draw.choice(held)
    words, positions = twin.books.get(account, []), twin.positions.get(account, ())
    perps = [(m, q, value_down(q, e, twin.markets[m].quote(now, twin.max_age))) for m, q, e in positions]
    risk = risk_of(twin, now, set(MARKETS))
    told = explanation.explain(twin.cash.get(account, 0), perps, words, risk)
    for initial, kind in ((False, told.mm), (True, told.im)):
        seen = protocol.portfolio_lens.call("explain", account, initial)
        wanted = (told.margin.equity, kind.amount, kind.floor, kind.error, kind.rho, kind.psi, kind.worst)
        wanted = (*wanted, kind.synchronised, kind.alone)
        machine.need("I-13", tuple(seen[:9]) == wanted, lambda s=seen, w=wanted: (s, w))
        apart = [
            (u.market, u.value, u.loss_im if initial else u.loss_mm, u.worst_im if initial else u.worst_mm)
            for u in told.underlyings
        ]
        shown = [tuple(one) for one in seen.underlyings]
        machine.need("I-13", shown == apart, lambda s=shown, w=apart: (s, w))
