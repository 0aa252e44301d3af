# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Hostile token
@license GNU Affero General Public License v3.0 only
@notice An ERC-20 whose transfers misbehave as its mode says; anyone may mint and set the mode. A
        percentage is of the amount asked for, rounded up, so that no transfer is too small for it.
        Every mutating function is reentrant, or its own lock would protect the contract under test.
"""


# The return type of `transfer` and `transferFrom` is raw: mode 2 must return no data at all, which a
# `bool` cannot do. Hence no `implements: IERC20`, and the event below.
NORMAL: public(constant(uint256)) = 0
FEE_ON_TRANSFER: public(constant(uint256)) = 1
NO_RETURN: public(constant(uint256)) = 2
RETURNS_FALSE: public(constant(uint256)) = 3
BLACKLIST: public(constant(uint256)) = 4
NO_ZERO_AMOUNT: public(constant(uint256)) = 5
REENTER: public(constant(uint256)) = 6
PAUSED: public(constant(uint256)) = 7
TAKES_MORE: public(constant(uint256)) = 8


name: public(immutable(String[25]))
symbol: public(immutable(String[5]))
decimals: public(immutable(uint8))
totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])

mode: public(uint256)
blacklisted: public(HashMap[address, bool])

target: public(address)
data: public(Bytes[8192])
reentries: public(uint256)
reentry_succeeded: public(bool)
reentry_output: public(Bytes[256])
# The nested call transfers too, as a rule: it must not start another one.
inside: transient(bool)


event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    value: uint256


event Approval:
    owner: indexed(address)
    spender: indexed(address)
    value: uint256


@deploy
def __init__(name_: String[25], symbol_: String[5], decimals_: uint8):
    name = name_
    symbol = symbol_
    decimals = decimals_


@external
@reentrant
def mint(to: address, amount: uint256):
    """
    @notice Creates `amount` token units for `to`, in every mode.
    """
    self.totalSupply += amount
    self.balanceOf[to] += amount
    log Transfer(sender=empty(address), receiver=to, value=amount)


@external
@reentrant
def set_mode(mode: uint256):
    """
    @param mode One of the constants above.
    """
    assert mode <= TAKES_MORE, "hostile: unknown mode"
    self.mode = mode


@external
@reentrant
def set_blacklisted(account: address, status: bool):
    """
    @notice Puts `account` on the list that mode 4 obeys, or takes it off.
    """
    self.blacklisted[account] = status


@external
@reentrant
def set_reentry(target: address, data: Bytes[8192]):
    """
    @notice Sets the call that mode 6 makes in the middle of a transfer.
    """
    self.target = target
    self.data = data


@external
@reentrant
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    log Approval(owner=msg.sender, spender=spender, value=amount)
    return True


@external
@reentrant
@raw_return
def transfer(to: address, amount: uint256) -> Bytes[32]:
    return self._transfer(msg.sender, to, amount)


@external
@reentrant
@raw_return
def transferFrom(owner: address, to: address, amount: uint256) -> Bytes[32]:
    if self.mode != RETURNS_FALSE and self.allowance[owner][msg.sender] != max_value(uint256):
        assert self.allowance[owner][msg.sender] >= amount, "hostile: allowance"
        self.allowance[owner][msg.sender] -= amount
    return self._transfer(owner, to, amount)


@internal
def _transfer(owner: address, to: address, amount: uint256) -> Bytes[32]:
    """
    @return The raw return data of the transfer.
    """
    mode: uint256 = self.mode
    assert mode != PAUSED, "hostile: paused"
    assert mode != NO_ZERO_AMOUNT or amount > 0, "hostile: zero amount"
    if mode == BLACKLIST:
        assert not (self.blacklisted[owner] or self.blacklisted[to]), "hostile: blacklisted"
    if mode == RETURNS_FALSE:
        return abi_encode(False)

    assert self.balanceOf[owner] >= amount, "hostile: balance"
    percent: uint256 = amount // 100 + convert(amount % 100 > 0, uint256)
    debit: uint256 = amount
    credit: uint256 = amount
    if mode == FEE_ON_TRANSFER:
        credit -= percent
    elif mode == TAKES_MORE:
        debit = min(amount + percent, self.balanceOf[owner])
    self.balanceOf[owner] -= debit
    self.balanceOf[to] += credit
    self.totalSupply -= debit - credit
    log Transfer(sender=owner, receiver=to, value=credit)

    if mode == REENTER:
        self._reenter()
    if mode == NO_RETURN:
        return b""
    return abi_encode(True)


@internal
def _reenter():
    if self.inside:
        return
    self.inside = True
    self.reentries += 1
    self.reentry_succeeded, self.reentry_output = raw_call(
        self.target, self.data, max_outsize=256, revert_on_failure=False
    )
    self.inside = False
