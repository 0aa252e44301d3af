"""A run for people: the line that moves, and the tables at the end."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from margincall.audit.properties import registry
from margincall.audit.report import required
from margincall.audit.running import Plan, Tally


def live_line(plan: Plan, tally: Tally) -> str:
    """Steps, steps a second on the clock, states reached, properties checked."""
    wanted = required(plan.settings)
    reached = sum(tally.counts[name] > 0 for name in wanted)
    checked = sum(tally.checked[id] > 0 for id in registry.IDS)
    of = f" of {plan.steps:,}" if plan.steps else ""
    rate = tally.total / tally.elapsed if tally.elapsed else 0
    return (
        f"{tally.total:,}{of} steps, {rate:,.0f} a second, {reached} of {len(wanted)} states reached, "
        f"{checked} of {len(registry.IDS)} properties checked"
    )


def print_run(console: Console, found: dict[str, Any]) -> None:
    """States reached, properties with how often they were checked, speed, and what is missing."""
    wanted = [name for name in found["reached"] if name in required_names(found)]
    states = Table("state", "times", "state ", "times ", title="Reached", title_justify="left")
    for column in (1, 3):
        states.columns[column].justify = "right"
    rows = [(name, f"{found['reached'][name]:,}") for name in wanted]
    half = -(-len(rows) // 2)
    for i in range(half):
        right = rows[half + i] if half + i < len(rows) else ("", "")
        states.add_row(*rows[i], *right)
    console.print(states)
    properties = Table("id", "checked", "formula", title="Properties", title_justify="left")
    properties.columns[1].justify = "right"
    for id, times in found["checked"].items():
        properties.add_row(id, f"{times:,}", registry.formula(id), style=None if times else "yellow")
    console.print(properties, markup=False)
    for name, speed in found["settings"].items():
        console.print(f"{name:10}{speed['steps']:>10,} steps,{speed['steps_per_second']:>7,} a second")
    spent = sum(probe["seconds"] for probe in found["probes"].values())
    runs = ", ".join(
        f"{name} {probe['runs']:,} (1 in {probe['every']:,} steps)" for name, probe in found["probes"].items()
    )
    console.print(f"Two-run, liveness and economic properties, {spent:,.0f} s of it: {runs}", soft_wrap=True)
    console.print(
        f"{found['steps']:,} steps in {found['seconds']:,} s on the clock, {found['process_seconds']:,} s of"
        f" process time: {found['steps_per_second']:,} a second on one core. Seed {found['seed']},"
        f" {found['workers']} workers, contracts {found['contracts']}.",
        soft_wrap=True,
    )


def required_names(found: dict[str, Any]) -> set[str]:
    """Of the counters in a record those that a run must reach, and the rare ones of interest."""
    from margincall.audit.report import REQUIRED, SELDOM

    return {name for name in found["reached"] if name in REQUIRED} | set(SELDOM)
