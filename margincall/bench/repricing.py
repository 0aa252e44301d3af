"""The what-if as tables."""

from __future__ import annotations

from dataclasses import asdict

from margincall.bench.records import OPERATION, Bench, Measurement
from margincall.bench.sheets import Sheet, gas
from margincall.bench.whatif import (
    TODAY,
    Pair,
    Schedule,
    checks_by_store,
    ranking,
    refreshes_by_store,
    repriced,
    turns,
)
from margincall.protocol.config import DEFAULT

POSITIONS = 64
SHOWN = f"ladder of {POSITIONS}"
TURNING = ("cold_sload", "cold_account", "sstore_set", "sstore_reset", "code_byte", "create")
NOT_MODELLED = (
    "Exact for the same transactions: gas is linear in what they touch. Not modelled: contracts written "
    "otherwise for other prices, slots written and put back, warm slots, copying of code, new opcodes."
)


def sheets(bench: Bench, schedule: Schedule) -> list[Sheet]:
    """Prices that changed, rules and stores in order, code against slots, turning points, operations."""
    changed = schedule.changed()
    found = []
    if changed:
        rows = [(option(name), gas(today), gas(here)) for name, (today, here) in changed.items()]
        found.append(Sheet("Prices asked about", ("price", "today", "here"), rows))
    found += [_ranking(bench, schedule), *_stores(bench, schedule), *_turning(bench)]
    if changed:
        found.append(_operations(bench, schedule))
    return [sheet for sheet in found if sheet.rows]


def option(name: str) -> str:
    """A price as its option is called: cold_sload -> --cold-sload."""
    return "--" + name.replace("_", "-")


def _ranking(bench: Bench, schedule: Schedule) -> Sheet:
    changed = bool(schedule.changed())
    title = f"Rules by the gas of a check of {POSITIONS} options"
    if not changed:
        rows = [
            (one.name, str(one.place_after), gas(one.after)) for one in ranking(bench, schedule, POSITIONS)
        ]
        return Sheet(title, ("rule", "place", "gas"), rows)
    rows = [
        (
            one.name,
            str(one.place_before),
            str(one.place_after),
            _moved(one.moved),
            gas(one.before),
            gas(one.after),
        )
        for one in ranking(bench, schedule, POSITIONS)
    ]
    columns = ("rule", "place today", "place here", "moved", "gas today", "gas here")
    return Sheet(title, columns, rows, (NOT_MODELLED,), frozenset({3}))


def _moved(places: int) -> str:
    return f"▲ {places}" if places > 0 else f"▼ {-places}" if places < 0 else ""


def _stores(bench: Bench, schedule: Schedule) -> list[Sheet]:
    """Code against slots, where curves are refreshed as the ladder's own."""
    refresh = ladder_refresh(bench)
    before, after = (turns(bench, refresh, each) if refresh else [] for each in (TODAY, schedule))
    if not after:
        return []
    rows = [
        (
            f"{here.positions} option{'s' * (here.positions > 1)}",
            gas(here.code),
            gas(here.slots),
            "" if here.crossing is None else f"{here.crossing:.1f}",
            here.verdict,
            "changed" if here.verdict != today.verdict else "",
        )
        for today, here in zip(before, after, strict=True)
    ]
    columns: tuple[str, ...] = (
        "ladder",
        "check, code",
        "check, slots",
        "alike at checks a refresh",
        "cheaper",
    )
    if schedule.changed():
        columns += ("against today",)
    else:
        rows = [row[:5] for row in rows]
    name = refresh.code.name.replace(", code", "")
    note = (
        f"A refresh ({name}) costs {gas(after[0].refresh_code)} where the curve is kept in code and "
        f"{gas(after[0].refresh_slots)} in slots; it serves every check of the expiry for "
        f"{DEFAULT.curve_window // 60} minutes."
    )
    return [Sheet("Curves in code or in slots", columns, rows, (note,), frozenset({4, 5}))]


def ladder_refresh(bench: Bench) -> Pair | None:
    """Of 30 days, the ladder's expiry, or the first that was measured."""
    held = refreshes_by_store(bench)
    return next((pair for pair in held if "30 days" in pair.code.name), held[0] if held else None)


def _turning(bench: Bench) -> list[Sheet]:
    """At which value of one price code and slots would cost alike."""
    pairs = [pair for pair in checks_by_store(bench) if pair.code.positions == POSITIONS]
    pairs += filter(None, [ladder_refresh(bench)])
    rows = []
    for price in TURNING:
        points = [pair.turning_point(price) for pair in pairs]
        if any(point is not None for point in points):
            cells = [gas(point) if point is not None else "never" for point in points]
            rows.append((option(price), gas(asdict(TODAY)[price]), *cells))
    columns = ("price", "today", *[pair.code.name.replace(", code", "") for pair in pairs])
    note = "The value of one price, all others as today, at which code and slots cost alike."
    return [Sheet("Where code and slots change places", columns, rows, (note,))]


def _operations(bench: Bench, schedule: Schedule) -> Sheet:
    moved = [(m, repriced(m, schedule)) for m in bench.measurements if m.kind == OPERATION or SHOWN in m.name]
    rows = [(m.name, gas(m.gas), gas(after), _change(m, after)) for m, after in moved if after != m.gas]
    columns = ("what", "gas today", "gas here", "change")
    return Sheet("What changes", columns, rows, ("`margincall bench report --json` has all checks.",))


def _change(measured: Measurement, after: int) -> str:
    return f"{after - measured.gas:+,} ({after / measured.gas - 1:+.1%})"
