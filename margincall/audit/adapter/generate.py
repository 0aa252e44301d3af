"""What to do next: calls drawn towards the states where engines break."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from functools import partial

from margincall.audit.adapter.properties import PROBES, applies
from margincall.audit.adapter.properties.acts import clamp, keeper_account
from margincall.audit.adapter.properties.state import bound
from margincall.audit.adapter.protocol import Account, Ageing
from margincall.audit.adapter.run import STRANGER, Call, Run

PPM = 10**6
EXTREMES = (0, 1, 2**64, 2**128, 2**255, 2**256 - 1)
PROBE_EVERY = {
    "i_02": 40, "i_04": 12, "i_10_reduce": 9, "i_12": 7, "i_13": 7, "i_15": 240, "i_17": 5, "i_20_chunks": 6,
    "i_22": 14, "i_28": 240, "i_35_money": 15, "i_35_trip": 15, "i_35_pieces": 9, "i_38_pause": 25,
}  # fmt: skip
"""Every how many calls, on average, the properties run that need runs of their own."""


class Generator:
    """Draws calls for one run. `calm`: prices stay inside the markets' steps and liquidations follow them."""

    def __init__(self, run: Run, rng: random.Random, calm: bool) -> None:
        self.run, self.rng, self.calm = run, rng, calm
        self.queue: deque[Callable[[], Call | None]] = deque()
        self.trend = [rng.choice((-1, 1)) for _ in run.prices]
        self._probes = [name for name in PROBES if applies(run, name)]
        self._kinds, self._weights = zip(*self._menu(), strict=True)
        for account in run.adapter.accounts:
            rich = run.adapter.money * (1_000 if account.trader == run.keeper else rng.choice((1, 1, 2, 10)))
            self.queue.append(lambda account=account, rich=rich: Call("deposit", (account, rich)))

    def _menu(self) -> list[tuple[Callable[[], Call | None], int]]:
        has = self.run.abilities
        menu = [
            (self.deposit, 6), (self.withdraw, 10), (self.trade, 26), (self.reduce, 14), (self.flip, 5),
            (self.price, 18), (self.liquidate, 14), (self.healthy_liquidation, 3), (self.oneself, 2),
            (self.wait, 2), (self.odd, 3),
        ]  # fmt: skip
        if not self.calm:
            menu += [(self.jump, 4), (self.boundary, 14)]
        menu += [(self.donate, 1)] * ("Donations" in has) + [(self.stranger, 5)] * ("Surface" in has)
        menu += [(self.pause, 2)] * ("Pause" in has)
        return menu

    def next(self) -> Call | None:
        if self.queue:
            return self.queue.popleft()()
        for name in self._probes:
            if self.rng.random() * PROBE_EVERY[name] < 1:
                self.queue.append(partial(self._probe, name))
        return self.rng.choices(self._kinds, self._weights)[0]()

    def _probe(self, name: str) -> Call:
        return Call("probe", (name, self.rng.randrange(2**32)))

    # ------------------------------------------------------------ money

    def deposit(self) -> Call:
        money = self.run.adapter.money
        return Call("deposit", (self._account(), self.rng.choice((1, money // 7, money, 5 * money))))

    def withdraw(self) -> Call | None:
        """Exactly what may leave, one more, all the cash, all the free equity, something."""
        accounts = self.run.state.accounts
        rich = [a for a, s in accounts.items() if s.margin and s.equity - s.margin.initial > s.cash]
        account = self.rng.choice(rich) if rich and self.rng.random() < 0.6 else self._account()
        seen = accounts[account]
        if seen.margin is None:
            return Call("withdraw", (account, 1))
        self.run.counts["withdrawal of unrealised profit tried"] += account in rich
        most, free = bound(self.run, seen), seen.equity - seen.margin.initial
        wish = self.rng.choice(
            (most, most, most + 1, free, seen.cash, seen.equity, free // 2, self.rng.randint(0, max(1, free)))
        )
        return Call("withdraw", (account, max(0, wish)))

    def donate(self) -> Call:
        return Call("donate", (self.rng.choice((1, self.run.adapter.money)),))

    # ------------------------------------------------------------ trades

    def trade(self) -> Call | None:
        """From a lot to the limit of initial margin and beyond, at the mark or the edges of the band."""
        account = self._account(keeper=False)
        market = account.pool if account.pool >= 0 else self.rng.randrange(len(self.run.prices))
        seen = self.run.state.accounts[account]
        free = (seen.equity or 0) - (seen.margin.initial if seen.margin else 0)
        times = self.rng.choice((1, 3, 5, 8, 8, 9, 9, 30))
        size = max(1, free) * times * self.run.adapter.markets[market].scale // self.run.prices[market]
        if self.rng.random() < 0.06:
            size = 1
        return self._trade(account, market, max(1, size) * self.rng.choice((1, -1)))

    def reduce(self) -> Call | None:
        return self._on_position(
            lambda size: -self.rng.choice((size, size, size // 2, self._sign(size), size // 3))
        )

    def flip(self) -> Call | None:
        return self._on_position(lambda size: -size - self.rng.choice((size, size // 4, self._sign(size))))

    def _on_position(self, change: Callable[[int], int]) -> Call | None:
        found = [(a, m, q) for a, s in self.run.state.accounts.items() for m, q in enumerate(s.sizes) if q]
        found = [x for x in found if x[0].trader != self.run.keeper]
        if not found:
            return None
        account, market, size = self.rng.choice(found)
        return self._trade(account, market, change(size))

    def _trade(self, account: Account, market: int, change: int) -> Call | None:
        accounts = self.run.state.accounts
        others = [a for a in accounts if a != account and a.pool in (market, -1) and accounts[a].cash > 0]
        keeper = keeper_account(self.run, market)
        other = (
            keeper if keeper != account and self.rng.random() < 0.6 else self.rng.choice(others or [keeper])
        )
        if other is None or change == 0:
            return None
        mark, band = self.run.prices[market], self.run.adapter.markets[market].band
        gap = mark * band // PPM
        price = mark + self.rng.choice((0, 0, 0, gap, -gap, self.rng.randint(-gap, gap) if gap else 0))
        sides = (account, other) if change > 0 else (other, account)
        return Call("trade", (market, *sides, abs(change), price))

    # ------------------------------------------------------------ prices

    def price(self) -> Call | None:
        """One step, inside the market's step if it promises one; liquidations follow in a calm history."""
        market = self.rng.randrange(len(self.run.prices))
        if self.rng.random() < 0.15:
            self.trend[market] *= -1
        most = self.run.adapter.markets[market].step or 20_000
        ppm = self.trend[market] * self.rng.choice((most, most, self.rng.randint(0, most)))
        if self.calm:
            self._liquidate_all()
        return self._set(market, self.run.prices[market] + int(self.run.prices[market] * ppm / PPM))

    def jump(self) -> Call | None:
        market = self.rng.randrange(len(self.run.prices))
        factor = self.rng.choice((1, 50, 75, 88, 93, 107, 115, 140, 200, 1_000))
        if factor in (1, 1_000) and self.rng.random() < 0.7:
            factor = 90
        return self._set(market, self.run.prices[market] * factor // 100)

    def boundary(self) -> Call | None:
        """The last price at which an account is healthy, one unit to either side; then it is liquidated."""
        found = [(a, m, q) for a, s in self.run.state.accounts.items() for m, q in enumerate(s.sizes)
                 if q and s.margin and s.health >= 0 and a.trader != self.run.keeper]  # fmt: skip
        if not found:
            return None
        account, market, size = self.rng.choice(found)
        price = self._last_healthy(account, market, size)
        if price is None:
            return None
        self.run.counts["price at the boundary of liquidation"] += 1
        taker, share = self.run.keeper, self.rng.choice((1_000, 500, 100))
        for name in ("i_17", "i_20_chunks"):
            self.queue.append(partial(self._probe, name))
        self.queue.append(lambda: Call("liquidate", (taker, account, share)))
        past = self.rng.choice((0, 1, 1, 1, -1))
        self.run.counts["price one unit past the boundary"] += past == 1
        return self._set(market, price - self._sign(size) * past)

    def _last_healthy(self, account: Account, market: int, size: int) -> int | None:
        good = self.run.prices[market]
        # Far off; where a feed refuses so long a way, a third.
        for far in (good // 3, good * 2 // 3) if size > 0 else (good * 3, good * 4 // 3):
            bad = clamp(self.run, market, far)
            if self._unhealthy_at(account, market, bad):
                break
        else:
            return None
        while abs(good - bad) > 1:
            middle = (good + bad) // 2
            found = self._unhealthy_at(account, market, middle)
            if found is None:
                return None
            good, bad = (good, middle) if found else (middle, bad)
        return good

    def _unhealthy_at(self, account: Account, market: int, price: int) -> bool | None:
        with self.run.on_copy():
            reason, _ = self.run.attempt(Call("set_price", (market, price)))
            margin = None if reason else self.run.adapter.margin(account)
        return margin and margin.equity < margin.maintenance

    def _set(self, market: int, price: int) -> Call | None:
        price = clamp(self.run, market, price)
        return Call("set_price", (market, price)) if price != self.run.prices[market] else None

    def wait(self) -> Call:
        old = self.run.adapter.max_age if isinstance(self.run.adapter, Ageing) else 3_600
        return Call("wait", (self.rng.choice((1, 60, old, old + 1, 86_400)),))

    # ------------------------------------------------------------ liquidations

    def liquidate(self) -> Call | None:
        bad = self._unhealthy()
        if not bad:
            return None
        victim = self.rng.choice(bad)
        share = self.rng.choice((1_000, 1_000, 500, 100, 1, self.rng.randint(1, 1_000)))
        takers = [t for t in range(len(self.run.adapter.traders)) if t != victim.trader]
        taker = self.run.keeper if self.rng.random() < 0.7 else self.rng.choice(takers)
        return Call("liquidate", (taker, victim, share)) if taker != victim.trader else None

    def healthy_liquidation(self) -> Call:
        """Of any account, healthy or flat ones included."""
        return Call("liquidate", (self.run.keeper, self._account(keeper=False), self.rng.choice((1, 1_000))))

    def _unhealthy(self) -> list[Account]:
        return [a for a, s in self.run.state.accounts.items() if not s.flat and s.margin and s.health < 0]

    def _liquidate_all(self) -> None:
        """As a keeper does after a price: whatever is below maintenance, until nothing is."""

        def one(rest: int) -> Call | None:
            bad = [a for a in self._unhealthy() if a.trader != self.run.keeper]
            if not bad or not rest:
                return None
            self.queue.appendleft(lambda: one(rest - 1))
            return Call("liquidate", (self.run.keeper, bad[0], 1_000))

        self.queue.append(lambda: one(3 * len(self.run.adapter.accounts)))

    # ------------------------------------------------------------ hostile

    def oneself(self) -> Call:
        """Trades with oneself, liquidations of oneself."""
        account = self._account(keeper=False)
        market = account.pool if account.pool >= 0 else self.rng.randrange(len(self.run.prices))
        if self.rng.random() < 0.4:
            bad = self._unhealthy()
            account = self.rng.choice(bad) if bad else account
            return Call("liquidate", (account.trader, account, 1_000))
        return Call("trade", (market, account, account, self.rng.choice((1, 1_000)), self.run.prices[market]))

    def odd(self) -> Call:
        """Zero and absurd amounts."""
        amount, account = self.rng.choice(EXTREMES), self._account(keeper=False)
        market = account.pool if account.pool >= 0 else 0
        other = keeper_account(self.run, market) or account
        kind = self.rng.choice(("deposit", "withdraw", "trade", "liquidate"))
        args = {
            "deposit": (account, amount),
            "withdraw": (account, amount),
            "trade": (market, account, other, amount, self.rng.choice((self.run.prices[market], amount))),
            "liquidate": (self.run.keeper, account, min(amount, 2**64)),
        }
        return Call(kind, args[kind])

    def pause(self) -> Call:
        if not self.run.paused:
            for _ in range(6):
                self.queue.append(lambda: self.rng.choices(self._kinds, self._weights)[0]())
            self.queue.append(lambda: Call("set_paused", (False,)))
        return Call("set_paused", (not self.run.paused,))

    def stranger(self) -> Call:
        """Any state-changing function of the contracts, by who has no part in them, with drawn arguments."""
        adapter = self.run.adapter
        place = self.rng.randrange(len(adapter.contracts))
        functions = [
            entry for entry in adapter.contracts[place].artifact.abi
            if entry["type"] == "function" and entry["stateMutability"] in ("nonpayable", "payable")
        ]  # fmt: skip
        entry = self.rng.choice(functions)
        args = tuple(self._argument(one) for one in entry["inputs"])
        return Call("stranger", (place, entry["name"], args))

    def _argument(self, entry: dict):
        kind = entry["type"]
        if kind.endswith("]"):
            element = entry | {"type": kind[: kind.rindex("[")]}
            fixed = kind[kind.rindex("[") + 1 : -1]
            return [self._argument(element) for _ in range(int(fixed) if fixed else self.rng.randrange(3))]
        if kind == "tuple":
            return tuple(self._argument(one) for one in entry["components"])
        if kind == "address":
            adapter = self.run.adapter
            return self.rng.choice((*adapter.traders, STRANGER, adapter.contracts[0].address))
        if kind == "bool":
            return self.rng.random() < 0.5
        if kind == "string":
            return ""
        if kind.startswith("bytes"):
            return bytes(int(kind[5:] or 0))
        signed = not kind.startswith("u")
        top = 2 ** (int(kind.lstrip("uint") or 256) - signed) - 1
        wish = self.rng.choice((0, 1, 2, self.run.adapter.money, *self.run.prices, top))
        return min(wish, top)

    # ------------------------------------------------------------ choosing

    def _account(self, keeper: bool = True) -> Account:
        accounts = self.run.adapter.accounts
        found = [a for a in accounts if keeper or a.trader != self.run.keeper]
        return self.rng.choice(found)

    @staticmethod
    def _sign(size: int) -> int:
        return 1 if size > 0 else -1
