"""Where a machine's choices come from: a fast random generator here, hypothesis in the tests."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Protocol


class Draw(Protocol):
    """The choices an operation makes. Bounds are inclusive."""

    def choice(self, options: Sequence) -> Any: ...

    def integer(self, low: int, high: int) -> int: ...

    def chance(self, percent: int) -> bool: ...


class RandomDraw:
    """Choices of `random.Random(seed)`: the same run for the same seed."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)
        self._uniform = self._random.random

    def choice(self, options: Sequence) -> Any:
        return options[int(self._uniform() * len(options))]

    def integer_below(self, bound: int) -> int:
        """The place that `choice` takes of so many options."""
        return int(self._uniform() * bound)

    def integer(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def chance(self, percent: int) -> bool:
        return self._uniform() * 100 < percent
