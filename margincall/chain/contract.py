"""A deployed contract: its functions by name, its events by topic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from eth_utils import keccak, to_checksum_address

from margincall.chain.base import Chain, Log, Receipt
from margincall.chain.codec import arguments, codec
from margincall.protocol.artifacts import Artifact


class Event(NamedTuple):
    """A decoded log; `args` maps argument names to values, indexed ones included.

    An indexed argument of a dynamic type is only its hash on chain, and is given as 32 bytes."""

    name: str
    args: dict[str, Any]
    address: str
    block: int


class Contract:
    """`artifact` at `address` on `chain`.

    Functions are chosen by name and number of arguments (Vyper's default arguments make one ABI
    function for each number). Structs come back as named tuples, one return value unwrapped,
    several as a tuple, none as None.
    """

    def __init__(self, chain: Chain, address: str, artifact: Artifact) -> None:
        self.chain = chain
        self.address = to_checksum_address(address)
        self.artifact = artifact
        self._functions, self._events = _interface(artifact)

    def __repr__(self) -> str:
        return f"<{self.artifact.name} {self.address}>"

    def encode(self, function: str, *args) -> bytes:
        """Calldata. Raises ValueError: no such function, wrong number, type or range of arguments."""
        return self._find(function, args).encode(args)

    def send(
        self, sender: str, function: str, *args, gas: int | None = None, at: int | None = None
    ) -> Receipt:
        """One transaction; see Chain.send."""
        return self.chain.send(sender, self.address, self.encode(function, *args), gas, at)

    def call(self, function: str, *args, sender: str | None = None, at: int | None = None) -> Any:
        """The decoded return value of a call that changes nothing; see Chain.call."""
        found = self._find(function, args)
        return found.decode(self.chain.call(self.address, found.encode(args), sender, at))

    def decode_output(self, function: str, output: bytes, arguments: int = 0) -> Any:
        """Decode the return data of `function` called with that many arguments."""
        return self._find(function, (None,) * arguments).decode(output)

    def decode_log(self, log: Log) -> Event | None:
        """The event in a log of this contract; None for a log of another address or an unknown event."""
        if log.address != self.address or not log.topics:
            return None
        event = self._events.get(log.topics[0])
        return event and event(log)

    def events(self, receipt_or_logs: Receipt | Sequence[Log], name: str | None = None) -> list[Event]:
        """This contract's events in a receipt or a list of logs, of one name or all."""
        logs = receipt_or_logs.logs if isinstance(receipt_or_logs, Receipt) else receipt_or_logs
        decoded = (self.decode_log(log) for log in logs)
        return [event for event in decoded if event and name in (None, event.name)]

    def _find(self, function: str, args: tuple) -> _Function:
        try:
            return self._functions[function, len(args)]
        except KeyError:
            known = sorted({name for name, _ in self._functions})
            takes = " or ".join(str(n) for name, n in sorted(self._functions) if name == function)
            hint = (
                f"takes {takes} arguments, not {len(args)}"
                if takes
                else f"unknown; known: {', '.join(known)}"
            )
            raise ValueError(f"{self.artifact.name}.{function}: {hint}") from None


class _Function:
    def __init__(self, entry: dict) -> None:
        self.name = entry["name"]
        inputs, outputs = arguments(entry["inputs"]), arguments(entry["outputs"])
        self.selector = keccak(text=self.name + inputs.kind)[:4]
        self._pack, self._unpack = inputs.pack, outputs.unpack
        self._outputs = len(entry["outputs"])

    def encode(self, args: tuple) -> bytes:
        try:
            return self.selector + self._pack(args)
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{self.name}{args!r}: {error}") from None

    def decode(self, output: bytes) -> Any:
        if not self._outputs:
            return None
        values = self._unpack(output, 0)
        return values[0] if self._outputs == 1 else values


def encode_constructor(abi: list, args: tuple) -> bytes:
    """Constructor arguments as they are appended to the creation code."""
    entry = next((e for e in abi if e["type"] == "constructor"), {"inputs": []})
    expected = arguments(entry["inputs"])
    try:
        return expected.pack(args)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"the constructor takes {expected.kind}, not {args!r}: {error}") from None


_interfaces: dict[int, tuple] = {}


def _interface(artifact: Artifact) -> tuple[dict, dict]:
    """Functions by (name, number of arguments) and events by topic; built once an artifact."""
    known = _interfaces.get(id(artifact))
    if known is None or known[0] is not artifact:
        functions = {
            (e["name"], len(e["inputs"])): _Function(e) for e in artifact.abi if e["type"] == "function"
        }
        events = dict(_event(e) for e in artifact.abi if e["type"] == "event")
        known = _interfaces[id(artifact)] = (artifact, functions, events)
    return known[1], known[2]


def _event(entry: dict) -> tuple[bytes, Callable[[Log], Event]]:
    name, inputs = entry["name"], entry["inputs"]
    topic = keccak(text=name + arguments(inputs).kind)
    plain = [arg for arg in inputs if not arg["indexed"]]
    unpack = arguments(plain).unpack
    indexed = [(arg["name"], codec(arg)) for arg in inputs if arg["indexed"]]
    order = [arg["name"] for arg in inputs]

    def decode(log: Log) -> Event:
        values = {arg["name"]: value for arg, value in zip(plain, unpack(log.data, 0), strict=True)}
        for (key, one), word in zip(indexed, log.topics[1:], strict=True):
            values[key] = one.unpack(word, 0) if one.size == 32 else word
        return Event(name, {key: values[key] for key in order}, log.address, log.block)

    return topic, decode
