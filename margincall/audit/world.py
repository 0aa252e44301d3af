"""A deployment with its actors: the contracts, their exact twin, and what the twin does not know."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from eth_utils import keccak

from margincall.audit.series import Series
from margincall.audit.settings import Setting
from margincall.chain import Chain, Contract, EmbeddedChain
from margincall.chain.base import Receipt
from margincall.chain.keys import Key, key
from margincall.model import accounts
from margincall.protocol.artifacts import Artifact, artifact
from margincall.protocol.deploy import deploy
from margincall.protocol.orders import Report, domain, feed_payload

USD = 10**6
FOREVER = 2**40 - 1
MARKETS = (1, 2, 3)
TOKEN_MODES = ("normal", "fee", "no return", "false", "blacklist", "no zero", "reenter", "paused", "more")


class Actor(NamedTuple):
    """An owner of accounts. `signer` signs its orders; kind: key, wallet (ERC-1271) or receiver (a
    contract that refuses every call and trades through a delegate)."""

    role: str
    address: str
    signer: Key
    kind: str

    @property
    def number(self) -> int:
        return int(self.address, 16)


class World:
    """Deploys a setting and funds eight owners with nine root accounts.

    `extra`: token units above the claims of the ledger (donations, dust of deposits and withdrawals);
    `held`: token units of the clearinghouse as the machine expects them; `replaced`: artifacts deployed
    instead of the project's own, by contract name.
    """

    def __init__(
        self,
        setting: Setting,
        replaced: Mapping[str, Artifact] | None = None,
        chain: Chain | None = None,
    ) -> None:
        self.setting = setting
        self.chain = EmbeddedChain(keep_logs=False) if chain is None else chain
        self.token = self._token() if setting.hostile else None
        self.protocol = deploy(
            self.chain, setting.spec, token=self.token and self.token.address, replaced=replaced
        )
        if self.token is None:
            self.token = self.protocol.token
        protocol = self.protocol
        self.house, self.scale = protocol.clearinghouse, protocol.scale
        self.twin = protocol.twin()
        self.held = self.scale * sum(self.twin.insurance.values())
        self.extra = 0
        self.guardian, self.compliance, self.treasury = self.chain.accounts[1:4]
        self.token_mode = 0
        self.blacklist: set[str] = set()
        self.wallet_answer = 0
        self.delegates: dict[tuple[int, int], tuple[int, int]] = {}
        self.feed_domain = domain("margincall feed", self.chain.chain_id, protocol.feed.address)
        self.contracts: dict[str, tuple[Contract, Key]] = {}
        self.actors = self._actors()
        self.by_number = {actor.number: actor for actor in self.actors}
        self.roots = [accounts.root(actor.address) for actor in self.actors]
        self.roots.append(accounts.root(self.actors[2].address, 1))
        fresh = [
            Actor(role, key("audit", role).address, key("audit", role), "key")
            for role in ("newcomer 1", "newcomer 2", "newcomer 3")
        ]
        self.by_number |= {actor.number: actor for actor in fresh}
        self.newcomers = [accounts.root(actor.address) for actor in fresh]
        for actor in (*self.actors, *fresh):
            self.fund(actor.address)
        if setting.options:
            self.series = Series(self)
            for actor in (*self.actors, *fresh):
                self.series.fund(actor.address)
        if setting.hostile:
            self._lend_token_a_purse()

    def owner(self, account: int) -> Actor:
        """The actor that owns an account."""
        return self.by_number[account >> 96]

    def may(self, owner: int, sender: int, right: int, now: int) -> bool:
        """The contracts' `may`, from the grants the machine made."""
        rights, expiry = self.delegates.get((owner, sender), (0, 0))
        return owner == sender or bool(rights & right and now <= expiry)

    def fund(self, address: str) -> None:
        """Tokens and an allowance, enough for a run."""
        self.send(self.chain.accounts[0], self.token, ("mint", address, 10**15 * self.scale))
        self.send(address, self.token, ("approve", self.house.address, 2**256 - 1))

    def send(self, sender: str, target: Contract, call: tuple, at: int | None = None) -> Receipt:
        """A transaction of an actor; one that is a contract acts through its `execute`."""
        known = self.contracts.get(sender)
        if known is None:
            return target.send(sender, *call, at=at)
        contract, signer = known
        data = target.encode(*call)
        receipt = contract.send(signer.address, "execute", target.address, data, at=at)
        return receipt._replace(output=receipt.output and receipt.output[64:])

    def payload(self, reports: list[Report]) -> bytes:
        """Reports as the feed's signer publishes them."""
        return feed_payload(self.feed_domain, reports, self.protocol.signers[:1])

    def balance(self, address: str) -> int:
        """Token units of an address, from storage."""
        return self.chain.storage(self.token.address, map_slot(1, int(address, 16)))

    def _token(self) -> Contract:
        token = self.chain.deploy(artifact("HostileToken"), "Hostile", "HOST", 8)
        deployer = self.chain.accounts[0]
        token.send(deployer, "mint", deployer, 10**30)
        return token

    def _lend_token_a_purse(self) -> None:
        """Tokens and an allowance for the token itself: what it calls in a transfer could succeed."""
        token, sender = self.token, self.chain.accounts[0]
        token.send(sender, "mint", token.address, 10**30)
        token.send(sender, "mint", sender, 1)
        approve = token.encode("approve", self.house.address, 2**256 - 1)
        token.send(sender, "set_reentry", token.address, approve)
        token.send(sender, "set_mode", TOKEN_MODES.index("reenter"))
        token.send(sender, "transfer", sender, 1)
        token.send(sender, "set_mode", 0)

    def _actors(self) -> list[Actor]:
        made = [
            Actor(role, key("audit", role).address, key("audit", role), "key")
            for role in ("keeper", "ally", "trader 1", "trader 2", "trader 3", "trader 4")
        ]
        for kind, contract in (("wallet", "Wallet1271"), ("receiver", "HostileReceiver")):
            signer = key("audit", kind)
            deployed = self.chain.deploy(artifact(contract), signer.address)
            made.append(Actor(kind, deployed.address, signer, kind))
            self.contracts[deployed.address] = (deployed, signer)
            if kind == "wallet":
                self.wallet = deployed
        receiver = made[-1]
        self.send(
            receiver.address, self.protocol.access, ("set_delegate", receiver.signer.address, 3, FOREVER)
        )
        self.delegates[receiver.number, int(receiver.signer.address, 16)] = (3, FOREVER)
        return made


@lru_cache(2**14)
def map_slot(base: int, *keys: int) -> int:
    """Storage slot of a (nested) mapping's element, as Vyper lays it out."""
    for one in keys:
        base = int.from_bytes(keccak(base.to_bytes(32, "big") + one.to_bytes(32, "big")), "big")
    return base


def slot_of(layout: dict[str, int], variable: str) -> int:
    """First slot of a variable, whichever module of the contract declares it."""
    return next(slot for name, slot in layout.items() if name.rpartition(".")[2] == variable)
