"""The desk of a replay: opening trades that leave no market maker with dust."""

from margincall.chain import EmbeddedChain
from margincall.protocol.config import DEFAULT, USD
from margincall.protocol.deploy import deploy
from margincall.replay.desk import Desk
from margincall.replay.population import CROSS, Trade, Trader, owners

MARKS = {1: 100_000 * 10**6, 2: 4_000 * 10**7, 3: 200 * 10**8}
COIN = 10**8


def test_a_maker_is_not_left_with_dust():
    """The second sale would leave the first maker 60 USD short: the other one takes it."""
    sizes = (COIN // 200, -COIN * 44 // 10_000)  # 500 USD, 440 USD
    assert DEFAULT.markets[0].terms.min_notional == 100 * USD
    people = [Trader(10_000 * USD, (Trade(1, size, 2, 0),)) for size in sizes]
    found = owners(people, CROSS, 1, DEFAULT.markets, MARKS)
    desk = Desk(deploy(EmbeddedChain()), DEFAULT.markets)
    desk.publish(MARKS, MARKS, desk.chain.timestamp + 1)
    desk.endow(found)
    maker, other = [owner for owner in found if not owner.trader][:2]
    desk.open(
        [(owner, maker, owner.trader.trades[0]) for owner in found[:2]]
        + [(found[0], other, Trade(2, COIN, 2, 0))]
    )
    held = [desk.twin.size(one.id, 1) for one in (maker, other)]
    assert held == [-sizes[0], -sizes[1]]
    for one in (maker, other):
        header, words = desk.protocol.clearinghouse.call("account", one.id)
        assert (header, words) == (desk.twin.header(one.id), desk.twin.words(one.id))
