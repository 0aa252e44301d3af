"""Surface: every reason to refuse, the edges that are accepted, the calendar, the tracked expiries."""

import pytest

from margincall.model.surface import DAY
from margincall.protocol.vols import vol_rules_tuple
from tests.unit.surface.conftest import BTC, ETH, MONTH, NOW, OUTSIDER, WEEK, smile


def test_gives_what_was_posted(chain, surface, post):
    reports = [
        smile(skew=-123_456, curvature=234_567),
        smile(MONTH, skew=77_000, curvature=0),
        smile(market=BTC, published=NOW - 1),
    ]
    receipt = post(*reports)
    for report in reports:
        assert tuple(surface.call("vol", report.market, report.expiry)) == report[2:]
    events = surface.events(receipt, "VolUpdated")
    assert [tuple(event.args.values()) for event in events] == [tuple(report) for report in reports]


def test_none_stale_and_expired(surface, post, refused):
    with refused("vol: none"):
        surface.call("vol", ETH, WEEK)
    post(smile())
    for market, expiry in ((ETH, MONTH), (BTC, WEEK), (0, WEEK)):
        with refused("vol: none"):
            surface.call("vol", market, expiry)
    assert surface.call("vol", ETH, WEEK, at=NOW + 3_600)[0] == 700_000
    with refused("vol: stale"):
        surface.call("vol", ETH, WEEK, at=NOW + 3_601)
    post(smile(published=WEEK - 1, atm=700_001))
    assert surface.call("vol", ETH, WEEK, at=WEEK - 1)[0] == 700_001
    with refused("vol: none"):
        surface.call("vol", ETH, WEEK, at=WEEK)


REFUSALS = [
    (smile(market=3), "vol: not this market's feed"),
    (smile(market=0), "vol: not this market's feed"),
    (smile(market=2**200), "vol: not this market's feed"),
    (smile(expiry=WEEK + 1), "vol: expiry off the grid"),
    (smile(expiry=WEEK - 28_800), "vol: expiry off the grid"),
    (smile(expiry=WEEK - 8 * DAY), "vol: expired"),
    (smile(expiry=WEEK + 395 * DAY), "vol: expiry too far"),
    (smile(expiry=2**256 - (2**256 - 28_800) % DAY), "vol: expiry too far"),
    (smile(published=NOW + 1), "vol: from the future"),
    (smile(published=NOW - 241), "vol: report too old"),
    (smile(atm=99_999), "vol: atm out of bounds"),
    (smile(atm=3_000_001), "vol: atm out of bounds"),
    (smile(WEEK + 392 * DAY, atm=2_470_000, skew=0, curvature=1_000), "vol: too high"),
    (smile(skew=10_000_001), "vol: skew out of bounds"),
    (smile(skew=-10_000_001), "vol: skew out of bounds"),
    (smile(curvature=100_000_001), "vol: curvature out of bounds"),
    (smile(curvature=2**256 - 1), "vol: curvature out of bounds"),
    (smile(skew=2_000_000, curvature=100_000), "vol: butterfly"),
    (smile(MONTH, atm=2_000_000, skew=1_000_000), "vol: butterfly"),
    (smile(curvature=2_000_000), "vol: wings"),
    (smile(MONTH, curvature=690_000), "vol: not monotone"),
]


@pytest.mark.parametrize(("report", "reason"), REFUSALS)
def test_refuses(surface, post, attempt, refused, report, reason):
    attempt(smile(market=BTC), at=NOW)
    with refused(reason):
        attempt(report, at=NOW)
    with refused(reason):  # and with it the whole payload
        post(smile(market=BTC), report, at=NOW)
    with refused("vol: none"):
        surface.call("vol", BTC, WEEK)


@pytest.mark.parametrize(
    "report",
    [
        smile(expiry=WEEK + 394 * DAY, curvature=70_000),
        smile(expiry=WEEK - 7 * DAY, published=NOW),
        smile(published=NOW - 240),
        smile(atm=100_000),
        smile(atm=3_000_000, skew=0, curvature=0),
        smile(skew=10**5, curvature=0),
    ],
)
def test_accepts_the_edges(surface, post, report):
    first_morning = report.expiry if report.expiry > NOW else report.expiry + DAY
    report = report._replace(expiry=first_morning)
    post(report, at=NOW)
    assert tuple(surface.call("vol", ETH, report.expiry)) == report[2:]


def test_another_feed_is_refused(deploy, surface, payload, stranger, refused):
    other = deploy("SignedFeed", [OUTSIDER.address], 1)
    data = payload(smile(), signers=[OUTSIDER], address=other.address)
    with refused("vol: not this market's feed"):
        surface.call("update_vols", other.address, data, at=NOW)
    with refused(""):
        surface.call("update_vols", stranger, data, at=NOW)


@pytest.mark.parametrize("back", [0, 1, 100])
def test_time_does_not_go_back(post, attempt, refused, back):
    post(smile())
    with refused("vol: not newer"):
        attempt(smile(published=NOW - back), at=NOW + 1)


@pytest.mark.parametrize(
    ("elapsed", "most"),
    [(1, 1_166), (30, 35_000), (60, 70_000), (90, 105_000), (300, 350_000), (3_000, 350_000)],
)
def test_the_step_grows_with_time(surface, post, attempt, refused, elapsed, most):
    """A tenth per minute of 0.7, in proportion, at most a half."""
    post(smile(), smile(MONTH))
    for move in (most + 1, -most - 1):
        with refused("vol: step too large"):
            attempt(smile(market=ETH, atm=700_000 + move, published=NOW + elapsed))
    post(smile(MONTH, atm=700_000 + most, published=NOW + elapsed))
    assert surface.call("vol", ETH, MONTH)[0] == 700_000 + most


def test_total_variance_does_not_fall_with_expiry(surface, post, attempt, refused):
    """atm**2 * T: 0.7 for the week allows down to 0.7 * sqrt(T_week / T_month) for the month."""
    post(smile())
    least = int(700_000 * ((WEEK - NOW - 10) / (MONTH - NOW - 10)) ** 0.5) + 1
    with refused("vol: calendar"):
        attempt(smile(MONTH, atm=least - 1, published=NOW + 10))
    post(smile(MONTH, atm=least, published=NOW + 10))
    with refused("vol: calendar"):
        attempt(smile(atm=700_100, published=NOW + 10))
    # a surface that moves as one is posted as one, in any order
    post(smile(atm=710_000, published=NOW + 60), smile(MONTH, atm=least + 5_000, published=NOW + 60))
    post(smile(MONTH, atm=least + 9_000, published=NOW + 120), smile(atm=715_000, published=NOW + 120))
    assert surface.call("vol", ETH, WEEK)[0] == 715_000


def test_a_stale_neighbour_is_passed_over(surface, post, attempt, refused):
    middle = WEEK + 7 * DAY
    post(
        smile(atm=500_000),
        smile(middle, atm=2_000_000, curvature=0),
        smile(MONTH, atm=1_900_000, curvature=0),
    )
    later = NOW + 3_601
    with refused("vol: calendar"):
        attempt(smile(MONTH, atm=950_000, published=later - 1), at=later - 1)
    post(smile(MONTH, atm=950_000, published=later))
    with refused("vol: calendar"):
        attempt(smile(middle, atm=2_000_000, curvature=0, published=later))


def test_expiries_are_tracked_in_order_and_dropped_when_over(surface, post, attempt, refused):
    days = [WEEK + DAY * step for step in (9, 3, 15, 0, 6, 12, 1, 14, 2, 13, 4, 11, 5, 10, 7, 8)]
    for start in (0, 8):
        post(*(smile(day, published=NOW + start) for day in days[start : start + 8]))

    def tracked():
        word = surface.call("expiries", ETH)
        return [(word >> 16 * i & 0xFFFF) * DAY + 28_800 for i in range(16) if word >> 16 * i & 0xFFFF]

    assert tracked() == sorted(days)
    with refused("vol: too many expiries"):
        attempt(smile(MONTH, published=NOW + 60))
    with refused("vol: too many expiries"):
        attempt(smile(WEEK - DAY, published=NOW + 60))
    post(smile(days[0], published=NOW + 60))
    after = WEEK + 2 * DAY
    post(smile(MONTH, published=after))
    assert tracked() == [*sorted(days)[3:], MONTH]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"feed": "0x" + "00" * 20}, "vol: zero feed"),
        ({"lower": 49_999}, "vol: bounds"),
        ({"lower": 3_000_000}, "vol: bounds"),
        ({"upper": 4_000_001}, "vol: bounds"),
        ({"step": 0}, "vol: step bound"),
        ({"step": 500_001}, "vol: step bound"),
        ({"interval": 0}, "vol: interval bound"),
        ({"interval": 86_401}, "vol: interval bound"),
        ({"max_age": 0}, "vol: max age bound"),
        ({"max_age": 21_601}, "vol: max age bound"),
    ],
)
def test_rules_are_bounded(surface, owner, rules, refused, change, reason):
    with refused(reason):
        surface.send(owner, "set_rules", ETH, vol_rules_tuple(rules._replace(**change)))


def test_only_the_owner_sets_rules(surface, owner, stranger, rules, refused):
    with refused("ownable: caller is not the owner"):
        surface.send(stranger, "set_rules", ETH, vol_rules_tuple(rules))
    for market in (0, 64):
        with refused("vol: market id"):
            surface.send(owner, "set_rules", market, vol_rules_tuple(rules))
    surface.send(owner, "transfer_ownership", stranger)
    surface.send(stranger, "accept_ownership")
    surface.send(stranger, "set_rules", ETH, vol_rules_tuple(rules))
    assert surface.call("owner") == stranger


def test_fits_the_code_limit(chain, surface, feed):
    for contract in (surface, feed):
        assert 0 < len(chain.code(contract.address)) < 24_576
