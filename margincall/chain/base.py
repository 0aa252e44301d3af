"""The one interface through which everything here speaks to an EVM.

One clock for all backends: every transaction has a block of its own, timestamps rise strictly, and a
call sees the timestamp of the last block unless it asks for a later one. A transaction that reverts
is a block too: the clock moves, nothing else does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from margincall.chain.contract import Contract
    from margincall.protocol.artifacts import Artifact

TX_GAS = 16_777_216
"""Gas limit of a transaction (EIP-7825, Osaka): the default everywhere, so nothing is estimated."""

BLOCK_GAS = 60_000_000
"""Gas limit of a block."""

DEV_ACCOUNTS = (
    "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
    "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
    "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65",
    "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc",
    "0x976EA74026E726554dB657fA54763abd0C3a0aa9",
    "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955",
    "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f",
    "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720",
)
"""The unlocked accounts that Anvil and Hardhat share: the embedded chain has the same."""


class ChainError(Exception):
    """The chain cannot do what was asked (no node, wrong chain id, clock, snapshot order): one line."""


class Disagreement(Exception):
    """Two that must agree differ (chain and twin, embedded EVM and node): a bug, never a user's mistake."""


class Reverted(Exception):
    """The transaction or call reverted; the state is as before.

    `reason` is the error string, `panic 0x11` for a Panic, the selector of a custom error, the name
    of an exceptional halt (`OutOfGas`), or "" when the contract gave none. `data` is the raw output.
    """

    def __init__(self, reason: str, data: bytes = b"") -> None:
        super().__init__(reason or "reverted without a reason")
        self.reason = reason
        self.data = data


class Log(NamedTuple):
    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block: int


class Receipt(NamedTuple):
    """`gas_used` is a receipt's gas on a node and on an exact-gas embedded chain; elsewhere a rough
    figure. `output` is the return data; a node's receipt has none: None."""

    ok: bool
    gas_used: int
    logs: list[Log]
    output: bytes | None
    block: int
    timestamp: int


class Chain(ABC):
    """A chain with unlocked senders. Addresses are 0x-strings; those handed out are checksummed."""

    chain_id: int
    accounts: list[str]

    @property
    @abstractmethod
    def timestamp(self) -> int:
        """Timestamp of the last block, seconds."""

    @property
    @abstractmethod
    def block(self) -> int:
        """Number of the last block."""

    @abstractmethod
    def send(
        self, sender: str, to: str, data: bytes, gas: int | None = None, at: int | None = None
    ) -> Receipt:
        """One transaction in a block of its own, at timestamp `at` (default: the last block's + 1).

        Any address may send. Raises Reverted, and ChainError if `at` is not later than the last block.
        """

    @abstractmethod
    def call(self, to: str, data: bytes, sender: str | None = None, at: int | None = None) -> bytes:
        """Return data of a call that changes nothing, seen at `at` (default: the last block's time).

        Raises Reverted, and ChainError if `at` is before the last block.
        """

    @abstractmethod
    def create(self, sender: str, code: bytes, at: int | None = None) -> str:
        """Deploy raw creation code; the address of the contract."""

    @abstractmethod
    def code(self, address: str) -> bytes:
        """The deployed code (its length is what EIP-170 limits)."""

    @abstractmethod
    def storage(self, address: str, slot: int) -> int:
        """The raw word in a storage slot."""

    def words(self, slots: Sequence[tuple[str, int]]) -> list[int]:
        """The raw words of many (address, slot)."""
        return [self.storage(address, slot) for address, slot in slots]

    @abstractmethod
    def snapshot(self) -> int:
        """Mark the present state, block and time; strictly last in, first out."""

    @abstractmethod
    def revert(self, snapshot: int) -> None:
        """Return to the newest mark and drop it. ChainError if it is not the newest."""

    @abstractmethod
    def logs(self, address: str | None = None, start: int = 0) -> list[Log]:
        """Every log of blocks from `start` on, oldest first, of one contract or of all."""

    def refresh(self) -> None:  # noqa: B027 - a chain of one's own has nothing to look up
        """Look the last block up again: others may have sent transactions to the same node."""

    def deploy(self, artifact: Artifact, *args, sender: str | None = None, at: int | None = None) -> Contract:
        """Deploy a compiled contract with constructor arguments, from the first account by default."""
        from margincall.chain.contract import Contract, encode_constructor

        code = artifact.bytecode + encode_constructor(artifact.abi, args)
        return Contract(self, self.create(sender or self.accounts[0], code, at), artifact)

    def _next_time(self, at: int | None) -> int:
        last = self.timestamp
        if at is None:
            return last + 1
        if at <= last:
            raise ChainError(
                f"block timestamp {at} is not later than the last block's {last}; ask for a later one"
            )
        return at


def revert_reason(data: bytes) -> str:
    """The reason in a revert's output: Error(string), Panic(uint256), or a custom error's selector."""
    selector, body = data[:4], data[4:]
    if selector == b"\x08\xc3\x79\xa0" and len(body) >= 64:
        length = int.from_bytes(body[32:64], "big")
        return body[64 : 64 + length].decode("utf-8", "replace")
    if selector == b"\x4e\x48\x7b\x71" and len(body) >= 32:
        return f"panic {int.from_bytes(body[:32], 'big'):#x}"
    return f"0x{selector.hex()}" if len(data) >= 4 else ""
