"""Every setter of the protocol at its bounds: the call, why it is refused ("" when not), and a view of what
it set. Bounds that the model has are the model's; the others are those of the contracts' documentation."""

from __future__ import annotations

from collections.abc import Iterator

from margincall.audit.machine import Machine
from margincall.audit.properties.asking import Asked, reason_of
from margincall.audit.world import MARKETS
from margincall.chain.embedded import ZERO as NOBODY
from margincall.model.arithmetic import PPM
from margincall.model.markets import Rules, Terms, Tier, check_cover, check_ramp, check_rules, check_terms
from margincall.protocol.deploy import fees_tuple, rules_tuple


def bound(draw, low: int, high: int) -> int:
    values = (low, (low + high) // 2, high, high + 1)
    return draw.choice((low - 1, *values) if low else values)


def of_perps(machine: Machine, draw) -> Iterator[Asked]:
    """Setters that every deployment has."""
    protocol, twin = machine.protocol, machine.twin
    markets, access, feed = protocol.markets, protocol.access, protocol.feed
    number = draw.choice(MARKETS)
    known = twin.markets[number]
    for rules in _rules(known.rules):
        refused = reason_of(check_rules, rules) or reason_of(check_cover, rules, known.terms)
        view = ("rules", number), rules_tuple(feed.address, rules)
        yield Asked(markets, ("set_rules", number, rules_tuple(feed.address, rules)), refused, view)
    yield Asked(markets, ("set_rules", number, rules_tuple(NOBODY, known.rules)), "terms: feed")
    for place in (0, len(MARKETS) + 2):
        call = ("set_rules", place, rules_tuple(feed.address, known.rules))
        yield Asked(markets, call, "terms: ids are consecutive")
    for terms in _terms(known.terms):
        refused = reason_of(check_terms, terms) or reason_of(check_cover, known.rules, terms)
        refused = refused or reason_of(check_ramp, known.terms, terms)
        view = ("terms_of", number), _packed(terms)
        yield Asked(markets, ("set_terms", number, fees_tuple(terms), list(terms.tiers)), refused, view)
    no_rules = ("set_terms", len(MARKETS) + 1, fees_tuple(known.terms), list(known.terms.tiers))
    yield Asked(markets, no_rules, "terms: no rules yet")
    age = bound(draw, 1, 3_600)
    refused = "" if 0 < age <= 3_600 else "markets: max age out of bounds"
    yield Asked(markets, ("set_max_age", age), refused, (("book",), _book(machine, age)))
    yield Asked(markets, ("set_clearinghouse", feed.address), "markets: already set")
    share, rate = bound(draw, 0, PPM), bound(draw, 0, PPM)
    refused = "access: insurance share" if share > PPM else "access: transfer rate" if rate > PPM else ""
    which, value = draw.choice((("insurance_share", share), ("transfer_rate", rate)))
    yield Asked(access, ("set_rates", share, rate), refused, ((which,), value))
    kind = draw.integer(0, 4)
    view = ("doors", feed.address), kind
    yield Asked(access, ("set_door", feed.address, kind), "" if kind <= 3 else "access: no such door", view)
    for role, one in (("guardian", feed), ("compliance", access), ("treasury", markets)):
        roles = ("set_roles", feed.address, access.address, markets.address)
        yield Asked(access, roles, "", ((role,), one.address))
    yield Asked(access, ("set_roles", feed.address, access.address, NOBODY), "access: bad treasury")
    yield from _of_roles(machine, draw)
    yield from _of_feed(machine, draw)


def _of_roles(machine: Machine, draw) -> Iterator[Asked]:
    """What guardian, compliance and every owner may do in Access, and the engines behind it."""
    world, access, house = machine.world, machine.protocol.access, machine.world.house
    owner, other = world.actors[0].address, world.actors[1].address
    paused = not machine.twin.paused
    yield Asked(access, ("set_paused", paused), "", (("paused",), paused), world.guardian)
    yield Asked(access, ("set_paused", paused), "access: not guardian", sender=world.compliance)
    modes = draw.choice((1, 7, 8))
    refused, view = "" if modes < 8 else "access: no such mode", (("denied_modes", other), modes)
    yield Asked(access, ("set_denied_modes", other, modes), refused, view, world.compliance)
    yield Asked(access, ("set_denied_modes", other, 1), "access: not compliance", sender=world.guardian)
    rights, right = draw.choice((0, 1, 2, 3)), draw.choice((1, 2))
    for until in (2**40 - 1, 2**40, machine.chain.timestamp):
        view = ("may", owner, other, right), bool(rights & right) and until > machine.chain.timestamp
        refused = "" if until < 2**40 else "delegate: bad expiry"
        yield Asked(access, ("set_delegate", other, rights, until), refused, view, owner)
    yield Asked(access, ("set_delegate", other, 4, 2**40 - 1), "delegate: no such right", sender=owner)
    for who in (owner, NOBODY):
        yield Asked(access, ("set_delegate", who, 1, 2**40 - 1), "delegate: bad delegate", sender=owner)
    yield Asked(access, ("accept_ownership",), "ownable_2step: caller is not the new owner", sender=other)
    engine = machine.protocol.markets.address
    for rule in range(5):
        refused = "" if rule in (2, 3) else "access: bad engine"
        yield Asked(house, ("set_engine", rule, engine), refused, (("engines", rule), engine))
    yield Asked(house, ("set_engine", 2, other), "access: bad engine")


def _of_feed(machine: Machine, draw) -> Iterator[Asked]:
    """Signers up to their number, and a quorum that stays within reach."""
    feed, signer = machine.protocol.feed, machine.protocol.signers[0].address
    others = [actor.address for actor in machine.world.by_number.values()][:9]
    for count in (0, 2):
        more = tuple((feed, ("set_signer", other, True)) for other in others[:count])
        for quorum in (0, 1, count + 1, count + 2):
            refused = "" if 0 < quorum <= count + 1 else "feed: quorum bound"
            yield Asked(feed, ("set_quorum", quorum), refused, (("quorum",), quorum), before=more)
    yield Asked(feed, ("set_signer", signer, True), "feed: signer unchanged")
    yield Asked(feed, ("set_signer", signer, False), "feed: quorum bound")
    yield Asked(feed, ("set_signer", NOBODY, True), "feed: zero signer")
    yield Asked(feed, ("set_signer", others[0], False), "feed: signer unchanged")
    for count in (0, 6, 7):
        more = tuple((feed, ("set_signer", other, True)) for other in others[:count])
        refused = "" if count < 7 else "feed: too many signers"
        view = draw.choice(((("signer_count",), count + 2), (("is_signer", others[8]), True)))
        yield Asked(feed, ("set_signer", others[8], True), refused, view, before=more)
    second = ((feed, ("set_signer", others[0], True)),)
    view = draw.choice(((("signer_count",), 1), (("is_signer", signer), False)))
    yield Asked(feed, ("set_signer", signer, False), "", view, before=second)
    both = (*second, (feed, ("set_quorum", 2)))
    yield Asked(feed, ("set_signer", signer, False), "feed: quorum bound", before=both)


def _rules(rules: Rules) -> Iterator[Rules]:
    """Rules with one number at each of its bounds, or beyond it by one."""
    most = 500_000_000
    for name, low, high in (
        ("step", 1, 500_000),
        ("interval", 1, 3_600),
        ("grace", 0, 86_400),
        ("rate_cap", 0, most),
        ("damp", 0, most),
        ("interest", -most, most),
        ("outage", rules.interval, 10**6),
    ):
        for value in {low, low + 1, high, high + 1} | ({low - 1} if low else set()):
            yield rules._replace(**{name: value})
    for step in (rules.step + 1, 2 * rules.step):
        yield rules._replace(step=step)


def _terms(terms: Terms) -> Iterator[Terms]:
    """Terms with one number at each of its bounds, or beyond it by one; tiers that are raised, that fall."""
    tiers, fee = terms.tiers, max(terms.maker_fee, terms.taker_fee)
    for name, values in (
        ("maker_fee", (0, 2**16 - 1, 2**16, tiers[0].mmf - 1, tiers[0].mmf)),
        ("taker_fee", (0, 2**16 - 1, 2**16, tiers[0].mmf - 1, tiers[0].mmf)),
        ("penalty", (0, terms.penalty + 1, tiers[0].mmf, tiers[0].mmf * 6 // 5)),
        ("band", (0, PPM - 1, PPM)),
        ("min_notional", (0, 1, 2**48 - 1, 2**48)),
        ("oi_cap", (0, 2**63 - 1, 2**63)),
        ("oi_multiple", (0, 2**16 - 1, 2**16)),
        ("status", (0, 1, 2, 3)),
    ):
        for value in values:
            yield terms._replace(**{name: value})
    for i, tier in enumerate(tiers):
        yield terms._replace(tiers=tiers[:i])
        for edited in _edits(tier, terms.penalty + fee, i, tiers[i - 1]):
            yield terms._replace(tiers=(*tiers[:i], edited, *tiers[i + 1 :]))
    for share in (5, 4, 3):
        for more in (0, 1, 2):
            raised = (tier._replace(mmf=tier.mmf * share // 4 + more) for tier in tiers)
            yield terms._replace(tiers=tuple(raised))


def _edits(tier: Tier, apart: int, i: int, previous: Tier) -> Iterator[Tier]:
    """`apart`: by how much initial margin is more than maintenance; `i`: the tier's place."""
    for less in (0, 1):
        yield tier._replace(imf=tier.mmf + apart - less)
        yield tier._replace(imf=PPM + less)
        yield tier._replace(mmf=tier.mmf * 5 // 4 + less)
        yield tier._replace(mmf=tier.mmf * 4 // 5 - less)
        yield tier._replace(lower=less)
        if i:
            yield tier._replace(lower=2**60 - less)
            yield tier._replace(lower=max(previous.lower - less, 0))
            yield tier._replace(lower=tier.lower * 4 // 5 + less)
            yield tier._replace(mmf=previous.mmf - less)
            yield tier._replace(imf=previous.imf - less, mmf=previous.mmf - less)


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
