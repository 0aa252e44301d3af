"""Every reason for which the liquidation door refuses."""

import pytest

from tests.unit.clearinghouse.series import Series
from tests.unit.clearinghouse.world import Refusals, check, reasons_in, world
from tests.unit.markets.feed import CALLER, echo, payload

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


def then_a_price(w, name):
    """A liquidation of an account in one instrument, and a new price behind it in the same transaction."""
    victim, other = w.trader("victim", 2_000), w.trader("other", 100_000)
    victim.buy(name, "0.12", against=other)
    w.jump(BTC=84_000)
    caller, feed = w.chain.deploy(CALLER), echo(w)
    taker, payer = int(caller.address, 16) << 96, w.trader("payer").owner.address
    w.token.send(payer, "mint", payer, 10**11)
    w.house.send(payer, "deposit", taker, 10**11)
    at = w.chain.timestamp + 10
    calls = [
        (w.liquidation.address, w.liquidation.encode("liquidate", victim.id, taker, 1_000)),
        (
            w.markets.address,
            w.markets.encode("update_prices", feed.address, payload((1, 84_100 * 10**6, 84_100 * 10**6, at))),
        ),
    ]
    return lambda: caller.send(w.stranger, "run", calls, at=at)


@refusal("price: second in transaction")
def a_new_price_behind_a_perp(w):
    return then_a_price(w, "BTC")


@refusal("price: second in transaction")
def a_new_price_behind_a_book(w):
    return then_a_price(w, Series(w).future())


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
    assert refusal.reasons - {"price: second in transaction"} | {"liquidation: share"} == given


@pytest.mark.parametrize(("reason", "spec", "token", "case"), refusal.cases)
def test_refused(reason, spec, token, case):
    check(reason, spec, token, case)
