"""The inequalities behind the error bound of the curves (contracts/options/black.vy)."""

import numpy as np
import pytest

from margincall.model import curves

Z = np.linspace(-9, 9, 18_001)
PHI = np.exp(-Z * Z / 2) / np.sqrt(2 * np.pi)
SLOPES = [0, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 2.5, 3]
WIDTHS = [0, 0.01, 0.1, 0.3, 0.6, 1, 2, 4]


def derivatives(p, q, s, sign):
    """Factors of phi(d1) in gamma'' and gamma''' by powers of u = 1/s; z = d1, w = d2, p = s', q = s''."""
    p, z, w = sign * p, Z, Z - s
    bracket = 1 - 2 * p * z + p * p * z * w
    second = bracket  # and q
    third_u = -1 + p * z - z * (1 - p * w) * q - 2 * q * z + 2 * p * q * z * w
    third_uu = (
        -z * (1 - p * w) * bracket
        - p * bracket
        - 2 * p * (1 - p * w)
        + p * p * ((1 - p * w) * w + z * (1 - p * z))
    )
    return second, third_u, third_uu


@pytest.mark.parametrize("s", WIDTHS)
@pytest.mark.parametrize("p", SLOPES)
@pytest.mark.parametrize("sign", [-1, 1])
def test_bounds_of_the_derivatives(p, s, sign):
    wide = 1 + s
    for q in (0, 0.1, 1, 10):
        second, third_u, third_uu = (np.max(np.abs(PHI * part)) for part in derivatives(p, q, s, sign))
        assert second <= 0.4 + 0.5 * p + 0.3 * p * p * wide
        assert third_u <= 0.4 + 0.242 * p + 0.726 * q + 3 * p * q * (0.294 + 0.242 * s)
        assert third_uu <= 0.242 * (1 + p * s) + 1.5 * p * p * wide * (1 + p * wide / 5)
        # the two factors of u, put together
        together = 0.4 * (33.76 + 10.24) * (1 + p) ** 2 * (1 + 2 * q) * wide
        assert 33.76 * third_u + 10.24 * second <= together


@pytest.mark.parametrize("s", [0.05, 0.3, 1.0])
@pytest.mark.parametrize(("skew", "curvature"), [(0, 0), (-0.4, 0.3), (0.8, 2.0), (-2.0, 4.0)])
def test_derivatives_are_those_of_gamma(s, skew, curvature):
    """The polynomials against finite differences in long arithmetic."""
    from mpmath import diff, exp, mpf, ncdf, npdf, workprec

    def width(x):
        return s * (1 + skew * x + curvature * x * x)

    def gamma(x):
        return ncdf(x / width(x) + width(x) / 2) - exp(-x) * ncdf(x / width(x) - width(x) / 2)

    with workprec(200):
        for x in (mpf("-0.08"), mpf("0.01"), mpf("0.06")):
            v, p, q = width(x), s * (skew + 2 * curvature * x), s * 2 * curvature
            z, w = x / v + v / 2, x / v - v / 2
            bracket = 1 - 2 * p * z + p * p * z * w
            second = -exp(-x) * ncdf(w) + npdf(z) * (bracket / v + q)
            uu = -z * (1 - p * w) * bracket - p * bracket - 2 * p * (1 - p * w)
            uu += p * p * ((1 - p * w) * w + z * (1 - p * z))
            u = -1 + p * z - z * (1 - p * w) * q - 2 * q * z + 2 * p * q * z * w
            third = exp(-x) * ncdf(w) + npdf(z) * (u / v + uu / v**2)
            assert abs(diff(gamma, x, 2) - second) < 1e-9 * (1 + abs(second))
            assert abs(diff(gamma, x, 3) - third) < 1e-9 * (1 + abs(third))


def test_kernels_of_the_interpolation():
    """What three taps make of a kink, of a jump in the second derivative, and of a cubic; G = 1."""
    f = np.linspace(0, 1, 401)
    t = f * (1 - f) / 2

    def error(function):
        return np.max(np.abs(function(1 + f) + t * function(0.0) - (1 - f + 2 * t) * function(1.0)
                             - (f - t) * function(2.0)))  # fmt: skip

    kinks = [error(lambda x, c=c: np.maximum(x - c, 0)) for c in np.linspace(0, 2, 401)]
    jumps = [error(lambda x, c=c: np.maximum(x - c, 0) ** 2 / 2) for c in np.linspace(0, 2, 401)]
    assert max(kinks) == pytest.approx(3**0.5 / 9, rel=1e-4)
    assert max(jumps) <= 1 / 13
    assert error(lambda x: x**3 / 6) == pytest.approx(3**0.5 / 27, rel=1e-4)


@pytest.mark.parametrize(
    ("days", "atm", "most"), [(30, 0.6, 0.16), (7, 0.7, 0.21), (180, 0.5, 0.14), (1, 0.6, 0.76)]
)
def test_err_stays_small(days, atm, most, record_property):
    """In basis points of the spot, flat smiles, an hour's window."""
    curve = curves.refresh(curves.Vol(round(atm * 10**6)), days * 86_400, 0, 3_600)
    assert curve.err / 2**28 * 1e4 <= most
    record_property("summary", f"err of a curve of {days} days: {curve.err / 2**28 * 1e4:.3f} bp")
