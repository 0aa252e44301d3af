"""Spot tokens on a deployed protocol next to the twin: every payment goes to both."""

from __future__ import annotations

import pytest

from margincall.chain import Contract, Reverted
from margincall.model import Refused, State
from margincall.model.book import Book, unpack
from margincall.model.collateral import Collateral
from margincall.model.options import Options
from margincall.protocol.artifacts import artifact
from margincall.protocol.deploy import list_collateral
from margincall.protocol.handle import Account
from tests.unit.clearinghouse.world import World

MAX = 2**256 - 1
HOSTILE = artifact("HostileToken")
NORMAL, FEE, NO_RETURN, RETURNS_FALSE, BLACKLIST, NO_ZERO, REENTER, PAUSED, TAKES_MORE = range(9)


class Till:
    """A world with a token (18 decimals, anyone may mint, hostile when told so) listed as spot of `symbol`.
    cap and minimum in lots."""

    def __init__(
        self, w: World, symbol: str = "BTC", decimals: int = 18, cap: int = 10**10, minimum: int = 10**5
    ) -> None:
        self.w, self.chain, self.contract = w, w.chain, w.protocol.collateral
        self.spec = w.market(symbol)
        self.market, self.scale = self.spec.id, 10 ** (decimals - self.spec.size_decimals)
        self.token: Contract = w.chain.deploy(HOSTILE, f"{symbol} coin", "COIN", decimals)
        list_collateral(self.contract, w.owner, self.spec, self.token.address, cap, minimum)
        self.twin = Collateral()
        self.twin.list_token(self.market, self.scale, cap, minimum)
        self.accounts: list[Account] = [w.maker]

    def trader(self, name: str, usd=10_000, units: int = 10**20) -> Account:
        """An account with cash, and tokens in its owner's pocket that may be taken."""
        account = self.w.trader(name, usd)
        self.fill(account.owner.address, units)
        self.accounts.append(account)
        return account

    def fill(self, owner: str, units: int = 10**20) -> None:
        self.token.send(owner, "mint", owner, units)
        self.token.send(owner, "approve", self.contract.address, MAX)

    def mode(self, mode: int) -> None:
        """How the token behaves from now on."""
        self.token.send(self.w.stranger, "set_mode", mode)

    def state(self) -> State:
        """The accounts, the prices and the terms, as the twin keeps them (no perps)."""
        w = self.w
        state = w.protocol.twin()
        listed = [market for market in w.protocol.spec.markets if market.options]
        state.options = Options(
            Book({market.id: market.options.strike_step for market in listed}),
            terms={market.id: market.options.terms for market in listed},
            standard={market.id: market.options.standard for market in listed},
        )
        for market in w.protocol.spec.markets:
            mark, published, *_ = w.markets.call("last_price", market.id)
            state.update(market.id, mark, mark, published, published)
        for account in self.accounts:
            header, words = w.house.call("account", account.id)
            assert not header >> 128 & 255
            state.write(account.id, w.cash(account.id), ())
            state.write_book(account.id, list(words))
        state.paused = w.access.call("paused")
        return state

    def deposit(self, account: Account, amount: int, payer: str | None = None, arrived: int | None = None):
        """Pay in, as twin and contract agree. Returns the receipt."""
        whole = amount // self.scale * self.scale
        sender = payer or account.owner.address
        return self._both(
            lambda state, now: self.twin.deposit(
                state, now, account.id, self.market, whole if arrived is None else arrived
            ),
            lambda: self.contract.send(sender, "deposit", account.id, self.market, amount),
        )

    def withdraw(self, account: Account, amount: int, receiver: str | None = None):
        sender = account.owner.address
        to = receiver or sender
        return self._both(
            lambda state, now: self.twin.withdraw(state, now, account.id, self.market, amount),
            lambda: self.contract.send(sender, "withdraw", account.id, self.market, amount, to),
        )

    def _both(self, twin, contract):
        state, refusal = self.state(), None
        try:
            twin(state, self.chain.timestamp + 1)
        except Refused as error:
            refusal = error
        if refusal:
            with pytest.raises(Reverted) as caught:
                contract()
            assert caught.value.reason == refusal.reason
            raise refusal
        receipt = contract()
        found = self.state()
        assert (found.cash, found.books) == (state.cash, state.books)
        self.agreed()
        return receipt

    def agreed(self, donated: int = 0) -> None:
        """Contract and twin hold the same, and the tokens cover what all accounts hold."""
        listing = self.twin.listings[self.market]
        assert self.contract.call("listing", self.market) == (
            self.token.address,
            listing.scale,
            listing.total,
            listing.cap,
            listing.minimum,
        )
        assert sum(self.lots(account) for account in self.accounts) == listing.total
        assert self.held() == listing.balance + donated >= listing.total * self.scale

    def lots(self, account: Account) -> int:
        """Spot of this market in an account's book."""
        header, words = self.w.house.call("account", account.id)
        books = unpack(list(words)[((header >> 128 & 255) + 1) // 2 :])
        return next((part.forward for part in books if part.key == (self.market, 0)), 0)

    def held(self) -> int:
        """Token units in the contract."""
        return self.token.call("balanceOf", self.contract.address)

    def pocket(self, owner: str | Account) -> int:
        address = owner.owner.address if isinstance(owner, Account) else owner
        return self.token.call("balanceOf", address)
