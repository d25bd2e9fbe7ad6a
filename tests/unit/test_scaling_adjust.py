"""How much a policy adjusts a capacity."""

from __future__ import annotations

import pytest

from parity.model.scaling.policies.adjust import CHANGE, EXACT, PERCENT, adjusted, clamped, step_for

OUT = [
    {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 0},
    {"MetricIntervalLowerBound": 10.0, "MetricIntervalUpperBound": 20.0, "ScalingAdjustment": 10},
    {"MetricIntervalLowerBound": 20.0, "ScalingAdjustment": 30},
]
IN = [
    {"MetricIntervalLowerBound": -10.0, "MetricIntervalUpperBound": 0.0, "ScalingAdjustment": 0},
    {"MetricIntervalLowerBound": -20.0, "MetricIntervalUpperBound": -10.0, "ScalingAdjustment": -10},
    {"MetricIntervalUpperBound": -20.0, "ScalingAdjustment": -30},
]


@pytest.mark.parametrize(
    ("capacity", "kind", "amount", "magnitude", "becomes"),
    [
        (2, CHANGE, 3, 0, 5),
        (2, CHANGE, -3, 0, -1),
        (2, EXACT, 7, 0, 7),
        (7, EXACT, 0, 0, 0),
        (4, PERCENT, 25, 2, 6),
        (4, PERCENT, 25, 0, 5),
        (10, PERCENT, 10, 0, 11),
        (11, PERCENT, 30, 0, 14),
        (14, PERCENT, -10, 0, 13),
        (13, PERCENT, -30, 0, 10),
        (3, PERCENT, 10, 0, 4),
        (3, PERCENT, -10, 0, 2),
        (100, PERCENT, 1, 0, 101),
        (199, PERCENT, 1, 0, 200),
        (199, PERCENT, -1, 0, 198),
        (8, PERCENT, -25, 0, 6),
        (8, PERCENT, -25, 3, 5),
        (8, PERCENT, 0, 3, 8),
        (0, PERCENT, 50, 0, 0),
        (0, PERCENT, 50, 2, 2),
    ],
)
def test_an_adjustment(capacity, kind, amount, magnitude, becomes):
    """Percent goes towards 0, but at least one instance, and at least the magnitude where there is one."""
    assert adjusted(capacity, kind, amount, magnitude) == becomes


def test_a_capacity_stays_within_bounds():
    assert [clamped(size, 2, 5) for size in (1, 2, 4, 5, 9)] == [2, 2, 4, 5, 5]


@pytest.mark.parametrize(
    ("steps", "difference", "found"),
    [
        (OUT, 0, 0),
        (OUT, 9.9, 0),
        (OUT, 10, 10),
        (OUT, 20, 30),
        (OUT, 1e9, 30),
        (OUT, -1, None),
        (IN, -0.1, 0),
        (IN, -10, -10),
        (IN, -19.9, -10),
        (IN, -20, -30),
        (IN, 1, None),
    ],
)
def test_a_step_has_its_lower_bound_above_the_threshold_and_its_upper_below(steps, difference, found):
    assert step_for(steps, difference) == found
