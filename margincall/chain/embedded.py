"""An EVM inside this process (pyrevm, Cancun): no node, some ten thousand transactions a second.

pyrevm holds one endless revm transaction: its journal grows with every call, slots stay warm, and
EIP-2200's original values and the transient storage leak from call to call. Three cures:

- transient storage is cleared after every transaction;
- the journal is folded: everything runs on top of a base checkpoint, and now and then the written
  accounts and slots are read out of the journal, the checkpoint is undone, and they are put into
  the database beneath. Memory and speed stay flat;
- with `exact_gas` that happens after every transaction: each then starts cold, and `gas_used` is
  what the receipt of a node says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyrevm
from eth_utils import to_checksum_address

from margincall.chain.base import (
    BLOCK_GAS,
    DEV_ACCOUNTS,
    TX_GAS,
    Chain,
    ChainError,
    Log,
    Receipt,
    Reverted,
    revert_reason,
)

GENESIS_TIMESTAMP = 1_700_000_000
MAX_SNAPSHOTS = 512  # the EVM's call depth, 1,024, is shared with the checkpoints
FOLD_EVERY = 2_048  # transactions: the fold costs about 1 ms per thousand slots ever touched
ZERO = "0x" + "00" * 20

_ACCOUNT = re.compile(
    r"(0x[0-9a-f]{40}): Account \{ info: AccountInfo \{ balance: (\d+), nonce: (\d+), "
    r"code_hash: 0x[0-9a-f]+, code: (?:None|Some\(Bytecode \{ bytecode: 0x([0-9a-f]*), "
    r"state: (?:Raw|Analysed \{ len: (\d+).*?\} \})(?: \})?\)) \}, "
    r"storage: \{(.*?)\}, status: AccountStatus\(([^)]*)\)"
)
_SLOT = re.compile(r"(\d+): StorageSlot \{ previous_or_original_value: (\d+), present_value: (\d+) ")
_FAILURE = re.compile(r"(Revert|Halt) \{ (?:reason: (.*?), )?gas_used: \d+(?:, output: 0x([0-9a-f]*))? \}")


class EmbeddedChain(Chain):
    """A chain in this process. Any address may send; the ten development accounts hold ether.

    `exact_gas`: receipts' gas as on a Prague node (cold state, refunds, the calldata floor of
    EIP-7623), at a tenth of the speed, and no snapshots. `keep_logs=False` saves the memory of a
    long run whose `logs()` nobody reads; receipts carry their logs either way.
    A contract's address depends on the sender's nonce, and without `exact_gas` only deployments
    raise it: do not expect the addresses of a node.
    """

    def __init__(
        self,
        chain_id: int = 31337,
        timestamp: int = GENESIS_TIMESTAMP,
        exact_gas: bool = False,
        keep_logs: bool = True,
    ) -> None:
        self.chain_id = chain_id
        self.accounts = list(DEV_ACCOUNTS)
        self.exact_gas = exact_gas
        self._evm = pyrevm.EVM(spec_id="Cancun", env=pyrevm.Env(cfg=pyrevm.CfgEnv(chain_id=chain_id)))
        for account in self.accounts:
            self._evm.insert_account_info(account, pyrevm.AccountInfo(balance=10**22, nonce=0, code=None))
        self._keep_logs = keep_logs
        self._logs: list[Log] = []
        self._marks: list[tuple] = []
        self._last_mark = 0
        self._unfolded = 0
        self._set_block(0, timestamp)
        self._base = self._evm.snapshot()

    @property
    def timestamp(self) -> int:
        return self._timestamp

    @property
    def block(self) -> int:
        return self._block

    def send(
        self, sender: str, to: str, data: bytes, gas: int | None = None, at: int | None = None
    ) -> Receipt:
        return self._transact(sender, to, data, gas or TX_GAS, at)[0]

    def create(self, sender: str, code: bytes, at: int | None = None) -> str:
        return to_checksum_address(self._transact(sender, None, code, TX_GAS, at)[1])

    def call(self, to: str, data: bytes, sender: str | None = None, at: int | None = None) -> bytes:
        return self._view(to, data, sender, at)[0]

    def view_gas(self, to: str, data: bytes, sender: str | None = None, at: int | None = None) -> int:
        """Gas of a call on cold state, without the transaction's intrinsic gas. Needs `exact_gas`."""
        if not self.exact_gas:
            raise ChainError("the gas of a view is exact only on EmbeddedChain(exact_gas=True)")
        return self._view(to, data, sender, at)[1] - _intrinsic_gas(data)

    def code(self, address: str) -> bytes:
        mark = self._evm.snapshot()
        try:
            info = self._evm.basic(address)
            return _trim_code(self._evm.journal_str, address) if info.code else b""
        finally:
            self._evm.revert(mark)

    def code_of(self, address: str, length: int) -> bytes:
        """The first bytes of a contract's code, whose length is known: a hundred times as fast as `code`."""
        return bytes(self._evm.get_code(address) or b"")[:length]

    def storage(self, address: str, slot: int) -> int:
        return self._evm.storage(address, slot)

    def words(self, slots: Sequence[tuple[str, int]]) -> list[int]:
        read = self._evm.storage
        return [read(address, slot) for address, slot in slots]

    def snapshot(self) -> int:
        if self.exact_gas:
            raise ChainError("an exact-gas chain has no snapshots; take EmbeddedChain()")
        if len(self._marks) >= MAX_SNAPSHOTS:
            raise ChainError(f"{MAX_SNAPSHOTS} snapshots are open; revert some before taking another")
        self._last_mark += 1
        state = (self._last_mark, self._evm.snapshot(), self._block, self._timestamp, len(self._logs))
        self._marks.append(state)
        return self._last_mark

    def revert(self, snapshot: int) -> None:
        if not self._marks or self._marks[-1][0] != snapshot:
            newest = self._marks[-1][0] if self._marks else "none"
            raise ChainError(
                f"snapshot {snapshot} is not the newest open one ({newest}); revert newest first"
            )
        _, mark, block, timestamp, logs = self._marks.pop()
        self._evm.revert(mark)
        self._evm.reset_transient_storage()
        del self._logs[logs:]
        self._set_block(block, timestamp)

    def logs(self, address: str | None = None, start: int = 0) -> list[Log]:
        if not self._keep_logs:
            raise ChainError("this chain keeps no logs; make it with keep_logs=True")
        wanted = to_checksum_address(address) if address else None
        return [log for log in self._logs if log.block >= start and wanted in (None, log.address)]

    def _set_block(self, number: int, timestamp: int) -> None:
        self._block, self._timestamp = number, timestamp
        self._evm.set_block_env(
            pyrevm.BlockEnv(number=number, timestamp=timestamp, gas_limit=BLOCK_GAS, prevrandao=bytes(32))
        )

    def _transact(self, sender, to, data, gas, at) -> tuple[Receipt, str | None]:
        self._set_block(self._block + 1, self._next_time(at))
        evm, address, output = self._evm, None, b""
        try:
            if to is None:
                address = evm.deploy(sender, data, gas=gas)
            else:
                output = evm.message_call(sender, to, calldata=data, gas=gas)
        except RuntimeError as error:
            raise _reverted(error) from None
        finally:
            evm.reset_transient_storage()
            self._unfolded += 1
            result = evm.result
            if self.exact_gas or (self._unfolded >= FOLD_EVERY and not self._marks):
                self._fold(sender if self.exact_gas and to is not None else None)
        block = self._block
        logs = [
            Log(raw.address, tuple(words), body, block) for raw in result.logs for words, body in (raw.data,)
        ]
        if self._keep_logs:
            self._logs += logs
        used = max(result.gas_used, _calldata_floor(data)) if self.exact_gas else result.gas_used
        return Receipt(True, used, logs, bytes(output), block, self._timestamp), address

    def _view(self, to, data, sender, at) -> tuple[bytes, int]:
        block, last = self._block, self._timestamp
        if at is not None and at < last:
            raise ChainError(f"a call at {at} is before the last block's {last}; ask for that time or later")
        if moved := at is not None and at != last:
            self._set_block(block, at)
        mark = self._evm.snapshot()
        try:
            output = self._evm.message_call(sender or ZERO, to, calldata=data, gas=TX_GAS)
            return bytes(output), self._evm.result.gas_used
        except RuntimeError as error:
            raise _reverted(error) from None
        finally:
            self._evm.revert(mark)
            self._evm.reset_transient_storage()
            if moved:
                self._set_block(block, last)

    def _fold(self, sender: str | None = None) -> None:
        """Move what was written since the base checkpoint into the database; everything is cold again."""
        evm = self._evm
        state, _, _ = evm.journal_str.partition("transient_storage:")
        evm.revert(self._base)
        for address, balance, nonce, code, length, storage, status in _ACCOUNT.findall(state):
            if "Touched" not in status:
                continue
            # message_call does not count the transaction in the sender's nonce
            count = int(nonce) + (sender is not None and address == sender.lower())
            runtime = bytes.fromhex(code)[: int(length) if length else None] or None
            if not runtime and not count:
                continue  # a plain sender: it has only ether, and no transaction here moves any
            evm.insert_account_info(
                address, pyrevm.AccountInfo(balance=int(balance), nonce=count, code=runtime)
            )
            for slot, original, present in _SLOT.findall(storage):
                if original != present:
                    mark = evm.snapshot()
                    evm.insert_account_storage(address, int(slot), int(present))
                    evm.revert(mark)
        self._base = evm.snapshot()
        self._unfolded = 0


def _trim_code(journal: str, address: str) -> bytes:
    """Code of a loaded account: `get_code` pads it with zeros, the journal knows the length."""
    for found, _, _, code, length, _, _ in _ACCOUNT.findall(journal):
        if found == address.lower():
            return bytes.fromhex(code)[: int(length) if length else None]
    raise ChainError(f"the code of {address} could not be read")


def _reverted(error: RuntimeError) -> Reverted:
    failure = _FAILURE.match(str(error))
    if not failure:
        raise ChainError(f"the embedded EVM refused the transaction: {error}") from None
    kind, halt, output = failure.groups()
    data = bytes.fromhex(output or "")
    return Reverted(halt.partition("(")[0] if kind == "Halt" else revert_reason(data), data)


def _intrinsic_gas(data: bytes) -> int:
    zeros = data.count(0)
    return 21_000 + 4 * zeros + 16 * (len(data) - zeros)


def _calldata_floor(data: bytes) -> int:
    """EIP-7623: the least a transaction pays, ten gas a token (a zero byte one token, others four)."""
    zeros = data.count(0)
    return 21_000 + 10 * (zeros + 4 * (len(data) - zeros))
