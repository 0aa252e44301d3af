"""Signed orders and the exchange's record of them: what is filled, cancelled, expired."""

from __future__ import annotations

from margincall.audit.world import World, map_slot
from margincall.chain.keys import Key
from margincall.protocol.orders import Order, domain, order_digest

CANCELLED = 2**64 - 1
RESTING = 2**46  # lots of an order that is filled in many parts


class Signed:
    """An order with its signature and who signed it (as a number)."""

    __slots__ = ("order", "signature", "signer")

    def __init__(self, order: Order, signature: bytes, signer: int) -> None:
        self.order, self.signature, self.signer = order, signature, signer


class OrderBook:
    """Makes orders (resting ones are reused: many partial fills) and models their life."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._domain = domain("margincall", world.chain.chain_id, world.protocol.exchange.address)
        self._salts: dict[int, int] = {}
        self._resting: dict[tuple, Signed] = {}
        self.filled: dict[tuple[int, int], int] = {}
        self.below: dict[int, int] = {}

    def make(self, order: Order, signer: Key | None = None) -> Signed:
        """Sign an order under a fresh salt, by its owner's key unless another is given."""
        by = signer or self.world.owner(order.account).signer
        return self.sign(order._replace(salt=self.next_salt(order.account)), by)

    def sign(self, order: Order, by: Key) -> Signed:
        return Signed(order, by.sign(order_digest(self._domain, order)), int(by.address, 16))

    def cancelled(self, account: int) -> int | None:
        """A salt of the account under which nothing can be filled any more."""
        below = self.below.get(account, 0)
        known = (s for (a, s), lots in self.filled.items() if a == account and lots == CANCELLED)
        return below - 1 if below else next(known, None)

    def top(self, account: int) -> int:
        """The next salt nobody used."""
        return self._salts.get(account, 0)

    def next_salt(self, account: int) -> int:
        salt = max(self._salts.get(account, 0), self.below.get(account, 0))
        while self.filled.get((account, salt)) == CANCELLED:
            salt += 1
        self._salts[account] = salt + 1
        return salt

    def resting(self, account: int, market: int, lots: int, price: int) -> Signed:
        """An order of this side and limit with room for `lots`, signed before or now."""
        key = (account, market, lots > 0, price)
        known = self._resting.get(key)
        if known is None or not self._has_room(known.order, abs(lots)):
            if len(self._resting) > 4_096:
                self._resting.clear()
            room = max(RESTING, abs(lots))
            size = room if lots > 0 else -room
            known = self._resting[key] = self.make(Order(account, market, size, price))
        return known

    def _has_room(self, order: Order, lots: int) -> bool:
        if order.salt < self.below.get(order.account, 0):
            return False
        used = self.filled.get((order.account, order.salt), 0)
        return used != CANCELLED and used + lots <= abs(order.size)

    def refusal(self, signed: Signed, lots: int, now: int) -> str | None:
        """Why the exchange would not accept `lots` of an order; None when it does."""
        order = signed.order
        if now > order.expiry:
            return "order: expired"
        if order.salt < self.below.get(order.account, 0):
            return "order: cancelled"
        used = self.filled.get((order.account, order.salt), 0)
        if used == CANCELLED:
            return "order: cancelled"
        if lots <= 0 or used + lots > abs(order.size):
            return "order: size exceeded"
        return None if self.signed_well(signed, now) else "order: bad signature"

    def signed_well(self, signed: Signed, now: int) -> bool:
        """Whether who signed may sign for the account at `now`."""
        world, owner = self.world, signed.order.account >> 96
        if world.may(owner, signed.signer, 1, now):
            return True
        actor = world.by_number[owner]
        of_wallet = actor.kind == "wallet" and signed.signer == int(actor.signer.address, 16)
        return of_wallet and world.wallet_answer == 0

    def fill(self, signed: Signed, lots: int) -> None:
        """Record a settled part."""
        key = (signed.order.account, signed.order.salt)
        self.filled[key] = self.filled.get(key, 0) + lots

    def stored(self, account: int, salt: int) -> int:
        """Lots filled as the exchange stores them (all ones: cancelled)."""
        slot = map_slot(0, account, salt >> 2)
        word = self.world.chain.storage(self.world.protocol.exchange.address, slot)
        return word >> (salt & 3) * 64 & CANCELLED
