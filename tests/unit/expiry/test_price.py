"""The settlement price: an average of what was shown, fixed once, by nobody's choice."""

from itertools import combinations

import pytest

from margincall.chain import Reverted
from tests.unit.clearinghouse.world import world
from tests.unit.expiry.desk import MAX_AGE, WINDOW, Desk

UNIT = 10_000
DAY = 86_400


@pytest.fixture
def desk():
    with world() as w:
        yield Desk(w)


def test_an_average_by_hand(desk):
    """100,000 for 10 minutes, 100,600 for 8, 99,400 for 5 and 100,000 for 7."""
    start = desk.expiry - WINDOW
    for minutes, usd in ((0, 100_000), (10, 100_600), (18, 99_400), (23, 100_000)):
        assert desk.show(usd, start + 60 * minutes) == 0
    assert desk.contract.call("observed", 1, desk.expiry)[3] == 23 * 60
    assert desk.show(105_000, desk.expiry + 7) == desk.units(100_060)  # its own value does not count
    assert desk.contract.call("observed", 1, desk.expiry)[3] == WINDOW


def test_the_price_before_the_window_opens_it(desk):
    desk.show(99_000, desk.expiry - WINDOW - 300)
    desk.show(99_900, desk.expiry - WINDOW - 100)  # takes the first one's place
    desk.show(100_800, desk.expiry - WINDOW + 200)
    for time in (800, 1_400):
        desk.show(100_800, desk.expiry - WINDOW + time)
    assert desk.show(100_800, desk.expiry) == desk.units(100_700)  # 200 s of 99,900, 1,600 s of 100,800


def test_a_gap_counts_no_longer_than_a_price_may_be_used(desk):
    start = desk.expiry - WINDOW
    desk.show(90_000, start)  # counts for 600 s
    desk.show(99_000, start + 1_500)  # for 300 s
    assert desk.show(120_000, desk.expiry + 30) == desk.units(93_000)
    assert desk.contract.call("observed", 1, desk.expiry)[3] == MAX_AGE + 300


def test_a_last_price_long_before_expiry(desk):
    desk.show(90_000, desk.expiry - 1_700)
    assert desk.show(120_000, desk.expiry + 3_000) == desk.units(90_000)
    assert desk.contract.call("observed", 1, desk.expiry)[3] == MAX_AGE


@pytest.mark.parametrize("before", [None, WINDOW + MAX_AGE, WINDOW + MAX_AGE + 1])
def test_nothing_that_counts_was_shown(desk, before):
    if before:
        assert desk.show(90_000, desk.expiry - before) == 0
        assert desk.contract.call("observed", 1, desk.expiry) == (0, 0, 0, 0)
    assert desk.show("100000.125", desk.expiry + 4_000) == desk.units("100000.13")  # to a cent, half up
    assert desk.contract.call("observed", 1, desk.expiry)[3] == 0


def test_one_second_counts(desk):
    desk.show(90_000, desk.expiry - WINDOW - MAX_AGE + 1)
    assert desk.show(100_000, desk.expiry) == desk.units(90_000)


def test_nobody_fixes_a_price_before_expiry_or_with_an_older_price(desk):
    desk.publish(100_000, desk.expiry - 2)
    for late in (-1, 0, 1, 500, 5 * DAY):
        assert desk.observe(at=desk.expiry + late) == 0  # the price is from before
    with pytest.raises(Reverted, match="expiry: no settlement price"):
        desk.contract.send(desk.w.stranger, "settle", [], 1, desk.expiry)
    assert desk.show(120_000, desk.expiry + 6 * DAY) == desk.units(100_000)  # two seconds counted


def test_a_price_from_before_that_is_shown_late_opens_the_average_only(desk):
    desk.publish(100_000, desk.expiry - 10)
    assert desk.observe(at=desk.expiry + 300) == 0
    with pytest.raises(Reverted, match="expiry: no settlement price"):
        desk.contract.send(desk.w.stranger, "settle", [], 1, desk.expiry)
    assert desk.show(120_000, desk.expiry + 400) == desk.units(100_000)


def test_a_price_is_fixed_once(desk):
    fixed = desk.fix(100_000)
    for usd, late in ((110_000, 500), (130_000, 1_000), (100_000, 3 * DAY)):
        assert desk.show(usd, desk.expiry + late) == fixed


def test_what_was_shown_decides_and_not_how(desk):
    """Every price shown at once, once more, and late; or all but one, in which case the one before it
    counts in its stead: the price depends on nothing else."""
    times = (0, 300, 700, 1_100, 1_500, 1_900)
    prices = list(zip((100_000, 100_600, 99_000, 101_000, 100_200, 99_900), times, strict=True))

    def run(shown: tuple[int, ...], twice: bool, late: bool) -> int:
        mark = desk.chain.snapshot()
        twin = dict(desk.twin.tracks)
        for i, (usd, time) in enumerate(prices):
            desk.publish(usd, desk.expiry - WINDOW + time)
            if i in shown:
                at = desk.chain.timestamp + 90 if late else None
                desk.observe(at=at)
                if twice:
                    desk.observe(expiry=0)
        price = desk.agreed()
        desk.chain.revert(mark)
        desk.twin.tracks = twin
        return price

    everything = tuple(range(len(prices)))
    expected = run(everything, False, False)
    # (100,000 * 300 + 100,600 * 400 + 99,000 * 400 + 101,000 * 400 + 100,200 * 300) / 1,800
    assert expected == desk.units("100166.67")
    assert run(everything, True, True) == run(everything, False, True) == expected
    for left_out in combinations(everything[1:-1], 2):
        shown = tuple(i for i in everything if i not in left_out)
        assert run(shown, True, True) == run(shown, False, False) != expected


def test_which_expiry_a_price_is_for(desk):
    """Without one named: the next expiry as soon as the price can count there, until then the last one."""
    tomorrow = desk.expiry + DAY
    desk.publish(100_000, desk.expiry + 10)
    assert desk.observe(expiry=0) == desk.units(100_000)
    desk.publish(100_000, tomorrow - WINDOW - MAX_AGE)
    desk.observe(expiry=0)
    assert desk.contract.call("observed", 1, tomorrow)[1] == 0
    desk.publish(100_100, tomorrow - WINDOW - MAX_AGE + 2)
    desk.observe(expiry=0)
    assert desk.contract.call("observed", 1, tomorrow)[1] == tomorrow - WINDOW - MAX_AGE + 2
    desk.publish(100_200, tomorrow)
    desk.observe(expiry=0)
    assert desk.agreed(expiry=tomorrow) == desk.units(100_100)
    assert desk.agreed() == desk.units(100_000)


def test_an_expiry_of_long_ago_can_still_be_fixed(desk):
    desk.publish(100_000, desk.expiry + 40 * DAY)
    assert desk.observe() == desk.units(100_000)
    desk.publish(110_000, desk.expiry + 41 * DAY)
    assert desk.observe() == desk.units(100_000)


def test_markets_do_not_mix(desk):
    desk.fix(100_000)
    assert desk.contract.call("settlement", 2, desk.expiry) == 0
    assert desk.show(4_000, desk.expiry + 100, "ETH") == desk.units(4_000, "ETH")
    assert desk.agreed() == desk.units(100_000)


def test_the_ends_of_the_range(desk):
    """A settlement price is below 2**40 and never 0, which says that there is none."""
    time, price = desk.expiry, desk.units(100_000)
    while price < 2**40 - 1:
        time, price = time + 100, min(price * 3 // 2, 2**40 - 1)
        desk.publish(0, time, units=price)
    assert desk.observe() == (2**40 - 1) // UNIT * UNIT
    time, price = time + 100, desk.units(200, "SOL")
    while price > 1:
        time, price = time + 100, (price + 1) // 2
        desk.publish(0, time, "SOL", units=price)
    assert desk.observe("SOL") == UNIT


def test_what_fixing_says(desk):
    desk.show(90_000, desk.expiry - 100)
    desk.publish(100_000, desk.expiry + 5)
    receipt = desk.contract.send(desk.w.stranger, "observe", 1, desk.expiry)
    assert [event.args for event in desk.contract.events(receipt, "PriceFixed")] == [
        {
            "market": 1,
            "expiry": desk.expiry,
            "price": desk.units(90_000),
            "counted": 100,
            "published": desk.expiry + 5,
        }
    ]
    assert desk.contract.events(desk.contract.send(desk.w.stranger, "observe", 1, desk.expiry)) == []
