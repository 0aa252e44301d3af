"""The least that the state a transaction touches costs, whatever computes with it.

21,000 and its calldata; 2,600 for every other contract (EIP-2929) and 2,100 for every slot touched the
first time; 20,000 for a slot created and 2,900 for another one written (EIP-2200); 375 a log, 375 a topic
and 8 a byte; 32,000 a contract made and 200 a byte of it. Clearing a slot gives 4,800 back, all together
at most a fifth (EIP-3529). EIP-7623 asks for 10 gas a token of calldata at least.
"""

from __future__ import annotations

from margincall.bench.records import Access

TRANSACTION, ZERO_BYTE, BYTE = 21_000, 4, 16
FLOOR_TOKEN, TOKENS = 10, 4  # EIP-7623: gas a token, tokens of a byte that is not zero
COLD_SLOT, COLD_ACCOUNT = 2_100, 2_600
CREATED, WRITTEN, CLEARED = 20_000, 2_900, 4_800
LOG, TOPIC, LOG_BYTE = 375, 375, 8
CREATE, CODE_BYTE = 32_000, 200
MAX_REFUND = 5  # the share of the gas used, as a divisor


def calldata(access: Access) -> int:
    return ZERO_BYTE * access.calldata_zero + BYTE * access.calldata_nonzero


def state(access: Access) -> int:
    """Of what a call touches, without the transaction's own cost, refunds aside."""
    return (
        COLD_SLOT * access.cold_slots
        + COLD_ACCOUNT * access.cold_accounts
        + CREATED * access.slots_created
        + WRITTEN * (access.slots_changed + access.slots_cleared)
        + LOG * access.logs
        + TOPIC * access.log_topics
        + LOG_BYTE * access.log_bytes
        + CREATE * access.deployments
        + CODE_BYTE * access.deploy_bytes
    )


def transaction(access: Access) -> int:
    """Of a whole transaction."""
    used = TRANSACTION + calldata(access) + state(access)
    used -= min(CLEARED * access.slots_cleared, used // MAX_REFUND)
    tokens = access.calldata_zero + TOKENS * access.calldata_nonzero
    return max(used, TRANSACTION + FLOOR_TOKEN * tokens)
