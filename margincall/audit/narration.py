"""Actions and accounts in words: who did what, amounts in their units."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from margincall.audit.machine import Action, Holding
from margincall.audit.world import World
from margincall.model import accounts
from margincall.model.instrument import Instrument
from margincall.protocol.config import USD

_ACCOUNT = re.compile(r"0x[0-9a-f]{30,64}|\b\d{30,80}\b", re.I)
_HEADER = re.compile(r"header (0x\w+): chain (0x\w+), twin (0x\w+)")


class Narrator:
    """Names for the accounts, addresses and units of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.markets = {market.id: market for market in world.setting.spec.markets}
        chain, protocol = world.chain, world.protocol
        self._roles = {
            chain.accounts[0]: "anybody",
            world.guardian: "guardian",
            world.compliance: "compliance",
            world.treasury: "treasury",
        }
        self._roles |= {actor.address: actor.role for actor in world.by_number.values()}
        self._roles |= {contract.address: name for name, contract in protocol.contracts.items()}

    def who(self, address: str) -> str:
        return self._roles.get(address, address)

    def account(self, id: int) -> str:
        """A root account or a vault by its owner's role."""
        actor = self.world.by_number.get(id >> 96)
        if actor is None:
            return hex(id)
        name = actor.role + (f" #{accounts.index_of(id)}" if accounts.index_of(id) else "")
        if accounts.is_vault(id):
            number = accounts.number_of(id)
            market = self.markets.get(accounts.market_of(id))
            name += f"/{market.symbol if market else accounts.market_of(id)}{number or ''} vault"
        return name

    def money(self, units: int) -> str:
        return f"{units / USD:,.6f}".rstrip("0").rstrip(".") + " USD"

    def tokens(self, units: int) -> str:
        return self.money(units / self.world.scale)

    def price(self, market: int, units: int) -> str:
        known = self.markets[market]
        return f"{known.usd(units):,.{known.price_decimals}f}".rstrip("0").rstrip(".")

    def size(self, market: int, lots: int) -> str:
        known = self.markets[market]
        return f"{known.coins(lots):,.{known.size_decimals}f}".rstrip("0").rstrip(".")

    def instrument(self, id: int) -> tuple[str, int]:
        """(name, market) of what an order is for."""
        try:
            found = Instrument.of(id)
            return found.name(self.markets.values()), found.market
        except (ValueError, KeyError, StopIteration):
            return f"instrument {id:#x}", 1

    # ------------------------------------------------------------ actions

    def action(self, action: Action) -> str:
        """What an action does, without who and result."""
        name, *args = action.call
        tell = getattr(self, f"_{name}", None)
        if action.kind in ("deposit spot", "withdraw spot"):
            root, market, amount = args[:3]
            return (
                f"{action.kind}: {amount} token units of {self.markets[market].symbol}, {self.account(root)}"
            )
        if name == "settle" and len(args) == 3:
            ids, market, expiry = args
            date = datetime.fromtimestamp(expiry, UTC)
            names = ", ".join(self.account(id) for id in ids)
            return f"settle {self.markets[market].symbol} of {date:%d%b%y %H:%M} for {names}".replace(
                "  ", " "
            )
        if name == "update_prices":
            marks = action.facts.get("marks", {})
            said = ", ".join(f"{self.markets[m].symbol} {self.price(m, p)}" for m, p in marks.items())
            return f"publish prices: {said or 'twice the same market'}"
        # Of the names that several contracts have only the clearinghouse's, and the doors', are told.
        known = tell and action.target is not self.world.protocol.collateral
        return tell(*args) if known else self._plain(action)

    def _plain(self, action: Action) -> str:
        name, *args = action.call
        return f"{action.kind}: {self.who(action.target.address)}.{name}({', '.join(map(self._any, args))})"

    def _any(self, value) -> str:
        if isinstance(value, bytes):
            return f"{len(value)} bytes"
        if isinstance(value, int) and value >> 96 in self.world.by_number:
            return self.account(value)
        if isinstance(value, str):
            return self.who(value)
        if isinstance(value, list | tuple):
            return "[" + ", ".join(map(self._any, value)) + "]"
        return str(value)

    def _deposit(self, root: int, tokens: int) -> str:
        return f"deposit {self.tokens(tokens)} into {self.account(root)}"

    def _withdraw(self, root: int, tokens: int, receiver: str) -> str:
        return f"withdraw {self.tokens(tokens)} from {self.account(root)} to {self.who(receiver)}"

    def _close_account(self, root: int, receiver: str) -> str:
        return f"close account {self.account(root)}, all of it to {self.who(receiver)}"

    def _fund_insurance(self, pool: int, tokens: int) -> str:
        return f"pay {self.tokens(tokens)} into insurance pool {pool}"

    def _move_margin(self, source: int, target: int, amount: int) -> str:
        return f"move {self.money(amount)} from {self.account(source)} to {self.account(target)}"

    def _liquidate(self, victim: int, taker: int, quanta: int) -> str:
        return f"liquidate {self.account(victim)} into {self.account(taker)}, at most {quanta / 10:g} %"

    def _switch_to_isolated(self, root: int, market: int, number: int, amount: int) -> str:
        vault = self.account(accounts.vault(root, market, number))
        symbol = self.markets[market].symbol
        return f"switch {symbol} of {self.account(root)} to {vault} with {self.money(amount)}"

    def _switch_to_cross(self, vault: int) -> str:
        return f"switch {self.account(vault)} to cross"

    def _switch_mode(self, root: int, mode: int) -> str:
        name = {0: "cross", 2: "portfolio"}.get(mode, f"mode {mode}")
        return f"switch {self.account(root)} to {name}"

    def _settle(self, fills: list) -> str:
        make, take, lots = fills[0][:3]
        name, market = self.instrument(make.market)
        verb = "buys" if take.size > 0 else "sells"
        said = (
            f"{self.account(take.account)} {verb} {self.size(market, lots)} {name} at"
            f" {self.price(market, make.price)} from {self.account(make.account)}"
        )
        for side in (make, take):
            if side.margin:
                part = self.money(-(-side.margin * lots // abs(side.size or 1)))
                said += f", {part} of margin to {self.account(side.account)}"
            if side.reduce_only:
                said += f", {self.account(side.account)} reduces only"
        return said

    def _set_paused(self, paused: bool) -> str:
        return "pause" if paused else "unpause"

    # ------------------------------------------------------------ accounts

    def positions(self, holding: Holding) -> str:
        """Perps of an account, and how many words its book has."""
        told = [
            f"{self.size(m, q)} {self.markets[m].symbol} (entry {self.money(e)})"
            for m, q, e in holding.positions
            if m in self.markets
        ]
        if holding.book:
            told.append(f"a book of {len(holding.book)} words")
        return ", ".join(told) or "none"

    def named(self, text: str) -> str:
        """A message with headers unpacked and account numbers replaced by names."""

        def header(found: re.Match) -> str:
            account, chain, twin = (int(part, 16) for part in found.groups())
            there, here = accounts.unpack_header(chain), accounts.unpack_header(twin)
            parts = [
                f"{what} is {one} in the contracts, {two} in the model"
                for what, one, two in (
                    ("cash", self.money(there[0]), self.money(here[0])),
                    ("number of perps", there[1], here[1]),
                    ("mode", there[2], here[2]),
                )
                if one != two
            ]
            return f"{self.account(account)}: {', '.join(parts) or 'the length of its book differs'}"

        def name(found: re.Match) -> str:
            id = int(found[0], 0)
            return self.account(id) if id >> 96 in self.world.by_number else found[0]

        return _ACCOUNT.sub(name, _HEADER.sub(header, text))


def columns(rows: Iterable[tuple[str, ...]], gap: str = "  ") -> list[str]:
    """Rows as lines of aligned columns, the last one as long as it is."""
    rows = [tuple(map(str, row)) for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return [
        gap.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
