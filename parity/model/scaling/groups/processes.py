"""What a group does by itself, and its suspension."""

from __future__ import annotations

from collections.abc import Callable

from parity.errors import ServiceError
from parity.model.scaling.groups import causes
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import Group

PROCESSES = (
    "AZRebalance",
    "AddToLoadBalancer",
    "AlarmNotification",
    "HealthCheck",
    "InstanceRefresh",
    "Launch",
    "ReplaceUnhealthy",
    "ScheduledActions",
    "Terminate",
)


def suspended(group: Group, process: str) -> bool:
    """Whether a group does not do it at the moment."""
    return process in group.suspended


#: Called with a group and the processes that it does again.
ON_RESUME: list[Callable[[Region, Group, list[str]], None]] = []


@operation("autoscaling", "SuspendProcesses")
def suspend(region: Region, request: Request) -> Answer:
    """Have a group not do some things, or anything, by itself."""
    group, names = _named(region, request)
    if group.deleting:
        raise ServiceError(
            "ResourceInUse", "Processes may not be suspended while the AutoScaling group is pending delete"
        )
    for name in names:
        group.suspended.setdefault(name, f"User suspended at {causes.stamp(region.now_us)}")
    region.touch(group)
    return {}


@operation("autoscaling", "ResumeProcesses")
def resume(region: Region, request: Request) -> Answer:
    """Have a group do things by itself again: at once, where there is something to do."""
    group, names = _named(region, request)
    for name in names:
        group.suspended.pop(name, None)
    for tell in ON_RESUME:
        tell(region, group, names)
    region.touch(group)
    return {}


@operation("autoscaling", "DescribeScalingProcessTypes", reads=True)
def describe_types(_region: Region, _request: Request) -> Answer:
    """All processes there are."""
    return {"Processes": [{"ProcessName": name} for name in PROCESSES]}


def _named(region: Region, request: Request) -> tuple[Group, list[str]]:
    group = region.group(request["AutoScalingGroupName"])
    names = request.get("ScalingProcesses") or list(PROCESSES)
    if not set(names) <= set(PROCESSES):
        raise ServiceError(
            "ValidationError",
            f"1 validation error detected: Value '[{', '.join(names)}]' at 'scalingProcesses' "
            "failed to satisfy constraint: Member must satisfy enum value set: "
            f"[{', '.join(PROCESSES)}]",
        )
    return group, names
