"""Expired series: the averaged settlement price and who gets what. The integer twin of Expiry.vy.

The price of a market and expiry is the time average of the marks shown to `observe`, over the last WINDOW
seconds: each counts from its publication to that of the next one shown, at most `max_age` seconds, inside
the window; the first one published at or after expiry ends it, and is the price when nothing else counts.
Prices in price units, times in unix seconds, money in 1e-6.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from margincall.model import accounts
from margincall.model.arithmetic import MAX_MARKET, MAX_PRICE, Refused
from margincall.model.book import Book, merge
from margincall.model.instrument import DAY, HOUR_OF_EXPIRY, STRIKE_UNIT, WINDOW
from margincall.model.ledger import State, Words

HIGHEST = MAX_PRICE // STRIKE_UNIT * STRIKE_UNIT


@dataclass
class Track:
    """What was shown of one expiry: the last price, when it was published, the sum of price * seconds, the
    seconds that count; the settlement price (0: not fixed)."""

    price: int = 0
    published: int = 0
    total: int = 0
    counted: int = 0
    settlement: int = 0


class Expiry:
    """The expiry contract's state."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.tracks: dict[tuple[int, int], Track] = {}

    def settlement(self, market: int, expiry: int) -> int:
        """The settlement price, 0 while it is not fixed."""
        return self.track(market, expiry).settlement

    def track(self, market: int, expiry: int) -> Track:
        """What was shown of an expiry. Raises Refused for one that cannot be."""
        if not 0 < market <= MAX_MARKET:
            raise Refused("expiry: no such market")
        if not 0 <= expiry < 2**32 or expiry % DAY != HOUR_OF_EXPIRY:
            raise Refused("expiry: not an expiry")
        return self.tracks.get((market, expiry), Track())

    def observe(self, market: int, price: int, published: int, max_age: int, expiry: int = 0) -> None:
        """Show a market's last price to an expiry's average; expiry 0: the one that it is for."""
        if not 0 < market <= MAX_MARKET:
            raise Refused("expiry: no such market")
        if price == 0:
            raise Refused("expiry: no price")
        if expiry == 0:
            expiry = next_expiry(published)
            if published + WINDOW + max_age <= expiry:
                expiry -= DAY
        track = self.track(market, expiry)
        if track.settlement or published <= track.published or published + WINDOW + max_age <= expiry:
            return
        start = max(track.published, expiry - WINDOW)
        end = min(published, expiry, track.published + max_age)
        seconds = max(end - start, 0)
        total, counted = track.total + track.price * seconds, track.counted + seconds
        fixed = 0
        if published >= expiry:
            fixed = rounded(total, counted) if counted else rounded(price, 1)
        self.tracks[market, expiry] = Track(price, published, total, counted, fixed)

    def settle(self, state: State, ids: Iterable[int], market: int, expiry: int) -> list[tuple[int, int]]:
        """Take the series out of these accounts' books and pay what it is worth. Returns (account, payoff)
        of those that held it; the others are passed over. Raises Refused without a price."""
        price = self.settlement(market, expiry)
        if not price:
            raise Refused("expiry: no settlement price")
        paid = []
        for account in ids:
            fragment, payoff = self.book.payoff(state.books.get(account, ()), market, expiry, price)
            if fragment:
                post_book(state, account, fragment, True, payoff)
                paid.append((account, payoff))
        return paid


def next_expiry(time: int) -> int:
    """The first 08:00 UTC after `time`."""
    return (time - HOUR_OF_EXPIRY) // DAY * DAY + DAY + HOUR_OF_EXPIRY


def rounded(total: int, seconds: int) -> int:
    """total / seconds to the nearest multiple of 10_000 price units that a settlement can have (never 0)."""
    nearest = (2 * total + seconds * STRIKE_UNIT) // (2 * seconds * STRIKE_UNIT) * STRIKE_UNIT
    return min(max(nearest, STRIKE_UNIT), HIGHEST)


def post_book(state: State, account: int, fragment: Words, negate: bool, cash: int) -> None:
    """Add a fragment to an account's book (`negate`: take it out) with cash against `unsettled`. What a flat
    account is left owing is paid by insurance, or recorded as deficit of pool 0. Raises Refused."""
    if accounts.is_vault(account) or account == 0:
        raise Refused("clearing: not a root account")
    book, _ = merge(state.books.get(account, ()), fragment, negate)
    held, positions = state.cash.get(account, 0) + cash, state.positions.get(account, ())
    if held < 0 and not (book or positions):
        paid = min(-held, state.insurance.get(0, 0))
        state.insurance[0] = state.insurance.get(0, 0) - paid
        state.deficit[0] = state.deficit.get(0, 0) - held - paid
        held = 0
    state.write(account, held, positions)
    state.write_book(account, book)
    state.unsettled += cash
