"""Desired against actual capacity: what a group launches and terminates to make the one the other.

A group is looked at when it was touched, and what is looked at are counts: members are gone through only when some of
them have to go.
"""

from __future__ import annotations

from collections.abc import Callable

from parity.errors import ServiceError
from parity.model.scaling.groups import activities, causes, launch, lifecycle, machines, termination, zones
from parity.model.scaling.groups.processes import suspended
from parity.model.scaling.region import Region, settler
from parity.model.scaling.state import SECOND_US, Group, Instance, Member

#: How many sentences of what asked for a size are kept while nothing can be done about it.
WHY_MAX = 5
LAUNCHING = "Launching a new EC2 instance"
FAILED = "Launching EC2 instance failed."
WARMING = "Launching a new EC2 instance into warm pool"
#: Called with a launch source, sentences of a cause and a zone or none before an instance is launched; one that gives
#: a member has found another way.
PREPARED: list[Callable[[Region, Group, launch.Resolved, list[str], str], Member | None]] = []


def in_service(group: Group) -> list[Member]:
    """The members in service."""
    return [group.members[instance_id] for instance_id in group.entered if instance_id in group.members]


def warming(region: Region, group: Group, warmup_s: int | None = None) -> list[Member]:
    """The members that are on their way into service, or there for too short a time to be measured.

    Args:
        region: Where.
        group: Whose.
        warmup_s: How long they warm up; None for what the group says, or else its cooldown.
    """
    if warmup_s is None:
        warmup_s = group.cooldown_s if group.warmup_s is None else group.warmup_s
    since_us = region.now_us - warmup_s * SECOND_US
    coming = [group.members[one] for one in group.in_transit if group.members[one].lifecycle in lifecycle.PENDING]
    young: list[Member] = []
    for instance_id in reversed(group.entered):
        if group.entered[instance_id] <= since_us:
            break
        young.append(group.members[instance_id])
    return coming + young[::-1]


def resize(region: Region, group: Group, desired: int, why: str) -> None:
    """Set the desired capacity.

    Args:
        region: Where.
        group: Whose.
        desired: The new one; whoever calls has seen to the group's limits.
        why: The opening sentence of the causes to come; empty for none.
    """
    group.desired = desired
    if why:
        group.why = [*group.why, why][-WHY_MAX:]
    region.touch(group)


@settler
def reconcile(region: Region, group: Group) -> None:
    """Launch what is missing, terminate what is too much."""
    _relieve(region, group)
    missing = _taken_in(group, group.desired - (group.capacity - _weight(group, group.surplus)))
    if missing == 0:
        group.why.clear()
        group.owed.clear()
        if not group.deleting:
            _rebalance(region, group)
    elif missing > 0 and not group.deleting:
        _launch(region, group, missing)
    elif missing < 0:
        _shrink(region, group, -missing)


def _weight(group: Group, ids: list[str]) -> int:
    return sum(group.members[one].weight for one in ids) if ids else 0


def _relieve(region: Region, group: Group) -> None:
    """Let those go whose replacements, launched first, are in service now."""
    for instance_id in [one for one in group.surplus if _proven(region, group.members[one])]:
        group.surplus.remove(instance_id)
        member = group.members[instance_id]
        old, member.replaces = member.replaces, ""
        if not old:
            group.why.append(causes.balanced(region, member.zone))
        elif old in group.members and group.members[old].lifecycle in lifecycle.COUNTED:
            because = [causes.taken_out(region, group.replacing.pop(old, causes.DIFFERENCE))]
            lifecycle.terminate(region, group, group.members[old], [*because, causes.selected(region, old)])


def _proven(region: Region, member: Member) -> bool:
    """Whether a member that was launched first is in service for as long as it has to be."""
    if member.lifecycle != "InService" or member.in_service_us is None:
        return False
    return not member.replaces or member.in_service_us + member.proves_s * SECOND_US <= region.now_us


# Too few.


def _taken_in(group: Group, missing: int) -> int:
    """What is missing once those count for it that were launched first, for nobody who is still there."""
    for instance_id in [one for one in group.surplus if group.members[one].replaces not in group.replacing]:
        if missing > 0:
            group.surplus.remove(instance_id)
            group.members[instance_id].replaces = ""
            missing -= group.members[instance_id].weight
    return missing


def _launch(region: Region, group: Group, missing: int) -> None:
    if suspended(group, "Launch"):
        return
    before = group.capacity
    opening, sentence = list(group.why), causes.launched(region, before, before + missing)
    while missing > 0:
        because = [causes.responding(region, group.owed[0])] if group.owed else [*opening, sentence]
        member = launch_one(region, group, because)
        if member is None:
            return
        member.stands_in = bool(group.owed)
        del group.owed[:1]
        group.why.clear()
        missing -= member.weight


def replace_first(region: Region, group: Group, old: Member | None, why: str, *, proves_s: int = 0) -> Member | None:
    """Launch above the desired capacity, so that something can go once the new instance is in service.

    Args:
        region: Where.
        group: Whose.
        old: Who goes then; None for whom the termination policies choose.
        why: What the launch is in response to, and what the old one is taken out in response to.
        proves_s: How long the new one must have been in service before the old one goes.

    Returns:
        The new member; None where none could be launched.
    """
    open_zones = zones.usable(region, group)
    zone = old.zone if old and old.zone in open_zones else ""
    member = launch_one(region, group, [causes.responding(region, why)], zone=zone)
    if member:
        stand_in(group, member, old, why)
        member.proves_s = proves_s
    return member


def stand_in(group: Group, member: Member, old: Member | None, why: str) -> None:
    """Say that a member that was just launched is above the desired capacity, and whose place it takes."""
    group.surplus.append(member.instance_id)
    member.stands_in = True
    if old:
        member.replaces = old.instance_id
        group.replacing[old.instance_id] = why


def launch_one(
    region: Region, group: Group, because: list[str], *, zone: str = "", warmed: bool = False
) -> Member | None:
    """Launch an instance for a group.

    Args:
        region: Where.
        group: Whose.
        because: The sentences of the activity's cause.
        zone: Where; empty for the emptiest zone, and where that fails, another.
        warmed: Whether it is for the warm pool.

    Returns:
        The new member; None where nothing could be launched at the moment.
    """
    try:
        resolved = launch.resolve(region, launch.current(group))
    except ServiceError as error:
        _fail_everywhere(region, group, because, error.message)
        return None
    for find in PREPARED if not warmed else ():
        if member := find(region, group, resolved, because, zone):
            return member
    if not machines.room(region):
        _fail_everywhere(region, group, because, machines.no_room(region, 1))
        return None
    while open_zones := [zone] if zone else zones.usable(region, group):
        chosen = zones.emptiest(group, open_zones)
        if chosen in group.avoided:
            # An attempt counts as failed until it came to life, so that there is one at a time.
            zones.avoid(region, group, [chosen])
        found = zones.by_name(region, chosen)
        if found and found.available:
            return _start(region, group, because, resolved, chosen, warmed=warmed)
        _fail(region, group, because, _no_capacity(group, resolved.instance_type, chosen))
        if chosen not in group.avoided:
            zones.avoid(region, group, [chosen])
        if zone:
            break
    return None


def _start(
    region: Region, group: Group, because: list[str], resolved: launch.Resolved, zone: str, *, warmed: bool
) -> Member:
    instance = machines.start(
        region,
        image_id=resolved.image_id,
        instance_type=resolved.instance_type,
        zone=zone,
        subnet_id=zones.subnet_in(region, group, zone),
        user_data=resolved.user_data,
        key_name=resolved.key_name,
        spot=resolved.spot or (launch.spot_next(group) and not warmed),
        group=group.name,
        tags=launch.tags_for(group, resolved),
        extra=resolved.extra,
    )
    what = WARMING if warmed else LAUNCHING
    activity = activities.begin(region, group, what, because, instance=instance, status="PreInService", progress=30)
    member = Member(
        instance_id=instance.instance_id,
        lifecycle="Warmed:Pending" if warmed else "Pending",
        zone=zone,
        source=resolved.source,
        instance_type=resolved.instance_type,
        activity_id=activity.activity_id,
        weight=resolved.weight,
        spot=instance.spot,
        refresh_id=group.refreshes[-1].refresh_id if group.refreshed_to else "",
    )
    lifecycle.join(region, group, member)
    return member


def _no_capacity(group: Group, instance_type: str, zone: str) -> str:
    others = ", ".join(name for name in group.zones if name != zone)
    return (
        f"We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested ({zone})."
        " Our system will be working on provisioning additional capacity. You can currently get "
        f"{instance_type} capacity by not specifying an Availability Zone in your request or choosing {others}."
    )


def _fail_everywhere(region: Region, group: Group, because: list[str], message: str) -> None:
    """Fail for what is alike in every zone, and try none of them for a while."""
    if open_zones := zones.usable(region, group):
        _fail(region, group, because, message)
        zones.avoid(region, group, open_zones)


def _fail(region: Region, group: Group, because: list[str], message: str) -> None:
    activity = activities.begin(region, group, LAUNCHING, because)
    activities.end(region, group, activity.activity_id, "Failed", failed(message))


def failed(message: str) -> str:
    """What a failed launch's activity says."""
    return message if message.endswith(FAILED) else f"{message.rstrip('.')}. {FAILED}"


def could_not(region: Region, instance: Instance, message: str, code: str) -> None:
    """An instance could not be started: its member is none, and where it was to be is passed over for a while."""
    group = region.state.groups.get(instance.group)
    member = lifecycle.in_group(group, instance.instance_id) if group else None
    if group is None or member is None or lifecycle.stage(member) not in lifecycle.PENDING:
        return
    if activity := group.under_way.get(member.activity_id):
        activity.description, activity.instance_id = f"{activity.description.rpartition(':')[0]}.", ""
    activities.end(region, group, member.activity_id, "Failed", failed(message))
    lifecycle.leave(region, group, member)
    # One that ran before is still there, stopped; where nothing is left of it, that asks for nothing.
    machines.terminate(region, instance.instance_id)
    # What is wrong with the request is wrong in every zone.
    everywhere = code.startswith("Invalid")
    hit = [zone for zone in (group.zones if everywhere else [member.zone]) if _counts(region, group, zone)]
    zones.avoid(region, group, hit)


def _counts(region: Region, group: Group, zone: str) -> bool:
    """Whether a failure is news: of launches that fail side by side, the first counts."""
    return zone not in group.avoided or group.avoided[zone][1] <= region.now_us


def came_to_life(region: Region, instance: Instance) -> None:
    """An instance runs: its zone takes launches."""
    if group := region.state.groups.get(instance.group):
        zones.in_order(region, group, instance.zone)


# Too many.


def _shrink(region: Region, group: Group, excess: int) -> None:
    if suspended(group, "Terminate") or group.deleting:
        return
    going = _going(region, group, excess)
    before = group.capacity
    after = before - sum(member.weight for member in going)
    opening = [*group.why, causes.shrunk(region, before, after)]
    group.why.clear()
    for member in going:
        because = [*opening, causes.selected(region, member.instance_id)]
        member.returns = group.warm_pool is not None and group.warm_pool.reuse_on_scale_in
        lifecycle.terminate(region, group, member, because)


def _going(region: Region, group: Group, excess: int) -> list[Member]:
    """Who goes: members in service that are not protected, and if they are too few, such as are not there yet."""
    going: list[Member] = []
    serving = [member for member in in_service(group) if not member.protected]
    coming = [group.members[one] for one in group.in_transit if group.members[one].lifecycle in lifecycle.PENDING]
    for candidates in (serving, coming):
        for member in termination.victims(region, group, candidates, excess):
            if member.weight <= excess:
                going.append(member)
                excess -= member.weight
    return going


# Zones that differ.


def _rebalance(region: Region, group: Group) -> None:
    """Launch where there is less, above the desired capacity; what is too much then goes where there is more."""
    if group.surplus or not _lopsided(group) or lifecycle.number(group, *lifecycle.PENDING):
        return
    if any(suspended(group, process) for process in ("AZRebalance", "Launch", "Terminate")):
        return
    limit = group.max_size + max(1, group.max_size // 10) - group.capacity
    sizes = {zone: size for zone, size in group.in_zones.items() if size > 0 or zone in group.zones}
    sizes |= {zone: 0 for zone in group.zones if zone not in sizes}
    for _ in range(limit):
        move = _move(region, group, sizes)
        if move is None:
            return
        member = launch_one(region, group, [causes.balancing(region, sizes)], zone=move[1])
        if member is None:
            return
        stand_in(group, member, None, "")
        sizes[move[0]] -= 1
        sizes[move[1]] += 1


def _open(region: Region, group: Group) -> list[str]:
    """The zones that take launches, as far as is known."""
    available = {zone.name for zone in region.state.zones if zone.available}
    return [zone for zone in zones.usable(region, group) if zone in available]


def _lopsided(group: Group) -> bool:
    """Whether two zones differ by more than one instance, or there is something in a zone that is none any more."""
    sizes = [group.in_zones.get(zone, 0) for zone in group.zones]
    return max(sizes) - min(sizes) >= 2 or any(
        size > 0 and zone not in group.zones for zone, size in group.in_zones.items()
    )


def _move(region: Region, group: Group, sizes: dict[str, int]) -> tuple[str, str] | None:
    """From which zone to which one instance should go; None where none should or can."""
    takers = _open(region, group)
    if not takers:
        return None
    to_zone = min(takers, key=lambda zone: sizes.get(zone, 0))
    unprotected = {member.zone for member in in_service(group) if not member.protected}
    givers = [
        zone
        for zone in unprotected
        if sizes[zone] > 0 and (zone not in group.zones or sizes[zone] - sizes[to_zone] >= 2)
    ]
    if not givers:
        return None
    return min(givers, key=lambda zone: (zone in group.zones, -sizes[zone], zone)), to_zone


machines.ON_FAILED.append(could_not)
machines.ON_RUNNING.insert(0, came_to_life)
