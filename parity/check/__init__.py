"""Checks: properties over histories, and nothing but histories."""

from parity.check.judge import judge
from parity.check.lives import lives
from parity.check.verdict import Finding, Judgement, Tally, Verdict, worst

__all__ = ["Finding", "Judgement", "Tally", "Verdict", "judge", "lives", "worst"]
