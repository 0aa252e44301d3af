"""Readings of the two meters become one measurement, or are refused."""

import pytest

from margincall.bench.meter import AccessMeter, Reading, WatchedChain, merge
from margincall.bench.records import OPERATION, PARTS, Access
from margincall.chain import Disagreement
from margincall.protocol.artifacts import artifact

PLAIN = dict.fromkeys(PARTS, 0) | {"intrinsic": 21_000, "accounts": 2_600, "storage": 2_200}
FACTS = {"engine": "cross", "positions": 1, "underlyings": 1}


def one(name="a", gas=25_800, **touched):
    return Reading(name, OPERATION, gas, FACTS, Access(cold_slots=1, cold_accounts=1, **touched))


def other(name="a", gas=25_800, **parts):
    return Reading(name, OPERATION, gas, FACTS, None, PLAIN | parts, warm_slots=1)


def test_both_are_in_the_measurement():
    [merged] = merge([one()], [other()])
    assert (merged.gas, merged.engine, merged.positions) == (25_800, "cross", 1)
    assert merged.floor == 21_000 + 2_100 + 2_600
    assert (merged.access.cold_slots, merged.access.warm_slots) == (1, 1)
    assert merged.parts == PLAIN


@pytest.mark.parametrize(
    ("readings", "said"),
    [
        (([one(gas=25_801)], [other()]), "a: 25,801 gas on the embedded EVM, 25,800 on Anvil"),
        (([one()], [other(storage=2_100)]), "a: 25,800 gas, its parts 25,700"),
        (([one()], [other(accounts=0, storage=4_800)]), "a: cold accounts 1, their gas 0"),
        (([one()], [other("b")]), "did not measure the same"),
        (([one(), one()], [other(), other()]), "measured more than once: a"),
    ],
)
def test_differences_are_refused(readings, said):
    with pytest.raises(Disagreement, match=said):
        merge(*readings)


def test_what_a_transaction_touches():
    """A token's first approval: one slot made, one log of three topics and a word."""
    chain = WatchedChain()
    token = chain.deploy(artifact("Token"), "Demo Dollar", "DUSD", 6)
    owner, spender = chain.accounts[:2]
    meter = AccessMeter(chain)
    for name, amount in (("approve", 5), ("approve again", 6), ("take back", 0)):
        meter.take(name, token.send(owner, "approve", spender, amount))
    first, again, back = (reading.access for reading in meter.readings)
    assert (first.cold_slots, first.slots_created, first.slots_changed, first.slots_cleared) == (1, 1, 0, 0)
    assert (again.slots_created, again.slots_changed) == (0, 1)
    assert (back.slots_changed, back.slots_cleared) == (0, 1)
    assert (first.logs, first.log_topics, first.log_bytes, first.cold_accounts) == (1, 3, 32, 0)
    assert first.calldata_zero + first.calldata_nonzero == 68


def test_only_what_is_wanted_is_read():
    chain = WatchedChain()
    token = chain.deploy(artifact("Token"), "Demo Dollar", "DUSD", 6)
    meter = AccessMeter(chain, ("AGAIN",))
    for name in ("approve", "approve again"):
        meter.take(name, token.send(chain.accounts[0], "approve", chain.accounts[1], 5))
    assert [reading.name for reading in meter.readings] == ["approve again"]
