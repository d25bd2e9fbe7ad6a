"""What a run came to: whether that was expected, and what `--json` prints of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parity.check.verdict import Finding, Judgement, Tally, Verdict
from parity.run.result import Result
from parity.scenario.scenario import Expectation

TALLY = Tally(ok=40, unknown=2, refused=1, effects=41, redelivered=5, duplicated=3, lost=4, stuck=6, dead_lettered=7)
HOLDS, VIOLATED, UNKNOWN = Verdict.HOLDS, Verdict.VIOLATED, Verdict.UNKNOWN


def result(*expected: str, error: str = "", **found: Verdict) -> Result:
    """A run of which each property's verdict is given; one that broke off where there is an error."""
    findings = tuple(Finding(property=name, verdict=verdict, reason="because") for name, verdict in found.items())
    judgement = Judgement(findings=findings, tally=TALLY)
    return Result(
        scenario="worker-killed",
        stack="compose/rabbitmq",
        runtime="docker",
        seed=7,
        expectation=Expectation(violated=expected),
        judgement=None if error else judgement,
        seconds=12.345,
        faults_s=2.0,
        record=Path("out/run"),
        error=error,
    )


@pytest.mark.parametrize(
    ("expected", "found", "as_expected"),
    [
        ([], {"no_job_lost": HOLDS, "no_phantom": HOLDS}, True),
        ([], {"no_job_lost": VIOLATED, "no_phantom": HOLDS}, False),
        ([], {"no_job_lost": UNKNOWN, "no_phantom": HOLDS}, False),
        ([], {}, False),
        (["no_job_lost"], {"no_job_lost": VIOLATED, "no_phantom": HOLDS}, True),
        (["no_job_lost"], {"no_job_lost": VIOLATED, "conservation": VIOLATED, "no_phantom": UNKNOWN}, True),
        (["no_job_lost"], {"no_job_lost": HOLDS, "no_phantom": HOLDS}, False),
        (["no_job_lost"], {"no_job_lost": UNKNOWN, "no_phantom": HOLDS}, False),
        (["no_job_lost"], {"no_job_lost": HOLDS, "no_phantom": VIOLATED}, False),
        (["no_job_lost"], {}, False),
        (["no_job_lost", "no_phantom"], {"no_job_lost": VIOLATED, "no_phantom": VIOLATED}, True),
        (["no_job_lost", "no_phantom"], {"no_job_lost": VIOLATED, "no_phantom": HOLDS}, False),
        (["no_job_lost", "no_phantom"], {"no_job_lost": VIOLATED, "no_phantom": UNKNOWN}, False),
    ],
)
def test_a_run_is_as_expected_when_all_held_or_all_that_had_to_be_violated_was(expected, found, as_expected):
    assert result(*expected, **found).as_expected is as_expected


@pytest.mark.parametrize("expected", [(), ("no_job_lost",)])
def test_a_run_that_broke_off_is_unknown_and_never_as_expected(expected):
    """A known-bad stack whose run crashed was not caught."""
    broken = result(*expected, error="the engine went away", no_job_lost=VIOLATED)
    assert broken.verdict is UNKNOWN
    assert not broken.as_expected
    assert broken.as_dict()["error"] == "the engine went away"


class TestJson:
    def test_its_members_are_those_that_were_promised_in_their_order(self):
        data = result(no_job_lost=HOLDS).as_dict()
        assert list(data) == [
            "scenario",
            "stack",
            "runtime",
            "seed",
            "verdict",
            "expected",
            "submitted",
            "effects",
            "redelivered",
            "duplicated",
            "lost",
            "stuck",
            "dead_lettered",
            "seconds",
            "run",
        ]
        assert list(data["submitted"]) == ["ok", "unknown", "refused"]

    def test_each_number_is_its_own(self):
        assert json.loads(json.dumps(result("no_job_lost", no_job_lost=VIOLATED).as_dict())) == {
            "scenario": "worker-killed",
            "stack": "compose/rabbitmq",
            "runtime": "docker",
            "seed": 7,
            "verdict": "violated",
            "expected": "violated: no_job_lost",
            "submitted": {"ok": 40, "unknown": 2, "refused": 1},
            "effects": 41,
            "redelivered": 5,
            "duplicated": 3,
            "lost": 4,
            "stuck": 6,
            "dead_lettered": 7,
            "seconds": 12.3,
            "run": "out/run",
        }

    def test_what_was_expected_to_hold_says_so(self):
        assert result(no_job_lost=HOLDS).as_dict()["expected"] == "holds"
