"""Settlement against its twin over random prices, observers and books.

The price: what is shown decides. With W seconds in the window, w that a shown price counts for, b of them in
which another price was already the market's last, and R between the highest and the lowest price of the
window, the settlement price is within (b / w + (W - w) / W) * R of the true time average, and rounding.
(What counts differs from the true prices in b seconds by R at most; leaving W - w seconds out moves a mean by
that share of R at most.) Everything shown, and no gap longer than a price may be used: rounding alone.

The books: what is paid adds up to zero, in any order and batches.
"""

from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from margincall.model.arithmetic import MAX_PRICE
from margincall.model.expiry import rounded
from tests.unit.clearinghouse.world import DEFAULT, THIN, world
from tests.unit.expiry.desk import MAX_AGE, WINDOW, Desk

UNIT = 10_000
counts = dict.fromkeys(["exact", "partly seen", "nothing seen", "insolvent", "shared"], 0)

gaps = st.integers(3, 120) | st.integers(3, 1_000) | st.sampled_from([3, MAX_AGE, MAX_AGE + 1])
shown_how = st.sampled_from(["at once", "at once", "at once", "late", "twice", "never"])
publications = st.tuples(gaps, st.floats(-1, 1), shown_how)


@st.composite
def paths(draw):
    """(seconds before expiry at which it begins, publications, the one that ends it)."""
    start = draw(st.integers(1, WINDOW + 1_000))
    observers = draw(st.sampled_from(["careful", "careful", "any", "any", "any", "none"]))
    listed = draw(st.lists(publications, min_size=1, max_size=25))
    if observers == "none":
        listed = [(gap, move, "never") for gap, move, _ in listed]
    if observers == "careful":
        listed = [(min(max(gap, 40), MAX_AGE), move, "at once") for gap, move, _ in listed]
        start = WINDOW + min(sum(gap for gap, _, _ in listed) // 2, MAX_AGE - 1)
        while sum(gap for gap, _, _ in listed) < start:
            listed += listed
    return start, listed, draw(st.integers(0, 3_000))


def walk(desk: Desk, path) -> tuple[list, list]:
    """Publish and show. Returns all prices and those shown, each (published, price)."""
    start, listed, after = path
    price, first, *_ = desk.w.markets.call("last_price", 1)
    made, shown = [(first, price)], []
    time = desk.expiry - start
    for gap, move, how in listed:
        time = max(time, desk.chain.timestamp + 1)
        if time >= desk.expiry:
            break
        price = moved(price, move, time - made[-1][0])
        desk.publish(0, time, units=price)
        made.append((time, price))
        if how != "never":
            wait = gap // 2 if how == "late" else 1
            desk.observe(at=desk.chain.timestamp + wait)
            shown.append((time, price))
        if how == "twice":
            desk.observe(expiry=desk.expiry)
        time += gap
    time = max(desk.expiry + after, desk.chain.timestamp + 1)
    price = moved(price, 0.5, time - made[-1][0])
    desk.publish(0, time, units=price)
    return made, [*shown, (time, price)]


def moved(price: int, share: float, elapsed: int) -> int:
    """The price moved by a share of what it may move in that time."""
    limit = min(10_000 * max(elapsed // 2, 1), 500_000)
    return min(max(price + int(share * (price * limit // 10**6)), 10**7), MAX_PRICE)


def check_price(desk: Desk, made: list, shown: list, fixed: int) -> None:
    begin, end = desk.expiry - WINDOW, desk.expiry
    true = {}
    for published, price in made:
        true |= dict.fromkeys(range(max(published, begin), end), price)
    seen = {}
    for (published, price), (until, _) in pairwise(shown):
        seen |= dict.fromkeys(range(max(published, begin), min(until, published + MAX_AGE, end)), price)
    assert desk.contract.call("observed", 1, desk.expiry)[3] == len(seen)
    if not seen:
        counts["nothing seen"] += 1
        assert fixed == rounded(shown[-1][1], 1)
        return
    assert abs(fixed - Fraction(sum(seen.values()), len(seen))) <= UNIT // 2
    wrong = sum(true[second] != price for second, price in seen.items())
    prices = {*true.values(), *seen.values()}
    bound = (Fraction(wrong, len(seen)) + Fraction(WINDOW - len(seen), WINDOW)) * (max(prices) - min(prices))
    assert abs(fixed - Fraction(sum(true.values()), WINDOW)) <= bound + UNIT // 2
    counts["exact" if not wrong and len(seen) == WINDOW else "partly seen"] += 1


@settings(max_examples=300, deadline=None)
@given(paths())
def _prices(path):
    with world() as w:
        desk = Desk(w)
        made, shown = walk(desk, path)
        check_price(desk, made, shown, desk.observe())


def test_the_price_is_the_twin_s_and_within_the_bound_of_the_average(record_property):
    _prices()
    seen = {name: counts[name] for name in ("exact", "partly seen", "nothing seen")}
    record_property("summary", f"settlement prices: {seen}")
    assert min(seen.values()) > 5


deals = st.tuples(
    st.integers(0, 4),
    st.integers(1, 4),
    st.sampled_from(["C", "P", "F"]),
    st.integers(-60, 60).map(lambda steps: 100_000 + 500 * steps),
    st.integers(-500, 500).filter(bool),
    st.integers(-(10**9), 10**9),
)


@settings(max_examples=100, deadline=None)
@given(
    st.booleans(),
    st.lists(st.integers(0, 300), min_size=5, max_size=5),
    st.lists(deals, min_size=1, max_size=14),
    st.lists(st.integers(80, 115), min_size=4, max_size=4),
    st.data(),
)
def _books(thin, wealth, made, walked, data):
    with world(THIN if thin else DEFAULT) as w:
        desk = Desk(w)
        accounts = [desk.trader(f"trader {i}", usd) for i, usd in enumerate(wealth)]
        for buyer, step, kind, strike, contracts, entry in made:
            pair = accounts[buyer], accounts[(buyer + step) % 5]
            name = "BTC-F" if kind == "F" else f"BTC-{strike}-{kind}"
            desk.give(*pair, name, contracts, entry=f"{entry / 10**6:.6f}" if kind == "F" else 0)
        assert desk.total_book() == []
        for time, thousands in enumerate(walked):
            desk.show(1_000 * thousands, desk.expiry - 1_500 + 400 * time)
        desk.show(100_000, desk.expiry + 1)
        ids = [account.id for account in accounts]
        order = data.draw(st.permutations(ids)) + data.draw(st.lists(st.sampled_from(ids), max_size=3))
        paid = []
        while order:
            size = data.draw(st.integers(1, len(order)))
            paid += desk.settle(order[:size])
            order = order[size:]
        assert sum(payoff for _, payoff in paid) == 0 == w.house.call("unsettled")
        assert len({id for id, _ in paid}) == len(paid)
        assert desk.settle(ids) == []
        counts["insolvent"] += any(w.cash(id) == 0 for id in ids)
        counts["shared"] += w.house.call("deficits", 0) > 0


def test_what_is_paid_adds_up_to_zero_in_any_order(record_property):
    _books()
    seen = {name: counts[name] for name in ("insolvent", "shared")}
    record_property("summary", f"settled books: {seen}")
    assert min(seen.values()) > 5
