"""Every reason for which the clearinghouse, its access rules, its judge and its ledger refuse."""

import pytest

from margincall.chain import Reverted
from margincall.protocol.artifacts import artifact
from margincall.protocol.deploy import deploy
from tests.unit.clearinghouse.test_book_refusals import refusal as of_books
from tests.unit.clearinghouse.world import (
    LIQUIDATION,
    THIN,
    TRADE,
    USD,
    Refusals,
    check,
    inline,
    many_markets,
    reasons_in,
    world,
)

refusal = Refusals()
HOSTILE = artifact("HostileToken")
FALLING = inline(
    "FallingToken",
    """
# pragma version 0.4.3
# Whoever receives more tokens has fewer of them, while `falling` is on.
balances: HashMap[address, uint256]
falling: public(bool)

@deploy
def __init__(name: String[25], symbol: String[5], decimals: uint8):
    pass

@external
def mint(to: address, amount: uint256):
    self.balances[to] += amount

@external
def approve(spender: address, amount: uint256) -> bool:
    return True

@external
def set_falling(falling: bool):
    self.falling = falling

@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    if self.falling:
        self.balances[to] -= amount
    else:
        self.balances[to] += amount
    return True

@external
@view
def balanceOf(owner: address) -> uint256:
    return self.balances[owner]

@external
@view
def allowance(owner: address, spender: address) -> uint256:
    return max_value(uint256)
""",
)
FEE_ON_TRANSFER, RETURNS_FALSE, TAKES_MORE = 1, 3, 8
ROUND = 10**8  # lots of a bitcoin


def trade(market, maker, taker, change, amount, *rest):
    """IClearinghouse.Trade: fees 2, margins 2, reduce-only bits."""
    return (market, maker, taker, change, amount, *(rest or (0, 0, 0, 0, 0)))


# ---------------------------------------------------------------- money in and out


@refusal("deposit: not a root account")
def to_a_vault(w):
    a = w.trader()
    return lambda: w.house.send(a.owner.address, "deposit", a.vault("BTC"), USD)


@refusal("deposit: not a root account")
def to_account_zero(w):
    return lambda: w.house.send(w.stranger, "deposit", 0, USD)


@refusal("deposit: bad amount")
def nothing_deposited(w):
    a = w.trader()
    return lambda: w.house.send(a.owner.address, "deposit", a.id, 0)


@refusal("deposit: bad amount", THIN._replace(token_decimals=18))
def dust_deposited(w):
    a = w.trader()
    w.token.send(a.owner.address, "mint", a.owner.address, 10**12 - 1)
    return lambda: w.house.send(a.owner.address, "deposit", a.id, 10**12 - 1)


@refusal("deposit: bad amount", token=HOSTILE)
def wholly_taxed_deposit(w):
    a = w.trader()
    w.hostile.send(w.stranger, "set_mode", FEE_ON_TRANSFER)
    w.token.send(a.owner.address, "mint", a.owner.address, 1)
    return lambda: w.house.send(a.owner.address, "deposit", a.id, 1)


@refusal("token: refused", token=HOSTILE)
def deposit_of_a_token_that_says_no(w):
    a = w.trader()
    w.hostile.send(w.stranger, "set_mode", RETURNS_FALSE)
    return lambda: w.house.send(a.owner.address, "deposit", a.id, USD)


@refusal("token: refused", token=HOSTILE)
def withdrawal_of_a_token_that_says_no(w):
    a = w.trader()
    w.hostile.send(w.stranger, "set_mode", RETURNS_FALSE)
    return lambda: a.withdraw(1)


@refusal("token: balance fell", token=FALLING)
def deposit_that_takes(w):
    a = w.trader()
    w.hostile.send(w.stranger, "set_falling", True)
    return lambda: w.house.send(a.owner.address, "deposit", a.id, USD)


@refusal("token: took too much", token=HOSTILE)
def withdrawal_that_takes_more(w):
    a = w.trader()
    w.hostile.send(w.stranger, "set_mode", TAKES_MORE)
    return lambda: a.withdraw(1)


@refusal("withdraw: not owner")
def strangers_withdrawal(w):
    a = w.trader()
    return lambda: w.house.send(w.stranger, "withdraw", a.id, 1, w.stranger)


@refusal("withdraw: not owner")
def delegates_withdrawal(w):
    a = w.trader()
    w.access.send(a.owner.address, "set_delegate", w.stranger, 3, 2**40 - 1)
    return lambda: w.house.send(w.stranger, "withdraw", a.id, 1, a.owner.address)


@refusal("withdraw: not owner")
def strangers_closing(w):
    a = w.trader()
    return lambda: w.house.send(w.stranger, "close_account", a.id, w.stranger)


@refusal("withdraw: not a root account")
def withdrawal_from_a_vault(w):
    a = w.trader()
    a.buy("BTC", "0.01", leverage=10, mode="isolated")
    return lambda: w.house.send(a.owner.address, "withdraw", a.vault("BTC"), 1, a.owner.address)


@refusal("withdraw: bad receiver")
def withdrawal_to_nobody(w):
    a = w.trader()
    return lambda: a.withdraw(1, "0x" + "00" * 20)


@refusal("withdraw: bad receiver")
def withdrawal_to_the_clearinghouse(w):
    a = w.trader()
    return lambda: a.withdraw(1, w.house.address)


@refusal("withdraw: zero amount")
def withdrawal_of_nothing(w):
    a = w.trader()
    return lambda: a.withdraw(0)


@refusal("withdraw: bad amount")
def withdrawal_beyond_any_money(w):
    a = w.trader()
    return lambda: w.house.send(a.owner.address, "withdraw", a.id, 2**96, a.owner.address)


@refusal("margin: not enough cash")
def withdrawal_of_more_than_the_cash(w):
    a = w.trader()
    return lambda: w.house.send(a.owner.address, "withdraw", a.id, w.cash(a.id) + 1, a.owner.address)


@refusal("margin: not enough cash")
def withdrawal_of_unrealised_profit(w):
    a = w.trader(usd=1_000)
    a.buy("BTC", "0.05")
    w.jump(BTC=150_000)
    return lambda: a.withdraw(1_001)


@refusal("margin: below transfer margin")
def withdrawal_of_transfer_margin(w):
    a = w.trader(usd=1_000)
    a.buy("BTC", "0.05")
    return lambda: a.withdraw(500)


@refusal("access: paused")
def withdrawal_in_a_pause(w):
    a = w.trader()
    w.pause()
    return lambda: a.withdraw(1)


@refusal("access: paused")
def closing_in_a_pause(w):
    a = w.trader()
    w.pause()
    return lambda: w.house.send(a.owner.address, "close_account", a.id, a.owner.address)


@refusal("close: has positions")
def closing_with_a_position(w):
    a = w.trader()
    a.buy("BTC", "0.01")
    return lambda: w.house.send(a.owner.address, "close_account", a.id, a.owner.address)


@refusal("insurance: no such pool")
def funding_an_unknown_pool(w):
    return lambda: w.house.send(w.stranger, "fund_insurance", 64, USD)


@refusal("fees: nothing to collect")
def no_fees_yet(w):
    return lambda: w.house.send(w.stranger, "collect_fees", 1)


# ---------------------------------------------------------------- posting


@refusal("clearing: not a trade door")
def strangers_trade(w):
    a = w.trader()
    return lambda: w.house.send(w.stranger, "trade", trade(1, w.maker.id, a.id, 1, 0))


@refusal("clearing: not a trade door")
def liquidation_door_trades(w):
    a, door = w.trader(), w.door(LIQUIDATION)
    return lambda: w.house.send(door, "trade", trade(1, w.maker.id, a.id, 1, 0))


@refusal("clearing: not a trade door")
def strangers_move(w):
    a = w.trader()
    return lambda: w.house.send(w.stranger, "move_cash", a.id, a.vault("BTC"), 1)


@refusal("clearing: bad trade")
def trade_of_nothing(w):
    a, door = w.trader(), w.door(TRADE)
    return lambda: w.house.send(door, "trade", trade(1, w.maker.id, a.id, 0, 0))


@refusal("clearing: bad trade")
def trade_with_itself(w):
    a, door = w.trader(), w.door(TRADE)
    return lambda: w.house.send(door, "trade", trade(1, a.id, a.id, 1, 0))


@refusal("clearing: other account")
def cash_to_another_owner(w):
    a, door = w.trader(), w.door(TRADE)
    return lambda: w.house.send(door, "move_cash", a.id, w.maker.id, 1)


@refusal("clearing: other account")
def cash_to_another_root(w):
    a, b, door = w.trader(), w.trader(index=1), w.door(TRADE)
    return lambda: w.house.send(door, "move_cash", a.id, b.id, 1)


@refusal("clearing: bad cash")
def cash_beyond_any_money(w):
    a, door = w.trader(), w.door(TRADE)
    return lambda: w.house.send(door, "move_cash", a.id, a.vault("BTC"), 2**96)


@refusal("clearing: bad cash")
def margin_for_a_root_account(w):
    a, door = w.trader(), w.door(TRADE)
    return lambda: w.house.send(door, "trade", trade(1, w.maker.id, a.id, ROUND, 0, 0, 0, 0, 5, 0))


@refusal("clearing: reduce only")
def reduce_only_that_opens(w):
    a = w.trader()
    return lambda: a.buy("BTC", "0.01", reduce_only=True)


@refusal("clearing: reduce only")
def reduce_only_that_adds(w):
    a = w.trader()
    a.buy("BTC", "0.01")
    return lambda: a.buy("BTC", "0.01", reduce_only=True)


@refusal("clearing: reduce only")
def reduce_only_that_flips(w):
    a = w.trader()
    a.buy("BTC", "0.01")
    return lambda: a.sell("BTC", "0.02", reduce_only=True)


@refusal("clearing: reduce only")
def reduce_only_that_turns_over_into_less(w):
    a = w.trader()
    a.buy("BTC", "0.01")
    return lambda: a.sell("BTC", "0.015", reduce_only=True)


@refusal("clearing: market is reduce-only")
def opening_in_a_closing_market(w):
    a = w.trader()
    w.set_terms("BTC", status=2)
    return lambda: a.buy("BTC", "0.01")


@refusal("clearing: not the vault's market")
def vault_of_another_market(w):
    a = w.trader()
    orders = w.pair(w.maker.id, a.vault("BTC"), 10**7, "ETH")
    return lambda: w.settle(*orders, 10**7, w.maker.owner, a.owner)


@refusal("clearing: below min notional")
def opening_too_little(w):
    a = w.trader()
    return lambda: a.buy("BTC", "0.00099999")


@refusal("clearing: below min notional")
def leaving_too_little(w):
    a = w.trader()
    a.buy("BTC", "0.01")
    return lambda: a.sell("BTC", "0.00900001")


@refusal("clearing: open interest cap", THIN)
def more_than_insurance_covers(w):
    a = w.trader()
    w.set_terms("BTC", oi_multiple=1)
    return lambda: a.buy("BTC", "0.01")


@refusal("clearing: open interest cap")
def more_than_the_cap(w):
    a = w.trader()
    w.set_terms("BTC", oi_cap=999 * USD)
    return lambda: a.buy("BTC", "0.01")


@refusal("ledger: size too large")
def too_many_lots(w):
    a, door = w.trader(), w.door(TRADE)
    return lambda: w.house.send(door, "trade", trade(1, w.maker.id, a.id, 2**47, 0))


@refusal("ledger: entry too large")
def too_large_an_entry(w):
    a, door = w.trader(), w.door(TRADE)
    return lambda: w.house.send(door, "trade", trade(1, w.maker.id, a.id, ROUND, 2**63))


@refusal("ledger: too many positions", many_markets(33))
def position_33(w):
    a = w.trader(usd=10**6)
    for i in range(32):
        a.buy(f"M{i + 1}", "0.002")
    other = w.trader("maker", 10**6)
    return lambda: a.buy("M33", "0.002", against=other)


@refusal("margin: below initial")
def opening_too_much(w):
    a = w.trader(usd=1_000)
    return lambda: a.buy("BTC", "0.26")


@refusal("margin: loss exceeds cash")
def closing_at_a_loss_beyond_the_cash(w):
    a = w.victim(price=94_000)
    return lambda: a.close("BTC")


@refusal("margin: health falls")
def reducing_at_a_ruinous_price(w):
    w.set_terms("BTC", band=100_000)
    a = w.victim()
    return lambda: a.sell("BTC", "0.1", price=97_000 * 95 // 100)


@refusal("margin: health falls")
def handing_equity_to_a_friend_at_the_edge_of_the_band(w):
    """Two per cent below the mark closing frees more maintenance (2.5 %) than it costs, yet it would
    leave the losses to insurance: a reduction may not cost a larger share of equity than of maintenance."""
    a = w.victim()
    return lambda: a.sell("BTC", "0.19", price=97_000 * 98 // 100)


@refusal("margin: insolvent")
def reducing_with_nothing_left(w):
    a = w.victim(price=94_000)
    return lambda: a.sell("BTC", "0.1")


@refusal("clearing: grace after outage")
def opening_while_liquidations_wait(w):
    a = w.trader()
    w.protocol.set_prices({"BTC": 100_000}, at=w.chain.timestamp + 3_700)
    return lambda: a.buy("BTC", "0.01")


@refusal("access: paused")
def opening_in_a_pause(w):
    a = w.trader()
    w.pause()
    return lambda: a.buy("BTC", "0.01")


@refusal("access: mode not allowed")
def opening_in_a_denied_mode(w):
    a = w.trader()
    w.deny(a, 0)
    return lambda: a.buy("BTC", "0.01")


# ---------------------------------------------------------------- take-over


@refusal("clearing: not a liquidation door")
def strangers_take_over(w):
    a, k = w.victim(), w.liquidator()
    return lambda: w.house.send(w.stranger, "take_over", a.id, k.id, [], 0, 0, [], [])


@refusal("clearing: not a liquidation door")
def trade_door_takes_over(w):
    a, k = w.victim(), w.liquidator()
    door = w.door(TRADE)
    return lambda: w.house.send(door, "take_over", a.id, k.id, [], 0, 0, [], [])


@refusal("liquidation: taker is a vault")
def into_a_vault(w):
    a, k, door = w.victim(), w.liquidator(), w.door(LIQUIDATION)
    return lambda: w.house.send(door, "take_over", a.id, k.vault("BTC"), [], 0, 0, [], [])


@refusal("liquidation: taker is a vault")
def into_the_victim(w):
    a, door = w.victim(), w.door(LIQUIDATION)
    return lambda: w.house.send(door, "take_over", a.id, a.id, [], 0, 0, [], [])


@refusal("liquidation: healthy")
def taking_over_the_healthy(w):
    a, k, door = w.trader(), w.liquidator(), w.door(LIQUIDATION)
    return lambda: w.house.send(door, "take_over", a.id, k.id, [], 0, 0, [], [])


@refusal("liquidation: adds risk")
def taking_over_the_wrong_way(w):
    a, k, door = w.victim(), w.liquidator(), w.door(LIQUIDATION)
    return lambda: w.house.send(door, "take_over", a.id, k.id, [(1, ROUND, 97_000 * USD)], 0, 0, [], [])


@refusal("liquidation: adds risk")
def taking_over_through_zero(w):
    a, k, door = w.victim(), w.liquidator(), w.door(LIQUIDATION)
    return lambda: w.house.send(door, "take_over", a.id, k.id, [(1, -ROUND, -97_000 * USD)], 0, 0, [], [])


@refusal("liquidation: worsens health")
def a_penalty_beyond_what_a_slice_frees(w):
    a, k, door = w.victim(), w.liquidator(), w.door(LIQUIDATION)
    leg = (1, -ROUND // 10, -9_700 * USD)
    return lambda: w.house.send(door, "take_over", a.id, k.id, [leg], -300 * USD, 0, [], [])


@refusal("liquidation: shortfall left")
def a_close_that_leaves_a_debt(w):
    a, k, door = w.victim(price=94_000), w.liquidator(), w.door(LIQUIDATION)
    leg = (1, -ROUND // 5, -18_800 * USD)
    return lambda: w.house.send(door, "take_over", a.id, k.id, [leg], 0, 0, [], [])


@refusal("clearing: insurance comes first")
def charging_winners_while_there_is_insurance(w):
    a, k, door = w.victim(price=94_000), w.liquidator(), w.door(LIQUIDATION)
    leg = (1, -ROUND // 5, -18_800 * USD)
    charges = [(1, False, 300 * USD)]
    return lambda: w.house.send(door, "take_over", a.id, k.id, [leg], 300 * USD, 0, charges, [])


@refusal("liquidation: grace after outage")
def taking_over_in_grace(w):
    a, k = w.trader("victim", 1_000), w.liquidator()
    a.buy("BTC", "0.2")
    w.protocol.set_prices({"BTC": 97_000}, at=w.chain.timestamp + 3_700)
    return lambda: w.protocol.liquidate(a.id, k)


@refusal("margin: below initial")
def a_taker_who_cannot_carry_it(w):
    a, k = w.victim(), w.liquidator(100)
    return lambda: w.protocol.liquidate(a.id, k)


@refusal("access: mode not allowed")
def a_taker_who_may_not_trade_cross(w):
    a, k = w.victim(), w.liquidator()
    w.deny(k, 0)
    return lambda: w.protocol.liquidate(a.id, k)


# ---------------------------------------------------------------- access


@refusal("delegate: no such right")
def an_unknown_right(w):
    return lambda: w.access.send(w.stranger, "set_delegate", w.guardian, 4, 0)


@refusal("delegate: bad delegate")
def a_delegate_of_oneself(w):
    return lambda: w.access.send(w.stranger, "set_delegate", w.stranger, 1, 0)


@refusal("delegate: bad delegate")
def nobody_as_delegate(w):
    return lambda: w.access.send(w.stranger, "set_delegate", "0x" + "00" * 20, 1, 0)


@refusal("delegate: bad expiry")
def a_delegate_for_ever(w):
    return lambda: w.access.send(w.stranger, "set_delegate", w.guardian, 1, 2**40)


@refusal("access: not compliance")
def strangers_denial(w):
    return lambda: w.access.send(w.stranger, "set_denied_modes", w.guardian, 1)


@refusal("access: no such mode")
def denial_of_an_unknown_mode(w):
    return lambda: w.access.send(w.compliance, "set_denied_modes", w.guardian, 8)


@refusal("access: not guardian")
def strangers_pause(w):
    return lambda: w.access.send(w.stranger, "set_paused", True)


@refusal("access: bad treasury")
def nobody_as_treasury(w):
    return lambda: w.access.send(w.owner, "set_roles", w.guardian, w.compliance, "0x" + "00" * 20)


@refusal("access: no such door")
def an_unknown_kind_of_door(w):
    return lambda: w.access.send(w.owner, "set_door", w.stranger, 4)


@refusal("access: bad engine")
def another_engine_for_cross(w):
    return lambda: w.house.send(w.owner, "set_engine", 0, w.lens.address)


@refusal("access: bad engine")
def another_engine_for_isolated(w):
    return lambda: w.house.send(w.owner, "set_engine", 1, w.lens.address)


@refusal("access: bad engine")
def an_engine_without_code(w):
    return lambda: w.house.send(w.owner, "set_engine", 2, w.stranger)


@refusal("access: insurance share")
def too_large_an_insurance_share(w):
    return lambda: w.access.send(w.owner, "set_rates", 10**6 + 1, 0)


@refusal("access: transfer rate")
def too_large_a_transfer_rate(w):
    return lambda: w.access.send(w.owner, "set_rates", 0, 10**6 + 1)


OWNERS_FUNCTIONS = {
    "set_roles": lambda w: (w.guardian, w.compliance, w.treasury),
    "set_door": lambda w: (w.deployer, 1),
    "set_engine": lambda w: (2, w.lens.address),
    "set_rates": lambda w: (0, 0),
    "transfer_ownership": lambda w: (w.deployer,),
}


@pytest.mark.parametrize("function", OWNERS_FUNCTIONS)
def test_the_deployer_is_owner_no_more(function):
    with world() as w, w.refused("ownable: caller is not the owner"):
        contract = w.house if function == "set_engine" else w.access
        contract.send(w.deployer, function, *OWNERS_FUNCTIONS[function](w))


def test_ownership_is_taken_not_given():
    with world() as w:
        w.access.send(w.owner, "transfer_ownership", w.stranger)
        with w.refused("ownable_2step: caller is not the new owner"):
            w.access.send(w.deployer, "accept_ownership")
        assert w.access.call("owner") == w.owner
        w.access.send(w.stranger, "accept_ownership")
        assert w.access.call("owner") == w.stranger


def test_no_renouncing():
    with world() as w, pytest.raises(ValueError, match="unknown; known"):
        w.access.send(w.owner, "renounce_ownership")


@pytest.mark.parametrize("decimals", [5, 19])
def test_decimals_of_the_token(decimals):
    with world() as w:
        engine = w.markets.address
        with w.refused("clearing: token decimals"):
            parts = (w.access.address, w.markets.address, engine, w.book.address)
            w.new("Clearinghouse", w.token.address, decimals, *parts)


def test_the_base_engine_is_a_contract():
    with world() as w, w.refused("access: bad engine"):
        parts = (w.access.address, w.markets.address, w.stranger, w.book.address)
        w.new("Clearinghouse", w.token.address, 6, *parts)


def test_a_market_the_vault_cannot_have():
    """A vault's id names its market; the id of an unlisted one has no price."""
    with world() as w:
        a = w.trader()
        orders = w.pair(w.maker.id, a.id | 63 << 32, ROUND)
        orders = [order._replace(market=63) for order in orders]
        with w.refused("price: none"):
            w.settle(*orders, ROUND, w.maker.owner, a.owner)


def test_every_reason_is_provoked():
    sources = (
        "Clearinghouse.vy",
        "Access.vy",
        "access/gate.vy",
        "margin/judge.vy",
        "ledger/ledger.vy",
        "ledger/lanes.vy",
    )
    elsewhere = {"clearing: token decimals"}  # the constructor's, above
    given = reasons_in(*sources)
    assert len(given) > 45
    assert refusal.reasons | of_books.reasons & given | elsewhere == given


def test_a_failed_deployment_says_why():
    with world() as w, pytest.raises(Reverted, match="access: transfer rate"):
        deploy(w.chain, THIN._replace(transfer_rate=10**6 + 1))


@pytest.mark.parametrize(("reason", "spec", "token", "case"), refusal.cases)
def test_refused(reason, spec, token, case):
    check(reason, spec, token, case)
