"""Single instances: standby, attached, detached; suspended processes."""

from __future__ import annotations

from scaling_world import World, refused

from parity.model.scaling.groups import machines
from parity.model.scaling.world import Removed

STANDBY = {"AutoScalingGroupName": "g", "ShouldDecrementDesiredCapacity": True}


def test_standby_and_back_moves_the_desired_capacity():
    world = World().configured().group(DesiredCapacity=2)
    first = world.ids()[0]
    told = world.call("EnterStandby", InstanceIds=[first], **STANDBY)["Activities"][0]
    assert told["Description"] == f"Moving EC2 instance to Standby: {first}"
    assert told["Cause"] == (
        f"At 2026-11-25T18:00:00Z instance {first} was moved to standby in response to a user request, shrinking the "
        "capacity from 2 to 1."
    )
    assert (told["StatusCode"], told["Progress"]) == ("InProgress", 50)
    assert sorted(world.states()) == ["InService", "Standby"]
    assert world.of().desired == 1

    told = world.call("ExitStandby", AutoScalingGroupName="g", InstanceIds=[first])["Activities"][0]
    assert told["Description"] == f"Moving EC2 instance out of Standby: {first}"
    assert (told["StatusCode"], told["Progress"]) == ("PreInService", 30)
    assert world.states() == ["InService", "InService"]
    assert world.of().desired == 2


def test_standby_without_a_smaller_desired_capacity_brings_another():
    world = World().configured().group(MinSize=1, DesiredCapacity=1)
    first = world.ids()[0]
    assert refused(world, "EnterStandby", InstanceIds=[first], **STANDBY) == (
        "ValidationError",
        (
            "AutoScalingGroup g has min-size=1, max-size=10, and desired-size=1. To place into standby 1 instance, "
            "please update the AutoScalingGroup sizes appropriately."
        ),
    )
    world.call("EnterStandby", InstanceIds=[first], **{**STANDBY, "ShouldDecrementDesiredCapacity": False})
    world.run()
    assert sorted(world.states()) == ["InService", "Standby"]
    assert refused(world, "EnterStandby", InstanceIds=[first], **STANDBY) == (
        "ValidationError",
        f"The instance {first} is not in InService.",
    )


def test_in_standby_nobody_looks_at_health():
    world = World().configured().group(DesiredCapacity=1)
    first = world.ids()[0]
    world.call("EnterStandby", InstanceIds=[first], **STANDBY)
    world.run(10, Removed(first))
    assert world.states() == ["Standby"]
    world.call("ExitStandby", AutoScalingGroupName="g", InstanceIds=[first])
    world.run()
    assert first not in world.ids()
    assert world.states() == ["InService"]


def test_what_is_detached_runs_on_and_is_nobodys():
    world = World().configured().group(DesiredCapacity=2)
    first, second = world.ids()
    told = world.call("DetachInstances", InstanceIds=[first], **STANDBY)["Activities"][0]
    assert told["Cause"].endswith("was detached in response to a user request, shrinking the capacity from 2 to 1.")
    assert world.ids() == [second]
    instance = world.region.state.instances[first]
    assert (instance.state, instance.tags, instance.group) == ("running", {}, "")

    world.call("DetachInstances", InstanceIds=[second], **{**STANDBY, "ShouldDecrementDesiredCapacity": False})
    world.run()
    assert len(world.ids()) == 1
    assert second not in world.ids()
    assert refused(world, "DetachInstances", InstanceIds=[first], **STANDBY) == (
        "ValidationError",
        f"The instance {first} is not part of Auto Scaling group g.",
    )


def test_what_is_attached_counts_and_is_tagged():
    world = World().configured().group(MaxSize=1)
    mine = machines.start(
        world.region, image_id="ami-9", instance_type="t3.micro", zone="us-east-1a", subnet_id="subnet-1"
    ).instance_id
    assert refused(world, "AttachInstances", AutoScalingGroupName="g", InstanceIds=[mine])[1] == (
        f"Instance {mine} [pending] is not in correct state. Instance(s) must be in 'running' state."
    )
    world.run()
    world.put_hook("ready")
    world.call("AttachInstances", AutoScalingGroupName="g", InstanceIds=[mine])
    assert world.states() == ["InService"]
    assert world.of().desired == 1
    assert world.region.state.instances[mine].tags == {"aws:autoscaling:groupName": "g"}
    assert world.activities()[0]["Description"] == f"Attaching an existing EC2 instance: {mine}"
    assert refused(world, "AttachInstances", AutoScalingGroupName="g", InstanceIds=[mine]) == (
        "ValidationError",
        f"The Instance: {mine} is already part of AutoScalingGroup:g",
    )


def test_attaching_beyond_the_largest_size_is_refused():
    world = World().configured().group(MaxSize=1, DesiredCapacity=1)
    mine = machines.start(
        world.region, image_id="ami-9", instance_type="t3.micro", zone="us-east-1a", subnet_id="subnet-1"
    ).instance_id
    world.run()
    assert refused(world, "AttachInstances", AutoScalingGroupName="g", InstanceIds=[mine]) == (
        "ValidationError",
        (
            "AutoScalingGroup g has min-size=0, max-size=1, and desired-size=1. To attach 1 instance, please update "
            "the AutoScalingGroup sizes appropriately."
        ),
    )


def test_with_launches_suspended_nothing_comes_until_they_are_resumed():
    world = World().configured().group()
    world.call("SuspendProcesses", AutoScalingGroupName="g", ScalingProcesses=["Launch"])
    world.resize(2)
    world.run(600)
    assert world.ids() == []
    assert world.shown()["SuspendedProcesses"] == [
        {"ProcessName": "Launch", "SuspensionReason": "User suspended at 2026-11-25T18:00:00Z"}
    ]
    world.call("ResumeProcesses", AutoScalingGroupName="g", ScalingProcesses=["Launch"])
    world.run()
    assert world.states() == ["InService"] * 2
    assert (
        "explicitly set group desired capacity changing the desired capacity from 0 to 2."
        in (world.activities()[0]["Cause"])
    )


def test_with_terminations_suspended_nothing_goes_until_they_are_resumed():
    world = World().configured().group(DesiredCapacity=2)
    world.call("SuspendProcesses", AutoScalingGroupName="g")
    assert len(world.shown()["SuspendedProcesses"]) == 9
    world.resize(0)
    assert len(world.ids()) == 2
    world.call("ResumeProcesses", AutoScalingGroupName="g")
    world.run()
    assert world.ids() == []


def test_instances_are_launched_by_a_call_and_only_once():
    world = World().configured().group(AvailabilityZones=["us-east-1a", "us-east-1b"])
    asked = {
        "AutoScalingGroupName": "g",
        "RequestedCapacity": 1,
        "ClientToken": "t",
        "AvailabilityZones": ["us-east-1b"],
    }
    answer = world.call("LaunchInstances", **asked)
    world.run()
    assert answer["Instances"][0]["InstanceIds"] == world.ids()
    assert {one["AvailabilityZone"] for one in world.shown()["Instances"]} == {"us-east-1b"}
    assert world.of().desired == 1
    assert world.call("LaunchInstances", **asked) == answer
    assert world.of().desired == 1
    other = {**asked, "RequestedCapacity": 3}
    assert refused(world, "LaunchInstances", **other)[0] == "IdempotentParameterMismatch"


def test_a_termination_names_an_instance():
    world = World().configured().group(DesiredCapacity=1)
    code, message = refused(world, "TerminateInstanceInAutoScalingGroup", ShouldDecrementDesiredCapacity=False)
    assert code == "ValidationError"
    assert message.startswith("1 validation error detected: Value null at 'instanceId'")
