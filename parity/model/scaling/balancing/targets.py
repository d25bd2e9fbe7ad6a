"""Instances behind target groups: registered, healthy or not, draining."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.groups import machines
from parity.model.scaling.region import Answer, Region, Request, fact, operation, timer
from parity.model.scaling.state import SECOND_US, Instance, Target, TargetGroup
from parity.model.scaling.world import CutOff, Deregister, Deregistered, Register, TargetHealth

DELAY = "deregistration_delay.timeout_seconds"
#: Called when a target's health came out otherwise than before.
ON_HEALTH: list[Callable[[Region, TargetGroup, Target], None]] = []
#: Called when a target group has nothing under way at an instance any more.
ON_DRAINED: list[Callable[[Region, TargetGroup, str], None]] = []

_DESCRIPTIONS = {
    "Elb.RegistrationInProgress": "Target registration is in progress",
    "Elb.InitialHealthChecking": "Initial health checks in progress",
    "Target.Timeout": "Request timed out",
    "Target.FailedHealthChecks": "Health checks failed",
    "Target.NotRegistered": "Target is not registered to the target group",
    "Target.NotInUse": "Target group is not configured to receive traffic from the load balancer",
    "Target.InvalidState": "Target is in the stopped state",
    "Target.DeregistrationInProgress": "Target deregistration is in progress",
}


def target_group_of(region: Region, arn: str) -> TargetGroup:
    """A target group by its ARN.

    Raises:
        ServiceError: There is none.
    """
    if arn not in region.state.target_groups:
        raise ServiceError("TargetGroupNotFound", f"Target groups '{arn}' not found")
    return region.state.target_groups[arn]


def add(region: Region, group: TargetGroup, instance_id: str, port: int | None = None) -> None:
    """Register an instance; one that drains comes back, one that is there with the same port stays as it is."""
    port = port or group.port
    target = group.targets.get(instance_id)
    if target and target.state != "draining" and target.port == port:
        return
    target = Target(instance_id=instance_id, port=port)
    group.targets[instance_id] = target
    _expose(region, group, target)


def remove(region: Region, group: TargetGroup, instance_id: str) -> bool:
    """Deregister an instance. Says whether it drains: whoever waits for that is told by `ON_DRAINED`."""
    target = group.targets.get(instance_id)
    if target is None:
        return False
    if target.state == "draining":
        return True
    if target.state == "unused":
        del group.targets[instance_id]
        return False
    delay_s = int(group.attributes[DELAY])
    target.state, target.reason = "draining", "Target.DeregistrationInProgress"
    target.drained_us = region.now_us + delay_s * SECOND_US
    region.act(Deregister(group.arn, instance_id))
    region.at(target.drained_us, "drained", group.arn, instance_id)
    return True


def use(region: Region, group: TargetGroup, load_balancer: str) -> None:
    """A load balancer sends what comes to it to the target group, from now on."""
    if load_balancer in group.load_balancers:
        return
    group.load_balancers.append(load_balancer)
    if len(group.load_balancers) == 1:
        for target in group.targets.values():
            if target.state == "unused":
                _expose(region, group, target)


def disuse(region: Region, group: TargetGroup, load_balancer: str) -> None:
    """A load balancer sends nothing to the target group any more: where none does, targets are not even checked."""
    group.load_balancers.remove(load_balancer)
    if group.load_balancers:
        return
    for target in list(group.targets.values()):
        was, target.state, target.reason = target.state, "unused", "Target.NotInUse"
        if was == "draining":
            _end(region, group, target.instance_id)
        elif was != "unused":
            region.act(Deregister(group.arn, target.instance_id))
            _tell_health(region, group, target)


def _expose(region: Region, group: TargetGroup, target: Target) -> None:
    """Have a load balancer check a target and send to it, if one uses the target group and the instance runs."""
    instance = region.state.instances.get(target.instance_id)
    if machines.down(instance):
        target.state, target.reason = "unused", "Target.InvalidState"
    elif not group.load_balancers:
        target.state, target.reason = "unused", "Target.NotInUse"
    else:
        target.state, target.reason = "initial", "Elb.RegistrationInProgress"
        region.act(Register(group.arn, target.instance_id, target.port))


def _tell_health(region: Region, group: TargetGroup, target: Target) -> None:
    for tell in ON_HEALTH:
        tell(region, group, target)


def _end(region: Region, group: TargetGroup, instance_id: str) -> None:
    del group.targets[instance_id]
    for tell in ON_DRAINED:
        tell(region, group, instance_id)


@fact(TargetHealth)
def _take_health(region: Region, told: TargetHealth) -> None:
    group = region.state.target_groups.get(told.target_group)
    target = group.targets.get(told.instance_id) if group else None
    if group is None or target is None or target.state in ("draining", "unused"):
        return
    target.state = "healthy" if told.healthy else "unhealthy"
    target.reason = "" if told.healthy else told.reason or "Target.FailedHealthChecks"
    target.code = 0 if told.healthy else told.code
    _tell_health(region, group, target)


@fact(Deregistered)
def _take_deregistered(region: Region, told: Deregistered) -> None:
    group = region.state.target_groups.get(told.target_group)
    target = group.targets.get(told.instance_id) if group else None
    if group and target and target.state == "draining":
        _end(region, group, told.instance_id)


@timer("drained")
def _drained(region: Region, arn: str, instance_id: str) -> None:
    """The deregistration delay is over: what is still under way is cut off."""
    group = region.state.target_groups.get(arn)
    target = group.targets.get(instance_id) if group else None
    if group and target and target.state == "draining" and target.drained_us <= region.now_us:
        region.act(CutOff(arn, instance_id))
        _end(region, group, instance_id)


def _went_down(region: Region, instance: Instance) -> None:
    """What is gone is no target any more; what is stopped may come back."""
    for group in region.state.target_groups.values():
        target = group.targets.get(instance.instance_id)
        if target is None:
            continue
        if target.state == "draining":
            _end(region, group, instance.instance_id)
            continue
        if target.state != "unused":
            region.act(Deregister(group.arn, instance.instance_id))
        if instance.state == "terminated":
            del group.targets[instance.instance_id]
        else:
            target.state, target.reason = "unused", "Target.InvalidState"


def _came_up(region: Region, instance: Instance) -> None:
    """A stopped instance runs again."""
    for group in region.state.target_groups.values():
        target = group.targets.get(instance.instance_id)
        if target and target.reason == "Target.InvalidState":
            _expose(region, group, target)


@operation("elbv2", "RegisterTargets")
def _register(region: Region, request: Request) -> Answer:
    group = target_group_of(region, request["TargetGroupArn"])
    for given in request["Targets"]:
        instance_id = given["Id"]
        if instance_id not in region.state.instances:
            raise ServiceError("InvalidTarget", f"The instance ID '{instance_id}' is not valid")
        if region.state.instances[instance_id].state != "running":
            raise ServiceError(
                "InvalidTarget",
                f"The following targets are not in a running state and cannot be registered: '{instance_id}'",
            )
    for given in request["Targets"]:
        add(region, group, given["Id"], given.get("Port"))
    return {}


@operation("elbv2", "DeregisterTargets")
def _deregister(region: Region, request: Request) -> Answer:
    group = target_group_of(region, request["TargetGroupArn"])
    for given in request["Targets"]:
        target = group.targets.get(given["Id"])
        if target and given.get("Port") in (None, target.port):
            remove(region, group, given["Id"])
    return {}


@operation("elbv2", "DescribeTargetHealth", reads=True)
def _describe(region: Region, request: Request) -> Answer:
    group = target_group_of(region, request["TargetGroupArn"])
    asked = request.get("Targets")
    if asked is None:
        return {"TargetHealthDescriptions": [_shown(group, target) for target in group.targets.values()]}
    shown = []
    for given in asked:
        target = group.targets.get(given["Id"])
        if target is None or given.get("Port") not in (None, target.port):
            target = Target(
                instance_id=given["Id"],
                port=given.get("Port") or group.port,
                state="unused",
                reason="Target.NotRegistered",
            )
        shown.append(_shown(group, target))
    return {"TargetHealthDescriptions": shown}


def _shown(group: TargetGroup, target: Target) -> dict[str, Any]:
    port = group.given.get("HealthCheckPort", "traffic-port")
    health = {"State": target.state}
    if target.reason:
        health |= {"Reason": target.reason, "Description": _description(target)}
    return {
        "Target": {"Id": target.instance_id, "Port": target.port},
        "HealthCheckPort": str(target.port) if port == "traffic-port" else port,
        "TargetHealth": health,
    }


def _description(target: Target) -> str:
    if target.reason == "Target.ResponseCodeMismatch" and target.code:
        return f"Health checks failed with these codes: [{target.code}]"
    return _DESCRIPTIONS.get(target.reason, "Health checks failed")


machines.ON_DOWN.append(_went_down)
machines.ON_RUNNING.append(_came_up)
