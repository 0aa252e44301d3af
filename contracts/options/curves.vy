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

from ..interfaces import IPricing
from ..interfaces import ISurface

uses: ownable

MAX_TERM: constant(uint256) = 401 * 86_400
MAX_WINDOW: constant(uint256) = 14_400
# Init code that returns the 1,153 bytes behind its own ten.
STORE: constant(Bytes[11]) = x"61048180600a3d393df300"


event CurveRefreshed:
    market: indexed(uint256)
    expiry: indexed(uint256)
    curve: uint256


event CurvesSet:
    surface: address
    window: uint256
    in_slots: bool


PRICING: immutable(IPricing)

_setup: uint256  # surface 160 | window 32 | in slots 1
_curves: HashMap[uint256, HashMap[uint256, uint256]]
_sheets: HashMap[uint256, HashMap[uint256, uint256[36]]]


@deploy
def __init__(pricing: address):
    assert pricing.is_contract, "curve: bad pricing"
    PRICING = IPricing(pricing)


@external
@view
def curve(market: uint256, expiry: uint256) -> uint256:
    """
    @notice The curve word, usable or not; 0 when there never was one.
    """
    return self._curves[market][expiry]


@external
@view
def sheet(market: uint256, expiry: uint256) -> uint256[36]:
    """
    @notice See ICurves: zeros for a curve whose sheet lies in code.
    """
    return self._sheets[market][expiry]


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
    valid: uint256 = min(unsafe_add(block.timestamp, (setup >> 160) & (2**32 - 1)), expiry)
    sheet: uint256[36] = empty(uint256[36])
    err: uint256 = 0
    sheet, err = staticcall PRICING.sheet(atm, skew, curvature, term, unsafe_sub(expiry, valid))
    word: uint256 = (valid << 160) | (err << 192)
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
