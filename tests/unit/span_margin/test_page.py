"""contracts/ENGINES.md: its Python runs and prints what the page says; its excerpts are in the sources."""

import io
import re
from contextlib import redirect_stdout

from margincall.protocol.artifacts import CONTRACTS

PAGE = (CONTRACTS / "ENGINES.md").read_text()


def test_python_prints_what_the_page_says():
    blocks = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", PAGE, re.S)
    assert len(blocks) == 4
    names = {}
    for source, expected in blocks:
        with redirect_stdout(io.StringIO()) as printed:
            exec(compile(source, "ENGINES.md", "exec"), names)
        assert printed.getvalue() == expected


def test_excerpts_are_in_the_sources():
    source = (CONTRACTS / "SpanMargin.vy").read_text()
    excerpts = re.findall(r"```vyper\n(.*?)```", PAGE, re.S)
    assert len(excerpts) == 5
    for excerpt in excerpts:
        assert excerpt in source


def test_files_that_it_names_exist():
    root = CONTRACTS.parent
    for path in re.findall(r"`((?:[a-z_]+/)+\w+\.(?:vyi?|py))`", PAGE):
        assert (CONTRACTS / path).exists() or (root / path).exists(), path
