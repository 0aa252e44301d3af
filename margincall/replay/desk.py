"""Chain and twin in step: every transaction of a replay goes to both, and both must agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from margincall import model
from margincall.chain import Disagreement, Reverted
from margincall.model import Refused, accounts, bookings
from margincall.model.accounts import PORTFOLIO
from margincall.model.arithmetic import NOTIONAL_SCALE
from margincall.model.book import unpack
from margincall.model.instrument import CONTRACT, Instrument
from margincall.protocol.config import MarketSpec
from margincall.protocol.handle import QUANTA, Protocol
from margincall.protocol.orders import Order, Report
from margincall.replay.population import ISOLATED, Owner, Trade

if TYPE_CHECKING:
    from margincall.replay.series import Series

BATCH = 10  # pairs that Exchange.settle takes
FRESH = 30  # seconds by which a price is renewed before it is too old


class Taken(NamedTuple):
    """One liquidation that happened. Money; `legs`: (market, signed money of the forced trade) of the perps;
    notional: as the chain counts it, of puts both the option and the forward that stands for it."""

    victim: int
    full: bool
    notional: int
    penalty: int
    reward: int
    insurance_paid: int
    socialised: int
    legs: tuple[tuple[int, int], ...]


class Desk:
    """Sends transactions, one a second at most, and keeps the twin's state.

    twin: the exact model; touched: accounts whose storage changed since it was last emptied; settled: those
    whose series was paid since the keepers' index read them; transactions: sent so far; marks, indexes: what
    was published last, by market id."""

    def __init__(self, protocol: Protocol, markets: Sequence[MarketSpec]) -> None:
        self.protocol = protocol
        self.chain = protocol.chain
        self.markets = {market.id: market for market in markets}
        self.twin = protocol.twin()
        self.touched: set[int] = set()
        self.settled: set[int] = set()
        self.transactions = 0
        self.marks: dict[int, int] = {}
        self.indexes: dict[int, int] = {}
        self.published = 0
        self.series: Series | None = None  # of a replay with options
        self._salts: dict[int, int] = {}

    # ------------------------------------------------------------ prices

    def publish(self, marks: Mapping[int, int], indexes: Mapping[int, int], at: int) -> None:
        """One signed batch of all markets, price units, published and stored at `at`."""
        reports = [Report(i, marks[i], indexes[i], at) for i in sorted(marks)]
        self.send(self.protocol.publish, reports, at=at)
        for report in reports:
            self.apply(self.twin.update, *report, at)
        self.marks.update(marks)
        self.indexes.update(indexes)
        self.published = at

    def keep_fresh(self, at: int) -> None:
        """Publish the same prices again when at `at` they would be about to be too old; look after the
        series."""
        if at > self.published + self.twin.max_age - FRESH:
            self.publish(self.marks, self.indexes, self.chain.timestamp + 1)
        if self.series:
            self.series.upkeep()

    # ------------------------------------------------------------ money and trades

    def endow(self, owners: Iterable[Owner]) -> None:
        """Mint the owners' money to one payer, who deposits for each of them."""
        owners = list(owners)
        token, house, payer = self.protocol.token, self.protocol.clearinghouse, self.protocol.relayer
        scale = self.protocol.scale
        total = sum(owner.money for owner in owners) * scale
        self.send(token.send, payer, "mint", payer, total, at=self.chain.timestamp + 1)
        self.send(token.send, payer, "approve", house.address, total, at=self.chain.timestamp + 1)
        for owner in owners:
            tokens = owner.money * scale
            self.keep_fresh(self.chain.timestamp + 1)
            self.send(house.send, payer, "deposit", owner.id, tokens, at=self.chain.timestamp + 1)
            self.apply(model.deposit, self.twin, owner.id, tokens)
            self.touched.add(owner.id)

    def to_portfolio(self, owners: Iterable[Owner]) -> None:
        """Put the owners' empty root accounts under portfolio margin."""
        for owner in owners:
            self.keep_fresh(self.chain.timestamp + 1)
            at = self.chain.timestamp + 1
            self.send(self.protocol.account(owner.key).to_portfolio, at=at)
            self.apply(bookings.set_mode, self.twin, at, owner.id, PORTFOLIO)
            self.touched.add(owner.id)

    def open(self, pairs: Sequence[tuple[Owner, Owner, Trade]]) -> None:
        """Settle (trader, market maker, trade) at the marks, ten pairs a transaction.

        A market maker signs one resting order an instrument and side, which all its pairs fill. Where a perp
        would leave one with less than a market's least notional, another one takes it."""
        self._prices = {trade.market: self._price(trade.market) for _, _, trade in pairs}
        pairs = self._without_dust(pairs)
        resting = self._resting(pairs)
        for start in range(0, len(pairs), BATCH):
            at = self.chain.timestamp + 1
            self.keep_fresh(at)
            batch = pairs[start : start + BATCH]
            fills = [self._fill(*pair, resting) for pair in batch]
            at = self.chain.timestamp + 1
            self.send(self.protocol.settle, fills, at=at)
            for trader, maker, trade in batch:
                self._post(trader, maker, trade, at)

    def _without_dust(self, pairs: Sequence[tuple[Owner, Owner, Trade]]) -> list[tuple[Owner, Owner, Trade]]:
        makers = {maker.id: maker for _, maker, _ in pairs}
        held: dict[tuple[int, int], int] = {}
        found = []
        for trader, maker, trade in pairs:
            market = trade.market
            if market < bookings.FIRST_BOOK_ID:
                least = self.markets[market].terms.min_notional * NOTIONAL_SCALE
                after = {
                    one: held.get((one, market), self.twin.size(one, market)) - trade.size for one in makers
                }
                fit = [one for one, left in after.items() if not 0 < abs(left) * self.marks[market] < least]
                maker = maker if maker.id in fit or not fit else makers[fit[0]]
                held[maker.id, market] = after[maker.id]
            found.append((trader, maker, trade))
        return found

    def _price(self, instrument: int) -> int:
        """The mark of a perp or the value of an option, price units."""
        if instrument < bookings.FIRST_BOOK_ID:
            return self.marks[instrument]
        market, _, expiry, strike = Instrument.of(instrument)
        name = self.twin.options.grid.fragment(instrument, CONTRACT, self.chain.timestamp)[1] & 2**25 - 1
        now = self.chain.timestamp + 1
        return self.twin.options.mark(name, market, expiry, strike, self.marks[market], now)

    def _resting(self, pairs) -> dict[tuple[int, int, bool], tuple[Order, bytes]]:
        sizes: dict[tuple[int, int, bool], int] = {}
        makers = {maker.id: maker for _, maker, _ in pairs}
        for _, maker, trade in pairs:
            side = (maker.id, trade.market, trade.size > 0)
            sizes[side] = sizes.get(side, 0) - trade.size
        resting = {}
        for (account, market, sells), size in sizes.items():
            order = Order(account, market, size, self._prices[market], salt=self._salt(account))
            resting[account, market, sells] = order, self.protocol.sign(makers[account].key, order)
        return resting

    def _fill(self, trader: Owner, maker: Owner, trade: Trade, resting) -> tuple:
        account = position_account(trader, trade.market)
        isolated = account != trader.id
        order = Order(
            account,
            trade.market,
            trade.size,
            self._prices[trade.market],
            margin=trade.margin if isolated else 0,
            salt=self._salt(account),
        )
        made, signature = resting[maker.id, trade.market, trade.size > 0]
        return made, order, abs(trade.size), signature, self.protocol.sign(trader.key, order)

    def _post(self, trader: Owner, maker: Owner, trade: Trade, at: int) -> None:
        account = position_account(trader, trade.market)
        margin = trade.margin if account != trader.id else 0
        price = self._prices[trade.market]
        if trade.market < bookings.FIRST_BOOK_ID:
            parties = (trade.market, maker.id, account, trade.size, price)
            self.apply(model.trade, self.twin, at, *parties, taker_margin=margin)
        else:
            parties = (trade.market, maker.id, account, trade.size, price)
            self.apply(bookings.trade_instrument, self.twin, at, *parties)
        self.touched |= {account, trader.id, maker.id}

    def _salt(self, account: int) -> int:
        salt = self._salts.get(account, 0)
        self._salts[account] = salt + 1
        return salt

    # ------------------------------------------------------------ liquidation

    def liquidate(self, victim: int, taker: Owner, at: int) -> Taken | None:
        """Liquidate on chain and in the twin. None, and nothing is sent, when the twin refuses."""
        positions = self.twin.positions.get(victim, ())
        try:
            plan, outcome = model.liquidate(self.twin, at, victim, taker.id)
        except Refused:
            return None
        account = self.protocol.account(taker.key)
        receipt = self.send(self.protocol.liquidate, victim, account, QUANTA, at=at)
        legs, raw = [], self._raw(plan.fragment)
        for (market, size, _), closed in zip(positions, plan.closes, strict=True):
            worth = closed * self.marks[market]
            raw += worth
            legs.append((market, (-worth if size > 0 else worth) // NOTIONAL_SCALE))
        taken = Taken(
            victim,
            plan.full,
            -(-raw // NOTIONAL_SCALE),
            plan.penalty,
            outcome.reward,
            outcome.insurance_paid,
            outcome.socialised,
            tuple(legs),
        )
        self._compare(receipt, taken, plan)
        self.touched |= {victim, accounts.parent(victim), taker.id}
        return taken

    def _raw(self, fragment: Iterable[int]) -> int:
        """Notional of a book that was taken over, lots * price."""
        return sum(
            (abs(segment.forward) + segment.gross * CONTRACT) * self.marks[segment.market]
            for segment in unpack(fragment)
        )

    def _compare(self, receipt, taken: Taken, plan) -> None:
        (event,) = self.protocol.liquidation.events(receipt, "Liquidated")
        said = event.args
        chain = (
            said["quanta"],
            said["equity"],
            said["maintenance"],
            said["notional"],
            said["penalty"],
            said["reward"],
            said["insurance_paid"],
            said["socialised"],
        )
        twin = (
            plan.quanta,
            plan.equity,
            plan.maintenance,
            taken.notional,
            taken.penalty,
            taken.reward,
            taken.insurance_paid,
            taken.socialised,
        )
        if chain != twin:
            raise Disagreement(f"liquidation of {taken.victim:#x}: chain {chain}, twin {twin}")

    # ------------------------------------------------------------ internal

    def send(self, call, *args, at: int):
        """Send one transaction at `at` that the twin allows."""
        self.transactions += 1
        try:
            return call(*args, at=at)
        except Reverted as error:
            raise Disagreement(f"the chain refused what the twin allows: {error}") from None

    def apply(self, call, *args, **options):
        """Do in the twin what the chain did."""
        try:
            return call(*args, **options)
        except Refused as error:
            raise Disagreement(f"the twin refuses what the chain did: {error}") from None


def position_account(trader: Owner, market: int) -> int:
    """The account that holds the trader's position in a market: a vault, or the root account."""
    return accounts.vault(trader.id, market) if trader.mode == ISOLATED else trader.id
