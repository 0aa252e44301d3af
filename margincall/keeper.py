"""A keeper: rebuild accounts from the event log, find who is below maintenance, liquidate on chain.

Accounts come from the clearinghouse's `Posted` events, terms from the markets' own, prices from the
markets' views; health and liquidation prices from the exact twin. Before it acts it asks the chain
(`Liquidation.preview`), so that a stale picture costs a call and no transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from margincall import model
from margincall.chain import Reverted
from margincall.chain.contract import Event
from margincall.model import Refused, Rules, State, Terms, Tier, accounts
from margincall.model.ledger import find, put
from margincall.protocol.config import USD
from margincall.protocol.handle import QUANTA, Protocol

MODE_NAMES = ("cross", "isolated", "portfolio")
NEAREST = 3  # accounts whose liquidation prices a round names


class Watch:
    """The protocol as the log tells it. twin: the rebuilt state, exact up to the last block read."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.twin: State = protocol.twin()
        self._next_block = 0

    def follow(self) -> None:
        """Read the blocks since the last call, then the prices of now."""
        chain = self.protocol.chain
        chain.refresh()
        house, markets = self.protocol.clearinghouse, self.protocol.markets
        last, start = chain.block, self._next_block
        logs = [log for log in chain.logs(house.address, start) if log.block <= last]
        self._rebuild(house.events(logs))
        for event in markets.events([log for log in chain.logs(markets.address, start) if log.block <= last]):
            self._set_terms(event)
        self._next_block = last + 1
        for market in self.twin.markets:
            self._set_price(market)

    def health(self, account: int, now: int) -> int | None:
        """Equity less maintenance, money; None when a price is missing or stale."""
        try:
            margin = self.twin.margin(account, now)
        except Refused:
            return None
        return margin.equity - margin.maintenance

    def _rebuild(self, events: list[Event]) -> None:
        twin, posted = self.twin, None
        for event in events:
            args = event.args
            if event.name == "Posted":
                account, market = args["account"], args["market"]
                positions = twin.positions.get(account, ())
                if market:
                    lane = find(positions, market)
                    positions = put(positions, lane, market, args["size"], args["entry"])
                # A flat vault has handed its cash to its parent, whose own event says so.
                flat_vault = accounts.is_vault(account) and market and not positions
                twin.write(account, 0 if flat_vault else args["cash"], positions)
            elif event.name == "Withdrawn" and posted != args["account"]:
                twin.write(args["account"], 0, ())  # closed: paid out whole, without a posting
            posted = args["account"] if event.name == "Posted" else None

    def _set_terms(self, event: Event) -> None:
        args = event.args
        if event.name == "RulesSet" and args["market"] in self.twin.markets:
            self.twin.markets[args["market"]].rules = Rules(*args["rules"][1:])
        if event.name == "TermsSet" and args["market"] in self.twin.markets:
            tiers = tuple(Tier(*tier) for tier in args["tiers"])
            self.twin.markets[args["market"]].set_terms(Terms(tiers, *args["fees"]))

    def _set_price(self, market_id: int) -> None:
        market = self.twin.markets[market_id]
        call = self.protocol.markets.call
        stored = call("last_price", market_id)
        market.mark, market.published, market.accrued_at, market.funding, market.rate = stored
        social = call("social", market_id)
        market.social_long, market.social_short = social & (2**128 - 1), social >> 128
        market.forget_quote()


class Acted(NamedTuple):
    """One liquidation that a keeper sent; amounts in money."""

    account: int
    quanta: int
    notional: int
    penalty: int


class Keeper:
    """Liquidates into the root account of `sender`, an address whose account holds enough to carry
    what it takes over. `log(line)` is called once per action and per round."""

    def __init__(self, protocol: Protocol, sender: str, log: Callable[[str], None] = print) -> None:
        self.watch = Watch(protocol)
        self.protocol, self.sender, self.log = protocol, sender, log
        self.taker = accounts.root(sender)

    def round(self) -> list[Acted]:
        """Follow the log once and liquidate everyone who is below maintenance; what was done."""
        self.watch.follow()
        now = self.protocol.chain.timestamp
        health = {account: self.watch.health(account, now) for account in self.watch.twin.holders()}
        stale = sum(value is None for value in health.values())
        fresh = {account: value for account, value in health.items() if value is not None}
        self.log(
            f"block {self.protocol.chain.block}: {len(health)} accounts with positions, "
            f"{sum(value < 0 for value in fresh.values())} below maintenance, {stale} without a fresh price"
        )
        below = [
            a for a, value in fresh.items() if value < 0 and accounts.owner_of(a) != int(self.sender, 16)
        ]
        acted = [done for account in below if (done := self._act(account))]
        if not below:
            for account in sorted(fresh, key=fresh.get)[:NEAREST]:
                self.log(f"  {self._name(account)}: {self._prices(account, now)}")
        return acted

    def run(self, interval: float) -> None:
        """Round after round, `interval` seconds apart, until interrupted."""
        while True:
            self.round()
            time.sleep(interval)

    def _act(self, account: int) -> Acted | None:
        protocol = self.protocol
        quanta = protocol.liquidation.call("preview", account)[0]
        if not quanta:
            self.log(f"  {self._name(account)}: healthy on chain, left alone")
            return None
        try:
            receipt = protocol.liquidation.send(self.sender, "liquidate", account, self.taker, QUANTA)
        except Reverted as error:
            self.log(f"  {self._name(account)}: refused ({error})")
            return None
        (event,) = protocol.liquidation.events(receipt, "Liquidated")
        done = Acted(account, event.args["quanta"], event.args["notional"], event.args["penalty"])
        self.log(
            f"  {self._name(account)}: took {done.quanta / 10:g} %, {done.notional / USD:,.2f} USD,"
            f" penalty {done.penalty / USD:,.2f}"
        )
        return done

    def _name(self, account: int) -> str:
        owner = f"0x{accounts.owner_of(account):040x}"
        text = f"{owner} #{accounts.index_of(account)} {MODE_NAMES[accounts.mode_of(account)]}"
        if not accounts.is_vault(account):
            return text
        return f"{text} {self._symbol(accounts.market_of(account))} vault {accounts.number_of(account)}"

    def _prices(self, account: int, now: int) -> str:
        found = []
        for market_id, _, _ in self.watch.twin.positions[account]:
            price = model.liquidation_price(self.watch.twin, now, account, market_id)
            market = next(m for m in self.protocol.spec.markets if m.id == market_id)
            found.append(f"{market.symbol} {'none' if price is None else f'{market.usd(price):,.2f}'}")
        return "liquidation price " + ", ".join(found)

    def _symbol(self, market_id: int) -> str:
        return next((m.symbol for m in self.protocol.spec.markets if m.id == market_id), str(market_id))
