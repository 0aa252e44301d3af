from contextlib import contextmanager

import pytest

from margincall.chain.base import Reverted
from margincall.chain.embedded import EmbeddedChain
from margincall.protocol.artifacts import artifact


@pytest.fixture
def chain():
    return EmbeddedChain()


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
