"""The arithmetic of book words: options, dated futures and spot of an account. The integer twin of Book.vy.

A book is a list of segments sorted by (market, expiry); a segment is a head word and ceil(lanes / 4)
words of four lanes (the bits: contracts/options/book.vy). Every function takes and gives words as they
are stored. A fragment is a list of words in the same layout that is added to a book or taken out of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from margincall.model.arithmetic import NOTIONAL_SCALE, Refused
from margincall.model.instrument import (
    CALL,
    CONTRACT,
    FUTURE,
    MAX_CODE,
    PUT,
    SPOT,
    STRIKE_UNIT,
    Instrument,
    check_expiry,
    log_code,
    strike_of,
)

MAX_WORDS = 48
MAX_POSITIONS = 128  # lanes and forwards of one account
MAX_GROSS = 2**34  # contracts of one underlying, exclusive
MAX_FORWARD = 2**55 - 1
MAX_MONEY = 2**71 - 1
QUANTA = 1_000

SIZE_BIAS = 2**38
PUT_FLAG = 2**24
_LANE = 2**64 - 1

Words = list[int]


@dataclass
class Segment:
    """The positions of one market and expiry (0: spot).

    forward: lots of futures less those of puts (spot: the balance). money: entries of futures less
    strikes of puts. lanes: [name, contracts] each, where a name is a log code and, for a put, PUT_FLAG.
    """

    market: int
    expiry: int
    forward: int = 0
    money: int = 0
    lanes: list[list[int]] = field(default_factory=list)

    @property
    def key(self) -> tuple[int, int]:
        return self.market, self.expiry

    @property
    def gross(self) -> int:
        return sum(abs(size) for _, size in self.lanes)

    @property
    def short(self) -> int:
        """Contracts of the lanes that are short."""
        return -sum(min(size, 0) for _, size in self.lanes)

    @property
    def futures(self) -> int:
        """Lots of dated futures (spot: the balance): the forward without what the puts put into it."""
        return self.forward + CONTRACT * sum(size for name, size in self.lanes if name & PUT_FLAG)

    @property
    def is_empty(self) -> bool:
        return not (self.lanes or self.forward or self.money)

    @property
    def length(self) -> int:
        """Words that the segment takes."""
        return 0 if self.is_empty else 1 + (len(self.lanes) + 3) // 4

    def check(self) -> None:
        """Raise Refused when something does not fit its bits."""
        if abs(self.forward) > MAX_FORWARD:
            raise Refused("book: forward too large")
        if abs(self.money) > MAX_MONEY:
            raise Refused("book: money too large")
        if self.gross >= MAX_GROSS:
            raise Refused("book: gross too large")

    def words(self) -> Words:
        """The head and the lane words."""
        self.check()
        head = (
            self.forward & 2**56 - 1
            | (self.money & 2**72 - 1) << 56
            | self.gross << 128
            | len(self.lanes) << 168
            | self.expiry << 176
            | self.market << 208
            | self.short << 216
        )
        lanes = [name | size + SIZE_BIAS << 25 for name, size in self.lanes]
        lanes += [0] * (-len(lanes) % 4)
        return [head] + [
            sum(lane << 64 * i for i, lane in enumerate(lanes[j : j + 4])) for j in range(0, len(lanes), 4)
        ]


class Position(NamedTuple):
    """A position of a book; size in lots, signed."""

    instrument: Instrument
    size: int


class Book:
    """The strike steps of the markets, and everything that depends on them."""

    def __init__(self, steps: Mapping[int, int] | None = None) -> None:
        self.steps: dict[int, int] = {}
        for market, step in (steps or {}).items():
            self.set_grid(market, step)

    def set_grid(self, market: int, step: int) -> None:
        """Set the strike step of a market (price units), once."""
        if not 0 < market < 64:
            raise Refused("option: market")
        if market in self.steps:
            raise Refused("option: grid is set")
        if not 0 < step < 2**40 or step % STRIKE_UNIT:
            raise Refused("option: step")
        self.steps[market] = step

    def strike(self, market: int, code: int) -> int:
        """The strike of a log code, price units."""
        if market not in self.steps:
            raise Refused("option: no grid")
        if not 0 <= code <= MAX_CODE:
            raise Refused("option: code")
        return strike_of(code, self.steps[market])

    def fragment(self, instrument: Instrument | int, lots: int, now: int, amount: int = 0) -> Words:
        """The fragment of one position of the grid at time `now`. amount: entry money of a future.

        `instrument` may be an id as it comes, sense or nonsense.
        """
        id = instrument.id if isinstance(instrument, Instrument) else instrument
        market, kind, expiry, strike = id & 255, id >> 8 & 255, id >> 16 & 0xFFFFFFFF, id >> 48
        if not 0 < market < 64:
            raise Refused("option: market")
        if not CALL <= kind <= SPOT:
            raise Refused("option: kind")
        if lots == 0:
            raise Refused("option: zero size")
        if kind == SPOT:
            if expiry or strike:
                raise Refused("option: spot has no expiry")
            return Segment(market, 0, lots).words()
        check_expiry(expiry, now)
        if lots % CONTRACT:
            raise Refused("option: not whole contracts")
        if kind == FUTURE:
            if strike:
                raise Refused("option: future has no strike")
            return Segment(market, expiry, lots, amount).words()
        lane = [self._code_of(market, strike), lots // CONTRACT]
        if kind == CALL:
            return Segment(market, expiry, lanes=[lane]).words()
        lane[0] |= PUT_FLAG
        return Segment(market, expiry, -lots, -lane[1] * strike // STRIKE_UNIT, [lane]).words()

    def _code_of(self, market: int, strike: int) -> int:
        if market not in self.steps:
            raise Refused("option: no grid")
        if not 0 < strike < 2**40 or strike % self.steps[market]:
            raise Refused("option: strike")
        code = log_code(strike)
        if self.strike(market, code) != strike:
            raise Refused("option: strike")
        return code

    def split(self, words: Sequence[int], quanta: int) -> Words:
        """The fragment that leaves when `quanta` thousandths of every position leave: each |size| rounded
        up to whole contracts (spot: lots), a put with its strike, a future with its share of the entry
        (rounded down). Money that no future stands behind any more leaves with the last slice only."""
        if not 0 <= quanta <= QUANTA:
            raise Refused("book: quanta")
        if quanta == QUANTA:
            return list(words)
        parts = (self._split(segment, quanta) for segment in unpack(words))
        return [word for part in parts if not part.is_empty for word in part.words()]

    def _split(self, segment: Segment, quanta: int) -> Segment:
        part = Segment(segment.market, segment.expiry)
        futures, entry = segment.futures, segment.money
        for name, size in segment.lanes:
            leaving = _part(size, quanta)
            if leaving:
                part.lanes.append([name, leaving])
            if name & PUT_FLAG:
                strike = self.strike(segment.market, name & MAX_CODE) // STRIKE_UNIT
                entry += size * strike
                part.forward -= leaving * CONTRACT
                part.money -= leaving * strike
        if futures:
            unit = CONTRACT if segment.expiry else 1
            leaving = _part(futures // unit, quanta) * unit
            part.forward += leaving
            part.money += entry * abs(leaving) // abs(futures)
        return part

    def payoff(self, words: Sequence[int], market: int, expiry: int, price: int) -> tuple[Words, int]:
        """(the segment that expired as a fragment, the money that it pays at `price`). Exact."""
        if expiry == 0:
            raise Refused("book: spot does not expire")
        if not 0 <= price < 2**40 or price % STRIKE_UNIT:
            raise Refused("book: price")
        for segment in unpack(words):
            if segment.key == (market, expiry):
                calls = sum(
                    size * max(price - self.strike(market, name & MAX_CODE), 0)
                    for name, size in segment.lanes
                )
                return (
                    segment.words(),
                    calls // STRIKE_UNIT + segment.forward * price // NOTIONAL_SCALE - segment.money,
                )
        return [], 0

    def positions(self, words: Sequence[int]) -> list[Position]:
        """What a book holds, segment by segment: the lanes as options, then the future or the spot."""
        found = []
        for segment in unpack(words):
            market, expiry = segment.key
            for name, size in segment.lanes:
                kind = PUT if name & PUT_FLAG else CALL
                strike = self.strike(market, name & MAX_CODE)
                found.append(Position(Instrument(market, kind, expiry, strike), size * CONTRACT))
            if segment.futures:
                kind = FUTURE if expiry else SPOT
                found.append(Position(Instrument(market, kind, expiry), segment.futures))
        return found


def unpack(words: Iterable[int]) -> list[Segment]:
    """The segments of book words. Raises ValueError when the words end inside one."""
    segments, words = [], list(words)
    while words:
        head, count = words[0], words[0] >> 168 & 255
        length = 1 + (count + 3) // 4
        if len(words) < length:
            raise ValueError(f"book: {len(words)} words left of a segment of {length}")
        lanes = [word >> 64 * i & _LANE for word in words[1:length] for i in range(4)][:count]
        segments.append(
            Segment(
                market=head >> 208 & 255,
                expiry=head >> 176 & 0xFFFFFFFF,
                forward=_signed(head, 56),
                money=_signed(head >> 56, 72),
                lanes=[[lane & 2**25 - 1, (lane >> 25) - SIZE_BIAS] for lane in lanes],
            )
        )
        words = words[length:]
    return segments


def pack(segments: Iterable[Segment]) -> Words:
    """The words of segments that are sorted already; empty ones are left out."""
    return [word for segment in segments if not segment.is_empty for word in segment.words()]


def merge(words: Sequence[int], fragment: Sequence[int], negate: bool = False) -> tuple[Words, bool]:
    """(the book with the fragment added or, `negate`, taken out; whether every position that it touches
    got smaller without changing sides).

    Order of lanes: the last takes the place of one that is gone, for the fragment's lanes from its last
    to its first; then the new ones are appended. At no segment may the book be longer than MAX_WORDS.
    """
    segments = {segment.key: segment for segment in unpack(words)}
    reduces, previous, length = True, (0, 0), len(words)
    for part in unpack(fragment):
        if part.key <= previous:
            raise Refused("book: not sorted")
        previous = part.key
        if negate:
            part.forward, part.money = -part.forward, -part.money
            part.lanes = [[name, -size] for name, size in part.lanes]
        segment = segments.setdefault(part.key, Segment(*part.key))
        before = segment.length
        reduces &= _add(segment, part)
        if not segment.expiry and segment.forward < 0:
            raise Refused("book: spot below zero")
        length += segment.length - before
        if segment.length > before and length > MAX_WORDS:
            raise Refused("book: too many words")
    out = [segments[key] for key in sorted(segments) if not segments[key].is_empty]
    for market in {segment.market for segment in out}:
        if sum(segment.gross for segment in out if segment.market == market) >= MAX_GROSS:
            raise Refused("book: gross too large")
    if not reduces and sum(len(segment.lanes) + (segment.forward != 0) for segment in out) > MAX_POSITIONS:
        raise Refused("book: too many positions")
    return pack(out), reduces


def _add(segment: Segment, part: Segment) -> bool:
    """Add a segment to one of the same expiry, in place; whether all that it touches got smaller."""
    smaller, futures, fresh = True, segment.futures, []
    for name, change in reversed(part.lanes):
        lane = next((lane for lane in segment.lanes if lane[0] == name), None)
        if lane is None:
            fresh.insert(0, [name, change])
            smaller = False
            continue
        smaller &= _is_smaller(lane[1], lane[1] + change)
        lane[1] += change
        if lane[1] == 0:
            lane[:] = segment.lanes[-1]
            segment.lanes.pop()
    segment.lanes += fresh
    segment.forward += part.forward
    segment.money += part.money
    if part.futures:
        smaller &= _is_smaller(futures, segment.futures)
    segment.check()
    return smaller


def _is_smaller(old: int, new: int) -> bool:
    return abs(new) < abs(old) and (new == 0 or (new > 0) == (old > 0))


def _part(size: int, quanta: int) -> int:
    """So many thousandths of a size, away from zero."""
    part = -(-abs(size) * quanta // QUANTA)
    return part if size > 0 else -part


def _signed(bits: int, width: int) -> int:
    bits &= (1 << width) - 1
    return bits - (1 << width) if bits >> width - 1 else bits
