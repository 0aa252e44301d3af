"""Chains for every test. A missing node is a failure, never a skip: `make test` installs both."""

from collections.abc import Iterator

import pytest

from margincall.chain import ChainError, EmbeddedChain, nodes
from margincall.chain.node import NodeChain


@pytest.fixture(scope="session")
def embedded() -> EmbeddedChain:
    return EmbeddedChain()


@pytest.fixture(scope="session")
def anvil() -> Iterator[NodeChain]:
    yield from _started(nodes.anvil)


@pytest.fixture(scope="session")
def hardhat() -> Iterator[NodeChain]:
    yield from _started(nodes.hardhat)


def _started(start) -> Iterator[NodeChain]:
    node = start()
    try:
        chain = node.__enter__()
    except ChainError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield chain
    finally:
        node.__exit__(None, None, None)


def pytest_terminal_summary(terminalreporter) -> None:
    """Print what tests recorded as a `summary` (workers print nothing themselves)."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "summary":
                    terminalreporter.write_line(f"\n{value}")
