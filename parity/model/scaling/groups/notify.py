"""Messages: of what a group did, to SNS topics; of who waits for a hook, to the hook's target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.groups import activities, hooks, lifecycle
from parity.model.scaling.groups.account import NOTIFICATIONS
from parity.model.scaling.paging import page
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import Activity, Group, Hook, HookWait, Member
from parity.model.scaling.times import iso
from parity.model.scaling.world import Notify

SERVICE = "AWS Auto Scaling"
LAUNCH, LAUNCH_ERROR = "autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_LAUNCH_ERROR"
TERMINATE, TERMINATE_ERROR = "autoscaling:EC2_INSTANCE_TERMINATE", "autoscaling:EC2_INSTANCE_TERMINATE_ERROR"
TEST = "autoscaling:TEST_NOTIFICATION"
TOPICS_MAX = 10
PAGE, PAGE_MAX = 50, 100
#: What a message's subject calls an event, where it goes by mail.
_SUBJECTS = {
    LAUNCH: "launch",
    LAUNCH_ERROR: "failed launch",
    TERMINATE: "termination",
    TERMINATE_ERROR: "failed termination",
    TEST: "test notification",
}
#: What an activity's description begins with, and the events of its success and its failure.
_ACTIVITIES = {
    "Launching a new EC2 instance": (LAUNCH, LAUNCH_ERROR),
    "Terminating EC2 instance": (TERMINATE, TERMINATE_ERROR),
}


def subject_of(message: Mapping[str, Any]) -> str:
    """The subject of a message to a topic, such as `Auto Scaling: launch for group "workers"`."""
    if "LifecycleTransition" in message:
        transition = message["LifecycleTransition"].rpartition("_")[2]
        return f"Auto Scaling:  Lifecycle action '{transition}' for instance {message['EC2InstanceId']} in progress."
    what = _SUBJECTS.get(message.get("Event", ""), "notification")
    return f'Auto Scaling: {what} for group "{message["AutoScalingGroupName"]}"'


# What a group did.


def _ended(region: Region, group: Group, activity: Activity) -> None:
    """Tell of an activity that ended."""
    for beginning, (success, failure) in _ACTIVITIES.items():
        if activity.description.startswith(beginning):
            event = success if activity.status == "Successful" else failure
            break
    else:
        return
    for topic, events in group.notifications.items():
        if event in events:
            region.act(Notify(topic, _activity_message(region, group, activity, event)))


def _activity_message(region: Region, group: Group, activity: Activity, event: str) -> dict[str, Any]:
    # AWS tells of a success as of something still half under way, with its end nevertheless.
    status, progress = ("InProgress", 50) if activity.status == "Successful" else (activity.status, activity.progress)
    launching = event in (LAUNCH, LAUNCH_ERROR)
    end_us = region.now_us if activity.ended_us is None else activity.ended_us
    return {
        **_way(launching=launching),
        "Progress": progress,
        "AccountId": region.state.account_id,
        "Description": activity.description,
        "RequestId": activity.activity_id,
        "EndTime": iso(end_us),
        "AutoScalingGroupARN": group.arn,
        "ActivityId": activity.activity_id,
        "StartTime": iso(activity.started_us),
        "Service": SERVICE,
        "Time": iso(end_us),
        "EC2InstanceId": activity.instance_id,
        "StatusCode": status,
        "StatusMessage": activity.message,
        "Details": dict(activity.details),
        "AutoScalingGroupName": group.name,
        "Cause": activity.cause,
        "Event": event,
    }


def _way(*, launching: bool, inside: str = "AutoScalingGroup", outside: str = "EC2") -> dict[str, str]:
    """Where an instance comes from and where it goes."""
    return {"Origin": outside if launching else inside, "Destination": inside if launching else outside}


def _places(member: Member, *, launching: bool) -> dict[str, str]:
    """Between which places a member goes: its group, its warm pool, and EC2."""
    if member.lifecycle.startswith("Warmed:"):
        return _way(launching=launching, inside="WarmPool")
    pooled = member.warmed if launching else member.returns
    return _way(launching=launching, outside="WarmPool" if pooled else "EC2")


def _test_message(region: Region, group: Group) -> dict[str, Any]:
    return {
        "AccountId": region.state.account_id,
        "RequestId": region.new_uuid(),
        "AutoScalingGroupARN": group.arn,
        "AutoScalingGroupName": group.name,
        "Service": SERVICE,
        "Event": TEST,
        "Time": iso(region.now_us),
    }


# Who waits for a hook.


def _waits(region: Region, group: Group, member: Member, wait: HookWait) -> None:
    hook = group.hooks.get(wait.hook)
    if hook is None or not hook.target_arn:
        return
    launching = hook.transition == "launching"
    transitions = {short: name for name, short in hooks.TRANSITIONS.items()}
    message = {
        **_places(member, launching=launching),
        "LifecycleHookName": hook.name,
        "AccountId": region.state.account_id,
        "RequestId": region.new_uuid(),
        "LifecycleTransition": transitions[hook.transition],
        "AutoScalingGroupName": group.name,
        "Service": SERVICE,
        "Time": iso(region.now_us),
        "EC2InstanceId": member.instance_id,
        "LifecycleActionToken": wait.token,
    }
    if hook.metadata:
        message["NotificationMetadata"] = hook.metadata
    region.act(Notify(hook.target_arn, message))


def _put(region: Region, group: Group, hook: Hook) -> None:
    region.act(Notify(hook.target_arn, _test_message(region, group)))


activities.ON_END.append(_ended)
hooks.ON_PUT.append(_put)
lifecycle.ON_WAIT.append(_waits)


# The configurations.


@operation("autoscaling", "PutNotificationConfiguration")
def _put_configuration(region: Region, request: Request) -> Answer:
    group = region.group(request["AutoScalingGroupName"])
    topic, events = request["TopicARN"], list(dict.fromkeys(request["NotificationTypes"]))
    if not topic.startswith("arn:") or ":sns:" not in topic:
        raise ServiceError("ValidationError", f"Invalid Topic ARN: {topic}")
    if unknown := [event for event in events if event not in NOTIFICATIONS]:
        raise ServiceError("ValidationError", f"Invalid notification type: {unknown[0]}")
    if topic not in group.notifications and len(group.notifications) >= TOPICS_MAX:
        raise ServiceError("LimitExceeded", f"Only {TOPICS_MAX} SNS topics are allowed per AutoScalingGroup.")
    group.notifications[topic] = events
    region.act(Notify(topic, _test_message(region, group)))
    return {}


@operation("autoscaling", "DescribeNotificationConfigurations", reads=True)
def _describe_configurations(region: Region, request: Request) -> Answer:
    names = request.get("AutoScalingGroupNames")
    found = [
        (group.name, topic, event)
        for group in region.state.groups.values()
        if not names or group.name in names
        for topic, events in group.notifications.items()
        for event in events
    ]
    limit = min(request.get("MaxRecords") or PAGE, PAGE_MAX)
    rows, token = page(found, token=request.get("NextToken"), limit=limit, key="\n".join)
    keys = ("AutoScalingGroupName", "TopicARN", "NotificationType")
    after = {"NextToken": token} if token else {}
    return {"NotificationConfigurations": [dict(zip(keys, row, strict=True)) for row in rows], **after}


@operation("autoscaling", "DeleteNotificationConfiguration")
def _delete_configuration(region: Region, request: Request) -> Answer:
    group = region.group(request["AutoScalingGroupName"])
    if request["TopicARN"] not in group.notifications:
        raise ServiceError("ValidationError", f"No notification configuration found for topic: {request['TopicARN']}")
    del group.notifications[request["TopicARN"]]
    return {}
