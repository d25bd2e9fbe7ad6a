"""What a check says: verdicts, findings, and the tally of a run."""

from __future__ import annotations

import enum

import msgspec


class Verdict(enum.StrEnum):
    """The three values a property can have. The worst wins: violated, then unknown, then holds."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "unknown"


_SEVERITY = {Verdict.HOLDS: 0, Verdict.UNKNOWN: 1, Verdict.VIOLATED: 2}


def worst(verdicts: list[Verdict]) -> Verdict:
    """The worst of the verdicts; no verdict at all is unknown, never a pass."""
    return max(verdicts, key=_SEVERITY.__getitem__, default=Verdict.UNKNOWN)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one property says of one history."""

    #: The property's name, as scenarios spell it.
    property: str
    verdict: Verdict
    #: One sentence: the evidence for the verdict, with its figures and units.
    reason: str
    #: How many jobs (or other things) bear the verdict out.
    count: int = 0
    #: The first of them, by job number; at most 20.
    witnesses: tuple[int, ...] = ()


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """A run in numbers. Lost, stuck, late, dead-lettered and duplicated are five different things."""

    #: Submits by outcome. `unknown` counts `info` and submits without an outcome.
    ok: int = 0
    unknown: int = 0
    refused: int = 0
    #: Jobs with at least one effect.
    effects: int = 0
    #: Deliveries beyond a job's first.
    redelivered: int = 0
    #: Jobs with more than one effect.
    duplicated: int = 0
    #: Submitted ok, no effect, and nowhere to be found in a complete census.
    lost: int = 0
    #: Submitted ok, no effect, still in a queue when the drain's deadline passed.
    stuck: int = 0
    #: Done, but only after the drain's deadline.
    late: int = 0
    #: Found in a dead-letter queue.
    dead_lettered: int = 0


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """All findings about one history, with its tally. The verdict is the worst of the findings'."""

    findings: tuple[Finding, ...]
    tally: Tally

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all findings."""
        return worst([finding.verdict for finding in self.findings])
