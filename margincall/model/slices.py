"""Liquidations of accounts that hold a book or are under portfolio margin: what leaves with a slice, what it
is worth, who pays a shortfall. The twin of Liquidation.vy and liquidation/slices.vy for these accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from margincall.model import rules
from margincall.model.arithmetic import NOTIONAL_SCALE, PPM, Refused, ceil_div
from margincall.model.book import merge, pack, unpack
from margincall.model.instrument import CONTRACT
from margincall.model.ledger import Positions, State, Words
from margincall.model.margin import CloseOut
from margincall.model.markets import TARGET

QUANTA = 1_000
FEW = 24  # words of an account whose least slice is searched to the end


def closed_lots(size: int, mark: int, min_notional: int, quanta: int) -> int:
    """Lots that `quanta` of QUANTA close of one leg: max(ceil(|q| k / Q), least trade), all of it when
    what is left would be worth less than the market's least notional (money).
    """
    if quanta == 0:
        return 0
    held = abs(size)
    least = min_notional * NOTIONAL_SCALE
    closed = max(-(-held * quanta // QUANTA), -(-least // mark))
    left = held - closed
    return held if left <= 0 or left * mark < least else closed


class Slice(NamedTuple):
    """What stays and what leaves. after: requirements of what stays; credit: haircut that spot leaving gives
    back, money; closes: lots a perp, unsigned; fragment: book words that leave."""

    quanta: int
    after: CloseOut
    credit: int
    closes: tuple[int, ...]
    fragment: Words


class Account:
    """An account as it stands, with everything that a slice of it needs."""

    def __init__(self, state: State, now: int, account: int) -> None:
        self.state, self.now = state, now
        self.mode = state.mode(account)
        self.cash = state.cash.get(account, 0)
        self.positions: Positions = state.positions.get(account, ())
        self.words = list(state.books.get(account, ()))
        self.standing = self.without([0] * len(self.positions), self.words)

    @property
    def length(self) -> int:
        """Words it is stored in."""
        return -(-len(self.positions) // 2) + len(self.words)

    def without(self, closes: Sequence[int], words: Words) -> CloseOut:
        """The standing with these lots of the perps closed and this book left; cash as it is."""
        left = [
            (market, size - closed if size > 0 else size + closed, entry)
            for (market, size, entry), closed in zip(self.positions, closes, strict=True)
        ]
        if not (left or words):
            return CloseOut(self.cash, 0, 0, 0)
        return rules.standing(self.state, self.now, self.mode, self.cash, left, words)

    def whole(self) -> Slice:
        """The slice that takes everything."""
        closes = tuple(abs(size) for _, size, _ in self.positions)
        return Slice(QUANTA, CloseOut(0, 0, 0, 0), self.credit(self.words), closes, self.words)

    def part(self, quanta: int) -> Slice:
        """The slice of so many thousandths."""
        closes = []
        for market_id, size, _ in self.positions:
            market = self.state.markets[market_id]
            mark = market.quote(self.now, self.state.max_age)[0]
            closes.append(closed_lots(size, mark, market.terms.min_notional, quanta))
        fragment: Words = []
        if self.words:
            fragment = self.state.options.grid.split(self.words, quanta)
        kept = merge(self.words, fragment, True)[0]
        return Slice(quanta, self.without(closes, kept), self.credit(fragment), tuple(closes), fragment)

    def credit(self, fragment: Words) -> int:
        """The part of the fragment's spot that did not count as equity, money, rounded down."""
        total = 0
        for segment in unpack(fragment):
            if not segment.expiry:
                mark = self.mark(segment.market)
                rate = self.state.options.haircut(segment.market)
                total += segment.forward * mark // NOTIONAL_SCALE * rate // PPM
        return total

    def worth(self, fragment: Words) -> int:
        """What a taker pays for a fragment, money: options and futures at what the margin rule says they are
        worth, spot at the mark. Raises Refused in an underlying's grace period."""
        spot, segments = 0, unpack(fragment)
        for segment in segments:
            mark = self.mark(segment.market)
            if self.state.markets[segment.market].in_grace(self.now):
                raise Refused("liquidation: grace after outage")
            if not segment.expiry:
                spot += segment.forward * mark // NOTIONAL_SCALE
        kept = merge(self.words, pack(s for s in segments if s.expiry), True)[0]
        rest = self.without([0] * len(self.positions), kept)
        return self.standing.equity - rest.equity + spot

    def mark(self, market: int) -> int:
        """The market's mark. Raises Refused on a stale one."""
        return self.state.markets[market].quote(self.now, self.state.max_age)[0]

    def notional(self, fragment: Words) -> int:
        """Gross notional of a fragment, lots * price."""
        return sum(
            (abs(segment.forward) + segment.gross * CONTRACT) * self.mark(segment.market)
            for segment in unpack(fragment)
        )


def choose(account: Account, max_quanta: int) -> Slice:
    """The least slice that restores the target, at most `max_quanta`; everything where equity does not cover
    the penalty of it. The same steps as the contract's, so the same slice; of an account of more than FEW
    words the search ends after two probes, so that it fits a transaction."""
    now = account.standing
    whole = account.whole()
    if now.equity < now.penalty:
        return whole

    def missing(one: Slice) -> int:
        equity = now.equity - (now.penalty - one.after.penalty) + one.credit
        return TARGET * one.after.maintenance - equity * PPM

    low = high = 0
    best = Slice(0, now, 0, (), [])
    lacking = missing(best)
    for _ in range(16):
        freed = TARGET * best.after.slope - PPM * best.after.penalty
        more = max(ceil_div((QUANTA - high) * lacking, freed), 1) if freed > 0 else QUANTA
        low, high = high, min(high + more, max_quanta)
        best = account.part(high)
        lacking = missing(best)
        if lacking <= 0:
            break
        if high == max_quanta:
            return best
    probe = high - 1
    for step in range(12):
        if high - low <= 1 or (step == 2 and account.length > FEW):
            break
        candidate = account.part(probe)
        if missing(candidate) <= 0:
            high, best = probe, candidate
        else:
            low = probe
        probe = (low + high) // 2
    return best if best.after.slope else whole
