"""Random sequences on portfolio and cross accounts with options, on the contracts and on the twin: after each
operation the same state, or the same refusal. Both start from one deployment and never look at each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from margincall import model
from margincall.chain import Reverted
from margincall.model import Refused, State, accounts
from margincall.model.bookings import set_mode, trade_instrument
from margincall.model.instrument import CALL, CONTRACT, DAY, FUTURE, HOUR_OF_EXPIRY, PUT, SPOT, Instrument
from margincall.model.surface import VolReport
from margincall.protocol.orders import Order, Report
from tests.fuzz.books import SYMBOLS
from tests.fuzz.mirror import image, mirror
from tests.fuzz.test_operations import EXAMPLES
from tests.unit.clearinghouse.world import DEFAULT, THIN, USD, World, world

STEPS = 30
STEP_OF = {"BTC": 5 * 10**8, "ETH": 5 * 10**7, "SOL": 5 * 10**7}
TICKS = (1, 1, 1, 5, 60, 400, 2_000)


class Both:
    """A world and its twin, the accounts that act in them, and what happened so far."""

    def __init__(self, w: World, rng: Random, seen: Counter) -> None:
        self.w, self.rng, self.seen = w, rng, seen
        self.traders = [w.trader(name, rng.choice((2_000, 20_000, 200_000))) for name in ("a", "b", "c")]
        self.traders += [w.liquidator(), w.maker]
        self.roots = [trader.id for trader in self.traders]
        self.state: State = mirror(w, self.roots)
        first = (w.chain.timestamp - HOUR_OF_EXPIRY) // DAY * DAY + DAY + HOUR_OF_EXPIRY
        self.expiries = [first + days * DAY for days in (1, 20, 90)]

    def name(self, expiry: int) -> str:
        return datetime.fromtimestamp(expiry, UTC).strftime("%d%b%y").upper()

    def run(self, kind: str, on_chain: Callable, on_twin: Callable, at: int | None = None) -> str:
        """Do it on both at one second; the reason, or "done"."""
        now = self.w.chain.timestamp + 1 if at is None else at
        refused = reason = None
        try:
            on_chain(now)
        except Reverted as error:
            refused = error.reason
        before = self.state.snapshot()
        try:
            on_twin(now)
        except Refused as error:
            reason = error.reason
            self.state.restore(before)
        assert refused == reason, (kind, refused, reason)
        stored = mirror(self.w, self.roots)
        assert image(self.state) == image(stored), kind
        assert self.state.options.dials == stored.options.dials, kind
        assert stored.options.curves.items() <= self.state.options.curves.items(), kind
        self.seen[kind, reason or "done"] += 1
        return reason or "done"

    # ------------------------------------------------------------ the world

    def prices(self, pause: int = 0, drift: int = 0) -> None:
        at = self.w.chain.timestamp + (pause or self.rng.choice((20, *(100,) * 6, 700)))
        worst = self.rng.choice((3_000, 40_000, 60_000))
        reports = []
        for symbol in SYMBOLS:
            move = drift + self.rng.randint(-worst, worst)
            mark = self.w.protocol.mark(symbol) * (10**6 + move) // 10**6
            reports.append(Report(self.w.market(symbol).id, mark, mark, at))

        def on_twin(now: int) -> None:
            for market, mark, index, published in reports:
                self.state.update(market, mark, index, published, now)

        self.run("prices", lambda now: self.w.protocol.publish(reports, at=now), on_twin, at)

    def vols(self) -> None:
        at = self.w.chain.timestamp + self.rng.choice((2, 100, 300))
        level = self.rng.uniform(0.55, 0.65)
        smiles = {}
        for symbol in SYMBOLS:
            for expiry in self.expiries:
                skew, curvature = self.rng.uniform(-0.1, 0.1), self.rng.uniform(0, 0.15)
                smiles[symbol, expiry] = (round(level, 6), round(skew, 6), round(curvature, 6))
        reports = [
            VolReport(self.w.market(s).id, expiry, *(round(x * 10**6) for x in smile), at)
            for (s, expiry), smile in smiles.items()
        ]
        feed = self.w.protocol.feed.address
        self.run(
            "vols",
            lambda now: self.w.protocol.publish_vols(smiles, at=now),
            lambda now: self.state.options.surface.update(feed, reports, now),
            at,
        )

    def refresh(self) -> None:
        symbol, expiry = self.rng.choice(SYMBOLS), self.rng.choice(self.expiries)
        self.refresh_one(symbol, expiry)

    def refresh_one(self, symbol: str, expiry: int) -> None:
        market = self.w.market(symbol).id
        self.run(
            "refresh",
            lambda now: self.w.protocol.refresh(symbol, expiry, at=now),
            lambda now: self.state.options.refresh(market, expiry, now),
        )

    def poke(self) -> None:
        def on_twin(now: int) -> None:
            marks = {}
            for market, known in self.state.markets.items():
                try:
                    marks[market] = known.quote(now, self.state.max_age)[0]
                except Refused:
                    continue
            self.state.options.dials.poke(now, marks)

        self.run("poke", lambda now: self.w.protocol.poke(at=now), on_twin)

    def hour(self) -> None:
        """Prices go on, curves do not."""
        for _ in range(8):
            self.prices(500)

    def crash(self) -> None:
        drift = self.rng.choice((-1, 1)) * self.rng.choice((60_000, 150_000))
        for _ in range(2):
            self.prices(100, drift)
            self.liquidate()

    def market_day(self) -> None:
        """Everything fresh."""
        self.prices(100)
        self.vols()
        for symbol in SYMBOLS:
            for expiry in self.expiries:
                self.refresh_one(symbol, expiry)

    # ------------------------------------------------------------ the accounts

    def option(self) -> None:
        maker, taker = self.rng.sample(self.traders, 2)
        held = self.rng.choice(self._held(taker) or [None])
        if held is not None and self.rng.random() < 0.5:
            instrument, lots = held
            size = -lots if self.rng.random() < 0.6 else -lots // 2 // CONTRACT * CONTRACT or -lots
        else:
            instrument = self._instrument()
            usd = max(self.state.cash.get(taker.id, 0), USD) * self.rng.choice((3, 8, 15, 25)) // USD
            mark = self.w.protocol.mark(SYMBOLS[instrument.market - 1])
            lots = min(usd, 3_000_000) * USD * 10**8 // mark // CONTRACT * CONTRACT
            size = self.rng.choice((-1, 1)) * max(lots, CONTRACT)
        if self.rng.random() < 0.03:
            size += 1
        self._settle(maker, taker, instrument.id, size)

    def _held(self, trader) -> list[tuple[Instrument, int]]:
        words = self.state.books.get(trader.id, ())
        return [(held, lots) for held, lots in self.state.options.grid.positions(words) if held.kind != SPOT]

    def _instrument(self) -> Instrument:
        symbol = self.rng.choice(SYMBOLS)
        market, step = self.w.market(symbol).id, STEP_OF[symbol]
        expiry, kind = self.rng.choice(self.expiries), self.rng.choice((CALL, CALL, PUT, PUT, FUTURE))
        if kind == FUTURE:
            return Instrument(market, FUTURE, expiry)
        width = self.rng.choice((0.05, 0.2, 0.2, 0.8))
        strike = self.w.protocol.mark(symbol) * (1 + self.rng.uniform(-width, width))
        return Instrument(market, kind, expiry, max(round(strike / step), 1) * step)

    def _settle(self, maker, taker, id: int, size: int) -> None:
        mark = self.w.protocol.mark(SYMBOLS[(id & 255) - 1])
        try:
            price = self.w.exchange.call("mark_of", id)
        except Reverted:
            price = mark
        price = max(price + mark * self.rng.randint(-21_000, 21_000) // 10**6, 0)
        only = [self.rng.random() < 0.15 for _ in range(2)]
        fees = [self.rng.choice((2**16,) * 20 + (100,)) for _ in range(2)]
        salts = [self.w.protocol.next_salt(maker.id), self.w.protocol.next_salt(taker.id)]
        make = Order(maker.id, id, -size, price, max_fee=fees[0], salt=salts[0], reduce_only=only[0])
        take = Order(taker.id, id, size, price, max_fee=fees[1], salt=salts[1], reduce_only=only[1])
        self.run(
            "option",
            lambda now: self.w.settle(make, take, abs(size), maker.owner, taker.owner, at=now),
            lambda now: trade_instrument(
                self.state,
                now,
                id,
                maker.id,
                taker.id,
                size,
                price,
                maker_max_fee=fees[0],
                taker_max_fee=fees[1],
                maker_reduce_only=only[0],
                taker_reduce_only=only[1],
            ),
        )

    def perp(self) -> None:
        maker, taker = self.rng.sample(self.traders, 2)
        symbol = self.rng.choice(SYMBOLS)
        market, mark = self.w.market(symbol).id, self.w.protocol.mark(symbol)
        usd = self.rng.choice((-1, 1)) * self.rng.choice((200, 2_000, 20_000, 200_000, 1_000_000))
        lots = usd * USD * 10**8 // mark
        held = self.state.size(taker.id, market)
        if held and self.rng.random() < 0.5:
            lots = -held
        make, take = self.w.pair(maker.id, taker.id, lots, symbol)
        self.run(
            "perp",
            lambda now: self.w.settle(make, take, abs(lots), maker.owner, taker.owner, at=now),
            lambda now: model.trade(self.state, now, market, maker.id, taker.id, lots, mark),
        )

    def mode(self) -> None:
        trader = self.rng.choice(self.traders)
        mode = accounts.PORTFOLIO if self.state.mode(trader.id) == accounts.CROSS else accounts.CROSS
        if self.rng.random() < 0.1:
            mode = self.rng.choice((0, 1, 2, 3))
        self.run(
            "mode",
            lambda now: self.w.modes.send(trader.owner.address, "switch_mode", trader.id, mode, at=now),
            lambda now: set_mode(self.state, now, trader.id, mode),
        )

    def withdraw(self) -> None:
        trader = self.rng.choice(self.traders[:4])
        owner, now = trader.owner.address, self.w.chain.timestamp + 1
        try:
            free = model.withdrawable(self.state, now, trader.id)
        except Refused:
            free = USD
        amount = self.rng.choice((free, free + 1, max(free // 3, 1)))
        self.run(
            "withdraw",
            lambda now: self.w.house.send(owner, "withdraw", trader.id, amount, owner, at=now),
            lambda now: model.withdraw(self.state, now, trader.id, amount),
        )

    def deposit(self) -> None:
        trader = self.rng.choice(self.traders[:3])
        usd = self.rng.choice((10, 500, 5_000))
        trader.protocol.token.send(trader.owner.address, "mint", trader.owner.address, usd * USD)
        self.run(
            "deposit",
            lambda now: self.w.house.send(trader.owner.address, "deposit", trader.id, usd * USD, at=now),
            lambda now: model.deposit(self.state, trader.id, usd * USD),
        )

    def isolate(self) -> None:
        trader = self.rng.choice(self.traders[:3])
        held = self.state.positions.get(trader.id, ())
        market = self.rng.choice(held)[0] if held else 1
        margin = self.rng.choice((0, 50, 500)) * USD
        vault, owner = accounts.vault(trader.id, market), trader.owner.address
        if vault in self.state.positions:
            self.run(
                "join",
                lambda now: self.w.modes.send(owner, "switch_to_cross", vault, at=now),
                lambda now: model.switch_to_cross(self.state, now, vault),
            )
            return
        self.run(
            "isolate",
            lambda now: self.w.modes.send(owner, "switch_to_isolated", trader.id, market, 0, margin, at=now),
            lambda now: model.switch_to_isolated(self.state, now, trader.id, market, 0, margin),
        )

    def liquidate(self) -> None:
        keeper, quanta = self.traders[3], self.rng.choice((1, 50, 1_000, 1_000))
        for victim in self.roots[:3]:
            plan = self._plan(victim)
            what = self.run(
                "liquidate",
                lambda now, victim=victim: self.w.liquidation.send(
                    keeper.owner.address, "liquidate", victim, keeper.id, quanta, at=now
                ),
                lambda now, victim=victim: model.liquidate(self.state, now, victim, keeper.id, quanta),
            )
            if what == "done" and plan.fragment:
                kind = "insolvent" if plan.equity < 0 else "full" if plan.full else "slice"
                self.seen[kind, self.state.mode(victim)] += 1

    def _plan(self, victim: int):
        """What the twin plans is what `preview` says."""
        now = self.w.chain.timestamp + 1
        try:
            plan = model.plan(self.state, now, victim)
        except Refused:
            return None
        previewed = self.w.liquidation.call("preview", victim, at=now)
        assert previewed == (plan.quanta, plan.equity, plan.maintenance, plan.penalty)
        return plan

    def views(self) -> None:
        """Margin, close-out and the instruments' marks at any second."""
        now = self.w.chain.timestamp + self.rng.choice(TICKS)
        for trader in self.traders:
            self._same(
                lambda trader=trader: tuple(self.w.house.call("margin", trader.id, at=now)),
                lambda trader=trader: tuple(self.state.margin(trader.id, now)),
            )
            for held, _ in self._held(trader)[:2]:
                self._same(
                    lambda held=held: self.w.exchange.call("mark_of", held.id, at=now),
                    lambda held=held: self._mark(held, now),
                )

    def _mark(self, held: Instrument, now: int) -> int:
        mark = self.state.markets[held.market].quote(now, self.state.max_age)[0]
        if not held.is_option:
            return mark
        name = self.state.options.grid.fragment(held, CONTRACT, now)[1] & 2**25 - 1
        return self.state.options.mark(name, held.market, held.expiry, held.strike, mark, now)

    def _same(self, on_chain: Callable, on_twin: Callable) -> None:
        found = []
        for one, error in ((on_chain, Reverted), (on_twin, Refused)):
            try:
                found.append(one())
            except error as refused:
                found.append(refused.reason)
        assert found[0] == found[1]
        self.seen["view", found[0] if isinstance(found[0], str) else "done"] += 1


WEIGHTS = {
    Both.option: 30,
    Both.perp: 8,
    Both.mode: 10,
    Both.prices: 8,
    Both.market_day: 3,
    Both.hour: 1,
    Both.crash: 5,
    Both.vols: 2,
    Both.refresh: 3,
    Both.poke: 3,
    Both.withdraw: 5,
    Both.deposit: 2,
    Both.isolate: 4,
    Both.liquidate: 3,
    Both.views: 4,
}
LEAST = {
    ("option", "done"): 200,
    ("option", "margin: below initial"): 30,
    ("option", "order: price outside band"): 10,
    ("option", "order: strike too far"): 1,
    ("option", "clearing: reduce only"): 10,
    ("option", "option: not whole contracts"): 3,
    ("perp", "done"): 40,
    ("mode", "done"): 50,
    ("mode", "margin: below initial"): 1,
    ("withdraw", "done"): 20,
    ("withdraw", "margin: below transfer margin"): 3,
    ("liquidate", "done"): 15,
    ("slice", 2): 5,
    ("insolvent", 2): 1,
    ("view", "done"): 100,
    ("option", "curve: stale"): 3,
}


def test_sequences():
    seen: Counter = Counter()

    @settings(settings.get_profile("books"), max_examples=EXAMPLES // 3)
    @given(st.sampled_from([DEFAULT, THIN]), st.integers(0, 2**64))
    def run(spec, seed):
        with world(spec) as w:
            both = Both(w, Random(seed), seen)
            both.market_day()
            for trader in both.traders:
                if both.rng.random() < 0.7:
                    owner = trader.owner.address
                    both.run(
                        "mode",
                        lambda now, o=owner, t=trader: w.modes.send(o, "switch_mode", t.id, 2, at=now),
                        lambda now, t=trader: set_mode(both.state, now, t.id, 2),
                    )
            for _ in range(12):
                both.option()
            for _ in range(STEPS):
                both.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0](both)

    run()
    print(dict(sorted(seen.items(), key=str)))
    assert {key: seen[key] for key, count in LEAST.items() if seen[key] < count} == {}
