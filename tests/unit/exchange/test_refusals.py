"""Every reason for which the exchange refuses a pair of orders or a cancellation."""

import pytest

from margincall.chain import key
from tests.unit.clearinghouse.world import DEFAULT, USD, Refusals, check, reasons_in, world
from tests.unit.exchange.test_options import refusal as of_options

refusal = Refusals()
LOTS = 10**6  # 0.01 BTC
RIGHT, WRONG, REVERT, GARBAGE, BURNS_GAS, SHORT = range(6)  # answers of the mock wallet


def attempt(w, lots=LOTS, maker=None, taker=None, maker_key=None, taker_key=None):
    """A pair that would settle, but for what is changed in it."""
    a = w.trader()
    maker_order, taker_order = w.pair(w.maker.id, a.id, LOTS)
    maker_order = maker_order._replace(**(maker or {}))
    taker_order = taker_order._replace(**(taker or {}))
    keys = maker_key or w.maker.owner, taker_key or a.owner
    return lambda: w.settle(maker_order, taker_order, lots, *keys)


@refusal("order: expired")
def a_second_late(w):
    order = attempt(w, taker={"expiry": w.chain.timestamp + 2})
    w.jump(ETH=4_000)
    return order


@refusal("order: cancelled")
def one_cancelled(w):
    a = w.trader()
    w.exchange.send(a.owner.address, "cancel", a.id, 1)
    return attempt(w, taker={"salt": 1})


@refusal("order: cancelled")
def all_below_cancelled(w):
    a = w.trader()
    w.exchange.send(a.owner.address, "cancel_all", a.id, 1_000)
    return attempt(w, taker={"salt": 999})


@refusal("order: bound must rise")
def the_same_bound_again(w):
    a = w.trader()
    w.exchange.send(a.owner.address, "cancel_all", a.id, 1_000)
    return lambda: w.exchange.send(a.owner.address, "cancel_all", a.id, 1_000)


@refusal("order: not owner or delegate")
def a_stranger_cancels(w):
    a = w.trader()
    return lambda: w.exchange.send(w.stranger, "cancel", a.id, 1)


@refusal("order: not owner or delegate")
def a_stranger_cancels_all(w):
    a = w.trader()
    return lambda: w.exchange.send(w.stranger, "cancel_all", a.id, 1)


@refusal("order: not owner or delegate")
def a_margin_delegate_cancels(w):
    a = w.trader()
    w.access.send(a.owner.address, "set_delegate", w.stranger, 2, 2**40 - 1)
    return lambda: w.exchange.send(w.stranger, "cancel", a.id, 1)


@refusal("order: size exceeded")
def no_lots(w):
    return attempt(w, lots=0)


@refusal("order: size exceeded")
def more_than_the_order(w):
    return attempt(w, lots=LOTS + 1)


@refusal("order: size exceeded")
def more_than_is_left(w):
    a = w.trader()
    orders = w.pair(w.maker.id, a.id, LOTS)
    w.settle(*orders, LOTS // 2, w.maker.owner, a.owner)
    return lambda: w.settle(*orders, LOTS // 2 + 1, w.maker.owner, a.owner)


@refusal("order: size exceeded")
def another_order_of_the_same_salt(w):
    a = w.trader()
    orders = w.pair(w.maker.id, a.id, LOTS)
    w.settle(*orders, LOTS, w.maker.owner, a.owner)
    maker, taker = w.pair(w.maker.id, a.id, LOTS)
    taker = taker._replace(salt=orders[1].salt, price=taker.price + 1)
    return lambda: w.settle(maker, taker, 1, w.maker.owner, a.owner)


@refusal("order: size exceeded")
def lots_beyond_the_fill_word(w):
    size = 2**64 - 1
    return attempt(w, lots=size, maker={"size": -size}, taker={"size": size})


@refusal("order: bad signature")
def signed_by_a_stranger(w):
    return attempt(w, taker_key=key("account", "stranger"))


@refusal("order: bad signature")
def makers_signed_by_a_stranger(w):
    return attempt(w, maker_key=key("account", "stranger"))


@refusal("order: bad signature")
def signed_by_an_expired_delegate(w):
    a, delegate = w.trader(), key("account", "delegate")
    w.access.send(a.owner.address, "set_delegate", delegate.address, 1, w.chain.timestamp + 3)
    w.jump(ETH=4_000)
    return attempt(w, taker_key=delegate)


@refusal("order: bad signature")
def signed_by_a_margin_delegate(w):
    a, delegate = w.trader(), key("account", "delegate")
    w.access.send(a.owner.address, "set_delegate", delegate.address, 2, 2**40 - 1)
    return attempt(w, taker_key=delegate)


@refusal("order: bad signature")
def signature_too_short(w):
    a = w.trader()
    maker, taker = w.pair(w.maker.id, a.id, LOTS)
    signature = w.protocol.sign(a.owner, taker)[:64]
    fill = (maker, taker, LOTS, w.protocol.sign(w.maker.owner, maker), signature)
    return lambda: w.protocol.settle([fill])


@refusal("order: bad signature")
def account_of_nobody(w):
    """ecrecover answers the zero address for a bad signature; it must own nothing."""
    maker, taker = w.pair(w.maker.id, 1 << 64, LOTS)
    fill = (maker, taker, LOTS, w.protocol.sign(w.maker.owner, maker), bytes(65))
    return lambda: w.protocol.settle([fill])


@refusal("order: other market")
def two_markets(w):
    return attempt(w, taker={"market": 2})


@refusal("order: same side")
def two_buyers(w):
    return attempt(w, maker={"size": LOTS})


@refusal("order: prices do not cross")
def buyer_below_seller(w):
    return attempt(w, taker={"price": w.protocol.mark("BTC") - 1})


@refusal("order: prices do not cross")
def seller_above_buyer(w):
    price = w.protocol.mark("BTC") + 1
    return attempt(w, maker={"size": LOTS}, taker={"size": -LOTS, "price": price})


@refusal("order: self trade")
def an_owner_with_two_accounts(w):
    a, b = w.trader(), w.trader(index=1)
    orders = w.pair(b.id, a.id, LOTS)
    return lambda: w.settle(*orders, LOTS, a.owner, a.owner)


@refusal("order: self trade")
def an_account_with_itself(w):
    a = w.trader()
    orders = w.pair(a.id, a.id, LOTS)
    return lambda: w.settle(*orders, LOTS, a.owner, a.owner)


@refusal("order: self trade")
def a_vault_with_its_parent(w):
    a = w.trader()
    maker, taker = w.pair(a.id, a.vault("BTC"), LOTS)
    taker = taker._replace(margin=500 * USD)
    return lambda: w.settle(maker, taker, LOTS, a.owner, a.owner)


@refusal("order: price outside band")
def above_the_band(w):
    price = w.protocol.mark("BTC") * 102 // 100 + 1
    return attempt(w, maker={"price": price}, taker={"price": price})


@refusal("order: price outside band")
def below_the_band(w):
    price = w.protocol.mark("BTC") * 98 // 100 - 1
    return attempt(w, maker={"price": price}, taker={"price": price})


@refusal("order: fee above max")
def taker_fee(w):
    return attempt(w, taker={"max_fee": 499})


@refusal("order: fee above max")
def maker_fee(w):
    return attempt(w, maker={"max_fee": 199})


@refusal("order: margin needs a vault")
def margin_into_a_root(w):
    return attempt(w, taker={"margin": 1})


@refusal("order: margin needs a vault")
def margin_beyond_any_money(w):
    a = w.trader()
    maker, taker = w.pair(w.maker.id, a.vault("BTC"), LOTS)
    taker = taker._replace(margin=2**96)
    return lambda: w.settle(maker, taker, LOTS, w.maker.owner, a.owner)


def wallet_order(w, answer, signer="holder"):
    """An order of a contract account whose wallet gives `answer`."""
    holder = key("account", "holder")
    wallet = w.new("Wallet1271", holder.address)
    account = int(wallet.address, 16) << 96
    payer = w.trader("payer")
    w.token.send(payer.owner.address, "mint", payer.owner.address, 10_000 * USD)
    w.house.send(payer.owner.address, "deposit", account, 10_000 * USD)
    wallet.send(w.stranger, "set_answer", answer)
    orders = w.pair(w.maker.id, account, LOTS)
    return lambda: w.settle(*orders, LOTS, w.maker.owner, key("account", signer)), account


@pytest.mark.parametrize(
    ("answer", "signer"),
    [
        (RIGHT, "stranger"),
        (WRONG, "holder"),
        (REVERT, "holder"),
        (GARBAGE, "holder"),
        (BURNS_GAS, "holder"),
        (SHORT, "holder"),
    ],
)
def test_a_wallet_that_does_not_say_yes(answer, signer):
    with world() as w:
        order, _ = wallet_order(w, answer, signer)
        with w.refused("order: bad signature"):
            order()


def test_a_wallet_that_says_yes():
    with world() as w:
        order, account = wallet_order(w, RIGHT)
        order()
        assert w.held(account)[0][1] == LOTS


@pytest.mark.parametrize("bad", range(10))
def test_all_or_none(bad):
    """Ten pairs; whichever is bad, nothing of the others stays."""
    with world() as w:
        a = w.trader()
        fills = []
        for i in range(10):
            maker, taker = w.pair(w.maker.id, a.id, LOTS // 2)
            taker = taker._replace(expiry=0 if i == bad else 2**40)
            signatures = w.protocol.sign(w.maker.owner, maker), w.protocol.sign(a.owner, taker)
            fills.append((maker, taker, LOTS // 2, *signatures))
        with w.refused("order: expired"):
            w.protocol.settle(fills)


def test_every_reason_is_provoked():
    given = reasons_in("Exchange.vy", "orders/order.vy")
    assert len(given) > 10
    assert refusal.reasons | of_options.reasons & given == given


def test_the_case_itself_settles():
    """What the cases change is why they are refused."""
    with world(DEFAULT) as w:
        attempt(w)()


@pytest.mark.parametrize(("reason", "spec", "token", "case"), refusal.cases)
def test_refused(reason, spec, token, case):
    check(reason, spec, token, case)
