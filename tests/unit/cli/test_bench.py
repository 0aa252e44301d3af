"""`margincall bench`: what it refuses before it measures."""

import pytest

from margincall.cli import main


def test_an_update_needs_every_figure(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--update", "--only", "deposit"])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err == "error: --update: not with --only, or the figures that are not measured would go\n"
