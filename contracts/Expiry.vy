# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Expiry
@license GNU Affero General Public License v3.0 only
@notice The source door through which an expired series of options and dated futures is paid:
        one settlement price a market and expiry, a time average of the mark over the last
        WINDOW seconds, fixed once; then every account's part, in any order.

        The average is made of the prices that somebody showed to `observe` while they were
        the market's last. Each counts from its publication to that of the next one shown,
        but no longer than a price may be used (the markets' largest age), and only inside
        the window; what no price counts for is left out. The first price shown that was
        published at or after expiry ends it: its own value counts only if nothing else
        does. So the price depends on which prices were shown, not on who showed them, how
        often or how late in between; whoever keeps one from being weighed too long shows
        the next, and anybody can. To observe in the window is a keeper's duty: where nobody
        shows a price for it, the first price shown after expiry is the settlement price,
        however late it comes.
@dev Publication times of a market only rise (markets/prices.vy): behind a price published
     at or after expiry none from before it can come.
"""

from .interfaces import IBook
from .interfaces import IClearinghouse
from .ledger import lanes
from .math import units
from .options import book
from .options import instrument

WINDOW: public(constant(uint256)) = 1_800  # seconds
DAY: constant(uint256) = 86_400
HOUR_OF_EXPIRY: constant(uint256) = 28_800  # 08:00 UTC
UNIT: constant(uint256) = instrument.STRIKE_UNIT
HIGHEST: constant(uint256) = units.MAX_PRICE // UNIT * UNIT

# Places in a track.
PUBLISHED: constant(uint256) = 40
SUM: constant(uint256) = 72
COUNTED: constant(uint256) = 124
SETTLEMENT: constant(uint256) = 136


interface IPrices:
    def last_price(market: uint256) -> (uint256, uint256, uint256, int256, int256): view
    def book() -> uint256: view


event PriceFixed:
    market: indexed(uint256)
    expiry: indexed(uint256)
    price: uint256
    counted: uint256  # seconds of the window that a price counted for
    published: uint256  # when the price was published that ended the average


event Settled:
    account: indexed(uint256)
    market: indexed(uint256)
    expiry: indexed(uint256)
    payoff: int256
    price: uint256


CLEARINGHOUSE: public(immutable(IClearinghouse))
MARKETS: public(immutable(address))
BOOK: public(immutable(IBook))

# book._key_of(market, expiry) -> last price shown 40 | published 32 | sum of price * seconds 52
# | seconds counted 12 | settlement price 40 (0: not fixed)
_tracks: HashMap[uint256, uint256]


@deploy
def __init__(clearinghouse: address, markets: address):
    assert markets.is_contract, "expiry: bad markets"
    CLEARINGHOUSE = IClearinghouse(clearinghouse)
    MARKETS = markets
    BOOK = IBook(staticcall IClearinghouse(clearinghouse).BOOK())


@external
def observe(market: uint256, expiry: uint256 = 0):
    """
    @notice Show the market's last price to the average of an expiry. Anyone. A price that
            was shown before, or is older than what can count, changes nothing.
    @param expiry 0: the one whose window the price is for, else the last one before it
    """
    mark: uint256 = 0
    published: uint256 = 0
    longest: uint256 = 0
    mark, published, longest = self._last(market)
    chosen: uint256 = expiry
    if chosen == 0:
        chosen = published // DAY * DAY + HOUR_OF_EXPIRY
        if chosen <= published:
            chosen += DAY
        if published + WINDOW + longest <= chosen:
            chosen -= DAY
    self._observe(market, chosen, mark, published, longest)


@external
def settle(accounts: DynArray[uint256, 128], market: uint256, expiry: uint256):
    """
    @notice Pay what an expired series is worth to each of these accounts, or take it, and
            take the series out of their books. Anyone, once the price is fixed, or can be
            by the market's last price. An account without the series is passed over.
    @dev Payoffs of all accounts add up to zero. What a flat account cannot pay is paid by
         insurance, or recorded (Clearinghouse.post_book).
    """
    price: uint256 = self._tracks[self._key(market, expiry)] >> SETTLEMENT
    if price == 0:
        mark: uint256 = 0
        published: uint256 = 0
        longest: uint256 = 0
        mark, published, longest = self._last(market)
        price = self._observe(market, expiry, mark, published, longest)
        assert price != 0, "expiry: no settlement price"
    for account: uint256 in accounts:
        header: uint256 = 0
        words: DynArray[uint256, 64] = []
        header, words = staticcall CLEARINGHOUSE.account(account)
        held: DynArray[uint256, 48] = []
        for i: uint256 in range(lanes._perp_words(header), len(words), bound=48):
            held.append(words[i])
        fragment: DynArray[uint256, 48] = []
        payoff: int256 = 0
        fragment, payoff = staticcall BOOK.payoff(held, market, expiry, price)
        if len(fragment) == 0:
            continue
        extcall CLEARINGHOUSE.post_book(account, fragment, True, payoff, 0)
        log Settled(account=account, market=market, expiry=expiry, payoff=payoff, price=price)


@external
@view
def settlement(market: uint256, expiry: uint256) -> uint256:
    """
    @return The settlement price, a multiple of 10_000 price units; 0 while it is not fixed
    """
    return self._tracks[self._key(market, expiry)] >> SETTLEMENT


@external
@view
def observed(market: uint256, expiry: uint256) -> (uint256, uint256, uint256, uint256):
    """
    @notice What the average is made of so far.
    @return the last price shown and when it was published; sum of price * seconds; the
            seconds that count. WINDOW less these is what is missing; the last price's own
            follow when the next one is shown.
    """
    track: uint256 = self._tracks[self._key(market, expiry)]
    return (
        track & units.MAX_PRICE,
        (track >> PUBLISHED) & (2**32 - 1),
        (track >> SUM) & (2**52 - 1),
        (track >> COUNTED) & (2**12 - 1),
    )


# ---------------------------------------------------------------- internal


@internal
@pure
def _key(market: uint256, expiry: uint256) -> uint256:
    """
    @return Where a series' track is
    """
    assert market > 0 and market < units.MAX_MARKETS, "expiry: no such market"
    assert expiry < 2**32 and expiry % DAY == HOUR_OF_EXPIRY, "expiry: not an expiry"
    return book._key_of(market, expiry)


@internal
@view
def _last(market: uint256) -> (uint256, uint256, uint256):
    """
    @return the market's last price, when it was published, how long a price may be used
    """
    assert market > 0 and market < units.MAX_MARKETS, "expiry: no such market"
    mark: uint256 = 0
    published: uint256 = 0
    accrued_at: uint256 = 0
    funding: int256 = 0
    rate: int256 = 0
    mark, published, accrued_at, funding, rate = staticcall IPrices(MARKETS).last_price(market)
    assert mark != 0, "expiry: no price"
    return mark, published, staticcall IPrices(MARKETS).book() >> 160


@internal
def _observe(
    market: uint256, expiry: uint256, mark: uint256, published: uint256, longest: uint256
) -> uint256:
    """
    @return The settlement price; 0 while it is not fixed
    """
    key: uint256 = self._key(market, expiry)
    track: uint256 = self._tracks[key]
    if track >> SETTLEMENT != 0:
        return track >> SETTLEMENT
    last: uint256 = (track >> PUBLISHED) & (2**32 - 1)
    if published <= last or published + WINDOW + longest <= expiry:
        return 0
    total: uint256 = (track >> SUM) & (2**52 - 1)
    counted: uint256 = (track >> COUNTED) & (2**12 - 1)
    start: uint256 = max(last, expiry - WINDOW)
    end: uint256 = min(min(published, expiry), last + longest)
    if end > start:
        total += (track & units.MAX_PRICE) * (end - start)
        counted += end - start
    price: uint256 = 0
    if published >= expiry:
        if counted == 0:
            price = self._rounded(mark, 1)
        else:
            price = self._rounded(total, counted)
        log PriceFixed(market=market, expiry=expiry, price=price, counted=counted, published=published)
    self._tracks[key] = (
        mark
        | (published << PUBLISHED)
        | (total << SUM)
        | (counted << COUNTED)
        | (price << SETTLEMENT)
    )
    return price


@internal
@pure
def _rounded(total: uint256, seconds: uint256) -> uint256:
    """
    @return total / seconds to the nearest multiple of UNIT that a settlement can have
    """
    nearest: uint256 = (2 * total + seconds * UNIT) // (2 * seconds * UNIT) * UNIT
    return min(max(nearest, UNIT), HIGHEST)
