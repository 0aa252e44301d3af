"""Views of what an account can still do: liquidation price, largest trade, withdrawable money."""

from margincall.model.arithmetic import (
    INDEX_PER_PRICE,
    INDEX_SCALE,
    MAX_PRICE,
    MAX_SIZE,
    PPM,
    RATE_SCALE,
    Refused,
    ceil_div,
)
from margincall.model.ledger import State, find, post
from margincall.model.margin import check_reduced, maintenance_up, margin

# Money units by which rounding (two terms, and a deduction per tier) can move E - MM against its exact value.
_SLACK = 8


def liquidation_price(state: State, now: int, account: int, market: int) -> int | None:
    """The price (price units) at which the account can be liquidated, all other prices, funding and
    charges as they are `now`: for a long the greatest price with E < MM, for a short the smallest, by
    the exact integers of the margin rule, whether or not it is already behind the mark. None when no
    price from 1 to 2**40 - 1 does it, or the account has no position in `market`.

    Counts the other positions' equity and requirement. Source: VENUES, "Isolated and cross".
    Raises Refused when a price is missing or stale.
    """
    positions = state.positions.get(account, ())
    lane = find(positions, market)
    if lane < 0:
        return None
    rest = positions[:lane] + positions[lane + 1 :]
    equity, _, maintenance, _ = margin(state.cash.get(account, 0), rest, state.markets, now, state.max_age)
    known = state.markets[market]
    mark, longs, shorts, _ = known.quote(now, state.max_age)
    _, size, entry = positions[lane]
    offset = (longs if size > 0 else shorts) - mark * INDEX_PER_PRICE
    backing = equity - maintenance - entry

    def health(price: int) -> int:
        value = size * (price * INDEX_PER_PRICE + offset) // INDEX_SCALE
        return value + backing - maintenance_up(known, abs(size) * price)

    return _long_boundary(health, size, offset) if size > 0 else _short_boundary(health)


def _short_boundary(health) -> int | None:
    """Smallest price with health < 0; both roundings move one way, so health only falls."""
    if health(MAX_PRICE) >= 0:
        return None
    low, high = 0, MAX_PRICE
    while high - low > 1:
        middle = (low + high) // 2
        if health(middle) < 0:
            high = middle
        else:
            low = middle
    return high


def _long_boundary(health, size: int, offset: int) -> int | None:
    """Greatest price with health < 0. Rounding makes health dip by a unit on its way up, so: bisect to
    a price above which it is surely positive, then walk down over the steps of the value.
    """
    price = MAX_PRICE
    if health(price) >= 2 * _SLACK:
        low = 0
        while price - low > 1:
            middle = (low + price) // 2
            if health(middle) >= 2 * _SLACK:
                price = middle
            else:
                low = middle
    while price >= 1 and health(price) >= 0:
        value = size * (price * INDEX_PER_PRICE + offset) // INDEX_SCALE
        # The greatest price with a smaller value: size * (100 p + offset) < value * 1e10.
        price = (ceil_div(value * INDEX_SCALE, size) - 1 - offset) // INDEX_PER_PRICE
    return price if price >= 1 else None


def max_trade_size(
    state: State, now: int, account: int, market: int, buy: bool, price: int, fee: int, margin_in: int = 0
) -> int:
    """Largest number of lots that `account` can buy (or sell) at `price` (price units) under the margin
    rule of a trade, after a fee of `fee` ppm and with `margin_in` money moved in before: initial margin
    when risk rises, the rule of a reduction when it does not, no loss beyond the cash when nothing is left.
    That many lots pass and one more does not. Entries are rounded as for the taker.

    Bounds other than margin (open interest, least notional, number of positions) are not considered.
    Raises Refused when a price is missing or stale.
    """
    known = state.markets[market]
    cash, positions = state.cash.get(account, 0) + margin_in, state.positions.get(account, ())
    now_margin = margin(cash - margin_in, positions, state.markets, now, state.max_age)
    funding = known.quote(now, state.max_age)[3]
    sign = 1 if buy else -1

    def fits(lots: int) -> bool:
        if lots > MAX_SIZE:
            return False
        change = sign * lots
        amount = -(-change * (price * INDEX_PER_PRICE - funding) // INDEX_SCALE)
        try:
            after, held, size, realised, _ = post(
                positions, market, change, amount, known.social_long, known.social_short
            )
        except Refused:
            return False
        left = cash + realised - ceil_div(lots * price * fee, RATE_SCALE)
        if not after:
            return left >= 0
        equity, initial, maintenance, _ = margin(left, after, state.markets, now, state.max_age)
        if equity >= initial:
            return True
        risk_up = abs(size) > abs(held) or size * held < 0
        if risk_up:
            return False
        try:
            check_reduced(now_margin, equity, maintenance)
        except Refused:
            return False
        return True

    low, high = 0, 1
    held = state.size(account, market)
    if held * sign < 0:
        if fits(abs(held)):
            low, high = abs(held), abs(held) + 1
        else:
            high = abs(held)
    while fits(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low


def withdrawable(state: State, now: int, account: int) -> int:
    """Money that can leave the account: min(cash, E - max(IM, ceil(N * transfer_rate / 1e6))), at least 0.

    For a vault: what can go back to its root account. Raises Refused when a price is missing or stale.
    """
    cash = state.cash.get(account, 0)
    if state.is_flat(account):
        return max(cash, 0)
    equity, initial, _, notional = state.margin(account, now)
    return max(0, min(cash, equity - max(initial, ceil_div(notional * state.transfer_rate, PPM))))
