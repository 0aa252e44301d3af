"""Value curves on chain: refresh, the window of use, where sheets lie, what is refused."""

import pytest

from margincall.chain.embedded import EmbeddedChain
from margincall.model import curves as model
from margincall.model.arithmetic import Refused
from margincall.model.curves import Vol
from margincall.protocol.artifacts import artifact

NOW = 1_700_000_000
DAY, HOUR = 86_400, 3_600
BTC, ETH = 1, 2
PLAIN = Vol(600_000)
SPREAD = [
    (30 * DAY, Vol(600_000)),
    (7 * DAY, Vol(700_000)),
    (180 * DAY, Vol(500_000)),
    (DAY, Vol(600_000)),
    (30 * DAY, Vol(600_000, -200_000, 300_000)),
    (7 * DAY, Vol(700_000, 300_000, 1_000_000)),
    (DAY, Vol(600_000, 500_000, 10_000_000)),
    (6 * HOUR, Vol(600_000, -1_000_000, 40_000_000)),
    (401 * DAY, Vol(800_000, -200_000, 100_000)),
    (HOUR, PLAIN),
    (HOUR + 1, PLAIN),
    (60, Vol(900_000, 300_000, 1_000_000)),
    (1, Vol(10_000)),
    (HOUR, Vol(2_000_000, 0, 10_000_000)),
    (1_500, Vol(1_613_123, -38_489, 96_289_062)),
    (2_580_432, Vol(621_841, -1_666_259)),
]


def refreshed(curves, owner, term, vol, market=BTC, now=NOW):
    """Publish, refresh at `now`, and return the curve word and the sheet."""
    expiry = now + term
    curves.send(owner, "publish", market, expiry, *vol)
    curves.send(owner, "refresh", market, expiry, at=now)
    word = curves.call("curve", market, expiry)
    return word, curves.call("blob", market, expiry)


@pytest.mark.parametrize(("term", "vol"), SPREAD)
def test_contract_and_twin_agree_to_the_unit(curves, owner, term, vol):
    word, blob = refreshed(curves, owner, term, vol)
    curve = model.refresh(vol, NOW + term, NOW, HOUR)
    address = word & (2**160 - 1)
    assert (word, blob) == (curve.word(address), curve.blob)
    assert curves.chain.code("0x" + address.to_bytes(20, "big").hex()) == b"\0" + blob


@pytest.mark.parametrize(("term", "vol"), SPREAD[:6:2])
def test_slots_hold_what_code_holds(curves, owner, term, vol):
    word, blob = refreshed(curves, owner, term, vol)
    curves.send(owner, "set_curves", curves.address, HOUR, True)
    assert curves.call("blob", BTC, NOW + term) == blob  # a curve made before stays where it is
    kept, same = refreshed(curves, owner, term, vol, ETH, NOW + 9)
    assert (kept, same) == ((word >> 160 << 160) + (9 << 160), blob)


def test_setup(curves, owner):
    assert curves.call("curve_setup") == (curves.address, HOUR, False)
    receipt = curves.send(owner, "set_curves", owner, 14_400, True)
    assert curves.call("curve_setup") == (owner, 14_400, True)
    assert curves.events(receipt, "CurvesSet")[0].args == {
        "surface": owner,
        "window": 14_400,
        "in_slots": True,
    }


def test_anyone_refreshes_and_the_event_says_so(curves, owner, stranger):
    expiry = NOW + 7 * DAY
    curves.send(owner, "publish", BTC, expiry, *PLAIN)
    receipt = curves.send(stranger, "refresh", BTC, expiry, at=NOW)
    word = curves.call("curve", BTC, expiry)
    assert curves.events(receipt, "CurveRefreshed")[0].args == {
        "market": BTC,
        "expiry": expiry,
        "curve": word,
    }
    curves.send(stranger, "refresh", BTC, expiry, at=NOW + 600)
    later = curves.call("curve", BTC, expiry)
    assert (later >> 160) % 2**32 == NOW + 600 + HOUR
    assert later % 2**160 != word % 2**160


def test_a_curve_is_usable_in_its_window_only(curves, owner, refused):
    expiry = NOW + 7 * DAY
    refreshed(curves, owner, 7 * DAY, PLAIN)
    assert len(curves.call("blob", BTC, expiry, at=NOW + HOUR)) == 1152
    with refused("curve: stale"):
        curves.call("blob", BTC, expiry, at=NOW + HOUR + 1)
    with refused("curve: none"):
        curves.call("blob", ETH, expiry)
    assert curves.call("curve", ETH, expiry) == 0
    curves.send(owner, "refresh", BTC, expiry, at=NOW + HOUR + 1)
    assert len(curves.call("blob", BTC, expiry)) == 1152


def test_the_window_ends_at_expiry(curves, owner, refused):
    word, _ = refreshed(curves, owner, 60, PLAIN)
    assert (word >> 160) % 2**32 == NOW + 60
    assert len(curves.call("blob", BTC, NOW + 60, at=NOW + 60)) == 1152
    with refused("curve: stale"):
        curves.call("blob", BTC, NOW + 60, at=NOW + 61)


REFUSALS = [
    (30 * DAY, Vol(9_999), "curve: vol"),
    (30 * DAY, Vol(10**8 + 1), "curve: vol"),
    (400 * DAY, Vol(2_500_000), "curve: vol"),
    (30 * DAY, Vol(600_000, 10**7 + 1), "curve: smile"),
    (30 * DAY, Vol(600_000, -(10**7) - 1), "curve: smile"),
    (30 * DAY, Vol(600_000, 0, 10**8 + 1), "curve: smile"),
    (30 * DAY, Vol(600_000, -4_000_000), "curve: not monotone"),
    (30 * DAY, Vol(600_000, 0, 5_000_000), "curve: not monotone"),
    (180 * DAY, Vol(3_300_000, 6_400_000, 800_000), "curve: smile"),  # err would not fit its field
    (401 * DAY + 1, PLAIN, "curve: too far"),
    (0, PLAIN, "curve: expired"),
    (-1, PLAIN, "curve: expired"),
]


@pytest.mark.parametrize(("term", "vol", "reason"), REFUSALS)
def test_refuses_as_the_twin_does(curves, owner, refused, term, vol, reason):
    curves.send(owner, "publish", BTC, NOW + term, *vol)
    with refused(reason):
        curves.send(owner, "refresh", BTC, NOW + term, at=NOW)
    with pytest.raises(Refused) as caught:
        model.refresh(vol, NOW + term, NOW, HOUR)
    assert caught.value.reason == reason


def test_refuses_without_a_vol_or_a_surface(deploy, curves, owner, refused):
    with refused("vol: none"):
        curves.send(owner, "refresh", BTC, NOW + DAY)
    with refused("curve: no surface"):
        deploy("CurvesHarness", deploy("Pricing").address).send(owner, "refresh", BTC, NOW + DAY)


def test_only_the_owner_sets_and_within_bounds(curves, owner, stranger, refused):
    with refused("ownable: caller is not the owner"):
        curves.send(stranger, "set_curves", owner, HOUR, False)
    with refused("curve: surface"):
        curves.send(owner, "set_curves", "0x" + "00" * 20, HOUR, False)
    for window in (0, 14_401, 2**256 - 1):
        with refused("curve: window"):
            curves.send(owner, "set_curves", owner, window, False)


@pytest.mark.parametrize("in_slots", [False, True])
def test_gas_of_a_refresh(in_slots, record_property):
    chain = EmbeddedChain(timestamp=NOW - 1_000, exact_gas=True)
    owner = chain.accounts[0]
    curves = chain.deploy(artifact("CurvesHarness"), chain.deploy(artifact("Pricing")).address, sender=owner)
    curves.send(owner, "set_curves", curves.address, HOUR, in_slots)
    seen = []
    for i, (term, vol) in enumerate([*SPREAD[:4], SPREAD[8]]):
        now = NOW + 10 * i
        curves.send(owner, "publish", BTC, now + term, *vol)
        seen.append(curves.send(owner, "refresh", BTC, now + term, at=now).gas_used)
    record_property(
        "summary", f"refresh in {'slots' if in_slots else 'code'}: 30, 7, 180, 1, 401 days {seen}"
    )
    assert max(seen) <= (1_400_000 if in_slots else 820_000)


def test_the_dearest_refresh_stays_within_its_limit(record_property):
    """Steep smiles that reach far, the narrowest row just too narrow for every second point and just wide
    enough. PortfolioMargin's own reads are some 20,000 more (tests/gas/snapshot.json)."""
    chain = EmbeddedChain(timestamp=NOW - 1_000, exact_gas=True)
    owner = chain.accounts[0]
    curves = chain.deploy(artifact("CurvesHarness"), chain.deploy(artifact("Pricing")).address, sender=owner)
    curves.send(owner, "set_curves", curves.address, HOUR, False)
    seen = {}
    for i, (days, atm) in enumerate(
        (
            (1, 900_000),
            (1, 1_000_000),
            (3, 600_000),
            (7, 450_000),
            (10, 300_000),
            (10, 400_000),
            (25, 200_000),
        )
    ):
        now = NOW + 10 * i
        curves.send(owner, "publish", BTC, now + days * DAY, atm, -500_000, 1_500_000)
        seen[days, atm] = curves.send(owner, "refresh", BTC, now + days * DAY, at=now).gas_used
    assert max(seen.values()) <= 920_000
    record_property("summary", f"the dearest refreshes in code: {seen}")
