import pytest

from margincall.chain.embedded import EmbeddedChain


@pytest.fixture
def chain():
    return EmbeddedChain()
