"""Keys are reproducible and their signatures are what ecrecover and eth_account expect."""

import pytest
from eth_account import Account
from eth_utils import keccak

from margincall.chain import key, recover
from margincall.chain.keys import ORDER


def test_keys_are_deterministic_and_distinct():
    assert key(1, "trader", 2).secret == key(1, "trader", 2).secret
    chosen = {key(seed, label, i).address for seed in (1, 2) for label in ("a", "b") for i in range(5)}
    assert len(chosen) == 20


@pytest.mark.parametrize("index", range(5))
def test_signature_is_that_of_eth_account(index):
    signer, digest = key(3, "signer", index), keccak(text=f"message {index}")
    signature = signer.sign(digest)
    theirs = Account.unsafe_sign_hash(digest, signer.secret)
    assert signature == theirs.signature
    assert signer.address == Account.from_key(signer.secret).address == recover(digest, signature)
    assert int.from_bytes(signature[32:64], "big") <= ORDER // 2


def test_recover_refuses_what_no_key_signs():
    digest, good = keccak(b"x"), key(1, "x").sign(keccak(b"x"))
    assert recover(keccak(b"y"), good) != key(1, "x").address
    for bad in (good[:64], good[:64] + b"\x02", bytes(64) + b"\x1b", b"\xff" * 64 + b"\x1b"):
        with pytest.raises(ValueError, match="signature|no key signs"):
            recover(digest, bad)
