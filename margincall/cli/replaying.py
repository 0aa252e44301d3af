"""`margincall demo` and `margincall replay`."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import click

from margincall import data
from margincall.chain import Chain, EmbeddedChain
from margincall.chain.node import NodeChain
from margincall.cli.shared import (
    amount_of,
    chain_id_option,
    compile_contracts,
    console_for,
    embedded,
    rpc_option,
    when,
    write,
)
from margincall.protocol.config import DEFAULT, ProtocolSpec
from margincall.protocol.deploy import deploy
from margincall.replay.candles import BadInput, read
from margincall.replay.funding import Funding, read_funding
from margincall.replay.population import MODES, PORTFOLIO, parse_leverage

DEMO = Path("build/demo")


def _replay_options(command: Callable) -> Callable:
    options = [
        click.option("--accounts", type=int, default=300, show_default=True, help="Traders in each mode."),
        click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same numbers."),
        click.option(
            "--leverage",
            metavar="X|LOW-HIGH",
            help="Everybody's leverage, or the range to draw it from. [default: 2 to what markets allow]",
        ),
        click.option(
            "--gap",
            is_flag=True,
            help="Let prices jump once a leg (open, nearer extreme, other extreme, close) instead of walking"
            " in price steps with keepers after each: outside the envelope, insurance and winners pay.",
        ),
        click.option(
            "--impact",
            type=float,
            default=0.0,
            metavar="BP",
            help="Let liquidations push prices: a million USD of forced trades moves its market by BP basis"
            " points their way, at most 30 %; half of a displacement is gone after an hour.",
        ),
        click.option(
            "--insurance",
            metavar="USD",
            help="Seed of every insurance pool. [default: 2,000,000 cross, 500,000 each market's isolated]",
        ),
        click.option("--quiet", is_flag=True, help="No progress bar."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_replay_options
def demo(accounts, seed, leverage, gap, impact, insurance, quiet) -> None:
    """Play the worked examples, then replay 9-12 October 2025; everything on the real contracts, in process.

    Writes build/demo/summary.json, build/demo/replay.png and build/demo/dials.png.
    """
    from margincall.replay import examples, hedged

    console = console_for()
    compile_contracts(quiet)
    examples.play(EmbeddedChain(), DEFAULT, console)
    hedged.play(EmbeddedChain(), DEFAULT, console)
    console.print("[bold]5. BTC, ETH and SOL, 9-12 October 2025, five-minute candles[/bold]\n")
    options = (accounts, seed, leverage, ",".join(MODES), gap, impact, insurance)
    _play(
        console,
        EmbeddedChain(keep_logs=False),
        data.CANDLES,
        data.FUNDING,
        (None, None, None),
        options,
        quiet,
    )(DEMO / "summary.json", DEMO / "replay.png", DEMO / "dials.png")
    console.print(f"\nWritten: {DEMO / 'summary.json'}, {DEMO / 'replay.png'}, {DEMO / 'dials.png'}")


@click.command()
@click.option(
    "--candles",
    multiple=True,
    metavar="FILE",
    help="Candle file of a market, btc_..., eth_... or sol_... (timestamp_utc,open,high,low,close); repeat"
    " the option, one file a market. [default: 9-12 October 2025]",
)
@click.option(
    "--funding",
    multiple=True,
    metavar="FILE",
    help="Funding file of a market (timestamp_utc,funding_rate). [default: the real rates with the default"
    " candles, the interest rate with others]",
)
@_replay_options
@click.option("--modes", default=",".join(MODES), show_default=True, help="Modes to replay.")
@click.option("--from", "start", metavar="TIME", help="First candle, like 2025-10-10T20:00Z.")
@click.option("--to", "end", metavar="TIME", help="Last candle.")
@click.option("--max-candles", type=click.IntRange(1), metavar="N", help="At most so many candles.")
@rpc_option
@chain_id_option
@click.option(
    "--json",
    "record",
    is_flag=False,
    flag_value="-",
    metavar="[FILE]",
    help="Write the summary as JSON to FILE, or to standard output in place of the tables.",
)
@click.option("--png", type=click.Path(path_type=Path), metavar="FILE", help="Draw the replay.")
@click.option(
    "--dials-png", type=click.Path(path_type=Path), metavar="FILE", help="Draw the stress dials and credits."
)
def replay(
    candles, funding, accounts, seed, leverage, gap, impact, insurance, quiet, modes, start, end, max_candles,
    rpc, chain_id, record, png, dials_png,
) -> None:  # fmt: skip
    """Replay candles for three populations with the same money: isolated and cross with the same perps,
    portfolio with hedged books.

    Deploys the protocol freshly, in process or on the node of --rpc, where it ends with the same balances
    to the unit. Keepers liquidate after every price update; every 50 candles a sweep on chain proves that
    they missed nobody, and compares every account with the exact model.
    """
    to_stdout = record == "-"
    console = console_for(stderr=to_stdout)
    chain = NodeChain(rpc, chain_id) if rpc else embedded(chain_id)
    if not candles and not funding:
        funding = data.FUNDING
    files = [Path(file) for file in candles] or data.CANDLES
    if dials_png and PORTFOLIO not in modes.split(","):
        raise BadInput(f"--dials-png: no portfolio accounts in modes {modes!r}; add portfolio to --modes")
    span = (when(start, "--from"), when(end, "--to"), max_candles)
    run = _play(
        console,
        chain,
        files,
        funding,
        span,
        (accounts, seed, leverage, modes, gap, impact, insurance),
        quiet,
        to_stdout,
    )
    run(None if to_stdout or not record else Path(record), png, dials_png)


def _play(console, chain: Chain, candles, funding, span, options, quiet, to_stdout=False) -> Callable:
    """Check all input before anything is deployed; what is returned replays and writes."""
    from margincall.replay.dials import Calm
    from margincall.replay.result import Settings

    accounts, seed, leverage, modes, gap, impact, insurance = options
    history = read(candles, DEFAULT)
    history = history.cut(*span)
    rates = read_funding(funding, DEFAULT, history) if funding else Funding({})
    if not 0 <= impact <= 10_000:
        raise BadInput(f"impact {impact}: expected 0 to 10,000 basis points a million USD")
    wanted = tuple(mode for mode in MODES if mode in modes.split(","))
    if len(wanted) != len(modes.split(",")):
        raise BadInput(f"modes {modes!r}: expected one or more of {', '.join(MODES)}, separated by commas")
    if not 1 <= accounts <= 20_000:
        raise BadInput(f"accounts {accounts}: expected 1 to 20,000 in each mode")
    settings = Settings(accounts, seed, parse_leverage(leverage, history.markets), wanted, gap, impact)

    spec = _seeded(insurance)

    def run(record: Path | None, png: Path | None, dials_png: Path | None) -> None:
        from margincall.replay.engine import Replay
        from margincall.replay.report import Bar, print_result, summary

        compile_contracts(quiet)
        portfolio = PORTFOLIO in settings.modes
        with Calm(spec, history, rates, settings) if portfolio else nullcontext() as calm:
            playing = Replay(deploy(chain, spec), history, rates, settings)
            with nullcontext() if quiet else Bar(len(history.times)) as bar:
                result = playing.run(bar)
            if calm:
                result.dials.calm = calm.result()
        text = json.dumps(summary(result), indent=2)
        if to_stdout:
            click.echo(text)
        else:
            print_result(console, result)
        if record:
            write(record, text + "\n")
        _draw(result, png, dials_png if portfolio else None)

    return run


def _draw(result, png: Path | None, dials_png: Path | None) -> None:
    from margincall.replay.draw import draw
    from margincall.replay.draw_dials import draw_dials

    for path, drawn in ((png, draw), (dials_png, draw_dials)):
        try:
            if path:
                drawn(result, path)
        except (OSError, ValueError) as error:
            raise BadInput(f"{path}: cannot be written ({error}); give a path that ends in .png") from None


def _seeded(insurance: str | None) -> ProtocolSpec:
    if insurance is None:
        return DEFAULT
    seed = amount_of(insurance, "--insurance")
    return DEFAULT._replace(cross_seed=seed, markets=tuple(m._replace(seed=seed) for m in DEFAULT.markets))
