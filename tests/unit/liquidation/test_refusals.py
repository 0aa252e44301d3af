"""Every reason for which the liquidation door refuses."""

import pytest

from tests.unit.clearinghouse.world import Refusals, check, reasons_in, world

refusal = Refusals()


def liquidate(w, victim, taker, quanta=1_000):
    return lambda: w.protocol.liquidate(victim, taker, quanta)


@refusal("liquidation: not taker's owner")
def into_somebody_elses_account(w):
    a, k = w.victim(), w.liquidator()
    return lambda: w.liquidation.send(w.stranger, "liquidate", a.id, k.id, 1_000)


@refusal("liquidation: not taker's owner")
def a_delegate_takes_over(w):
    a, k = w.victim(), w.liquidator()
    w.access.send(k.owner.address, "set_delegate", w.stranger, 3, 2**40 - 1)
    return lambda: w.liquidation.send(w.stranger, "liquidate", a.id, k.id, 1_000)


@refusal("liquidation: own account")
def ones_own(w):
    a = w.victim()
    return liquidate(w, a.id, a)


@refusal("liquidation: own account")
def ones_own_vault(w):
    a = w.trader("victim", 1_000)
    a.buy("BTC", "0.1", margin=420, mode="isolated")
    w.jump(BTC=97_000)
    return liquidate(w, a.vault("BTC"), w.trader("victim", 1_000, index=1))


@refusal("liquidation: bad quanta")
def no_quanta(w):
    return liquidate(w, w.victim().id, w.liquidator(), 0)


@refusal("liquidation: bad quanta")
def too_many_quanta(w):
    return liquidate(w, w.victim().id, w.liquidator(), 1_001)


@refusal("liquidation: no position")
def a_flat_account(w):
    return liquidate(w, w.trader().id, w.liquidator())


@refusal("liquidation: no position")
def an_unknown_account(w):
    return liquidate(w, 1 << 200, w.liquidator())


@refusal("liquidation: healthy")
def a_healthy_account(w):
    return liquidate(w, w.victim(price=98_000).id, w.liquidator())


@refusal("liquidation: healthy")
def a_cured_account(w):
    a, k = w.victim(), w.liquidator()
    w.protocol.liquidate(a.id, k)
    return liquidate(w, a.id, k)


def test_the_share_is_a_share():
    with world() as w, w.refused("liquidation: share"):
        w.new("Liquidation", w.house.address, w.markets.address, 10**6 + 1, 0)


def test_every_reason_is_provoked():
    given = reasons_in("Liquidation.vy")
    assert len(given) == 6
    assert refusal.reasons | {"liquidation: share"} == given


@pytest.mark.parametrize(("reason", "spec", "token", "case"), refusal.cases)
def test_refused(reason, spec, token, case):
    check(reason, spec, token, case)
