"""One replay: a population in each mode, one price history, keepers after every update.

The clock is the candles' own, moved as a whole when the chain is already later; every transaction has
a second of its own. Where transactions run past a candle's time the clock runs on, later candles are
walked as fast as the price step allows until they have caught up, and the lag is reported.
"""

from __future__ import annotations

import time as wall
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from margincall.chain import Disagreement
from margincall.model.arithmetic import MAX_PRICE, PPM
from margincall.protocol.config import USD
from margincall.protocol.handle import Protocol
from margincall.replay.book_index import BookIndex, Indexes
from margincall.replay.books import Books
from margincall.replay.candles import BadInput, History
from margincall.replay.desk import Desk, Taken
from margincall.replay.dials import DialsWatch
from margincall.replay.funding import EIGHT_HOURS, Funding, index_for
from margincall.replay.hedges import hedges
from margincall.replay.index import HealthIndex
from margincall.replay.population import PORTFOLIO, Owner, Trade, owners, traders
from margincall.replay.result import LEVEL, LEVELS, ModeResult, Result, Settings
from margincall.replay.series import Series
from margincall.replay.vols import expiries_of
from margincall.replay.walk import LEGS, seconds_to_jump, steps, waypoints

SWEEP_EVERY = 50  # candles
IMPACT_LIMIT = 300_000_000  # 1e-9: a displacement never exceeds 30 %
IMPACT_HALF_LIFE = 3_600  # seconds
EMPTIED = 100  # an owner is emptied with less than 1 / EMPTIED of his start
DAY = 86_400

Progress = Callable[[int, int, "Replay"], None]


class Replay:
    """Replay `history` on a freshly deployed `protocol`. `run` does it; `desk`, `owners` and `everyone`
    (all account ids) stay for whoever wants to look closer."""

    def __init__(self, protocol: Protocol, history: History, funding: Funding, settings: Settings) -> None:
        self.protocol, self.history, self.funding, self.settings = protocol, history, funding, settings
        self.markets = {market.id: market for market in history.markets}
        self.desk = Desk(protocol, history.markets)
        self.result = Result(settings, history, {mode: ModeResult() for mode in settings.modes})
        opening = {i: rows[0].open for i, rows in history.candles.items()}
        people = traders(settings.accounts, settings.seed, history.markets, opening, settings.leverage)
        self.owners: dict[str, list[Owner]] = {
            mode: owners(people, mode, settings.seed, history.markets, opening) for mode in settings.modes
        }
        self._makers = {mode: [o for o in found if not o.trader] for mode, found in self.owners.items()}
        self._mode = {a: o.mode for found in self.owners.values() for o in found for a in o.accounts()}
        self.everyone = list(self._mode)
        self.books = Books(protocol, [market.id for market in protocol.spec.markets])
        self._opening = opening
        self._offset = dict.fromkeys(self.markets, 0)  # 1e-9, by impact
        self._turn = 0
        self._shift = 0
        self.series: Series | None = None
        self.dials: DialsWatch | None = None

    # ------------------------------------------------------------ the run

    def run(self, progress: Progress | None = None) -> Result:
        """Play everything. Raises Disagreement if the chain and the twin ever differ or if a sweep finds
        a liquidatable account, BadInput when an opening trade is not allowed."""
        began = wall.perf_counter()
        self._set_up()
        count = len(self.history.times)
        crash = before_crash(self.history)
        self.result.before_crash = crash
        for i in range(count):
            if i == crash:
                self._draw_map()
            self._candle(i)
            self._account(i, full=(i + 1) % SWEEP_EVERY == 0 or i + 1 == count)
            if progress:
                progress(i + 1, count, self)
        self._settle_up()
        self.result.transactions = self.desk.transactions
        self.result.seconds = wall.perf_counter() - began
        return self.result

    @property
    def clock(self) -> int:
        """Unix seconds on the candles' clock."""
        return self.protocol.chain.timestamp - self._shift

    def _set_up(self) -> None:
        """Everybody's money and opening trades, at the opening price, without funding, before the
        first candle."""
        perps = [mode for mode in self.owners if mode != PORTFOLIO]
        pairs = [pair for mode in perps for pair in self._pairs(mode, lambda owner: owner.trader.trades)]
        # Two seconds a transaction is more than they need; a portfolio account takes three, its trades one.
        start = self.history.times[0] - 2 * (len(self.everyone) + len(pairs)) - 600
        if PORTFOLIO in self.owners:
            start -= 8 * len(self.owners[PORTFOLIO])
        late = self.protocol.chain.timestamp + 1 - start
        self._shift = max(0, -(-late // DAY) * DAY)  # expiries stay at 08:00 UTC
        no_funding = {i: index_for(p, 0, self.markets[i].rules) for i, p in self._opening.items()}
        self.desk.publish(self._opening, no_funding, start + self._shift)
        self.desk.endow(owner for found in self.owners.values() for owner in found)
        try:
            self.desk.open(pairs)
            if PORTFOLIO in self.owners:
                self._open_books()
        except Disagreement as error:
            if "open interest cap" in str(error):
                raise BadInput(
                    f"accounts {self.settings.accounts}: their trades exceed the open interest that insurance"
                    " carries; give fewer"
                ) from None
            raise
        self._make_indexes()
        notional = self._notional()
        for mode, found in self.owners.items():
            result = self.result.modes[mode]
            result.start_money = sum(owner.money for owner in found if owner.trader)
            result.open_interest_start = notional[mode]

    def _pairs(self, mode: str, trades: Callable[[Owner], list[Trade]]) -> list[tuple[Owner, Owner, Trade]]:
        """(trader, the market maker on the other side, trade) of a mode."""
        makers = self._makers[mode]
        return [
            (owner, makers[i % len(makers)], trade)
            for i, owner in enumerate(self.owners[mode])
            if owner.trader
            for trade in trades(owner)
        ]

    def _open_books(self) -> None:
        """The portfolio population: volatility, curves, dials; everybody's mode; the hedged books."""
        desk, found = self.desk, self.owners[PORTFOLIO]
        times = [time + self._shift for time in self.history.times]
        series = Series(desk, expiries_of(times, self.history.step), self.settings.dials)
        desk.to_portfolio(found)
        desk.keep_fresh(self.protocol.chain.timestamp + 1)
        series.open()
        self.series = desk.series = series
        trades = hedges(desk.twin, found, self.settings.seed, series.grid())
        desk.open(self._pairs(PORTFOLIO, lambda owner: trades[owner.id]))

    def _make_indexes(self) -> None:
        twin, markets = self.desk.twin, list(self.markets)
        books = [account for account in self.everyone if self._mode[account] == PORTFOLIO]
        others = [account for account in self.everyone if self._mode[account] != PORTFOLIO]
        assert self.everyone == others + books  # rows of the indexes
        index = BookIndex(twin, markets, books)
        self.index = Indexes(HealthIndex(twin, markets, others), index)
        if books:
            traders = {owner.id for owner in self.owners[PORTFOLIO] if owner.trader}
            self.dials = DialsWatch(twin, index, [account in traders for account in books])
            self.result.dials = self.dials.result

    # ------------------------------------------------------------ a candle

    def _candle(self, i: int) -> None:
        for result in self.result.modes.values():
            result.by_candle.append(0)
        begin = self.history.times[i]
        ways = {market: waypoints(rows[i]) for market, rows in self.history.candles.items()}
        for leg in range(LEGS):
            planned = begin + self._shift + leg * self.history.step // LEGS
            targets = {market: way[leg] for market, way in ways.items()}
            self._go(targets, planned, always=leg == 0)
            if self.series:
                self.series.see()
                self._keep()
        self._fade()
        self._measure_lag(i)

    def _go(self, wanted: dict[int, int], planned: int, always: bool) -> None:
        """Bring the chain's prices to `wanted`, displaced by impact, the keepers acting on the way.
        Liquidations on the way displace them anew, until none does."""
        desk = self.desk
        while True:
            targets = {i: self._displaced(i, price) for i, price in wanted.items()}
            if targets == desk.marks and not always:
                return
            always = False
            for marks in self._updates(targets):
                wait = self._needed(marks) if self.settings.gap else 0
                self._publish(marks, max(planned, desk.published + wait))
                self._keep()
            if not self.settings.impact:
                return

    def _updates(self, targets: dict[int, int]):
        if targets == self.desk.marks:
            return [targets]
        if not self.settings.gap:
            return steps(dict(self.desk.marks), targets, self.markets)
        starts, parts = dict(self.desk.marks), 1
        while True:
            way = [
                {i: starts[i] + (targets[i] - starts[i]) * k // parts for i in targets}
                for k in range(parts + 1)
            ]
            hops = pairwise(way)
            if all(seconds_to_jump(a[i], b[i], self.markets[i]) for a, b in hops for i in targets):
                return way[1:]
            parts *= 2

    def _needed(self, marks: dict[int, int]) -> int:
        return max(seconds_to_jump(self.desk.marks[i], mark, self.markets[i]) for i, mark in marks.items())

    def _publish(self, marks: dict[int, int], planned: int) -> None:
        desk, rules = self.desk, [market.rules for market in self.markets.values()]
        # A longer silence would be an outage, and a grace period without liquidations would follow.
        outage = min(rule.outage for rule in rules)
        while planned - desk.published > outage:
            self._report(desk.marks, desk.published + outage)
            self._keep()
        interval = max(rule.interval for rule in rules)
        self._report(marks, max(planned, desk.published + interval, self.protocol.chain.timestamp + 1))
        self.result.updates += 1

    def _report(self, marks: dict[int, int], at: int) -> None:
        at = max(at, self.protocol.chain.timestamp + 1)
        indexes = {}
        for i, mark in marks.items():
            market = self.markets[i]
            indexes[i] = index_for(mark, self.funding.rate(market, at - self._shift), market.rules)
        self.desk.publish(dict(marks), indexes, at)
        if self.series:
            self.series.poke()
            self.dials.look(self.protocol.chain.timestamp)

    # ------------------------------------------------------------ keepers

    def _keep(self) -> None:
        """The keepers liquidate until nobody is below maintenance."""
        chain, desk = self.protocol.chain, self.desk
        while True:
            desk.keep_fresh(chain.timestamp + 1)
            while desk.settled:
                self.index.refresh(desk.settled.pop())
            found = self.index.unhealthy(chain.timestamp + 1)
            if not found:
                return
            for victim in found:
                desk.keep_fresh(chain.timestamp + 1)
                taken = self._liquidate(victim, chain.timestamp + 1)
                if taken:
                    self._record(taken)

    def _liquidate(self, victim: int, at: int) -> Taken | None:
        """The market makers of the mode take turns; what they take over closes their own side."""
        margin = self.desk.twin.margin(victim, at)
        if margin.equity >= margin.maintenance:
            return None  # funding it receives has lifted it since it was found
        makers = self._makers[self._mode[victim]]
        if self._mode[victim] == PORTFOLIO:
            self.dials.judge(victim, at)
        for _ in makers:
            self._turn += 1
            taker = makers[self._turn % len(makers)]
            taken = self.desk.liquidate(victim, taker, at)
            if taken:
                for account in (victim, victim >> 64 << 64, taker.id):
                    self.index.refresh(account)
                return taken
        raise Disagreement(f"no keeper can take over account {victim:#x}")

    def _record(self, taken: Taken) -> None:
        result = self.result.modes[self._mode[taken.victim]]
        result.liquidations += 1
        result.full += taken.full
        result.victims.add(taken.victim >> 96)
        result.notional += taken.notional
        result.by_candle[-1] += taken.notional
        result.penalties += taken.penalty
        result.rewards += taken.reward
        result.insurance_paid += taken.insurance_paid
        result.socialised += taken.socialised
        for market, forced in taken.legs:
            self._push(market, forced)

    # ------------------------------------------------------------ impact

    def _push(self, market: int, forced: int) -> None:
        """The rule: a forced trade of a million USD moves the price by `impact` basis points its way."""
        if self.settings.impact:
            moved = self._offset[market] + forced * round(self.settings.impact * 100_000) // (1_000_000 * USD)
            self._offset[market] = max(-IMPACT_LIMIT, min(moved, IMPACT_LIMIT))

    def _displaced(self, market: int, price: int) -> int:
        return max(1, min(price + price * self._offset[market] // 10**9, MAX_PRICE))

    def _fade(self) -> None:
        kept = round(10**6 * 0.5 ** (self.history.step / IMPACT_HALF_LIFE))
        for market, offset in self._offset.items():
            self._offset[market] = offset * kept // PPM if offset > 0 else -(-offset * kept // PPM)

    # ------------------------------------------------------------ what is measured

    def _measure_lag(self, i: int) -> None:
        late = self.clock - (self.history.times[i] + self.history.step)
        if late <= 0:
            return
        self.result.lag_seconds = max(self.result.lag_seconds, late)
        there = min(i + late // self.history.step + 1, len(self.history.times) - 1)
        for market, rows in self.history.candles.items():
            mark, candle = self.desk.marks[market], rows[there]
            away = max(candle.low - mark, mark - candle.high, 0)
            self.result.lag_percent = max(self.result.lag_percent, 100 * away / mark)

    def _account(self, i: int, full: bool) -> None:
        """I-01 after every candle; every account and every margin at a sweep."""
        desk = self.desk
        if self.dials:
            self.dials.note(self.protocol.chain.timestamp)
        if full:
            desk.keep_fresh(self.protocol.chain.timestamp + 1)
            self._keep()  # seconds passed since they looked, and curves that were due ask for other margins
            self.books.sweep(desk.twin, self.everyone, self.protocol.chain.timestamp + 1)
            self.result.sweeps += 1
            desk.touched.clear()
        residual = self.books.residual(desk.touched)
        desk.touched.clear()
        self.result.conservation_error = max(self.result.conservation_error, abs(residual))
        for mode, notional in self._notional().items():
            self.result.modes[mode].open_interest.append(notional)

    def _notional(self) -> dict[str, int]:
        """The traders' gross notional by mode, money."""
        by_account = self.index.notional()
        sums = {}
        for mode in self.settings.modes:
            sums[mode] = int(by_account[self._rows(mode)].sum())
        return sums

    def _rows(self, mode: str) -> np.ndarray:
        """Rows of the mode's traders, in the index and in `everyone`."""
        if not hasattr(self, "_trader_rows"):
            traders = {a for found in self.owners.values() for o in found if o.trader for a in o.accounts()}
            self._trader_rows = {
                mode: np.array([a in traders and self._mode[a] == mode for a in self.everyone])
                for mode in self.settings.modes
            }
        return self._trader_rows[mode]

    def _draw_map(self) -> None:
        """Notional that becomes liquidatable as all prices move to each level, by mode."""
        now, notional = self.protocol.chain.timestamp, self.index.notional()
        below = {level: self.index.below_at(now, 1 + level / 100) for level in LEVELS}
        for mode in self.settings.modes:
            rows = self._rows(mode)
            levels = []
            for level in LEVELS:
                nearer = level + LEVEL if level < 0 else level - LEVEL
                new = below[level] & ~below[nearer] if level else below[level]
                levels.append(float(notional[new & rows].sum()))
            self.result.modes[mode].levels = levels

    def _settle_up(self) -> None:
        """What every trader is left with, at the last prices."""
        twin, at = self.desk.twin, self.protocol.chain.timestamp
        for mode, found in self.owners.items():
            result = self.result.modes[mode]
            for owner in found:
                if not owner.trader:
                    continue
                left = sum(twin.margin(account, at).equity for account in owner.accounts())
                result.trader_loss += max(owner.money - left, 0)
                result.trader_gain += max(left - owner.money, 0)
                result.emptied += left * EMPTIED < owner.money


def before_crash(history: History) -> int:
    """The candle from which the map is drawn: eight hours before the candle with the deepest fall,
    averaged over the markets."""
    depth = np.zeros(len(history.times))
    for rows in history.candles.values():
        depth += np.array([(row.open - row.low) / row.open for row in rows])
    return max(int(depth.argmax()) - max(EIGHT_HOURS // history.step, 1), 0)
