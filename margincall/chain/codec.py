"""The contract ABI's encoding, compiled once per signature into closures.

Every type becomes a pair of functions, built when the interface is read: packing or unpacking a
simple call then costs a few microseconds (`eth_abi`, the oracle of the tests, takes about a hundred).
Values: int, bool, 0x-string for an address, bytes, str, a sequence for arrays and structs. Structs
come back as named tuples, arrays as lists, addresses checksummed.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

from eth_utils import to_checksum_address

_ARRAY = re.compile(r"^(.*)\[(\d*)\]$")
_WORD = (1 << 256) - 1
_BOOL = {False: bytes(32), True: bytes(31) + b"\x01"}


class Codec(NamedTuple):
    """`pack(value) -> bytes`; `unpack(data, at) -> value` where `at` is where the value starts;
    `size` the bytes of a static type, None for a dynamic one; `kind` the canonical type string."""

    pack: Callable[[Any], bytes]
    unpack: Callable[[bytes, int], Any]
    size: int | None
    kind: str


def arguments(entries: list[dict]) -> Codec:
    """The codec of a whole argument or return list, from its ABI entries; values are tuples."""
    return _tuple([codec(entry) for entry in entries], tuple)


def codec(entry: dict) -> Codec:
    """The codec of one ABI entry (`type`, and `components` for a struct)."""
    kind = entry["type"]
    if match := _ARRAY.match(kind):
        element = codec(entry | {"type": match[1]})
        return (
            _tuple([element] * int(match[2]), list, element, int(match[2])) if match[2] else _array(element)
        )
    if kind == "tuple":
        parts = entry["components"]
        make = namedtuple(_struct_name(entry), [part["name"] for part in parts], rename=True)._make
        return _tuple([codec(part) for part in parts], make)
    return _elementary(kind)


@cache
def _elementary(kind: str) -> Codec:
    if kind in ("bytes", "string"):
        return _blob(kind)
    if kind == "address":
        return Codec(_pack_address, lambda data, at: _checksum(data[at + 12 : at + 32]), 32, kind)
    if kind == "bool":
        return Codec(_pack_bool, lambda data, at: data[at + 31] != 0, 32, kind)
    if match := re.fullmatch(r"(u?)int(\d+)", kind):
        return _integer(kind, signed=not match[1], bits=int(match[2]))
    if match := re.fullmatch(r"bytes(\d+)", kind):
        size = int(match[1])

        def pack(value: bytes) -> bytes:
            if len(value) != size:
                raise ValueError(f"{kind} wants {size} bytes, not {len(value)}")
            return bytes(value).ljust(32, b"\0")

        return Codec(pack, lambda data, at: data[at : at + size], 32, kind)
    raise ValueError(f"the ABI type {kind} is not supported")


def _integer(kind: str, signed: bool, bits: int) -> Codec:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def pack(value: int) -> bytes:
        if not low <= value <= high:
            raise ValueError(f"{value} is out of range for {kind}")
        return (value.__index__() & _WORD).to_bytes(32, "big")

    def unpack(data: bytes, at: int) -> int:
        return int.from_bytes(data[at : at + 32], "big", signed=signed)

    return Codec(pack, unpack, 32, kind)


def _pack_bool(value: bool) -> bytes:
    if value not in _BOOL:
        raise ValueError(f"{value!r} is not a bool")
    return _BOOL[value]


@lru_cache(maxsize=1 << 16)
def _pack_address(value: str) -> bytes:
    raw = bytes.fromhex(value.removeprefix("0x"))
    if len(raw) != 20:
        raise ValueError(f"{value} is not an address of 20 bytes")
    return bytes(12) + raw


@lru_cache(maxsize=1 << 16)
def _checksum(raw: bytes) -> str:
    return to_checksum_address(raw)


def _blob(kind: str) -> Codec:
    text = kind == "string"

    def pack(value: bytes | str) -> bytes:
        raw = value.encode() if text else bytes(value)
        return len(raw).to_bytes(32, "big") + raw + bytes(-len(raw) % 32)

    def unpack(data: bytes, at: int) -> bytes | str:
        raw = _slice(data, at + 32, int.from_bytes(_slice(data, at, 32), "big"))
        return raw.decode("utf-8", "replace") if text else raw

    return Codec(pack, unpack, None, kind)


def _array(element: Codec) -> Codec:
    step = element.size or 32

    def pack(values: Any) -> bytes:
        return len(values).to_bytes(32, "big") + _join([element] * len(values), values)

    def unpack(data: bytes, at: int) -> list:
        count, at = int.from_bytes(_slice(data, at, 32), "big"), at + 32
        if count * step > len(data) - at:
            raise ValueError(f"an array of {count} does not fit the data")
        if element.size:
            return [element.unpack(data, at + i * step) for i in range(count)]
        return [element.unpack(data, at + _offset(data, at + i * step)) for i in range(count)]

    return Codec(pack, unpack, None, f"{element.kind}[]")


def _tuple(parts: list[Codec], make: Callable, element: Codec | None = None, length: int = 0) -> Codec:
    """A struct, an argument list, or (`element`, `length`) an array of fixed length."""
    places, head = [], 0
    for part in parts:
        places.append((part.unpack, head, part.size is None))
        head += part.size or 32
    static = not any(dynamic for _, _, dynamic in places)
    packs = [part.pack for part in parts]

    def pack(values: Any) -> bytes:
        if len(values) != len(packs):
            raise ValueError(f"{len(values)} values for {len(packs)}")
        if static:
            return b"".join([one(value) for one, value in zip(packs, values, strict=True)])
        return _join(parts, values)

    def unpack(data: bytes, at: int) -> Any:
        if len(data) < at + head:
            raise ValueError(f"{len(data)} bytes where at least {at + head} are needed")
        if static:
            return make([one(data, at + place) for one, place, _ in places])
        return make(
            [one(data, at + (_offset(data, at + place) if far else place)) for one, place, far in places]
        )

    kind = f"{element.kind}[{length}]" if element else f"({','.join(part.kind for part in parts)})"
    return Codec(pack, unpack, head if static else None, kind)


def _join(parts: list[Codec], values: Any) -> bytes:
    """Heads, then tails: a dynamic value leaves its offset in the head."""
    at = sum(part.size or 32 for part in parts)
    heads, tails = [], []
    for part, value in zip(parts, values, strict=True):
        raw = part.pack(value)
        if part.size is not None:
            heads.append(raw)
        else:
            heads.append(at.to_bytes(32, "big"))
            tails.append(raw)
            at += len(raw)
    return b"".join(heads + tails)


def _offset(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 32], "big")


def _slice(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise ValueError(f"{len(data)} bytes where at least {at + size} are needed")
    return data[at : at + size]


def _struct_name(entry: dict) -> str:
    last = (entry.get("internalType") or "").removeprefix("struct ").split("[")[0].split(".")[-1]
    return last if last.isidentifier() else "Struct"
