"""AggregatorFeed: prices read from AggregatorV3 sources."""

import pytest
from eth_abi import encode

NOW = 1_700_000_000
BTC, ETH, SOL = 1, 2, 63
HEARTBEAT = 60


def pack(*markets):
    return encode(["uint256[]"], [markets])


def fetch(feed, payload):
    return feed.call("fetch", payload, at=NOW)


@pytest.fixture
def feed(deploy):
    return deploy("AggregatorFeed")


@pytest.fixture
def aggregator(deploy, owner):
    """Deploys an aggregator of so many decimals that gave its answer at NOW."""

    def make(decimals, answer):
        made = deploy("Aggregator", decimals, answer)
        made.send(owner, "set_round", 1, answer, NOW, NOW, 1)
        return made

    return make


@pytest.fixture
def source(feed, owner, aggregator):
    """BTC with one aggregator of 8 decimals, answering 61,234.56789012, and prices of 3 decimals."""
    mark = aggregator(8, 6_123_456_789_012)
    feed.send(owner, "set_source", BTC, mark.address, mark.address, 3, HEARTBEAT)
    return mark


def test_reads_mark_and_index(feed, owner, aggregator, source):
    index = aggregator(18, 61_000_123_999_999_999_999_999)
    feed.send(owner, "set_source", BTC, source.address, index.address, 3, HEARTBEAT)
    index.send(owner, "set_round", 9, 61_000_123_999_999_999_999_999, 0, NOW - 7, 9)
    assert fetch(feed, pack(BTC)) == [(BTC, 61_234_567, 61_000_123, NOW - 7)]
    source.send(owner, "set_round", 9, 6_123_456_789_012, 0, NOW - 8, 9)
    assert fetch(feed, pack(BTC)) == [(BTC, 61_234_567, 61_000_123, NOW - 8)]


def test_one_aggregator_may_serve_both(feed, source):
    assert fetch(feed, pack(BTC)) == [(BTC, 61_234_567, 61_234_567, NOW)]


def test_order_of_the_payload_is_kept(feed, owner, source):
    for market in (ETH, SOL):
        feed.send(owner, "set_source", market, source.address, source.address, 0, HEARTBEAT)
    reports = fetch(feed, pack(SOL, BTC, ETH))
    assert [report[:2] for report in reports] == [(SOL, 61_234), (BTC, 61_234_567), (ETH, 61_234)]
    assert fetch(feed, pack()) == []


@pytest.mark.parametrize(
    ("have", "answer", "want", "price"),
    [
        (8, 199_999_999, 0, 1),
        (8, 123_456_789, 8, 123_456_789),
        (8, 1, 8, 1),
        (8, 2**40 - 1, 8, 2**40 - 1),
        (6, 1_234_567, 8, 123_456_700),
        (2, 1, 14, 10**12),
        (36, 2 * 10**36 - 1, 0, 1),
        (36, 2**255 - 1, 0, "feed: price bound"),
        (18, 10**18 - 1, 0, "feed: zero price"),
        (8, 99, 6, "feed: zero price"),
        (8, 2**40, 8, "feed: price bound"),
        (0, 2, 12, "feed: price bound"),
        (0, 2**255 - 1, 14, "feed: price bound"),
        (0, 2**255 - 1, 0, "feed: price bound"),
        (37, 10**37, 8, "feed: decimals"),
        (255, 10**37, 8, "feed: decimals"),
    ],
)
def test_converts_decimals_rounding_down(feed, owner, aggregator, refused, have, answer, want, price):
    mark = aggregator(have, answer)
    feed.send(owner, "set_source", ETH, mark.address, mark.address, want, HEARTBEAT)
    if isinstance(price, int):
        assert fetch(feed, pack(ETH)) == [(ETH, price, price, NOW)]
    else:
        with refused(price):
            fetch(feed, pack(ETH))


def test_decimals_are_read_every_time(feed, owner, source):
    source.send(owner, "set_decimals", 10)
    assert fetch(feed, pack(BTC)) == [(BTC, 612_345, 612_345, NOW)]


ROUNDS = [
    ((5, 0, 0, NOW, 5), "feed: answer not positive"),
    ((5, -1, 0, NOW, 5), "feed: answer not positive"),
    ((5, -(2**255), 0, NOW, 5), "feed: answer not positive"),
    ((5, 10**8, 0, 0, 5), "feed: incomplete round"),
    ((5, 10**8, 0, NOW, 4), "feed: incomplete round"),
    ((5, 10**8, 0, NOW + 1, 5), "feed: published in future"),
    ((5, 10**8, 0, 2**256 - 1, 5), "feed: published in future"),
    ((5, 10**8, 0, NOW - HEARTBEAT - 1, 5), "feed: stale"),
]


@pytest.mark.parametrize("role", ["mark", "index"])
@pytest.mark.parametrize(("answer", "reason"), ROUNDS)
def test_refuses_bad_rounds(feed, owner, aggregator, source, refused, role, answer, reason):
    spoiled = aggregator(8, 1)
    spoiled.send(owner, "set_round", *answer)
    pair = (spoiled, source) if role == "mark" else (source, spoiled)
    feed.send(owner, "set_source", BTC, pair[0].address, pair[1].address, 3, HEARTBEAT)
    with refused(reason):
        fetch(feed, pack(BTC))


@pytest.mark.parametrize(("updated", "answered_in"), [(NOW - HEARTBEAT, 5), (NOW, 5), (NOW, 6)])
def test_accepts_the_edges(feed, owner, source, updated, answered_in):
    source.send(owner, "set_round", 5, 10**8, 0, updated, answered_in)
    assert fetch(feed, pack(BTC)) == [(BTC, 1_000, 1_000, updated)]


def test_goes_stale_with_time(feed, source, refused):
    assert feed.call("fetch", pack(BTC), at=NOW + HEARTBEAT)[0].published == NOW
    with refused("feed: stale"):
        feed.call("fetch", pack(BTC), at=NOW + HEARTBEAT + 1)
    with refused("feed: published in future"):
        feed.call("fetch", pack(BTC), at=NOW - 1)


@pytest.mark.parametrize("market", [0, 2, 64, 2**256 - 1])
def test_refuses_unknown_markets(feed, source, refused, market):
    with refused("feed: unknown market"):
        fetch(feed, pack(BTC, market))


def test_refuses_duplicates_and_market_ids_out_of_range(feed, owner, source, refused):
    with refused("feed: duplicate market"):
        fetch(feed, pack(BTC, BTC))
    for market in (0, 64, 2**256 - 1):
        with refused("feed: market id"):
            feed.send(owner, "set_source", market, source.address, source.address, 3, HEARTBEAT)


def test_refuses_malformed_payloads(feed, source, refused):
    for payload in (b"", pack(BTC)[:63], pack(BTC)[:95], pack(*range(1, 18))):
        with refused(""):
            fetch(feed, payload)


def test_owner_configures(feed, owner, aggregator, source):
    index = aggregator(8, 1)
    [event] = feed.events(feed.send(owner, "set_source", ETH, source.address, index.address, 14, 1))
    expected = {"market": ETH, "mark": source.address, "index": index.address, "decimals": 14, "heartbeat": 1}
    assert event[:2] == ("SourceChanged", expected)
    assert feed.call("sources", ETH) == (source.address, index.address, 14, 1)


def test_refuses_bad_configurations(feed, owner, stranger, source, refused):
    address = source.address
    for args, sender, reason in (
        ((BTC, address, address, 3, HEARTBEAT), stranger, "ownable: caller is not the owner"),
        ((BTC, stranger, address, 3, HEARTBEAT), owner, "feed: not a contract"),
        ((BTC, address, "0x" + "00" * 20, 3, HEARTBEAT), owner, "feed: not a contract"),
        ((BTC, address, address, feed.call("MAX_PRICE_DECIMALS") + 1, HEARTBEAT), owner, "feed: decimals"),
        ((BTC, address, address, 3, 0), owner, "feed: heartbeat"),
    ):
        with refused(reason):
            feed.send(sender, "set_source", *args)
