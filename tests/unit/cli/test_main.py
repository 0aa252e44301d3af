"""What every command does with a failure: one line on standard error, and the exit code."""

import pytest

from margincall.chain import Disagreement, Reverted
from margincall.cli import main, program


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Disagreement("account 0x1:\nchain 5, twin 6"), "two that must agree do not, please report it: a"),
        (Reverted("price: stale"), "the chain refused: price: stale"),
    ],
)
def test_a_failure_is_one_line(error, said, monkeypatch, capsys):
    def fail(**options):
        raise error

    monkeypatch.setattr(program.commands["replay"], "callback", fail)
    with pytest.raises(SystemExit) as ended:
        main(["replay"])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (1, "")
    assert err.startswith(f"error: {said}")
    assert err.count("\n") == 1
