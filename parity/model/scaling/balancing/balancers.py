"""Load balancers and their listeners."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.balancing import targets
from parity.model.scaling.ec2.common import tag_list
from parity.model.scaling.ec2.security_groups import default_group_id
from parity.model.scaling.ec2.subnets import vpc_id, zone_of_subnet
from parity.model.scaling.paging import page
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import Listener, LoadBalancer, TargetGroup

PAGE_MAX = 400
TAGS_MAX = 50
_KINDS = {"application": "app", "network": "net", "gateway": "gwy"}
_PROTOCOLS = {
    "application": ("HTTP", "HTTPS"),
    "network": ("TCP", "TLS", "UDP", "TCP_UDP"),
    "gateway": ("GENEVE",),
}
_ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "load_balancing.cross_zone.enabled": "true",
}
_APPLICATION_ATTRIBUTES = {
    "idle_timeout.timeout_seconds": "60",
    "client_keep_alive.seconds": "3600",
    "routing.http2.enabled": "true",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
    "connection_logs.s3.enabled": "false",
    "connection_logs.s3.bucket": "",
    "connection_logs.s3.prefix": "",
}


def default_attributes(kind: str) -> dict[str, str]:
    """The attributes of a load balancer of a type that nobody changed."""
    return _ATTRIBUTES | (_APPLICATION_ATTRIBUTES if kind == "application" else {})


def _balancer_of(region: Region, arn: str) -> LoadBalancer:
    if arn not in region.state.load_balancers:
        raise ServiceError("LoadBalancerNotFound", f"Load balancers '[{arn}]' not found")
    return region.state.load_balancers[arn]


@operation("elbv2", "CreateLoadBalancer")
def _create(region: Region, request: Request) -> Answer:
    name = request["Name"]
    given = {"Type": "application", "Scheme": "internet-facing", "IpAddressType": "ipv4", **request}
    given.pop("Tags", None)
    subnets = request.get("Subnets") or [one["SubnetId"] for one in request.get("SubnetMappings") or ()]
    if not subnets:
        raise ServiceError("ValidationError", "You must specify subnets")
    for subnet in subnets:
        if subnet not in {zone.subnet_id for zone in region.state.zones}:
            raise ServiceError("SubnetNotFound", f"The subnet ID '{subnet}' does not exist")
    if given["Type"] == "application" and len(set(subnets)) < 2:
        raise ServiceError(
            "ValidationError", "At least two subnets in two different Availability Zones must be specified"
        )
    given["Subnets"] = subnets
    for existing in region.state.load_balancers.values():
        if existing.name != name:
            continue
        if {**existing.given, "Attributes": None} == {**given, "Attributes": None}:
            return {"LoadBalancers": [_shown(region, existing)]}
        raise ServiceError(
            "DuplicateLoadBalancerName",
            f"A load balancer with the same name '{name}' exists, but with different settings",
        )
    kind = _KINDS[given["Type"]]
    given["Attributes"] = default_attributes(given["Type"])
    balancer = LoadBalancer(
        arn=region.arn("elasticloadbalancing", f"loadbalancer/{kind}/{name}/{region.new_id('')[:16]}"),
        name=name,
        created_us=region.now_us,
        given=given,
        tags=_tags(request.get("Tags") or ()),
    )
    region.state.load_balancers[balancer.arn] = balancer
    return {"LoadBalancers": [_shown(region, balancer)]}


@operation("elbv2", "DescribeLoadBalancers", reads=True)
def _describe(region: Region, request: Request) -> Answer:
    balancers = list(region.state.load_balancers.values())
    for member, attribute in (("LoadBalancerArns", "arn"), ("Names", "name")):
        if asked := request.get(member):
            known = {getattr(balancer, attribute) for balancer in balancers}
            if missing := [one for one in asked if one not in known]:
                raise ServiceError("LoadBalancerNotFound", f"Load balancers '[{', '.join(missing)}]' not found")
            balancers = [balancer for balancer in balancers if getattr(balancer, attribute) in asked]
    shown, after = _page(balancers, request, lambda balancer: balancer.arn)
    return {"LoadBalancers": [_shown(region, balancer) for balancer in shown], **after}


@operation("elbv2", "DeleteLoadBalancer")
def _delete(region: Region, request: Request) -> Answer:
    balancer = region.state.load_balancers.get(request["LoadBalancerArn"])
    if balancer is None:
        return {}
    if balancer.given["Attributes"]["deletion_protection.enabled"] == "true":
        raise ServiceError(
            "OperationNotPermitted",
            f"Load balancer '{balancer.arn}' cannot be deleted because deletion protection is enabled",
        )
    for arn in list(balancer.listeners):
        _remove_listener(region, balancer, arn)
    del region.state.load_balancers[balancer.arn]
    return {}


@operation("elbv2", "DescribeLoadBalancerAttributes", reads=True)
def _describe_attributes(region: Region, request: Request) -> Answer:
    return {"Attributes": tag_list(_balancer_of(region, request["LoadBalancerArn"]).given["Attributes"])}


@operation("elbv2", "ModifyLoadBalancerAttributes")
def _modify_attributes(region: Region, request: Request) -> Answer:
    attributes = _balancer_of(region, request["LoadBalancerArn"]).given["Attributes"]
    changes = {given["Key"]: given.get("Value", "") for given in request["Attributes"]}
    for key in changes:
        if key not in attributes:
            raise ServiceError("ValidationError", f"Load balancer attribute key '{key}' is not recognized")
    attributes.update(changes)
    return {"Attributes": tag_list(attributes)}


@operation("elbv2", "CreateListener")
def _create_listener(region: Region, request: Request) -> Answer:
    balancer = _balancer_of(region, request["LoadBalancerArn"])
    for member, words in (("Protocol", "protocol"), ("Port", "port")):
        if not request.get(member):
            raise ServiceError("ValidationError", f"A listener {words} must be specified")
    allowed = _PROTOCOLS[balancer.given["Type"]]
    if request["Protocol"] not in allowed:
        raise ServiceError(
            "ValidationError", f"Listener protocol '{request['Protocol']}' must be one of '{', '.join(allowed)}'"
        )
    if any(listener.port == request["Port"] for listener in balancer.listeners.values()):
        raise ServiceError("DuplicateListener", "A listener already exists on this port for this load balancer")
    _target_groups(region, request)
    path = balancer.arn.partition(":loadbalancer/")[2]
    listener = Listener(
        arn=region.arn("elasticloadbalancing", f"listener/{path}/{region.new_id('')[:16]}"),
        port=request["Port"],
        protocol=request["Protocol"],
        given={key: value for key, value in request.items() if key != "Tags"},
        tags=_tags(request.get("Tags") or ()),
    )
    balancer.listeners[listener.arn] = listener
    _rewire(region, balancer)
    return {"Listeners": [_shown_listener(balancer, listener)]}


@operation("elbv2", "ModifyListener")
def _modify_listener(region: Region, request: Request) -> Answer:
    balancer, listener = _listener_of(region, request["ListenerArn"])
    _target_groups(region, request)
    listener.given |= {key: value for key, value in request.items() if key != "ListenerArn"}
    listener.port, listener.protocol = listener.given["Port"], listener.given["Protocol"]
    _rewire(region, balancer)
    return {"Listeners": [_shown_listener(balancer, listener)]}


@operation("elbv2", "DescribeListeners", reads=True)
def _describe_listeners(region: Region, request: Request) -> Answer:
    if arns := request.get("ListenerArns"):
        found = [_listener_of(region, arn) for arn in arns]
    elif arn := request.get("LoadBalancerArn"):
        balancer = _balancer_of(region, arn)
        found = [(balancer, listener) for listener in balancer.listeners.values()]
    else:
        raise ServiceError("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
    shown, after = _page(found, request, lambda pair: pair[1].arn)
    return {"Listeners": [_shown_listener(*pair) for pair in shown], **after}


@operation("elbv2", "DeleteListener")
def _delete_listener(region: Region, request: Request) -> Answer:
    balancer, listener = _listener_of(region, request["ListenerArn"])
    _remove_listener(region, balancer, listener.arn)
    return {}


def _listener_of(region: Region, arn: str) -> tuple[LoadBalancer, Listener]:
    for balancer in region.state.load_balancers.values():
        if arn in balancer.listeners:
            return balancer, balancer.listeners[arn]
    raise ServiceError("ListenerNotFound", "One or more listeners not found")


def _remove_listener(region: Region, balancer: LoadBalancer, arn: str) -> None:
    del balancer.listeners[arn]
    _rewire(region, balancer)


def _target_groups(region: Region, given: Mapping[str, Any]) -> Iterator[TargetGroup]:
    """The target groups that a listener's actions send to.

    Raises:
        ServiceError: One does not exist.
    """
    found = []
    for action in given.get("DefaultActions") or ():
        arns = [action["TargetGroupArn"]] if action.get("TargetGroupArn") else []
        arns += [one["TargetGroupArn"] for one in (action.get("ForwardConfig") or {}).get("TargetGroups") or ()]
        found += [targets.target_group_of(region, arn) for arn in dict.fromkeys(arns)]
    return iter(found)


def _rewire(region: Region, balancer: LoadBalancer) -> None:
    """Have target groups know whether a load balancer sends to them."""
    used = {group.arn for listener in balancer.listeners.values() for group in _target_groups(region, listener.given)}
    for group in region.state.target_groups.values():
        if group.arn in used:
            targets.use(region, group, balancer.arn)
        elif balancer.arn in group.load_balancers:
            targets.disuse(region, group, balancer.arn)


# Tags.


@operation("elbv2", "AddTags")
def _add_tags(region: Region, request: Request) -> Answer:
    put = _tags(request["Tags"])
    found = [_tags_of(region, arn) for arn in request["ResourceArns"]]
    for tags in found:
        if len(tags | put) > TAGS_MAX:
            raise ServiceError("TooManyTags", "You've reached the limit on the number of tags for this resource")
    for tags in found:
        tags.update(put)
    return {}


@operation("elbv2", "RemoveTags")
def _remove_tags(region: Region, request: Request) -> Answer:
    for tags in [_tags_of(region, arn) for arn in request["ResourceArns"]]:
        for key in request["TagKeys"]:
            tags.pop(key, None)
    return {}


@operation("elbv2", "DescribeTags", reads=True)
def _describe_tags(region: Region, request: Request) -> Answer:
    shown = [{"ResourceArn": arn, "Tags": tag_list(_tags_of(region, arn))} for arn in request["ResourceArns"]]
    return {"TagDescriptions": shown}


def _tags(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    put = {tag["Key"]: tag.get("Value", "") for tag in given}
    if len(put) < len(given):
        raise ServiceError("DuplicateTagKeys", "A tag key was specified more than once")
    return put


def _tags_of(region: Region, arn: str) -> dict[str, str]:
    if ":targetgroup/" in arn:
        return targets.target_group_of(region, arn).tags
    if ":listener/" in arn:
        return _listener_of(region, arn)[1].tags
    return _balancer_of(region, arn).tags


def _page(items: list[Any], request: Request, key: Callable[[Any], str]) -> tuple[list[Any], dict[str, str]]:
    limit = min(request.get("PageSize") or PAGE_MAX, PAGE_MAX)
    shown, marker = page(items, token=request.get("Marker"), limit=limit, key=key, code="ValidationError")
    return shown, {"NextMarker": marker} if marker else {}


def _shown(region: Region, balancer: LoadBalancer) -> Answer:
    given = balancer.given
    zones = [zone_of_subnet(region, subnet) for subnet in given["Subnets"]]
    inside = "internal-" if given["Scheme"] == "internal" else ""
    number = balancer.arn.rpartition("/")[2]
    answer: Answer = {
        "LoadBalancerArn": balancer.arn,
        "LoadBalancerName": balancer.name,
        "DNSName": f"{inside}{balancer.name}-{int(number, 16) % 10**10:010d}.{region.state.region}.elb.amazonaws.com",
        "CreatedTime": balancer.created_us,
        "Scheme": given["Scheme"],
        "VpcId": vpc_id(region),
        "State": {"Code": "active"},
        "Type": given["Type"],
        "AvailabilityZones": [
            {"ZoneName": zone.name, "SubnetId": zone.subnet_id, "LoadBalancerAddresses": []} for zone in zones
        ],
        "IpAddressType": given["IpAddressType"],
    }
    if given["Type"] == "application":
        answer["SecurityGroups"] = given.get("SecurityGroups") or [default_group_id(region)]
    return answer


def _shown_listener(balancer: LoadBalancer, listener: Listener) -> Answer:
    kept = ("Certificates", "SslPolicy", "DefaultActions", "AlpnPolicy", "MutualAuthentication")
    return {
        "ListenerArn": listener.arn,
        "LoadBalancerArn": balancer.arn,
        "Port": listener.port,
        "Protocol": listener.protocol,
        **{key: listener.given[key] for key in kept if key in listener.given},
    }
