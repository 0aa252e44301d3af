"""A benchmark made of known lines, so that what is fitted and restated can be worked out by hand."""

from margincall.bench.records import CHECK, OPERATION, Access, Bench, Measurement, Target
from margincall.bench.versions import versions

LADDER = (1, 4, 8, 16, 32, 64, 127)
START, EACH, UNDERLYING = 20_000, 2_000, 30_000
SLOTS = {"code": 10, "slots": 46}  # cold slots of a check
ACCOUNTS = {"code": 3, "slots": 2}


def check(name, gas, engine, positions, underlyings=1, store="", **touched):
    """A check whose gas is all storage, its floor half of it."""
    access = Access(**touched)
    return Measurement(
        name, CHECK, gas, gas // 2, {"storage": gas}, access, engine, positions, underlyings, store
    )


def ladder(store: str) -> list[Measurement]:
    """20,000 + 2,000 a position + 30,000 an underlying; in slots 70,000 more."""
    word, dearer = ("", 0) if store == "code" else ("slots, ", 70_000)
    touched = {"cold_slots": SLOTS[store], "cold_accounts": ACCOUNTS[store]}
    books = [(f"ladder of {n}", n, 1) for n in LADDER] + [("64 over 4 underlyings", 64, 4)]
    return [
        check(
            f"check, {word}{name}",
            START + EACH * n + UNDERLYING * u + dearer,
            "portfolio",
            n,
            u,
            store,
            **touched,
        )
        for name, n, u in books
    ]


def refresh(store: str, gas: int, **touched) -> Measurement:
    name = f"refresh, 30 days, {store}, again"
    return Measurement(name, OPERATION, gas, gas // 2, {"storage": gas}, Access(**touched), store=store)


def bench() -> Bench:
    """Ladders of the portfolio rule in both stores, perps, a refresh in both stores, a trade."""
    perps = [
        check(f"Clearinghouse.margin, {n} perp{'s' * (n > 1)}", 15_000 + 3_500 * n, "cross", n)
        for n in (1, 4, 8, 16)
    ]
    trade = Measurement(
        "increase, cross, 1 perp",
        OPERATION,
        150_000,
        90_000,
        {"storage": 100_000, "intrinsic": 21_000, "calldata": 9_000, "arithmetic": 24_000, "refund": -4_000},
        Access(cold_slots=20, slots_changed=9, slots_created=1, calldata_zero=250, calldata_nonzero=500),
    )
    return Bench(
        [
            *ladder("code"),
            *ladder("slots"),
            check("check, 1 perp", 40_000, "portfolio", 1),
            *perps,
            refresh("code", 780_000, cold_slots=6, deploy_bytes=1_000, deployments=1),
            refresh("slots", 600_000, cold_slots=42, slots_changed=36),
            trade,
        ],
        bytes={"Clearinghouse": 24_440, "Book": 16_640},
        limits={"max_positions": 128, "liquidate_max_account": 4_000_000},
        speed={"steps a second": {"embedded": 1_234.5, "ratio": 17.0}},
        targets=[
            Target("trade", 160_000, 150_000),
            Target("check", 100_000, 178_000, note="78% above: tried and not reached"),
            Target("larger check", 100_000, 304_000, note="204% above: tried and not reached"),
            Target("steps", 1_000, 1_234.5, "a second", at_least=True),
        ],
        meta=versions(),
    )
