"""Deploy the whole protocol on any chain and hand it to a timelock."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from eth_utils import to_checksum_address

from margincall.chain import Chain, Contract
from margincall.chain.base import ChainError
from margincall.chain.keys import Key, key
from margincall.model import Rules, Terms, Tier
from margincall.protocol.artifacts import Artifact, artifact, compile_all
from margincall.protocol.config import (
    DEFAULT,
    DialSettings,
    MarketSpec,
    OptionSpec,
    PortfolioTerms,
    ProtocolSpec,
    StandardTerms,
    VolRules,
)
from margincall.protocol.handle import Protocol
from margincall.protocol.vols import vol_rules_tuple

CONTRACTS = (
    "Markets",
    "Clearinghouse",
    "Exchange",
    "Modes",
    "Liquidation",
    "Lens",
    "PortfolioLens",
    "Access",
    "Book",
    "Surface",
    "Pricing",
    "PortfolioMargin",
    "StandardMargin",
    "Expiry",
    "Collateral",
    "SignedFeed",
    "Timelock",
    "Token",
)
TRADE_DOOR, LIQUIDATION_DOOR, SOURCE_DOOR = 1, 2, 3
PORTFOLIO, CROSS_BOOK = 2, 3  # margin rules beside the base engine's
NO_SALT = bytes(32)


def rules_tuple(feed: str, rules: Rules) -> tuple:
    """A market's rules as Markets.set_rules takes them."""
    return (feed, *rules)


def fees_tuple(terms: Terms) -> tuple:
    """A market's fees as Markets.set_terms takes them."""
    return (
        terms.maker_fee,
        terms.taker_fee,
        terms.penalty,
        terms.band,
        terms.min_notional,
        terms.oi_cap,
        terms.oi_multiple,
        terms.status,
    )


def deploy(
    chain: Chain,
    spec: ProtocolSpec = DEFAULT,
    seed: int | str = 0,
    token: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    replaced: Mapping[str, Artifact] | None = None,
) -> Protocol:
    """Deploy the contracts of `spec`, list its markets, seed insurance, hand everything to a timelock.

    The deployer is the chain's first account; roles: guardian the second, compliance the third,
    treasury the fourth. Feed signers' keys derive from `seed` (anyone can: for test chains).
    `token`: address of the settlement token; by default a mock is deployed and seeds are minted; a
    given token must let the deployer pay the seeds. `progress(name, done, total)`. `replaced`: artifacts
    by contract name, deployed instead of this project's own.
    """
    replaced = replaced or {}
    artifacts = compile_all([name for name in CONTRACTS if name not in replaced], progress) | replaced
    deployer, guardian, compliance, treasury = chain.accounts[:4]
    signers = [key(seed, "feed signer", i) for i in range(spec.signers)]
    made: dict[str, Contract] = {}

    def new(name: str, *args) -> Contract:
        made[name] = chain.deploy(artifacts[name], *args, sender=deployer)
        return made[name]

    mints = token is None
    if mints:
        money = new("Token", "Demo Dollar", "DUSD", spec.token_decimals)
    else:
        money = made["Token"] = Contract(chain, token, artifacts["Token"])
    markets = new("Markets", spec.max_age)
    access = new("Access", spec.insurance_share, spec.transfer_rate)
    book = new("Book")
    house = new(
        "Clearinghouse",
        money.address,
        spec.token_decimals,
        access.address,
        markets.address,
        markets.address,  # the margin rule of perps in cross and isolated accounts
        book.address,
    )
    exchange = new("Exchange", house.address, markets.address)
    modes = new("Modes", house.address, markets.address)
    liquidation = new("Liquidation", house.address, markets.address, spec.liquidator_share, spec.reward)
    new("Lens", house.address, markets.address)
    new("PortfolioLens", house.address)
    surface = new("Surface")
    pricing = new("Pricing")
    portfolio = new("PortfolioMargin", markets.address, book.address, pricing.address, tuple(spec.dials))
    standard = new("StandardMargin", markets.address, book.address, portfolio.address)
    feed = new("SignedFeed", [signer.address for signer in signers], spec.quorum)
    timelock = new("Timelock", 0, [deployer], [deployer])
    expiry = new("Expiry", house.address, markets.address)
    collateral = new("Collateral", house.address)

    markets.send(deployer, "set_clearinghouse", house.address)
    for door, kind in (
        (exchange, TRADE_DOOR),
        (modes, TRADE_DOOR),
        (liquidation, LIQUIDATION_DOOR),
        (expiry, SOURCE_DOOR),
        (collateral, SOURCE_DOOR),
    ):
        access.send(deployer, "set_door", door.address, kind)
    access.send(deployer, "set_roles", guardian, compliance, treasury)
    portfolio.send(deployer, "set_curves", surface.address, spec.curve_window, False)
    portfolio.send(deployer, "set_guardian", guardian)
    house.send(deployer, "set_engine", PORTFOLIO, portfolio.address)
    house.send(deployer, "set_engine", CROSS_BOOK, standard.address)
    for market in spec.markets:
        list_market(markets, deployer, feed.address, market)
    for place, market in enumerate([m for m in spec.markets if m.options][:8]):
        book.send(deployer, "set_grid", market.id, market.options.strike_step)
        portfolio.send(deployer, "set_risk_terms", market.id, tuple(market.options.terms))
        portfolio.send(deployer, "track", place, market.id)
        standard.send(deployer, "set_terms", market.id, tuple(market.options.standard))
        rules = market.options.vols._replace(feed=feed.address)
        surface.send(deployer, "set_rules", market.id, vol_rules_tuple(rules))
    _seed_insurance(house, money, deployer, spec, mints)
    owned = [markets, access, book, surface, portfolio, standard, feed, collateral]
    _hand_over(timelock, deployer, owned, spec.timelock_delay)
    return Protocol(chain, spec, made, signers)


def list_market(markets: Contract, sender: str, feed: str, market: MarketSpec) -> None:
    """Set a market's rules, then its terms; `sender` is the owner of Markets."""
    markets.send(sender, "set_rules", market.id, rules_tuple(feed, market.rules))
    markets.send(sender, "set_terms", market.id, fees_tuple(market.terms), list(market.terms.tiers))


def list_collateral(
    collateral: Contract, sender: str, market: MarketSpec, token: str, cap: int, minimum: int
) -> None:
    """Take a token as spot of a market; `sender` is the owner of Collateral. cap (of all accounts), minimum
    (of a deposit): lots. Raises ValueError for a token whose units are coarser than the market's lots."""
    decimals = Contract(collateral.chain, token, artifact("Token")).call("decimals")
    if decimals < market.size_decimals:
        raise ValueError(
            f"token {token} has {decimals} decimals; spot of {market.symbol} needs"
            f" {market.size_decimals} or more"
        )
    scale = 10 ** (decimals - market.size_decimals)
    collateral.send(sender, "list_token", market.id, token, scale, cap, minimum)


def _seed_insurance(house: Contract, money: Contract, deployer: str, spec: ProtocolSpec, mints: bool) -> None:
    scale = 10 ** (spec.token_decimals - 6)
    seeds = {0: spec.cross_seed} | {market.id: market.seed for market in spec.markets}
    if mints:
        money.send(deployer, "mint", deployer, sum(seeds.values()) * scale)
    money.send(deployer, "approve", house.address, sum(seeds.values()) * scale)
    for pool, amount in seeds.items():
        if amount:
            house.send(deployer, "fund_insurance", pool, amount * scale)


def _hand_over(timelock: Contract, deployer: str, owned: list[Contract], delay: int) -> None:
    """Two-step transfer of everything to the timelock, whose delay rises as the last act."""
    targets = [contract.address for contract in owned] + [timelock.address]
    payloads = [contract.encode("accept_ownership") for contract in owned]
    payloads.append(timelock.encode("update_delay", delay))
    for contract in owned:
        contract.send(deployer, "transfer_ownership", timelock.address)
    batch = (targets, [0] * len(targets), payloads, NO_SALT, NO_SALT)
    timelock.send(deployer, "schedule_batch", *batch, 0)
    timelock.send(deployer, "execute_batch", *batch)


def save(protocol: Protocol, folder: Path) -> Path:
    """Write `<folder>/<chain-id>.json`: addresses, contract names, parameters. Returns the path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{protocol.chain.chain_id}.json"
    spec = protocol.spec
    record = {
        "chain_id": protocol.chain.chain_id,
        "contracts": {
            name: {"address": contract.address, "abi": contract.artifact.name}
            for name, contract in sorted(protocol.contracts.items())
        },
        "parameters": spec._replace(markets=())._asdict()
        | {
            "dials": spec.dials._asdict(),
            "markets": [
                market._asdict()
                | {
                    "rules": market.rules._asdict(),
                    "terms": market.terms._asdict()
                    | {"tiers": [tier._asdict() for tier in market.terms.tiers]},
                    "options": market.options
                    and market.options._asdict()
                    | {
                        "terms": market.options.terms._asdict(),
                        "vols": market.options.vols._asdict(),
                        "standard": market.options.standard._asdict(),
                    },
                }
                for market in spec.markets
            ],
        },
    }
    path.write_text(json.dumps(record, indent=2) + "\n")
    return path


def load(chain: Chain, path: Path, signers: list[Key] | None = None) -> Protocol:
    """A deployed protocol from its file. Raises ChainError when file and chain do not belong together."""
    try:
        record = json.loads(path.read_text())
        parameters = record["parameters"]
        markets = tuple(
            MarketSpec(
                **market
                | {
                    "rules": Rules(**market["rules"]),
                    "terms": Terms(
                        **market["terms"]
                        | {"tiers": tuple(Tier(**tier) for tier in market["terms"]["tiers"])}
                    ),
                    "options": _options(market["options"]),
                }
            )
            for market in parameters["markets"]
        )
        dials = DialSettings(**parameters["dials"])
        spec = ProtocolSpec(**parameters | {"markets": markets, "dials": dials})
        contracts = {
            name: Contract(chain, entry["address"], artifact(entry["abi"]))
            for name, entry in record["contracts"].items()
        }
        expected = record["chain_id"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ChainError(
            f"{path} is not a deployment file ({error}); write one with the deploy script"
        ) from None
    if expected != chain.chain_id:
        raise ChainError(
            f"{path} was deployed on chain {expected}, this node is chain {chain.chain_id};"
            " take the file of this chain"
        )
    house = contracts["Clearinghouse"].address
    if not chain.code(house):
        raise ChainError(f"no contract at {to_checksum_address(house)}; deploy first, then pass its file")
    return Protocol(chain, spec, contracts, signers or [])


def _options(saved: dict | None) -> OptionSpec | None:
    if saved is None:
        return None
    terms, vols = PortfolioTerms(**saved["terms"]), VolRules(**saved["vols"])
    return OptionSpec(
        **saved | {"terms": terms, "vols": vols, "standard": StandardTerms(**saved["standard"])}
    )
