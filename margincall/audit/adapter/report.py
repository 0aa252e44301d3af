"""An audit for people: what was reached, the violations as tables, a test file that replays each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from margincall.audit.adapter import properties
from margincall.audit.adapter.audit import Finding, Report
from margincall.audit.adapter.protocol import Adapter
from margincall.audit.adapter.run import Broken, Call, Run

TEMPLATE = '''"""{name}: {message}

{formula}

Found by `margincall audit contract {target}` (seed {seed}), shrunk from {drawn} calls to {length}. It passes
once the engine is mended: run it with pytest.
"""

from margincall.audit.adapter import Account
from margincall.audit.adapter.audit import replay
from margincall.audit.adapter.load import load
from margincall.audit.adapter.run import Call

HISTORY = [
{calls}
]


def test_{function}():
    replay(load({target!r}), HISTORY, only={name!r})
'''


def record(report: Report) -> dict:
    """The audit as JSON: steps, seconds, what was checked, reached, violated and left out."""
    return {
        "adapter": report.name,
        "abilities": sorted(report.abilities),
        "steps": report.steps,
        "histories": report.episodes,
        "seconds": round(report.seconds, 2),
        "steps_per_second": round(report.steps / max(report.seconds, 1e-9), 1),
        "checked": dict(sorted(report.checked.items())),
        "reached": dict(sorted(report.counts.items())),
        "refused": dict(report.refusals.most_common()),
        "left_out": properties.NOT_EXPRESSIBLE | report.unavailable,
        "missing": report.missing(),
        "violations": [
            {
                "id": finding.broken.name,
                "formula": finding.broken.formula,
                "message": finding.broken.message,
                "numbers": {key: str(value) for key, value in finding.broken.numbers.items()},
                "history": [call.text() for call in finding.history],
                "drawn": finding.drawn,
            }
            for finding in report.findings
        ],
    }


def write_test(finding: Finding, target: str, folder: Path) -> Path:
    """`counterexample_<id>.py` in `folder`: a pytest file that replays the history through the adapter."""
    broken = finding.broken
    path = folder / f"counterexample_{broken.name}.py"
    calls = "\n".join(
        f"    Call({call.kind!r}, ({_arguments(call)})),  # {i}" for i, call in enumerate(finding.history, 1)
    )
    path.write_text(
        TEMPLATE.format(
            name=broken.name,
            message=broken.message.replace('"""', "'''"),
            formula=broken.formula,
            target=target,
            seed=finding.seed,
            drawn=finding.drawn,
            length=len(finding.history),
            calls=calls,
            function=broken.name.lower().replace("-", "_"),
        )
    )
    return path


def _arguments(call: Call) -> str:
    text = call.text()
    inner = text[len(call.kind) + 1 : -1]
    return inner + "," if len(call.args) == 1 else inner


def print_report(console: Console, report: Report) -> None:
    table = Table(title=f"{report.name}: properties", title_justify="left")
    table.add_column("id")
    table.add_column("checked", justify="right")
    table.add_column("", overflow="fold")
    violated = {finding.broken.name: finding.broken.message for finding in report.findings}
    left_out = properties.NOT_EXPRESSIBLE | report.unavailable
    for name in properties.ALL:
        said = f"VIOLATED: {violated[name]}" if name in violated else left_out.get(name, "")
        table.add_row(name, f"{report.checked[name]:,}" if report.checked[name] else "-", said)
    console.print(table)
    reached = Table(title="reached", title_justify="left", show_header=False)
    reached.add_column()
    reached.add_column(justify="right")
    for name in sorted(report.counts):
        if report.counts[name] and not name.startswith("ran "):
            reached.add_row(name, f"{report.counts[name]:,}")
    console.print(reached)
    rate = report.steps / max(report.seconds, 1e-9)
    took = f"{report.seconds:,.1f} s: {rate:,.0f} a second"
    console.print(f"{report.steps:,} steps in {report.episodes} histories, {took}")


def print_finding(console: Console, finding: Finding, factory: Callable[[], Adapter]) -> None:
    """The shrunk history, each call with what it changed, then the formula with its numbers."""
    broken = finding.broken
    console.print(f"\n[bold]{broken.name} is violated:[/] {broken.message}", highlight=False)
    console.print(f"  {broken.formula}", markup=False, highlight=False)
    table = Table(show_edge=False)
    for title in ("#", "call", "", "what changed"):
        table.add_column(title, overflow="fold")
    run = Run(factory, frozenset(properties.ALL) - {broken.name})
    for number, call in enumerate(finding.history, 1):
        before = run.state
        try:
            step = run.apply(call)
            said = "" if step is None else step.reason or "ok"
        except Broken:
            said = "violates"
        table.add_row(str(number), call.text(), said, _changes(before, run.state, run))
    console.print(table)
    for key, value in broken.numbers.items():
        console.print(f"  {key} = {value}", markup=False, highlight=False)


def _changes(before, after, run: Run) -> str:
    lines = []
    for account, new in after.accounts.items():
        old = before.accounts[account]
        if old == new:
            continue
        parts = [f"cash {old.cash:,} → {new.cash:,}"] if old.cash != new.cash else []
        for m, market in enumerate(run.adapter.markets):
            if old.sizes[m] != new.sizes[m]:
                parts.append(f"{market.name} {old.sizes[m]:,} → {new.sizes[m]:,}")
        if old.equity != new.equity and new.margin:
            parts.append(f"equity {new.equity:,} (MM {new.margin.maintenance:,}, IM {new.margin.initial:,})")
        pool = "" if account.pool < 0 else f" in {run.adapter.markets[account.pool].name}"
        lines.append(f"trader {account.trader}{pool}: {', '.join(parts)}")
    if before.stocks != after.stocks:
        lines.append(f"{before.stocks} → {after.stocks}")
    return "\n".join(lines)
