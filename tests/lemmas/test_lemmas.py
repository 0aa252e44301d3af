"""What the contracts take for granted, proved by z3 over the bounds that they assert."""

import pytest
from z3 import And, If, Implies, Int, Ints, Not, Or, Solver, unsat

PPM, RATE, INDEX, FUNDING = 10**6, 10**14, 10**10, 28_800 * 10**9
SHIFT = 2**120
MAX_SIZE, MAX_PRICE, MAX_ENTRY = 2**47 - 1, 2**40 - 1, 2**63 - 1
SOCIAL = 2**128  # a social charge is stored in 128 bits
INT256, UINT256 = 2**255, 2**256


def proved(claim, *given) -> None:
    """No integers meet the assumptions and break the claim."""
    solver = Solver()
    solver.set("timeout", 20_000)
    solver.add(*given, Not(claim))
    assert solver.check() == unsat, solver.model() if solver.reason_unknown() == "" else "not decided"


def truncated(x, y):
    """Vyper's signed division by a positive y: toward zero."""
    return If(x >= 0, x / y, -((-x) / y))


def within(x, bound):
    return And(-bound <= x, x <= bound)


def test_the_prover_refutes_what_is_wrong():
    x = Int("x")
    with pytest.raises(AssertionError):
        proved(truncated(x, INDEX) * INDEX <= x)


# ---------------------------------------------------------------- rounding


def test_floor_div_is_the_floor():
    x, y, q = Ints("x y q")
    # What the EVM's sdiv gives, said without division: q * y toward zero from x.
    sdiv = Or(And(x >= 0, q * y <= x, x < (q + 1) * y), And(x < 0, q * y >= x, x > (q - 1) * y))
    result = If(And(x < 0, q * y != x), q - 1, q)
    proved(And(result * y <= x, x < result * y + y), y > 0, sdiv)


def test_ceil_div_is_the_ceiling():
    x, y, q = Ints("x y q")
    sdiv = Or(And(x >= 0, q * y <= x, x < (q + 1) * y), And(x < 0, q * y >= x, x > (q - 1) * y))
    result = If(And(x > 0, q * y != x), q + 1, q)
    proved(And(result * y >= x, x > result * y - y), y > 0, sdiv)


def test_div_up_is_the_ceiling():
    x, y, q = Ints("x y q")
    proved(And(q * y >= x, x > q * y - y), x >= 0, y > 0, q * y <= x + y - 1, x + y - 1 < (q + 1) * y)


@pytest.mark.parametrize("scale", [INDEX, FUNDING])
def test_floor_by_an_offset(scale):
    """(x + SHIFT * scale) / scale - SHIFT, truncated, is floor(x / scale): the dividend stays positive."""
    x = Int("x")
    result = truncated(x + SHIFT * scale, scale) - SHIFT
    proved(And(result * scale <= x, x < result * scale + scale), x >= -SHIFT * scale)


def test_division_truncates_without_it():
    x = Int("x")
    with pytest.raises(AssertionError):
        proved(truncated(x, INDEX) == x / INDEX, within(x, 2**200))


# ---------------------------------------------------------------- no overflow where unsafe_* is used


def test_offsets_exceed_their_dividends():
    """Constants: the largest worth and the largest funding growth are below the offsets' reach."""
    adjusted = 100 * MAX_PRICE + 2**48 + (100 * MAX_PRICE * 2**29 * 2**33) // FUNDING + SOCIAL
    assert MAX_SIZE * adjusted < 2**255
    assert 100 * MAX_PRICE * 2**29 * 2**33 < SHIFT * FUNDING < 2**255
    # Worth stays above the offset as long as a side's social charge is below 2**100 index units.
    bounded = adjusted - SOCIAL + 2**100
    assert MAX_SIZE * bounded < SHIFT * INDEX < 2**255


def test_no_overflow_of_size_times_adjusted():
    size, adjusted = Ints("size adjusted")
    bound = 2**106
    proved(
        within(size * adjusted + SHIFT * INDEX, INT256 - 1),
        within(size, MAX_SIZE),
        within(adjusted, bound),
    )


def test_no_overflow_of_requirements():
    """raw * rate + RATE - 1 for any size, price and 24-bit rate."""
    size, price, rate, raw = Ints("size price rate raw")
    top = MAX_SIZE * MAX_PRICE
    proved(raw <= top, within(size, MAX_SIZE), price >= 0, price <= MAX_PRICE, raw == size * price)
    proved(raw * rate + RATE - 1 < UINT256, raw >= 0, raw <= top, rate >= 0, rate < 2**24)


def test_no_overflow_of_sums_over_32_positions():
    """Equity, requirements and gross notional, each term at its largest."""
    worth = MAX_SIZE * 2**106 // INDEX + MAX_ENTRY + 1
    required = MAX_SIZE * MAX_PRICE * (2**24 - 1) // RATE + 1
    cash, terms = Int("cash"), [Int(f"term{i}") for i in range(32)]
    equity = [within(cash, 2**127), *(within(term, worth) for term in terms)]
    proved(within(cash + sum(terms), INT256 - 1), *equity)
    for most in (required, MAX_SIZE * MAX_PRICE):
        proved(sum(terms) + 10**8 < UINT256, *(And(term >= 0, term <= most) for term in terms))


# ---------------------------------------------------------------- requirements


def test_deductions_never_exceed_the_requirement():
    """ceil(raw * r2 / RATE) >= d1 + floor(edge * (r2 - r1) / PPM) once raw is at the edge, if d1 was at most
    edge1 * r1: the induction step over the tiers. Money: raw = notional * 10**8."""
    edge, r1, r2, d1 = Ints("edge r1 r2 d1")
    raw, part, required = Ints("raw part required")
    proved(
        required >= d1 + part,
        edge >= 0,
        raw >= edge * 10**8,
        r1 >= 0,
        r1 <= r2,
        r2 < 2**24,
        d1 * PPM <= edge * r1,  # what the tier below guarantees at this edge
        part * PPM <= edge * (r2 - r1),
        required * RATE >= raw * r2,
        raw * r2 >= edge * 10**8 * r2,
    )


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


def test_tiers_are_continuous_to_two_units():
    """At an edge both tiers' requirements differ by less than two units of money."""
    edge, r1, r2, d1, part, low, high = Ints("edge r1 r2 d1 part low high")
    raw = edge * 10**8
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


def test_the_slice_reaches_the_target():
    """With a requirement proportional to what stays, closing f = (b MM - E) / (b MM - pen) of an account
    leaves E - f pen >= b (1 - f) MM; here with f = k / n and b = 6 / 5, all multiplied out."""
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


def test_the_slice_is_at_most_the_whole_while_the_penalty_is_covered():
    equity, mm, penalty, k, n = Ints("equity mm penalty k n")
    proved(
        k <= n,
        n == 1_000,
        mm > 0,
        6 * mm > 5 * penalty,
        equity >= penalty,  # else the account goes whole
        equity < mm,
        (k - 1) * (6 * mm - 5 * penalty) < n * (6 * mm - 5 * equity),  # k is the ceiling
    )


def test_cover_leaves_the_penalty_after_a_step():
    """mm >= step + penalty (1 + step): one step against an account that was not yet liquidatable leaves the
    penalty at the moved price, whatever the side. Notional 1, rates in ppm."""
    mm, step, penalty, moved = Ints("mm step penalty moved")
    proved(
        (mm - step) * PPM >= penalty * (PPM + step),
        step > 0,
        step <= 500_000,
        penalty >= 0,
        moved * PPM >= penalty * (PPM + step),
        mm >= step + moved,
    )


def test_cover_implies_that_closing_frees_more_than_it_costs():
    """Why "terms: target below penalty" cannot be reached behind the other bound."""
    mm, step, penalty, moved = Ints("mm step penalty moved")
    proved(
        mm * 1_200_000 > penalty * PPM,
        step > 0,
        penalty >= 0,
        moved * PPM >= penalty * (PPM + step),
        mm >= step + moved,
        penalty * step >= 0,
    )


# ---------------------------------------------------------------- zero sum


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
