"""Every reason for which the door of spot tokens refuses."""

import pytest

from tests.unit.clearinghouse.world import Refusals, check, inline, reasons_in
from tests.unit.collateral.till import RETURNS_FALSE, TAKES_MORE, Till

refusal = Refusals()
COIN = 10**18
LOT = 10**10
ZERO = "0x" + "00" * 20
FALLING = inline(
    "FallingCoin",
    """
# pragma version 0.4.3
# Whoever receives has less.
balances: HashMap[address, uint256]

@external
def mint(to: address, amount: uint256):
    self.balances[to] += amount

@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    self.balances[to] -= 1
    return True

@external
@view
def balanceOf(owner: address) -> uint256:
    return self.balances[owner]
""",
)


def listing(w, *args):
    """list_token of BTC by the owner; what is given replaces market, token, scale, cap, minimum."""
    chosen = [1, w.token.address, 1, 1, 1]
    for place, value in args:
        chosen[place] = value
    return lambda: w.protocol.collateral.send(w.owner, "list_token", *chosen)


def paying(w, call, **options):
    till = Till(w, **options)
    a = till.trader("a")
    till.deposit(a, COIN)
    return call(till, a)


@refusal("collateral: bad clearinghouse")
def clearinghouse_without_code(w):
    return lambda: w.new("Collateral", w.stranger)


@refusal("ownable: caller is not the owner")
def listed_by_a_stranger(w):
    token = w.token.address
    return lambda: w.protocol.collateral.send(w.stranger, "list_token", 1, token, 1, 1, 1)


@refusal("ownable: caller is not the owner")
def limits_of_a_stranger(w):
    Till(w)
    return lambda: w.protocol.collateral.send(w.stranger, "set_limits", 1, 1, 1)


@refusal("collateral: no such market")
def market_zero(w):
    return listing(w, (0, 0))


@refusal("collateral: no such market")
def market_above_all(w):
    return listing(w, (0, 64))


@refusal("collateral: listed")
def listed_twice(w):
    Till(w)
    return listing(w)


@refusal("collateral: no token")
def token_without_code(w):
    return listing(w, (1, w.stranger))


@refusal("collateral: scale")
def no_scale(w):
    return listing(w, (2, 0))


@refusal("collateral: scale")
def too_fine(w):
    return listing(w, (2, 10**18 + 1))


@refusal("collateral: cap too large")
def cap_beyond_a_book(w):
    return listing(w, (3, 2**55))


@refusal("collateral: bad minimum")
def no_minimum(w):
    return listing(w, (4, 0))


@refusal("collateral: bad minimum")
def minimum_beyond_a_book(w):
    Till(w)
    return lambda: w.protocol.collateral.send(w.owner, "set_limits", 1, 1, 2**55)


@refusal("collateral: not listed")
def limits_of_nothing(w):
    return lambda: w.protocol.collateral.send(w.owner, "set_limits", 1, 1, 1)


@refusal("collateral: not listed")
def unknown_deposit(w):
    a = w.trader()
    return lambda: w.protocol.collateral.send(a.owner.address, "deposit", a.id, 1, COIN)


@refusal("collateral: not listed")
def unknown_withdrawal(w):
    a = w.trader()
    send = w.protocol.collateral.send
    return lambda: send(a.owner.address, "withdraw", a.id, 1, COIN, w.stranger)


@refusal("portfolio: no risk terms")
def a_market_without_risk_terms(w):
    return listing(w, (0, 4))


@refusal("collateral: not owner")
def deposited_by_another(w):
    def call(till, a):
        till.fill(w.stranger)
        return lambda: till.contract.send(w.stranger, "deposit", a.id, 1, COIN)

    return paying(w, call)


@refusal("collateral: grace after outage")
def in_a_grace_period(w):
    def call(till, a):
        for _ in range(7):
            w.jump(ETH=4_000)
        w.jump(BTC=100_000)
        return lambda: till.contract.send(a.owner.address, "deposit", a.id, 1, COIN)

    return paying(w, call)


@refusal("price: stale")
def with_a_silent_feed(w):
    def call(till, a):
        for _ in range(7):
            w.jump(ETH=4_000)
        return lambda: till.contract.send(a.owner.address, "deposit", a.id, 1, COIN)

    return paying(w, call)


@refusal("token: refused")
def deposit_refused(w):
    def call(till, a):
        till.mode(RETURNS_FALSE)
        return lambda: till.contract.send(a.owner.address, "deposit", a.id, 1, COIN)

    return paying(w, call)


@refusal("token: refused")
def withdrawal_refused(w):
    def call(till, a):
        till.mode(RETURNS_FALSE)
        return lambda: till.contract.send(a.owner.address, "withdraw", a.id, 1, COIN, w.stranger)

    return paying(w, call)


@refusal("token: took too much")
def took_more(w):
    def call(till, a):
        b = till.trader("b")
        till.deposit(b, COIN)
        till.mode(TAKES_MORE)
        return lambda: till.contract.send(a.owner.address, "withdraw", a.id, 1, COIN, w.stranger)

    return paying(w, call)


@refusal("token: balance fell")
def falling(w):
    a, token = w.trader(), w.chain.deploy(FALLING)
    door = w.protocol.collateral
    token.send(w.stranger, "mint", door.address, 10)
    door.send(w.owner, "list_token", 1, token.address, 1, 10**9, 1)
    return lambda: door.send(a.owner.address, "deposit", a.id, 1, 10)


@refusal("collateral: below minimum")
def nothing(w):
    return paying(w, lambda till, a: lambda: till.contract.send(a.owner.address, "deposit", a.id, 1, LOT - 1))


@refusal("collateral: below minimum")
def too_little(w):
    less = (10**5 - 1) * LOT
    return paying(w, lambda till, a: lambda: till.contract.send(a.owner.address, "deposit", a.id, 1, less))


@refusal("collateral: cap")
def above_the_cap(w):
    def call(till, a):
        return lambda: till.contract.send(a.owner.address, "deposit", a.id, 1, COIN + LOT)

    return paying(w, call, cap=2 * 10**8)


@refusal("collateral: cap")
def a_balance_beyond_all(w):
    def call(till, a):
        till.token.send(w.stranger, "set_mode", 6)  # it mints a great deal in the middle of the payment
        gift = till.token.encode("mint", till.contract.address, 2**256 - 1 - 10**21)
        till.token.send(w.stranger, "set_reentry", till.token.address, gift)
        return lambda: till.contract.send(a.owner.address, "deposit", a.id, 1, COIN)

    return paying(w, call)


@refusal("collateral: not owner")
def of_another(w):
    return paying(
        w, lambda till, a: lambda: till.contract.send(w.stranger, "withdraw", a.id, 1, COIN, w.stranger)
    )


@refusal("collateral: bad receiver")
def to_nobody(w):
    return paying(
        w, lambda till, a: lambda: till.contract.send(a.owner.address, "withdraw", a.id, 1, COIN, ZERO)
    )


@refusal("collateral: bad receiver")
def to_itself(w):
    def call(till, a):
        here = till.contract.address
        return lambda: till.contract.send(a.owner.address, "withdraw", a.id, 1, COIN, here)

    return paying(w, call)


@refusal("collateral: bad amount")
def nothing_out(w):
    return paying(
        w, lambda till, a: lambda: till.contract.send(a.owner.address, "withdraw", a.id, 1, 0, w.stranger)
    )


@refusal("collateral: bad amount")
def everything_there_could_be(w):
    def call(till, a):
        return lambda: till.contract.send(a.owner.address, "withdraw", a.id, 1, 2**256 - 1, w.stranger)

    return paying(w, call)


@refusal("clearing: not a root account")
def into_a_vault(w):
    def call(till, a):
        return lambda: till.contract.send(a.owner.address, "deposit", a.vault("BTC"), 1, COIN)

    return paying(w, call)


@refusal("book: spot below zero")
def more_than_held(w):
    def call(till, a):
        return lambda: till.contract.send(a.owner.address, "withdraw", a.id, 1, COIN + 1, w.stranger)

    return paying(w, call)


@refusal("access: paused")
def in_a_pause(w):
    def call(till, a):
        w.pause()
        return lambda: till.contract.send(a.owner.address, "withdraw", a.id, 1, COIN, w.stranger)

    return paying(w, call)


@refusal("clearing: not a source door")
def not_a_door(w):
    def call(till, a):
        w.access.send(w.owner, "set_door", till.contract.address, 0)
        return lambda: till.contract.send(a.owner.address, "deposit", a.id, 1, COIN)

    return paying(w, call)


@pytest.mark.parametrize(("reason", "spec", "token", "case"), refusal.cases)
def test_refused(reason, spec, token, case):
    check(reason, spec, token, case)


def test_every_reason_is_reached():
    assert reasons_in("Collateral.vy") <= refusal.reasons
