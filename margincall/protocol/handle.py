"""A deployed protocol and its accounts as objects.

    chain = EmbeddedChain()
    protocol = deploy(chain)
    trader = protocol.account("trader")
    trader.deposit(10_000)
    trader.buy("BTC", "0.05", leverage=10, mode="isolated")
    trader.to_portfolio()
    trader.sell("BTC-27DEC26-120000-C", "0.5")

Amounts of money are USD, sizes coins, prices USD a coin: int, str or Decimal, exactly (a float counts
by its shortest decimal). What the chain refuses raises `Reverted` with the contract's reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from margincall.chain import Chain, Contract
from margincall.chain.base import Receipt
from margincall.chain.keys import Key, key
from margincall.model import State, accounts, money
from margincall.model.arithmetic import ceil_div
from margincall.protocol.config import USD, MarketSpec, ProtocolSpec
from margincall.protocol.desk import Desk, Portfolios
from margincall.protocol.orders import Order, Report, domain, feed_payload, order_digest

ISOLATED, CROSS = "isolated", "cross"
MODES = {CROSS: 0, ISOLATED: 1}
QUANTA = 1_000


class Protocol(Desk):
    """A deployed protocol. `contracts` by name, `spec` what it was deployed with, `signers` the keys
    that may publish prices (empty: this process cannot)."""

    def __init__(
        self, chain: Chain, spec: ProtocolSpec, contracts: dict[str, Contract], signers: list[Key]
    ) -> None:
        self.chain = chain
        self.spec = spec
        self.contracts = contracts
        self.signers = signers
        self.token = contracts["Token"]
        self.markets = contracts["Markets"]
        self.access = contracts["Access"]
        self.book = contracts["Book"]
        self.surface = contracts["Surface"]
        self.portfolio = contracts["PortfolioMargin"]
        self.standard = contracts["StandardMargin"]
        self.clearinghouse = contracts["Clearinghouse"]
        self.exchange = contracts["Exchange"]
        self.modes = contracts["Modes"]
        self.liquidation = contracts["Liquidation"]
        self.expiry = contracts["Expiry"]
        self.collateral = contracts["Collateral"]
        self.lens = contracts["Lens"]
        self.portfolio_lens = contracts["PortfolioLens"]
        self.feed = contracts["SignedFeed"]
        self.timelock = contracts["Timelock"]
        self.scale = 10 ** (spec.token_decimals - 6)
        self.relayer = chain.accounts[0]
        self._orders = domain("margincall", chain.chain_id, self.exchange.address)
        self._reports = domain("margincall feed", chain.chain_id, self.feed.address)
        self._salts: dict[int, int] = {}
        self._counterparty: Account | None = None

    # ------------------------------------------------------------ accounts

    def account(self, name: str | Key, index: int = 0) -> Account:
        """A root account: of a key, or of the key that a name derives (test chains only)."""
        owner = name if isinstance(name, Key) else key("account", name)
        return Account(self, owner, accounts.root(owner.address, index))

    @property
    def counterparty(self) -> Account:
        """An account with 100 million USD that takes the other side of `buy` and `sell`."""
        if self._counterparty is None:
            self._counterparty = self.account("counterparty")
            self._counterparty.deposit(100_000_000)
        return self._counterparty

    # ------------------------------------------------------------ prices

    def set_prices(
        self, marks: Mapping[str, Any], indexes: Mapping[str, Any] | None = None, at: int | None = None
    ) -> Receipt:
        """Sign and publish prices (USD a coin) at `at` (default: the next second).

        `indexes` defaults to the marks. Raises Reverted when a price breaks its market's rules.
        """
        published = at if at is not None else self.chain.timestamp + 1
        reports = []
        for symbol, mark in marks.items():
            market = self.spec.market(symbol)
            index = (indexes or {}).get(symbol, mark)
            reports.append(Report(market.id, market.price(mark), market.price(index), published))
        return self.publish(reports, at=published)

    def publish(self, reports: list[Report], at: int | None = None) -> Receipt:
        """Sign and publish reports in price units."""
        if not self.signers:
            raise ValueError("this process has no feed signer's key; prices come from elsewhere")
        payload = feed_payload(self._reports, reports, self.signers[: self.spec.quorum])
        return self.markets.send(self.relayer, "update_prices", self.feed.address, payload, at=at)

    def mark(self, symbol: str) -> int:
        """The stored mark of a market, price units, stale or not (0: none yet)."""
        return self.markets.call("last_price", self.spec.market(symbol).id)[0]

    # ------------------------------------------------------------ trades

    def sign(self, owner: Key, order: Order) -> bytes:
        """The owner's (or a delegate's) signature of an order, 65 bytes."""
        return owner.sign(order_digest(self._orders, order))

    def next_salt(self, account: int) -> int:
        """Consecutive salts: four orders of an account share a slot, which keeps fills cheap."""
        salt = self._salts.get(account)
        if salt is None:
            salt = self.exchange.call("cancelled_below", account)
            while self.exchange.call("filled", account, salt):
                salt += 1
        self._salts[account] = salt + 1
        return salt

    def settle(
        self, fills: Iterable[tuple[Order, Order, int, bytes, bytes]], at: int | None = None
    ) -> Receipt:
        """Settle pairs (maker, taker, lots, maker's signature, taker's signature), all or none."""
        return self.exchange.send(self.relayer, "settle", list(fills), at=at)

    # ------------------------------------------------------------ liquidation

    def liquidate(
        self, victim: int, taker: Account, max_quanta: int = QUANTA, at: int | None = None
    ) -> Receipt:
        """Take over a slice of account id `victim` into `taker`. Raises Reverted when it is healthy."""
        return self.liquidation.send(taker.owner.address, "liquidate", victim, taker.id, max_quanta, at=at)

    # ------------------------------------------------------------ expiry

    def observe(self, symbol: str, expiry: int = 0, at: int | None = None) -> Receipt:
        """Show the market's last price to an expiry's average (0: the expiry that it is for)."""
        market = self.spec.market(symbol).id
        return self.expiry.send(self.relayer, "observe", market, expiry, at=at)

    def settle_expiry(
        self, accounts: Iterable[int], symbol: str, expiry: int, at: int | None = None
    ) -> Receipt:
        """Pay an expired series of account ids (at most 128 a call). Raises Reverted without a price."""
        market = self.spec.market(symbol).id
        return self.expiry.send(self.relayer, "settle", list(accounts), market, expiry, at=at)

    # ------------------------------------------------------------ the twin

    def twin(self) -> State:
        """An empty exact model with this deployment's markets, rates and seeds."""
        spec = self.spec
        state = State(
            scale=self.scale,
            transfer_rate=spec.transfer_rate,
            insurance_share=spec.insurance_share,
            liquidator_share=spec.liquidator_share,
            reward=spec.reward,
            max_age=spec.max_age,
        )
        for market in spec.markets:
            state.set_market(market.id, market.rules, market.terms)
            state.insurance[market.id] = market.seed
        state.insurance[0] = spec.cross_seed
        state.options = self.options_twin()
        return state


class Account(Portfolios):
    """A root account. `owner` signs and sends; `id` is the account id on chain."""

    def __init__(self, protocol: Protocol, owner: Key, account_id: int) -> None:
        self.protocol = protocol
        self.owner = owner
        self.id = account_id

    def __repr__(self) -> str:
        return f"<Account {self.owner.address} #{accounts.index_of(self.id)}>"

    # ------------------------------------------------------------ money

    def deposit(self, usd, at: int | None = None) -> Receipt:
        """Mint mock dollars and pay them in (a real token must be held and approved before)."""
        protocol = self.protocol
        amount = money(usd) * protocol.scale
        sender = self.owner.address
        if protocol.token.call("balanceOf", sender) < amount:
            protocol.token.send(sender, "mint", sender, amount)
        if protocol.token.call("allowance", sender, protocol.clearinghouse.address) < amount:
            protocol.token.send(sender, "approve", protocol.clearinghouse.address, 2**256 - 1)
        return protocol.clearinghouse.send(sender, "deposit", self.id, amount, at=at)

    def withdraw(self, usd, receiver: str | None = None) -> Receipt:
        """Pay out to the owner or `receiver`."""
        amount = money(usd) * self.protocol.scale
        sender = self.owner.address
        return self.protocol.clearinghouse.send(sender, "withdraw", self.id, amount, receiver or sender)

    def deposit_spot(self, symbol: str, coins, at: int | None = None) -> Receipt:
        """Pay in spot tokens of a market (a mock token is minted, a real one must be held)."""
        protocol, market = self.protocol, self.protocol.spec.market(symbol)
        address, scale, *_ = protocol.collateral.call("listing", market.id)
        if not scale:
            raise ValueError(f"no token is listed as spot of {symbol}; list one with list_collateral")
        amount, sender = market.lots(coins) * scale, self.owner.address
        token = Contract(protocol.chain, address, protocol.token.artifact)
        if token.call("balanceOf", sender) < amount:
            token.send(sender, "mint", sender, amount)
        if token.call("allowance", sender, protocol.collateral.address) < amount:
            token.send(sender, "approve", protocol.collateral.address, 2**256 - 1)
        return protocol.collateral.send(sender, "deposit", self.id, market.id, amount, at=at)

    def withdraw_spot(
        self, symbol: str, coins, receiver: str | None = None, at: int | None = None
    ) -> Receipt:
        """Take spot tokens out to the owner or `receiver`."""
        collateral, market = self.protocol.collateral, self.protocol.spec.market(symbol)
        amount = market.lots(coins) * collateral.call("listing", market.id)[1]
        sender = self.owner.address
        return collateral.send(sender, "withdraw", self.id, market.id, amount, receiver or sender, at=at)

    def vault(self, symbol: str, number: int = 0) -> int:
        """The account id of this account's vault in a market."""
        return accounts.vault(self.id, self.protocol.spec.market(symbol).id, number)

    def add_margin(self, symbol: str, usd, number: int = 0) -> Receipt:
        """Move money from this account into its vault."""
        return self._move(self.id, self.vault(symbol, number), usd)

    def remove_margin(self, symbol: str, usd, number: int = 0) -> Receipt:
        """Take money back from a vault."""
        return self._move(self.vault(symbol, number), self.id, usd)

    def to_isolated(self, symbol: str, margin, number: int = 0) -> Receipt:
        """Move a cross position into an empty vault with `margin` USD."""
        market = self.protocol.spec.market(symbol).id
        return self.protocol.modes.send(
            self.owner.address, "switch_to_isolated", self.id, market, number, money(margin)
        )

    def to_cross(self, symbol: str, number: int = 0) -> Receipt:
        """Move a vault's position and cash into this account."""
        return self.protocol.modes.send(self.owner.address, "switch_to_cross", self.vault(symbol, number))

    # ------------------------------------------------------------ trading

    def buy(self, symbol: str, size, **options) -> Receipt:
        """Buy `size` coins from the protocol's counterparty; options as `trade`."""
        return self.trade(symbol, size, **options)

    def sell(self, symbol: str, size, **options) -> Receipt:
        """Sell `size` coins to the protocol's counterparty; options as `trade`."""
        market = self.protocol.spec.market(symbol.partition("-")[0])
        return self.trade(symbol, -market.lots(size), in_lots=True, **options)

    def close(self, symbol: str, mode: str = CROSS, number: int = 0, **options) -> Receipt:
        """Close the whole position in a market or instrument."""
        held = self.held(symbol) if "-" in symbol else self.size(symbol, mode, number)
        if held == 0:
            raise ValueError(f"no {mode} position in {symbol} to close")
        return self.trade(symbol, -held, mode=mode, number=number, in_lots=True, reduce_only=True, **options)

    def trade(
        self,
        symbol: str,
        size,
        *,
        price=None,
        leverage=None,
        mode: str = CROSS,
        margin=None,
        number: int = 0,
        against: Account | None = None,
        reduce_only: bool = False,
        in_lots: bool = False,
        at: int | None = None,
    ) -> Receipt:
        """Trade `size` coins (negative sells) as the taker, at `price` (default: the mark).

        `symbol`: a market's, or the name of an option or dated future of it, whose price is the premium
        a coin (of a future: the forward), and which takes neither mode, leverage nor margin.
        mode "isolated": the position lives in this account's vault of the market and takes
        `margin` USD, or notional / `leverage`, along from the account. In mode "cross" a `leverage`
        is checked: the account's free equity must hold notional / leverage, and none of it moves.
        `against`: another account as the maker (default: the protocol's counterparty).
        Raises ValueError for a bad mode, leverage or size, Reverted for what the chain refuses.
        """
        protocol = self.protocol
        market = protocol.spec.market(symbol.partition("-")[0])
        instrument = protocol.instrument(symbol).id if "-" in symbol else market.id
        if instrument != market.id and (mode, leverage, margin) != (CROSS, None, None):
            raise ValueError(f"{symbol}: options and dated futures take no mode, leverage or margin")
        lots = int(size) if in_lots else market.lots(size)
        if lots == 0:
            raise ValueError("size is zero; give coins, negative to sell")
        if mode not in MODES:
            raise ValueError(f"unknown mode {mode!r}; expected isolated or cross")
        units = protocol.mark_of(symbol) if price is None else market.price(price)
        if units == 0 and instrument == market.id:
            raise ValueError(f"{symbol} has no price yet; publish one with set_prices")
        share = self._margin_of(market, abs(lots) * units, leverage, margin)
        if mode == CROSS:
            if share:
                self._check_free(share, leverage)
            share = 0
        taker_id = self.id if mode == CROSS else self.vault(symbol, number)
        maker = against or protocol.counterparty
        orders = [
            Order(maker.id, instrument, -lots, units, salt=protocol.next_salt(maker.id)),
            Order(
                taker_id,
                instrument,
                lots,
                units,
                margin=share,
                salt=protocol.next_salt(taker_id),
                reduce_only=reduce_only,
            ),
        ]
        signatures = [protocol.sign(maker.owner, orders[0]), protocol.sign(self.owner, orders[1])]
        return protocol.settle([(*orders, abs(lots), *signatures)], at=at)

    # ------------------------------------------------------------ views

    def size(self, symbol: str, mode: str = CROSS, number: int = 0) -> int:
        """Signed lots held in a market."""
        market = self.protocol.spec.market(symbol).id
        account = self.id if mode == CROSS else self.vault(symbol, number)
        held = self.protocol.lens.call("positions", account)
        return next((position.size for position in held if position.market == market), 0)

    def summary(self, symbol: str | None = None, number: int = 0):
        """Margin summary (money in 1e-6 USD) of this account, or of its vault in `symbol`."""
        account = self.id if symbol is None else self.vault(symbol, number)
        return self.protocol.lens.call("summary", account)

    def explain(self, initial: bool = False):
        """What makes this account's maintenance (or initial) margin under portfolio margin: the worst
        scenarios, the dials, the instrument that drives it (contracts/PortfolioLens.vy; scenarios are
        numbered as `margincall.model.portfolio.SCENARIOS`)."""
        return self.protocol.portfolio_lens.call("explain", self.id, initial)

    def liquidation_price(self, symbol: str, mode: str = CROSS, number: int = 0) -> int | None:
        """Price units at which the account (or its vault) becomes liquidatable; None: never."""
        account = self.id if mode == CROSS else self.vault(symbol, number)
        exists, price = self.protocol.lens.call(
            "liquidation_price", account, self.protocol.spec.market(symbol).id
        )
        return price if exists else None

    # ------------------------------------------------------------ internal

    def _move(self, source: int, target: int, usd) -> Receipt:
        return self.protocol.modes.send(self.owner.address, "move_margin", source, target, money(usd))

    def _margin_of(self, market: MarketSpec, raw: int, leverage, margin) -> int:
        if margin is not None and leverage is not None:
            raise ValueError("give margin or leverage, not both")
        if margin is not None:
            return money(margin)
        if leverage is None:
            return 0
        highest = 10**6 / market.terms.tiers[0].imf
        try:
            times = money(leverage)
        except (ValueError, TypeError, ArithmeticError):
            times = 0
        if not USD <= times <= highest * USD:
            raise ValueError(f"leverage {leverage} on {market.symbol}: expected 1 to {highest:g}")
        return ceil_div(raw * USD, 10**8 * times)

    def _check_free(self, needed: int, leverage) -> None:
        summary = self.summary()
        free = summary.equity - summary.initial
        if free < needed:
            raise ValueError(
                f"leverage {leverage}: the position needs {needed / USD:,.2f} USD of free equity,"
                f" the account has {free / USD:,.2f}; deposit more or raise the leverage"
            )
