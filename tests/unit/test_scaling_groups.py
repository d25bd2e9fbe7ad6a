"""A group's life: sizes, instances that come and go, and what the activities say of it."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from scaling_world import World, refused

from parity.model.scaling.api import Region
from parity.model.scaling.groups import capacity
from parity.model.scaling.state import State
from parity.model.scaling.world import Launch, Running


def test_a_group_comes_to_its_size_and_says_why():
    world = World().configured().group(MinSize=1, DesiredCapacity=2)

    assert world.states() == ["InService", "InService"]
    first = world.activities()[0]
    assert first["Cause"] == (
        "At 2026-11-25T18:00:00Z a user request created an AutoScalingGroup changing the desired capacity from 0 to 2."
        "  At 2026-11-25T18:00:00Z an instance was started in response to a difference between desired and actual "
        "capacity, increasing the capacity from 0 to 2."
    )
    assert first["Description"] == f"Launching a new EC2 instance: {world.ids()[1]}"
    assert (first["StatusCode"], first["Progress"]) == ("Successful", 100)


def test_a_larger_desired_capacity_launches_the_difference():
    world = World().configured().group(DesiredCapacity=2)
    world.lazy = True
    world.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=4)
    actions = world.run(10)

    assert [type(action) for action in actions] == [Launch, Launch]
    assert sorted(world.states()) == ["InService", "InService", "Pending", "Pending"]
    assert [one["StatusCode"] for one in world.activities()][:3] == ["PreInService", "PreInService", "Successful"]
    world.run(5, *(Running(action.instance_id) for action in actions if isinstance(action, Launch)))
    assert world.states() == ["InService"] * 4


def test_a_smaller_desired_capacity_terminates_with_the_reason():
    world = World().configured().group(DesiredCapacity=3)
    world.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=2)
    world.run(1)

    assert len(world.ids()) == 2
    last = world.activities()[0]
    gone = last["Description"].removeprefix("Terminating EC2 instance: ")
    assert last["Cause"] == (
        "At 2026-11-25T18:00:00Z a user request explicitly set group desired capacity changing the desired capacity "
        "from 3 to 2.  At 2026-11-25T18:00:00Z an instance was taken out of service in response to a difference "
        "between desired and actual capacity, shrinking the capacity from 3 to 2.  At 2026-11-25T18:00:00Z instance "
        f"{gone} was selected for termination."
    )


@pytest.mark.parametrize(("desired", "limit"), [(3, "above max value 2"), (0, "below min value 1")])
def test_a_desired_capacity_outside_the_limits_is_refused(desired, limit):
    world = World().configured().group(MinSize=1, MaxSize=2)

    assert refused(world, "SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=desired) == (
        "ValidationError",
        f"New SetDesiredCapacity value {desired} is {limit} for the AutoScalingGroup.",
    )


def test_limits_alone_move_the_desired_capacity_when_they_leave_it_out():
    world = World().configured().group(DesiredCapacity=3)

    world.call("UpdateAutoScalingGroup", AutoScalingGroupName="g", MinSize=4)
    assert world.of().desired == 4
    world.call("UpdateAutoScalingGroup", AutoScalingGroupName="g", MinSize=1, MaxSize=2)
    assert world.of().desired == 2
    world.run()
    assert len(world.ids()) == 2
    assert (
        "constraints to min: 1, max: 2, desired: 2 changing the desired capacity from 4 to 2."
        in (world.activities()[0]["Cause"])
    )


def test_an_update_that_contradicts_itself_changes_nothing():
    world = World().configured().group(DesiredCapacity=2)

    assert refused(
        world, "UpdateAutoScalingGroup", AutoScalingGroupName="g", MinSize=4, DesiredCapacity=2, DefaultCooldown=1
    ) == ("ValidationError", "Desired capacity:2 must be between the specified min size:4 and max size:10")


def test_termination_on_request_keeps_or_lowers_the_desired_capacity():
    world = World().configured().group(MinSize=1, DesiredCapacity=2)
    first, second = world.ids()

    answer = world.call("TerminateInstanceInAutoScalingGroup", InstanceId=first, ShouldDecrementDesiredCapacity=False)[
        "Activity"
    ]
    assert answer["Cause"] == (
        f"At 2026-11-25T18:00:00Z instance {first} was taken out of service in response to a user request."
    )
    world.run()
    assert len(world.ids()) == 2
    assert first not in world.ids()

    world.call("TerminateInstanceInAutoScalingGroup", InstanceId=second, ShouldDecrementDesiredCapacity=True)
    world.run()
    assert len(world.ids()) == 1
    assert refused(
        world, "TerminateInstanceInAutoScalingGroup", InstanceId=world.ids()[0], ShouldDecrementDesiredCapacity=True
    )[1].startswith("Currently, desiredSize equals minSize (1).")


def test_a_group_with_instances_is_deleted_with_force_only():
    world = World().configured().group(DesiredCapacity=1)

    assert refused(world, "DeleteAutoScalingGroup", AutoScalingGroupName="g")[0] == "ResourceInUse"
    world.call("DeleteAutoScalingGroup", AutoScalingGroupName="g", ForceDelete=True)
    assert world.shown()["Status"] == "Delete in progress"
    world.run()
    assert world.call("DescribeAutoScalingGroups")["AutoScalingGroups"] == []
    assert refused(world, "SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=0) == (
        "ValidationError",
        "AutoScalingGroup name not found - AutoScalingGroup g not found",
    )
    told = world.call("DescribeScalingActivities", AutoScalingGroupName="g", IncludeDeletedGroups=True)["Activities"]
    assert [one["AutoScalingGroupState"] for one in told] == ["Deleted", "Deleted"]


def test_activities_of_deleted_groups_are_forgotten_after_six_weeks():
    world = World().configured().group(DesiredCapacity=1)
    world.call("DeleteAutoScalingGroup", AutoScalingGroupName="g", ForceDelete=True)
    world.run()
    world.run(43 * 86_400)
    assert world.call("DescribeScalingActivities", IncludeDeletedGroups=True)["Activities"] == []
    world.group("h")
    world.call("DeleteAutoScalingGroup", AutoScalingGroupName="h")
    assert [group.name for group in world.region.state.deleted] == ["h"]


def test_what_is_replaced_first_goes_once_the_other_is_in_service():
    world = World().configured().group(DesiredCapacity=2)
    old = world.ids()[0]
    world.put_hook("ready")
    new = capacity.replace_first(world.region, world.of(), world.of().members[old], "an instance refresh")
    assert new
    world.run()
    assert world.states() == ["InService", "InService", "Pending:Wait"]
    world.complete("ready", new.instance_id)
    world.run()
    assert old not in world.ids()
    assert len(world.ids()) == 2
    gone = next(one for one in world.activities() if one["Description"] == f"Terminating EC2 instance: {old}")
    assert "taken out of service in response to an instance refresh.  At" in gone["Cause"]


LIMIT = (
    "You have requested more instances (1) than your current instance limit of 3 allows for the specified instance "
    "type. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit. Launching "
    "EC2 instance failed."
)
SLIP = 2**31 - 1


def failures(world: World) -> list[str]:
    return [one["StatusMessage"] for one in world.activities() if one["StatusCode"] == "Failed"]


@pytest.mark.parametrize("zones", [["us-east-1a"], ["us-east-1a", "us-east-1b"]])
def test_an_account_has_a_limit_of_instances(zones):
    """A capacity of two thousand millions is a slip, and is no reason to answer nobody any more."""
    world = World().configured()
    world.region.state.instances_max = 3
    world.group(MaxSize=SLIP, DesiredCapacity=3, AvailabilityZones=zones)
    world.resize(SLIP)
    assert world.states() == ["InService"] * 3
    assert failures(world) == [LIMIT]
    # It is tried again, ever later; and what is terminated leaves room.
    world.run(15)
    assert failures(world) == [LIMIT] * 2
    world.run(29)
    assert failures(world) == [LIMIT] * 2
    world.call("TerminateInstanceInAutoScalingGroup", InstanceId=world.ids()[0], ShouldDecrementDesiredCapacity=False)
    world.run()
    assert world.states() == ["InService"] * 2
    world.run(1)
    assert world.states() == ["InService"] * 3


def test_a_warm_pool_has_the_same_limit():
    world = World().configured().group(DesiredCapacity=1)
    world.region.state.instances_max = 3
    world.call("PutWarmPool", AutoScalingGroupName="g", MinSize=SLIP)
    world.run()
    assert len(world.of().warm_pool.members) == 2
    assert set(failures(world)) == {LIMIT}


def test_a_launch_that_fails_is_shown_and_tried_again_ever_later():
    world = World().configured()
    world.broken["us-east-1a"] = ("The image id '[ami-1]' does not exist", "InvalidAMIID.NotFound")
    world.group(DesiredCapacity=3)

    failed = world.activities()
    assert len(failed) == 3
    assert failed[0]["StatusMessage"] == "The image id '[ami-1]' does not exist. Launching EC2 instance failed."
    assert failed[0]["Description"] == f"Launching a new EC2 instance.  Status Reason: {failed[0]['StatusMessage']}"
    assert (failed[0]["StatusCode"], failed[0]["Progress"]) == ("Failed", 100)
    begun = [len(world.activities())]
    for _ in range(20):
        world.run(15)
        begun.append(len(world.activities()))
    # One at a time: after 15 s, then 30 s, 60 s and 120 s later.
    assert [second - first for first, second in itertools.pairwise(begun)] == (
        [1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    )
    del world.broken["us-east-1a"]
    world.run(240)
    assert world.states() == ["InService"] * 3


def test_a_launch_that_fails_in_one_zone_is_tried_in_another():
    world = World().configured()
    world.broken["us-east-1a"] = ("Insufficient capacity.", "InsufficientInstanceCapacity")
    world.group(DesiredCapacity=2, AvailabilityZones=["us-east-1a", "us-east-1b"])

    assert [one["AvailabilityZone"] for one in world.shown()["Instances"]] == ["us-east-1b", "us-east-1b"]


def test_the_state_is_the_same_after_it_was_written_and_read():
    world = World().configured().group(DesiredCapacity=2)
    text = msgspec.json.encode(world.region.state)
    again = World()
    again.region = Region(msgspec.json.decode(text, type=State))

    for one in (world, again):
        one.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=4)
        one.run(30)
    assert msgspec.json.encode(again.region.state) == msgspec.json.encode(world.region.state)
