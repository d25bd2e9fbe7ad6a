"""Instance refreshes: started, described, cancelled, rolled back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.groups import crud as groups
from parity.model.scaling.groups import launch
from parity.model.scaling.groups.activities import KEPT_US
from parity.model.scaling.paging import page
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.replacing import refreshing, refreshstatus
from parity.model.scaling.state import Group, LaunchSource, Refresh

STRATEGY = "Rolling"
LEAST = 90
CHECKPOINT_DELAY_S, DELAY_S_MAX = 3600, 172_800
PROTECTED, STANDBY = ("Refresh", "Ignore", "Wait"), ("Terminate", "Ignore", "Wait")
ALARMS_MAX = 10
PAGE, PAGE_MAX = 50, 100
#: M: AWS's words are known of a cancellation that waits; those of one that does not, and of a rollback, are ours.
CANCELLED = "Cancelled due to user request."
CANCELLED_AT_ONCE = "Cancelled without waiting for ongoing instance launches and terminations due to user request."
ROLLED_BACK = "Manual rollback was initiated due to user request."


@operation("autoscaling", "StartInstanceRefresh")
def start(region: Region, request: Request) -> Answer:
    """Have a group's instances replaced, a few at a time."""
    group = groups.alive(region, request["AutoScalingGroupName"])
    strategy = request.get("Strategy") or STRATEGY
    if strategy != STRATEGY:
        raise _refused(f"The strategy {strategy} is not supported for the AutoScalingGroup {group.name}.")
    preferences = _checked(region, group, request.get("Preferences") or {})
    stated = request.get("DesiredConfiguration")
    target = _target(region, stated) if stated else None
    if preferences["AutoRollback"] and (why := _irreversible(group, target)):
        raise _refused(f"AutoRollback cannot be enabled for this instance refresh. {why}")
    if group.refresh:
        raise ServiceError(
            "InstanceRefreshInProgress",
            "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
        )
    refresh = Refresh(
        refresh_id=region.new_uuid(),
        status=refreshstatus.PENDING,
        started_us=region.now_us,
        preferences=preferences,
        stated=dict(stated) if stated else None,
        target=target,
    )
    group.refreshes = [one for one in group.refreshes if one.started_us >= region.now_us - KEPT_US] + [refresh]
    region.at(region.now_us, "refresh-begin", group.name, refresh.refresh_id)
    return {"InstanceRefreshId": refresh.refresh_id}


def _target(region: Region, stated: Mapping[str, Any]) -> LaunchSource:
    """The launch source that a desired configuration is."""
    keys = ("LaunchTemplate", "MixedInstancesPolicy")
    source = launch.stated(region, {key: stated[key] for key in keys if stated.get(key)})
    if source is None:
        raise _refused("DesiredConfiguration must contain either LaunchTemplate or MixedInstancesPolicy.")
    return source


def _irreversible(group: Group, target: LaunchSource | None) -> str:
    """Why a refresh cannot be rolled back; empty where it can."""
    if target is None:
        return "There is no desired configuration specified for the instance refresh."
    if group.source.version in {launch.LATEST, launch.DEFAULT}:
        return f"The Auto Scaling group uses the launch template's {group.source.version} version."
    return ""


# Preferences.


def _checked(region: Region, group: Group, given: Mapping[str, Any]) -> dict[str, Any]:
    """The preferences that a call states, and for the others what AWS takes.

    Raises:
        ServiceError: One of them cannot be.
    """
    least, most = _percentages(group, given)
    warmup_s = _seconds(given, "InstanceWarmup")
    if warmup_s is None:
        warmup_s = group.grace_s if group.warmup_s is None else group.warmup_s
    checked = {
        "MinHealthyPercentage": least,
        "InstanceWarmup": warmup_s,
        "SkipMatching": bool(given.get("SkipMatching")),
        "AutoRollback": bool(given.get("AutoRollback")),
        "ScaleInProtectedInstances": _one_of(given, "ScaleInProtectedInstances", PROTECTED),
        "StandbyInstances": _one_of(given, "StandbyInstances", STANDBY),
        "MaxHealthyPercentage": most,
        **_checkpoints(given),
        "BakeTime": _seconds(given, "BakeTime", DELAY_S_MAX),
        "AlarmSpecification": _alarms(region, given),
    }
    return {key: value for key, value in checked.items() if value is not None}


def _percentages(group: Group, given: Mapping[str, Any]) -> tuple[int, int | None]:
    least, most = given.get("MinHealthyPercentage"), given.get("MaxHealthyPercentage")
    if most is not None and least is None:
        raise _refused("If you specify MaxHealthyPercentage, you must also specify MinHealthyPercentage.")
    if least is None:
        return group.maintenance or (LEAST, None)
    if most is None and group.maintenance:
        most = group.maintenance[1]
    if not 0 <= least <= 100 or (most is not None and not 100 <= most <= 200):
        raise _refused("MinHealthyPercentage must be between 0 and 100, and MaxHealthyPercentage between 100 and 200.")
    if most is not None and most - least > 100:
        raise _refused(
            "The difference between MinHealthyPercentage and MaxHealthyPercentage cannot be greater than 100."
        )
    return least, most


def _seconds(given: Mapping[str, Any], name: str, most: int | None = None) -> int | None:
    value: int | None = given.get(name)
    if value is not None and (value < 0 or (most is not None and value > most)):
        raise _refused(f"{name} must be at least 0" + (f" and at most {most}." if most is not None else "."))
    return value


def _one_of(given: Mapping[str, Any], name: str, values: tuple[str, ...]) -> str:
    value = given.get(name) or "Wait"
    if value not in values:
        raise _refused(
            f"1 validation error detected: Value '{value}' at 'preferences.{name[0].lower()}{name[1:]}' failed to "
            f"satisfy constraint: Member must satisfy enum value set: [{', '.join(values)}]"
        )
    return str(value)


def _checkpoints(given: Mapping[str, Any]) -> dict[str, Any]:
    percentages, delay_s = given.get("CheckpointPercentages"), _seconds(given, "CheckpointDelay", DELAY_S_MAX)
    if not percentages:
        if delay_s is not None:
            raise _refused("If you specify CheckpointDelay, you must also specify CheckpointPercentages.")
        return {}
    if list(percentages) != sorted(set(percentages)) or not all(1 <= one <= 100 for one in percentages):
        raise _refused("CheckpointPercentages must be unique, in ascending order, and between 1 and 100.")
    delay_s = CHECKPOINT_DELAY_S if delay_s is None else delay_s
    return {"CheckpointPercentages": list(percentages), "CheckpointDelay": delay_s}


def _alarms(region: Region, given: Mapping[str, Any]) -> dict[str, Any] | None:
    names = (given.get("AlarmSpecification") or {}).get("Alarms")
    if not names:
        return None
    if len(names) > ALARMS_MAX:
        raise _refused(f"You can specify up to {ALARMS_MAX} alarms.")
    if unknown := [name for name in names if name not in region.state.alarms]:
        raise _refused(f"The following CloudWatch alarms do not exist: [{', '.join(unknown)}]")
    return {"Alarms": list(names)}


# While it goes on.


def _active(group: Group, states: set[str]) -> Refresh:
    refresh = group.refresh
    if refresh is None or refresh.status not in states:
        raise ServiceError("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found.")
    return refresh


@operation("autoscaling", "CancelInstanceRefresh")
def cancel(region: Region, request: Request) -> Answer:
    """Replace nothing more; what was replaced stays."""
    group = region.group(request["AutoScalingGroupName"])
    states = {refreshstatus.PENDING, refreshstatus.RUNNING, refreshstatus.BAKING, refreshstatus.ROLLING_BACK}
    refresh = _active(group, states)
    if request.get("WaitForTransitioningInstances", True):
        refresh.percent = refreshstatus.percent(region, group, refresh)
        refresh.status, refresh.reason = refreshstatus.CANCELLING, CANCELLED
        refresh.waits_until_us = None
        group.refreshed_to = None
        region.touch(group)
    else:
        refreshing.end(region, group, refresh, refreshstatus.CANCELLED, CANCELLED_AT_ONCE)
    return {"InstanceRefreshId": refresh.refresh_id}


@operation("autoscaling", "RollbackInstanceRefresh")
def roll_back(region: Region, request: Request) -> Answer:
    """Replace what was replaced by what there was before."""
    group = region.group(request["AutoScalingGroupName"])
    refresh = _active(group, {refreshstatus.PENDING, refreshstatus.RUNNING, refreshstatus.BAKING})
    if why := _irreversible(group, refresh.target):
        raise ServiceError("IrreversibleInstanceRefresh", f"The instance refresh cannot be rolled back. {why}")
    refreshing.roll_back(region, group, refresh, ROLLED_BACK)
    return {"InstanceRefreshId": refresh.refresh_id}


# As the API shows it.


@operation("autoscaling", "DescribeInstanceRefreshes", reads=True)
def describe(region: Region, request: Request) -> Answer:
    """A group's refreshes of the last six weeks, the newest first: those named, or all."""
    group = region.group(request["AutoScalingGroupName"])
    ids = request.get("InstanceRefreshIds")
    found = [
        one
        for one in reversed(group.refreshes)
        if one.started_us >= region.now_us - KEPT_US and (not ids or one.refresh_id in ids)
    ]
    limit = min(request.get("MaxRecords") or PAGE, PAGE_MAX)
    chosen, after = page(found, token=request.get("NextToken"), limit=limit, key=lambda one: one.refresh_id)
    answer: Answer = {"InstanceRefreshes": [_shown(region, group, refresh) for refresh in chosen]}
    return {**answer, "NextToken": after} if after else answer


def _shown(region: Region, group: Group, refresh: Refresh) -> Answer:
    percent, left = refreshstatus.percent(region, group, refresh), refreshstatus.to_update(group, refresh)
    shown: Answer = {
        "InstanceRefreshId": refresh.refresh_id,
        "AutoScalingGroupName": group.name,
        "Status": refresh.status,
        "StartTime": refresh.started_us,
        "PercentageComplete": percent,
        "InstancesToUpdate": left,
        "Preferences": dict(refresh.preferences),
        "Strategy": STRATEGY,
    }
    optional = {
        "StatusReason": _reason(region, group, refresh),
        "EndTime": refresh.ended_us,
        "DesiredConfiguration": refresh.stated,
        "RollbackDetails": refresh.rollback,
        "ProgressDetails": _progress(group, refresh, percent, left),
    }
    return {**shown, **{key: value for key, value in optional.items() if value}}


def _reason(region: Region, group: Group, refresh: Refresh) -> str:
    going = refresh.status in {refreshstatus.RUNNING, refreshstatus.BAKING, refreshstatus.ROLLING_BACK}
    waiting = refreshstatus.waiting_for(region, group, refresh) if going else ""
    return waiting or refresh.reason


def _progress(group: Group, refresh: Refresh, percent: int, left: int) -> Answer | None:
    """What is done of the group and of its warm pool, where it has one."""
    if group.warm_pool is None:
        return None
    old = sum(one in group.warm_pool.members for one in refresh.warm) if refresh.ended_us is None else 0
    share = (len(refresh.warm) - old) * 100 // len(refresh.warm) if refresh.warm else 100
    return {
        "LivePoolProgress": {"PercentageComplete": percent, "InstancesToUpdate": left},
        "WarmPoolProgress": {"PercentageComplete": share, "InstancesToUpdate": old},
    }


def _refused(text: str) -> ServiceError:
    return ServiceError("ValidationError", text)
