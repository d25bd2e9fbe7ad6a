"""Launches that are asked for by a call, and answered with the instances: `LaunchInstances`."""

from __future__ import annotations

from parity.errors import ServiceError
from parity.model.scaling.groups import capacity, causes, launch, zones
from parity.model.scaling.groups.crud import alive
from parity.model.scaling.groups.processes import suspended
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import Group, Member

INSTANCES_MAX = 100
RETRIES = ("none", "retry-with-group-configuration")


@operation("autoscaling", "LaunchInstances")
def launch_instances(region: Region, request: Request) -> Answer:
    """Launch instances now, in one zone, and have the desired capacity be larger by them."""
    group = alive(region, request["AutoScalingGroupName"])
    token, number = request["ClientToken"], request["RequestedCapacity"]
    asked = {key: value for key, value in request.items() if key != "ClientToken"}
    if token in group.answered:
        return _answered(group, token, asked)
    zone = _zone(region, group, request)
    _check(group, number, request)
    resolved = launch.resolve(region, launch.current(group))

    what = "a user request to launch instances"
    opening = causes.changing(region, what, group.desired, group.desired + number)
    launched: list[Member] = []
    while sum(member.weight for member in launched) < number:
        before = group.capacity
        because = [opening, causes.launched(region, before, before + resolved.weight)]
        member = capacity.launch_one(region, group, because, zone=zone)
        if member is None:
            break
        launched.append(member)
    came = sum(member.weight for member in launched)
    again = request.get("RetryStrategy", RETRIES[0]) == RETRIES[1]
    capacity.resize(region, group, group.desired + (number if again else came), "")
    place = {"AvailabilityZone": zone, "SubnetId": zones.subnet_in(region, group, zone)}
    kind = {"InstanceType": resolved.instance_type, "MarketType": "spot" if resolved.spot else "on-demand", **place}
    answer: Answer = {
        "AutoScalingGroupName": group.name,
        "ClientToken": token,
        "Instances": [{**kind, "InstanceIds": [member.instance_id for member in launched]}] if launched else [],
        "Errors": [] if came >= number else [{**kind, **_error(group)}],
    }
    group.answered[token] = {"request": asked, "answer": answer}
    return answer


def _error(group: Group) -> Answer:
    message = group.activities[-1].message if group.activities else ""
    return {"ErrorCode": "InsufficientInstanceCapacity", "ErrorMessage": message or capacity.FAILED}


def _answered(group: Group, token: str, asked: Answer) -> Answer:
    if group.answered[token]["request"] != asked:
        raise ServiceError(
            "IdempotentParameterMismatch", f"The client token {token} was used with other parameters before."
        )
    answer: Answer = group.answered[token]["answer"]
    return answer


def _check(group: Group, number: int, request: Request) -> None:
    if request.get("RetryStrategy", RETRIES[0]) not in RETRIES:
        raise ServiceError("ValidationError", f"Invalid retry strategy: {request['RetryStrategy']}")
    if not 1 <= number <= INSTANCES_MAX:
        raise ServiceError("ValidationError", f"RequestedCapacity must be between 1 and {INSTANCES_MAX}.")
    if group.desired + number > group.max_size:
        raise ServiceError(
            "ValidationError",
            f"Desired capacity:{group.desired + number} must be between the specified min size:{group.min_size} and "
            f"max size:{group.max_size}",
        )
    if suspended(group, "Launch"):
        raise ServiceError("ValidationError", f"The Launch process of AutoScalingGroup {group.name} is suspended.")


def _zone(region: Region, group: Group, request: Request) -> str:
    """The zone that is stated, by its name, its id, or a subnet in it; of a group with one zone, that."""
    stated = zones.chosen(region, {**request, "VPCZoneIdentifier": ",".join(request.get("SubnetIds") or ())})
    names = stated[0] if stated else list(group.zones)
    if len(names) != 1:
        raise ServiceError(
            "ValidationError", "One Availability Zone or subnet must be specified for an AutoScalingGroup with several."
        )
    if names[0] not in group.zones:
        raise ServiceError("ValidationError", f"The AutoScalingGroup {group.name} has no zone {names[0]}.")
    return names[0]
