"""The codec against eth_abi, and the errors of a contract's handle."""

import eth_abi
import pytest
from eth_utils import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from margincall.chain import EmbeddedChain
from margincall.chain.base import DEV_ACCOUNTS
from margincall.chain.codec import arguments

ADDRESS = st.binary(min_size=20, max_size=20).map(to_checksum_address)


def entry(kind: str, *components: dict) -> dict:
    return {"name": "x", "type": kind} | ({"components": list(components)} if components else {})


def leaf() -> st.SearchStrategy:
    kinds = [
        ("uint256", st.integers(0, 2**256 - 1)),
        ("uint8", st.integers(0, 255)),
        ("int128", st.integers(-(2**127), 2**127 - 1)),
        ("int256", st.integers(-(2**255), 2**255 - 1)),
        ("address", ADDRESS),
        ("bool", st.booleans()),
        ("bytes4", st.binary(min_size=4, max_size=4)),
        ("bytes32", st.binary(min_size=32, max_size=32)),
        ("bytes", st.binary(max_size=70)),
        ("string", st.text("az09 é≥𝛼", max_size=20)),
    ]
    return st.sampled_from([(entry(kind), values) for kind, values in kinds])


def grow(inner: st.SearchStrategy) -> st.SearchStrategy:
    def struct(parts):
        fields = [part[0] | {"name": f"f{i}"} for i, part in enumerate(parts)]
        return entry("tuple", *fields), st.tuples(*(part[1] for part in parts))

    def array(part, length):
        of, values = part
        size = {"max_size": 3} if length is None else {"min_size": length, "max_size": length}
        return of | {"type": f"{of['type']}[{'' if length is None else length}]"}, st.lists(values, **size)

    structs = st.lists(inner, min_size=1, max_size=3).map(struct)
    return structs | st.builds(array, inner, st.none() | st.integers(1, 3))


TYPED = st.recursive(leaf(), grow, max_leaves=5)


def plain(value):
    return tuple(plain(item) for item in value) if isinstance(value, tuple | list) else value


@given(st.data())
def test_codec_agrees_with_eth_abi(data):
    typed = data.draw(st.lists(TYPED, min_size=1, max_size=4))
    codec = arguments([of for of, _ in typed])
    values = tuple(data.draw(strategy) for _, strategy in typed)
    packed = codec.pack(values)
    types = eth_abi.grammar.parse(codec.kind).components
    assert packed == eth_abi.encode([kind.to_type_str() for kind in types], values)
    assert plain(codec.unpack(packed, 0)) == plain(values)
    with pytest.raises(ValueError, match="needed|fit"):
        codec.unpack(packed[:-32], 0)


@pytest.fixture(scope="module")
def contract(probe):
    return EmbeddedChain().deploy(probe, 9, DEV_ACCOUNTS[1])


def test_structs_arrays_and_default_arguments(contract):
    book = (DEV_ACCOUNTS[0].lower(), [(-1, 2), (3, 4)], [-5, 6])
    echoed, flag, tag = contract.call("echo", book, True)
    assert (echoed.owner, echoed.bounds, flag, tag) == (DEV_ACCOUNTS[0], [-5, 6], True, b"\1\2\3\4")
    assert [(leg.size, leg.price) for leg in echoed.legs] == [(-1, 2), (3, 4)]
    assert contract.call("echo", book, False, b"abcd")[2] == b"abcd"
    assert contract.call("leg") == (-5, 7)
    assert contract.call("clear", DEV_ACCOUNTS[0]) is None


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("nope",), "Probe.nope: unknown; known: DEPLOYER, add"),
        (("add",), "Probe.add: takes 1 or 2 arguments, not 0"),
        (("add", -1), "-1 is out of range for uint256"),
        (("add", 1 << 256), "is out of range for uint256"),
        (("add", "5"), "not supported"),
        (("add", 1.5), "float"),
        (("clear", "0x12"), "not an address of 20 bytes"),
        (("clear", "someone"), "hexadecimal"),
        (("echo", 5, True), r"no len\(\)"),
        (("echo", (DEV_ACCOUNTS[0], [], [1, 2]), "yes"), "not a bool"),
        (("echo", (DEV_ACCOUNTS[0], [], [1]), True), "1 values for 2"),
    ],
)
def test_bad_arguments_are_named(contract, args, says):
    with pytest.raises(ValueError, match=says):
        contract.encode(*args)


def test_bad_constructor_arguments_are_named(probe):
    with pytest.raises(ValueError, match=r"the constructor takes \(uint256,address\)"):
        EmbeddedChain().deploy(probe, 9)
