"""Target tracking: the alarms that a policy makes, and the capacity that would bring its metric to the target."""

from __future__ import annotations

import math
from typing import Any

from parity.model.scaling.metrics import alarms
from parity.model.scaling.metrics.alarmrules import period_of
from parity.model.scaling.metrics.evaluation import ALARM
from parity.model.scaling.region import Region
from parity.model.scaling.state import Alarm, Group, Policy

KIND = "TargetTrackingScaling"
REQUESTS = "ALBRequestCountPerTarget"
#: The metrics of EC2 that are averaged over a group.
AVERAGES = {
    "ASGAverageCPUUtilization": "CPUUtilization",
    "ASGAverageNetworkIn": "NetworkIn",
    "ASGAverageNetworkOut": "NetworkOut",
}
MINUTE_S = 60


def arrange(region: Region, group: Group, policy: Policy) -> None:
    """Make a policy's alarms, or change those it has; without scale-in there is none for it."""
    config = policy.given["TargetTrackingConfiguration"]
    tuning, target = region.state.tracking, config["TargetValue"]
    watched = subject(group, config)
    # What is tuned is minutes, however short the metric's period is.
    low_periods = tuning.low_periods * MINUTE_S // min(MINUTE_S, period_of(watched))
    wanted = [("AlarmHigh", "GreaterThanThreshold", target, tuning.high_periods)]
    if not config.get("DisableScaleIn"):
        wanted.append(("AlarmLow", "LessThanThreshold", round(tuning.low_ratio * target, 9), low_periods))
    names = []
    for side, comparison, threshold, periods in wanted:
        had = [name for name in policy.alarms if name in region.state.alarms and f"-{side}-" in name]
        name = had[0] if had else f"TargetTracking-{group.name}-{side}-{region.new_uuid()}"
        names.append(name)
        about = {
            "AlarmName": name,
            "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}.",
            "AlarmActions": [policy.arn],
            "ComparisonOperator": comparison,
            "Threshold": float(threshold),
            "EvaluationPeriods": periods,
        }
        alarms.store(region, watched | about)
    alarms.delete(region, set(policy.alarms) - set(names))
    policy.alarms = names


def withdraw(region: Region, policy: Policy) -> None:
    """Delete a policy's alarms."""
    alarms.delete(region, policy.alarms)
    policy.alarms = []


def subject(group: Group, config: dict[str, Any]) -> dict[str, Any]:
    """What a policy's alarms watch, as PutMetricAlarm states it."""
    if predefined := config.get("PredefinedMetricSpecification"):
        kind = predefined["PredefinedMetricType"]
        if kind == REQUESTS:
            # `app/<name>/<id>/targetgroup/<name>/<id>`
            target_group = predefined["ResourceLabel"].partition("/targetgroup/")[2]
            dimensions = [{"Name": "TargetGroup", "Value": f"targetgroup/{target_group}"}]
            return _metric("AWS/ApplicationELB", "RequestCountPerTarget", dimensions, "Sum")
        return _metric("AWS/EC2", AVERAGES[kind], [{"Name": "AutoScalingGroupName", "Value": group.name}], "Average")
    custom = config["CustomizedMetricSpecification"]
    if listed := custom.get("Metrics"):
        return {"Metrics": [_query(each) for each in listed]}
    watched = _metric(
        custom["Namespace"],
        custom["MetricName"],
        list(custom.get("Dimensions") or ()),
        custom["Statistic"],
        custom.get("Period", MINUTE_S),
    )
    return watched | ({"Unit": custom["Unit"]} if custom.get("Unit") else {})


def _metric(
    namespace: str, name: str, dimensions: list[dict[str, str]], statistic: str, period_s: int = MINUTE_S
) -> dict[str, Any]:
    return {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": dimensions,
        "Statistic": statistic,
        "Period": period_s,
    }


def _query(given: dict[str, Any]) -> dict[str, Any]:
    """A policy's query as an alarm's: the period is stated."""
    if stat := given.get("MetricStat"):
        return given | {"MetricStat": {"Period": given.get("Period", MINUTE_S)} | stat}
    return given


def needed(capacity: int, metric: float, target: float) -> int:
    """How much capacity brings a metric to its target, if the load stays and is shared evenly.

    Rounded up, so that one unit less would exceed the target.

    Source: none of AWS's says how. This fits its words on rounding ("add 1.5 becomes 2, remove 1.5 becomes 1"), its
    example of 1500 messages at 10 instances with a target of 100, and that it does not scale in where one unit less
    would exceed the target.
    """
    return math.ceil(round(capacity * metric / target, 9))


def low_alarm(region: Region, policy: Policy) -> Alarm | None:
    """The alarm that a policy scales in by; None where it does not."""
    low = [name for name in policy.alarms if "-AlarmLow-" in name]
    return region.state.alarms.get(low[0]) if low else None


def ready_to_shrink(region: Region, group: Group) -> list[tuple[Policy, Alarm]] | None:
    """The policies that may scale in, each with its alarm; None while not every one of them wants to, or knows."""
    able = [
        (policy, alarm)
        for policy in group.policies.values()
        if policy.kind == KIND and policy.enabled and (alarm := low_alarm(region, policy))
    ]
    agreed = all(alarm.state == ALARM and alarm.points and alarms.is_fresh(region, alarm) for _, alarm in able)
    return able if agreed else None
