"""What is to be run, dealt out to machines: no stack started without need, no machine idle while there is work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parity.run.entry import Entry
from parity.scenario.scenario import Expectation, Scenario
from parity.stack.description import load_stack


@dataclass(frozen=True, kw_only=True)
class Share:
    """An entry as it is sent: the stack's files are on the machine already.

    Args:
        number: Which entry it is.
        scenario: The scenario as its file states it.
        stack: The stack's name.
        place: Its folder below the project's, with the overlay.
        expectation: What it should show.
        source: What to name on the command line to get this entry again.
    """

    number: int
    scenario: Scenario
    stack: str
    place: str
    expectation: Expectation
    source: str

    def entry(self) -> Entry:
        """The entry again, in a current folder that is the project's.

        Raises:
            SourceError: A file is missing here.
        """
        files = load_stack(self.place, root=Path.cwd()).model_copy(update={"name": self.stack})
        return Entry(files=files, scenario=self.scenario, expectation=self.expectation, source=self.source)


class Deal:
    """Deals shares out, those of one stack to one machine while that leaves nobody idle.

    Who asks gets more of the stack it has up. Who has none, or has had all of it, gets the biggest stack that nobody
    has; where all are somebody's, a part of the biggest that is left, and has to start that stack too.

    Args:
        groups: Numbers of the entries that can share a stack, together.
        alone: Those of them that have the stack to themselves.
        machines: How many ask.
        lanes: How many may run side by side.
    """

    def __init__(self, groups: Sequence[Sequence[int]], *, alone: set[int], machines: int, lanes: int) -> None:
        # Those that go side by side come first, so that parts of them fill the lanes.
        self._left = [sorted(group, key=lambda number: number in alone) for group in groups]
        self._alone = alone
        self._machines = machines
        self._lanes = lanes
        self._has: dict[str, int] = {}

    def next(self, machine: str) -> list[int]:
        """What a machine without work is to run next; nothing where nothing is left.

        Part of what is left of a stack stays behind for whoever is done sooner, unless it is too little to share.
        """
        if not self.left():
            return []
        stack = self._has.get(machine)
        if stack is None or not self._left[stack]:
            stack = self._has[machine] = self._biggest()
        left = self._left[stack]
        beside = sum(number not in self._alone for number in left[: self._lanes])
        count = max(math.ceil(len(left) / self._machines), beside)
        self._left[stack] = left[count:]
        return left[:count]

    def left(self) -> list[int]:
        """What nobody was given yet."""
        return [number for group in self._left for number in group]

    def _biggest(self) -> int:
        taken = set(self._has.values())
        stacks = [stack for stack, left in enumerate(self._left) if left]
        return max(stacks, key=lambda stack: (stack not in taken, len(self._left[stack])))
