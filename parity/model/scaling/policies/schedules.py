"""Scheduled actions: kept, shown, and run when they are due."""

from __future__ import annotations

from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.groups import capacity, causes, settings
from parity.model.scaling.groups import crud as groups
from parity.model.scaling.groups.processes import suspended
from parity.model.scaling.paging import page
from parity.model.scaling.policies import cron
from parity.model.scaling.region import Answer, Region, Request, operation, timer
from parity.model.scaling.state import Group, Schedule

SCHEDULES_MAX = 125
BATCH_MAX = 50
DESCRIBED, DESCRIBED_MAX = 50, 100
#: What an action states, and where it is kept.
_FIELDS = {
    "StartTime": "start_us",
    "EndTime": "end_us",
    "Recurrence": "recurrence",
    "TimeZone": "time_zone",
    "MinSize": "min_size",
    "MaxSize": "max_size",
    "DesiredCapacity": "desired",
}


@operation("autoscaling", "PutScheduledUpdateGroupAction")
def put(region: Region, request: Request) -> Answer:
    """Make a scheduled action, or change one: what is not stated stays as it is."""
    group = groups.alive(region, request["AutoScalingGroupName"])
    _put(region, group, request)
    return {}


@operation("autoscaling", "BatchPutScheduledUpdateGroupAction")
def put_batch(region: Region, request: Request) -> Answer:
    """Make or change several; the answer says which of them are refused, and why."""
    group = groups.alive(region, request["AutoScalingGroupName"])
    stated = request["ScheduledUpdateGroupActions"]
    _check_batch(len(stated))
    failed = []
    for each in stated:
        try:
            _put(region, group, each)
        except ServiceError as error:
            failed.append(_failure(each["ScheduledActionName"], error))
    return {"FailedScheduledUpdateGroupActions": failed}


def _check_batch(size: int) -> None:
    if size > BATCH_MAX:
        raise ServiceError("ValidationError", f"The maximum number of scheduled actions in a batch is {BATCH_MAX}")


def _failure(name: str, error: ServiceError) -> dict[str, str]:
    return {"ScheduledActionName": name, "ErrorCode": error.code, "ErrorMessage": error.message}


def _put(region: Region, group: Group, stated: Request) -> None:
    name = stated["ScheduledActionName"]
    had = group.schedules.get(name)
    place = f"autoScalingGroupName/{group.name}:scheduledActionName/{name}"
    kept = {field: getattr(had, field) for field in _FIELDS.values()} if had else {}
    given = {field: stated[key] for key, field in _FIELDS.items() if stated.get(key) is not None}
    schedule = Schedule(name=name, arn=had.arn if had else "", **{**kept, **given})
    _check(region, schedule, stated)
    if schedule.start_us is not None and "start_us" in given:
        schedule.next_us = schedule.start_us
    elif had:
        # As observed of AWS: another recurrence counts from the next run on, which is when it was to be.
        schedule.next_us = had.next_us
    else:
        schedule.next_us = _following(region, schedule)
    _check_place(group, schedule, starts="start_us" in given)
    if had is None:
        schedule.arn = region.arn("autoscaling", f"scheduledUpdateGroupAction:{region.new_uuid()}:{place}")
    group.schedules[name] = schedule
    _await(region, group, schedule)


def _check(region: Region, schedule: Schedule, stated: Request) -> None:
    """Look an action over.

    Raises:
        ServiceError: Auto Scaling would not take it.
    """
    low, high, desired = schedule.min_size, schedule.max_size, schedule.desired
    sizes = {"Min size": low, "Max size": high, "Desired capacity": desired}
    if all(size is None for size in sizes.values()):
        raise _refused("At least one of max size, min size, or desired capacity must be specified")
    for name, size in sizes.items():
        if size is not None and size < 0:
            raise _refused(f"{name} must be non-negative")
    if low is not None and high is not None and low > high:
        raise _refused("Min size must be less than or equal to max size")
    if desired is not None and high is not None and desired > high:
        raise _refused("Desired capacity must be less than or equal to max size")
    if desired is not None and low is not None and desired < low:
        raise _refused("Desired capacity must be greater than or equal to min size")
    _check_times(region, schedule, stated)


def _check_times(region: Region, schedule: Schedule, stated: Request) -> None:
    start_us, end_us = stated.get("StartTime"), stated.get("EndTime")
    if start_us is not None and start_us < region.now_us:
        raise _refused("Given start time is in the past")
    if end_us is not None and end_us < region.now_us:
        raise _refused("Given end time is in the past")
    if schedule.start_us is not None and schedule.end_us is not None and schedule.end_us <= schedule.start_us:
        raise _refused("Given end time must be after start time")
    if not schedule.recurrence and schedule.start_us is None:
        raise _refused("Scheduled start time must be specified for non-recurrent future group action")
    if schedule.time_zone and not schedule.recurrence:
        raise _refused("Time zone can only be specified for a recurring action")
    if schedule.recurrence:
        cron.following(schedule.recurrence, schedule.time_zone, region.now_us)


def _check_place(group: Group, schedule: Schedule, *, starts: bool) -> None:
    others = [other for other in group.schedules.values() if other.name != schedule.name]
    if schedule.name not in group.schedules and len(others) >= SCHEDULES_MAX:
        raise ServiceError("LimitExceeded", f"You've reached your limit of {SCHEDULES_MAX} scheduled actions per group")
    if starts and any(other.next_us == schedule.next_us for other in others):
        raise ServiceError("AlreadyExists", "Scheduled action with this scheduled start time already exists")


def _following(region: Region, schedule: Schedule) -> int | None:
    """When an action's recurrence is due next."""
    return cron.following(schedule.recurrence, schedule.time_zone, region.now_us)


def _await(region: Region, group: Group, schedule: Schedule) -> None:
    """Have an action run when it is due, and deleted at its end."""
    due_us, end_us = schedule.next_us, schedule.end_us
    if end_us is not None:
        region.at(end_us, "schedule-end", group.name, schedule.name, str(end_us))
    if due_us is not None and (end_us is None or due_us < end_us):
        region.at(due_us, "schedule", group.name, schedule.name, str(due_us))


@timer("schedule")
def run(region: Region, group_name: str, name: str, due: str) -> None:
    """Run an action. Up to two minutes late is what AWS promises; here it is on time.

    While scheduled actions are suspended nothing happens, and is not made up for.
    """
    group = region.state.groups.get(group_name)
    schedule = group.schedules.get(name) if group else None
    if group is None or schedule is None or schedule.next_us != int(due):
        return
    if schedule.recurrence:
        schedule.next_us = _following(region, schedule)
        _await(region, group, schedule)
    else:
        del group.schedules[name]
    if not suspended(group, "ScheduledActions") and not group.deleting:
        _change(region, group, schedule)


def _change(region: Region, group: Group, schedule: Schedule) -> None:
    """Set a group's sizes as an action says; the desired capacity goes along with limits where it is not stated."""
    stated = {"MinSize": schedule.min_size, "MaxSize": schedule.max_size, "DesiredCapacity": schedule.desired}
    try:
        min_size, max_size, desired = settings.sizes(stated, group)
    except ServiceError:
        # Sizes that contradict the group's are refused, as when a user asks; here nobody is there to be told.
        return
    group.min_size, group.max_size = min_size, max_size
    why = ""
    if desired != group.desired:
        what = causes.update("a scheduled action", min_size=min_size, max_size=max_size, desired=desired)
        why = causes.changing(region, what, group.desired, desired)
    capacity.resize(region, group, desired, why)


@timer("schedule-end")
def end(region: Region, group_name: str, name: str, end_at: str) -> None:
    """Delete an action whose time is over."""
    group = region.state.groups.get(group_name)
    schedule = group.schedules.get(name) if group else None
    if group and schedule and schedule.end_us == int(end_at):
        del group.schedules[name]


@operation("autoscaling", "DescribeScheduledActions", reads=True)
def describe(region: Region, request: Request) -> Answer:
    """Actions that are still to run."""
    name, names = request.get("AutoScalingGroupName"), request.get("ScheduledActionNames")
    of = [region.group(name)] if name else [group for _, group in sorted(region.state.groups.items())]
    begin_us, end_us = request.get("StartTime"), request.get("EndTime")
    found = [
        (group, schedule)
        for group in of
        for _, schedule in sorted(group.schedules.items())
        if (schedule.name in names if names else _within(schedule, begin_us, end_us))
    ]
    limit = min(request.get("MaxRecords") or DESCRIBED, DESCRIBED_MAX)
    chosen, token = page(found, token=request.get("NextToken"), limit=limit, key=lambda each: each[1].arn)
    told = [_told(group, schedule) for group, schedule in chosen]
    return {"ScheduledUpdateGroupActions": told} | ({"NextToken": token} if token else {})


def _within(schedule: Schedule, begin_us: int | None, end_us: int | None) -> bool:
    next_us = schedule.next_us or 0
    return (begin_us is None or next_us >= begin_us) and (end_us is None or next_us <= end_us)


def _told(group: Group, schedule: Schedule) -> dict[str, Any]:
    """An action as `ScheduledUpdateGroupAction`; its start time is when it runs next."""
    shown = {
        "AutoScalingGroupName": group.name,
        "ScheduledActionName": schedule.name,
        "ScheduledActionARN": schedule.arn,
        "Time": schedule.next_us,
    }
    shown |= {key: getattr(schedule, field) for key, field in _FIELDS.items()} | {"StartTime": schedule.next_us}
    return {key: value for key, value in shown.items() if value not in (None, "")}


@operation("autoscaling", "DeleteScheduledAction")
def delete(region: Region, request: Request) -> Answer:
    """Delete an action."""
    _delete(region.group(request["AutoScalingGroupName"]), request["ScheduledActionName"])
    return {}


@operation("autoscaling", "BatchDeleteScheduledAction")
def delete_batch(region: Region, request: Request) -> Answer:
    """Delete several; the answer says which of them there are not."""
    group = region.group(request["AutoScalingGroupName"])
    _check_batch(len(request["ScheduledActionNames"]))
    failed = []
    for name in request["ScheduledActionNames"]:
        try:
            _delete(group, name)
        except ServiceError as error:
            failed.append(_failure(name, error))
    return {"FailedScheduledActions": failed}


def _delete(group: Group, name: str) -> None:
    if name not in group.schedules:
        raise _refused("Scheduled action name not found")
    del group.schedules[name]


def _refused(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)
