"""Every setter of the protocol at its bounds: the call, why it is refused ("" when not), and a view of what
it set. Bounds that the model has are the model's; the others are those of the contracts' documentation."""

from __future__ import annotations

from collections.abc import Iterator

from margincall.audit.machine import Machine
from margincall.audit.properties.differential import Asked, reason_of
from margincall.audit.world import MARKETS
from margincall.model.arithmetic import PPM
from margincall.model.collateral import Collateral
from margincall.model.markets import Rules, Terms, check_cover, check_ramp, check_rules, check_terms
from margincall.model.surface import Surface, VolRules
from margincall.protocol.deploy import fees_tuple, rules_tuple
from margincall.protocol.vols import vol_rules_tuple

NOBODY = "0x" + "00" * 20
MAX_MARKET = 63


def _bound(draw, low: int, high: int) -> int:
    values = (low, (low + high) // 2, high, high + 1)
    return draw.choice((low - 1, *values) if low else values)


def of_perps(machine: Machine, draw) -> Iterator[Asked]:
    """Setters that every deployment has."""
    protocol, twin = machine.protocol, machine.twin
    markets, access, feed = protocol.markets, protocol.access, protocol.feed
    number = draw.choice(MARKETS)
    known = twin.markets[number]
    for _ in range(3):
        rules = _rules(draw, known.rules)
        refused = reason_of(check_rules, rules) or reason_of(check_cover, rules, known.terms)
        view = ("rules", number), rules_tuple(feed.address, rules)
        yield Asked(markets, ("set_rules", number, rules_tuple(feed.address, rules)), refused, view)
    yield Asked(markets, ("set_rules", number, rules_tuple(NOBODY, known.rules)), "terms: feed")
    for place in (0, len(MARKETS) + 2):
        call = ("set_rules", place, rules_tuple(feed.address, known.rules))
        yield Asked(markets, call, "terms: ids are consecutive")
    for _ in range(6):
        terms = _terms(draw, known.terms)
        refused = reason_of(check_terms, terms) or reason_of(check_cover, known.rules, terms)
        refused = refused or reason_of(check_ramp, known.terms, terms)
        view = ("terms_of", number), _packed(terms)
        yield Asked(markets, ("set_terms", number, fees_tuple(terms), list(terms.tiers)), refused, view)
    no_rules = ("set_terms", len(MARKETS) + 1, fees_tuple(known.terms), list(known.terms.tiers))
    yield Asked(markets, no_rules, "terms: no rules yet")
    age = _bound(draw, 1, 3_600)
    refused = "" if 0 < age <= 3_600 else "markets: max age out of bounds"
    yield Asked(markets, ("set_max_age", age), refused, (("book",), _book(machine, age)))
    yield Asked(markets, ("set_clearinghouse", feed.address), "markets: already set")
    share, rate = _bound(draw, 0, PPM), _bound(draw, 0, PPM)
    refused = "access: insurance share" if share > PPM else "access: transfer rate" if rate > PPM else ""
    which, value = draw.choice((("insurance_share", share), ("transfer_rate", rate)))
    yield Asked(access, ("set_rates", share, rate), refused, ((which,), value))
    kind = draw.integer(0, 4)
    view = ("doors", feed.address), kind
    yield Asked(access, ("set_door", feed.address, kind), "" if kind <= 3 else "access: no such door", view)
    one, two = draw.choice(((feed, access), (access, markets)))
    roles = ("set_roles", one.address, two.address, feed.address)
    which, role = draw.choice((("guardian", one), ("compliance", two), ("treasury", feed)))
    yield Asked(access, roles, "", ((which,), role.address))
    yield Asked(access, ("set_roles", one.address, two.address, NOBODY), "access: bad treasury")
    yield from _of_feed(machine, draw)


def _of_feed(machine: Machine, draw) -> Iterator[Asked]:
    feed, signer = machine.protocol.feed, machine.protocol.signers[0].address
    quorum = draw.choice((0, 1, 2))
    yield Asked(
        feed, ("set_quorum", quorum), "" if quorum == 1 else "feed: quorum bound", (("quorum",), quorum)
    )
    yield Asked(feed, ("set_signer", signer, True), "feed: signer unchanged")
    yield Asked(feed, ("set_signer", signer, False), "feed: quorum bound")
    yield Asked(feed, ("set_signer", NOBODY, True), "feed: zero signer")
    other = machine.world.actors[0].address
    yield Asked(feed, ("set_signer", other, False), "feed: signer unchanged")
    view = draw.choice(((("signer_count",), 2), (("is_signer", other), True)))
    yield Asked(feed, ("set_signer", other, True), "", view)


def _rules(draw, rules: Rules) -> Rules:
    most = 500_000_000
    name, low, high = draw.choice(
        (
            ("step", 1, 500_000),
            ("interval", 1, 3_600),
            ("grace", 0, 86_400),
            ("rate_cap", 0, most),
            ("damp", 0, most),
            ("interest", -most, most),
            ("outage", rules.interval, 10**6),
        )
    )
    value = draw.choice((low, low + 1, high, high + 1))
    if low and (low > 1 or low < 0):
        value = draw.choice((low - 1, low, high, high + 1))
    return rules._replace(**{name: value})


def _terms(draw, terms: Terms) -> Terms:
    """Terms with one thing at its bound, or beyond it by one."""
    tiers, fee = list(terms.tiers), max(terms.maker_fee, terms.taker_fee)
    i = draw.integer(0, len(tiers) - 1)
    changes = (
        {"maker_fee": draw.choice((0, 2**16 - 1, 2**16))},
        {"taker_fee": draw.choice((0, 2**16 - 1, 2**16))},
        {"penalty": draw.choice((0, terms.penalty + 1, tiers[0].mmf))},
        {"band": draw.choice((0, PPM - 1, PPM))},
        {"min_notional": draw.choice((0, 1, 2**48 - 1, 2**48))},
        {"oi_cap": draw.choice((0, 2**63 - 1, 2**63))},
        {"oi_multiple": draw.choice((0, 2**16 - 1, 2**16))},
        {"status": draw.choice((0, 1, 2, 3))},
    )
    tier = tiers[i]
    edits = (
        tier._replace(imf=tier.mmf + terms.penalty + fee - draw.choice((0, 1))),
        tier._replace(imf=PPM + draw.choice((0, 1))),
        tier._replace(lower=tier.lower + draw.choice((-1, 1, tier.lower))) if i else tier._replace(lower=1),
        tier._replace(lower=2**60 - draw.choice((0, 1))) if i else tier,
        tier._replace(mmf=tier.mmf * 5 // 4 + draw.choice((0, 1))),
        tier._replace(mmf=tier.mmf * 4 // 5),
        tier._replace(imf=tier.imf - 1, mmf=tiers[i - 1].mmf - 1) if i else tier,
    )
    if draw.chance(40):
        return terms._replace(**draw.choice(changes))
    if draw.chance(10):
        return terms._replace(tiers=tuple(tiers[:i]))
    if draw.chance(25):
        raised = [tier._replace(mmf=tier.mmf * 5 // 4 + draw.choice((0, 1))) for tier in tiers]
        return terms._replace(tiers=tuple(raised))
    tiers[i] = draw.choice(edits)
    return terms._replace(tiers=tuple(tiers))


def _packed(terms: Terms) -> list[int]:
    """The eight words of terms (contracts/margin/terms.vy)."""
    words = [
        terms.maker_fee
        | terms.taker_fee << 16
        | terms.penalty << 32
        | terms.band << 56
        | terms.min_notional << 80
        | terms.oi_cap << 128
        | terms.oi_multiple << 192
        | terms.status << 208
    ]
    im = mm = 0
    previous = terms.tiers[0] if terms.tiers else None
    for tier in terms.tiers:
        im += tier.lower * (tier.imf - previous.imf) // PPM
        mm += tier.lower * (tier.mmf - previous.mmf) // PPM
        words.append(tier.lower | tier.imf << 64 | tier.mmf << 88 | im << 112 | mm << 176)
        previous = tier
    return words + [2**64 - 1] * (7 - len(words)) + [0]


def _book(machine: Machine, age: int) -> int:
    """Where the published terms are, and the largest age behind it."""
    return machine.protocol.markets.call("book") & 2**160 - 1 | age << 160


# ------------------------------------------------------------ with options


def of_options(machine: Machine, draw) -> Iterator[Asked]:
    """Setters of engines, grids, volatility and spot."""
    protocol, number = machine.protocol, draw.choice(MARKETS)
    portfolio, collateral, series = protocol.portfolio, protocol.collateral, machine.world.series
    for _ in range(3):
        risk = _risk_terms(draw)
        view = ("haircut", number), risk[2]
        yield Asked(portfolio, ("set_risk_terms", number, risk), _risk_refusal(risk), view)
    for place in (0, MAX_MARKET + 1):
        yield Asked(portfolio, ("set_risk_terms", place, (32, 48, 0, 0)), "portfolio: no such market")
        yield Asked(protocol.standard, ("set_terms", place, (4, 3, 2, 1)), "standard: no such market")
    for _ in range(3):
        yield _standard(machine, draw, number)
    place, market = draw.choice(((7, 63), (8, 1), (0, 64)))
    refused = "" if place < 8 and market < 64 else "dials: no such place or market"
    yield Asked(portfolio, ("track", place, market), refused)
    yield Asked(portfolio, ("set_guardian", collateral.address), "", (("guardian",), collateral.address))
    window = _bound(draw, 1, 14_400)
    surface, slots = draw.choice((NOBODY, collateral.address, collateral.address)), draw.chance(50)
    refused = "curve: surface" if surface == NOBODY else "" if 0 < window <= 14_400 else "curve: window"
    view = ("curve_setup",), (surface, window, slots)
    yield Asked(portfolio, ("set_curves", surface, window, slots), refused, view)
    yield from _of_grid(machine, draw, number)
    for _ in range(3):
        yield _vol_rules(draw, protocol, number)
    cap, least = _bound(draw, 0, 2**55 - 1), _bound(draw, 1, 2**55 - 1)
    refused = reason_of(Collateral().list_token, number, 1, cap, least)
    view = ("listing", number), _listing(series, number, cap, least)
    yield Asked(collateral, ("set_limits", number, cap, least), refused, view)
    yield Asked(collateral, ("set_limits", 9, 1, 1), "collateral: not listed")
    token, scale = series.tokens[1].address, _bound(draw, 1, 10**18)
    for market in (0, 64):
        yield Asked(collateral, ("list_token", market, token, 1, 1, 1), "collateral: no such market")
    yield Asked(collateral, ("list_token", number, token, 1, 1, 1), "collateral: listed")
    yield Asked(collateral, ("list_token", 9, NOBODY, 1, 1, 1), "collateral: no token")
    if not 0 < scale <= 10**18:
        yield Asked(collateral, ("list_token", 9, token, scale, 1, 1), "collateral: scale")


def _risk_terms(draw) -> tuple[int, int, int, int]:
    """range_mm, range_im, haircut, least."""
    return (
        draw.choice((0, 15, 16, 16, 32, 32, 33, 48)),
        draw.choice((16, 32, 32, 40, 48, 48, 49, 64)),
        draw.choice((0, 100, 150, PPM - 100, PPM)),
        draw.choice((0, 100, 150, 100_000, 100_100)),
    )


def _risk_refusal(risk: tuple[int, int, int, int]) -> str:
    mm, im, haircut, least = risk
    if mm < 16 or im > 48:
        return "portfolio: range"
    if mm % 16 or im % 16:
        return "portfolio: whole steps"
    if im <= mm:
        return "portfolio: im range"
    if haircut >= PPM or haircut % 100:
        return "portfolio: haircut"
    return "portfolio: floor" if least > 100_000 or least % 100 else ""


def _standard(machine: Machine, draw, number: int) -> Asked:
    penalty = machine.twin.markets[number].terms.penalty
    least = penalty * PPM // 1_200_000
    a_im, b_im = draw.choice((PPM, PPM + 1, 90_000)), draw.choice((0, 90_000, 90_001))
    a_mm, b_mm = draw.choice((90_000, 60_000, PPM + 1)), draw.choice((0, least, least + 1, 60_000, 60_001))
    refused = ""
    if not 0 < b_im <= a_im <= PPM:
        refused = "standard: initial rates"
    elif not 0 < b_mm <= a_mm <= PPM:
        refused = "standard: maintenance rates"
    elif a_mm > a_im or b_mm > b_im:
        refused = "standard: im below mm"
    elif b_mm * 1_200_000 <= penalty * PPM:
        refused = "standard: target below penalty"
    rates = (a_im, b_im, a_mm, b_mm)
    view = ("terms_of", number), rates
    return Asked(machine.protocol.standard, ("set_terms", number, rates), refused, view)


def _of_grid(machine: Machine, draw, number: int) -> Iterator[Asked]:
    book = machine.protocol.book
    yield Asked(book, ("set_grid", draw.choice((0, 64)), 10_000), "option: market")
    yield Asked(book, ("set_grid", number, 10_000), "option: grid is set")
    step = draw.choice((0, 9_999, 10_000, 10_001, 2**40 // 10_000 * 10_000, 2**40 + 10_000))
    refused = "" if 0 < step < 2**40 and step % 10_000 == 0 else "option: step"
    yield Asked(book, ("set_grid", 9, step), refused, (("steps", 9), step))


def _vol_rules(draw, protocol, number: int) -> Asked:
    name, values = draw.choice(
        (
            ("lower", (49_999, 50_000, 2_000_000, 2_000_001)),
            ("upper", (4_000_000, 4_000_001, 100_000, 100_001)),
            ("step", (0, 1, 500_000, 500_001)),
            ("interval", (0, 1, 86_400, 86_401)),
            ("max_age", (0, 1, 21_600, 21_601)),
            ("feed", (NOBODY, protocol.feed.address)),
        )
    )
    rules = VolRules(protocol.feed.address, 100_000, 2_000_000, 100_000, 30, 3_600)
    rules = rules._replace(**{name: draw.choice(values)})
    model = rules._replace(feed=rules.feed != NOBODY and rules.feed)
    market = draw.choice((number, number, 0, MAX_MARKET, MAX_MARKET + 1))
    refused = reason_of(Surface().set_rules, market, model)
    packed = vol_rules_tuple(rules)
    return Asked(protocol.surface, ("set_rules", market, packed), refused, (("rules", market), packed))


def _listing(series, number: int, cap: int, least: int) -> tuple:
    known = series.collateral.listings[number]
    return series.tokens[number].address, known.scale, known.total, cap, least
