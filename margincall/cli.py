"""`margincall`: the demo, the replay, deployment to a node, the keeper."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from margincall import __version__, data
from margincall.chain import Chain, ChainError, EmbeddedChain, Key, Reverted
from margincall.chain.node import NodeChain
from margincall.model import accounts as ids
from margincall.model import money
from margincall.protocol.artifacts import CompileError
from margincall.protocol.config import DEFAULT, ProtocolSpec
from margincall.protocol.deploy import deploy, load, save
from margincall.protocol.handle import Account, Protocol
from margincall.replay.candles import BadInput, moment_of, read
from margincall.replay.funding import Funding, read_funding
from margincall.replay.population import MODES, parse_leverage

DEPLOYMENTS = Path("deployments")
DEMO = Path("build/demo")

_rpc = click.option(
    "--rpc", metavar="URL", help="A running Anvil or Hardhat node, such as http://127.0.0.1:8545."
)
_chain_id = click.option("--chain-id", type=int, metavar="ID", help="Refuse a node with another chain id.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def program() -> None:
    """On-chain perp margin, isolated and cross: play it, replay a real crash on it, deploy it, keep it.

    \b
    margincall demo                                   the worked examples, then 10 October 2025
    margincall replay --accounts 1000 --impact 2      the same crash with liquidations that push prices
    margincall replay --candles btc_may.csv --gap     any candle files; prices jump, losses are shared
    margincall deploy --rpc http://127.0.0.1:8545     the protocol on a running node
    margincall keeper --rpc http://127.0.0.1:8545     liquidate there
    """


# ---------------------------------------------------------------- demo and replay


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


@program.command()
@_replay_options
def demo(accounts, seed, leverage, gap, impact, insurance, quiet) -> None:
    """Play the worked examples, then replay 9-12 October 2025; everything on the real contracts, in process.

    Writes build/demo/summary.json and build/demo/replay.png.
    """
    from margincall.replay import examples

    console = _console()
    _compile(quiet)
    examples.play(EmbeddedChain(), DEFAULT, console)
    console.print("[bold]4. BTC, ETH and SOL perps, 9-12 October 2025, five-minute candles[/bold]\n")
    options = (accounts, seed, leverage, ",".join(MODES), gap, impact, insurance)
    _play(
        console,
        EmbeddedChain(keep_logs=False),
        data.CANDLES,
        data.FUNDING,
        (None, None, None),
        options,
        quiet,
    )(DEMO / "summary.json", DEMO / "replay.png")
    console.print(f"\nWritten: {DEMO / 'summary.json'}, {DEMO / 'replay.png'}")


@program.command()
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
@_rpc
@_chain_id
@click.option(
    "--json",
    "record",
    is_flag=False,
    flag_value="-",
    metavar="[FILE]",
    help="Write the summary as JSON to FILE, or to standard output in place of the tables.",
)
@click.option("--png", type=click.Path(path_type=Path), metavar="FILE", help="Draw the replay.")
def replay(
    candles, funding, accounts, seed, leverage, gap, impact, insurance, quiet, modes, start, end, max_candles,
    rpc, chain_id, record, png,
) -> None:  # fmt: skip
    """Replay candles for two populations that hold the same trades, one isolated, one cross.

    Deploys the protocol freshly, in process or on the node of --rpc, where it ends with the same balances
    to the unit. Keepers liquidate after every price update; every 50 candles a sweep on chain proves that
    they missed nobody, and compares every account with the exact model.
    """
    to_stdout = record == "-"
    console = _console(stderr=to_stdout)
    chain = _node(rpc, chain_id) if rpc else _embedded(chain_id)
    if not candles and not funding:
        funding = data.FUNDING
    files = [Path(file) for file in candles] or data.CANDLES
    span = (_when(start, "--from"), _when(end, "--to"), max_candles)
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
    run(None if to_stdout or not record else Path(record), png)


def _play(console, chain: Chain, candles, funding, span, options, quiet, to_stdout=False) -> Callable:
    """Check all input before anything is deployed; what is returned replays and writes."""
    from margincall.replay.engine import Replay, Settings

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

    def run(record: Path | None, png: Path | None) -> None:
        from margincall.replay.report import Bar, print_result, summary

        _compile(quiet)
        playing = Replay(deploy(chain, spec), history, rates, settings)
        if quiet:
            result = playing.run()
        else:
            with Bar(len(history.times)) as bar:
                result = playing.run(bar)
        text = json.dumps(summary(result), indent=2)
        if to_stdout:
            click.echo(text)
        else:
            print_result(console, result)
        if record:
            _write(record, text + "\n")
        if png:
            from margincall.replay.draw import draw

            try:
                draw(result, png)
            except (OSError, ValueError) as error:
                raise BadInput(f"{png}: cannot be written ({error}); give a path that ends in .png") from None

    return run


# ---------------------------------------------------------------- deploy and keeper


@program.command("deploy")
@click.option("--rpc", required=True, metavar="URL", help="A running Anvil or Hardhat node.")
@_chain_id
@click.option(
    "--out", type=click.Path(path_type=Path), default=DEPLOYMENTS, show_default=True, metavar="FOLDER"
)
def deploy_command(rpc, chain_id, out) -> None:
    """Deploy the protocol to a node and write deployments/<chain-id>.json: addresses and parameters."""
    chain = _node(rpc, chain_id)
    _compile()
    path = save(deploy(chain, DEFAULT), out)
    click.echo(f"Deployed {len(DEFAULT.markets)} markets on chain {chain.chain_id}: {path}")


@program.command()
@click.option("--rpc", required=True, metavar="URL", help="A running Anvil or Hardhat node.")
@_chain_id
@click.option(
    "--deployment",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="[default: deployments/<chain-id>.json]",
)
@click.option("--once", is_flag=True, help="One round, then stop.")
@click.option(
    "--interval", type=click.FloatRange(0.1), default=2.0, show_default=True, help="Seconds between rounds."
)
@click.option("--key-env", metavar="NAME", help="Environment variable with the keeper's private key (hex).")
@click.option("--account", metavar="ADDRESS", help="An unlocked account instead. [default: the node's last]")
@click.option("--deposit", metavar="USD", help="First mint so many demo dollars and pay them in.")
def keeper(rpc, chain_id, deployment, once, interval, key_env, account, deposit) -> None:
    """Watch a deployed protocol and liquidate who is below maintenance.

    Accounts come from the event log, their health and liquidation prices from the exact model; the chain
    confirms each before anything is sent. What is taken over lands in the keeper's own account, which must
    hold enough margin for it (see --deposit). One line per action.
    """
    from margincall.keeper import Keeper

    chain = _node(rpc, chain_id)
    protocol = load(chain, deployment or DEPLOYMENTS / f"{chain.chain_id}.json")
    owner = _sender(chain, key_env, account)
    if deposit is not None:
        _deposit(protocol, owner, deposit)
    watching = Keeper(protocol, owner.address, click.echo)
    if once:
        watching.round()
        return
    try:
        watching.run(interval)
    except KeyboardInterrupt:
        click.echo("stopped")


class _Unlocked:
    """An owner whose key the node holds."""

    def __init__(self, address: str) -> None:
        self.address = address


def _sender(chain: Chain, key_env: str | None, account: str | None) -> Key | _Unlocked:
    if key_env and account:
        raise BadInput("--key-env and --account: give one of them")
    if key_env:
        try:
            return Key(bytes.fromhex(os.environ.get(key_env, "").removeprefix("0x")))
        except ValueError:
            raise BadInput(
                f"--key-env {key_env}: the variable holds no private key; expected 64 hex digits"
            ) from None
    if account is None:
        return _Unlocked(chain.accounts[-1])
    known = {address.lower(): address for address in chain.accounts}
    if account.lower() not in known:
        raise BadInput(
            f"--account {account}: not unlocked on this node; it holds {', '.join(chain.accounts[:3])} ..."
        )
    return _Unlocked(known[account.lower()])


def _seeded(insurance: str | None) -> ProtocolSpec:
    if insurance is None:
        return DEFAULT
    seed = _usd(insurance, "--insurance")
    return DEFAULT._replace(cross_seed=seed, markets=tuple(m._replace(seed=seed) for m in DEFAULT.markets))


def _usd(text: str, option: str) -> int:
    try:
        amount = money(text)
    except (ValueError, ZeroDivisionError):
        amount = 0
    if not 0 < amount < 2**63:
        raise BadInput(f"{option} {text}: expected an amount in USD like 1000000")
    return amount


def _deposit(protocol: Protocol, owner, usd: str) -> None:
    _usd(usd, "--deposit")
    Account(protocol, owner, ids.root(owner.address)).deposit(usd)


# ---------------------------------------------------------------- shared


def _node(rpc: str, chain_id: int | None) -> NodeChain:
    return NodeChain(rpc, chain_id)


def _embedded(chain_id: int | None) -> EmbeddedChain:
    if chain_id is not None:
        raise BadInput("--chain-id: only with --rpc; the embedded chain is always 31337")
    return EmbeddedChain(keep_logs=False)


def _when(text: str | None, option: str) -> int | None:
    return None if text is None else moment_of(text, option)


def _console(stderr: bool = False) -> Console:
    console = Console(stderr=stderr)
    # Where nobody sets a width (a pipe, a log) the tables take what they need.
    return console if console.is_terminal else Console(stderr=stderr, width=120)


def _compile(quiet: bool = False) -> None:
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


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror}); give another path") from None


def main(args: list[str] | None = None) -> None:
    """Entry point. Bad input: one line on standard error, exit code 2; a failure on chain: 1."""
    try:
        code = program.main(args=args, prog_name="margincall", standalone_mode=False)
    except (click.ClickException, BadInput, ChainError, CompileError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        _fail(message, 2)
    except Reverted as error:
        _fail(f"the chain refused: {error}", 1)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    click.echo("error: " + " ".join(message.split()), err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
