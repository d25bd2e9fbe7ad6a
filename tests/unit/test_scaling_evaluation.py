"""CloudWatch's tables of what missing datapoints make of an alarm."""

from __future__ import annotations

import pytest

from parity.model.scaling.metrics.evaluation import judged

#: Datapoints the oldest first: `0` does not breach, `X` does, `-` is missing. Then the state for each treatment:
#: missing, ignore, breaching, notBreaching. None where it stays.
#: Source: CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data".
THREE_OF_THREE = [
    ("0 - X - X", "OK", "OK", "OK", "OK"),
    ("0 - - - -", "OK", "OK", "OK", "OK"),
    ("- - - - -", "INSUFFICIENT_DATA", None, "ALARM", "OK"),
    ("0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("- - X - -", "ALARM", None, "ALARM", "OK"),
]
TWO_OF_THREE = [
    ("0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0 - X - -", "OK", "OK", "ALARM", "OK"),
    ("- - - - 0", "OK", "OK", "ALARM", "OK"),
    ("- - - X -", "ALARM", None, "ALARM", "OK"),
]
#: Not in the tables: a breach that is younger than M periods is no alarm yet.
YOUNG = [("- - - - X", None, None, "ALARM", "OK")]
TREATMENTS = ["missing", "ignore", "breaching", "notBreaching"]
MEANT = {"0": 0.0, "X": 1.0, "-": None}


@pytest.mark.parametrize(
    ("row", "needed", "treatment", "state"),
    [
        (row, needed, treatment, state)
        for table, needed in ((THREE_OF_THREE, 3), (TWO_OF_THREE, 2), (YOUNG, 3))
        for row, *states in table
        for treatment, state in zip(TREATMENTS, states, strict=True)
    ],
)
def test_the_tables_of_cloudwatch(row, needed, treatment, state):
    points = [MEANT[mark] for mark in reversed(row.split())]
    assert judged(points, bool, periods=3, needed=needed, missing=treatment).state == state


def test_late_datapoints_are_looked_for_further_back():
    """Three are there, so none is filled in: two of three breach, and all three are needed."""
    points = [1.0, None, 1.0, None, 0.0]
    for treatment in TREATMENTS:
        verdict = judged(points, bool, periods=3, needed=3, missing=treatment)
        assert (verdict.state, verdict.places, verdict.filled) == ("OK", (0, 2, 4), 0)
