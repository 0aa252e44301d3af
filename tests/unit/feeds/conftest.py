from contextlib import contextmanager

import pytest

from margincall.chain.base import Reverted
from margincall.chain.embedded import EmbeddedChain
from margincall.protocol.artifacts import artifact

NOW = 1_700_000_000


@pytest.fixture
def chain():
    """Starts before NOW, so that transactions have room; feeds are read at NOW."""
    return EmbeddedChain(timestamp=NOW - 1_000)


@pytest.fixture
def owner(chain):
    return chain.accounts[0]


@pytest.fixture
def stranger(chain):
    return chain.accounts[1]


@pytest.fixture
def deploy(chain, owner):
    """Deploys a contract by its name, from the owner."""
    return lambda name, *args: chain.deploy(artifact(name), *args, sender=owner)


@pytest.fixture
def refused():
    """The block reverts, for this reason and no other."""

    @contextmanager
    def check(reason):
        with pytest.raises(Reverted) as caught:
            yield
        assert caught.value.reason == reason

    return check
