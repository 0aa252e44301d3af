import pytest

from margincall.chain.embedded import EmbeddedChain

NOW = 1_700_000_000


@pytest.fixture
def chain():
    return EmbeddedChain(timestamp=NOW - 1_000)


@pytest.fixture
def curves(deploy, owner):
    """The value curves over a surface that says what it is told; sheets as code, an hour of use."""
    made = deploy("CurvesHarness", deploy("Pricing").address)
    made.send(owner, "set_curves", made.address, 3_600, False)
    return made
