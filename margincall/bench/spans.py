"""SpanMargin as the rule of PORTFOLIO accounts: the other engine of contracts/ENGINES.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from margincall.bench.stage import Stage
from margincall.chain import Contract
from margincall.protocol.artifacts import artifact

RULE = 2  # of PORTFOLIO accounts (Clearinghouse.set_engine)
TERMS = (3_277, 5_000, 50_000)  # a scan range of 15 %, short minimum 0.5 %, haircut 5 %
BATCH = 32  # risk arrays a transaction


def use_span(stage: Stage, expiry: int, ladders: Mapping[int, Sequence[int]]) -> Contract:
    """Deploy SpanMargin, make the risk arrays of strikes (USD) by market, let it judge PORTFOLIO accounts."""
    protocol, chain = stage.protocol, stage.chain
    span = chain.deploy(artifact("SpanMargin"), protocol.markets.address, protocol.portfolio.address)
    deployer = chain.accounts[0]
    for market, ladder in ladders.items():
        span.send(deployer, "set_terms", market, TERMS)
        for first in range(0, len(ladder), BATCH):
            some = [strike * 10**7 for strike in ladder[first : first + BATCH]]
            span.send(deployer, "refresh", market, expiry, some)
    stage.as_owner(protocol.clearinghouse, "set_engine", RULE, span.address)
    protocol.contracts["SpanMargin"] = span
    return span
