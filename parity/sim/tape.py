"""The tape: every choice of a simulated run, in the order it was made. 0 is the benign choice."""

from __future__ import annotations

import random
from collections.abc import Sequence


class Tape:
    """Draws that are remembered: from a seed, or from choices made before.

    Args:
        seed: Where fresh choices come from; None makes every fresh choice the benign one.
        choices: Choices to repeat first, each the distance from the low end of its range. One that is out of its
            range is taken as the high end: a tape that was cut or changed still replays to something.
    """

    def __init__(self, seed: int | str | None = None, choices: Sequence[int] = ()) -> None:
        self.choices: list[int] = []
        self._replayed = choices
        self._random = None if seed is None else random.Random(seed).random  # noqa: S311  # chance, not secrets

    def integer(self, low: int, high: int) -> int:
        """An integer between the two, both included; the low end is the benign one."""
        choices = self.choices
        at = len(choices)
        if at < len(self._replayed):
            choice = min(self._replayed[at], high - low)
        elif self._random is None:
            choice = 0
        else:
            choice = int(self._random() * (high - low + 1))
        choices.append(choice)
        return low + choice
