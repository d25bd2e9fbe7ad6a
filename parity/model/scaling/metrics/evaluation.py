"""What state an alarm's datapoints put it in: M of N periods, and what missing ones mean.

Source: CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data", with its tables.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import msgspec

ALARM, OK, INSUFFICIENT = "ALARM", "OK", "INSUFFICIENT_DATA"
#: CloudWatch looks at more periods than it evaluates, so that late datapoints do not count as missing; how many more it
#: does not say. In its tables they are 2.
FURTHER_PERIODS = 2

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


class Verdict(msgspec.Struct, frozen=True):
    """What datapoints make of an alarm.

    Args:
        state: The state, or None where it stays what it is.
        places: The periods that decided, by their place from the newest, 0, the newest first.
        filled: How many missing ones were taken for something else.
    """

    state: str | None
    places: tuple[int, ...]
    filled: int = 0


def judged(
    points: Sequence[float | None],
    breaches: Callable[[float], bool],
    *,
    periods: int,
    needed: int,
    missing: str,
) -> Verdict:
    """Judge an alarm.

    Args:
        points: The datapoints of `periods` and `FURTHER_PERIODS`, the newest first; None where one is missing.
        breaches: Whether a datapoint breaches the threshold.
        periods: How many are evaluated: N.
        needed: How many of them must breach: M.
        missing: `TreatMissingData`.
    """
    present = [place for place, value in enumerate(points) if value is not None]
    places = tuple(present[:periods])
    bad = [place for place in places if breaches(_value(points, place))]
    lacking = periods - len(places)
    if lacking and missing in {"breaching", "notBreaching"}:
        count = len(bad) + (lacking if missing == "breaching" else 0)
        return Verdict(ALARM if count >= needed else OK, places, lacking)
    if not places:
        return Verdict(None if missing == "ignore" else INSUFFICIENT, places)
    if len(bad) >= needed:
        return Verdict(ALARM, places)
    if not lacking or len(bad) < len(places):
        return Verdict(OK, places)
    # All there is breaches, but it is too little. With `missing` it is an alarm once the first breach is old enough.
    early = missing == "missing" and places[-1] + 1 >= needed
    return Verdict(ALARM if early else None, places)


def _value(points: Sequence[float | None], place: int) -> float:
    value = points[place]
    assert value is not None
    return value
