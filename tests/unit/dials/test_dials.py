"""What moves the dials, how they come back, and who may set them."""

from math import exp

import pytest

from margincall.chain import Reverted
from margincall.model.arithmetic import Refused
from margincall.model.dials import (
    DEFAULT,
    FOLLOW_STEP,
    GLIDE,
    ONE,
    RECOVERY,
    SCALES,
    UNIT,
    Dials,
    Reading,
    Settings,
)
from margincall.model.instrument import CODES_PER_LOG as CODES
from margincall.protocol.artifacts import artifact
from tests.unit.dials.board import FIRST, MAX_AGE, Board, board

CALM = Reading(DEFAULT.rho, DEFAULT.psi, DEFAULT.rho, DEFAULT.psi)
NO_RIGHT = "ownable: caller is not the owner"


def moved(*markets: int, log: float) -> dict[int, int]:
    return {market: round(FIRST[market] * exp(log)) for market in markets}


def seen(b: Board, *markets: int) -> None:
    """Track markets and let the dials see their first prices."""
    b.track(*markets)
    assert b.poke() == CALM


def test_they_rest_at_their_calm_values_from_the_first_second():
    with board() as b:
        assert b.agreed() == b.agreed(b.now + 10**6) == CALM
        assert b.poke() == CALM  # nothing tracked yet


@pytest.mark.parametrize("log", [-0.1, 0.1])
def test_a_move_that_all_share_raises_rho_to_one_and_leaves_psi(log):
    with board() as b:
        seen(b, 1, 2, 3)
        b.report(moved(1, 2, 3, log=log), b.now + 50)
        assert b.poke() == (ONE, DEFAULT.psi, DEFAULT.rho, DEFAULT.psi)  # maintenance has not begun to glide


def test_half_the_scale_goes_half_the_way():
    with board() as b:
        seen(b, 1, 2, 3)
        b.report(moved(1, 2, 3, log=DEFAULT.rho_scale / SCALES / 2), b.now + 50)
        assert b.poke().rho_im == pytest.approx((ONE + DEFAULT.rho) / 2, abs=1)


def test_one_underlying_leaving_the_others_lowers_psi():
    with board() as b:
        seen(b, 1, 2, 3)
        log = DEFAULT.psi_scale / SCALES
        b.report(moved(3, log=-0.75 * log), b.now + 50)  # two thirds of it from the mean
        shown = b.poke()
        assert shown.psi_im == pytest.approx(DEFAULT.psi / 2, abs=1)
        assert shown.rho_im == pytest.approx(DEFAULT.rho + (ONE - DEFAULT.rho) / 4, abs=1)
        b.report(moved(3, log=-1.5 * log), b.now + 50)
        assert b.poke().psi_im == 0


def test_two_that_move_apart_lower_psi_alone():
    with board() as b:
        seen(b, 1, 2)
        b.report(moved(1, log=-0.1) | moved(2, log=0.1), b.now + 50)
        shown = b.poke()
        assert (shown.rho_im, shown.psi_im) == (DEFAULT.rho, 0)


def test_one_market_alone_has_nothing_to_leave():
    with board() as b:
        seen(b, 1)
        b.report(moved(1, log=-0.3), b.now + 50)
        assert b.poke()[:2] == (ONE, DEFAULT.psi)


def test_recovery_takes_24_hours_for_the_full_range_and_maintenance_glides_in_6():
    """The full range is 0 to 1: rho 1 -> 0.75 takes a quarter of 24 hours, psi 0 -> 0.8 four fifths."""
    with board() as b:
        seen(b, 1, 2, 3)
        b.report(moved(1, 2, log=-0.25), b.now + 50)
        start = b.poke()
        assert start[:2] == (ONE, 0)
        at = b.now
        for hours in (0.5, 1, 3, 5, 6, 12, 19, 20, 30):
            seconds = round(hours * 3_600)
            shown = b.agreed(at + seconds)
            assert shown.rho_im == pytest.approx(max(ONE - ONE * hours / 24, DEFAULT.rho), abs=40)
            assert shown.psi_im == pytest.approx(min(ONE * hours / 24, DEFAULT.psi), abs=40)
            assert shown.rho_mm == min(shown.rho_im, shown.rho_mm)
            risen = GLIDE * seconds / UNIT + 1
            assert start.psi_mm - shown.psi_mm <= risen  # the glide is bounded ...
            assert shown.rho_mm - start.rho_mm <= risen
            # ... and ends where it meets IM, which pulls it back with it.
            assert shown.psi_mm == max(shown.psi_im, start.psi_mm - int(risen))
        assert shown == CALM


def test_tiny_pokes_do_not_stall_recovery():
    """300 pokes, a second apart, at an unmoved price: to the unit what one reading shows."""
    with board() as b:
        seen(b, 1, 2)
        b.report(moved(1, 2, log=-0.1), b.now + 50)
        b.poke()
        b.report(moved(1, 2, log=0), b.now + 50)
        left = [b.agreed(b.now + seconds) for seconds in range(1, 301)]
        assert [b.poke() for _ in range(300)] == left
        assert left[0].rho_im - left[-1].rho_im == pytest.approx(299 * RECOVERY / UNIT, abs=1)


def test_references_rest_between_steps_and_follow_what_was_seen():
    with board() as b:
        seen(b, 1)
        start = b.twin.references[0]
        b.report(moved(1, log=-0.01), b.now + 50)
        b.poke()
        assert b.twin.references[0] == start
        b.poke(b.twin.followed + FOLLOW_STEP)
        # one thirteenth of the way, after 300 s with a time constant of an hour
        assert start - b.twin.references[0] == pytest.approx(0.01 * CODES / 13, abs=2)
        for _ in range(36):
            b.report(moved(1, log=-0.01), b.now + FOLLOW_STEP)
            b.poke()
        assert start - b.twin.references[0] == pytest.approx(0.01 * CODES, rel=0.06)


def test_a_dead_market_is_left_out_and_comes_back():
    with board() as b:
        seen(b, 1, 2, 3)
        b.report(moved(1, 2, log=-0.1), b.now + MAX_AGE + 1)  # the third says nothing
        assert b.poke()[:2] == (ONE, DEFAULT.psi)
        b.report(moved(3, log=-0.1))
        assert b.poke()[:2] == (b.agreed().rho_im, DEFAULT.psi)  # with the others again: nothing apart


def test_all_dead_changes_nothing():
    with board() as b:
        seen(b, 1, 2)
        before = b.twin.seen
        assert b.poke(b.now + 10 * MAX_AGE) == CALM
        assert b.twin.seen == before


def test_prices_without_a_log_code_are_left_out():
    with board() as b:
        b.track(9, 10, 1)
        b.poke()
        assert b.twin.references[:2] == [0, 0]
        b.report(moved(1, log=-0.1), b.now + 50)
        assert b.poke()[:2] == (ONE, DEFAULT.psi)


def test_a_market_that_is_tracked_later_does_not_count_before_it_was_seen():
    with board() as b:
        seen(b, 1, 2)
        b.report(moved(1, 2, log=-0.04), b.now + 50)
        b.track(1, 2, 3)
        assert b.poke() == CALM  # all three anew
        b.track(1, 2, 3, 4)
        b.report(moved(1, 2, 3, 4, log=-0.2), b.now + 50)
        assert b.poke() == CALM
        b.track(*[0] * 8)
        b.report(moved(1, 2, 3, 4, log=-0.4), b.now + 50)
        assert b.poke() == CALM


def test_the_guardian_tightens_at_once_and_only_the_owner_relaxes():
    with board() as b:
        tight = b.act(b.guardian, "tighten", 30_000, 10_000)
        assert tight == (30_000, 10_000, DEFAULT.rho, DEFAULT.psi)
        later = b.agreed(b.now + 86_400)
        assert later == (30_000, 10_000, 30_000, 10_000)  # binds; maintenance has glided there
        b.act(b.guardian, "tighten", 29_999, 10_000)  # refused, by both, with one reason
        b.act(b.guardian, "tighten", 30_000, 10_001)
        b.act(b.guardian, "tighten", ONE + 1, 0)
        assert b.agreed()[:2] == (30_000, 10_000)
        assert b.act(b.guardian, "tighten", 30_000, 9_000)[:2] == (30_000, 9_000)
        b.act(b.owner, "relax", at=b.now + 86_400)
        assert b.agreed() == (30_000, 9_000, 30_000, 9_000)
        assert b.agreed(b.now + 86_400) == CALM
        assert b.act(b.guardian, "tighten", ONE, 0)[:2] == (ONE, 0)


def test_new_settings_bind_at_once_when_stricter_and_by_recovery_when_looser():
    with board() as b:
        strict = Settings(ONE, 0, 1, 1)
        assert b.act(b.owner, "set_dials", strict) == (ONE, 0, DEFAULT.rho, DEFAULT.psi)
        assert b.act(b.owner, "set_dials", DEFAULT, at=b.now + 86_400) == (ONE, 0, ONE, 0)
        assert b.agreed(b.now + 43_200).rho_im == DEFAULT.rho
        assert b.agreed(b.now + 43_200).psi_mm == pytest.approx(ONE // 2, abs=40)
        b.act(b.guardian, "tighten", ONE, 0)
        assert b.act(b.owner, "set_dials", DEFAULT, at=b.now + 10**6) == (ONE, 0, ONE, 0)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(ONE + 1, 0, 1, 1),
        Settings(0, ONE + 1, 1, 1),
        Settings(0, 0, 0, 1),
        Settings(0, 0, 1, 0),
        Settings(0, 0, 2**16, 1),
        Settings(0, 0, 1, 2**16),
    ],
)
def test_settings_out_of_range(settings):
    reason = "dials: setting out of range"
    with board() as b:
        b.act(b.owner, "set_dials", settings)
        assert b.twin.settings == DEFAULT
        with pytest.raises(Refused, match=reason):
            Dials(settings)
        with pytest.raises(Reverted) as caught:
            b.chain.deploy(artifact("DialsHarness"), b.markets.address, settings)
        assert caught.value.reason == reason


def test_refusals():
    with board() as b:
        before = b.agreed(b.now + 100)
        for sender, reason, call in (
            (b.owner, "dials: not guardian", ("tighten", ONE, 0)),
            (b.stranger, "dials: not guardian", ("tighten", ONE, 0)),
            (b.guardian, "dials: not tighter or above 1", ("tighten", DEFAULT.rho - 1, 0)),
            (b.guardian, "dials: not tighter or above 1", ("tighten", ONE, DEFAULT.psi + 1)),
            (b.guardian, "dials: not tighter or above 1", ("tighten", 2**256 - 1, 0)),
            (b.guardian, "dials: not tighter or above 1", ("tighten", ONE, 2**256 - 1)),
            (b.guardian, NO_RIGHT, ("relax",)),
            (b.guardian, NO_RIGHT, ("set_dials", DEFAULT)),
            (b.guardian, NO_RIGHT, ("track", 0, 1)),
            (b.guardian, NO_RIGHT, ("set_guardian", b.guardian)),
            (b.owner, "dials: no such place or market", ("track", 8, 1)),
            (b.owner, "dials: no such place or market", ("track", 0, 64)),
        ):
            with pytest.raises(Reverted) as caught:
                b.dials.send(sender, *call)
            assert caught.value.reason == reason
        with pytest.raises(Reverted) as caught:
            b.chain.deploy(artifact("DialsHarness"), b.stranger, DEFAULT)
        assert caught.value.reason == "dials: bad markets"
        for place, market in ((8, 1), (0, 64)):
            with pytest.raises(Refused, match="dials: no such place or market"):
                b.twin.track(place, market)
        assert b.agreed(b.now + 100) == before


def test_every_change_says_what_holds_now():
    with board() as b:
        seen(b, 1, 2)
        receipt = b.dials.send(b.stranger, "poke")
        assert not receipt.logs  # nothing tightened
        receipt = b.dials.send(b.guardian, "tighten", ONE, 0)
        (event,) = b.dials.events(receipt, "DialsSet")
        assert event.args == {
            "rho_im": ONE,
            "psi_im": 0,
            "rho_mm": DEFAULT.rho,
            "psi_mm": DEFAULT.psi,
        }


def test_reading_is_one_slot_and_little_more():
    b = Board(exact_gas=True)
    call = b.dials.encode("stress_dials")
    assert b.chain.view_gas(b.dials.address, call) <= 2_100 + 1_100  # dispatch and the answer included
