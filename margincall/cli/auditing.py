"""`margincall audit`: the property machine, and what proves that it would notice."""

from __future__ import annotations

from time import perf_counter

import click

from margincall.cli.shared import compile_contracts


@click.group(invoke_without_command=True)
@click.option("--steps", type=click.IntRange(1), default=36_000, show_default=True, help="Steps in all.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the histories.")
@click.pass_context
def audit(context: click.Context, steps: int, seed: int) -> int | None:
    """Drive the contracts with generated histories and check forty properties after every step.

    Exit code 1 on a violation, 3 when the run did not reach what it must.
    """
    if context.invoked_subcommand:
        return None
    from margincall.audit import running
    from margincall.audit.machine import Violation
    from margincall.audit.report import lines, missing

    compile_contracts()
    started = perf_counter()
    try:
        machine = running.run(steps, seed, say=click.echo)
    except Violation as violation:
        click.echo(str(violation))
        return 1
    seconds = perf_counter() - started
    click.echo("\n".join(lines(machine.counts, machine.checked, machine.refusals)))
    click.echo(f"{steps:,} steps in {seconds:,.1f} s: {steps / seconds:,.0f} a second")
    unmet = missing(machine.counts, machine.checked)
    for one in unmet:
        click.echo(one)
    return 3 if unmet else 0
