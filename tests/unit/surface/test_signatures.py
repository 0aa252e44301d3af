"""Volatility reports are believed when a quorum signed exactly these, for this feed, on this chain."""

import pytest
from eth_abi import encode
from eth_account import Account

from margincall.chain.keys import key
from margincall.protocol.orders import Report, domain, feed_payload
from tests.unit.surface.conftest import ETH, MONTH, NOW, SIGNERS, WEEK, smile

FIELDS = ("market", "expiry", "atm", "skew", "curvature", "published")
TYPES = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
        {"name": "verifyingContract", "type": "address"},
    ],
    "Vols": [{"name": "reports", "type": "VolReport[]"}],
    "VolReport": [{"name": n, "type": "int256" if n == "skew" else "uint256"} for n in FIELDS],
}
ABI = ["(uint256,uint256,uint256,int256,uint256,uint256)[]", "bytes[]"]


@pytest.mark.parametrize("count", [0, 1, 2, 14])
def test_believed_as_signed_elsewhere(chain, feed, deploy, count):
    """eth_account hashes the typed data on its own: acceptance proves that the digests are equal."""
    signer = Account.from_key(b"\x01" * 32)
    lone = deploy("SignedFeed", [signer.address], 1)
    reports = [smile(WEEK + i, 700_000 + i, (-1) ** i * 10**60, 2**256 - 1 - i) for i in range(count)]
    message = {
        "types": TYPES,
        "primaryType": "Vols",
        "domain": {
            "name": "margincall feed",
            "version": "1",
            "chainId": chain.chain_id,
            "verifyingContract": lone.address,
        },
        "message": {"reports": [report._asdict() for report in reports]},
    }
    signature = bytes(signer.sign_typed_data(full_message=message).signature)
    assert lone.call("fetch_vols", encode(ABI, [reports, [signature]])) == reports


def test_largest_payload_fits(chain, deploy, payload):
    signers = [key("surface", "eight", i) for i in range(8)]
    feed = deploy("SignedFeed", [signer.address for signer in signers], 8)
    reports = [smile(WEEK + i) for i in range(feed.call("MAX_VOL_REPORTS"))]
    data = payload(*reports, signers=signers, address=feed.address)
    assert len(data) == 4_096
    assert feed.call("fetch_vols", data) == reports
    with pytest.raises(ValueError, match="a payload holds 14"):
        payload(*reports, smile(), signers=signers)


def test_refuses_what_is_no_quorum(feed, payload, refused):
    ordered = sorted(SIGNERS, key=lambda signer: int(signer.address, 16))
    outsider = key("surface", "outsider")
    for signers, reason in (
        ([], "feed: quorum"),
        (ordered[:1], "feed: quorum"),
        ([ordered[0], ordered[0]], "feed: signer order"),
        ([ordered[0], outsider], "feed: unknown signer"),
    ):
        with refused(reason):
            feed.call("fetch_vols", payload(smile(), signers=signers))
    good = payload(smile(), signers=ordered[:2])
    swapped = good[:-256] + good[-128:] + good[-256:-128]
    with refused("feed: signer order"):
        feed.call("fetch_vols", swapped)


@pytest.mark.parametrize("field", range(6))
def test_refuses_a_tampered_report(deploy, payload, refused, field):
    lone = deploy("SignedFeed", [SIGNERS[0].address], 1)
    good = payload(smile(), smile(MONTH), signers=SIGNERS[:1], address=lone.address)
    assert lone.call("fetch_vols", good) == [smile(), smile(MONTH)]
    place = 96 + 192 + 32 * field + 31
    with refused("feed: unknown signer"):
        lone.call("fetch_vols", good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])


def test_refuses_another_chain_feed_or_message(chain, deploy, payload, refused):
    lone = deploy("SignedFeed", [SIGNERS[0].address], 1)
    other = deploy("SignedFeed", [SIGNERS[0].address], 1)
    one = SIGNERS[:1]
    for data in (
        payload(smile(), signers=one, address=lone.address, chain_id=chain.chain_id + 1),
        payload(smile(), signers=one, address=other.address),
    ):
        with refused("feed: unknown signer"):
            lone.call("fetch_vols", data)
    # a signature of prices vouches for no volatility, nor the other way round
    separator = domain("margincall feed", chain.chain_id, lone.address)
    prices = feed_payload(separator, [Report(ETH, 1, 1, NOW)], one)
    vols = payload(smile(), signers=one, address=lone.address)
    with refused("feed: unknown signer"):
        lone.call("fetch_vols", encode(ABI, [[smile()], [prices[-96:-31]]]))
    with refused("feed: unknown signer"):
        data = encode(
            ["(uint256,uint256,uint256,uint256)[]", "bytes[]"], [[(ETH, 1, 1, NOW)], [vols[-96:-31]]]
        )
        lone.call("fetch", data, at=NOW)


def test_a_replay_is_refused(surface, feed, payload, stranger, refused):
    data = payload(smile())
    surface.send(stranger, "update_vols", feed.address, data, at=NOW)
    for at in (NOW + 1, NOW + 200):
        with refused("vol: not newer"):
            surface.send(stranger, "update_vols", feed.address, data, at=at)
    with refused("vol: report too old"):
        surface.send(stranger, "update_vols", feed.address, data, at=NOW + 241)
