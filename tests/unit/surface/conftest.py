"""A surface with one market's rules, and payloads as honest publishers make them."""

import pytest

from margincall.chain.embedded import EmbeddedChain
from margincall.chain.keys import key
from margincall.model.surface import DAY, HOUR_OF_EXPIRY, VolReport, VolRules
from margincall.protocol.orders import domain
from margincall.protocol.vols import vol_rules_tuple, vols_payload

NOW = 1_700_000_000
ETH, BTC = 2, 1
WEEK = NOW // DAY * DAY + 7 * DAY + HOUR_OF_EXPIRY
MONTH = WEEK + 28 * DAY
SIGNERS = [key("surface", "signer", i) for i in range(3)]
OUTSIDER = key("surface", "outsider")


def smile(expiry=WEEK, atm=700_000, skew=-50_000, curvature=300_000, published=NOW, market=ETH):
    return VolReport(market, expiry, atm, skew, curvature, published)


@pytest.fixture
def chain():
    return EmbeddedChain(timestamp=NOW - 1_000)


@pytest.fixture
def feed(deploy):
    return deploy("SignedFeed", [signer.address for signer in SIGNERS], 2)


@pytest.fixture
def rules(feed):
    return VolRules(feed.address, 100_000, 3_000_000, 100_000, 60, 3_600)


@pytest.fixture
def surface(deploy, owner, rules):
    made = deploy("Surface")
    for market in (BTC, ETH):
        made.send(owner, "set_rules", market, vol_rules_tuple(rules))
    return made


@pytest.fixture
def payload(chain, feed):
    def make(*reports, signers=SIGNERS[:2], chain_id=chain.chain_id, address=feed.address):
        return vols_payload(domain("margincall feed", chain_id, address), reports, signers)

    return make


@pytest.fixture
def post(surface, feed, stranger, payload):
    """Anyone posts these reports at a time (default: when the first was published)."""

    def send(*reports, at=None):
        when = reports[0].published if at is None else at
        return surface.send(stranger, "update_vols", feed.address, payload(*reports), at=when)

    return send


@pytest.fixture
def attempt(surface, feed, stranger, payload):
    """As `post`, but nothing stays and no time passes."""

    def call(*reports, at=None):
        when = reports[0].published if at is None else at
        return surface.call("update_vols", feed.address, payload(*reports), sender=stranger, at=when)

    return call
