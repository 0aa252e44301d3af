"""The audit log: a section of a Markdown file for each run, made from the record of the run alone."""

from __future__ import annotations

from typing import Any

from margincall.audit.properties import registry
from margincall.audit.report import REQUIRED, SELDOM

MARKER = "<!-- runs, newest first -->"


def insert(text: str, record: dict[str, Any]) -> str:
    """The log with the section of a run: in place of one with the same heading, else before the others.
    Raises ValueError: no marker."""
    head, marker, rest = text.partition(MARKER)
    if not marker:
        raise ValueError(f"no line {MARKER}")
    made = section(record)
    title = made.splitlines()[0]
    sections = [f"## {part}" for part in rest.split("\n## ")[1:]]
    kept = [one.strip() for one in sections if one.splitlines()[0] != title]
    return head + marker + "\n\n" + "\n\n".join([made, *kept]) + "\n"


def section(record: dict[str, Any]) -> str:
    """The Markdown of one run."""
    command = (
        f"margincall audit --steps {record['steps_asked']}" if record["steps_asked"] else "margincall audit"
    )
    command += f" --seed {record['seed']} --workers {record['workers']}"
    command += f" --mode {record['mode']}" if record["mode"] != "all" else ""
    speeds = ", ".join(
        f"{name} {one['steps']:,} ({one['steps_per_second']:,} a second)"
        for name, one in record["settings"].items()
    )
    lines = [
        f"## {record['steps']:,} steps, seed {record['seed']}, {record['workers']} workers,"
        f" contracts {record['contracts']}",
        "",
        f"`{command}`, {record['finished']}: {_verdict(record)}. {record['seconds']:,} s on the clock,"
        f" {record['process_seconds']:,} s of process time: {record['steps_per_second']:,} steps a second on"
        " one core, two-run and economic properties included.",
        "",
        f"Steps by setting: {speeds}.",
        "",
        "| property | really checked | formula |",
        "|---|---:|---|",
        *(f"| {id} | {times:,} | {_cell(registry.formula(id))} |" for id, times in record["checked"].items()),
        "",
        "| two-run, liveness, economic | every ... steps | runs | process seconds |",
        "|---|---:|---:|---:|",
        *(
            f"| {name} | {one['every']:,} | {one['runs']:,} | {one['seconds']:,} |"
            for name, one in record["probes"].items()
        ),
        "",
        "| state reached | times |",
        "|---|---:|",
        *(
            f"| {name} | {record['reached'].get(name, 0):,} |"
            for name in (*REQUIRED, *SELDOM)
            if name in record["reached"] or name in record["seldom"]
        ),
        "",
        "Refused, by reason: "
        + ", ".join(f"{reason} {times:,}" for reason, times in record["refused"].items())
        + ".",
    ]
    if record["unmet"]:
        lines += ["", "Reached too little: " + "; ".join(record["unmet"]) + "."]
    return "\n".join(lines)


def _verdict(record: dict[str, Any]) -> str:
    if record["violations"]:
        return "VIOLATED " + ", ".join(one["property"] for one in record["violations"])
    return "interrupted, no violation until then" if record["interrupted"] else "no violation"


def _cell(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"
