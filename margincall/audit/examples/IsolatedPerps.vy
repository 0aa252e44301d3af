# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title IsolatedPerps
@license GNU Affero General Public License v3.0 only
@notice A small perp engine with isolated margin only, for margincall's audit kit to chew on: a
        vault per trader and market. Trades come from a matcher, prices from an oracle, both
        trusted. Not for use with money.
@dev money is the token's unit; size * price / SCALE is money. Entries are kept unrounded, in
     UNITs of money. A loss that neither a vault nor insurance can bear is charged to the other
     side of its market, by size: `charges` is a sum per lot, and part of every value and entry.
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


struct Vault:
    cash: int256  # money
    size: int256
    entry: int256  # money * UNIT


TOKEN: immutable(IERC20)
MATCHER: immutable(address)
ORACLE: immutable(address)

vaults: public(HashMap[address, Vault[MARKETS]])
prices: public(uint256[MARKETS])
interest: public(uint256[MARKETS])  # lots held long, and as many short
insurance: public(uint256[MARKETS])
fees: public(uint256)
charges: public(uint256[2][MARKETS])  # UNITs of money per lot


@deploy
def __init__(token: address, matcher: address, oracle: address, prices: uint256[MARKETS]):
    TOKEN = IERC20(token)
    MATCHER = matcher
    ORACLE = oracle
    self.prices = prices


@external
def deposit(market: uint256, amount: uint256):
    """
    @notice Put `amount` of money into one's own vault.
    """
    assert amount <= convert(MAX_CASH, uint256), "deposit: too much"
    cash: int256 = self.vaults[msg.sender][market].cash + convert(amount, int256)
    assert cash <= MAX_CASH, "deposit: too much"
    self.vaults[msg.sender][market].cash = cash
    assert extcall TOKEN.transferFrom(msg.sender, self, amount)


@external
def withdraw(market: uint256, amount: uint256):
    """
    @notice Take `amount` of money out: at most the cash, and what leaves initial margin.
    """
    assert amount <= self._withdrawable(msg.sender, market), "withdraw: too much"
    self.vaults[msg.sender][market].cash -= convert(amount, int256)
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
def liquidate(victim: address, market: uint256, share: uint256):
    """
    @notice Take `share` thousandths of a position below maintenance margin over at the mark. All
            of it goes when its equity does not cover the penalty of all.
    """
    assert victim != msg.sender, "liquidate: own vault"
    assert share > 0 and share <= SHARES, "liquidate: bad share"
    health: int256 = self._health(victim, market)
    assert health < 0, "liquidate: healthy"
    size: int256 = self.vaults[victim][market].size
    mark: uint256 = self.prices[market]
    equity: int256 = self._equity(victim, market)
    part: uint256 = (self._abs(size) * share + SHARES - 1) // SHARES
    if equity < convert(self._share_up(self._abs(size), mark, PENALTY), int256):
        part = self._abs(size)
    penalty: int256 = min(convert(self._share_up(part, mark, PENALTY), int256), max(equity, 0))
    if equity < 0:
        self._absorb(market, size, convert(-equity, uint256))
        self.vaults[victim][market].cash -= equity
    taken: int256 = convert(part, int256) if size > 0 else -convert(part, int256)
    before: int256 = self.vaults[msg.sender][market].size
    health = self._health(msg.sender, market)
    self._post(victim, market, -taken, mark)
    self._post(msg.sender, market, taken, mark)
    self.vaults[victim][market].cash -= penalty
    self.vaults[msg.sender][market].cash += penalty // 2
    self.insurance[market] += convert(penalty - penalty // 2, uint256)
    self._judge(msg.sender, market, before, health)


@external
def set_price(market: uint256, price: uint256):
    assert msg.sender == ORACLE, "price: not the oracle"
    assert price > 0 and price <= MAX_PRICE, "price: out of range"
    self.prices[market] = price


@external
def fund_insurance(market: uint256, amount: uint256):
    self.insurance[market] += amount
    assert extcall TOKEN.transferFrom(msg.sender, self, amount)


@external
@view
def margin(owner: address, market: uint256) -> (int256, uint256, uint256):
    """
    @return equity, rounded down; initial and maintenance margin, rounded up
    """
    size: uint256 = self._abs(self.vaults[owner][market].size)
    mark: uint256 = self.prices[market]
    return (
        self._equity(owner, market),
        self._share_up(size, mark, INITIAL),
        self._share_up(size, mark, MAINTENANCE),
    )


@external
@view
def withdrawable(owner: address, market: uint256) -> uint256:
    return self._withdrawable(owner, market)


@internal
def _fill(owner: address, market: uint256, change: int256, price: uint256, fee: uint256):
    before: int256 = self.vaults[owner][market].size
    health: int256 = self._health(owner, market)
    self._post(owner, market, change, price)
    self.vaults[owner][market].cash -= convert(fee, int256)
    self._judge(owner, market, before, health)


@internal
def _post(owner: address, market: uint256, change: int256, price: uint256):
    """
    @dev Close first, then open with the rest. A closed part's entry is rounded up and its gain
         down: cut into pieces it never pays more.
    """
    vault: Vault = self.vaults[owner][market]
    rest: int256 = change
    if vault.size != 0 and (vault.size > 0) != (change > 0):
        closed: int256 = -change if self._abs(change) < self._abs(vault.size) else vault.size
        released: int256 = self._ceil_div(vault.entry * convert(self._abs(closed), int256), convert(self._abs(vault.size), int256))
        worth: int256 = closed * self._adjusted(market, price, closed > 0)
        vault.cash += self._floor_div(worth - released, UNIT)
        vault.entry -= released
        vault.size -= closed
        rest += closed
        if closed > 0:
            self.interest[market] -= convert(closed, uint256)
    if rest != 0:
        vault.size += rest
        vault.entry += rest * self._adjusted(market, price, rest > 0)
        if rest > 0:
            self.interest[market] += convert(rest, uint256)
    assert vault.size <= MAX_SIZE and vault.size >= -MAX_SIZE, "trade: too large"
    self.vaults[owner][market] = vault


@internal
def _absorb(market: uint256, size: int256, shortfall: uint256):
    """
    @dev Insurance pays what it has; the other side's holders the rest, rounded up.
    """
    paid: uint256 = min(shortfall, self.insurance[market])
    self.insurance[market] -= paid
    if paid < shortfall:
        lots: uint256 = self.interest[market]
        side: uint256 = SHORT if size > 0 else LONG
        self.charges[market][side] += ((shortfall - paid) * convert(UNIT, uint256) + lots - 1) // lots


@internal
@view
def _judge(owner: address, market: uint256, before: int256, health: int256):
    """
    @dev The state that will persist: initial margin where risk was added, else no worse.
    """
    size: int256 = self.vaults[owner][market].size
    equity: int256 = self._equity(owner, market)
    if self._abs(size) > self._abs(before) or (size > 0) != (before > 0) and size != 0:
        needed: uint256 = self._share_up(self._abs(size), self.prices[market], INITIAL)
        assert equity >= convert(needed, int256), "margin: below initial"
    else:
        assert equity >= 0 and self._health(owner, market) >= min(health, 0), "margin: worse"


@internal
@view
def _adjusted(market: uint256, price: uint256, is_long: bool) -> int256:
    plain: int256 = convert(price, int256) * CHARGE_SCALE
    if is_long:
        return plain - convert(self.charges[market][LONG], int256)
    return plain + convert(self.charges[market][SHORT], int256)


@internal
@view
def _equity(owner: address, market: uint256) -> int256:
    vault: Vault = self.vaults[owner][market]
    if vault.size == 0:
        return vault.cash
    worth: int256 = vault.size * self._adjusted(market, self.prices[market], vault.size > 0)
    return vault.cash + self._floor_div(worth - vault.entry, UNIT)


@internal
@view
def _health(owner: address, market: uint256) -> int256:
    size: uint256 = self._abs(self.vaults[owner][market].size)
    return self._equity(owner, market) - convert(self._share_up(size, self.prices[market], MAINTENANCE), int256)


@internal
@view
def _withdrawable(owner: address, market: uint256) -> uint256:
    vault: Vault = self.vaults[owner][market]
    needed: uint256 = self._share_up(self._abs(vault.size), self.prices[market], INITIAL)
    free: int256 = self._equity(owner, market) - convert(needed, int256)
    return convert(max(min(vault.cash, free), 0), uint256)


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
