"""What a run came to, and where it is written down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parity.check.verdict import Finding, Judgement, Tally, Verdict
from parity.scenario.scenario import Expectation


@dataclass(frozen=True, kw_only=True)
class Result:
    """One run, judged.

    Args:
        scenario: The scenario's name.
        stack: The stack's name.
        runtime: `docker`, or `sim`.
        seed: What the values were drawn with.
        expectation: What the scenario said it would show.
        judgement: The findings and the tally; None where the run broke off.
        seconds: Wall time, from the namespace to the verdict.
        faults_s: How much of it the run was under fault.
        record: The folder of the run's record.
        error: Why the run broke off; empty where it did not.
    """

    scenario: str
    stack: str
    runtime: str
    seed: int
    expectation: Expectation
    judgement: Judgement | None
    seconds: float
    faults_s: float
    record: Path
    error: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst finding's; unknown where the run broke off."""
        return self.judgement.verdict if self.judgement else Verdict.UNKNOWN

    @property
    def tally(self) -> Tally:
        """The run in numbers."""
        return self.judgement.tally if self.judgement else Tally()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What each property said."""
        return self.judgement.findings if self.judgement else ()

    @property
    def expected(self) -> str:
        """The expected verdict in words: `holds`, or `violated` with the properties."""
        violated = self.expectation.violated
        return f"violated: {', '.join(violated)}" if violated else Verdict.HOLDS.value

    @property
    def as_expected(self) -> bool:
        """Whether everything held that had to, or everything was violated that had to be."""
        if self.judgement is None:
            return False
        if not self.expectation.violated:
            return self.verdict is Verdict.HOLDS
        violated = {finding.property for finding in self.findings if finding.verdict is Verdict.VIOLATED}
        return set(self.expectation.violated) <= violated

    def as_dict(self) -> dict[str, Any]:
        """The members that `--json` prints, in its order."""
        tally = self.tally
        return {
            "scenario": self.scenario,
            "stack": self.stack,
            "runtime": self.runtime,
            "seed": self.seed,
            "verdict": self.verdict.value,
            "expected": self.expected,
            "submitted": {"ok": tally.ok, "unknown": tally.unknown, "refused": tally.refused},
            "effects": tally.effects,
            "redelivered": tally.redelivered,
            "duplicated": tally.duplicated,
            "lost": tally.lost,
            "stuck": tally.stuck,
            "dead_lettered": tally.dead_lettered,
            "seconds": round(self.seconds, 1),
            "run": str(self.record),
        } | ({"error": self.error} if self.error else {})
