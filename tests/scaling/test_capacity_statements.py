"""How capacity is set, and which instance dies for it: statements 1 to 8 and 24 to 25 of docs/scaling.md."""

from __future__ import annotations

import given

DIFFERENCE = "in response to a difference between desired and actual capacity"


def test_01_more_capacity_is_launched(world):
    # Given a group of 2
    group = given.group(world, sizes=(1, 5, 2))
    before = group.ids()
    known = {activity["ActivityId"] for activity in group.activities()}
    # When its desired capacity is set to 4
    world.autoscaling.set_desired_capacity(AutoScalingGroupName=group.name, DesiredCapacity=4)
    # I expect two more, pending and then in service, and an activity for each
    assert group.states() == ["InService", "InService", "Pending", "Pending"]
    new = group.settled(4) - before
    activities = [activity for activity in group.activities() if activity["ActivityId"] not in known]
    assert {a["Description"] for a in activities} == {f"Launching a new EC2 instance: {name}" for name in new}
    assert [a["StatusCode"] for a in activities] == ["Successful", "Successful"]
    assert [a["Progress"] for a in activities] == [100, 100]
    for activity in activities:
        given.caused_by(
            activity,
            r"a user request explicitly set group desired capacity changing the desired capacity from 2 to 4\.",
            rf"an instance was started {DIFFERENCE}, increasing the capacity from 2 to 4\.",
        )


def test_02_capacity_outside_the_bounds_is_refused(world):
    group = given.group(world, sizes=(1, 2, 1))
    before = group.describe()
    for value, words in ((3, "3 is above max value 2"), (0, "0 is below min value 1")):
        given.refused(
            "ValidationError",
            f"New SetDesiredCapacity value {words} for the AutoScalingGroup\\.",
            world.autoscaling.set_desired_capacity,
            AutoScalingGroupName=group.name,
            DesiredCapacity=value,
        )
    assert group.describe() == before


def test_03_a_policy_beyond_the_maximum_goes_to_the_maximum(world):
    group = given.group(world, sizes=(1, 3, 2))
    group.simple("more", 3)
    world.autoscaling.execute_policy(AutoScalingGroupName=group.name, PolicyName="more")
    assert group.desired == 3
    group.settled(3)


def test_04_an_instance_that_dies_is_replaced_even_in_grace(world):
    # Given an instance in service, with an hour of grace
    group = given.group(world, sizes=(1, 2, 1), grace_s=3600)
    (victim,) = group.ids()
    began = world.now()
    # When it dies
    world.kill(victim)
    # I expect another in its place, long before grace is over
    world.until(lambda: victim not in group.ids() and len(group.in_service()) == 1)
    assert (world.now() - began).total_seconds() < 600
    (terminating,) = [a for a in group.activities(victim) if a["Description"].startswith("Terminating")]
    given.caused_by(
        terminating,
        "an instance was taken out of service in response to an EC2 health check indicating it has been terminated "
        r"or stopped\.",
    )
    (launching,) = group.activities(*group.ids())
    given.caused_by(
        launching, r"an instance was launched in response to an unhealthy instance needing to be replaced\."
    )
    assert group.desired == 1


def test_05_scale_in_takes_from_the_zone_with_the_most(world):
    group = given.group(world, sizes=(1, 5, 5), in_zones=2)
    large, small = sorted(group.by_zone().values(), key=len, reverse=True)
    assert (len(large), len(small)) == (3, 2)
    group.resize(4)
    (victim,) = large - group.settled(4)
    assert sorted(map(len, group.by_zone().values())) == [2, 2]
    activity = group.activities(victim)[0]
    assert activity["Description"] == f"Terminating EC2 instance: {victim}"
    given.caused_by(
        activity,
        r"a user request explicitly set group desired capacity changing the desired capacity from 5 to 4\.",
        rf"an instance was taken out of service {DIFFERENCE}, shrinking the capacity from 5 to 4\.",
        rf"instance {victim} was selected for termination\.",
    )


def mixed(world, *, in_zones: int, each: int):
    """A group half of which was launched from a configuration, the rest from a template. Returns both halves' ids."""
    name = given.configuration(world)
    size = in_zones * each
    group = given.group(
        world, sizes=(1, 2 * size, size), in_zones=in_zones, launched_from={"LaunchConfigurationName": name}
    )
    old = group.ids()
    world.autoscaling.update_auto_scaling_group(
        AutoScalingGroupName=group.name, LaunchTemplate={"LaunchTemplateName": given.template(world)}
    )
    group.resize(2 * size)
    return group, old, group.settled(2 * size) - old


def test_06_scale_in_takes_what_a_configuration_launched(world):
    # Given two zones with one instance from a launch configuration and one from a template each
    group, old, new = mixed(world, in_zones=2, each=1)
    assert sorted(map(len, group.by_zone().values())) == [2, 2]
    # When the group shrinks, twice
    group.resize(3)
    left = group.settled(3)
    assert len(old - left) == 1
    group.resize(2)
    # I expect those from the configuration gone
    assert group.settled(2) == new


def test_07_a_protected_instance_is_not_chosen(world):
    # Given that the instance that would be chosen is protected
    group, old, _ = mixed(world, in_zones=1, each=1)
    world.autoscaling.set_instance_protection(
        AutoScalingGroupName=group.name, InstanceIds=sorted(old), ProtectedFromScaleIn=True
    )
    # When the group shrinks
    group.resize(1)
    # I expect the other one chosen
    assert group.settled(1) == old


def test_08_where_all_are_protected_none_dies(world):
    group = given.group(world, sizes=(1, 3, 2), NewInstancesProtectedFromScaleIn=True)
    before = group.ids()
    group.resize(1)
    assert group.desired == 1
    world.advance(900)
    assert group.in_service() == before
    # And once one is not, it is what the group shrinks by.
    free = min(before)
    world.autoscaling.set_instance_protection(
        AutoScalingGroupName=group.name, InstanceIds=[free], ProtectedFromScaleIn=False
    )
    assert group.settled(1) == before - {free}


def test_24_a_group_with_instances_is_only_deleted_by_force(world):
    # Given a group with an instance, and a hook when it terminates
    group = given.group(world, sizes=(1, 2, 1))
    group.hook("TERMINATING")
    (only,) = group.ids()
    # When it is deleted, I expect that to be refused
    given.refused(
        "ResourceInUse",
        r"You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request\(s\) still "
        r"in the group\.",
        world.autoscaling.delete_auto_scaling_group,
        AutoScalingGroupName=group.name,
    )
    assert group.in_service() == {only}
    # When it is deleted by force, I expect it gone without the hook having been waited for
    world.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=group.name, ForceDelete=True)
    world.until(lambda: not group.is_there(), within_s=60)
    assert world.autoscaling.describe_auto_scaling_instances(InstanceIds=[only])["AutoScalingInstances"] == []
    (reservation,) = world.ec2.describe_instances(InstanceIds=[only])["Reservations"]
    assert reservation["Instances"][0]["State"]["Name"] in {"shutting-down", "terminated"}


def test_25_a_refresh_has_at_most_one_in_ten_out(world):
    # Given ten instances, and a new version of what they are launched from
    name = given.template(world)
    source = {"LaunchTemplate": {"LaunchTemplateName": name, "Version": "1"}}
    group = given.group(world, sizes=(10, 10, 10), launched_from=source)
    before = group.ids()
    world.ec2.create_launch_template_version(
        LaunchTemplateName=name, SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.small"}
    )
    # When they are refreshed to it
    wanted = {"LaunchTemplate": {"LaunchTemplateName": name, "Version": "2"}}
    refresh_id = world.autoscaling.start_instance_refresh(
        AutoScalingGroupName=group.name,
        DesiredConfiguration=wanted,
        Preferences={"MinHealthyPercentage": 90, "InstanceWarmup": 0},
    )["InstanceRefreshId"]
    seen = []

    def is_over() -> bool:
        shown = group.describe()
        serving = [i for i in shown["Instances"] if i["LifecycleState"] == "InService"]
        (refresh,) = world.autoscaling.describe_instance_refreshes(
            AutoScalingGroupName=group.name, InstanceRefreshIds=[refresh_id]
        )["InstanceRefreshes"]
        seen.append((len(serving), shown["LaunchTemplate"]["Version"], refresh["Status"]))
        return refresh["Status"] == "Successful"

    world.until(is_over, within_s=1800)
    # I expect that nine or ten were in service at any time, and the group's own template changed at the end only
    counts = {count for count, _, _ in seen}
    assert 9 in counts
    assert counts <= {9, 10}
    assert {version for _, version, status in seen if status != "Successful"} == {"1"}
    assert len(group.in_service()) == 10
    assert group.describe()["LaunchTemplate"]["Version"] == "2"
    world.until(lambda: not group.ids() & before)
    assert {i["LaunchTemplate"]["Version"] for i in group.instances().values()} == {"2"}
    assert {i["InstanceType"] for i in group.instances().values()} == {"t3.small"}
