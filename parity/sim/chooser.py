"""Choices that make scenarios: the first option of each is the simplest, and those of a swarm's mask are left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from parity.scenario.ranges import Draws, IntRange

T = TypeVar("T")


class Chooser:
    """Makes choices, and remembers those that make the same scenario without the mask of a swarm.

    Args:
        draws: Where they come from.
    """

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        self.choices: list[int] = []

    def part(self, make: Callable[[], T]) -> T:
        """Make a part of the scenario that can be left out as a whole: Hypothesis likes to know."""
        part: Callable[[Callable[[], T]], T] | None = getattr(self._draws, "part", None)
        return make() if part is None else part(make)

    def one_of(self, options: Sequence[T]) -> T:
        """One of the options, the first being the simplest; no choice is made where there is none."""
        if len(options) == 1:
            return options[0]
        choice = self._draws.integer(0, len(options) - 1)
        self.choices.append(choice)
        return options[choice]

    def chance(self, one_in: int) -> bool:
        """True but one in so many times."""
        choice = self._draws.integer(0, one_in - 1)
        self.choices.append(choice)
        return choice > 0

    def rarely(self, one_in: int) -> bool:
        """True one in so many times, and never where choices are the simplest."""
        choice = self._draws.integer(0, one_in - 1)
        self.choices.append(choice)
        return choice == one_in - 1

    def is_masked(self) -> bool:
        """Whether this is a run of a swarm: half the time. Bugs that other faults hide need it."""
        self.choices.append(0)
        return self._draws.integer(0, 1) > 0

    def mask(self, options: tuple[str, ...], fewer: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A swarm's mask: each option is in it or not.

        Args:
            options: What there is.
            fewer: Some of them that are worth trying by themselves: every other mask is of those.
        """
        if fewer and self._draws.integer(0, 1):
            options = fewer
        return tuple(option for option in options if not self._draws.integer(0, 1)) or options

    def one_of_masked(self, options: tuple[str, ...], mask: tuple[str, ...]) -> str:
        """One of the options in the mask."""
        if len(options) == 1:
            return options[0]
        option = mask[self._draws.integer(0, len(mask) - 1)] if len(mask) > 1 else mask[0]
        self.choices.append(options.index(option))
        return option


def exactly(value: int) -> IntRange:
    """A range that leaves no choice."""
    return IntRange(low=value, high=value)
