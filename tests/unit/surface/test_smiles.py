"""Deribit's ETH chain: marks inverted, smiles fitted, and posted as one surface."""

import math

import pytest

from margincall.data import OPTIONS
from margincall.model.surface import DAY, MAX_LAG, YEAR, check_smile
from margincall.venues import smiles
from tests.unit.surface.conftest import ETH

SNAPSHOT = 1_704_712_781  # 2024-01-08T11:19:41Z


@pytest.fixture(scope="module")
def fitted():
    return smiles.chain_smiles()


def test_inversion_gives_the_vol_back():
    for x, term, vol, call in (
        (0.1, 3 * DAY, 0.8, False),
        (-0.3, 90 * DAY, 0.6, True),
        (0.0, DAY, 2.5, True),
    ):
        price = smiles.black_price(x, vol * math.sqrt(term / YEAR), call)
        assert smiles.implied_vol(x, term, price, call) == pytest.approx(vol, rel=1e-8)
    with pytest.raises(ValueError, match="no volatility"):
        smiles.implied_vol(0.0, DAY, 1.0, True)


def test_the_chain_is_read(tmp_path):
    quotes = smiles.read_chain()
    assert len({quote.expiry for quote in quotes}) == 11
    assert all(quote.call == (quote.x <= 0) and 0.3 < quote.vol < 2.5 for quote in quotes)
    for text, message in (
        ("a,b\n1,2\n", "no column"),
        (OPTIONS.read_text().splitlines()[0] + "\nx" * 1, "line 2"),
    ):
        path = tmp_path / "chain.csv"
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            smiles.read_chain(path)


def test_every_expiry_is_accepted(fitted):
    """The accepted fits leave at most three ticks of root mean square error (1.5e-3 of the underlying)."""
    assert len(fitted) == 11
    for smile in fitted:
        check_smile(smile.atm, smile.skew, smile.curvature, smile.term)
        assert 0.65e6 < smile.atm < 1.05e6
        assert smile.rms_price < 3 * smiles.TICK
    assert [smile.free_refusal for smile in fitted] == ["vol: wings"] * 7 + ["vol: not monotone"] + [""] * 3
    # free parabolas fit short expiries well, and are refused for what they say of far strikes
    assert all(smile.free_rms_price < smiles.TICK for smile in fitted[:7])


def test_a_doubled_level_is_flattened_until_accepted(fitted):
    for smile in fitted:
        flat = smiles.flattened(2 * smile.atm, smile.skew, smile.curvature, smile.term)
        check_smile(*flat, smile.term)
        assert flat[0] == 2 * smile.atm
        assert 0 < flat[2] <= smile.curvature
        assert smiles.flattened(smile.atm, smile.skew, smile.curvature, smile.term) == smile[3:6]
    assert smiles.flattened(2 * fitted[1].atm, *fitted[1][4:6], fitted[1].term)[2] < fitted[1].curvature


def test_the_surface_takes_the_whole_chain(deploy, owner, stranger, payload, feed, rules, fitted):
    surface = deploy("Surface")
    surface.send(owner, "set_rules", ETH, tuple(rules))
    reports = [smile.report(ETH, SNAPSHOT - MAX_LAG) for smile in fitted]
    surface.send(stranger, "update_vols", feed.address, payload(*reports), at=SNAPSHOT)
    for report in reports:
        assert tuple(surface.call("vol", ETH, report.expiry)) == report[2:]
