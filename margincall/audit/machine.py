"""The state machine: every operation on the real contracts and on their exact twin, then every property.

    machine = Machine(SETTINGS["plain"])
    for _ in range(1_000):
        machine.step(draw)

A violated property or a difference between contracts and twin raises `Violation` with the last actions.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from margincall.audit.book import OrderBook
from margincall.audit.draw import Draw
from margincall.audit.mirror import Mirror
from margincall.audit.observing import Observer
from margincall.audit.settings import Setting
from margincall.audit.world import MARKETS, World
from margincall.chain import Chain, Contract
from margincall.chain.base import Receipt, Reverted
from margincall.model import Refused, accounts
from margincall.model.margin import Margin
from margincall.protocol.artifacts import Artifact

ANY = "(any reason)"
Deferral = tuple[int, int]
"""Which act of the machine left it in the queue, and at what place."""


class Violation(AssertionError):
    """Property `name` does not hold, or ("differential") contracts and twin differ; `detail` says how;
    `action` is the one after which, `before` and `after` its accounts."""

    def __init__(
        self,
        message: str,
        name: str = "",
        detail: str = "",
        action: Action | None = None,
        before: dict[int, Holding] | None = None,
        after: dict[int, Holding] | None = None,
    ) -> None:
        super().__init__(message)
        self.name, self.detail, self.action = name, detail, action
        self.before, self.after = before or {}, after or {}


class Holding(NamedTuple):
    """An account as the contracts have it. book: its words, or (before an action) the twin's."""

    cash: int
    positions: tuple
    book: tuple[int, ...]
    margin: Margin | None


class Action(NamedTuple):
    """One transaction. `twin(now)` applies it to the model, or is None when it changes nothing there;
    `refusal`: why the contracts must refuse it although the twin would not (access, orders, the token);
    `named`: accounts that it may change; `seconds`: after the last block; `done(now)`: bookkeeping of
    the machine on success; `facts`: what its properties need to know."""

    kind: str
    sender: str
    target: Contract
    call: tuple
    twin: Callable[[int], Any] | None = None
    named: frozenset[int] = frozenset()
    refusal: str | Callable[[int], str | None] | None = None
    seconds: int = 1
    done: Callable[[int], None] | None = None
    facts: dict = {}  # noqa: RUF012 - a default that nobody writes to


class View(NamedTuple):
    """The twin before an action. quotes: market -> quote at the action's time, None when stale."""

    cash: dict[int, int]
    positions: dict[int, tuple]
    books: dict[int, list[int]]
    modes: dict[int, int]
    unsettled: int
    insurance: dict[int, int]
    treasury: dict[int, int]
    deficit: dict[int, int]
    residue: int
    social: tuple[tuple[int, int], ...]
    prices: tuple[tuple, ...]
    held: int
    extra: int
    margins: dict[int, Margin | None]


class Step(NamedTuple):
    """What happened: `touched` accounts differ from before; `result` is the twin's, or what the chain did
    when there is no exact twin; `refusal`: why the action itself says that it has to be refused."""

    action: Action
    now: int
    ok: bool
    reason: str
    before: View
    result: Any
    receipt: Receipt | None
    touched: frozenset[int]
    refusal: str | None = None


class Machine:
    """A world, its twin, an operation at a time. `counts`: what was reached; `checked`: property id -> how
    often it was really checked; `refusals`: reasons; `replaced`: contracts to deploy instead of the
    project's own; `chain`: an embedded one of its own, or a node. `exact=False`: the twin is no oracle;
    what the contracts store is adopted into it after every action (see `observing`). `found`: None, or
    property id -> step of its first violation: then a violation is noted there and the run goes on.
    """

    def __init__(
        self,
        setting: Setting,
        rates: dict[str, int] | None = None,
        replaced: Mapping[str, Artifact] | None = None,
        exact: bool = True,
        found: dict[str, int] | None = None,
        chain: Chain | None = None,
        only: str | None = None,
    ) -> None:
        from margincall.audit import operations, properties

        self.setting = setting
        self.world = World(setting, replaced, chain)
        self.chain, self.twin, self.protocol = self.world.chain, self.world.twin, self.world.protocol
        self.book = OrderBook(self.world)
        self.mirror = Mirror(self.world)
        self.observer = None if exact else Observer(self.world, self.mirror)
        self.found = found
        self.counts: Counter = Counter()
        self.checked: Counter = Counter()
        self.refusals: Counter = Counter()
        self.steps = 0
        self.queue: deque[Callable[[Machine], Action | None]] = deque()
        self.deferred: deque[tuple[Deferral, Callable[[Machine], Action | None]]] = deque()
        self.acts = 0
        self.history: deque[str | tuple] = deque(maxlen=25)
        self.trend = dict.fromkeys(MARKETS, 1)
        self.pending: list[tuple] = []
        self.slack = dict.fromkeys(MARKETS, 0)
        self.memory: dict[str, Any] = {}
        self._pick = operations.picker(setting)
        self.properties = properties
        self.checks = properties.checks(setting, only)
        self._rates = properties.rates(setting) if rates is None else rates
        self._margins: tuple[int, dict] = (-1, {})
        self._judged: dict[tuple[int, int], Margin | None] = {}
        self.doing: tuple[Action, View] | None = None
        operations.start(self)

    # ------------------------------------------------------------ driving

    def step(self, draw: Draw) -> Step | None:
        """Draw one operation, or take the next that an earlier one left in `queue`, and do it; None when
        it had nothing to do."""
        step = self.act(draw, self.deferred.popleft()[1] if self.deferred else None)
        for name in self.due() if step else ():
            self.properties.run_sometimes(name, self, draw)
        return step

    def act(self, draw: Draw, deferred: Callable[[Machine], Action | None] | None = None) -> Step | None:
        """Draw an operation, or make the deferred one; do it, and defer what it left in `queue`."""
        action = deferred(self) if deferred else self._pick(self, draw)
        left = [((self.acts, place), later) for place, later in enumerate(self.queue)]
        self.deferred.extendleft(reversed(left))  # before what earlier acts left: timing matters to it
        self.queue.clear()
        self.acts += 1
        return self.do(action) if action else None

    def due(self) -> list[str]:
        """The properties that are checked now and then whose turn it is after this step."""
        return [name for name, rate in self._rates.items() if self.steps % rate == rate // 2]

    def do(self, action: Action) -> Step:
        """Apply an action to the contracts and the twin, compare them, check every property."""
        self.steps += 1
        now = self.chain.timestamp + action.seconds
        before = self._view(now, action)
        self.doing = action, before
        refusal = action.refusal(now) if callable(action.refusal) else action.refusal
        if self.observer:
            self.observer.look(action, now)
            reason, receipt = self._on_chain(action, now)
            if receipt is not None:
                self._on_twin(action, now, refusal)
        else:
            wanted, result = self._on_twin(action, now, refusal)
            reason, receipt = self._on_chain(action, now)
        ok = receipt is not None
        self.history.append((self.steps, now, action, reason))
        if not self.observer and (wanted or "") != reason and not (wanted == ANY and not ok):
            self.fail("differential", f"{action.kind}: contracts {reason or 'ok'!r}, twin {wanted or 'ok'!r}")
        self.forget()
        if ok and action.done:
            action.done(now)
        touched = None if self.observer else self._touched(before)
        # The EVM itself undoes what reverts: of those steps every eighth is looked at.
        if self.observer or ok or self.steps % 8 == 0:
            self.compare(action.kind, action.named, touched)
            self.checked["storage"] += 1
        if self.observer:
            result, touched = self.observer.result(action, before, receipt), self._touched(before)
        self.counts[f"{action.kind} {'ok' if ok else 'refused'}"] += 1
        if not ok:
            self.refusals[reason] += 1
        step = Step(action, now, ok, reason, before, result, receipt, touched, refusal)
        self.properties.run_every_step(self, step)
        return step

    def compare(
        self, what: str, named: frozenset[int] = frozenset(), changed: Iterable[int] | None = None
    ) -> None:
        """Contracts and twin agree on every word; without an exact twin, it adopts the contracts'. `changed`:
        the accounts that are not as they were when they last agreed (None: any may)."""
        if self.observer:
            self.observer.adopt(named)
            self.forget()
        elif differences := self.mirror.check(changed):
            self.fail("differential", f"{what}: " + "; ".join(differences))

    def forget(self) -> None:
        """Drop cached margins after the state changed."""
        self._margins = (-1, {})
        self._judged.clear()

    def fail(self, name: str, message: str) -> None:
        """Raise a Violation of property `name`, or note it."""
        if self.found is not None:
            self.found.setdefault(name, self.steps)
            return
        lines = "\n  ".join(map(_told, self.history))
        text = f"{name}: {message}\n  setting {self.setting.name}, last actions:\n  {lines}"
        action, view = self.doing or (None, None)
        ids = sorted(action.named) if action else []
        before = {
            a: Holding(
                view.cash.get(a, 0),
                view.positions.get(a, ()),
                tuple(view.books.get(a, ())),
                view.margins.get(a),
            )
            for a in ids
        }
        raise Violation(text, name, message, action, before, {a: self.holding(a) for a in ids})

    def need(self, name: str, holds: bool, message: Any = "") -> None:
        """Fail unless `holds`; counts one check of the property."""
        if not holds:
            text = "" if self.found is not None else str(message() if callable(message) else message)
            self.fail(name, text)
        self.checked[name] += 1

    # ------------------------------------------------------------ reading

    def holding(self, account: int) -> Holding:
        """An account as the contracts have it now."""
        house = self.world.house
        header, words = house.call("account", account)
        cash, count, _ = accounts.unpack_header(header)
        perps = (count + 1) // 2
        try:
            margin = Margin(*house.call("margin", account))
        except Reverted:
            margin = None
        book = tuple(words[perps:])
        return Holding(cash, accounts.unpack_words(words[:perps], count), book, margin)

    def margins(self, now: int | None = None) -> dict[int, Margin | None]:
        """Margin of every account with positions (None: a price or curve is stale), now or at the last
        block."""
        now = self.chain.timestamp if now is None else now
        if self._margins[0] != now:
            twin = self.twin
            self._margins = (now, {a: self.margin_of(a, now) for a in twin.holders()})
        return self._margins[1]

    def margin_of(self, account: int, now: int) -> Margin | None:
        """Margin of one account; None when a price or curve is stale, or a series expired."""
        key = (account, now)
        if key not in self._judged:
            try:
                self._judged[key] = self.twin.margin(account, now)
            except Refused:
                self._judged[key] = None
        return self._judged[key]

    def unhealthy(self, now: int | None = None) -> list[int]:
        """Accounts below maintenance."""
        return [a for a, x in self.margins(now).items() if x and x.equity < x.maintenance]

    def plain(self) -> list[int]:
        """Accounts with perps that are judged by the rule of perps alone."""
        twin = self.twin
        return [a for a in twin.positions if a not in twin.books and a not in twin.modes]

    def fresh(self, now: int, seconds: int = 0) -> bool:
        """Whether every price is usable until `seconds` from `now`."""
        return all(
            m.mark and now + seconds <= m.published + self.twin.max_age for m in self.twin.markets.values()
        )

    # ------------------------------------------------------------ internal

    def _view(self, now: int, action: Action) -> View:
        twin = self.twin
        markets = twin.markets.values()
        margins = {a: self.margin_of(a, now) for a in action.named}
        return View(
            twin.cash.copy(),
            twin.positions.copy(),
            twin.books.copy(),
            twin.modes.copy(),
            twin.unsettled,
            twin.insurance.copy(),
            twin.treasury.copy(),
            twin.deficit.copy(),
            twin.residue,
            tuple((m.social_long, m.social_short) for m in markets),
            tuple((m.mark, m.published, m.funding, m.rate) for m in markets),
            self.world.held,
            self.world.extra,
            margins,
        )

    def _on_twin(self, action: Action, now: int, refusal: str | None) -> tuple[str | None, Any]:
        if refusal is not None or action.twin is None:
            return refusal, None
        try:
            return None, action.twin(now)
        except Refused as error:
            return error.reason, None
        except (ArithmeticError, LookupError, ValueError):
            if self.observer:  # the contracts left a state that the model cannot hold
                return "(the model fails)", None
            raise

    def _on_chain(self, action: Action, now: int) -> tuple[str, Receipt | None]:
        try:
            return "", self.world.send(action.sender, action.target, action.call, now)
        except Reverted as error:
            return error.reason or "(no reason)", None

    def _touched(self, before: View) -> frozenset[int]:
        cash, positions, books = self.twin.cash, self.twin.positions, self.twin.books
        changed = {a for a, x in cash.items() if before.cash.get(a, 0) != x}
        changed.update(a for a, x in before.cash.items() if x and a not in cash)
        changed.update(a for a, x in positions.items() if before.positions.get(a) is not x)
        changed.update(a for a in before.positions if a not in positions)
        if books or before.books or self.twin.modes != before.modes:
            changed.update(a for a in books.keys() | before.books if books.get(a) != before.books.get(a))
            modes = self.twin.modes.keys() ^ before.modes.keys()
            # Who closed his account has left his mode too.
            changed.update(modes)
        return frozenset(changed)


def _told(line: str | tuple) -> str:
    """A line of the last actions, for people."""
    if isinstance(line, str):
        return line
    number, now, action, reason = line
    text = str(action.call)
    text = text if len(text) < 400 else text[:400] + "..."
    return f"{number} t={now} {action.kind} {text} -> {reason or 'ok'}"
