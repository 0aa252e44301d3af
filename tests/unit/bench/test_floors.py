"""The floor of what is touched, added up by hand."""

from margincall.bench import floors
from margincall.bench.records import Access


def test_a_call_pays_for_what_it_touches():
    touched = Access(cold_slots=3, cold_accounts=2, slots_created=1, slots_changed=1, slots_cleared=1)
    assert floors.state(touched) == 3 * 2_100 + 2 * 2_600 + 20_000 + 2 * 2_900


def test_logs_and_code():
    touched = Access(logs=2, log_topics=5, log_bytes=96, deployments=1, deploy_bytes=1_153)
    assert floors.state(touched) == 2 * 375 + 5 * 375 + 8 * 96 + 32_000 + 200 * 1_153


def test_a_transaction_pays_for_itself_and_its_calldata():
    touched = Access(cold_slots=20, calldata_zero=100, calldata_nonzero=50)
    assert floors.transaction(touched) == 21_000 + 42_000 + 400 + 800


def test_calldata_alone_costs_ten_a_token():
    """EIP-7623: 100 zero bytes and 50 others are 300 tokens."""
    assert floors.transaction(Access(calldata_zero=100, calldata_nonzero=50)) == 21_000 + 3_000


def test_refunds_are_a_fifth_at_most():
    one = Access(cold_slots=10, slots_cleared=1)
    assert floors.transaction(one) == 21_000 + 21_000 + 2_900 - 4_800
    many = Access(cold_slots=10, slots_cleared=10)
    assert floors.transaction(many) == 71_000 - 71_000 // 5
