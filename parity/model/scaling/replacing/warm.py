"""Warm pools: instances that are prepared beside a group, stopped or running, and taken into it when it grows."""

from __future__ import annotations

from parity.errors import ServiceError
from parity.model.scaling.groups import activities, capacity, causes, launch, lifecycle, machines, shown, zones
from parity.model.scaling.groups import crud as groups
from parity.model.scaling.groups.health import DOWN
from parity.model.scaling.groups.processes import suspended
from parity.model.scaling.paging import page
from parity.model.scaling.region import Answer, Region, Request, operation, settler
from parity.model.scaling.state import Group, Instance, Member, WarmPool

STATES = ("Stopped", "Running", "Hibernated")
#: States of members that can be taken into the group.
READY = tuple(f"{lifecycle.WARMED}{state}" for state in STATES)
PENDING_DELETE = "PendingDelete"
TAKING = "Launching a new EC2 instance from warm pool"
PAGE_MAX = 50


def wanted(group: Group) -> int:
    """How many members a group's warm pool should have."""
    pool = group.warm_pool
    if pool is None:
        return 0
    prepared = group.max_size if pool.max_prepared is None else pool.max_prepared
    return max(pool.min_size, prepared - group.desired, 0)


# The API.


@operation("autoscaling", "PutWarmPool")
def put(region: Region, request: Request) -> Answer:
    """Give a group a warm pool, or change the one that it has; what is not stated stays as it is."""
    group = groups.alive(region, request["AutoScalingGroupName"])
    if group.refresh:
        raise ServiceError(
            "InstanceRefreshInProgress",
            "An Instance Refresh is already in progress and blocks the execution of this operation.",
        )
    before = group.warm_pool or WarmPool()
    state = request.get("PoolState") or before.state
    min_size, prepared = request.get("MinSize"), request.get("MaxGroupPreparedCapacity")
    _check(region, group, state, min_size, prepared)
    reuse = (request.get("InstanceReusePolicy") or {}).get("ReuseOnScaleIn")
    group.warm_pool = WarmPool(
        state=state,
        min_size=before.min_size if min_size is None else min_size,
        # -1 takes back what was stated before.
        max_prepared=before.max_prepared if prepared is None else None if prepared == -1 else prepared,
        reuse_on_scale_in=before.reuse_on_scale_in if reuse is None else reuse,
        members=before.members,
    )
    region.touch(group)
    return {}


def _check(region: Region, group: Group, state: str, min_size: int | None, prepared: int | None) -> None:
    if group.warm_pool and group.warm_pool.status == PENDING_DELETE:
        raise ServiceError("ValidationError", f"The warm pool of AutoScalingGroup {group.name} is pending delete.")
    if state not in STATES:
        raise ServiceError(
            "ValidationError",
            f"1 validation error detected: Value '{state}' at 'poolState' failed to satisfy constraint: Member must "
            f"satisfy enum value set: [{', '.join(STATES)}]",
        )
    if (min_size is not None and min_size < 0) or (prepared is not None and prepared < -1):
        raise ServiceError(
            "ValidationError", "MinSize must be at least 0, and MaxGroupPreparedCapacity at least 0, or -1 for none."
        )
    if launch.resolve(region, group.source).spot:
        raise ServiceError(
            "ValidationError", "You cannot add a warm pool to an AutoScalingGroup that launches Spot Instances."
        )


@operation("autoscaling", "DescribeWarmPool", reads=True)
def describe(region: Region, request: Request) -> Answer:
    """A group's warm pool and who is in it; of a group that has none, nothing."""
    group = region.group(request["AutoScalingGroupName"])
    pool = group.warm_pool
    if pool is None:
        return {"Instances": []}
    limit = min(request.get("MaxRecords") or PAGE_MAX, PAGE_MAX)
    members = list(pool.members.values())
    chosen, after = page(members, token=request.get("NextToken"), limit=limit, key=lambda one: one.instance_id)
    answer: Answer = {
        "WarmPoolConfiguration": shown.warm_pool_shown(pool),
        "Instances": [shown.member_shown(region, member) for member in chosen],
    }
    return {**answer, "NextToken": after} if after else answer


@operation("autoscaling", "DeleteWarmPool")
def delete(region: Region, request: Request) -> Answer:
    """Delete a warm pool: one that is empty, or with force, together with all that is in it."""
    group = groups.alive(region, request["AutoScalingGroupName"])
    pool = group.warm_pool
    if pool is None:
        raise ServiceError("ValidationError", f"No warm pool found for AutoScalingGroup {group.name}")
    if pool.members and not request.get("ForceDelete"):
        if any(member.activity_id in group.under_way for member in pool.members.values()):
            raise ServiceError(
                "ScalingActivityInProgress",
                "You cannot delete a warm pool while there are scaling activities in progress for it.",
            )
        raise ServiceError(
            "ResourceInUse", "You cannot delete a warm pool while there are instances still in the warm pool."
        )
    pool.status = PENDING_DELETE
    why = causes.taken_out(region, "a user request to delete the warm pool")
    for member in list(pool.members.values()):
        lifecycle.force_out(region, group, member, [why])
    region.touch(group)
    return {}


# Its size.


@settler
def keep(region: Region, group: Group) -> None:
    """Launch what the pool is short of, terminate what is too much in it."""
    pool = group.warm_pool
    if pool is None or group.deleting:
        return
    if pool.status == PENDING_DELETE:
        if not pool.members:
            group.warm_pool = None
            region.touch(group)
        return
    here = [member for member in pool.members.values() if lifecycle.stage(member) not in lifecycle.TERMINATING]
    back = sum(group.members[one].returns for one in group.in_transit)
    missing = wanted(group) - len(here) - back
    if missing > 0 and not suspended(group, "Launch"):
        _fill(region, group, here, missing)
    elif missing < 0 and not suspended(group, "Terminate"):
        _shed(region, group, here, -missing)


def _fill(region: Region, group: Group, here: list[Member], missing: int) -> None:
    before = len(here)
    sizes = {zone: group.in_zones.get(zone, 0) + sum(one.zone == zone for one in here) for zone in group.zones}
    because = [causes.launched(region, before, before + missing)]
    for _ in range(missing):
        usable = zones.usable(region, group)
        if not usable:
            return
        zone = min(usable, key=lambda name: sizes[name])
        if capacity.launch_one(region, group, because, zone=zone, warmed=True):
            sizes[zone] += 1


def _shed(region: Region, group: Group, here: list[Member], excess: int) -> None:
    """M: those go that are longest in the pool, and such as are not ready last."""
    before = len(here)
    opening = causes.shrunk(region, before, before - excess)
    for member in sorted(here, key=lambda one: (one.lifecycle not in READY, one.joined_us))[:excess]:
        because = [opening, causes.selected(region, member.instance_id)]
        lifecycle.terminate(region, group, member, because)


def renewed(region: Region, group: Group, old: list[str]) -> bool:
    """Have an instance refresh replace members of the pool. Says whether it has."""
    pool = group.warm_pool
    if pool is None:
        return True
    for member in [pool.members[one] for one in old if one in pool.members]:
        lifecycle.terminate(region, group, member, [causes.taken_out(region, "an instance refresh")])
    ready = all(member.lifecycle in READY for member in pool.members.values())
    return ready and len(pool.members) >= wanted(group)


# In and out.


def settle(region: Region, group: Group, member: Member) -> None:
    """A member of the pool has run and has no hook to wait for: it comes into the pool's state."""
    pool = group.warm_pool
    instance = region.state.instances.get(member.instance_id)
    if pool is None or instance is None:
        return
    if pool.state == "Running" and instance.state == "running":
        _prepared(region, group, member, pool.state)
    elif instance.state == "stopped":
        _prepared(region, group, member, "Stopped" if pool.state == "Running" else pool.state)
    else:
        # Hibernation is stopping here: M, a container has no memory that would outlive it.
        machines.stop(region, member.instance_id)


def _prepared(region: Region, group: Group, member: Member, state: str) -> None:
    activities.end(region, group, member.activity_id)
    member.activity_id = ""
    lifecycle.enter(region, group, member, f"{lifecycle.WARMED}{state}")


def went_down(region: Region, instance: Instance) -> None:
    """An instance does not run any more: a member of a pool is where it should be, or is lost."""
    found = lifecycle.member_of(region, instance.instance_id)
    if found is None or not found[1].lifecycle.startswith(lifecycle.WARMED):
        return
    group, member = found
    stage = lifecycle.stage(member)
    if stage in {"Pending", "Pending:Proceed"} and instance.state == "stopped" and instance.ran:
        settle(region, group, member)
        return
    lost = instance.state == "terminated" or stage in {"Running", "Pending:Wait"}
    if lost and stage not in lifecycle.TERMINATING:
        lifecycle.force_out(region, group, member, [causes.taken_out(region, DOWN)])


def take(region: Region, group: Group, resolved: launch.Resolved, because: list[str], zone: str) -> Member | None:
    """Take a member of the pool into the group, where there is one that is ready.

    While an instance refresh goes on, one that is of another version would only have to be replaced again.
    """
    pool = group.warm_pool
    if pool is None or pool.status:
        return None
    ready = [
        member
        for member in pool.members.values()
        if member.lifecycle in READY
        and (member.zone == zone if zone else member.zone in group.zones)
        and (group.refresh is None or member.source == resolved.source)
    ]
    if not ready:
        return None
    member = min(ready, key=lambda one: (group.in_zones.get(one.zone, 0), one.joined_us))
    instance = region.state.instances[member.instance_id]
    activity = activities.begin(region, group, TAKING, because, instance=instance, status="PreInService", progress=30)
    lifecycle.leave(region, group, member)
    member.lifecycle, member.activity_id, member.warmed = "Pending", activity.activity_id, True
    member.refresh_id = group.refresh.refresh_id if group.refresh and group.refreshed_to else ""
    lifecycle.join(region, group, member)
    if instance.state == "running":
        lifecycle.ran(region, instance)
    else:
        machines.start_again(region, member.instance_id)
    return member


def give_back(region: Region, group: Group, member: Member) -> bool:
    """Have a member that scale-in would terminate go to the pool. Says whether it does."""
    pool = group.warm_pool
    instance = region.state.instances.get(member.instance_id)
    if pool is None or pool.status or group.deleting or machines.down(instance):
        return False
    activities.end(region, group, member.activity_id)
    lifecycle.leave(region, group, member)
    member.lifecycle, member.activity_id = f"{lifecycle.WARMED}Pending", ""
    member.returns, member.protected, member.in_service_us, member.warm_us = False, False, None, None
    lifecycle.join(region, group, member)
    settle(region, group, member)
    return True


lifecycle.ON_WARM.append(settle)
lifecycle.ON_END.append(give_back)
machines.ON_DOWN.append(went_down)
capacity.PREPARED.append(take)
