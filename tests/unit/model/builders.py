"""Protocols to test with: two or three markets, funded accounts, no rounding in the set-up."""

from margincall.model import Rules, State, Terms, Tier, accounts, deposit, fund_insurance, money

NOW = 1_700_000_000
PRICE = 50_000_000  # price units; a lot is worth half a unit of money
TIERS = (
    Tier(0, 50_000, 25_000),
    Tier(money(100_000), 100_000, 50_000),
    Tier(money(1_000_000), 300_000, 150_000),
)
RULES = Rules(step=10_000, interval=1)


def terms(**changes):
    values = {
        "maker_fee": 200,
        "taker_fee": 500,
        "penalty": 10_000,
        "band": 50_000,
        "min_notional": money(10),
    }
    return Terms(**{"tiers": TIERS, **values, **changes})


def protocol(markets=2, owners=4, cash=100_000, insurance=100_000, **changes):
    """A State with prices, deposits and insurance; (state, root accounts, tokens paid in)."""
    state = State(scale=1)
    for market in range(1, markets + 1):
        state.set_market(market, RULES, terms(**changes))
        state.update(market, PRICE, PRICE, NOW, NOW)
    roots = [accounts.root(0x1000 + owner) for owner in range(owners)]
    tokens = 0
    for account in roots:
        tokens += deposit(state, account, money(cash))
    for pool in range(markets + 1):
        tokens += fund_insurance(state, pool, money(insurance))
    return state, roots, tokens


def move(state, market, price, now):
    """Set a price without the step rule, for jumps outside the envelope."""
    known = state.markets[market]
    known.funding, known.accrued_at = known.funding_now(now), now
    known.mark, known.published = price, now
    known.forget_quote()


def image(state):
    """Everything stored, comparable."""
    return state.snapshot()
