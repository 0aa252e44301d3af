"""A short replay of the crash ends on real nodes with every balance of the embedded run, to the unit."""

import pytest

from margincall import data
from margincall.chain import Chain, EmbeddedChain
from margincall.model.accounts import unpack_header
from margincall.model.book import unpack
from margincall.protocol.config import DEFAULT
from margincall.protocol.deploy import deploy
from margincall.replay.candles import moment_of, read
from margincall.replay.engine import Replay
from margincall.replay.funding import read_funding
from margincall.replay.result import Settings

FROM, TO = "2025-10-10T21:05:00Z", "2025-10-10T21:25:00Z"


def _on_the_candles_clock(replay: Replay, account: int) -> tuple:
    """(header, perp words, segments of the book) as stored; expiries are as far from now on every chain."""
    header, words = replay.books.read(account)
    perps = unpack_header(header)[1] + 1 >> 1
    segments = unpack(words[perps:])
    for segment in segments:
        segment.expiry -= replay._shift
    return header, words[:perps], segments


def _ended(chain: Chain, gap: bool) -> tuple[dict, dict]:
    """(what the chain stores, what the run counted)."""
    history = read(data.CANDLES, DEFAULT).cut(moment_of(FROM, "from"), moment_of(TO, "to"), None)
    funding = read_funding(data.FUNDING, DEFAULT, history)
    protocol = deploy(chain, DEFAULT)
    replay = Replay(protocol, history, funding, Settings(accounts=5, seed=3, gap=gap))
    result = replay.run()
    house = protocol.clearinghouse
    stored = {account: _on_the_candles_clock(replay, account) for account in replay.everyone}
    stored |= {("pool", i): house.call("pools", i) for i in range(4)}
    stored |= {("interest", i): house.call("open_interest", i) for i in (1, 2, 3)}
    stored["token"] = protocol.token.call("balanceOf", house.address)
    counted = {mode: vars(found) for mode, found in result.modes.items()}
    assert result.conservation_error == 0
    assert result.sweeps == 1
    assert all(found["liquidations"] > 0 for found in counted.values())
    return stored, counted


@pytest.fixture(scope="module")
def embedded_runs() -> dict:
    return {gap: _ended(EmbeddedChain(), gap) for gap in (False, True)}


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("node", ["anvil", "hardhat"])
def test_a_node_agrees_with_the_embedded_chain(request, node, gap, embedded_runs):
    assert _ended(request.getfixturevalue(node), gap) == embedded_runs[gap]


def test_a_chain_ahead_of_the_candles_ends_the_same(embedded_runs):
    ahead = EmbeddedChain(timestamp=moment_of("2030-01-01T00:00:00Z", "ahead"))
    assert _ended(ahead, False) == embedded_runs[False]
