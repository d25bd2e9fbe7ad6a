"""Handing a failing tape to Hypothesis, which makes its choices fewer and simpler while it still fails.

Hypothesis replays what its database has and shrinks it. So the tape is written into a database as if Hypothesis had
found the failure itself. That reaches into its internals, and `tests/unit/test_sim_shrink.py` tells when they have
changed: how choices become bytes, a test's key, and the key below it for failures that are not minimal yet.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase, choices_to_bytes
from hypothesis.errors import HypothesisException, HypothesisWarning

from parity.scenario.ranges import Draws

T = TypeVar("T")

_KEY = b"parity"
#: Choices that Hypothesis takes in one run, with room for a run that makes more of them than the one found did.
CHOICES_MAX = 4000


class EnoughIsTried(BaseException):  # like KeyboardInterrupt: Hypothesis must not take it for a failure
    """Raised by a condition to end the shrinking."""


class _FailsError(Exception):
    """The one failure: Hypothesis tells failures apart by class and line."""


class HypothesisDraws:
    """Draws that Hypothesis makes.

    Args:
        draw: Draws from a strategy.
    """

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self._draw = draw
        #: Each the distance from the low end of its range, as a tape has it.
        self.choices: list[int] = []

    def integer(self, low: int, high: int) -> int:
        """An integer between the two, both included; shrinks towards the low end."""
        choice: int = self._draw(_up_to(high - low))
        self.choices.append(choice)
        return low + choice

    def part(self, make: Callable[[], T]) -> T:
        """Make a part whose draws belong together, so that it can be left out as a whole."""
        made: T = self._draw(st.builds(make))
        return made


@cache
def _up_to(high: int) -> st.SearchStrategy[int]:
    return st.integers(0, high)


def shrink_choices(choices: Sequence[int], fails: Callable[[Draws], bool]) -> bool:
    """Let Hypothesis shrink choices.

    Args:
        choices: Those that fail.
        fails: Makes its choices from the draws and says whether they fail; it remembers the simplest that did. Ends
            the shrinking by `EnoughIsTried`.

    Returns:
        Whether the choices failed here too; if not, nothing was shrunk.
    """
    database = InMemoryExampleDatabase()
    database.save(_KEY + b".secondary", choices_to_bytes(tuple(choices)))

    @settings(
        database=database,
        phases=(Phase.reuse, Phase.shrink),
        max_examples=1000,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=tuple(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    # Hypothesis' own chance is repeated too: the same failure shrinks to the same scenario. `derandomize` would do
    # so as well, and allows no database; a seed takes the database away, and the settings above it bring it back.
    @seed(0)
    @given(st.data())
    def shrinking(data: st.DataObject) -> None:
        if fails(HypothesisDraws(data.draw)):
            raise _FailsError

    setattr(shrinking, "_hypothesis_internal_database_key", _KEY)  # noqa: B010  # as `hypothesis.find` does
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)
            shrinking()
    except (_FailsError, EnoughIsTried, HypothesisException):
        # What failed so far is remembered, and is a failure whatever Hypothesis thinks of the rest.
        return True
    return False
