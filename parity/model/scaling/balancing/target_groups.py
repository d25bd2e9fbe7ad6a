"""Target groups: where a load balancer sends what comes to it, and how it checks that."""

from __future__ import annotations

import re
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.balancing import health_checks
from parity.model.scaling.balancing.targets import DELAY, target_group_of
from parity.model.scaling.ec2.common import tag_list
from parity.model.scaling.ec2.subnets import vpc_id
from parity.model.scaling.paging import page
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import TargetGroup

PAGE_MAX = 400
_NAME = re.compile(r"(?!-)(?!.*-$)[A-Za-z0-9-]+")
_SHOWN = (*health_checks.MEMBERS, "TargetType", "ProtocolVersion", "IpAddressType")
_ATTRIBUTES = {DELAY: "300", "stickiness.enabled": "false"}
_HTTP_ATTRIBUTES = {
    "stickiness.type": "lb_cookie",
    "stickiness.lb_cookie.duration_seconds": "86400",
    "stickiness.app_cookie.cookie_name": "",
    "stickiness.app_cookie.duration_seconds": "86400",
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.algorithm.anomaly_mitigation": "off",
    "slow_start.duration_seconds": "0",
}
_OTHER_ATTRIBUTES = {
    "stickiness.type": "source_ip",
    "proxy_protocol_v2.enabled": "false",
    "preserve_client_ip.enabled": "true",
    "deregistration_delay.connection_termination.enabled": "false",
    "target_health_state.unhealthy.connection_termination.enabled": "true",
    "target_health_state.unhealthy.draining_interval_seconds": "0",
}
_ALL_ATTRIBUTES = {
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
}
_FEWEST = "target_group_health.unhealthy_state_routing.minimum_healthy_targets"
#: Whole numbers and their bounds.
_BOUNDS = {
    DELAY: (0, 3600),
    "slow_start.duration_seconds": (0, 900),
    f"{_FEWEST}.count": (1, 1000),
    f"{_FEWEST}.percentage": (1, 100),
}


def default_attributes(protocol: str) -> dict[str, str]:
    """The attributes of a target group that nobody changed."""
    own = _HTTP_ATTRIBUTES if protocol in health_checks.WEB else _OTHER_ATTRIBUTES
    return {**_ATTRIBUTES, **own, **_ALL_ATTRIBUTES}


@operation("elbv2", "CreateTargetGroup")
def _create(region: Region, request: Request) -> Answer:
    name = request["Name"]
    _check_name(name)
    given = _with_defaults(region, request)
    for existing in region.state.target_groups.values():
        if existing.name != name:
            continue
        if existing.given == given:
            return {"TargetGroups": [_shown(region, existing)]}
        raise ServiceError(
            "DuplicateTargetGroupName",
            f"A target group with the same name '{name}' exists, but with different settings",
        )
    protocol = given["Protocol"]
    group = TargetGroup(
        arn=region.arn("elasticloadbalancing", f"targetgroup/{name}/{region.new_id('')[:16]}"),
        name=name,
        port=given["Port"],
        protocol=protocol,
        given=given,
        attributes=default_attributes(protocol),
        tags={tag["Key"]: tag.get("Value", "") for tag in request.get("Tags") or ()},
    )
    region.state.target_groups[group.arn] = group
    return {"TargetGroups": [_shown(region, group)]}


def _check_name(name: str) -> None:
    if len(name) > 32:
        raise ServiceError("ValidationError", f"Target group name '{name}' cannot be longer than '32' characters")
    if not _NAME.fullmatch(name):
        raise ServiceError(
            "ValidationError",
            f"Target group name '{name}' can only contain characters that are alphanumeric characters or hyphens(-)"
            " and cannot begin or end with a hyphen",
        )


def _with_defaults(region: Region, request: Request) -> dict[str, Any]:
    """The request with what is taken where it states nothing."""
    kind = request.get("TargetType") or "instance"
    if kind != "instance":
        raise ServiceError(
            "InvalidConfigurationRequest", f"Target type '{kind}' is not supported here: targets are instances"
        )
    for member, words in (("Protocol", "protocol"), ("Port", "port"), ("VpcId", "VPC ID")):
        if not request.get(member):
            raise ServiceError("ValidationError", f"A {words} must be specified")
    if request["VpcId"] != vpc_id(region):
        raise ServiceError("ValidationError", f"The VPC ID '{request['VpcId']}' is not found")
    protocol = request["Protocol"]
    given = {"TargetType": kind, "IpAddressType": "ipv4", **{key: request[key] for key in request if key != "Tags"}}
    if protocol in health_checks.WEB:
        given.setdefault("ProtocolVersion", "HTTP1")
        if given["ProtocolVersion"] != "HTTP1":
            raise ServiceError(
                "InvalidConfigurationRequest",
                f"Protocol version '{given['ProtocolVersion']}' is not supported here: targets speak HTTP1",
            )
    return health_checks.with_defaults(protocol, given)


@operation("elbv2", "DescribeTargetGroups", reads=True)
def _describe(region: Region, request: Request) -> Answer:
    groups = list(region.state.target_groups.values())
    if balancer := request.get("LoadBalancerArn"):
        if balancer not in region.state.load_balancers:
            raise ServiceError("LoadBalancerNotFound", f"Load balancers '[{balancer}]' not found")
        groups = [group for group in groups if balancer in group.load_balancers]
    for member, attribute in (("TargetGroupArns", "arn"), ("Names", "name")):
        if asked := request.get(member):
            groups = [group for group in groups if getattr(group, attribute) in asked]
            if len(groups) < len(set(asked)):
                raise ServiceError("TargetGroupNotFound", "One or more target groups not found")
    limit = min(request.get("PageSize") or PAGE_MAX, PAGE_MAX)
    shown, marker = page(
        groups, token=request.get("Marker"), limit=limit, key=lambda group: group.arn, code="ValidationError"
    )
    after = {"NextMarker": marker} if marker else {}
    return {"TargetGroups": [_shown(region, group) for group in shown], **after}


@operation("elbv2", "ModifyTargetGroup")
def _modify(region: Region, request: Request) -> Answer:
    group = target_group_of(region, request["TargetGroupArn"])
    changes = {key: request[key] for key in health_checks.MEMBERS if key in request}
    group.given = health_checks.changed(group.protocol, group.given, changes)
    return {"TargetGroups": [_shown(region, group)]}


@operation("elbv2", "DeleteTargetGroup")
def _delete(region: Region, request: Request) -> Answer:
    arn = request["TargetGroupArn"]
    group = region.state.target_groups.get(arn)
    if group and group.load_balancers:
        raise ServiceError("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule")
    region.state.target_groups.pop(arn, None)
    return {}


@operation("elbv2", "DescribeTargetGroupAttributes", reads=True)
def _describe_attributes(region: Region, request: Request) -> Answer:
    return {"Attributes": tag_list(target_group_of(region, request["TargetGroupArn"]).attributes)}


@operation("elbv2", "ModifyTargetGroupAttributes")
def _modify_attributes(region: Region, request: Request) -> Answer:
    group = target_group_of(region, request["TargetGroupArn"])
    changes = {given["Key"]: given.get("Value", "") for given in request["Attributes"]}
    for key, value in changes.items():
        if key not in group.attributes:
            raise ServiceError("ValidationError", f"Target group attribute key '{key}' is not recognized")
        if key not in _BOUNDS or (value == "off" and _ALL_ATTRIBUTES.get(key) == "off"):
            continue
        low, high = _BOUNDS[key]
        if not (value.isascii() and value.isdecimal() and low <= int(value) <= high):
            raise ServiceError("ValidationError", f"'{key}' value '{value}' must be between '{low}-{high}' inclusive")
    group.attributes.update(changes)
    return {"Attributes": tag_list(group.attributes)}


def _shown(region: Region, group: TargetGroup) -> Answer:
    return {
        "TargetGroupArn": group.arn,
        "TargetGroupName": group.name,
        "Protocol": group.protocol,
        "Port": group.port,
        "VpcId": vpc_id(region),
        "LoadBalancerArns": list(group.load_balancers),
        **{key: group.given[key] for key in _SHOWN if key in group.given},
    }
