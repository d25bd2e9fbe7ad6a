"""Scaling activities: one for each instance that comes or goes."""

from __future__ import annotations

import bisect
import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from parity.errors import ServiceError
from parity.model.scaling.groups import causes
from parity.model.scaling.paging import page
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import SECOND_US, Activity, Group, Instance

#: AWS keeps six weeks of activities.
KEPT_US = 42 * 86_400 * SECOND_US
PAGE_MAX = 100
#: Called with what ended, as soon as it did.
ON_END: list[Callable[[Region, Group, Activity], None]] = []


def begin(
    region: Region,
    group: Group,
    what: str,
    because: list[str],
    *,
    instance: Instance | None = None,
    status: str = "InProgress",
    progress: int = 0,
) -> Activity:
    """Begin an activity.

    Args:
        region: Where.
        group: Whose.
        what: What is done, such as `Terminating EC2 instance`.
        because: The sentences of its cause.
        instance: The instance it is about; None where none came to be.
        status: Its first status.
        progress: In percent.
    """
    activity = Activity(
        activity_id=region.new_uuid(),
        description=f"{what}: {instance.instance_id}" if instance else f"{what}.",
        cause=causes.joined(because),
        started_us=region.now_us,
        status=status,
        progress=progress,
        instance_id=instance.instance_id if instance else "",
    )
    if instance:
        activity.details = {"Subnet ID": instance.subnet_id, "Availability Zone": instance.zone}
    if alarms := [group.invoked_by[opening] for opening in because if opening in group.invoked_by]:
        activity.details["InvokingAlarms"] = alarms
    group.under_way[activity.activity_id] = activity
    group.changed += 1
    return activity


def proceed(group: Group, activity_id: str, status: str, progress: int) -> None:
    """Say how far an activity is, if it is still under way."""
    if activity := group.under_way.get(activity_id):
        activity.status, activity.progress = status, progress
        group.changed += 1


def end(region: Region, group: Group, activity_id: str, status: str = "Successful", message: str = "") -> None:
    """End an activity, if it is still under way; `message` says why it was no success."""
    activity = group.under_way.pop(activity_id, None)
    if activity is None:
        return
    activity.status, activity.progress, activity.ended_us = status, 100, region.now_us
    if message:
        activity.message = message
        activity.description += f"  Status Reason: {message}"
    _prune(group, region.now_us)
    bisect.insort(group.activities, activity, key=lambda ended: ended.started_us)
    group.changed += 1
    for told in ON_END:
        told(region, group, activity)


def _prune(group: Group, now_us: int) -> None:
    """Forget what is too old, in lots so that it costs nothing to speak of."""
    if group.activities and group.activities[0].started_us < now_us - KEPT_US - 86_400 * SECOND_US:
        first = bisect.bisect_left(group.activities, now_us - KEPT_US, key=lambda ended: ended.started_us)
        del group.activities[:first]


def shown(group: Group, activity: Activity) -> Answer:
    """An activity as the API shows it."""
    answer: Answer = {
        "ActivityId": activity.activity_id,
        "AutoScalingGroupName": group.name,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.started_us,
        "StatusCode": activity.status,
        "Progress": activity.progress,
        "Details": json.dumps(activity.details, separators=(",", ":")),
        "AutoScalingGroupARN": group.arn,
    }
    if group.deleting and not group.members:
        answer["AutoScalingGroupState"] = "Deleted"
    if activity.ended_us is not None:
        # AWS gives the end in whole seconds.
        answer["EndTime"] = activity.ended_us // SECOND_US * SECOND_US
    if activity.message:
        answer["StatusMessage"] = activity.message[:255]
    return answer


@operation("autoscaling", "DescribeScalingActivities", reads=True)
def describe(region: Region, request: Request) -> Answer:
    """Activities: those under way first, then the newest."""
    wanted = _wanted(region, request)
    limit = min(request.get("MaxRecords") or PAGE_MAX, PAGE_MAX)
    found = (pair for group in _groups(region, request) for pair in _newest_first(group) if wanted(pair[1]))
    token = request.get("NextToken")
    # A first page needs no more than itself and to know that there is another.
    items = list(found) if token else list(itertools.islice(found, limit + 1))
    chosen, after = page(items, token=token, limit=limit, key=lambda pair: pair[1].activity_id)
    answer: Answer = {"Activities": [shown(*pair) for pair in chosen]}
    if after:
        answer["NextToken"] = after
    return answer


def _groups(region: Region, request: Request) -> list[Group]:
    """The groups that a call is about: a name that nobody has is no error where deleted groups are asked for."""
    name, deleted = request.get("AutoScalingGroupName"), bool(request.get("IncludeDeletedGroups"))
    gone = [group for group in region.state.deleted if name in {None, group.name}] if deleted else []
    if name is None:
        return [*region.state.groups.values(), *gone]
    if deleted and name not in region.state.groups:
        return gone
    return [region.group(name), *gone]


def _newest_first(group: Group) -> Iterator[tuple[Group, Activity]]:
    for activity in sorted(group.under_way.values(), key=lambda one: one.started_us, reverse=True):
        yield group, activity
    for activity in reversed(group.activities):
        yield group, activity


def _wanted(region: Region, request: Request) -> Callable[[Activity], bool]:
    """The test that an activity must pass."""
    ids = set(request.get("ActivityIds") or ())
    states: set[str] = set()
    earliest, latest = region.now_us - KEPT_US, region.now_us
    for given in request.get("Filters") or ():
        name, values = given.get("Name", ""), given.get("Values") or []
        if name == "Status":
            states.update(values)
        elif name == "StartTimeLowerBound" and values:
            earliest = max(earliest, _time(values[0]))
        elif name == "StartTimeUpperBound" and values:
            latest = min(latest, _time(values[0]))
        else:
            raise ServiceError("ValidationError", f"The filter {name} is not valid.")
    return lambda activity: (
        earliest <= activity.started_us <= latest
        and (not ids or activity.activity_id in ids)
        and (not states or activity.status in states)
    )


def _time(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ServiceError("ValidationError", f"{text} is not a valid timestamp.") from error
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * SECOND_US)
