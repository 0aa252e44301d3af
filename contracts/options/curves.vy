# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title curves
@license GNU Affero General Public License v3.0 only
@notice One value curve per underlying and expiry (options/black.vy), refreshed by anyone from the
        published volatility, usable for a window of time whatever the price does.

        curve word, from the low bits:
            blob address (160; 0: the sheet is in slots) | valid until uint32 | err uint24
        err: bound of one interpolated value's error, 2**-28 of the spot. No curve: word 0.
        blob: the sheet's 36 words behind one zero byte, as code or in slots.
"""

from snekmate.auth import ownable

from ..interfaces import ISurface
from . import black

uses: ownable

YEAR: constant(uint256) = 31_536_000
MAX_TERM: constant(uint256) = 401 * 86_400
MAX_WINDOW: constant(uint256) = 14_400
MIN_RATIO: constant(uint256) = 2**40  # of vol in rows M and U where the window ends at expiry
# Init code that returns the 1,153 bytes behind its own ten.
STORE: constant(Bytes[11]) = x"61048180600a3d393df300"
# Every second 16-bit lane of a word, and the bits above these lanes.
EVERY: constant(uint256) = max_value(uint256) // (2**32 - 1)
LANES: constant(uint256) = EVERY * (2**16 - 1)
GUARDS: constant(uint256) = EVERY * 2**16


event CurveRefreshed:
    market: indexed(uint256)
    expiry: indexed(uint256)
    curve: uint256


event CurvesSet:
    surface: address
    window: uint256
    in_slots: bool


_setup: uint256  # surface 160 | window 32 | in slots 1
_curves: HashMap[uint256, HashMap[uint256, uint256]]
_sheets: HashMap[uint256, HashMap[uint256, uint256[36]]]


@external
@view
def curve(market: uint256, expiry: uint256) -> uint256:
    """
    @notice The curve word, usable or not; 0 when there never was one.
    """
    return self._curves[market][expiry]


@external
@view
def curve_setup() -> (address, uint256, bool):
    """
    @return Surface, seconds that a curve is usable, whether sheets are kept in slots
    """
    setup: uint256 = self._setup
    return self._surface(setup), (setup >> 160) & (2**32 - 1), setup >> 192 == 1


@external
def set_curves(surface: address, window: uint256, in_slots: bool):
    """
    @notice Where vols come from, how long a curve is usable, where sheets are kept. Owner.
            Curves already made stay as they are.
    """
    ownable._check_owner()
    assert surface != empty(address), "curve: surface"
    assert window > 0 and window <= MAX_WINDOW, "curve: window"
    self._setup = convert(surface, uint256) | (window << 160) | (convert(in_slots, uint256) << 192)
    log CurvesSet(surface=surface, window=window, in_slots=in_slots)


@external
def refresh(market: uint256, expiry: uint256) -> uint256:
    """
    @notice Value the expiry anew, from now to the window's end. Anyone, at any time.
    @return The curve word.
    """
    assert expiry > block.timestamp, "curve: expired"
    term: uint256 = unsafe_sub(expiry, block.timestamp)
    assert term <= MAX_TERM, "curve: too far"
    setup: uint256 = self._setup
    assert setup != 0, "curve: no surface"
    atm: uint256 = 0
    skew: int256 = 0
    curvature: uint256 = 0
    published: uint256 = 0
    atm, skew, curvature, published = staticcall ISurface(self._surface(setup)).vol(market, expiry)
    assert atm >= 10_000 and atm <= 10**8, "curve: vol"
    assert abs(skew) <= 10**7 and curvature <= 10**8, "curve: smile"

    valid: uint256 = min(unsafe_add(block.timestamp, (setup >> 160) & (2**32 - 1)), expiry)
    s0: int256 = convert(self._root(term, YEAR) * atm * 13 // 10**7, int256)
    assert s0 < 10 * 2**64 // 3, "curve: vol"
    left: uint256 = unsafe_sub(expiry, valid)
    ratio: int256 = convert(max(self._root(left, term) * 10 // 13, MIN_RATIO), int256)
    a: int256 = skew * 2**64 // 10**6
    b: int256 = convert(curvature, int256) * 2**64 // 10**6

    sheet: uint256[36] = black._sheet(s0, ratio, a, b)
    self._check_rising(sheet)
    mark: int256 = s0 * ratio >> 64
    err: int256 = max(black._error(mark, a, b), black._error(3 * mark >> 2, a, b))
    err = max(err, black._error(s0, a, b))
    assert err < 2**24, "curve: smile"
    word: uint256 = (valid << 160) | (convert(err, uint256) << 192)
    if setup >> 192 == 1:
        self._sheets[market][expiry] = sheet
    else:
        word |= convert(raw_create(concat(STORE, abi_encode(sheet))), uint256)
    self._curves[market][expiry] = word
    log CurveRefreshed(market=market, expiry=expiry, curve=word)
    return word


@internal
@view
def _usable(market: uint256, expiry: uint256) -> uint256:
    """
    @return The curve word; reverts unless it may be used now.
    """
    word: uint256 = self._curves[market][expiry]
    assert word != 0, "curve: none"
    assert block.timestamp <= (word >> 160) & (2**32 - 1), "curve: stale"
    return word


@internal
@view
def _blob(word: uint256, market: uint256, expiry: uint256) -> Bytes[1152]:
    """
    @return The sheet of a curve word, bytes as options/black.vy lays them out
    """
    blob: address = convert(word & (2**160 - 1), address)
    if blob == empty(address):
        return abi_encode(self._sheets[market][expiry])
    return slice(blob.code, 1, 1152)


@internal
@pure
def _err(word: uint256) -> uint256:
    return (word >> 192) & (2**24 - 1)


@internal
@pure
def _surface(setup: uint256) -> address:
    return convert(setup & (2**160 - 1), address)


@internal
@pure
def _root(x: uint256, y: uint256) -> uint256:
    """
    @return sqrt(x / y) in 2**-64
    """
    return isqrt((x << 128) // y)


@internal
@pure
def _check_rising(sheet: uint256[36]):
    """
    @notice A call is worth no less at a lower strike: in all three rows every lane is at least
            its left neighbour on the fine grid, which is the phase before, and for phase 0 the
            coarse point before in phase 3. Engines add lanes in one word and rely on it.
    """
    for i: uint256 in range(36):
        table: uint256 = 0
        words: uint256 = 6  # of a phase
        bits: uint256 = 32  # of a point
        if i >= 24:
            table = 24
            words = 3
            bits = 16
        above: uint256 = 0
        last: uint256 = unsafe_add(table, unsafe_mul(3, words))
        if i < last:
            above = sheet[unsafe_add(i, words)]
        else:
            next: uint256 = unsafe_sub(unsafe_add(i, 1), unsafe_mul(3, words))
            above = max_value(uint256)
            if next < unsafe_add(table, words):
                above = sheet[next]
            above = (sheet[unsafe_sub(next, 1)] << bits) | (above >> unsafe_sub(256, bits))
        left: uint256 = sheet[i]
        even: uint256 = unsafe_sub((above & LANES) | GUARDS, left & LANES)
        odd: uint256 = unsafe_sub(((above >> 16) & LANES) | GUARDS, (left >> 16) & LANES)
        assert even & odd & GUARDS == GUARDS, "curve: not monotone"
