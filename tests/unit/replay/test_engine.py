"""The replay itself: same seed, same numbers; what it reports is what the chain holds; its checks bite."""

import io

import numpy as np
import pytest

from margincall import data
from margincall.chain import Disagreement, EmbeddedChain
from margincall.protocol.config import DEFAULT, USD
from margincall.protocol.deploy import deploy
from margincall.replay import examples
from margincall.replay.candles import moment_of, read
from margincall.replay.draw import draw
from margincall.replay.engine import Replay
from margincall.replay.funding import read_funding
from margincall.replay.report import summary
from margincall.replay.result import Settings

FROM, TO = "2025-10-10T20:55:00Z", "2025-10-10T21:40:00Z"
SUMMARY = {"candles", "transactions", "accounts_per_mode", "seconds", "conservation_error", "modes"}
MODE = {
    "liquidations",
    "liquidated_notional",
    "emptied_accounts",
    "trader_loss",
    "penalties",
    "insurance_paid",
    "socialised",
}


def _replay(spec=DEFAULT, **settings) -> Replay:
    history = read(data.CANDLES, DEFAULT).cut(moment_of(FROM, ""), moment_of(TO, ""), None)
    funding = read_funding(data.FUNDING, DEFAULT, history)
    return Replay(deploy(EmbeddedChain(), spec), history, funding, Settings(**{"accounts": 20} | settings))


@pytest.fixture(scope="module")
def played() -> Replay:
    replay = _replay()
    replay.run()
    return replay


def test_same_seed_same_numbers(played):
    again, other = _replay(), _replay(seed=2)
    first, second, third = summary(played.result), summary(again.run()), summary(other.run())
    for record in (first, second, third):
        record.pop("seconds")
    assert first == second
    assert first["modes"] != third["modes"]


def test_inside_the_envelope_insurance_and_winners_pay_nothing(played):
    record = summary(played.result)
    assert record.keys() >= SUMMARY
    assert record["conservation_error"] == 0
    for mode in ("isolated", "cross", "portfolio"):
        found = record["modes"][mode]
        assert found.keys() >= MODE
        assert found["liquidations"] > 0
        assert found["insurance_paid"] == found["socialised"] == 0


def test_the_counts_are_the_chains_own(played):
    """Volume by mode, added up from the events of the liquidation door."""
    door = played.protocol.liquidation
    events = door.events(played.protocol.chain.logs(door.address), "Liquidated")
    for code, mode in enumerate(("cross", "isolated", "portfolio")):
        mine = [event.args for event in events if event.args["mode"] == code]
        found = played.result.modes[mode]
        assert len(mine) == found.liquidations
        assert sum(event["notional"] for event in mine) == found.notional == sum(found.by_candle)
        assert sum(event["penalty"] for event in mine) == found.penalties


def test_every_low_was_on_chain(played):
    markets = played.protocol.markets
    events = markets.events(played.protocol.chain.logs(markets.address), "PriceUpdated")
    for market, candles in played.history.candles.items():
        marks = {event.args["mark"] for event in events if event.args["market"] == market}
        assert {price for candle in candles for price in candle[1:]} <= marks


def test_losses_and_gains_are_zero_sum_with_makers_and_pools(played):
    """What all owners have at the end, with what the pools gained, is what they paid in."""
    twin, now = played.desk.twin, played.protocol.chain.timestamp
    left = sum(twin.margin(account, now).equity for account in played.everyone)
    paid_in = sum(owner.money for found in played.owners.values() for owner in found)
    seeds = DEFAULT.cross_seed + sum(market.seed for market in DEFAULT.markets)
    pools = sum(twin.insurance.values()) + sum(twin.treasury.values()) - seeds
    rounding = 2 * len(played.everyone) + 10
    assert abs(paid_in - left - pools) <= rounding


def test_a_gap_reaches_the_whole_waterfall():
    poor = DEFAULT._replace(
        cross_seed=20_000 * USD, markets=tuple(m._replace(seed=2_000 * USD) for m in DEFAULT.markets)
    )
    result = _replay(poor, accounts=60, gap=True).run()
    assert result.conservation_error == 0
    assert result.modes["cross"].insurance_paid > 0
    assert sum(found.socialised for found in result.modes.values()) > 0
    assert result.modes["isolated"].emptied == 0


def test_impact_deepens_the_fall(played):
    result = _replay(impact=100.0).run()
    assert result.conservation_error == 0
    for mode, found in result.modes.items():
        assert found.notional > played.result.modes[mode].notional


def test_one_mode_alone():
    result = _replay(modes=("cross",), accounts=5).run()
    assert list(result.modes) == ["cross"]


def test_a_missed_account_is_found_by_the_sweep():
    replay = _replay(accounts=10)
    replay._keep = lambda: None  # keepers asleep
    with pytest.raises(Disagreement, match="missed by the index"):
        replay.run()


def test_a_wrong_book_is_a_conservation_error(played):
    books = played.books
    account = next(iter(played.desk.twin.positions))
    books._claims[account] += 1
    books._sum += 1
    assert books.residual([]) == -1
    assert books.residual([account]) == 0


def test_the_index_names_exactly_the_unhealthy(played):
    twin, now = played.desk.twin, played.protocol.chain.timestamp
    market = twin.markets[2]
    before = market.mark
    try:
        for percent in range(60, 141, 5):
            market.mark = before * percent // 100
            market.forget_quote()
            exact = []
            for account in played.everyone:
                margin = twin.margin(account, now)
                if not twin.is_flat(account) and margin.equity < margin.maintenance:
                    exact.append(account)
            assert played.index.unhealthy(now) == exact
            assert set(exact) <= set(played.index.candidates(now))
    finally:
        market.mark = before
        market.forget_quote()


def test_the_map_adds_up(played):
    for found in played.result.modes.values():
        assert 0 < sum(found.levels) <= found.open_interest_start * 1.2
        assert np.isfinite(found.levels).all()


def test_the_picture_is_drawn(played, tmp_path):
    draw(played.result, tmp_path / "deep" / "replay.png")
    assert (tmp_path / "deep" / "replay.png").read_bytes().startswith(b"\x89PNG")


def test_the_examples_hold_on_chain():
    from rich.console import Console

    console = Console(record=True, width=140, file=io.StringIO())
    examples.play(EmbeddedChain(), DEFAULT, console)
    said = console.export_text()
    assert "the other 9,500 unchanged to the unit" in said.replace("\n", " ")
    assert "never" in said
