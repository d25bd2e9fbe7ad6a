"""Messages of what a group did, and to who acts in its hooks."""

from __future__ import annotations

from typing import Any

import pytest
from scaling_region import SUBNET_A, Grouped

from parity.model.scaling.groups.notify import subject_of
from parity.model.scaling.world import LaunchFailed, Notify, Removed, Running

TOPIC = "arn:aws:sns:us-east-1:000000000000:scaling"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:hooks"
ALL = [
    "autoscaling:EC2_INSTANCE_LAUNCH",
    "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
    "autoscaling:EC2_INSTANCE_TERMINATE",
    "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
]


@pytest.fixture
def bench() -> Grouped:
    bench = Grouped()
    bench.group(0)
    return bench


def put(bench: Grouped, events: list[str] = ALL, topic: str = TOPIC) -> None:
    bench.auto("PutNotificationConfiguration", AutoScalingGroupName="g", TopicARN=topic, NotificationTypes=events)


def messages(bench: Grouped) -> list[dict[str, Any]]:
    return [told.message for told in bench.asked(Notify)]


def resize(bench: Grouped, desired: int) -> None:
    bench.auto("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=desired)


def test_a_topic_gets_a_test_message_first(bench: Grouped) -> None:
    put(bench)
    (told,) = bench.asked(Notify)
    assert told.target_arn == TOPIC
    request_id = told.message.pop("RequestId")
    assert len(request_id) == 36
    assert told.message == {
        "AccountId": "000000000000",
        "AutoScalingGroupARN": bench.region.state.groups["g"].arn,
        "AutoScalingGroupName": "g",
        "Service": "AWS Auto Scaling",
        "Event": "autoscaling:TEST_NOTIFICATION",
        "Time": "2026-11-25T18:00:00.000Z",
    }
    assert subject_of(told.message) == 'Auto Scaling: test notification for group "g"'


def test_a_launch_and_a_termination_are_told_when_they_are_done(bench: Grouped) -> None:
    put(bench)
    bench.asked(Notify)
    resize(bench, 1)
    assert messages(bench) == []
    bench.later(2)
    (instance_id,) = bench.run()
    (launch,) = messages(bench)
    (activity,) = bench.auto("DescribeScalingActivities", AutoScalingGroupName="g")["Activities"]
    assert launch == {
        "Origin": "EC2",
        "Destination": "AutoScalingGroup",
        "Progress": 50,
        "AccountId": "000000000000",
        "Description": f"Launching a new EC2 instance: {instance_id}",
        "RequestId": activity["ActivityId"],
        "EndTime": "2026-11-25T18:00:02.000Z",
        "AutoScalingGroupARN": bench.region.state.groups["g"].arn,
        "ActivityId": activity["ActivityId"],
        "StartTime": "2026-11-25T18:00:00.000Z",
        "Service": "AWS Auto Scaling",
        "Time": "2026-11-25T18:00:02.000Z",
        "EC2InstanceId": instance_id,
        "StatusCode": "InProgress",
        "StatusMessage": "",
        "Details": {"Subnet ID": SUBNET_A, "Availability Zone": "us-east-1a"},
        "AutoScalingGroupName": "g",
        "Cause": activity["Cause"],
        "Event": "autoscaling:EC2_INSTANCE_LAUNCH",
    }
    resize(bench, 0)
    assert messages(bench) == []
    bench.tell(Removed(instance_id))
    (end,) = messages(bench)
    assert (end["Event"], end["EC2InstanceId"]) == ("autoscaling:EC2_INSTANCE_TERMINATE", instance_id)
    assert (end["Origin"], end["Destination"]) == ("AutoScalingGroup", "EC2")
    assert [subject_of(one) for one in (launch, end)] == [
        'Auto Scaling: launch for group "g"',
        'Auto Scaling: termination for group "g"',
    ]


def test_a_failed_launch_is_told_with_its_reason(bench: Grouped) -> None:
    put(bench)
    bench.asked(Notify)
    resize(bench, 1)
    (instance_id,) = bench.region.state.instances
    bench.tell(LaunchFailed(instance_id, message="no such image", code="InvalidAMIID.NotFound"))
    (told,) = messages(bench)
    assert (told["Event"], told["StatusCode"]) == ("autoscaling:EC2_INSTANCE_LAUNCH_ERROR", "Failed")
    assert "no such image" in told["StatusMessage"]
    assert subject_of(told) == 'Auto Scaling: failed launch for group "g"'


def test_only_what_was_asked_for_is_told(bench: Grouped) -> None:
    put(bench, ["autoscaling:EC2_INSTANCE_TERMINATE"])
    # What is put again replaces what was there.
    put(bench, ["autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:TEST_NOTIFICATION"], topic=TOPIC)
    bench.asked(Notify)
    resize(bench, 1)
    (instance_id,) = bench.run()
    resize(bench, 0)
    bench.tell(Removed(instance_id))
    assert [told["Event"] for told in messages(bench)] == ["autoscaling:EC2_INSTANCE_LAUNCH"]
    bench.auto("DeleteNotificationConfiguration", AutoScalingGroupName="g", TopicARN=TOPIC)
    resize(bench, 1)
    bench.run()
    assert messages(bench) == []


def test_configurations_are_described_by_topic_and_type(bench: Grouped) -> None:
    put(bench, ALL[:2])
    put(bench, ALL[2:3], topic=TOPIC + "2")
    first = bench.auto("DescribeNotificationConfigurations", AutoScalingGroupNames=["g"], MaxRecords=2)
    assert [one["NotificationType"] for one in first["NotificationConfigurations"]] == ALL[:2]
    second = bench.auto("DescribeNotificationConfigurations", NextToken=first["NextToken"])
    assert second["NotificationConfigurations"] == [
        {"AutoScalingGroupName": "g", "TopicARN": TOPIC + "2", "NotificationType": ALL[2]}
    ]
    assert bench.auto("DescribeNotificationConfigurations", AutoScalingGroupNames=["x"]) == {
        "NotificationConfigurations": []
    }


def hook(bench: Grouped, transition: str, **more: Any) -> None:
    bench.auto(
        "PutLifecycleHook",
        AutoScalingGroupName="g",
        LifecycleHookName=transition.lower(),
        LifecycleTransition=f"autoscaling:EC2_INSTANCE_{transition}",
        **more,
    )


def test_who_acts_in_a_hook_is_told_of_each_instance(bench: Grouped) -> None:
    hook(bench, "LAUNCHING", NotificationTargetARN=QUEUE, RoleARN="arn:aws:iam::1:role/r", NotificationMetadata="boot")
    (test,) = bench.asked(Notify)
    assert (test.target_arn, test.message["Event"]) == (QUEUE, "autoscaling:TEST_NOTIFICATION")
    resize(bench, 1)
    (instance_id,) = bench.region.state.instances
    assert messages(bench) == []
    bench.later(1)
    bench.tell(Running(instance_id))
    (told,) = bench.asked(Notify)
    assert told.target_arn == QUEUE
    wait = bench.region.state.groups["g"].members[instance_id].waits["launching"]
    assert len(told.message.pop("RequestId")) == 36
    assert told.message == {
        "Origin": "EC2",
        "Destination": "AutoScalingGroup",
        "LifecycleHookName": "launching",
        "AccountId": "000000000000",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "AutoScalingGroupName": "g",
        "Service": "AWS Auto Scaling",
        "Time": "2026-11-25T18:00:01.000Z",
        "EC2InstanceId": instance_id,
        "LifecycleActionToken": wait.token,
        "NotificationMetadata": "boot",
    }
    assert (
        subject_of(told.message)
        == f"Auto Scaling:  Lifecycle action 'LAUNCHING' for instance {instance_id} in progress."
    )
    # The token in the message is the one that ends the wait.
    answered = {"AutoScalingGroupName": "g", "LifecycleHookName": "launching", "LifecycleActionResult": "CONTINUE"}
    bench.auto("CompleteLifecycleAction", LifecycleActionToken=told.message["LifecycleActionToken"], **answered)
    assert bench.states() == {instance_id: "InService"}
    hook(bench, "TERMINATING", NotificationTargetARN=TOPIC, RoleARN="arn:aws:iam::1:role/r")
    bench.asked(Notify)
    resize(bench, 0)
    (told,) = bench.asked(Notify)
    assert (told.target_arn, told.message["Origin"]) == (TOPIC, "AutoScalingGroup")
    assert "NotificationMetadata" not in told.message


def test_an_abandoned_launch_is_a_failed_one(bench: Grouped) -> None:
    put(bench)
    hook(bench, "LAUNCHING")
    bench.asked(Notify)
    resize(bench, 1)
    (instance_id,) = bench.run()
    bench.auto(
        "CompleteLifecycleAction",
        AutoScalingGroupName="g",
        LifecycleHookName="launching",
        InstanceId=instance_id,
        LifecycleActionResult="ABANDON",
    )
    (told,) = messages(bench)
    assert (told["Event"], told["StatusCode"]) == ("autoscaling:EC2_INSTANCE_LAUNCH_ERROR", "Cancelled")
    assert told["StatusMessage"].endswith("was abandoned: Lifecycle Action Completed with ABANDON Result")


def test_a_hook_of_a_new_group_is_tested_too() -> None:
    bench = Grouped()
    given = {
        "LifecycleHookName": "boot",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "NotificationTargetARN": QUEUE,
        "RoleARN": "arn:aws:iam::1:role/r",
    }
    bench.group(0, LifecycleHookSpecificationList=[given])
    assert [told.message["Event"] for told in bench.asked(Notify)] == ["autoscaling:TEST_NOTIFICATION"]


def test_what_is_refused(bench: Grouped) -> None:
    def refused(topic: str = TOPIC, events: list[str] = ALL) -> tuple[str, str]:
        given = {"AutoScalingGroupName": "g", "TopicARN": topic, "NotificationTypes": events}
        return bench.refused("autoscaling", "PutNotificationConfiguration", **given)

    assert refused(topic=QUEUE) == ("ValidationError", f"Invalid Topic ARN: {QUEUE}")
    assert refused(events=["autoscaling:X"]) == ("ValidationError", "Invalid notification type: autoscaling:X")
    for number in range(10):
        put(bench, ALL[:1], topic=f"{TOPIC}{number}")
    assert refused()[0] == "LimitExceeded"
    unknown = {"AutoScalingGroupName": "g", "TopicARN": TOPIC}
    assert bench.refused("autoscaling", "DeleteNotificationConfiguration", **unknown)[0] == "ValidationError"
