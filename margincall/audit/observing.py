"""The machine without an exact twin as its oracle (I-14 left aside).

What the contracts store is read back after every action and adopted into the twin wherever it differs: the
inverse of `mirror` and `optionmirror`. The model's formulas (equity, requirements, pay-offs) then judge the
observed state, and what an action did is taken from events and from differences of states.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from margincall.audit.mirror import GRACE_FLAG, Mirror
from margincall.audit.world import MARKETS, World, map_slot, slot_of
from margincall.chain.base import Receipt, Reverted
from margincall.model import Refused, accounts
from margincall.model.book import unpack
from margincall.model.curves import Curve
from margincall.model.dials import PLACES, Stress
from margincall.model.expiry import Track
from margincall.model.ledger import State, Words
from margincall.model.liquidation import Liquidation, Outcome, Plan
from margincall.model.markets import Terms
from margincall.model.slices import Account
from margincall.model.surface import Smile
from margincall.model.trading import Fill, fee_of

if TYPE_CHECKING:
    from margincall.audit.machine import Action, View

WORD, LANE = 2**256 - 1, 2**128 - 1
FIRST_BOOK_WORD = 16
ADDRESS = 2**160 - 1
SHEET_BYTES = 1_152
FULL = 1_000  # quanta of a whole account


class Observer:
    """Reads the contracts of a world back into its twin."""

    def __init__(self, world: World, mirror: Mirror) -> None:
        self.world, self.mirror = world, mirror
        self._read = world.chain.storage
        self._house, house = world.house.address, world.house.artifact.layout
        self._markets, markets = world.protocol.markets.address, world.protocol.markets.artifact.layout
        self._slot = {name: slot_of(house, name) for name in HOUSE} | {
            name: slot_of(markets, name) for name in OF_MARKETS
        }
        # What was seen before the present action: a liquidation's preview and the account by the model, terms
        # that were and are (of a change of terms), the dials' references and what a look must make of them.
        self.view: Any = None
        self.standing: Account | None = None
        self.terms: tuple[Terms | None, Terms | None] = (None, None)
        self.references: list[int] = []
        self.dials: tuple[Stress, ...] = ()
        self._accounts: dict[int, tuple[int, int]] = {}  # account -> slots of its header and first word
        self._sheets: dict[tuple[int, int], int] = {}  # series -> the curve word last adopted

    # ------------------------------------------------------------ before and after an action

    def look(self, action: Action, now: int) -> None:
        """Ask the view that says what the action would do, at the action's time."""
        twin = self.world.twin
        self.view, self.standing, self.terms = None, None, (None, None)
        if action.kind == "liquidate":
            try:
                self.view = self.world.protocol.liquidation.call("preview", action.facts["victim"], at=now)
                self.standing = Account(twin, now, action.facts["victim"])
            except (Refused, Reverted):
                pass
        elif action.kind == "poke":
            self.references = list(twin.options.dials.references)
            looked = deepcopy(twin.options.dials)
            looked.poke(now, fresh_marks(twin, now))
            self.dials = looked._at(now)
        elif action.facts.get("call", ("",))[0] == "set_terms":
            self.terms = twin.markets[action.facts["call"][1]].terms, None

    def adopt(self, named: Iterable[int] = ()) -> None:
        """Make the twin what the contracts store."""
        for account in named:
            if account:
                self.mirror.watch(account)
        if self.world.setting.options:
            self._curves()
        if not self.mirror.check():
            return
        for account in self.mirror.accounts():
            self._account(account)
        self._pools()
        for market in MARKETS:
            self._market(market)
        self.world.held = self._read(self.world.token.address, map_slot(1, int(self._house, 16)))
        if self.world.setting.options:
            self._options()

    def result(self, action: Action, before: View, receipt: Receipt | None) -> Any:
        """What the action did, in the twin's terms."""
        if receipt is None:
            return None
        if action.kind == "liquidate":
            return self._liquidation(action, before, receipt)
        if action.kind == "fund_insurance":
            return (self.world.held - before.held) // self.world.scale
        if action.kind == "settle":
            return self._settled(action, before)
        if self.terms[0] is not None:
            _, number, fees, tiers = action.facts["call"]
            self.terms = self.terms[0], Terms(tuple(tiers), *fees)
            self.world.twin.markets[number].set_terms(self.terms[1])
            return None
        facts = action.facts
        if "price" in facts and "margins" in facts:
            raw, terms = abs(facts["size"]) * facts["price"], self.world.twin.markets[facts["market"]].terms
            fees = (fee_of(raw, rate, rate) for rate in (terms.maker_fee, terms.taker_fee))
            return Fill(*fees, 0, 0)
        return None

    # ------------------------------------------------------------ the ledger

    def _account(self, account: int) -> None:
        twin, read = self.world.twin, self._read
        slots = self._accounts.get(account)
        if slots is None:
            slots = tuple(map_slot(self._slot[name], account) for name in ("headers", "_words"))
            self._accounts[account] = slots
        header = read(self._house, slots[0])
        cash, count, mode = accounts.unpack_header(header)
        words = [read(self._house, (slots[1] + i) & WORD) for i in range((min(count, 32) + 1) // 2)]
        held = accounts.unpack_words(words, min(count, 32))
        if held == twin.positions.get(account, ()):
            held = twin.positions.get(account, ())
        twin.write(account, cash, held)
        if not accounts.is_vault(account):
            twin.modes.pop(account, None)
            if mode != accounts.CROSS:
                twin.modes[account] = mode
        first = slots[1] + FIRST_BOOK_WORD
        book = [read(self._house, (first + i) & WORD) for i in range(min(header >> 144 & 255, 48))]
        if book != twin.books.get(account, []):
            twin.write_book(account, book)

    def _pools(self) -> None:
        twin, read, slot = self.world.twin, self._read, self._slot
        for pool in range(4):
            word = read(self._house, map_slot(slot["pools"], pool))
            for held, part in ((twin.insurance, word & LANE), (twin.treasury, word >> 128)):
                if held.get(pool, 0) != part:
                    held[pool] = part
        for market in range(4):
            deficit = _signed(read(self._house, map_slot(slot["deficits"], market)), 256)
            twin.deficit.pop(market, None)
            if deficit:
                twin.deficit[market] = deficit
        for market in MARKETS:
            twin.open_interest[market] = read(self._house, map_slot(slot["open_interest"], market))
        twin.residue = read(self._house, slot["residue"])
        twin.unsettled = _signed(read(self._house, slot["unsettled"]), 256)

    def _market(self, market: int) -> None:
        known, read, slot = self.world.twin.markets[market], self._read, self._slot
        lane = read(self._markets, slot["price_lanes"] + (market - 1) // 2) >> (market - 1) % 2 * 128 & LANE
        rate = read(self._markets, slot["rate_lanes"]) >> (market - 1) * 32
        social = read(self._markets, map_slot(slot["social"], market))
        known.mark, known.published = lane & 2**40 - 1, lane >> 40 & 2**32 - 1
        known.accrued_at = known.published + (lane >> 72 & 255)
        known.funding = _signed(lane >> 80 & 2**48 - 1, 48)
        known.rate = _signed(rate & 2**30 - 1, 30)
        known.grace_flag = bool(rate & GRACE_FLAG)
        known.grace_until = read(self._markets, map_slot(slot["grace_until"], market))
        known.social_long, known.social_short = social & LANE, social >> 128
        known.forget_quote()

    # ------------------------------------------------------------ options

    def _curves(self) -> None:
        """Curve words, and the sheets of those that are new, which the mirror does not compare."""
        options, portfolio = self.world.twin.options, self.world.protocol.portfolio
        base = slot_of(portfolio.artifact.layout, "_curves")
        now = self.world.chain.timestamp
        for market in MARKETS:
            for expiry in self.world.series.expiries:
                if expiry < now - 86_400:
                    continue
                word = self._read(portfolio.address, map_slot(base, market, expiry))
                if not word or self._sheets.get((market, expiry)) == word:
                    continue
                self._sheets[market, expiry] = word
                sheet = self.world.chain.code_of(f"0x{word & ADDRESS:040x}", SHEET_BYTES + 1)[1:]
                curve = Curve(sheet, word >> 160 & 2**32 - 1, word >> 192)
                if options.curves.get((market, expiry)) != curve:
                    options.curves[market, expiry] = curve

    def _options(self) -> None:
        world, protocol = self.world, self.world.protocol
        options, series = world.twin.options, world.series
        self._dials()

        def word(contract, variable: str, *key: int) -> int:
            return self._read(contract.address, map_slot(slot_of(contract.artifact.layout, variable), *key))

        now = world.chain.timestamp
        for market in MARKETS:
            for expiry in (e for e in series.expiries if e > now - 2 * 86_400):
                one = word(protocol.surface, "words", market | expiry << 16)
                if one:
                    options.surface.smiles[market, expiry] = Smile(
                        one & 2**32 - 1, _signed(one >> 64 & 2**64 - 1, 64), one >> 128, one >> 32 & 2**32 - 1
                    )
                one = word(protocol.expiry, "_tracks", market << 32 | expiry)
                if one:
                    series.expiry.tracks[market, expiry] = Track(
                        one & 2**40 - 1,
                        one >> 40 & 2**32 - 1,
                        one >> 72 & 2**52 - 1,
                        one >> 124 & 2**12 - 1,
                        one >> 136,
                    )
            one, listing = word(protocol.collateral, "_levels", market), series.collateral.listings[market]
            listing.total, listing.cap, listing.minimum = one & 2**64 - 1, one >> 64 & 2**64 - 1, one >> 128
            listing.balance = series.balance(market)

    def _dials(self) -> None:
        dials, portfolio = self.world.twin.options.dials, self.world.protocol.portfolio
        word, references, seen = (
            self._read(portfolio.address, slot_of(portfolio.artifact.layout, name))
            for name in ("dial_word", "references", "seen")
        )
        part = [word >> 24 * i & 2**24 - 1 for i in range(4)]
        dials.stresses = Stress(part[0], part[2]), Stress(part[1], part[3])
        dials.settled = word >> 96 & 2**32 - 1
        rest = [word >> 128 + 16 * i & 2**16 - 1 for i in range(8)]
        dials.settings = dials.settings._replace(
            rho=rest[2], psi=32_768 - rest[3], rho_scale=rest[6], psi_scale=rest[7]
        )
        dials.bounds = rest[4], 32_768 - rest[5]
        dials.references = [references >> 24 * i & 2**24 - 1 for i in range(PLACES)]
        dials.followed = references >> 192
        dials.seen = [seen >> 24 * i & 2**24 - 1 for i in range(PLACES)]

    # ------------------------------------------------------------ what happened

    def _liquidation(self, action: Action, before: View, receipt: Receipt) -> Liquidation:
        """From the event what was paid, from the ledger what moved, from the model what stood before."""
        victim, twin, door = action.facts["victim"], self.world.twin, self.world.protocol.liquidation
        done = door.events(receipt, "Liquidated")[-1].args
        left = {market: size for market, size, _ in twin.positions.get(victim, ())}
        closes = tuple(
            abs(size - left.get(market, 0)) for market, size, _ in before.positions.get(victim, ())
        )
        fragment: Words = []
        for event in door.events(receipt, "BookTaken"):
            fragment = list(event.args["fragment"])
        old, account = before.margins[victim], self.standing
        plan = Plan(
            closes,
            done["quanta"],
            done["quanta"] == FULL,
            old.equity if old else done["equity"],
            old.maintenance if old else done["maintenance"],
            done["penalty"],
            done["cut"],
            fragment,
            account.credit(fragment) if account else 0,
            account.standing.penalty if account else 0,
        )
        paid = Outcome(done["shortfall"], done["insurance_paid"], done["socialised"], done["reward"])
        return Liquidation(plan, paid)

    def _settled(self, action: Action, before: View) -> list[tuple[int, int]]:
        """(account, pay-off by instrument) of those that held the series: what they must have got."""
        from margincall.audit.properties.portfolio import payoff_of

        price = self.world.series.settlement(*action.facts["series"])
        paid = []
        for account in dict.fromkeys(action.facts["ids"]):
            for segment in unpack(before.books.get(account, ())):
                if segment.key == action.facts["series"]:
                    paid.append((account, payoff_of(self.world.twin.options.grid, segment, price)))
        return paid


def fresh_marks(twin: State, now: int) -> dict[int, int]:
    """The marks that a look at prices sees: of markets whose price is fresh."""
    marks = {}
    for market, known in twin.markets.items():
        try:
            marks[market] = known.quote(now, twin.max_age)[0]
        except Refused:
            continue
    return marks


HOUSE = (
    "headers",
    "_words",
    "pools",
    "deficits",
    "open_interest",
    "residue",
    "unsettled",
)
OF_MARKETS = ("price_lanes", "rate_lanes", "social", "grace_until")


def _signed(bits: int, width: int) -> int:
    return bits - (1 << width) if bits >> (width - 1) else bits
