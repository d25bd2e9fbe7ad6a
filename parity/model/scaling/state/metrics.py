"""What a region knows of metrics and alarms, as data: a part of `State`, imported from there."""

from __future__ import annotations

from typing import Any

import msgspec


class Alarm(msgspec.Struct):
    """A CloudWatch alarm; `given` is PutMetricAlarm's request as it was given."""

    name: str
    arn: str
    given: dict[str, Any]
    state: str = "INSUFFICIENT_DATA"
    reason: str = ""
    updated_us: int = 0
    #: When its actions ran last; those that scale run again while the state lasts.
    acted_us: int = 0
    #: When it is evaluated next.
    due_us: int = 0
    #: When it was put last, and when it came into its state.
    configured_us: int = 0
    changed_us: int = 0
    #: A JSON object, as AWS states why.
    reason_data: str = ""
    #: The datapoints that decided last, the newest last: those that breach, where it is in ALARM.
    points: list[float] = []
    #: When the period of the newest of them ended.
    newest_us: int = 0
    #: `AlarmHistoryItems`, oldest first.
    history: list[dict[str, Any]] = []
    tags: dict[str, str] = {}


class Statistic(msgspec.Struct, array_like=True, gc=False):
    """The samples of a metric in one period of the store. There are many, so they are written as bare lists."""

    start_us: int
    total: float = 0.0
    count: float = 0.0
    low: float = 0.0
    high: float = 0.0
    #: The samples by size, and how often each came; empty where only what sums them up is known.
    values: list[tuple[float, float]] = []


class Series(msgspec.Struct):
    """A metric's statistics, oldest first."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    unit: str = "None"
    statistics: list[Statistic] = []


class Tracking(msgspec.Struct):
    """When the alarms of target tracking act. AWS tunes its own by itself since November 2024, unseen.

    Args:
        high_periods: How many datapoints in a row must be above the target.
        low_periods: How many in a row must be below the lower threshold.
        low_ratio: The lower threshold, as a share of the target.

    Source: alarms that AWS made, as users print them: 3 and 15 minutes, 70 % of the target.
    """

    high_periods: int = 3
    low_periods: int = 15
    low_ratio: float = 0.7
