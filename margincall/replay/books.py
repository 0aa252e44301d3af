"""The books of a deployed protocol, read from its storage: conservation (I-01), and the twin compared."""

from __future__ import annotations

from collections.abc import Iterable

from margincall.chain import Disagreement
from margincall.model import State, accounts
from margincall.protocol.handle import Protocol

SUMMARIES = 50  # accounts a view call: Lens takes more, a call's gas does not


class Books:
    """What the chain stores. Between full reads only touched accounts are read again; all else is
    read every time: pools, residue, deficits and the token's balance."""

    def __init__(self, protocol: Protocol, markets: Iterable[int]) -> None:
        self.protocol = protocol
        self.markets = list(markets)
        self._claims: dict[int, int] = {}
        self._sum = 0

    def read(self, account: int) -> tuple[int, list[int]]:
        """(header, position words) of an account as stored."""
        header, words = self.protocol.clearinghouse.call("account", account)
        cash, count, _ = accounts.unpack_header(header)
        claim = cash - sum(entry for _, _, entry in accounts.unpack_words(words, count))
        self._sum += claim - self._claims.get(account, 0)
        self._claims[account] = claim
        return header, words

    def residual(self, touched: Iterable[int]) -> int:
        """I-01 in token units after reading `touched` again: the token balance less what the books say
        it must be (cash, insurance, treasury, residue, less entries, deficits and what expired series paid).
        0 when they agree."""
        for account in sorted(touched):
            self.read(account)
        call = self.protocol.clearinghouse.call
        claims = self._sum + call("residue") - call("unsettled") - call("deficits", 0)
        for pool in (0, *self.markets):
            held = call("pools", pool)
            claims += (held & (2**128 - 1)) + (held >> 128)
        for market in self.markets:
            claims -= call("deficits", market)
        balance = self.protocol.token.call("balanceOf", self.protocol.clearinghouse.address)
        return balance - self.protocol.scale * claims

    def sweep(self, twin: State, everyone: list[int], at: int) -> None:
        """Read every account and compare it with the twin; ask the chain for the margin summary, seen at
        `at`, of every account with a position. Raises Disagreement: a difference, or an account that the
        chain calls liquidatable although the keepers are done."""
        for account in everyone:
            header, words = self.read(account)
            if header != twin.header(account) or words != twin.words(account):
                raise Disagreement(f"account {account:#x}: chain and twin store different words")
        for pool in (0, *self.markets):
            if self.protocol.clearinghouse.call("pools", pool) != twin.pool_word(pool):
                raise Disagreement(f"pool {pool}: chain and twin store different words")
        holders = [account for account in everyone if not twin.is_flat(account)]
        for start in range(0, len(holders), SUMMARIES):
            self._compare(twin, holders[start : start + SUMMARIES], at)

    def _compare(self, twin: State, holders: list[int], at: int) -> None:
        found = self.protocol.lens.call("summaries", holders, at=at)
        for account, summary in zip(holders, found, strict=True):
            if summary.liquidatable:
                raise Disagreement(f"account {account:#x} is liquidatable and was missed by the index")
            margin = twin.margin(account, at)
            seen = (summary.equity, summary.initial, summary.maintenance, summary.notional)
            if seen != tuple(margin):
                raise Disagreement(f"account {account:#x}: chain {seen}, twin {tuple(margin)}")
