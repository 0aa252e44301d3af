"""The benchmark as tables: each a Sheet of texts, which the terminal and the page show alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from margincall.bench.growth import (
    TRANSACTION_GAS,
    Grown,
    further_scenario,
    grown,
    options_over_underlyings,
)
from margincall.bench.peers import Peers, System
from margincall.bench.records import OPERATION, PARTS, Bench, Measurement
from margincall.bench.rules import SCENARIOS, rule
from margincall.chain.base import BLOCK_GAS

EIP_170 = 24_576
GAS_PRICES = (0.1, 1.0, 10.0, 50.0)  # gwei, where none is given
GWEI = 1e-9


class Sheet(NamedTuple):
    """A table of texts. The first column names the row; `texts` are further columns that are no numbers."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()
    texts: frozenset[int] = frozenset()


def gas(amount: float | None) -> str:
    return "" if amount is None else f"{amount:,.0f}"


def times(ratio: float | None) -> str:
    """A ratio with three digits: 1.41 ×, 48.3 ×, 141 ×."""
    if ratio is None:
        return ""
    digits = 2 if ratio < 9.995 else 1 if ratio < 99.95 else 0
    return f"{ratio:,.{digits}f} ×"


def percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.00095 else f"{share:.2%}"


# ---------------------------------------------------------------- the first table


def nearest(peers: Peers | None) -> System | None:
    """The peer that the first table shows: the first with scenarios whose check of a ladder is measured as
    ours are."""
    for system in peers.systems if peers else ():
        check = system.check("ladder")
        if system.scenarios and check and peers.method(check).as_our_checks:
            return system
    return None


def summary(bench: Bench, peers: Peers | None) -> str:
    """What there is to say first."""
    ladder = rule(bench, "portfolio")
    if not ladder or 64 not in ladder.checks:
        return "Gas of every operation and margin check, beside the least that the touched state costs."
    used, system = ladder.checks[64].gas, nearest(peers)
    said = (
        f"Judging a portfolio of 64 options over {ladder.scenarios} scenarios costs {used:,} gas: "
        f"{percent(used / BLOCK_GAS)} of a block of 60 million, {percent(used / TRANSACTION_GAS)} of what a "
        "transaction may use."
    )
    if system and (theirs := system.check("ladder").ladder.get(64)):
        said += f" {system.name}, measured alike over {system.scenarios}, takes {theirs:,}."
    return said


def headline(bench: Bench, peers: Peers | None) -> Sheet:
    """The portfolio rule's check by positions, its floor, and the nearest peer."""
    system = nearest(peers)
    theirs = system.check("ladder").ladder if system else {}
    perp = system.check("perps") if system else None
    alone = perp.ladder.get(1) if perp and peers.method(perp).as_our_checks else None
    held = {m.name: m for m in bench.select(engine="portfolio")}
    ladder = rule(bench, "portfolio")
    rows = [
        _against(f"{n} option{'s' * (n > 1)}", measured, theirs.get(n))
        for n, measured in (ladder.checks.items() if ladder else ())
    ]
    for name, title, other in (
        ("check, 64 over 4 underlyings", "64 over 4 underlyings", None),
        ("check, 1 perp", "1 perp", alone),
    ):
        if name in held:
            rows.append(_against(title, held[name], other))
    columns: tuple[str, ...] = ("account", "gas", "floor", "gas / floor")
    about = ""
    if system:
        columns += (system.name, "times ours")
        about = (
            f" {system.name}: {system.source} {system.commit}, {system.scenarios} scenarios, measured alike."
        )
    else:
        rows = [row[:4] for row in rows]
    return Sheet(
        f"What a portfolio margin check costs, {SCENARIOS['portfolio']} scenarios",
        columns,
        rows,
        (
            "Cold, without intrinsic and calldata gas, as a trade pays it: account header, positions, "
            "prices, curves, dials. Calls sold at 2,000, 2,100, …, one expiry (one for each underlying).",
            "Floor: what the state that is touched costs by itself, 2,100 a slot and 2,600 an account."
            + about,
        ),
    )


def _against(title: str, measured: Measurement, theirs: int | None) -> tuple[str, ...]:
    ratio = measured.gas / measured.floor if measured.floor else None
    apart = theirs / measured.gas if theirs else None
    return title, gas(measured.gas), gas(measured.floor), times(ratio), gas(theirs), times(apart)


def targets(bench: Bench) -> Sheet:
    """Promised numbers; a note that several missed ones share is told once."""
    rows, notes = [], {}
    for target in bench.targets:
        bound = "≥" if target.at_least else "≤"
        met = {True: "yes", False: "no", None: "not measured"}[target.met]
        measured = "" if target.measured is None else f"{target.measured:,.10g}"
        off = percent(abs(target.measured / target.target - 1)) if target.met is False else ""
        rows.append((target.name, f"{bound} {target.target:,.10g} {target.unit}".strip(), measured, met, off))
        if target.note:
            notes.setdefault(_OVER.sub("", target.note), []).append(target.name)
    title = f"Targets: {sum(t.met is True for t in bench.targets)} of {len(bench.targets)} met"
    said = tuple(f"{'; '.join(names)}: {note}." for note, names in notes.items())
    return Sheet(title, ("what", "target", "measured", "met", "missed by"), rows, said, frozenset({3}))


_OVER = re.compile(r"^\d+% above: ")


# ---------------------------------------------------------------- growth and costs


def growth(bench: Bench, peers: Peers | None) -> Sheet:
    """Fitted growth of every rule over a ladder."""
    found = grown(bench, peers)
    rows = [
        (
            one.name,
            str(one.scenarios) if one.scenarios else "formula",
            gas(one.fit.start),
            gas(one.fit.each) + (f" + {one.fit.bend:,.0f} n" if one.fit.bend else ""),
            f"{one.fit.worst:,.0f} ({percent(one.fit.share)})",
            gas(one.position_and_scenario),
            f"{int(one.fits_transaction):,}",
            f"{one.largest[0]:,} ({one.largest[1]})",
            percent(one.block_share(64)),
        )
        for one in found
    ]
    return Sheet(
        "Growth over a ladder of calls, fitted by least squares",
        (
            "rule",
            "scenarios",
            "start",
            "a position",
            "largest miss",
            "a position and scenario",
            "fit a transaction",
            "largest account",
            "64: of a block",
        ),
        rows,
        tuple(_growth_notes(bench, found)),
        frozenset({7}),
    )


def _growth_notes(bench: Bench, found: list[Grown]) -> Iterable[str]:
    if spread := options_over_underlyings(bench):
        yield (
            f"Portfolio margin over several underlyings, an expiry each ({spread.count} books): "
            f"{spread.start:,.0f} + {spread.position:,.0f} a position + {spread.underlying:,.0f} an "
            f"underlying, largest miss {spread.worst:,.0f} ({percent(spread.share)})."
        )
    yield (
        "Fit a transaction: the positions at which, by the fit, a check alone with 21,000 of intrinsic gas "
        f"fills {TRANSACTION_GAS:,} gas (EIP-7825); far beyond what was measured it is an extrapolation. A "
        "trade judges two accounts, a liquidation asks for several slices. Largest account: by gas, or by "
        "the contracts' limit where that binds first. A block: 60M gas."
    )
    yield (
        "A position and scenario: the fit's gas of a position over the number of scenarios. What a position "
        "costs once, however many scenarios there are, is in it, so it is no price of a further scenario: "
        "rules with 24 and 16 scenarios differ in more than their number."
    )
    theirs = sorted((one for one in found if not one.ours and one.scenarios), key=lambda one: one.scenarios)
    if len(theirs) == 2 and (further := further_scenario(*theirs)):
        few, many = theirs
        apart = many.scenarios - few.scenarios
        yield (
            f"{few.name} and {many.name} differ in {apart} scenarios: {further:,.0f} gas a further scenario "
            "and position, if they differ in nothing else that grows with positions."
        )


def costs(bench: Bench, names: Iterable[str], gas_price: float | None, eth_price: float | None) -> Sheet:
    """What measurements cost at a gas price (gwei) and an ETH price (USD); without a gas price at some of
    them, without an ETH price in ETH."""
    unit = "ETH" if eth_price is None else "USD"
    found = amounts(bench, names, gas_price, eth_price)
    rows = [
        (name, gas(bench.find(name).gas), *[_money(amount, unit) for amount in held.values()])
        for name, held in found.items()
    ]
    prices = next(iter(found.values()), {})
    notes = () if eth_price else ("In ETH; --eth-price USD shows USD, --gas-price GWEI one gas price.",)
    return Sheet(f"What it costs, {unit}", ("what", "gas", *[f"at {p:g} gwei" for p in prices]), rows, notes)


def amounts(
    bench: Bench, names: Iterable[str], gas_price: float | None, eth_price: float | None
) -> dict[str, dict[float, float]]:
    """ETH, or USD where the price of ETH is given, by measurement and gas price."""
    prices, rate = GAS_PRICES if gas_price is None else (gas_price,), 1.0 if eth_price is None else eth_price
    return {name: {price: bench.find(name).gas * price * GWEI * rate for price in prices} for name in names}


def _money(amount: float, unit: str) -> str:
    if unit == "USD":
        return f"{amount:,.2f}" if amount >= 0.0995 else f"{amount:.2g}"
    return f"{amount:.6f}"


# ---------------------------------------------------------------- where it goes, what there is


def parts(measured: Iterable[Measurement]) -> Sheet:
    """Where the gas goes, in columns that are not all empty."""
    rows = [m for m in measured if m.parts]
    used = [part for part in PARTS if any(m.parts.get(part) for m in rows)]
    return Sheet(
        "Where the gas goes",
        ("what", "gas", *used),
        [(m.name, gas(m.gas), *[gas(m.parts.get(part, 0)) for part in used]) for m in rows],
    )


def operations(bench: Bench, kind: str = OPERATION) -> Sheet:
    rows = [
        (m.name, gas(m.gas), gas(m.floor), times(m.gas / m.floor) if m.floor else "")
        for m in bench.select(kind=kind)
    ]
    what = "Operations: receipts" if kind == OPERATION else "Checks and views: cold, without intrinsic gas"
    return Sheet(what, ("operation" if kind == OPERATION else "view", "gas", "floor", "gas / floor"), rows)


def sizes(bench: Bench) -> Sheet:
    rows = [
        (name, f"{size:,}", percent(size / EIP_170))
        for name, size in sorted(bench.bytes.items(), key=lambda one: -one[1])
    ]
    return Sheet("Bytes of deployed code", ("contract", "bytes", f"of {EIP_170:,} (EIP-170)"), rows)


def speed(bench: Bench) -> Sheet:
    return Sheet("Speed of the tools", ("what", "measured"), list(_flat(bench.speed)))


def limits(bench: Bench) -> Sheet:
    rows = list(_flat(bench.limits))
    return Sheet(
        "Limits", ("what", "value"), rows, (f"A transaction may use {TRANSACTION_GAS:,} gas (EIP-7825).",)
    )


def versions(bench: Bench) -> Sheet:
    return Sheet("Versions", ("what", "value"), list(_flat(bench.meta)), texts=frozenset({1}))


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}: ")
        else:
            yield prefix + key.replace("_", " "), _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1_000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
