"""Checks of contracts beside the model: silent on the contracts themselves, loud on one that is changed."""

import pytest

from margincall.audit.draw import RandomDraw
from margincall.audit.machine import Machine, Violation
from margincall.audit.mutants.planting import Change, compiled, planted
from margincall.audit.operations import money
from margincall.audit.properties import run_sometimes
from margincall.audit.settings import SETTINGS

BITES = {
    "i_14_bounds": (
        Change("Clearinghouse.vy", "assert debit < 2**96,", "assert debit < 2**97,"),
        "Clearinghouse",
    ),
    "i_14_edges": (
        Change(
            "margin/portfolio.vy",
            "MAX_UNDERLYINGS: constant(uint256) = 8",
            "MAX_UNDERLYINGS: constant(uint256) = 7",
        ),
        "PortfolioMargin",
    ),
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


# Of what bounds and edges look at: one change of each part.
AT_THE_ENDS = {
    "a constructor": ("bounds", "Expiry", "Expiry.vy", "assert markets.is_contract,", "assert True,"),
    "a door": (
        "bounds",
        "Clearinghouse",
        "Clearinghouse.vy",
        "assert lanes._parent(source) == lanes._parent(target) and source != target,",
        "assert source != target,",
    ),
    "a fee at its greatest": ("bounds", "Exchange", "Exchange.vy", "rate <= max_rate", "rate < max_rate"),
    "a large fee": (
        "bounds",
        "Exchange",
        "margin/terms.vy",
        "return word & (2**16 - 1)",
        "return word & (2**15 - 1)",
    ),
    "the second before a window": (
        "edges",
        "Exchange",
        "Exchange.vy",
        "SETTLING: constant(uint256) = 1_800",
        "SETTLING: constant(uint256) = 1_801",
    ),
    "a market's id": (
        "bounds",
        "SignedFeed",
        "feeds/report_checks.vy",
        "market < units.MAX_MARKETS",
        "market <= units.MAX_MARKETS",
    ),
    "a full book": ("edges", "Book", "Book.vy", "positions: uint256 = 0", "positions: uint256 = 1"),
    "the order of keys": ("edges", "Book", "Book.vy", "assert key > previous", "assert key >= previous"),
    "a curve of a year": (
        "edges",
        "StandardMargin",
        "StandardMargin.vy",
        "FIRST: constant(int256) = 32 << 14",
        "FIRST: constant(int256) = 33 << 14",
    ),
    "a window's first second": (
        "edges",
        "PortfolioMargin",
        "margin/portfolio.vy",
        "if unsafe_sub(expiry, block.timestamp) <= WINDOW:\n                    left",
        "if unsafe_sub(expiry, block.timestamp) < WINDOW:\n                    left",
    ),
    "what is paid for": (
        "edges",
        "PortfolioMargin",
        "margin/portfolio.vy",
        "if futures != 0 or book._short(head) > 0",
        "if futures != 1 or book._short(head) > 0",
    ),
    "the second of an expiry": (
        "edges",
        "PortfolioMargin",
        "options/curves.vy",
        "assert expiry > block.timestamp,",
        "assert expiry >= block.timestamp,",
    ),
    "the unmoved scenario": ("edges", "PortfolioMargin", "margin/scenarios.vy", "wb = 256", "wb = 255"),
    "odd terms": (
        "edges",
        "Markets",
        "margin/cross.vy",
        "unsafe_mul(raw, terms_word & (2**24 - 1))",
        "unsafe_mul(raw, terms_word & (2**24 - 2))",
    ),
}


@pytest.mark.parametrize("case", AT_THE_ENDS)
def test_a_change_at_an_end_is_noticed(case):
    name, contract, file, old, new = AT_THE_ENDS[case]
    with pytest.raises(Violation, match="I-1[34]: |differential: "):
        look(f"i_14_{name}", compiled(planted([Change(file, old, new)]), [contract]))


@pytest.mark.parametrize("name", BITES)
def test_a_change_is_noticed(name):
    change, contract = BITES[name]
    with pytest.raises(Violation, match="I-1[34]: "):
        look(name, compiled(planted([change]), [contract]))


@pytest.mark.parametrize("name", [name for name in BITES if name.startswith("i_14")])
def test_stale_prices_stop_no_check(name):
    machine = Machine(SETTINGS["portfolio"], {})
    draw = RandomDraw(2)
    while machine.steps < 20:
        machine.step(draw)
    payment = money.deposit_of(machine, machine.world.roots[0], 10**6)
    machine.do(payment._replace(seconds=machine.twin.max_age + 30))  # nobody says what anything costs
    assert not machine.fresh(machine.chain.timestamp)
    run_sometimes(name, machine, draw)
