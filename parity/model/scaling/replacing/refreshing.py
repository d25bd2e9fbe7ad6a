"""An instance refresh as it goes on: what it replaces next, what it waits for, and how it ends."""

from __future__ import annotations

from collections.abc import Callable

from parity.errors import ServiceError
from parity.model.scaling.groups import capacity, causes, launch, lifecycle, processes
from parity.model.scaling.groups.processes import suspended
from parity.model.scaling.metrics import alarms
from parity.model.scaling.metrics.evaluation import ALARM
from parity.model.scaling.region import Region, settler, timer
from parity.model.scaling.replacing import maintenance, warm
from parity.model.scaling.replacing.refreshstatus import (
    BAKING,
    CANCELLED,
    CANCELLING,
    FAILED,
    PENDING,
    ROLLBACK_FAILED,
    ROLLED_BACK,
    ROLLING_BACK,
    RUNNING,
    STANDBY,
    SUCCESSFUL,
    alarm_names,
    bounds_of,
    checkpoints,
    done_of,
    percent,
    to_update,
    treatment,
    waiting_for,
)
from parity.model.scaling.state import SECOND_US, Alarm, Group, Member, Refresh

WHY = "an instance refresh"
#: A refresh that does not come on for an hour fails. Source: the user guide, "Limitations" of instance refreshes.
STUCK_S = 3600
#: However well it comes on, it fails after fourteen days. Source: the same.
LONGEST_US = 14 * 86_400 * SECOND_US


def _found(region: Region, name: str, refresh_id: str) -> tuple[Group, Refresh] | None:
    """What a timer is about; None once that is over."""
    group = region.state.groups.get(name)
    refresh = group.refresh if group else None
    return (group, refresh) if group and refresh and refresh.refresh_id == refresh_id else None


# Beginning.


@timer("refresh-begin")
def begin(region: Region, name: str, refresh_id: str) -> None:
    """Find out what is to be replaced."""
    found = _found(region, name, refresh_id)
    if found is None or found[1].status != PENDING:
        return
    group, refresh = found
    refresh.status = RUNNING
    group.refreshed_to = refresh.target
    matches = _matcher(region, group, refresh)
    old = [member for member in group.members.values() if not matches(member)]
    if group.warm_pool:
        refresh.warm = [one for one, member in group.warm_pool.members.items() if not matches(member)]
    _set_out(region, group, refresh, [member for member in old if treatment(refresh, member) != "Ignore"])
    for alarm_name in alarm_names(refresh):
        if (alarm := region.state.alarms.get(alarm_name)) and alarm.state == ALARM:
            fail(region, group, refresh, _alarmed(alarm_name))
            return


def _set_out(region: Region, group: Group, refresh: Refresh, old: list[Member]) -> None:
    """Have some members replaced from now on."""
    there = [member for member in old if member.lifecycle in lifecycle.COUNTED or member.lifecycle in STANDBY]
    group.outdated = {member.instance_id: True for member in there}
    refresh.total, refresh.done, refresh.left = len(there), 0, len(there)
    refresh.moved_us, refresh.waits_until_us = region.now_us, None
    region.at(region.now_us + STUCK_S * SECOND_US, "refresh-stuck", group.name, refresh.refresh_id)
    # Those that came before it did and are not warm yet are looked at when they are; `came` sees to those after.
    warmup_s = refresh.preferences["InstanceWarmup"]
    for member in capacity.warming(region, group, warmup_s):
        if member.lifecycle == "InService":
            region.at(group.entered[member.instance_id] + warmup_s * SECOND_US, "retry", group.name)
    region.touch(group)


def _matcher(region: Region, group: Group, refresh: Refresh) -> Callable[[Member], bool]:
    """The test that a member passes which is what it would be replaced by, where such are skipped."""
    if not refresh.preferences["SkipMatching"]:
        return lambda _: False
    try:
        resolved = launch.resolve(region, launch.current(group))
    except ServiceError:
        return lambda _: False
    overrides = ((launch.current(group).mixed or {}).get("LaunchTemplate") or {}).get("Overrides") or ()
    types = {one["InstanceType"] for one in overrides if "InstanceType" in one} or {resolved.instance_type}
    return lambda member: member.source == resolved.source and member.instance_type in types


# Going on.


@settler
def advance(region: Region, group: Group) -> None:
    """Replace what can be replaced now, and see whether that was all."""
    refresh = group.refresh
    if refresh is None:
        return
    if group.deleting:
        end(region, group, refresh, CANCELLED, "Cancelled because the AutoScalingGroup is deleted.")
    elif refresh.status == CANCELLING:
        if _still(group):
            end(region, group, refresh, CANCELLED)
    elif refresh.status in {RUNNING, ROLLING_BACK}:
        _mark(region, group, refresh)
        if not _pauses(region, group, refresh):
            _go_on(region, group, refresh)


def _still(group: Group) -> bool:
    """Whether no instance comes or goes."""
    leaving = [state for state in lifecycle.TERMINATING if state != "Terminating:Retained"]
    return not group.surplus and not lifecycle.number(group, *lifecycle.PENDING, *leaving)


def _mark(region: Region, group: Group, refresh: Refresh) -> None:
    """See whether the refresh came on."""
    done, left = done_of(region, group, refresh), len(group.outdated)
    if done > refresh.done or left < refresh.left:
        refresh.done, refresh.left, refresh.moved_us = done, left, region.now_us


def _pauses(region: Region, group: Group, refresh: Refresh) -> bool:
    """Whether the refresh waits at a checkpoint, or comes to one."""
    if refresh.waits_until_us is not None:
        if region.now_us < refresh.waits_until_us:
            return True
        refresh.waits_until_us, refresh.moved_us = None, region.now_us
    reached = refresh.total and refresh.done >= _allowed(refresh)
    if refresh.status != RUNNING or refresh.checkpoint >= len(checkpoints(refresh)) or not reached:
        return False
    refresh.checkpoint += 1
    if refresh.checkpoint == len(checkpoints(refresh)):
        # Where the last checkpoint is less than everything, the rest stays as it is.
        group.outdated.clear()
        return False
    refresh.waits_until_us = region.now_us + refresh.preferences["CheckpointDelay"] * SECOND_US
    region.at(refresh.waits_until_us, "retry", group.name)
    return True


def _allowed(refresh: Refresh) -> int:
    """How many may be replaced up to the next checkpoint."""
    percentages = checkpoints(refresh)
    if refresh.status != RUNNING or refresh.checkpoint >= len(percentages):
        return refresh.total
    return -(-refresh.total * percentages[refresh.checkpoint] // 100)


def _go_on(region: Region, group: Group, refresh: Refresh) -> None:
    bounds = bounds_of(refresh)
    if group.outdated:
        # What has no room has something under way, and is looked at again when that is done.
        out, extra, _ = maintenance.room(region, group, bounds)
        if (out or extra) and not suspended(group, "InstanceRefresh"):
            going, replacing = _going(region, group, refresh)
            begun = refresh.total - len(group.outdated) + replacing
            limit = min(len(going), _allowed(refresh) - begun)
            maintenance.replace(region, group, going, WHY, bounds, limit=limit)
    if not group.outdated and not group.surplus:
        still = group.capacity >= group.desired and not capacity.warming(region, group, bounds.warmup_s)
        if still or refresh.done >= refresh.total:
            _complete(region, group, refresh)


def _going(region: Region, group: Group, refresh: Refresh) -> tuple[list[Member], int]:
    """The members that can be replaced, and how many others are about to be."""
    going: list[Member] = []
    replacing = 0
    for instance_id in list(group.outdated):
        member = group.members[instance_id]
        how = treatment(refresh, member)
        if instance_id in group.replacing:
            replacing += 1
        elif how == "Ignore":
            del group.outdated[instance_id]
        elif how == "Terminate" and member.lifecycle == "Standby":
            lifecycle.terminate(region, group, member, [causes.taken_out(region, WHY)])
        elif how == "Refresh":
            going.append(member)
    return going, replacing


def came(region: Region, group: Group, _: Member) -> None:
    """A member came into service: the refresh looks again when it is warm."""
    refresh = group.refresh
    if refresh and (warmup_s := refresh.preferences["InstanceWarmup"]):
        region.at(region.now_us + warmup_s * SECOND_US, "retry", group.name)


def resumed(region: Region, group: Group, names: list[str]) -> None:
    """What a refresh could not do while it was suspended is not held against it."""
    if group.refresh and "InstanceRefresh" in names:
        group.refresh.moved_us = region.now_us


# Ending.


def _complete(region: Region, group: Group, refresh: Refresh) -> None:
    """The group's instances are replaced: those of the warm pool are next, and then it bakes."""
    if refresh.warm and not warm.renewed(region, group, refresh.warm):
        return
    if refresh.status == ROLLING_BACK:
        end(region, group, refresh, ROLLED_BACK)
    elif bake_s := refresh.preferences.get("BakeTime"):
        refresh.status, refresh.waits_until_us = BAKING, region.now_us + bake_s * SECOND_US
        region.at(refresh.waits_until_us, "refresh-baked", group.name, refresh.refresh_id)
    else:
        _succeed(region, group, refresh)


@timer("refresh-baked")
def baked(region: Region, name: str, refresh_id: str) -> None:
    """The bake time is over."""
    found = _found(region, name, refresh_id)
    if found and found[1].status == BAKING:
        _succeed(region, *found)


def _succeed(region: Region, group: Group, refresh: Refresh) -> None:
    if refresh.target:
        group.source = refresh.target
    end(region, group, refresh, SUCCESSFUL)


def end(region: Region, group: Group, refresh: Refresh, status: str, reason: str = "") -> None:
    """End a refresh; the group launches from its own source again."""
    refresh.percent, refresh.to_update = percent(region, group, refresh), to_update(group, refresh)
    if status == ROLLED_BACK:
        refresh.percent = 0
    elif status == SUCCESSFUL:
        # One whose last checkpoint is less than everything is complete without the rest.
        share = (checkpoints(refresh) or [100])[-1]
        refresh.percent, refresh.to_update = share, refresh.total - -(-refresh.total * share // 100)
    refresh.status, refresh.ended_us, refresh.waits_until_us = status, region.now_us, None
    refresh.reason = reason or refresh.reason
    group.refreshed_to = None
    group.outdated.clear()
    region.touch(group)


def fail(region: Region, group: Group, refresh: Refresh, why: str) -> None:
    """A refresh cannot go on: it is rolled back where that was asked for."""
    if refresh.rollback:
        end(region, group, refresh, ROLLBACK_FAILED, why)
    elif refresh.preferences["AutoRollback"]:
        roll_back(region, group, refresh, f"Automatic rollback was initiated. {why}")
    else:
        end(region, group, refresh, FAILED, why)


def roll_back(region: Region, group: Group, refresh: Refresh, why: str) -> None:
    """Replace what a refresh has brought by what there was before."""
    refresh.rollback = {
        "RollbackReason": why,
        "RollbackStartTime": region.now_us,
        "PercentageCompleteOnRollback": percent(region, group, refresh),
        "InstancesToUpdateOnRollback": to_update(group, refresh),
    }
    refresh.status, refresh.reason = ROLLING_BACK, why
    group.refreshed_to = None
    for member in [group.members[one] for one in group.surplus if group.members[one].refresh_id == refresh.refresh_id]:
        lifecycle.terminate(region, group, member, [causes.taken_out(region, WHY)])
    if group.warm_pool:
        old = refresh.warm
        refresh.warm = [one for one in group.warm_pool.members if one not in old]
    _set_out(region, group, refresh, [one for one in group.members.values() if one.refresh_id == refresh.refresh_id])


@timer("refresh-stuck")
def stuck(region: Region, name: str, refresh_id: str) -> None:
    """See whether a refresh has not come on for too long."""
    found = _found(region, name, refresh_id)
    if found is None or found[1].status not in {RUNNING, ROLLING_BACK}:
        return
    group, refresh = found
    if suspended(group, "InstanceRefresh") or refresh.waits_until_us is not None:
        refresh.moved_us = region.now_us
    limit_us = min(refresh.moved_us + _patience_us(region, group, refresh), refresh.started_us + LONGEST_US)
    if region.now_us < limit_us:
        region.at(limit_us, "refresh-stuck", name, refresh_id)
        return
    waiting = waiting_for(region, group, refresh) or "Instances could not be replaced."
    fail(region, group, refresh, f"The instance refresh made no progress for too long. {waiting}")


def _patience_us(region: Region, group: Group, refresh: Refresh) -> int:
    """How long a refresh may be without coming on: what it knows it has to wait for comes on top."""
    seconds = STUCK_S
    warmup_s = refresh.preferences["InstanceWarmup"]
    if any(member.lifecycle == "InService" for member in capacity.warming(region, group, warmup_s)):
        seconds += warmup_s
    if lifecycle.number(group, "Pending:Wait"):
        seconds += max((hook.heartbeat_s for hook in group.hooks.values()), default=0)
    return seconds * SECOND_US


# Alarms.


def _alarmed(name: str) -> str:
    return f"The CloudWatch alarm {name} is in the ALARM state."


def alarmed(region: Region, alarm: Alarm) -> None:
    """An alarm came into another state: a refresh that watches it fails."""
    if alarm.state != ALARM:
        return
    for group in list(region.state.groups.values()):
        refresh = group.refresh
        if refresh and refresh.status in {RUNNING, BAKING} and alarm.name in alarm_names(refresh):
            fail(region, group, refresh, _alarmed(alarm.name))


alarms.ON_STATE.append(alarmed)
lifecycle.ON_SERVICE.append(came)
processes.ON_RESUME.append(resumed)
