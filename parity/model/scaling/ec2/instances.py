"""Instances as EC2's describing calls show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from parity.errors import ServiceError
from parity.model.scaling import filters
from parity.model.scaling.ec2.common import check_ids, describing, page_of, tag_list
from parity.model.scaling.ec2.security_groups import DEFAULT_NAME, default_group_id, every_group
from parity.model.scaling.ec2.subnets import vpc_id
from parity.model.scaling.region import Answer, Region, Request
from parity.model.scaling.state import Instance
from parity.model.scaling.times import iso

STATE_CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}


def instances_of(region: Region, ids: Iterable[str]) -> list[Instance]:
    """Instances by their ids, each once, in order.

    Raises:
        ServiceError: One does not exist.
    """
    known = region.state.instances
    ids = list(dict.fromkeys(ids))
    if missing := check_ids(ids, known, prefix="i-", code="InvalidInstanceID"):
        if len(missing) > 1:
            message = f"The instance IDs '{', '.join(missing)}' do not exist"
        else:
            message = f"The instance ID '{missing[0]}' does not exist"
        raise ServiceError("InvalidInstanceID.NotFound", message)
    return [known[instance_id] for instance_id in ids]


def shown_state(state: str) -> Answer:
    """A state as answers have it: with its code."""
    return {"Code": STATE_CODES[state], "Name": state}


def reservation_id(instance: Instance) -> str:
    """The reservation an instance belongs to: that of its RunInstances, or one of its own."""
    return str(instance.extra.get("ReservationId") or "r-" + instance.instance_id.removeprefix("i-"))


def reservations(region: Region, instances: Sequence[Instance]) -> list[Answer]:
    """Instances as DescribeInstances shows them: in their reservations."""
    together: dict[str, list[Instance]] = {}
    for instance in instances:
        together.setdefault(reservation_id(instance), []).append(instance)
    return [
        {
            "ReservationId": reservation,
            "OwnerId": region.state.account_id,
            "Groups": [],
            "Instances": [shown(region, instance) for instance in inside],
        }
        for reservation, inside in together.items()
    ]


def private_name(region: Region, instance: Instance) -> str:
    """An instance's private DNS name; empty before it has an address."""
    if not instance.private_ip:
        return ""
    domain = "ec2" if region.state.region == "us-east-1" else f"{region.state.region}.compute"
    return f"ip-{instance.private_ip.replace('.', '-')}.{domain}.internal"


def security_groups(region: Region, instance: Instance) -> list[dict[str, str]]:
    """The security groups as the launch stated them, those that are not there too; the default one where it did not."""
    stated = [*instance.extra.get("SecurityGroupIds", ()), *instance.extra.get("SecurityGroups", ())]
    if not stated:
        return [{"GroupId": default_group_id(region), "GroupName": DEFAULT_NAME}]
    names = {group_id: group.name for group_id, group in every_group(region).items()}
    ids = {name: group_id for group_id, name in names.items()}
    chosen = dict.fromkeys(ids.get(given, given) for given in stated)
    return [{"GroupId": given, "GroupName": names.get(given, given)} for given in chosen]


def shown(region: Region, instance: Instance) -> Answer:
    """An instance as answers have it."""
    name = private_name(region, instance)
    gone = instance.state == "terminated"
    answer: Answer = {
        "InstanceId": instance.instance_id,
        "ImageId": instance.image_id,
        "InstanceType": instance.instance_type,
        "State": shown_state(instance.state),
        "StateTransitionReason": instance.reason if instance.state not in ("pending", "running") else "",
        "LaunchTime": instance.launched_us,
        "Placement": {"AvailabilityZone": instance.zone, "GroupName": "", "Tenancy": "default"},
        "PrivateDnsName": "" if gone else name,
        # There is one network, so one address; its text is a name that resolves, which EC2's would not.
        "PublicDnsName": "" if gone else instance.private_ip,
        "AmiLaunchIndex": instance.extra.get("AmiLaunchIndex", 0),
        "ClientToken": instance.extra.get("ClientToken", ""),
        "Monitoring": {"State": instance.extra.get("Monitoring", "disabled")},
        "Architecture": "x86_64",
        "Hypervisor": "xen",
        "VirtualizationType": "hvm",
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "RootDeviceName": "/dev/xvda",
        "RootDeviceType": "ebs",
        "EnaSupport": True,
        "EbsOptimized": bool(instance.extra.get("EbsOptimized", False)),
        "BlockDeviceMappings": [],
        "NetworkInterfaces": [],
        "ProductCodes": [],
        "SecurityGroups": [] if gone else security_groups(region, instance),
        "Tags": tag_list(instance.tags),
        "MetadataOptions": {
            "State": "applied",
            "HttpTokens": "optional",
            "HttpPutResponseHopLimit": 1,
            "HttpEndpoint": "enabled",
            "HttpProtocolIpv6": "disabled",
            "InstanceMetadataTags": "disabled",
            **instance.extra.get("MetadataOptions", {}),
        },
    }
    if not gone:
        answer |= {"SubnetId": instance.subnet_id, "VpcId": vpc_id(region), "SourceDestCheck": True}
        if instance.private_ip:
            answer |= {"PrivateIpAddress": instance.private_ip, "PublicIpAddress": instance.private_ip}
    return answer | _stated_only(instance)


def _stated_only(instance: Instance) -> Answer:
    """What is shown only where there is something."""
    answer: Answer = {}
    if instance.key_name:
        answer["KeyName"] = instance.key_name
    if instance.spot:
        answer["InstanceLifecycle"] = "spot"
    if "IamInstanceProfile" in instance.extra:
        answer["IamInstanceProfile"] = instance.extra["IamInstanceProfile"]
    if instance.state not in ("pending", "running"):
        answer["StateReason"] = state_reason(instance)
    return answer


def state_reason(instance: Instance) -> dict[str, str]:
    """Why an instance is not running, as EC2 puts it."""
    if message := instance.extra.get("LaunchFailure"):
        return {"Code": "Server.InternalError", "Message": f"Server.InternalError: {message}"}
    if instance.reason.startswith("User initiated"):
        return {
            "Code": "Client.UserInitiatedShutdown",
            "Message": "Client.UserInitiatedShutdown: User initiated shutdown",
        }
    if instance.spot_action_us is not None:
        text = "Server.SpotInstanceTermination"
        return {"Code": text, "Message": f"{text}: Instance terminated due to Spot Instance interruption"}
    return {
        "Code": "Client.InstanceInitiatedShutdown",
        "Message": "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
    }


@describing("DescribeInstances")
def _describe(region: Region, request: Request) -> Answer:
    found = _found(region, request)
    shown_ones, after = page_of(found, request, key=lambda one: one.instance_id, smallest=5, ids="InstanceIds")
    return {"Reservations": reservations(region, shown_ones), **after}


@describing("DescribeInstanceStatus")
def _describe_status(region: Region, request: Request) -> Answer:
    found = _found(region, request, more=_STATUS_FIELDS)
    if not request.get("IncludeAllInstances"):
        found = [instance for instance in found if instance.state == "running"]
    shown_ones, after = page_of(found, request, key=lambda one: one.instance_id, smallest=5, ids="InstanceIds")
    return {"InstanceStatuses": [_shown_status(region, instance) for instance in shown_ones], **after}


def _found(region: Region, request: Request, more: filters.Fields[Instance] | None = None) -> list[Instance]:
    """The instances that a call asks for by ids and filters."""
    ids = request.get("InstanceIds")
    instances = instances_of(region, ids) if ids else region.state.instances.values()
    given = request.get("Filters")
    if not given:
        return list(instances)
    return filters.chosen(instances, given, {**_fields(region), **(more or {})}, tags=lambda instance: instance.tags)


def _status(instance: Instance) -> str:
    if instance.state != "running":
        return "not-applicable"
    return "ok" if instance.ok else "impaired"


def _reachability(instance: Instance) -> str:
    return "passed" if instance.ok else "failed"


def _shown_status(region: Region, instance: Instance) -> Answer:
    status: Answer = {"Status": _status(instance)}
    system: Answer = {"Status": "ok" if instance.state == "running" else "not-applicable"}
    if instance.state == "running":
        status["Details"] = [{"Name": "reachability", "Status": _reachability(instance)}]
        system["Details"] = [{"Name": "reachability", "Status": "passed"}]
    zone_ids = {zone.name: zone.zone_id for zone in region.state.zones}
    return {
        "InstanceId": instance.instance_id,
        "AvailabilityZone": instance.zone,
        "AvailabilityZoneId": zone_ids.get(instance.zone, ""),
        "InstanceState": shown_state(instance.state),
        "InstanceStatus": status,
        "SystemStatus": system,
        "Events": [],
    }


_STATUS_FIELDS: filters.Fields[Instance] = {
    "instance-status.status": lambda instance: [_status(instance)],
    "instance-status.reachability": lambda instance: [_reachability(instance)] if instance.state == "running" else [],
    "system-status.status": lambda instance: ["ok" if instance.state == "running" else "not-applicable"],
    "system-status.reachability": lambda instance: ["passed"] if instance.state == "running" else [],
}

#: Filters of what no instance here has.
_NOTHING = (
    "block-device-mapping.volume-id",
    "capacity-reservation-id",
    "host-id",
    "ipv6-address",
    "kernel-id",
    "outpost-arn",
    "placement-partition-number",
    "platform",
    "product-code",
    "ramdisk-id",
    "requester-id",
    "spot-instance-request-id",
)

_FIELDS: dict[str, Callable[[Instance], Iterable[str]]] = {
    **dict.fromkeys(_NOTHING, lambda _: []),
    "architecture": lambda _: ["x86_64"],
    "availability-zone": lambda instance: [instance.zone],
    "client-token": lambda instance: [str(instance.extra.get("ClientToken", ""))],
    "dns-name": lambda instance: [instance.private_ip],
    "hypervisor": lambda _: ["xen"],
    "ip-address": lambda instance: [instance.private_ip],
    "image-id": lambda instance: [instance.image_id],
    "instance-id": lambda instance: [instance.instance_id],
    "instance-lifecycle": lambda instance: ["spot"] if instance.spot else [],
    "instance-state-code": lambda instance: [str(STATE_CODES[instance.state])],
    "instance-state-name": lambda instance: [instance.state],
    "instance-type": lambda instance: [instance.instance_type],
    "key-name": lambda instance: [instance.key_name] if instance.key_name else [],
    "launch-index": lambda instance: [str(instance.extra.get("AmiLaunchIndex", 0))],
    "launch-time": lambda instance: [iso(instance.launched_us)],
    "monitoring-state": lambda instance: [str(instance.extra.get("Monitoring", "disabled"))],
    "network-interface.addresses.private-ip-address": lambda instance: [instance.private_ip],
    "network-interface.subnet-id": lambda instance: [instance.subnet_id],
    "platform-details": lambda _: ["Linux/UNIX"],
    "private-ip-address": lambda instance: [instance.private_ip],
    "reason": lambda instance: [instance.reason],
    "reservation-id": lambda instance: [reservation_id(instance)],
    "root-device-name": lambda _: ["/dev/xvda"],
    "root-device-type": lambda _: ["ebs"],
    "source-dest-check": lambda _: ["true"],
    "state-reason-code": lambda instance: [state_reason(instance)["Code"]] if instance.reason else [],
    "subnet-id": lambda instance: [instance.subnet_id],
    "tenancy": lambda _: ["default"],
    "virtualization-type": lambda _: ["hvm"],
}


def _fields(region: Region) -> filters.Fields[Instance]:
    """What filters of instances look at."""

    def group_ids(instance: Instance) -> list[str]:
        return [group["GroupId"] for group in security_groups(region, instance)]

    def group_names(instance: Instance) -> list[str]:
        return [group["GroupName"] for group in security_groups(region, instance)]

    account, vpc = region.state.account_id, vpc_id(region)
    zone_ids = {zone.name: zone.zone_id for zone in region.state.zones}
    return {
        **_FIELDS,
        "availability-zone-id": lambda instance: [zone_ids.get(instance.zone, "")],
        "group-id": group_ids,
        "group-name": group_names,
        "instance.group-id": group_ids,
        "instance.group-name": group_names,
        "network-interface.vpc-id": lambda _: [vpc],
        "owner-id": lambda _: [account],
        "private-dns-name": lambda instance: [private_name(region, instance)],
        "vpc-id": lambda _: [vpc],
    }
