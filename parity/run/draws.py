"""Drawn values from a seed: the same seed and scenario give the same values on every machine."""

from __future__ import annotations

import random


class SeededDraws:
    """Draws from a generator seeded by the run's seed and the scenario's name.

    Args:
        seed: The run's seed, as printed.
        name: The scenario's name, so that scenarios of one seed differ.
    """

    def __init__(self, seed: int, name: str) -> None:
        self._random = random.Random(f"{seed} {name}")  # noqa: S311  # chance to be repeated, not secrets

    def integer(self, low: int, high: int) -> int:
        """An integer between the two, both included."""
        return self._random.randint(low, high)
