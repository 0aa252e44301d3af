"""Prices, funding, grace, one price a transaction, terms and the timelock that guards them."""

from fractions import Fraction

import pytest

from margincall.chain import EmbeddedChain
from margincall.protocol.config import DEFAULT, USD
from margincall.protocol.deploy import deploy, fees_tuple
from tests.unit.clearinghouse.world import THIN, world
from tests.unit.markets.feed import CALLER, echo, payload

MARK = 100_000 * 10**6
TERMS = DEFAULT.markets[0].terms


def floor(x: Fraction) -> int:
    return x.numerator // x.denominator


def clamp(x, bound):
    return max(-bound, min(bound, x))


def test_an_update_stores_and_says_what_was_reported():
    with world() as w:
        at = w.chain.timestamp + 50
        feed = echo(w)
        receipt = w.markets.send(
            w.stranger, "update_prices", feed.address, payload((1, MARK + 7, MARK, at - 20)), at=at
        )
        mark, published, accrued, funding, rate = w.markets.call("last_price", 1)
        assert (mark, published, accrued) == (MARK + 7, at - 20, at)
        assert w.markets.events(receipt, "PriceUpdated")[0].args == {
            "market": 1,
            "mark": MARK + 7,
            "index": MARK,
            "published": at - 20,
            "funding": funding,
            "rate": rate,
        }
        assert w.markets.call("last_price", 2)[0] == 4_000 * 10**7  # the neighbour of its slot


@pytest.mark.parametrize(
    ("premium", "expected"),
    [
        (0, 100_000),  # the interest rate, 0.01 %
        (400_000, 100_000),  # inside the damp of 0.05 %
        (600_000, 100_000),
        (900_000, 400_000),  # premium less damp
        (-2_000_000, -1_500_000),
        (30_000_000, 20_000_000),  # capped
        (-30_000_000, -20_000_000),
    ],
)
def test_funding_rate(premium, expected):
    with world() as w:
        feed, at = echo(w), w.chain.timestamp + 10
        index = 10**10
        data = payload((1, MARK, MARK, at))
        mark = index + index * premium // 10**9
        w.jump(ETH=4_000)
        at = w.chain.timestamp + 10
        w.markets.send(w.stranger, "update_prices", feed.address, data, at=at)
        # From there in jumps of at most half, down to the mark of the case.
        price = MARK
        while price != mark:
            at += 100
            price = max(price // 2 + 1, mark)
            data = payload((1, price, index if price == mark else price, at))
            w.markets.send(w.stranger, "update_prices", feed.address, data, at=at)
        assert w.markets.call("last_price", 1)[4] == expected


def test_funding_index_grows_by_the_formula():
    with world() as w:
        w.protocol.set_prices({"BTC": 100_000}, {"BTC": 99_000}, at=w.chain.timestamp + 100)
        mark, _, accrued, start, rate = w.markets.call("last_price", 1)
        assert rate == 10_101_010 - 500_000
        for seconds in (0, 1, 59, 600):
            growth = Fraction(mark * 100 * rate * seconds, 28_800 * 10**9)
            assert w.markets.call("quote", 1, at=accrued + seconds).funding == start + floor(growth)
        at = accrued + 431
        w.protocol.set_prices({"BTC": 101_000}, at=at)
        stored = w.markets.call("last_price", 1)[3]
        assert stored == start + floor(Fraction(mark * 100 * rate * 431, 28_800 * 10**9))


def test_funding_is_paid_by_longs_to_shorts():
    with world() as w:
        a, b = w.trader("a"), w.trader("b")
        w.protocol.set_prices({"BTC": 100_000}, {"BTC": 99_000}, at=w.chain.timestamp + 100)
        a.buy("BTC", "0.05", against=b)
        before = a.summary().equity, b.summary().equity
        later = w.chain.timestamp + 500
        after = [w.lens.call("summary", account.id, at=later).equity for account in (a, b)]
        due = Fraction(5_000 * USD * 9_601_010 * 500, 28_800 * 10**9)
        assert abs(before[0] - after[0] - due) <= 2
        assert abs(after[1] - before[1] - due) <= 2
        assert sum(after) <= sum(before)


def test_steps_add_up_over_time():
    with world() as w:
        last = w.markets.call("last_price", 1)[1]
        w.protocol.set_prices({"BTC": 101_000}, at=last + 20)  # ten intervals allow 10 %
        w.protocol.set_prices({"BTC": 102_010}, at=last + 21)  # always at least one step
        with w.refused("price: step too large"):
            w.protocol.set_prices({"BTC": 104_051}, at=last + 23)


def test_age_of_a_price():
    with world() as w:
        published = w.markets.call("last_price", 1)[1]
        assert w.markets.call("quote", 1, at=published + 600).mark == MARK
        receipt = w.markets.send(w.owner, "set_max_age", 60)
        assert w.markets.events(receipt, "MaxAgeSet")[0].args == {"max_age": 60}
        assert w.markets.call("quote", 1, at=published + 60).mark == MARK
        w.protocol.set_prices({"ETH": 4_000}, at=published + 60)
        with w.refused("price: stale"):
            w.markets.send(w.stranger, "pin", 1)


def test_grace_after_an_outage():
    with world() as w:
        victim, k = w.trader("victim", 1_000), w.liquidator()
        victim.buy("BTC", "0.2")
        last = w.markets.call("last_price", 1)[1]
        back = last + 3_601
        w.protocol.set_prices({"BTC": 97_000}, at=back)
        assert w.markets.call("grace_until", 1) == back + 600
        assert w.markets.call("quote", 1).grace
        with w.refused("liquidation: grace after outage"):
            w.protocol.liquidate(victim.id, k)
        w.protocol.set_prices({"BTC": 97_000}, at=back + 599)
        assert w.markets.call("quote", 1).grace
        assert not w.markets.call("quote", 1, at=back + 600).grace
        w.protocol.liquidate(victim.id, k, at=back + 600)
        w.protocol.set_prices({"BTC": 97_000}, at=back + 700)
        assert not w.markets.call("quote", 1).grace


def test_silence_up_to_the_outage_is_none():
    with world() as w:
        w.protocol.set_prices({"BTC": 97_000}, at=w.markets.call("last_price", 1)[1] + 600)
        assert not w.markets.call("quote", 1).grace


def test_update_then_trade_in_one_transaction():
    """The price comes first and holds: the trade sees it, and no other follows."""
    with world() as w:
        a, caller, feed = w.trader(), w.chain.deploy(CALLER), echo(w)
        at, lots = w.chain.timestamp + 100, 10**6
        price = MARK * 105 // 100
        maker, taker = w.pair(w.maker.id, a.id, lots, price=price)
        fill = (maker, taker, lots, w.protocol.sign(w.maker.owner, maker), w.protocol.sign(a.owner, taker))
        calls = [
            (w.markets, ("update_prices", feed.address, payload((1, price, price, at)))),
            (w.exchange, ("settle", [fill])),
        ]
        data = [(contract.address, contract.encode(*call)) for contract, call in calls]
        caller.send(w.stranger, "run", data, at=at)
        assert w.held(a.id)[0][1] == lots
        assert w.exchange.call("filled", a.id, taker.salt) == lots


def test_pinning_ends_with_the_transaction():
    with world() as w:
        w.markets.send(w.stranger, "pin", 1)
        w.jump(BTC=100_100)


def test_terms_are_packed_and_published():
    with world() as w:
        tiers = [(0, 40_000, 25_000), (333_333, 41_000, 25_100)]
        receipt = w.markets.send(w.owner, "set_terms", 1, fees_tuple(TERMS), tiers)
        event = w.markets.events(receipt, "TermsSet")[0].args
        assert [tuple(tier) for tier in event["tiers"]] == tiers
        words = w.markets.call("terms_of", 1)
        assert words[1] == 40_000 << 64 | 25_000 << 88
        # Deductions: 333,333 * 0.1 % and 333,333 * 0.01 %, rounded down.
        assert words[2] == 333_333 | 41_000 << 64 | 25_100 << 88 | 333 << 112 | 33 << 176
        assert words[3:] == [2**64 - 1] * 4 + [0]
        book = w.markets.call("book") & (2**160 - 1)
        code = w.chain.code(f"0x{book:040x}")
        assert code[0] == 0
        blob = [int.from_bytes(code[65 + 32 * i : 97 + 32 * i], "big") for i in range(72)]
        assert blob[1] == 40_000 | 25_000 << 24 | 333_333 << 48
        assert blob[64:72] == words
        assert blob[4:64] == [0] * 60


def test_listing_one_more_market():
    with world() as w:
        rules = w.markets.call("rules", 1)
        w.markets.send(w.owner, "set_rules", 4, rules)
        receipt = w.markets.send(w.owner, "set_terms", 4, fees_tuple(TERMS), list(TERMS.tiers))
        assert w.markets.call("market_count") == 4
        assert w.markets.events(receipt, "TermsSet")[0].args["market"] == 4
        again = w.markets.send(w.owner, "set_rules", 4, rules)
        assert w.markets.events(again, "RulesSet")[0].args["rules"] == rules


def test_terms_bind_the_next_judgement():
    with world() as w:
        a = w.trader(usd=1_000)
        a.buy("BTC", "0.2")
        before = a.summary()
        w.set_terms("BTC", tiers=[(0, 50_000, 31_250)])
        after = a.summary()
        assert (before.initial, before.maintenance) == (800 * USD, 500 * USD)
        assert (after.initial, after.maintenance) == (1_000 * USD, 625 * USD)


def test_charges_are_socialised_by_size():
    """Exactly the deficit, from the winners, and what rounding adds becomes residue."""
    with world(THIN) as w:
        loser, k = w.trader("victim", 1_000), w.liquidator()
        first, second = w.trader("first", 50_000), w.trader("second", 50_000)
        loser.buy("BTC", "0.15", against=first)
        loser.buy("BTC", "0.05", against=second)
        w.jump(BTC=90_000)
        before = [account.summary().equity for account in (first, second)]
        receipt = w.protocol.liquidate(loser.id, k)
        done = w.liquidation.events(receipt, "Liquidated")[0].args
        charged = w.markets.events(receipt, "Charged")[0].args
        amount = done["socialised"]
        assert charged["amount"] == amount > 0
        assert not charged["longs"]
        assert charged["increment"] == -(-amount * 10**10 // (2 * 10**7))
        assert w.markets.call("social", 1) == charged["increment"] << 128
        assert w.house.call("deficits", 1) == amount
        paid = [
            old - w.lens.call("summary", account.id).equity
            for old, account in zip(before, (first, second), strict=True)
        ]
        assert abs(paid[0] - amount * 3 // 4) <= 100  # funding of a second
        assert abs(paid[1] - amount // 4) <= 100
        first.close("BTC", against=k)
        second.close("BTC", against=k)
        assert w.house.call("open_interest", 1) == 0
        assert w.house.call("deficits", 1) == 0
        assert 0 <= w.house.call("residue") <= 4


def test_parameters_wait_for_the_timelock():
    """As deployed: the deployer proposes and executes, and waits two days in between."""
    chain = EmbeddedChain()
    protocol = deploy(chain, DEFAULT)
    markets, timelock, deployer = protocol.markets, protocol.timelock, chain.accounts[0]
    owned = markets, protocol.access, protocol.feed, protocol.book, protocol.surface, protocol.portfolio
    assert {contract.call("owner") for contract in owned} == {timelock.address}
    changed = fees_tuple(TERMS._replace(taker_fee=600)), list(TERMS.tiers)
    data = markets.encode("set_terms", 1, *changed)
    operation = markets.address, 0, data, bytes(32), bytes(32)
    with pytest.raises(Exception, match="ownable: caller is not the owner"):
        markets.send(deployer, "set_terms", 1, *changed)
    with pytest.raises(Exception, match="timelock_controller: insufficient delay"):
        timelock.send(deployer, "schedule", *operation, 2 * 86_400 - 1)
    timelock.send(deployer, "schedule", *operation, 2 * 86_400)
    ready = chain.timestamp + 2 * 86_400
    with pytest.raises(Exception, match="timelock_controller: operation is not ready"):
        timelock.send(deployer, "execute", *operation, at=ready - 1)
    assert markets.call("terms_of", 1)[0] >> 16 & 0xFFFF == 500
    timelock.send(deployer, "execute", *operation, at=ready)
    assert markets.call("terms_of", 1)[0] >> 16 & 0xFFFF == 600
