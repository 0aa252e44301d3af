import pytest

from margincall.chain.embedded import EmbeddedChain

NOW = 1_700_000_000


@pytest.fixture
def chain():
    """Starts before NOW, so that transactions have room; feeds are read at NOW."""
    return EmbeddedChain(timestamp=NOW - 1_000)
