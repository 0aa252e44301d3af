"""What the kit must know of a perp engine to audit it: one class in Python, an `Adapter`.

Everything is integers in the engine's own units: *money* (the unit its accounts are kept in), *size* (lots,
signed, above zero is long) and *price* (whatever `set_price` takes). A market's `scale` ties them together:
size * price / scale is money. What the engine refuses raises `margincall.chain.Reverted`.

What some engines have and others lack is an *ability*: a small class below (`Donations`, `OpenInterest`,
...). An adapter has the ability when it has its members; `abilities(adapter)` says which, and the report
lists what could not be checked for want of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from margincall.chain import Chain, Contract
from margincall.chain.base import Receipt

CROSS = -1
"""The pool of an account that backs positions in every market."""


class Account(NamedTuple):
    """Whose: an index into `Adapter.traders`. Pool: CROSS, or the market (an index into
    `Adapter.markets`) that the account's money backs alone: a vault."""

    trader: int
    pool: int = CROSS


class Market(NamedTuple):
    """price: to start with. low, high: the least and the greatest price that `set_price` is meant to take.
    scale: size * price / scale is money. penalty: the most that a liquidation may cost, ppm of the notional
    closed. band: how far from the mark a trade's price may be, ppm (0: only at the mark). step: a price move
    that the engine promises to survive without bad debt when liquidations follow it, ppm (0: no promise)."""

    name: str
    price: int
    low: int
    high: int
    scale: int
    penalty: int
    band: int = 0
    step: int = 0


class Margin(NamedTuple):
    """Money. equity: rounded down by the engine; initial, maintenance: the requirements, rounded up."""

    equity: int
    initial: int
    maintenance: int


class Stocks(NamedTuple):
    """Money that the engine holds or owes beside its accounts. insurance: of every pool: of the vaults of
    each market in order if there are vaults, of cross accounts last (so that insurance[account.pool] is the
    account's). fees: owed to the protocol. deficit: losses on record that nobody has borne yet."""

    insurance: tuple[int, ...] = (0,)
    fees: int = 0
    deficit: int = 0


class Adapter(Protocol):
    """A deployed engine. Make a new one for every history: the kit calls a function without arguments that
    deploys and returns an adapter. Facts belong on the chain: it is snapshotted and put back between runs.

    accounts: every account that can hold money or positions, a venue's own included. The last trader is the
    *keeper*: the kit gives him much money, and lets him take the other side of trades and liquidate. money:
    a usual deposit (some hundreds of dollars): amounts are drawn around it. rounding: the most money that
    one account may lose to rounding in one call. transfer: ppm of the gross notional that a withdrawal must
    leave as equity (lambda of I-11; 0: none). partial: whether `liquidate` can close a share of an account.
    accrues: whether equity changes with time alone (funding, interest). reward: the most that insurance pays
    a liquidator beside the shortfall.
    """

    name: str
    chain: Chain
    traders: Sequence[str]
    accounts: Sequence[Account]
    markets: Sequence[Market]
    money: int
    rounding: int
    transfer: int
    partial: bool
    accrues: bool
    reward: int

    # What is done: a receipt, or Reverted. Amounts of zero and absurd ones are passed on as they are.

    def deposit(self, account: Account, amount: int) -> Receipt:
        """The trader pays `amount` of money from his wallet into an account of his (give every trader more
        tokens than he can use when you deploy)."""

    def withdraw(self, account: Account, amount: int) -> Receipt:
        """The trader takes `amount` of money out to his wallet."""

    def trade(self, market: int, buyer: Account, seller: Account, size: int, price: int) -> Receipt:
        """`buyer` takes `size` > 0 lots from `seller` at `price`. An engine that trades against a venue of
        its own has an account for the venue in `accounts`, and refuses (raises Reverted) a trade without it.
        """

    def set_price(self, market: int, price: int) -> Receipt:
        """The market's mark (and index, and whatever else a move is made of) is `price` from now on."""

    def liquidate(self, liquidator: int, account: Account, share: int) -> Receipt:
        """The trader `liquidator` liquidates `share` thousandths of an account at most (1000: all that the
        engine allows). Without `partial` the share is ignored."""

    # What is seen: views only.

    def cash(self, account: Account) -> int:
        """Money booked on the account, signed, without unrealised profit or loss."""

    def size(self, account: Account, market: int) -> int:
        """Signed lots."""

    def margin(self, account: Account) -> Margin | None:
        """Equity and requirements now; None when the engine cannot judge (a stale price)."""

    def wallet(self, trader: int) -> int:
        """Money in the trader's own hands."""

    def held(self) -> int:
        """Money (tokens, converted) that the engine's contracts hold."""

    def stocks(self) -> Stocks:
        """Insurance, fees owed, deficits on record."""


@runtime_checkable
class Donations(Protocol):
    def donate(self, amount: int) -> Receipt:
        """Tokens worth `amount` are sent to the contract that holds the money, past its functions."""


@runtime_checkable
class OpenInterest(Protocol):
    def open_interest(self, market: int) -> int:
        """The engine's own count of lots held long."""


@runtime_checkable
class Withdrawable(Protocol):
    def withdrawable(self, account: Account) -> int:
        """What the engine says may be withdrawn now."""


@runtime_checkable
class Liquidatable(Protocol):
    def liquidatable(self, account: Account) -> bool:
        """What the engine says about whether a liquidation would succeed now."""


@runtime_checkable
class Pause(Protocol):
    def set_paused(self, paused: bool) -> Receipt:
        """Stop or resume, as its guardian."""


@runtime_checkable
class Ageing(Protocol):
    max_age: int
    """Seconds after which a price must no longer be used."""

    def age(self, market: int) -> int:
        """Seconds since the market's price was published."""


@runtime_checkable
class Surface(Protocol):
    contracts: Sequence[Contract]
    """Contracts whose every state-changing function a stranger may try, with drawn arguments."""

    anyone: Sequence[str]
    """Functions of them that are meant for anyone and may lower an account (liquidations, price updates)."""


class Rates(NamedTuple):
    """ppm of notional of one position, without tiers."""

    initial: int
    maintenance: int


@runtime_checkable
class ExactModel(Protocol):
    def entry(self, account: Account, market: int) -> tuple[int, int]:
        """The exact entry notional as a fraction (numerator, denominator) of money: what the position's
        value size * price / scale is compared with. Charges and funding owed count in it."""

    def rates(self, market: int) -> Rates:
        """The requirement the rule book states."""


ABILITIES = (
    Donations, OpenInterest, Withdrawable, Liquidatable, Pause, Ageing, Surface, ExactModel,
)  # fmt: skip


def abilities(adapter: Adapter) -> frozenset[str]:
    """Names of the abilities that an adapter has, and "Vaults" when some account is one."""
    found = {kind.__name__ for kind in ABILITIES if isinstance(adapter, kind)}
    if any(account.pool != CROSS for account in adapter.accounts):
        found.add("Vaults")
    return frozenset(found)
