# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Signed price feed
@license GNU Affero General Public License v3.0 only
@notice Prices and volatilities vouched for by a quorum of registered signers, who sign a whole batch
        of reports as one EIP-712 message (domain "margincall feed", version "1"):
        `Reports(Report[] reports)Report(uint256 market,uint256 mark,uint256 index,uint256 published)`
        or `Vols(VolReport[] reports)VolReport(uint256 market,uint256 expiry,uint256 atm,int256 skew,
        uint256 curvature,uint256 published)` (one line, no space after a comma).
        The payload is `abi_encode(reports, signatures)`, signatures in strictly ascending order of
        their signers' addresses. Anyone may carry a payload to the chain; replays are refused by the
        markets and the surface, which accept nothing older than the last.
"""


from snekmate.auth import ownable
from snekmate.auth import ownable_2step
from snekmate.utils import ecdsa
from snekmate.utils import eip712_domain_separator

from ..interfaces import IPriceFeed
from ..interfaces import IVolFeed
from . import report_checks


implements: IPriceFeed
implements: IVolFeed
initializes: ownable
initializes: ownable_2step[ownable := ownable]
initializes: eip712_domain_separator


# `renounce_ownership` is left out: without an owner a leaked signer key could never be replaced.
exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
)
exports: eip712_domain_separator.eip712Domain


MAX_REPORTS: constant(uint256) = 16
# What 4,096 bytes hold beside MAX_SIGNERS signatures.
MAX_VOL_REPORTS: public(constant(uint256)) = 14
# One bound for the registered and for the signing: every quorum that can be set can also be met.
MAX_SIGNERS: public(constant(uint256)) = 8

REPORT_TYPE_HASH: constant(bytes32) = keccak256(
    "Report(uint256 market,uint256 mark,uint256 index,uint256 published)"
)
REPORTS_TYPE_HASH: constant(bytes32) = keccak256(
    "Reports(Report[] reports)Report(uint256 market,uint256 mark,uint256 index,uint256 published)"
)
VOL_REPORT_TYPE_HASH: constant(bytes32) = keccak256(
    "VolReport(uint256 market,uint256 expiry,uint256 atm,int256 skew,uint256 curvature,uint256 published)"
)
VOLS_TYPE_HASH: constant(bytes32) = keccak256(
    "Vols(VolReport[] reports)VolReport(uint256 market,uint256 expiry,uint256 atm,int256 skew,uint256 curvature,uint256 published)"
)


is_signer: public(HashMap[address, bool])
signer_count: public(uint256)
quorum: public(uint256)


event SignerChanged:
    signer: indexed(address)
    registered: bool


event QuorumChanged:
    previous: uint256
    current: uint256


@deploy
def __init__(signers: DynArray[address, MAX_SIGNERS], quorum: uint256):
    """
    @notice The deployer becomes the owner.
    @param signers The registered signers, without repetition.
    @param quorum How many of them must sign, 1 to their number.
    """
    ownable.__init__()
    ownable_2step.__init__()
    eip712_domain_separator.__init__("margincall feed", "1")
    for signer: address in signers:
        self._add_signer(signer)
    self._set_quorum(quorum)


@external
@view
def fetch(payload: Bytes[4096]) -> DynArray[IPriceFeed.Report, MAX_REPORTS]:
    """
    @notice The reports of `payload`, if a quorum signed exactly these for this feed on this chain.
    @param payload `abi_encode((uint256,uint256,uint256,uint256)[], bytes[])`.
    """
    reports: DynArray[IPriceFeed.Report, MAX_REPORTS] = []
    signatures: DynArray[Bytes[65], MAX_SIGNERS] = []
    reports, signatures = abi_decode(
        payload, (DynArray[IPriceFeed.Report, MAX_REPORTS], DynArray[Bytes[65], MAX_SIGNERS])
    )
    self._check_quorum(self._hash_reports(reports), signatures)
    seen: uint256 = 0
    for report: IPriceFeed.Report in reports:
        seen = report_checks._admit(report, seen)
    return reports


@external
@view
def fetch_vols(payload: Bytes[4096]) -> DynArray[IVolFeed.VolReport, MAX_REPORTS]:
    """
    @notice The volatilities of `payload`, if a quorum signed exactly these for this feed on this chain.
    @param payload `abi_encode((uint256,uint256,uint256,int256,uint256,uint256)[], bytes[])`, at most
           14 reports.
    """
    reports: DynArray[IVolFeed.VolReport, MAX_VOL_REPORTS] = []
    signatures: DynArray[Bytes[65], MAX_SIGNERS] = []
    reports, signatures = abi_decode(
        payload, (DynArray[IVolFeed.VolReport, MAX_VOL_REPORTS], DynArray[Bytes[65], MAX_SIGNERS])
    )
    self._check_quorum(self._hash_vols(reports), signatures)
    return reports


@external
def set_signer(signer: address, registered: bool):
    """
    @notice Registers or removes a signer; owner only. The quorum must stay reachable.
    """
    ownable._check_owner()
    if registered:
        self._add_signer(signer)
        return
    assert self.is_signer[signer], "feed: signer unchanged"
    assert self.signer_count > self.quorum, "feed: quorum bound"
    self.is_signer[signer] = False
    self.signer_count -= 1
    log SignerChanged(signer=signer, registered=False)


@external
def set_quorum(quorum: uint256):
    """
    @notice Sets how many signers must agree, 1 to their number; owner only.
    """
    ownable._check_owner()
    self._set_quorum(quorum)


@internal
@view
def _check_quorum(message: bytes32, signatures: DynArray[Bytes[65], MAX_SIGNERS]):
    """
    @notice Reverts unless a quorum of registered signers signed the message (its struct hash).
    """
    digest: bytes32 = eip712_domain_separator._hash_typed_data_v4(message)
    assert len(signatures) >= self.quorum, "feed: quorum"
    last: address = empty(address)
    for signature: Bytes[65] in signatures:
        # A signature of the wrong length recovers to the zero address, which is above no other.
        signer: address = ecdsa._recover_sig(digest, signature)
        assert convert(signer, uint160) > convert(last, uint160), "feed: signer order"
        assert self.is_signer[signer], "feed: unknown signer"
        last = signer


@internal
def _add_signer(signer: address):
    # ecrecover answers zero for a bad signature: the zero address must never be a signer.
    assert signer != empty(address), "feed: zero signer"
    assert not self.is_signer[signer], "feed: signer unchanged"
    assert self.signer_count < MAX_SIGNERS, "feed: too many signers"
    self.is_signer[signer] = True
    self.signer_count += 1
    log SignerChanged(signer=signer, registered=True)


@internal
def _set_quorum(quorum: uint256):
    assert 0 < quorum and quorum <= self.signer_count, "feed: quorum bound"
    log QuorumChanged(previous=self.quorum, current=quorum)
    self.quorum = quorum


@internal
@pure
def _hash_reports(reports: DynArray[IPriceFeed.Report, MAX_REPORTS]) -> bytes32:
    """
    @return The EIP-712 struct hash of a batch of prices: an array is the hash of its concatenated elements.
    """
    hashes: bytes32[MAX_REPORTS] = empty(bytes32[MAX_REPORTS])
    count: uint256 = 0
    for report: IPriceFeed.Report in reports:
        hashes[count] = keccak256(abi_encode(REPORT_TYPE_HASH, report))
        count += 1
    return self._hash_batch(REPORTS_TYPE_HASH, hashes, count)


@internal
@pure
def _hash_vols(reports: DynArray[IVolFeed.VolReport, MAX_VOL_REPORTS]) -> bytes32:
    """
    @return The EIP-712 struct hash of a batch of volatilities.
    """
    hashes: bytes32[MAX_REPORTS] = empty(bytes32[MAX_REPORTS])
    count: uint256 = 0
    for report: IVolFeed.VolReport in reports:
        hashes[count] = keccak256(abi_encode(VOL_REPORT_TYPE_HASH, report))
        count += 1
    return self._hash_batch(VOLS_TYPE_HASH, hashes, count)


@internal
@pure
def _hash_batch(batch_type: bytes32, hashes: bytes32[MAX_REPORTS], count: uint256) -> bytes32:
    array_hash: bytes32 = keccak256(slice(abi_encode(hashes), 0, 32 * count))
    return keccak256(abi_encode(batch_type, array_hash))
