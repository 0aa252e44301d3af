# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title scenarios
@license GNU Affero General Public License v3.0 only
@notice The requirement of the portfolio rule, from what every underlying is worth in each of
        24 scenarios: log moves of the price in steps of 5 %; vol up and down at -4 .. +3
        steps, vol unmoved at -8, -6 .. +6. A scenario beyond an underlying's range counts
        with weight range / |move|. Loss of underlying u in scenario j: x_u(j), weighted; its
        worst: L_u.
        R = psi * max_j [rho * sum x_u(j) + (1 - rho) * max x_u(j)+]+
            + (1 - psi) * (rho * sum L_u + (1 - rho) * max L_u)
        Beside R stands what the curves may be wrong by, E_u at the mark: equity's value may be too
        high by that. A scenario's value may be too high by E_u at its price, so x_u(j) is the
        weighted loss from V - E_u to V(j) - E_u * move: whatever weights and dials are, R + sum E_u is
        no less than the exact R and what equity is too high by. In E_u is the value at the mark of
        longs that no scenario sees (margin/portfolio.vy): V and V(j) are without it; beside it, the
        range of what hedges now and settles at an average.
"""

from ..interfaces import IPortfolio
from ..ledger import lanes
from ..math import rounding
from ..math import units

CONTRACT: constant(int256) = 10_000  # instrument.CONTRACT
ONE: constant(uint256) = 32_768  # of the dials
INITIAL: constant(uint256) = 48  # place of its weights in the terms

# The grid's exact moves round(exp(0.05 * d) * 2**32), four a word from the low bits:
# d = +3, +1, -1, -3 | +2, 0, -2, -4 | +6, +2, -2, -6 | +4, 0, -4, -8
MOVES_ODD: constant(uint256) = 23204641139456826007106418091385490962435974866455185225679928948748
MOVES_EVEN: constant(uint256) = 22072937439625471287395369790591966926069245953846948815721139567414
MOVES_WIDE: constant(uint256) = 19972419718949039050487920712034601626818693003971598842373155608777
MOVES_FAR: constant(uint256) = 18071792693702497815037538110246296307422799119339272304179532388838

W64: constant(uint256) = 2**64 - 1
HALF: constant(int256) = 2**63  # bias of an accumulator's lane
HALF_LOTS: constant(int256) = 2**63 * 10_000
RISK_SCALE: constant(uint256) = 10**8 * 2**8  # weighted losses times two dials -> money
VALUE_SCALE: constant(uint256) = 2**28 * 10**8  # 2**-28 lots * price -> money
LEAST_SCALE: constant(uint256) = 2 * 10**12  # lots * price * 1e-4 * halves -> money


@internal
@pure
def _lots(lane: uint256, rest: int256) -> int256:
    """
    @return Value of a scenario in units of the moved price, 2**-28 lots
    """
    return unsafe_add(
        unsafe_mul(unsafe_sub(convert(lane & W64, int256), HALF), CONTRACT), rest
    )


@internal
@pure
def _settling(lots: uint256, price: uint256, terms: uint256) -> uint256:
    """
    @return What a move over the whole range makes of lots that do not follow it, 2**-28 lots * price
    @param terms Weights of one kind from the low bits: that of eight steps tells the range
    """
    return rounding._div_up(lots * price * (((terms >> 40) & 255) + 1), 640)


@internal
@pure
def _requirement(n: IPortfolio.Nets, kind: uint256, rho: uint256, psi: uint256) -> uint256:
    """
    @notice R of the title, at least the least of what is held, and E; money, rounded up.
    @param kind 0 maintenance, 48 initial: where its weights start in the terms
    @dev A scenario's loss is (base - ((lane - HALF) * CONTRACT + rest) * move) * price, here
         with all factors that do not change taken out, in two's complement (signed
         conversions cost a check each); in 2**30 / 10**8 money, rounded up.
    """
    least: uint256 = 0
    error: uint256 = 0  # 2**-28 lots * price
    halves: uint256 = 3 if kind == INITIAL else 2  # initial margin asks for half as much again
    total: uint256 = 0
    top: uint256 = 0
    several: bool = n.count > 1
    # By row: sums over the underlyings of four scenarios, then the largest of each.
    joined: int256[8][6] = empty(int256[8][6])
    for u: uint256 in range(n.count, bound=8):
        sums: uint256[6] = n.sums[u]
        price: uint256 = n.price[u]
        t: uint256 = n.terms[u]
        least = unsafe_add(
            least,
            rounding._div_up(unsafe_mul(unsafe_mul(unsafe_mul(t >> 112, n.held[u]), price), halves), LEAST_SCALE),
        )
        now: int256 = unsafe_add(
            unsafe_mul(convert((sums[5] >> 64) & W64, int256), CONTRACT), unsafe_sub(n.rest[u], HALF_LOTS)
        )
        error = unsafe_add(error, unsafe_mul(convert(convert(unsafe_sub(n.base[u], now), bytes32), uint256), price))
        rest: uint256 = unsafe_mul(convert(convert(unsafe_sub(n.rest[u], HALF_LOTS), bytes32), uint256), price)
        base: uint256 = unsafe_add(
            unsafe_mul(convert(convert(now, bytes32), uint256), unsafe_mul(price, 2**32)), 2**90 - 1
        )
        price = unsafe_mul(price, 10_000)  # CONTRACT
        t = t >> kind
        if n.settling[u] != 0:
            error = unsafe_add(error, self._settling(n.settling[u], n.price[u], t))
        w1: int256 = convert(convert(unsafe_add(t & 255, 1), bytes32), int256)
        w2: int256 = convert(convert(unsafe_add((t >> 8) & 255, 1), bytes32), int256)
        w3: int256 = convert(convert(unsafe_add((t >> 16) & 255, 1), bytes32), int256)
        w4: int256 = convert(convert(unsafe_add((t >> 24) & 255, 1), bytes32), int256)
        worst: int256 = 0
        for a: uint256 in range(6):
            lane: uint256 = sums[a]
            # +3, +1, -1, -3 steps of vol down and vol up
            moves: uint256 = MOVES_ODD
            wa: int256 = w3
            wb: int256 = w1
            wc: int256 = w1
            wd: int256 = w3
            if a & 1 == 1:
                # +2, 0, -2, -4 of them; +4, 0, -4, -8 of the mark vol
                moves = MOVES_EVEN
                wa = w2
                wb = 256
                wc = w2
                wd = w4
                if a == 5:
                    moves = MOVES_FAR
                    wa = w4
                    wc = w4
                    wd = convert(unsafe_add((t >> 40) & 255, 1), int256)
            elif a == 4:
                # +6, +2, -2, -6 of the mark vol
                moves = MOVES_WIDE
                wa = convert(unsafe_add((t >> 32) & 255, 1), int256)
                wb = w2
                wc = w2
                wd = wa
            la: int256 = unsafe_mul(
                convert(
                    convert(
                        unsafe_sub(
                            base, unsafe_mul(unsafe_add(unsafe_mul(lane & W64, price), rest), moves & W64)
                        ),
                        bytes32,
                    ),
                    int256,
                )
                >> 90,
                wa,
            )
            lb: int256 = unsafe_mul(
                convert(
                    convert(
                        unsafe_sub(
                            base, unsafe_mul(unsafe_add(unsafe_mul((lane >> 64) & W64, price), rest), (moves >> 64) & W64)
                        ),
                        bytes32,
                    ),
                    int256,
                )
                >> 90,
                wb,
            )
            lc: int256 = unsafe_mul(
                convert(
                    convert(
                        unsafe_sub(
                            base, unsafe_mul(unsafe_add(unsafe_mul((lane >> 128) & W64, price), rest), (moves >> 128) & W64)
                        ),
                        bytes32,
                    ),
                    int256,
                )
                >> 90,
                wc,
            )
            ld: int256 = unsafe_mul(
                convert(
                    convert(
                        unsafe_sub(
                            base, unsafe_mul(unsafe_add(unsafe_mul(lane >> 192, price), rest), moves >> 192)
                        ),
                        bytes32,
                    ),
                    int256,
                )
                >> 90,
                wd,
            )
            if la > worst:
                worst = la
            if lb > worst:
                worst = lb
            if lc > worst:
                worst = lc
            if ld > worst:
                worst = ld
            if several:
                row: int256[8] = joined[a]
                row[0] = unsafe_add(row[0], la)
                row[1] = unsafe_add(row[1], lb)
                row[2] = unsafe_add(row[2], lc)
                row[3] = unsafe_add(row[3], ld)
                if la > row[4]:
                    row[4] = la
                if lb > row[5]:
                    row[5] = lb
                if lc > row[6]:
                    row[6] = lc
                if ld > row[7]:
                    row[7] = ld
                joined[a] = row
        total = unsafe_add(total, convert(convert(worst, bytes32), uint256))
        top = max(top, convert(convert(worst, bytes32), uint256))
    apart: uint256 = unsafe_add(unsafe_mul(rho, total), unsafe_mul(unsafe_sub(ONE, rho), top))
    joint: int256 = 0
    if several and psi != 0:
        r: int256 = convert(rho, int256)
        s: int256 = convert(unsafe_sub(ONE, rho), int256)
        for a: uint256 in range(6):
            row: int256[8] = joined[a]
            joint = max(
                joint,
                max(
                    max(
                        unsafe_add(unsafe_mul(r, row[0]), unsafe_mul(s, row[4])),
                        unsafe_add(unsafe_mul(r, row[1]), unsafe_mul(s, row[5])),
                    ),
                    max(
                        unsafe_add(unsafe_mul(r, row[2]), unsafe_mul(s, row[6])),
                        unsafe_add(unsafe_mul(r, row[3]), unsafe_mul(s, row[7])),
                    ),
                ),
            )
    required: uint256 = rounding._div_up(
        unsafe_add(unsafe_mul(psi, lanes._bits(joint)), unsafe_mul(unsafe_sub(ONE, psi), apart)), RISK_SCALE
    )
    return unsafe_add(max(required, least), rounding._div_up(error, VALUE_SCALE))
