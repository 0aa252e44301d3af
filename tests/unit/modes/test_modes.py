"""Moving margin and switching modes: what moves, what is realised (nothing), what is said."""

import pytest

from tests.unit.clearinghouse.world import THIN, USD, world


def test_margin_moves_both_ways():
    with world() as w:
        a = w.trader()
        a.buy("BTC", "0.05", leverage=10, mode="isolated")
        vault, cash = a.vault("BTC"), w.cash(a.id)
        held = w.cash(vault)
        receipt = a.add_margin("BTC", 100)
        assert w.modes.events(receipt)[0].args == {
            "source": a.id,
            "target": vault,
            "amount": 100 * USD,
        }
        assert (w.cash(a.id), w.cash(vault)) == (cash - 100 * USD, held + 100 * USD)
        receipt = a.remove_margin("BTC", 60)
        assert w.modes.events(receipt)[0].args["source"] == vault
        assert (w.cash(a.id), w.cash(vault)) == (cash - 40 * USD, held + 40 * USD)


def test_added_margin_moves_the_liquidation_price():
    with world() as w:
        a = w.trader()
        a.buy("BTC", "0.05", leverage=10, mode="isolated")
        before = a.liquidation_price("BTC", "isolated")
        a.add_margin("BTC", 100)
        # 100 USD over 0.05 BTC and a maintenance rate of 2.5 %: 100 / 0.05 / 0.975 USD lower
        assert abs((before - a.liquidation_price("BTC", "isolated")) / 10**6 - 100 / 0.05 / 0.975) < 0.01


def test_to_isolated_and_back_realises_nothing():
    with world() as w:
        a = w.trader()
        a.buy("ETH", "1")
        a.buy("BTC", "0.05")
        w.jump(BTC=101_000)
        position, cash = w.held(a.id)[1], w.cash(a.id)
        interest, pools = w.house.call("open_interest", 1), [w.pool(i) for i in range(4)]
        receipt = a.to_isolated("BTC", 600, number=3)
        vault = a.vault("BTC", 3)
        assert w.modes.events(receipt)[0].args == {
            "source": a.id,
            "target": vault,
            "market": 1,
            "size": position[1],
            "margin": 600 * USD,
        }
        assert w.held(vault) == (position,)
        assert [m for m, _, _ in w.held(a.id)] == [2]
        assert (w.cash(a.id), w.cash(vault)) == (cash - 600 * USD, 600 * USD)
        receipt = a.to_cross("BTC", number=3)
        assert w.modes.events(receipt)[0].args["target"] == a.id
        assert w.held(a.id)[1] == position
        assert w.cash(a.id) == cash
        assert w.house.call("account", vault) == (0, [])
        assert w.house.call("open_interest", 1) == interest
        assert [w.pool(i) for i in range(4)] == pools


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_switching_keeps_social_charges(side):
    """A position that owes a social charge owes it in the other mode too, up to a unit for rounding."""
    with world(THIN) as w:
        a, victim = w.trader(), w.victim(price=99_000)
        getattr(a, side)("BTC", "0.05")
        w.jump(BTC=90_000)
        w.protocol.liquidate(victim.id, w.liquidator())
        assert w.markets.call("social", 1) > 0
        later = w.chain.timestamp + 5
        equity = w.lens.call("summary", a.id, at=later).equity
        owed = w.house.call("deficits", 1)
        a.to_isolated("BTC", 1_500)
        both = [w.lens.call("summary", x, at=later).equity for x in (a.id, a.vault("BTC"))]
        assert equity - 2 <= sum(both) <= equity
        # What the account lost by rounding, the deficit lost too: nothing is made.
        assert owed - w.house.call("deficits", 1) in (0, 1, 2)


def test_adding_margin_in_a_pause():
    with world() as w:
        a = w.trader()
        a.buy("BTC", "0.05", leverage=10, mode="isolated")
        w.pause()
        a.add_margin("BTC", 10)


def test_what_may_go_is_what_the_view_says():
    """To the unit: the withdrawable amount of a vault goes back, one unit more does not."""
    with world() as w:
        a = w.trader()
        a.buy("BTC", "0.05", margin=1_000, mode="isolated")
        vault, at = a.vault("BTC"), w.chain.timestamp + 1
        free = w.lens.call("summary", vault, at=at).withdrawable
        with w.refused("margin: below transfer margin"):
            w.modes.send(a.owner.address, "move_margin", vault, a.id, free + 1)
        at = w.chain.timestamp + 1
        free = w.lens.call("summary", vault, at=at).withdrawable
        w.modes.send(a.owner.address, "move_margin", vault, a.id, free, at=at)
        assert w.lens.call("summary", vault, at=at).withdrawable == 0
