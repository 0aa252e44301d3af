"""One operation on a random book, on the contracts and on the twin: the same state, or the same refusal.

Every test counts what it reached and fails when that is too little to mean something.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from margincall import model
from margincall.chain import Reverted
from margincall.model import Refused, State, accounts
from tests.fuzz.books import SYMBOLS, build, lots_of, pick
from tests.fuzz.mirror import image, mirror
from tests.unit.clearinghouse.world import DEFAULT, THIN, USD, world

EXAMPLES = 150
settings.register_profile(
    "books",
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)


def fuzz(one: Callable, least: dict) -> None:
    """Run `one(w, rng, traders, seen)` on many books; `least`: how often each key of `seen` must come up."""
    seen: Counter = Counter()

    @settings(settings.get_profile("books"))
    @given(st.sampled_from([DEFAULT, THIN]), st.integers(0, 2**64))
    def run(spec, seed):
        with world(spec) as w:
            rng = Random(seed)
            one(w, rng, build(w, rng), seen)

    run()
    print(dict(sorted(seen.items(), key=str)))
    assert {key: seen[key] for key, count in least.items() if seen[key] < count} == {}


def differ(w, traders, on_chain: Callable, on_twin: Callable) -> str:
    """Run both, each from the same state at the same second; compare. Returns the reason or "done"."""
    roots = [trader.id for trader in traders]
    state = mirror(w, roots)
    now = w.chain.timestamp + 1
    before, refused, reason = image(state), None, None
    try:
        on_chain()
    except Reverted as error:
        refused = error.reason
    try:
        on_twin(state, now)
    except Refused as error:
        reason = error.reason
    assert refused == reason
    if reason:
        assert image(state) == before
    assert image(state) == image(mirror(w, roots))
    return reason or "done"


def trade(w, rng, traders, seen):
    maker, taker = rng.sample(traders, 2) if rng.random() < 0.95 else [traders[0]] * 2
    account, symbol = pick(w, rng, taker)
    market, mark = w.market(symbol).id, w.protocol.mark(symbol)
    held = next((size for m, size, _ in w.held(account) if m == market), 0)
    lots = lots_of(w, symbol, rng.choice((-1, 1)) * rng.choice((90, 500, 3_000, 20_000)))
    if held and rng.random() < 0.5:
        lots = -held * rng.choice((1, 1, 2)) // rng.choice((1, 2, 3)) or -held
    price = mark * (10**6 + rng.randint(-21_000, 21_000)) // 10**6
    isolated = accounts.is_vault(account)
    margin = rng.choice((0, 0, 50, 400)) * USD if isolated else 0
    reduce_only = rng.random() < 0.2
    make, take = w.pair(maker.id, account, lots, symbol, price=price)
    take = take._replace(margin=margin, reduce_only=reduce_only)
    what = differ(
        w,
        traders,
        lambda: w.settle(make, take, abs(lots), maker.owner, taker.owner),
        lambda state, now: model.trade(
            state,
            now,
            market,
            maker.id,
            account,
            lots,
            price,
            taker_margin=margin,
            taker_reduce_only=reduce_only,
        ),
    )
    seen[what] += 1
    seen["isolated" if isolated else "cross", what] += 1


def test_trade():
    reached = {"done": 30, "margin: below initial": 10, ("isolated", "done"): 8, "order: self trade": 2}
    fuzz(trade, reached)


def liquidate(w, rng, traders, seen):
    """Every account of the book in turn."""
    keeper, quanta = w.liquidator(), rng.choice((1, 50, 1_000, 1_000))
    for trader in traders[:-1]:
        for victim in (trader.id, *(trader.vault(symbol) for symbol in SYMBOLS)):
            if not w.held(victim):
                continue
            at = w.chain.timestamp + 1
            previewed = w.liquidation.call("preview", victim, at=at)
            plan = _plan(mirror(w, [trader.id]), at, victim)
            assert previewed == plan
            what = differ(
                w,
                [*traders, keeper],
                lambda victim=victim: w.protocol.liquidate(victim, keeper, quanta),
                lambda state, now, victim=victim: model.liquidate(state, now, victim, keeper.id, quanta),
            )
            kind = "insolvent" if plan[1] < 0 else "full" if plan[0] == 1_000 else "slice"
            seen[what if plan[0] == 0 else f"{kind}, {what}"] += 1
            if any(w.markets.call("social", market) for market in (1, 2, 3)):
                seen["socialised"] += 1


def _plan(state: State, now: int, victim: int) -> tuple[int, int, int, int]:
    """What `preview` says, by the twin."""
    try:
        plan = model.plan(state, now, victim)
    except Refused:
        return 0, *state.close_out(victim, now)[:2], 0
    return plan.quanta, plan.equity, plan.maintenance, plan.penalty


def test_liquidate():
    reached = {"slice, done": 20, "full, done": 8, "insolvent, done": 15, "socialised": 10}
    fuzz(liquidate, reached | {"liquidation: healthy": 50})


def money_and_modes(w, rng, traders, seen):
    a = rng.choice(traders[:-1])
    account, symbol = pick(w, rng, a)
    vault, owner, market = a.vault(symbol), a.owner.address, w.market(symbol).id
    kind = rng.choice(("add", "remove", "remove", "isolate", "isolate", "join", "join", "withdraw"))
    source = {"remove": vault, "withdraw": a.id}.get(kind, account)
    free = w.lens.call("summary", source).withdrawable
    amount = rng.choice((free, free + 1, free // 2, free // 10 + 1, rng.randint(0, 400) * USD))
    on_chain, on_twin = {
        "add": (
            lambda: w.modes.send(owner, "move_margin", a.id, vault, amount),
            lambda state, now: model.move_margin(state, now, a.id, vault, amount),
        ),
        "remove": (
            lambda: w.modes.send(owner, "move_margin", vault, a.id, amount),
            lambda state, now: model.move_margin(state, now, vault, a.id, amount),
        ),
        "isolate": (
            lambda: w.modes.send(owner, "switch_to_isolated", a.id, market, 0, amount),
            lambda state, now: model.switch_to_isolated(state, now, a.id, market, 0, amount),
        ),
        "join": (
            lambda: w.modes.send(owner, "switch_to_cross", vault),
            lambda state, now: model.switch_to_cross(state, now, vault),
        ),
        "withdraw": (
            lambda: w.house.send(owner, "withdraw", a.id, amount, owner),
            lambda state, now: model.withdraw(state, now, a.id, amount),
        ),
    }[kind]
    seen[kind, differ(w, traders, on_chain, on_twin)] += 1


def test_money_and_modes():
    kinds = {"add": 2, "remove": 1, "isolate": 2, "join": 2, "withdraw": 4}
    fuzz(money_and_modes, {(kind, "done"): count for kind, count in kinds.items()})


def views(w, rng, traders, seen):
    """Margin, close-out and withdrawable money of every account, at any second; the fast loop of `margin`
    against the plain one of `close_out`."""
    state, now = mirror(w, [t.id for t in traders]), w.chain.timestamp + rng.randint(0, 500)
    for trader in traders:
        for account in (trader.id, *(trader.vault(symbol) for symbol in SYMBOLS)):
            stored = w.house.call("account", account)
            assert stored == (state.header(account), state.words(account))
            margin = state.margin(account, now)
            assert w.house.call("margin", account, at=now) == margin
            assert w.markets.call("margin", *stored, at=now) == margin
            close_out = w.markets.call("close_out", *stored, at=now)
            assert close_out == state.close_out(account, now)
            assert close_out[:2] == (margin.equity, margin.maintenance)
            summary = w.lens.call("summary", account, at=now)
            assert summary.withdrawable == model.withdrawable(state, now, account)
            assert summary.liquidatable == (margin.equity < margin.maintenance)
            seen[len(state.positions.get(account, ()))] += 1


def test_views():
    fuzz(views, {1: 100, 2: 50, 3: 20})


def liquidation_price(w, rng, traders, seen):
    """Liquidatable at what the lens finds, by the exact rule, and not 30 price units better."""
    state, now = mirror(w, [t.id for t in traders]), w.chain.timestamp
    for account, symbol in {pick(w, rng, trader) for trader in traders}:
        market = w.market(symbol).id
        found, price = w.lens.call("liquidation_price", account, market)
        exact = model.liquidation_price(state, now, account, market)
        assert found == (exact is not None)
        seen[found] += 1
        if found:
            better = 30 if state.size(account, market) > 0 else -30
            assert _liquidatable(state, now, account, market, price)
            assert not _liquidatable(state, now, account, market, price + better)
            assert abs(price - exact) <= 30


def _liquidatable(state: State, now: int, account: int, market: int, price: int) -> bool:
    """At another mark, funding and everything else as they are."""
    known = state.markets[market]
    stored = known.snapshot()
    known.funding, known.rate, known.mark = known.funding_now(now), 0, price
    known.forget_quote()
    equity, _, maintenance, _ = state.margin(account, now)
    known.restore(stored)
    return equity < maintenance


def test_liquidation_price():
    fuzz(liquidation_price, {True: 100, False: 50})


@contextmanager
def attempted(w) -> Iterator[None]:
    """What happens inside does not last."""
    mark = w.chain.snapshot()
    try:
        yield
    finally:
        w.chain.revert(mark)


def max_trade(w, rng, traders, seen):
    """That many lots pass the margin rule of a trade, and one lot more does not."""
    trader = rng.choice(traders[:-1])
    account, symbol = pick(w, rng, trader)
    market, mark, at = w.market(symbol).id, w.protocol.mark(symbol), w.chain.timestamp + 1
    held = next((size for m, size, _ in w.held(account) if m == market), 0)
    buys = held > 0 if held else rng.random() < 0.5
    lots = w.lens.call("max_trade", account, market, buys, mark, at=at)
    assert lots == _exact_max_trade(w, trader, account, market, buys, mark, at)
    seen["adds" if held else "opens", lots > 0] += 1
    if lots * mark < 110 * USD * 10**8:
        return
    for size, passes in ((lots, True), (lots + 1, False)):
        orders = w.pair(w.maker.id, account, size if buys else -size, symbol)
        with attempted(w):
            if passes:
                w.settle(*orders, size, w.maker.owner, trader.owner, at=at)
                seen["passes"] += 1
            else:
                with w.refused("margin: below initial"):
                    w.settle(*orders, size, w.maker.owner, trader.owner, at=at)


def _exact_max_trade(w, trader, account, market, buys, mark, at) -> int:
    return model.max_trade_size(mirror(w, [trader.id]), at, account, market, buys, mark, 500)


def test_max_trade():
    fuzz(max_trade, {("opens", True): 15, ("adds", True): 15, "passes": 30})


def max_trade_through_zero(w, rng, traders, seen):
    """Against a position held: what flips it counts too."""
    trader = rng.choice(traders[:-1])
    account, symbol = pick(w, rng, trader)
    market, mark, at = w.market(symbol).id, w.protocol.mark(symbol), w.chain.timestamp + 1
    held = next((size for m, size, _ in w.held(account) if m == market), 0)
    if not held:
        return
    exact = _exact_max_trade(w, trader, account, market, held < 0, mark, at)
    assert w.lens.call("max_trade", account, market, held < 0, mark, at=at) == exact
    seen["flips"] += exact > abs(held)


def test_max_trade_through_zero():
    fuzz(max_trade_through_zero, {"flips": 15})
