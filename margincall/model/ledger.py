"""The one writer of cash, positions, open interest, pools and deficits."""

from collections.abc import Iterator

from margincall.model import accounts
from margincall.model import rules as margin_rules
from margincall.model.accounts import Position
from margincall.model.arithmetic import (
    INDEX_SCALE,
    MAX_ENTRY,
    MAX_MARKET,
    MAX_PERPS,
    MAX_SIZE,
    Refused,
)
from margincall.model.margin import CloseOut, Margin, close_out, margin
from margincall.model.markets import Market, Rules, Terms, check_cover, check_ramp, check_rules, check_terms
from margincall.model.options import Options

Positions = tuple[Position, ...]
Words = list[int]


def apply(
    size: int, entry: int, change: int, amount: int, social_long: int, social_short: int
) -> tuple[int, int, int, int]:
    """Post a signed change of size with its entry amount to one position.

    size, change: lots, signed; entry: money; amount: this party's share of the common entry
    amount (money, signed like `change`); social_*: the sides' charges (index units).
    Returns (size, entry, realised P&L, social). Entries are rounded up and realised down against
    the holder; social is what the market's deficit falls by.
    """
    if size == 0 or (size > 0) == (change > 0):
        opened = amount - abs(change) * (social_long if change > 0 else social_short) // INDEX_SCALE
        return size + change, entry + opened, 0, opened - amount
    held, wanted = abs(size), abs(change)
    closing, amount_closing = change, amount
    if wanted > held:
        closing = -size
        amount_closing = -(-amount * held // wanted)
    closed = min(held, wanted)
    delta = amount_closing - -closed * (social_long if size > 0 else social_short) // INDEX_SCALE
    released = entry if closed == held else -(-entry * closed // held)
    realised = -(released + delta)
    social = delta - amount_closing
    if wanted <= held:
        return size + closing, entry - released, realised, social
    opening = change - closing
    amount_opening = amount - amount_closing
    opened = amount_opening - abs(opening) * (social_long if opening > 0 else social_short) // INDEX_SCALE
    return opening, opened, realised, social + opened - amount_opening


def find(positions: Positions, market: int) -> int:
    """Lane of the position in `market`, or -1."""
    for lane, position in enumerate(positions):
        if position[0] == market:
            return lane
    return -1


def put(positions: Positions, lane: int, market: int, size: int, entry: int) -> Positions:
    """Set a lane (-1 appends); a size of zero removes it and the last lane takes its place.

    Raises Refused when size, entry or the number of positions is out of bounds.
    """
    if size:
        if not -MAX_SIZE <= size <= MAX_SIZE:
            raise Refused("ledger: size too large")
        if not -MAX_ENTRY <= entry <= MAX_ENTRY:
            raise Refused("ledger: entry too large")
        if lane < 0:
            if len(positions) >= MAX_PERPS:
                raise Refused("ledger: too many positions")
            return (*positions, (market, size, entry))
        return (*positions[:lane], (market, size, entry), *positions[lane + 1 :])
    if lane < 0:
        return positions
    last = len(positions) - 1
    if lane == last:
        return positions[:last]
    return (*positions[:lane], positions[last], *positions[lane + 1 : last])


def post(
    positions: Positions, market: int, change: int, amount: int, social_long: int, social_short: int
) -> tuple[Positions, int, int, int, int]:
    """`apply` to an account's position in `market`.

    Returns (positions, size before, size after, realised, social).
    """
    lane = find(positions, market)
    _, before, entry = positions[lane] if lane >= 0 else (market, 0, 0)
    size, entry, realised, social = apply(before, entry, change, amount, social_long, social_short)
    return put(positions, lane, market, size, entry), before, size, realised, social


class State:
    """Everything the contracts store, as plain ints.

    cash: account -> money; positions: account -> tuple of (market, size, entry) in lane order;
    books: account -> book words (never changed in place); modes: root account -> mode, where not CROSS;
    open_interest: market -> lots; deficit: market -> money (signed);
    insurance, treasury: pool -> money (pool 0: root accounts, a market's id: its vaults);
    residue, unsettled (what expired series paid out so far): money; denied: owner -> bit per mode;
    scale: token units per unit of money.
    transfer_rate, insurance_share, liquidator_share: ppm; reward: money; max_age: seconds.
    pinned: markets whose price the current transaction has used, or None when each operation is a
    transaction of its own (see `begin`). options: the side of options and portfolio accounts, or None.
    """

    _DICTS = (
        "cash",
        "positions",
        "books",
        "modes",
        "open_interest",
        "deficit",
        "insurance",
        "treasury",
        "denied",
    )
    _SCALARS = (
        "residue",
        "unsettled",
        "paused",
        "scale",
        "transfer_rate",
        "insurance_share",
        "liquidator_share",
        "reward",
        "max_age",
        "pinned",
    )
    __slots__ = ("markets", "options", *_DICTS, *_SCALARS)

    def __init__(
        self,
        *,
        scale: int = 1,
        transfer_rate: int = 100_000,
        insurance_share: int = 500_000,
        liquidator_share: int = 500_000,
        reward: int = 1_000_000,
        max_age: int = 300,
    ):
        self.markets: dict[int, Market] = {}
        self.cash: dict[int, int] = {}
        self.positions: dict[int, Positions] = {}
        self.books: dict[int, Words] = {}
        self.modes: dict[int, int] = {}
        self.open_interest: dict[int, int] = {}
        self.deficit: dict[int, int] = {}
        self.insurance: dict[int, int] = {}
        self.treasury: dict[int, int] = {}
        self.denied: dict[int, int] = {}
        self.residue = self.unsettled = 0
        self.options: Options | None = None
        self.paused = False
        self.scale = scale
        self.transfer_rate = transfer_rate
        self.insurance_share = insurance_share
        self.liquidator_share = liquidator_share
        self.reward = reward
        self.max_age = max_age
        self.pinned: frozenset[int] | None = None

    # -- markets

    def set_market(self, market: int, rules: Rules, terms: Terms) -> None:
        """List a market (ids are consecutive from 1) or change its rules and terms. Raises Refused."""
        if not 0 < market <= min(len(self.markets) + 1, MAX_MARKET):
            raise Refused("terms: ids are consecutive")
        known = self.markets.get(market)
        check_rules(rules)
        if known is not None:
            check_cover(rules, known.terms)
        check_terms(terms)
        check_cover(rules, terms)
        if known is None:
            self.markets[market] = Market(market, rules, terms)
            return
        check_ramp(known.terms, terms)
        known.rules = rules
        known.set_terms(terms)

    def set_max_age(self, max_age: int) -> None:
        """Largest age of a usable price, seconds (1 .. 3600). Raises Refused."""
        if not 0 < max_age <= 3_600:
            raise Refused("markets: max age out of bounds")
        self.max_age = max_age
        for market in self.markets.values():
            market.forget_quote()

    def update(self, market: int, mark: int, index: int, published: int, now: int) -> None:
        """Store a price report (price units, seconds). Raises Refused."""
        known = self.markets.get(market)
        if known is None:
            raise Refused("price: not this market's feed")
        if self.pinned is not None and market in self.pinned:
            raise Refused("price: second in transaction")
        known.update(mark, index, published, now, self.max_age)
        self.pin(market)

    def begin(self) -> None:
        """Operations until `end` belong to one transaction: one price per market in it."""
        self.pinned = frozenset()

    def end(self) -> None:
        """Back to a transaction per operation."""
        self.pinned = None

    def pin(self, market: int) -> None:
        """Note that this transaction has used the market's price."""
        if self.pinned is not None:
            self.pinned |= {market}

    # -- accounts

    def mode(self, account: int) -> int:
        """Mode of an account: ISOLATED of a vault, CROSS or PORTFOLIO of a root."""
        return accounts.ISOLATED if account & accounts.LOW_64 else self.modes.get(account, accounts.CROSS)

    def is_flat(self, account: int) -> bool:
        """Whether the account holds nothing but cash."""
        return not (self.positions.get(account) or self.books.get(account))

    def measure(
        self, now: int, account: int, cash: int, positions: Positions, words: Words | None = None
    ) -> Margin:
        """Equity, IM, MM, notional that `account` would have with this cash, these perps and (if given)
        these book words, by the rule of its mode. Raises Refused on a stale price or curve."""
        if words is None:
            words = self.books.get(account, ())
        if not words and account not in self.modes:
            return margin(cash, positions, self.markets, now, self.max_age)
        return margin_rules.measure(self, now, self.mode(account), cash, positions, words)

    def margin(self, account: int, now: int) -> Margin:
        """Equity, IM, MM, notional of an account. Raises Refused on a stale price or curve."""
        return self.measure(now, account, self.cash.get(account, 0), self.positions.get(account, ()))

    def close_out(self, account: int, now: int) -> CloseOut:
        """Equity, MM, slope, penalty of an account. Raises Refused on a stale price or curve."""
        cash, positions = self.cash.get(account, 0), self.positions.get(account, ())
        words = self.books.get(account, ())
        if not words and account not in self.modes:
            return close_out(cash, positions, self.markets, now, self.max_age)
        return margin_rules.standing(self, now, self.mode(account), cash, positions, words)

    def size(self, account: int, market: int) -> int:
        """Signed lots that the account holds in the market."""
        for position in self.positions.get(account, ()):
            if position[0] == market:
                return position[1]
        return 0

    def write(self, account: int, cash: int, positions: Positions) -> None:
        """Replace an account's cash and positions; an account with neither is forgotten."""
        if cash:
            self.cash[account] = cash
        else:
            self.cash.pop(account, None)
        if positions:
            self.positions[account] = positions
        else:
            self.positions.pop(account, None)

    def header(self, account: int) -> int:
        """The account's header word as stored."""
        count, book = len(self.positions.get(account, ())), len(self.books.get(account, ()))
        cash = self.cash.get(account, 0)
        mode = self.mode(account)
        if accounts.is_vault(account) and not (count or cash):
            mode = accounts.CROSS  # a vault that is empty has no header
        return accounts.pack_header(cash, count, mode, book)

    def words(self, account: int) -> list[int]:
        """The account's words as engines get them: the perps', then the book's."""
        return accounts.pack_words(self.positions.get(account, ())) + list(self.books.get(account, ()))

    def write_book(self, account: int, words: Words) -> None:
        """Replace an account's book; an empty one is forgotten."""
        if words:
            self.books[account] = words
        else:
            self.books.pop(account, None)

    def pool_word(self, pool: int) -> int:
        """A pool's word as stored: insurance 128 | treasury 128."""
        return self.insurance.get(pool, 0) | self.treasury.get(pool, 0) << 128

    # -- stocks

    def move_open_interest(self, market: int, change: int) -> int:
        """Add lots to the open interest; at zero, what rounding left of the deficit becomes residue."""
        interest = self.open_interest.get(market, 0) + change
        self.open_interest[market] = interest
        if not interest:
            self.residue -= self.deficit.pop(market, 0)
        return interest

    def charges(self) -> list[tuple[int, int]]:
        """Social charges of all markets, for `restore_charges`."""
        return [(market.social_long, market.social_short) for market in self.markets.values()]

    def restore_charges(self, charges: list[tuple[int, int]]) -> None:
        """Undo `Market.charge` since `charges` was called."""
        for market, (longs, shorts) in zip(self.markets.values(), charges, strict=True):
            if (market.social_long, market.social_short) != (longs, shorts):
                market.social_long, market.social_short = longs, shorts
                market.forget_quote()

    def claims(self) -> int:
        """What the token balance must cover, in money (the right side of I-01):
        sum of cash + insurance + treasury + residue - sum of entries - sum of deficits - unsettled.
        """
        entries = sum(entry for positions in self.positions.values() for _, _, entry in positions)
        return (
            sum(self.cash.values())
            + sum(self.insurance.values())
            + sum(self.treasury.values())
            + self.residue
            - entries
            - sum(self.deficit.values())
            - self.unsettled
        )

    def residual(self, token_balance: int, scale: int) -> int:
        """I-01 in token units: token balance - scale * claims; what is left is donations and dust."""
        return token_balance - scale * self.claims()

    def holders(self) -> Iterator[int]:
        """All accounts that hold positions."""
        return iter(self.positions | self.books)

    # -- two-run tests

    def snapshot(self) -> tuple:
        """A copy of everything, to be passed to `restore` any number of times."""
        return (
            tuple(getattr(self, name).copy() for name in self._DICTS),
            tuple(getattr(self, name) for name in self._SCALARS),
            tuple((market, known.snapshot()) for market, known in self.markets.items()),
            self.options and self.options.snapshot(),
        )

    def restore(self, snapshot: tuple) -> None:
        """Back to the state of a `snapshot`."""
        dicts, scalars, markets, options = snapshot
        for name, value in zip(self._DICTS, dicts, strict=True):
            setattr(self, name, value.copy())
        for name, value in zip(self._SCALARS, scalars, strict=True):
            setattr(self, name, value)
        listed = {}
        for market, values in markets:
            known = self.markets.get(market) or Market(market, values[0], values[1])
            known.restore(values)
            listed[market] = known
        self.markets = listed
        self.options = options and options.snapshot()
