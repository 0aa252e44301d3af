"""What the tests of the small contracts share; their folders make the `chain`."""

from contextlib import contextmanager

import pytest

from margincall.chain.base import Reverted
from margincall.protocol.artifacts import artifact


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
