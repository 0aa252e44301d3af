# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title ERC-1271 wallet
@license GNU Affero General Public License v3.0 only
@notice A contract account of one key, whose answers to signature checks anyone may spoil. Every
        function is reentrant: a call that the wallet makes may ask the wallet for its signature.
"""


from snekmate.utils import ecdsa


RIGHT: public(constant(uint256)) = 0
WRONG: public(constant(uint256)) = 1
REVERT: public(constant(uint256)) = 2
# The magic value in a word whose other bytes are dirty.
GARBAGE: public(constant(uint256)) = 3
BURNS_GAS: public(constant(uint256)) = 4
# The four bytes of the magic value without the padding to a word.
SHORT: public(constant(uint256)) = 5

MAGIC: constant(bytes4) = 0x1626BA7E
REFUSED: constant(bytes4) = 0xFFFFFFFF


owner: public(immutable(address))
answer: public(uint256)


@deploy
def __init__(owner_: address):
    owner = owner_


@external
@reentrant
def set_answer(answer: uint256):
    """
    @param answer One of the constants above.
    """
    assert answer <= SHORT, "wallet: unknown answer"
    self.answer = answer


@external
@reentrant
def execute(target: address, data: Bytes[8192]) -> Bytes[1024]:
    """
    @notice Calls `target` as the wallet; owner only. A revert is passed on as it is.
    """
    assert msg.sender == owner, "wallet: not owner"
    return raw_call(target, data, max_outsize=1024)


@external
@view
@reentrant
@raw_return
def isValidSignature(hash: bytes32, signature: Bytes[65]) -> Bytes[32]:
    """
    @return The magic value if the owner signed `hash`, or what the mode says.
    """
    answer: uint256 = self.answer
    assert answer != REVERT, "wallet: refused"
    assert answer != BURNS_GAS, UNREACHABLE
    if answer == GARBAGE:
        return abi_encode((convert(MAGIC, uint256) << 224) | (2**224 - 1))
    if answer == SHORT:
        return slice(abi_encode(MAGIC), 0, 4)
    if answer == WRONG or ecdsa._recover_sig(hash, signature) != owner:
        return abi_encode(REFUSED)
    return abi_encode(MAGIC)
