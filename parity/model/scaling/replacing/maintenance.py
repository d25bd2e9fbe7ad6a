"""Instances in the place of others: how many at a time, and whether the new or the old one comes first.

What replaces instances keeps the group's healthy capacity within bounds, in percent of its desired capacity. Between
the lower bound and what is ready, instances are terminated first; up to the upper bound, others are launched first.
Without an instance maintenance policy, what is unhealthy or too old is terminated first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from parity.model.scaling.groups import capacity, causes, health, lifecycle, termination
from parity.model.scaling.groups.processes import suspended
from parity.model.scaling.region import Region
from parity.model.scaling.state import SECOND_US, Group, Member


class Bounds(NamedTuple):
    """Between what the healthy capacity stays.

    Args:
        least: In percent of the desired capacity: 0 to 100.
        most: Likewise: 100 to 200.
        launches_first: Whether, where the bounds leave no room for even one, it is launched first and not terminated.
        warmup_s: How long an instance must have been in service to count as ready.
    """

    least: int
    most: int
    launches_first: bool
    warmup_s: int


class Room(NamedTuple):
    """How much can be replaced at the moment, in units of capacity.

    Args:
        out: As much can be terminated first.
        extra: As much can be launched first.
        exceeds: Whether one may go beyond that, whatever its weight: nothing else would ever be replaced.
    """

    out: int
    extra: int
    exceeds: bool = False


def of_policy(group: Group) -> Bounds | None:
    """The bounds of a group's instance maintenance policy; None where it has none."""
    if group.maintenance is None:
        return None
    least, most = group.maintenance
    return Bounds(least, most, launches_first=True, warmup_s=group.warmup_s or 0)


def room(region: Region, group: Group, bounds: Bounds, *, unhealthy_counts: bool = False) -> Room:
    """How much of a group can be replaced at the moment.

    Args:
        region: Where.
        group: Whose.
        bounds: What is to be kept.
        unhealthy_counts: Whether what is unhealthy counts as ready. It does where that itself is to be replaced: it
            would have to wait for itself otherwise.
    """
    coming = capacity.warming(region, group, bounds.warmup_s)
    ready = group.capacity - sum(member.weight for member in coming)
    if group.unhealthy and not unhealthy_counts:
        known = {member.instance_id for member in coming}
        sick = [group.members[one] for one in group.unhealthy if one not in known]
        ready -= sum(member.weight for member in sick if member.lifecycle == "InService")
    out = ready - -(-group.desired * bounds.least // 100)
    extra = group.desired * bounds.most // 100 - max(group.capacity, group.desired)
    if out > 0 or extra > 0:
        return Room(max(out, 0), max(extra, 0))
    if coming or group.surplus or group.capacity < group.desired:
        return Room(0, 0)
    return Room(0, 1, exceeds=True) if bounds.launches_first else Room(1, 0, exceeds=True)


def replace(region: Region, group: Group, old: Sequence[Member], why: str, bounds: Bounds, *, limit: int) -> int:
    """Replace as many of some members as can be at the moment.

    Args:
        region: Where.
        group: Whose.
        old: Who is to go, by the group's termination policies.
        why: What they are taken out in response to, and others launched.
        bounds: What is to be kept.
        limit: How many go at most.

    Returns:
        How many are being replaced now.
    """
    if limit < 1 or not old or suspended(group, "Launch") or suspended(group, "Terminate"):
        return 0
    out, extra, exceeds = room(region, group, bounds)
    number = min(limit, 1 if exceeds else out + extra)
    begun = 0
    for member in termination.victims(region, group, old, number) if number > 0 else ():
        if out > 0 and (exceeds or member.weight <= out):
            out -= member.weight
            terminate_first(region, group, member, why)
        elif extra > 0 and (exceeds or member.weight <= extra):
            extra -= member.weight
            if capacity.replace_first(region, group, member, why, proves_s=bounds.warmup_s) is None:
                break
        else:
            break
        begun += 1
    return begun


def terminate_first(region: Region, group: Group, member: Member, why: str) -> None:
    """Terminate a member; its absence has another launched."""
    group.unhealthy.pop(member.instance_id, None)
    if group.capacity - member.weight < group.desired:
        group.owed.append(why)
    because = [causes.taken_out(region, why), causes.selected(region, member.instance_id)]
    lifecycle.terminate(region, group, member, because)


def take_over(region: Region, group: Group, member: Member, why: str) -> bool:
    """Replace an unhealthy member as the group's policy has it. Says whether it is seen to here.

    One that does not run is no capacity that could be kept, and one that was launched first is in nobody's place yet.
    """
    bounds = of_policy(group)
    if bounds is None or why == health.DOWN or member.instance_id in group.surplus or suspended(group, "Launch"):
        return False
    out, extra, exceeds = room(region, group, bounds, unhealthy_counts=True)
    if out >= member.weight or (exceeds and out):
        return False
    if extra >= member.weight or (exceeds and extra):
        capacity.replace_first(region, group, member, why, proves_s=bounds.warmup_s)
    return True


def came(region: Region, group: Group, member: Member) -> None:
    """A member came into service: look at the group again when it is ready, if anything waits for that."""
    policy = of_policy(group)
    for warmup_s in {member.proves_s, policy.warmup_s if policy else 0} - {0}:
        region.at(region.now_us + warmup_s * SECOND_US, "retry", group.name)


health.ON_REPLACE.append(take_over)
lifecycle.ON_SERVICE.append(came)
