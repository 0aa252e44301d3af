"""The pure modules against exact fractions, through a contract that shows their functions."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margincall.chain import EmbeddedChain, Reverted
from margincall.model import accounts, apply
from margincall.model.markets import Tier, brackets
from tests.unit.clearinghouse.world import inline

EXPOSED = inline(
    "Exposed",
    """
# pragma version 0.4.3
# pragma evm-version cancun
from contracts.interfaces import IMarkets
from contracts.ledger import lanes
from contracts.ledger import legs
from contracts.margin import terms
from contracts.math import rounding

@external
@view
def floor_div(x: int256, y: int256) -> int256:
    return rounding._floor_div(x, y)

@external
@view
def ceil_div(x: int256, y: int256) -> int256:
    return rounding._ceil_div(x, y)

@external
@view
def div_up(x: uint256, y: uint256) -> uint256:
    return rounding._div_up(x, y)

@external
@view
def header(cash: int256, count: uint256, mode: uint256) -> uint256:
    return lanes._header(0, cash, count, mode)

@external
@view
def add_cash(header: uint256, change: int256) -> uint256:
    return lanes._add_cash(header, change)

@external
@view
def unpack_header(header: uint256) -> (int256, uint256, uint256):
    return lanes._cash(header), lanes._count(header), lanes._mode(header)

@external
@view
def pack(market: uint256, size: int256, entry: int256) -> uint256:
    return lanes._pack(market, size, entry)

@external
@view
def unpack(word: uint256, i: uint256) -> (uint256, int256, int256):
    lane: uint256 = lanes._lane(word, i)
    return lanes._market(lane), lanes._size(lane), lanes._entry(lane)

@external
@view
def account(id: uint256) -> (address, bool, uint256, uint256):
    return lanes._owner(id), lanes._is_vault(id), lanes._parent(id), lanes._vault_market(id)

@external
@view
def apply(
    s: int256, e: int256, c: int256, a: int256, sl: uint256, ss: uint256
) -> (int256, int256, int256, int256):
    return legs._apply(s, e, c, a, sl, ss)

@external
@view
def value(size: int256, entry: int256, pin: IMarkets.Pin) -> int256:
    return legs._value_down(size, entry, pin)

@external
@view
def amount_up(change: int256, price: uint256, pin: IMarkets.Pin) -> int256:
    return legs._amount_up(change, price, pin)

@external
@view
def closing_amount(size: int256, closing: int256, pin: IMarkets.Pin) -> int256:
    return legs._closing_amount(size, closing, pin)

@external
@view
def requirements(words: Bytes[256], raw: uint256) -> (uint256, uint256):
    tier: uint256 = terms._tier(words, raw)
    return terms._initial_up(tier, raw), terms._maintenance_up(tier, raw)
""",
)

FUZZ = settings(max_examples=250, deadline=None, derandomize=True, database=None)
wide = st.integers(-(2**200), 2**200)
positive = st.integers(1, 2**60)
sizes = st.integers(-(2**47) + 1, 2**47 - 1)
entries = st.integers(-(2**63) + 1, 2**63 - 1)
marks = st.integers(1, 2**40 - 1)
fundings = st.integers(-(2**47) + 1, 2**47 - 1)
charges = st.integers(0, 2**50)
pins = st.tuples(st.just(0), marks, fundings, charges, charges, st.just(False))


@pytest.fixture(scope="module")
def exposed():
    return EmbeddedChain().deploy(EXPOSED)


@FUZZ
@given(x=wide, y=positive)
def test_rounding(exposed, x, y):
    assert exposed.call("floor_div", x, y) == floor(Fraction(x, y))
    assert exposed.call("ceil_div", x, y) == ceil(Fraction(x, y))
    assert exposed.call("div_up", abs(x), y) == ceil(Fraction(abs(x), y))


@FUZZ
@given(cash=st.integers(-(2**128), 2**128), change=st.integers(-(2**128), 2**128), count=st.integers(0, 32))
def test_headers(exposed, cash, change, count):
    if not -(2**127) <= cash < 2**127:
        with pytest.raises(Reverted):
            exposed.call("header", cash, count, 1)
        return
    word = exposed.call("header", cash, count, 1)
    assert word == accounts.pack_header(cash, count, 1)
    assert exposed.call("unpack_header", word) == (cash, count, 1)
    if -(2**127) <= cash + change < 2**127:
        assert exposed.call("add_cash", word, change) == accounts.pack_header(cash + change, count, 1)
    else:
        with pytest.raises(Reverted):
            exposed.call("add_cash", word, change)


@FUZZ
@given(market=st.integers(1, 63), size=sizes, entry=entries, other=st.integers(0, 2**128 - 1))
def test_lanes(exposed, market, size, entry, other):
    lane = exposed.call("pack", market, size, entry)
    assert lane == accounts.pack_lane(market, size, entry)
    assert exposed.call("unpack", lane | other << 128, 0) == (market, size, entry)
    assert exposed.call("unpack", other | lane << 128, 1) == (market, size, entry)


@pytest.mark.parametrize(
    ("size", "entry", "reason"),
    [
        (2**47, 0, "ledger: size too large"),
        (-(2**47), 0, "ledger: size too large"),
        (1, 2**63, "ledger: entry too large"),
        (1, -(2**63), "ledger: entry too large"),
    ],
)
def test_bounds_of_lanes(exposed, size, entry, reason):
    with pytest.raises(Reverted, match=reason):
        exposed.call("pack", 1, size, entry)


@FUZZ
@given(
    owner=st.integers(0, 2**160 - 1),
    index=st.integers(0, 2**32 - 1),
    market=st.integers(1, 2**32 - 1),
    number=st.integers(0, 2**32 - 1),
)
def test_accounts(exposed, owner, index, market, number):
    root = accounts.root(owner, index)
    vault = accounts.vault(root, market, number)
    address, *rest = exposed.call("account", vault)
    assert (int(address, 16), rest) == (owner, [True, root, market])
    address, *rest = exposed.call("account", root)
    assert (int(address, 16), rest) == (owner, [False, root, 0])


@FUZZ
@given(
    size=sizes,
    entry=entries,
    change=sizes.filter(bool),
    amount=entries,
    longs=charges,
    shorts=charges,
)
def test_apply(exposed, size, entry, change, amount, longs, shorts):
    got = exposed.call("apply", size, entry, change, amount, longs, shorts)
    assert got == apply(size, entry, change, amount, longs, shorts)
    new_size, new_entry, realised, social = got
    assert new_size == size + change
    # Whatever happens to the position, money is neither made nor lost but through the deficit.
    assert new_entry - entry == amount + social + realised


@FUZZ
@given(size=sizes, entry=entries, pin=pins)
def test_value(exposed, size, entry, pin):
    _, mark, funding, longs, shorts, _ = pin
    index = 100 * mark - funding + (-longs if size > 0 else shorts)
    assert exposed.call("value", size, entry, pin) == floor(Fraction(size * index, 10**10)) - entry


@FUZZ
@given(change=sizes, price=marks, pin=pins)
def test_amount(exposed, change, price, pin):
    exact = Fraction(change * (100 * price - pin[2]), 10**10)
    assert exposed.call("amount_up", change, price, pin) == ceil(exact)


@FUZZ
@given(size=sizes.filter(bool), part=st.fractions(0, 1), pin=pins)
def test_closing_at_value_leaves_the_value(exposed, size, part, pin):
    """Closing part of a position at its amount realises what that part was worth, to two units."""
    lots = max(1, floor(abs(size) * part))
    closing = -lots if size > 0 else lots
    amount = exposed.call("closing_amount", size, closing, pin)
    value = exposed.call("value", size, 0, pin)
    left, entry, realised, _ = exposed.call("apply", size, 0, closing, amount, pin[3], pin[4])
    worth = exposed.call("value", left, entry, pin) if left else 0
    assert value - 2 <= realised + worth <= value


tier_steps = st.lists(
    st.tuples(st.integers(0, 2**40), st.integers(0, 50_000), st.integers(0, 50_000)), max_size=5
)


@FUZZ
@given(steps=tier_steps, raw=st.integers(0, 2**87 - 1))
def test_requirements(exposed, steps, raw):
    """Within a unit (and one a tier) of the exact piecewise linear requirement; and continuous at edges."""
    tiers = [Tier(0, 40_000, 25_000)]
    for rise, im, mm in steps:
        last = tiers[-1]
        tiers.append(Tier(last.lower + rise, last.imf + im, last.mmf + mm))
    words = _packed(tiers)
    got = exposed.call("requirements", words, raw)
    for place, rate in ((0, "imf"), (1, "mmf")):
        exact = Fraction(0)
        for tier, upper in zip(tiers, [*tiers[1:], None], strict=True):
            top = Fraction(raw, 10**8) if upper is None else min(Fraction(raw, 10**8), upper.lower)
            exact += Fraction(max(0, top - tier.lower) * getattr(tier, rate), 10**6)
        assert exact <= got[place] < exact + 1 + len(tiers)
    for edge in (tier.lower * 10**8 for tier in tiers[1:]):
        if edge:
            below, at = (exposed.call("requirements", words, x) for x in (edge - 1, edge))
            assert all(0 <= y - x <= 6 for x, y in zip(below, at, strict=True))


def _packed(tiers: list[Tier]) -> bytes:
    words = [0]
    for bracket in brackets(tuple(tiers)):
        words.append(
            bracket.lower_raw // 10**8
            | bracket.imf << 64
            | bracket.mmf << 88
            | bracket.im_deduction << 112
            | bracket.mm_deduction << 176
        )
    words += [2**64 - 1] * (7 - len(words)) + [0]
    return b"".join(word.to_bytes(32, "big") for word in words)
