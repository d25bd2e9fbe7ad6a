"""Lifecycle hooks: who waits, how long, and what comes of it."""

from __future__ import annotations

import pytest
from scaling_world import World, refused


def waiting(**hook) -> tuple[World, str]:
    """A group whose one instance waits for the hook `ready`."""
    world = World().configured().group()
    world.put_hook("ready", **hook)
    world.resize(1)
    assert world.states() == ["Pending:Wait"]
    return world, world.ids()[0]


def test_a_launch_hook_that_nobody_answers_is_given_up_after_its_heartbeat():
    world, first = waiting()
    assert world.activities()[0]["StatusCode"] == "MidLifecycleAction"

    world.run(3599)
    assert world.ids() == [first]
    world.run(1)
    assert world.ids() != [first]
    assert world.states() == ["Pending:Wait"]
    given_up = next(one for one in world.activities() if first in one["Description"])
    assert given_up["StatusCode"] == "Cancelled"
    assert given_up["StatusMessage"].startswith("Instance failed to complete user's Lifecycle Action: Lifecycle Action")
    assert given_up["StatusMessage"].endswith("was abandoned: Heartbeat Timeout")
    assert first not in world.region.state.groups["g"].members
    assert world.region.state.instances[first].state == "terminated"


def test_a_launch_hook_that_is_completed_brings_the_instance_into_service():
    world, first = waiting()
    world.run(100)
    world.complete("ready", first)

    assert world.states() == ["InService"]
    assert world.of().members[first].in_service_us == world.now_us


def test_a_heartbeat_restarts_the_timer():
    world, first = waiting()
    world.run(1800)
    world.call("RecordLifecycleActionHeartbeat", AutoScalingGroupName="g", LifecycleHookName="ready", InstanceId=first)

    world.run(3599)
    assert world.ids() == [first]
    world.run(1)
    assert world.ids() != [first]


def test_heartbeats_do_not_go_beyond_a_hundred_of_them():
    world, first = waiting(HeartbeatTimeout=30)
    token = world.of().members[first].waits["ready"].token
    for _ in range(149):
        world.run(20)
        world.call(
            "RecordLifecycleActionHeartbeat",
            AutoScalingGroupName="g",
            LifecycleHookName="ready",
            LifecycleActionToken=token,
        )
    assert world.ids() == [first]
    world.run(20)
    assert world.ids() != [first]


def test_a_default_result_of_continue_lets_go_on():
    world, first = waiting(DefaultResult="CONTINUE", HeartbeatTimeout=60)
    world.run(60)
    assert world.states() == ["InService"]
    assert world.ids() == [first]


def test_all_hooks_must_be_completed_and_one_that_is_abandoned_is_enough():
    world = World().configured().group()
    world.put_hook("one")
    world.put_hook("two")
    world.resize(1)
    first = world.ids()[0]

    world.complete("one", first)
    assert world.states() == ["Pending:Wait"]
    assert refused(
        world,
        "CompleteLifecycleAction",
        AutoScalingGroupName="g",
        LifecycleHookName="one",
        InstanceId=first,
        LifecycleActionResult="CONTINUE",
    ) == ("ValidationError", f"No active Lifecycle Action found with instance ID {first}")
    world.complete("two", first, "ABANDON")
    world.run()
    assert first not in world.ids()


@pytest.mark.parametrize("result", ["CONTINUE", "ABANDON"])
def test_a_terminating_instance_goes_after_its_hook_whatever_the_result(result):
    world = World().configured().group(DesiredCapacity=1)
    world.put_hook("drain", "TERMINATING")
    first = world.ids()[0]
    world.resize(0)

    assert world.states() == ["Terminating:Wait"]
    assert world.region.state.instances[first].state == "running"
    world.complete("drain", first, result)
    assert world.states() == ["Terminating:Proceed"]
    world.run()
    assert world.ids() == []
    assert world.activities()[0]["StatusCode"] == "Successful"


def test_an_instance_that_a_hook_gave_up_can_be_kept():
    world = World().configured()
    world.group(DesiredCapacity=1, InstanceLifecyclePolicy={"RetentionTriggers": {"TerminateHookAbandon": "retain"}})
    world.put_hook("drain", "TERMINATING", HeartbeatTimeout=30)
    first = world.ids()[0]
    world.resize(0)
    world.run(30)

    assert world.states() == ["Terminating:Retained"]
    world.call("TerminateInstanceInAutoScalingGroup", InstanceId=first, ShouldDecrementDesiredCapacity=False)
    world.run()
    assert world.ids() == []


def test_deleting_a_hook_ends_the_waits_for_it():
    world, first = waiting()
    world.put_hook("drain", "TERMINATING")
    world.complete("ready", first)
    world.resize(0)
    assert world.states() == ["Terminating:Wait"]
    world.call("DeleteLifecycleHook", AutoScalingGroupName="g", LifecycleHookName="drain")
    world.run()
    assert world.ids() == []

    world.resize(1)
    second = world.ids()[0]
    world.call("DeleteLifecycleHook", AutoScalingGroupName="g", LifecycleHookName="ready")
    world.run()
    assert world.states() == ["InService"]
    assert world.ids() != [second]


def test_a_hook_is_described_with_its_defaults_and_keeps_what_is_not_stated_again():
    world = World().configured().group()
    world.put_hook("h", HeartbeatTimeout=60, NotificationMetadata="m")
    world.call("PutLifecycleHook", AutoScalingGroupName="g", LifecycleHookName="h", DefaultResult="CONTINUE")

    assert world.call("DescribeLifecycleHooks", AutoScalingGroupName="g")["LifecycleHooks"] == [
        {
            "LifecycleHookName": "h",
            "AutoScalingGroupName": "g",
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
            "HeartbeatTimeout": 60,
            "GlobalTimeout": 6000,
            "DefaultResult": "CONTINUE",
            "NotificationMetadata": "m",
        }
    ]
    assert (
        refused(world, "PutLifecycleHook", AutoScalingGroupName="g", LifecycleHookName="new", HeartbeatTimeout=60)[0]
        == "ValidationError"
    )


def test_force_takes_no_heed_of_hooks():
    world = World().configured().group(DesiredCapacity=2)
    world.put_hook("drain", "TERMINATING")
    world.resize(1)
    assert sorted(world.states()) == ["InService", "Terminating:Wait"]
    world.call("DeleteAutoScalingGroup", AutoScalingGroupName="g", ForceDelete=True)
    world.run()
    assert world.region.state.groups == {}
    assert {one.state for one in world.region.state.instances.values()} == {"terminated"}
