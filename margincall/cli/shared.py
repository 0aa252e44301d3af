"""What several commands need: chains, consoles, options, files."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from margincall.chain import EmbeddedChain
from margincall.model import money
from margincall.replay.candles import BadInput, moment_of

DEPLOYMENTS = Path("deployments")

rpc_option = click.option(
    "--rpc", metavar="URL", help="A running Anvil or Hardhat node, such as http://127.0.0.1:8545."
)
chain_id_option = click.option(
    "--chain-id", type=int, metavar="ID", help="Refuse a node with another chain id."
)


def embedded(chain_id: int | None) -> EmbeddedChain:
    if chain_id is not None:
        raise BadInput("--chain-id: only with --rpc; the embedded chain is always 31337")
    return EmbeddedChain(keep_logs=False)


def when(text: str | None, option: str) -> int | None:
    return None if text is None else moment_of(text, option)


def console_for(stderr: bool = False) -> Console:
    console = Console(stderr=stderr)
    # Where nobody sets a width (a pipe, a log) the tables take what they need.
    return console if console.is_terminal else Console(stderr=stderr, width=120)


def compile_contracts(quiet: bool = False) -> None:
    """Compile what the cache lacks (the first time about half a minute) with a line that moves."""
    from margincall.protocol.artifacts import compile_all
    from margincall.protocol.deploy import CONTRACTS

    if quiet:
        compile_all(CONTRACTS)
        return
    with Console(stderr=True).status("compiling contracts") as status:
        compile_all(
            CONTRACTS, lambda name, done, total: status.update(f"compiled {name} ({done} of {total})")
        )


def write(path: Path, text: str, mode: str = "w") -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode) as out:
            out.write(text)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror}); give another path") from None


def amount_of(text: str, option: str) -> int:
    try:
        amount = money(text)
    except (ValueError, ZeroDivisionError):
        amount = 0
    if not 0 < amount < 2**63:
        raise BadInput(f"{option} {text}: expected an amount in USD like 1000000")
    return amount
