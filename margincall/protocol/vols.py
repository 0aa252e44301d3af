"""Signed volatility reports, hashed as SignedFeed hashes them, and their way to the surface."""

from __future__ import annotations

from collections.abc import Sequence

from eth_utils import keccak

from margincall.chain import Contract
from margincall.chain.base import Receipt
from margincall.chain.keys import Key
from margincall.model.surface import VolReport, VolRules
from margincall.protocol.orders import _words, signed_payload

MAX_VOL_REPORTS = 14  # a payload of 4,096 bytes with eight signatures holds no more

_VOL_REPORT_TYPE = (
    "VolReport(uint256 market,uint256 expiry,uint256 atm,int256 skew,uint256 curvature,uint256 published)"
)
_VOL_REPORT = keccak(text=_VOL_REPORT_TYPE)
_VOLS = keccak(text="Vols(VolReport[] reports)" + _VOL_REPORT_TYPE)


def vols_digest(separator: bytes, reports: Sequence[VolReport]) -> bytes:
    """What the feed's signers sign: 32 bytes. `separator`: the feed's domain (orders.domain)."""
    hashed = keccak(b"".join(keccak(_VOL_REPORT + _words(*report)) for report in reports))
    return keccak(b"\x19\x01" + separator + keccak(_VOLS + hashed))


def vols_payload(separator: bytes, reports: Sequence[VolReport], signers: Sequence[Key]) -> bytes:
    """abi_encode(reports, signatures) as SignedFeed.fetch_vols takes it; signers sorted by address.

    Raises ValueError when there are more reports than a payload holds.
    """
    if len(reports) > MAX_VOL_REPORTS:
        raise ValueError(
            f"{len(reports)} volatility reports: a payload holds {MAX_VOL_REPORTS}; publish in parts,"
            " longest expiries first when volatility rises, shortest first when it falls"
        )
    return signed_payload(vols_digest(separator, reports), reports, signers)


def publish_vols(
    surface: Contract,
    feed: str,
    separator: bytes,
    reports: Sequence[VolReport],
    signers: Sequence[Key],
    sender: str,
    at: int | None = None,
) -> Receipt:
    """Sign reports with the feed's signers and post them in one payload. Raises Reverted ("vol: ...")."""
    payload = vols_payload(separator, reports, signers)
    return surface.send(sender, "update_vols", feed, payload, at=at)


def vol_rules_tuple(rules: VolRules) -> tuple:
    """A market's volatility rules as Surface.set_rules takes them (`rules.feed` is an address)."""
    return tuple(rules)
