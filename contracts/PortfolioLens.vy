# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title PortfolioLens
@license GNU Affero General Public License v3.0 only
@notice Why a PORTFOLIO account's requirement is what it is: the worst scenario of each underlying
        and of all together, the dials, and the position that drives it. Any account is explained
        as if it were a PORTFOLIO account. Writes nothing. Asks the engine of PORTFOLIO accounts,
        which must show its nets.

        Scenarios 0 to 7: vol up at log moves of the price of -4, -3 .. +3 steps of 5 %; 8 to 15:
        vol down likewise; 16 to 23: vol unmoved at -8, -6 .. +6 steps.
@dev    What an account holds is a sum over positions (IPortfolio.nets), so taking one out is a
        subtraction: the engine is asked once for every option. For eth_call only: 128 positions
        take twelve million gas.
"""

from .interfaces import IBook
from .interfaces import IClearinghouse
from .interfaces import IPortfolio
from .interfaces import IRiskEngine
from .ledger import lanes
from .math import rounding
from .math import units
from .options import book
from .options import instrument

CONTRACT: constant(int256) = 10_000  # lots
VALUE: constant(int256) = 2**28
ONE: constant(int256) = 32_768  # of the dials
INITIAL: constant(uint256) = 48  # place of its weights in the terms
BIAS: constant(uint256) = 2**63 * (1 + 2**64 + 2**128 + 2**192)
NOTHING: constant(uint256[6]) = [BIAS, BIAS, BIAS, BIAS, BIAS, BIAS]  # sums of no option
RISK_SCALE: constant(uint256) = 10**8 * 2**8  # weighted losses times two dials -> money
# round(exp(0.05 * d) * 2**32) of every scenario
MOVES: constant(int256[24]) = [
    3516421809, 3696712610, 3886247119, 4085499269, 4294967296, 4515174978, 4746672950, 4990040076,
    3516421809, 3696712610, 3886247119, 4085499269, 4294967296, 4515174978, 4746672950, 4990040076,
    2879002676, 3181790030, 3516421809, 3886247119, 4294967296, 4746672950, 5245884902, 5797599433,
]


struct Underlying:
    market: uint256
    value: int256  # what everything in it adds to equity
    loss: uint256  # in its worst scenario
    scenario: uint256  # that one


struct Explanation:
    equity: int256
    requirement: uint256
    floor: uint256  # of perps, forwards and options sold, whatever hedges them
    error: uint256  # beside all else: of the curves, longs that no scenario sees, legs that settle
    rho: uint256  # 32768 is 1
    psi: uint256
    scenario: uint256  # the worst for all underlyings together
    synchronised: uint256  # what it costs, before psi
    apart: uint256  # what each underlying's own worst costs, before 1 - psi
    driver: uint256  # the instrument without which the requirement would fall most; 0: none
    size: int256  # lots of it
    relief: uint256  # by how much
    underlyings: DynArray[Underlying, 8]


struct Risk:
    rows: int256[24][8]  # weighted losses of each underlying
    floors: uint256[8]
    errors: uint256[8]  # 2**-28 lots * price
    count: uint256
    rho: int256
    psi: int256


struct Scene:
    engine: IPortfolio
    n: IPortfolio.Nets
    risk: Risk
    kind: uint256
    required: uint256
    driver: uint256
    size: int256
    relief: uint256


CLEARINGHOUSE: public(immutable(IClearinghouse))
BOOK: immutable(IBook)


@deploy
def __init__(clearinghouse: address):
    CLEARINGHOUSE = IClearinghouse(clearinghouse)
    BOOK = IBook(staticcall IClearinghouse(clearinghouse).BOOK())


@external
@view
def explain(account: uint256, initial: bool) -> Explanation:
    """
    @notice The initial or maintenance margin of an account, money. Reverts when a price or curve
            that it needs is stale.
    """
    header: uint256 = 0
    words: DynArray[uint256, 64] = []
    header, words = staticcall CLEARINGHOUSE.account(account)
    return self._explain(header, words, initial)


@external
@view
def explain_words(header: uint256, words: DynArray[uint256, 64], initial: bool) -> Explanation:
    """
    @notice As `explain`, of an account that nobody has (layout: ledger/lanes.vy, options/book.vy).
    """
    return self._explain(header, words, initial)


@internal
@view
def _is_initial(engine: IPortfolio, header: uint256, words: DynArray[uint256, 64]) -> bool:
    """
    @return Whether maintenance margin is what initial margin is
    """
    equity: int256 = 0
    required: uint256 = 0
    maintenance: uint256 = 0
    notional: uint256 = 0
    equity, required, maintenance, notional = staticcall IRiskEngine(engine.address).margin(
        header, words
    )
    return required == maintenance


@internal
@view
def _explain(header: uint256, words: DynArray[uint256, 64], initial: bool) -> Explanation:
    s: Scene = empty(Scene)
    s.engine = IPortfolio(staticcall CLEARINGHOUSE.engines(units.PORTFOLIO))
    s.n = staticcall s.engine.nets(header, words)
    d: (uint256, uint256, uint256, uint256) = staticcall s.engine.stress_dials()
    e: Explanation = empty(Explanation)
    e.equity = s.n.equity
    e.rho = d[2]
    e.psi = d[3]
    # Maintenance is never more than initial margin: then that one explains it.
    if initial or (s.n.count > 1 and self._is_initial(s.engine, header, words)):
        s.kind = INITIAL
        e.rho = d[0]
        e.psi = d[1]
    s.risk.rho = convert(e.rho, int256)
    s.risk.psi = convert(e.psi, int256)
    s.risk.count = s.n.count
    for u: uint256 in range(s.n.count, bound=8):
        s.risk.rows[u] = self._row(s.n.sums[u], s.n.rest[u], s.n.price[u], s.n.terms[u] >> s.kind)
        s.risk.floors[u] = self._floor(s.n.terms[u], s.n.held[u], s.n.price[u], s.kind)
        s.risk.errors[u] = self._error(s.n.sums[u], s.n.base[u], s.n.rest[u], s.n.price[u])
        s.risk.errors[u] += self._settling(s, u)
        e.floor += s.risk.floors[u]
    joint: int256 = 0
    apart: int256 = 0
    joint, e.scenario, apart = self._worst(s.risk)
    e.synchronised = self._money(joint, 15)
    e.apart = self._money(apart, 15)
    e.error = self._errors(s.risk)
    s.required = self._required(s.risk)
    e.requirement = s.required

    at: uint256 = lanes._perp_words(header)
    wanted: uint256 = self._markets(header, words)
    u: uint256 = 0
    for market: uint256 in range(1, 64):
        if (wanted >> market) & 1 == 0:
            continue
        part: DynArray[uint256, 64] = []
        perp: uint256 = lanes._lane_of(header, words, market)
        own: uint256 = 0  # the header of an account of this underlying alone
        if perp != 0:
            own = 1 << 128
            part.append(perp)
            size: int256 = lanes._size(perp)
            s = self._tried(s, u, market, size, NOTHING, size * VALUE, size * VALUE, abs(size))
        for segment: uint256 in range(48):
            if at >= len(words) or book._market(words[at]) != market:
                break
            s = self._segment(s, u, words, at)
            for k: uint256 in range(book._length(words[at]), bound=33):
                own += 1 << 144
                part.append(words[at])
                at += 1
        alone: IPortfolio.Nets = staticcall s.engine.nets(own, part)
        loss: int256 = 0
        scenario: uint256 = 0
        loss, scenario = self._highest(s.risk.rows[u])
        e.underlyings.append(
            Underlying(market=market, value=alone.equity, loss=self._money(loss, 30), scenario=scenario)
        )
        u += 1
    e.driver = s.driver
    e.size = s.size
    e.relief = s.relief
    return e


@internal
@pure
def _markets(header: uint256, words: DynArray[uint256, 64]) -> uint256:
    """
    @return A bit for each market in which the account holds anything
    """
    wanted: uint256 = 0
    for i: uint256 in range(lanes._count(header), bound=32):
        wanted |= 1 << lanes._market(lanes._lane(words[i >> 1], i))
    at: uint256 = lanes._perp_words(header)
    for segment: uint256 in range(48):
        if at >= len(words):
            break
        wanted |= 1 << book._market(words[at])
        at += book._length(words[at])
    return wanted


# ---------------------------------------------------------------- positions


@internal
@view
def _segment(s: Scene, u: uint256, words: DynArray[uint256, 64], at: uint256) -> Scene:
    """
    @return The scene after every position of the segment that starts at a word was tried
    """
    t: Scene = s
    head: uint256 = words[at]
    market: uint256 = book._market(head)
    expiry: uint256 = book._expiry(head)
    forward: int256 = book._forward(head)
    if expiry == 0:
        kept: uint256 = 10_000 - ((s.n.terms[u] >> 96) & (2**16 - 1))
        counted: int256 = rounding._floor_div(forward * convert(kept, int256), 10_000)
        id: uint256 = instrument._instrument(market, instrument.SPOT, 0, 0)
        return self._tried(t, u, id, forward, NOTHING, counted * VALUE, counted * VALUE, 0)
    whole: int256 = forward
    for i: uint256 in range(book._count(head), bound=128):
        lane: uint256 = book._lane(words[at + 1 + (i >> 2)], i)
        size: int256 = book._size(lane)
        gross: uint256 = convert(abs(size), uint256)
        short: uint256 = gross if size < 0 else 0
        # What the least is asked of: options sold, and the forward as the puts leave it.
        held: int256 = convert(short, int256) * CONTRACT
        linear: int256 = 0
        kind: uint256 = instrument.CALL
        if book._is_put(lane):
            kind = instrument.PUT
            linear = -size * CONTRACT
            forward -= linear
            held += abs(whole) - abs(whole - linear)
        one: uint256 = book._head(book._key(head), linear, 0, gross, short, 1)
        taken: IPortfolio.Nets = staticcall s.engine.nets(2 << 144, [one, lane])
        strike: uint256 = staticcall BOOK.strike(market, book._code(lane))
        id: uint256 = instrument._instrument(market, kind, expiry, strike)
        t = self._tried(t, u, id, size * CONTRACT, taken.sums[0], taken.base[0], taken.rest[0], held)
    if forward != 0:
        id: uint256 = instrument._instrument(market, instrument.FUTURE, expiry, 0)
        held: int256 = abs(whole) - abs(whole - forward)
        t = self._tried(t, u, id, forward, NOTHING, forward * VALUE, forward * VALUE, held)
    return t


@internal
@pure
def _tried(
    s: Scene,
    u: uint256,
    id: uint256,
    lots: int256,
    sums: uint256[6],
    base: int256,
    rest: int256,
    held: int256,
) -> Scene:
    """
    @notice Take a position's part out of the nets of its underlying.
    @return The scene, with this position as its driver if no other one relieved as much
    """
    t: Scene = s
    left: uint256[6] = s.n.sums[u]
    for k: uint256 in range(6):
        left[k] = unsafe_sub(left[k], unsafe_sub(sums[k], BIAS))
    price: uint256 = s.n.price[u]
    terms: uint256 = s.n.terms[u]
    t.risk.rows[u] = self._row(left, s.n.rest[u] - rest, price, terms >> s.kind)
    t.risk.floors[u] = self._floor(
        terms, convert(convert(s.n.held[u], int256) - held, uint256), price, s.kind
    )
    t.risk.errors[u] = self._error(left, s.n.base[u] - base, s.n.rest[u] - rest, price)
    t.risk.errors[u] += self._settling(s, u)
    required: uint256 = self._required(t.risk)
    t.risk = s.risk
    if required + s.relief < s.required:
        t.driver = id
        t.size = lots
        t.relief = s.required - required
    return t


# ---------------------------------------------------------------- scenarios


@internal
@pure
def _row(sums: uint256[6], rest: int256, price: uint256, terms: uint256) -> int256[24]:
    """
    @return What each scenario loses, weighted: 2**22 / 10**8 of money, as the engine rounds
    @param terms The weights of one kind in the low bits
    """
    row: int256[24] = empty(int256[24])
    spot: int256 = convert(price, int256)
    now: int256 = (self._lots(sums[5], 1) + rest) * 2**32
    j: uint256 = 0
    for move: int256 in MOVES:
        # Lanes descend, odd and even steps apart; vol down stands before vol up.
        place: uint256 = 7 - (j & 7)
        vol: uint256 = 4
        if j < 16:
            vol = 0 if j & 8 != 0 else 2
        value: int256 = self._lots(sums[vol + (place & 1)], place >> 1) + rest
        loss: int256 = ((now - value * move) * spot + (2**90 - 1)) >> 90
        row[j] = loss * self._weight(terms, j)
        j += 1
    return row


@internal
@pure
def _lots(sums: uint256, i: uint256) -> int256:
    """
    @return A lane, 2**-28 lots
    """
    return (convert((sums >> (i << 6)) & (2**64 - 1), int256) - 2**63) * CONTRACT


@internal
@pure
def _weight(terms: uint256, j: uint256) -> int256:
    """
    @return The weight of a scenario, 1/256
    """
    k: uint256 = j & 7
    distance: uint256 = k - 4 if k > 4 else 4 - k
    if j >= 16:
        distance *= 2
    if distance == 0:
        return 256
    place: uint256 = distance - 1 if distance < 5 else 1 + distance // 2  # of 1, 2, 3, 4, 6, 8
    return convert((terms >> (place << 3)) & 255, int256) + 1


@internal
@pure
def _floor(terms: uint256, held: uint256, price: uint256, kind: uint256) -> uint256:
    """
    @return The least that what is held asks for, money, rounded up
    """
    halves: uint256 = 3 if kind == INITIAL else 2
    return rounding._div_up((terms >> 112) * held * price * halves, 2 * 10**12)


@internal
@pure
def _error(sums: uint256[6], base: int256, rest: int256, price: uint256) -> uint256:
    """
    @return What an underlying's curves may be wrong by, 2**-28 lots * price
    """
    return convert(base - rest - self._lots(sums[5], 1), uint256) * price


@internal
@pure
def _settling(s: Scene, u: uint256) -> uint256:
    """
    @return What is asked for legs that settle at an average (margin/portfolio.vy), 2**-28 lots * price:
            as it is, whichever position is tried
    """
    weight: uint256 = ((s.n.terms[u] >> s.kind + 40) & 255) + 1
    return rounding._div_up(s.n.settling[u] * s.n.price[u] * weight, 640)


@internal
@pure
def _errors(r: Risk) -> uint256:
    """
    @return Of all of them, money, rounded up
    """
    total: uint256 = 0
    for each: uint256 in r.errors:
        total += each
    return rounding._div_up(total, 2**28 * 10**8)


@internal
@pure
def _worst(r: Risk) -> (int256, uint256, int256):
    """
    @return What the worst scenario for all together costs, that scenario, what each underlying's
            own worst costs; losses times one dial
    """
    scenario: uint256 = 0
    joint: int256 = min_value(int256)
    for j: uint256 in range(24):
        total: int256 = 0
        top: int256 = 0
        for u: uint256 in range(r.count, bound=8):
            total += r.rows[u][j]
            top = max(top, r.rows[u][j])
        cost: int256 = r.rho * total + (ONE - r.rho) * top
        if cost > joint:
            joint = cost
            scenario = j
    total: int256 = 0
    top: int256 = 0
    for u: uint256 in range(r.count, bound=8):
        loss: int256 = 0
        at: uint256 = 0
        loss, at = self._highest(r.rows[u])
        total += loss
        top = max(top, loss)
    # The unmoved scenario costs nothing, so neither is below zero.
    return joint, scenario, r.rho * total + (ONE - r.rho) * top


@internal
@pure
def _highest(row: int256[24]) -> (int256, uint256):
    """
    @return The worst loss and the first scenario that brings it
    """
    scenario: uint256 = 0
    for j: uint256 in range(1, 24):
        if row[j] > row[scenario]:
            scenario = j
    return row[scenario], scenario


@internal
@pure
def _required(r: Risk) -> uint256:
    """
    @return The requirement (margin/portfolio.vy), money
    """
    joint: int256 = 0
    scenario: uint256 = 0
    apart: int256 = 0
    joint, scenario, apart = self._worst(r)
    least: uint256 = 0
    for each: uint256 in r.floors:
        least += each
    return max(self._money(r.psi * joint + (ONE - r.psi) * apart, 0), least) + self._errors(r)


@internal
@pure
def _money(losses: int256, missing: uint256) -> uint256:
    """
    @return Weighted losses in money, rounded up
    @param missing How many bits of dials they were not multiplied by: 15 a dial
    """
    return rounding._div_up(convert(losses, uint256) << missing, RISK_SCALE)
