"""A running Anvil or Hardhat node, over HTTP or IPC.

Development nodes only: they hold the senders' keys, let any address send, and let us set the clock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

from eth_utils import to_checksum_address
from web3 import HTTPProvider, IPCProvider

from margincall.chain.base import TX_GAS, Chain, ChainError, Log, Receipt, Reverted, revert_reason

MAX_FEE = 20 * 10**9  # wei a gas; given, so that the node looks no fee up
RICH = 10**22  # wei
TIMEOUT = 60  # seconds
TRACE_TIMEOUT = 600  # a million opcodes take Anvil two seconds, more where the machine is busy
Step = tuple[str, int, int, int]
"""Of a trace: opcode, depth (from 1), gas left before it, what the node says that it cost."""

_STEP = re.compile(rb'"op":"(\w+)","gas":(\d+),"gasCost":(\d+),"depth":(\d+)')


class NodeChain(Chain):
    """The node at `rpc_url` (http://..., or the path of an IPC socket).

    Raises ChainError if it does not answer, is neither Anvil nor Hardhat, or has another chain id
    than `expect_chain_id`. A call `at` a later time runs in the last block with that timestamp on
    Anvil, and in the pending block (its number is one higher) on Hardhat.
    """

    def __init__(self, rpc_url: str, expect_chain_id: int | None = None) -> None:
        self.url = rpc_url
        if rpc_url.startswith(("http://", "https://")):
            # A repeated request could be a repeated transaction: no retries.
            self._provider = HTTPProvider(
                rpc_url, request_kwargs={"timeout": TIMEOUT}, exception_retry_configuration=None
            )
        else:
            self._provider = IPCProvider(rpc_url, timeout=TIMEOUT)
        client = self._ask("web3_clientVersion")
        self._anvil = client.lower().startswith("anvil")
        if not self._anvil and not client.lower().startswith("hardhat"):
            raise ChainError(f"{rpc_url} is {client}, not a development node; start anvil or a hardhat node")
        self.chain_id = int(self._ask("eth_chainId"), 16)
        if expect_chain_id not in (None, self.chain_id):
            raise ChainError(
                f"{rpc_url} has chain id {self.chain_id}, expected {expect_chain_id}; "
                "give the right URL or start the node with that chain id"
            )
        self.accounts = [to_checksum_address(account) for account in self._ask("eth_accounts")]
        self._unlocked = {account.lower() for account in self.accounts}
        self._marks: list[tuple[int, str]] = []
        self._last_mark = 0
        self.refresh()

    @property
    def timestamp(self) -> int:
        return self._timestamp

    @property
    def block(self) -> int:
        return self._block

    def send(
        self, sender: str, to: str, data: bytes, gas: int | None = None, at: int | None = None
    ) -> Receipt:
        return self._transact({"from": sender, "to": to, "data": _hex(data), "gas": hex(gas or TX_GAS)}, at)[
            0
        ]

    def create(self, sender: str, code: bytes, at: int | None = None) -> str:
        _, raw = self._transact({"from": sender, "data": _hex(code), "gas": hex(TX_GAS)}, at)
        return to_checksum_address(raw["contractAddress"])

    def call(self, to: str, data: bytes, sender: str | None = None, at: int | None = None) -> bytes:
        tx = {"to": to, "data": _hex(data), "gas": hex(TX_GAS)}
        if sender:
            tx["from"] = sender
        if at is None or at == self._timestamp:
            params = [tx, "latest"]
        elif at < self._timestamp:
            raise ChainError(
                f"a call at {at} is before the last block's {self._timestamp}; ask for a later time"
            )
        elif self._anvil:
            params = [tx, "latest", {}, {"time": hex(at)}]
        else:
            # Every transaction sets its own time: this one is overwritten before it can take effect.
            self._ask("evm_setNextBlockTimestamp", at)
            params = [tx, "pending"]
        return bytes.fromhex(self._ask("eth_call", *params)[2:])

    def code(self, address: str) -> bytes:
        return bytes.fromhex(self._ask("eth_getCode", address, "latest")[2:])

    def storage(self, address: str, slot: int) -> int:
        return int(self._ask("eth_getStorageAt", address, hex(slot), "latest"), 16)

    def snapshot(self) -> int:
        self._last_mark += 1
        self._marks.append((self._last_mark, self._ask("evm_snapshot")))
        return self._last_mark

    def revert(self, snapshot: int) -> None:
        if not self._marks or self._marks[-1][0] != snapshot:
            newest = self._marks[-1][0] if self._marks else "none"
            raise ChainError(
                f"snapshot {snapshot} is not the newest open one ({newest}); revert newest first"
            )
        if not self._ask("evm_revert", self._marks.pop()[1]):
            raise ChainError(f"{self.url} no longer knows snapshot {snapshot}; was the node restarted?")
        self.refresh()

    def logs(self, address: str | None = None, start: int = 0) -> list[Log]:
        query = {"fromBlock": hex(start), "toBlock": "latest"} | ({"address": address} if address else {})
        if start > self._block:
            return []
        return [_log(raw) for raw in self._ask("eth_getLogs", query)]

    def trace_last(self) -> tuple[bytes, Iterator[Step]]:
        """Calldata of the last block's transaction and the opcodes it ran: it is run again in the state
        before it. Anvil over HTTP only."""
        [raw] = self._ask("eth_getBlockByNumber", "latest", True)["transactions"]
        tx = {key: raw[key] for key in ("from", "to", "input", "gas")}
        return bytes.fromhex(raw["input"][2:]), self._trace(tx, self._block - 1)

    def trace_call(self, to: str, data: bytes) -> Iterator[Step]:
        """The opcodes that a call runs in the present state. Anvil over HTTP only."""
        return self._trace({"to": to, "data": _hex(data), "gas": hex(TX_GAS)}, self._block)

    def _trace(self, tx: dict, block: int) -> Iterator[Step]:
        at = {"time": hex(self._timestamp), "number": hex(self._block)}
        options = dict.fromkeys(
            ("disableStorage", "disableMemory", "disableStack", "disableReturnData"), True
        )
        params = [tx, hex(block), options | {"blockOverrides": at}]
        request = {"jsonrpc": "2.0", "id": 1, "method": "debug_traceCall", "params": params}
        body, kind = json.dumps(request).encode(), {"Content-Type": "application/json"}
        try:
            with urlopen(Request(self.url, body, kind), timeout=TRACE_TIMEOUT) as answer:
                text = answer.read()
        except OSError as error:
            raise ChainError(f"{self.url} gave no trace ({error})") from None
        if not _STEP.search(text):
            raise ChainError(f"{self.url} gave no trace: {text[:120].decode(errors='replace')}")
        # Millions of opcodes: as JSON they would take ten times as long and as much memory.
        found = (step.groups() for step in _STEP.finditer(text))
        return ((op.decode(), int(depth), int(gas), int(cost)) for op, gas, cost, depth in found)

    def refresh(self) -> None:
        head = self._ask("eth_getBlockByNumber", "latest", False)
        self._block, self._timestamp = int(head["number"], 16), int(head["timestamp"], 16)

    def _transact(self, tx: dict, at: int | None) -> tuple[Receipt, dict]:
        wanted = self._next_time(at)
        self._unlock(tx["from"])
        tx |= {"maxFeePerGas": hex(MAX_FEE), "maxPriorityFeePerGas": "0x0"}
        try:
            self._ask("evm_setNextBlockTimestamp", wanted)
            raw = self._mine(tx)
        except Reverted:
            self.refresh()
            raise
        self._block, self._timestamp = int(raw["blockNumber"], 16), wanted
        if raw["status"] != "0x1":
            raise self._why(tx)
        logs = [_log(log) for log in raw["logs"]]
        return Receipt(True, int(raw["gasUsed"], 16), logs, None, self._block, wanted), raw

    def _mine(self, tx: dict) -> dict:
        # Anvil's eth_sendTransaction answers before the block is there; Hardhat's after.
        if self._anvil:
            return self._ask("eth_sendTransactionSync", tx)
        return self._ask("eth_getTransactionReceipt", self._ask("eth_sendTransaction", tx))

    def _why(self, tx: dict) -> Reverted:
        """The reason of a mined failure: the same call in the state before it."""
        before = hex(self._block - 1)
        override = [{}, {"time": hex(self._timestamp), "number": hex(self._block)}] if self._anvil else []
        try:
            self._ask("eth_call", tx, before, *override)
        except Reverted as error:
            return error
        return Reverted("")

    def _unlock(self, sender: str) -> None:
        if sender.lower() in self._unlocked:
            return
        # Anvil answers to the names Hardhat gave these methods.
        self._ask("hardhat_impersonateAccount", sender)
        self._ask("hardhat_setBalance", sender, hex(RICH))
        self._unlocked.add(sender.lower())

    def _ask(self, method: str, *params) -> Any:
        try:
            answer = self._provider.make_request(method, list(params))
        except Exception as error:  # requests, sockets and web3 each raise their own
            what = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ChainError(
                f"no answer from {self.url} ({what[:120]}); start a node there (`anvil`) or give another URL"
            ) from None
        if "error" not in answer:
            return answer["result"]
        raise _failure(answer["error"], self.url, method)


def _failure(error: dict, url: str, method: str) -> Exception:
    """Reverted if the EVM said so, else ChainError with the node's words."""
    message, data = error.get("message", ""), error.get("data")
    if isinstance(data, dict):  # Hardhat nests it
        data = data.get("data")
    if isinstance(data, str) and data.startswith("0x"):
        output = bytes.fromhex(data[2:])
        return Reverted(revert_reason(output) or _halt(message), output)
    if "revert" in message or error.get("code") == 3 or _halt(message):
        return Reverted(_halt(message))
    return ChainError(f"{url} refused {method}: {message}")


def _halt(message: str) -> str:
    """The name of an exceptional halt, as the embedded EVM gives it."""
    words = message.lower().replace(" ", "")
    return "OutOfGas" if "outofgas" in words or words.endswith("oog") else ""


def _log(raw: dict) -> Log:
    topics = tuple(bytes.fromhex(topic[2:]) for topic in raw["topics"])
    address = to_checksum_address(raw["address"])
    return Log(address, topics, bytes.fromhex(raw["data"][2:]), int(raw["blockNumber"], 16))


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
