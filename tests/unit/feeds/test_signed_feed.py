"""SignedFeed: a quorum of signers vouches for a batch of reports."""

import pytest
from eth_abi import encode
from eth_account import Account

NOW = 1_700_000_000
BTC = (1, 6_012_345, 6_011_111, NOW - 2)
ETH = (2, 3_000_001, 3_000_002, NOW - 1)
TYPES = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
        {"name": "verifyingContract", "type": "address"},
    ],
    "Reports": [{"name": "reports", "type": "Report[]"}],
    "Report": [{"name": n, "type": "uint256"} for n in ("market", "mark", "index", "published")],
}
# Ten keys in ascending order of address: the first three are registered.
KEYS = sorted(
    (Account.from_key((0x5000 + i).to_bytes(32, "big")) for i in range(10)),
    key=lambda key: int(key.address, 16),
)
SIGNERS = KEYS[:3]
OUTSIDER = KEYS[3]


def sign(reports, keys, feed, chain_id):
    fields = ("market", "mark", "index", "published")
    message = {
        "types": TYPES,
        "primaryType": "Reports",
        "domain": {
            "name": "margincall feed",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": feed,
        },
        "message": {"reports": [dict(zip(fields, report, strict=True)) for report in reports]},
    }
    return [bytes(key.sign_typed_data(full_message=message).signature) for key in keys]


def pack(reports, signatures):
    return encode(["(uint256,uint256,uint256,uint256)[]", "bytes[]"], [reports, signatures])


def fetch(feed, payload):
    return feed.call("fetch", payload, at=NOW)


@pytest.fixture
def feed(deploy):
    return deploy("SignedFeed", [key.address for key in SIGNERS], 2)


@pytest.fixture
def payload(chain, feed):
    """A payload as an honest publisher makes it; any part can be replaced."""

    def make(reports, keys=SIGNERS[:2], signed=None, address=feed.address, chain_id=chain.chain_id):
        return pack(reports, sign(reports if signed is None else signed, keys, address, chain_id))

    return make


@pytest.mark.parametrize("count", [0, 1, 2, 3, 15, 16])
def test_a_quorum_is_believed(feed, payload, count):
    """eth_account hashes the typed data on its own: acceptance proves that the digests are equal."""
    reports = [(i + 1, 2**40 - 1 - i, i + 1, NOW - i) for i in range(count)]
    assert fetch(feed, payload(reports)) == reports


@pytest.mark.parametrize("keys", [SIGNERS[:2], SIGNERS[1:], [SIGNERS[0], SIGNERS[2]], SIGNERS])
def test_any_quorum_will_do(feed, payload, keys):
    assert fetch(feed, payload([ETH, BTC], keys)) == [ETH, BTC]


def test_largest_payload_fits(chain, deploy):
    keys = KEYS[:8]
    feed = deploy("SignedFeed", [key.address for key in keys], 8)
    reports = [(48 + i, 1, 1, NOW) for i in range(16)]
    data = pack(reports, sign(reports, keys, feed.address, chain.chain_id))
    assert len(data) <= 4096
    assert fetch(feed, data) == reports


def test_compact_signatures_count_once(feed, chain, refused):
    """An EIP-2098 signature is another form of the same signature, not another signer."""
    full = sign([BTC], SIGNERS[:2], feed.address, chain.chain_id)
    v, s = full[1][64], int.from_bytes(full[1][32:64], "big")
    compact = full[1][:32] + (s | (v - 27) << 255).to_bytes(32, "big")
    assert fetch(feed, pack([BTC], [full[0], compact])) == [BTC]
    with refused("feed: signer order"):
        fetch(feed, pack([BTC], [full[1], compact]))


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ([], "feed: quorum"),
        (SIGNERS[:1], "feed: quorum"),
        ([SIGNERS[0], SIGNERS[0]], "feed: signer order"),
        ([SIGNERS[1], SIGNERS[0]], "feed: signer order"),
        ([SIGNERS[0], SIGNERS[1], SIGNERS[1]], "feed: signer order"),
        ([SIGNERS[0], OUTSIDER], "feed: unknown signer"),
        ([*SIGNERS[:2], OUTSIDER], "feed: unknown signer"),
    ],
)
def test_refuses_what_is_no_quorum(feed, payload, refused, keys, reason):
    with refused(reason):
        fetch(feed, payload([BTC], keys))


@pytest.fixture
def lone(deploy):
    """A feed that needs one signature: what is not signed for it recovers to one unknown signer."""
    return deploy("SignedFeed", [key.address for key in SIGNERS], 1)


@pytest.mark.parametrize("field", range(4))
def test_refuses_a_tampered_report(lone, payload, refused, field):
    tampered = tuple(value - (i == field) for i, value in enumerate(ETH))
    with refused("feed: unknown signer"):
        fetch(lone, payload([BTC, tampered], SIGNERS[:1], signed=[BTC, ETH], address=lone.address))


@pytest.mark.parametrize("reports", [[ETH, BTC], [BTC], [BTC, ETH, (3, 1, 1, NOW)], []])
def test_refuses_another_batch(lone, payload, refused, reports):
    with refused("feed: unknown signer"):
        fetch(lone, payload(reports, SIGNERS[:1], signed=[BTC, ETH], address=lone.address))


def test_refuses_another_feeds_signature(lone, feed, payload, refused):
    with refused("feed: unknown signer"):
        fetch(lone, payload([BTC], SIGNERS[:1], address=feed.address))


def test_refuses_another_chains_signature(lone, payload, refused):
    with refused("feed: unknown signer"):
        fetch(lone, payload([BTC], SIGNERS[:1], address=lone.address, chain_id=1))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda s: b"", "feed: signer order"),
        (lambda s: s[:63], "feed: signer order"),
        (lambda s: s[:64] + b"\x00", "ecdsa: invalid signature"),
        (lambda s: bytes(32) + s[32:], "ecdsa: invalid signature"),
        (lambda s: s[:32] + b"\xff" * 32 + s[64:], "ecdsa: invalid signature `s` value"),
    ],
    ids=["empty", "63 bytes", "v of zero", "r of zero", "high s"],
)
def test_refuses_malformed_signatures(lone, chain, refused, spoil, reason):
    signature = sign([BTC], SIGNERS[:1], lone.address, chain.chain_id)[0]
    with refused(reason):
        fetch(lone, pack([BTC], [spoil(signature)]))


@pytest.mark.parametrize("size", [0, 63, 64, 200])
def test_refuses_a_malformed_payload(feed, payload, refused, size):
    with refused(""):
        fetch(feed, payload([BTC])[:size])


def test_refuses_more_signatures_or_reports_than_fit(feed, payload, refused):
    with refused(""):
        fetch(feed, payload([BTC], KEYS[:9]))
    with refused(""):
        fetch(feed, payload([(i + 1, 1, 1, NOW) for i in range(17)]))


@pytest.mark.parametrize(
    ("reports", "reason"),
    [
        ([(1, 0, 5, NOW)], "feed: zero price"),
        ([(1, 5, 0, NOW)], "feed: zero price"),
        ([(1, 2**40, 5, NOW)], "feed: price bound"),
        ([(1, 5, 2**40, NOW)], "feed: price bound"),
        ([(1, 5, 5, NOW + 1)], "feed: published in future"),
        ([(0, 5, 5, NOW)], "feed: market id"),
        ([(64, 5, 5, NOW)], "feed: market id"),
        ([(2**256 - 1, 5, 5, NOW)], "feed: market id"),
        ([BTC, BTC], "feed: duplicate market"),
        ([BTC, ETH, (1, 5, 5, NOW)], "feed: duplicate market"),
        ([BTC, (2, 0, 5, NOW)], "feed: zero price"),
    ],
)
def test_refuses_what_no_quorum_can_vouch_for(feed, payload, refused, reports, reason):
    with refused(reason):
        fetch(feed, payload(reports))


def test_price_published_this_second_is_not_in_the_future(feed, payload):
    assert fetch(feed, payload([(1, 1, 1, NOW)])) == [(1, 1, 1, NOW)]


def test_constructor_registers_and_refuses(deploy, owner, feed, refused):
    addresses = [key.address for key in KEYS]
    assert (feed.call("owner"), feed.call("signer_count"), feed.call("quorum")) == (owner, 3, 2)
    assert [feed.call("is_signer", address) for address in addresses] == [True] * 3 + [False] * 7
    for signers, quorum, reason in (
        ([], 0, "feed: quorum bound"),
        ([], 1, "feed: quorum bound"),
        (addresses[:3], 0, "feed: quorum bound"),
        (addresses[:3], 4, "feed: quorum bound"),
        ([addresses[0]] * 2, 1, "feed: signer unchanged"),
        (["0x" + "00" * 20], 1, "feed: zero signer"),
    ):
        with refused(reason):
            deploy("SignedFeed", signers, quorum)


def test_owner_changes_signers(feed, owner, payload, refused):
    [event] = feed.events(feed.send(owner, "set_signer", OUTSIDER.address, True))
    assert event[:2] == ("SignerChanged", {"signer": OUTSIDER.address, "registered": True})
    assert fetch(feed, payload([BTC], [SIGNERS[0], OUTSIDER])) == [BTC]
    [event] = feed.events(feed.send(owner, "set_signer", SIGNERS[0].address, False))
    assert event[:2] == ("SignerChanged", {"signer": SIGNERS[0].address, "registered": False})
    with refused("feed: unknown signer"):
        fetch(feed, payload([BTC], [SIGNERS[0], OUTSIDER]))
    assert feed.call("signer_count") == 3


def test_quorum_stays_reachable(feed, owner, refused):
    first, second = SIGNERS[0].address, SIGNERS[1].address
    feed.send(owner, "set_signer", first, False)
    with refused("feed: quorum bound"):
        feed.send(owner, "set_signer", second, False)
    with refused("feed: quorum bound"):
        feed.send(owner, "set_quorum", 3)
    with refused("feed: quorum bound"):
        feed.send(owner, "set_quorum", 0)
    [event] = feed.events(feed.send(owner, "set_quorum", 1))
    assert event[:2] == ("QuorumChanged", {"previous": 2, "current": 1})
    feed.send(owner, "set_signer", second, False)
    with refused("feed: quorum bound"):
        feed.send(owner, "set_signer", SIGNERS[2].address, False)


def test_signer_changes_that_are_none(feed, owner, refused):
    with refused("feed: signer unchanged"):
        feed.send(owner, "set_signer", SIGNERS[0].address, True)
    with refused("feed: signer unchanged"):
        feed.send(owner, "set_signer", OUTSIDER.address, False)
    with refused("feed: zero signer"):
        feed.send(owner, "set_signer", "0x" + "00" * 20, True)


def test_signers_are_bounded(feed, owner, refused):
    bound = feed.call("MAX_SIGNERS")
    for key in KEYS[3:bound]:
        feed.send(owner, "set_signer", key.address, True)
    assert feed.call("signer_count") == bound
    with refused("feed: too many signers"):
        feed.send(owner, "set_signer", KEYS[bound].address, True)


def test_only_the_owner_configures_and_handover_takes_two_steps(feed, owner, stranger, refused):
    for call in (("set_signer", OUTSIDER.address, True), ("set_quorum", 1), ("transfer_ownership", stranger)):
        with refused("ownable: caller is not the owner"):
            feed.send(stranger, *call)
    feed.send(owner, "transfer_ownership", stranger)
    assert feed.call("owner") == owner
    with refused("ownable_2step: caller is not the new owner"):
        feed.send(owner, "accept_ownership")
    feed.send(stranger, "accept_ownership")
    feed.send(stranger, "set_quorum", 1)
    assert feed.call("quorum") == 1
    with refused("ownable: caller is not the owner"):
        feed.send(owner, "set_quorum", 2)
