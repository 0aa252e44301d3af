"""Signed orders (EIP-712) and signed price reports, hashed as the contracts hash them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eth_utils import keccak

from margincall.chain.keys import Key

NO_EXPIRY = 2**40
MAX_FEE = 2**16

_DOMAIN = keccak(text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_ORDER = keccak(
    text="Order(uint256 account,uint256 market,int256 size,uint256 price,uint256 margin,"
    "uint256 maxFee,uint256 expiry,uint256 salt,bool reduceOnly)"
)
_REPORT_TYPE = "Report(uint256 market,uint256 mark,uint256 index,uint256 published)"
_REPORT = keccak(text=_REPORT_TYPE)
_REPORTS = keccak(text="Reports(Report[] reports)" + _REPORT_TYPE)


class Order(NamedTuple):
    """An order as the Exchange takes it. Lots, price units, money, ppm, seconds."""

    account: int
    market: int
    size: int
    price: int
    margin: int = 0
    max_fee: int = MAX_FEE
    expiry: int = NO_EXPIRY
    salt: int = 0
    reduce_only: bool = False


class Report(NamedTuple):
    """A price report. Price units, seconds."""

    market: int
    mark: int
    index: int
    published: int


def domain(name: str, chain_id: int, contract: str) -> bytes:
    """The EIP-712 domain separator (32 bytes) of a contract of this protocol (version "1")."""
    return keccak(
        _DOMAIN
        + keccak(text=name)
        + keccak(text="1")
        + chain_id.to_bytes(32, "big")
        + bytes.fromhex(contract[2:]).rjust(32, b"\0")
    )


def _words(*values: int) -> bytes:
    return b"".join((value % 2**256).to_bytes(32, "big") for value in values)


def order_digest(separator: bytes, order: Order) -> bytes:
    """What the owner signs: 32 bytes."""
    return keccak(b"\x19\x01" + separator + keccak(_ORDER + _words(*order)))


def reports_digest(separator: bytes, reports: list[Report]) -> bytes:
    """What the feed's signers sign: 32 bytes."""
    hashed = keccak(b"".join(keccak(_REPORT + _words(*report)) for report in reports))
    return keccak(b"\x19\x01" + separator + keccak(_REPORTS + hashed))


def feed_payload(separator: bytes, reports: list[Report], signers: list[Key]) -> bytes:
    """abi_encode(reports, signatures) as SignedFeed.fetch takes it; signers sorted by address."""
    return signed_payload(reports_digest(separator, reports), reports, signers)


def signed_payload(digest: bytes, reports: Sequence[tuple], signers: Sequence[Key]) -> bytes:
    """abi_encode(reports, signatures of `digest`); reports are tuples of ints, signers sorted by address."""
    signatures = [key.sign(digest) for key in sorted(signers, key=lambda key: int(key.address, 16))]
    body = _words(len(reports)) + b"".join(_words(*report) for report in reports)
    tails = [_words(65) + signature + bytes(31) for signature in signatures]
    offsets = [32 * len(tails) + 128 * i for i in range(len(tails))]
    return _words(64, 64 + len(body)) + body + _words(len(tails), *offsets) + b"".join(tails)
