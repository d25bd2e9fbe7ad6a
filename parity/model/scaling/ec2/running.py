"""Instances of nobody's: RunInstances, and what EC2 itself does to any instance."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.ec2.common import checked_user_data, refuse_dry_run, specified_tags
from parity.model.scaling.ec2.images import image_of
from parity.model.scaling.ec2.instances import instances_of, reservations, shown_state
from parity.model.scaling.ec2.subnets import zone_of_subnet
from parity.model.scaling.ec2.templates import template_of, version_of
from parity.model.scaling.groups import machines
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import Instance, Zone
from parity.model.scaling.world import Reboot

#: What EC2 takes where no type is stated.
DEFAULT_TYPE = "m1.small"
_TYPE = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")
#: What is kept as stated, to be shown again.
_KEPT = (
    "DisableApiStop",
    "DisableApiTermination",
    "EbsOptimized",
    "IamInstanceProfile",
    "InstanceInitiatedShutdownBehavior",
    "MetadataOptions",
    "SecurityGroupIds",
    "SecurityGroups",
)


def checked_type(name: str) -> str:
    """An instance type, of which only the form is checked.

    Raises:
        ServiceError: It cannot be one.
    """
    if not _TYPE.fullmatch(name):
        raise ServiceError("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")
    return name


@operation("ec2", "RunInstances")
def _run(region: Region, request: Request) -> Answer:
    if earlier := _run_before(region, request):
        return reservations(region, earlier)[0]
    wanted, from_template = _wanted(region, request)
    count = _count(wanted)
    if not wanted.get("ImageId"):
        raise ServiceError("MissingParameter", "The request must contain the parameter ImageId")
    image_id = image_of(region, wanted["ImageId"]).image_id
    instance_type = checked_type(wanted.get("InstanceType") or DEFAULT_TYPE)
    user_data = checked_user_data(wanted.get("UserData") or "")
    tags = specified_tags(wanted.get("TagSpecifications"), "instance") | from_template
    zone = _zone(region, wanted, instance_type)
    room = machines.room(region)
    if room < wanted["MinCount"]:
        raise ServiceError("InstanceLimitExceeded", machines.no_room(region, wanted["MinCount"]))
    refuse_dry_run(request)
    extra = _kept(wanted)
    extra["ReservationId"] = region.new_id("r-")
    extra["ClientToken"] = request.get("ClientToken") or ""
    started = [
        machines.start(
            region,
            image_id=image_id,
            instance_type=instance_type,
            zone=zone.name,
            subnet_id=zone.subnet_id,
            user_data=user_data,
            key_name=wanted.get("KeyName") or "",
            spot=(wanted.get("InstanceMarketOptions") or {}).get("MarketType") == "spot",
            tags=tags,
            extra={**extra, "AmiLaunchIndex": index},
        )
        for index in range(min(count, room))
    ]
    return reservations(region, started)[0]


def _run_before(region: Region, request: Request) -> list[Instance]:
    """What the same call started already: a client that got no answer asks again with the same token."""
    token = request.get("ClientToken")
    if not token:
        return []
    return [one for one in region.state.instances.values() if one.extra.get("ClientToken") == token]


def _wanted(region: Region, request: Request) -> tuple[dict[str, Any], dict[str, str]]:
    """What is stated, in the call or else in its launch template; and the tags that say which template it was."""
    specification = request.get("LaunchTemplate")
    if not specification:
        return dict(request), {}
    template = template_of(region, specification)
    version = version_of(template, specification.get("Version") or "")
    tags = {
        "aws:ec2launchtemplate:id": template.template_id,
        "aws:ec2launchtemplate:version": str(version.number),
    }
    return {**version.data, **request}, tags


def _kept(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of it to be shown again."""
    kept = {key: wanted[key] for key in _KEPT if key in wanted}
    for interface in (wanted.get("NetworkInterfaces") or ())[:1]:
        if interface.get("Groups"):
            kept["SecurityGroupIds"] = list(interface["Groups"])
    if (wanted.get("Monitoring") or {}).get("Enabled"):
        kept["Monitoring"] = "enabled"
    return kept


def _count(wanted: Mapping[str, Any]) -> int:
    low, high = wanted["MinCount"], wanted["MaxCount"]
    for name, value in (("minCount", low), ("maxCount", high)):
        if value < 1:
            raise ServiceError(
                "InvalidParameterValue",
                f"Value ( {value} ) for parameter {name} is invalid. Expecting a value greater than 0.",
            )
    if low > high:
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ( {low} ) for parameter minCount is invalid. minCount may not exceed maxCount ( {high} ).",
        )
    return int(high)


def _zone(region: Region, wanted: Mapping[str, Any], instance_type: str) -> Zone:
    """Where instances start: in the subnet or zone stated, else in the first zone that takes launches."""
    interfaces = wanted.get("NetworkInterfaces") or [{}]
    subnet_id = wanted.get("SubnetId") or interfaces[0].get("SubnetId")
    name = (wanted.get("Placement") or {}).get("AvailabilityZone")
    zones = {zone.name: zone for zone in region.state.zones}
    open_zones = [zone for zone in region.state.zones if zone.available]
    if subnet_id:
        zone = zone_of_subnet(region, subnet_id)
    elif name and name not in zones:
        raise ServiceError("InvalidParameterValue", f"Invalid availability zone: [{name}]")
    elif name:
        zone = zones[name]
    else:
        zone = (open_zones or region.state.zones)[0]
    if zone.available:
        return zone
    others = ", ".join(other.name for other in open_zones)
    raise ServiceError(
        "InsufficientInstanceCapacity",
        f"We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested"
        f" ({zone.name}). Our system will be working on provisioning additional capacity. You can currently get"
        f" {instance_type} capacity by not specifying an Availability Zone in your request or choosing {others}.",
        status=500,
    )


@operation("ec2", "TerminateInstances")
def _terminate(region: Region, request: Request) -> Answer:
    instances = instances_of(region, request["InstanceIds"])
    for instance in instances:
        if instance.extra.get("DisableApiTermination"):
            raise ServiceError(
                "OperationNotPermitted",
                f"The instance '{instance.instance_id}' may not be terminated. Modify its 'disableApiTermination'"
                " instance attribute and try again.",
            )
    refuse_dry_run(request)
    changed = _changed(instances, lambda instance: machines.terminate(region, instance.instance_id))
    return {"TerminatingInstances": changed}


@operation("ec2", "StopInstances")
def _stop(region: Region, request: Request) -> Answer:
    instances = instances_of(region, request["InstanceIds"])
    for instance in instances:
        if instance.spot:
            raise ServiceError(
                "UnsupportedOperation",
                f"You can't stop the Spot Instance '{instance.instance_id}' because it is associated with a one-time"
                " Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance"
                " requests.",
            )
        if instance.extra.get("DisableApiStop"):
            raise ServiceError(
                "OperationNotPermitted",
                f"The instance '{instance.instance_id}' may not be stopped. Modify its 'disableApiStop' instance"
                " attribute and try again.",
            )
    _check_state(instances, ("pending", "running", "stopping", "stopped"), "stopped")
    refuse_dry_run(request)
    return {"StoppingInstances": _changed(instances, lambda instance: machines.stop(region, instance.instance_id))}


@operation("ec2", "StartInstances")
def _start(region: Region, request: Request) -> Answer:
    instances = instances_of(region, request["InstanceIds"])
    _check_state(instances, ("pending", "running", "stopped"), "started")
    refuse_dry_run(request)
    changed = _changed(instances, lambda instance: machines.start_again(region, instance.instance_id))
    return {"StartingInstances": changed}


@operation("ec2", "RebootInstances")
def _reboot(region: Region, request: Request) -> Answer:
    instances = instances_of(region, request["InstanceIds"])
    _check_state(instances, ("pending", "running"), "rebooted")
    refuse_dry_run(request)
    for instance in instances:
        region.act(Reboot(instance.instance_id))
    return {}


def _check_state(instances: list[Instance], states: tuple[str, ...], done: str) -> None:
    for instance in instances:
        if instance.state not in states:
            raise ServiceError(
                "IncorrectInstanceState",
                f"The instance '{instance.instance_id}' is not in a state from which it can be {done}.",
            )


def _changed(instances: list[Instance], change: Callable[[Instance], object]) -> list[Answer]:
    """Change instances; gives the states they had and have."""
    answers = []
    for instance in instances:
        before = instance.state
        change(instance)
        answers.append(
            {
                "InstanceId": instance.instance_id,
                "CurrentState": shown_state(instance.state),
                "PreviousState": shown_state(before),
            }
        )
    return answers


def _launch_failed(region: Region, instance: Instance, message: str, _code: str) -> None:
    """EC2 shows an instance of nobody's that could not be started as terminated; a group's is its group's matter."""
    if instance.group or instance.ran:
        return
    instance.state, instance.reason, instance.ended_us = "terminated", message, region.now_us
    instance.extra["LaunchFailure"] = message
    region.state.instances[instance.instance_id] = instance
    region.at(region.now_us + machines.SHOWN_AFTER_END_US, "forget-instance", instance.instance_id)


machines.ON_FAILED.append(_launch_failed)
