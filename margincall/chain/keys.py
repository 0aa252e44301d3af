"""Deterministic secp256k1 keys and signatures. For tests and replays: anyone can derive these keys."""

from __future__ import annotations

from functools import lru_cache

from coincurve import PrivateKey, PublicKey
from eth_utils import keccak, to_checksum_address

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of secp256k1's group."""


class Key:
    """A private key with its address. `secret`: 32 bytes."""

    __slots__ = ("_key", "address", "secret")

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self._key = PrivateKey(secret)
        self.address = _address(self._key.public_key)

    def __repr__(self) -> str:
        return f"<Key {self.address}>"

    def sign(self, digest: bytes) -> bytes:
        """65 bytes r, s, v over a 32-byte digest; s in the lower half, v 27 or 28."""
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([27 + signature[64]])


@lru_cache(maxsize=1 << 14)
def key(seed: int | str, label: str, index: int = 0) -> Key:
    """The key of (seed, label, index): keccak256 of the three, reduced into the group."""
    number = int.from_bytes(keccak(text=f"{seed}/{label}/{index}"), "big") % (ORDER - 1) + 1
    return Key(number.to_bytes(32, "big"))


def recover(digest: bytes, signature: bytes) -> str:
    """The address that signed `digest`. Raises ValueError for a malformed signature."""
    if len(signature) != 65 or signature[64] not in (27, 28):
        raise ValueError("a signature is 65 bytes r, s, v with v 27 or 28")
    compact = signature[:64] + bytes([signature[64] - 27])
    try:
        return _address(PublicKey.from_signature_and_message(compact, digest, hasher=None))
    except Exception as error:  # coincurve raises bare Exception and ValueError
        raise ValueError(f"no key signs so: {error}") from None


def _address(public: PublicKey) -> str:
    return to_checksum_address(keccak(public.format(compressed=False)[1:])[12:])
