"""A group's own metrics, such as how many of its instances are in service: published every minute where it is asked."""

from __future__ import annotations

from collections.abc import Callable

from parity.errors import ServiceError
from parity.model.scaling.groups import crud as groups
from parity.model.scaling.groups import lifecycle
from parity.model.scaling.metrics import store as metrics
from parity.model.scaling.region import Answer, Region, Request, operation, timer
from parity.model.scaling.replacing import warm
from parity.model.scaling.state import Group

NAMESPACE = "AWS/AutoScaling"
GRANULARITY = "1Minute"
MINUTE_US = metrics.MINUTE_US


def _number(*states: str) -> Callable[[Group], int]:
    return lambda group: lifecycle.number(group, *states)


def _pool(*states: str) -> Callable[[Group], int]:
    def count(group: Group) -> int:
        members = group.warm_pool.members.values() if group.warm_pool else ()
        return sum(not states or member.lifecycle in states for member in members)

    return count


_IN_SERVICE, _STANDBY = _number("InService"), _number("Standby", "EnteringStandby")
_PENDING, _TERMINATING = _number(*lifecycle.PENDING), _number(*lifecycle.TERMINATING)
_WARMED = _pool("Warmed:Stopped", "Warmed:Running", "Warmed:Hibernated")
_WARM_PENDING = _pool("Warmed:Pending", "Warmed:Pending:Wait", "Warmed:Pending:Proceed")
_WARM_TERMINATING = _pool("Warmed:Terminating", "Warmed:Terminating:Wait", "Warmed:Terminating:Proceed")


def _prepared(group: Group) -> int:
    return warm.wanted(group) if group.warm_pool else 0


#: The metrics there are. Capacity is counted in units, which are instances where the group has no weights.
METRICS: dict[str, Callable[[Group], int]] = {
    "GroupMinSize": lambda group: group.min_size,
    "GroupMaxSize": lambda group: group.max_size,
    "GroupDesiredCapacity": lambda group: group.desired,
    "GroupInServiceInstances": _IN_SERVICE,
    "GroupPendingInstances": _PENDING,
    "GroupStandbyInstances": _STANDBY,
    "GroupTerminatingInstances": _TERMINATING,
    "GroupTotalInstances": lambda group: len(group.members),
    "GroupInServiceCapacity": _IN_SERVICE,
    "GroupPendingCapacity": _PENDING,
    "GroupStandbyCapacity": _STANDBY,
    "GroupTerminatingCapacity": _TERMINATING,
    "GroupTotalCapacity": lambda group: len(group.members),
    "WarmPoolDesiredCapacity": _prepared,
    "WarmPoolWarmedCapacity": _WARMED,
    "WarmPoolPendingCapacity": _WARM_PENDING,
    "WarmPoolTerminatingCapacity": _WARM_TERMINATING,
    "WarmPoolTotalCapacity": _pool(),
    "GroupAndWarmPoolDesiredCapacity": lambda group: group.desired + _prepared(group),
    "GroupAndWarmPoolTotalCapacity": lambda group: len(group.members) + _pool()(group),
}


@operation("autoscaling", "EnableMetricsCollection")
def enable(region: Region, request: Request) -> Answer:
    """Publish a group's metrics: those named, or all."""
    group = groups.alive(region, request["AutoScalingGroupName"])
    if request["Granularity"] != GRANULARITY:
        raise ServiceError("ValidationError", f"Granularity must be {GRANULARITY}")
    names = _named(request)
    if not group.enabled_metrics:
        _await(region, group)
    group.enabled_metrics = [name for name in METRICS if name in {*group.enabled_metrics, *names}]
    region.touch(group)
    return {}


@operation("autoscaling", "DisableMetricsCollection")
def disable(region: Region, request: Request) -> Answer:
    """Publish some of a group's metrics no more, or none."""
    group = groups.alive(region, request["AutoScalingGroupName"])
    names = _named(request)
    group.enabled_metrics = [name for name in group.enabled_metrics if name not in names]
    region.touch(group)
    return {}


def _named(request: Request) -> list[str]:
    names = list(request.get("Metrics") or METRICS)
    if unknown := [name for name in names if name not in METRICS]:
        raise ServiceError("ValidationError", f"Unknown metric type: {unknown[0]}")
    return names


@operation("autoscaling", "DescribeMetricCollectionTypes", reads=True)
def describe_types(region: Region, request: Request) -> Answer:  # noqa: ARG001
    """The metrics a group can publish."""
    return {"Metrics": [{"Metric": name} for name in METRICS], "Granularities": [{"Granularity": GRANULARITY}]}


def _await(region: Region, group: Group) -> None:
    due_us = region.now_us - region.now_us % MINUTE_US + MINUTE_US
    region.at(due_us, "collect", group.arn, group.name)


@timer("collect")
def collect(region: Region, arn: str, name: str) -> None:
    """Publish a group's metrics of this minute.

    They are of the minute that ends, so that an alarm that is evaluated now has them.
    """
    group = region.state.groups.get(name)
    if group is None or group.arn != arn or not group.enabled_metrics:
        return
    _await(region, group)
    dimensions = (("AutoScalingGroupName", name),)
    for metric in group.enabled_metrics:
        told = metrics.sample(float(METRICS[metric](group)))
        metrics.record(region, NAMESPACE, metric, dimensions, told, at_us=region.now_us - MINUTE_US)
