"""The kill tables, for the terminal and as a page."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from margincall.audit.mutants.catalogue import rows
from margincall.audit.mutants.schedules import EXCLUDED
from margincall.audit.mutants.verdict import IDS, counts


def print_verdict(console: Console, found: dict[str, Any]) -> None:
    """Catalogue, properties, generic mutants."""
    if found["catalogue"]:
        _print_catalogue(console, found)
        if not found["only"]:
            _print_properties(console, found)
    if found["generic"]["total"]:
        _print_generic(console, found["generic"])


def _print_catalogue(console: Console, found: dict[str, Any]) -> None:
    table = Table("bug", "what is planted", "with I-14", "without: killed by", "steps")
    table.title, table.title_justify = "Planted bugs", "left"
    table.columns[4].justify = "right"
    known = {row.id: row for row in rows()}
    for id, row in found["catalogue"].items():
        text = known[id].note or known[id].defect
        if row["status"] == "not applicable":
            table.add_row(id, f"{known[id].defect}: {row['reason']}", "", "not applicable", "", style="dim")
            continue
        exact = row["exact"]
        first = f"{exact['by']} after {exact['steps']}" if exact else "-"
        style = None if row["status"] == "killed" else "red"
        table.add_row(
            id, text, first, " ".join(row["by"]) or _unnoticed(row), f"{row['steps']:,}", style=style
        )
    console.print(table)
    n = counts(found)
    console.print(
        f"{n['real']} rows of real findings, {n['applicable']} apply; {n['own']} of our own."
        f" Noticed: {n['killed with']} with I-14, {n['killed']} without."
    )


def _unnoticed(row: dict[str, Any]) -> str:
    return "I-14 alone notices" if row["exact"] else "SURVIVES"


def _print_properties(console: Console, found: dict[str, Any]) -> None:
    properties = found["properties"]
    table = Table("property", "alone notices", title="Sole killers, I-14 aside", title_justify="left")
    for id in IDS:
        if id in properties["sole_killers"]:
            table.add_row(id, " ".join(properties["sole_killers"][id]))
        elif id in properties["merged"]:
            table.add_row(id, f"merged: {properties['merged'][id]}", style="dim")
        elif id in properties["missing"]:
            table.add_row(id, "nothing", style="yellow")
    console.print(table)


def _print_generic(console: Console, generic: dict[str, Any]) -> None:
    table = Table("file", "mutants", "with I-14", "without", title="Generic mutants", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for file, one in generic["files"].items():
        cells = (one[name] for name in ("total", "killed", "killed_without_exact"))
        table.add_row(file, *(f"{cell:,}" for cell in cells))
    console.print(table)
    for line in summary(generic):
        console.print(line, soft_wrap=True)
    for title, name in (("Survives:", "survivors"), ("Only I-14 notices:", "survivors_without_exact")):
        for one in generic[name]:
            console.print(title, described(one), markup=False, soft_wrap=True)


def summary(generic: dict[str, Any]) -> list[str]:
    """Two lines of counts, and what was left out."""
    lines = [
        f"{generic['total']:,} mutants (seed {generic['seed']}): {generic['killed']:,} noticed with I-14,"
        f" {generic['percent']} %; {generic['killed_without_exact']:,} without,"
        f" {generic['percent_without_exact']} %.",
        f"Not counted: {generic['invalid']:,} that do not compile, {generic['equivalent_by_bytecode']:,}"
        f" whose bytecode is the original's, {len(generic['equivalent_by_review']):,} found equivalent by"
        f" review and not run. {generic['seconds']:,} s of process time.",
        "By (with I-14): " + _listed(generic["by"]) + ".",
        "By (without): " + _listed(generic["by_without_exact"]) + ".",
    ]
    return lines + [f"No mutants of {what}: {why}." for what, why in EXCLUDED.items()]


def described(one: dict[str, Any]) -> str:
    """A generic mutant in a line: where, what became what."""
    old, new = (" ".join(one[name].split()) for name in ("old", "new"))
    return f"{one['file']}:{one['line']} {one['function']}, {one['kind']}: {old} -> {new}"


def _listed(by: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in by.items()) or "nothing"


def page(found: dict[str, Any]) -> str:
    """The verdict as Markdown."""
    lines = ["# Planted bugs", "", "Written by `margincall audit mutants --page`.", ""]
    known = {row.id: row for row in rows()}
    if found["catalogue"]:
        n = counts(found)
        lines += [
            f"{n['real']} rows of real findings, of which {n['applicable']} apply, and {n['own']} of our own."
            f" Noticed: {n['killed with']} with the exact twin (I-14), {n['killed']} without it.",
            *([f"Not examined in this run: {', '.join(found['not_run'])}."] if found["not_run"] else []),
            "",
            "| bug | what is planted | source | with I-14 | without: killed by | after steps |",
            "|---|---|---|---|---|--:|",
        ]
        for id, row in found["catalogue"].items():
            about = known[id]
            if row["status"] == "not applicable":
                cells = (id, about.defect, about.source, "", f"not applicable: {row['reason']}", "")
            else:
                exact = row["exact"]
                first = f"{exact['by']}, {exact['steps']}" if exact else ""
                cells = (
                    id,
                    about.note,
                    about.source,
                    first,
                    " ".join(row["by"]) or _unnoticed(row),
                    f"{row['steps']:,}",
                )
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines += ["", "## Sole killers, I-14 aside", "", "| property | alone notices |", "|---|---|"]
        properties = found["properties"]
        for id in IDS:
            alone = " ".join(properties["sole_killers"].get(id, ()))
            if not alone:
                why = properties["merged"].get(id)
                alone = f"merged: {why}" if why else "(the exact twin)" if id == "I-14" else "nothing yet"
            lines.append(f"| {id} | {alone} |")
    if found["generic"]["total"]:
        lines += ["", "## Generic mutants", "", *(f"{line}\n" for line in summary(found["generic"]))]
        lines += ["| file | mutants | with I-14 | without |", "|---|--:|--:|--:|"]
        for file, one in found["generic"]["files"].items():
            cells = [str(one[name]) for name in ("total", "killed", "killed_without_exact")]
            lines.append(f"| {file} | " + " | ".join(cells) + " |")
        for title, name in (
            ("Survivors", "survivors"),
            ("Noticed by I-14 alone", "survivors_without_exact"),
            ("Equivalent by review", "equivalent_by_review"),
        ):
            lines += ["", f"### {title}", ""]
            for one in found["generic"][name]:
                reason = f" ({one['reason']})" if "reason" in one else ""
                lines.append(f"- `{described(one)}`{reason}")
            if not found["generic"][name]:
                lines.append("None.")
    return "\n".join(lines) + "\n"
