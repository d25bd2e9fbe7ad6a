"""A search spread over a cluster: stretches of run numbers go out, failures come back, each is shrunk once.

A run depends on nothing but its number, so it does not matter where it is done. Unlike a search on one machine this
one goes on after a failure, and ends with the first failure of every property that was violated.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec

from parity.errors import DeterminismError
from parity.sim.search import Effort, Hunt, Portion, Progress, search_portion
from parity.sim.shrink import WORK, Shrunk, shrink

#: How much work shrinking may be on a cluster, which has the time.
SHRINK_WORK = 8 * WORK
#: How many runs go out at once: seconds of work, beside which the way there and back is nothing.
STRETCH = 1000


class Cluster(Protocol):
    """Where work is done."""

    def workers(self) -> int:
        """How many things it does at once."""
        ...

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Have a function of a module called; what is returned stands for its result."""
        ...

    def first(self, pending: list[Any]) -> tuple[Any, Any]:
        """Wait for any of the pending.

        Returns:
            The one that is done, and its result.
        """
        ...


class Stretch(msgspec.Struct, kw_only=True):
    """What a stretch of runs came to, failures and all."""

    total: Portion = msgspec.field(default_factory=lambda: Portion(start=0))
    #: By property the lowest number of a run that violates it first, with its digest.
    failures: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)

    def merge(self, more: Stretch) -> None:
        """Add another stretch."""
        self.total.add(more.total)
        for name, failure in more.failures.items():
            self.failures[name] = min(failure, self.failures.get(name, failure))


@dataclass(frozen=True, kw_only=True)
class Spread(Effort):
    """What a search on a cluster came to. Its wall time includes the shrinking.

    Args:
        failures: What was found, shrunk, by property.
    """

    failures: dict[str, Shrunk]


def search_stretch(hunt: Hunt, start: int, count: int) -> Stretch:
    """Do a stretch of runs, all of them.

    Args:
        hunt: What is looked for.
        start: The first number.
        count: How many.
    """
    stretch = Stretch()
    end = start + count
    while start < end:
        portion = search_portion(hunt, start, end - start)
        stretch.total.add(portion)
        if portion.failing is None:
            break
        stretch.failures.setdefault(portion.property, (portion.failing, portion.digest))
        start = portion.failing + 1
    return stretch


def shrink_one(hunt: Hunt, index: int, digest: int, wanted: str, work: int) -> Shrunk:
    """Shrink the failing run of a number.

    Raises:
        DeterminismError: It is not the run that it was elsewhere.
    """
    found = replace(hunt, property=wanted).failure(index)
    if found is None or found.digest != digest:
        raise DeterminismError(f"run {hunt.seed}/{index} came out differently on another machine of the cluster")
    return shrink(found, hunt.space, hunt.simulate, work=work)


def explore_spread(
    hunt: Hunt,
    cluster: Cluster,
    *,
    keep: Callable[[Shrunk], object] = lambda _: None,
    runs: int | None = None,
    for_s: float | None = None,
    shrink_work: int = SHRINK_WORK,
    progress: Progress = lambda _: None,
) -> Spread:
    """Search on a cluster, and shrink the first failure of each property that is violated.

    Args:
        hunt: What is looked for.
        cluster: Where.
        keep: Told each failure as soon as it is shrunk.
        runs: How many runs at most; None: as many as the time takes.
        for_s: For how many seconds runs are handed out; None: until all are.
        shrink_work: How much work it may be to shrink a failure, in steps of the engine.
        progress: Told from time to time how far the search is.

    Raises:
        DeterminismError: A run done twice came out differently.
        SimulationError: A run broke off.
    """
    assert for_s is not None or runs is not None, "a search has an end"
    start = time.monotonic()
    found = _search(hunt, cluster, runs=runs, until=None if for_s is None else start + for_s, progress=progress)
    count = len(found.failures)
    progress(f"{found.total.runs:,} runs; shrinking {count} failure{'' if count == 1 else 's'}")
    pending = [
        cluster.submit(shrink_one, hunt, index, digest, name, shrink_work)
        for name, (index, digest) in sorted(found.failures.items())
    ]
    failures = {}
    while pending:
        done, shrunk = cluster.first(pending)
        pending.remove(done)
        keep(shrunk)
        failures[shrunk.property] = shrunk
    effort = found.total.effort(time.monotonic() - start)
    return Spread(failures=dict(sorted(failures.items())), **effort)


def _search(hunt: Hunt, cluster: Cluster, *, runs: int | None, until: float | None, progress: Progress) -> Stretch:
    """Hand out stretches while there is time, and sum up what comes back; nothing that went out is left behind."""
    found = Stretch()
    pending: list[Any] = []
    start = 0

    def is_over() -> bool:
        late = until is not None and start > 0 and time.monotonic() >= until
        return late or (runs is not None and start >= runs)

    while True:
        # One more than is worked on, so that nobody waits for the way there and back.
        while len(pending) <= cluster.workers() and not is_over():
            count = STRETCH if runs is None else min(STRETCH, runs - start)
            pending.append(cluster.submit(search_stretch, hunt, start, count))
            start += count
        if not pending:
            return found
        done, stretch = cluster.first(pending)
        pending.remove(done)
        found.merge(stretch)
        progress(f"{found.total.runs:,} runs; violated: {', '.join(sorted(found.failures)) or 'nothing'}")
