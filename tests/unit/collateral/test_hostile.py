"""Tokens that lie, block or reenter: refused, or harmful to nobody but who holds them."""

import pytest

from margincall.model import Refused
from margincall.model.accounts import root
from tests.unit.clearinghouse.world import world
from tests.unit.collateral.till import (
    BLACKLIST,
    FEE,
    NO_RETURN,
    NO_ZERO,
    NORMAL,
    PAUSED,
    REENTER,
    RETURNS_FALSE,
    TAKES_MORE,
    Till,
)

COIN = 10**18
LOT = 10**10


@pytest.fixture
def till():
    with world() as w:
        yield Till(w)


def test_a_fee_is_paid_by_who_pays_in(till):
    """1 % is kept by the token on the way in: 0.99 coins arrive, 0.99 are credited; on the way out too."""
    a = till.trader("a")
    till.mode(FEE)
    till.deposit(a, COIN, arrived=99 * COIN // 100)
    assert till.lots(a) == 99 * 10**6
    before = till.pocket(a)
    till.withdraw(a, COIN // 2)
    assert till.pocket(a) == before + 99 * COIN // 200


def test_a_fee_that_leaves_too_little(till):
    a = till.trader("a")
    till.mode(FEE)
    with pytest.raises(Refused, match="collateral: below minimum"):
        till.deposit(a, 10**5 * LOT, arrived=10**5 * LOT * 99 // 100)


@pytest.mark.parametrize("mode", [NO_RETURN, NO_ZERO, BLACKLIST])
def test_oddities_that_do_no_harm(till, mode):
    a = till.trader("a")
    till.mode(mode)
    till.deposit(a, COIN)
    till.withdraw(a, COIN)
    assert till.pocket(a) == 10**20


@pytest.mark.parametrize(("mode", "reason"), [(RETURNS_FALSE, "token: refused"), (PAUSED, "hostile: paused")])
def test_a_token_that_says_no_blocks_itself_alone(till, mode, reason):
    """The account trades on, its cash leaves, its other spot leaves."""
    a = till.trader("a")
    till.deposit(a, COIN)
    other = Till(till.w, "ETH")
    other.accounts.append(a)
    other.fill(a.owner.address)
    other.deposit(a, COIN)
    till.mode(mode)
    for call in (
        ("deposit", a.id, 1, COIN),
        ("withdraw", a.id, 1, COIN, a.owner.address),
    ):
        with till.w.refused(reason):
            till.contract.send(a.owner.address, *call)
    other.withdraw(a, COIN)
    a.withdraw(9_000)
    a.buy("ETH", 1)
    a.close("ETH")
    till.agreed()


def test_a_blocked_receiver_blocks_himself(till):
    a, b = till.trader("a"), till.trader("b")
    till.deposit(a, COIN)
    till.deposit(b, COIN)
    till.mode(BLACKLIST)
    till.token.send(till.w.stranger, "set_blacklisted", a.owner.address, True)
    with till.w.refused("hostile: blacklisted"):
        till.contract.send(a.owner.address, "withdraw", a.id, 1, COIN, a.owner.address)
    till.withdraw(b, COIN)
    till.withdraw(a, COIN, till.w.stranger)


def test_a_token_that_takes_more_does_not_leave(till):
    """It would take what others hold."""
    a, b = till.trader("a"), till.trader("b")
    till.deposit(a, COIN)
    till.deposit(b, COIN)
    till.mode(TAKES_MORE)
    with till.w.refused("token: took too much"):
        till.contract.send(a.owner.address, "withdraw", a.id, 1, COIN, a.owner.address)
    till.deposit(a, COIN)  # it takes more from the payer: his affair
    till.mode(NORMAL)
    till.withdraw(a, 2 * COIN)
    till.withdraw(b, COIN)


@pytest.mark.parametrize("call", ["deposit", "withdraw"])
def test_reentering_is_refused(till, call):
    """The token has an account of its own and may pay in and out, only not in the middle of a payment."""
    a, own = till.trader("a"), root(till.token.address)
    here, token, stranger = till.contract.address, till.token, till.w.stranger
    till.contract.send(a.owner.address, "deposit", a.id, 1, COIN)
    token.send(stranger, "mint", token.address, 2 * COIN)
    token.send(stranger, "mint", stranger, COIN)

    def while_it_moves(target, data: bytes, moving) -> bool:
        """Whether a call in the middle of a movement of the token succeeds."""
        token.send(stranger, "set_reentry", target, data)
        till.mode(REENTER)
        before = token.call("reentries")
        moving()
        till.mode(NORMAL)
        assert token.call("reentries") == before + 1
        return token.call("reentry_succeeded")

    def elsewhere():
        token.send(stranger, "transfer", a.owner.address, 1)

    assert while_it_moves(token.address, token.encode("approve", here, 2 * COIN), elsewhere)
    assert while_it_moves(here, till.contract.encode("deposit", own, 1, COIN), elsewhere)
    arguments = {"deposit": (own, 1, COIN // 4), "withdraw": (own, 1, COIN // 4, token.address)}
    data = till.contract.encode(call, *arguments[call])
    owner = a.owner.address
    for moving in (
        lambda: till.contract.send(owner, "deposit", a.id, 1, COIN),
        lambda: till.contract.send(owner, "withdraw", a.id, 1, COIN, owner),
    ):
        assert not while_it_moves(here, data, moving)
    assert while_it_moves(here, data, elsewhere)
    total = till.contract.call("listing", 1)[2]
    assert total == 2 * 10**8 + (25 * 10**6 if call == "deposit" else -25 * 10**6)
    assert till.held() == total * LOT


def test_a_token_that_pays_itself_in_the_middle(till):
    """What a reentering token sends here while a payment is counted arrived, and is covered."""
    a = till.trader("a")
    till.token.send(till.w.stranger, "mint", till.token.address, COIN)
    gift = till.token.encode("transfer", till.contract.address, COIN)
    till.token.send(till.w.stranger, "set_reentry", till.token.address, gift)
    till.mode(REENTER)
    till.deposit(a, COIN, arrived=2 * COIN)
    assert till.token.call("reentry_succeeded")
    assert till.lots(a) == 2 * 10**8
