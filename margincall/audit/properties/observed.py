"""Properties that the exact twin implies and that need a statement of their own once it is no oracle: checked
only by a machine with `exact=False`."""

from __future__ import annotations

from margincall.audit.machine import Machine, Step
from margincall.audit.operations import options
from margincall.audit.properties.kinds import SWITCHES, TRADES
from margincall.audit.world import MARKETS
from margincall.model import Refused, accounts
from margincall.model.arithmetic import INDEX_SCALE, NOTIONAL_SCALE, PPM, RATE_SCALE, ceil_div
from margincall.model.book import pack, unpack
from margincall.model.dials import UNIT
from margincall.model.instrument import CALL, PUT, Instrument
from margincall.model.markets import MAX_JUMP, check_ramp

FEE_CAP = 125_000  # ppm of an option's premium
ALLOWED = (
    "margin: ",
    "access: mode",
    "liquidation: own account",
    "liquidation: not taker",
    "liquidation: grace",
    "liquidation: worsens",
    "liquidation: no position",
    "liquidation: taker",
    "price: ",
    "curve: ",
    "vol: ",
    "ledger: ",
    "portfolio: ",
    "standard: ",
    "book: ",
)
"""Why a liquidation of an account below maintenance may be refused: the taker cannot carry it, nothing can be
priced, the account holds what has to be settled first."""
LACKING = ("margin: not enough cash", "margin: below transfer margin")
PRICES = ("price", "jump", "silence", "end of silence", "boundary price", "bad report")


def i_17_refused(machine: Machine, step: Step) -> None:
    """Eq < MM at an admissible price => a liquidation is refused only because of its taker."""
    if step.action.kind != "liquidate":
        return
    found = step.before.margins[step.action.facts["victim"]]
    if found and found.equity < found.maintenance:
        machine.need("I-17", step.reason.startswith(ALLOWED), lambda: (step.reason, found))


def i_38_third_party(machine: Machine, step: Step) -> None:
    """No transfer of the token stops a trade, a liquidation or a move between one's own accounts."""
    kind = step.action.kind
    if kind in (*TRADES, *SWITCHES, *options.KINDS, "liquidate", "move_margin"):
        machine.need("I-38", not step.reason.startswith(("hostile:", "token:", "erc20:")), step.reason)


def i_11_refused(machine: Machine, step: Step) -> None:
    """What is withdrawable may leave: it is not refused for margin."""
    facts = step.action.facts
    if step.action.kind in ("withdraw", "move_margin") and 0 < facts["amount"] == facts["exact"]:
        machine.need("I-11", step.reason not in LACKING, step.reason)


def i_16_announced(machine: Machine, step: Step) -> None:
    """new terms => at every notional MM' <= 1.25 MM: what was announced liquidates nobody at once."""
    old, new = machine.observer.terms
    if old is None or new is None:
        return
    try:
        check_ramp(old, new)
    except Refused as refused:
        machine.fail("I-16", refused.reason)
    machine.checked["I-16"] += 1


def i_17_dust(machine: Machine, step: Step) -> None:
    """A trade leaves no position smaller than the market's least notional, which pays its liquidator."""
    if step.action.kind not in TRADES:
        return
    market = machine.twin.markets[step.action.facts["market"]]
    for account in step.action.facts["margins"]:
        raw = abs(machine.twin.size(account, market.id)) * market.mark
        enough = raw == 0 or raw >= market.terms.min_notional * NOTIONAL_SCALE
        machine.need("I-17", enough, lambda a=account, r=raw: (hex(a), r))


def i_23_dust(machine: Machine, step: Step) -> None:
    """A slice leaves no perp smaller than its market's least notional."""
    if step.action.kind != "liquidate":
        return
    victim = step.action.facts["victim"]
    old = {market: size for market, size, _ in step.before.positions.get(victim, ())}
    for number, size, _ in machine.twin.positions.get(victim, ()):
        market = machine.twin.markets[number]
        enough = abs(size) * market.mark >= market.terms.min_notional * NOTIONAL_SCALE
        machine.need("I-23", enough or old.get(number) == size, lambda n=number, s=size: (n, s))


def i_36_step(machine: Machine, step: Step) -> None:
    """|P' - P| <= step * max(intervals passed, 1) * P, at most a half; t_pub' > t_pub."""
    if step.action.kind not in PRICES:
        return
    for number in step.action.facts.get("markets", ()):
        known, (mark, published, *_) = machine.twin.markets[number], step.before.prices[number - 1]
        if not published:
            continue
        passed = max((known.published - published) // known.rules.interval, 1)
        limit = min(known.rules.step * passed, MAX_JUMP)
        fine = abs(known.mark - mark) * PPM <= mark * limit and known.published > published
        machine.need("I-36", fine, lambda k=known, m=mark: (k.id, m, k.mark))


def i_36_cap(machine: Machine, step: Step) -> None:
    """Open interest that grew is within the cap and the multiple of insurance (I-24's bound)."""
    if step.action.kind not in TRADES:
        return
    twin, market = machine.twin, machine.twin.markets[step.action.facts["market"]]
    before = sum(
        q for positions in step.before.positions.values() for m, q, _ in positions if m == market.id and q > 0
    )
    interest = twin.open_interest.get(market.id, 0)
    if interest > before:
        insurance = twin.insurance.get(0, 0) + twin.insurance.get(market.id, 0)
        cap = min(market.terms.oi_cap, market.terms.oi_multiple * insurance)
        machine.need("I-24", interest * market.mark <= cap * NOTIONAL_SCALE, lambda: (interest, cap))


def i_40_first_look(machine: Machine, step: Step) -> None:
    """The first look at prices is no move: the dials stay where they rest."""
    if step.action.kind != "poke" or any(machine.observer.references):
        return
    dials = machine.twin.options.dials
    rests = dials._rests()
    resting = all(stress.im == rest * UNIT for stress, rest in zip(dials._at(step.now), rests, strict=True))
    machine.need("I-40", resting, lambda: (dials.stresses, rests))


def i_31_dials(machine: Machine, step: Step) -> None:
    """A look at prices makes the dials what the moves ask for (the co-movement of I-31)."""
    if step.action.kind != "poke" or not any(machine.observer.references):
        return  # the first look: I-40
    expected, dials = machine.observer.dials, machine.twin.options.dials
    for mine, theirs in zip(expected, dials._at(step.now), strict=True):
        machine.need("I-31", theirs == mine, lambda m=mine, t=theirs: (m, t))


def i_03_books(machine: Machine, step: Step) -> None:
    """Stored aggregates equal their recomputation: a book's words are the packed form of what they hold, its
    lanes distinct, its segments sorted."""
    for account in step.touched:
        words = machine.twin.books.get(account, ())
        if words and step.before.books.get(account) is not words:
            segments = unpack(words)
            names = [(segment.key, name) for segment in segments for name, _ in segment.lanes]
            machine.need("I-03", len(set(names)) == len(names), lambda a=account: hex(a))
            same = sorted(pack(segments)) == sorted(words)
            machine.need("I-03", same, lambda a=account: hex(a))


def i_03_spot(machine: Machine, step: Step) -> None:
    """The total of each spot token is what the books hold of it."""
    if "spot" not in step.action.facts and step.action.kind != "liquidate":
        return
    held = [s for words in machine.twin.books.values() for s in unpack(words) if not s.expiry]
    for market, listing in machine.world.series.collateral.listings.items():
        total = sum(segment.forward for segment in held if segment.market == market)
        machine.need("I-03", listing.total == total, lambda m=market, a=listing.total, b=total: (m, a, b))


def i_33_premium(machine: Machine, step: Step) -> None:
    """A trade of an option moves its premium, |q| p / 1e8, from who gets it to who gives it, and each side's
    fee; one of a future moves the fees alone."""
    if step.action.kind not in options.KINDS:
        return
    facts = step.action.facts
    instrument, size, price = Instrument.of(facts["instrument"]), facts["size"], facts["price"]
    market = machine.twin.markets[instrument.market]
    raw, paid, cap = abs(size) * market.mark, 0, None
    if instrument.kind in (CALL, PUT):
        paid = ceil_div(size * price, NOTIONAL_SCALE)
        cap = ceil_div(abs(size) * price * FEE_CAP, RATE_SCALE)
    for side, change, rate in (("taker", -paid, "taker_fee"), ("maker", paid, "maker_fee")):
        fee = ceil_div(raw * getattr(market.terms, rate), RATE_SCALE)
        fee = fee if cap is None else min(fee, cap)
        got = machine.twin.cash.get(facts[side], 0) - step.before.cash.get(facts[side], 0)
        machine.need("I-33", got == change - fee, lambda g=got, c=change, f=fee: (g, c, f))


def i_21_trade(machine: Machine, step: Step) -> None:
    """A trade's fees, |q| p rate rounded up, go to the pool of the side they come from, split by insurance
    share; nothing else changes in any pool."""
    if step.action.kind not in TRADES:
        return
    facts, twin = step.action.facts, machine.twin
    wanted: dict[int, list[int]] = {}
    for side, fee in (("maker", step.result.maker_fee), ("taker", step.result.taker_fee)):
        pool = accounts.market_of(facts[side].order.account)
        part = fee * twin.insurance_share // PPM
        parts = wanted.setdefault(pool, [0, 0])
        parts[0] += part
        parts[1] += fee - part
    for pool in range(4):
        got = [
            now.get(pool, 0) - before.get(pool, 0)
            for now, before in (
                (twin.insurance, step.before.insurance),
                (twin.treasury, step.before.treasury),
            )
        ]
        machine.need("I-21", got == wanted.get(pool, [0, 0]), lambda p=pool, g=got: (p, g, wanted))


def i_04_contracts(machine: Machine) -> None:
    """|sum Eq - (sum C - sum e - sum (S_long + S_short) OI)| <= n by the contracts' own margins: no price, no
    funding in it."""
    twin, house = machine.twin, machine.world.house
    if machine.setting.options:
        return
    total = sum(cash for account, cash in twin.cash.items() if account not in twin.positions)
    total += sum(house.call("margin", account)[0] for account in twin.positions)
    exact = sum(twin.cash.values()) - sum(e for ps in twin.positions.values() for _, _, e in ps)
    for number in MARKETS:
        market = twin.markets[number]
        owed = (market.social_long + market.social_short) * twin.open_interest.get(number, 0)
        exact -= owed // INDEX_SCALE
    legs = sum(len(ps) for ps in twin.positions.values()) + 3
    machine.need("I-04", abs(exact - total) <= legs, lambda: (exact, total, legs))


REFUSED = (i_17_refused, i_38_third_party, i_11_refused)
EVERY = (i_16_announced, i_17_dust, i_23_dust, i_36_step, i_36_cap, i_21_trade)
OPTIONS = (*EVERY, i_40_first_look, i_31_dials, i_03_books, i_03_spot, i_33_premium)
