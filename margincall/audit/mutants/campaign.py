"""Many mutants in processes: what was found is appended to a file, so that a run can be resumed."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, as_completed, wait
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from time import monotonic, process_time

from margincall.audit.mutants import schedules
from margincall.audit.mutants.catalogue import Row
from margincall.audit.mutants.hunting import Overdue, hunt, killers
from margincall.audit.mutants.operators import Edit, key_of, sample
from margincall.audit.mutants.planting import PlantError, compiled, planted
from margincall.audit.mutants.reviewed import reason_of
from margincall.protocol.artifacts import CONTRACTS, ROOT, CompileError

RESULTS = ROOT / "build" / "mutants" / "generic.jsonl"
PATIENCE = 120
"""Seconds of process time after which a mutant that neither ends nor fails counts as noticed: it hangs."""
A_LIFE = 40
"""Mutants after which a process makes room for a new one: each leaves a megabyte or two behind."""
INVALID, EQUIVALENT, REVIEWED, KILLED, SURVIVED = "invalid", "equivalent", "reviewed", "killed", "survived"


def examine(edit: Edit) -> dict:
    """One generic mutant: compiled, deployed, hunted with the exact twin and without, in one contract after
    another that uses what it changes, until it is noticed. A line of RESULTS."""
    started = process_time()
    record = _record(edit)
    try:
        mutated = edit.apply((CONTRACTS / edit.file).read_text())
    except ValueError as error:
        raise PlantError(f"{error}: the contracts changed during the run; start it again") from None
    for home in schedules.homes(edit.file, edit.function)[:2]:
        with _alarm():
            try:
                replaced = compiled({edit.file: mutated}, [home])
            except (CompileError, Overdue) as error:
                if record["status"] == SURVIVED:
                    break  # in the first contract it was a mutant
                return record | {"status": INVALID, "text": str(error)[:200]}
        if replaced:
            record |= {"contract": home, "status": SURVIVED} | _verdicts(replaced, edit.file)
        if record["exact"]:
            return record | {"status": KILLED, "seconds": round(process_time() - started, 2)}
    return record | {"seconds": round(process_time() - started, 2)}


def _record(edit: Edit) -> dict:
    """What is known of a mutant before it is compiled."""
    key = key_of(edit, (CONTRACTS / edit.file).read_text())
    nothing = {"contract": "", "status": EQUIVALENT, "exact": None, "observed": None, "seconds": 0.0}
    return {"key": key, **edit._asdict()} | nothing


def _verdicts(replaced: dict, file: str) -> dict:
    """The first kill with the exact twin, and without."""
    found: dict = {"exact": None, "observed": None}
    for name, exact in (("exact", True), ("observed", False)):
        with _alarm():
            kill = hunt(replaced, schedules.runs(file, exact), exact)
        if kill is None:
            break  # what the exact twin does not see no other property does: it is checked beside them
        found[name] = kill._asdict()
    return found


def examine_row(row: Row) -> dict:
    """A planted bug: the exact twin's verdict, and every property that notices without it."""
    started = process_time()
    record = {"id": row.id, "status": "not applicable", "by": [], "steps": 0, "reason": row.reason}
    if row.reason:
        return record
    replaced = compiled(planted(row.changes), row.contracts)
    if not replaced:
        raise PlantError(f"{row.id} changes no byte of what is deployed: its change does nothing")
    looked_at = schedules.of_row(row)
    with _alarm():
        exact = hunt(replaced, looked_at, True)
    if exact and exact.text.startswith("does not deploy"):
        raise PlantError(f"{row.id} {exact.text}: is the contract too large?")
    with _alarm():
        found = killers(replaced, looked_at)
    by = sorted(found, key=lambda name: (found[name], name))
    record |= {
        "status": KILLED if by or exact else SURVIVED,
        "by": by,
        "steps": min(found.values(), default=0),
        "after": found,
        "exact": exact and exact._asdict(),
        "seconds": round(process_time() - started, 2),
    }
    return record


def examine_rows(rows: Sequence[Row], workers: int, say: Callable[[dict], None] | None = None) -> list[dict]:
    """`examine_row` of all, in processes; in the rows' order. `say(record)` after each. Raises PlantError."""
    found: dict[str, dict] = {}
    with ProcessPoolExecutor(workers) as pool:
        jobs = [pool.submit(examine_row, row) for row in rows]
        try:
            for job in as_completed(jobs):
                record = job.result()
                found[record["id"]] = record
                if say:
                    say(record)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [found[row.id] for row in rows]


def known(path: Path = RESULTS) -> dict[str, dict]:
    """Records of earlier runs by key; a line cut short by an interruption is passed over, and so is what was
    reviewed then: the list may be another by now."""
    found: dict[str, dict] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record["status"] != REVIEWED:
                found[record["key"]] = record
    return found


def run(
    wanted: int,
    seed: int,
    workers: int,
    minutes: float | None = None,
    say: Callable[[dict, int], None] | None = None,
    path: Path = RESULTS,
    files: Iterable[str] | None = None,
) -> list[dict]:
    """The first `wanted` mutants of the seed's order that compile, and are not equivalent byte for byte, with
    their records; those that reviewed.toml names are not run; fewer when the minutes are over. `say(record,
    of those that count)` after each."""
    before, found = known(path), {}
    order = sample(schedules.files() if files is None else files, seed)
    until = None if minutes is None else monotonic() + 60 * minutes
    path.parent.mkdir(parents=True, exist_ok=True)

    def counted() -> int:
        return sum(record["status"] in (KILLED, SURVIVED, REVIEWED) for record in found.values())

    def note(record: dict, is_new: bool) -> None:
        found[record["key"]] = record
        if is_new:
            with path.open("a") as out:
                out.write(json.dumps(record) + "\n")
        if say:
            say(record, counted())

    remaining = iter(order)
    jobs: set = set()
    with ProcessPoolExecutor(workers, get_context("spawn"), max_tasks_per_child=A_LIFE) as pool:
        try:
            while counted() < wanted:
                if until is not None and monotonic() > until:
                    break
                room = min(2 * workers, wanted - counted()) - len(jobs)
                taken = list(islice(remaining, max(room, 0)))
                for edit in taken:
                    record = _record(edit)
                    if reason_of(record):
                        note(record | {"status": REVIEWED}, False)
                    elif record["key"] in before:
                        note(before[record["key"]], False)
                    else:
                        jobs.add(pool.submit(examine, edit))
                if not jobs:
                    if taken:
                        continue
                    break
                done, jobs = wait(jobs, timeout=5, return_when=FIRST_COMPLETED)
                for job in done:
                    note(job.result(), True)
            for job in jobs:
                job.cancel()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        for job in jobs:
            if not job.cancelled():
                note(job.result(), True)
    return list(found.values())


class _alarm:
    """Raises Overdue in the block after PATIENCE seconds of process time."""

    def __enter__(self) -> None:
        signal.signal(signal.SIGPROF, _ring)
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)

    def __exit__(self, *exception) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _ring(number, frame) -> None:
    raise Overdue(f"it did not end in {PATIENCE} s")
