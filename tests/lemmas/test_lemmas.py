"""What the contracts take for granted, proved by z3 over the bounds that they assert."""

import ast

import pytest
from z3 import And, Implies, Int, Ints

from tests.lemmas.code import Translation, about, constant, subtraction_of
from tests.lemmas.prover import proved, truncated, within

PPM, RATE, INDEX, FUNDING = (
    constant("math/units.vy", name) for name in ("PPM", "RATE_SCALE", "INDEX_SCALE", "FUNDING_SCALE")
)
PER_PRICE, NOTIONAL = (constant("math/units.vy", name) for name in ("INDEX_PER_PRICE", "NOTIONAL_SCALE"))
WORTH_SHIFT = constant("margin/cross.vy", "WORTH_SHIFT")
FUNDING_SHIFT = constant("markets/prices.vy", "FUNDING_SHIFT")
FUNDING_LIMIT = constant("markets/prices.vy", "FUNDING_LIMIT")
MAX_SIZE, MAX_PRICE = (constant("math/units.vy", name) for name in ("MAX_SIZE", "MAX_PRICE"))
MAX_ENTRY, MAX_PERPS = constant("ledger/lanes.vy", "MAX_ENTRY"), constant("math/units.vy", "MAX_PERPS")
QUANTA, TARGET = constant("liquidation/slices.vy", "QUANTA"), constant("Liquidation.vy", "TARGET")
MAX_JUMP = constant("markets/prices.vy", "MAX_JUMP")
SOCIAL = 2**128  # a social charge is stored in 128 bits
MARGIN, TAKE, POST = "margin/cross.vy:_margin", "Liquidation.vy:_slice", "ledger/legs.vy:_apply"
INT256, UINT256 = 2**255, 2**256


def test_the_prover_refutes_what_is_wrong():
    x = Int("x")
    with pytest.raises(AssertionError):
        proved(truncated(x, INDEX) * INDEX <= x)


# ---------------------------------------------------------------- rounding


@about("math/rounding.vy:_floor_div")
def test_floor_div_is_the_floor():
    """The function itself, translated."""
    x, y = Ints("x y")
    sdiv = Translation(signed=True)
    result = sdiv.of("math/rounding.vy", "_floor_div", x=x, y=y)
    proved(And(result * y <= x, x < result * y + y), y > 0, *sdiv.given)


@about("math/rounding.vy:_ceil_div")
def test_ceil_div_is_the_ceiling():
    x, y = Ints("x y")
    sdiv = Translation(signed=True)
    result = sdiv.of("math/rounding.vy", "_ceil_div", x=x, y=y)
    proved(And(result * y >= x, x > result * y - y), y > 0, *sdiv.given)


@about("math/rounding.vy:_div_up")
def test_div_up_is_the_ceiling():
    x, y = Ints("x y")
    div = Translation(signed=False)
    result = div.of("math/rounding.vy", "_div_up", x=x, y=y)
    proved(And(result * y >= x, x > result * y - y), x >= 0, y > 0, *div.given)


@about(MARGIN, "markets/prices.vy:_funding_now")
@pytest.mark.parametrize("shift", ["WORTH_SHIFT", "prices.FUNDING_SHIFT"])
def test_floor_by_an_offset(shift):
    """(x + SHIFT * scale) / scale - SHIFT, as `_margin` has it, is floor(x / scale): the dividend stays
    positive."""
    found = subtraction_of("margin/cross.vy", "_margin", shift)
    dividend = found.args[0].args[0].args[0]
    assert ast.unparse(found.args[0].args[0].func) == "unsafe_add"
    offset, scale = (WORTH_SHIFT, INDEX) if shift == "WORTH_SHIFT" else (FUNDING_SHIFT, FUNDING)
    x, sdiv = Int("x"), Translation(signed=True)
    found.args[0].args[0].args[0] = ast.Name("x")
    names = {"x": x, "WORTH_SHIFT": WORTH_SHIFT, "prices.FUNDING_SHIFT": FUNDING_SHIFT}
    names |= {"units.INDEX_SCALE": INDEX, "units.FUNDING_SCALE": FUNDING}
    result = sdiv.expression(found, names)
    assert ast.unparse(dividend).startswith("unsafe_mul(")
    proved(And(result * scale <= x, x < result * scale + scale), x >= -offset * scale, *sdiv.given)


@about(MARGIN)
def test_division_truncates_without_it():
    x = Int("x")
    with pytest.raises(AssertionError):
        proved(truncated(x, INDEX) == x / INDEX, within(x, 2**200))


# ---------------------------------------------------------------- no overflow where unsafe_* is used


@about(MARGIN, "markets/prices.vy:_funding_now", "markets/prices.vy:charge")
def test_offsets_exceed_their_dividends():
    """Constants: the largest worth and the largest funding growth are below the offsets' reach."""
    # A rate has 30 bits, its sign among them; a time is less than 2**33 seconds.
    growth = PER_PRICE * MAX_PRICE * 2**29 * 2**33
    adjusted = PER_PRICE * MAX_PRICE + FUNDING_LIMIT + growth // FUNDING + SOCIAL
    assert MAX_SIZE * adjusted < 2**255
    assert growth < FUNDING_SHIFT * FUNDING < 2**255
    # Worth stays above the offset as long as a side's social charge is below 2**100 index units.
    bounded = adjusted - SOCIAL + 2**100
    assert MAX_SIZE * bounded < WORTH_SHIFT * INDEX < 2**255


@about(MARGIN)
def test_no_overflow_of_size_times_adjusted():
    size, adjusted = Ints("size adjusted")
    bound = 2**106
    proved(
        within(size * adjusted + WORTH_SHIFT * INDEX, INT256 - 1),
        within(size, MAX_SIZE),
        within(adjusted, bound),
    )


@about(MARGIN, "margin/terms.vy:_initial_up", "margin/terms.vy:_maintenance_up")
def test_no_overflow_of_requirements():
    """raw * rate + RATE - 1 for any size, price and 24-bit rate."""
    size, price, rate, raw = Ints("size price rate raw")
    top = MAX_SIZE * MAX_PRICE
    proved(raw <= top, within(size, MAX_SIZE), price >= 0, price <= MAX_PRICE, raw == size * price)
    proved(raw * rate + RATE - 1 < UINT256, raw >= 0, raw <= top, rate >= 0, rate < 2**24)


@about(MARGIN)
def test_no_overflow_of_sums_over_all_positions():
    """Equity, requirements and gross notional, each term at its largest."""
    worth = MAX_SIZE * 2**106 // INDEX + MAX_ENTRY + 1
    required = MAX_SIZE * MAX_PRICE * (2**24 - 1) // RATE + 1
    cash, terms = Int("cash"), [Int(f"term{i}") for i in range(MAX_PERPS)]
    equity = [within(cash, 2**127), *(within(term, worth) for term in terms)]
    proved(within(cash + sum(terms), INT256 - 1), *equity)
    for most in (required, MAX_SIZE * MAX_PRICE):
        proved(sum(terms) + NOTIONAL < UINT256, *(And(term >= 0, term <= most) for term in terms))


# ---------------------------------------------------------------- requirements


@about("margin/terms.vy:_initial_up", "margin/terms.vy:_maintenance_up", "markets/listing.vy:_pack_terms")
def test_deductions_never_exceed_the_requirement():
    """ceil(raw * r2 / RATE) >= d1 + floor(edge * (r2 - r1) / PPM) once raw is at the edge, if d1 was at most
    edge1 * r1: the induction step over the tiers. Money: raw = notional * 10**8."""
    edge, r1, r2, d1 = Ints("edge r1 r2 d1")
    raw, part, required = Ints("raw part required")
    proved(
        required >= d1 + part,
        edge >= 0,
        raw >= edge * NOTIONAL,
        r1 >= 0,
        r1 <= r2,
        r2 < 2**24,
        d1 * PPM <= edge * r1,  # what the tier below guarantees at this edge
        part * PPM <= edge * (r2 - r1),
        required * RATE >= raw * r2,
        raw * r2 >= edge * NOTIONAL * r2,
    )


@about("markets/listing.vy:_pack_terms")
def test_a_deduction_is_below_the_tiers_own_rate():
    """The induction's assumption is kept: d2 = d1 + floor(...) satisfies d2 * PPM <= edge * r2, and so at any
    later edge."""
    edge, later, r1, r2, d1, part = Ints("edge later r1 r2 d1 part")
    d2 = d1 + part
    proved(
        d2 * PPM <= later * r2,
        edge >= 0,
        edge <= later,
        r1 >= 0,
        r1 <= r2,
        d1 * PPM <= edge * r1,
        part * PPM <= edge * (r2 - r1),
        edge * r2 <= later * r2,
    )


@about("margin/terms.vy:_tier", "markets/listing.vy:_pack_terms")
def test_tiers_are_continuous_to_two_units():
    """At an edge both tiers' requirements differ by less than two units of money."""
    edge, r1, r2, d1, part, low, high = Ints("edge r1 r2 d1 part low high")
    raw = edge * NOTIONAL
    proved(
        And(high - part - d1 - (low - d1) > -1, high - part - d1 - (low - d1) < 2),
        edge >= 0,
        r1 >= 0,
        r1 <= r2,
        And(low * RATE >= raw * r1, low * RATE < raw * r1 + RATE),
        And(high * RATE >= raw * r2, high * RATE < raw * r2 + RATE),
        And(part * PPM <= edge * (r2 - r1), part * PPM > edge * (r2 - r1) - PPM),
    )


# ---------------------------------------------------------------- slices


@about(TAKE, "Liquidation.vy:_missing")
def test_the_slice_reaches_the_target():
    """With a requirement proportional to what stays, closing f = (b MM - E) / (b MM - pen) of an account
    leaves E - f pen >= b (1 - f) MM; here with f = k / n and b = 6 / 5, all multiplied out."""
    assert 5 * TARGET == 6 * PPM
    equity, mm, penalty, k, n = Ints("equity mm penalty k n")
    proved(
        5 * (equity * n - penalty * k) >= 6 * mm * (n - k),
        n > 0,
        k >= 0,
        k <= n,
        mm > 0,
        6 * mm > 5 * penalty,  # Markets refuses terms where closing frees less than it costs
        k * (6 * mm - 5 * penalty) >= n * (6 * mm - 5 * equity),
    )


@about(TAKE, "Liquidation.vy:_missing")
def test_the_slice_is_at_most_the_whole_while_the_penalty_is_covered():
    equity, mm, penalty, k, n = Ints("equity mm penalty k n")
    proved(
        k <= n,
        n == QUANTA,
        mm > 0,
        6 * mm > 5 * penalty,
        equity >= penalty,  # else the account goes whole
        equity < mm,
        (k - 1) * (6 * mm - 5 * penalty) < n * (6 * mm - 5 * equity),  # k is the ceiling
    )


@about("markets/listing.vy:_check_cover")
def test_cover_leaves_the_penalty_after_a_step():
    """mm >= step + penalty (1 + step): one step against an account that was not yet liquidatable leaves the
    penalty at the moved price, whatever the side. Notional 1, rates in ppm."""
    mm, step, penalty, moved = Ints("mm step penalty moved")
    proved(
        (mm - step) * PPM >= penalty * (PPM + step),
        step > 0,
        step <= MAX_JUMP,
        penalty >= 0,
        moved * PPM >= penalty * (PPM + step),
        mm >= step + moved,
    )


@about("markets/listing.vy:_check_cover", "markets/listing.vy:_check_terms")
def test_cover_implies_that_closing_frees_more_than_it_costs():
    """Why "terms: target below penalty" cannot be reached behind the other bound."""
    mm, step, penalty, moved = Ints("mm step penalty moved")
    proved(
        mm * TARGET > penalty * PPM,
        step > 0,
        penalty >= 0,
        moved * PPM >= penalty * (PPM + step),
        mm >= step + moved,
        penalty * step >= 0,
    )


# ---------------------------------------------------------------- zero sum


@about("markets/prices.vy:charge", "ledger/legs.vy:_fold")
def test_a_charge_covers_the_deficit():
    """inc = ceil(amount * 10**10 / lots). Two holders of the side owe their parts, rounded up: together at
    least the amount, and at most a unit a holder and one for each 10**10 lots more."""
    amount, first, second, inc, owed, owed_too = Ints("amount first second inc owed owed_too")
    lots = first + second
    proved(
        And(owed + owed_too >= amount, (owed + owed_too - amount - 2) * INDEX < lots),
        first > 0,
        second > 0,
        amount >= 0,
        inc * first + inc * second >= amount * INDEX,
        inc * first + inc * second < amount * INDEX + lots,
        And(owed * INDEX >= inc * first, owed * INDEX < inc * first + INDEX),
        And(owed_too * INDEX >= inc * second, owed_too * INDEX < inc * second + INDEX),
    )


@about(POST)
def test_splitting_entries_loses_nothing():
    """Reducing releases ceil(entry * part / size): all of it at the end, never too little."""
    entry, released, size, part = Ints("entry released size part")
    proved(
        And(Implies(part == size, released == entry), (entry - released) * size <= entry * (size - part)),
        size > 0,
        part > 0,
        part <= size,
        released * size >= entry * part,
        released * size < entry * part + size,
    )
