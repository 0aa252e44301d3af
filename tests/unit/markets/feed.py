"""Feeds and callers that only tests need."""

from eth_abi import encode

from margincall.protocol.deploy import rules_tuple
from tests.unit.clearinghouse.world import World, inline

ECHO = inline(
    "EchoFeed",
    """
# pragma version 0.4.3
# A feed that believes every payload: what the markets themselves refuse shows here.
from contracts.interfaces import IPriceFeed
implements: IPriceFeed

@external
@view
def fetch(payload: Bytes[4096]) -> DynArray[IPriceFeed.Report, 16]:
    return abi_decode(payload, DynArray[IPriceFeed.Report, 16])
""",
)

CALLER = inline(
    "Caller",
    """
# pragma version 0.4.3
# Several calls in one transaction.
struct Call:
    target: address
    data: Bytes[8192]

@external
def run(calls: DynArray[Call, 4]):
    for call: Call in calls:
        raw_call(call.target, call.data)
""",
)


def echo(w: World, *symbols: str):
    """Give the markets of `symbols` (default BTC) a feed that believes everything."""
    feed = w.chain.deploy(ECHO)
    for symbol in symbols or ("BTC",):
        market = w.market(symbol)
        w.markets.send(w.owner, "set_rules", market.id, rules_tuple(feed.address, market.rules))
    return feed


def payload(*reports: tuple) -> bytes:
    """(market, mark, index, published), price units."""
    return encode(["(uint256,uint256,uint256,uint256)[]"], [list(reports)])
