"""Black-76 in real numbers (mpmath; its working precision is the caller's).

x = ln(S/K) with S the forward of the expiry, s = sigma * sqrt(T); T in years of 31,536,000 seconds.
"""

from mpmath import exp, log, mpf, ncdf, sqrt

YEAR = 31_536_000
PPM = 10**6


def gamma(x, s) -> mpf:
    """Value of a call over the forward: Phi(d1) - exp(-x) * Phi(d2), d1 = x/s + s/2, d2 = d1 - s.

    At s = 0 the intrinsic value.
    """
    x, s = mpf(x), mpf(s)
    if s == 0:
        return max(1 - exp(-x), mpf(0))
    return ncdf(x / s + s / 2) - exp(-x) * ncdf(x / s - s / 2)


def sigma(atm: int, skew: int, curvature: int, x) -> mpf:
    """Volatility a year at x: atm * clamp(1 + skew*x + curvature*x*x, 0.4, 3). Parameters in ppm."""
    x = mpf(x)
    shape = 1 + (skew * x + curvature * x * x) / PPM
    return mpf(atm) / PPM * min(max(shape, mpf(2) / 5), mpf(3))


def call(spot, strike, seconds, atm: int, skew: int = 0, curvature: int = 0, shock=1) -> mpf:
    """Value of a call, in the unit of spot and strike; shock: the factor of every volatility."""
    x = log(mpf(spot) / mpf(strike))
    return gamma(x, sigma(atm, skew, curvature, x) * shock * sqrt(mpf(seconds) / YEAR)) * spot


def put(spot, strike, seconds, atm: int, skew: int = 0, curvature: int = 0, shock=1) -> mpf:
    """Value of a put by parity: call - spot + strike."""
    return call(spot, strike, seconds, atm, skew, curvature, shock) - spot + strike
