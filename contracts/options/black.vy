# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title black
@license GNU Affero General Public License v3.0 only
@notice The value curves of one expiry: gamma(x) = C/S = Phi(d1) - exp(-x)*Phi(d2), x = ln(S/K),
        d1 = x/s + s/2, d2 = d1 - s (Black-76 over the forward), in three rows of vol and time,
        each a quadratic spline, and a bound of what the splines cost.
@dev    Lane n is the coefficient of the B-spline centred at x = -1.2 + n/80, n = 0 .. 191. One is
        centred at the money: of a kink there it makes the least.
        Between two centres' midpoints, at fraction f, a value is (1-f)**2/2, 1/2 + f - f*f and
        f*f/2 of three lanes. The coefficients come from gamma at the centres by 1 + y + y*y,
        y = -(second difference)/8: five points weighing (1, -12, 86, -12, 1)/64. Parabolas are
        exact; of a cubic a 125th of the third difference is left.
        Fixed point: x, s, d and exp in 2**-64, probabilities in 2**-50, lanes in 2**-16.
"""

ONE: constant(int256) = 2**64
STEP: constant(int256) = ONE // 80  # of x: the fine grid
FIRST: constant(int256) = 102 * STEP  # -x of the first sample: six steps before -1.2
SAMPLES: constant(uint256) = 205  # six before the first lane, seven after the last
EXP_FIRST: constant(int256) = 66015389028367323588  # exp(102/80)
EXP_STEP: constant(int256) = 18217594938587621130  # exp(-1/80)
EXP_TWO: constant(int256) = 17991292339738829787  # exp(-2/80)
LOW: constant(int256) = 2 * ONE // 5  # the smile's clamp
HIGH: constant(int256) = 3 * ONE
WING: constant(int256) = 11 * ONE // 2  # Phi(-5.5) is below 2e-8
BELOW: constant(int256) = 16 * ONE  # where the table of Phi starts
QUARTER: constant(int256) = 2**62
# Three rows in one word, 85 bits each: U highest, then M, then D. Fields are biased so that no
# sum of theirs is ever negative.
ONES: constant(uint256) = 2**170 + 2**85 + 1
ROW: constant(uint256) = 2**85 - 1
ZERO: constant(uint256) = 2**46 * ONES  # of samples, 2**-50
ROUND: constant(uint256) = (2**60 + 2**39) * ONES  # no value and half a lane, 2**-56
FALL: constant(uint256) = (2**62 + 2**33) * ONES  # of gamma from a point to the next: half a lane
WAVE: constant(uint256) = (2**62 + 2**38) * ONES  # of a gamma made up beside a kink of the smile
GUARDS: constant(uint256) = 2**62 * ONES
LANE: constant(uint256) = 2**16 - 1
TOP: constant(uint256) = 2**60 + 2**56  # one
TOO_MUCH: constant(int256) = 2**24  # of err
# Of err, of narrow rows: 2**-28, their slope 2**-28 per unit of s.
FLAT: constant(int256) = 45_300
BENT: constant(int256) = 440_000  # per unit of p
KINK: constant(int256) = 408_000  # at s = 0
KINK_FALL: constant(int256) = 103_000_000


@internal
@pure
def _sheet(
    s0: int256, ratio: int256, skew: int256, curvature: int256, is_coarse: bool
) -> (uint256[36], uint256):
    """
    @notice The three rows: U at s = s0*m(x), M at U's s times ratio, D at three quarters of M's;
            m(x) = clamp(1 + skew*x + curvature*x*x, 0.4, 3).
    @dev    Reverts where gamma falls: by half a lane, or by what a kink at the smile's clamp just
            outside makes of points between (1.3e-4 of the spot, seen at skew -5/3). What the
            spline makes of a kink may still dip: lanes are raised to be no less than the one
            before, because engines rely on it, and the next one gives back what it can.
    @param is_coarse whether every second sample is enough (_errors)
    @return 24 words of table A, 12 of table B: phases of the grid (every fourth point), in A
            pairs (U, D), in B row M; 16 bits each, rounded to the nearest 2**-16.
    @return By how much lanes were raised or lowered at most, 2**-56.
    """
    samples: uint256[SAMPLES] = self._samples(s0, ratio, skew, curvature, is_coarse)
    sheet: uint256[36] = empty(uint256[36])
    a: uint256 = samples[4]
    b: uint256 = samples[5]
    c: uint256 = samples[6]
    d: uint256 = samples[7]
    e: uint256 = 0
    value: uint256 = 0
    last: uint256 = ROUND
    dip: uint256 = 0
    carry: uint256 = 0
    at: uint256 = 8
    fall: uint256 = WAVE if is_coarse else FALL
    for word: uint256 in range(6):
        pairs: uint256[4] = empty(uint256[4])
        marks: uint256[4] = empty(uint256[4])
        for point: uint256 in range(8):
            for phase: uint256 in range(4):
                e = samples[at]
                at = unsafe_add(at, 1)
                assert unsafe_sub(unsafe_add(e, fall), d) & GUARDS == GUARDS, "curve: not monotone"
                value = unsafe_sub(
                    unsafe_add(unsafe_add(unsafe_mul(86, c), unsafe_add(a, e)), ROUND - 64 * ZERO),
                    unsafe_add(unsafe_mul(12, unsafe_add(b, d)), carry),
                )
                carry = 0
                if unsafe_sub(unsafe_add(value, GUARDS), last) & GUARDS != GUARDS or value >> 170 >= TOP:
                    # A dip, or one: only vols beyond eight get there, and only row U.
                    value, carry, dip = self._raised(value, last, dip)
                last = value
                pairs[phase] = (pairs[phase] << 32) | ((value >> 194) & (LANE << 16)) | ((value >> 40) & LANE)
                marks[phase] = (marks[phase] << 16) | ((value >> 125) & LANE)
                a = b
                b = c
                c = d
                d = e
        for phase: uint256 in range(4):
            sheet[unsafe_add(unsafe_mul(phase, 6), word)] = pairs[phase]
            place: uint256 = unsafe_add(unsafe_add(24, unsafe_mul(phase, 3)), word >> 1)
            sheet[place] = (sheet[place] << 128) | marks[phase]
    return sheet, dip


@internal
@pure
def _raised(new: uint256, last: uint256, dip: uint256) -> (uint256, uint256, uint256):
    """
    @return The fields of `new`, at least those of `last` and below one; by how much each was
            raised; the most of it so far
    """
    word: uint256 = 0
    carry: uint256 = 0
    deepest: uint256 = dip
    for low: uint256 in [170, 85, 0]:
        now: uint256 = (new >> low) & ROW
        before: uint256 = (last >> low) & ROW
        if now < before:
            deepest = max(deepest, before - now)
            carry |= (before - now) << low
            now = before
        word |= min(now, TOP - 1) << low
    return word, carry, deepest


@internal
@pure
def _samples(
    s0: int256, ratio: int256, skew: int256, curvature: int256, is_coarse: bool
) -> uint256[SAMPLES]:
    """
    @notice gamma of the three rows at every point, or at every second one and between them by
            the six around, weighing (3, -25, 150, 150, -25, 3)/256.
    @dev    The caller guarantees 0 < s0 < 10/3, 2**40 <= ratio < 1, |skew| and curvature < 2**80
            (all in 2**-64). gamma is at most 1e-7 off: Phi's quartics 1.9e-8, exp(-x) up to 3.6.
            gamma rises with s: where row U lies in a wing, so do the others.
    @return Words of three fields, 2**-50 above ZERO
    """
    # Phi from -16 to 16, a quartic in the fraction of each quarter: five signed fields, the
    # highest power on top; interpolated at Chebyshev's nodes. Below -5.5 nothing, above 5.5 one.
    phi: int256[128] = empty(int256[128])
    phi[42] = 282630525793037681451719550372500528061753268993391220430617688032785
    phi[43] = 898195268760631408907539937961832640114046995999652622177273210642696
    phi[44] = 2657273270536392272083605026298645734223848927773410192477793369779992
    phi[45] = 7309188444678438250726836591355119684971717040270130457498218896957308
    phi[46] = 18663499505326409999348894947224247333755256961990008925586422887703985
    phi[47] = 44152316350159411412520641404732200637865818855001938773278639357128398
    phi[48] = 96526170941115953447589516383827191312639386689746865608224179003566393
    phi[49] = 194354895933294150100523698059271692184230480828591045087239137642385259
    phi[50] = 358731557793520286191604905135802741537171383404285596915014463589970646
    phi[51] = 602859772661435499366810196205419919738417138388411949396417492765562555
    phi[52] = 912792223700332549713983731843976522756540997201256791596978030510430023
    phi[53] = 1223229568656360301227760596746471401477963830550190224238217571900803649
    phi[54] = 1401534791840929328420793730530816505984921284758186322238487040718998690
    phi[55] = 1260895442309910374469677981992537150391983512197992397787650395974372130
    phi[56] = 620505537933893989356351746315659276085377137278727113810715434605661521
    phi[57] = -590974848138880933895342569712307873266769742116140324090029186723576847
    phi[58] = -2228576714426216264318258450609559096573113643796048662585310475354264372
    phi[59] = -3889849322407543853698313935911823531051744179372717845553672567793291788
    phi[60] = -5000519980798665606018121715236830327611266249924760186556238472920234331
    phi[61] = -5029013808244482296474172887718608492392601487342608478497815129553975179
    phi[62] = -3745657585030313939327025489976401645398536162253402327393230057536545946
    phi[63] = -1386986866046506410387874662075858004390946830852091081519662681648146268
    phi[64] = 1386986866149298416417645982609897878432703041589689561210028434875287630
    phi[65] = 3745657585133115286656620450206968730701429161632438165268076580831875305
    phi[66] = 5029013808347299587325955992770363451332771138351756217031064110528981406
    phi[67] = 5000519980850079049149952180158983251432433004343513228517129791496073663
    phi[68] = 3889849322407551307507528104056780588753844808368890966899466959729807264
    phi[69] = 2228576714426234655340455699135816993494664227503494807164483422858749196
    phi[70] = 590974848138904258496398300084986145767664939707172079772044002593796748
    phi[71] = -620505537933870868822512438521814289915926058092420403119739288421657808
    phi[72] = -1260895442309890753209127662384604786860721129604842945773179332566589876
    phi[73] = -1401534791840914552819050186038835811843635973348198872308010422061376572
    phi[74] = -1223229568656350248959583153827136873179666557545470469044423097570539264
    phi[75] = -912792223700326306511180566496808511409830840534404542088349611074827502
    phi[76] = -602859772661431936077134318433703138849558706941894341494745882794272017
    phi[77] = -358731557793518408829381750512442514986212556878447011179085672047074254
    phi[78] = -194354895933293234109089680138668036424362267996510305272720554241666782
    phi[79] = -96526170941115538576198148582896965496296281359252461983511133115164357
    phi[80] = -44152316350159236668303449969965812691445904263015341693146970920014587
    phi[81] = -18663499505326341454206333701040234114034832239098818799697050106160278
    phi[82] = -7309188444678413182227265426978251722270796394874448904022872308232369
    phi[83] = -2657273270536383716320754193020215138681258919876021695251742522933702
    phi[84] = -898195268760628681822784413535758662562607802261332675971425284948571
    phi[85] = -282630525793036869136892281607636684241480628514647541819585232272058
    for k: uint256 in range(86, 128):
        phi[k] = 2**50
    inverse: int256 = unsafe_div(2**128, ratio)
    samples: uint256[SAMPLES] = empty(uint256[SAMPLES])
    stride: uint256 = 1
    step: int256 = STEP
    factor: int256 = EXP_STEP
    if is_coarse:
        stride = 2
        step = 2 * STEP
        factor = EXP_TWO
    at: uint256 = 0
    x: int256 = -FIRST
    e: int256 = EXP_FIRST  # exp(-x)
    s: int256 = 0
    z: int256 = 0  # x/s
    d: int256 = 0
    f: int256 = 0
    w: int256 = 0
    g: int256 = 0
    word: uint256 = 0
    for i: uint256 in range(SAMPLES):
        s = unsafe_mul(
            s0,
            max(
                LOW,
                min(
                    HIGH,
                    unsafe_add(ONE, unsafe_mul(x, unsafe_add(skew, unsafe_mul(curvature, x) >> 64)) >> 64)
                )
            )
        ) >> 64
        z = unsafe_div(x << 64, s)
        if z < unsafe_sub(-WING, s >> 1):
            word = ZERO
        elif z > unsafe_add(WING, s >> 1):
            # In the money: 1 - exp(-x) in every row.
            word = unsafe_add(unsafe_mul(convert(unsafe_sub(ONE, e) >> 14, uint256), ONES), ZERO)
        else:
            word = 0
            for row: uint256 in range(3):
                d = unsafe_add(z, s >> 1)
                if d < -WING:
                    g = 0
                elif d > unsafe_add(WING, s):
                    g = unsafe_sub(ONE, e) >> 14
                else:
                    w = phi[unsafe_add(d, BELOW) >> 62]
                    f = d & (QUARTER - 1)
                    g = unsafe_add(
                        unsafe_mul(
                            unsafe_add(
                                unsafe_mul(
                                    unsafe_add(
                                        unsafe_mul(
                                            unsafe_add(
                                                unsafe_mul(w >> 205, f) >> 62,
                                                (w << 51) >> 205
                                            ),
                                            f
                                        ) >> 62,
                                        (w << 102) >> 205
                                    ),
                                    f
                                ) >> 62,
                                (w << 153) >> 205
                            ),
                            f
                        ) >> 62,
                        (w << 204) >> 204
                    )
                    d = unsafe_sub(d, s)
                    w = phi[unsafe_add(d, BELOW) >> 62]
                    f = d & (QUARTER - 1)
                    g = unsafe_sub(
                        g,
                        unsafe_mul(
                            e,
                            unsafe_add(
                                unsafe_mul(
                                    unsafe_add(
                                        unsafe_mul(
                                            unsafe_add(
                                                unsafe_mul(
                                                    unsafe_add(
                                                        unsafe_mul(w >> 205, f) >> 62,
                                                        (w << 51) >> 205
                                                    ),
                                                    f
                                                ) >> 62,
                                                (w << 102) >> 205
                                            ),
                                            f
                                        ) >> 62,
                                        (w << 153) >> 205
                                    ),
                                    f
                                ) >> 62,
                                (w << 204) >> 204
                            )
                        ) >> 64
                    )
                word = unsafe_add(word << 85, convert(unsafe_add(g, 2**46), uint256))
                if row == 0:
                    s = unsafe_mul(s, ratio) >> 64
                    z = unsafe_mul(z, inverse) >> 64
                else:
                    s = unsafe_mul(s, 3) >> 2
                    z = unsafe_div(z << 2, 3)
        samples[at] = word
        at = unsafe_add(at, stride)
        if at >= SAMPLES:
            break
        x = unsafe_add(x, step)
        e = unsafe_mul(e, factor) >> 64
    if is_coarse:
        a: uint256 = samples[0]
        b: uint256 = samples[2]
        c: uint256 = samples[4]
        r: uint256 = samples[6]
        t: uint256 = samples[8]
        u: uint256 = 0
        for i: uint256 in range(98):
            at = unsafe_add(unsafe_mul(i, 2), 10)
            u = samples[at]
            samples[unsafe_sub(at, 5)] = unsafe_sub(
                (
                    unsafe_sub(
                        unsafe_add(
                            unsafe_mul(150, unsafe_add(c, r)),
                            unsafe_add(unsafe_mul(3, unsafe_add(a, u)), 2**60 * ONES)
                        ),
                        unsafe_mul(25, unsafe_add(b, t))
                    ) >> 8
                ) & (ONES * (2**77 - 1)),
                2**52 * ONES
            )
            a = b
            b = c
            c = r
            r = t
            t = u
    return samples


@internal
@pure
def _errors(s0: int256, skew: int256, curvature: int256) -> (int256, int256, int256):
    """
    @notice Bounds of |spline - exact| value of a row s = s0*m(x), in 2**-28 of the spot: with
            gamma at every point, beside what lanes are raised by; the same with that in it;
            and with gamma at every second point. TOO_MUCH where that may not be.
    @dev    The spline is linear in gamma: at x it errs by a sum over the samples around, which is
            nothing for a parabola. G = 1/80; p = max|s'|, q = max|s''| and u = 1/min s, where
            |d1| <= 5 (a fixed point from outside finds that x) and four steps on, or nine where
            every second sample is made up; beyond it gamma's derivatives in d1 are less than a
            256th of these. The terms:
            lanes: half a lane, a whole one where row U is cut at one (s > 8); 1.4 (the weights'
              largest sum of sizes) times 1e-7 of arithmetic;
            place: fraction, strike and spot are off by 3 codes at most, |gamma'| <= 1 + 0.4p;
            remainder, by Taylor around x: G**3/125 * gamma''' + G**4/128 * gamma'''' + ..., with
              gamma^(k) a Hermite polynomial times phi(d1) * u**(k-1); together, and with weights
              rounded down by less than 2**-12 (times the second difference), at most
              (1 + 4*p*p) * (16 + 6u + 1.05*u*u + 2.13e-4*u**4) + 16q(1 + u);
            or, while p <= 1, what the raised splines of narrow smiles were seen to be off by:
              the kink is where a spline is centred, so this is one curve of s, p and q. Smiles
              that Surface.vy accepts have p < 0.8 in their last six hours, where s may end at
              zero and nothing else holds: every one has a curve until it expires;
            every second sample: what six points leave between them, 9.5e-6*u**6 and 40q(1 + u)
              more, u <= 26;
            and what a kink at an end of the smile's clamp costs, where that is reached.
            The inequalities are held against gamma over all of s, p, q and d1 up to p = 3.
            Nothing overflows: s0 >= 2**19, the smile's bounds are the caller's.
    """
    steep: int256 = max(skew, unsafe_sub(0, skew))
    reach: int256 = 6 * ONE // 5
    v: int256 = 0
    for i: uint256 in range(4):
        v = unsafe_mul(s0, min(HIGH, self._high(reach, steep, curvature))) >> 64
        reach = min(reach, unsafe_add((unsafe_mul(v, unsafe_add(5 * ONE, v >> 1)) >> 64), 1))
    reach = min(unsafe_add(reach, 4 * STEP if s0 < 3 * STEP else 9 * STEP), 13 * ONE // 10)
    curl: int256 = unsafe_mul(curvature, reach) >> 64
    turn: int256 = reach  # the least m lies at the edge or where the parabola turns
    if curl << 1 > steep:
        turn = unsafe_div(steep << 63, curvature)
    least: int256 = unsafe_sub(
        ONE,
        (unsafe_mul(turn, unsafe_sub(steep, (unsafe_mul(curvature, turn) >> 64))) >> 64)
    )
    p: int256 = unsafe_add((unsafe_mul(s0, unsafe_add(steep, curl << 1)) >> 64), 1)
    q: int256 = unsafe_add((unsafe_mul(s0, curvature) >> 64) << 1, 2)
    if p > 3 * ONE:
        return TOO_MUCH, TOO_MUCH, TOO_MUCH  # beyond what was checked
    u: int256 = unsafe_add(unsafe_div(2**128, (unsafe_mul(s0, max(least, LOW)) >> 64)), 1)
    u = min(u, 1_024 * ONE)
    square: int256 = unsafe_mul(u, u) >> 64
    fourth: int256 = unsafe_mul(square, square) >> 64
    growth: int256 = unsafe_add(ONE, unsafe_mul(4, unsafe_mul(p, p) >> 64))
    bend: int256 = unsafe_mul(q, unsafe_add(ONE, u)) >> 64
    smooth: int256 = unsafe_add(
        unsafe_add(16 * ONE, unsafe_mul(6, u)),
        unsafe_div(
            unsafe_add(unsafe_mul(105, square), unsafe_div(unsafe_mul(213, fourth), 10_000)), 100
        )
    )
    fine: int256 = unsafe_add(unsafe_mul(growth, smooth) >> 64, unsafe_mul(16, bend))
    kinks: int256 = 0
    if least < LOW:
        kinks = self._kink(unsafe_div(3 * ONE // 5 << 64, steep), (unsafe_mul(s0, LOW) >> 64), p, q)
    least = self._high(reach, steep, curvature)
    if least > HIGH:
        # One of Newton's steps down to where the smile meets the clamp, then the chord from zero.
        turn = unsafe_sub(
            reach,
            unsafe_div(
                unsafe_sub(least, HIGH) << 64,
                unsafe_add(steep, unsafe_mul(2, (unsafe_mul(curvature, reach) >> 64)))
            )
        )
        turn = unsafe_div(2 * ONE << 64, unsafe_add(steep, (unsafe_mul(curvature, turn) >> 64)))
        kinks = unsafe_add(kinks, self._kink(turn, unsafe_mul(3, s0), p, q))
    rest: int256 = unsafe_add(2_701 * ONE, unsafe_mul(246, p))
    if v > 8 * ONE:
        rest = unsafe_add(rest, 2_048 * ONE)
    coarse: int256 = TOO_MUCH
    if u <= 26 * ONE:
        sixth: int256 = unsafe_div(unsafe_mul(95, unsafe_mul(fourth, square) >> 64), 10**7)
        coarse = unsafe_add(
            unsafe_add(unsafe_mul(growth, unsafe_add(smooth, sixth)) >> 64, unsafe_mul(56, bend)),
            unsafe_add(unsafe_mul(2, kinks), rest)
        ) >> 64
    rest = unsafe_add(rest, kinks)
    narrow: int256 = TOO_MUCH
    if p <= ONE:
        narrow = max(FLAT * ONE, unsafe_sub(KINK * ONE, unsafe_mul(KINK_FALL, s0)))
        narrow = unsafe_add(unsafe_add(narrow, unsafe_mul(BENT, p)), rest) >> 64
    return unsafe_add(fine, rest) >> 64, narrow, coarse


@internal
@pure
def _kink(x: int256, s: int256, p: int256, q: int256) -> int256:
    """
    @notice What a kink of the smile at x or beyond, where sigma*sqrt(T) = s, adds: two jumps of
            gamma' by phi(d)*p and of gamma'' by phi(d)*(((1 + p*d)**2 - 1)/s + q), d = x/s - s/2.
    @dev    Peano's kernels are at most 0.18*G and 0.061*G*G (where every second sample is made
            up, twice that); phi(d)*d**k beyond d is at most 1.3*phi(d)*(1 + d)**k, and phi by the first terms of exp(d*d/2).
    """
    d: int256 = min(max(unsafe_sub(unsafe_div(x << 64, s), s >> 1), 0), 8 * ONE)
    y: int256 = (unsafe_mul(d, d) >> 64) >> 1
    growth: int256 = unsafe_add(
        ONE,
        (
            unsafe_mul(
                y,
                unsafe_add(
                    ONE,
                    (
                        unsafe_mul(
                            y,
                            unsafe_add(ONE >> 1, (unsafe_mul(y, unsafe_add(ONE // 6, y // 24)) >> 64))
                        ) >> 64
                    )
                )
            ) >> 64
        )
    )
    bend: int256 = unsafe_sub(
        (
            unsafe_mul(
                unsafe_add(ONE, (unsafe_mul(p, unsafe_add(ONE, d)) >> 64)),
                unsafe_add(ONE, (unsafe_mul(p, unsafe_add(ONE, d)) >> 64))
            ) >> 64
        ),
        ONE
    )
    bend = unsafe_add(unsafe_div(bend << 64, s), q)
    return unsafe_div(unsafe_add(unsafe_mul(482_000, p), unsafe_mul(2_750, bend)) << 64, growth)


@internal
@pure
def _high(x: int256, skew: int256, curvature: int256) -> int256:
    return unsafe_add(ONE, (unsafe_mul(x, unsafe_add(skew, (unsafe_mul(curvature, x) >> 64))) >> 64))
