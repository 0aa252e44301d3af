# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title dials
@license GNU Affero General Public License v3.0 only
@notice The stress dials: rho (how far losses of different underlyings add up) and psi (how
        much hedging across underlyings counts), from what the chain itself sees. A move
        that all share raises rho, one underlying leaving the others lowers psi, at once;
        both recover with time. Initial margin (IM) uses them at once; maintenance margin
        (MM) glides to them, and is never stricter than IM.
@dev Inside, both are stresses that rise: rho and 1 - psi, in 2**-23. Rates are whole units
     a second, so writing at any times in between changes nothing: no rounding adds up.
     The owner is a timelock, whose log shows what he sets.

     `dial_word`: IM rho 24 | IM 1-psi 24 | MM rho 24 | MM 1-psi 24 | as of 32 | where they
     rest: rho 16 | 1-psi 16 | calm rho 16 | calm 1-psi 16 | guardian's least rho 16 | and
     1-psi 16 | scale of rho 16 | of psi 16
     `references`: a log code of 24 bits for each of 8 places | as of 32 @192
     `seen`: the last log code of each place, likewise | market ids, 8 bits each, @192
"""

from snekmate.auth import ownable
from ..math import rounding
from ..math import units
from ..options import instrument

uses: ownable

ONE: constant(uint256) = 32_768  # 1 as the dials are set and read
FRACTION: constant(uint256) = 8  # bits kept below that
RECOVERY: constant(uint256) = 97  # 2**-23 a second: the full range in 24 hours (and 81 s)
GLIDE: constant(uint256) = 388  # the full range in 6 hours (and 21 s)
FOLLOW_TIME: constant(uint256) = 3_600  # time constant of the references, seconds
FOLLOW_STEP: constant(uint256) = 300  # references rest for as long, whoever pokes
# Prices whose log code lies in 1 .. 2**24 - 1; a reference of 0 is one not yet seen.
LEAST_PRICE: constant(uint256) = 3_035_503
MOST_PRICE: constant(uint256) = 1_099_511_292_113
PLACES: constant(uint256) = 8
CODES: constant(uint256) = 80 * 2**14  # log codes in 1 of log
SCALES: constant(uint256) = 100_000  # units of a scale in 1 of log
M16: constant(uint256) = 2**16 - 1
M24: constant(uint256) = 2**24 - 1
M32: constant(uint256) = 2**32 - 1
M48: constant(uint256) = 2**48 - 1
# 255 in each of the four stresses: they stay below 2**24.
ROUND_UP: constant(uint256) = 255 * (1 + 2**24 + 2**48 + 2**72)


struct Settings:
    rho: uint256  # when calm, ONE is 1
    psi: uint256
    rho_scale: uint256  # log move of all together that takes rho to 1, in 1e-5
    psi_scale: uint256  # distance of one from the mean that takes psi to 0, likewise


event DialsSet:
    rho_im: uint256
    psi_im: uint256
    rho_mm: uint256
    psi_mm: uint256


MARKETS: immutable(address)  # IMarkets

guardian: public(address)
dial_word: public(uint256)
references: public(uint256)
seen: public(uint256)


@deploy
def __init__(markets: address, settings: Settings):
    assert markets.is_contract, "dials: bad markets"
    MARKETS = markets
    rules: uint256 = self._pack(settings)
    # At rest since the epoch: the calm values are where the dials rest.
    self.dial_word = rules | ((rules >> 32) & (M32 << 128))


@external
def poke():
    """
    @notice Look at the prices now and tighten at once what they ask for. Anyone may call.
    @dev A market without a usable price is left out. To starve a quote of gas is to starve
         the rest of the call: only a sixty-fourth remains.
    """
    references: uint256 = self._followed()
    seen: uint256 = self.seen
    count: int256 = 0
    total: int256 = 0
    highest: int256 = -(2**24)
    lowest: int256 = 2**24
    for place: uint256 in range(PLACES):
        market: uint256 = (seen >> unsafe_add(192, unsafe_mul(8, place))) & 255
        if market == 0:
            continue
        mark: uint256 = self._mark(market)
        if mark < LEAST_PRICE or mark > MOST_PRICE:
            continue
        code: uint256 = instrument._log_code(mark)
        offset: uint256 = unsafe_mul(24, place)
        seen = (seen & ~(M24 << offset)) | (code << offset)
        reference: uint256 = (references >> offset) & M24
        if reference == 0:
            references |= code << offset
        else:
            move: int256 = unsafe_sub(convert(code, int256), convert(reference, int256))
            count = unsafe_add(count, 1)
            total = unsafe_add(total, move)
            highest = max(highest, move)
            lowest = min(lowest, move)
    self.references = references
    self.seen = seen
    if count == 0:
        return
    # Everything times count: the mean is exact.
    distance: int256 = max(
        unsafe_sub(unsafe_mul(count, highest), total), unsafe_sub(total, unsafe_mul(count, lowest))
    )
    word: uint256 = self.dial_word
    rho: uint256 = self._target(word >> 160, abs(total), (word >> 224) & M16, count)
    psi: uint256 = self._target(word >> 176, distance, word >> 240, count)
    held: uint256 = self._stresses(word)
    if rho > held & M24 or psi > (held >> 24) & M24:
        self._settle(word, rho, psi)


@external
def tighten(rho: uint256, psi: uint256):
    """
    @notice The guardian holds rho at least and psi at most here until the owner relaxes it;
            never looser than where the dials rest.
    @param rho 32768 is 1, like psi
    """
    assert msg.sender == self.guardian, "dials: not guardian"
    word: uint256 = self.dial_word
    assert (
        max(rho, psi) <= ONE and rho >= (word >> 128) & M16 and unsafe_sub(ONE, psi) >= (word >> 144) & M16
    ), "dials: not tighter or above 1"
    self._settle((word & ~(M32 << 192)) | (rho << 192) | (unsafe_sub(ONE, psi) << 208), 0, 0)


@external
def relax():
    """
    @notice Lift the guardian's bounds: the dials recover from there. Owner (a timelock).
    """
    ownable._check_owner()
    self._settle(self.dial_word & ~(M32 << 192), 0, 0)


@external
def set_dials(settings: Settings):
    """
    @notice Where the dials rest and what moves them. Owner (a timelock). Stricter binds IM
            at once; looser is reached by recovering. The guardian's bounds stay.
    """
    ownable._check_owner()
    self._settle(self._pack(settings) | (self.dial_word & (M32 << 192)), 0, 0)


@external
def track(place: uint256, market: uint256):
    """
    @notice Look at `market` (0: none) in one of eight places. Owner (a timelock). Its
            reference is its price at the first poke that sees it.
    """
    ownable._check_owner()
    assert place < PLACES and market < units.MAX_MARKETS, "dials: no such place or market"
    seen: uint256 = self.seen
    id_offset: uint256 = unsafe_add(192, unsafe_mul(8, place))
    self.seen = (seen & ~(255 << id_offset)) | (market << id_offset)
    self.references &= ~(M24 << unsafe_mul(24, place))


@external
def set_guardian(guardian: address):
    """
    @notice Who may tighten. Owner (a timelock).
    """
    ownable._check_owner()
    self.guardian = guardian


@external
@view
def stress_dials() -> (uint256, uint256, uint256, uint256):
    """
    @return rho and psi of initial margin, rho and psi of maintenance margin; 32768 is 1
    """
    return self._dials()


@internal
@view
def _dials() -> (uint256, uint256, uint256, uint256):
    """
    @notice The dials at this second, from one slot; rho rounded up, psi down.
    @return rho_im, psi_im, rho_mm, psi_mm; ONE is 1
    """
    held: uint256 = unsafe_add(self._stresses(self.dial_word), ROUND_UP)
    return (
        (held >> 8) & M16,
        unsafe_sub(ONE, (held >> 32) & M16),
        (held >> 56) & M16,
        unsafe_sub(ONE, held >> 80),
    )


@internal
@view
def _stresses(word: uint256) -> uint256:
    """
    @return The stresses at this second, in the low 96 bits like `dial_word`'s
    """
    elapsed: uint256 = unsafe_sub(block.timestamp, (word >> 96) & M32)
    recovered: uint256 = unsafe_mul(elapsed, RECOVERY)
    glided: uint256 = unsafe_mul(elapsed, GLIDE)
    rho: uint256 = ((word >> 128) & M16) << FRACTION
    if word & M24 > unsafe_add(rho, recovered):
        rho = unsafe_sub(word & M24, recovered)
    psi: uint256 = ((word >> 144) & M16) << FRACTION
    if (word >> 24) & M24 > unsafe_add(psi, recovered):
        psi = unsafe_sub((word >> 24) & M24, recovered)
    # IM only falls between two writings: what glides up meets it and falls with it.
    return (
        rho
        | (psi << 24)
        | (min(rho, unsafe_add((word >> 48) & M24, glided)) << 48)
        | (min(psi, unsafe_add((word >> 72) & M24, glided)) << 72)
    )


@internal
@pure
def _target(calm: uint256, part: int256, scale: uint256, count: int256) -> uint256:
    """
    @notice calm + (1 - calm) * min(part / (scale * count), 1), in 2**-23, rounded up.
    @param calm In its low 16 bits
    @param part Log codes
    @param scale 1e-5 of log
    """
    rest: uint256 = (calm & M16) << FRACTION
    whole: uint256 = unsafe_mul(unsafe_mul(scale, convert(count, uint256)), CODES)
    reach: uint256 = unsafe_sub(ONE << FRACTION, rest)
    return unsafe_add(rest, rounding._div_up(unsafe_mul(reach, min(unsafe_mul(convert(part, uint256), SCALES), whole)), whole))


@internal
@view
def _followed() -> uint256:
    """
    @notice The references as of now: moved toward the codes last seen, unless that was
            done within FOLLOW_STEP. r' = (r T + c t) / (T + t): no faster than exp(-t / T).
    """
    references: uint256 = self.references
    elapsed: uint256 = unsafe_sub(block.timestamp, references >> 192)
    if elapsed < FOLLOW_STEP:
        return references
    seen: uint256 = self.seen
    moved: uint256 = block.timestamp << 192
    for place: uint256 in range(PLACES):
        offset: uint256 = unsafe_mul(24, place)
        reference: uint256 = (references >> offset) & M24
        if reference != 0:
            pull: uint256 = unsafe_mul((seen >> offset) & M24, elapsed)
            weight: uint256 = unsafe_add(FOLLOW_TIME, elapsed)
            moved |= unsafe_div(unsafe_add(unsafe_mul(reference, FOLLOW_TIME), pull), weight) << offset
    return moved


@internal
@view
def _mark(market: uint256) -> uint256:
    """
    @return The market's mark, 0 if it has none that is fresh
    """
    answered: bool = False
    answer: Bytes[64] = b""
    answered, answer = raw_call(
        MARKETS,
        abi_encode(market, method_id=method_id("quote(uint256)")),
        max_outsize=64,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not answered:
        return 0
    return extract32(answer, 32, output_type=uint256)


@internal
@pure
def _pack(settings: Settings) -> uint256:
    assert (
        max(settings.rho, settings.psi) <= ONE
        and min(settings.rho_scale, settings.psi_scale) > 0
        and max(settings.rho_scale, settings.psi_scale) <= M16
    ), "dials: setting out of range"
    return (
        (settings.rho << 160)
        | (unsafe_sub(ONE, settings.psi) << 176)
        | (settings.rho_scale << 224)
        | (settings.psi_scale << 240)
    )


@internal
def _settle(rules: uint256, rho: uint256, psi: uint256):
    """
    @notice Write the dials as of now under the settings in `rules`, IM at least `rho`, `psi`
            (stresses).
    """
    held: uint256 = self._stresses(self.dial_word)
    rest_rho: uint256 = max((rules >> 160) & M16, (rules >> 192) & M16)
    rest_psi: uint256 = max((rules >> 176) & M16, (rules >> 208) & M16)
    self.dial_word = (
        max(max(rho, rest_rho << FRACTION), held & M24)
        | (max(max(psi, rest_psi << FRACTION), (held >> 24) & M24) << 24)
        | (held & (M48 << 48))
        | (block.timestamp << 96)
        | (rest_rho << 128)
        | (rest_psi << 144)
        | ((rules >> 160) << 160)
    )
    now: (uint256, uint256, uint256, uint256) = self._dials()
    log DialsSet(rho_im=now[0], psi_im=now[1], rho_mm=now[2], psi_mm=now[3])
