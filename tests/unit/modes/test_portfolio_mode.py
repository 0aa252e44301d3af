"""Root accounts between CROSS and PORTFOLIO: what stays (all), what is judged, every refusal (I-29)."""

import pytest

from tests.unit.clearinghouse.series import Series
from tests.unit.clearinghouse.world import Refusals, check, world

refusal = Refusals()
CROSS, ISOLATED, PORTFOLIO = range(3)


def switch(w, account, mode, sender=None):
    return lambda: w.modes.send(sender or account.owner.address, "switch_mode", account.id, mode)


def hedged(w, series, usd=100_000):
    """A portfolio account with perps, options, a future and spot of two underlyings."""
    a, b = series.trader("a", usd), series.trader("b", 1_000_000)
    a.buy("BTC", "0.1", against=b)
    a.sell("ETH", "2", against=b)
    a.sell(series.call(105_000), "0.1", against=b)
    a.buy(series.put(95_000, far=True), "0.1", against=b)
    a.buy(series.put(3_800, "ETH"), "1", against=b)
    a.sell(series.future(), "0.05", against=b)
    return a


def stored(w, account):
    """Header without its mode, and all words."""
    header, words = w.house.call("account", account.id)
    return header & ~(255 << 136), words


def test_there_and_back_is_nothing():
    with world() as w:
        series = Series(w)
        a = hedged(w, series)
        before, pools = stored(w, a), [w.pool(i) for i in range(4)]
        interest = [w.house.call("open_interest", market) for market in (1, 2, 3)]
        header = w.house.call("account", a.id)[0]
        for go, mode in ((a.to_cross_mode, CROSS), (a.to_portfolio, PORTFOLIO)):
            go()
            assert a.mode == mode
            assert stored(w, a) == before
            assert [w.pool(i) for i in range(4)] == pools
            assert [w.house.call("open_interest", market) for market in (1, 2, 3)] == interest
        assert w.house.call("account", a.id)[0] == header


def test_equity_is_the_same_in_both_modes():
    """At one second, by the two rules; requirements differ, and hedges need less under the portfolio rule."""
    with world() as w:
        series = Series(w)
        a = hedged(w, series)
        at = w.chain.timestamp + 5
        found = []
        for go in (None, a.to_cross_mode):
            if go:
                go()
            found.append(w.house.call("margin", a.id, at=at))
        (equity, initial, *_), (other, more, *_) = found
        assert abs(equity - other) <= 2  # a rounding down an underlying
        assert initial < more


def test_the_event_says_what_the_switch_did():
    with world() as w:
        series = Series(w)
        a = hedged(w, series)
        at = w.chain.timestamp + 1
        before = w.house.call("margin", a.id, at=at)[0]
        receipt = w.modes.send(a.owner.address, "switch_mode", a.id, CROSS, at=at)
        done = w.modes.events(receipt, "ModeSwitched")[0].args
        equity, initial, _, _ = w.house.call("margin", a.id, at=at)
        assert done == {
            "account": a.id,
            "mode": CROSS,
            "equity_before": before,
            "equity": equity,
            "initial": initial,
        }
        assert [event.args for event in w.house.events(receipt, "ModeSet")] == [
            {"account": a.id, "mode": CROSS}
        ]


def test_an_empty_account_switches_freely():
    with world() as w:
        a = w.trader(usd=0)
        a.to_portfolio()
        assert a.mode == PORTFOLIO
        a.deposit(5_000)
        a.buy("BTC", "0.1")
        assert a.mode == PORTFOLIO
        assert w.house.call("margin", a.id) == tuple(
            w.protocol.portfolio.call("margin", *w.house.call("account", a.id))
        )


def test_closing_the_account_forgets_the_mode():
    with world() as w:
        a = w.trader()
        a.to_portfolio()
        w.house.send(a.owner.address, "close_account", a.id, a.owner.address)
        assert w.house.call("account", a.id) == (0, [])


def test_vaults_of_a_portfolio_account_stay_isolated():
    with world() as w:
        a = w.trader()
        a.buy("BTC", "0.05", leverage=10, mode="isolated")
        vault = a.vault("BTC")
        held = w.house.call("account", vault)
        a.to_portfolio()
        assert w.house.call("account", vault) == held
        a.to_cross("BTC")  # home into the portfolio account
        assert [lots for _, lots, _ in w.held(a.id)] == [5 * 10**6]
        assert a.mode == PORTFOLIO
        a.to_isolated("BTC", 600)
        assert a.mode == PORTFOLIO
        assert w.held(a.id) == ()


def test_an_exact_requirement_is_enough():
    """With just the initial margin of cross the switch passes; a unit less, and it does not."""
    with world() as w:
        series = Series(w)
        a = hedged(w, series, 12_000)
        at = w.chain.timestamp + 10

        header, words = w.house.call("account", a.id)
        crossed = header & ~(255 << 136)
        equity, initial = w.protocol.standard.call("initial", crossed, words, at=at)
        spare = equity - initial
        owner = a.owner.address
        w.house.send(owner, "withdraw", a.id, spare + 1, owner)
        snapshot = w.chain.snapshot()
        with w.refused("margin: below initial"):
            w.modes.send(owner, "switch_mode", a.id, CROSS, at=at)
        w.chain.revert(snapshot)
        payer = w.trader("payer", 10)
        w.token.send(payer.owner.address, "mint", payer.owner.address, 1)
        w.house.send(payer.owner.address, "deposit", a.id, 1)
        w.modes.send(owner, "switch_mode", a.id, CROSS, at=at)
        assert a.mode == CROSS


@refusal("switch: not owner")
def a_stranger(w):
    return switch(w, w.trader(), PORTFOLIO, w.stranger)


@refusal("switch: not owner")
def a_delegate(w):
    a = w.trader()
    w.access.send(a.owner.address, "set_delegate", w.stranger, 3, 2**40 - 1)
    return switch(w, a, PORTFOLIO, w.stranger)


@refusal("switch: not a root account")
def a_vault(w):
    a = w.trader()
    a.buy("BTC", "0.05", leverage=10, mode="isolated")
    return lambda: w.modes.send(a.owner.address, "switch_mode", a.vault("BTC"), PORTFOLIO)


@refusal("switch: in that mode")
def from_cross_to_cross(w):
    return switch(w, w.trader(), CROSS)


@refusal("switch: in that mode")
def from_portfolio_to_portfolio(w):
    a = w.trader()
    a.to_portfolio()
    return switch(w, a, PORTFOLIO)


@refusal("switch: no such mode")
def to_isolated(w):
    return switch(w, w.trader(), ISOLATED)


@refusal("switch: no such mode")
def to_a_rule_that_is_no_mode(w):
    return switch(w, w.trader(), 3)


@refusal("switch: liquidatable")
def out_of_a_liquidation(w):
    return switch(w, w.victim(), PORTFOLIO)


@refusal("switch: liquidatable")
def out_of_a_portfolio_liquidation(w):
    series = Series(w)
    a, b = series.trader("a", 1_100), series.trader("b")
    a.sell(series.call(100_000), "0.05", against=b)
    w.jump(BTC=118_000)
    series.refresh()
    return switch(w, a, CROSS)


@refusal("margin: below initial")
def hedges_that_cross_does_not_know(w):
    series = Series(w)
    a, b = series.trader("a", 12_000), series.trader("b")
    a.buy(series.future(), "0.5", against=b)
    a.sell("BTC", "0.5", against=b)
    a.withdraw(9_000)
    return switch(w, a, CROSS)


@refusal("margin: below initial")
def leverage_that_portfolio_does_not_give(w):
    a = w.trader(usd=1_000)
    a.buy("BTC", "0.2")
    return switch(w, a, PORTFOLIO)


@refusal("access: paused")
def in_a_pause(w):
    a = w.trader()
    w.pause()
    return switch(w, a, PORTFOLIO)


@refusal("access: mode not allowed")
def into_a_denied_mode(w):
    a = w.trader()
    w.deny(a, PORTFOLIO)
    return switch(w, a, PORTFOLIO)


@refusal("curve: stale")
def with_options_that_nobody_valued(w):
    series = Series(w)
    a = hedged(w, series)
    until = w.chain.timestamp + 3_600
    while w.chain.timestamp < until:
        w.protocol.set_prices({"BTC": 100_000, "ETH": 4_000}, at=w.chain.timestamp + 500)
    return switch(w, a, CROSS)


@refusal("price: stale")
def at_an_old_price(w):
    a = w.trader()
    a.buy("BTC", "0.01")
    w.protocol.set_prices({"ETH": 4_000}, at=w.chain.timestamp + 601)
    return switch(w, a, PORTFOLIO)


@pytest.mark.parametrize(("reason", "spec", "token", "case"), refusal.cases)
def test_refused(reason, spec, token, case):
    check(reason, spec, token, case)
