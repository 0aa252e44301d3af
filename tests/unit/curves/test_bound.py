"""The inequalities behind the error bound of the curves (contracts/options/black.vy).

A spline's error is linear in gamma: at every place of a cell a sum over the samples around. Here that sum is
tried on gamma over every width, slope and curvature of the smile, at every d1, and compared with the bound.
Where a curve is so narrow that lanes are raised, the whole curve is made, raised and compared.
"""

from math import erfc, sqrt

import numpy as np
import pytest

from margincall.model import curves

G = 1 / 80
FILTER = np.array([1, -12, 86, -12, 1]) / 64
BETWEEN = np.array([3, 0, -25, 0, 150, 0, 150, 0, -25, 0, 3]) / 256
FRACTIONS = np.linspace(0, 1, 17)
OFFSETS = np.arange(-8, 9)  # samples around the middle tap
SLOPES = [0, 0.01, 0.04, -0.04, 0.125, -0.125, 0.5, -0.5, 1, -1, 3, -3]
BENDS = [0, 0.3, 2.5, 10]
FINE = [0.55, 0.7, 0.85, 1, 1.2, 1.5, 2, 3, 6, 20, 100, 800]  # widths in steps
COARSE = [3.05, 3.1, 3.2, 3.3, 3.5, 3.7, 4, 4.3, 4.6, 5, 6, 10, 30, 200, 800]
TINY = [
    0.001,
    0.02,
    0.05,
    0.1,
    0.15,
    0.2,
    0.23,
    0.25,
    0.27,
    0.3,
    0.35,
    0.4,
    0.45,
    0.5,
    0.55,
    0.6,
    0.7,
    0.8,
    1,
    1.5,
    2,
    3,
]

_POINTS = np.linspace(-10, 10, 40_001)
_NORMAL = np.array([0.5 * erfc(-z / sqrt(2)) for z in _POINTS])


def normal(z):
    """Phi by Taylor's first terms around a table's points; 3e-12 off."""
    z = np.clip(z, -9.999, 9.999)
    near = np.round((z + 10) * 2_000).astype(int)
    d, at = z - _POINTS[near], _POINTS[near]
    slope = np.exp(-at * at / 2) / np.sqrt(2 * np.pi)
    return _NORMAL[near] + d * slope * (1 - at * d / 2 + (at * at - 1) * d * d / 6)


def on_samples(taps, parity):
    """Weights of three lanes as weights of samples: of all (parity None), or of every second one, the
    middle tap being one of them (0) or not (1)."""
    weights = np.zeros(17)
    for at, weight in enumerate(np.convolve(taps, FILTER), start=5):
        if parity is None or (at - 8 + parity) % 2 == 0:
            weights[at] += weight
        else:
            weights[at - 5 : at + 6] += weight * BETWEEN
    return weights


def values(parity):
    return np.array([on_samples([(1 - f) ** 2 / 2, 0.5 + f - f * f, f * f / 2], parity) for f in FRACTIONS])


def seen(s, p, q, parity):
    """The greatest error and the least width that the samples see; width s + p*dx + q*dx**2/2 around x.
    The error in 2**-28: of the spline, and of weights that are rounded down."""
    reach = 4 if parity is None else 9
    x = s * (np.linspace(-6, 6, 161) - s / 2)
    x = x[np.abs(x) < 1.25][:, None, None]
    dx = (OFFSETS - (FRACTIONS[:, None] - 0.5)) * G
    dx = np.where(np.abs(OFFSETS) < reach, dx, 0)  # no weight
    width = s + p * dx + q / 2 * dx * dx
    if width.min() <= 0:
        return 0.0, 0.0
    gamma = normal((x + dx) / width + width / 2) - np.exp(-x - dx) * normal((x + dx) / width - width / 2)
    exact = normal(x / s + s / 2) - np.exp(-x) * normal(x / s - s / 2)
    rounded = np.abs((gamma * on_samples([1, -2, 1], parity)).sum(2))
    error = np.abs((gamma * values(parity)).sum(2) - exact[:, :, 0])
    return float(np.max(error * 2**28 + rounded * 2**16)), float(width.min())


def smooth(u, p):
    return (1 + 4 * p * p) * (16 + 6 * u + 1.05 * u**2 + 2.13e-4 * u**4)


@pytest.mark.parametrize("steps", FINE)
def test_bound_with_every_sample(steps):
    for p in SLOPES:
        for q in BENDS:
            error, width = seen(steps * G, p, q, None)
            if width:
                assert error <= 0.96 * (smooth(1 / width, p) + 16 * q * (1 + 1 / width))


@pytest.mark.parametrize("parity", [0, 1])
@pytest.mark.parametrize("steps", COARSE)
def test_bound_with_every_second_sample(steps, parity):
    for p in SLOPES:
        for q in BENDS:
            error, width = seen(steps * G, p, q, parity)
            u = 1 / width if width else np.inf
            if u <= 26:
                sixth = (1 + 4 * p * p) * 9.5e-6 * u**6
                assert error <= 0.99 * (smooth(u, p) + sixth + 56 * q * (1 + u))


def raised(lanes):
    """As the sheet does: never less than the lane before, the next one giving back what it can."""
    last = carry = 0.0
    for lane in lanes:
        value = lane - carry
        carry = max(last - value, 0)
        last = max(value, last)
        yield last


def narrow_error(s, p, q):
    """Of the whole curve around the kink, in 2**-28; width s + p*x + q*x**2/2. 0 where gamma falls."""
    places = np.arange(-24, 25)  # of the lanes
    dense = np.linspace(-15, 15, 961)

    def gamma(x):
        width = np.clip(s + p * x + q / 2 * x * x, 0.4 * s, 3 * s)
        return normal(x / width + width / 2) - np.exp(-x) * normal(x / width - width / 2)

    samples = gamma(np.arange(-26, 27) * G)
    if np.any(np.diff(samples) < -(2**-17)):
        return 0.0
    lanes = np.array(list(raised(np.convolve(samples, FILTER, "valid"))))
    far = np.abs(dense[:, None] - places)
    weights = np.where(far < 0.5, 0.75 - far**2, np.where(far < 1.5, (1.5 - far) ** 2 / 2, 0))
    rounded = np.abs(np.diff(lanes, 2)).max()
    return float(np.abs(weights @ lanes - gamma(dense * G)).max() * 2**28 + rounded * 2**16)


@pytest.mark.parametrize("steps", TINY)
def test_bound_of_narrow_smiles(steps, record_property):
    """Slopes up to one wherever lanes are made of the smile; the terms that all rows have aside."""
    s, least = steps * G, np.inf
    for q in (0, 0.1, 0.3, 1, 2.5, 10):
        for p in np.concatenate([np.linspace(-0.125, 0.125, 11), np.linspace(-1, 1, 33)]):
            steepest = abs(p) + q * (4 * G + 5 * s)
            if steepest <= 1:
                bound = max(curves.FLAT, curves.KINK - curves.KINK_FALL * s) + curves.BENT * steepest
                least = min(least, bound / max(narrow_error(s, p, q), 1))
    assert least >= 1.02
    record_property("summary", f"curve {steps} steps wide at the money: bound {least:.2f} times the error")


def test_kernels_of_the_splines():
    """What they make of a kink and of a jump in the second derivative (G = 1); parabolas are exact."""
    places = (FRACTIONS - 0.5)[:, None]

    def worst(function, parity):
        return np.max(np.abs((values(parity) * function(OFFSETS)).sum(1) - function(places)[:, 0]))

    for parity in (None, 0, 1):
        assert np.abs(values(parity)).sum(1).max() <= 1.4
        for power in range(3):
            assert worst(lambda x, power=power: 1.0 * x**power, parity) < 1e-12
        turns = np.linspace(-8, 8, 641)
        kink = max(worst(lambda x, c=c: np.maximum(x - c, 0), parity) for c in turns)
        jump = max(worst(lambda x, c=c: np.maximum(x - c, 0) ** 2 / 2, parity) for c in turns)
        # _kink: two of each, phi at most 0.399, its moments' 1.3; doubled for every second sample
        times = 1 if parity is None else 2
        assert kink * G * 2**28 * 2 * 0.39895 <= times * 482_000
        assert jump * G**2 * 2**28 * 2 * 0.39895 * 1.3 <= times * 2_750


@pytest.mark.parametrize(
    ("days", "atm", "most"),
    [(30, 0.6, 0.108), (30, 0.2, 0.19), (7, 0.7, 0.119), (180, 0.5, 0.104), (2, 0.35, 0.28),
     (1, 0.6, 0.22), (1, 0.35, 0.58), (0.5, 0.6, 0.4)],
)  # fmt: skip
def test_err_stays_small(days, atm, most, record_property):
    """In basis points of the spot, flat smiles, an hour's window."""
    curve = curves.refresh(curves.Vol(round(atm * 10**6)), round(days * 86_400), 0, 3_600)
    assert curve.err / 2**28 * 1e4 <= most
    record_property("summary", f"err of {days} days at {atm:.0%}: {curve.err / 2**28 * 1e4:.3f} bp")
