# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Aggregator
@license GNU Affero General Public License v3.0 only
@notice An AggregatorV3 whose answers anyone may set.
"""


from ..interfaces import IAggregatorV3


implements: IAggregatorV3


struct Round:
    id: uint80
    answer: int256
    started: uint256
    updated: uint256
    answered_in: uint80


decimals: public(uint8)
latest: Round


@deploy
def __init__(decimals: uint8, answer: int256):
    self.decimals = decimals
    self.latest = Round(
        id=1, answer=answer, started=block.timestamp, updated=block.timestamp, answered_in=1
    )


@external
@view
def latestRoundData() -> (uint80, int256, uint256, uint256, uint80):
    latest: Round = self.latest
    return latest.id, latest.answer, latest.started, latest.updated, latest.answered_in


@external
def set_answer(answer: int256):
    """
    @notice Completes the next round, now.
    """
    id: uint80 = self.latest.id + 1
    self.latest = Round(
        id=id, answer=answer, started=block.timestamp, updated=block.timestamp, answered_in=id
    )


@external
def set_round(id: uint80, answer: int256, started: uint256, updated: uint256, answered_in: uint80):
    """
    @notice Sets the latest round as it is told, however wrong.
    """
    self.latest = Round(
        id=id, answer=answer, started=started, updated=updated, answered_in=answered_in
    )


@external
def set_decimals(decimals: uint8):
    self.decimals = decimals
