"""One interface to an EVM: embedded in the process, or a running development node."""

from margincall.chain.base import Chain, ChainError, Disagreement, Log, Receipt, Reverted
from margincall.chain.contract import Contract, Event
from margincall.chain.embedded import EmbeddedChain
from margincall.chain.keys import Key, key, recover

__all__ = [
    "Chain",
    "ChainError",
    "Contract",
    "Disagreement",
    "EmbeddedChain",
    "Event",
    "Key",
    "Log",
    "Receipt",
    "Reverted",
    "key",
    "recover",
]
