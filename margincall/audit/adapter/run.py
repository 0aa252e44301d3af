"""A history of symbolic calls on an adapter: what the state was, what a call did, what the properties say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from margincall.audit.adapter.protocol import Account, Adapter, Ageing, Margin, Stocks, abilities
from margincall.chain.base import BLOCK_GAS, Receipt, Reverted
from margincall.replay.candles import BadInput

STRANGER = "0x" + "57a46e" * 6 + "57a4"


class Call(NamedTuple):
    """One call of a history: `kind` is the adapter's method ("wait", "stranger" and "probe" are the kit's
    own), `args` plain values. A history is a list of these and replays on a fresh adapter."""

    kind: str
    args: tuple

    def text(self) -> str:
        return f"{self.kind}({', '.join(_plain(arg) for arg in self.args)})"


def _plain(arg: Any) -> str:
    return f"Account({arg.trader}, {arg.pool})" if isinstance(arg, Account) else repr(arg)


class Seen(NamedTuple):
    """An account: money booked, its margin (None: cannot be judged now), lots by market."""

    cash: int
    margin: Margin | None
    sizes: tuple[int, ...]

    @property
    def flat(self) -> bool:
        return not any(self.sizes)

    @property
    def equity(self) -> int | None:
        return self.margin and self.margin.equity

    @property
    def health(self) -> int | None:
        return self.margin and self.margin.equity - self.margin.maintenance


class State(NamedTuple):
    accounts: dict[Account, Seen]
    wallets: tuple[int, ...]
    held: int
    stocks: Stocks
    prices: tuple[int, ...]
    interest: tuple[int, ...] | None
    paused: bool

    @property
    def judged(self) -> bool:
        return all(seen.margin for seen in self.accounts.values())

    @property
    def total(self) -> int:
        """Sum of equity, insurance and fees, less the deficits: what the engine owes in all."""
        stocks = self.stocks
        equity = sum(seen.margin.equity for seen in self.accounts.values())
        return equity + sum(stocks.insurance) + stocks.fees - stocks.deficit


class Step(NamedTuple):
    """`named`: the accounts that the call may change; `reason`: of a refusal, "" of success."""

    call: Call
    before: State
    after: State
    named: frozenset[Account]
    reason: str
    receipt: Receipt | None

    @property
    def ok(self) -> bool:
        return not self.reason


class Broken(Exception):
    """A property does not hold. `numbers` are those in its formula."""

    def __init__(self, name: str, formula: str, message: str, numbers: dict[str, Any]) -> None:
        super().__init__(f"{name}: {message}")
        self.name, self.formula, self.message, self.numbers = name, formula, message, numbers


class Run:
    """An adapter, its state, counters. `checked`: id -> how often really checked; `skip`: ids not looked at
    (a violation of theirs is already known)."""

    def __init__(self, factory: Callable[[], Adapter], skip: frozenset[str] = frozenset()) -> None:
        self.factory = factory
        self.adapter = factory()
        self.abilities = abilities(self.adapter)
        self.skip = skip
        self.checked: Counter = Counter()
        self.counts: Counter = Counter()
        self.refusals: Counter = Counter()
        self.history: list[Call] = []
        self.prices = [market.price for market in self.adapter.markets]
        self.paused = False
        self.donated = 0
        self.rounded = 0
        self.put = dict.fromkeys(self.adapter.accounts, 0)
        self.envelope = True
        self.keeper = len(self.adapter.traders) - 1
        self.state = self.read()
        self.first = self.state
        self.seen_total = 0

    # ------------------------------------------------------------ doing

    def apply(self, call: Call) -> Step | None:
        """Do a call and check what can be checked after it. Raises Broken."""
        from margincall.audit.adapter import properties

        self.history.append(call)
        if call.kind == "probe":
            properties.probe(self, *call.args)
            return None
        self.seen_total = self.state.total if self.state.judged else 0
        before = self._aged(call) if self.adapter.accrues else self.state
        reason, receipt = self.attempt(call)
        if not reason:
            self._book(call, before)
        self.state = self.read()
        step = Step(call, before, self.state, self.named(call), reason, receipt)
        self.counts[f"{call.kind} {'refused' if reason else 'ok'}"] += 1
        if reason:
            self.refusals[reason] += 1
        properties.after(self, step)
        return step

    def _aged(self, call: Call) -> State:
        """The state before a call, at the second of the call: what time does is not the call's doing."""
        chain = self.adapter.chain
        with self.on_copy():
            self.attempt(call)
            then = chain.timestamp
        with self.on_copy():
            if then > chain.timestamp:
                chain.send(STRANGER, STRANGER, b"", at=then)
            return self.read()

    def attempt(self, call: Call) -> tuple[str, Receipt | None]:
        """The call alone: the reason of a refusal ("" for success), the receipt."""
        try:
            return "", self._send(call)
        except Reverted as error:
            return error.reason or "(no reason)", None
        except ValueError as error:
            # An amount that its ABI type cannot hold never reaches the engine.
            if "out of range" not in str(error):
                raise
            return "(not in the ABI's range)", None

    def _send(self, call: Call) -> Receipt | None:
        chain = self.adapter.chain
        if call.kind == "wait":
            return chain.send(STRANGER, STRANGER, b"", at=chain.timestamp + call.args[0])
        if call.kind == "stranger":
            place, function, args = call.args
            return self.adapter.contracts[place].send(STRANGER, function, *args)
        return getattr(self.adapter, call.kind)(*call.args)

    def _book(self, call: Call, before: State) -> None:
        kind, args = call
        # A call rounds the accounts it names and everyone a charge reaches.
        self.rounded += self.adapter.rounding * (2 + len(self.adapter.accounts) * (kind == "liquidate"))
        if kind == "set_price":
            market, price = args
            old, step = self.prices[market], self.adapter.markets[market].step
            if abs(price - old) * 10**6 > old * step:
                self.envelope = False
            if any((s.health or 0) < 0 for s in before.accounts.values()):
                self.envelope = False  # a second move before the first's liquidations
            self.prices[market] = price
        elif kind == "deposit":
            self.put[args[0]] += args[1]
        elif kind == "withdraw":
            self.put[args[0]] -= args[1]
        elif kind == "donate":
            self.donated += args[0]
        elif kind == "set_paused":
            self.paused = args[0]

    def named(self, call: Call) -> frozenset[Account]:
        """The accounts that a call is about. A liquidation is about the liquidator's accounts too."""
        kind, args = call
        if kind in ("deposit", "withdraw"):
            return frozenset((args[0],))
        if kind == "trade":
            return frozenset(args[1:3])
        if kind == "liquidate":
            own = {a for a in self.adapter.accounts if a.trader == args[0]}
            own = {a for a in own if a.pool in (args[1].pool, -1)}
            return frozenset(own | {args[1]})
        return frozenset()

    # ------------------------------------------------------------ seeing

    def read(self) -> State:
        """Every view of the adapter. Raises BadInput when one reverts: views must answer in every state."""
        try:
            return self._read()
        except Reverted as error:
            raise BadInput(
                f"{self.adapter.name}: a view reverted ({error}) after {self.history[-1:] or 'deployment'};"
                " views must answer in every state (margin() with None)"
            ) from error

    def _read(self) -> State:
        adapter = self.adapter
        markets = range(len(adapter.markets))
        accounts = {
            a: Seen(adapter.cash(a), adapter.margin(a), tuple(adapter.size(a, m) for m in markets))
            for a in adapter.accounts
        }
        interest = None
        if "OpenInterest" in self.abilities:
            interest = tuple(adapter.open_interest(m) for m in markets)
        wallets = tuple(adapter.wallet(trader) for trader in range(len(adapter.traders)))
        return State(
            accounts, wallets, adapter.held(), adapter.stocks(), tuple(self.prices), interest, self.paused
        )

    def notional(self, seen: Seen) -> int:
        """Gross, money, rounded up."""
        total = 0
        for size, price, market in zip(seen.sizes, self.prices, self.adapter.markets, strict=True):
            total += -(-abs(size) * price // market.scale)
        return total

    def stale(self) -> bool:
        """Whether some price may no longer be used."""
        adapter = self.adapter
        if not isinstance(adapter, Ageing):
            return False
        return any(adapter.age(market) > adapter.max_age for market in range(len(adapter.markets)))

    # ------------------------------------------------------------ judging

    def judge(self, check: Callable, *args: Any) -> None:
        """Run a property, a function named by its id (`i_08`, `i_35_pieces` -> I-08, I-35)."""
        name = "I-" + check.__name__[2:4]
        if name not in self.skip:
            self._judging = name, " ".join(check.__doc__.split())
            check(self, *args)

    def need(self, holds: bool, message: str, **numbers: Any) -> None:
        """Count one check of the property that is judged; raise Broken unless it holds."""
        name, formula = self._judging
        self.checked[name] += 1
        if not holds:
            raise Broken(name, formula, message, numbers)

    def on_copy(self) -> Copy:
        """A context in which everything done is undone afterwards."""
        return Copy(self)


class Copy:
    """The chain and the run's own memory, put back on leaving."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __enter__(self) -> Run:
        run = self.run
        self.mark = run.adapter.chain.snapshot()
        self.kept = (list(run.prices), run.paused, run.state)
        return run

    def __exit__(self, *_: object) -> None:
        run = self.run
        run.adapter.chain.revert(self.mark)
        run.prices, run.paused, run.state = self.kept


BLOCK_HALF = BLOCK_GAS // 2
