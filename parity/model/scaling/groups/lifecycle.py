"""The states of a group's members, from `Pending` to `Terminated`, and what is kept count of meanwhile.

    launch:     Pending -> Pending:Wait -> Pending:Proceed -> InService
    terminate:  Terminating -> Terminating:Wait -> Terminating:Proceed -> gone

Members of a warm pool go the same ways, with `Warmed:` before each state, and end in the pool's. The waiting
states are only there where hooks are. Load balancers come before `InService`, and before the hooks of a termination.
"""

from __future__ import annotations

from collections.abc import Callable

from parity.model.scaling.groups import activities, machines
from parity.model.scaling.region import Region, timer
from parity.model.scaling.state import SECOND_US, Group, HookWait, Instance, Member

PENDING = ("Pending", "Pending:Wait", "Pending:Proceed")
#: States on the way out of service that no instance is terminated in.
ASIDE = ("EnteringStandby", "Detaching")
TERMINATING = ("Terminating", "Terminating:Wait", "Terminating:Proceed", "Terminating:Retained")
#: What stands before the states of a warm pool's members.
WARMED = "Warmed:"
#: States that count for the desired capacity.
COUNTED = frozenset({*PENDING, "InService"})
#: The status of an activity while load balancers have something under way at what leaves.
DRAINS = "WaitingForELBConnectionDraining"
#: However long a hook's heartbeat is, and however often it is recorded.
WAIT_S_MAX = 172_800
WAIT_HEARTBEATS_MAX = 100

#: Called when a member is about to come into service; one that says True is waited for, until it calls `entered`.
ON_ENTER: list[Callable[[Region, Group, Member], bool]] = []
#: Called when a member came into service.
ON_SERVICE: list[Callable[[Region, Group, Member], None]] = []
#: Called when a member leaves the service; one that says True is waited for, until it calls `left`.
ON_LEAVE: list[Callable[[Region, Group, Member], bool]] = []
#: Called when a member begins to wait for a hook: whoever the hook tells, is told now.
ON_WAIT: list[Callable[[Region, Group, Member, HookWait], None]] = []
#: Called when a member of the warm pool runs and has no hook to wait for.
ON_WARM: list[Callable[[Region, Group, Member], None]] = []
#: Called when a member's instance is to be terminated; one that says True has kept it, and the member.
ON_END: list[Callable[[Region, Group, Member], bool]] = []


def member_of(region: Region, instance_id: str) -> tuple[Group, Member] | None:
    """An instance's group and what the group knows of it; None where it is no member of one."""
    instance = region.state.instances.get(instance_id)
    group = region.state.groups.get(instance.group) if instance else None
    member = in_group(group, instance_id) if group else None
    return (group, member) if group and member else None


def in_group(group: Group, instance_id: str) -> Member | None:
    """A member of a group or of its warm pool, where there is one of that id."""
    if member := group.members.get(instance_id):
        return member
    return group.warm_pool.members.get(instance_id) if group.warm_pool else None


def stage(member: Member) -> str:
    """A member's state, be it in the group or in its warm pool."""
    return member.lifecycle.removeprefix(WARMED)


def _same(member: Member, state: str) -> str:
    """A state as a member has it, in the group or in its warm pool."""
    return WARMED + state if member.lifecycle.startswith(WARMED) else state


def waiting_for(group: Group, hook: str) -> list[Member]:
    """The members that wait for a hook."""
    pool = group.warm_pool.members.values() if group.warm_pool else ()
    return [one for one in (*(group.members[each] for each in group.in_transit), *pool) if hook in one.waits]


# Counting.


def enter(region: Region, group: Group, member: Member, state: str) -> None:
    """Bring a member into another state."""
    _count(group, member, -1)
    member.lifecycle = state
    _count(group, member, 1)
    if state not in COUNTED:
        _unbind(group, member)
    if state in TERMINATING or state == "Detaching":
        group.outdated.pop(member.instance_id, None)
    region.touch(group)


def join(region: Region, group: Group, member: Member) -> None:
    """Make an instance a member, in the state that it is said to be in."""
    member.joined_us = region.now_us
    pool = group.warm_pool.members if group.warm_pool else {}
    (pool if member.lifecycle.startswith(WARMED) else group.members)[member.instance_id] = member
    machines.join_group(region.state.instances[member.instance_id], group.name)
    _count(group, member, 1)
    region.touch(group)


def leave(region: Region, group: Group, member: Member) -> None:
    """Make a member one no more."""
    if member.lifecycle.startswith(WARMED):
        if group.warm_pool:
            group.warm_pool.members.pop(member.instance_id, None)
        region.touch(group)
        return
    _count(group, member, -1)
    del group.members[member.instance_id]
    group.in_transit.pop(member.instance_id, None)
    group.entered.pop(member.instance_id, None)
    group.unhealthy.pop(member.instance_id, None)
    group.outdated.pop(member.instance_id, None)
    _unbind(group, member)
    region.touch(group)


def _unbind(group: Group, member: Member) -> None:
    """Have a member that does not count any more be in nobody's place, and nobody in its."""
    group.at_risk.pop(member.instance_id, None)
    group.replacing.pop(member.instance_id, None)
    if member.instance_id in group.surplus:
        group.surplus.remove(member.instance_id)
        group.replacing.pop(member.replaces, None)


def _count(group: Group, member: Member, sign: int) -> None:
    state = member.lifecycle
    if state.startswith(WARMED):
        return
    group.tally[state] = group.tally.get(state, 0) + sign
    if state in COUNTED:
        group.capacity += sign * member.weight
        group.in_zones[member.zone] = group.in_zones.get(member.zone, 0) + sign * member.weight
        group.spot_capacity += sign * member.weight * member.spot
    if state == "InService":
        group.in_transit.pop(member.instance_id, None)
    else:
        group.in_transit[member.instance_id] = True


def number(group: Group, *states: str) -> int:
    """How many members are in one of some states."""
    return sum(group.tally.get(state, 0) for state in states)


# Coming into service.


def ran(region: Region, instance: Instance) -> None:
    """An instance runs: if its group waits for that, its hooks are next."""
    found = member_of(region, instance.instance_id)
    if found and stage(found[1]) == "Pending":
        group, member = found
        if not await_hooks(region, group, member, "launching"):
            register(region, group, member)


def register(region: Region, group: Group, member: Member) -> None:
    """Bring a member before the load balancers, and into service where none of them has to be waited for.

    A member of the warm pool stays there.
    """
    if member.lifecycle.startswith(WARMED):
        for tell in ON_WARM:
            tell(region, group, member)
        return
    waits = [wait(region, group, member) for wait in ON_ENTER]
    if not any(waits):
        entered(region, group, member)


def entered(region: Region, group: Group, member: Member) -> None:
    """Bring a member into service: grace and warmup begin."""
    if member.lifecycle not in PENDING:
        return
    # Protection begins in service; once there, it is the user's to change.
    member.protected = member.protected or (group.new_protected and member.in_service_us is None)
    member.in_service_us = region.now_us
    group.entered[member.instance_id] = region.now_us
    warmup_s = group.cooldown_s if group.warmup_s is None else group.warmup_s
    member.warm_us = region.now_us + warmup_s * SECOND_US
    enter(region, group, member, "InService")
    activity_id, member.activity_id = member.activity_id, ""
    activities.end(region, group, activity_id)
    for tell in ON_SERVICE:
        tell(region, group, member)


@timer("proceed")
def proceed(region: Region, name: str, instance_id: str) -> None:
    """Go on with a member that changes its state on request: AWS answers the call first."""
    group = region.state.groups.get(name)
    member = group.members.get(instance_id) if group else None
    if not group or not member:
        return
    if member.lifecycle == "Pending":
        register(region, group, member)
    elif member.lifecycle in ASIDE:
        waits = [wait(region, group, member) for wait in ON_LEAVE]
        if not any(waits):
            left(region, group, member)


# Leaving.


def terminate(region: Region, group: Group, member: Member, because: list[str], *, hooks: bool = True) -> str:
    """Take a member out and terminate its instance.

    Args:
        region: Where.
        group: Whose.
        member: Which; where it is on its way out already, nothing more happens.
        because: The sentences of the activity's cause.
        hooks: Whether the group's hooks have a say. They have none in the end of what never was in service.

    Returns:
        The activity's id.
    """
    retained = stage(member) == "Terminating:Retained"
    if stage(member) in TERMINATING and not retained:
        return member.activity_id
    served = stage(member) not in PENDING or member.in_service_us is not None
    if member.activity_id:
        activities.end(region, group, member.activity_id, "Cancelled")
    instance = region.state.instances.get(member.instance_id)
    activity = activities.begin(region, group, "Terminating EC2 instance", because, instance=instance)
    member.activity_id, member.waits = activity.activity_id, {}
    group.entered.pop(member.instance_id, None)
    enter(region, group, member, _same(member, "Terminating"))
    if retained or not served:
        remove(region, group, member)
        return activity.activity_id
    warmed = member.lifecycle.startswith(WARMED)
    waits = [wait(region, group, member) for wait in ON_LEAVE if not warmed]
    if not hooks:
        remove(region, group, member)
    elif any(waits):
        activities.proceed(group, activity.activity_id, DRAINS, 10)
    else:
        left(region, group, member)
    return activity.activity_id


def force_out(region: Region, group: Group, member: Member, because: list[str]) -> None:
    """Terminate a member's instance at once, whatever it waits for."""
    member.returns = False
    if stage(member) not in TERMINATING:
        terminate(region, group, member, because, hooks=False)
    elif in_group(group, member.instance_id):
        remove(region, group, member)


def left(region: Region, group: Group, member: Member) -> None:
    """No load balancer has anything under way at a member that leaves: its hooks are next, where it is to end."""
    if member.lifecycle in ASIDE:
        set_aside(region, group, member)
    if stage(member) != "Terminating":
        return
    activities.proceed(group, member.activity_id, "InProgress", 20)
    if not await_hooks(region, group, member, "terminating"):
        remove(region, group, member)


def set_aside(region: Region, group: Group, member: Member) -> None:
    """Have a member out of service whose instance stays: in standby, or the group's no more."""
    activities.end(region, group, member.activity_id)
    member.activity_id = ""
    if member.lifecycle == "EnteringStandby":
        enter(region, group, member, "Standby")
        return
    leave(region, group, member)
    if instance := region.state.instances.get(member.instance_id):
        machines.leave_group(instance)


def remove(region: Region, group: Group, member: Member) -> None:
    """Terminate the instance of a member that leaves, unless it goes to the warm pool."""
    member.waits = {}
    if member.returns and any(keep(region, group, member) for keep in ON_END):
        return
    activities.proceed(group, member.activity_id, "InProgress", 50)
    if not machines.terminate(region, member.instance_id):
        gone(region, group, member)


def gone(region: Region, group: Group, member: Member) -> None:
    """Nothing is left of a member that was on its way out."""
    activities.end(region, group, member.activity_id)
    leave(region, group, member)


def went_down(region: Region, instance: Instance) -> None:
    """An instance is gone: if that is what its group waits for, it is a member no more."""
    found = member_of(region, instance.instance_id)
    if found and instance.state == "terminated":
        group, member = found
        activity = group.under_way.get(member.activity_id)
        drains = activity is not None and activity.status == DRAINS
        if stage(member) in TERMINATING and not member.waits and not drains:
            gone(region, group, member)


# Hooks.


def await_hooks(region: Region, group: Group, member: Member, transition: str) -> bool:
    """Have a member wait for the group's hooks of a transition, all at the same time. Says whether there are any."""
    hooks = [hook for hook in group.hooks.values() if hook.transition == transition]
    if not hooks:
        return False
    member.waits = {}
    enter(region, group, member, _same(member, "Pending:Wait" if transition == "launching" else "Terminating:Wait"))
    activities.proceed(group, member.activity_id, "MidLifecycleAction", 60)
    for hook in hooks:
        limit_s = min(WAIT_S_MAX, WAIT_HEARTBEATS_MAX * hook.heartbeat_s)
        wait = HookWait(
            hook=hook.name,
            token=region.new_uuid(),
            began_us=region.now_us,
            heartbeat_us=region.now_us + hook.heartbeat_s * SECOND_US,
            limit_us=region.now_us + limit_s * SECOND_US,
        )
        member.waits[hook.name] = wait
        set_timer(region, group, member, wait)
    for wait in list(member.waits.values()):
        for tell in ON_WAIT:
            tell(region, group, member, wait)
    return True


def set_timer(region: Region, group: Group, member: Member, wait: HookWait) -> None:
    """Have a wait looked at when it would time out."""
    due_us = min(wait.heartbeat_us, wait.limit_us)
    region.at(due_us, "heartbeat", group.name, member.instance_id, wait.hook, wait.token)


@timer("heartbeat")
def time_out(region: Region, name: str, instance_id: str, hook_name: str, token: str) -> None:
    """A wait may have timed out: the hook's default result counts."""
    group = region.state.groups.get(name)
    member = in_group(group, instance_id) if group else None
    wait = member.waits.get(hook_name) if member else None
    if not group or not member or not wait or wait.token != token:
        return
    if min(wait.heartbeat_us, wait.limit_us) > region.now_us:
        return
    hook = group.hooks.get(hook_name)
    result = hook.default_result if hook else "ABANDON"
    complete(region, group, member, wait, result=result, why="Heartbeat Timeout")


def complete(region: Region, group: Group, member: Member, wait: HookWait, *, result: str, why: str) -> None:
    """End a member's wait for one hook.

    Args:
        region: Where.
        group: Whose.
        member: Which.
        wait: The wait.
        result: `CONTINUE` or `ABANDON`. Abandoned, the hooks that are left are not waited for, and what was to come
            into service is terminated.
        why: How it was abandoned, as AWS says it.
    """
    del member.waits[wait.hook]
    launching = stage(member) == "Pending:Wait"
    if result == "ABANDON":
        member.waits = {}
        action = f"Lifecycle Action with token {wait.token} was abandoned: {why}"
        message = f"Instance failed to complete user's Lifecycle Action: {action}"
        if launching:
            abandon(region, group, member, message)
            return
        if _retains(group):
            activities.end(region, group, member.activity_id, "Cancelled", message)
            member.activity_id = ""
            enter(region, group, member, _same(member, "Terminating:Retained"))
            return
    if member.waits:
        region.touch(group)
        return
    enter(region, group, member, _same(member, "Pending:Proceed" if launching else "Terminating:Proceed"))
    if launching:
        register(region, group, member)
    else:
        remove(region, group, member)


def _retains(group: Group) -> bool:
    """Whether an instance whose hook was abandoned stays until somebody terminates it."""
    triggers = (group.extra.get("InstanceLifecyclePolicy") or {}).get("RetentionTriggers") or {}
    return bool(triggers.get("TerminateHookAbandon") == "retain")


def abandon(region: Region, group: Group, member: Member, message: str) -> None:
    """Give up a member that did not come into service: its launch is `Cancelled`, its instance terminated."""
    activities.end(region, group, member.activity_id, "Cancelled", message)
    member.activity_id = ""
    # One activity tells of an instance that never was in service: its launch. What follows has none of its own.
    enter(region, group, member, _same(member, "Terminating"))
    remove(region, group, member)


machines.ON_RUNNING.append(ran)
machines.ON_DOWN.append(went_down)
