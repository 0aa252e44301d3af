"""What a setting with options has beside perps: expiries, spot tokens, twins of Collateral and Expiry."""

from __future__ import annotations

from dataclasses import replace

from margincall.chain import Contract
from margincall.model.collateral import Collateral
from margincall.model.expiry import Expiry, Track
from margincall.model.instrument import DAY, HOUR_OF_EXPIRY
from margincall.model.surface import VolReport
from margincall.protocol.artifacts import artifact
from margincall.protocol.deploy import NO_SALT
from margincall.protocol.vols import vols_payload

LIVE = 3  # expiries that trade at a time
SPOT_SCALE = 100  # token units a lot
SPOT_CAP = 10**12  # lots


class Series:
    """The state of options that the ledger's twin does not hold, with snapshots for two-run properties.

    tokens: spot token by market; collateral, expiry: the contracts' twins; expiries: ascending, all that
    ever traded; level: volatility by market, ppm.
    """

    def __init__(self, world) -> None:
        self.world = world
        self.collateral = Collateral()
        self.expiry = Expiry(world.twin.options.grid)
        self.expiries: list[int] = []
        self.made: dict[tuple[int, int], tuple] = {}  # of a curve: the smile it was made of, and when
        self.level = {1: 600_000, 2: 700_000, 3: 900_000}
        self.tokens: dict[int, Contract] = {}
        self._list_tokens()

    def live(self, now: int) -> list[int]:
        """Expiries in the future; new ones are listed as old ones pass."""
        live = [expiry for expiry in self.expiries if expiry > now]
        while len(live) < LIVE:
            last = live[-1] if live else (now - HOUR_OF_EXPIRY) // DAY * DAY + HOUR_OF_EXPIRY
            step = DAY if len(live) < LIVE - 1 else 6 * DAY
            live.append(last + step)
            self.expiries.append(last + step)
        return live

    def payload(self, reports: list[VolReport]) -> bytes:
        """Volatilities as the feed's signer publishes them."""
        return vols_payload(self.world.feed_domain, reports, self.world.protocol.signers[:1])

    def fund(self, address: str) -> None:
        """Spot tokens and an allowance, enough for a run."""
        world = self.world
        for token in self.tokens.values():
            world.send(world.chain.accounts[0], token, ("mint", address, 10**24))
            world.send(address, token, ("approve", world.protocol.collateral.address, 2**256 - 1))

    def balance(self, market: int) -> int:
        """Spot token units that Collateral really has."""
        from margincall.audit.world import map_slot

        holder = int(self.world.protocol.collateral.address, 16)
        return self.world.chain.storage(self.tokens[market].address, map_slot(1, holder))

    def snapshot(self) -> tuple:
        listings = {market: replace(listing) for market, listing in self.collateral.listings.items()}
        return listings, dict(self.expiry.tracks), list(self.expiries), dict(self.level), dict(self.made)

    def restore(self, values: tuple) -> None:
        self.collateral.listings, self.expiry.tracks, self.expiries, self.level, self.made = values

    def settlement(self, market: int, expiry: int) -> int:
        return self.expiry.tracks.get((market, expiry), Track()).settlement

    def _list_tokens(self) -> None:
        """Three spot tokens, listed through the timelock that owns Collateral."""
        world = self.world
        protocol, deployer = world.protocol, world.chain.accounts[0]
        delay = world.setting.spec.timelock_delay
        operations = []
        for market in world.setting.spec.markets:
            token = world.chain.deploy(
                artifact("Token"), f"Spot {market.symbol}", market.symbol, market.size_decimals + 2
            )
            self.tokens[market.id] = token
            minimum = market.terms.min_notional * 10**8 // world.setting.marks[market.id]
            call = ("list_token", market.id, token.address, SPOT_SCALE, SPOT_CAP, minimum)
            payload = protocol.collateral.encode(*call)
            operations.append((protocol.collateral.address, 0, payload, NO_SALT, bytes(32)))
            self.collateral.list_token(market.id, SPOT_SCALE, SPOT_CAP, minimum)
        for operation in operations:
            world.send(deployer, protocol.timelock, ("schedule", *operation, delay))
        at = world.chain.timestamp + delay + 1
        for i, operation in enumerate(operations):
            world.send(deployer, protocol.timelock, ("execute", *operation), at + i)
