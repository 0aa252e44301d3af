"""`margincall deploy` and `margincall keeper`: the protocol on a node."""

from __future__ import annotations

import os
from pathlib import Path

import click

from margincall.chain import Chain, Key
from margincall.chain.node import NodeChain
from margincall.cli.shared import DEPLOYMENTS, amount_of, chain_id_option, compile_contracts
from margincall.model import accounts as ids
from margincall.protocol.config import DEFAULT
from margincall.protocol.deploy import deploy, load, save
from margincall.protocol.handle import Account, Protocol
from margincall.replay.candles import BadInput


@click.command("deploy")
@click.option("--rpc", required=True, metavar="URL", help="A running Anvil or Hardhat node.")
@chain_id_option
@click.option(
    "--out", type=click.Path(path_type=Path), default=DEPLOYMENTS, show_default=True, metavar="FOLDER"
)
def deploy_command(rpc, chain_id, out) -> None:
    """Deploy the protocol to a node and write deployments/<chain-id>.json: addresses and parameters."""
    chain = NodeChain(rpc, chain_id)
    compile_contracts()
    path = save(deploy(chain, DEFAULT), out)
    click.echo(f"Deployed {len(DEFAULT.markets)} markets on chain {chain.chain_id}: {path}")


@click.command()
@click.option("--rpc", required=True, metavar="URL", help="A running Anvil or Hardhat node.")
@chain_id_option
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

    chain = NodeChain(rpc, chain_id)
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


def _deposit(protocol: Protocol, owner, usd: str) -> None:
    amount_of(usd, "--deposit")
    Account(protocol, owner, ids.root(owner.address)).deposit(usd)
