"""Token behaves; HostileToken misbehaves as its mode says, and only so."""

import pytest

from margincall.chain.base import revert_reason

TRUE, FALSE = (1).to_bytes(32, "big"), bytes(32)
SUPPLY = 10**12


@pytest.fixture
def holder(chain):
    return chain.accounts[2]


@pytest.fixture
def receiver(chain):
    return chain.accounts[3]


@pytest.fixture
def spender(chain):
    return chain.accounts[4]


@pytest.fixture
def token(deploy, holder, spender):
    token = deploy("Token", "Test dollar", "tUSD", 6)
    return fund(token, holder, spender)


@pytest.fixture
def hostile(deploy, holder, spender):
    token = deploy("HostileToken", "Hostile dollar", "hUSD", 18)
    return fund(token, holder, spender)


@pytest.fixture
def set_mode(hostile, stranger):
    return lambda name: hostile.send(stranger, "set_mode", hostile.call(name))


def fund(token, holder, spender):
    token.send(holder, "mint", holder, SUPPLY)
    token.send(holder, "approve", spender, SUPPLY)
    return token


def balances(token, *accounts):
    return [token.call("balanceOf", account) for account in accounts]


def test_metadata(token, hostile):
    for contract, expected in (
        (token, ["Test dollar", "tUSD", 6]),
        (hostile, ["Hostile dollar", "hUSD", 18]),
    ):
        assert [contract.call(name) for name in ("name", "symbol", "decimals")] == expected


@pytest.mark.parametrize("name", ["token", "hostile"])
def test_ordinary_transfers(request, name, holder, receiver, spender):
    token = request.getfixturevalue(name)
    moved = token.send(holder, "transfer", receiver, 300)
    assert moved.output == TRUE
    [event] = token.events(moved)
    assert event[:2] == ("Transfer", {"sender": holder, "receiver": receiver, "value": 300})
    assert token.send(spender, "transferFrom", holder, receiver, 700).output == TRUE
    assert balances(token, holder, receiver) == [SUPPLY - 1000, 1000]
    assert token.call("allowance", holder, spender) == SUPPLY - 700
    assert token.call("totalSupply") == SUPPLY


def test_ordinary_refusals(token, hostile, holder, receiver, spender, refused):
    for contract, balance, allowance in (
        (token, "erc20: transfer amount exceeds balance", "erc20: insufficient allowance"),
        (hostile, "hostile: balance", "hostile: allowance"),
    ):
        with refused(balance):
            contract.send(holder, "transfer", receiver, SUPPLY + 1)
        with refused(allowance):
            contract.send(spender, "transferFrom", holder, receiver, SUPPLY + 1)
        contract.send(holder, "approve", spender, 2**256 - 1)
        contract.send(spender, "transferFrom", holder, receiver, SUPPLY)
        assert contract.call("allowance", holder, spender) == 2**256 - 1


@pytest.mark.parametrize(("amount", "fee"), [(0, 0), (1, 1), (100, 1), (101, 2), (10_000, 100)])
def test_fee_on_transfer(hostile, set_mode, holder, receiver, spender, amount, fee):
    set_mode("FEE_ON_TRANSFER")
    assert hostile.send(holder, "transfer", receiver, amount).output == TRUE
    assert hostile.send(spender, "transferFrom", holder, receiver, amount).output == TRUE
    assert balances(hostile, holder, receiver) == [SUPPLY - 2 * amount, 2 * (amount - fee)]
    assert hostile.call("totalSupply") == SUPPLY - 2 * fee


def test_returns_nothing(hostile, set_mode, holder, receiver, spender):
    set_mode("NO_RETURN")
    assert hostile.send(holder, "transfer", receiver, 5).output == b""
    assert hostile.send(spender, "transferFrom", holder, receiver, 5).output == b""
    assert balances(hostile, receiver) == [10]


def test_returns_false_without_moving(hostile, set_mode, holder, receiver, spender):
    set_mode("RETURNS_FALSE")
    for call in ((holder, "transfer", receiver, 5), (spender, "transferFrom", holder, receiver, 5)):
        receipt = hostile.send(*call)
        assert receipt.output == FALSE
        assert receipt.logs == []
    assert balances(hostile, holder, receiver) == [SUPPLY, 0]
    assert hostile.call("allowance", holder, spender) == SUPPLY


def test_blacklist(hostile, set_mode, holder, receiver, stranger, refused):
    hostile.send(stranger, "set_blacklisted", receiver, True)
    hostile.send(holder, "transfer", receiver, 5)
    set_mode("BLACKLIST")
    with refused("hostile: blacklisted"):
        hostile.send(holder, "transfer", receiver, 5)
    with refused("hostile: blacklisted"):
        hostile.send(receiver, "transfer", holder, 5)
    hostile.send(holder, "transfer", stranger, 5)
    hostile.send(stranger, "set_blacklisted", receiver, False)
    hostile.send(receiver, "transfer", holder, 5)
    assert balances(hostile, holder, receiver, stranger) == [SUPPLY - 5, 0, 5]


def test_zero_amount(hostile, set_mode, holder, receiver, spender, refused):
    hostile.send(holder, "transfer", receiver, 0)
    set_mode("NO_ZERO_AMOUNT")
    for call in ((holder, "transfer", receiver, 0), (spender, "transferFrom", holder, receiver, 0)):
        with refused("hostile: zero amount"):
            hostile.send(*call)
    assert hostile.send(holder, "transfer", receiver, 1).output == TRUE


def test_paused(hostile, set_mode, holder, receiver, spender, refused):
    set_mode("PAUSED")
    for call in ((holder, "transfer", receiver, 5), (spender, "transferFrom", holder, receiver, 5)):
        with refused("hostile: paused"):
            hostile.send(*call)
    set_mode("NORMAL")
    assert hostile.send(holder, "transfer", receiver, 5).output == TRUE


def test_takes_more_than_asked(hostile, set_mode, holder, receiver, spender):
    set_mode("TAKES_MORE")
    hostile.send(holder, "transfer", receiver, 1_000)
    hostile.send(spender, "transferFrom", holder, receiver, 1)
    assert balances(hostile, holder, receiver) == [SUPPLY - 1_010 - 2, 1_001]
    assert hostile.call("allowance", holder, spender) == SUPPLY - 1
    assert hostile.call("totalSupply") == SUPPLY - 11
    rest = hostile.call("balanceOf", holder)
    hostile.send(holder, "transfer", receiver, rest)
    assert balances(hostile, holder, receiver) == [0, 1_001 + rest]


def test_reenters_once_a_transfer_and_remembers(hostile, set_mode, holder, receiver, spender, stranger):
    """The nested call is a transfer of the same token: its locks and its mode must not stop it."""
    hostile.send(holder, "mint", hostile.address, 8)
    nested = hostile.encode("transfer", receiver, 8)
    hostile.send(stranger, "set_reentry", hostile.address, nested)
    hostile.send(holder, "transfer", receiver, 1)
    assert hostile.call("reentries") == 0
    set_mode("REENTER")
    assert hostile.send(holder, "transfer", receiver, 1).output == TRUE
    assert (hostile.call("reentries"), hostile.call("reentry_succeeded")) == (1, True)
    assert hostile.call("reentry_output") == TRUE
    assert balances(hostile, hostile.address, receiver) == [0, 10]
    # Nothing is left for a second one: it fails, which the outer transfer survives.
    assert hostile.send(spender, "transferFrom", holder, receiver, 1).output == TRUE
    assert (hostile.call("reentries"), hostile.call("reentry_succeeded")) == (2, False)
    assert revert_reason(hostile.call("reentry_output")) == "hostile: balance"
    assert balances(hostile, receiver) == [11]


def test_modes_are_known(hostile, stranger, refused):
    last = hostile.call("TAKES_MORE")
    with refused("hostile: unknown mode"):
        hostile.send(stranger, "set_mode", last + 1)
    hostile.send(stranger, "set_mode", last)
    assert hostile.call("mode") == last
