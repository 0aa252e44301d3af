"""Orders: fills, cancellations, prices, fees, margin and hashes."""

from eth_account import Account as EthAccount
from eth_account.messages import encode_typed_data

from tests.unit.clearinghouse.world import USD, world

LOTS = 10**6  # 0.01 BTC
CANCELLED = 2**64 - 1


def test_the_makers_price_holds():
    with world() as w:
        a = w.trader()
        mark = w.protocol.mark("BTC")
        maker, taker = w.pair(w.maker.id, a.id, LOTS)
        receipt = w.settle(maker._replace(price=mark - 500), taker, LOTS, w.maker.owner, a.owner)
        price = mark - 500
        assert w.exchange.events(receipt, "Traded")[0].args == {
            "maker": w.maker.id,
            "taker": a.id,
            "market": 1,
            "size": LOTS,
            "price": price,
            "maker_fee": -(-LOTS * price * 200 // 10**14),
            "taker_fee": -(-LOTS * price * 500 // 10**14),
        }


def test_edges_of_the_band_are_inside():
    with world() as w:
        a = w.trader()
        for percent in (98, 102):
            a.buy("BTC", "0.01", price=100_000 * percent // 100)


def test_partial_fills_and_a_shared_salt():
    with world() as w:
        a = w.trader()
        maker, taker = w.pair(w.maker.id, a.id, 3 * LOTS)
        w.settle(maker, taker, LOTS, w.maker.owner, a.owner)
        assert w.exchange.call("filled", a.id, taker.salt) == LOTS
        # Another order with the same salt, of another price: what is filled counts for both.
        other = taker._replace(price=taker.price + 1)
        w.settle(maker, other, 2 * LOTS, w.maker.owner, a.owner)
        assert w.exchange.call("filled", a.id, taker.salt) == 3 * LOTS
        assert w.exchange.call("filled", w.maker.id, maker.salt) == 3 * LOTS
        assert w.held(a.id)[0][1] == 3 * LOTS


def test_four_salts_share_a_word_and_nothing_else():
    with world() as w:
        a = w.trader()
        for salt, lots in ((4, LOTS), (7, 2 * LOTS), (5, 3 * LOTS), (8, 4 * LOTS)):
            maker, taker = w.pair(w.maker.id, a.id, lots)
            w.settle(maker, taker._replace(salt=salt), lots, w.maker.owner, a.owner)
        w.exchange.send(a.owner.address, "cancel", a.id, 6)
        filled = [w.exchange.call("filled", a.id, salt) for salt in (3, 4, 5, 6, 7, 8)]
        assert filled == [0, LOTS, 3 * LOTS, CANCELLED, 2 * LOTS, 4 * LOTS]


def test_cancelling_says_so():
    with world() as w:
        a = w.trader()
        owner = a.owner.address
        one = w.exchange.send(owner, "cancel", a.id, 9)
        every = w.exchange.send(owner, "cancel_all", a.id, 100)
        assert w.exchange.events(one)[0].args == {"account": a.id, "salt": 9}
        assert w.exchange.events(every)[0].args == {"account": a.id, "below": 100}
        assert w.exchange.call("cancelled_below", a.id) == 100
        assert w.protocol.next_salt(a.id) == 100  # the first that still counts
        a.buy("BTC", "0.01")


def test_cancelling_after_a_partial_fill_keeps_the_position():
    with world() as w:
        a = w.trader()
        maker, taker = w.pair(w.maker.id, a.id, 2 * LOTS)
        w.settle(maker, taker, LOTS, w.maker.owner, a.owner)
        w.exchange.send(a.owner.address, "cancel", a.id, taker.salt)
        with w.refused("order: cancelled"):
            w.settle(maker, taker, LOTS, w.maker.owner, a.owner)
        assert w.held(a.id)[0][1] == LOTS


def test_the_last_second_of_an_order():
    with world() as w:
        a = w.trader()
        at = w.chain.timestamp + 30
        maker, taker = w.pair(w.maker.id, a.id, LOTS, expiry=at)
        w.settle(maker, taker, LOTS, w.maker.owner, a.owner, at=at)


def test_margin_follows_the_fill():
    """Parts are rounded up: many fills move no less than one."""
    with world() as w:
        a = w.trader()
        vault = a.vault("BTC")
        maker, taker = w.pair(w.maker.id, vault, 3 * LOTS)
        taker = taker._replace(margin=500 * USD)
        for _ in range(3):
            w.settle(maker, taker, LOTS, w.maker.owner, a.owner)
        assert w.cash(a.id) == 10_000 * USD - 3 * 166_666_667
        assert w.cash(vault) == 3 * 166_666_667 - 3 * 500_000


def test_both_sides_isolated():
    with world() as w:
        a, b = w.trader("a"), w.trader("b")
        maker, taker = w.pair(b.vault("BTC"), a.vault("BTC", 7), LOTS, margin=100 * USD)
        w.settle(maker, taker, LOTS, b.owner, a.owner)
        assert [w.held(v)[0][1] for v in (a.vault("BTC", 7), b.vault("BTC"))] == [LOTS, -LOTS]
        assert w.pool(1)[1] == 350_000  # half of 0.20 and 0.50: vaults pay into their market's pool


def test_a_traders_accounts_are_apart():
    with world() as w:
        a, b = w.trader(), w.trader(index=5)
        a.buy("BTC", "0.01")
        b.sell("BTC", "0.02")
        assert (w.held(a.id)[0][1], w.held(b.id)[0][1]) == (LOTS, -2 * LOTS)


def test_hashes_are_eip_712():
    with world() as w:
        a = w.trader()
        order = w.pair(w.maker.id, a.id, -LOTS)[1]._replace(reduce_only=True, margin=5)
        kinds = ["account", "market", "size", "price", "margin", "maxFee", "expiry", "salt", "reduceOnly"]
        types = ["uint256", "uint256", "int256", *["uint256"] * 5, "bool"]
        signable = encode_typed_data(
            domain_data={
                "name": "margincall",
                "version": "1",
                "chainId": w.chain.chain_id,
                "verifyingContract": w.exchange.address,
            },
            message_types={"Order": [{"name": n, "type": t} for n, t in zip(kinds, types, strict=True)]},
            message_data=dict(zip(kinds, order, strict=True)),
        )
        signed = EthAccount.sign_message(signable, a.owner.secret)
        assert signed.signature == w.protocol.sign(a.owner, order)
        assert w.exchange.call("hash_order", order) == signed.message_hash
