"""Zones: where instances go, and what is done when zones differ."""

from __future__ import annotations

from scaling_world import World, refused

from parity.model.scaling.world import ZoneState

ZONES = ["us-east-1a", "us-east-1b"]


def test_instances_go_to_the_emptiest_zone_and_its_subnet():
    world = (
        World()
        .configured()
        .group(
            AvailabilityZones=None,
            VPCZoneIdentifier="subnet-00000000000000001,subnet-00000000000000003",
            DesiredCapacity=4,
        )
    )
    assert world.of().zones == ["us-east-1a", "us-east-1c"]
    assert world.of().in_zones == {"us-east-1a": 2, "us-east-1c": 2}
    assert {(one.zone, one.subnet_id) for one in world.region.state.instances.values()} == {
        ("us-east-1a", "subnet-00000000000000001"),
        ("us-east-1c", "subnet-00000000000000003"),
    }


def test_a_zone_that_takes_none_is_shown_once_and_balanced_when_it_is_back():
    world = World().configured().group(AvailabilityZones=ZONES, DesiredCapacity=2)
    world.run(10, ZoneState("us-east-1b", available=False))
    world.resize(6)

    assert world.of().in_zones == {"us-east-1a": 5, "us-east-1b": 1}
    failed = [one for one in world.activities() if one["StatusCode"] == "Failed"]
    assert len(failed) == 1
    assert failed[0]["StatusMessage"].startswith(
        "We currently do not have sufficient t3.micro capacity in the Availability Zone you requested (us-east-1b)."
    )
    world.run(86_400)
    assert len([one for one in world.activities() if one["StatusCode"] == "Failed"]) == 1

    world.run(0, ZoneState("us-east-1b", available=True))
    assert world.of().in_zones == {"us-east-1a": 3, "us-east-1b": 3}
    causes = [one["Cause"] for one in world.activities()]
    assert any("had 5 1 instances respectively. An instance was launched to aid in balancing" in one for one in causes)
    assert any(
        "instances were launched to balance instances in zones us-east-1b with other zones" in one for one in causes
    )


def test_balancing_launches_first_and_goes_over_the_largest_size_by_a_tenth():
    world = World().configured().group(AvailabilityZones=["us-east-1a"], MaxSize=10, DesiredCapacity=10)
    world.call("UpdateAutoScalingGroup", AutoScalingGroupName="g", AvailabilityZones=ZONES)
    world.lazy = True
    world.run()

    assert world.of().capacity == 11
    assert sorted(world.states()) == ["InService"] * 10 + ["Pending"]


def test_balancing_can_be_suspended():
    world = World().configured().group(AvailabilityZones=["us-east-1a"], DesiredCapacity=4)
    world.call("SuspendProcesses", AutoScalingGroupName="g", ScalingProcesses=["AZRebalance"])
    world.call("UpdateAutoScalingGroup", AutoScalingGroupName="g", AvailabilityZones=ZONES)
    world.run(3600)
    assert world.of().in_zones == {"us-east-1a": 4}

    world.call("ResumeProcesses", AutoScalingGroupName="g")
    world.run()
    assert world.of().in_zones == {"us-east-1a": 2, "us-east-1b": 2}


def test_a_zone_that_is_no_more_the_groups_is_left():
    world = World().configured().group(AvailabilityZones=ZONES, DesiredCapacity=4)
    world.call("UpdateAutoScalingGroup", AutoScalingGroupName="g", AvailabilityZones=["us-east-1b"])
    world.run()
    assert {zone: size for zone, size in world.of().in_zones.items() if size} == {"us-east-1b": 4}


def test_balancing_leaves_the_protected_alone():
    world = (
        World()
        .configured()
        .group(AvailabilityZones=["us-east-1a"], DesiredCapacity=4, NewInstancesProtectedFromScaleIn=True)
    )
    world.call("UpdateAutoScalingGroup", AutoScalingGroupName="g", AvailabilityZones=ZONES)
    world.run(3600)
    assert world.of().in_zones == {"us-east-1a": 4}
    assert len(world.activities()) == 4


def test_places_that_cannot_be_are_refused():
    world = World().configured()
    given = {"AutoScalingGroupName": "g", "MinSize": 0, "MaxSize": 1, "LaunchConfigurationName": "lc"}
    assert refused(world, "CreateAutoScalingGroup", **given) == (
        "ValidationError",
        "At least one Availability Zone or VPC Subnet is required.",
    )
    both = {"AvailabilityZones": ["us-east-1a"], "VPCZoneIdentifier": "subnet-00000000000000002"}
    assert "do not match" in refused(world, "CreateAutoScalingGroup", **given, **both)[1]
    assert "subnet-9" in refused(world, "CreateAutoScalingGroup", **given, VPCZoneIdentifier="subnet-9")[1]
    assert "eu-1z" in refused(world, "CreateAutoScalingGroup", **given, AvailabilityZones=["eu-1z"])[1]
