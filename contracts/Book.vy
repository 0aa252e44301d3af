# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Book
@license GNU Affero General Public License v3.0 only
@notice The arithmetic of book words (layout: options/book.vy): what a trade, a slice, a
        settlement or a deposit of spot adds to an account's book or takes out of it.
@dev Holds nothing but the strike steps. Words and fragments are taken as this contract
     makes them: it does not look for made-up heads, only for what a change can break.
"""

from snekmate.auth import ownable
from snekmate.auth import ownable_2step

from .interfaces import IBook
from .math import rounding
from .options import book
from .options import instrument

implements: IBook

initializes: ownable
initializes: ownable_2step[ownable := ownable]

exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
    # renounce_ownership is left out: markets are listed later, too.
)

DAY: constant(uint256) = 86_400
HOUR_OF_EXPIRY: constant(uint256) = 28_800  # 08:00 UTC
LONGEST: constant(uint256) = 400 * 86_400 + 3_600  # seconds to the last expiry of the grid
QUANTA: constant(uint256) = 1_000  # a slice is so many thousandths

event GridSet:
    market: indexed(uint256)
    step: uint256


steps: public(HashMap[uint256, uint256])  # market -> strike step, price units


@deploy
def __init__():
    ownable.__init__()
    ownable_2step.__init__()


@external
def set_grid(market: uint256, step: uint256):
    """
    @notice Set the strike step of a market, once: strikes of open options depend on it.
            Owner (a timelock).
    @param step price units, a multiple of 10_000
    """
    ownable._check_owner()
    assert market > 0 and market < 64, "option: market"
    assert self.steps[market] == 0, "option: grid is set"
    assert step > 0 and step < 2**40 and step % instrument.STRIKE_UNIT == 0, "option: step"
    self.steps[market] = step
    log GridSet(market=market, step=step)


@external
@view
def fragment(id: uint256, lots: int256, amount: int256) -> DynArray[uint256, 2]:
    """
    @notice See IBook. Reverts when the instrument is not on the grid now.
    """
    market: uint256 = instrument._market(id)
    kind: uint256 = instrument._kind(id)
    expiry: uint256 = instrument._expiry(id)
    strike: uint256 = instrument._strike(id)
    key: uint256 = book._key_of(market, expiry)
    assert market > 0 and market < 64, "option: market"
    assert kind >= instrument.CALL and kind <= instrument.SPOT, "option: kind"
    assert lots != 0, "option: zero size"
    if kind == instrument.SPOT:
        assert expiry == 0 and strike == 0, "option: spot has no expiry"
        return [book._head(key, lots, 0, 0, 0, 0)]
    self._check_expiry(expiry)
    contracts: int256 = lots // instrument.CONTRACT
    assert contracts * instrument.CONTRACT == lots, "option: not whole contracts"
    if kind == instrument.FUTURE:
        assert strike == 0, "option: future has no strike"
        return [book._head(key, lots, amount, 0, 0, 0)]
    name: uint256 = self._code_of(market, strike)
    forward: int256 = 0
    money: int256 = 0
    if kind == instrument.PUT:
        name |= 2**24
        forward = -lots
        money = -self._strikes(contracts, strike)
    gross: uint256 = convert(abs(contracts), uint256)
    short: uint256 = gross if contracts < 0 else 0
    return [book._head(key, forward, money, gross, short, 1), book._pack(name, contracts)]


@external
@view
def strike(market: uint256, code: uint256) -> uint256:
    """
    @notice See IBook.
    """
    return self._strike(market, code)


@external
@view
def merge(
    words: DynArray[uint256, 48], fragment: DynArray[uint256, 48], negate: bool
) -> (DynArray[uint256, 96], bool):
    """
    @notice See IBook. A lane is changed in place, appended to its segment, or replaced by
            the segment's last one when it becomes zero; a reduction is never refused.
    """
    out: DynArray[uint256, 96] = words
    reduces: bool = True
    at: uint256 = 0
    i: uint256 = 0
    previous: uint256 = 0
    for _: uint256 in range(48):
        if i >= len(fragment):
            break
        key: uint256 = book._key(fragment[i])
        assert key > previous, "book: not sorted"
        previous = key
        for __: uint256 in range(48):
            if at >= len(out) or book._key(out[at]) >= key:
                break
            at += book._length(out[at])
        smaller: bool = False
        if at < len(out) and book._key(out[at]) == key:
            out, smaller = self._add(out, at, fragment, i, negate)
        else:
            out, smaller = self._insert(out, at, fragment, i, negate)
        reduces = reduces and smaller
        i += book._length(fragment[i])
    self._check_limits(out, reduces)
    return out, reduces


@external
@view
def split(words: DynArray[uint256, 48], quanta: uint256) -> DynArray[uint256, 48]:
    """
    @notice See IBook. Every |size| is rounded up to whole contracts (spot: lots). A put
            takes its strike with it; a future takes its share of the entry, rounded down.
            Money that no future stands behind any more leaves with the last slice only.
    """
    assert quanta <= QUANTA, "book: quanta"
    if quanta == QUANTA:
        return words
    out: DynArray[uint256, 48] = []
    i: uint256 = 0
    for _: uint256 in range(48):
        if i >= len(words) or quanta == 0:
            break
        out = self._split_segment(out, words, i, quanta)
        i += book._length(words[i])
    return out


@external
@view
def payoff(
    words: DynArray[uint256, 48], market: uint256, expiry: uint256, price: uint256
) -> (DynArray[uint256, 48], int256):
    """
    @notice See IBook. Exact: prices and strikes are multiples of 10_000, lots of contracts.
    @return An empty fragment and zero when the account holds nothing of the expiry
    """
    assert expiry != 0, "book: spot does not expire"
    assert price < 2**40 and price % instrument.STRIKE_UNIT == 0, "book: price"
    key: uint256 = book._key_of(market, expiry)
    segment: DynArray[uint256, 48] = []
    i: uint256 = 0
    for _: uint256 in range(48):
        if i >= len(words) or book._key(words[i]) >= key:
            break
        i += book._length(words[i])
    if i >= len(words) or book._key(words[i]) != key:
        return segment, 0
    head: uint256 = words[i]
    for j: uint256 in range(book._length(head), bound=48):
        segment.append(words[i + j])
    signed_price: int256 = convert(price, int256)
    paid: int256 = book._forward(head) * signed_price // 10**8 - book._money(head)
    return segment, paid + self._calls(segment, market, price)


# ---------------------------------------------------------------- the grid


@internal
@view
def _check_expiry(expiry: uint256):
    assert expiry % DAY == HOUR_OF_EXPIRY, "option: not an expiry"
    assert expiry > block.timestamp, "option: expired"
    assert expiry <= block.timestamp + LONGEST, "option: expiry too far"


@internal
@view
def _code_of(market: uint256, strike: uint256) -> uint256:
    step: uint256 = self.steps[market]
    assert step != 0, "option: no grid"
    assert strike > 0 and strike < 2**40 and strike % step == 0, "option: strike"
    code: uint256 = instrument._log_code(strike)
    # A code of zero is no lane; a strike that its code does not give back is too fine.
    assert code > 0 and instrument._strike_of(code, step) == strike, "option: strike"
    return code


@internal
@view
def _strike(market: uint256, code: uint256) -> uint256:
    step: uint256 = self.steps[market]
    assert step != 0, "option: no grid"
    assert code <= instrument.MAX_CODE, "option: code"
    return instrument._strike_of(code, step)


@internal
@pure
def _strikes(contracts: int256, strike: uint256) -> int256:
    """
    @return The strikes of so many contracts, money; exact
    """
    return contracts * convert(strike // instrument.STRIKE_UNIT, int256)


# ---------------------------------------------------------------- merge


@internal
@pure
def _insert(
    words: DynArray[uint256, 96], at: uint256, fragment: DynArray[uint256, 48], i: uint256, negate: bool
) -> (DynArray[uint256, 96], bool):
    """
    @notice Put a segment that the book does not have at its place.
    @return The book; whether it holds no position (then nothing grew)
    """
    head: uint256 = fragment[i]
    if book._is_empty(head):
        return words, True
    length: uint256 = book._length(head)
    count: uint256 = book._count(head)
    out: DynArray[uint256, 96] = self._open(words, at, length)
    out[at] = book._negated_head(head) if negate else head
    for j: uint256 in range(1, length, bound=48):
        word: uint256 = fragment[i + j]
        if negate:
            word = book._negated_word(word, min(4, count - 4 * (j - 1)))
        out[at + j] = word
    self._check_spot(out[at])
    return out, count == 0 and book._forward(head) == 0


@internal
@pure
def _add(
    words: DynArray[uint256, 96], at: uint256, fragment: DynArray[uint256, 48], i: uint256, negate: bool
) -> (DynArray[uint256, 96], bool):
    """
    @notice Add a segment of the fragment to the book's segment of the same expiry.
    @return The book; whether every position that it touches got smaller
    """
    out: DynArray[uint256, 96] = words
    head: uint256 = out[at]
    other: uint256 = fragment[i]
    count: uint256 = book._count(head)
    room: uint256 = unsafe_add(count, 3) >> 2
    gross: int256 = convert(book._gross(head), int256)
    short: int256 = convert(book._short(head), int256)
    smaller: bool = True
    puts: int256 = 0
    last: uint256 = room
    # From the last lane to the first, looking first where the one before was found: a slice
    # has its account's order, so its lanes are found at once, also while they are removed.
    j: uint256 = book._count(other)
    for _: uint256 in range(j, bound=128):
        j = unsafe_sub(j, 1)
        lane: uint256 = book._lane(fragment[i + 1 + (j >> 2)], j)
        change: int256 = book._size(lane)
        if negate:
            change = unsafe_sub(0, change)
        if book._is_put(lane):
            puts += change
        place: uint256 = count
        word: uint256 = last
        for __: uint256 in range(room, bound=48):
            found: uint256 = book._match(out[at + word], book._name(lane))
            if found < 4:
                place = unsafe_add(unsafe_sub(word, 1) << 2, found)
                break
            word = unsafe_sub(word, 1)
            if word == 0:
                word = room
        last = unsafe_add(place >> 2, 1)
        old: int256 = 0
        if place == count:
            if count == room << 2:
                more: uint256 = unsafe_add(j, 4) >> 2
                out = self._open(out, at + 1 + room, more)
                room = unsafe_add(room, more)
            count = unsafe_add(count, 1)
        else:
            old = book._size(book._lane(out[at + last], place))
        size: int256 = unsafe_add(old, change)
        smaller = smaller and self._is_smaller(old, size)
        gross += abs(size) - abs(old)
        short += max(-size, 0) - max(-old, 0)
        lane = book._pack(book._name(lane), size)
        if size == 0:
            # The last lane takes the place of the one that is gone.
            count = unsafe_sub(count, 1)
            end: uint256 = at + 1 + (count >> 2)
            lane = book._lane(out[end], count)
            out[end] = book._with_lane(out[end], count, 0)
            if place == count:
                continue
        out[at + last] = book._with_lane(out[at + last], place, lane)
    change: int256 = book._forward(other)
    amount: int256 = book._money(other)
    if negate:
        change = -change
        amount = -amount
    forward: int256 = book._forward(head) + change
    head = book._head(
        book._key(head),
        forward,
        book._money(head) + amount,
        convert(gross, uint256),
        convert(short, uint256),
        count,
    )
    self._check_spot(head)
    change += puts * instrument.CONTRACT
    if change != 0:
        futures: int256 = forward + self._puts(out, at, count) * instrument.CONTRACT
        smaller = smaller and self._is_smaller(futures - change, futures)
    out[at] = head
    used: uint256 = unsafe_add(count, 3) >> 2
    if book._is_empty(head):
        out = self._close(out, at, room + 1)
    elif used < room:
        out = self._close(out, at + 1 + used, room - used)
    return out, smaller


@internal
@pure
def _is_smaller(old: int256, new: int256) -> bool:
    """
    @return Whether a position got smaller and did not change sides
    """
    return abs(new) < abs(old) and (new == 0 or (new > 0) == (old > 0))


@internal
@pure
def _check_spot(head: uint256):
    if book._expiry(head) == 0:
        assert book._forward(head) >= 0, "book: spot below zero"


@internal
@pure
def _puts(words: DynArray[uint256, 96], at: uint256, count: uint256) -> int256:
    """
    @return Sum of the sizes of a segment's puts, contracts
    """
    puts: int256 = 0
    for j: uint256 in range(count, bound=128):
        lane: uint256 = book._lane(words[at + 1 + (j >> 2)], j)
        if book._is_put(lane):
            puts += book._size(lane)
    return puts


@internal
@pure
def _open(words: DynArray[uint256, 96], at: uint256, more: uint256) -> DynArray[uint256, 96]:
    """
    @notice Make room for `more` zero words before word `at`.
    """
    out: DynArray[uint256, 96] = words
    j: uint256 = len(out)
    for _: uint256 in range(more, bound=48):
        out.append(0)
    for _: uint256 in range(j - at, bound=96):
        j = unsafe_sub(j, 1)
        out[unsafe_add(j, more)] = out[j]
    for k: uint256 in range(at, at + more, bound=48):
        out[k] = 0
    return out


@internal
@pure
def _close(words: DynArray[uint256, 96], at: uint256, fewer: uint256) -> DynArray[uint256, 96]:
    """
    @notice Take `fewer` words out, the first of them word `at`.
    """
    out: DynArray[uint256, 96] = words
    for j: uint256 in range(at + fewer, len(out), bound=96):
        out[unsafe_sub(j, fewer)] = out[j]
    for _: uint256 in range(fewer, bound=48):
        out.pop()
    return out


@internal
@pure
def _check_limits(words: DynArray[uint256, 96], reduces: bool):
    """
    @notice The bounds of one account. Taking a future away can show the forward of a put
            that it hid: that is no new position, and not refused.
    """
    assert len(words) <= book.MAX_WORDS, "book: too many words"
    positions: uint256 = 0
    gross: uint256 = 0
    market: uint256 = 0
    i: uint256 = 0
    for _: uint256 in range(48):
        if i >= len(words):
            break
        head: uint256 = words[i]
        if book._market(head) != market:
            market = book._market(head)
            gross = 0
        gross = unsafe_add(gross, book._gross(head))
        assert gross < book.MAX_GROSS, "book: gross too large"
        positions = unsafe_add(positions, book._count(head))
        if book._forward(head) != 0:
            positions = unsafe_add(positions, 1)
        i = unsafe_add(i, book._length(head))
    assert reduces or positions <= book.MAX_POSITIONS, "book: too many positions"


# ---------------------------------------------------------------- split and settlement


@internal
@view
def _split_segment(
    parts: DynArray[uint256, 48], words: DynArray[uint256, 48], i: uint256, quanta: uint256
) -> DynArray[uint256, 48]:
    """
    @notice Append the part of one segment that leaves.
    """
    out: DynArray[uint256, 48] = parts
    at: uint256 = len(out)
    out.append(0)
    head: uint256 = words[i]
    market: uint256 = book._market(head)
    count: uint256 = book._count(head)
    gross: uint256 = 0
    short: uint256 = 0
    # The linear part: `futures` and `entry` of the whole, `forward` and `money` of the part.
    futures: int256 = book._forward(head)
    entry: int256 = book._money(head)
    forward: int256 = 0
    money: int256 = 0
    word: uint256 = 0
    for j: uint256 in range(count, bound=128):
        lane: uint256 = book._lane(words[i + 1 + (j >> 2)], j)
        size: int256 = book._size(lane)
        part: int256 = self._part(size, quanta)
        gross += convert(abs(part), uint256)
        short += convert(max(-part, 0), uint256)
        if book._is_put(lane):
            strike: uint256 = self._strike(market, book._code(lane))
            futures += size * instrument.CONTRACT
            entry += self._strikes(size, strike)
            forward -= part * instrument.CONTRACT
            money -= self._strikes(part, strike)
        word |= book._pack(book._name(lane), part) << ((j & 3) << 6)
        if j & 3 == 3 or j == count - 1:
            out.append(word)
            word = 0
    if futures != 0:
        leaves: int256 = 0
        if book._expiry(head) == 0:
            leaves = self._part(futures, quanta)
        else:
            leaves = self._part(futures // instrument.CONTRACT, quanta) * instrument.CONTRACT
        forward += leaves
        money += rounding._floor_div(entry * abs(leaves), abs(futures))
    out[at] = book._head(book._key(head), forward, money, gross, short, count)
    if book._is_empty(out[at]):
        out.pop()
    return out


@internal
@pure
def _part(size: int256, quanta: uint256) -> int256:
    """
    @return So many thousandths of a size, away from zero
    """
    part: int256 = rounding._ceil_div(abs(size) * convert(quanta, int256), convert(QUANTA, int256))
    return part if size > 0 else -part


@internal
@view
def _calls(segment: DynArray[uint256, 48], market: uint256, price: uint256) -> int256:
    """
    @return What a segment's lanes pay at `price`, each as a call, money
    """
    paid: int256 = 0
    code: uint256 = instrument._log_code(min(max(price, instrument.MIN_PRICE), instrument.MAX_PRICE))
    for j: uint256 in range(book._count(segment[0]), bound=128):
        lane: uint256 = book._lane(segment[1 + (j >> 2)], j)
        # A strike is not above the price when its code is not: most that pay nothing need no strike.
        if book._code(lane) <= code:
            strike: uint256 = self._strike(market, book._code(lane))
            if strike < price:
                paid += self._strikes(book._size(lane), price - strike)
    return paid
