"""Every reason for which margin and positions do not move between an owner's accounts."""

import pytest

from tests.unit.clearinghouse.world import USD, Refusals, check, reasons_in
from tests.unit.modes.test_portfolio_mode import refusal as of_portfolio

refusal = Refusals()


def isolated(w, margin=500):
    """A trader with 10,000 USD, long 0.05 BTC in a vault."""
    a = w.trader()
    a.buy("BTC", "0.05", margin=margin, mode="isolated")
    return a


def cross(w, **usd):
    a = w.trader(**usd)
    a.buy("BTC", "0.05")
    return a


@refusal("margin: not owner or delegate")
def a_stranger_moves(w):
    a = isolated(w)
    return lambda: w.modes.send(w.stranger, "move_margin", a.id, a.vault("BTC"), 1)


@refusal("margin: not owner or delegate")
def a_trading_delegate_moves(w):
    a = isolated(w)
    w.access.send(a.owner.address, "set_delegate", w.stranger, 1, 2**40 - 1)
    return lambda: w.modes.send(w.stranger, "move_margin", a.id, a.vault("BTC"), 1)


@refusal("margin: not owner or delegate")
def an_expired_delegate_moves(w):
    a = isolated(w)
    w.access.send(a.owner.address, "set_delegate", w.stranger, 2, w.chain.timestamp)
    return lambda: w.modes.send(w.stranger, "move_margin", a.id, a.vault("BTC"), 1)


@refusal("margin: not vault and parent")
def to_another_owner(w):
    a, b = isolated(w), w.trader("other")
    return lambda: w.modes.send(a.owner.address, "move_margin", a.id, b.vault("BTC"), 1)


@refusal("margin: not vault and parent")
def from_root_to_root(w):
    a = isolated(w)
    return lambda: w.modes.send(a.owner.address, "move_margin", a.id, a.id, 1)


@refusal("margin: not vault and parent")
def from_vault_to_vault(w):
    a = isolated(w)
    return lambda: w.modes.send(a.owner.address, "move_margin", a.vault("BTC"), a.vault("BTC", 1), 1)


@refusal("margin: bad amount")
def nothing(w):
    a = isolated(w)
    return lambda: a.add_margin("BTC", 0)


@refusal("margin: bad amount")
def beyond_any_money(w):
    a = isolated(w)
    return lambda: w.modes.send(a.owner.address, "move_margin", a.id, a.vault("BTC"), 2**96)


@refusal("margin: vault has no position")
def into_an_empty_vault(w):
    a = isolated(w)
    return lambda: a.add_margin("ETH", 10)


@refusal("access: paused")
def taking_margin_back_in_a_pause(w):
    a = isolated(w)
    w.pause()
    return lambda: a.remove_margin("BTC", 1)


@refusal("access: paused")
def isolating_in_a_pause(w):
    a = cross(w)
    w.pause()
    return lambda: a.to_isolated("BTC", 500)


@refusal("access: paused")
def joining_in_a_pause(w):
    a = isolated(w)
    w.pause()
    return lambda: a.to_cross("BTC")


@refusal("margin: not enough cash")
def more_than_there_is(w):
    a = isolated(w)
    return lambda: a.add_margin("BTC", 9_501)


@refusal("margin: below transfer margin")
def down_to_less_than_the_transfer_margin(w):
    a = isolated(w, 600)
    return lambda: a.remove_margin("BTC", 110)


@refusal("switch: bad vault")
def market_zero(w):
    a = cross(w)
    return lambda: w.modes.send(a.owner.address, "switch_to_isolated", a.id, 0, 0, 1)


@refusal("switch: bad vault")
def number_too_large(w):
    a = cross(w)
    return lambda: w.modes.send(a.owner.address, "switch_to_isolated", a.id, 1, 2**32, 1)


@refusal("switch: bad vault")
def margin_too_large(w):
    a = cross(w)
    return lambda: w.modes.send(a.owner.address, "switch_to_isolated", a.id, 1, 0, 2**96)


@refusal("switch: not a root account")
def isolating_a_vault(w):
    a = isolated(w)
    return lambda: w.modes.send(a.owner.address, "switch_to_isolated", a.vault("BTC"), 1, 1, USD)


@refusal("switch: not owner")
def a_stranger_isolates(w):
    a = cross(w)
    return lambda: w.modes.send(w.stranger, "switch_to_isolated", a.id, 1, 0, 500 * USD)


@refusal("switch: not owner")
def a_delegate_isolates(w):
    a = cross(w)
    w.access.send(a.owner.address, "set_delegate", w.stranger, 3, 2**40 - 1)
    return lambda: w.modes.send(w.stranger, "switch_to_isolated", a.id, 1, 0, 500 * USD)


@refusal("switch: not owner")
def a_stranger_joins(w):
    a = isolated(w)
    return lambda: w.modes.send(w.stranger, "switch_to_cross", a.vault("BTC"))


@refusal("switch: vault is open")
def into_an_open_vault(w):
    a = isolated(w)
    a.buy("BTC", "0.05")
    return lambda: a.to_isolated("BTC", 500)


@refusal("switch: no position")
def nothing_to_isolate(w):
    a = cross(w)
    return lambda: a.to_isolated("ETH", 500)


@refusal("switch: no position")
def nothing_to_join(w):
    a = isolated(w)
    return lambda: a.to_cross("ETH")


@refusal("switch: not a vault")
def joining_a_root(w):
    a = cross(w)
    return lambda: w.modes.send(a.owner.address, "switch_to_cross", a.id)


@refusal("switch: position exists")
def both_hold_the_market(w):
    a = isolated(w)
    a.buy("BTC", "0.05")
    return lambda: a.to_cross("BTC")


@refusal("switch: liquidatable")
def isolating_out_of_a_liquidation(w):
    a = w.victim()
    return lambda: a.to_isolated("BTC", 300)


@refusal("switch: liquidatable")
def joining_out_of_a_liquidation(w):
    a = isolated(w, 250)
    w.jump(BTC=97_000)
    return lambda: a.to_cross("BTC")


@refusal("switch: liquidatable")
def joining_a_liquidatable_parent(w):
    a = w.trader("victim", 1_600)
    a.buy("ETH", 2, margin=560, mode="isolated")
    a.buy("BTC", "0.2")
    w.jump(BTC=97_000)
    return lambda: a.to_cross("ETH")


@refusal("margin: below initial")
def isolating_with_too_little(w):
    a = cross(w)
    return lambda: a.to_isolated("BTC", 199)


@refusal("margin: not enough cash")
def isolating_with_more_than_the_cash(w):
    a = cross(w, usd=1_000)
    return lambda: a.to_isolated("BTC", 1_000)


@refusal("margin: not enough cash")
def leaving_the_root_in_debt(w):
    """Unrealised profit carried the realised loss; the profit may not walk away from it."""
    a = w.trader(usd=1_000)
    a.buy("BTC", "0.05")
    a.buy("ETH", "1.25")
    a.buy("SOL", "25")
    w.jump(BTC=150_000, ETH=6_000, SOL=120)
    a.close("SOL")
    assert w.cash(a.id) < 0
    return lambda: a.to_isolated("BTC", 0)


@refusal("margin: below transfer margin")
def leaving_the_root_thin(w):
    a = w.trader(usd=1_000)
    a.buy("BTC", "0.05")
    a.buy("ETH", "1.25")
    w.jump(BTC=150_000, ETH=3_600)
    return lambda: a.to_isolated("BTC", 300)


@refusal("margin: below transfer margin")
def leaving_the_root_thin_with_nothing_moved(w):
    a = w.trader(usd=800)
    a.buy("BTC", "0.05")
    a.buy("ETH", "1.25")
    w.jump(BTC=150_000, ETH=3_600)
    return lambda: a.to_isolated("BTC", 0)


@refusal("access: mode not allowed")
def isolating_in_a_denied_mode(w):
    a = cross(w)
    w.deny(a, 1)
    return lambda: a.to_isolated("BTC", 500)


@refusal("access: mode not allowed")
def joining_in_a_denied_mode(w):
    a = isolated(w)
    w.deny(a, 0)
    return lambda: a.to_cross("BTC")


@refusal("clearing: market is reduce-only")
def isolating_in_a_closing_market(w):
    a = cross(w)
    w.set_terms("BTC", status=2)
    return lambda: a.to_isolated("BTC", 500)


def test_every_reason_is_provoked():
    given = reasons_in("Modes.vy")
    assert len(given) == 16
    assert given <= refusal.reasons | of_portfolio.reasons


@pytest.mark.parametrize(("reason", "spec", "token", "case"), refusal.cases)
def test_refused(reason, spec, token, case):
    check(reason, spec, token, case)
