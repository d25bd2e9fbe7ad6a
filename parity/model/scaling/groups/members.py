"""Single instances of a group: terminated, protected, put into standby and back, attached and detached."""

from __future__ import annotations

from typing import NamedTuple

from parity.errors import ServiceError
from parity.model.scaling.groups import activities, capacity, causes, lifecycle
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import Group, Instance, LaunchSource, Member

#: How many instances one call may name.
CALL_MAX = 20
PROTECTION_MAX = 50


def found(region: Region, instance_id: str) -> tuple[Group, Member]:
    """A member by its instance's id.

    Raises:
        ServiceError: It is no group's.
    """
    pair = lifecycle.member_of(region, instance_id)
    if pair is None:
        raise ServiceError(
            "ValidationError", f"Instance Id not found - No managed instance found for instance ID: {instance_id}"
        )
    return pair


@operation("autoscaling", "TerminateInstanceInAutoScalingGroup")
def terminate(region: Region, request: Request) -> Answer:
    """Terminate instances, with or without others in their place."""
    ids = request.get("InstanceIds") or ([request["InstanceId"]] if request.get("InstanceId") else [])
    if not ids:
        raise ServiceError(
            "ValidationError",
            "1 validation error detected: Value null at 'instanceId' failed to satisfy constraint: "
            "Member must not be null",
        )
    pairs = [found(region, instance_id) for instance_id in ids]
    shrinks = request["ShouldDecrementDesiredCapacity"]
    if shrinks:
        check_min_size(pairs[0][0], sum(counts(member) for _, member in pairs))
    shown = []
    for group, member in pairs:
        activity_id = _terminate(region, group, member, shrinks=shrinks)
        activity = group.under_way.get(activity_id)
        if activity:
            shown.append(activities.shown(group, activity))
    return {"Activities": shown} if request.get("InstanceIds") else {"Activity": shown[0]} if shown else {}


def _terminate(region: Region, group: Group, member: Member, *, shrinks: bool) -> str:
    size, taken = group.desired, counts(member)
    sizes = (size, size - taken) if shrinks and taken else None
    because = causes.requested(region, member.instance_id, "taken out of service", sizes)
    if sizes:
        capacity.resize(region, group, sizes[1], "")
    return lifecycle.terminate(region, group, member, [because])


def counts(member: Member) -> int:
    """How much of the desired capacity goes with a member."""
    return member.weight if member.lifecycle in lifecycle.COUNTED else 0


def check_min_size(group: Group, taken: int) -> None:
    """See to it that the desired capacity can be smaller by so much.

    Raises:
        ServiceError: It cannot.
    """
    if group.desired - taken < group.min_size:
        raise ServiceError(
            "ValidationError",
            f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement will "
            "violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower "
            "group's min size.",
        )


def chosen(
    region: Region, request: Request, states: tuple[str, ...], did: str, ids_max: int = CALL_MAX
) -> tuple[Group, list[Member]]:
    """The members that a call names.

    Args:
        region: Where.
        request: With the group's name and the instances' ids.
        states: The states that they have to be in.
        did: What is done with them, such as `detach`.
        ids_max: How many may be named in one call.

    Raises:
        ServiceError: One of them is not the group's, or in another state.
    """
    group = region.group(request["AutoScalingGroupName"])
    ids = _ids(request, did, ids_max)
    for instance_id in ids:
        if instance_id not in group.members:
            raise ServiceError(
                "ValidationError", f"The instance {instance_id} is not part of Auto Scaling group {group.name}."
            )
        if group.members[instance_id].lifecycle not in states:
            raise ServiceError("ValidationError", f"The instance {instance_id} is not in {' or '.join(states)}.")
    return group, [group.members[instance_id] for instance_id in ids]


def _ids(request: Request, did: str, ids_max: int) -> list[str]:
    ids = list(dict.fromkeys(request.get("InstanceIds") or ()))
    if len(ids) > ids_max:
        raise ServiceError(
            "ValidationError",
            f"List exceeds the maximum number of instances to {did}. Please retry your request with fewer instances.",
        )
    return ids


def check_sizes(group: Group, desired: int, did: str, number: int) -> None:
    """See to it that a desired capacity is within the group's limits.

    Raises:
        ServiceError: It is not; `did` says what made it so, such as `attach`.
    """
    if not group.min_size <= desired <= group.max_size:
        instances = "1 instance" if number == 1 else f"{number} instances"
        raise ServiceError(
            "ValidationError",
            f"AutoScalingGroup {group.name} has min-size={group.min_size}, max-size={group.max_size}, and "
            f"desired-size={group.desired}. To {did} {instances}, please update the AutoScalingGroup sizes "
            "appropriately.",
        )


@operation("autoscaling", "EnterStandby")
def enter_standby(region: Region, request: Request) -> Answer:
    """Take members out of service for a while; others come in their place, or the desired capacity is smaller."""
    group, members = chosen(region, request, ("InService",), "place into standby")
    shrinks = request["ShouldDecrementDesiredCapacity"]
    if shrinks:
        check_sizes(group, group.desired - _weight(members), "place into standby", len(members))
    to = _Change("moved to standby", "Moving EC2 instance to Standby", "EnteringStandby")
    return {"Activities": [_change(region, group, one, to, shrinks=shrinks) for one in members]}


@operation("autoscaling", "ExitStandby")
def exit_standby(region: Region, request: Request) -> Answer:
    """Bring members back into service; the desired capacity is larger."""
    group, members = chosen(region, request, ("Standby",), "exit from standby")
    check_sizes(group, group.desired + _weight(members), "exit from standby", len(members))
    return {"Activities": [_bring(region, group, member) for member in members]}


@operation("autoscaling", "DetachInstances")
def detach(region: Region, request: Request) -> Answer:
    """Make members nobody's; others come in their place, or the desired capacity is smaller."""
    group, members = chosen(region, request, ("InService", "Standby"), "detach")
    shrinks = request["ShouldDecrementDesiredCapacity"]
    if shrinks:
        taken = sum(counts(member) for member in members)
        check_sizes(group, group.desired - taken, "detach", len(members))
    to = _Change("detached", "Detaching EC2 instance", "Detaching")
    return {"Activities": [_change(region, group, one, to, shrinks=shrinks) for one in members]}


class _Change(NamedTuple):
    """How a member leaves the service without its end: in a cause, in a description, and as a state."""

    did: str
    what: str
    state: str


def _change(region: Region, group: Group, member: Member, to: _Change, *, shrinks: bool) -> Answer:
    size, taken = group.desired, counts(member)
    sizes = (size, size - taken) if shrinks and taken else None
    because = [causes.requested(region, member.instance_id, to.did, sizes)]
    instance = region.state.instances.get(member.instance_id)
    activity = activities.begin(region, group, to.what, because, instance=instance, progress=50)
    member.activity_id = activity.activity_id
    group.entered.pop(member.instance_id, None)
    group.unhealthy.pop(member.instance_id, None)
    if sizes:
        capacity.resize(region, group, sizes[1], "")
    lifecycle.enter(region, group, member, to.state)
    region.at(region.now_us, "proceed", group.name, member.instance_id)
    return activities.shown(group, activity)


def _bring(region: Region, group: Group, member: Member) -> Answer:
    sizes = (group.desired, group.desired + member.weight)
    because = [causes.requested(region, member.instance_id, "moved out of standby", sizes)]
    what = "Moving EC2 instance out of Standby"
    return _come(region, group, member, what, because)


def _come(region: Region, group: Group, member: Member, what: str, because: list[str]) -> Answer:
    """Have a member that runs already come into service, and the desired capacity be larger by it."""
    activity = activities.begin(
        region,
        group,
        what,
        because,
        instance=region.state.instances.get(member.instance_id),
        status="PreInService",
        progress=30,
    )
    member.activity_id = activity.activity_id
    capacity.resize(region, group, group.desired + member.weight, "")
    lifecycle.enter(region, group, member, "Pending")
    region.at(region.now_us, "proceed", group.name, member.instance_id)
    return activities.shown(group, activity)


def _weight(members: list[Member]) -> int:
    return sum(member.weight for member in members)


@operation("autoscaling", "AttachInstances")
def attach(region: Region, request: Request) -> Answer:
    """Make instances that run already members; the desired capacity is larger."""
    group = region.group(request["AutoScalingGroupName"])
    ids = _ids(request, "attach", CALL_MAX)
    instances = [_attachable(region, group, instance_id) for instance_id in ids]
    check_sizes(group, group.desired + len(instances), "attach", len(instances))
    for instance in instances:
        member = Member(
            instance_id=instance.instance_id,
            lifecycle="Pending",
            zone=instance.zone,
            source=LaunchSource(),
            instance_type=instance.instance_type,
            protected=group.new_protected,
            spot=instance.spot,
        )
        lifecycle.join(region, group, member)
        because = causes.at(
            region,
            f"an instance was added in response to user request. Keeping the capacity at the new {group.desired + 1}.",
        )
        _come(region, group, member, "Attaching an existing EC2 instance", [because])
    return {}


def _attachable(region: Region, group: Group, instance_id: str) -> Instance:
    instance = region.state.instances.get(instance_id)
    if instance is None:
        raise ServiceError("ValidationError", f"Invalid Instance ID(s): [{instance_id}]")
    if instance.group:
        raise ServiceError(
            "ValidationError", f"The Instance: {instance_id} is already part of AutoScalingGroup:{instance.group}"
        )
    if instance.state != "running":
        raise ServiceError(
            "ValidationError",
            f"Instance {instance_id} [{instance.state}] is not in correct state. "
            "Instance(s) must be in 'running' state.",
        )
    if instance.zone not in group.zones:
        raise ServiceError(
            "ValidationError",
            f"Instance {instance_id} is in availability zone {instance.zone}. "
            f"Instance must be in one of the AutoScalingGroup's availability zones [{', '.join(group.zones)}].",
        )
    return instance


@operation("autoscaling", "SetInstanceProtection")
def protect(region: Region, request: Request) -> Answer:
    """Have members spared by scale-in, or not any more."""
    group, members = chosen(region, request, ("InService", "EnteringStandby", "Standby"), "protect", PROTECTION_MAX)
    for member in members:
        member.protected = request["ProtectedFromScaleIn"]
    region.touch(group)
    return {}
