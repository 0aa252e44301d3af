"""Deposits, withdrawals, insurance and fees: what they move, what they say, and hostile tokens."""

import pytest

from margincall.protocol.artifacts import artifact
from tests.unit.clearinghouse.world import DEFAULT, THIN, USD, changes, storage, world

HOSTILE = artifact("HostileToken")
NORMAL, FEE, NO_RETURN, RETURNS_FALSE, BLACKLIST, NO_ZERO, REENTER, PAUSED, TAKES_MORE = range(9)
WITH_18 = DEFAULT._replace(token_decimals=18)
COIN = 10**12  # token units of a unit of money, at 18 decimals


def test_deposit_for_oneself_and_another():
    with world() as w:
        a, b = w.trader("a", 100), w.trader("b", 0)
        held, before = w.tokens(w.house.address), storage(w.chain)
        w.token.send(a.owner.address, "mint", a.owner.address, 70 * USD)
        receipt = w.house.send(a.owner.address, "deposit", b.id, 70 * USD)
        assert w.house.events(receipt, "Deposited")[0].args == {
            "account": b.id,
            "payer": a.owner.address,
            "amount": 70 * USD,
        }
        assert w.house.events(receipt, "Posted")[0].args["cash"] == 70 * USD
        assert (w.cash(a.id), w.cash(b.id)) == (100 * USD, 70 * USD)
        assert w.tokens(w.house.address) == held + 70 * USD
        # The tests of refusals compare storage: it sees the receiver's header and the token's balances.
        assert len(changes(before, storage(w.chain))) == 3


def test_withdraw_to_another():
    with world() as w:
        a = w.trader()
        receipt = a.withdraw(40, w.stranger)
        assert w.house.events(receipt, "Withdrawn")[0].args == {
            "account": a.id,
            "receiver": w.stranger,
            "amount": 40 * USD,
        }
        assert w.tokens(w.stranger) == 40 * USD
        assert w.cash(a.id) == 9_960 * USD


def test_close_account_pays_all_and_clears():
    with world() as w:
        a = w.trader()
        receipt = w.house.send(a.owner.address, "close_account", a.id, w.stranger)
        assert w.tokens(w.stranger) == 10_000 * USD
        assert w.house.call("account", a.id) == (0, [])
        assert w.house.events(receipt, "Withdrawn")[0].args["amount"] == 10_000 * USD
        w.house.send(a.owner.address, "close_account", a.id, w.stranger)  # an empty one pays nothing
        assert w.tokens(w.stranger) == 10_000 * USD


def test_insurance_is_seeded_and_funded():
    with world() as w:
        assert [w.pool(p)[0] // USD for p in range(4)] == [2_000_000, 500_000, 500_000, 500_000]
        w.token.send(w.stranger, "mint", w.stranger, 5 * USD)
        w.token.send(w.stranger, "approve", w.house.address, 5 * USD)
        receipt = w.house.send(w.stranger, "fund_insurance", 2, 5 * USD)
        assert w.house.events(receipt, "InsuranceFunded")[0].args == {"pool": 2, "amount": 5 * USD}
        assert w.pool(2) == (500_005 * USD, 0)


def test_fees_are_split_and_collected():
    with world() as w:
        a = w.trader()
        a.buy("BTC", "0.0123456")
        maker, taker = 12_345_600 * 200 // 10**4, 12_345_600 * 500 // 10**4  # of 1,234.56 USD
        insured, collected = w.pool(0)
        assert insured == 2_000_000 * USD + maker // 2 + taker // 2
        assert collected == maker + taker - maker // 2 - taker // 2
        receipt = w.house.send(w.stranger, "collect_fees", 0)
        assert w.house.events(receipt, "FeesCollected")[0].args == {"pool": 0, "amount": collected}
        assert w.tokens(w.treasury) == collected
        assert w.pool(0) == (insured, 0)


def test_donations_change_nothing():
    with world() as w:
        a = w.victim()
        later = w.chain.timestamp + 10

        def seen():
            summary = w.lens.call("summary", a.id, at=later)
            return w.house.call("account", a.id), [w.pool(pool) for pool in range(4)], summary

        before = seen()
        w.token.send(w.stranger, "mint", w.house.address, 10**9 * USD)
        assert seen() == before
        a.deposit(1)
        assert w.cash(a.id) == before[2].cash + USD


# ---------------------------------------------------------------- decimals


def test_18_decimals_round_against_the_user():
    with world(WITH_18) as w:
        a = w.trader(usd=10)
        owner = a.owner.address
        w.token.send(owner, "mint", owner, 3 * COIN)
        w.house.send(owner, "deposit", a.id, 2 * COIN - 1)
        assert w.cash(a.id) == 10 * USD + 1
        w.house.send(owner, "withdraw", a.id, COIN + 1, w.stranger)
        assert w.cash(a.id) == 10 * USD - 1
        assert w.tokens(w.stranger) == COIN + 1


def test_18_decimals_decide_as_6():
    """The same story in both: the same accounts, events and refusals, in money."""

    def story(spec):
        with world(spec) as w:
            a, k = w.victim(), w.liquidator()
            b = w.trader("b")
            b.buy("ETH", "1.2345", leverage=7, mode="isolated")
            receipt = w.protocol.liquidate(a.id, k)
            b.sell("ETH", "0.5", mode="isolated")
            w.jump(BTC=94_000)
            with w.refused("margin: below initial"):
                b.buy("BTC", 3)
            events = [(event.name, event.args) for event in w.house.events(receipt)]
            accounts = [w.house.call("account", account) for account in (a.id, b.id, b.vault("ETH"), k.id)]
            return events, accounts, [w.pool(pool) for pool in range(4)]

    # Owners derive from names, so ids are the same in both.
    assert story(DEFAULT) == story(WITH_18)


# ---------------------------------------------------------------- hostile tokens


@pytest.fixture
def hostile():
    with world(DEFAULT, HOSTILE) as w:
        yield w


def set_mode(w, mode):
    w.hostile.send(w.stranger, "set_mode", mode)


def test_a_tax_is_not_credited(hostile):
    w = hostile
    a = w.trader(usd=0)
    set_mode(w, FEE)
    a.deposit(100)
    assert w.cash(a.id) == 99 * USD
    held = w.tokens(w.house.address)
    a.withdraw(50, w.stranger)
    assert w.tokens(w.stranger) == int(49.5 * USD)
    assert w.cash(a.id) == 49 * USD
    assert w.tokens(w.house.address) == held - 50 * USD


def test_a_token_without_return_value(hostile):
    w = hostile
    set_mode(w, NO_RETURN)
    a = w.trader()
    a.withdraw(10)
    assert w.cash(a.id) == 9_990 * USD


def test_what_the_payer_loses_beyond_is_his(hostile):
    w = hostile
    a = w.trader(usd=0)
    w.token.send(a.owner.address, "mint", a.owner.address, 100 * USD)
    set_mode(w, TAKES_MORE)
    a.deposit(100)
    assert w.cash(a.id) == 100 * USD


@pytest.mark.parametrize("function", ["deposit", "withdraw"])
def test_a_paused_token(hostile, function):
    w = hostile
    a = w.trader()
    w.token.send(a.owner.address, "mint", a.owner.address, 100 * USD)
    set_mode(w, PAUSED)
    with w.refused("hostile: paused"):
        getattr(a, function)(1)


def test_a_blacklisted_receiver_does_not_lock_the_owner_in(hostile):
    w = hostile
    a = w.trader()
    set_mode(w, BLACKLIST)
    w.hostile.send(w.stranger, "set_blacklisted", a.owner.address, True)
    with w.refused("hostile: blacklisted"):
        a.withdraw(1)
    a.withdraw(1, w.stranger)
    assert w.tokens(w.stranger) == USD


def test_a_blacklisted_treasury_stops_nothing_else(hostile):
    w = hostile
    a = w.victim()
    set_mode(w, BLACKLIST)
    w.hostile.send(w.stranger, "set_blacklisted", w.treasury, True)
    with w.refused("hostile: blacklisted"):
        w.house.send(w.stranger, "collect_fees", 0)
    w.protocol.liquidate(a.id, w.liquidator())


def test_a_token_that_refuses_zero(hostile):
    w = hostile
    a = w.trader()
    set_mode(w, NO_ZERO)
    w.house.send(a.owner.address, "close_account", a.id, w.stranger)
    w.house.send(a.owner.address, "close_account", a.id, w.stranger)
    assert w.tokens(w.stranger) == 10_000 * USD


def reentries(w, a):
    """Calls into the protocol from the middle of a transfer."""
    return {
        "deposit": (w.house, ("deposit", a.id, 1)),
        "withdraw": (w.house, ("withdraw", a.id, 1, w.stranger)),
        "close_account": (w.house, ("close_account", a.id, w.stranger)),
        "fund_insurance": (w.house, ("fund_insurance", 0, 1)),
        "collect_fees": (w.house, ("collect_fees", 0)),
        "set_delegate": (w.access, ("set_delegate", w.stranger, 3, 2**40 - 1)),
        "margin": (w.house, ("margin", a.id)),
    }


@pytest.mark.parametrize("outer", ["deposit", "withdraw"])
@pytest.mark.parametrize("inner", ["deposit", "withdraw", "close_account", "fund_insurance", "collect_fees"])
def test_reentry_fails(hostile, outer, inner):
    w = hostile
    a = w.trader()
    a.buy("BTC", "0.01")  # there are fees to collect
    contract, call = reentries(w, a)[inner]
    w.token.send(a.owner.address, "mint", a.owner.address, 100 * USD)
    w.hostile.send(w.stranger, "set_reentry", contract.address, contract.encode(*call))
    set_mode(w, REENTER)
    cash = w.cash(a.id)
    getattr(a, outer)(10)
    assert w.hostile.call("reentries") == 1
    assert not w.hostile.call("reentry_succeeded")
    assert w.cash(a.id) == cash + (10 if outer == "deposit" else -10) * USD


def test_a_receiver_that_refuses_calls_is_no_obstacle():
    with world() as w:
        receiver = w.new("HostileReceiver", w.stranger)
        a = w.trader()
        a.withdraw(5, receiver.address)
        assert w.tokens(receiver.address) == 5 * USD


def test_thin_insurance_is_thin():
    with world(THIN) as w:
        assert [w.pool(pool)[0] for pool in range(4)] == [10 * USD] * 4
