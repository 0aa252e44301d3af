"""What-if: gas under other prices, by hand."""

import pytest

from margincall.bench import floors, whatif
from margincall.bench.records import CHECK, OPERATION, Access, Measurement
from margincall.bench.whatif import TODAY, Schedule, ranking, repriced
from tests.unit.bench.figures import bench


def operation(gas, access, **parts):
    return Measurement("x", OPERATION, gas, 0, parts, access)


EVERYTHING = Access(
    cold_slots=2,
    cold_accounts=3,
    warm_slots=5,
    slots_created=7,
    slots_changed=11,
    slots_cleared=13,
    log_topics=17,
    log_bytes=19,
    logs=23,
    calldata_zero=29,
    calldata_nonzero=31,
    deploy_bytes=37,
    deployments=41,
)


@pytest.mark.parametrize(
    ("price", "times"),
    [
        ("cold_sload", 2),
        ("cold_account", 3),
        ("sstore_set", 7),
        ("sstore_reset", 11 + 13),
        ("log_topic", 17),
        ("log_byte", 19),
        ("log", 23),
        ("calldata_zero", 29),
        ("calldata_byte", 31),
        ("code_byte", 37),
        ("create", 41),
    ],
)
def test_each_price_counts_what_it_prices(price, times):
    dearer = Schedule(**{price: getattr(TODAY, price) + 10})
    assert repriced(operation(5_000_000, EVERYTHING), dearer) == 5_000_000 + 10 * times


def test_every_price_is_tested():
    assert set(whatif.counts(operation(0, EVERYTHING))) == set(vars(TODAY))
    uncounted = EVERYTHING.warm_slots + EVERYTHING.code_bytes_read
    assert sum(whatif.counts(operation(0, EVERYTHING)).values()) + uncounted == sum(vars(EVERYTHING).values())


def test_today_changes_nothing():
    for measured in bench().measurements:
        assert repriced(measured, TODAY) == measured.gas


def test_a_view_pays_no_calldata():
    view = Measurement("x", CHECK, 40_000, 0, {}, EVERYTHING)
    assert repriced(view, Schedule(calldata_byte=1_000)) == 40_000


def test_a_refund_below_its_cap_stays():
    access = Access(cold_slots=10, slots_cleared=1)
    # 104,800 used, 4,800 back; ten slots at 100 more.
    assert repriced(operation(100_000, access, refund=-4_800), Schedule(cold_sload=2_200)) == 101_000


def test_a_refund_at_its_cap_grows_with_what_is_used():
    access = Access(cold_slots=10, slots_cleared=10)
    # 50,000 used, a fifth back of the 48,000 for clearing; 60,000 used, a fifth back.
    assert repriced(operation(40_000, access, refund=-10_000), Schedule(cold_sload=3_100)) == 48_000


def test_calldata_has_a_floor():
    access = Access(cold_slots=20, calldata_nonzero=1_000)
    # 22 gas a byte short of EIP-7623's 21,000 + 40,000: cheaper slots do not go below it.
    assert repriced(operation(79_000, access), Schedule(cold_sload=100)) == 21_000 + 10 * 4 * 1_000


def test_the_ranking_turns_around():
    now = ranking(bench(), TODAY, 64)
    assert [(one.name, one.after, one.moved) for one in now] == [
        ("portfolio margin, code", 178_000, 0),
        ("portfolio margin, slots", 248_000, 0),
    ]
    dear = Schedule(cold_account=2_600 + 100_000)  # 3 accounts against 2
    assert [(one.name, one.after, one.moved) for one in ranking(bench(), dear, 64)] == [
        ("portfolio margin, slots", 448_000, 1),
        ("portfolio margin, code", 478_000, -1),
    ]


def test_code_against_slots():
    (refresh,) = whatif.refreshes_by_store(bench())
    turn = next(turn for turn in whatif.turns(bench(), refresh, TODAY) if turn.positions == 64)
    # 180,000 dearer to refresh, 70,000 cheaper to check.
    assert turn.crossing == pytest.approx(180 / 70)
    assert turn.verdict == "slots up to 2 checks a refresh, then code"
    # Code made for nothing: 232,000 less, so code is cheaper from the first.
    free = Schedule(create=0, code_byte=0)
    turn = whatif.turns(bench(), refresh, free)[0]
    assert (turn.refresh_code, turn.crossing, turn.verdict) == (548_000, None, "code")


@pytest.mark.parametrize(
    ("turn", "verdict"),
    [
        (whatif.Turn(1, 10, 20, 5, 5), "code"),
        (whatif.Turn(1, 20, 10, 5, 5), "slots"),
        (whatif.Turn(1, 20, 10, 9, 5), "slots"),
        (whatif.Turn(1, 10, 20, 12, 5), "code"),
        (whatif.Turn(1, 20, 10, 5, 65), "code up to 6 checks a refresh, then slots"),
        (whatif.Turn(1, 10, 10, 5, 9), "code"),
        (whatif.Turn(1, 10, 10, 9, 5), "slots"),
    ],
)
def test_verdicts(turn, verdict):
    assert turn.verdict == verdict


def test_turning_points():
    pair = next(pair for pair in whatif.checks_by_store(bench()) if pair.code.positions == 64)
    assert pair.turning_point("cold_account") == 2_600 + 70_000  # one account more
    assert pair.turning_point("cold_sload") == pytest.approx(2_100 - 70_000 / 36)
    assert pair.turning_point("code_byte") is None  # neither makes code
    there = Schedule(cold_account=72_600)
    assert repriced(pair.code, there) == repriced(pair.slots, there)


def test_defaults_are_the_floors():
    assert (TODAY.cold_sload, TODAY.cold_account) == (floors.COLD_SLOT, floors.COLD_ACCOUNT)
    assert Schedule(cold_sload=3_000).changed() == {"cold_sload": (2_100, 3_000)}
