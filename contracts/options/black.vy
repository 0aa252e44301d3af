# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title black
@license GNU Affero General Public License v3.0 only
@notice The value curves of one expiry: gamma(x) = C/S = Phi(d1) - exp(-x)*Phi(d2), x = ln(S/K),
        d1 = x/s + s/2, d2 = d1 - s (Black-76 over the forward), at 192 points x = -1.2 + n/80
        in three rows of vol and time, and a bound of what interpolating them costs.
@dev    Fixed point: x, s, d and exp in 2**-64, probabilities in 2**-50, lanes in 2**-16.
"""

ONE: constant(int256) = 2**64
STEP: constant(int256) = ONE // 80  # of x: the fine grid
FIRST: constant(int256) = 96 * STEP  # the first point is -1.2
EXP_FIRST: constant(int256) = 61245347168513200671  # exp(1.2)
EXP_STEP: constant(int256) = 18217594938587621130  # exp(-1/80)
EXP_COARSE: constant(int256) = 17547085749146693507  # exp(-1/20)
LOW: constant(int256) = 2 * ONE // 5  # the smile's clamp
HIGH: constant(int256) = 3 * ONE
WING: constant(int256) = 11 * ONE // 2  # Phi(-5.5) is below 2e-8
BELOW: constant(int256) = 16 * ONE  # where the table of Phi starts
QUARTER: constant(int256) = 2**62
HALF_LANE: constant(int256) = 2**33  # of probabilities


@internal
@pure
def _sheet(s0: int256, ratio: int256, skew: int256, curvature: int256) -> uint256[36]:
    """
    @notice The three rows: U at s = s0*m(x), M at U's s times ratio, D at three quarters of M's;
            m(x) = clamp(1 + skew*x + curvature*x*x, 0.4, 3).
    @dev    The caller guarantees 0 < s0 < 10/3, 2**40 <= ratio < 1, |skew| and curvature < 2**80
            (all in 2**-64). gamma is at most 1e-7 off: Phi's quartics 1.9e-8, exp(-x) up to 3.3.
            gamma rises with s: where row U lies in a wing, so do the others.
    @return 24 words of table A, 12 of table B: phases of the grid (every fourth point), in A
            pairs (U, D), in B row M; 16 bits each, rounded to the nearest 2**-16.
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
    sheet: uint256[36] = empty(uint256[36])
    at: uint256 = 0
    exp_phase: int256 = EXP_FIRST
    x: int256 = 0
    e: int256 = 0  # exp(-x)
    s: int256 = 0
    z: int256 = 0  # x/s
    d: int256 = 0
    f: int256 = 0
    w: int256 = 0
    g: int256 = 0
    lanes: int256 = 0
    pairs: int256 = 0
    marks: int256 = 0
    for phase: int256 in range(4):
        x = unsafe_sub(unsafe_mul(phase, STEP), FIRST)
        e = exp_phase
        exp_phase = unsafe_mul(exp_phase, EXP_STEP) >> 64
        for word: uint256 in range(6):
            for point: uint256 in range(8):
                s = unsafe_mul(
                    s0,
                    max(
                        LOW,
                        min(
                            HIGH,
                            unsafe_add(
                                ONE,
                                unsafe_mul(x, unsafe_add(skew, unsafe_mul(curvature, x) >> 64)) >> 64
                            )
                        )
                    )
                ) >> 64
                z = unsafe_div(x << 64, s)
                if z < unsafe_sub(-WING, s >> 1):
                    pairs = pairs << 32
                    marks = marks << 16
                elif z > unsafe_add(WING, s >> 1):
                    # In the money: 1 - exp(-x) in every row.
                    g = unsafe_sub(ONE + 2**47, e) >> 48
                    pairs = (pairs << 32) | (g << 16) | g
                    marks = (marks << 16) | g
                else:
                    lanes = 0
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
                        lanes = (lanes << 16) | min(unsafe_add(g, HALF_LANE) >> 34, 65_535)
                        if row == 0:
                            s = unsafe_mul(s, ratio) >> 64
                            z = unsafe_mul(z, inverse) >> 64
                        else:
                            s = unsafe_mul(s, 3) >> 2
                            z = unsafe_div(z << 2, 3)
                    pairs = (pairs << 32) | ((lanes >> 32) << 16) | (lanes & 65_535)
                    marks = (marks << 16) | ((lanes >> 16) & 65_535)
                x = unsafe_add(x, 4 * STEP)
                e = unsafe_mul(e, EXP_COARSE) >> 64
            sheet[at] = convert(convert(pairs, bytes32), uint256)
            at = unsafe_add(at, 1)
            if at & 1 == 0:
                sheet[unsafe_add(23, at >> 1)] = convert(convert(marks, bytes32), uint256)
    return sheet


@internal
@pure
def _error(s0: int256, skew: int256, curvature: int256) -> int256:
    """
    @notice Bound of |interpolated - exact| value of a row s = s0*m(x), in 2**-28 of the spot.
    @dev    The terms, G = 1/80, p = max|s'|, q = max|s''|, u = 1/min s, v = max s where |d1| <= 5
            (a fixed point from outside finds that x; beyond it gamma's derivatives in d1 are
            less than a 256th of these):
            lanes: 1.25 (the weights' largest sum of sizes) * half a lane, 1e-7 of arithmetic;
            place: fraction, strike and spot are off by 3 codes at most, |gamma'| <= 1 + 0.4p;
            weights: floored by less than 2**-12, so times the second difference,
              |gamma''| <= 1 + u*(0.4 + 0.5p + 0.3*p*p*(1 + v)) + 0.4q;
            remainder of three taps: sqrt(3)/27 * G**3 * |gamma'''|. With d1' = u*(1 - p*d2),
              d2' = u*(1 - p*d1), gamma''' is exp(-x)*Phi(d2) and phi(d1) times a polynomial:
              <= 1 + u*(0.4 + 0.242p + 0.726q + 3pq*(0.294 + 0.242v))
                 + u*u*(0.242*(1 + p*v) + 1.5*p*p*(1 + v)*(1 + p*(1 + v)/5));
              here the factors of u are put together as 0.4*(1 + p)**2*(1 + 2q)*(1 + v);
            or Peano's kernel, at most sqrt(3)/9 * G, times the variation of gamma' over two
              steps, 1.025 + 0.85p + 0.02q while p <= 1/8: the kink of an expiring curve;
            and what a kink at an end of the smile's clamp costs, where that is reached.
            Nothing overflows: s0 >= 2**19, the smile's bounds are the caller's.
    """
    steep: int256 = max(skew, unsafe_sub(0, skew))
    reach: int256 = 6 * ONE // 5
    v: int256 = 0
    for i: uint256 in range(4):
        v = unsafe_mul(s0, min(HIGH, self._high(reach, steep, curvature))) >> 64
        reach = min(reach, unsafe_add((unsafe_mul(v, unsafe_add(5 * ONE, v >> 1)) >> 64), 1))
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
    u: int256 = unsafe_add(unsafe_div(2**128, (unsafe_mul(s0, max(least, LOW)) >> 64)), 1)
    v = unsafe_add(v, ONE)
    # 17.6 = 0.4 * (33.76 + 10.24), 33.76 = 257/256 * sqrt(3)/27 * G**3 * 2**28, 10.24 = G**2 * 2**16
    rest: int256 = (
        unsafe_mul(
            (unsafe_mul((unsafe_mul(unsafe_mul(u, 18), v) >> 64), unsafe_add(ONE, q << 1)) >> 64),
            (unsafe_mul(unsafe_add(ONE, p), unsafe_add(ONE, p)) >> 64)
        ) >> 64
    )
    curl = unsafe_mul(242, unsafe_add(ONE, (unsafe_mul(p, v) >> 64)))
    curl = unsafe_add(
        curl,
        unsafe_mul(
            1_500,
            (
                unsafe_mul(
                    (unsafe_mul(unsafe_mul(p, p) >> 64, v) >> 64),
                    unsafe_add(ONE, unsafe_div(unsafe_mul(p, v) >> 64, 5))
                ) >> 64
            )
        )
    )
    rest = unsafe_add(
        rest,
        unsafe_div(unsafe_mul(34, (unsafe_mul(unsafe_mul(curl, u) >> 64, u) >> 64)), 1_000)
    )
    rest = unsafe_add(unsafe_add(rest, 44 * ONE), unsafe_mul(5, q))
    if p > 3 * ONE:
        return 2**24  # beyond what was checked of the polynomial
    if p <= ONE // 8:
        rest = min(rest, unsafe_add(662_900 * ONE, unsafe_add(unsafe_mul(549_700, p), unsafe_mul(13_000, q))))
    if least < LOW:
        rest = unsafe_add(
            rest,
            self._kink(unsafe_div(3 * ONE // 5 << 64, steep), (unsafe_mul(s0, LOW) >> 64), p, q)
        )
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
        rest = unsafe_add(rest, self._kink(turn, unsafe_mul(3, s0), p, q))
    return unsafe_add(3_213, unsafe_add(rest, unsafe_mul(246, p)) >> 64)


@internal
@pure
def _kink(x: int256, s: int256, p: int256, q: int256) -> int256:
    """
    @notice What a kink of the smile at x or beyond, where sigma*sqrt(T) = s, adds: two jumps of
            gamma' by phi(d)*p and of gamma'' by phi(d)*(((1 + p*d)**2 - 1)/s + q), d = x/s - s/2.
    @dev    Peano's kernels are at most sqrt(3)/9 * G and G*G/13; phi(d)*d**k beyond d is at most
            1.3*phi(d)*(1 + d)**k, and phi by the first terms of exp(d*d/2).
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
    return unsafe_div(unsafe_add(unsafe_mul(517_300, p), unsafe_mul(3_490, bend)) << 64, growth)


@internal
@pure
def _high(x: int256, skew: int256, curvature: int256) -> int256:
    return unsafe_add(ONE, (unsafe_mul(x, unsafe_add(skew, (unsafe_mul(curvature, x) >> 64))) >> 64))
