"""What sends a group's instances requests: attached, detached, and its say in an instance's life and health."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.balancing import targets
from parity.model.scaling.groups import crud as groups
from parity.model.scaling.groups import health, lifecycle, shown
from parity.model.scaling.groups.processes import suspended
from parity.model.scaling.paging import page
from parity.model.scaling.region import Answer, Region, Request, operation, settler
from parity.model.scaling.state import Group, Member, Target, TargetGroup

Row = tuple[str, ...]
PAGE_MAX = 100
CLASSIC, TARGETS, LATTICE = "elb", "elbv2", "vpc-lattice"


def arns_of(group: Group) -> list[str]:
    """The target groups that a group is attached to, whichever call attached them."""
    return [*group.target_groups, *(source["Identifier"] for source in group.traffic_sources if _is_targets(source))]


def _is_targets(source: dict[str, Any]) -> bool:
    return str(source.get("Type") or TARGETS) == TARGETS


def _attached(region: Region, group: Group) -> list[TargetGroup]:
    """The target groups there are of those it is attached to."""
    every = region.state.target_groups
    return [every[arn] for arn in arns_of(group) if arn in every]


# Members that come and go.


def _enter(region: Region, group: Group, member: Member) -> bool:
    """A member comes into service: registered first. Nobody waits for its health check, as in AWS."""
    if not suspended(group, "AddToLoadBalancer"):
        for target_group in _attached(region, group):
            targets.add(region, target_group, member.instance_id)
    return False


def _leave(region: Region, group: Group, member: Member) -> bool:
    """A member leaves: deregistered, and waited for while it drains."""
    member.failing = []
    drains = [targets.remove(region, target_group, member.instance_id) for target_group in _behind(region, group)]
    return any(drains)


def _behind(region: Region, group: Group) -> list[TargetGroup]:
    """The target groups that may have something under way at a member: those that were detached, too."""
    gone = [region.state.target_groups[arn] for arn in group.detaching if arn in region.state.target_groups]
    return [*_attached(region, group), *gone]


def _drained(region: Region, target_group: TargetGroup, instance_id: str) -> None:
    for group in region.state.groups.values():
        _end_detaching(group, target_group)
    found = lifecycle.member_of(region, instance_id)
    if found is None:
        return
    group, member = found
    activity = group.under_way.get(member.activity_id)
    ends = activity is not None and activity.status == lifecycle.DRAINS
    if (ends or member.lifecycle in lifecycle.ASIDE) and not any(
        instance_id in one.targets for one in _behind(region, group)
    ):
        lifecycle.left(region, group, member)


def _end_detaching(group: Group, target_group: TargetGroup) -> None:
    """A detached target group is shown until no member is behind it any more."""
    if target_group.arn in group.detaching and not any(one in group.members for one in target_group.targets):
        del group.detaching[target_group.arn]
        group.changed += 1


lifecycle.ON_ENTER.append(_enter)
lifecycle.ON_LEAVE.append(_leave)
targets.ON_DRAINED.append(_drained)


# Health.


def _told_health(region: Region, target_group: TargetGroup, target: Target) -> None:
    """A health check of a member came out otherwise than before."""
    found = lifecycle.member_of(region, target.instance_id)
    if found is None or target_group.arn not in arns_of(found[0]):
        return
    group, member = found
    # What is shown of the attachment may have changed.
    region.touch(group)
    if target_group.arn in group.unproven:
        _prove(region, group, target_group)
    else:
        _judge(region, group, member, target_group)


def _judge(region: Region, group: Group, member: Member, target_group: TargetGroup) -> None:
    """Say of a member whether a target group's health check fails."""
    target = target_group.targets.get(member.instance_id)
    failed = bool(member.failing)
    member.failing = [arn for arn in member.failing if arn != target_group.arn]
    if target is not None and target.state == "unhealthy":
        member.failing = [*member.failing, target_group.arn]
    if member.failing and not failed:
        health.review(region, group, member)
    elif failed and not member.failing:
        _forgive(region, group, member)


def _forgive(region: Region, group: Group, member: Member) -> None:
    """No load balancer minds a member any more: it is healthy, if that was all."""
    if group.unhealthy.get(member.instance_id) == health.BALANCER:
        health.recovered(region, group, member)


def _prove(region: Region, group: Group, target_group: TargetGroup) -> None:
    """From the first instance that passes its health check on, a target group has a say in who is replaced."""
    members = [target for target in target_group.targets.values() if target.instance_id in group.members]
    if not minds(group) or not any(target.state == "healthy" for target in members):
        return
    group.unproven.remove(target_group.arn)
    for target in members:
        _judge(region, group, group.members[target.instance_id], target_group)


def minds(group: Group) -> bool:
    """Whether a group replaces what its load balancers find unhealthy."""
    return "ELB" in group.health_check_type.split(",")


@settler
def _minds_now(region: Region, group: Group) -> None:
    """Have what failed already count for a group that minds it from now on."""
    if group.minded == minds(group):
        return
    group.minded = minds(group)
    for target_group in _attached(region, group) if group.minded else ():
        if target_group.arn in group.unproven:
            _prove(region, group, target_group)
    for member in list(group.members.values()):
        if member.failing and group.minded:
            health.review(region, group, member)
        elif member.failing:
            _forgive(region, group, member)


targets.ON_HEALTH.append(_told_health)


# Attaching and detaching.


def _check_create(region: Region, request: Request) -> None:
    _check_target_groups(region, request.get("TargetGroupARNs") or ())
    _check_sources(region, request.get("TrafficSources") or ())


groups.CHECKS.append(_check_create)


def _check_target_groups(region: Region, arns: Iterable[str]) -> None:
    if any(arn not in region.state.target_groups for arn in arns):
        raise ServiceError(
            "ValidationError", "Provided Target Groups may not be valid. Please ensure they exist and try again."
        )


def _check_sources(region: Region, sources: Iterable[dict[str, Any]]) -> None:
    sources = list(sources)
    for source in sources:
        _check_kind(source.get("Type"))
    _check_target_groups(region, [source["Identifier"] for source in sources if _is_targets(source)])


def _check_kind(kind: str | None) -> None:
    if kind not in (None, CLASSIC, TARGETS, LATTICE):
        raise ServiceError(
            "ValidationError",
            f"The traffic source type {kind} is not valid. Use {CLASSIC}, {TARGETS} or {LATTICE}.",
        )


@operation("autoscaling", "AttachLoadBalancerTargetGroups")
def _attach_target_groups(region: Region, request: Request) -> Answer:
    group = groups.alive(region, request["AutoScalingGroupName"])
    _check_target_groups(region, request["TargetGroupARNs"])
    for arn in request["TargetGroupARNs"]:
        if arn not in arns_of(group):
            group.target_groups.append(arn)
            _attach(region, group, arn)
    region.touch(group)
    return {}


@operation("autoscaling", "DetachLoadBalancerTargetGroups")
def _detach_target_groups(region: Region, request: Request) -> Answer:
    group = region.group(request["AutoScalingGroupName"])
    _check_parts("Target Groups", request["TargetGroupARNs"], group.target_groups)
    for arn in dict.fromkeys(request["TargetGroupARNs"]):
        group.target_groups.remove(arn)
        _detach(region, group, arn, "AttachLoadBalancerTargetGroups")
    region.touch(group)
    return {}


@operation("autoscaling", "AttachTrafficSources")
def _attach_sources(region: Region, request: Request) -> Answer:
    group = groups.alive(region, request["AutoScalingGroupName"])
    _check_sources(region, request["TrafficSources"])
    there = {source["Identifier"] for source in shown.traffic_sources(group)}
    for source in request["TrafficSources"]:
        if source["Identifier"] in there:
            continue
        there.add(source["Identifier"])
        group.traffic_sources.append({"Type": TARGETS, **source})
        if _is_targets(source):
            _attach(region, group, source["Identifier"])
    region.touch(group)
    return {}


@operation("autoscaling", "DetachTrafficSources")
def _detach_sources(region: Region, request: Request) -> Answer:
    group = region.group(request["AutoScalingGroupName"])
    there = {source["Identifier"]: source for source in group.traffic_sources}
    named = dict.fromkeys(given["Identifier"] for given in request["TrafficSources"])
    _check_parts("traffic sources", named, there)
    for identifier in named:
        group.traffic_sources.remove(there[identifier])
        if _is_targets(there[identifier]):
            _detach(region, group, identifier, "AttachTrafficSources")
    region.touch(group)
    return {}


@operation("autoscaling", "AttachLoadBalancers")
def _attach_classic(region: Region, request: Request) -> Answer:
    """Classic load balancers are kept and shown; they are not modelled, and have no say in anything."""
    group = groups.alive(region, request["AutoScalingGroupName"])
    group.load_balancers += [name for name in request["LoadBalancerNames"] if name not in group.load_balancers]
    region.touch(group)
    return {}


@operation("autoscaling", "DetachLoadBalancers")
def _detach_classic(region: Region, request: Request) -> Answer:
    group = region.group(request["AutoScalingGroupName"])
    _check_parts("Load Balancers", request["LoadBalancerNames"], group.load_balancers)
    group.load_balancers = [name for name in group.load_balancers if name not in request["LoadBalancerNames"]]
    region.touch(group)
    return {}


def _check_parts(what: str, named: Iterable[str], there: Container[str]) -> None:
    """Refuse to take from a group what it does not have."""
    if any(name not in there for name in named):
        raise ServiceError("ValidationError", f"Trying to remove {what} that are not part of the group")


def _attach(region: Region, group: Group, arn: str) -> None:
    group.detaching.pop(arn, None)
    group.unproven.append(arn)
    for member in group.members.values():
        if member.lifecycle == "InService":
            targets.add(region, region.state.target_groups[arn], member.instance_id)


def _detach(region: Region, group: Group, arn: str, call: str) -> None:
    group.unproven = [one for one in group.unproven if one != arn]
    target_group = region.state.target_groups.get(arn)
    for member in group.members.values():
        if arn in member.failing:
            member.failing = [one for one in member.failing if one != arn]
            if not member.failing:
                _forgive(region, group, member)
        if target_group and targets.remove(region, target_group, member.instance_id):
            group.detaching[arn] = call


# Describing.


def _state(region: Region, group: Group, arn: str) -> str:
    """How far an attached target group is."""
    if arn not in group.unproven:
        return "InService"
    target_group = region.state.target_groups.get(arn)
    behind = target_group.targets.values() if target_group else ()
    if any(target.state == "initial" and target.instance_id in group.members for target in behind):
        return "Adding"
    return "Added"


@operation("autoscaling", "DescribeLoadBalancerTargetGroups", reads=True)
def _describe_target_groups(region: Region, request: Request) -> Answer:
    group = region.group(request["AutoScalingGroupName"])
    removing = [arn for arn, call in group.detaching.items() if call == "AttachLoadBalancerTargetGroups"]
    found: list[Row] = [(arn, _state(region, group, arn)) for arn in group.target_groups]
    found += [(arn, "Removing") for arn in removing]
    names = ("LoadBalancerTargetGroupARN", "State")
    return _page("LoadBalancerTargetGroups", found, request, lambda row: dict(zip(names, row, strict=True)))


@operation("autoscaling", "DescribeLoadBalancers", reads=True)
def _describe_classic(region: Region, request: Request) -> Answer:
    group = region.group(request["AutoScalingGroupName"])
    found: list[Row] = [(name, "Added") for name in group.load_balancers]
    names = ("LoadBalancerName", "State")
    return _page("LoadBalancers", found, request, lambda row: dict(zip(names, row, strict=True)))


@operation("autoscaling", "DescribeTrafficSources", reads=True)
def _describe_sources(region: Region, request: Request) -> Answer:
    group = region.group(request["AutoScalingGroupName"])
    kind = request.get("TrafficSourceType")
    _check_kind(kind)
    found: list[Row] = []
    for source in shown.traffic_sources(group):
        arn = source["Identifier"]
        state = _state(region, group, arn) if _is_targets(source) else "Added"
        found.append((arn, source.get("Type") or TARGETS, state))
    found += [(arn, TARGETS, "Removing") for arn in group.detaching]
    found = [row for row in found if kind in (None, row[1])]
    return _page(
        "TrafficSources",
        found,
        request,
        lambda row: {"TrafficSource": row[0], "Identifier": row[0], "Type": row[1], "State": row[2]},
    )


def _page(
    member: str,
    found: Sequence[Row],
    request: Request,
    show: Callable[[Row], dict[str, str]],
) -> Answer:
    limit = min(request.get("MaxRecords") or PAGE_MAX, PAGE_MAX)
    rows, token = page(found, token=request.get("NextToken"), limit=limit, key=lambda row: row[0])
    after = {"NextToken": token} if token else {}
    return {member: [show(row) for row in rows], **after}
