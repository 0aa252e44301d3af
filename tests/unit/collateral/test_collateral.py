"""Spot tokens: what is credited, what may leave and when, and whose they are after a liquidation."""

import pytest

from margincall.chain import Reverted
from margincall.model import Refused
from tests.fuzz.mirror import mirror
from tests.unit.clearinghouse.series import Series
from tests.unit.clearinghouse.world import USD, world
from tests.unit.collateral.till import Till

COIN = 10**18
LOT = 10**10  # token units of a lot of bitcoin


@pytest.fixture
def till():
    with world() as w:
        yield Till(w)


def test_whole_lots_are_taken_and_credited(till):
    a = till.trader("a")
    before = till.pocket(a)
    receipt = till.deposit(a, COIN // 2 + LOT - 1)
    assert till.pocket(a) == before - COIN // 2
    assert till.lots(a) == 5 * 10**7
    assert till.held() == COIN // 2
    assert [event.args for event in till.contract.events(receipt, "SpotDeposited")] == [
        {"account": a.id, "market": 1, "payer": a.owner.address, "lots": 5 * 10**7}
    ]


def test_a_token_of_few_decimals():
    with world() as w:
        till = Till(w, decimals=8)
        a = till.trader("a")
        till.deposit(a, 123_456)
        assert till.lots(a) == 123_456
        with pytest.raises(ValueError, match="7 decimals; spot of BTC needs 8 or more"):
            Till(w, "BTC", decimals=7)


def test_a_delegate_for_margin_pays_in_for_another(till):
    a, b = till.trader("a"), till.trader("b", 0, 0)
    payer = a.owner.address
    for rights in (0, 1):  # signing orders is not enough
        till.w.access.send(b.owner.address, "set_delegate", payer, rights, 2**40 - 1)
        with till.w.refused("collateral: not owner"):
            till.contract.send(payer, "deposit", b.id, 1, COIN)
    till.w.access.send(b.owner.address, "set_delegate", payer, 2, 2**40 - 1)
    till.deposit(b, COIN, payer=payer)
    assert (till.lots(a), till.lots(b)) == (0, 10**8)
    till.withdraw(b, COIN)  # and it is b's now
    assert till.pocket(b) == COIN


def test_what_could_not_be_judged_is_not_taken(till):
    """Neither spot without a price, nor spot in a grace period, nor by an account that has another such."""
    w, ether = till.w, Till(till.w, "ETH")
    a = till.trader("a")
    ether.accounts.append(a)
    ether.fill(a.owner.address)
    ether.deposit(a, COIN)
    for _ in range(7):  # the feed of ETH falls silent
        w.jump(BTC=100_000, SOL=200)
    with pytest.raises(Refused, match="price: stale"):
        ether.deposit(a, COIN)
    with pytest.raises(Refused, match="price: stale"):
        till.deposit(a, COIN)
    w.jump(BTC=100_000, ETH=4_000)
    at = w.chain.timestamp + 1
    state = mirror(w, [a.id])
    with pytest.raises(Refused, match="collateral: grace after outage"):
        ether.twin.deposit(state, at, a.id, 2, COIN)
    with w.refused("collateral: grace after outage"):
        ether.contract.send(a.owner.address, "deposit", a.id, 2, COIN)
    till.deposit(a, COIN)  # bitcoin was never silent
    for _ in range(6):
        w.jump(BTC=100_000, ETH=4_000)
    ether.deposit(a, COIN)


def test_what_leaves_is_rounded_up(till):
    a = till.trader("a")
    till.deposit(a, COIN)
    receipt = till.withdraw(a, LOT + 1, till.w.stranger)
    assert till.pocket(till.w.stranger) == LOT + 1
    assert till.lots(a) == 10**8 - 2
    assert [event.args for event in till.contract.events(receipt, "SpotWithdrawn")] == [
        {"account": a.id, "market": 1, "receiver": till.w.stranger, "lots": 2, "amount": LOT + 1}
    ]
    till.withdraw(a, COIN - 2 * LOT)
    assert till.lots(a) == 0
    assert till.held() == LOT - 1  # what rounding left
    assert till.w.house.call("account", a.id)[1] == []


def test_nobody_takes_more_than_he_holds(till):
    a, b = till.trader("a"), till.trader("b")
    till.deposit(a, COIN)
    till.deposit(b, COIN)
    with pytest.raises(Refused, match="book: spot below zero"):
        till.withdraw(a, COIN + 1)


def test_spot_backs_a_perp_with_its_haircut(till):
    """100 USD and 0.1 BTC less 5 % carry 20 ETH of 80,000 USD: a tenth of both is transfer margin."""
    a = till.trader("a", 100)
    till.deposit(a, COIN // 10)
    assert a.summary().equity == (100 + 9_500) * USD
    a.buy("ETH", 20)
    free = (a.summary().equity - (8_000 + 950) * USD) * 10 // 9  # what leaves needs no tenth of it
    assert 0 < free < 700 * USD
    lots = free * 10**8 // (95_000 * USD)  # what may leave, to a lot
    with till.w.refused("margin: below transfer margin"):
        till.contract.send(a.owner.address, "withdraw", a.id, 1, (lots + 10**4) * LOT, a.owner.address)
    till.contract.send(a.owner.address, "withdraw", a.id, 1, (lots - 10**4) * LOT, a.owner.address)


def test_who_owes_cash_does_not_take_spot(till):
    a = till.trader("a", 1_000)
    till.deposit(a, COIN)
    a.buy("ETH", 20)
    till.w.jump(ETH=3_800)
    a.close("ETH")
    assert till.w.cash(a.id) < 0
    with pytest.raises(Refused, match="margin: not enough cash"):
        till.withdraw(a, LOT)
    a.deposit(4_000)
    till.withdraw(a, COIN)


def test_a_pause_stops_what_leaves(till):
    a = till.trader("a")
    till.deposit(a, COIN)
    till.w.pause()
    till.deposit(a, COIN)
    with pytest.raises(Refused, match="access: paused"):
        till.withdraw(a, LOT)


def test_a_portfolio_account(till):
    a = till.trader("a", 100)
    till.w.modes.send(a.owner.address, "switch_mode", a.id, 2)
    till.contract.send(a.owner.address, "deposit", a.id, 1, COIN)
    assert a.summary().equity == (100 + 95_000) * USD
    till.contract.send(a.owner.address, "withdraw", a.id, 1, COIN, a.owner.address)
    assert a.summary().equity == 100 * USD


def test_cap_and_minimum(till):
    a, b = till.trader("a", units=10**24), till.trader("b", units=10**24)
    till.deposit(a, 60 * COIN)
    with pytest.raises(Refused, match="collateral: cap"):
        till.deposit(b, 40 * COIN + LOT)
    till.deposit(b, 40 * COIN)
    for who in (till.contract, till.twin):
        args = (1, 5 * 10**9, 10**8)
        who.set_limits(*args) if who is till.twin else who.send(till.w.owner, "set_limits", *args)
    with pytest.raises(Refused, match="collateral: cap"):
        till.deposit(a, COIN)
    till.withdraw(a, 60 * COIN)  # below the new cap
    with pytest.raises(Refused, match="collateral: below minimum"):
        till.deposit(a, COIN - 1)
    till.deposit(a, COIN)


def test_a_gift_to_the_contract_is_nobody_s(till):
    a = till.trader("a")
    till.fill(till.w.stranger)
    till.deposit(a, COIN)
    till.token.send(till.w.stranger, "transfer", till.contract.address, 7 * COIN + 3)
    till.agreed(donated=7 * COIN + 3)
    with till.w.refused("book: spot below zero"):
        till.contract.send(a.owner.address, "withdraw", a.id, 1, 2 * COIN, a.owner.address)
    before = till.lots(a)
    till.contract.send(a.owner.address, "deposit", a.id, 1, COIN)
    assert till.lots(a) == before + 10**8


def test_two_tokens_and_the_settlement_token(till):
    """The settlement token itself may be listed: it lies here, and the clearinghouse's stays where it is."""
    w = till.w
    ether = Till(w, "ETH")
    a = till.trader("a")
    ether.accounts.append(a)
    ether.fill(a.owner.address)
    till.deposit(a, COIN)
    ether.deposit(a, 3 * COIN)
    house = w.tokens(w.house.address)
    till.contract.send(w.owner, "list_token", 3, w.token.address, 1, 10**9, 1)
    w.token.send(a.owner.address, "mint", a.owner.address, 10**6)
    w.token.send(a.owner.address, "approve", till.contract.address, 10**6)
    till.contract.send(a.owner.address, "deposit", a.id, 3, 10**6)
    assert w.tokens(till.contract.address) == 10**6
    till.contract.send(a.owner.address, "withdraw", a.id, 3, 10**6, a.owner.address)
    assert w.tokens(w.house.address) == house
    till.agreed()
    ether.agreed()


def test_a_liquidation_hands_spot_over_and_its_new_owner_withdraws(till):
    """0.03 BTC stand behind 20 ETH; after a fall a slice of both goes to the liquidator."""
    w = till.w
    a, k = till.trader("a", 1_000), till.trader("k", 100_000)
    till.contract.send(a.owner.address, "deposit", a.id, 1, 3 * COIN // 100)
    a.buy("ETH", 20)
    w.jump(ETH=3_880, BTC=100_000)
    w.protocol.liquidate(a.id, k)
    taken = till.lots(k)
    assert 0 < taken < 3 * 10**6
    assert till.lots(a) + taken == 3 * 10**6 == till.contract.call("listing", 1)[2]
    before = till.pocket(k)
    till.contract.send(k.owner.address, "withdraw", k.id, 1, taken * LOT, k.owner.address)
    assert till.pocket(k) == before + taken * LOT
    assert till.held() == till.lots(a) * LOT


def test_the_handle(till):
    a = till.w.trader("a")
    a.deposit_spot("BTC", "0.25")
    assert till.lots(a) == 25 * 10**6
    a.withdraw_spot("BTC", "0.25", till.w.stranger)
    assert till.pocket(till.w.stranger) == COIN // 4
    with pytest.raises(ValueError, match="no token is listed as spot of SOL"):
        a.deposit_spot("SOL", 1)


def test_what_listing_says(till):
    w = till.w
    receipt = w.protocol.collateral.send(w.owner, "list_token", 2, till.token.address, 10**11, 7, 5)
    assert [event.args for event in till.contract.events(receipt)] == [
        {"market": 2, "token": till.token.address, "scale": 10**11},
        {"market": 2, "cap": 7, "minimum": 5},
    ]
    assert till.contract.call("listing", 2) == (till.token.address, 10**11, 0, 7, 5)


def test_money_owed_against_spot_is_margined(till):
    """A cross account hands a friend, in trades at the band's edge, as much as the rule lets it owe: what
    is left is initial margin of its spot, and its first liquidation pays a penalty, without a shortfall."""
    w, series = till.w, Series(till.w, ("BTC",))
    a, friend = till.trader("a", 0), w.trader("friend", 400_000)
    till.deposit(a, 10 * COIN)
    name, size = series.call(112_000), 9
    while size:
        mark = w.protocol.mark_of(name) / 10**6
        try:
            a.buy(name, size, price=round(mark + 1_999), against=friend)
            a.sell(name, size, price=round(max(mark - 1_999, 0)), against=friend)
        except Reverted:
            if a.held(name):
                a.close(name, price=round(mark), against=friend)
            size //= 2
    equity, initial, maintenance, _ = w.house.call("margin", a.id, at=w.chain.timestamp)
    terms = w.market("BTC").terms.tiers[0]
    assert w.cash(a.id) < -800_000 * USD
    assert equity >= initial > maintenance >= 900_000 * USD * terms.mmf // 10**6
    w.jump(BTC=98_000)
    quanta, _, _, penalty = w.liquidation.call("preview", a.id, at=w.chain.timestamp)
    assert quanta > 0
    assert penalty > 0
    receipt = w.protocol.liquidate(a.id, w.trader("keeper", 5_000_000))
    assert w.liquidation.events(receipt, "Liquidated")[0].args["shortfall"] == 0
