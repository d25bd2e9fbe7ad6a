"""How much a policy adjusts a capacity: the arithmetic of simple and step policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CHANGE, EXACT, PERCENT = "ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"
TYPES = (CHANGE, EXACT, PERCENT)


def adjusted(capacity: int, kind: str, amount: int, magnitude: int = 0) -> int:
    """What a capacity becomes by an adjustment; it may be below 0 or beyond any bound.

    Args:
        capacity: What there is.
        kind: One of `TYPES`.
        amount: Instances to add, instances to have, or percent to add.
        magnitude: The smallest change by percent, in instances; 0 for none.
    """
    if kind == EXACT:
        return amount
    if kind == CHANGE:
        return capacity + amount
    return capacity + _percent(capacity, amount, magnitude)


def _percent(capacity: int, percent: int, magnitude: int) -> int:
    """The change that a percentage is: towards 0, but at least one instance."""
    hundredths = abs(capacity * percent)
    change = max(hundredths // 100, 1) if hundredths else 0
    if percent:
        change = max(change, magnitude)
    return change if percent > 0 else -change


def clamped(capacity: int, low: int, high: int) -> int:
    """The capacity within a group's bounds."""
    return max(low, min(high, capacity))


def step_for(steps: Iterable[Mapping[str, Any]], difference: float) -> int | None:
    """The adjustment of the step that a metric is in.

    Args:
        steps: `StepAdjustments`, as the API has them.
        difference: The metric less the alarm's threshold. From 0 on the lower bound belongs to a step, below the upper.

    Returns:
        The adjustment, or None where no step is for it.
    """
    for step in steps:
        low, high = bounds(step)
        within = low <= difference < high if difference >= 0 else low < difference <= high
        if within:
            return int(step["ScalingAdjustment"])
    return None


def bounds(step: Mapping[str, Any]) -> tuple[float, float]:
    """A step's lower and upper bound, infinite where it states none."""
    low, high = step.get("MetricIntervalLowerBound"), step.get("MetricIntervalUpperBound")
    return (float("-inf") if low is None else float(low)), (float("inf") if high is None else float(high))
