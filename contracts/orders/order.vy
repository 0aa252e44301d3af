# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title order
@license GNU Affero General Public License v3.0 only
@notice The signed order and its EIP-712 hash.
"""

struct Order:
    account: uint256  # account id; a vault's id trades isolated
    market: uint256
    size: int256  # lots; positive buys
    price: uint256  # limit, price units
    margin: uint256  # money moved from the parent into the vault when all of it is filled
    maxFee: uint256  # ppm
    expiry: uint256  # last second
    salt: uint256  # orders of an account that share a salt share the fill
    reduceOnly: bool


ORDER_TYPEHASH: constant(bytes32) = keccak256(
    "Order(uint256 account,uint256 market,int256 size,uint256 price,uint256 margin,uint256 maxFee,uint256 expiry,uint256 salt,bool reduceOnly)"
)


@internal
@pure
def _hash(order: Order) -> bytes32:
    return keccak256(abi_encode(ORDER_TYPEHASH, order))
