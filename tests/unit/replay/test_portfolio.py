"""The portfolio population: its books, its index, the dials, and a series that expires on the way."""

import io
import random

import pytest
from rich.console import Console

from margincall import data
from margincall.chain import Disagreement, EmbeddedChain
from margincall.model.accounts import PORTFOLIO as PORTFOLIO_MODE
from margincall.model.arithmetic import NOTIONAL_SCALE
from margincall.model.book import unpack
from margincall.model.instrument import CALL, CONTRACT, PUT, Instrument
from margincall.protocol.config import DEFAULT
from margincall.protocol.deploy import deploy
from margincall.replay import hedged
from margincall.replay.book_index import BookIndex
from margincall.replay.candles import moment_of, read
from margincall.replay.dials import calm_margin, calm_replay
from margincall.replay.draw_dials import draw_dials
from margincall.replay.engine import Replay
from margincall.replay.funding import read_funding
from margincall.replay.hedges import PAIR, Grid, structure
from margincall.replay.population import Trade
from margincall.replay.report import summary
from margincall.replay.result import Settings

CRASH = "2025-10-10T20:55:00Z", "2025-10-10T21:40:00Z"
EXPIRY = "2025-10-12T02:00:00Z", "2025-10-12T09:00:00Z"
DIALS = {"rho_max", "psi_min", "liquidations_by_dials_alone", "shortfall_without_dials"}


def _replay(span=CRASH, spec=DEFAULT, **settings) -> Replay:
    history = read(data.CANDLES, DEFAULT).cut(*(moment_of(time, "") for time in span), None)
    funding = read_funding(data.FUNDING, DEFAULT, history)
    asked = Settings(**{"accounts": 40, "modes": ("portfolio",)} | settings)
    return Replay(deploy(EmbeddedChain(), spec), history, funding, asked)


@pytest.fixture(scope="module")
def opened() -> Replay:
    """Everybody's books are open, no candle was played."""
    replay = _replay()
    replay._set_up()
    return replay


@pytest.fixture(scope="module")
def played() -> Replay:
    replay = _replay()
    replay.run()
    return replay


# ---------------------------------------------------------------- books


def test_a_book_is_as_large_as_its_twins_trades(opened):
    """The same notional a trade, or less with initial margin near all of the money on the way."""
    twin, now = opened.desk.twin, opened.protocol.chain.timestamp
    same = 0
    for owner in opened.owners["portfolio"]:
        assert twin.mode(owner.id) == PORTFOLIO_MODE
        if not owner.trader:
            continue
        found = twin.margin(owner.id, now)
        assert found.maintenance < found.initial <= found.equity
        assert found.equity > owner.money * 95 // 100  # fees and curve errors
        sizes = {market: abs(size) for market, size, _ in twin.positions.get(owner.id, ())}
        for instrument, size in twin.options.grid.positions(twin.books.get(owner.id, ())):
            sizes[instrument.market] = max(sizes.get(instrument.market, 0), abs(size))
        ratios = [sizes[trade.market] / abs(trade.size) for trade in owner.trader.trades]
        assert max(ratios) < 1.02
        assert max(ratios) == pytest.approx(min(ratios), rel=0.02)
        same += min(ratios) > 0.98
    assert 10 < same < 40


def test_every_hedge_is_there(opened):
    twin = opened.desk.twin
    kinds = set()
    for owner in opened.owners["portfolio"]:
        if not owner.trader:
            continue
        perps = {market: size for market, size, _ in twin.positions.get(owner.id, ())}
        options = twin.options.grid.positions(twin.books.get(owner.id, ()))
        for trade in owner.trader.trades:
            mine = [(i.kind, size) for i, size in options if i.market == trade.market]
            perp = perps.get(trade.market, 0)
            if not mine:
                assert perp * trade.size > 0
                kinds.add("pair")
            elif len(mine) == 2:
                kinds.add("calendar" if mine[0][1] * mine[1][1] < 0 else "straddle")
            elif mine[0][1] > 0:
                assert mine[0] == ((PUT if perp > 0 else CALL), abs(perp))
                kinds.add("protected")
            else:
                assert mine[0] == ((CALL if perp > 0 else PUT), -abs(perp))
                kinds.add("covered")
    assert kinds == {"pair", "calendar", "straddle", "protected", "covered"}


def test_short_trades_are_mirrored():
    expiries = 86_400, 2 * 86_400, 3 * 86_400
    levels = {(1, expiry): 0.5 for expiry in expiries}
    grid = Grid({1: DEFAULT.markets[0]}, {1: 10**11}, levels, expiries, 0)
    for seed in range(30):
        long, short = (
            structure(random.Random(seed), grid, Trade(1, size, 2, 0), pair=False) for size in (5, -5)
        )
        assert long[0] == short[0]
        for one, other in zip(long[1], short[1], strict=True):
            if one.instrument == 1:
                assert one.part == -other.part or long[0] == "straddle"
            elif long[0] != "straddle":
                a, b = Instrument.of(one.instrument), Instrument.of(other.instrument)
                assert (a.expiry, {a.kind, b.kind}, one.part) == (b.expiry, {CALL, PUT}, other.part)
                assert a.strike + b.strike == 2 * 10**11
    assert structure(random.Random(1), grid, Trade(1, 5, 2, 0), pair=True) == (PAIR, [(1, 1)])


def test_makers_take_the_other_side(opened):
    """Every instrument's sizes add up to nothing over all accounts."""
    twin, net = opened.desk.twin, {}
    for account in opened.everyone:
        for instrument, size in twin.options.grid.positions(twin.books.get(account, ())):
            net[instrument] = net.get(instrument, 0) + size
        for market, size, _ in twin.positions.get(account, ()):
            net[market] = net.get(market, 0) + size
    assert len(net) > 20
    assert set(net.values()) == {0}


# ---------------------------------------------------------------- index


def test_the_index_names_exactly_the_unhealthy(played):
    twin, now = played.desk.twin, played.protocol.chain.timestamp
    (index,) = played.index.indexes
    before = {i: market.mark for i, market in twin.markets.items()}
    seen = set()
    try:
        for percent in (40, 60, 75, 85, 92, 97, 100, 104, 110, 125, 150, 220):
            for i, market in twin.markets.items():
                market.mark = before[i] * percent // 100
                market.forget_quote()
            exact = []
            for row, account in enumerate(played.everyone):
                if twin.is_flat(account):
                    continue
                margin = twin.margin(account, now)
                if margin.equity < margin.maintenance:
                    exact.append(account)
                health, magnitude, unsure = index._health(now, 1.0)
                if not unsure[row]:
                    away = abs(health[row] - (margin.equity - margin.maintenance))
                    assert away <= 100 + 1e-11 * magnitude[row]
            assert played.index.unhealthy(now) == exact
            assert set(exact) <= set(played.index.candidates(now))
            seen.add(len(exact))
    finally:
        for i, market in twin.markets.items():
            market.mark = before[i]
            market.forget_quote()
    assert min(seen) == 0
    assert max(seen) > 5


def test_credits_add_up_to_the_requirement(played):
    """With the credits taken off, the sum of standalone worsts is what the exact rule requires."""
    twin, now = played.desk.twin, played.protocol.chain.timestamp
    watch = played.dials
    for initial in (True, False):
        found = watch.index.credits(now, watch.traders, initial)
        exact = 0
        for account, trader in zip(watch.index.accounts, watch.traders, strict=True):
            if trader:
                margin = twin.margin(account, now)
                exact += margin.initial if initial else margin.maintenance
        assert found.requirement == pytest.approx(exact, rel=1e-5)
        assert found.diversification >= 0
        assert found.hedging >= 0
        left = found.standalone - found.diversification - found.hedging
        assert left <= found.requirement * (1 + 1e-9)  # the floor of sold options may ask for more


# ---------------------------------------------------------------- dials


def test_the_dials_close_in_the_crash(played):
    found = played.result.dials
    assert found.rho_max == 1.0
    assert found.psi_min < 0.2
    assert 0.75 < found.rho_mm_max <= found.rho_max
    assert found.psi_min <= found.psi_mm_min < 0.8
    assert len(found.moments) == len(played.history.times)
    last = found.moments[-1]
    assert last.initial.hedging < last.initial.standalone / 100


def test_alone_means_healthy_at_the_calm_dials(played):
    """Counted from the chain: what each victim had, against the dials of the deployment."""
    assert 0 < played.result.dials.alone < played.result.modes["portfolio"].liquidations
    twin, now = played.desk.twin, played.protocol.chain.timestamp
    lower = 0
    for account in played.everyone:
        equity, maintenance = calm_margin(twin, account, now)
        margin = twin.margin(account, now)
        assert equity == margin.equity
        assert maintenance <= margin.maintenance
        lower += maintenance < margin.maintenance
    assert lower > 5


def test_nobody_pokes_in_the_calm_replay(played):
    replay = _replay(dials=False)
    result = replay.run()
    assert result.dials.alone == 0
    assert result.dials.rho_max == pytest.approx(0.75)
    assert result.dials.psi_min == pytest.approx(0.8, abs=1e-4)
    arguments = played.protocol.spec, played.history, played.funding, played.settings._replace(dials=False)
    again = calm_replay(*arguments)
    assert vars(again) == vars(result.modes["portfolio"])


def test_the_record_and_the_picture(played, tmp_path):
    record = summary(played.result)
    assert record["dials"].keys() >= DIALS
    assert record["dials"]["shortfall_without_dials"] is None  # not played
    found = played.result.dials
    found.calm = played.result.modes["portfolio"]
    assert summary(played.result)["dials"]["shortfall_without_dials"] == 0.0
    draw_dials(played.result, tmp_path / "dials.png")
    found.calm = None
    assert (tmp_path / "dials.png").read_bytes().startswith(b"\x89PNG")


def test_without_the_population_there_are_no_dials():
    assert summary(_replay(modes=("cross",), accounts=3).run())["dials"] is None


# ---------------------------------------------------------------- the run


def test_books_are_liquidated_on_chain(played):
    """Slices of books, counted from the chain's events."""
    door = played.protocol.liquidation
    logs = played.protocol.chain.logs(door.address)
    taken = [event for event in door.events(logs, "BookTaken") if event.args["fragment"]]
    assert taken
    for event in taken:
        for segment in unpack(event.args["fragment"]):
            assert segment.key in {(m, e) for m in played.markets for e in played.series.expiries}
    whole = played.result.modes["portfolio"]
    assert whole.insurance_paid == whole.socialised == played.result.conservation_error == 0


def test_a_missed_book_is_found_by_the_sweep():
    replay = _replay((CRASH[0], "2025-10-10T21:15:00Z"))
    replay._keep = lambda: None  # keepers asleep
    with pytest.raises(Disagreement, match="missed by the index"):
        replay.run()


def test_a_gap_costs_insurance():
    result = _replay(accounts=150, gap=True).run()
    assert result.conservation_error == 0
    assert result.modes["portfolio"].insurance_paid > 0


def test_a_series_expires_on_the_way():
    replay = _replay(EXPIRY, accounts=25)
    near = moment_of("2025-10-12T08:00:00Z", "")
    assert replay.run().conservation_error == 0
    assert replay.series.expiries[0] == near
    for words in replay.desk.twin.books.values():
        assert all(segment.expiry != near for segment in unpack(words))
    for market, spec in replay.markets.items():
        price = replay.protocol.expiry.call("settlement", market, near)
        assert price == replay.series.settlements[market, near]
        shown = [
            candle.close
            for time, candle in zip(replay.history.times, replay.history.candles[market], strict=True)
            if near - 1_800 <= time < near
        ]
        assert spec.usd(price) == pytest.approx(sum(map(spec.usd, shown)) / len(shown), rel=2e-3)
    assert replay.desk.twin.unsettled == replay.protocol.clearinghouse.call("unsettled")
    # The keepers' index read again who was paid: else it judges books that are no more.
    (index,) = replay.index.indexes
    anew = BookIndex(replay.desk.twin, index.markets, index.accounts)
    for name in ("cash", "money", "sizes", "entries", "forwards", "held", "gross"):
        assert (getattr(index, name) == getattr(anew, name)).all(), name
    assert index.expiries == anew.expiries


def test_curves_are_usable_and_follow_the_crash(played):
    twin, now = played.desk.twin, played.protocol.chain.timestamp
    near = played.series.expiries[0]
    for market, spec in played.markets.items():
        for expiry in played.series.expiries:
            curve = twin.options.usable(market, expiry, now)
            word = played.protocol.portfolio.call("curve", market, expiry)
            assert word >> 160 == curve.word() >> 160
        base, smile = played.series.bases[market][near], twin.options.surface.smiles[market, near]
        assert smile.atm > 1.3 * base.atm, spec.symbol


def test_the_chain_agrees_on_options_sizes(played):
    """Open interest as the replay counts it, from what the chain stores."""
    marks = played.desk.marks
    total = 0
    for owner in played.owners["portfolio"]:
        if owner.trader:
            account = played.protocol.account(owner.key)
            total += sum(abs(size) * marks[held.market] for held, size in account.positions())
            total += sum(
                abs(size) * marks[market] for market, size, _ in played.desk.twin.positions.get(owner.id, ())
            )
    assert played.result.modes["portfolio"].open_interest[-1] == pytest.approx(
        total / NOTIONAL_SCALE, abs=100
    )
    assert CONTRACT == 10_000


def test_the_put_holds_on_chain():
    console = Console(record=True, width=140, file=io.StringIO())
    hedged.play(EmbeddedChain(), DEFAULT, console)
    said = " ".join(console.export_text().split())
    assert "the perp and the put" in said
    assert "24 scenarios" in said
