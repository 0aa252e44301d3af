"""Trades through Ape's default provider (ape-config.yaml: Anvil, started by Ape), as an Ape user sends them.

python -m margincall.bench.ape_lane 40    # prints {"trades_a_second": ...}
"""

from __future__ import annotations

import json
import sys
from time import perf_counter

from margincall.bench.speed import prepared
from margincall.chain.node import NodeChain


def main(count: int) -> None:
    from ape import accounts, networks  # a dependency of development only

    with networks.ethereum.local.use_default_provider() as provider:
        chain = NodeChain(provider.http_uri)
        _, target, payloads = prepared(chain, count)
        sender = accounts.test_accounts[0]
        began = perf_counter()
        for payload in payloads:
            sender.transfer(target, 0, data=payload)
        seconds = perf_counter() - began
    print(json.dumps({"trades_a_second": round(count / seconds, 1)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
