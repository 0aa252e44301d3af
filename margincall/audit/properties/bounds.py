"""I-14 at the ends of what may be asked: constructors, calls of users and doors with amounts that nobody has,
orders at the last unit of their terms. Draws nothing, so that the history stays the one it was."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from margincall.audit.machine import Machine
from margincall.audit.operations import options, prices
from margincall.audit.properties import asking, brinks, probe
from margincall.audit.properties.asking import Asked, reason_of
from margincall.audit.world import MARKETS
from margincall.chain.embedded import ZERO as NOBODY
from margincall.model import accounts
from margincall.model.arithmetic import MAX_MARKET, MAX_PRICE, NOTIONAL_SCALE, PPM, RATE_SCALE
from margincall.model.margin import initial_up, maintenance_up
from margincall.model.markets import Tier, check_cover, check_ramp, check_terms
from margincall.model.slices import QUANTA
from margincall.protocol.deploy import LIQUIDATION_DOOR, SOURCE_DOOR, TRADE_DOOR, fees_tuple
from margincall.protocol.orders import Report

MAX_MONEY_MOVED = 2**96  # exclusive
STAKE = 10**9
"""Money enough for the smallest position."""


def i_14_bounds(machine: Machine, draw) -> None:
    """constructors, users, doors, orders are refused at their bounds by name, one unit inside they are not"""
    _constructors(machine)
    with probe.undone(machine, "I-14"):
        probe.open_doors(machine)
        probe.quiet_prices(machine)
        asking.ask(machine, [*_of_users(machine), *_of_doors(machine), *_of_rates(machine)])
        _filled(machine)
        _reports(machine)
        _orders(machine)
        _rights(machine)
        if machine.setting.options:
            _debt(machine)
    for part in (brinks.interest, brinks.brinks):
        probe.apart(machine, "I-14", part)
    for market, known in machine.twin.markets.items():
        for least in (known.terms.min_notional | 1, known.mark):
            probe.apart(machine, "I-14", _large_fees, market, least)
        probe.apart(machine, "I-14", _remainders, market)


def _constructors(machine: Machine) -> None:
    protocol, chain = machine.protocol, machine.chain
    house, markets, book = (one.address for one in (protocol.clearinghouse, protocol.markets, protocol.book))
    engine, token, access = (one.address for one in (protocol.portfolio, protocol.token, protocol.access))
    pricing, dials = protocol.contracts["Pricing"].address, tuple(machine.setting.spec.dials)
    signer = protocol.signers[0].address
    asked = (
        ("Access", (PPM, PPM), ""),
        ("Access", (PPM + 1, 0), "access: insurance share"),
        ("Access", (0, PPM + 1), "access: transfer rate"),
        ("Markets", (3_600,), ""),
        ("Markets", (3_601,), "markets: max age out of bounds"),
        ("Markets", (0,), "markets: max age out of bounds"),
        *(("Clearinghouse", (token, n, access, markets, markets, book), "") for n in (6, 18)),
        *(
            ("Clearinghouse", (token, n, access, markets, markets, book), "clearing: token decimals")
            for n in (5, 19)
        ),
        ("Clearinghouse", (token, 6, access, markets, NOBODY, book), "access: bad engine"),
        ("Liquidation", (house, markets, PPM, 0), ""),
        ("Liquidation", (house, markets, PPM + 1, 0), "liquidation: share"),
        ("StandardMargin", (NOBODY, book, engine), "standard: bad address"),
        ("StandardMargin", (markets, NOBODY, engine), "standard: bad address"),
        ("StandardMargin", (markets, book, NOBODY), "standard: bad address"),
        ("PortfolioMargin", (NOBODY, book, pricing, dials), "dials: bad markets"),
        ("PortfolioMargin", (markets, book, NOBODY, dials), "curve: bad pricing"),
        ("Expiry", (house, NOBODY), "expiry: bad markets"),
        ("Collateral", (NOBODY,), "collateral: bad clearinghouse"),
        ("SignedFeed", ([signer], 2), "feed: quorum bound"),
        ("SignedFeed", ([signer], 0), "feed: quorum bound"),
        ("SignedFeed", ([signer, signer], 1), "feed: signer unchanged"),
    )
    for name, arguments, refused in asked:
        made = protocol.contracts[name].artifact
        seen = asking.refusal(machine, chain.deploy, made, *arguments, sender=chain.accounts[0])
        machine.need("I-14", seen == refused, lambda n=name, a=arguments, s=seen, r=refused: (n, a, s, r))


def _of_users(machine: Machine) -> Iterator[Asked]:
    """What an owner with a key asks of his root account."""
    world, protocol, house = machine.world, machine.protocol, machine.world.house
    root = next(one for one in world.roots[1:] if world.owner(one).kind == "key")
    owner, vault = world.owner(root).address, accounts.vault(root, 1, 7)
    asked = [
        (house, ("withdraw", root, MAX_MONEY_MOVED * world.scale, owner), "withdraw: bad amount"),
        (house, ("withdraw", root, 0, owner), "withdraw: zero amount"),
        (house, ("withdraw", root, 1, NOBODY), "withdraw: bad receiver"),
        (house, ("close_account", root, house.address), "withdraw: bad receiver"),
        (house, ("deposit", vault, 1), "deposit: not a root account"),
        (house, ("deposit", 0, 1), "deposit: not a root account"),
    ]
    for amount in (0, MAX_MONEY_MOVED):
        asked.append((protocol.modes, ("move_margin", root, vault, amount), "margin: bad amount"))
    for quanta in (0, QUANTA + 1):
        call = ("liquidate", world.roots[0], root, quanta)
        asked.append((protocol.liquidation, call, "liquidation: bad quanta"))
    for place in ((0, 0, 0), (2**32, 0, 0), (1, 2**32, 0), (1, 0, MAX_MONEY_MOVED)):
        asked.append((protocol.modes, ("switch_to_isolated", root, *place), "switch: bad vault"))
    for call in (("switch_to_isolated", vault, 1, 7, 0), ("switch_mode", vault, accounts.PORTFOLIO)):
        asked.append((protocol.modes, call, "switch: not a root account"))
    if machine.setting.options:
        spot = protocol.collateral
        most = (2**55 - 1) * machine.world.series.collateral.listings[1].scale
        for receiver in (NOBODY, spot.address):
            asked.append((spot, ("withdraw", root, 1, 1, receiver), "collateral: bad receiver"))
        for amount in (0, most + 1):
            asked.append((spot, ("withdraw", root, 1, amount, owner), "collateral: bad amount"))
        asked.append((spot, ("withdraw", root, 1, most, owner), "book: spot below zero"))
    for target, call, refused in asked:
        yield Asked(target, call, refused, sender=owner)


def _of_doors(machine: Machine) -> Iterator[Asked]:
    """Of doors that the owner let in: what the clearinghouse takes from none of them."""
    world, house, access = machine.world, machine.world.house, machine.protocol.access
    door = world.owner(world.newcomers[2]).address
    root, other = world.roots[:2]
    vault = accounts.vault(root, 1)
    move, trade = "clearing: other account", (1, root, root, 10**6, 1, 0, 0, 0, 0, 0)
    asked = [
        (TRADE_DOOR, ("move_cash", root, other, 1), move),
        (TRADE_DOOR, ("move_cash", root, root, 1), move),
        (TRADE_DOOR, ("move_cash", root, vault, MAX_MONEY_MOVED), "clearing: bad cash"),
        (TRADE_DOOR, ("trade", trade), "clearing: bad trade"),
        (TRADE_DOOR, ("trade_book", (root, root, [], 1, 0, 0, 0)), "clearing: bad trade"),
        (TRADE_DOOR, ("set_mode", root, 1), "switch: no such mode"),
        (TRADE_DOOR, ("set_mode", root, 3), "switch: no such mode"),
        (TRADE_DOOR, ("set_mode", vault, 2), "switch: not a root account"),
        (LIQUIDATION_DOOR, ("move_cash", root, vault, 1), "clearing: not a trade door"),
        (SOURCE_DOOR, ("trade", trade), "clearing: not a trade door"),
        (TRADE_DOOR, ("post_book", root, [], False, 1, 0), "clearing: not a source door"),
        (LIQUIDATION_DOOR, ("post_book", root, [], False, 1, 0), "clearing: not a source door"),
        (TRADE_DOOR, ("take_over", root, other, [], 0, 1, [], []), "clearing: not a liquidation door"),
        (SOURCE_DOOR, ("take_over", root, other, [], 0, 1, [], []), "clearing: not a liquidation door"),
    ]
    for kind, call, refused in asked:
        let_in = ((access, ("set_door", door, kind)),)
        yield Asked(house, call, refused, sender=door, before=let_in)
    if machine.setting.options:  # the smallest amount there is
        header, words = house.call("account", root)
        call, let_in = ("post_book", root, [], False, 1, 0), ((access, ("set_door", door, SOURCE_DOOR)),)
        yield Asked(house, call, "", (("account", root), (header + 1, words)), door, let_in)


def _of_rates(machine: Machine) -> Iterator[Asked]:
    """Odd rates, and even ones after them."""
    access = machine.protocol.access
    odd, even = ("set_rates", 3, 5), ("set_rates", 2, 4)
    for call, before in ((odd, ()), (even, ((access, odd),))):
        for view, value in (("insurance_share", call[1]), ("transfer_rate", call[2])):
            yield Asked(access, call, "", ((view,), value), before=before)


def _filled(machine: Machine) -> None:
    """What is left of orders, four of which share a word."""
    call = machine.protocol.exchange.call
    for (account, salt), lots in list(machine.book.filled.items())[-12:]:
        seen = call("filled", account, salt)
        machine.need("I-14", seen == lots, lambda a=account, n=salt, s=seen, w=lots: (hex(a), n, s, w))


def _reports(machine: Machine) -> None:
    """The greatest price that can be told, one more, none; ids that no market has."""
    feed, now = machine.protocol.feed, machine.chain.timestamp
    machine.do(prices.report(machine, {1: MAX_PRICE}, 1))
    id, bound, most = "feed: market id", "feed: price bound", MAX_PRICE
    for market, mark, index, wanted in (
        (0, 1, 1, id),
        (MAX_MARKET + 1, 1, 1, id),
        (MAX_MARKET, 1, 1, ""),
        (1, most, most, ""),
        (1, most + 1, 1, bound),
        (1, 1, most + 1, bound),
        (1, 0, 1, "feed: zero price"),
        (1, 1, 0, "feed: zero price"),
    ):
        payload = machine.world.payload([Report(market, mark, index, now)])
        seen = asking.answer(feed.call, "fetch", payload)
        seen = seen if isinstance(seen, str) else ""
        machine.need("I-14", seen == wanted, lambda m=market, s=seen, w=wanted: (m, s, w))


def _large_fees(machine: Machine, market: int, least: int) -> bool:
    """Trades under odd fees of more than 15 bits, the larger the maker's, at the band's ends and beyond; and
    the smallest notional, `least`, where that is the mark."""
    known, fee = machine.twin.markets[market], 33_001
    apart, tiers = fee + known.terms.penalty, []
    for tier in known.terms.tiers:
        mmf = max(tier.mmf, fee + 1)
        tiers.append(tier._replace(mmf=mmf, imf=max(tier.imf, mmf + apart)))
    terms = known.terms._replace(
        maker_fee=fee,
        taker_fee=fee - 100,
        tiers=tuple(tiers),
        min_notional=least,
        status=1,
    )
    refused = reason_of(check_terms, terms) or reason_of(check_cover, known.rules, terms)
    if refused or reason_of(check_ramp, known.terms, terms):
        return False  # by more than one change may raise maintenance
    call = ("set_terms", market, fees_tuple(terms), list(terms.tiers))
    asking.by_owner(machine, (machine.protocol.markets, call))
    known.set_terms(terms)
    probe.open_doors(machine)
    probe.quiet_prices(machine)
    maker, taker = probe.newcomer(machine, probe.MAKER), probe.newcomer(machine, probe.MAKER, 1)
    lots = 2 * terms.min_notional * NOTIONAL_SCALE // known.mark + 1
    away = known.mark * terms.band // PPM
    for price in (known.mark, known.mark + away, known.mark + away + 1, known.mark - away - 1):
        probe.settle(machine, probe.orders(maker, taker, market, lots, price, MAX_PRICE))
    pair = probe.newcomer(machine, probe.MAKER, 2), taker
    for lots in (NOTIONAL_SCALE, NOTIONAL_SCALE - 1):
        probe.settle(machine, probe.orders(*pair, market, lots, known.mark))
    return True


def _remainders(machine: Machine, market: int) -> bool:
    """Margin that is one part in RATE_SCALE more than whole units of money, none, or one less."""
    known = machine.twin.markets[market]
    first = known.terms.tiers[0]
    rates = [rate // 10 * 10 + 11 for rate in (first.imf, first.mmf)]  # neither even nor of five
    terms = known.terms._replace(tiers=(Tier(0, *rates),))
    if reason_of(check_terms, terms) or reason_of(check_ramp, known.terms, terms):
        return False
    call = ("set_terms", market, fees_tuple(terms), list(terms.tiers))
    asking.by_owner(machine, (machine.protocol.markets, call))
    known.set_terms(terms)
    probe.open_doors(machine)
    probe.quiet_prices(machine)
    marks = {one: machine.twin.markets[one].mark for one in MARKETS}
    marks[market] += 1 - marks[market] % 10
    probe.must(machine, "I-14", prices.report(machine, marks, known.rules.interval))
    for rate, more in product(rates, (1, -1, 0)):
        size = more * pow(marks[market] * rate, -1, RATE_SCALE) % RATE_SCALE or RATE_SCALE
        wanted = initial_up(known, size * known.mark), maintenance_up(known, size * known.mark)
        for sign in (1, -1):
            seen = probe.engine_margin(machine.protocol.markets, 0, ((market, sign * size, 0),))
            machine.need("I-14", seen[1:3] == wanted, lambda n=size, s=seen, w=wanted: (n, s, w))
    return True


def _orders(machine: Machine) -> None:
    """A fee at its greatest and one below, margin that no account has, or for no vault."""
    maker, taker = probe.newcomer(machine, probe.MAKER), probe.newcomer(machine, probe.MAKER, 1)
    exchange, book = machine.protocol.exchange, machine.book
    for market in MARKETS:
        known = machine.twin.markets[market]
        lots = 2 * known.terms.min_notional * NOTIONAL_SCALE // known.mark + 1
        makes, takes = probe.orders(maker, taker, market, lots, known.mark, MAX_PRICE)
        for i, fee in enumerate((known.terms.maker_fee, known.terms.taker_fee)):
            for most in (fee - 1, fee) if fee else (fee,):
                pair = [makes, takes]
                pair[i] = pair[i]._replace(max_fee=most)
                probe.settle(machine, pair)
        # A vault whose market is this one in its lower bits alone.
        alias = accounts.vault(taker, 2**31 + market)
        probe.settle(machine, (makes, takes._replace(account=alias, margin=STAKE)))
    for account, margin in ((taker, 1), (accounts.vault(taker, market), MAX_MONEY_MOVED)):
        made = book.make(makes), book.make(takes._replace(account=account, margin=margin))
        fill = (made[0].order, made[1].order, lots, made[0].signature, made[1].signature)
        seen = asking.refusal(machine, exchange.send, machine.chain.accounts[0], "settle", [fill])
        machine.need("I-14", seen == "order: margin needs a vault", lambda a=account, s=seen: (hex(a), s))


def _rights(machine: Machine) -> None:
    """Of two rights each serves for its own calls alone; of money the smallest unit can be taken out."""
    world, protocol, access = machine.world, machine.protocol, machine.protocol.access
    root = probe.newcomer(machine, 100)
    owner, other = world.owner(root).address, world.owner(world.newcomers[1]).address
    seen = asking.refusal(machine, world.house.send, owner, "withdraw", root, 1, owner)
    machine.need("I-14", seen == "", lambda: seen)
    move = ("move_margin", root, accounts.vault(root, 1), 1)
    calls = [(protocol.modes, move, "margin: not owner or delegate")]
    if machine.setting.options:
        calls.append((protocol.collateral, ("deposit", root, 1, 1), "collateral: not owner"))
    access.send(owner, "set_delegate", other, 1, 2**40 - 1)  # to trade
    for target, call, wanted in calls:
        refused = asking.refusal(machine, target.send, other, *call)
        machine.need("I-14", refused == wanted, lambda c=call, s=refused, w=wanted: (c, s, w))
    access.send(owner, "set_delegate", other, 2, 2**40 - 1)  # to move margin
    refused = asking.refusal(machine, protocol.modes.send, other, *move)
    machine.need("I-14", refused == "margin: vault has no position", lambda: refused)
    if machine.setting.options:  # with no money, nothing is asked
        probe.must(machine, "I-14", options.to_mode(machine, world.newcomers[2], accounts.PORTFOLIO))


def _debt(machine: Machine) -> None:
    """What options could not pay is a debt of insurance's: what is paid in goes into it first."""
    world, house = machine.world, machine.world.house
    root, payer = world.newcomers[2], world.actors[0].address
    door = world.owner(root).address
    asking.by_owner(machine, (machine.protocol.access, ("set_door", door, SOURCE_DOOR)))
    fund, owed = machine.twin.insurance[0], machine.twin.deficit.get(0, 0) + 1_000
    house.send(door, "post_book", root, [], False, -(fund + 1_000), 0)
    for paid in (1, owed):
        house.send(payer, "fund_insurance", 0, paid * world.scale)
        owed, fund = max(owed - paid, 0), max(paid - owed, 0)
        seen = house.call("deficits", 0), house.call("pools", 0) & (2**128 - 1)
        machine.need("I-14", seen == (owed, fund), lambda s=seen, w=(owed, fund): (s, w))
