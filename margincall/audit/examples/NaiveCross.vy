# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title NaiveCross
@license GNU Affero General Public License v3.0 only
@notice A small perp engine with cross margin only, for margincall's audit kit to chew on. IT HAS
        THREE BUGS, of the kinds that real engines had. Trades come from a matcher, prices from an
        oracle, both trusted. Not for use with money.
@dev money is the token's unit; size * price / SCALE is money. Entries are kept unrounded, in
     UNITs of money. A loss that neither an account nor insurance can bear is charged to the other
     side of its markets, by size: `charges` is a sum per lot, and part of every value and entry.
"""

from ethereum.ercs import IERC20

MARKETS: constant(uint256) = 2
SCALE: constant(int256) = 100
CHARGE_SCALE: constant(int256) = 10**12
UNIT: constant(int256) = SCALE * CHARGE_SCALE
PPM: constant(uint256) = 10**6
INITIAL: constant(uint256) = 100_000
MAINTENANCE: constant(uint256) = 50_000
PENALTY: constant(uint256) = 20_000
FEE: constant(uint256) = 500
BAND: constant(uint256) = 10_000
SHARES: constant(uint256) = 1_000
MAX_PRICE: constant(uint256) = 2**40
MAX_SIZE: constant(int256) = 10**13
MAX_CASH: constant(int256) = 10**16
LONG: constant(uint256) = 0
SHORT: constant(uint256) = 1


struct Position:
    size: int256
    entry: int256  # money * UNIT


TOKEN: immutable(IERC20)
MATCHER: immutable(address)
ORACLE: immutable(address)

cash: public(HashMap[address, int256])
positions: public(HashMap[address, Position[MARKETS]])
prices: public(uint256[MARKETS])
interest: public(uint256[MARKETS])  # lots held long, and as many short
insurance: public(uint256)
fees: public(uint256)
charges: public(uint256[2][MARKETS])  # UNITs of money per lot


@deploy
def __init__(token: address, matcher: address, oracle: address, prices: uint256[MARKETS]):
    TOKEN = IERC20(token)
    MATCHER = matcher
    ORACLE = oracle
    self.prices = prices


@external
def deposit(amount: uint256):
    """
    @notice Put `amount` of money into one's own account.
    """
    assert amount <= convert(MAX_CASH, uint256), "deposit: too much"
    assert self.cash[msg.sender] + convert(amount, int256) <= MAX_CASH, "deposit: too much"
    self.cash[msg.sender] += convert(amount, int256)
    assert extcall TOKEN.transferFrom(msg.sender, self, amount)


@external
def withdraw(amount: uint256):
    """
    @notice Take `amount` of money out, if that leaves initial margin.
    """
    assert amount <= self._withdrawable(msg.sender), "withdraw: too much"
    self.cash[msg.sender] -= convert(amount, int256)
    assert extcall TOKEN.transfer(msg.sender, amount)


@external
def trade(buyer: address, seller: address, market: uint256, size: uint256, price: uint256):
    assert msg.sender == MATCHER, "trade: not the matcher"
    assert buyer != seller, "trade: with oneself"
    assert size > 0 and size <= convert(MAX_SIZE, uint256), "trade: bad size"
    mark: uint256 = self.prices[market]
    assert price <= MAX_PRICE, "trade: off the band"
    gap: uint256 = price - mark if price > mark else mark - price
    assert gap * PPM <= mark * BAND, "trade: off the band"
    fee: uint256 = self._share_up(size, price, FEE)
    self._fill(buyer, market, convert(size, int256), price, fee)
    self._fill(seller, market, -convert(size, int256), price, fee)
    self.fees += 2 * fee


@external
def liquidate(victim: address, share: uint256):
    """
    @notice Take `share` thousandths of every leg of an account below maintenance margin over at
            the mark. All of it goes when its equity does not cover the penalty of all.
    """
    assert victim != msg.sender, "liquidate: own account"
    assert share > 0 and share <= SHARES, "liquidate: bad share"
    assert self._health(victim) < 0, "liquidate: healthy"
    equity: int256 = self._equity(victim)
    parts: uint256 = share
    if equity < convert(self._required(victim, PENALTY), int256):
        parts = SHARES
    if equity < 0:
        self._absorb(victim, convert(-equity, uint256))
    health: int256 = self._health(msg.sender)
    risk: uint256 = self._required(msg.sender, INITIAL)
    penalty: uint256 = 0
    for market: uint256 in range(MARKETS):
        size: int256 = self.positions[victim][market].size
        part: uint256 = (self._abs(size) * parts + SHARES - 1) // SHARES
        if part == 0:
            continue
        mark: uint256 = self.prices[market]
        taken: int256 = convert(part, int256) if size > 0 else -convert(part, int256)
        penalty += self._share_up(part, mark, PENALTY)
        self._post(victim, market, -taken, mark)
        self._post(msg.sender, market, taken, mark)
    paid: int256 = min(convert(penalty, int256), max(self._equity(victim), 0))
    self.cash[victim] -= paid
    self.cash[msg.sender] += paid // 2
    self.insurance += convert(paid - paid // 2, uint256)
    self._judge(msg.sender, risk, health)


@external
def set_price(market: uint256, price: uint256):
    assert msg.sender == ORACLE, "price: not the oracle"
    assert price > 0 and price <= MAX_PRICE, "price: out of range"
    self.prices[market] = price


@external
def fund_insurance(amount: uint256):
    self.insurance += amount
    assert extcall TOKEN.transferFrom(msg.sender, self, amount)


@external
@view
def margin(owner: address) -> (int256, uint256, uint256):
    """
    @return equity, rounded down; initial and maintenance margin, rounded up
    """
    return (
        self._equity(owner),
        self._required(owner, INITIAL),
        self._required(owner, MAINTENANCE),
    )


@internal
def _fill(owner: address, market: uint256, change: int256, price: uint256, fee: uint256):
    health: int256 = self._health(owner)
    risk: uint256 = self._required(owner, INITIAL)
    held: int256 = self.positions[owner][market].size
    self._post(owner, market, change, price)
    self.cash[owner] -= convert(fee, int256)
    size: int256 = self.positions[owner][market].size
    if size != 0 and (size > 0) != (held > 0):
        risk = 0  # turned over: risk was added
    self._judge(owner, risk, health)


@internal
def _post(owner: address, market: uint256, change: int256, price: uint256):
    """
    @dev Close first, then open with the rest.
    """
    position: Position = self.positions[owner][market]
    rest: int256 = change
    if position.size != 0 and (position.size > 0) != (change > 0):
        closed: int256 = -change if self._abs(change) < self._abs(position.size) else position.size
        whole: int256 = convert(self._abs(position.size), int256)
        released: int256 = self._ceil_div(position.entry * convert(self._abs(closed), int256), whole)
        worth: int256 = closed * self._adjusted(market, price, closed > 0)
        self.cash[owner] += (worth - released) // UNIT
        position.entry -= released
        position.size -= closed
        rest += closed
        if closed > 0:
            self.interest[market] -= convert(closed, uint256)
    if rest != 0:
        position.size += rest
        position.entry += rest * self._adjusted(market, price, rest > 0)
        if rest > 0:
            self.interest[market] += convert(rest, uint256)
    assert position.size <= MAX_SIZE and position.size >= -MAX_SIZE, "trade: too large"
    self.positions[owner][market] = position


@internal
def _absorb(victim: address, shortfall: uint256):
    """
    @dev Insurance bears the loss of an account.
    """
    if shortfall > self.insurance:
        return  # to be looked at by hand
    self.insurance -= shortfall
    self.cash[victim] += convert(shortfall, int256)


@internal
@view
def _judge(owner: address, risk: uint256, health: int256):
    """
    @dev The state that will persist: initial margin where risk was added, else no worse.
    """
    needed: uint256 = self._required(owner, INITIAL)
    equity: int256 = self._equity(owner)
    if needed > risk:
        assert equity >= convert(needed, int256), "margin: below initial"
    else:
        assert equity >= 0 and self._health(owner) >= min(health, 0), "margin: worse"


@internal
@view
def _adjusted(market: uint256, price: uint256, is_long: bool) -> int256:
    plain: int256 = convert(price, int256) * CHARGE_SCALE
    if is_long:
        return plain - convert(self.charges[market][LONG], int256)
    return plain + convert(self.charges[market][SHORT], int256)


@internal
@view
def _equity(owner: address) -> int256:
    equity: int256 = self.cash[owner]
    for market: uint256 in range(MARKETS):
        held: Position = self.positions[owner][market]
        worth: int256 = held.size * self._adjusted(market, self.prices[market], held.size > 0)
        equity += self._floor_div(worth - held.entry, UNIT)
    return equity


@internal
@view
def _required(owner: address, rate: uint256) -> uint256:
    """
    @return a rate (ppm) of the notional of every leg, rounded up
    """
    total: uint256 = 0
    for market: uint256 in range(MARKETS):
        total += self._share_up(self._abs(self.positions[owner][market].size), self.prices[market], rate)
    return total


@internal
@view
def _health(owner: address) -> int256:
    return self._equity(owner) - convert(self._required(owner, MAINTENANCE), int256)


@internal
@view
def _withdrawable(owner: address) -> uint256:
    free: int256 = self._equity(owner) - convert(self._required(owner, INITIAL), int256)
    return convert(max(free, 0), uint256)


@internal
@pure
def _share_up(size: uint256, price: uint256, rate: uint256) -> uint256:
    """
    @return ceil of a rate (ppm) of the notional, money
    """
    unit: uint256 = convert(SCALE, uint256) * PPM
    return (size * price * rate + unit - 1) // unit


@internal
@pure
def _abs(x: int256) -> uint256:
    return convert(abs(x), uint256)


@internal
@pure
def _floor_div(x: int256, y: int256) -> int256:
    quotient: int256 = x // y
    return quotient - 1 if x < 0 and quotient * y != x else quotient


@internal
@pure
def _ceil_div(x: int256, y: int256) -> int256:
    quotient: int256 = x // y
    return quotient + 1 if x > 0 and quotient * y != x else quotient
