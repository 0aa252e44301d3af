# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Timelock
@license GNU Affero General Public License v3.0 only
@notice Owner of every other contract after deployment: whatever an owner can change takes effect no
        sooner than the minimum delay after it was announced on chain. Roles (proposer, canceller,
        executor) and the delay itself are changed through the timelock alone.
"""


from snekmate.auth import access_control
from snekmate.governance import timelock_controller


initializes: access_control
initializes: timelock_controller[access_control := access_control]


exports: timelock_controller.__interface__


@deploy
def __init__(minimum_delay: uint256, proposers: DynArray[address, 255], executors: DynArray[address, 255]):
    """
    @param minimum_delay Seconds between the announcement of an operation and its execution.
    @param proposers Accounts that may announce and cancel operations.
    @param executors Accounts that may execute them; the zero address opens execution to everyone.
    """
    access_control.__init__()
    # No outside admin: it could hand out roles without delay.
    timelock_controller.__init__(minimum_delay, proposers, executors, empty(address))
