"""An account on a deployed chain as a `Case`: its words, the prices, the curves and the dials of now.

Risk terms and strike steps are the deployment file's; `difference` tells when the chain has others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from eth_utils import to_checksum_address

from margincall.keeper import MODE_NAMES, Watch
from margincall.margining.analysis import Report
from margincall.margining.case import Case, Holding
from margincall.margining.inputs import override
from margincall.model import accounts as ids
from margincall.model.book import PUT_FLAG, Book, unpack
from margincall.model.curves import Curve
from margincall.model.instrument import FUTURE, MAX_CODE, STRIKE_UNIT, Instrument
from margincall.model.portfolio import Dials, Risk
from margincall.protocol.handle import Protocol
from margincall.replay.candles import BadInput

SHEET = 1_152  # bytes of a curve, behind one zero byte of code


def account_id(text: str) -> int:
    """The id of an account given as its owner's address or as the id itself, hex. Raises BadInput."""
    if re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        return ids.root(text)
    if re.fullmatch(r"0x[0-9a-fA-F]{41,64}", text):
        return int(text, 16)
    raise BadInput(f"--account {text}: expected an address (0x and 40 hex digits) or an account id in hex")


def case_of(protocol: Protocol, account: str, rho: str | None = None, psi: str | None = None) -> Case:
    """The account at the chain's last block; rho, psi override the chain's dials. Raises BadInput."""
    account_number = account_id(account)
    if ids.is_vault(account_number):
        raise BadInput(f"--account {account}: is a vault (isolated margin); give its root account")
    watch = Watch(protocol)
    watch.follow()
    header, words = protocol.clearinghouse.call("account", account_number)
    cash, count, mode = ids.unpack_header(header)
    spec, markets = protocol.spec, watch.twin.markets
    book = protocol.grid()
    split = (count + 1) >> 1
    holdings = [
        Holding(Instrument(market), size, entry, entry)
        for market, size, entry in ids.unpack_words(words[:split], count)
    ]
    holdings += book_holdings(words[split:], book)
    if not holdings:
        raise BadInput(f"--account {account}: holds no position on chain {protocol.chain.chain_id}")
    now = protocol.chain.timestamp
    rho_im, psi_im, rho_mm, psi_mm = protocol.portfolio.call("stress_dials")
    risk = Risk(
        {m.id: markets[m.id].mark for m in spec.markets},
        _curves(protocol, holdings),
        {m.id: m.options.terms for m in spec.markets if m.options},
        override(Dials(rho_mm, psi_mm), rho, psi),
        override(Dials(rho_im, psi_im), rho, psi),
        book.strike,
        now,
    )
    name = f"{account[:8]}...{account[-4:]}"
    about = f"on chain {protocol.chain.chain_id}, now in {MODE_NAMES[mode]} mode"
    return Case(name, about, cash, tuple(holdings), spec, markets, risk, book, {})


def difference(protocol: Protocol, account: str, report: Report) -> str | None:
    """A sentence when the chain has another margin in the account's mode than the report; None when both
    agree to the unit or that mode is not in the report."""
    number = account_id(account)
    mode = MODE_NAMES[ids.unpack_header(protocol.clearinghouse.call("account", number)[0])[2]]
    if mode not in report.modes:
        return None
    found, held = tuple(protocol.clearinghouse.call("margin", number)), tuple(report.modes[mode])
    if found == held:
        return None
    return (
        f"the chain has equity {found[0]}, initial {found[1]}, maintenance margin {found[2]} (1e-6 USD),"
        " other than shown: its terms are not the deployment file's, or it moved on meanwhile"
    )


def book_holdings(words: Sequence[int], book: Book) -> list[Holding]:
    """The positions of book words, futures with their share of the money."""
    entries = {}
    for segment in unpack(words):
        puts = [
            (size, book.strike(segment.market, name & MAX_CODE))
            for name, size in segment.lanes
            if name & PUT_FLAG
        ]
        entries[segment.key] = segment.money + sum(size * strike // STRIKE_UNIT for size, strike in puts)
    found = []
    for instrument, lots in book.positions(words):
        entry = entries[instrument.market, instrument.expiry] if instrument.kind == FUTURE else None
        found.append(Holding(instrument, lots, entry or 0, entry))
    return found


def _curves(protocol: Protocol, holdings: Sequence[Holding]) -> dict[tuple[int, int], Curve]:
    """The curves that the engine would use now; a stale one is refused by the rule itself."""
    curves = {}
    for market, expiry in {
        (h.instrument.market, h.instrument.expiry) for h in holdings if h.instrument.is_option
    }:
        date = Instrument(market, FUTURE, expiry).name(protocol.spec.markets)
        word = protocol.portfolio.call("curve", market, expiry)
        if word == 0:
            raise BadInput(f"{date}: has no value curve on chain; refresh it first (PortfolioMargin.refresh)")
        address = word & 2**160 - 1
        if address == 0:
            raise BadInput(f"{date}: its curve is kept in slots, which cannot be read; keep curves as code")
        sheet = protocol.chain.code(to_checksum_address(f"0x{address:040x}"))[1 : SHEET + 1]
        curves[market, expiry] = Curve(sheet, word >> 160 & 2**32 - 1, word >> 192 & 2**24 - 1)
    return curves
