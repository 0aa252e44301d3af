"""`ape run demo --network ethereum:local:foundry` (or :hardhat): the worked examples on the connected node,
then the crash of 10 October 2025 in process.

The replay's thousands of transactions are not sent to the node: the Anvil that Ape starts keeps every step of
every transaction in memory (the examples alone take about 4 GB of it; Hardhat and an Anvil of one's own take
little, and `margincall replay --rpc URL` replays on them).
"""

from ape import networks
from rich.console import Console

from margincall.chain.node import NodeChain
from margincall.cli import program
from margincall.protocol.config import DEFAULT
from margincall.replay.examples import play


def main() -> None:
    provider = networks.active_provider
    play(NodeChain(provider.uri, provider.chain_id), DEFAULT, Console())
    program.main(["replay"], standalone_mode=False)
