"""Liquidation by slice: the smallest share of a whole account that restores its health."""

from collections.abc import Sequence
from typing import NamedTuple

from margincall.model import accounts, slices
from margincall.model.arithmetic import INDEX_SCALE, PPM, Refused, ceil_div
from margincall.model.book import merge
from margincall.model.clearing import is_denied, judge_initial
from margincall.model.ledger import Positions, State, Words, post
from margincall.model.margin import closing_costs, value_down
from margincall.model.markets import TARGET
from margincall.model.slices import QUANTA, closed_lots


class Plan(NamedTuple):
    """What a liquidation will do. closes: lots per lane (unsigned); amounts in money. fragment: book words
    that leave; credit: haircut that spot among them gives back."""

    closes: tuple[int, ...]
    quanta: int
    full: bool
    equity: int
    maintenance: int
    penalty: int
    cut: int
    fragment: Words = ()
    credit: int = 0
    whole_penalty: int = 0  # of closing everything, were there equity for it


class Outcome(NamedTuple):
    """Who paid for a take-over, money."""

    shortfall: int
    insurance_paid: int
    socialised: int
    reward: int


class Liquidation(NamedTuple):
    plan: Plan
    outcome: Outcome


class _Legs:
    """The legs of one account at the prices of now."""

    __slots__ = ("equity", "legs", "maintenance", "penalty", "slope")

    def __init__(self, state: State, account: int, now: int):
        self.legs = []
        equity = state.cash.get(account, 0)
        for market_id, size, entry in state.positions.get(account, ()):
            market = state.markets[market_id]
            quote = market.quote(now, state.max_age)
            equity += value_down(size, entry, quote)
            self.legs.append((market, size, quote[0], market.terms.min_notional))
        self.equity = equity
        self.maintenance, self.slope, self.penalty = self.costs([0] * len(self.legs))

    def closes(self, quanta: int) -> list[int]:
        return [closed_lots(size, mark, least, quanta) for _, size, mark, least in self.legs]

    def costs(self, closes: Sequence[int]) -> tuple[int, int, int]:
        """(MM, slope, penalty of closing) of what is left behind `closes`."""
        maintenance = slope = penalty = 0
        for (market, size, mark, _), closed in zip(self.legs, closes, strict=True):
            left = abs(size) - closed
            if left:
                required, marginal, cost = closing_costs(market, left * mark)
                maintenance += required
                slope += marginal
                penalty += cost
        return maintenance, slope, penalty

    def sizes(self) -> list[int]:
        return [abs(size) for _, size, _, _ in self.legs]


def plan(state: State, now: int, victim: int, max_quanta: int = QUANTA) -> Plan:
    """The slice that a liquidation of `victim` closes now; at most `max_quanta` (1 .. 1000) unless the
    account cannot pay a full close's penalty. Raises Refused when the account is healthy.

    Source: f = (b MM - E) / (b MM - pen) for a requirement homogeneous of degree one, iterated from
    f = 0 because tiers make MM convex in f; quantised upward.
    """
    if not 0 < max_quanta <= QUANTA:
        raise Refused("liquidation: bad quanta")
    if victim in state.books or victim in state.modes:
        return _plan_book(state, now, victim, max_quanta)
    legs = _Legs(state, victim, now)
    if not legs.legs:
        raise Refused("liquidation: no position")
    equity = legs.equity
    if equity >= legs.maintenance:
        raise Refused("liquidation: healthy")
    quanta = QUANTA
    if equity >= legs.penalty:
        quanta = smallest_quanta(legs, max_quanta)
    closes = legs.sizes() if quanta >= QUANTA else legs.closes(quanta)
    full = closes == legs.sizes()
    if full:
        quanta = QUANTA
        penalty = min(legs.penalty, max(equity, 0))
    else:
        penalty = legs.penalty - legs.costs(closes)[2]
    cut = penalty * state.liquidator_share // PPM
    return Plan(
        tuple(closes),
        quanta,
        full,
        equity,
        legs.maintenance,
        penalty,
        cut,
        whole_penalty=legs.penalty,
    )


def _plan_book(state: State, now: int, victim: int, max_quanta: int) -> Plan:
    if state.is_flat(victim):
        raise Refused("liquidation: no position")
    account = slices.Account(state, now, victim)
    standing = account.standing
    if standing.equity >= standing.maintenance:
        raise Refused("liquidation: healthy")
    taken = slices.choose(account, max_quanta)
    full = taken.quanta == QUANTA
    penalty = max(standing.penalty - taken.after.penalty, 0)
    if full:
        penalty = min(standing.penalty, max(standing.equity + taken.credit, 0))
    cut = penalty * state.liquidator_share // PPM
    return Plan(
        taken.closes,
        taken.quanta,
        full,
        standing.equity,
        standing.maintenance,
        penalty,
        cut,
        taken.fragment,
        taken.credit,
        standing.penalty,
    )


def smallest_quanta(legs: _Legs, max_quanta: int = QUANTA) -> int:
    """The slice that reaches the target, at most `max_quanta`; QUANTA when nothing stays.

    Newton steps from nothing closed; whole lots and least notionals can make the last step too large:
    then it is bisected until the quantum before does not reach the target.
    """

    def missing(costs: tuple[int, int, int]) -> int:
        return TARGET * costs[0] - (legs.equity - (legs.penalty - costs[2])) * PPM

    low = high = 0
    costs = (legs.maintenance, legs.slope, legs.penalty)
    lacking = missing(costs)
    while True:
        freed = TARGET * costs[1] - PPM * costs[2]
        more = max(1, ceil_div((QUANTA - high) * lacking, freed)) if freed > 0 else QUANTA
        low, high = high, min(high + more, max_quanta)
        costs = legs.costs(legs.closes(high))
        lacking = missing(costs)
        if lacking <= 0:
            break
        if high == max_quanta:
            return high
    slope = costs[1]
    probe = high - 1
    while high - low > 1:
        costs = legs.costs(legs.closes(probe))
        if missing(costs) <= 0:
            high, slope = probe, costs[1]
        else:
            low = probe
        probe = (low + high) // 2
    return high if slope else QUANTA


def liquidate(state: State, now: int, victim: int, taker: int, max_quanta: int = QUANTA) -> Liquidation:
    """`plan` and `take_over`. Raises Refused; nothing changes then."""
    if taker >> 96 == victim >> 96:
        raise Refused("liquidation: own account")
    planned = plan(state, now, victim, max_quanta)
    outcome = take_over(
        state,
        now,
        victim,
        taker,
        planned.closes,
        planned.penalty,
        planned.cut,
        min(state.reward, planned.whole_penalty) if planned.full else 0,
        planned.fragment,
        planned.credit,
    )
    return Liquidation(planned, outcome)


def take_over(
    state: State,
    now: int,
    victim: int,
    taker: int,
    closes: Sequence[int],
    penalty: int,
    cut: int,
    reward: int,
    fragment: Words = (),
    credit: int = 0,
) -> Outcome:
    """The taker takes `closes` lots per lane of the victim at the mark, and `fragment` of its book at what
    the margin rule says it is worth (spot at the mark, of which `credit` did not count as the victim's
    equity), for `cut` of `penalty`; the rest of it goes to insurance of the pool. A full close covers the
    shortfall, and insurance tops the cut up to `reward` as far as it can. Raises Refused; nothing changes
    then.
    """
    if victim == taker or accounts.is_vault(taker):
        raise Refused("liquidation: taker is a vault")
    cash, positions = state.cash.get(victim, 0), state.positions.get(victim, ())
    words = state.books.get(victim, [])
    if state.is_flat(victim):
        raise Refused("liquidation: no position")
    equity, _, maintenance, _ = state.margin(victim, now)
    if equity >= maintenance:
        raise Refused("liquidation: healthy")
    health, covered = equity - maintenance, equity + credit
    if not 0 <= cut <= penalty or penalty > max(covered, 0):
        raise Refused("liquidation: penalty too large")
    if len(closes) != len(positions):
        raise Refused("liquidation: wrong legs")
    worth = slices.Account(state, now, victim).worth(fragment) if fragment else 0
    full = list(fragment) == words
    for (market_id, size, _), closed in zip(positions, closes, strict=True):
        if not 0 <= closed <= abs(size):
            raise Refused("liquidation: leg too large")
        full = full and closed == abs(size)
        if closed and state.markets[market_id].in_grace(now):
            raise Refused("liquidation: grace after outage")
    pool = accounts.market_of(victim)
    shortfall = max(-covered, 0)
    if shortfall and not full:
        raise Refused("liquidation: must be full")
    insurance = state.insurance.get(pool, 0)
    paid = min(shortfall, insurance)
    rewarded = min(max(reward - cut, 0), insurance - paid) if full else 0
    before = state.charges()
    try:
        granted = _socialise(state, now, positions, words, shortfall - paid)
        taken = _take_legs(state, now, taker, positions, closes)
        left, added = words, None
        if fragment:
            left, reduces = merge(words, fragment, True)
            if not reduces:
                raise Refused("liquidation: adds risk")
            added = merge(state.books.get(taker, ()), fragment)[0]
        cash += taken.victim_realised + worth + shortfall - penalty
        taker_cash = state.cash.get(taker, 0) + taken.taker_realised + cut + rewarded - worth
        flat = not (taken.victim or left)
        if not flat:
            _judge_victim(state, now, victim, cash, taken.victim, left, health)
        elif cash < 0:
            raise Refused("liquidation: shortfall left")
        if state.denied and is_denied(state, taker):
            raise Refused("access: mode not allowed")
        judge_initial(state, now, taker, taker_cash, taken.taker, added)
    except Refused:
        state.restore_charges(before)
        raise
    if flat and pool:
        parent = accounts.parent(victim)
        state.write(parent, state.cash.get(parent, 0) + cash, state.positions.get(parent, ()))
        cash = 0
    state.write(victim, cash, taken.victim)
    state.write(taker, taker_cash, taken.taker)
    if fragment:
        state.write_book(victim, left)
        state.write_book(taker, added)
    state.insurance[pool] = insurance - paid - rewarded + penalty - cut
    for market, amount in granted:
        state.deficit[market] = state.deficit.get(market, 0) + amount
    for market, social, change in taken.flows:
        if social:
            state.deficit[market] = state.deficit.get(market, 0) - social
        state.move_open_interest(market, change)
        state.pin(market)
    return Outcome(shortfall, paid, shortfall - paid, rewarded)


def shares(state: State, now: int, positions: Positions, amount: int) -> list[int]:
    """Split a shortfall over an account's legs: in proportion to their losses, or to their notionals when
    these do not add up to it; rounded down, the last leg with a weight takes the remainder.
    """
    weights, raws = [], []
    for market_id, size, entry in positions:
        quote = state.markets[market_id].quote(now, state.max_age)
        weights.append(max(-value_down(size, entry, quote), 0))
        raws.append(abs(size) * quote[0])
    total = sum(weights)
    if total < amount:
        weights, total = raws, sum(raws)
    parts = [amount * weight // total for weight in weights]
    last = max(i for i, weight in enumerate(weights) if weight)
    parts[last] += amount - sum(parts)
    return parts


class _Taken(NamedTuple):
    victim: Positions
    taker: Positions
    victim_realised: int
    taker_realised: int
    flows: list[tuple[int, int, int]]  # market, social, change of open interest


def _socialise(
    state: State, now: int, positions: Positions, words: Words, amount: int
) -> list[tuple[int, int]]:
    """Charge the winners, and return the deficit that each market grants: [(market, money)]. What the losses
    of the perps of an account with a book do not explain is recorded as market 0."""
    granted = []
    if words and amount:
        quotes = [state.markets[market].quote(now, state.max_age) for market, _, _ in positions]
        lost = sum(max(-value_down(*p[1:], quote), 0) for p, quote in zip(positions, quotes, strict=True))
        if amount > lost:
            granted.append((0, amount - lost))
            amount = lost
    if not amount:
        return granted
    for (market, size, _), part in zip(positions, shares(state, now, positions, amount), strict=True):
        if part:
            state.markets[market].charge(size < 0, part, state.open_interest[market])
            granted.append((market, part))
    return granted


def _take_legs(state: State, now: int, taker: int, positions: Positions, closes: Sequence[int]) -> _Taken:
    """Post every closed leg to the victim and to the taker, each like a trade at the victim's value."""
    left, taken = positions, state.positions.get(taker, ())
    victim_realised = taker_realised = 0
    flows = []
    for (market_id, size, _), closed in zip(positions, closes, strict=True):
        if not closed:
            continue
        market = state.markets[market_id]
        longs, shorts = market.social_long, market.social_short
        _, long_mark, short_mark, _ = market.quote(now, state.max_age)
        change = -closed if size > 0 else closed
        adjusted, social = (long_mark, longs) if size > 0 else (short_mark, shorts)
        amount = -(-change * adjusted // INDEX_SCALE) + -closed * social // INDEX_SCALE
        left, _, after, realised, folded = post(left, market_id, change, amount, longs, shorts)
        victim_realised += realised
        moved = max(after, 0) - max(size, 0)
        taken, before, after, realised, folded_too = post(taken, market_id, -change, -amount, longs, shorts)
        taker_realised += realised
        moved += max(after, 0) - max(before, 0)
        flows.append((market_id, folded + folded_too, moved))
    return _Taken(left, taken, victim_realised, taker_realised, flows)


def _judge_victim(
    state: State, now: int, victim: int, cash: int, positions: Positions, words: Words, old_health: int
) -> None:
    equity, _, maintenance, _ = state.measure(now, victim, cash, positions, words)
    if equity - maintenance < old_health:
        raise Refused("liquidation: worsens health")
