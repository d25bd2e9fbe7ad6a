"""Auto Scaling groups: created, updated, resized, deleted."""

from __future__ import annotations

from collections.abc import Callable

from parity.errors import ServiceError
from parity.model.scaling.groups import (
    activities,
    capacity,
    causes,
    configurations,
    hooks,
    launch,
    lifecycle,
    settings,
    tags,
    zones,
)
from parity.model.scaling.region import Answer, Region, Request, operation, settler
from parity.model.scaling.state import Group, LaunchSource

GROUPS_MAX = 500
#: Called with a request that creates a group, before anything is changed: raises what AWS would refuse it for.
CHECKS: list[Callable[[Region, Request], None]] = []
#: Called with a group that is no more.
ON_DELETE: list[Callable[[Region, Group], None]] = []


@operation("autoscaling", "CreateAutoScalingGroup")
def create(region: Region, request: Request) -> Answer:
    """Make a group, and have it launch what it should have."""
    name = request["AutoScalingGroupName"]
    _check_name(region, name)
    min_size, max_size, desired = settings.sizes(request)
    stated = settings.checked(request)
    places = zones.chosen(region, request)
    if places is None:
        raise ServiceError("ValidationError", "At least one Availability Zone or VPC Subnet is required.")
    source = _source(region, request)
    made_hooks = [hooks.checked(given) for given in request.get("LifecycleHookSpecificationList") or ()]
    made_tags = tags.checked(request.get("Tags") or (), name)
    for check in CHECKS:
        check(region, request)

    group = Group(
        name=name,
        arn=region.arn("autoscaling", f"autoScalingGroup:{region.new_uuid()}:autoScalingGroupName/{name}"),
        created_us=region.now_us,
        min_size=min_size,
        max_size=max_size,
        desired=0,
        source=source or _after_instance(region, name, request["InstanceId"]),
        zones=places[0],
        subnets=places[1],
        target_groups=list(request.get("TargetGroupARNs") or ()),
        load_balancers=list(request.get("LoadBalancerNames") or ()),
        traffic_sources=list(request.get("TrafficSources") or ()),
        hooks={hook.name: hook for hook in made_hooks},
        tags=made_tags,
    )
    _assign(group, stated)
    region.state.groups[name] = group
    for hook in made_hooks:
        hooks.told(region, group, hook)
    capacity.resize(
        region, group, desired, causes.changing(region, "a user request created an AutoScalingGroup", 0, desired)
    )
    return {}


def _check_name(region: Region, name: str) -> None:
    if ":" in name:
        raise ServiceError("ValidationError", "AutoScalingGroup name must not contain a colon.")
    if there := region.state.groups.get(name):
        pending = " and is pending delete" if there.deleting else ""
        raise ServiceError(
            "AlreadyExists",
            f"AutoScalingGroup by this name already exists - A group with the name {name} already exists{pending}",
        )
    if len(region.state.groups) >= GROUPS_MAX:
        raise ServiceError("LimitExceeded", "Only 500 AutoScalingGroups are allowed for this AWS account.")


def _source(region: Region, request: Request) -> LaunchSource | None:
    """The launch source of a new group; None where an instance is to be made into one."""
    source = launch.stated(region, request)
    if source is None:
        raise ServiceError(
            "ValidationError",
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
            "MixedInstancesPolicy parameter.",
        )
    if not request.get("InstanceId"):
        return source
    configurations.instance_of(region, request["InstanceId"])
    configurations.check_name(region, request["AutoScalingGroupName"])
    return None


def _after_instance(region: Region, name: str, instance_id: str) -> LaunchSource:
    """A group that is created after an instance has a launch configuration of its own name."""
    return LaunchSource(configuration=configurations.add_after(region, name, instance_id).name)


def _assign(group: Group, stated: dict[str, object]) -> None:
    for name, value in stated.items():
        setattr(group, name, value)


@operation("autoscaling", "UpdateAutoScalingGroup")
def update(region: Region, request: Request) -> Answer:
    """Change a group. Instances that are there stay as they are."""
    group = alive(region, request["AutoScalingGroupName"])
    min_size, max_size, desired = settings.sizes(request, group)
    stated = settings.checked(request, group)
    places = zones.chosen(region, request)
    source = launch.stated(region, request)
    if source:
        _check_refresh(group)

    _assign(group, stated)
    group.min_size, group.max_size = min_size, max_size
    if places:
        group.zones, group.subnets = places
        group.avoided = {zone: found for zone, found in group.avoided.items() if zone in group.zones}
    if source:
        group.source = source
        # What failed with the source before may not fail with this one.
        group.avoided.clear()
    why = ""
    if desired != group.desired:
        what = causes.update("a user request", min_size=min_size, max_size=max_size, desired=desired)
        why = causes.changing(region, what, group.desired, desired)
    capacity.resize(region, group, desired, why)
    return {}


def _check_refresh(group: Group) -> None:
    """See to it that nobody takes an instance refresh's launch source away from it."""
    if group.refresh and group.refresh.target:
        raise ServiceError(
            "ValidationError",
            "An active instance refresh with a desired configuration exists. All configuration options derived from "
            "the desired configuration are not available for update while the instance refresh is active.",
        )


def alive(region: Region, name: str) -> Group:
    """A group by name.

    Raises:
        ServiceError: There is none, or it is being deleted.
    """
    group = region.group(name)
    if group.deleting:
        raise ServiceError("ValidationError", "The AutoScaling group may not be modified while it is pending delete")
    return group


@operation("autoscaling", "SetDesiredCapacity")
def set_desired(region: Region, request: Request) -> Answer:
    """Set the desired capacity, within the group's limits."""
    group = alive(region, request["AutoScalingGroupName"])
    desired = request["DesiredCapacity"]
    for wrong, text in (
        (desired > group.max_size, f"above max value {group.max_size}"),
        (desired < group.min_size, f"below min value {group.min_size}"),
    ):
        if wrong:
            raise ServiceError(
                "ValidationError", f"New SetDesiredCapacity value {desired} is {text} for the AutoScalingGroup."
            )
    if request.get("HonorCooldown"):
        check_cooldown(region, group)
    if desired != group.desired:
        what = "a user request explicitly set group desired capacity"
        capacity.resize(region, group, desired, causes.changing(region, what, group.desired, desired))
    return {}


def check_cooldown(region: Region, group: Group) -> None:
    """See to it that nothing a simple policy did is still under way or cooling down.

    Raises:
        ServiceError: Something is.
    """
    if group.blocking or region.now_us < group.cooldown_until_us:
        last = list(group.under_way) or [one.activity_id for one in group.activities[-1:]]
        activity_id = last[0] if last else ""
        raise ServiceError(
            "ScalingActivityInProgress", f"Scaling activity {activity_id} is in progress and blocks this action"
        )


@operation("autoscaling", "DeleteAutoScalingGroup")
def delete(region: Region, request: Request) -> Answer:
    """Delete a group: one that is empty, or with force, together with all that is in it."""
    group = region.group(request["AutoScalingGroupName"])
    force = bool(request.get("ForceDelete"))
    _check_protection(group, force=force)
    pool = group.warm_pool.members if group.warm_pool else {}
    if not force and (group.members or pool):
        raise ServiceError(
            "ResourceInUse",
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still "
            "in the group.",
        )
    if not force and group.under_way:
        raise ServiceError(
            "ScalingActivityInProgress",
            "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.",
        )
    group.deleting = True
    group.min_size = group.max_size = group.desired = 0
    why = causes.taken_out(region, "a user request to delete the AutoScalingGroup")
    for member in [*group.members.values(), *pool.values()]:
        lifecycle.force_out(region, group, member, [why])
    region.touch(group)
    return {}


def _check_protection(group: Group, *, force: bool) -> None:
    protection = group.extra.get("DeletionProtection", "none")
    if protection == "prevent-all-deletion" or (protection == "prevent-force-deletion" and force):
        raise ServiceError(
            "ValidationError",
            f"The AutoScalingGroup {group.name} cannot be deleted because its deletion protection is {protection}.",
        )


@settler
def finish(region: Region, group: Group) -> None:
    """A group that is being deleted is gone once it is empty."""
    if group.deleting and not group.members and not (group.warm_pool and group.warm_pool.members):
        del region.state.groups[group.name]
        region.kept.pop(group.arn, None)
        for tell in ON_DELETE:
            tell(region, group)
        since_us = region.now_us - activities.KEPT_US
        kept = [one for one in region.state.deleted if one.activities and one.activities[-1].started_us >= since_us]
        region.state.deleted = [*kept, group]
