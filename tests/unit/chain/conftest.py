"""A small contract that shows everything a chain must agree on."""

import pytest

from margincall.protocol.artifacts import Artifact, compile_file

PROBE = """
# pragma version 0.4.3
# pragma evm-version cancun

struct Leg:
    size: int128
    price: uint256

struct Book:
    owner: address
    legs: DynArray[Leg, 4]
    bounds: int256[2]

event Added:
    who: indexed(address)
    amount: uint256
    note: String[20]

total: public(uint256)
of: public(HashMap[address, uint256])
entered: transient(uint256)
DEPLOYER: public(immutable(address))

@deploy
def __init__(start: uint256, deployer: address):
    self.total = start
    DEPLOYER = deployer

@external
def add(amount: uint256, times: uint256 = 1) -> uint256:
    assert amount != 13, "probe: unlucky"
    self.total += amount * times
    self.of[msg.sender] += amount
    log Added(who=msg.sender, amount=amount, note="added")
    return self.total

@external
def clear(who: address):
    self.of[who] = 0

@external
def enter() -> uint256:
    self.entered += 1
    return self.entered

@external
def refuse(code: uint256):
    if code == 0:
        raise
    if code == 1:
        raw_revert(concat(method_id("Custom()"), b""))
    if code == 2:
        x: uint256 = self.total - max_value(uint256)
    if code == 3:
        raw_revert(concat(method_id("Panic(uint256)"), convert(17, bytes32)))

@external
def burn():
    for i: uint256 in range(1000000):
        self.total += 1

@external
@view
def clock() -> (uint256, uint256):
    return block.timestamp, chain.id

@external
@view
def echo(book: Book, flag: bool, tag: bytes4 = 0x01020304) -> (Book, bool, bytes4):
    return book, flag, tag

@external
@view
def leg() -> Leg:
    return Leg(size=-5, price=7)

@external
def blob(data: Bytes[4096]):
    self.total += len(data)
"""


@pytest.fixture(scope="session")
def probe(tmp_path_factory) -> Artifact:
    folder = tmp_path_factory.mktemp("contracts")
    (folder / "Probe.vy").write_text(PROBE)
    return compile_file(folder / "Probe.vy", folder)
