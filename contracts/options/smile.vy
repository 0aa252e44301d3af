# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title smile
@license GNU Affero General Public License v3.0 only
@notice Whether sigma(x) = atm * h(x), h(x) = clamp(1 + s*x + c*x**2, 0.4, 3), x = ln(S/K), allows no
        arbitrage between strikes for x in [-1.2, 1.2], now and until expiry, at every volatility
        from zero to 1.3 times the smile.
@dev c >= 0. With v = sigma * sqrt(T), A = (1.3 * atm)**2 * T and y = |x| the conditions are:

     1. Butterfly. Durrleman's function g (Gatheral and Jacquier 2014, lemma 2.2), times h**2, is
            p = (1 - c*y**2)**2 + 2*A*c*h**3 - A**2 * h**4 * h'**2 / 4 >= 0.
        p is concave in A and p >= 0 at A = 0: from p >= 0 at this A follows p >= 0 at every smaller
        one, that is at lower volatilities and later times. One level is checked for all.
        Between points: each cell takes a lower bound of every term (a parabola leaves the chord of a
        cell of width d by at most c*d**2/4, its slope is extreme at the cell's ends), so p >= 0 in
        the whole cell. Where h rests at 0.4, g = 1; the kink at 0.4 is convex. The kink at 3 is
        concave: a smile may not reach it where options are worth anything.
     2. The cells reach to y = 1.2 or to 1 - c*y**2 = 0 if that is nearer, because beyond it |d2|
        falls as strikes go out, and options that are further out would be worth more.
        - They reach 1.2: the call's value falls with the strike (left end), the put's rises (right
          end). With Birnbaum's bound of Mills' ratio that is v'**2 + |d2|*v' <= 1, which is
            1 - c*y**2 >= A*h*h'*(h' +- h/2),
          linear in A and true at A = 0: again for all levels. By convexity it holds everywhere.
        - They do not: whatever lies beyond must be worth less than NEGLIGIBLE * S, half a step of
          the curves' lanes. Out there values rise until h reaches 3 or y reaches 1.2, so one bound
          holds for the tail: time value <= S * v * phi(d1) / (y**2/v**2 - v**2/4).

     Numbers are in units of 2**-30; every rounding is towards refusing. The bounds of _check keep every
     product below 2**236, so that nothing here overflows.
"""

from ..math import rounding

ONE: constant(int256) = 2**30
EDGE: constant(int256) = 1_288_490_189  # 1.2, rounded up
LOW: constant(int256) = 429_496_729  # 0.4, rounded down
HIGH: constant(int256) = 3 * 2**30
CELLS: constant(int256) = 16  # on each side
YEAR: constant(uint256) = 31_536_000
SLACK: constant(int256) = 8  # more than the rounding of h, its slope and c*y**2
# 7e-6 * sqrt(2 * pi), in 1e-9; half a lane is 2**-17 = 7.6e-6
NEGLIGIBLE: constant(uint256) = 17_546
MAX_EXPONENT: constant(int256) = 40 * 2**30


@internal
@pure
def _check(atm: uint256, skew: int256, curvature: uint256, remaining: uint256):
    """
    @notice Reverts unless the smile is free of arbitrage between strikes.
    @param atm ppm a year; skew, curvature: ppm; at most 4e6, 1e7 in size, and 1e8
    @param remaining seconds to expiry, at most 2**26
    """
    level: int256 = convert(
        rounding._div_up((atm * atm * remaining * 169) << 30, 10**14 * YEAR), int256
    )
    s: int256 = rounding._floor_div(skew * ONE, 10**6)
    c: int256 = convert((curvature << 30) // 10**6, int256)
    edge: int256 = EDGE
    if c > 0:
        edge = min(edge, convert(isqrt(2**90 // convert(c, uint256)), int256) + 1)
    self._check_side(level, -s, c, edge, 1)  # strikes above the spot
    self._check_side(level, s, c, edge, -1)  # strikes below it


@internal
@pure
def _h(s: int256, c: int256, y: int256) -> int256:
    """
    @return 1 + s*y + c*y**2
    """
    return unsafe_add(ONE, unsafe_mul(unsafe_add(s, unsafe_mul(c, y) >> 30), y) >> 30)


@internal
@pure
def _check_side(level: int256, s: int256, c: int256, edge: int256, side: int256):
    """
    @param s the skew as seen from this side: h = 1 + s*y + c*y**2
    @param side 1 for strikes above the spot, -1 below
    """
    width: int256 = edge // CELLS + 1
    bulge: int256 = ((c * width * width) >> 62) + 2 * SLACK
    factor: int256 = 8 * level * c
    h_near: int256 = ONE
    slope_near: int256 = s
    remainder: int256 = 0
    for i: int256 in range(1, 17):
        y: int256 = unsafe_mul(edge, i) >> 4
        cy: int256 = unsafe_mul(c, y) >> 30
        h_far: int256 = unsafe_add(ONE, unsafe_mul(unsafe_add(s, cy), y) >> 30)
        slope_far: int256 = unsafe_add(s, unsafe_mul(2, cy))
        high: int256 = unsafe_add(max(h_near, h_far), SLACK)
        remainder = max(unsafe_sub(unsafe_sub(ONE, unsafe_mul(cy, y) >> 30), SLACK), 0)
        assert high <= HIGH, "vol: butterfly"
        if high > LOW:
            low: int256 = max(unsafe_sub(min(h_near, h_far), bulge), LOW)
            slope: int256 = unsafe_add(max(abs(slope_near), abs(slope_far)), SLACK)
            # 4 * p >= 0, in units of 2**-60
            gain: int256 = unsafe_add(
                unsafe_mul(4, unsafe_mul(remainder, remainder)),
                unsafe_mul(unsafe_mul(unsafe_mul(factor, low), low), low) >> 90,
            )
            loss: int256 = unsafe_add(
                unsafe_mul(unsafe_mul(level, slope), unsafe_mul(high, high)) >> 90, 1
            )
            assert gain >= unsafe_mul(loss, loss), "vol: butterfly"
        h_near = h_far
        slope_near = slope_far
    if edge < EDGE:
        self._check_tail(level, s, c)
    elif h_near > LOW - SLACK and slope_near > -SLACK:
        h: int256 = h_near + SLACK
        slope: int256 = slope_near + SLACK
        loss: int256 = (level * h * slope * (2 * slope + side * h)) >> 91
        assert remainder > loss, "vol: not monotone"


@internal
@pure
def _check_tail(level: int256, s: int256, c: int256):
    """
    @notice The tail beyond 1 - c*y**2 = 0 is worth next to nothing.
    """
    # 1 + s*y + c*y**2 = 3
    root: int256 = convert(isqrt(convert(s * s + 8 * ONE * c, uint256)), int256)
    y: int256 = (root - s) * ONE // (2 * c)
    h: int256 = HIGH
    if y >= EDGE:
        y = EDGE
        h = max(self._h(s, c, y), LOW) + SLACK
    variance: int256 = ((level * h * h) >> 60) + 1
    ratio: int256 = y * y // variance  # (y / v)**2
    spread: int256 = ratio - (variance >> 2) - 1
    exponent: int256 = (ratio - y + (variance >> 2)) >> 1  # d1**2 / 2
    assert variance < 2 * y and spread > 0 and exponent > 0, "vol: wings"
    # exp(t) >= (1 + t/1024)**1024, in units of 2**-60
    growth: uint256 = 2**60 + (convert(min(exponent, MAX_EXPONENT), uint256) << 20)
    for i: uint256 in range(10):
        growth = growth * growth >> 60
    v: uint256 = isqrt(convert(variance * ONE, uint256)) + 1
    assert (v * 10**9) << 60 <= NEGLIGIBLE * convert(spread, uint256) * growth, "vol: wings"
