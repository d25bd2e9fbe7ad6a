"""Groups and their members as the API shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from parity.errors import ServiceError
from parity.model.scaling.filters import chosen
from parity.model.scaling.groups import launch
from parity.model.scaling.groups.settings import KEPT
from parity.model.scaling.paging import page
from parity.model.scaling.region import Answer, Kept, Region, Request, operation
from parity.model.scaling.state import Group, Member, WarmPool

GROUPS, GROUPS_MAX = 50, 100
MEMBERS_MAX = 50


@operation("autoscaling", "DescribeAutoScalingGroups", reads=True)
def describe_groups(region: Region, request: Request) -> Answer:
    """Groups: those named, or all."""
    names = request.get("AutoScalingGroupNames")
    limit = min(request.get("MaxRecords") or GROUPS, GROUPS_MAX)
    _check_number("group names", names, max(limit, GROUPS))
    every = region.state.groups
    found = [every[name] for name in dict.fromkeys(names) if name in every] if names else list(every.values())
    if request.get("Filters"):
        found = chosen(
            found,
            request["Filters"],
            {},
            tags=lambda group: {k: tag.value for k, tag in group.tags.items()},
            refuse=lambda name: unknown_filter(name, ("tag-key", "tag-value", "tag:<key>")),
        )
    groups, after = page(found, token=request.get("NextToken"), limit=limit, key=lambda group: group.name)
    instances = request.get("IncludeInstances", True)
    answer: Answer = {
        "AutoScalingGroups": [_kept(region, group) if instances else _bare(region, group) for group in groups]
    }
    if after:
        answer["NextToken"] = after
    return answer


def _check_number(what: str, named: Sequence[str] | None, limit: int) -> None:
    if named and len(named) > limit:
        raise ServiceError("ValidationError", f"The number of {what} that may be passed in is limited to {limit}")


def unknown_filter(name: str, known: Iterable[str]) -> ServiceError:
    """What Auto Scaling says of a filter that there is none of; EC2 has other words."""
    return ServiceError(
        "ValidationError", f"Filter type {name} is not correct. Allowed Filter types are: {' '.join(known)}"
    )


def _kept(region: Region, group: Group) -> Answer:
    """A group as shown: made once for each change."""
    kept = region.kept.get(group.arn)
    if kept and kept[0] == group.changed:
        return kept[1]  # type: ignore[no-any-return]
    shown = Kept(group_shown(region, group))
    region.kept[group.arn] = (group.changed, shown)
    return shown


def _bare(region: Region, group: Group) -> Answer:
    return {key: value for key, value in _kept(region, group).items() if key != "Instances"}


def group_shown(region: Region, group: Group) -> Answer:
    """A group as the API shows it."""
    zone_ids = {zone.name: zone.zone_id for zone in region.state.zones}
    shown: Answer = {
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "MinSize": group.min_size,
        "MaxSize": group.max_size,
        "DesiredCapacity": group.desired,
        "DefaultCooldown": group.cooldown_s,
        "AvailabilityZones": list(group.zones),
        "AvailabilityZoneIds": [zone_ids.get(zone, "") for zone in group.zones],
        "LoadBalancerNames": list(group.load_balancers),
        "TargetGroupARNs": list(group.target_groups),
        "HealthCheckType": group.health_check_type,
        "HealthCheckGracePeriod": group.grace_s,
        "Instances": [member_shown(region, member) for member in group.members.values()],
        "CreatedTime": group.created_us,
        "SuspendedProcesses": [
            {"ProcessName": name, "SuspensionReason": reason} for name, reason in sorted(group.suspended.items())
        ],
        "VPCZoneIdentifier": ",".join(group.subnets),
        "EnabledMetrics": [{"Metric": name, "Granularity": "1Minute"} for name in group.enabled_metrics],
        "Tags": tags_shown(group),
        "TerminationPolicies": list(group.termination_policies or ["Default"]),
        "NewInstancesProtectedFromScaleIn": group.new_protected,
        "CapacityRebalance": group.capacity_rebalance,
        "TrafficSources": traffic_sources(group),
        **_source_shown(region, group),
        **_optional(group),
    }
    return shown


def _source_shown(region: Region, group: Group) -> Answer:
    source = group.source
    if source.configuration:
        return {"LaunchConfigurationName": source.configuration}
    if source.mixed is None:
        return {"LaunchTemplate": launch.specification(region, source)}
    policy = dict(source.mixed)
    policy["LaunchTemplate"] = {
        **policy["LaunchTemplate"],
        "LaunchTemplateSpecification": launch.specification(region, source),
    }
    policy["InstancesDistribution"] = {**DISTRIBUTION, **(policy.get("InstancesDistribution") or {})}
    return {"MixedInstancesPolicy": policy}


#: What a mixed instances policy is where nothing is said.
DISTRIBUTION = {
    "OnDemandAllocationStrategy": "prioritized",
    "OnDemandBaseCapacity": 0,
    "OnDemandPercentageAboveBaseCapacity": 100,
    "SpotAllocationStrategy": "lowest-price",
    "SpotInstancePools": 2,
}


def _optional(group: Group) -> Answer:
    """What is shown only where it is set."""
    shown: Answer = {key: group.extra[key] for key in KEPT if key in group.extra}
    if group.deleting:
        shown["Status"] = "Delete in progress"
    if group.max_lifetime_s:
        shown["MaxInstanceLifetime"] = group.max_lifetime_s
    if group.warmup_s is not None:
        shown["DefaultInstanceWarmup"] = group.warmup_s
    if group.maintenance:
        least, most = group.maintenance
        shown["InstanceMaintenancePolicy"] = {"MinHealthyPercentage": least, "MaxHealthyPercentage": most}
    if pool := group.warm_pool:
        shown["WarmPoolConfiguration"] = warm_pool_shown(pool)
        shown["WarmPoolSize"] = len(pool.members)
    return shown


def warm_pool_shown(pool: WarmPool) -> Answer:
    """What a warm pool is to be like."""
    return {
        "MinSize": pool.min_size,
        "PoolState": pool.state,
        **({"Status": pool.status} if pool.status else {}),
        **({"MaxGroupPreparedCapacity": pool.max_prepared} if pool.max_prepared is not None else {}),
        **({"InstanceReusePolicy": {"ReuseOnScaleIn": True}} if pool.reuse_on_scale_in else {}),
    }


def traffic_sources(group: Group) -> list[dict[str, str]]:
    """All that sends a group's instances requests."""
    return [
        *({"Identifier": arn, "Type": "elbv2"} for arn in group.target_groups),
        *({"Identifier": name, "Type": "elb"} for name in group.load_balancers),
        *group.traffic_sources,
    ]


def tags_shown(group: Group) -> list[Answer]:
    """A group's tags, by their keys."""
    return [
        {
            "ResourceId": group.name,
            "ResourceType": "auto-scaling-group",
            "Key": key,
            "Value": tag.value,
            "PropagateAtLaunch": tag.propagate,
        }
        for key, tag in sorted(group.tags.items())
    ]


def member_shown(region: Region, member: Member) -> Answer:
    """A member as its group shows it."""
    shown: Answer = {
        "InstanceId": member.instance_id,
        "AvailabilityZone": member.zone,
        "LifecycleState": member.lifecycle,
        "HealthStatus": "Healthy" if member.healthy else "Unhealthy",
        "ProtectedFromScaleIn": member.protected,
    }
    if member.instance_type:
        shown["InstanceType"] = member.instance_type
    if member.source.configuration:
        shown["LaunchConfigurationName"] = member.source.configuration
    elif member.source.template_id:
        shown["LaunchTemplate"] = launch.specification(region, member.source)
    if member.weight != 1:
        shown["WeightedCapacity"] = str(member.weight)
    return shown


@operation("autoscaling", "DescribeAutoScalingInstances", reads=True)
def describe_members(region: Region, request: Request) -> Answer:
    """Members of groups: those named, or all."""
    ids = request.get("InstanceIds")
    _check_number("instance ids", ids, MEMBERS_MAX)
    groups = region.state.groups
    if ids:
        found = [pair for one in dict.fromkeys(ids) if (pair := _member(region, one))]
    else:
        found = [(group, member) for group in groups.values() for member in _everyone(group)]
    limit = min(request.get("MaxRecords") or MEMBERS_MAX, MEMBERS_MAX)
    pairs, after = page(found, token=request.get("NextToken"), limit=limit, key=lambda pair: pair[1].instance_id)
    shown = [
        {
            **member_shown(region, member),
            "AutoScalingGroupName": group.name,
            "HealthStatus": "HEALTHY" if member.healthy else "UNHEALTHY",
        }
        for group, member in pairs
    ]
    return {"AutoScalingInstances": shown, **({"NextToken": after} if after else {})}


def _everyone(group: Group) -> list[Member]:
    return [*group.members.values(), *(group.warm_pool.members.values() if group.warm_pool else ())]


def _member(region: Region, instance_id: str) -> tuple[Group, Member] | None:
    instance = region.state.instances.get(instance_id)
    group = region.state.groups.get(instance.group) if instance else None
    if group is None:
        return None
    pool = group.warm_pool.members if group.warm_pool else {}
    member = group.members.get(instance_id) or pool.get(instance_id)
    return (group, member) if member else None
