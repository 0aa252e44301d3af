"""From files and assumptions to an account: units, defaults, and what cannot be."""

from decimal import Decimal

import pytest

from margincall.margining import Assumptions, PortfolioFile, case_of, example
from margincall.margining.files import Line
from margincall.margining.inputs import pairs
from margincall.model.instrument import CALL, Instrument
from margincall.replay.candles import BadInput
from margincall.venues.smiles import chain_smiles

NOW = "2026-11-20T08:00:00Z"
EXPIRY = 1_798_185_600  # 25 December 2026, 08:00
PRICES = {"BTC": "100000", "ETH": "3000"}


def _file(*rows: tuple, **said) -> PortfolioFile:
    lines = [
        Line(f"book: line {i}", name, Decimal(size), Decimal(entry[0]) if entry else None)
        for i, (name, size, *entry) in enumerate(rows, 2)
    ]
    return PortfolioFile(tuple(lines), "book", **{"now": NOW, "prices": PRICES, "cash": "1000", **said})


def _case(*rows: tuple, **assumed):
    return case_of(_file(*rows), Assumptions(**assumed))


def test_units_are_the_contracts():
    got = _case(("BTC", "1.5", "90000"), ("BTC-25DEC26-95000-C", "-2", "8000"), vols={"BTC": "0.6,-0.1,0.3"})
    perp, call = got.holdings
    assert (perp.lots, perp.amount, perp.paid) == (150_000_000, 135_000 * 10**6, 135_000 * 10**6)
    assert call.instrument == Instrument(1, CALL, EXPIRY, 95_000 * 10**6)
    assert (call.lots, call.amount, call.paid) == (-200_000_000, 0, -16_000 * 10**6)
    assert got.cash == 1_000 * 10**6
    assert got.risk.prices == {1: 100_000 * 10**6}
    assert got.smiles[1, EXPIRY][:3] == (600_000, -100_000, 300_000)
    assert got.perps() == [(1, 150_000_000, 15_000 * 10**6)]


def test_a_missing_entry_is_the_price_of_now():
    for size in ("0.00000001", "-0.00000001", "1.23456789"):
        assert _case(("BTC", size), prices={"BTC": "98765.4321"}).perps()[0][2] == 0
    future = _case(("BTC-25DEC26", "-0.0001"))
    assert future.portfolio().equity == future.cash


def test_equal_instruments_add_up():
    got = _case(("BTC", "1", "90000"), ("BTC", "0.5", "96000"))
    assert [(h.lots, h.amount) for h in got.holdings] == [(150_000_000, 138_000 * 10**6)]


def test_options_win_over_the_file():
    held = _file(("BTC", "1"), vols={"BTC": "0.9"})
    got = case_of(
        held, Assumptions(cash="5", now="2026-11-21T08:00Z", prices={"BTC": "50000"}, rho="1", psi="0")
    )
    assert (got.cash, got.risk.prices[1]) == (5 * 10**6, 50_000 * 10**6)
    assert got.now == case_of(held).now + 86_400
    assert got.risk.im == got.risk.mm == (32_768, 0)
    assert case_of(held).risk.im == (24_576, 26_214)
    assert _case(("BTC", "1"), rho="0.500001", psi="0.500001").risk.im == (16_385, 16_384)


def test_an_expiry_has_its_own_vol_before_its_underlying_s():
    rows = ("BTC-25DEC26-95000-C", "1"), ("BTC-26MAR27-95000-C", "1")
    got = _case(*rows, vols={"BTC": "0.6", "BTC:26MAR27": "0.7,0.05,0.1"})
    assert [smile[:3] for smile in got.smiles.values()] == [(600_000, 0, 0), (700_000, 50_000, 100_000)]


def test_the_real_chain_s_smiles():
    """On the chain's own expiries its fitted smiles; between two of them a variance between theirs."""
    chain = {smile.expiry: smile for smile in chain_smiles()}
    march = 1_711_699_200  # 29 March 2024
    rows = [("ETH-29MAR24-2200-C", "1")]
    held = _file(*rows, now="2024-01-08T11:19:41Z", prices={"ETH": "2222"})
    got = case_of(held, Assumptions(smile="deribit")).smiles[2, march]
    assert got[:3] == (chain[march].atm, chain[march].skew, chain[march].curvature)
    level = case_of(held, Assumptions(smile="deribit", vols={"ETH": "0.65"})).smiles[2, march]
    assert level.atm == 650_000
    assert level.curvature > 0
    held = _file(("ETH-8MAR24-2200-C", "1"), now="2024-01-08T11:19:41Z", prices={"ETH": "2222"})
    (between,) = case_of(held, Assumptions(smile="deribit")).smiles.values()
    near, far = chain[1_708_675_200], chain[march]
    assert min(near.atm, far.atm) <= between.atm <= max(near.atm, far.atm)
    with pytest.raises(BadInput, match="no volatility of BTC:29MAR24"):
        case_of(_file(("BTC-29MAR24-50000-C", "1"), now="2024-01-08T11:19:41Z"), Assumptions(smile="deribit"))


@pytest.mark.parametrize(
    ("rows", "assumed", "said"),
    [
        ([("SOL", "1")], {}, "no price of SOL; give one with --price SOL="),
        ([("DOGE", "1")], {}, "book: line 2: instrument 'DOGE': unknown market 'DOGE'; known: BTC, ETH, SOL"),
        ([("BTC-31FEB26", "1")], {}, "31FEB26 is no date; expected one such as 27DEC24"),
        ([("BTC-25DEC26-95000", "1")], {}, "expected BTC, BTC-SPOT, BTC-27DEC24 or"),
        ([("BTC", "0")], {}, "line 2: BTC: size is zero"),
        ([("BTC", "1"), ("BTC", "-1")], {}, "BTC: the sizes add up to zero"),
        ([("BTC", "0.123456789")], {}, "has more than 8 decimals"),
        ([("BTC", "9999999")], {}, "BTC: the position is too large"),
        ([("BTC-25DEC25-95000-C", "1")], {}, "BTC-25DEC25-95000-C: has expired"),
        ([("BTC-25DEC28-95000-C", "1")], {}, "expires too late; expected at most 400 days"),
        ([("BTC-25DEC26-95100-C", "1")], {}, "not on the grid; expected a multiple of 500 USD"),
        ([("BTC-25DEC26-95000-C", "0.00015")], {}, "not whole contracts; expected a multiple of 0.0001 BTC"),
        ([("BTC-SPOT", "-1")], {}, "BTC-SPOT: spot cannot be sold short; sell the perp"),
        ([("BTC-25DEC26-95000-C", "1")], {}, "no volatility of BTC:25DEC26; give one with --vol BTC=0.6"),
        ([("BTC", "1")], {"prices": {"BTC": "nan"}}, "price of BTC: 'nan' is not finite"),
        ([("BTC", "1")], {"prices": {"BTC": "-3"}}, "price of BTC: -3 USD; expected 3.0355 to"),
        ([("BTC", "1")], {"prices": {"BTC": "0.00000001"}}, "price of BTC: price: 1E-8 has more than 6"),
        ([("BTC", "1")], {"prices": {"DOGE": "1"}}, "price of DOGE: unknown market; known: BTC, ETH, SOL"),
        ([("BTC", "1")], {"cash": "much"}, "cash: 'much' is no number"),
        ([("BTC", "1")], {"cash": "0.0000001"}, "cash: money: 1E-7 has more than 6 decimals"),
        ([("BTC", "1")], {"cash": "1e15"}, "is too much"),
        ([("BTC", "1")], {"now": "soon"}, "now: 'soon' is no time; expected ISO 8601"),
        ([("BTC", "1")], {"rho": "2"}, "--rho 2: expected 0 to 1"),
        ([("BTC", "1")], {"psi": "-0.1"}, "--psi -0.1: expected 0 to 1"),
        ([("BTC", "1")], {"smile": "cboe"}, "--smile cboe: expected deribit"),
        ([("BTC-25DEC26-95000-C", "1")], {"vols": {"BTC": "60"}}, "vol of BTC: level 60; expected 0.05 to 4"),
        ([("BTC-25DEC26-95000-C", "1")], {"vols": {"BTC": "high"}}, "vol of BTC: 'high' is no number"),
        ([("BTC-25DEC26-95000-C", "1")], {"vols": {"BTC": "1,2,3,4"}}, "vol of BTC: '1,2,3,4' has 4 parts"),
        ([("BTC-25DEC26-95000-C", "1")], {"vols": {"BTC": "0.6,3,0"}}, "the surface refuses 0.6,3,0 (vol:"),
        ([("BTC-25DEC26-95000-C", "1")], {"vols": {"DOGE": "1"}}, "vol of DOGE: expected BTC or BTC:27DEC26"),
        (
            [("BTC-25DEC26-95000-C", "1"), ("BTC-26MAR27-95000-C", "1")],
            {"vols": {"BTC": "0.2", "BTC:25DEC26": "0.9"}},
            "(vol: calendar); expected a level that gives no less variance",
        ),
    ],
)
def test_refusals_say_what_was_expected(rows, assumed, said):
    with pytest.raises(BadInput) as refused:
        _case(*rows, **{**assumed, "prices": {**PRICES, **assumed["prices"]} if "prices" in assumed else {}})
    assert said in str(refused.value)


def test_pairs_are_name_and_value():
    assert pairs(["btc=1", "ETH:25DEC26=0.6,0,1"], "--vol", "x") == {"BTC": "1", "ETH:25DEC26": "0.6,0,1"}
    for bad in ("BTC", "=1", "BTC="):
        with pytest.raises(BadInput, match="--vol .*: expected NAME=VALUE like x"):
            pairs([bad], "--vol", "x")
    with pytest.raises(BadInput, match="given twice"):
        pairs(["BTC=1", "btc=2"], "--vol", "x")


def test_a_file_without_a_price_names_it():
    with pytest.raises(BadInput, match="no price of BTC; give one with --price BTC=100000"):
        case_of(example("perp")._replace(prices={}))
