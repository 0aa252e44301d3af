"""The kit finds the naive engine's three bugs, each on its own, and nothing in the engine without them."""

from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from margincall.audit.adapter.audit import audit, replay
from margincall.audit.adapter.run import Broken
from margincall.audit.examples import naive_cross
from margincall.protocol.artifacts import Artifact, compile_file

PROFIT, ROUNDING, DEBT = "withdrawable counts unrealised profit", "losses rounded to zero", "bad debt left"
FIXES = {
    PROFIT: (
        "    return convert(max(free, 0), uint256)\n",
        "    return convert(max(min(self.cash[owner], free), 0), uint256)\n",
    ),
    ROUNDING: (
        "        self.cash[owner] += (worth - released) // UNIT\n",
        "        self.cash[owner] += self._floor_div(worth - released, UNIT)\n",
    ),
    DEBT: (
        "    if shortfall > self.insurance:\n"
        "        return  # to be looked at by hand\n"
        "    self.insurance -= shortfall\n",
        "    paid: uint256 = min(shortfall, self.insurance)\n"
        "    self.insurance -= paid\n"
        "    notional: uint256 = self._required(victim, PPM)\n"
        "    for market: uint256 in range(MARKETS):\n"
        "        size: int256 = self.positions[victim][market].size\n"
        "        lots: uint256 = self.interest[market]\n"
        "        if size == 0 or paid == shortfall:\n"
        "            continue\n"
        "        leg: uint256 = self._share_up(self._abs(size), self.prices[market], PPM)\n"
        "        part: uint256 = ((shortfall - paid) * leg + notional - 1) // notional\n"
        "        side: uint256 = SHORT if size > 0 else LONG\n"
        "        self.charges[market][side] += (part * convert(UNIT, uint256) + lots - 1) // lots\n",
    ),
}
FOUND_BY = {PROFIT: "I-11", ROUNDING: "I-35", DEBT: "I-23"}


@lru_cache
def engine(*fixed: str) -> Artifact:
    """The engine with some bugs fixed, compiled from its changed text."""
    source = naive_cross.SOURCE.read_text()
    for bug in fixed:
        old, new = FIXES[bug]
        assert source.count(old) == 1, bug
        source = source.replace(old, new)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "Mended.vy"
        path.write_text(source)
        return compile_file(path)


def test_all_three_bugs_are_found_in_one_run():
    report = audit(naive_cross.adapter, 1_500)
    found = {finding.broken.name for finding in report.findings}
    assert set(FOUND_BY.values()) <= found
    for finding in report.findings:
        assert len(finding.history) <= finding.drawn
        with pytest.raises(Broken, match=finding.broken.name):
            replay(naive_cross.adapter, finding.history, only=finding.broken.name)


@pytest.mark.parametrize("bug", FIXES)
def test_each_bug_is_found_alone(bug):
    others = [other for other in FIXES if other != bug]
    factory = partial(naive_cross.adapter, engine(*others))
    report = audit(factory, 2_500, only=frozenset((FOUND_BY[bug],)))
    assert [finding.broken.name for finding in report.findings] == [FOUND_BY[bug]]
    history = report.findings[0].history
    assert len(history) <= 20
    # Mended, the same history holds.
    replay(partial(naive_cross.adapter, engine(*FIXES)), history, only=FOUND_BY[bug])


def test_the_mended_engine_is_clean():
    report = audit(partial(naive_cross.adapter, engine(*FIXES)), 1_250, seed=5)
    assert [finding.broken for finding in report.findings] == []
    assert report.missing() == []
