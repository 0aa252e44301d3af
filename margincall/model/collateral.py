"""Spot tokens as collateral: which, how much of them, and whose. The integer twin of Collateral.vy.

Lots are held in books as spot of a market; a token's scale is its units a lot. Sizes in lots, amounts in
token units. Who may call is not modelled, nor that a token's market must have risk terms.
"""

from dataclasses import dataclass

from margincall.model.arithmetic import MAX_MARKET, Refused, ceil_div
from margincall.model.book import MAX_FORWARD, Segment, Words
from margincall.model.bookings import merged, post_book
from margincall.model.ledger import State

WITHDRAWAL_RULE = 1

MAX_SCALE = 10**18


@dataclass
class Listing:
    """A token: units a lot, lots of all accounts, their cap, the least deposit, units held."""

    scale: int
    cap: int
    minimum: int
    total: int = 0
    balance: int = 0


class Collateral:
    """The collateral contract's state, a listing a market."""

    def __init__(self) -> None:
        self.listings: dict[int, Listing] = {}

    def list_token(self, market: int, scale: int, cap: int, minimum: int) -> None:
        """Take a token as spot of a market, once. Raises Refused."""
        if not 0 < market <= MAX_MARKET:
            raise Refused("collateral: no such market")
        if market in self.listings:
            raise Refused("collateral: listed")
        if not 0 < scale <= MAX_SCALE:
            raise Refused("collateral: scale")
        _check_limits(cap, minimum)
        self.listings[market] = Listing(scale, cap, minimum)

    def set_limits(self, market: int, cap: int, minimum: int) -> None:
        """Change the limits of deposits (lots)."""
        listing = self._listing(market)
        _check_limits(cap, minimum)
        listing.cap, listing.minimum = cap, minimum

    def deposit(self, state: State, now: int, account: int, market: int, arrived: int) -> int:
        """Credit tokens that arrived, in whole lots, to an account that can be judged with them. Returns
        them."""
        listing = self._listing(market)
        lots = arrived // listing.scale
        if lots < listing.minimum:
            raise Refused("collateral: below minimum")
        if listing.total + lots > listing.cap:
            raise Refused("collateral: cap")
        state.markets[market].quote(now, state.max_age)
        if state.markets[market].in_grace(now):
            raise Refused("collateral: grace after outage")
        words, _ = merged(state, account, spot(market, lots), False)
        state.measure(now, account, state.cash.get(account, 0), state.positions.get(account, ()), words)
        post_book(state, now, account, spot(market, lots), False, 0)
        listing.total += lots
        listing.balance += arrived
        return lots

    def withdraw(self, state: State, now: int, account: int, market: int, amount: int) -> int:
        """Take tokens out under the withdrawal rule; whole lots, rounded up, leave the account. Returns
        them."""
        listing = self._listing(market)
        lots = ceil_div(amount, listing.scale)
        if not 0 < lots <= MAX_FORWARD:
            raise Refused("collateral: bad amount")
        post_book(state, now, account, spot(market, lots), True, 0, WITHDRAWAL_RULE)
        listing.total -= lots
        listing.balance -= amount
        return lots

    def _listing(self, market: int) -> Listing:
        if market not in self.listings:
            raise Refused("collateral: not listed")
        return self.listings[market]


def spot(market: int, lots: int) -> Words:
    """So much spot of a market as a book fragment."""
    return Segment(market, 0, lots).words()


def _check_limits(cap: int, minimum: int) -> None:
    if not 0 <= cap <= MAX_FORWARD:
        raise Refused("collateral: cap too large")
    if not 0 < minimum <= MAX_FORWARD:
        raise Refused("collateral: bad minimum")
