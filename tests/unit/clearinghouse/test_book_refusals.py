"""Every reason for which the clearinghouse refuses what changes books and root modes."""

import pytest

from margincall.model.book import Segment
from tests.unit.clearinghouse.series import Series
from tests.unit.clearinghouse.world import LIQUIDATION, TRADE, USD, Refusals, check

refusal = Refusals()
SOURCE = 3  # the third kind of door
LOTS = 10**7


def source(w):
    """An address that may post what stands behind a book."""
    address = w.chain.accounts[5]
    w.access.send(w.owner, "set_door", address, SOURCE)
    return address


def fragment(series, name, lots, amount=0):
    return series.w.book.call("fragment", series.instrument(name).id, lots, amount)


def book_trade(maker, taker, words, cash=0, reduce_only=0):
    """IClearinghouse.BookTrade without fees."""
    return (maker, taker, words, cash, 0, 0, reduce_only)


def spot(lots, market=1):
    return Segment(market, 0, lots).words()


@refusal("ownable: caller is not the owner")
def a_stranger_sets_an_engine(w):
    return lambda: w.house.send(w.stranger, "set_engine", 2, w.lens.address)


@refusal("clearing: not a trade door")
def a_stranger_trades_a_book(w):
    series = Series(w)
    a, b = series.trader("a"), series.trader("b")
    words = fragment(series, series.call(100_000), LOTS)
    return lambda: w.house.send(w.stranger, "trade_book", book_trade(a.id, b.id, words))


@refusal("clearing: not a trade door")
def a_stranger_sets_a_mode(w):
    a = w.trader()
    return lambda: w.house.send(a.owner.address, "set_mode", a.id, 2)


@refusal("clearing: not a trade door")
def a_source_door_trades(w):
    door, a, b = source(w), w.trader("a"), w.trader("b")
    return lambda: w.house.send(door, "trade_book", book_trade(a.id, b.id, spot(LOTS)))


@refusal("clearing: bad trade")
def with_itself(w):
    door, a = w.door(TRADE), w.trader()
    return lambda: w.house.send(door, "trade_book", book_trade(a.id, a.id, spot(LOTS)))


@refusal("clearing: not a root account")
def into_a_vault(w):
    series, door = Series(w), w.door(TRADE)
    a, b = series.trader("a"), series.trader("b")
    words = fragment(series, series.call(100_000), LOTS)
    return lambda: w.house.send(door, "trade_book", book_trade(a.id, b.vault("BTC"), words))


@refusal("clearing: not a root account")
def spot_for_nobody(w):
    door = source(w)
    return lambda: w.house.send(door, "post_book", 0, spot(LOTS), False, 0, 0)


@refusal("clearing: not a source door")
def a_stranger_posts(w):
    a = w.trader()
    return lambda: w.house.send(w.stranger, "post_book", a.id, spot(LOTS), False, 0, 0)


@refusal("clearing: not a source door")
def a_trade_door_posts(w):
    door, a = w.door(TRADE), w.trader()
    return lambda: w.house.send(door, "post_book", a.id, spot(LOTS), False, 0, 0)


@refusal("book: spot below zero")
def spot_that_is_not_there(w):
    door, a = source(w), w.trader()
    return lambda: w.house.send(door, "post_book", a.id, spot(LOTS), True, 0, 0)


@refusal("margin: below transfer margin")
def spot_that_backs_a_position(w):
    series, door = Series(w), source(w)
    a, b = series.trader("a", 100), series.trader("b")
    w.house.send(door, "post_book", a.id, spot(LOTS), False, 0, 0)
    a.sell(series.call(100_000), "0.1", against=b)
    return lambda: w.house.send(door, "post_book", a.id, spot(LOTS), True, 0, 1)


@refusal("margin: not enough cash")
def cash_that_is_not_there(w):
    door, a = source(w), w.trader()
    return lambda: w.house.send(door, "post_book", a.id, spot(LOTS), False, -10_001 * USD, 1)


@refusal("access: paused")
def spot_out_in_a_pause(w):
    door, a = source(w), w.trader()
    w.house.send(door, "post_book", a.id, spot(LOTS), False, 0, 0)
    w.pause()
    return lambda: w.house.send(door, "post_book", a.id, spot(LOTS), True, 0, 1)


@refusal("close: has positions")
def closing_with_spot(w):
    door, a = source(w), w.trader()
    w.house.send(door, "post_book", a.id, spot(LOTS), False, 0, 0)
    return lambda: w.house.send(a.owner.address, "close_account", a.id, a.owner.address)


@refusal("switch: no such mode")
def to_isolated_as_a_whole(w):
    door, a = w.door(TRADE), w.trader()
    return lambda: w.house.send(door, "set_mode", a.id, 1)


@refusal("switch: no such mode")
def to_a_mode_that_is_a_rule_only(w):
    door, a = w.door(TRADE), w.trader()
    return lambda: w.house.send(door, "set_mode", a.id, 3)


@refusal("switch: not a root account")
def a_vault(w):
    door, a = w.door(TRADE), w.trader()
    return lambda: w.house.send(door, "set_mode", a.vault("BTC"), 2)


@refusal("switch: liquidatable")
def out_of_a_liquidation(w):
    door, a = w.door(TRADE), w.victim()
    return lambda: w.house.send(door, "set_mode", a.id, 2)


@refusal("liquidation: adds risk")
def a_fragment_that_the_victim_does_not_hold(w):
    series, door = Series(w), w.door(LIQUIDATION)
    a, k = w.victim(), w.liquidator()
    words = fragment(series, series.call(100_000), LOTS)
    return lambda: w.house.send(door, "take_over", a.id, k.id, [], 0, 0, [], words)


@refusal("liquidation: worsens health")
def a_fragment_for_nothing(w):
    """An option that is worth something leaves for no money."""
    series, door = Series(w), w.door(LIQUIDATION)
    a, b, k = series.trader("a", 4_200), series.trader("b"), w.liquidator()
    a.buy(series.call(100_000), "0.1", against=b)
    a.buy("BTC", "0.2", against=b)
    w.jump(BTC=89_000)
    series.refresh()
    words = fragment(series, series.call(100_000), LOTS)
    return lambda: w.house.send(door, "take_over", a.id, k.id, [], 0, 0, [], words)


@refusal("margin: below initial")
def more_than_the_taker_can_carry(w):
    series, door = Series(w), w.door(LIQUIDATION)
    a, b, k = series.trader("a", 2_000), series.trader("b"), w.trader("poor", 10)
    a.sell(series.call(100_000), "0.1", against=b)
    w.jump(BTC=115_000)
    series.refresh()
    words = fragment(series, series.call(100_000), -LOTS // 2)
    return lambda: w.house.send(door, "take_over", a.id, k.id, [], 0, 0, [], words)


@pytest.mark.parametrize(("reason", "spec", "token", "case"), refusal.cases)
def test_refused(reason, spec, token, case):
    check(reason, spec, token, case)
