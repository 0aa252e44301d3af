"""Every reason for which the expiry door refuses."""

import pytest

from tests.unit.clearinghouse.world import Refusals, check, reasons_in
from tests.unit.expiry.desk import Desk

refusal = Refusals()
DAY = 86_400


@refusal("expiry: bad markets")
def markets_without_code(w):
    return lambda: w.new("Expiry", w.house.address, w.stranger)


@refusal("expiry: no such market")
def market_zero(w):
    return lambda: w.protocol.expiry.send(w.stranger, "observe", 0)


@refusal("expiry: no such market")
def market_above_all(w):
    desk = Desk(w)
    return lambda: w.protocol.expiry.send(w.stranger, "settle", [], 64, desk.expiry)


@refusal("expiry: no price")
def unlisted_market(w):
    return lambda: w.protocol.expiry.send(w.stranger, "observe", 9)


@refusal("expiry: not an expiry")
def nine_in_the_morning(w):
    desk = Desk(w)
    return lambda: w.protocol.expiry.send(w.stranger, "observe", 1, desk.expiry + 3_600)


@refusal("expiry: not an expiry")
def beyond_the_bits_of_a_date(w):
    """It would name the next market's place."""
    desk = Desk(w)
    desk.fix(4_000, "ETH")
    return lambda: w.protocol.expiry.send(w.stranger, "settle", [], 1, desk.expiry + 3 * DAY * 2**32)


@refusal("expiry: no settlement price")
def settled_early(w):
    desk = Desk(w)
    return lambda: w.protocol.expiry.send(w.stranger, "settle", [], 1, desk.expiry)


@refusal("clearing: not a source door")
def not_a_door(w):
    desk = Desk(w)
    a, b = desk.trader("a"), desk.trader("b")
    desk.give(a, b, "BTC-100000-C", 1)
    desk.fix(110_000)
    w.access.send(w.owner, "set_door", w.protocol.expiry.address, 0)
    return lambda: w.protocol.expiry.send(w.stranger, "settle", [a.id], 1, desk.expiry)


@pytest.mark.parametrize(("reason", "spec", "token", "case"), refusal.cases)
def test_refused(reason, spec, token, case):
    check(reason, spec, token, case)


def test_every_reason_is_reached():
    assert reasons_in("Expiry.vy") <= refusal.reasons
