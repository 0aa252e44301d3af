"""Liquidation by slice: who, how much, at what cost, and who pays for what is missing."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from margincall.model import Refused, Tier, accounts, liquidate, money, plan, take_over, trade
from margincall.model.liquidation import QUANTA, closed_lots, shares
from margincall.model.markets import TARGET
from tests.unit.model.builders import NOW, PRICE, move, protocol

FLAT = (Tier(0, 50_000, 25_000),)


def book(sizes, cash, prices, *, markets=2, penalty=10_000, min_notional=1, tiers=FLAT, vault=False):
    """A victim with `sizes` (lots at PRICE), `cash` money left, and the prices it meets now."""
    state, (victim, other, taker, _), tokens = protocol(
        markets, cash=10**8, tiers=tiers, penalty=penalty, min_notional=min_notional, maker_fee=0, taker_fee=0
    )
    if vault:
        victim = accounts.vault(victim, 1)
    for market, size in enumerate(sizes, 1):
        if size:
            trade(state, NOW, market, other, victim, size, PRICE, taker_margin=money(10**6) if vault else 0)
    spent = state.cash[victim] - cash
    state.cash[victim] = cash
    for market, price in enumerate(prices, 1):
        move(state, market, price, NOW)
    return state, victim, other, taker, tokens - spent


def health_after(state, account, closes):
    """(equity, MM) if `closes` were taken over now, from the account's own close-out figures."""
    before = state.close_out(account, NOW)
    held = state.positions[account]
    kept = tuple(
        (m, s - c if s > 0 else s + c, 0) for (m, s, _), c in zip(held, closes, strict=True) if c < abs(s)
    )
    state.positions[account] = kept
    left = state.close_out(account, NOW)
    state.positions[account] = held
    return before.equity - (before.penalty - left.penalty), left.maintenance


legs = st.lists(st.integers(2 * 10**9, 10**11), min_size=1, max_size=2)
signs = st.lists(st.sampled_from((1, -1)), min_size=2, max_size=2)


@settings(max_examples=150)
@given(legs, signs, st.integers(400_000, 999_999))
def test_slice_is_the_least_that_reaches_the_target(lots, sides, health):
    """I-19, legs far above the least notional: the slice reaches E' >= 1.2 MM', a quantum less does not (or
    by no more than the rounding of each leg's requirement and penalty).
    """
    sizes = [lot * side for lot, side in zip(lots, sides, strict=False)]
    state, victim, _, taker, _ = book(sizes, 0, [PRICE] * 2)
    before = state.close_out(victim, NOW)
    state.cash[victim] += before.maintenance * health // 10**6 - before.equity
    # Where the penalty is about all that is left, everything must go.
    assume(state.close_out(victim, NOW).equity >= before.penalty + before.maintenance // 100)
    planned = plan(state, NOW, victim)
    assert not planned.full

    def surplus(quanta):
        closes = [closed_lots(size, PRICE, 1, quanta) for _, size, _ in state.positions[victim]]
        equity, maintenance = health_after(state, victim, closes)
        return equity * 10**6 - TARGET * maintenance

    assert surplus(planned.quanta) >= 0
    assert surplus(planned.quanta - 1) < 4 * len(sizes) * 10**6
    liquidate(state, NOW, victim, taker)
    after = state.margin(victim, NOW)
    # A leg that is cut in two is rounded down twice.
    assert (after.equity + len(sizes)) * 10**6 >= TARGET * after.maintenance


@settings(max_examples=150)
@given(
    legs,
    signs,
    st.integers(1, 999_999),
    st.lists(st.integers(1, 400), min_size=1, max_size=6),
    st.sampled_from((1, 1_000_000, 10_000_000)),
)
def test_cutting_into_pieces_costs_the_same(lots, sides, health, pieces, least):
    """I-18, I-20: pieces never worsen health; their penalties add up to the whole's, rounding aside."""
    sizes = [lot * side for lot, side in zip(lots, sides, strict=False)]
    state, victim, _, taker, _ = book(sizes, 0, [PRICE] * 2, min_notional=least)
    before = state.close_out(victim, NOW)
    state.cash[victim] += before.maintenance * health // 10**6 - before.equity
    paid = 0
    start = state.close_out(victim, NOW)
    for quanta in pieces:
        held = state.margin(victim, NOW)
        if held.equity >= held.maintenance:
            break
        done, _ = liquidate(state, NOW, victim, taker, quanta)
        paid += done.penalty
        now = state.margin(victim, NOW)
        if start.equity >= start.penalty:
            assert now.equity - now.maintenance >= held.equity - held.maintenance
            # A leg that is cut in two is rounded down twice.
            assert 0 <= held.equity - now.equity - done.penalty <= len(sizes)
    left = state.close_out(victim, NOW)
    if start.equity >= start.penalty:
        assert paid == start.penalty - left.penalty
    else:
        assert not state.positions.get(victim)
        assert paid == max(start.equity, 0)


def test_quanta_close_at_least_the_least_notional_and_leave_no_dust():
    assert closed_lots(1_000, 10**8, 10, 0) == 0
    assert closed_lots(-1_000, 10**8, 10, 1) == 10
    assert closed_lots(1_000, 10**8, 10, 500) == 500
    assert closed_lots(1_000, 10**8, 10, 990) == 990
    assert closed_lots(1_000, 10**8, 10, 991) == 1_000
    assert closed_lots(15, 10**8, 10, 1) == 15


def test_a_healthy_account_is_refused_to_the_unit():
    """I-16, I-13: E == MM is healthy, one unit less is not."""
    state, victim, _, taker, _ = book([10**9], 0, [PRICE])
    account = state.margin(victim, NOW)
    state.cash[victim] += account.maintenance - account.equity
    with pytest.raises(Refused, match="healthy"):
        liquidate(state, NOW, victim, taker)
    state.cash[victim] -= 1
    assert liquidate(state, NOW, victim, taker).plan.quanta > 0


def test_waterfall_insurance_then_winners():
    """I-25, I-26: the pool pays first; the rest is charged to the winners by size, and falls due exactly."""
    prices = [PRICE * 8 // 10, PRICE * 9 // 10]
    state, victim, other, taker, _ = book([10**12, 10**12], money(1_000), prices)
    state.insurance[0] = money(10)
    tokens = state.claims()
    short = -state.margin(victim, NOW).equity
    winner = state.margin(other, NOW).equity
    done = liquidate(state, NOW, victim, taker)
    assert done.plan.full
    assert done.plan.penalty == 0
    assert done.outcome.shortfall == short == money(150_000 - 1_000)
    assert done.outcome.insurance_paid == money(10)
    assert done.outcome.socialised == short - money(10)
    assert done.outcome.reward == 0  # the pool is empty
    assert victim not in state.positions
    assert victim not in state.cash
    assert state.residual(tokens, 1) == 0
    lost = winner - state.margin(other, NOW).equity
    # A charge is a whole number of index units a lot: here a hundred units of money a market.
    assert done.outcome.socialised <= lost <= done.outcome.socialised + 2 * (100 + 1)
    # Market 1 lost twice as much as market 2.
    charged = state.deficit
    assert abs(charged[1] - 2 * charged[2]) <= 2
    for market in (1, 2):
        size = state.size(other, market)
        trade(state, NOW, market, taker, other, -size, state.markets[market].mark)
    assert not any(state.open_interest.values())
    assert not state.deficit
    assert 0 <= state.residue <= 2 * (100 + 1)
    assert state.residual(tokens, 1) == 0


def test_shares_are_complete():
    state, victim, *_ = book([10**9, -(10**9)], 0, [PRICE * 9 // 10, PRICE * 9 // 10])
    assert shares(state, NOW, state.positions[victim], 10**6 + 1) == [10**6 + 1, 0]
    move(state, 2, PRICE * 11 // 10, NOW)
    assert shares(state, NOW, state.positions[victim], 10**6 + 1) == [500_000, 500_001]
    for market in (1, 2):
        move(state, market, PRICE, NOW)
    assert shares(state, NOW, state.positions[victim], 9) == [4, 5]


def test_a_vault_gives_back_what_is_left_and_takes_no_more():
    """I-27: its parent gets the rest; a shortfall draws on its own market's pool alone."""
    state, vault, _, taker, _ = book([10**9], money(14), [PRICE * 98 // 100], vault=True)
    parent = accounts.parent(vault)
    before = state.cash[parent]
    equity = state.margin(vault, NOW).equity
    assert 0 < equity < state.close_out(vault, NOW).penalty
    done = liquidate(state, NOW, vault, taker)
    assert done.plan.full
    assert state.cash[parent] == before + equity - done.plan.penalty
    assert vault not in state.cash
    state, vault, _, taker, _ = book([10**9], money(1), [PRICE * 9 // 10], vault=True)
    parent, pools = accounts.parent(vault), dict(state.insurance)
    before = state.cash[parent]
    done = liquidate(state, NOW, vault, taker)
    assert state.cash[parent] == before
    assert state.insurance[0] == pools[0]
    assert state.insurance[1] == pools[1] - done.outcome.shortfall - state.reward


REFUSALS = {
    "liquidation: own account": lambda state, victim, taker: {"taker": accounts.root(victim >> 96, 1)},
    "liquidation: taker is a vault": lambda state, victim, taker: {"taker": accounts.vault(taker, 1)},
    "access: mode not allowed": lambda state, victim, taker: state.denied.update({taker >> 96: 1}),
    "margin: below initial": lambda state, victim, taker: state.cash.update({taker: 1}),
    "liquidation: grace after outage": lambda state, victim, taker: state.markets[1].restore(
        (*state.markets[1].snapshot()[:-2], NOW + 1, True)
    ),
    "price: stale": lambda state, victim, taker: {"now": NOW + 301},
    "liquidation: bad quanta": lambda state, victim, taker: {"max_quanta": 0},
    "liquidation: no position": lambda state, victim, taker: {"victim": accounts.vault(victim, 2)},
}


@pytest.mark.parametrize("reason", REFUSALS)
@pytest.mark.parametrize("insolvent", [False, True])
def test_refused_liquidations_change_nothing(reason, insolvent):
    """Charges to winners are undone with everything else."""
    state, victim, _, taker, _ = book([10**9], -money(10) if insolvent else money(8), [PRICE * 99 // 100])
    if insolvent:
        state.insurance[0] = 0
    call = {"state": state, "now": NOW, "victim": victim, "taker": taker}
    call |= REFUSALS[reason](state, victim, taker) or {}
    before = state.snapshot()
    with pytest.raises(Refused) as refusal:
        liquidate(**call)
    assert refusal.value.reason == reason
    assert state.snapshot() == before


@pytest.mark.parametrize(
    ("closes", "penalty", "reason"),
    [
        ([10**9], money(10_000), "liquidation: penalty too large"),
        ([10**9 + 1], 0, "liquidation: leg too large"),
        ([10**9, 1], 0, "liquidation: wrong legs"),
    ],
)
def test_take_over_refuses_what_no_plan_says(closes, penalty, reason):
    state, victim, _, taker, _ = book([10**9], money(8), [PRICE * 99 // 100])
    before = state.snapshot()
    with pytest.raises(Refused) as refusal:
        take_over(state, NOW, victim, taker, closes, penalty, 0, 0)
    assert refusal.value.reason == reason
    assert state.snapshot() == before


def test_full_close_when_the_penalty_cannot_be_paid():
    state, victim, _, taker, _ = book([10**9], 0, [PRICE])
    account = state.close_out(victim, NOW)
    state.cash[victim] += account.penalty - 1 - account.equity
    done = liquidate(state, NOW, victim, taker, 1)
    assert done.plan.full
    assert done.plan.quanta == QUANTA
    assert done.plan.penalty == account.penalty - 1
    assert state.cash.get(victim, 0) == 0
