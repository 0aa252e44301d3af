# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Hostile receiver
@license GNU Affero General Public License v3.0 only
@notice A contract account that refuses every call but its owner's, which it forwards.
"""


owner: public(immutable(address))


@deploy
def __init__(owner_: address):
    owner = owner_


@external
@reentrant
def execute(target: address, data: Bytes[8192]) -> Bytes[1024]:
    """
    @notice Calls `target` as this account; owner only. A revert is passed on as it is.
    """
    assert msg.sender == owner, "receiver: not owner"
    return raw_call(target, data, max_outsize=1024)


@external
@payable
@reentrant
def __default__():
    raise "receiver: refused"
