"""Posting a leg: wealth is moved and never made."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margincall.model import Refused, apply
from margincall.model.ledger import post, put
from tests.unit.model import specification as spec

sizes = st.integers(-(10**12), 10**12)
changes = sizes.filter(bool)
amounts = st.integers(-(10**15), 10**15)
charges = st.integers(0, 10**11)
cases = (sizes, amounts, changes, amounts, charges, charges, st.integers(-(10**13), 10**13))


@given(*cases)
def test_a_post_changes_wealth_by_its_price_difference(size, entry, change, amount, longs, shorts, plain):
    """At any mark, wealth grows by change * mark - amount, less at most a unit per fold: opened, added to,
    reduced, closed and flipped alike, with social charges folded in and out.
    """
    entry = entry if size else 0
    after, new_entry, realised, social = apply(size, entry, change, amount, longs, shorts)
    assert after == size + change
    before = spec.wealth(0, size, entry, Fraction(plain), longs, shorts)
    now = spec.wealth(realised, after, new_entry, Fraction(plain), longs, shorts)
    gain = Fraction(change * plain, spec.INDEX) - amount
    assert gain - 2 < now - before <= gain
    # Entries and realised P&L are zero-sum but for the social part.
    assert new_entry - entry - realised == amount + social


@given(*cases)
def test_realised_is_the_exact_one_rounded_down(size, entry, change, amount, longs, shorts, plain):
    entry = entry if size else 0
    after, new_entry, realised, _ = apply(size, entry, change, amount, longs, shorts)
    if size == 0 or (size > 0) == (change > 0):
        assert realised == 0
        return
    closed = min(abs(size), abs(change))
    charge = Fraction(closed * (longs if size > 0 else shorts), spec.INDEX)
    exact = -Fraction(amount * closed, abs(change)) - Fraction(entry * closed, abs(size)) - charge
    assert exact - 3 < realised <= exact
    if after == 0:
        assert new_entry == 0


@given(st.lists(st.tuples(changes, amounts), min_size=1, max_size=20), charges, charges)
def test_a_round_trip_never_gains(fills, longs, shorts):
    """I-35: whatever the order of fills, closing at the mark leaves at most their exact P&L."""
    positions, cash, paid, held = (), 0, 0, 0
    for change, amount in fills:
        positions, _, after, realised, _ = post(positions, 1, change, amount, longs, shorts)
        cash += realised
        paid += amount
        held = after
    if held:
        positions, _, _, realised, _ = post(positions, 1, -held, 0, longs, shorts)
        cash += realised
    assert positions == ()
    assert cash <= -paid
    assert cash > -paid - 2 * (len(fills) + 1)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(-3, 3)), max_size=60))
def test_lanes_are_appended_and_swap_removed(steps):
    """The last lane takes the place of one that empties; order is otherwise kept."""
    positions, lanes = (), []
    for market, change in steps:
        if not change:
            continue
        found = [i for i, lane in enumerate(lanes) if lane[0] == market]
        positions, *_ = post(positions, market, change, change * 10, 0, 0)
        if not found:
            lanes.append([market, change])
        else:
            lanes[found[0]][1] += change
            if lanes[found[0]][1] == 0:
                lanes[found[0]] = lanes[-1]
                lanes.pop()
    assert [list(position[:2]) for position in positions] == lanes


def test_bounds_are_refused():
    full = tuple((market, 1, 0) for market in range(1, 33))
    for arguments, reason in (
        ((full, -1, 40, 1, 0), "ledger: too many positions"),
        (((), -1, 1, 2**47, 0), "ledger: size too large"),
        (((), -1, 1, 1, 2**63), "ledger: entry too large"),
    ):
        with pytest.raises(Refused, match=reason):
            put(*arguments)
    assert put((), -1, 1, -(2**47) + 1, -(2**63) + 1)
