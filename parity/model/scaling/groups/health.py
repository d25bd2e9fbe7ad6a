"""Health: what makes a member unhealthy, and its replacement.

An instance that does not run is unhealthy at once. Status checks and load balancers count from the end of the grace
period on; what a user says counts when it is said.
"""

from __future__ import annotations

from collections.abc import Callable

from parity.errors import ServiceError
from parity.model.scaling.groups import capacity, causes, lifecycle, machines, processes
from parity.model.scaling.groups.members import found
from parity.model.scaling.groups.processes import suspended
from parity.model.scaling.region import Answer, Region, Request, fact, operation, settler, timer
from parity.model.scaling.state import SECOND_US, Group, Instance, Member
from parity.model.scaling.world import Checked

DOWN = "an EC2 health check indicating it has been terminated or stopped"
IMPAIRED = "an EC2 instance status checks failure"
BALANCER = "an ELB system health check failure"
USER = "a user health-check"
REPLACEMENT = "an unhealthy instance needing to be replaced"
#: How much of the desired capacity is replaced at a time where a load balancer finds it unhealthy.
AT_ONCE_PERCENT = 10
#: Called with a member that is to be replaced, and why; one that says True has taken that over.
ON_REPLACE: list[Callable[[Region, Group, Member, str], bool]] = []


def review(region: Region, group: Group, member: Member) -> None:
    """Find out whether a member is unhealthy now: call it whenever something that counts for that has changed."""
    why = _why(region, group, member)
    if not why:
        return
    if member.lifecycle == "InService":
        mark(region, group, member, why)
    elif member.lifecycle in lifecycle.PENDING:
        instance = region.state.instances.get(member.instance_id)
        reason = instance.reason if instance and instance.reason else "Client.InstanceInitiatedShutdown"
        lifecycle.abandon(
            region,
            group,
            member,
            "Instance became unhealthy while waiting for instance to be in InService state. "
            f"Termination Reason: {reason}",
        )


def _why(region: Region, group: Group, member: Member) -> str:
    """What a member is unhealthy by; empty where it is not, or not yet."""
    if suspended(group, "HealthCheck"):
        return ""
    instance = region.state.instances.get(member.instance_id)
    if instance is None or machines.down(instance):
        return DOWN
    impaired = not instance.ok
    if member.lifecycle != "InService" or not (impaired or _unanswered(group, member)):
        return ""
    grace_us = (member.in_service_us or 0) + group.grace_s * SECOND_US
    if region.now_us < grace_us:
        region.at(grace_us, "grace", group.name, member.instance_id)
        return ""
    return IMPAIRED if impaired else BALANCER


def _unanswered(group: Group, member: Member) -> bool:
    """Whether a load balancer says that a member does not answer, and the group minds."""
    return bool(member.failing) and "ELB" in group.health_check_type.split(",")


def mark(region: Region, group: Group, member: Member, why: str) -> None:
    """Say that a member is unhealthy: it is replaced."""
    member.healthy = False
    group.unhealthy[member.instance_id] = why
    region.touch(group)


def recovered(region: Region, group: Group, member: Member) -> None:
    """Say that a member is healthy, unless it is being replaced already."""
    if member.lifecycle not in lifecycle.TERMINATING:
        member.healthy = True
        group.unhealthy.pop(member.instance_id, None)
        region.touch(group)


@timer("grace")
def grace_over(region: Region, name: str, instance_id: str) -> None:
    """A member's grace period is over: what it was spared counts now."""
    group = region.state.groups.get(name)
    if group and (member := group.members.get(instance_id)):
        review(region, group, member)


def went_down(region: Region, instance: Instance) -> None:
    """An instance does not run any more."""
    if pair := lifecycle.member_of(region, instance.instance_id):
        review(region, *pair)


@fact(Checked)
def take_checked(region: Region, told: Checked) -> None:
    """EC2's status checks of an instance fail, or pass again."""
    instance = region.state.instances.get(told.instance_id)
    if instance is None or instance.ok == told.healthy:
        return
    instance.ok = told.healthy
    if pair := lifecycle.member_of(region, told.instance_id):
        review(region, *pair)
        if told.healthy and pair[0].unhealthy.get(told.instance_id) == IMPAIRED:
            recovered(region, *pair)


@operation("autoscaling", "SetInstanceHealth")
def set_health(region: Region, request: Request) -> Answer:
    """What a user says of an instance's health."""
    group, member = found(region, request["InstanceId"])
    status = request["HealthStatus"]
    if status not in {"Healthy", "Unhealthy"}:
        raise ServiceError(
            "ValidationError", f"Valid instance health states are: [Healthy, Unhealthy]. Invalid: {status}"
        )
    if status == "Healthy":
        recovered(region, group, member)
        return {}
    grace_us = (member.in_service_us or 0) + group.grace_s * SECOND_US
    spared = request.get("ShouldRespectGracePeriod", True) and region.now_us < grace_us
    if not spared and member.lifecycle == "InService":
        mark(region, group, member, USER)
    return {}


def resumed(region: Region, group: Group, names: list[str]) -> None:
    """What happened while nobody looked is seen now."""
    if "HealthCheck" in names:
        for member in list(group.members.values()):
            review(region, group, member)


@settler
def replace(region: Region, group: Group) -> None:
    """Terminate those that are unhealthy; their absence has others launched."""
    if not group.unhealthy or suspended(group, "ReplaceUnhealthy") or suspended(group, "Terminate"):
        return
    left = _at_once(region, group)
    for instance_id, why in list(group.unhealthy.items()):
        member = group.members[instance_id]
        replaced = instance_id in group.replacing and why != DOWN
        if replaced or member.lifecycle != "InService":
            continue
        if why == BALANCER:
            if left < 1:
                continue
            left -= 1
        if any(take(region, group, member, why) for take in ON_REPLACE):
            continue
        del group.unhealthy[instance_id]
        if group.capacity - member.weight < group.desired:
            group.owed.append(REPLACEMENT)
        lifecycle.terminate(region, group, member, [causes.taken_out(region, why)])
    if left < 1 and region.now_us >= group.review_us:
        _again(region, group)


def _at_once(region: Region, group: Group) -> int:
    """How many that a load balancer finds unhealthy may go now: a tenth, less what is not back yet."""
    if BALANCER not in group.unhealthy.values():
        return 1
    limit = max(1, group.desired * AT_ONCE_PERCENT // 100)
    coming = sum(1 for member in capacity.warming(region, group) if member.stands_in)
    return limit - coming - len(group.owed)


def _again(region: Region, group: Group) -> None:
    """Look again when the next member is warm."""
    warm_us = [member.warm_us or 0 for member in capacity.warming(region, group) if member.lifecycle == "InService"]
    if warm_us:
        group.review_us = max(min(warm_us), region.now_us)
        region.at(group.review_us, "retry", group.name)


lifecycle.ON_SERVICE.append(review)
machines.ON_DOWN.append(went_down)
processes.ON_RESUME.append(resumed)
