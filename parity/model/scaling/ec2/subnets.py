"""The network there is: one default VPC, and one default subnet in every zone."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling import filters
from parity.model.scaling.ec2.common import describing, page_of, tag_list
from parity.model.scaling.region import Answer, Region, Request
from parity.model.scaling.state import Zone

#: Addresses of a subnet that EC2 keeps for itself.
_RESERVED_COUNT = 5
_DEFAULT_CIDR = "172.31.0.0/16"


def vpc_id(region: Region) -> str:
    """The id of the default VPC: always the same one for the same account and region."""
    return "vpc-" + digits(region, "vpc")


def vpc_cidr(region: Region) -> str:
    """The smallest network that all subnets are in, where they are in one of /16 or smaller; else EC2's default."""
    subnets = [ipaddress.IPv4Network(zone.cidr) for zone in region.state.zones if zone.cidr]
    if not subnets:
        return _DEFAULT_CIDR
    vpc = subnets[0]
    while not all(subnet.subnet_of(vpc) for subnet in subnets):
        vpc = vpc.supernet()
    return str(vpc)


def zone_of_subnet(region: Region, subnet_id: str) -> Zone:
    """The zone that a subnet is in.

    Raises:
        ServiceError: There is no such subnet.
    """
    zones = {zone.subnet_id: zone for zone in region.state.zones}
    if subnet_id not in zones:
        raise ServiceError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
    return zones[subnet_id]


def digits(region: Region, of: str) -> str:
    """The digits of an id that is always the same one for the same account, region and thing."""
    text = f"{of}.{region.state.account_id}.{region.state.region}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()[:17]


@describing("DescribeSubnets")
def _describe_subnets(region: Region, request: Request) -> Answer:
    ids = request.get("SubnetIds") or []
    zones = [zone_of_subnet(region, subnet_id) for subnet_id in ids] if ids else region.state.zones
    vpc, account = vpc_id(region), region.state.account_id
    zones = filters.chosen(
        zones,
        request.get("Filters"),
        {
            **_SUBNET_FIELDS,
            "vpc-id": lambda _: [vpc],
            "owner-id": lambda _: [account],
            "subnet-arn": lambda zone: [region.arn("ec2", f"subnet/{zone.subnet_id}")],
        },
        tags=lambda zone: region.state.tags.get(zone.subnet_id, {}),
    )
    used: dict[str, int] = {}
    for instance in region.state.instances.values():
        if instance.state not in ("terminated", "shutting-down"):
            used[instance.subnet_id] = used.get(instance.subnet_id, 0) + 1
    shown, after = page_of(zones, request, key=lambda zone: zone.subnet_id, smallest=5, ids="SubnetIds")
    return {"Subnets": [_shown_subnet(region, zone, used.get(zone.subnet_id, 0)) for zone in shown], **after}


def _shown_subnet(region: Region, zone: Zone, used: int) -> Answer:
    size = ipaddress.IPv4Network(zone.cidr).num_addresses if zone.cidr else 0
    return {
        "SubnetId": zone.subnet_id,
        "SubnetArn": region.arn("ec2", f"subnet/{zone.subnet_id}"),
        "VpcId": vpc_id(region),
        "OwnerId": region.state.account_id,
        "State": "available",
        "CidrBlock": zone.cidr,
        "AvailableIpAddressCount": max(size - _RESERVED_COUNT - used, 0),
        "AvailabilityZone": zone.name,
        "AvailabilityZoneId": zone.zone_id,
        "DefaultForAz": True,
        "MapPublicIpOnLaunch": True,
        "AssignIpv6AddressOnCreation": False,
        "Ipv6CidrBlockAssociationSet": [],
        "EnableDns64": False,
        "Ipv6Native": False,
        "Tags": tag_list(region.state.tags.get(zone.subnet_id, {})),
    }


_SUBNET_FIELDS: filters.Fields[Zone] = {
    "availability-zone": lambda zone: [zone.name],
    "availabilityZone": lambda zone: [zone.name],
    "availability-zone-id": lambda zone: [zone.zone_id],
    "availabilityZoneId": lambda zone: [zone.zone_id],
    "cidr": lambda zone: [zone.cidr],
    "cidr-block": lambda zone: [zone.cidr],
    "cidrBlock": lambda zone: [zone.cidr],
    "default-for-az": lambda _: ["true"],
    "defaultForAz": lambda _: ["true"],
    "map-public-ip-on-launch": lambda _: ["true"],
    "ipv6-native": lambda _: ["false"],
    "state": lambda _: ["available"],
    "subnet-id": lambda zone: [zone.subnet_id],
}


@describing("DescribeVpcs")
def _describe_vpcs(region: Region, request: Request) -> Answer:
    cidr, vpc = vpc_cidr(region), vpc_id(region)
    for given in request.get("VpcIds") or ():
        if given != vpc:
            raise ServiceError("InvalidVpcID.NotFound", f"The vpc ID '{given}' does not exist")
    tags = region.state.tags.get(vpc, {})
    found: Answer = {
        "VpcId": vpc,
        "OwnerId": region.state.account_id,
        "State": "available",
        "CidrBlock": cidr,
        "CidrBlockAssociationSet": [
            {
                "AssociationId": "vpc-cidr-assoc-" + digits(region, "cidr"),
                "CidrBlock": cidr,
                "CidrBlockState": {"State": "associated"},
            }
        ],
        "DhcpOptionsId": "dopt-" + digits(region, "dopt"),
        "InstanceTenancy": "default",
        "IsDefault": True,
        "Tags": tag_list(tags),
    }
    shown = filters.chosen([found], request.get("Filters"), _VPC_FIELDS, tags=lambda _: tags)
    shown, after = page_of(shown, request, key=lambda one: str(one["VpcId"]), smallest=5, ids="VpcIds")
    return {"Vpcs": shown, **after}


_VPC_FIELDS: filters.Fields[Answer] = {
    "cidr": lambda vpc: [vpc["CidrBlock"]],
    "cidr-block-association.cidr-block": lambda vpc: [vpc["CidrBlock"]],
    "dhcp-options-id": lambda vpc: [vpc["DhcpOptionsId"]],
    "is-default": lambda _: ["true"],
    "isDefault": lambda _: ["true"],
    "owner-id": lambda vpc: [vpc["OwnerId"]],
    "state": lambda _: ["available"],
    "vpc-id": lambda vpc: [vpc["VpcId"]],
}


@describing("DescribeAvailabilityZones")
def _describe_zones(region: Region, request: Request) -> Answer:
    zones = region.state.zones
    for member, kind in (("ZoneNames", "name"), ("ZoneIds", "zone_id")):
        if asked := request.get(member):
            unknown = [given for given in asked if given not in {getattr(zone, kind) for zone in region.state.zones}]
            if unknown:
                raise ServiceError("InvalidParameterValue", f"Invalid availability zone: [{unknown[0]}]")
            zones = [zone for zone in zones if getattr(zone, kind) in asked]
    name = region.state.region
    zones = filters.chosen(
        zones,
        request.get("Filters"),
        {
            "group-name": lambda _: [f"{name}-zg-1"],
            "opt-in-status": lambda _: ["opt-in-not-required"],
            "region-name": lambda _: [name],
            "state": lambda _: ["available"],
            "zone-id": lambda zone: [zone.zone_id],
            "zone-name": lambda zone: [zone.name],
            "zone-type": lambda _: ["availability-zone"],
        },
    )
    shown = [
        {
            "ZoneName": zone.name,
            "ZoneId": zone.zone_id,
            "RegionName": name,
            # EC2 shows a zone as available also while it takes no launches.
            "State": "available",
            "GroupName": f"{name}-zg-1",
            "NetworkBorderGroup": name,
            "OptInStatus": "opt-in-not-required",
            "ZoneType": "availability-zone",
            "Messages": [],
        }
        for zone in zones
    ]
    return {"AvailabilityZones": shown}


@describing("DescribeAccountAttributes")
def _describe_account(region: Region, request: Request) -> Answer:
    #: EC2's default quotas.
    attributes = {
        "supported-platforms": ["VPC"],
        "default-vpc": [vpc_id(region)],
        "max-instances": ["20"],
        "vpc-max-security-groups-per-interface": ["5"],
        "max-elastic-ips": ["5"],
        "vpc-max-elastic-ips": ["5"],
    }
    asked = request.get("AttributeNames") or list(attributes)
    for name in asked:
        if name not in attributes:
            raise ServiceError("InvalidParameterValue", f"Value ({name}) for parameter attributeName is invalid.")
    shown = [
        {"AttributeName": name, "AttributeValues": [{"AttributeValue": value} for value in attributes[name]]}
        for name in asked
    ]
    return {"AccountAttributes": shown}


@describing("DescribeRegions")
def _describe_regions(region: Region, request: Request) -> Answer:
    name = region.state.region
    endpoint = f"ec2.{name}.amazonaws.com"
    for given in request.get("RegionNames") or ():
        if given != name:
            raise ServiceError("InvalidParameterValue", f"Invalid region provided: [{given}]")
    found: list[dict[str, Any]] = [{"RegionName": name, "Endpoint": endpoint, "OptInStatus": "opt-in-not-required"}]
    shown = filters.chosen(
        found,
        request.get("Filters"),
        {
            "endpoint": lambda _: [endpoint],
            "opt-in-status": lambda _: ["opt-in-not-required"],
            "region-name": lambda _: [name],
        },
    )
    return {"Regions": shown}
