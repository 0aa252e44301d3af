"""The chain's state as the twin keeps it, read from storage: to run one operation on both and compare."""

from __future__ import annotations

from margincall.model import State, accounts
from margincall.model.book import unpack
from margincall.model.curves import Curve
from margincall.model.dials import ONE, PLACES, Dials, Settings, Stress
from tests.unit.clearinghouse.world import World

GRACE_FLAG = 1 << 30


def mirror(w: World, roots: list[int]) -> State:
    """A `State` with everything that the contracts store for `roots` and their vaults (number 0)."""
    state = w.protocol.twin()
    state.insurance, state.treasury = {}, {}
    for market_id, market in state.markets.items():
        last = w.markets.call("last_price", market_id)
        market.mark, market.published, market.accrued_at, market.funding, market.rate = last
        charged = w.markets.call("social", market_id)
        market.social_long, market.social_short = charged & (2**128 - 1), charged >> 128
        market.grace_until = w.markets.call("grace_until", market_id)
        word = w.markets.call("rate_lanes", (market_id - 1) >> 3) >> ((market_id - 1) & 7) * 32
        market.grace_flag = bool(word & GRACE_FLAG)
        market.forget_quote()
        state.open_interest[market_id] = w.house.call("open_interest", market_id)
        state.deficit[market_id] = w.house.call("deficits", market_id)
    for pool in range(len(state.markets) + 1):
        state.insurance[pool], state.treasury[pool] = w.pool(pool)
    for root in roots:
        for account in (root, *(accounts.vault(root, market) for market in state.markets)):
            header, words = w.house.call("account", account)
            cash, count, mode = accounts.unpack_header(header)
            assert mode in ((1,) if accounts.is_vault(account) else (0, 2)) or not header
            state.write(account, cash, accounts.unpack_words(words, count))
            state.write_book(account, words[count + 1 >> 1 :])
            if mode == accounts.PORTFOLIO:
                state.modes[account] = mode
            assert state.header(account) == header
        state.denied[root >> 96] = w.access.call("denied_modes", f"0x{root >> 96:040x}")
    state.deficit[0] = w.house.call("deficits", 0)
    state.unsettled = w.house.call("unsettled")
    state.residue = w.house.call("residue")
    state.paused = w.access.call("paused")
    state.options.curves = curves(w, state)
    state.options.dials = dials(w)
    return state


def curves(w: World, state: State) -> dict[tuple[int, int], Curve]:
    """The curves of everything that the mirrored books hold."""
    reader, found = w.protocol.portfolio, {}
    for key in {segment.key for words in state.books.values() for segment in unpack(words) if segment.expiry}:
        word = reader.call("curve", *key)
        if not word:
            continue
        address = word & (2**160 - 1)
        if address:
            blob = w.chain.code(f"0x{address:040x}")[1:]
        else:
            blob = b"".join(part.to_bytes(32, "big") for part in reader.call("sheet", *key))
        found[key] = Curve(blob, word >> 160 & (2**32 - 1), word >> 192)
    return found


def dials(w: World) -> Dials:
    """The stress dials as contracts/margin/dials.vy stores them."""

    def bits(word: int, place: int, width: int) -> int:
        return word >> place & (1 << width) - 1

    reader = w.protocol.portfolio
    word, references, seen = (reader.call(name) for name in ("dial_word", "references", "seen"))
    at = [24 * place for place in range(PLACES)]
    return Dials(
        Settings(bits(word, 160, 16), ONE - bits(word, 176, 16), bits(word, 224, 16), bits(word, 240, 16)),
        (bits(word, 192, 16), ONE - bits(word, 208, 16)),
        tuple(Stress(bits(word, place, 24), bits(word, place + 48, 24)) for place in (0, 24)),
        bits(word, 96, 32),
        [bits(seen, 192 + 8 * place, 8) for place in range(PLACES)],
        [bits(references, place, 24) for place in at],
        [bits(seen, place, 24) for place in at],
        bits(references, 192, 32),
    )


def image(state: State) -> dict:
    """Everything stored, comparable: what is zero is not there."""
    stored = {name: {k: v for k, v in getattr(state, name).items() if v} for name in State._DICTS}
    return stored | {
        "residue": state.residue,
        "unsettled": state.unsettled,
        "markets": {market: known.snapshot() for market, known in state.markets.items()},
    }
