"""Raw storage of everything that options add, against the twins, word by word."""

from __future__ import annotations

from margincall.audit.world import MARKETS, World, map_slot, slot_of
from margincall.model.curves import Curve
from margincall.model.dials import PLACES, Dials
from margincall.model.expiry import Track

WORD = 2**256 - 1
FIRST_BOOK_WORD = 16
BLOB = 2**160 - 1  # of a curve word: where the sheet lies is the chain's business


class OptionMirror:
    """Book words, unsettled, market 0's deficit, dials, curve words, smiles, settlement tracks, spot."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._read = world.chain.storage
        protocol = world.protocol
        self._house, house = world.house.address, world.house.artifact.layout
        self._book_base = slot_of(house, "_words")
        self._books: dict[int, list[int]] = {}  # account -> slots of as many book words as it ever had
        self._slots: dict[tuple, tuple[str, int]] = {}
        self._sheets: dict[tuple[int, int], Curve] = {}  # those compared
        self._bases = {
            "curve": (protocol.portfolio, "_curves"),
            "smile": (protocol.surface, "words"),
            "track": (protocol.expiry, "_tracks"),
            "spot": (protocol.collateral, "_levels"),
        }
        portfolio = protocol.portfolio.artifact.layout
        for name in ("dial_word", "references", "seen"):
            self._slots[name,] = protocol.portfolio.address, slot_of(portfolio, name)
        self._slots["unsettled",] = self._house, slot_of(house, "unsettled")
        self._slots["deficit 0",] = self._house, map_slot(slot_of(house, "deficits"), 0)

    def check(self) -> list[str]:
        """What differs, one line a word."""
        found = []
        for (name, *key), value in self._expected().items():
            seen = self._read(*self._slot(name, *key))
            if seen & ~BLOB != value if name == "curve" else seen != value:
                found.append(f"{name} {key}: chain {seen:#x}, twin {value:#x}")
        found += self._check_sheets()
        for market in MARKETS:
            if self.world.series.balance(market) != self.world.series.collateral.listings[market].balance:
                found.append(f"spot tokens of {market}")
        return found + self._check_books()

    def _check_sheets(self) -> list[str]:
        """The sheets of curves that were made since the last look."""
        found = []
        for key, curve in self.world.twin.options.curves.items():
            if self._sheets.get(key) is curve:
                continue
            self._sheets[key] = curve
            address = self._read(*self._slot("curve", *key)) & BLOB
            if self.world.chain.code_of(f"0x{address:040x}", 1 + len(curve.blob))[1:] != curve.blob:
                found.append(f"sheet of {key}")
        return found

    def _check_books(self) -> list[str]:
        found, books = [], self.world.twin.books
        for account, words in books.items():
            slots = self._books.setdefault(account, [])
            if len(slots) < len(words):
                base = map_slot(self._book_base, account) + FIRST_BOOK_WORD
                slots.extend((base + i) & WORD for i in range(len(slots), len(words)))
        for account, slots in self._books.items():
            words = books.get(account, ())
            seen = [self._read(self._house, slot) for slot in slots]
            if seen != [*words, *[0] * (len(slots) - len(words))]:
                found.append(f"book of {account:#x}: chain {seen}, twin {words}")
        return found

    def _slot(self, name: str, *key: int) -> tuple[str, int]:
        known = self._slots.get((name, *key))
        if known is None:
            contract, variable = self._bases[name]
            base = slot_of(contract.artifact.layout, variable)
            known = self._slots[name, *key] = contract.address, map_slot(base, *key)
        return known

    def _expected(self) -> dict[tuple, int]:
        twin, series = self.world.twin, self.world.series
        options = twin.options
        expected = {
            ("unsettled",): twin.unsettled & WORD,
            ("deficit 0",): twin.deficit.get(0, 0) & WORD,
            ("dial_word",): dial_word(options.dials),
            ("references",): reference_word(options.dials),
            ("seen",): seen_word(options.dials),
        }
        # Of past expiries nothing changes any more.
        recent = {e for e in series.expiries if e > self.world.chain.timestamp - 2 * 86_400}
        for (market, expiry), curve in options.curves.items():
            if expiry in recent:
                expected["curve", market, expiry] = curve.word()
        for (market, expiry), smile in options.surface.smiles.items():
            if expiry in recent:
                skew = smile.skew & 2**64 - 1
                word = smile.atm | smile.published << 32 | skew << 64 | smile.curvature << 128
                expected["smile", market | expiry << 16] = word
        for (market, expiry), track in series.expiry.tracks.items():
            expected["track", market << 32 | expiry] = _track(track)
        for market, listing in series.collateral.listings.items():
            expected["spot", market] = listing.total | listing.cap << 64 | listing.minimum << 128
        return expected


def dial_word(dials: Dials) -> int:
    """The dials as they are stored, like the next two."""
    rho, psi = dials.stresses
    settings = dials.settings
    return (
        rho.im
        | psi.im << 24
        | rho.mm << 48
        | psi.mm << 72
        | dials.settled << 96
        | _packed((*_rests(dials), settings.rho, 32_768 - settings.psi), 16) << 128
        | _packed((dials.bounds[0], 32_768 - dials.bounds[1], settings.rho_scale, settings.psi_scale), 16)
        << 192
    )


def reference_word(dials: Dials) -> int:
    return _codes(dials.references) | dials.followed << 192


def seen_word(dials: Dials) -> int:
    return _codes(dials.seen) | _packed(dials.markets, 8) << 192


def _rests(dials: Dials) -> tuple[int, int]:
    return max(dials.settings.rho, dials.bounds[0]), 32_768 - min(dials.settings.psi, dials.bounds[1])


def _track(track: Track) -> int:
    return (
        track.price
        | track.published << 40
        | track.total << 72
        | track.counted << 124
        | track.settlement << 136
    )


def _codes(codes: list[int]) -> int:
    assert len(codes) == PLACES
    return _packed(codes, 24)


def _packed(values, bits: int) -> int:
    return sum(value << bits * i for i, value in enumerate(values))
