"""`ape run demo --network ethereum:local:foundry` (or :hardhat): the worked examples and an hour of the crash
of 10 October 2025 on the connected node, with 20 traders a mode."""

from ape import networks
from rich.console import Console

from margincall import data
from margincall.chain.node import NodeChain
from margincall.protocol.config import DEFAULT
from margincall.protocol.deploy import deploy
from margincall.replay.candles import moment_of, read
from margincall.replay.engine import Replay, Settings
from margincall.replay.examples import play
from margincall.replay.funding import read_funding
from margincall.replay.report import Bar, print_result

FROM, TO = "2025-10-10T20:45:00Z", "2025-10-10T21:40:00Z"


def main() -> None:
    provider, console = networks.active_provider, Console()
    chain = NodeChain(provider.uri, provider.chain_id)
    play(chain, DEFAULT, console)
    history = read(data.CANDLES, DEFAULT).cut(moment_of(FROM, "from"), moment_of(TO, "to"), None)
    funding = read_funding(data.FUNDING, DEFAULT, history)
    replay = Replay(deploy(chain, DEFAULT), history, funding, Settings(accounts=20))
    with Bar(console, len(history.times)) as bar:
        print_result(console, replay.run(bar))
