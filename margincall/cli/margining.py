"""`margincall margin`: what an account's margin is, and why."""

from __future__ import annotations

import json
from pathlib import Path

import click

from margincall.chain.node import NodeChain
from margincall.cli.shared import DEPLOYMENTS, chain_id_option, console_for, rpc_option
from margincall.replay.candles import BadInput

BOTH = "both"


@click.command()
@click.argument("file", required=False)
@click.option("--example", metavar="NAME", help="A portfolio that comes with the package instead of FILE.")
@click.option("--examples", is_flag=True, help="List those and stop.")
@click.option(
    "--cash", metavar="USD", help="Cash of the account, after premiums. [default: the file's, or 0]"
)
@click.option("--price", multiple=True, metavar="BTC=USD", help="Price of an underlying; repeat the option.")
@click.option(
    "--vol",
    multiple=True,
    metavar="BTC[:27DEC26]=0.6[,SKEW,CURVATURE]",
    help="Volatility a year, of an underlying or one of its expiries; the smile's skew and curvature are per"
    " unit of ln(S/K) and of its square. Repeat the option.",
)
@click.option("--smile", metavar="deribit", help="ETH: smiles of Deribit's chain of 8 January 2024.")
@click.option(
    "--now", metavar="TIME", help="The moment, like 2026-11-20T08:00Z. [default: the file's, or now]"
)
@click.option("--rho", metavar="0..1", help="1 grants no diversification. [default: calm]")
@click.option("--psi", metavar="0..1", help="0 grants no hedge across underlyings. [default: calm]")
@click.option(
    "--mode", type=click.Choice(["cross", "portfolio", BOTH]), default=BOTH, show_default=True, help="Modes."
)
@click.option("--exact", is_flag=True, help="Beside the engine's integers the same rule in real numbers.")
@click.option("--json", "as_json", is_flag=True, help="One JSON record in place of the tables.")
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw the value over the price."
)
@click.option("--account", metavar="ADDRESS", help="An account on a deployed chain instead of FILE.")
@click.option(
    "--deployment",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --account. [default: deployments/<chain-id>.json]",
)
@rpc_option
@chain_id_option
def margin(
    file, example, examples, cash, price, vol, smile, now, rho, psi, mode, exact, as_json, plot, account,
    deployment, rpc, chain_id,
) -> None:  # fmt: skip
    """Explain the margin of an account under the cross and the portfolio rule.

    FILE is JSON or CSV with columns instrument,size[,entry], "-" for standard input; sizes are coins, entries
    USD a coin. Instruments are BTC, BTC-SPOT, BTC-27DEC26 and BTC-27DEC26-100000-C. A JSON object may hold
    the market too: cash, now, prices, vols, smile; what an option says wins. The numbers are those of the
    contracts, to the unit.

    \b
    margincall margin --example perp-put --plot perp-put.png
    margincall margin book.csv --cash 20000 --price BTC=100000 --vol BTC=0.6,-0.1,0.3 --json
    margincall margin --account 0x... --rpc http://127.0.0.1:8545
    """
    from margincall.margining import analysis, onchain, tables
    from margincall.margining.record import record

    if examples:
        _list_examples()
        return
    _one_of(file, example, account)
    if account:
        given = {"--cash": cash, "--price": price, "--vol": vol, "--smile": smile, "--now": now}
        protocol = _deployed(deployment, rpc, chain_id, given)
        case = onchain.case_of(protocol, account, rho, psi)
    else:
        if deployment or rpc or chain_id is not None:
            raise BadInput("--deployment, --rpc and --chain-id: only with --account")
        case = _from_file(file, example, cash, price, vol, smile, now, rho, psi)
    modes = analysis.MODES if mode == BOTH else (mode,)
    if exact and analysis.PORTFOLIO not in modes:
        raise BadInput("--exact: only the portfolio rule has an exact form; take --mode portfolio or both")
    found = analysis.measure(case, modes, exact)
    if plot:
        _draw(found, plot)
    # With --rho or --psi the numbers are meant to differ.
    if account and not (rho or psi) and (said := onchain.difference(protocol, account, found)):
        click.echo(f"note: {said}", err=True)
    if as_json:
        click.echo(json.dumps(record(found), indent=2))
    else:
        tables.print_report(console_for(), found)


def _one_of(file, example, account) -> None:
    given = [
        what for what, value in (("FILE", file), ("--example", example), ("--account", account)) if value
    ]
    if len(given) != 1:
        said = " and ".join(given) if given else "nothing to margin"
        raise BadInput(f"{said}: expected one of FILE, --example NAME, --account ADDRESS (--examples lists)")


def _list_examples() -> None:
    from margincall.margining import files

    for name in files.example_names():
        click.echo(f"{name:18}{files.example(name).about}")


def _from_file(file, example, cash, price, vol, smile, now, rho, psi):
    from margincall.margining import files, inputs

    held = files.example(example) if example else files.read_portfolio(file)
    prices = inputs.pairs(price, "--price", "BTC=100000")
    vols = inputs.pairs(vol, "--vol", "BTC=0.6 or BTC:27DEC26=0.6,-0.1,0.3")
    return inputs.case_of(held, inputs.Assumptions(cash, now, prices, vols, smile, rho, psi))


def _deployed(deployment, rpc, chain_id, given):
    from margincall.protocol.deploy import load

    if not rpc:
        raise BadInput("--account: needs the node's --rpc URL, such as http://127.0.0.1:8545")
    if useless := [name for name, value in given.items() if value]:
        raise BadInput(f"{useless[0]}: not with --account, whose chain has its own")
    chain = NodeChain(rpc, chain_id)
    return load(chain, deployment or DEPLOYMENTS / f"{chain.chain_id}.json")


def _draw(found, path: Path) -> None:
    from margincall.margining.draw import draw

    try:
        draw(found, path)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be written ({error}); give a path that ends in .png") from None
