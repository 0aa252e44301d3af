"""`margincall`: the demo, the replay, what an account's margin is, audit, benchmark, deployment, keeper."""

from __future__ import annotations

import sys

import click

from margincall import __version__
from margincall.chain import ChainError, Disagreement, Reverted
from margincall.cli.auditing import audit
from margincall.cli.benching import bench
from margincall.cli.margining import margin
from margincall.cli.mutating import mutants
from margincall.cli.nodes import deploy_command, keeper
from margincall.cli.own import contract
from margincall.cli.replaying import demo, replay
from margincall.protocol.artifacts import CompileError
from margincall.replay.candles import BadInput


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def program() -> None:
    """On-chain margin: play it, replay a real crash on it, ask why an account's is what it is, deploy it.

    \b
    margincall demo                                   the worked examples, then 10 October 2025
    margincall replay --accounts 1000 --impact 2      the same crash with liquidations that push prices
    margincall replay --candles btc_may.csv --gap     any candle files; prices jump, losses are shared
    margincall margin --example perp-put              what a portfolio must hold, in both modes, and why
    margincall audit --steps 100000                   forty properties after every step of generated histories
    margincall audit mutants --only ACC-2             a bug planted in a copy: which property notices?
    margincall audit contract my_engine.py            the same properties on a perp engine of your own
    margincall bench                                  what every operation costs, and its floor
    margincall deploy --rpc http://127.0.0.1:8545     the protocol on a running node
    margincall keeper --rpc http://127.0.0.1:8545     liquidate there
    """


for _command in (demo, replay, margin, audit, bench, deploy_command, keeper):
    program.add_command(_command)
audit.add_command(contract)
audit.add_command(mutants)


def main(args: list[str] | None = None) -> None:
    """Entry point. Bad input: one line on standard error, exit code 2; a failure on chain: 1."""
    try:
        code = program.main(args=args, prog_name="margincall", standalone_mode=False)
    except (click.ClickException, BadInput, ChainError, CompileError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        _fail(message, 2)
    except Disagreement as error:
        _fail(f"two that must agree do not, please report it: {error}", 1)
    except Reverted as error:
        _fail(f"the chain refused: {error}", 1)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    click.echo("error: " + " ".join(message.split()), err=True)
    sys.exit(code)
