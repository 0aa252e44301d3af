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
from .options import book
from .options import instrument
from .options import slices

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
        money = -slices._strikes(contracts, strike)
    gross: uint256 = convert(abs(contracts), uint256)
    short: uint256 = gross if contracts < 0 else 0
    return [book._head(key, forward, money, gross, short, 1), book._pack(name, contracts)]


@external
@view
def strike(market: uint256, code: uint256) -> uint256:
    """
    @notice See IBook.
    """
    assert code <= instrument.MAX_CODE, "option: code"
    return instrument._strike_of(code, self._step(market))


@external
@view
def merge(
    words: DynArray[uint256, 48], fragment: DynArray[uint256, 48], negate: bool
) -> (DynArray[uint256, 48], bool):
    """
    @notice See IBook. A lane is changed in place; a new one is appended to its segment; the
            last takes the place of one that became zero. The book is never longer than 48
            words, not between two segments of the fragment either.
    @dev One function, as arrays pass between functions by copy and memory has its price.
    """
    out: DynArray[uint256, 48] = words
    reduces: bool = True
    at: uint256 = 0  # word of `out`
    i: uint256 = 0  # word of `fragment`
    previous: uint256 = 0
    for _: uint256 in range(48):
        if i >= len(fragment):
            break
        part: uint256 = fragment[i]
        key: uint256 = book._key(part)
        assert key > previous, "book: not sorted"
        previous = key

        # The segment of the same expiry: its place, its head, how many words of lanes it has.
        head: uint256 = key << book.KEY_SHIFT
        have: uint256 = 0
        room: uint256 = 0
        for __: uint256 in range(48):
            if at >= len(out):
                break
            word: uint256 = out[at]
            found: uint256 = (word >> book.KEY_SHIFT) & book.KEY_MASK
            if found >= key:
                if found == key:
                    head = word
                    have = book._length(head)
                    room = unsafe_sub(have, 1)
                break
            at = unsafe_add(at, book._length(word))

        # Lanes that the book has, in place. From the last to the first, looking first where
        # the one before was found: a slice has its account's order, so its lanes are found
        # at once, also while they are removed. `fresh`: a bit for each that is not there.
        added: uint256 = book._count(part)
        count: uint256 = book._count(head)
        gross: int256 = convert(book._gross(head), int256)
        short: int256 = convert(book._short(head), int256)
        puts: int256 = 0
        fresh: uint256 = 0
        total: uint256 = 0
        j: uint256 = added
        last: uint256 = room
        if room == 0 and added != 0:
            # Nothing to look through: all lanes are new.
            j = 0
            fresh = (1 << added) - 1
            total = added
            gross = convert(book._gross(part), int256)
            short = convert(book._short(part), int256)
            if negate:
                short = unsafe_sub(gross, short)
            reduces = False
        for __: uint256 in range(j, bound=128):
            j = unsafe_sub(j, 1)
            lane: uint256 = fragment[unsafe_add(unsafe_add(i, 1), j >> 2)] >> ((j & 3) << 6)
            name: uint256 = lane & book.NAME_MASK
            change: int256 = unsafe_sub(convert((lane >> 25) & book.SIZE_MASK, int256), book.SIZE_BIAS)
            if negate:
                change = unsafe_sub(0, change)
            if name >= book.PUT_FLAG:
                puts = unsafe_add(puts, change)
            names: uint256 = unsafe_mul(name, book.EACH_LANE)
            word: uint256 = 0
            same: uint256 = 0
            for ___: uint256 in range(room, bound=47):
                word = out[unsafe_add(at, last)]
                # A nonzero difference of 25 bits plus their mask sets bit 25 of its lane.
                same = ~unsafe_add((word ^ names) & book.NAMES, book.NAMES) & book.FLAGS
                if same != 0:
                    break
                last = unsafe_sub(last, 1) if last != 1 else room
            old: int256 = 0
            size: int256 = change
            if same == 0:
                fresh |= 1 << j
                total = unsafe_add(total, 1)
            else:
                place: uint256 = book._place(last, same)
                old = book._size(book._lane(word, place))
                size = unsafe_add(old, change)
                if size != 0:
                    out[unsafe_add(at, last)] = book._with_lane(word, place, book._pack(name, size))
                else:
                    count = unsafe_sub(count, 1)
                    end: uint256 = unsafe_add(unsafe_add(at, 1), count >> 2)
                    tail: uint256 = book._lane(out[end], count)
                    out[end] = book._with_lane(out[end], count, 0)
                    if place != count:
                        out[unsafe_add(at, last)] = book._with_lane(out[unsafe_add(at, last)], place, tail)
            # Sizes are of at most 39 bits here: nothing can wrap.
            if old < 0:
                gross = unsafe_add(gross, old)
                short = unsafe_add(short, old)
                reduces = reduces and size > old and size <= 0
            else:
                gross = unsafe_sub(gross, old)
                reduces = reduces and size < old and size >= 0
            if size < 0:
                gross = unsafe_sub(gross, size)
                short = unsafe_sub(short, size)
            else:
                gross = unsafe_add(gross, size)

        # The head, and exactly the words that the segment needs.
        total = unsafe_add(total, count)
        forward: int256 = book._forward(part)
        money: int256 = book._money(part)
        if negate:
            forward = -forward
            money = -money
        # What the fragment does to the futures: its forward without what its puts put into it.
        futures: int256 = forward + puts * instrument.CONTRACT
        forward += book._forward(head)
        money += book._money(head)
        head = book._head(key, forward, money, convert(gross, uint256), convert(short, uint256), total)
        if book._expiry(head) == 0:
            assert forward >= 0, "book: spot below zero"
        want: uint256 = 0
        if not book._is_empty(head):
            want = book._length(head)
        if want > have:
            more: uint256 = unsafe_sub(want, have)
            k: uint256 = len(out)
            moving: uint256 = unsafe_sub(k, unsafe_add(at, have))
            assert unsafe_add(k, more) <= book.MAX_WORDS, "book: too many words"
            for __: uint256 in range(more, bound=48):
                out.append(0)
            for __: uint256 in range(moving, bound=48):
                k = unsafe_sub(k, 1)
                out[unsafe_add(k, more)] = out[k]
        elif want < have:
            fewer: uint256 = unsafe_sub(have, want)
            for k: uint256 in range(unsafe_add(at, have), len(out), bound=48):
                out[unsafe_sub(k, fewer)] = out[k]
            for __: uint256 in range(fewer, bound=48):
                out.pop()
        if want > 0:
            out[at] = head

        # New lanes, in the fragment's order.
        for k: uint256 in range(added, bound=128):
            if fresh == 0:
                break
            if fresh & 1 == 1:
                lane: uint256 = fragment[unsafe_add(unsafe_add(i, 1), k >> 2)] >> ((k & 3) << 6)
                if negate:
                    lane = book._negated(lane)
                lane = (lane & book.LANE_MASK) << ((count & 3) << 6)
                end: uint256 = unsafe_add(unsafe_add(at, 1), count >> 2)
                out[end] = lane if count & 3 == 0 else out[end] | lane
                count = unsafe_add(count, 1)
            fresh >>= 1

        if reduces and futures != 0:
            after: int256 = forward
            for k: uint256 in range(total, bound=128):
                lane: uint256 = book._lane(out[unsafe_add(unsafe_add(at, 1), k >> 2)], k)
                if book._is_put(lane):
                    after += book._size(lane) * instrument.CONTRACT
            reduces = self._is_smaller(after - futures, after)
        i = unsafe_add(i, book._length(part))
        at = unsafe_add(at, want)
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
    assert quanta <= convert(slices.QUANTA, uint256), "book: quanta"
    if quanta == convert(slices.QUANTA, uint256):
        return words
    out: DynArray[uint256, 48] = []
    i: uint256 = 0
    for _: uint256 in range(48):
        if i >= len(words) or quanta == 0:
            break
        step: uint256 = self.steps[book._market(words[i])]
        out = slices._split(out, words, i, convert(quanta, int256), step)
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
    if book._count(head) != 0:
        paid += slices._calls(segment, price, self._step(market))
    return segment, paid


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
    step: uint256 = self._step(market)
    assert strike > 0 and strike < 2**40 and strike % step == 0, "option: strike"
    code: uint256 = instrument._log_code(strike)
    # A strike that its code does not give back is finer than the codes.
    assert instrument._strike_of(code, step) == strike, "option: strike"
    return code


@internal
@view
def _step(market: uint256) -> uint256:
    step: uint256 = self.steps[market]
    assert step != 0, "option: no grid"
    return step


# ---------------------------------------------------------------- merge


@internal
@pure
def _is_smaller(old: int256, new: int256) -> bool:
    """
    @return Whether a position got smaller and did not change sides
    """
    return abs(new) < abs(old) and (new == 0 or (new > 0) == (old > 0))


@internal
@pure
def _check_limits(words: DynArray[uint256, 48], reduces: bool):
    """
    @notice The bounds of one account. Taking a future away can show the forward of a put
            that it hid: that is no new position, and not refused.
    """
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
        count: uint256 = book._count(head)
        positions = unsafe_add(positions, count)
        if head & book.FORWARD_MASK != 0:
            positions = unsafe_add(positions, 1)
        i = unsafe_add(i, unsafe_add(count, 7) >> 2)
    assert reduces or positions <= book.MAX_POSITIONS, "book: too many positions"
