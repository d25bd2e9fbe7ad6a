"""What the judgements of all properties share: how a finding is made, and what a census can prove."""

from __future__ import annotations

from parity.check.accounts import Jobs
from parity.check.ledger import Ledger
from parity.check.verdict import Finding, Verdict

HOLDS, VIOLATED, UNKNOWN = Verdict.HOLDS, Verdict.VIOLATED, Verdict.UNKNOWN


def finding(name: str, verdict: Verdict, reason: str, jobs: Jobs | None = None) -> Finding:
    """A finding, with the jobs that bear it out where there are any."""
    count, witnesses = jobs or (0, ())
    return Finding(property=name, verdict=verdict, reason=reason, count=count, witnesses=witnesses)


def census_gap(ledger: Ledger) -> str:
    """Why the census cannot prove a job absent; empty where it can."""
    if ledger.census is None:
        return "no census was taken"
    if not ledger.census.complete:
        return f"the census is not complete ({ledger.census.reason or 'no reason given'})"
    return ""
