"""Every setter that options add, at its bounds (see `setters`)."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

from margincall.audit.machine import Machine
from margincall.audit.optionmirror import dial_word, reference_word, seen_word
from margincall.audit.properties.asking import Asked, reason_of
from margincall.audit.properties.setters import bound
from margincall.audit.world import MARKETS, slot_of
from margincall.chain.embedded import ZERO as NOBODY
from margincall.model.arithmetic import MAX_MARKET, PPM
from margincall.model.collateral import Collateral
from margincall.model.dials import ONE
from margincall.model.markets import TARGET
from margincall.model.portfolio import Scenario
from margincall.model.standard import Terms, check_terms
from margincall.model.surface import Surface, VolRules
from margincall.protocol.deploy import fees_tuple
from margincall.protocol.vols import vol_rules_tuple

RISK = (32, 48, 0, 0)
"""Ranges, haircut and least that are allowed."""
WEIGHED = (1, 2, 3, 4, 6, 8)
"""Steps of the scenarios whose weights are stored."""


def of_options(machine: Machine, draw) -> Iterator[Asked]:
    """Setters of engines, grids, volatility and spot."""
    protocol, number = machine.protocol, draw.choice(MARKETS)
    portfolio = protocol.portfolio
    for risk in _risk_terms():
        yield _risk(machine, number, risk)
    for place in (0, MAX_MARKET + 1):
        yield Asked(portfolio, ("set_risk_terms", place, RISK), "portfolio: no such market")
        yield Asked(protocol.standard, ("set_terms", place, (4, 3, 2, 1)), "standard: no such market")
    yield from _standard(machine, number)
    yield from _of_dials(machine, draw)
    address = protocol.collateral.address
    yield Asked(portfolio, ("set_guardian", address), "", (("guardian",), address))
    window = bound(draw, 1, 14_400)
    surface, slots = draw.choice((NOBODY, address, address)), draw.chance(50)
    refused = "curve: surface" if surface == NOBODY else "" if 0 < window <= 14_400 else "curve: window"
    view = ("curve_setup",), (surface, window, slots)
    yield Asked(portfolio, ("set_curves", surface, window, slots), refused, view)
    yield from _of_grid(machine, draw, number)
    yield from _vol_rules(protocol, number)
    yield from _of_spot(machine, draw, number)


def _risk(machine: Machine, number: int, risk: tuple[int, int, int, int]) -> Asked:
    """Risk terms, and the word in which they are stored beside the next market's."""
    portfolio, known = machine.protocol.portfolio, machine.twin.options.terms
    terms = {number: risk} | {m: tuple(t) for m, t in known.items() if m != number}
    halves = [_risk_half(terms[m]) if m in terms else 0 for m in (number & ~1, number | 1)]
    slot = slot_of(portfolio.artifact.layout, "_terms") + (number >> 1)
    call, view = ("set_risk_terms", number, risk), (("haircut", number), risk[2])
    stored = ((slot, halves[0] | halves[1] << 128),)
    return Asked(portfolio, call, _risk_refusal(risk), view, stored=stored)


def _risk_half(risk: tuple[int, int, int, int]) -> int:
    """Two rows of weights, haircut and least (contracts/margin/portfolio.vy)."""
    rows = [[Scenario(steps, "mark").weight(extent) - 1 for steps in WEIGHED] for extent in risk[:2]]
    packed = sum(weight << 8 * i for i, weight in enumerate(rows[0] + rows[1]))
    return packed | risk[2] // 100 << 96 | risk[3] // 100 << 112


def _of_dials(machine: Machine, draw) -> Iterator[Asked]:
    """Settings, places and the guardian's bounds, as the model has them at the time."""
    portfolio, guardian, now = machine.protocol.portfolio, machine.world.guardian, machine.chain.timestamp

    def asked(call: tuple, act, word, view: str, sender: str = "") -> Asked:
        def wanted(at: int) -> int:
            dials = deepcopy(machine.twin.options.dials)
            act(dials, at)
            return word(dials)

        refused = reason_of(act, deepcopy(machine.twin.options.dials), now + 1)
        return Asked(portfolio, call, refused, ((view,), wanted), sender)

    known = machine.twin.options.dials
    for _ in range(3):
        place, market = draw.choice(((7, 63), (8, 1), (0, 64), (1, 0), (2, 9)))
        view, word = draw.choice((("seen", seen_word), ("references", reference_word)))
        yield asked(("track", place, market), lambda d, at, p=place, m=market: d.track(p, m), word, view)
        settings = known.settings._replace(
            rho=draw.choice((0, 20_000, 30_000, ONE, ONE + 1)),
            psi=draw.choice((0, 20_000, ONE, ONE + 1)),
            rho_scale=draw.choice((0, 1, 8_000, 65_535, 65_536)),
            psi_scale=draw.choice((0, 1, 8_000, 65_535, 65_536)),
        )
        yield asked(
            ("set_dials", tuple(settings)),
            lambda d, at, s=settings: d.set_dials(at, s),
            dial_word,
            "dial_word",
        )
    least, most = max(known.settings.rho, known.bounds[0]), min(known.settings.psi, known.bounds[1])
    for rho, psi in (
        (least, most),
        (least - 1, most),
        (least, most + 1),
        (ONE, 0),
        (ONE + 1, 0),
        (ONE, ONE + 1),
    ):
        if min(rho, psi) >= 0:
            yield asked(
                ("tighten", rho, psi),
                lambda d, at, r=rho, p=psi: d.tighten(at, r, p),
                dial_word,
                "dial_word",
                guardian,
            )
    yield Asked(portfolio, ("tighten", least, most), "dials: not guardian", sender=machine.world.compliance)
    yield asked(("relax",), lambda d, at: d.relax(at), dial_word, "dial_word")


def _of_spot(machine: Machine, draw, number: int) -> Iterator[Asked]:
    protocol, series = machine.protocol, machine.world.series
    collateral, token = protocol.collateral, series.tokens[1].address
    for _ in range(2):
        cap, least = bound(draw, 0, 2**55 - 1), bound(draw, 1, 2**55 - 1)
        refused = reason_of(Collateral().list_token, number, 1, cap, least)
        known = series.collateral.listings[number]
        view = ("listing", number), (series.tokens[number].address, known.scale, known.total, cap, least)
        yield Asked(collateral, ("set_limits", number, cap, least), refused, view)
        scale = bound(draw, 1, 10**18)
        refused = refused if 0 < scale <= 10**18 else "collateral: scale"
        judged = ((protocol.portfolio, ("set_risk_terms", 9, RISK)),)
        view = ("listing", 9), (token, scale, 0, cap, least)
        yield Asked(collateral, ("list_token", 9, token, scale, cap, least), refused, view, before=judged)
    yield Asked(collateral, ("set_limits", 9, 1, 1), "collateral: not listed")
    yield Asked(collateral, ("list_token", 9, token, 1, 1, 1), "portfolio: no risk terms")
    for market in (0, 64):
        yield Asked(collateral, ("list_token", market, token, 1, 1, 1), "collateral: no such market")
    yield Asked(collateral, ("list_token", number, token, 1, 1, 1), "collateral: listed")
    yield Asked(collateral, ("list_token", 9, NOBODY, 1, 1, 1), "collateral: no token")


def _risk_terms() -> Iterator[tuple[int, int, int, int]]:
    """range_mm, range_im, haircut, least."""
    for low in (0, 15, 16, 17, 32, 33, 48):
        for high in (16, 32, 40, 48, 49, 64):
            yield low, high, 0, 0
    for haircut in (100, 150, PPM - 100, PPM):
        yield 32, 48, haircut, 100
    for least in (100, 150, 100_000, 100_100):
        yield 16, 32, 100, least


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


def _standard(machine: Machine, number: int) -> Iterator[Asked]:
    """Rates of options sold: one beside the next, all of the price, and what a liquidation needs."""
    standard, markets = machine.protocol.standard, machine.protocol.markets
    terms, known = machine.twin.markets[number].terms, (150_000, 100_000, 75_000, 75_000)

    def asked(rates: tuple, penalty: int, before: tuple = ()) -> Asked:
        refused = reason_of(check_terms, Terms(*rates), penalty)
        call, view = ("set_terms", number, rates), (("terms_of", number), rates)
        return Asked(standard, call, refused, view, before=before)

    for i, beside in enumerate((known[-1], *known)):
        for value in (0, 1, PPM, PPM + 1, beside - 1, beside, beside + 1) if i < 4 else ():
            yield asked((*known[:i], value, *known[i + 1 :]), terms.penalty)
    for rates in ((PPM,) * 4, (PPM + 1,) * 4, (150_000, 75_000, 150_001, 75_000), (90_000, 75_000) * 2):
        yield asked(rates, terms.penalty)
    # A penalty of which the least rate is a whole number.
    exact = terms._replace(penalty=terms.penalty // 12 * 12)
    change = markets, ("set_terms", number, fees_tuple(exact), list(exact.tiers))
    for more in (-1, 0, 1):
        yield asked((*known[:3], exact.penalty * PPM // TARGET + more), exact.penalty, (change,))


def _of_grid(machine: Machine, draw, number: int) -> Iterator[Asked]:
    book = machine.protocol.book
    for market in (0, MAX_MARKET + 1):
        yield Asked(book, ("set_grid", market, 10_000), "option: market")
    yield Asked(book, ("set_grid", number, 10_000), "option: grid is set")
    for step in (0, 9_999, 10_000, 10_001, 2**40 // 10_000 * 10_000, 2**40 // 10_000 * 10_000 + 10_000):
        refused = "" if 0 < step < 2**40 and step % 10_000 == 0 else "option: step"
        yield Asked(book, ("set_grid", 9, step), refused, (("steps", 9), step))


def _vol_rules(protocol, number: int) -> Iterator[Asked]:
    known = VolRules(protocol.feed.address, 100_000, 2_000_000, 100_000, 30, 3_600)
    sets = [
        known._replace(**{name: value})
        for name, values in (
            ("lower", (49_999, 50_000, 1_999_999, 2_000_000)),
            ("upper", (4_000_000, 4_000_001, 100_000, 100_001)),
            ("step", (0, 1, 500_000, 500_001)),
            ("interval", (0, 1, 86_400, 86_401)),
            ("max_age", (0, 1, 21_600, 21_601)),
            ("feed", (NOBODY,)),
        )
        for value in values
    ]
    asked = [(number, rules) for rules in sets]
    asked += [(market, known) for market in (0, MAX_MARKET, MAX_MARKET + 1)]
    for market, rules in asked:
        model = rules._replace(feed=rules.feed != NOBODY and rules.feed)
        refused, packed = reason_of(Surface().set_rules, market, model), vol_rules_tuple(rules)
        yield Asked(protocol.surface, ("set_rules", market, packed), refused, (("rules", market), packed))
