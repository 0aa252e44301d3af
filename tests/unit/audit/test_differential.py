"""Checks of contracts beside the model: silent on the contracts themselves, loud on one that is changed."""

import pytest

from margincall.audit.draw import RandomDraw
from margincall.audit.machine import Machine, Violation
from margincall.audit.mutants.planting import Change, compiled, planted
from margincall.audit.properties import run_sometimes
from margincall.audit.settings import SETTINGS

BITES = {
    "i_14_books": (Change("StandardMargin.vy", "sums.deductions += tier >> 176", "pass"), "StandardMargin"),
    "i_14_pricing": (
        Change("options/black.vy", "rest = unsafe_add(rest, kinks)", "rest = unsafe_sub(rest, kinks)"),
        "Pricing",
    ),
    "i_14_smiles": (Change("options/smile.vy", "if high > LOW:", "if high <= LOW:"), "Surface"),
    "i_14_setters": (
        Change("Collateral.vy", "assert cap <= MAX_LOTS,", "assert cap <= MAX_LOTS + 1,"),
        "Collateral",
    ),
    "i_13_lens": (Change("PortfolioLens.vy", "forward -= linear", "forward += linear"), "PortfolioLens"),
}


def look(name: str, replaced=None, setting: str = "portfolio", times: int = 8) -> Machine:
    """A short history, then the check a few times."""
    machine, draw = Machine(SETTINGS[setting], {}, replaced), RandomDraw(3)
    while machine.steps < 40:
        machine.step(draw)
    for _ in range(times):
        run_sometimes(name, machine, draw)
    return machine


@pytest.mark.parametrize("name", BITES)
def test_contracts_and_model_say_the_same(name):
    machine = look(name)
    assert machine.counts[f"ran {name}"] == 8
    assert machine.checked["I-13" if name == "i_13_lens" else "I-14"] > 50


@pytest.mark.parametrize("name", BITES)
def test_a_change_is_noticed(name):
    change, contract = BITES[name]
    with pytest.raises(Violation, match="I-1[34]: "):
        look(name, compiled(planted([change]), [contract]))
