"""What the portfolio rule (contracts/margin/portfolio.vy) takes for granted, proved by z3 over the bounds
that the ledger and the book assert. Products are named where the prover need not know what of.
"""

import pytest
from z3 import And, If, Implies, Int, Ints, Or

from margincall.model.portfolio import PRICES
from tests.lemmas.code import about, constant
from tests.lemmas.prover import proved, within

SCENARIOS, BOOK, RULE = "margin/scenarios.vy", "options/book.vy", "margin/portfolio.vy"
ONE = constant(SCENARIOS, "ONE")  # of the dials
LANE = 65_535  # the greatest value of a table's lane, 16 bits
VALUE = 4_096 * LANE  # the greatest value of a spline
GROSS = constant(BOOK, "MAX_GROSS") - 1  # contracts of one underlying
ERR = 2**24 - 1  # 24 bits of a curve's word
FORWARD = constant(BOOK, "MAX_FORWARD")  # lots of one segment
SEGMENTS = constant(BOOK, "MAX_WORDS")
MAX_SIZE, MAX_PRICE = (constant("math/units.vy", name) for name in ("MAX_SIZE", "MAX_PRICE"))
CONTRACT, HALF = constant(SCENARIOS, "CONTRACT"), constant(SCENARIOS, "HALF")
W64, WORD = constant(SCENARIOS, "W64") + 1, 2**256
LOSS = 2**90
UNDERLYINGS, FULL = constant(RULE, "MAX_UNDERLYINGS"), 256
QUANTA = constant("liquidation/slices.vy", "QUANTA")
LOSSES, NETS, CLOSE = f"{SCENARIOS}:_requirement", f"{RULE}:_nets", f"{RULE}:close_out"
SPLINE, SLICE = "options/sheets.vy:_value", "Liquidation.vy:_slice"
REST = (SEGMENTS * FORWARD + MAX_SIZE + GROSS * CONTRACT) * 2**28 + ERR * GROSS * CONTRACT
LOTS = HALF * CONTRACT + REST  # of any scenario's value, 2**-28 lots


def ceiling(q, x, y):
    """q = ceil(x / y)."""
    return And(q * y >= x, q * y < x + y)


def largest(*terms):
    top = terms[0]
    for term in terms[1:]:
        top = If(term > top, term, top)
    return top


def test_the_prover_refutes_what_is_wrong():
    with pytest.raises(AssertionError):
        proved(Int("x") % W64 < HALF)


# ---------------------------------------------------------------- splines


@about(SPLINE)
def test_weights_of_the_three_taps():
    """f of 4096: y = f * f / 8192 rounded down, t = y + 2048 - f, z the rest; every f there is."""
    for f in range(4_096):
        y = f * f >> 13
        t = y + 2_048 - f
        z = 4_096 - t - y
        assert min(t, y) >= 0
        assert z >= 2_048
        assert t == (4_096 - f) ** 2 >> 13  # both ends are rounded alike


@about(SPLINE)
def test_a_weight_is_never_negative():
    f, y, square = Ints("f y square")
    # y = floor(f * f / 8192), and (4096 - f)**2 is not negative.
    floor = [y * 8_192 <= square, square < (y + 1) * 8_192, square - 8_192 * f + 4_096**2 >= 0]
    proved(y + 2_048 - f >= 0, f >= 0, f < 4_096, *floor)
    proved((f - 4_096) * (f - 4_096) >= 0)


@about(SPLINE, NETS)
def test_lanes_neither_borrow_nor_carry():
    """Lanes 32 bits apart: t v0 + z v1 + y v2 of weights that are not negative and add up to 4096."""
    t, y, z, tv, zv, yv = Ints("t y z tv zv yv")
    weights = [t >= 0, y >= 0, z >= 0, t + y + z == 4_096]
    terms = [And(term >= 0, term <= weight * LANE) for term, weight in ((tv, t), (zv, z), (yv, y))]
    total = tv + zv + yv
    proved(And(total >= 0, total <= VALUE, total < 2**32), *weights, *terms)


@about(SPLINE, NETS)
def test_products_with_lanes_are_bounded():
    weight, lane = Ints("weight lane")
    proved(And(weight * lane >= 0, weight * lane <= weight * LANE), weight >= 0, lane >= 0, lane <= LANE)
    assert VALUE < 2**32
    assert VALUE * GROSS < HALF


@about(SPLINE)
def test_a_negative_weight_would_borrow():
    v0, v1, v2 = Ints("v0 v1 v2")
    with pytest.raises(AssertionError):
        proved(3_840 * v1 + 768 * v2 >= 512 * v0, v0 <= LANE, v1 >= 0, v2 >= 0)


# ---------------------------------------------------------------- accumulators


@about(NETS)
def test_a_sum_of_positions_stays_in_its_lane():
    """Induction over the options: |sum q v| <= VALUE sum |q|."""
    total, gross, q, v, qv = Ints("total gross q v qv")
    step = [Implies(q >= 0, And(qv >= 0, qv <= VALUE * q)), Implies(q < 0, And(qv <= 0, qv >= VALUE * q))]
    size = If(q >= 0, q, -q)
    proved(within(total + qv, VALUE * (gross + size)), within(total, VALUE * gross), *step)
    proved(And(q * v >= 0, q * v <= VALUE * q), q >= 0, v >= 0, v <= VALUE)
    proved(And(q * v <= 0, q * v >= VALUE * q), q < 0, v >= 0, v <= VALUE)
    proved(within(total, HALF - 1), within(total, VALUE * GROSS))


@about(NETS, LOSSES)
@pytest.mark.parametrize("i", range(4))
def test_lanes_of_an_accumulator_are_independent(i):
    """Four sums of absolute value below 2**63, biased by it and 64 bits apart: the lowest reads back exactly,
    and shifting it out leaves the others."""
    sums = Ints("a0 a1 a2 a3")[i:]
    word = sum((HALF + each) * 2 ** (64 * k) for k, each in enumerate(sums))
    others = sum((HALF + each) * 2 ** (64 * k) for k, each in enumerate(sums[1:]))
    given = [within(each, HALF - 1) for each in sums]
    proved(And(word >= 0, word < WORD), *given)
    high, lane = Ints("high lane")
    parts = [lane >= 0, lane < W64, word == high * W64 + lane]
    proved(And(lane == HALF + sums[0], high == others), *given, *parts)


@about(NETS)
def test_a_multiplied_word_is_the_multiplied_lanes():
    """(bias + q * word) modulo 2**256 with q in two's complement is what the lanes say."""
    wraps, borrow = Ints("wraps borrow")
    lanes, q = Ints("v0 v1 v2 v3"), Int("q")
    word = sum(v * 2 ** (64 * i) for i, v in enumerate(lanes))
    bias = sum(HALF * 2 ** (64 * i) for i in range(4))
    exact = sum((HALF + q * v) * 2 ** (64 * i) for i, v in enumerate(lanes))
    # q stands as q + borrow * 2**256; the result is reduced by `wraps` words.
    computed = bias + word * (q + borrow * WORD) - wraps * WORD
    proved((computed - exact) == (word * borrow - wraps) * WORD)


# ---------------------------------------------------------------- losses


@about(LOSSES)
def test_the_moves_are_the_models():
    """Four moves a word: all of the contracts' are scenarios of the model, and the other way round."""
    words = [constant(SCENARIOS, f"MOVES_{name}") for name in ("ODD", "EVEN", "WIDE", "FAR")]
    assert {word >> 64 * i & (W64 - 1) for word in words for i in range(4)} == set(PRICES)


@about(LOSSES, NETS)
def test_nothing_of_a_scenario_overflows():
    lots, price, move, worth = Ints("lots price move worth")
    top = max(PRICES)
    assert REST < 2**90
    assert LOTS < 2**91
    proved(within(lots * price, LOTS * MAX_PRICE), within(lots, LOTS), price >= 0, price <= MAX_PRICE)
    proved(
        within(worth * move, LOTS * MAX_PRICE * top), within(worth, LOTS * MAX_PRICE), move > 0, move <= top
    )
    # base - value, with 2**90 - 1 to round up, and its weight; then eight of them and both dials.
    loss = 2 * LOTS * MAX_PRICE * top + LOSS
    assert loss < 2**255
    weighted = (loss // LOSS + 1) * FULL
    assert weighted * UNDERLYINGS * ONE * 2 * ONE * 2 < 2**255
    assert (2**16 - 1) * GROSS * MAX_PRICE * UNDERLYINGS + 10**14 < WORD  # floors
    assert (LOTS + MAX_SIZE * 2**28) * MAX_PRICE < 2**255  # equity
    assert 2 * LOTS * top * MAX_PRICE + constant(RULE, "NOTIONAL_DIVISOR") < 2**255  # notional


@about(NETS, f"{BOOK}:_head")
def test_the_linear_part_is_bounded():
    """Perp lots, 48 forwards and deep calls bought; less the error bound of all contracts."""
    perp, forwards, deep, error = Ints("perp forwards deep error")
    proved(
        within((perp + forwards + deep) * 2**28 - error * CONTRACT, REST),
        within(perp, MAX_SIZE),
        within(forwards, SEGMENTS * FORWARD),
        And(deep >= 0, deep <= GROSS * CONTRACT),
        And(error >= 0, error <= ERR * GROSS),
    )


@about(LOSSES, f"{SCENARIOS}:_lots")
def test_the_loss_formula_is_the_signed_one():
    """base - (lane * price' + rest') * move of the contract, all modulo 2**256 where rest' is
    (left - 2**63 * 10_000) * price, against (V_0 - V) * price: they differ by whole words."""
    lane, left, price, move, now, wraps, more = Ints("lane left price move now wraps more")
    rest = (left - HALF * CONTRACT) * price - wraps * WORD
    base = now * price * 2**32 + LOSS - 1
    computed = base - (lane * (price * CONTRACT) + rest) * move - more * WORD
    value = (lane - HALF) * CONTRACT + left
    exact = (now * 2**32 - value * move) * price + LOSS - 1
    proved(computed - exact == (wraps * move - more) * WORD)


@about(LOSSES)
def test_a_word_read_as_signed():
    """What lies within 255 bits is read back from its residue."""
    x, word, wraps = Ints("x word wraps")
    signed = If(word >= 2**255, word - WORD, word)
    proved(signed == x, within(x, 2**255 - 1), word == x + wraps * WORD, word >= 0, word < WORD)


@about(LOSSES)
def test_losses_are_rounded_up():
    """(x + 2**90 - 1) >> 90, an arithmetic shift, is the ceiling."""
    x, shifted = Ints("x shifted")
    proved(
        ceiling(shifted, x, LOSS),
        shifted * LOSS <= x + LOSS - 1,
        x + LOSS - 1 < (shifted + 1) * LOSS,
    )


@about(NETS, "math/rounding.vy:_floor_div")
def test_equity_is_rounded_down_and_notional_up():
    worth, q, scale = Ints("worth q scale")
    sdiv = Or(And(worth >= 0, q * scale <= worth, worth < (q + 1) * scale),
              And(worth < 0, q * scale >= worth, worth > (q - 1) * scale))  # fmt: skip
    floor = If(And(worth < 0, q * scale != worth), q - 1, q)
    proved(And(floor * scale <= worth, worth < floor * scale + scale), scale > 0, sdiv)
    swing, up = Ints("swing up")
    proved(up * scale >= swing, scale > 0, swing >= 0, swing + scale - 1 < (up + 1) * scale)


# ---------------------------------------------------------------- the requirement


@about(LOSSES)
def test_more_loss_never_asks_less():
    """Rounding a loss up can only raise R: max and sum do not fall, and R is a combination of them with
    weights that are not negative. Here for two underlyings; a third is added alike."""
    a, b, above, over = Ints("a b above over")
    more = [above >= a, over >= b]
    proved(And(above + over >= a + b, largest(0, above, over) >= largest(0, a, b)), *more)
    rho, total, top, total_more, top_more = Ints("rho total top total_more top_more")
    proved(
        rho * total_more + (ONE - rho) * top_more >= rho * total + (ONE - rho) * top,
        And(rho >= 0, rho <= ONE),
        rho * (total_more - total) >= 0,
        (ONE - rho) * (top_more - top) >= 0,
    )
    x, y = Ints("x y")
    proved(x * y >= 0, x >= 0, y >= 0)  # what was taken for granted above


@about(LOSSES)
def test_standing_apart_costs_no_less():
    """joint <= apart: in one scenario no one loses more than in its own worst. So R falls as psi rises."""
    losses, worst = Ints("x1 x2 x3"), Ints("l1 l2 l3")
    given = [And(own >= x, own >= 0) for x, own in zip(losses, worst, strict=True)]
    proved(And(sum(losses) <= sum(worst), largest(0, *losses) <= largest(*worst)), *given)
    rho, total, top, all_own, top_own = Ints("rho total top all_own top_own")
    proved(
        rho * total + (ONE - rho) * top <= rho * all_own + (ONE - rho) * top_own,
        rho * (all_own - total) >= 0,
        (ONE - rho) * (top_own - top) >= 0,
    )
    psi, more, joint, apart = Ints("psi more joint apart")
    proved(
        (psi + more) * joint + (ONE - psi - more) * apart <= psi * joint + (ONE - psi) * apart,
        more * (apart - joint) >= 0,
    )


@about(LOSSES)
def test_bounds_of_the_requirement():
    """(1 - psi) max L <= R <= sum L (times both dials' one)."""
    worst = Ints("l1 l2 l3")
    given = [own >= 0 for own in worst]
    proved(And(largest(*worst) <= sum(worst), largest(*worst) >= 0), *given)
    rho, psi, joint, top, total = Ints("rho psi joint top total")
    apart = rho * total + (ONE - rho) * top
    dials = [rho >= 0, rho <= ONE, psi >= 0, psi <= ONE]
    proved(
        And(apart <= ONE * total, apart >= ONE * top),
        rho * (total - top) >= 0,
        (ONE - rho) * (total - top) >= 0,
    )
    split, upper = Ints("split upper")
    proved(
        psi * joint + (ONE - psi) * split <= ONE * upper,
        *dials,
        psi * (upper - joint) >= 0,
        (ONE - psi) * (upper - split) >= 0,
    )
    proved(psi * joint + (ONE - psi) * split >= (ONE - psi) * split, psi * joint >= 0)


@about(LOSSES)
def test_one_underlying_needs_no_dials():
    """R = L whatever they are."""
    rho, psi, loss = Ints("rho psi loss")
    same = rho * loss + (ONE - rho) * loss
    proved(psi * same + (ONE - psi) * same == ONE * ONE * loss)


@about(LOSSES)
def test_the_requirement_is_homogeneous():
    """A k-fold account asks k times as much: every part is."""
    k, x, y = Ints("k x y")
    proved(And(k * x + k * y == k * (x + y), largest(k * x, k * y) == k * largest(x, y)), k >= 0, k == 7)
    proved(Implies(x >= y, k * x >= k * y), k >= 0, k * (x - y) >= 0)


# ---------------------------------------------------------------- slices


@about(CLOSE)
def test_the_penalty_is_below_the_target():
    """pen = ceil(MM / 10) < 6/5 MM for any maintenance margin, down to a millionth of a USD."""
    assert 10 * constant(RULE, "KAPPA") == constant("math/units.vy", "PPM")
    mm, penalty = Ints("mm penalty")
    proved(5 * penalty < 6 * mm, mm > 0, ceiling(penalty, mm, 10))


@about(CLOSE, SLICE, "Liquidation.vy:_missing")
def test_the_slice_restores_the_target():
    """f = k / n >= (b MM - E) / (b MM - pen) closed, b = 6/5: what stays has b times its maintenance margin,
    whose share 1 - f is exact for a homogeneous requirement; the slice pays its share of the penalty."""
    equity, mm, penalty, k, n = Ints("equity mm penalty k n")
    kept, paid = Ints("kept paid")
    proved(
        5 * (equity * n - paid) >= 6 * kept,
        n > 0,
        And(k >= 0, k <= n, mm > 0),
        ceiling(penalty, mm, 10),
        paid == penalty * k,
        kept == mm * n - mm * k,
        6 * mm * k - 5 * penalty * k >= 6 * mm * n - 5 * equity * n,
    )


@about(CLOSE, SLICE)
def test_a_smaller_slice_would_not():
    equity, mm, penalty, k = Ints("equity mm penalty k")
    with pytest.raises(AssertionError):
        proved(
            5 * (equity * 1_000 - penalty * k) >= 6 * mm * (1_000 - k),
            And(k >= 0, k <= 1_000, mm == 1_000, penalty == 100, equity == 900),
            (k + 1) * (6 * mm - 5 * penalty) >= 1_000 * (6 * mm - 5 * equity),
        )
