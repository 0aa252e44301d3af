"""Settlement: what each account gets, once, in any order, and what happens to who cannot pay (I-33)."""

from itertools import permutations

import pytest

from margincall.model.instrument import CONTRACT
from tests.unit.clearinghouse.world import DEFAULT, THIN, USD, many_markets, world
from tests.unit.expiry.desk import Desk

DAY = 86_400


@pytest.fixture
def desk():
    with world() as w:
        yield Desk(w)


def test_payoffs_by_hand(desk):
    """At 104,000 of 0.01 BTC a hundred contracts each: a call struck at 100,000 pays 40 USD, a put at 106,000
    20 USD, a future bought at 103,000 10 USD."""
    a, b, c = (desk.trader(name, 1_000) for name in "abc")
    desk.give(a, b, "BTC-100000-C", 100)
    desk.give(b, c, "BTC-106000-P", 100)
    desk.give(c, a, "BTC-F", 100, entry=1_030)
    assert desk.fix(104_000) == desk.units(104_000)
    assert desk.settle([a, b, c]) == [
        (a.id, (40 - 10) * USD),
        (b.id, (20 - 40) * USD),
        (c.id, (10 - 20) * USD),
    ]
    assert [desk.w.cash(x.id) // USD for x in (a, b, c)] == [1_030, 980, 990]
    assert desk.w.house.call("unsettled") == 0
    assert [desk.book(x) for x in (a, b, c)] == [[], [], []]


@pytest.mark.parametrize("usd", [50_000, 100_000, "104000.01", 106_000, 200_000])
def test_payoffs_add_up_to_zero(desk, usd):
    accounts = [desk.trader(name, 100_000) for name in "abcd"]
    deals = {"100000-C": 7, "106000-P": 3, "F": 11, "90000-P": -5, "99500-C": -1}
    for i, (name, contracts) in enumerate(deals.items()):
        buyer, seller = accounts[i % 4], accounts[(i + 1) % 4]
        desk.give(buyer, seller, f"BTC-{name}", contracts, entry="0.333333" if name == "F" else 0)
    assert desk.total_book() == []
    desk.publish({50_000: 70_000, 200_000: 140_000}.get(usd, 100_000), desk.expiry - 5_000)
    desk.fix(usd)
    paid = desk.settle(accounts)
    assert len(paid) == 4
    assert sum(payoff for _, payoff in paid) == 0 == desk.w.house.call("unsettled")
    assert len({payoff for _, payoff in paid}) > 1


def test_the_first_settlement_fixes_the_price(desk):
    a, b = desk.trader("a"), desk.trader("b")
    desk.give(a, b, "BTC-100000-C", 100)
    desk.publish(104_000, desk.expiry + 3)
    assert desk.settle([b, a]) == [(b.id, -40 * USD), (a.id, 40 * USD)]


def test_who_does_not_hold_it_is_passed_over(desk):
    a, b, other, empty = desk.trader("a"), desk.trader("b"), desk.trader("other"), desk.trader("empty", 0)
    other.buy("BTC", "0.01", mode="isolated", leverage=5)
    desk.give(a, b, "BTC-100000-C", 100)
    desk.give(other, b, "ETH-4000-C", 100)
    vault = other.vault("BTC")
    desk.accounts.append(type(other)(other.protocol, other.owner, vault))
    desk.fix(104_000)
    paid = desk.settle([0, empty, other, vault, a, a, 2**256 - 1, desk.w.maker, b, a])
    assert paid == [(a.id, 40 * USD), (b.id, -40 * USD)]
    assert desk.settle([a, b, other]) == []
    assert len(desk.book(other)) == 2
    assert len(desk.book(b)) == 2  # the series in ether


@pytest.mark.parametrize("spec", [DEFAULT, THIN], ids=["insured", "thin"])
def test_every_order_and_batching_is_the_same(spec):
    """24 orders, in one call, one by one, or two and two, of which two accounts cannot pay: 83 and 70 USD."""
    with world(spec) as w:
        desk = Desk(w)
        names = {"a": 20, "b": 5, "c": 10, "d": 500}
        a, b, c, d = accounts = [desk.trader(name, usd) for name, usd in names.items()]
        d.buy("BTC", "0.01")
        desk.give(a, c, "BTC-100000-C", 200)
        desk.give(b, d, "BTC-F", 30, entry=400)
        desk.give(d, a, "BTC-103000-P", 20)
        before = w.pool(0)[0]
        desk.fix(104_000)
        ends = set()
        for order in permutations(accounts):
            for size in (4, 1, 2):
                mark = desk.chain.snapshot()
                for i in range(0, 4, size):
                    desk.settle(order[i : i + size])
                cash = tuple(w.cash(account.id) for account in accounts)
                assert not any(desk.book(account) for account in accounts)
                ends.add((cash, w.pool(0)[0], w.house.call("deficits", 0), w.house.call("unsettled")))
                desk.chain.revert(mark)
        assert len(ends) == 1
        cash, left, deficit, unsettled = ends.pop()
        assert cash[:3] == (100 * USD, 0, 0)
        assert (left, unsettled) == (max(before - 153 * USD, 0), 0)
        assert deficit == max(153 * USD - before, 0)


def test_late_settlement_pays_the_same(desk):
    a, b = desk.trader("a"), desk.trader("b")
    desk.give(a, b, "BTC-100000-C", 100)
    desk.fix(104_000)
    desk.settle([a])
    assert desk.w.house.call("unsettled") == 40 * USD
    for day, usd in ((1, 60_000), (2, 90_000), (30, 120_000)):
        desk.show(usd, desk.expiry + day * DAY)
    desk.w.pause()  # settling goes on in a pause
    assert desk.settle([b]) == [(b.id, -40 * USD)]
    assert desk.w.house.call("unsettled") == 0


def test_one_expiry_of_many(desk):
    a, b = desk.trader("a"), desk.trader("b")
    tomorrow = desk.expiry
    desk.expiry += DAY
    desk.give(a, b, "BTC-100000-C", 100)
    desk.give(a, b, "BTC-F", -10, entry=-100)
    desk.expiry = tomorrow
    desk.give(a, b, "BTC-100000-C", 50)
    desk.fix(104_000)
    later = desk.expiry + DAY
    assert desk.settle([a, b]) == [(a.id, 20 * USD), (b.id, -20 * USD)]
    assert len(desk.book(a)) == 2
    desk.publish(110_000, later + 1)
    # 100 calls are worth 100 USD; 10 contracts sold for 100 are worth 110.
    assert desk.settle([a, b], expiry=later) == [(a.id, 90 * USD), (b.id, -90 * USD)]
    assert desk.book(a) == desk.book(b) == []


def test_an_insolvent_short_blocks_nobody_and_insurance_pays():
    """10 USD of insurance: the rest is recorded, and the next money for insurance repays it."""
    with world(THIN) as w:
        desk = Desk(w)
        a, b, c = desk.trader("a", 100), desk.trader("b", 30), desk.trader("c", 50)
        desk.give(a, b, "BTC-100000-C", 100)  # 40 USD at 104,000; b has 30
        desk.give(a, c, "BTC-90000-C", 1_000)  # 1,400 USD; c has 50
        insured = w.pool(0)[0]
        assert insured == 10 * USD
        desk.fix(104_000)
        paid = desk.settle([c, b, a])
        assert paid == [(c.id, -1_400 * USD), (b.id, -40 * USD), (a.id, 1_440 * USD)]
        assert [w.cash(x.id) // USD for x in (a, b, c)] == [1_540, 0, 0]
        assert w.pool(0)[0] == 0
        assert w.house.call("deficits", 0) == (1_350 + 10 - 10) * USD  # what c and b lack, less insurance
        assert w.house.call("unsettled") == 0

        for usd, left, insurance in ((350, 1_000, 0), (1_000 + 7, 0, 7)):
            w.token.send(w.stranger, "mint", w.stranger, usd * USD)
            w.token.send(w.stranger, "approve", w.house.address, 2**256 - 1)
            w.house.send(w.stranger, "fund_insurance", 0, usd * USD)
            assert w.house.call("deficits", 0) == left * USD
            assert w.pool(0)[0] == insurance * USD
            desk.conserved()
        a.withdraw(1_540)  # and the winner is paid
        desk.conserved()


def test_a_debt_stays_with_who_holds_something_else(desk):
    """An account that is not flat keeps what it owes: liquidation decides."""
    a, b = desk.trader("a", 100), desk.trader("b", 30)
    b.buy("BTC", "0.001")
    held = desk.w.cash(b.id)
    desk.give(a, b, "BTC-100000-C", 100)
    desk.fix(104_000)
    insured = desk.w.pool(0)
    desk.settle([a, b])
    assert desk.w.cash(b.id) == held - 40 * USD < 0
    assert desk.w.pool(0) == insured


@pytest.mark.parametrize("side", [1, -1])
def test_perps_stay(side):
    """Words of perps come before those of the book, and are not read as such."""
    with world(many_markets(5)) as w:
        desk = Desk(w)
        a, b = desk.trader("a", 100_000), desk.trader("b", 100_000)
        for number in range(1, 6):
            a.trade(f"M{number}", f"{side * number / 10}")
        held = w.held(a.id)
        assert len(held) == 5
        desk.give(a, b, "M1-100000-C", 100)
        desk.fix(104_000, "M1")
        assert desk.settle([a, b], "M1") == [(a.id, 40 * USD), (b.id, -40 * USD)]
        assert w.held(a.id) == held
        assert desk.book(a) == []


def test_a_long_book_of_many_strikes(desk):
    """64 series between two accounts: what they pay is the sum over the strikes."""
    a, b = desk.trader("a", 100_000), desk.trader("b", 100_000)
    strikes = range(84_000, 116_000, 1_000)
    for strike in strikes:
        desk.give(a, b, f"BTC-{strike}-C", 3)
        desk.give(a, b, f"BTC-{strike}-P", 2)
    desk.fix(104_500)
    expected = sum(3 * max(104_500 - k, 0) + 2 * max(k - 104_500, 0) for k in strikes) * USD // CONTRACT
    assert desk.settle([a, b]) == [(a.id, expected), (b.id, -expected)]
