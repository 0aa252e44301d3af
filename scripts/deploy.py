"""`ape run deploy --network ethereum:local:foundry` (or :hardhat): the protocol on the connected node.

Writes deployments/<chain-id>.json.
"""

from pathlib import Path

from ape import networks

from margincall.chain.node import NodeChain
from margincall.protocol.config import DEFAULT
from margincall.protocol.deploy import deploy, save

FOLDER = Path(__file__).resolve().parents[1] / "deployments"


def main() -> None:
    provider = networks.active_provider
    protocol = deploy(NodeChain(provider.uri, provider.chain_id), DEFAULT)
    print(f"written: {save(protocol, FOLDER)}")
