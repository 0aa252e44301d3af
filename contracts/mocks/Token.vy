# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Token
@license GNU Affero General Public License v3.0 only
@notice An ordinary ERC-20 that anyone may mint, for demonstrations and tests.
"""


from ethereum.ercs import IERC20
from snekmate.auth import ownable
from snekmate.tokens import erc20


implements: IERC20
initializes: ownable
initializes: erc20[ownable := ownable]


# The minter role and its owner are left out: `mint` below is open.
exports: (
    erc20.name,
    erc20.symbol,
    erc20.decimals,
    erc20.totalSupply,
    erc20.balanceOf,
    erc20.allowance,
    erc20.transfer,
    erc20.transferFrom,
    erc20.approve,
    erc20.permit,
    erc20.nonces,
    erc20.DOMAIN_SEPARATOR,
    erc20.eip712Domain,
)


@deploy
def __init__(name: String[25], symbol: String[5], decimals: uint8):
    ownable.__init__()
    erc20.__init__(name, symbol, decimals, name, "1")


@external
def mint(to: address, amount: uint256):
    """
    @notice Creates `amount` token units for `to`; anyone may call.
    """
    erc20._mint(to, amount)
