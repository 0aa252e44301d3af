"""The picture's lines are the engine's numbers; the file is a picture."""

import numpy as np
import pytest

from margincall.margining import Assumptions, case_of, example, example_names, measure
from margincall.margining.draw import _apart, draw
from margincall.margining.profile import STEP, profile, weight
from margincall.model.portfolio import FULL_WEIGHT, SCENARIOS


@pytest.mark.parametrize("name", example_names())
@pytest.mark.parametrize("price", [None, "0.55", "1.8"])  # of the file's: strikes off the curve
def test_lines_go_through_every_scenario(name, price):
    file = example(name)
    if price:
        factor = float(price)
        file = file._replace(prices={s: str(round(float(p) * factor, 2)) for s, p in file.prices.items()})
    found = measure(case_of(file, Assumptions()))
    for one in found.underlyings:
        line = profile(found.case, one.market)
        for index, loss in enumerate(one.losses):
            assert -line.at(index) == pytest.approx(loss, abs=100)  # 0.0001 USD: moves have 32 bits
        assert np.isnan(line.change["up"]).sum() == np.isnan(line.change["down"]).sum() > 0
        assert not np.isnan(line.change["mark"]).any()


def test_weights_are_the_rule_s():
    for extent in (32, 40, 48):
        for scenario in SCENARIOS:
            factor = np.array([np.exp(0.05 * scenario.steps)])
            assert weight(factor, extent)[0] * FULL_WEIGHT == scenario.weight(extent)
    assert STEP * 20 == 80


def test_labels_do_not_touch():
    placed = _apart([0.0, 0.1, 0.2, 5.0], 1.0)
    assert np.diff(placed).min() > 0.99
    assert np.diff(placed[:3]).max() < 1.01
    assert placed[3] == 5.0
    assert np.mean(placed[:3]) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["perp-put", "btc-against-eth", "box"])
def test_a_picture_is_written(tmp_path, name):
    path = tmp_path / "new" / "margin.png"
    draw(measure(case_of(example(name))), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 20_000
