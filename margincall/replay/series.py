"""Options in a replay: volatility published, curves refreshed, dials poked, expired series settled. Each
transaction goes to the chain and to the twin, which must agree.
"""

from __future__ import annotations

from margincall.chain import Disagreement
from margincall.model.arithmetic import PPM
from margincall.model.book import unpack
from margincall.model.expiry import Expiry
from margincall.model.instrument import WINDOW
from margincall.protocol.vols import MAX_VOL_REPORTS, publish_vols
from margincall.replay.desk import Desk
from margincall.replay.hedges import Grid
from margincall.replay.vols import Move, calm, reports, wanted

EARLY = 180  # seconds before its end that a curve is refreshed
STALE = 300  # seconds before its end that a smile is published again
MATERIAL = 30_000  # ppm by which a level that changes is published, and its curve refreshed
SETTLED_AT_ONCE = 48  # accounts a transaction; more would be near its gas limit


class Series:
    """The expiries of a replay and what keeps them usable. `pokes`: whether the dials are looked after."""

    def __init__(self, desk: Desk, expiries: tuple[int, int, int], pokes: bool = True) -> None:
        self.desk, self.expiries, self.pokes = desk, expiries, pokes
        self.expiry = Expiry(desk.twin.options.grid)
        self.moves: dict[int, Move] = {}
        self.bases: dict[int, dict] = {}
        self._valued: dict[tuple[int, int], int] = {}  # level of the curve in use
        self._open = list(expiries)
        self.settlements: dict[tuple[int, int], int] = {}

    def open(self) -> None:
        """Publish the calm smiles, value every expiry, show the dials the opening prices."""
        now = self.desk.chain.timestamp + 1
        for i, market in self.desk.markets.items():
            self.moves[i] = Move(self.desk.marks[i], now)
            self.bases[i] = {expiry: calm(market.symbol, expiry - now) for expiry in self.expiries}
        self._publish(list(self.bases))
        self.upkeep()
        self.poke()

    def grid(self) -> Grid:
        """Where hedges find their options."""
        smiles = self.desk.twin.options.surface.smiles
        return Grid(
            self.desk.markets,
            self.desk.marks,
            {key: smile.atm / PPM for key, smile in smiles.items()},
            self.expiries,
            self.desk.chain.timestamp + 1,
        )

    def poke(self) -> None:
        """Let the dials look at the prices."""
        if not self.pokes:
            return
        at = self.desk.chain.timestamp + 1
        self.desk.send(self.desk.protocol.poke, at=at)
        self.desk.twin.options.dials.poke(at, self.desk.marks)

    def see(self) -> None:
        """Prices have changed: show them to the averages of expiries; volatility follows the rule where it
        has materially moved."""
        desk = self.desk
        for expiry in self._open:
            if desk.published + WINDOW + desk.twin.max_age > expiry:
                for market in desk.markets:
                    self._observe(market, expiry)
        now = desk.chain.timestamp + 1
        changed = []
        for market, move in self.moves.items():
            move.see(desk.marks[market], now)
            if self._changes(market, now):
                changed.append(market)
        if changed:
            self._publish(changed)
        self.upkeep()

    def upkeep(self) -> None:
        """Settle what has expired; refresh curves that are about to end or whose level moved materially."""
        desk = self.desk
        while self._open and desk.chain.timestamp + 1 >= self._open[0]:
            self._settle(self._open.pop(0))
        for market in desk.markets:
            for expiry in self._open:
                if self._due(market, expiry):
                    self._refresh(market, expiry)

    # ------------------------------------------------------------ volatility

    def _changes(self, market: int, now: int) -> bool:
        surface, held = self.desk.twin.options.surface, self.moves[market].held
        step = self.desk.markets[market].options.vols
        for expiry in self._open:
            smile = surface.smiles[market, expiry]
            asked = min(max(wanted(self.bases[market][expiry], held, expiry - now), step.lower), step.upper)
            reach = step.step * (now - smile.published) // step.interval
            away = abs(asked - smile.atm) * PPM // smile.atm
            if expiry > now and min(away, reach) >= MATERIAL:
                return True
        return False

    def _publish(self, markets: list[int]) -> None:
        desk, surface = self.desk, self.desk.twin.options.surface
        protocol, feed = desk.protocol, desk.protocol.feed.address
        while markets:
            count = max(MAX_VOL_REPORTS // max(len(self._open), 1), 1)
            batch, markets = markets[:count], markets[count:]
            now = desk.chain.timestamp + 1
            payload = []
            for market in batch:
                stored = {e: surface.smiles[market, e] for e in self._open if (market, e) in surface.smiles}
                move = self.moves[market].held
                payload += reports(desk.markets[market], self.bases[market], stored, move, now)
            if not payload:
                return
            desk.send(
                publish_vols,
                protocol.surface,
                feed,
                protocol._reports,
                payload,
                protocol.signers[: protocol.spec.quorum],
                protocol.relayer,
                at=now,
            )
            desk.apply(surface.update, feed, payload, now)

    def _due(self, market: int, expiry: int) -> bool:
        options, now = self.desk.twin.options, self.desk.chain.timestamp + 1
        curve = options.curves.get((market, expiry))
        if curve is None or (now + EARLY > curve.valid_until and curve.valid_until < expiry):
            return True
        level = self._valued[market, expiry]
        return abs(options.surface.smiles[market, expiry].atm - level) * PPM >= level * MATERIAL

    def _refresh(self, market: int, expiry: int) -> None:
        desk, options = self.desk, self.desk.twin.options
        smile = options.surface.smiles[market, expiry]
        if desk.chain.timestamp + STALE > smile.published + desk.markets[market].options.vols.max_age:
            self._publish([market])
        at = desk.chain.timestamp + 1
        if at >= expiry:
            return
        symbol = desk.markets[market].symbol
        desk.send(desk.protocol.refresh, symbol, expiry, at=at)
        curve = desk.apply(options.refresh, market, expiry, at)
        word = desk.protocol.portfolio.call("curve", market, expiry)
        if word >> 160 != curve.word() >> 160:
            raise Disagreement(f"curve of {symbol} {expiry}: chain and twin differ")
        self._valued[market, expiry] = options.surface.smiles[market, expiry].atm

    # ------------------------------------------------------------ expiry

    def _observe(self, market: int, expiry: int) -> None:
        desk = self.desk
        mark, age = desk.marks[market], desk.twin.max_age
        desk.send(desk.protocol.observe, desk.markets[market].symbol, expiry, at=desk.chain.timestamp + 1)
        desk.apply(self.expiry.observe, market, mark, desk.published, age, expiry)

    def _settle(self, expiry: int) -> None:
        """Fix the price with the first one published at or after expiry, pay everybody's series."""
        desk = self.desk
        if desk.published < expiry:
            desk.publish(desk.marks, desk.indexes, desk.chain.timestamp + 1)
        for market, spec in desk.markets.items():
            self._observe(market, expiry)
            price = self.expiry.settlement(market, expiry)
            if desk.protocol.expiry.call("settlement", market, expiry) != price:
                raise Disagreement(f"settlement price of {spec.symbol} {expiry}: chain and twin differ")
            self.settlements[market, expiry] = price
            holders = [
                account
                for account, words in sorted(desk.twin.books.items())
                if any(segment.key == (market, expiry) for segment in unpack(words))
            ]
            for start in range(0, len(holders), SETTLED_AT_ONCE):
                batch = holders[start : start + SETTLED_AT_ONCE]
                at = desk.chain.timestamp + 1
                desk.send(desk.protocol.settle_expiry, batch, spec.symbol, expiry, at=at)
                desk.apply(self.expiry.settle, desk.twin, batch, market, expiry)
                desk.touched.update(batch)
                desk.settled.update(batch)
