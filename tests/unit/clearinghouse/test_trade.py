"""What a trade posts, and what stays open when risk may not be added."""

from margincall.chain import key
from tests.unit.clearinghouse.world import USD, many_markets, world

LOTS = 10**6  # 0.01 BTC
NOTIONAL = 1_000 * USD


def test_posts_both_sides_and_open_interest():
    with world() as w:
        a, b = w.trader("a"), w.trader("b")
        receipt = a.buy("BTC", "0.01", against=b)
        (_, size, entry), (_, other, other_entry) = w.held(a.id)[0], w.held(b.id)[0]
        assert (size, other) == (LOTS, -LOTS)
        assert entry == -other_entry  # zero-sum, to the unit
        assert abs(entry - NOTIONAL) < 1_000  # the funding index of a few seconds is folded in
        assert w.house.call("open_interest", 1) == LOTS
        assert w.cash(a.id) == 10_000 * USD - NOTIONAL * 5 // 10_000
        assert w.cash(b.id) == 10_000 * USD - NOTIONAL * 2 // 10_000
        posted = w.house.events(receipt, "Posted")
        assert [(event.args["account"], event.args["size"]) for event in posted] == [
            (b.id, -LOTS),
            (a.id, LOTS),
        ]
        assert posted[1].args == {
            "account": a.id,
            "market": 1,
            "change": LOTS,
            "size": LOTS,
            "entry": entry,
            "cash": w.cash(a.id),
        }


def test_open_interest_moves_only_with_new_positions():
    with world() as w:
        a, b, c = w.trader("a"), w.trader("b"), w.trader("c")
        interest = []
        for buyer, seller in ((a, b), (c, a), (b, c), (a, b), (b, a)):
            buyer.buy("BTC", "0.01", against=seller)
            interest.append(w.house.call("open_interest", 1))
        assert interest == [LOTS, LOTS, 0, LOTS, 0]


def test_flips_and_swap_remove():
    with world() as w:
        a = w.trader()
        for symbol, size in (("BTC", "0.01"), ("ETH", "1"), ("SOL", "10")):
            a.buy(symbol, size)
        a.sell("ETH", 2)
        assert [(m, s) for m, s, _ in w.held(a.id)] == [(1, LOTS), (2, -(10**7)), (3, 10**7)]
        a.close("BTC")
        assert [m for m, _, _ in w.held(a.id)] == [3, 2]
        a.close("SOL")
        a.close("ETH")
        assert w.held(a.id) == ()


def test_profit_and_loss_are_realised_against_the_entry():
    with world() as w:
        a, b = w.trader("a"), w.trader("b")
        a.buy("BTC", "0.01", against=b)
        w.jump(BTC=110_000)
        paid = w.cash(a.id) + w.cash(b.id)
        a.sell("BTC", "0.005", against=b)
        fees = 550 * USD * 7 // 10_000
        assert w.cash(a.id) + w.cash(b.id) == paid - fees  # what one gets the other gives
        assert abs(w.cash(a.id) - (10_000 + 50 - 0.5 - 0.275) * USD) < USD // 10  # a little funding
        assert w.held(a.id)[0][2] + w.held(b.id)[0][2] == 0


def test_32_positions_are_allowed():
    with world(many_markets(33)) as w:
        a = w.trader(usd=10**6)
        for i in range(32):
            a.buy(f"M{i + 1}", "0.002")
        assert len(w.held(a.id)) == 32
        a.close("M7")
        a.buy("M33", "0.002")
        assert [m for m, _, _ in w.held(a.id)][6] == 32
        assert [m for m, _, _ in w.held(a.id)][31] == 33


def test_a_vault_gives_its_cash_back_when_flat():
    with world() as w:
        a = w.trader()
        a.buy("BTC", "0.05", leverage=10, mode="isolated")
        vault = a.vault("BTC")
        assert w.cash(vault) == 500 * USD - 2_500_000  # margin less the taker's fee of 2.50
        assert w.cash(a.id) == 9_500 * USD
        assert w.house.call("account", vault)[0] >> 136 == 1
        a.close("BTC", mode="isolated")
        assert w.house.call("account", vault) == (0, [])
        # In and out of 5,000 USD costs two fees of 2.50; funding of a few seconds stays below a cent.
        assert 0 <= w.cash(a.id) - 9_994_990_000 <= 10_000
        assert w.pool(1) == (500_000 * USD + 2_500_000, 2_500_000)  # half of both fees each


def test_a_position_in_a_denied_mode_can_only_shrink():
    """The retail story: a mode taken away leaves its owner reduce-only in it, and free in the other."""
    with world() as w:
        a = w.trader()
        a.buy("BTC", "0.05")
        w.deny(a, 0)
        for attempt in (
            lambda: a.buy("BTC", "0.01"),
            lambda: a.sell("BTC", "0.06"),
            lambda: a.buy("ETH", "1"),
        ):
            with w.refused("access: mode not allowed"):
                attempt()
        a.sell("BTC", "0.02")
        a.buy("ETH", "1", leverage=10, mode="isolated")
        with w.refused("access: mode not allowed"):
            a.to_cross("ETH")
        a.to_isolated("BTC", 300)
        a.withdraw(10)
        assert w.held(a.id) == ()
        w.deny(a)
        a.to_cross("BTC")
        assert w.held(a.id)[0][1] == 3 * LOTS


def test_a_pause_leaves_ways_to_safety_open():
    with world() as w:
        a, sick, k = w.trader(), w.victim(), w.liquidator()
        a.buy("BTC", "0.05")
        a.buy("ETH", "1", leverage=10, mode="isolated")
        w.pause()
        assert w.access.call("paused")
        with w.refused("access: paused"):
            a.buy("BTC", "0.01")
        a.deposit(5)
        a.add_margin("ETH", 5)
        sold = w.maker  # holds the other side: its position shrinks too
        a.sell("BTC", "0.02", against=sold)
        a.close("ETH", mode="isolated")
        w.protocol.liquidate(sick.id, k)
        w.access.send(w.guardian, "set_paused", False)
        a.buy("BTC", "0.01")


def test_reduce_only_market_lets_out():
    with world() as w:
        a = w.trader()
        a.buy("BTC", "0.05")
        w.set_terms("BTC", status=2)
        a.sell("BTC", "0.02")
        a.close("BTC")


def test_below_initial_margin_one_may_reduce():
    with world() as w:
        a = w.trader(usd=1_000)
        a.buy("BTC", "0.2")
        w.jump(BTC=98_000)
        summary = a.summary()
        assert summary.maintenance < summary.equity < summary.initial
        with w.refused("margin: below initial"):
            a.buy("BTC", "0.001")
        a.sell("BTC", "0.01")
        w.jump(BTC=97_000)
        assert a.summary().liquidatable
        a.sell("BTC", "0.1")  # out of liquidation by one's own hand
        assert not a.summary().liquidatable


# ---------------------------------------------------------------- access


def test_delegates():
    with world() as w:
        a, delegate = w.trader(), key("account", "delegate")
        expiry = w.chain.timestamp + 1_000
        receipt = w.access.send(a.owner.address, "set_delegate", delegate.address, 3, expiry)
        assert w.access.events(receipt, "DelegateSet")[0].args == {
            "owner": a.owner.address,
            "delegate": delegate.address,
            "rights": 3,
            "expiry": expiry,
        }
        orders = w.pair(w.maker.id, a.id, LOTS)
        w.settle(*orders, LOTS, w.maker.owner, delegate)
        a.buy("ETH", "1", leverage=10, mode="isolated")
        w.modes.send(delegate.address, "move_margin", a.id, a.vault("ETH"), USD)
        w.exchange.send(delegate.address, "cancel", a.id, 77)
        may = [w.access.call("may", a.owner.address, delegate.address, right) for right in (1, 2)]
        assert may == [True, True]
        assert w.access.call("may", a.owner.address, delegate.address, 1, at=expiry)
        assert not w.access.call("may", a.owner.address, delegate.address, 1, at=expiry + 1)
        w.access.send(a.owner.address, "set_delegate", delegate.address, 0, 0)
        assert not w.access.call("may", a.owner.address, delegate.address, 1)


def test_events_of_the_owner():
    with world() as w:
        sent = {
            "DoorSet": ("set_door", w.stranger, 2),
            "EngineSet": ("set_engine", 2, w.lens.address),
            "RolesSet": ("set_roles", w.guardian, w.compliance, w.stranger),
            "RatesSet": ("set_rates", 1, 2),
        }
        for name, call in sent.items():
            contract = w.house if name == "EngineSet" else w.access
            receipt = contract.send(w.owner, *call)
            assert tuple(contract.events(receipt, name)[0].args.values()) == call[1:]
        assert w.access.call("doors", w.stranger) == 2
        assert w.house.call("engines", 2) == w.lens.address
        assert w.house.call("engines", 0) == w.house.call("engines", 1)
        assert w.access.call("treasury") == w.stranger
        assert (w.access.call("insurance_share"), w.access.call("transfer_rate")) == (1, 2)
        receipt = w.access.send(w.compliance, "set_denied_modes", w.stranger, 5)
        assert w.access.events(receipt, "ModesDenied")[0].args["modes"] == 5
        assert w.access.call("denied_modes", w.stranger) == 5
        receipt = w.access.send(w.guardian, "set_paused", True)
        assert w.access.events(receipt, "PauseSet")[0].args["paused"]
        assert (w.access.call("insurance_share"), w.access.call("transfer_rate")) == (1, 2)
