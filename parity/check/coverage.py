"""Coverage: which of the branches that a contract allows the real stack has ever shown, over all runs so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from parity.check.conformance import Conformance
from parity.model.contract import BRANCHES, Contract


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """How a branch stands over some runs."""

    #: Runs whose contract allowed it.
    runs_allowed: int = 0
    #: Runs that showed it for certain.
    runs_shown: int = 0
    #: How often it was shown for certain.
    shown: int = 0
    #: How often it may have been shown: something else could have been the case as well.
    possible: int = 0

    def __add__(self, other: Shown) -> Shown:
        return Shown(
            runs_allowed=self.runs_allowed + other.runs_allowed,
            runs_shown=self.runs_shown + other.runs_shown,
            shown=self.shown + other.shown,
            possible=self.possible + other.possible,
        )


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What runs have shown so far; as JSON it is what `msgspec.json.encode` makes of it."""

    runs: int = 0
    jobs: int = 0
    events: int = 0
    #: By branch. One that no contract knows any more stays, with its counts.
    branches: dict[str, Shown] = {}

    def __add__(self, other: Coverage) -> Coverage:
        names = [*self.branches, *(name for name in other.branches if name not in self.branches)]
        none = Shown()
        return Coverage(
            runs=self.runs + other.runs,
            jobs=self.jobs + other.jobs,
            events=self.events + other.events,
            branches={name: self.branches.get(name, none) + other.branches.get(name, none) for name in names},
        )

    def never_shown(self) -> dict[str, Shown]:
        """Branches that some run's contract allowed and none showed for certain; the most often allowed first."""
        missing = {name: shown for name, shown in self.branches.items() if shown.runs_allowed and not shown.shown}
        return dict(sorted(missing.items(), key=lambda item: (-item[1].runs_allowed, item[0])))


def coverage_of(found: Conformance, contract: Contract) -> Coverage:
    """What one run has shown of its contract.

    Args:
        found: How its history stands to the contract.
        contract: The same.
    """
    allowed = contract.branches()
    branches = {
        name: Shown(
            runs_allowed=int(name in allowed),
            runs_shown=int(found.branches.get(name, 0) > 0),
            shown=found.branches.get(name, 0),
            possible=found.possible.get(name, 0),
        )
        for name in BRANCHES
    }
    return Coverage(runs=1, jobs=found.jobs, events=found.events, branches=branches)


def merge(coverages: Iterable[Coverage | Mapping[str, object]]) -> Coverage:
    """What several runs have shown together; plain data is taken as it was stored."""
    total = Coverage()
    for coverage in coverages:
        total += coverage if isinstance(coverage, Coverage) else msgspec.convert(coverage, Coverage)
    return total
