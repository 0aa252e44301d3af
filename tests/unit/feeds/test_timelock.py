"""Timelock: what it owns changes no sooner than announced."""

import pytest
from eth_account import Account

SIGNERS = [Account.from_key(bytes([9]) * 31 + bytes([i])).address for i in range(3)]
DELAY = 100
ZERO = bytes(32)


@pytest.fixture
def executor(chain):
    return chain.accounts[2]


@pytest.fixture
def timelock(deploy, owner, executor):
    """The owner proposes and cancels, the executor executes."""
    return deploy("Timelock", DELAY, [owner], [executor])


@pytest.fixture
def feed(deploy, owner, executor, timelock):
    """A feed handed over to the timelock: accepting the ownership is its first operation."""
    feed = deploy("SignedFeed", SIGNERS, 2)
    feed.send(owner, "transfer_ownership", timelock.address)
    operation = operate(feed, "accept_ownership")
    timelock.send(owner, "schedule", *operation, DELAY)
    timelock.send(executor, "execute", *operation, at=timelock.chain.timestamp + DELAY)
    return feed


def operate(target, function, *args):
    """target, value, calldata, predecessor, salt"""
    return target.address, 0, target.encode(function, *args), ZERO, ZERO


def test_owns_what_accepts_it(feed, timelock, owner, refused):
    assert feed.call("owner") == timelock.address
    with refused("ownable: caller is not the owner"):
        feed.send(owner, "set_quorum", 1)


def test_executes_after_the_delay_and_once(chain, feed, timelock, owner, executor, refused):
    operation = operate(feed, "set_quorum", 3)
    timelock.send(owner, "schedule", *operation, DELAY)
    ready = chain.timestamp + DELAY
    with refused("timelock_controller: operation is not ready"):
        timelock.send(executor, "execute", *operation, at=ready - 1)
    timelock.send(executor, "execute", *operation, at=ready)
    assert feed.call("quorum") == 3
    with refused("timelock_controller: operation is not ready"):
        timelock.send(executor, "execute", *operation)


def test_passes_the_targets_reason_on(chain, feed, timelock, owner, executor, refused):
    operation = operate(feed, "set_quorum", 4)
    timelock.send(owner, "schedule", *operation, DELAY)
    with refused("feed: quorum bound"):
        timelock.send(executor, "execute", *operation, at=chain.timestamp + DELAY)


def test_roles_and_delay_bind(chain, feed, timelock, owner, stranger, executor, refused):
    operation = operate(feed, "set_quorum", 3)
    missing = "access_control: account is missing role"
    for sender in (stranger, executor):
        with refused(missing):
            timelock.send(sender, "schedule", *operation, DELAY)
    with refused("timelock_controller: insufficient delay"):
        timelock.send(owner, "schedule", *operation, DELAY - 1)
    receipt = timelock.send(owner, "schedule", *operation, DELAY)
    identifier = timelock.events(receipt, "CallScheduled")[0].args["id"]
    for sender in (stranger, owner):
        with refused(missing):
            timelock.send(sender, "execute", *operation, at=chain.timestamp + DELAY)
    with refused(missing):
        timelock.send(stranger, "cancel", identifier)
    timelock.send(owner, "cancel", identifier)
    with refused("timelock_controller: operation is not ready"):
        timelock.send(executor, "execute", *operation)
    assert feed.call("quorum") == 2


def test_only_itself_administers(chain, timelock, owner, stranger, executor, refused):
    admin, proposer = timelock.call("DEFAULT_ADMIN_ROLE"), timelock.call("PROPOSER_ROLE")
    assert timelock.call("hasRole", admin, timelock.address)
    assert not timelock.call("hasRole", admin, owner)
    with refused("access_control: account is missing role"):
        timelock.send(owner, "grantRole", proposer, stranger)
    with refused("timelock_controller: caller must be timelock"):
        timelock.send(owner, "update_delay", 0)
    grant, faster = operate(timelock, "grantRole", proposer, stranger), operate(timelock, "update_delay", 7)
    for operation in (grant, faster):
        timelock.send(owner, "schedule", *operation, DELAY)
    for operation in (grant, faster):
        timelock.send(executor, "execute", *operation, at=chain.timestamp + DELAY)
    assert timelock.call("hasRole", proposer, stranger)
    assert timelock.call("get_minimum_delay") == 7


def test_fits_the_code_limit(chain, timelock, deploy):
    for contract in (timelock, deploy("SignedFeed", SIGNERS, 2), deploy("AggregatorFeed")):
        assert 0 < len(chain.code(contract.address)) < 24_576
