"""The benchmark told in order: sections of tables and pictures, for the terminal, the page and the JSON."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

from margincall.bench import comparing, draw, live, repricing, sheets
from margincall.bench.growth import grown, options_over_underlyings
from margincall.bench.peers import Peers
from margincall.bench.records import CHECK, OPERATION, Bench, Measurement
from margincall.bench.sheets import Sheet
from margincall.bench.whatif import Schedule, ranking, refreshes_by_store, repriced, turns


class Asked(NamedTuple):
    """What a person asked for: gas price in gwei, ETH price in USD (None: not given), prices of state."""

    gas_price: float | None = None
    eth_price: float | None = None
    schedule: Schedule = Schedule()


class Picture(NamedTuple):
    """name: of its file; about: in words, for who does not see it; drawn(narrow=...): gives the figure."""

    name: str
    about: str
    drawn: partial[AbstractContextManager]


class Section(NamedTuple):
    """panel: HTML of the page alone; sortable: a click on a heading orders its tables; page_only: too wide or
    long for a terminal."""

    title: str
    sheets: list[Sheet]
    pictures: Sequence[Picture] = ()
    text: str = ""
    panel: str = ""
    sortable: bool = False
    page_only: bool = False


def sections(bench: Bench, peers: Peers, asked: Asked) -> list[Section]:
    """Everything, in order; what was not measured is left out."""
    found = [
        Section("One check", [sheets.headline(bench, peers)], [_gas_picture(bench, peers)]),
        Section("Targets", [sheets.targets(bench)]),
        Section(
            "Growth",
            [
                sheets.growth(bench, peers),
                sheets.costs(bench, headliners(bench), asked.gas_price, asked.eth_price),
            ],
            [_growth_picture(bench, peers)],
        ),
        Section("Where the gas goes", [sheets.parts(shown(bench))], [_where_picture(bench)], page_only=True),
        Section(
            "What if state cost something else",
            repricing.sheets(bench, asked.schedule),
            panel=live.panel(bench, asked.schedule),
        ),
        Section(
            "Other systems",
            [
                comparing.checks(bench, peers, "ladder"),
                comparing.checks(bench, peers, "perps"),
                comparing.operations(bench, peers),
                comparing.methods(peers),
            ],
        ),
        Section(
            "Everything measured",
            [sheets.operations(bench), sheets.operations(bench, CHECK)],
            sortable=True,
            page_only=True,
        ),
        Section("Speed", [sheets.speed(bench)]),
        Section("Sizes and limits", [sheets.sizes(bench), sheets.limits(bench)]),
        Section("How it was measured", [sheets.versions(bench)], text=METHOD),
    ]
    kept = [one._replace(sheets=[sheet for sheet in one.sheets if sheet.rows]) for one in found]
    return [one for one in kept if one.sheets]


METHOD = (
    "Operations are receipts of an Anvil node with Osaka's rules, one transaction a block, so all is cold; "
    "the embedded EVM runs the same operations and must agree to the unit. Checks are views on cold state "
    "without intrinsic and calldata gas: what Clearinghouse.margin costs, with the rule's answer to a trade "
    "(initial margin) in place of its answer to a view. What was touched is read off the EVM's journal, "
    "where the gas goes off an opcode trace; the parts sum to the gas. Gas is deterministic: the same "
    "contracts give the same figures."
)


def _gas_picture(bench: Bench, peers: Peers) -> Picture:
    about = (
        "Gas of a margin check over the number of positions, for every rule, with floors and other systems."
    )
    return Picture("gas", about, partial(draw.gas, draw.gas_lines(bench, peers)))


def _growth_picture(bench: Bench, peers: Peers) -> Picture:
    about = "Fitted gas of a check continued to 16,777,216 gas, the most that a transaction may use."
    return Picture("growth", about, partial(draw.growth, bench, peers))


def _where_picture(bench: Bench) -> Picture:
    about = (
        "Where the gas of checks and operations goes: storage, accounts, code, computing, the transaction."
    )
    checks = [m for m in shown(bench) if m.kind == CHECK]
    operations = [m for m in shown(bench) if m.kind == OPERATION]
    panels = draw.Bars("Checks", checks), draw.Bars("Operations, share of the gas", operations, share=True)
    return Picture("where", about, partial(draw.where, panels))


CHECKS_SHOWN = (
    "Clearinghouse.margin, 1 perp",
    "Clearinghouse.margin, 16 perps",
    "check, 1 perp",
    "check, ladder of 16",
    "check, ladder of 64",
    "check, ladder of 127",
    "check, 64 over 4 underlyings",
    "check, slots, ladder of 64",
    "check, standard, ladder of 64",
)
OPERATIONS_SHOWN = (
    "deposit, repeated",
    "open, cross, two fresh accounts",
    "increase, cross, 1 perp",
    "close, cross, 1 perp",
    "open, isolated, fresh vault",
    "ten trades in a call, again",
    "option trade, portfolio, one more beside 16",
    "option trade, portfolio, one more beside 64",
    "liquidation, 1 perp, slice",
    "liquidation, portfolio, 128 positions, half",
    "refresh, 30 days, code, again",
    "price update, 4 markets, again",
)


def shown(bench: Bench) -> list[Measurement]:
    """The measurements of the picture of parts."""
    held = {m.name: m for m in bench.measurements}
    return [held[name] for name in (*CHECKS_SHOWN, *OPERATIONS_SHOWN) if name in held and held[name].parts]


def headliners(bench: Bench) -> list[str]:
    """What is priced in money."""
    return [m.name for m in shown(bench) if m.kind == OPERATION]


def record(bench: Bench, peers: Peers, asked: Asked) -> dict[str, Any]:
    """The analysis as plain data, beside bench.json."""
    growths = {
        one.name: one.fit._asdict()
        | {
            "scenarios": one.scenarios,
            "position_and_scenario": one.position_and_scenario,
            "fits_transaction": one.fits_transaction,
            "largest": dict(zip(("positions", "because"), one.largest, strict=True)),
            "block_share_64": one.block_share(64),
        }
        for one in grown(bench, peers)
    }
    spread = options_over_underlyings(bench)
    changed = asked.schedule.changed()
    return {
        "growth": growths,
        "underlyings": spread._asdict() if spread else None,
        "what_if": {
            "schedule": asdict(asked.schedule),
            "changed": {name: list(pair) for name, pair in changed.items()},
            "ranking": [one._asdict() | {"moved": one.moved} for one in ranking(bench, asked.schedule, 64)],
            "stores": {
                pair.code.name: [
                    turn._asdict() | {"crossing": turn.crossing, "cheaper": turn.verdict}
                    for turn in turns(bench, pair, asked.schedule)
                ]
                for pair in refreshes_by_store(bench)
            },
            "gas": {m.name: repriced(m, asked.schedule) for m in bench.measurements} if changed else {},
        },
        "compare": comparing.record(bench, peers),
        "cost": sheets.amounts(bench, headliners(bench), asked.gas_price, asked.eth_price),
    }
