"""The numbers that venues publish, by their own formulas and by the twin set up like them."""

from fractions import Fraction

import pytest

from margincall import venues
from margincall.model import (
    Rules,
    State,
    Terms,
    Tier,
    accounts,
    deposit,
    fund_insurance,
    liquidate,
    liquidation_price,
    money,
    plan,
    take_over,
    to_lots,
    to_price,
    trade,
)
from margincall.model.margin import margin
from margincall.model.markets import funding_rate
from margincall.venues.formulas import VenueTier

NOW = 1_700_000_000
DECIMALS = 8  # of sizes; prices have 14 - 8
PRICE = 14 - DECIMALS
UNIT = 10**PRICE
STILL = Rules(step=1_000, interval=1, outage=3_600, grace=0, interest=0, damp=0, rate_cap=0)
TRADER, OTHER, THIRD = accounts.root(0xA1), accounts.root(0xB2), accounts.root(0xC3)


def setup(*markets, penalty=0):
    """A protocol without fees and funding; markets: (tiers, price)."""
    state = State(scale=1, liquidator_share=0, reward=0)
    fund_insurance(state, 0, money(10**9))
    for account in (OTHER, THIRD):
        deposit(state, account, money(10**9))
    for market, (tiers, price) in enumerate(markets, 1):
        terms = Terms(tiers, penalty=penalty, band=10_000, min_notional=money(1))
        state.set_market(market, STILL, terms)
        state.update(market, to_price(price, PRICE), to_price(price, PRICE), NOW, NOW)
    return state


def fill(state, account, market, size, price):
    trade(state, NOW, market, OTHER, account, to_lots(size, DECIMALS), to_price(price, PRICE))


def assert_same(price_units, published, shown):
    """The twin's price within one of its price units of the exact value, and that one as published."""
    assert round(float(published), 2) == pytest.approx(shown)
    assert abs(price_units - published * UNIT) <= 1


BINANCE = {"side": 1, "quantity": "3683.979", "entry": "1456.84", "wallet": "1535443.01"}


def test_binance_cross():
    """The other contract is the page's too: 109.488 BTC from 32,481.98, marked at 31,967.27."""
    eth, btc = venues.preset("binance-eth"), venues.preset("binance-btc")
    published = venues.binance_liquidation_price(
        **BINANCE, tiers=eth.published(), other_maintenance="71200.81144", other_pnl="-56354.57"
    )
    state = setup((eth.tiers(), "1456.84"), (btc.tiers(), "32481.98"))
    deposit(state, TRADER, money("1535443.01"))
    fill(state, TRADER, 1, "3683.979", "1456.84")
    fill(state, TRADER, 2, "109.488", "32481.98")
    later = NOW + 20
    state.update(2, to_price("31967.27", PRICE), to_price("31967.27", PRICE), later, later)
    state.update(1, to_price("1456.84", PRICE), to_price("1456.84", PRICE), later, later)
    bitcoin = margin(0, state.positions[TRADER][1:], state.markets, later, state.max_age)
    assert bitcoin.maintenance == money("71200.811444")
    assert bitcoin.equity == money("-56354.56848")
    assert_same(liquidation_price(state, later, TRADER, 1), published, 1153.26)


def test_binance_isolated():
    eth = venues.preset("binance-eth")
    published = venues.binance_liquidation_price(**BINANCE, tiers=eth.published())
    state = setup((eth.tiers(), "1456.84"))
    deposit(state, TRADER, money("1535443.01"))
    vault = accounts.vault(TRADER, 1)
    trade(
        state,
        NOW,
        1,
        OTHER,
        vault,
        to_lots("3683.979", DECIMALS),
        to_price("1456.84", PRICE),
        taker_margin=money("1535443.01"),
    )
    assert_same(liquidation_price(state, NOW, vault, 1), published, 1114.78)


def test_binance_maintenance_amounts():
    """The page's own: 135,365 at 10 % (ETH); 50 and 1,300 at 0.5 % and 1 % (BTC)."""
    assert venues.deductions(venues.preset("binance-eth").published())[5] == 135_365
    assert venues.deductions(venues.preset("binance-btc").published())[1:3] == [50, 1_300]


def test_binance_tier_is_the_one_at_the_liquidation_price():
    """At entry the position is in the 12.5 % tier, at its liquidation price in the 10 % tier."""
    tiers = venues.preset("binance-eth").published()
    price = venues.binance_liquidation_price(**BINANCE, tiers=tiers)
    quantity = Fraction(BINANCE["quantity"])
    assert venues.tier_at(tiers, quantity * Fraction(BINANCE["entry"])) == 6
    assert venues.tier_at(tiers, quantity * price) == 5


def test_bybit():
    """The page holds MM at its value at entry, 100, whatever the price does. In the twin that is what another
    position requires, beside a market that requires nothing itself (such terms could not be listed).
    """
    published = venues.bybit_liquidation_price(1, 1, 20_000, initial=400, maintenance=100)
    tiers = venues.preset("bybit-btc").tiers()
    state = setup((tiers, 20_000), (tiers, 20_000))
    deposit(state, TRADER, money(1_000))
    fill(state, TRADER, 1, 1, 20_000)
    fill(state, TRADER, 2, 1, 20_000)
    state.cash[TRADER] = money(400)
    state.markets[1].set_terms(Terms((Tier(0, 20_000, 0),)))
    assert state.margin(TRADER, NOW).maintenance == money(100)
    assert_same(liquidation_price(state, NOW, TRADER, 1), published, 19_700)


def test_bybit_with_a_requirement_that_follows_the_price():
    """MM falls with the price of a long, so the true price is 1.51 below the page's: 19,600 / 0.995."""
    preset = venues.preset("bybit-btc")
    state = setup((preset.tiers(), 20_000))
    deposit(state, TRADER, money(400))
    vault = accounts.vault(TRADER, 1)
    lots, price = to_lots(1, DECIMALS), to_price(20_000, PRICE)
    trade(state, NOW, 1, OTHER, vault, lots, price, taker_margin=money(400))
    moving = venues.binance_liquidation_price(1, 1, 20_000, 400, preset.published())
    assert moving == Fraction(19_600) / Fraction(995, 1_000)
    assert_same(liquidation_price(state, NOW, vault, 1), moving, 19698.49)


def test_dydx():
    """Short 3 ETH at 3,000 with 1,000 USDC of equity."""
    published = venues.dydx_liquidation_price(-3, 3_000, equity=1_000, maintenance="0.05")
    state = setup((venues.preset("dydx-eth").tiers(), "3000"))
    deposit(state, TRADER, money(1_000))
    fill(state, TRADER, 1, -3, 3_000)
    assert_same(liquidation_price(state, NOW, TRADER, 1), published, 3174.60)


def test_hyperliquid_formula_is_the_twins():
    """No number is published: the formula and the twin agree on longs and shorts, cross and with others."""
    tiers = venues.preset("hyperliquid-btc").tiers()
    for side in (1, -1):
        state = setup((tiers, 50_000), (venues.preset("hyperliquid-eth").tiers(), 3_000))
        deposit(state, TRADER, money(10_000))
        fill(state, TRADER, 1, 2 * side, 50_000)
        fill(state, TRADER, 2, -10, 3_000)
        account = state.margin(TRADER, NOW)
        available = Fraction(account.equity - account.maintenance, 10**6)
        published = venues.hyperliquid_liquidation_price(side, 2, 50_000, available, 80)
        units = liquidation_price(state, NOW, TRADER, 1)
        assert_same(units, published, round(float(published), 2))


def test_hyperliquid_funding():
    """Impact bid 10,100 over an oracle of 10,000: 0.95 % per eight hours, in the formula and in the twin."""
    published = venues.funding_rate(Fraction(100, 10_000))
    assert published == Fraction(95, 10_000)
    rules = Rules(interest=100_000, damp=500_000, rate_cap=320_000_000)
    assert funding_rate(10_100, 10_000, rules) == published * 10**9
    assert venues.funding_rate(-1, cap="0.32") == Fraction(-32, 100)


PARADEX = ((20, "71.12"), (40, "62.24"), (60, "53.36"), (80, "44.48"))


def paradex():
    """Collateral 1,000; long 0.1 BTC 60,000 -> 54,800; short 1 ETH 3,000 -> 3,400; fee: half of MM."""
    tiers = venues.preset("paradex-btc").tiers()
    state = setup((tiers, 60_000), (tiers, 3_000), penalty=5_000)
    deposit(state, TRADER, money(1_000))
    fill(state, TRADER, 1, "0.1", 60_000)
    fill(state, TRADER, 2, -1, 3_000)
    later = NOW + 200
    for market, price in ((1, 54_800), (2, 3_400)):
        state.update(market, to_price(price, PRICE), to_price(price, PRICE), later, later)
    return state, later


def test_paradex_margin():
    state, now = paradex()
    account = state.margin(TRADER, now)
    assert (account.equity, account.maintenance) == (money(80), money("88.8"))


@pytest.mark.parametrize(("percent", "value"), PARADEX)
def test_paradex_account_value_after_a_slice(percent, value):
    """Their table of equal shares is what the twin's take-over leaves."""
    state, now = paradex()
    closes = [abs(size) * percent // 100 for _, size, _ in state.positions[TRADER]]
    before = state.close_out(TRADER, now)
    left = before.penalty * (100 - percent) // 100
    take_over(state, now, TRADER, THIRD, closes, before.penalty - left, 0, 0)
    account = state.margin(TRADER, now)
    assert account.equity == money(value)
    assert account.maintenance == money("88.8") * (100 - percent) // 100


def test_paradex_share():
    """They stop at 40 %; the twin closes the smallest thousandth that restores its own target of 1.2."""
    reduction = venues.paradex_reduction(80, "88.8")
    assert (reduction.share, reduction.account_value) == (Fraction(2, 5), Fraction("62.24"))
    state, now = paradex()
    # (1.2 * 88.8 - 80) / (1.2 * 88.8 - 44.4) = 0.42728
    assert plan(state, now, TRADER).quanta == 428
    liquidate(state, now, TRADER, THIRD)
    account = state.margin(TRADER, now)
    assert account.equity * 10 >= account.maintenance * 12


def test_user_report_of_a_missing_requirement():
    """Counting the other positions' requirement moves the liquidation price against the holder."""
    tiers = venues.preset("dydx-eth").tiers()
    state = setup((tiers, 100), (tiers, 100))
    deposit(state, TRADER, money(1_000))
    fill(state, TRADER, 1, 50, 100)
    alone = liquidation_price(state, NOW, TRADER, 1)
    fill(state, TRADER, 2, 30, 100)
    beside = liquidation_price(state, NOW, TRADER, 1)
    exact = Fraction(5_000 - 1_000 + 150, 1) / (50 * Fraction(95, 100))
    assert abs(beside - exact * UNIT) <= 1
    assert beside > alone


@pytest.mark.parametrize("name", sorted(venues.PRESETS))
def test_presets_are_markets_of_this_protocol(name):
    preset = venues.preset(name)
    state = setup((preset.tiers(), 100), penalty=1_000)
    market = state.markets[1]
    published = venues.deductions(preset.published())[: len(market.brackets)]
    for bracket, cum in zip(market.brackets, published, strict=True):
        # Rates of a third are rounded up to a ppm: a deduction moves by at most that of its edge.
        assert abs(bracket.mm_deduction - cum * 10**6) <= bracket.lower_raw // 10**8 // 10**6 + 1
    assert preset.date
    assert preset.source


def test_no_price_where_nothing_liquidates():
    tiers = (VenueTier(Fraction(0), Fraction(1, 50), Fraction(1, 100)),)
    assert venues.binance_liquidation_price(1, 1, 100, 200, tiers) is None
    assert venues.bybit_liquidation_price(1, 1, 100, 300, 1) is None
    assert venues.dydx_liquidation_price(1, 100, 200, "0.05") is None
    assert venues.hyperliquid_liquidation_price(1, 1, 100, 150, 80) is None


def test_refused_inputs_are_named():
    with pytest.raises(ValueError, match="is a float"):
        venues.bybit_liquidation_price(1, 0.1, 20_000, 400, 100)
    with pytest.raises(ValueError, match="choose one of binance-btc"):
        venues.preset("mt-gox")
