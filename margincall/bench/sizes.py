"""Bytes of deployed code."""

from __future__ import annotations

from margincall.bench.stage import many_markets
from margincall.chain import EmbeddedChain
from margincall.protocol.artifacts import artifact
from margincall.protocol.deploy import deploy

MARKETS = 63  # the most there can be: their terms are one contract's code


def sizes() -> dict[str, int]:
    """Of a deployment's contracts, of the other feed, of the terms of 63 markets."""
    chain = EmbeddedChain()
    protocol = deploy(chain, many_markets(MARKETS))
    found = {name: len(chain.code(contract.address)) for name, contract in protocol.contracts.items()}
    found["AggregatorFeed"] = len(chain.code(chain.deploy(artifact("AggregatorFeed")).address))
    terms = protocol.markets.call("book") & (2**160 - 1)
    found[f"terms of {MARKETS} markets"] = len(chain.code(f"0x{terms:040x}"))
    return dict(sorted(found.items()))
