"""The value curves of one expiry in exact integers: what contracts/options/black.vy and curves.vy compute.

gamma(x) = C/S = Phi(d1) - exp(-x) * Phi(d2), x = ln(S/K), d1 = x/s + s/2, d2 = d1 - s, s = sigma(x)*sqrt(T),
in three rows: U (1.3 * sigma, T at the window's start), M (sigma, T at its end), D (0.75 * sigma, T at its
end). A row is a quadratic spline of 192 lanes, 2**-16 of the spot: the coefficients of the B-splines that are
centred at x = -1.2 + n/80, made from gamma at these points (black.vy). x, s, d and exp are in
2**-64, probabilities in 2**-50. `>>` and `//` of negative numbers round down unless said otherwise.
"""

from math import isqrt
from typing import NamedTuple

from margincall.model.arithmetic import Refused

YEAR = 31_536_000
MAX_TERM = 401 * 86_400
POINTS = 192
ONE = 2**64
STEP = ONE // 80
SAMPLES = 205  # of gamma: from six points before the first lane to seven after the last
FIRST = 102 * STEP  # -x of the first of them
EXP_FIRST = 66015389028367323588  # exp(102/80)
EXP_STEP = 18217594938587621130  # exp(-1/80)
EXP_TWO = 17991292339738829787  # exp(-2/80)
FALL = 2**33  # of gamma from one point to the next, 2**-50: half a lane
WAVE = 2**38  # of one made up beside a kink of the smile
HALF = 2**39  # a lane, 2**-56
TOO_MUCH = 2**24  # of err
# Of err, of narrow rows: 2**-28; per unit of p; at s = 0; less per unit of s
FLAT, BENT, KINK, KINK_FALL = 45_300, 440_000, 408_000, 103_000_000
LOW, HIGH = 2 * ONE // 5, 3 * ONE
WING = 11 * ONE // 2
MIN_RATIO = 2**40
LANE = 2**16
CODES_PER_STEP = 2**14

# Phi on the quarters from -5.5 to 5.5: polynomials in the quarter's fraction through Phi at Chebyshev's five
# nodes, highest power first, in 2**-50; at most 1.9e-8 off.
QUARTICS = (
    (5496294, 6793280, 21750911, 30198276, 21382673),
    (17467134, 24776039, 79000765, 115857457, 85631240),
    (51675788, 83979319, 269192710, 417502693, 322760472),
    (142141223, 264599583, 860278739, 1413177884, 1145184124),
    (362947633, 774920405, 2577563271, 4493083480, 3825558961),
    (858626685, 2108821680, 7237775191, 13418662313, 12034469582),
    (1877136989, 5329454828, 19038557997, 37644126486, 35659163961),
    (3779604646, 12496687423, 46889290759, 99200520582, 99549941611),
    (6976224890, 27152937725, 108059402977, 245563724960, 261918552790),
    (11723767424, 54571720632, 232856661639, 571021181335, 649674544827),
    (17750999855, 101194726860, 468783630265, 1247330768116, 1519852541767),
    (23788050919, 172521210037, 880730105389, 2559502969847, 3354917292609),
    (27255538819, 269004985373, 1542061835611, 4933747866016, 6991462206626),
    (24520536254, 380572088074, 2511711683536, 8934040070907, 13763530165026),
    (12066923258, 482096912287, 3796640334788, 15197439484194, 25614364757329),
    (-11492642215, 533684153811, 5308001795634, 24285449726757, 45102590100465),
    (-43338959193, 489354655298, 6830239655258, 36456619645925, 75218208533708),
    (-75645599256, 314494501717, 8028309720635, 51411729231605, 118951058697716),
    (-97244725743, 6753019571, 8511297261196, 68108983473229, 178629930059429),
    (-97798843005, -389969489211, 7947971348665, 84762458660075, 255159718824053),
    (-72841513680, -788972165957, 6199014391870, 99096894847368, 347382399834982),
    (-26972626431, -1085240395107, 3409226626964, 108836388276956, 451816530761892),
    (26972626431, -1193130900830, 8330316942, 112291229839840, 562949974198350),
    (72841513680, -1080338220679, -3395048811915, 108836641078514, 674083411448041),
    (97798843005, -781164861232, -6191269823002, 99097297517753, 778517526342046),
    (97244725743, -382225883403, -7948087965448, 84762858151359, 870740187754943),
    (75645599256, 11912104694, -8517919630251, 68109249781002, 947269960290208),
    (43338959193, 315998818525, -8038269865993, 51411807085562, 1006948823311628),
    (11492642215, 487713584950, -6840098403775, 36456535210597, 1050681673708172),
    (-12066923258, 530364605318, -5315332611196, 24285278583662, 1080797298430768),
    (-24520536254, 478654233090, -3800551165282, 15197261847216, 1100285532298828),
    (-27255538819, 378027140648, -2512610024642, 8933908648631, 1112136374410180),
    (-23788050919, 267673413713, -1541022041014, 4933679014411, 1118908447213824),
    (-17750999855, 172198726281, -878873809976, 2559486208646, 1122544994175762),
    (-11723767424, 101466790328, -466914428079, 1247344736205, 1124380058966767),
    (-6976224890, 55057837283, -231375565490, 571046243648, 1125250235999282),
    (-3779604646, 27615106008, -107056980906, 245587582955, 1125637990797602),
    (-1877136989, 12838002784, -46289744416, 99218154921, 1125800358402363),
    (-858626685, 5543328419, -18716000340, 37655184475, 1125864248487173),
    (-362947633, 2226710938, -7080010286, 13424761771, 1125887872768874),
    (-142141223, 833164477, -2506924829, 4496099006, 1125896081461071),
    (-51675788, 290682472, -831185396, 1414529223, 1125898761731642),
    (-17467134, 94644575, -258131687, 418055640, 1125899584109989),
    (-5496294, 28778454, -75108513, 116065114, 1125899821221190),
)


class Vol(NamedTuple):
    """What a surface says of an expiry: ppm a year, ppm per unit of x, ppm per unit of x squared."""

    atm: int
    skew: int = 0
    curvature: int = 0


class Curve(NamedTuple):
    """A sheet (bytes as black.vy lays them out), its last second of use, and the bound of one interpolated
    value's error in 2**-28 of the spot."""

    blob: bytes
    valid_until: int
    err: int

    def word(self, address: int = 0) -> int:
        """The curve word; address: where the sheet lies as code, 0 for slots."""
        return address | self.valid_until << 160 | self.err << 192


def refresh(vol: Vol, expiry: int, now: int, window: int) -> Curve:
    """The curve of an expiry from `now` on. Times in seconds. Raises Refused as the contract reverts."""
    if expiry <= now:
        raise Refused("curve: expired")
    if expiry - now > MAX_TERM:
        raise Refused("curve: too far")
    s0, ratio, skew, curvature, valid = parameters(vol, expiry, now, window)
    mark = s0 * ratio >> 64
    bounds = [errors(s, skew, curvature) for s in (s0, mark, 3 * mark >> 2)]
    err, narrow, coarse = (max(each) for each in zip(*bounds, strict=True))
    if coarse < TOO_MUCH:
        err, narrow = coarse, TOO_MUCH
    if min(err, narrow) >= TOO_MUCH:
        raise Refused("curve: smile")
    rows, dip = sheet(s0, ratio, skew, curvature, coarse < TOO_MUCH)
    err = min(err - (-dip >> 28), narrow)
    if err >= TOO_MUCH:
        raise Refused("curve: smile")
    return Curve(pack(rows), valid, err)


def parameters(vol: Vol, expiry: int, now: int, window: int) -> tuple[int, int, int, int, int]:
    """s of row U at x = 0, row M's share of it, skew and curvature (all 2**-64), last second of use."""
    if not 10_000 <= vol.atm <= 10**8:
        raise Refused("curve: vol")
    if abs(vol.skew) > 10**7 or vol.curvature > 10**8:
        raise Refused("curve: smile")
    valid = min(now + window, expiry)
    s0 = isqrt(((expiry - now) << 128) // YEAR) * vol.atm * 13 // 10**7
    if s0 >= 10 * ONE // 3:
        raise Refused("curve: vol")
    ratio = max(isqrt(((expiry - valid) << 128) // (expiry - now)) * 10 // 13, MIN_RATIO)
    return s0, ratio, _toward_zero(vol.skew * ONE, 10**6), vol.curvature * ONE // 10**6, valid


def sheet(
    s0: int, ratio: int, skew: int, curvature: int, coarse: bool
) -> tuple[tuple[list[int], list[int], list[int]], int]:
    """Rows U, M, D of 192 lanes, and by how much (2**-56) some were raised to be no less than the one before,
    or lowered behind such a one.

    coarse: gamma at every second point, the others from the six around them. Arguments in 2**-64.
    Raises Refused where gamma falls.
    """
    samples = _samples(s0, ratio, skew, curvature, coarse)
    rows, dip, fall = ([], [], []), 0, WAVE if coarse else FALL
    for row, gamma in zip(rows, samples, strict=True):
        if any(gamma[i] > gamma[i + 1] + fall for i in range(7, 199)):
            raise Refused("curve: not monotone")
        last, carry = HALF, 0
        for i in range(6, 198):
            value = 86 * gamma[i] - 12 * (gamma[i - 1] + gamma[i + 1]) + gamma[i - 2] + gamma[i + 2]
            value += HALF - carry
            carry = max(last - value, 0)
            dip = max(dip, carry)
            last = max(min(value, 2**56 - 1), last)
            row.append(last >> 40)
    return rows, dip


def _samples(s0: int, ratio: int, skew: int, curvature: int, coarse: bool) -> list[list[int]]:
    """gamma of rows U, M, D in 2**-50."""
    step, factor = (2, EXP_TWO) if coarse else (1, EXP_STEP)
    inverse = 2**128 // ratio
    e = EXP_FIRST  # exp(-x)
    rows: list[list[int]] = [[0] * SAMPLES for _ in range(3)]
    for i in range(0, SAMPLES, step):
        x = i * STEP - FIRST
        s = s0 * max(LOW, min(HIGH, ONE + (x * (skew + (curvature * x >> 64)) >> 64))) >> 64
        for row, value in zip(rows, _values(s, _toward_zero(x << 64, s), e, ratio, inverse), strict=True):
            row[i] = value
        e = e * factor >> 64
    if coarse:
        for row in rows:
            for i in range(5, SAMPLES - 5, 2):
                near, far = row[i - 1] + row[i + 1], row[i - 3] + row[i + 3]
                row[i] = 150 * near - 25 * far + 3 * (row[i - 5] + row[i + 5]) >> 8
    return rows


def _values(s: int, z: int, e: int, ratio: int, inverse: int) -> list[int]:
    """gamma of the three rows at one point: s of row U, z = x/s, e = exp(-x)."""
    if z < -WING - (s >> 1):
        return [0, 0, 0]
    if z > WING + (s >> 1):
        return [(ONE - e) >> 14] * 3
    values = [value_at(z, s, e)]
    s, z = s * ratio >> 64, z * inverse >> 64
    values.append(value_at(z, s, e))
    return [*values, value_at(_toward_zero(z << 2, 3), s * 3 >> 2, e)]


def value_at(z: int, s: int, e: int) -> int:
    """gamma in 2**-50; z = x/s, s, e = exp(-x) in 2**-64."""
    d = z + (s >> 1)
    if d < -WING:
        return 0
    if d > WING + s:
        return (ONE - e) >> 14
    return phi(d) - (e * phi(d - s) >> 64)


def phi(d: int) -> int:
    """The normal distribution at d (2**-64), in 2**-50."""
    quarter = (d >> 62) + len(QUARTICS) // 2
    if quarter < 0:
        return 0
    if quarter >= len(QUARTICS):
        return 2**50
    value, f = 0, d & (2**62 - 1)
    for coefficient in QUARTICS[quarter]:
        value = (value * f >> 62) + coefficient
    return value


def errors(s0: int, skew: int, curvature: int) -> tuple[int, int, int]:
    """Bounds of |spline - gamma| of a row s = s0*m(x), 2**-28 of the spot (black.vy derives them): of its
    lanes from every point, beside what they are raised by; the same with that in it; and from every second
    one. TOO_MUCH where that may not be.

    Arguments in 2**-64.
    """
    steep, reach = abs(skew), 6 * ONE // 5

    def high(x: int) -> int:
        return ONE + _mul(x, steep + _mul(curvature, x))

    v = 0
    for _ in range(4):
        v = _mul(s0, min(HIGH, high(reach)))
        reach = min(reach, _mul(v, 5 * ONE + (v >> 1)) + 1)
    reach = min(reach + (4 if s0 < 3 * STEP else 9) * STEP, 13 * ONE // 10)
    curl = _mul(curvature, reach)
    turn = (steep << 63) // curvature if 2 * curl > steep else reach
    least = ONE - _mul(turn, steep - _mul(curvature, turn))
    p = _mul(s0, steep + 2 * curl) + 1
    q = 2 * _mul(s0, curvature) + 2
    if p > 3 * ONE:
        return TOO_MUCH, TOO_MUCH, TOO_MUCH
    u = min(2**128 // _mul(s0, max(least, LOW)) + 1, 1_024 * ONE)
    square = _mul(u, u)
    growth = ONE + 4 * _mul(p, p)
    smooth = 16 * ONE + 6 * u + (105 * square + 213 * _mul(square, square) // 10_000) // 100
    fine = _mul(growth, smooth) + 16 * _mul(q, ONE + u)
    kinks = 0
    if least < LOW:
        kinks = _kink((3 * ONE // 5 << 64) // steep, _mul(s0, LOW), p, q)
    if high(reach) > HIGH:
        turn = reach - ((high(reach) - HIGH) << 64) // (steep + 2 * _mul(curvature, reach))
        kinks += _kink((2 * ONE << 64) // (steep + _mul(curvature, turn)), 3 * s0, p, q)
    rest = 2_701 * ONE + 246 * p
    if v > 8 * ONE:
        rest += 2_048 * ONE
    coarse = TOO_MUCH
    if u <= 26 * ONE:
        sixth = 95 * _mul(_mul(square, square), square) // 10**7
        coarse = (_mul(growth, smooth + sixth) + 56 * _mul(q, ONE + u) + 2 * kinks + rest) >> 64
    rest += kinks
    narrow = TOO_MUCH
    if p <= ONE:
        narrow = (max(FLAT * ONE, KINK * ONE - KINK_FALL * s0) + BENT * p + rest) >> 64
    return (fine + rest) >> 64, narrow, coarse


def _kink(x: int, s: int, p: int, q: int) -> int:
    d = min(max((x << 64) // s - (s >> 1), 0), 8 * ONE)
    y = _mul(d, d) >> 1
    growth = ONE + _mul(y, ONE + _mul(y, (ONE >> 1) + _mul(y, ONE // 6 + y // 24)))
    bend = _mul(ONE + _mul(p, ONE + d), ONE + _mul(p, ONE + d)) - ONE
    return ((482_000 * p + 2_750 * ((bend << 64) // s + q)) << 64) // growth


def pack(rows: tuple[list[int], list[int], list[int]]) -> bytes:
    """Table A (phases of pairs U, D), then table B (phases of M); two bytes a lane, big endian."""
    up, mark, down = rows
    pairs = [value for phase in range(4) for n in range(phase, POINTS, 4) for value in (up[n], down[n])]
    marks = [mark[n] for phase in range(4) for n in range(phase, POINTS, 4)]
    return b"".join(value.to_bytes(2, "big") for value in pairs + marks)


def unpack(blob: bytes) -> tuple[list[int], list[int], list[int]]:
    """Rows U, M, D of a sheet."""
    at = [int.from_bytes(blob[i : i + 2], "big") for i in range(0, len(blob), 2)]
    place = [(n & 3) * 48 + (n >> 2) for n in range(POINTS)]
    return [at[2 * i] for i in place], [at[384 + i] for i in place], [at[2 * i + 1] for i in place]


def place(spot: int, code: int) -> tuple[int, int]:
    """First tap and fraction (2**-12) of the unmoved value of a call; log codes of spot and strike."""
    y = spot - code + 2 + 191 * CODES_PER_STEP // 2
    return y >> 14, (y >> 2) & 4095


def tap_weights(f: int) -> tuple[int, int, int]:
    """Of the three taps at fraction f: quadratic B-splines, all in 2**-12."""
    after = f * f >> 13
    before = after + 2048 - f
    return before, 4096 - before - after, after


def value(row: list[int], tap: int, f: int) -> int:
    """A row's spline at fraction f behind `tap`, 2**-28 of the spot."""
    return sum(weight * lane for weight, lane in zip(tap_weights(f), row[tap : tap + 3], strict=True))


def window(blob: bytes, spot: int, code: int) -> list[int]:
    """The 24 scenario values of a call on one unit, in 2**-28 of the spot before the move's factor.

    U at moves -4 .. 3, D at -4 .. 3, M at -8, -6 .. 6, in steps of 0.05 of the log. spot, code: log codes.
    Raises ValueError off the curve (the engine's edges take over there).
    """
    first, f = place(spot, code)
    if not 32 <= first <= 161:
        raise ValueError(f"first tap {first} is not in 32 .. 161: the strike is off the curve")
    up, mark, down = unpack(blob)

    def at(row: list[int], move: int) -> int:
        return value(row, first + 4 * move, f)

    near, far = range(-4, 4), range(-8, 8, 2)
    return [at(up, d) for d in near] + [at(down, d) for d in near] + [at(mark, d) for d in far]


def _mul(x: int, y: int) -> int:
    return x * y >> 64


def _toward_zero(x: int, y: int) -> int:
    return x // y if x >= 0 else -(-x // y)
