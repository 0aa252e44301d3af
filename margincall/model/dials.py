"""The stress dials, exactly: how far losses of underlyings add up (rho) and how much hedging across them
counts (psi), moved by what prices do. Twin of `contracts/margin/dials.vy`.

Both dials are kept as a stress (rho, and 1 - psi) in 2**-23. A stress of initial margin jumps to what a
move asks for and recovers RECOVERY a second, down to where it rests; that of maintenance margin glides up
by GLIDE a second and never exceeds it. Logs of prices are log codes (1_310_720 a unit of log).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from margincall.model.arithmetic import MAX_MARKET, Refused, ceil_div
from margincall.model.instrument import CODES_PER_LOG, log_code

ONE = 32_768
"""1 as the dials are set and read."""
UNIT = 256
"""Stress units in one 32768th: a stress of 1 is 2**23."""
RECOVERY = 97
"""Stress units a second that a dial of initial margin recovers: the full range in 24 hours and 81 s."""
GLIDE = 388
"""Stress units a second that a dial of maintenance margin rises: the full range in 6 hours and 21 s."""
FOLLOW_TIME = 3_600
"""Time constant of the references, seconds."""
FOLLOW_STEP = 300
"""The references rest at least as long between two moves, seconds."""
PRICES = range(3_035_503, 1_099_511_292_114)
"""Prices whose log code is 1 to 2**24 - 1; others are not looked at."""
PLACES = 8
SCALES = 100_000
"""Units of a scale in 1 of log."""
MAX_SCALE = 2**16 - 1


class Settings(NamedTuple):
    """rho, psi: where the dials rest, 32768 is 1. Scales, in 1e-5 of log: the move that all share that
    takes rho to 1, and the distance of one from the mean of all that takes psi to 0."""

    rho: int
    psi: int
    rho_scale: int
    psi_scale: int


DEFAULT = Settings(rho=24_576, psi=26_214, rho_scale=8_000, psi_scale=8_000)
"""rho 0.75 and psi 0.8 when calm; 0.08 of log takes rho to 1, and psi to 0."""


class Reading(NamedTuple):
    """The dials at a time, 32768 is 1; rho rounded up, psi down."""

    rho_im: int
    psi_im: int
    rho_mm: int
    psi_mm: int


class Stress(NamedTuple):
    """One dial as of some time, stress units."""

    im: int
    mm: int


@dataclass
class Dials:
    """`now` is unix seconds and never falls. Methods raise Refused with the contract's reason."""

    settings: Settings = DEFAULT
    bounds: tuple[int, int] = (0, ONE)  # the guardian's: least rho, most psi
    stresses: tuple[Stress, Stress] = (Stress(0, 0), Stress(0, 0))  # of rho, of 1 - psi
    settled: int = 0
    markets: list[int] = field(default_factory=lambda: [0] * PLACES)
    references: list[int] = field(default_factory=lambda: [0] * PLACES)  # 0: not seen yet
    seen: list[int] = field(default_factory=lambda: [0] * PLACES)
    followed: int = 0

    def __post_init__(self) -> None:
        _check(self.settings)

    def read(self, now: int) -> Reading:
        """The dials at `now`."""
        rho, psi = self._at(now)
        return Reading(
            ceil_div(rho.im, UNIT),
            ONE - ceil_div(psi.im, UNIT),
            ceil_div(rho.mm, UNIT),
            ONE - ceil_div(psi.mm, UNIT),
        )

    def poke(self, now: int, marks: Mapping[int, int]) -> None:
        """Look at `marks` (market -> price units; a market without a fresh price is missing)."""
        self._follow(now)
        moves = []
        for place, market in enumerate(self.markets):
            price = marks.get(market, 0)
            if market == 0 or price not in PRICES:
                continue
            code = self.seen[place] = log_code(price)
            if self.references[place]:
                moves.append(code - self.references[place])
            else:
                self.references[place] = code
        if not moves:
            return
        count, total = len(moves), sum(moves)
        settings, (rho, psi) = self.settings, self._at(now)
        apart = max(abs(count * move - total) for move in moves)
        asked = (
            _target(settings.rho, abs(total), count * settings.rho_scale),
            _target(ONE - settings.psi, apart, count * settings.psi_scale),
        )
        if asked[0] > rho.im or asked[1] > psi.im:
            self._settle(now, asked)

    def tighten(self, now: int, rho: int, psi: int) -> None:
        """The guardian's bounds: rho at least, psi at most; never looser than where the dials rest."""
        rest_rho, rest_psi = self._rests()
        if rho > ONE or rho < rest_rho or psi > ONE - rest_psi:
            raise Refused("dials: not tighter or above 1")
        self._settle(now, bounds=(rho, psi))

    def relax(self, now: int) -> None:
        """Lift the guardian's bounds."""
        self._settle(now, bounds=(0, ONE))

    def set_dials(self, now: int, settings: Settings) -> None:
        """New settings: stricter binds initial margin at once, looser is reached by recovering."""
        _check(settings)
        self._settle(now, settings=settings)

    def track(self, place: int, market: int) -> None:
        """Look at `market` (0: none) in one of eight places, from the next poke on."""
        if not (0 <= place < PLACES and 0 <= market <= MAX_MARKET):
            raise Refused("dials: no such place or market")
        self.markets[place], self.references[place] = market, 0

    def _at(self, now: int) -> tuple[Stress, Stress]:
        elapsed = now - self.settled
        found = []
        for held, rest in zip(self.stresses, self._rests(), strict=True):
            im = max(held.im - RECOVERY * elapsed, rest * UNIT)
            found.append(Stress(im, min(held.mm + GLIDE * elapsed, im)))
        return found[0], found[1]

    def _rests(self) -> tuple[int, int]:
        """Where rho and 1 - psi rest, 32768 is 1."""
        least, most = self.bounds
        return max(self.settings.rho, least), ONE - min(self.settings.psi, most)

    def _settle(
        self,
        now: int,
        asked: Sequence[int] = (0, 0),
        settings: Settings | None = None,
        bounds: tuple[int, int] | None = None,
    ) -> None:
        held = self._at(now)  # under the old settings until now
        self.settings, self.bounds = settings or self.settings, bounds or self.bounds
        floors = [max(rest * UNIT, ask) for rest, ask in zip(self._rests(), asked, strict=True)]
        rho, psi = (Stress(max(s.im, floor), s.mm) for s, floor in zip(held, floors, strict=True))
        self.stresses, self.settled = (rho, psi), now

    def _follow(self, now: int) -> None:
        """Move the references toward the codes last seen: r' = (r T + c t) / (T + t), rounded down."""
        elapsed = now - self.followed
        if elapsed < FOLLOW_STEP:
            return
        for place, reference in enumerate(self.references):
            if reference:
                pulled = reference * FOLLOW_TIME + self.seen[place] * elapsed
                self.references[place] = pulled // (FOLLOW_TIME + elapsed)
        self.followed = now


def _target(calm: int, codes: int, scale: int) -> int:
    """calm + (1 - calm) * min(move / scale, 1) in stress units, rounded up.

    calm: 32768 is 1; the move in log codes, the scale in 1e-5 of log."""
    part, whole = codes * SCALES, scale * CODES_PER_LOG
    return calm * UNIT + ceil_div((ONE - calm) * UNIT * min(part, whole), whole)


def _check(settings: Settings) -> None:
    rho, psi, *scales = settings
    if not (0 <= rho <= ONE and 0 <= psi <= ONE and all(0 < scale <= MAX_SCALE for scale in scales)):
        raise Refused("dials: setting out of range")
