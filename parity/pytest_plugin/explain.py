"""What a failed test tells: verdict, findings with their witnesses, the record, and how to see it again."""

from __future__ import annotations

from collections.abc import Iterable

from parity.check.verdict import Finding, Verdict
from parity.run.result import Result

_WITNESSES_SHOWN = 10


def explain(result: Result, *, again: str) -> str:
    """A run's result for the person who has to find out why.

    Args:
        result: The result.
        again: The command that replays it.
    """
    what = f"{result.scenario} on {result.stack} ({result.runtime})"
    lines = [f"{what}: {result.verdict}, expected {result.expected}, seed {result.seed}"]
    if result.error:
        lines += ["the run broke off:", *(f"    {line}" for line in result.error.splitlines())]
    lines += explain_findings(result.findings)
    lines += [f"record: {result.record}", f"again:  {again}"]
    return "\n".join(lines)


def explain_findings(findings: Iterable[Finding]) -> list[str]:
    """A line for each finding, those that do not hold first."""
    ordered = sorted(findings, key=lambda finding: finding.verdict is Verdict.HOLDS)
    return [f"    {finding.property}: {finding.verdict}: {finding.reason}{_witnesses(finding)}" for finding in ordered]


def _witnesses(finding: Finding) -> str:
    if not finding.witnesses:
        return ""
    shown = ", ".join(str(job) for job in finding.witnesses[:_WITNESSES_SHOWN])
    return f" (jobs {shown}{', ...' if finding.count > _WITNESSES_SHOWN else ''})"
