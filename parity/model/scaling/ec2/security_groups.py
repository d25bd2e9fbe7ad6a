"""Security groups: kept and shown as EC2 does; who reaches whom is not theirs to say here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling import filters
from parity.model.scaling.ec2.common import check_ids, describing, page_of, refuse_dry_run, specified_tags, tag_list
from parity.model.scaling.ec2.subnets import digits, vpc_id
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import SecurityGroup, SecurityGroupRule

DEFAULT_NAME = "default"
#: The members of `IpPermission` that peers stand in, and the members of those that name one.
PEERS = {
    "IpRanges": "CidrIp",
    "Ipv6Ranges": "CidrIpv6",
    "PrefixListIds": "PrefixListId",
    "UserIdGroupPairs": "GroupId",
}
_ANYWHERE = "0.0.0.0/0"


def default_group_id(region: Region) -> str:
    """The id of the default VPC's default security group: always the same one for the same account and region."""
    return "sg-" + digits(region, "sg")


def every_group(region: Region) -> dict[str, SecurityGroup]:
    """All security groups by their ids, the default one first. What is changed has to be `changeable`."""
    default_id = default_group_id(region)
    return {default_id: _default(region), **region.state.security_groups}


def changeable(region: Region, group_id: str) -> SecurityGroup:
    """A security group to be changed: the default one is as EC2 makes it until it is.

    Raises:
        ServiceError: There is none.
    """
    return region.state.security_groups.setdefault(group_id, checked(region, group_id))


def checked(region: Region, group_id: str) -> SecurityGroup:
    """A security group by its id.

    Raises:
        ServiceError: There is none.
    """
    return every_group(region)[_known(region, group_id)]


def _default(region: Region) -> SecurityGroup:
    group_id = default_group_id(region)
    if group_id in region.state.security_groups:
        return region.state.security_groups[group_id]
    group = SecurityGroup(group_id=group_id, name=DEFAULT_NAME, description="default VPC security group")
    for egress, kind, peer in ((False, "UserIdGroupPairs", group_id), (True, "IpRanges", _ANYWHERE)):
        rule_id = "sgr-" + digits(region, f"sgr.{egress}")
        group.rules[rule_id] = SecurityGroupRule(rule_id=rule_id, egress=egress, protocol="-1", kind=kind, peer=peer)
    return group


def _known(region: Region, group_id: str) -> str:
    if check_ids([group_id], every_group(region), prefix="sg-", code="InvalidGroupId"):
        raise ServiceError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
    return group_id


def _stated(region: Region, request: Request) -> str:
    """The id of the group that a call states by id or by name."""
    if group_id := request.get("GroupId"):
        return _known(region, group_id)
    name = request.get("GroupName")
    if not name:
        raise ServiceError("MissingParameter", "The request must contain the parameter groupName or groupId")
    return _by_name(region, name)


def _by_name(region: Region, name: str) -> str:
    for group in every_group(region).values():
        if group.name == name:
            return group.group_id
    raise ServiceError(
        "InvalidGroup.NotFound", f"The security group '{name}' does not exist in default VPC '{vpc_id(region)}'"
    )


@operation("ec2", "CreateSecurityGroup")
def _create(region: Region, request: Request) -> Answer:
    name, vpc = request["GroupName"], vpc_id(region)
    if (request.get("VpcId") or vpc) != vpc:
        raise ServiceError("InvalidVpcID.NotFound", f"The vpc ID '{request['VpcId']}' does not exist")
    if name.startswith("sg-"):
        raise ServiceError("InvalidParameterValue", "Group names may not be in the format sg-*.")
    if any(group.name == name for group in every_group(region).values()):
        raise ServiceError("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc}'")
    tags = specified_tags(request.get("TagSpecifications"), "security-group")
    refuse_dry_run(request)
    group = SecurityGroup(group_id=region.new_id("sg-"), name=name, description=request["Description"], tags=tags)
    _add(region, group, SecurityGroupRule(rule_id="", egress=True, protocol="-1", kind="IpRanges", peer=_ANYWHERE))
    region.state.security_groups[group.group_id] = group
    return {"GroupId": group.group_id, "SecurityGroupArn": _arn(region, group), "Tags": tag_list(tags)}


@operation("ec2", "DeleteSecurityGroup")
def _delete(region: Region, request: Request) -> Answer:
    group_id = _stated(region, request)
    if group_id == default_group_id(region):
        raise ServiceError(
            "CannotDelete", f'the specified group: "{group_id}" name: "default" cannot be deleted by a user'
        )
    for instance in region.state.instances.values():
        if instance.state != "terminated" and group_id in instance.extra.get("SecurityGroupIds", ()):
            raise ServiceError("DependencyViolation", f"resource {group_id} has a dependent object")
    refuse_dry_run(request)
    del region.state.security_groups[group_id]
    return {"Return": True, "GroupId": group_id}


@describing("DescribeSecurityGroups")
def _describe(region: Region, request: Request) -> Answer:
    every = every_group(region)
    ids = [_known(region, group_id) for group_id in request.get("GroupIds") or ()]
    ids += [_by_name(region, name) for name in request.get("GroupNames") or ()]
    groups = [every[group_id] for group_id in dict.fromkeys(ids)] if ids else list(every.values())
    account, vpc = region.state.account_id, vpc_id(region)
    fields = {**_FIELDS, "owner-id": lambda _: [account], "vpc-id": lambda _: [vpc]}
    groups = filters.chosen(groups, request.get("Filters"), fields, tags=lambda group: group.tags)
    shown, after = page_of(groups, request, key=lambda group: group.group_id, smallest=5, ids="GroupIds")
    return {"SecurityGroups": [_shown(region, group) for group in shown], **after}


@describing("DescribeSecurityGroupRules")
def _describe_rules(region: Region, request: Request) -> Answer:
    rules = [(group, rule) for group in every_group(region).values() for rule in group.rules.values()]
    if ids := request.get("SecurityGroupRuleIds"):
        rules = [pair for pair in rules if pair[1].rule_id in ids]
        if missing := set(ids) - {rule.rule_id for _, rule in rules}:
            raise _no_rule(min(missing))
    rules = filters.chosen(rules, request.get("Filters"), _RULE_FIELDS, tags=lambda pair: pair[1].tags)
    shown, after = page_of(rules, request, key=lambda pair: pair[1].rule_id, smallest=5, ids="SecurityGroupRuleIds")
    return {"SecurityGroupRules": [_shown_rule(region, *pair) for pair in shown], **after}


@operation("ec2", "AuthorizeSecurityGroupIngress")
def _authorize_ingress(region: Region, request: Request) -> Answer:
    return _authorize(region, request, egress=False)


@operation("ec2", "AuthorizeSecurityGroupEgress")
def _authorize_egress(region: Region, request: Request) -> Answer:
    return _authorize(region, request, egress=True)


@operation("ec2", "RevokeSecurityGroupIngress")
def _revoke_ingress(region: Region, request: Request) -> Answer:
    return _revoke(region, request, egress=False)


@operation("ec2", "RevokeSecurityGroupEgress")
def _revoke_egress(region: Region, request: Request) -> Answer:
    return _revoke(region, request, egress=True)


def _authorize(region: Region, request: Request, *, egress: bool) -> Answer:
    group_id = _stated(region, request)
    there = {_same(rule) for rule in every_group(region)[group_id].rules.values()}
    rules = list(_rules(region, request, egress=egress))
    for rule in rules:
        if _same(rule) in there:
            ports = f", from port: {rule.from_port}, to port: {rule.to_port}" if rule.from_port is not None else ""
            raise ServiceError(
                "InvalidPermission.Duplicate",
                f'the specified rule "peer: {rule.peer}, {rule.protocol.upper()}{ports}, ALLOW" already exists',
            )
    refuse_dry_run(request)
    group = changeable(region, group_id)
    for rule in rules:
        _add(region, group, rule)
    return {"Return": True, "SecurityGroupRules": [_shown_rule(region, group, rule) for rule in rules]}


def _revoke(region: Region, request: Request, *, egress: bool) -> Answer:
    group_id = _stated(region, request)
    group = every_group(region)[group_id]
    gone = list(request.get("SecurityGroupRuleIds") or ())
    if missing := [rule_id for rule_id in gone if rule_id not in group.rules]:
        raise _no_rule(missing[0])
    there = {_same(rule): rule.rule_id for rule in group.rules.values()}
    for rule in _rules(region, request, egress=egress) if not gone else ():
        if _same(rule) not in there:
            raise ServiceError(
                "InvalidPermission.NotFound", "The specified rule does not exist in this security group."
            )
        gone.append(there[_same(rule)])
    refuse_dry_run(request)
    group = changeable(region, group_id)
    for rule_id in dict.fromkeys(gone):
        del group.rules[rule_id]
    return {"Return": True}


def _no_rule(rule_id: str) -> ServiceError:
    return ServiceError("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{rule_id}' does not exist")


def _add(region: Region, group: SecurityGroup, rule: SecurityGroupRule) -> None:
    rule.rule_id = region.new_id("sgr-")
    group.rules[rule.rule_id] = rule


def _same(rule: SecurityGroupRule) -> tuple[Any, ...]:
    return rule.egress, rule.protocol, rule.from_port, rule.to_port, rule.kind, rule.peer


def _rules(region: Region, request: Request, *, egress: bool) -> Iterable[SecurityGroupRule]:
    """The rules that a call states, one for each peer."""
    for permission in request.get("IpPermissions") or [_flat(region, request)]:
        if "IpProtocol" not in permission:
            raise ServiceError("MissingParameter", "The request must contain the parameter ipPermissions")
        for kind, member in PEERS.items():
            for peer in permission.get(kind) or ():
                name = peer.get(member) or (_by_name(region, peer["GroupName"]) if "GroupName" in peer else "")
                yield SecurityGroupRule(
                    rule_id="",
                    egress=egress,
                    protocol=_PROTOCOLS.get(permission["IpProtocol"], permission["IpProtocol"]),
                    kind=kind,
                    peer=name,
                    from_port=permission.get("FromPort"),
                    to_port=permission.get("ToPort"),
                    description=peer.get("Description", ""),
                )


#: Protocols by number that EC2 shows by name.
_PROTOCOLS = {"6": "tcp", "17": "udp", "1": "icmp", "all": "-1"}


def _flat(region: Region, request: Request) -> dict[str, Any]:
    """The one permission of a call that states it without a list."""
    permission = {key: request[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in request}
    if cidr := request.get("CidrIp"):
        permission["IpRanges"] = [{"CidrIp": cidr}]
    if name := request.get("SourceSecurityGroupName"):
        permission["UserIdGroupPairs"] = [{"GroupId": _by_name(region, name)}]
    return permission


def _arn(region: Region, group: SecurityGroup) -> str:
    return region.arn("ec2", f"security-group/{group.group_id}")


def _shown(region: Region, group: SecurityGroup) -> Answer:
    return {
        "GroupId": group.group_id,
        "GroupName": group.name,
        "Description": group.description,
        "OwnerId": region.state.account_id,
        "VpcId": vpc_id(region),
        "SecurityGroupArn": _arn(region, group),
        "IpPermissions": _permissions(region, group, egress=False),
        "IpPermissionsEgress": _permissions(region, group, egress=True),
        "Tags": tag_list(group.tags),
    }


def _permissions(region: Region, group: SecurityGroup, *, egress: bool) -> list[Answer]:
    """Rules as EC2 shows them together: those of the same protocol and ports as one."""
    together: dict[tuple[Any, ...], Answer] = {}
    for rule in group.rules.values():
        if rule.egress != egress:
            continue
        key = rule.protocol, rule.from_port, rule.to_port
        permission = together.setdefault(
            key, {"IpProtocol": rule.protocol, **_ports(rule), **{kind: [] for kind in PEERS}}
        )
        peer = {PEERS[rule.kind]: rule.peer}
        if rule.kind == "UserIdGroupPairs":
            peer["UserId"] = region.state.account_id
        if rule.description:
            peer["Description"] = rule.description
        permission[rule.kind].append(peer)
    return list(together.values())


def _ports(rule: SecurityGroupRule) -> dict[str, int]:
    ports = {"FromPort": rule.from_port, "ToPort": rule.to_port}
    return {key: port for key, port in ports.items() if port is not None}


def _shown_rule(region: Region, group: SecurityGroup, rule: SecurityGroupRule) -> Answer:
    account = region.state.account_id
    peers: dict[str, dict[str, Any]] = {
        "IpRanges": {"CidrIpv4": rule.peer},
        "Ipv6Ranges": {"CidrIpv6": rule.peer},
        "PrefixListIds": {"PrefixListId": rule.peer},
        "UserIdGroupPairs": {"ReferencedGroupInfo": {"GroupId": rule.peer, "UserId": account}},
    }
    ports = _ports(rule) or {"FromPort": -1, "ToPort": -1}
    return {
        "SecurityGroupRuleId": rule.rule_id,
        "SecurityGroupRuleArn": region.arn("ec2", f"security-group-rule/{rule.rule_id}"),
        "GroupId": group.group_id,
        "GroupOwnerId": account,
        "IsEgress": rule.egress,
        "IpProtocol": rule.protocol,
        **ports,
        **peers[rule.kind],
        "Description": rule.description,
        "Tags": tag_list(rule.tags),
    }


def _of(group: SecurityGroup, *, egress: bool, kind: str) -> list[str]:
    return [rule.peer for rule in group.rules.values() if rule.egress == egress and rule.kind == kind]


_FIELDS: filters.Fields[SecurityGroup] = {
    "description": lambda group: [group.description],
    "egress.ip-permission.cidr": lambda group: _of(group, egress=True, kind="IpRanges"),
    "group-id": lambda group: [group.group_id],
    "group-name": lambda group: [group.name],
    "ip-permission.cidr": lambda group: _of(group, egress=False, kind="IpRanges"),
    "ip-permission.group-id": lambda group: _of(group, egress=False, kind="UserIdGroupPairs"),
}
_RULE_FIELDS: filters.Fields[tuple[SecurityGroup, SecurityGroupRule]] = {
    "group-id": lambda pair: [pair[0].group_id],
    "security-group-rule-id": lambda pair: [pair[1].rule_id],
}
