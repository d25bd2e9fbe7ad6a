"""What there is to choose from, how much of it an account may have, and a group's own metrics."""

from __future__ import annotations

from parity.errors import ServiceError
from parity.model.scaling.groups.configurations import CONFIGURATIONS_MAX
from parity.model.scaling.groups.crud import GROUPS_MAX
from parity.model.scaling.groups.termination import POLICIES
from parity.model.scaling.region import Answer, Region, Request, operation

GRANULARITY = "1Minute"
NOTIFICATIONS = (
    "autoscaling:EC2_INSTANCE_LAUNCH",
    "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
    "autoscaling:EC2_INSTANCE_TERMINATE",
    "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
    "autoscaling:TEST_NOTIFICATION",
)
METRICS = (
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
    "GroupInServiceCapacity",
    "GroupPendingCapacity",
    "GroupStandbyCapacity",
    "GroupTerminatingCapacity",
    "GroupTotalCapacity",
    "WarmPoolDesiredCapacity",
    "WarmPoolWarmedCapacity",
    "WarmPoolPendingCapacity",
    "WarmPoolTerminatingCapacity",
    "WarmPoolTotalCapacity",
    "GroupAndWarmPoolDesiredCapacity",
    "GroupAndWarmPoolTotalCapacity",
)


@operation("autoscaling", "DescribeAccountLimits", reads=True)
def describe_limits(region: Region, _request: Request) -> Answer:
    """How many groups and launch configurations there are and may be."""
    return {
        "MaxNumberOfAutoScalingGroups": GROUPS_MAX,
        "MaxNumberOfLaunchConfigurations": CONFIGURATIONS_MAX,
        "NumberOfAutoScalingGroups": len(region.state.groups),
        "NumberOfLaunchConfigurations": len(region.state.launch_configurations),
    }


@operation("autoscaling", "DescribeTerminationPolicyTypes", reads=True)
def describe_policies(_region: Region, _request: Request) -> Answer:
    """The termination policies."""
    return {"TerminationPolicyTypes": list(POLICIES)}


@operation("autoscaling", "DescribeAutoScalingNotificationTypes", reads=True)
def describe_notifications(_region: Region, _request: Request) -> Answer:
    """What a topic can be told of."""
    return {"AutoScalingNotificationTypes": list(NOTIFICATIONS)}


@operation("autoscaling", "DescribeMetricCollectionTypes", reads=True)
def describe_metrics(_region: Region, _request: Request) -> Answer:
    """A group's own metrics."""
    return {
        "Metrics": [{"Metric": name} for name in METRICS],
        "Granularities": [{"Granularity": GRANULARITY}],
    }


@operation("autoscaling", "EnableMetricsCollection")
def enable(region: Region, request: Request) -> Answer:
    """Have a group's own metrics collected: those named, or all."""
    group = region.group(request["AutoScalingGroupName"])
    if request["Granularity"] != GRANULARITY:
        raise ServiceError("ValidationError", f"Invalid granularity: {request['Granularity']}")
    names = _metrics(request)
    group.enabled_metrics = [name for name in METRICS if name in names or name in group.enabled_metrics]
    region.touch(group)
    return {}


@operation("autoscaling", "DisableMetricsCollection")
def disable(region: Region, request: Request) -> Answer:
    """Have them collected no more: those named, or all."""
    group = region.group(request["AutoScalingGroupName"])
    names = _metrics(request)
    group.enabled_metrics = [name for name in group.enabled_metrics if name not in names]
    region.touch(group)
    return {}


def _metrics(request: Request) -> list[str]:
    names = request.get("Metrics") or list(METRICS)
    if unknown := [name for name in names if name not in METRICS]:
        raise ServiceError("ValidationError", f"Invalid metric: {unknown[0]}")
    return list(names)
