"""Contract accounts: an ERC-1271 wallet, and a receiver that refuses every call."""

import pytest
from eth_account import Account

HASH = bytes(range(32))
KEY = Account.from_key(b"\x21" * 32)
OTHER = Account.from_key(b"\x22" * 32)
MAGIC = bytes.fromhex("1626ba7e")


def sign(key):
    return bytes(key.unsafe_sign_hash(HASH).signature)


@pytest.fixture
def token(deploy):
    return deploy("Token", "Test dollar", "tUSD", 6)


@pytest.fixture
def wallet(deploy, token):
    wallet = deploy("Wallet1271", KEY.address)
    token.send(KEY.address, "mint", wallet.address, 100)
    return wallet


@pytest.fixture
def ask(chain, wallet):
    """The raw answer to a signature check."""
    return lambda key: chain.call(wallet.address, wallet.encode("isValidSignature", HASH, sign(key)))


@pytest.fixture
def set_answer(wallet, stranger):
    return lambda name: wallet.send(stranger, "set_answer", wallet.call(name))


def test_wallet_knows_its_owners_signature(ask):
    assert ask(KEY) == MAGIC.ljust(32, b"\0")
    assert ask(OTHER) == b"\xff" * 4 + bytes(28)


@pytest.mark.parametrize(
    ("answer", "raw"),
    [
        ("WRONG", b"\xff" * 4 + bytes(28)),
        ("GARBAGE", MAGIC + b"\xff" * 28),
        ("SHORT", MAGIC),
        ("RIGHT", MAGIC + bytes(28)),
    ],
)
def test_wallet_answers_as_told(ask, set_answer, answer, raw):
    set_answer(answer)
    assert ask(KEY) == raw


def test_wallet_reverts_or_burns_all_gas(ask, set_answer, refused):
    set_answer("REVERT")
    with refused("wallet: refused"):
        ask(KEY)
    set_answer("BURNS_GAS")
    with refused("InvalidFEOpcode"):
        ask(KEY)


def test_wallet_answers_are_known(wallet, stranger, refused):
    with refused("wallet: unknown answer"):
        wallet.send(stranger, "set_answer", wallet.call("SHORT") + 1)


def test_wallet_acts_for_its_owner_alone(chain, wallet, token, stranger, refused):
    call = token.address, token.encode("transfer", stranger, 40)
    with refused("wallet: not owner"):
        wallet.send(stranger, "execute", *call)
    receipt = wallet.send(KEY.address, "execute", *call)
    assert int.from_bytes(wallet.decode_output("execute", receipt.output, 2)) == 1
    assert token.call("balanceOf", stranger) == 40
    with refused("erc20: transfer amount exceeds balance"):
        wallet.send(KEY.address, "execute", token.address, token.encode("transfer", stranger, 61))


def test_wallet_signs_while_it_executes(wallet):
    """A contract that the wallet calls may ask the wallet for its signature in the same call."""
    question = wallet.encode("isValidSignature", HASH, sign(KEY))
    receipt = wallet.send(KEY.address, "execute", wallet.address, question)
    assert wallet.decode_output("execute", receipt.output, 2)[:4] == MAGIC


@pytest.fixture
def receiver(deploy):
    return deploy("HostileReceiver", KEY.address)


@pytest.mark.parametrize("data", [b"", b"\0", b"\x16\x26\xba\x7e" + bytes(96), bytes(1000)])
def test_receiver_refuses_every_call(chain, receiver, stranger, refused, data):
    for sender in (stranger, KEY.address):
        with refused("receiver: refused"):
            chain.send(sender, receiver.address, data)


def test_receiver_acts_for_its_owner_alone(receiver, token, stranger, refused):
    token.send(KEY.address, "mint", receiver.address, 100)
    call = token.address, token.encode("transfer", stranger, 40)
    with refused("receiver: not owner"):
        receiver.send(stranger, "execute", *call)
    receiver.send(KEY.address, "execute", *call)
    assert token.call("balanceOf", stranger) == 40
    with refused("erc20: transfer amount exceeds balance"):
        receiver.send(KEY.address, "execute", token.address, token.encode("transfer", stranger, 61))


def test_aggregator_completes_rounds_now(chain, deploy, stranger):
    aggregator = deploy("Aggregator", 8, 5)
    assert aggregator.call("decimals") == 8
    assert aggregator.call("latestRoundData") == (1, 5, chain.timestamp, chain.timestamp, 1)
    aggregator.send(stranger, "set_answer", -6)
    assert aggregator.call("latestRoundData") == (2, -6, chain.timestamp, chain.timestamp, 2)
    aggregator.send(stranger, "set_round", 9, 7, 3, 4, 8)
    assert aggregator.call("latestRoundData") == (9, 7, 3, 4, 8)
