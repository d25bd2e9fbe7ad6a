"""Who goes when a group has too many."""

from __future__ import annotations

import pytest
from scaling_world import World

from parity.model.scaling.state import LaunchTemplate, TemplateVersion

ZONES = ["us-east-1a", "us-east-1b"]


def template(world: World, template_id: str = "lt-1", versions: int = 1) -> dict[str, str]:
    data = {"ImageId": "ami-1", "InstanceType": "t3.micro"}
    made = {number: TemplateVersion(number=number, created_us=0, data=data) for number in range(1, versions + 1)}
    world.region.state.launch_templates[template_id] = LaunchTemplate(
        template_id=template_id, name=template_id, created_us=0, versions=made, latest_version=versions
    )
    return {"LaunchTemplateId": template_id}


def grown(world: World, *desired: int, every_s: int = 60) -> list[str]:
    """The group's instances in the order they came."""
    for number in desired:
        world.resize(number)
        world.run(every_s)
    return world.ids()


def gone(world: World, before: list[str], desired: int) -> list[str]:
    world.resize(desired)
    world.run()
    return [one for one in before if one not in world.ids()]


def test_who_goes_is_from_the_larger_zone():
    world = World().configured().group(DesiredCapacity=5, AvailabilityZones=ZONES)
    assert world.of().in_zones == {"us-east-1a": 3, "us-east-1b": 2}
    zone_of = {one: world.of().members[one].zone for one in world.ids()}

    assert [zone_of[one] for one in gone(world, world.ids(), 4)] == ["us-east-1a"]


def test_from_a_launch_configuration_goes_before_from_the_template():
    world = World().configured().group()
    first = grown(world, 1)[0]
    world.call("UpdateAutoScalingGroup", AutoScalingGroupName="g", LaunchTemplate=template(world))
    ids = grown(world, 2, 3)

    assert gone(world, ids, 2) == [first]


def test_of_another_template_goes_before_older_versions_and_those_before_new_ones():
    world = World()
    world.configured()
    world.group(LaunchConfigurationName=None, LaunchTemplate=template(world, "lt-other"))
    other = grown(world, 1)[0]
    stated = template(world, "lt-1", versions=2)
    world.call("UpdateAutoScalingGroup", AutoScalingGroupName="g", LaunchTemplate={**stated, "Version": "2"})
    new = grown(world, 2)[1]
    world.call("UpdateAutoScalingGroup", AutoScalingGroupName="g", LaunchTemplate={**stated, "Version": "1"})
    old = grown(world, 3)[2]

    assert [gone(world, [other, new, old], desired) for desired in (2, 1)] == [[other], [other, old]]


def test_of_the_same_source_goes_who_is_closest_to_the_next_hour():
    world = World().configured().group()
    ids = grown(world, 1, 2, 3, every_s=1000)
    # Ages of 3000, 2000 and 1000 s; after another 700 s the first has begun a new hour.
    world.run(700)

    assert gone(world, ids, 2) == [ids[1]]


@pytest.mark.parametrize(("policy", "index"), [("OldestInstance", 0), ("NewestInstance", 2)])
def test_policies_by_age(policy, index):
    world = World().configured().group(TerminationPolicies=[policy])
    ids = grown(world, 1, 2, 3, every_s=1000)
    world.run(700)

    assert gone(world, ids, 2) == [ids[index]]


def test_the_oldest_launch_configuration_goes_first():
    world = World().configured("lc").configured("lc0")
    world.region.state.launch_configurations["lc0"].created_us -= 1
    world.group(TerminationPolicies=["OldestLaunchConfiguration", "OldestInstance"])
    first = grown(world, 1)[0]
    world.call("UpdateAutoScalingGroup", AutoScalingGroupName="g", LaunchConfigurationName="lc0")
    ids = grown(world, 2, 3)
    assert gone(world, ids, 2) == [ids[1]]
    assert first in world.ids()


def test_the_protected_are_spared_and_where_all_are_nobody_goes():
    world = World().configured().group()
    ids = grown(world, 1, 2, 3)
    world.call("SetInstanceProtection", AutoScalingGroupName="g", InstanceIds=ids[:2], ProtectedFromScaleIn=True)
    assert gone(world, ids, 1) == [ids[2]]
    assert world.of().desired == 1
    assert world.states() == ["InService"] * 2
    assert len(world.activities()) == 4

    world.call("SetInstanceProtection", AutoScalingGroupName="g", InstanceIds=ids[:1], ProtectedFromScaleIn=False)
    world.run()
    assert world.ids() == [ids[1]]


def test_protection_of_new_instances_begins_in_service():
    world = World().configured().group(NewInstancesProtectedFromScaleIn=True)
    world.put_hook("ready")
    world.resize(1)
    assert world.shown()["Instances"][0]["ProtectedFromScaleIn"] is False
    world.complete("ready", world.ids()[0])
    assert world.shown()["Instances"][0]["ProtectedFromScaleIn"] is True


def test_where_too_few_serve_such_go_as_are_not_there_yet():
    world = World().configured().group()
    world.put_hook("ready")
    world.resize(2)
    world.resize(0)
    assert world.ids() == []
    assert {one["StatusCode"] for one in world.activities() if "Launching" in one["Description"]} == {"Cancelled"}
