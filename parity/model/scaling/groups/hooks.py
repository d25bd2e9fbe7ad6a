"""Lifecycle hooks: put, described, deleted; and the answers of those who act in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.groups import lifecycle
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import SECOND_US, Group, Hook, HookWait, Member

HOOKS_MAX = 50
HEARTBEAT_S_MIN, HEARTBEAT_S_MAX = 30, 7200
TRANSITIONS = {
    "autoscaling:EC2_INSTANCE_LAUNCHING": "launching",
    "autoscaling:EC2_INSTANCE_TERMINATING": "terminating",
}
ABANDONED = "Lifecycle Action Completed with ABANDON Result"
RESULTS = ("CONTINUE", "ABANDON")
#: Called with a hook that was put and tells somebody: AWS sends a test message.
ON_PUT: list[Callable[[Region, Group, Hook], None]] = []


def checked(given: Mapping[str, Any], before: Hook | None = None) -> Hook:
    """The hook that a call states; what it leaves out stays as it was before.

    Raises:
        ServiceError: It cannot be.
    """
    transition = given.get("LifecycleTransition")
    if transition is None and before is None:
        raise ServiceError("ValidationError", "Lifecycle Transition must be provided for a new lifecycle hook.")
    if transition is not None and transition not in TRANSITIONS:
        raise ServiceError("ValidationError", f"Invalid Lifecycle Transition: {transition}")
    hook = Hook(name=given["LifecycleHookName"], transition=TRANSITIONS.get(transition or "", ""))
    if before:
        hook = Hook(**{name: getattr(before, name) for name in Hook.__struct_fields__})
        hook.transition = TRANSITIONS.get(transition or "", before.transition)
    hook.heartbeat_s = _heartbeat(given.get("HeartbeatTimeout"), hook.heartbeat_s)
    hook.default_result = _result(given.get("DefaultResult") or hook.default_result)
    for name, key in (
        ("target_arn", "NotificationTargetARN"),
        ("role_arn", "RoleARN"),
        ("metadata", "NotificationMetadata"),
    ):
        if given.get(key) is not None:
            setattr(hook, name, given[key])
    return hook


def _heartbeat(stated: int | None, otherwise: int) -> int:
    if stated is None:
        return otherwise
    if not HEARTBEAT_S_MIN <= stated <= HEARTBEAT_S_MAX:
        raise ServiceError(
            "ValidationError", f"Heartbeat timeout must be between {HEARTBEAT_S_MIN} and {HEARTBEAT_S_MAX} seconds."
        )
    return stated


def _result(stated: str) -> str:
    if stated not in RESULTS:
        raise ServiceError("ValidationError", f"Invalid lifecycle action result: {stated}. Use CONTINUE or ABANDON.")
    return stated


@operation("autoscaling", "PutLifecycleHook")
def put(region: Region, request: Request) -> Answer:
    """Make a hook or change one. Who waits for it already, waits as before."""
    group = region.group(request["AutoScalingGroupName"])
    before = group.hooks.get(request["LifecycleHookName"])
    hook = checked(request, before)
    if before is None and len(group.hooks) >= HOOKS_MAX:
        raise ServiceError("LimitExceeded", f"Only {HOOKS_MAX} lifecycle hooks are allowed per AutoScalingGroup.")
    group.hooks[hook.name] = hook
    region.touch(group)
    told(region, group, hook)
    return {}


def told(region: Region, group: Group, hook: Hook) -> None:
    """Tell whom a hook that was put will tell, if anybody."""
    if hook.target_arn:
        for tell in ON_PUT:
            tell(region, group, hook)


@operation("autoscaling", "DescribeLifecycleHooks", reads=True)
def describe(region: Region, request: Request) -> Answer:
    """A group's hooks: those named, or all."""
    group = region.group(request["AutoScalingGroupName"])
    names = request.get("LifecycleHookNames")
    return {"LifecycleHooks": [_shown(group, hook) for hook in group.hooks.values() if not names or hook.name in names]}


def _shown(group: Group, hook: Hook) -> Answer:
    transitions = {short: name for name, short in TRANSITIONS.items()}
    shown: Answer = {
        "LifecycleHookName": hook.name,
        "AutoScalingGroupName": group.name,
        "LifecycleTransition": transitions[hook.transition],
        "HeartbeatTimeout": hook.heartbeat_s,
        "GlobalTimeout": min(lifecycle.WAIT_S_MAX, lifecycle.WAIT_HEARTBEATS_MAX * hook.heartbeat_s),
        "DefaultResult": hook.default_result,
    }
    optional = {
        "NotificationTargetARN": hook.target_arn,
        "RoleARN": hook.role_arn,
        "NotificationMetadata": hook.metadata,
    }
    return {**shown, **{key: value for key, value in optional.items() if value}}


@operation("autoscaling", "DescribeLifecycleHookTypes", reads=True)
def describe_types(_region: Region, _request: Request) -> Answer:
    """The transitions a hook can be for."""
    return {"LifecycleHookTypes": list(TRANSITIONS)}


@operation("autoscaling", "DeleteLifecycleHook")
def delete(region: Region, request: Request) -> Answer:
    """Delete a hook: whoever waits for it is let go if it terminates, and given up if it launches."""
    group = region.group(request["AutoScalingGroupName"])
    name = request["LifecycleHookName"]
    if name not in group.hooks:
        raise ServiceError("ValidationError", f"No lifecycle hook found with name: {name}")
    hook = group.hooks.pop(name)
    region.touch(group)
    result = "ABANDON" if hook.transition == "launching" else "CONTINUE"
    for member in lifecycle.waiting_for(group, name):
        lifecycle.complete(region, group, member, member.waits[name], result=result, why=ABANDONED)
    return {}


@operation("autoscaling", "CompleteLifecycleAction")
def complete(region: Region, request: Request) -> Answer:
    """Let a member go on, or give it up."""
    group, member, wait = _waiting(region, request)
    result = _result(request["LifecycleActionResult"])
    lifecycle.complete(region, group, member, wait, result=result, why=ABANDONED)
    return {}


@operation("autoscaling", "RecordLifecycleActionHeartbeat")
def heartbeat(region: Region, request: Request) -> Answer:
    """Have a member wait for a whole heartbeat from now on."""
    group, member, wait = _waiting(region, request)
    wait.heartbeat_us = region.now_us + group.hooks[wait.hook].heartbeat_s * SECOND_US
    lifecycle.set_timer(region, group, member, wait)
    return {}


def _waiting(region: Region, request: Request) -> tuple[Group, Member, HookWait]:
    """Who waits, by the instance or by the token that the call states."""
    group = region.group(request["AutoScalingGroupName"])
    hook, instance_id, token = (
        request["LifecycleHookName"],
        request.get("InstanceId"),
        request.get("LifecycleActionToken"),
    )
    for member in lifecycle.waiting_for(group, hook):
        wait = member.waits[hook]
        asked = instance_id in {None, member.instance_id} and token in {None, wait.token}
        if asked and (instance_id or token):
            return group, member, wait
    what = f"instance ID {instance_id}" if instance_id else f"token {token}"
    raise ServiceError("ValidationError", f"No active Lifecycle Action found with {what}")
