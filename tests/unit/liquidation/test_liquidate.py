"""Liquidation: slices, full closes, shortfalls, rewards; and that `preview` is the action."""

import pytest

from margincall.protocol.config import DEFAULT
from tests.unit.clearinghouse.world import THIN, USD, many_markets, world

TARGET = 1.2


def liquidate(w, victim, k, quanta=1_000):
    """The take-over's event, after comparing the preview with it."""
    at = w.chain.timestamp + 1
    previewed = w.liquidation.call("preview", victim, at=at)
    receipt = w.protocol.liquidate(victim, k, quanta, at=at)
    done = w.liquidation.events(receipt, "Liquidated")[0].args
    if quanta == 1_000:
        assert previewed == (done["quanta"], done["equity"], done["maintenance"], done["penalty"])
    return done, receipt


def test_a_slice_restores_the_target():
    with world() as w:
        a, k = w.victim(), w.liquidator()
        cash, insurance = w.cash(k.id), w.pool(0)[0]
        done, receipt = liquidate(w, a.id, k)
        assert 0 < done["quanta"] < 1_000
        after = a.summary()
        assert after.equity >= TARGET * after.maintenance
        assert after.equity < (TARGET + 0.01) * after.maintenance  # and not much more
        leg = w.liquidation.events(receipt, "LegTaken")[0].args
        assert leg["size"] == -(-2 * 10**7 * done["quanta"] // 1_000)
        assert leg["size_left"] == w.held(a.id)[0][1] == 2 * 10**7 - leg["size"]
        assert leg["price"] == w.protocol.mark("BTC")
        assert (leg["victim"], leg["market"], leg["mode"]) == (a.id, 1, 0)
        assert w.held(k.id)[0][:2] == (1, leg["size"])
        assert done["cut"] == done["penalty"] // 2
        assert w.cash(k.id) == cash + done["cut"]
        assert w.pool(0)[0] == insurance + done["penalty"] - done["cut"]
        assert done["notional"] == -(-leg["size"] * leg["price"] // 10**8)
        assert (done["reward"], done["shortfall"], done["insurance_paid"], done["socialised"]) == (0,) * 4


def test_a_quantum_less_would_not_do():
    with world() as w:
        a, k = w.victim(), w.liquidator()
        quanta = w.liquidation.call("preview", a.id)[0]
        done, _ = liquidate(w, a.id, k, quanta - 1)
        assert done["quanta"] == quanta - 1
        after = a.summary()
        assert after.equity < TARGET * after.maintenance


def test_a_healthy_account_previews_nothing():
    with world() as w:
        a = w.trader()
        assert w.liquidation.call("preview", a.id) == (0, 10_000 * USD, 0, 0)
        a.buy("BTC", "0.01")
        assert w.liquidation.call("preview", a.id)[0] == 0


def test_full_close_when_equity_does_not_cover_the_penalty():
    with world() as w:
        a, k = w.victim(price=95_500), w.liquidator()
        done, _ = liquidate(w, a.id, k, 1)  # whatever the taker wants: the whole account goes
        assert done["quanta"] == 1_000
        assert done["penalty"] == done["equity"] < 191 * USD
        assert w.house.call("account", a.id) == (0, [])
        assert w.held(k.id)[0][1] == 2 * 10**7


def test_shortfall_paid_by_insurance():
    with world() as w:
        a, k = w.victim(price=94_000), w.liquidator()
        insurance, cash = w.pool(0)[0], w.cash(k.id)
        done, _ = liquidate(w, a.id, k)
        assert done["shortfall"] == -done["equity"] == done["insurance_paid"] > 0
        assert done["socialised"] == done["penalty"] == done["cut"] == 0
        assert done["reward"] == USD // 2
        assert w.cash(k.id) == cash + USD // 2
        assert w.pool(0)[0] == insurance - done["shortfall"] - USD // 2
        assert w.house.call("account", a.id) == (0, [])


def test_the_reward_tops_a_small_cut_up():
    """An account worth less than the reward: the liquidator gets the reward whole, but never more than the
    penalty of closing everything."""
    for reward, price in ((150 * USD, 95_500), (200 * USD, 95_500), (200 * USD, 94_000)):
        with world(DEFAULT._replace(reward=reward)) as w:
            a, k = w.victim(price=price), w.liquidator()
            cash = w.cash(k.id)
            at = w.chain.timestamp + 1
            words = w.house.call("account", a.id)
            penalty = w.markets.call("close_out", *words, at=at)[3]
            assert 150 * USD < penalty < 200 * USD
            done, _ = liquidate(w, a.id, k)
            assert done["cut"] < min(reward, penalty)
            assert done["cut"] + done["reward"] == min(reward, penalty)
            assert w.cash(k.id) == cash + min(reward, penalty)


def test_the_reward_is_what_insurance_has():
    with world(THIN) as w:
        a, k = w.victim(price=90_000), w.liquidator()
        insurance = w.pool(0)[0]
        done, _ = liquidate(w, a.id, k)
        assert done["insurance_paid"] == insurance
        assert done["reward"] == 0
        assert done["socialised"] == done["shortfall"] - insurance
        assert w.pool(0)[0] == 0


def test_the_taker_who_is_the_winner_pays_his_part():
    with world(THIN) as w:
        a, k = w.trader("victim", 1_000), w.liquidator()
        a.buy("BTC", "0.2", against=k)
        w.jump(BTC=90_000)
        at = w.chain.timestamp + 1
        before = w.lens.call("summary", k.id, at=at).equity
        receipt = w.protocol.liquidate(a.id, k, at=at)
        done = w.liquidation.events(receipt, "Liquidated")[0].args
        after = w.lens.call("summary", k.id, at=at).equity
        assert w.held(k.id) == ()  # it closes his own short
        assert abs(before - after - done["socialised"]) <= 2
        assert w.house.call("deficits", 1) == 0
        assert 0 <= w.house.call("residue") <= 2


def test_a_vault_pays_for_itself_alone():
    with world() as w:
        a, k = w.trader(), w.liquidator()
        a.buy("BTC", "0.05", leverage=10, mode="isolated")
        rest = w.cash(a.id)
        w.jump(BTC=85_000)
        market_pool, cross_pool = w.pool(1)[0], w.pool(0)[0]
        done, receipt = liquidate(w, a.vault("BTC"), k)
        assert (done["mode"], done["victim"]) == (1, a.vault("BTC"))
        assert w.liquidation.events(receipt, "LegTaken")[0].args["mode"] == 1
        assert w.cash(a.id) == rest  # the root lost nothing beyond the vault
        assert w.pool(1)[0] == market_pool - done["shortfall"] - done["reward"]
        assert w.pool(0)[0] == cross_pool
        assert w.house.call("account", a.vault("BTC")) == (0, [])


def test_a_slice_of_several_legs_takes_all_alike():
    with world() as w:
        a, k = w.trader("victim", 2_000), w.liquidator()
        a.buy("BTC", "0.2")
        a.sell("ETH", "5")
        w.jump(BTC=94_800)
        done, receipt = liquidate(w, a.id, k)
        sizes = {e.args["market"]: e.args["size"] for e in w.liquidation.events(receipt, "LegTaken")}
        assert sizes == {
            1: -(-2 * 10**7 * done["quanta"] // 1_000),
            2: -(5 * 10**7 * done["quanta"] // 1_000),
        }


def test_nothing_below_the_smallest_notional_stays():
    with world() as w:
        a, k = w.trader("victim", 1_000), w.liquidator()
        a.buy("BTC", "0.2")
        a.buy("ETH", "0.03")  # 120 USD: any slice of it is all of it
        w.jump(BTC=97_000)
        liquidate(w, a.id, k)
        assert [m for m, _, _ in w.held(a.id)] == [1]
        assert {m: s for m, s, _ in w.held(k.id)}[2] == 300_000


def test_32_legs_go_in_one_transaction():
    spec = many_markets(32)
    with world(spec) as w:
        a, k = w.trader("victim", 2_300), w.liquidator(10**6)
        symbols = [market.symbol for market in spec.markets]
        for symbol in symbols:
            a.buy(symbol, "0.01")
        at = w.chain.timestamp + 100
        for i in range(0, 32, 8):
            w.protocol.set_prices(dict.fromkeys(symbols[i : i + 8], 92000), at=at + i)
        done, receipt = liquidate(w, a.id, k)
        assert done["quanta"] == 1_000
        assert len(w.liquidation.events(receipt, "LegTaken")) == len(w.held(k.id)) == 32


@pytest.mark.parametrize("price", [96_900, 96_500, 96_000, 95_900])
def test_cutting_a_liquidation_up_does_not_pay(price):
    """Two half slices cost the victim no more penalty than the one that restores the target did."""

    def penalties(*quanta):
        with world() as w:
            a, k = w.victim(price=price), w.liquidator()
            total = 0
            for q in quanta:
                if w.liquidation.call("preview", a.id, at=w.chain.timestamp + 1)[0]:
                    total += liquidate(w, a.id, k, q)[0]["penalty"]
            return total, a.summary().maintenance

    once, left = penalties(1_000)
    many, left_of_many = penalties(*[20] * 60)
    assert many <= once
    assert left_of_many >= left
