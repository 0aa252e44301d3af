"""Liquidations: a slice, the whole account, an insolvent one that insurance pays, one that it cannot pay. The
taker holds nothing in the market, the dearest case."""

from __future__ import annotations

from margincall.bench.cases.options import ENGINES, staged
from margincall.bench.meter import AccessMeter, Meter, WatchedChain
from margincall.bench.stage import PRICE, Stage, count_of, like_eth, many_markets
from margincall.chain.base import BLOCK_GAS, Receipt
from margincall.model.accounts import CROSS
from margincall.protocol.config import USD, ProtocolSpec
from margincall.protocol.handle import Account

SLICE, HALF, TENTH, FULL = "slice", "half", "a tenth", "full"
INSURED, SOCIALISED = "insolvent, insured", "insolvent, socialised"
COUNTS = (1, 4, 16, 32)
POSITIONS = {"portfolio": (4, 16, 64, 128), "standard": (16, 128), "span": (16, 128)}
LARGEST_PERPS = 32
LARGEST = {"standard": LARGEST_PERPS, "portfolio": 8}  # perps of the largest account
ENDS = (16, 128)  # positions of the accounts that are taken over as a whole
CASH = {SLICE: 72, FULL: 60, INSURED: 50, SOCIALISED: 50}  # USD beside a perp of 1,000 bought at 100,000
FALLEN = {SLICE: 94_500, SOCIALISED: 90_000}  # of the first kind of a stage
# What equity is, of maintenance margin. 0.6: half of the account restores what must be, a tenth helps.
EQUITY = {SLICE: 0.6, HALF: 0.6, TENTH: 0.6, FULL: 0.02, INSURED: -0.05, SOCIALISED: -0.05}
QUANTA = {
    HALF: 500,
    TENTH: 100,
}  # that the taker asks for; a slice is what restores the account, which takes some more tries to find
PERP, RICH = "0.1", 10_000_000


def thin(spec: ProtocolSpec) -> ProtocolSpec:
    """Hardly any insurance: an insolvency beyond a cent is socialised."""
    markets = tuple(
        market._replace(seed=USD // 100, terms=market.terms._replace(oi_multiple=65_535))
        for market in spec.markets
    )
    return spec._replace(cross_seed=USD // 100, markets=markets)


def cross(meter: Meter) -> None:
    """Accounts of perps, and vaults."""
    for spec, kinds in ((many_markets(32), (SLICE, FULL, INSURED)), (thin(many_markets(32)), (SOCIALISED,))):
        stage = Stage(meter, spec, 100_000)
        maker, victims = stage.account("maker", 50_000_000), {}
        for kind in kinds:
            for count in COUNTS:
                victims[kind, count] = stage.account(f"{kind} {count}", CASH[kind] * count)
                stage.perps(victims[kind, count], maker, count)
            vault = victims[kind, 0] = stage.account(f"{kind} vault")
            stage.trade(vault, maker, "M1", "0.01", vault=True, margin=CASH[kind])
        stage.set_prices(FALLEN[kinds[0]], pause=100)
        for (kind, count), victim in victims.items():
            facts = {"engine": "cross", "positions": count or 1, "underlyings": count or 1}
            name, id = (
                count_of(count, "perp") if count else "vault",
                victim.id if count else victim.vault("M1"),
            )
            if kind == SOCIALISED:  # fees filled the fund: of all but the first that it paid nothing is left
                stage.fund_insurance(0 if count else 1, 1)
            receipt = _take(stage, kind, id)
            meter.take(f"liquidation, {name}, {kind}", receipt, **facts)


def portfolio(meter: Meter) -> None:
    _books(meter, "portfolio")


def standard(meter: Meter) -> None:
    _books(meter, "standard")


def span(meter: Meter) -> None:
    _books(meter, "span")


def _books(meter: Meter, engine: str) -> None:
    """A perp and calls sold, half or all of it, to an account under the same rule or to a cross account."""
    spread = {HALF: POSITIONS[engine], FULL: ENDS}
    if engine == "portfolio":
        spread |= {SLICE: (128,), TENTH: (16,), INSURED: ENDS, SOCIALISED: ENDS}
    for change, kinds in ((None, set(spread) - {SOCIALISED}), (thin, {SOCIALISED} & set(spread))):
        stage, expiry = staged(meter, engine, 1, max(POSITIONS[engine]), change)
        for kind in sorted(kinds):
            for count in spread[kind]:
                _of_book(stage, engine, kind, count, expiry)


def _of_book(stage: Stage, engine: str, kind: str, count: int, expiry: int) -> None:
    mode = ENGINES[engine]
    state = _sold(stage, f"like {kind} {count}", RICH, count, expiry, mode).summary()
    cash = RICH - (state.equity - int(state.maintenance * EQUITY[kind])) // USD
    takers = (
        {"": mode, ", to cross": CROSS} if (engine, kind, count) == ("portfolio", HALF, 128) else {"": mode}
    )
    for to, takes in takers.items():
        victim = _sold(stage, f"{kind} {count}{to}", cash, count, expiry, mode)
        receipt = _take(stage, kind, victim.id, takes)
        facts = {"engine": engine, "positions": count, "underlyings": 1, "store": "code"}
        stage.meter.take(f"liquidation, {engine}, {count} positions, {kind}{to}", receipt, **facts)


def largest(meter: Meter) -> None:
    """The largest accounts that there can be."""
    stage = _Largest(meter)
    for engine, perps in LARGEST.items():
        for kind in (HALF, FULL):
            victim = stage.victim(engine, kind, "1")
            facts = {
                "engine": engine,
                "positions": 128 + perps,
                "underlyings": max(8, perps),
                "store": "code",
            }
            receipt = _take(stage, kind, victim.id, CROSS)
            meter.take(f"liquidation, {engine}, the largest account, {kind}", receipt, **facts)


def longest_search() -> dict[str, int]:
    """Gas of liquidating the largest account of each rule when the taker asks for all that it may take and
    its perps are so small that their least notional makes the search for the least slice long. In this
    process alone: a transaction of a chain may use less gas (EIP-7825)."""
    stage, found = _Largest(AccessMeter(WatchedChain(keep_logs=False))), {}
    for engine in LARGEST:
        victim = stage.victim(engine, SLICE, "0.1")
        taker = stage.account(f"taker of {engine}", 50_000_000)
        call = ("liquidate", victim.id, taker.id, 1_000)
        found[engine] = stage.protocol.liquidation.send(taker.owner.address, *call, gas=BLOCK_GAS).gas_used
    return found


class _Largest(Stage):
    """128 options of 8 underlyings and 16 expiries, which are 48 words of book, beside 32 perps under the
    standard formula, and one perp of each underlying in portfolio mode."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter, like_eth(LARGEST_PERPS), PRICE)
        self.underlyings = self.symbols[:8]
        self.expiries = [self.expiry(days) for days in (20, 30)]
        for symbol in self.underlyings:
            self.protocol.publish_vols({(symbol, expiry): (0.6,) for expiry in self.expiries})

    def victim(self, engine: str, kind: str, size: str) -> Account:
        """Below maintenance as `kind` needs it, with perps of `size` sold; prices and curves are fresh."""
        self._fresh()
        state = self._sold(f"like {engine} {kind}", RICH, engine, size).summary()
        cash = RICH - (state.equity - int(state.maintenance * EQUITY[kind])) // USD
        victim = self._sold(f"{engine} {kind}", cash, engine, size)
        self._fresh()
        return victim

    def _fresh(self) -> None:
        self.set_prices(PRICE)
        for expiry in self.expiries:
            self.refresh(expiry, self.underlyings)

    def _sold(self, name: str, usd: int, engine: str, size: str) -> Account:
        account = self.account(name, usd, ENGINES[engine])
        self.perps(account, self.account(f"against {name}", RICH), LARGEST[engine], f"-{size}")
        for expiry in self.expiries:
            self.post(account, self.calls(8, len(self.underlyings), expiry))
        return account


def _sold(stage: Stage, name: str, usd: int, count: int, expiry: int, mode: int) -> Account:
    """An account with so much cash that sold a perp and `count` - 1 calls."""
    account, maker = stage.account(name, usd, mode), stage.account(f"against {name}")
    stage.trade(account, maker, "M1", f"-{PERP}", new=(True, True))
    stage.post(account, stage.calls(count - 1, 1, expiry))
    return account


def _take(stage: Stage, kind: str, victim: int, mode: int = CROSS) -> Receipt:
    """A liquidation of that kind by a new taker. Raises AssertionError when it was of another kind."""
    protocol = stage.protocol
    taker = stage.account(f"taker {kind} {victim} {mode}", 50_000_000, mode)
    receipt = protocol.liquidate(victim, taker, QUANTA.get(kind, 1_000))
    done = protocol.liquidation.events(receipt, "Liquidated")[0].args
    expected = {
        SLICE: done["quanta"] < 1_000,
        HALF: done["quanta"] == 500,
        TENTH: done["quanta"] == 100,
        FULL: done["quanta"] == 1_000 and done["shortfall"] == 0,
        INSURED: done["insurance_paid"] > 0 and done["socialised"] == 0,
        SOCIALISED: done["shortfall"] > done["insurance_paid"],
    }
    if not expected[kind]:
        raise AssertionError(f"the liquidation was not of the kind {kind!r}: {done}")
    return receipt
