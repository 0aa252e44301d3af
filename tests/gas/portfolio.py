"""Gas of the portfolio rule: what a check costs a trade, what of that is the floor, what curves cost.

check: what a trade pays to have one account judged, cold: Clearinghouse.margin (it reads the account and
asks the rule for everything) - PortfolioMargin.margin + PortfolioMargin.initial (a trade asks for initial
margin only), all as views without a transaction's own cost.
floor: 2,100 for every slot and 2,600 for every other account that the check touches.
goal, limit: what is aimed at, and what is too much.
"""

from __future__ import annotations

from typing import NamedTuple

from margincall.chain import Chain, Contract, EmbeddedChain
from margincall.chain.embedded import _ACCOUNT, _SLOT, ZERO
from margincall.model import book
from margincall.model.instrument import CALL, CONTRACT, Instrument
from margincall.model.surface import VolReport
from margincall.protocol.config import DEFAULT, USD
from margincall.protocol.deploy import SOURCE_DOOR, TRADE_DOOR, deploy
from margincall.protocol.handle import Account, Protocol
from margincall.protocol.orders import domain
from margincall.protocol.vols import publish_vols
from tests.unit.clearinghouse.world import OWNER, _own
from tests.unit.portfolio_margin.ladder import strikes

COLD_SLOT, COLD_ACCOUNT = 2_100, 2_600
DAY, HOUR = 86_400, 28_800
DAYS = (1, 7, 30, 180)  # expiries that are refreshed
PRICE = 2_000
SIZE = 1_000 * CONTRACT  # lots of each call sold


class Goal(NamedTuple):
    """Of a check or refresh: what is aimed at, and what is too much."""

    goal: int
    limit: int


LADDERS, SPREAD, PERPS = (1, 16, 64, 127), (64, 4), (1, 8)
GOALS = {
    "ladder of 16": Goal(70_000, 90_000),
    "ladder of 64": Goal(144_900, 200_000),
    "ladder of 127": Goal(260_000, 350_000),
    "64 over 4 underlyings": Goal(200_000, 260_000),
    "1 perp": Goal(40_000, 50_000),
    "refresh, code": Goal(650_000, 950_000),
}
TRADE_LIMIT = 400_000  # of an option between two accounts of 16 options
LIQUIDATION_LIMIT = 2**24 // 2  # of half of 128 positions: half of what a transaction may use
LENS_LIMIT = 20_000_000  # of the view that explains 128 positions


def expiry_in(days: int, now: int) -> int:
    """The expiry of the grid on the day that many days later."""
    return now // DAY * DAY + days * DAY + HOUR


def build(chain: Chain, markets: int) -> Protocol:
    """Markets like ETH at 2,000 USD with vols of 60 % for all of DAYS, owned by the account OWNER."""
    eth = DEFAULT.markets[1]
    listed = tuple(eth._replace(id=i, symbol=f"M{i}") for i in range(1, markets + 1))
    protocol = deploy(chain, DEFAULT._replace(markets=listed, timelock_delay=0))
    _own(protocol)
    for i in range(0, markets, 4):
        protocol.set_prices({market.symbol: PRICE for market in listed[i : i + 4]})
    feed = domain("margincall feed", chain.chain_id, protocol.feed.address)
    for market in listed:
        now = chain.timestamp
        reports = [VolReport(market.id, expiry_in(days, now), 600_000, 0, 0, now) for days in DAYS]
        signers = protocol.signers[: protocol.spec.quorum]
        publish_vols(protocol.surface, protocol.feed.address, feed, reports, signers, protocol.relayer)
    return protocol


def keep_in_slots(protocol: Protocol, in_slots: bool) -> None:
    window = protocol.spec.curve_window
    owner = protocol.chain.accounts[OWNER]
    protocol.portfolio.send(owner, "set_curves", protocol.surface.address, window, in_slots)


# ---------------------------------------------------------------- receipts


def operations(chain: Chain) -> dict[str, int]:
    """Gas of what keepers and traders send."""
    protocol = build(chain, 2)
    gas = {"poke, first": protocol.poke().gas_used, "poke": protocol.poke().gas_used}
    now = chain.timestamp
    for store, in_slots in (("code", False), ("slots", True)):
        keep_in_slots(protocol, in_slots)
        for turn in ("first", "again"):
            for days in DAYS:
                receipt = protocol.refresh("M1", expiry_in(days, now))
                gas[f"refresh, {days} days, {store}, {turn}"] = receipt.gas_used
    keep_in_slots(protocol, False)
    expiry = expiry_in(30, now)
    protocol.refresh("M1", expiry)
    return gas | _option_trades(protocol, expiry) | _large_liquidation(protocol, expiry)


def _option_trades(protocol: Protocol, expiry: int) -> dict[str, int]:
    maker, taker = protocol.account("writer"), protocol.account("holder")
    gas = {}
    for account in (maker, taker):
        account.deposit(1_000_000)
        gas["switch to portfolio"] = account.to_portfolio().gas_used
    names = [Instrument(1, CALL, expiry, k * 10**7).name(protocol.spec.markets) for k in strikes(17)]
    for place, name in enumerate(names):
        receipt = taker.buy(name, 1, against=maker)
        if place in (0, 1, 16):
            gas[f"option trade, portfolio, {place} held before"] = receipt.gas_used
    gas["option trade, portfolio, 17 held, one of them"] = taker.buy(names[0], 1, against=maker).gas_used
    return gas


def _large_liquidation(protocol: Protocol, expiry: int) -> dict[str, int]:
    """Half of a perp and 127 calls sold goes to an account that holds nothing, in either mode."""
    owner, source = protocol.chain.accounts[OWNER], protocol.chain.accounts[9]
    protocol.access.send(owner, "set_door", source, SOURCE_DOOR)
    gas = {}

    def sold(name: str, usd) -> Account:
        account = protocol.account(name)
        account.deposit(usd)
        account.to_portfolio()
        account.sell("M1", "0.1")
        words = _calls(protocol, [(1, k) for k in strikes(127)], expiry)
        protocol.clearinghouse.send(source, "post_book", account.id, words, False, 0, 0)
        return account

    rich = sold("rich", 1_000_000).summary()
    needed = 1_000_000 * USD - rich.equity + rich.maintenance * 6 // 10
    for mode in ("cross", "portfolio"):
        victim, taker = sold(f"victim of {mode}", needed // USD), protocol.account(f"{mode} taker")
        taker.deposit(1_000_000)
        if mode == "portfolio":
            taker.to_portfolio()
        receipt = protocol.liquidate(victim.id, taker, 500)
        if protocol.liquidation.events(receipt, "Liquidated")[0].args["quanta"] != 500:
            raise AssertionError("the liquidation was not one of half the account")
        gas[f"liquidation, 128 positions, half, to {mode}"] = receipt.gas_used
    return gas


def _calls(protocol: Protocol, calls: list[tuple[int, int]], expiry: int) -> list[int]:
    """The book of calls sold: (market, strike in USD)."""
    words: list[int] = []
    for market, strike in calls:
        part = Instrument(market, CALL, expiry, strike * 10**7)
        words, _ = book.merge(words, protocol.book.call("fragment", part.id, -SIZE, 0))
    return words


# ---------------------------------------------------------------- views


def views() -> dict[str, int]:
    """Gas of checks with their floors, code and slots, and of the arithmetic of books."""
    protocol = build(EmbeddedChain(exact_gas=True), 8)
    expiry = expiry_in(30, protocol.chain.timestamp)
    owner, (modes, source) = protocol.chain.accounts[OWNER], protocol.chain.accounts[8:10]
    protocol.access.send(owner, "set_door", modes, TRADE_DOOR)
    protocol.access.send(owner, "set_door", source, SOURCE_DOOR)

    def account(name: str, calls: list[tuple[int, int]], perps: int = 0) -> Account:
        made = protocol.account(name)
        made.deposit(50_000_000)
        protocol.clearinghouse.send(modes, "set_mode", made.id, 2)
        if words := _calls(protocol, calls, expiry):
            protocol.clearinghouse.send(source, "post_book", made.id, words, False, 0, 0)
        for i in range(1, perps + 1):
            made.buy(f"M{i}", 10)
        return made

    _refresh_all(protocol, expiry)
    ladder = {f"ladder of {n}": account(f"l{n}", [(1, k) for k in strikes(n)]) for n in LADDERS}
    total, over = SPREAD
    spread = [(market, k) for market in range(1, over + 1) for k in strikes(total // over)]
    ladder[f"{total} over {over} underlyings"] = account("spread", spread)
    books = ladder | {f"{n} perp{'s' * (n > 1)}": account(f"p{n}", [], n) for n in PERPS}
    gas = {}
    for name, held in books.items():
        gas[f"check, {name}"] = check(protocol, held)
        gas[f"floor, {name}"] = floor(protocol, held)
        if name in GOALS:
            gas |= {f"{kind}, {name}": value for kind, value in GOALS[name]._asdict().items()}
    gas |= _merges(protocol.book, ladder["ladder of 64"].words(), expiry)
    lens, whole = protocol.portfolio_lens, ladder["ladder of 127"]
    gas["PortfolioLens.explain, 127 options"] = protocol.chain.view_gas(
        lens.address, lens.encode("explain", whole.id, True)
    )
    keep_in_slots(protocol, True)
    _refresh_all(protocol, expiry)
    for name, held in ladder.items():
        gas[f"check, slots, {name}"] = check(protocol, held)
        gas[f"floor, slots, {name}"] = floor(protocol, held)
    return gas


def _refresh_all(protocol: Protocol, expiry: int) -> None:
    for market in protocol.spec.markets:
        protocol.refresh(market.symbol, expiry)


def check(protocol: Protocol, account: Account) -> int:
    """What a trade pays for one account's check (see above)."""
    chain, house, rule = protocol.chain, protocol.clearinghouse, protocol.portfolio
    held = house.call("account", account.id)
    asked = {name: chain.view_gas(rule.address, rule.encode(name, *held)) for name in ("margin", "initial")}
    whole = chain.view_gas(house.address, house.encode("margin", account.id))
    return whole - asked["margin"] + asked["initial"]


def floor(protocol: Protocol, account: Account) -> int:
    """What cold state alone costs in a check."""
    house, evm = protocol.clearinghouse, protocol.chain._evm
    mark = evm.snapshot()
    evm.message_call(ZERO, house.address, calldata=house.encode("margin", account.id))
    journal = evm.journal_str.partition("transient_storage:")[0]
    evm.revert(mark)
    evm.reset_transient_storage()
    touched = {address: len(_SLOT.findall(slots)) for address, *_, slots, _ in _ACCOUNT.findall(journal)}
    contracts = [address for address in touched if address not in (ZERO, house.address.lower())]
    return COLD_SLOT * sum(touched.values()) + COLD_ACCOUNT * len(contracts)


def _merges(contract: Contract, words: list[int], expiry: int) -> dict[str, int]:
    """Book.merge on a book of 64 lanes."""

    def gas(fragment: list[int], negate: bool = False) -> int:
        data = contract.encode("merge", words, fragment, negate)
        return contract.chain.view_gas(contract.address, data)

    held, new = (
        contract.call("fragment", Instrument(1, CALL, expiry, k * 10**7).id, -CONTRACT, 0)
        for k in (strikes(1)[0], strikes(65)[-1])
    )
    return {
        "Book.merge, one more of 64": gas(held),
        "Book.merge, a 65th": gas(new),
        "Book.merge, half of each of 64 out": gas(contract.call("split", words, 500), True),
        "Book.merge, all 64 out": gas(words, True),
    }


if __name__ == "__main__":
    for name, used in (views() | operations(EmbeddedChain(exact_gas=True))).items():
        print(f"{name}: {used:,}")
