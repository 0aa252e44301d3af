"""How fast the tools are: each lane does the same work in one run, so the ratios mean something.

Rates are by CPU time where one process does everything (the embedded EVM), by the clock where a node or a
second process takes part.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from margincall import data
from margincall.audit.draw import RandomDraw
from margincall.audit.machine import Machine
from margincall.audit.settings import SETTINGS
from margincall.chain import Chain, ChainError, EmbeddedChain, nodes
from margincall.protocol.config import DEFAULT
from margincall.protocol.deploy import deploy
from margincall.protocol.orders import Order
from margincall.replay.candles import moment_of, read
from margincall.replay.engine import Replay
from margincall.replay.funding import read_funding
from margincall.replay.population import MODES, PORTFOLIO
from margincall.replay.result import Settings

ROOT = Path(__file__).resolve().parents[2]
MACHINE_SECONDS, WARM_UP = 3.0, 300  # of the property machine; steps before the clock starts
TRADES = {"embedded": 400, "anvil": 200, "ape": 40}
ACCOUNTS, PART_ACCOUNTS = 1_000, 10
PERPS = tuple(mode for mode in MODES if mode != PORTFOLIO)
PART = "2025-10-10T20:45:00Z", "2025-10-10T21:30:00Z"
APE_SECONDS = 120
PRICES = {"BTC": 100_000, "ETH": 4_000, "SOL": 200}


def property_steps() -> dict[str, float]:
    """Steps a second of the property machine with its properties, without options and with them."""
    found = {}
    for name, setting in (("cross", "plain"), ("portfolio", "portfolio")):
        machine, draw = Machine(SETTINGS[setting]), RandomDraw(1)
        while machine.steps < WARM_UP:
            machine.step(draw)
        first, began = machine.steps, process_time()
        while process_time() - began < MACHINE_SECONDS:
            machine.step(draw)
        found[name] = round((machine.steps - first) / (process_time() - began), 1)
    return found


def replay() -> dict[str, float]:
    """The whole crash on the embedded EVM: 1,152 candles, three underlyings, a thousand accounts, in isolated
    and in cross mode."""
    began = process_time()
    result = _replay(EmbeddedChain(keep_logs=False), ACCOUNTS, None, PERPS)
    seconds = process_time() - began
    return {
        "seconds": round(seconds, 1),
        "transactions": result.transactions,
        "transactions_a_second": round(result.transactions / seconds, 1),
    }


def part_of_replay() -> dict[str, Any]:
    """Three quarters of an hour of it with few accounts, on the embedded EVM and on Anvil over IPC."""
    found = {"embedded": _replayed(EmbeddedChain(keep_logs=False))}
    with nodes.anvil(ipc=True) as chain:
        found["anvil_ipc"] = _replayed(chain)
    return found | {"embedded_over_anvil": round(found["embedded"] / found["anvil_ipc"], 1)}


def _replayed(chain: Chain) -> float:
    result = _replay(chain, PART_ACCOUNTS, PART)
    return round(result.transactions / result.seconds, 1)


def _replay(chain: Chain, accounts: int, span: tuple[str, str] | None, modes: tuple[str, ...] = MODES):
    history = read(data.CANDLES, DEFAULT)
    if span:
        history = history.cut(moment_of(span[0], "from"), moment_of(span[1], "to"), None)
    funding = read_funding(data.FUNDING, DEFAULT, history)
    return Replay(
        deploy(chain, DEFAULT), history, funding, Settings(accounts=accounts, seed=1, modes=modes)
    ).run()


def trades() -> dict[str, Any]:
    """The same signed trades through the embedded EVM, Anvil over IPC, and Ape's default provider."""
    chain = EmbeddedChain(keep_logs=False)
    found: dict[str, Any] = {"embedded": _traded(chain, chain.send, TRADES["embedded"])}
    with nodes.anvil(ipc=True) as node:
        found["anvil_ipc"] = _traded(node, node.send, TRADES["anvil"])
    try:
        found["ape"] = _ape()
    except ChainError as error:
        return found | {"ape": None, "ape_missing": str(error)}
    return found | {
        "embedded_over_anvil": round(found["embedded"] / found["anvil_ipc"], 1),
        "embedded_over_ape": round(found["embedded"] / found["ape"], 1),
    }


def _traded(chain: Chain, send: Callable, count: int) -> float:
    """Trades a second; `send(sender, to, calldata)`."""
    sender, target, payloads = prepared(chain, count)
    began = perf_counter()
    for payload in payloads:
        send(sender, target, payload)
    return round(count / (perf_counter() - began), 1)


def prepared(chain: Chain, count: int) -> tuple[str, str, list[bytes]]:
    """Deploy, and make the calldata of so many trades of two accounts: (sender, target, calldata)."""
    protocol = deploy(chain, DEFAULT)
    protocol.set_prices(PRICES)
    maker, taker = (protocol.account(role) for role in ("maker", "taker"))
    for account in (maker, taker):
        account.deposit(10_000_000)
    market = DEFAULT.market("BTC")
    price, payloads = protocol.mark("BTC"), []
    for number in range(count):
        lots = market.lots("0.01") * (-1) ** number
        sell, buy = (
            Order(who.id, market.id, size, price, salt=number)
            for who, size in ((maker, -lots), (taker, lots))
        )
        signed = protocol.sign(maker.owner, sell), protocol.sign(taker.owner, buy)
        payloads.append(protocol.exchange.encode("settle", [(sell, buy, abs(lots), *signed)]))
    return protocol.relayer, protocol.exchange.address, payloads


def _ape() -> float:
    """Trades a second through Ape, in a process of its own. Raises ChainError where Ape does not run."""
    places = [str(nodes.BIN), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    command = [sys.executable, "-m", "margincall.bench.ape_lane", str(TRADES["ape"])]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"PATH": os.pathsep.join(places)},
            capture_output=True,
            text=True,
            timeout=APE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ChainError(f"Ape took more than {APE_SECONDS} s for {TRADES['ape']} trades") from None
    try:
        # Ape logs to the same stream.
        record = next(line for line in done.stdout.splitlines() if line.startswith("{"))
        return json.loads(record)["trades_a_second"]
    except (StopIteration, ValueError):
        said = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise ChainError(f"Ape did not run: {said[:200]}") from None
