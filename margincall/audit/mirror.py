"""Raw storage of the contracts against the twin, word by word."""

from __future__ import annotations

from collections.abc import Iterable

from margincall.audit.optionmirror import OptionMirror
from margincall.audit.world import MARKETS, World, map_slot, slot_of
from margincall.model import accounts
from margincall.model.markets import Market

WORD = 2**256 - 1
GRACE_FLAG, SOCIAL_FLAG = 1 << 30, 1 << 31


class Mirror:
    """The words that the twin says are stored: every account ever touched (others are empty), pools, open
    interest, deficits, residue, settings, the markets' lanes, and the token balance.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.read = world.chain.storage
        house, markets = world.house.artifact.layout, world.protocol.markets.artifact.layout
        self._house, self._markets = world.house.address, world.protocol.markets.address
        self._layout, self._market_layout = house, markets
        self._slots: list[tuple[str, int]] = []
        self._names: list[str] = []
        self._expected: list[int] = []
        self._at: dict[int, int] = {}  # account -> position in the lists
        self._known: dict[int, tuple] = {}
        self._options = OptionMirror(world) if world.setting.options else None
        self._fixed()
        for root in world.roots:
            self.watch(root)
            for market in MARKETS:
                self.watch(accounts.vault(root, market))

    def _add(self, name: str, address: str, slot: int) -> None:
        self._names.append(name)
        self._slots.append((address, slot))
        self._expected.append(0)

    def _fixed(self) -> None:
        house = self._layout
        for pool in range(4):
            self._add(f"pool {pool}", self._house, map_slot(slot_of(house, "pools"), pool))
        for market in MARKETS:
            self._add(f"OI {market}", self._house, map_slot(slot_of(house, "open_interest"), market))
            self._add(f"deficit {market}", self._house, map_slot(slot_of(house, "deficits"), market))
            self._add(
                f"social {market}", self._markets, map_slot(slot_of(self._market_layout, "social"), market)
            )
            self._add(
                f"grace {market}",
                self._markets,
                map_slot(slot_of(self._market_layout, "grace_until"), market),
            )
        self._add("residue", self._house, slot_of(house, "residue"))
        first = slot_of(self._market_layout, "price_lanes")
        self._add("prices 1, 2", self._markets, first)
        self._add("prices 3", self._markets, first + 1)
        self._add("rates", self._markets, slot_of(self._market_layout, "rate_lanes"))
        token = self.world.token
        self._add("token balance", token.address, map_slot(1, int(self._house, 16)))

    def watch(self, account: int) -> None:
        """Compare an account from now on."""
        if account in self._at:
            return
        self._at[account] = len(self._slots)
        self._known[account] = (0, (), 0)
        self._add(f"header {account:#x}", self._house, map_slot(slot_of(self._layout, "headers"), account))
        words = map_slot(slot_of(self._layout, "_words"), account)
        for i in range(1 if accounts.is_vault(account) else 2):
            self._add(f"word {i} of {account:#x}", self._house, (words + i) & WORD)

    def accounts(self) -> list[int]:
        """Every account that is compared."""
        return list(self._at)

    def check(self, changed: Iterable[int] | None = None) -> list[str]:
        """What differs: one line a word, empty when storage is what the twin says. All words are compared;
        `changed` names the accounts that differ in the twin since the last look (None: any may)."""
        expected = self._refresh(changed)
        read = self.read
        if self.world.chain.words(self._slots) == expected:
            return self._options.check() if self._options else []
        return [
            f"{name}: chain {read(*slot):#x}, twin {value:#x}"
            for name, slot, value in zip(self._names, self._slots, expected, strict=True)
            if read(*slot) != value
        ]

    def _refresh(self, changed: Iterable[int] | None) -> list[int]:
        twin, expected = self.world.twin, self._expected
        cash, positions, books, modes = twin.cash, twin.positions, twin.books, twin.modes
        if changed is None:
            for account in (cash.keys() | positions.keys() | books.keys()) - self._at.keys():
                self.watch(account)
            changed = self._known
        for account in changed:
            if account not in self._known:
                self.watch(account)
            state = (cash.get(account, 0), positions.get(account, ()), modes.get(account, 0))
            if books:  # their number of words is in the header
                state = (*state, len(books.get(account, ())))
            if state == self._known[account]:
                continue
            self._known[account] = state
            at = self._at[account]
            expected[at] = twin.header(account)
            words = accounts.pack_words(positions.get(account, ()))
            expected[at + 1] = words[0] if words else 0
            if not accounts.is_vault(account):
                expected[at + 2] = words[1] if len(words) > 1 else 0
        expected[0:4] = [twin.pool_word(pool) for pool in range(4)]
        at = 4
        for number in MARKETS:
            market = twin.markets[number]
            expected[at] = twin.open_interest.get(number, 0)
            expected[at + 1] = twin.deficit.get(number, 0) & WORD
            expected[at + 2] = market.social_long | market.social_short << 128
            expected[at + 3] = market.grace_until
            at += 4
        one, two, three = (twin.markets[number] for number in MARKETS)
        expected[at] = twin.residue
        expected[at + 1] = _price_lane(one) | _price_lane(two) << 128
        expected[at + 2] = _price_lane(three)
        expected[at + 3] = _rate_lane(one) | _rate_lane(two) << 32 | _rate_lane(three) << 64
        expected[at + 4] = self.world.held
        return expected


def _price_lane(market: Market) -> int:
    lag = market.accrued_at - market.published
    return market.mark | market.published << 40 | lag << 72 | (market.funding & (2**48 - 1)) << 80


def _rate_lane(market: Market) -> int:
    flags = GRACE_FLAG if market.grace_flag else 0
    if market.social_long or market.social_short:
        flags |= SOCIAL_FLAG
    return market.rate & (2**30 - 1) | flags
