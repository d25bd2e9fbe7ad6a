"""Instance refreshes: what is replaced, how fast, what they wait for, and how they end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from aws_shapes import check_answer, check_request
from scaling_world import World, refused

from parity.model.scaling.state import State
from parity.model.scaling.world import Action, Removed

GROUP = "g"


def template(world: World, *images: str) -> str:
    """A launch template with a version for each image; gives its id."""
    world.region.call(
        world.now_us, "ec2", "CreateLaunchTemplate", {"LaunchTemplateName": "t", "LaunchTemplateData": data(images[0])}
    )
    for image in images[1:]:
        request = {"LaunchTemplateName": "t", "LaunchTemplateData": data(image)}
        world.region.call(world.now_us, "ec2", "CreateLaunchTemplateVersion", request)
    return next(iter(world.region.state.launch_templates))


def data(image: str) -> dict[str, str]:
    return {"ImageId": image, "InstanceType": "t3.micro"}


def of_template(version: str = "1", **more: Any) -> World:
    world = World()
    template_id = template(world, "ami-1", "ami-2")
    source = {"LaunchTemplateId": template_id, "Version": version}
    given = {"DesiredCapacity": 10, "DefaultInstanceWarmup": 0, "LaunchConfigurationName": None}
    return world.group(LaunchTemplate=source, **{**given, **more})


def wanted(world: World, version: str = "2") -> dict[str, Any]:
    template_id = next(iter(world.region.state.launch_templates))
    return {"LaunchTemplate": {"LaunchTemplateId": template_id, "Version": version}}


def start(world: World, **request: Any) -> str:
    request = {"AutoScalingGroupName": GROUP, **request}
    check_request("autoscaling", "StartInstanceRefresh", request)
    refresh_id = world.call("StartInstanceRefresh", **request)["InstanceRefreshId"]
    assert isinstance(refresh_id, str)
    return refresh_id


def shown(world: World) -> dict[str, Any]:
    answer = world.call("DescribeInstanceRefreshes", AutoScalingGroupName=GROUP)
    check_answer("autoscaling", "DescribeInstanceRefreshes", answer)
    refresh: dict[str, Any] = answer["InstanceRefreshes"][0]
    return refresh


def progress(world: World) -> tuple[str, int, int]:
    refresh = shown(world)
    return refresh["Status"], refresh["PercentageComplete"], refresh["InstancesToUpdate"]


def versions(world: World) -> list[str]:
    return [one["LaunchTemplate"]["Version"] for one in world.shown()["Instances"]]


class Slow:
    """A world that answers what it was asked one second later, so that what is between can be seen."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[Action] = []

    def step(self) -> list[str]:
        world = self.world
        world.now_us += 1_000_000
        self.asked = world.region.step(world.now_us, list(world.answers(self.asked)))
        return world.states()


# Statement 25.


def test_at_most_a_tenth_is_out_at_once_and_success_updates_the_launch_source():
    world = of_template()
    before = world.ids()
    start(world, DesiredConfiguration=wanted(world))
    in_service, slow = [], Slow(world)
    for _ in range(200):
        in_service.append(slow.step().count("InService"))
        if shown(world)["Status"] == "Successful":
            break
    assert min(in_service) == 9
    assert not set(before) & set(world.ids())
    assert versions(world) == ["2"] * 10
    assert world.shown()["LaunchTemplate"]["Version"] == "2"
    assert progress(world) == ("Successful", 100, 0)


def test_until_it_succeeds_the_group_keeps_its_launch_source_and_still_launches_from_the_new_one():
    world = of_template(DefaultInstanceWarmup=60)
    world.run(60)
    start(world, DesiredConfiguration=wanted(world))
    world.run(1)
    assert world.shown()["LaunchTemplate"]["Version"] == "1"
    assert versions(world).count("2") == 1
    world.call("UpdateAutoScalingGroup", AutoScalingGroupName=GROUP, MaxSize=12)
    world.resize(12)
    assert versions(world).count("2") == 3


def test_what_happens_is_told_in_the_words_of_the_activities():
    world = of_template(DesiredCapacity=1)
    old = world.ids()[0]
    start(world)
    world.run()
    texts = {one["Description"].split()[0]: one["Cause"] for one in world.activities()[:2]}
    assert texts == {
        "Terminating": "At 2026-11-25T18:00:00Z an instance was taken out of service in response to an instance "
        f"refresh.  At 2026-11-25T18:00:00Z instance {old} was selected for termination.",
        "Launching": "At 2026-11-25T18:00:00Z an instance was launched in response to an instance refresh.",
    }


# Pace.


def test_it_waits_for_new_instances_to_warm_up():
    world = of_template(DesiredCapacity=4, DefaultInstanceWarmup=100)
    world.run(100)
    start(world, Preferences={"MinHealthyPercentage": 75})
    world.run()
    new = world.ids()[-1]
    assert progress(world) == ("InProgress", 0, 3)
    assert shown(world)["StatusReason"] == (
        f"Waiting for instances to warm up before continuing. For example: {new} is warming up."
    )
    world.run(99)
    assert progress(world) == ("InProgress", 0, 3)
    world.run(1)
    assert progress(world) == ("InProgress", 25, 2)
    world.run(100)
    world.run(100)
    world.run(100)
    assert progress(world) == ("Successful", 100, 0)


@pytest.mark.parametrize(
    ("preferences", "most", "least"),
    [
        # Nothing is left of ten percent of five: one goes all the same.
        ({}, 5, 4),
        # A largest percentage that is stated has it launched first instead.
        ({"MinHealthyPercentage": 100, "MaxHealthyPercentage": 100}, 6, 5),
        ({"MinHealthyPercentage": 100, "MaxHealthyPercentage": 140}, 7, 5),
        ({"MinHealthyPercentage": 60, "MaxHealthyPercentage": 100}, 5, 3),
        ({"MinHealthyPercentage": 0}, 5, 0),
        ({"MinHealthyPercentage": 80, "MaxHealthyPercentage": 120}, 6, 4),
    ],
)
def test_percentages_bound_how_many_are_replaced_at_a_time(preferences, most, least):
    world = of_template(DesiredCapacity=5)
    start(world, Preferences=preferences)
    in_service, alive, slow = [], [], Slow(world)
    for _ in range(60):
        states = slow.step()
        in_service.append(states.count("InService"))
        alive.append(sum(not state.startswith("Terminating") for state in states))
    assert (max(alive), min(in_service)) == (most, least)
    assert progress(world) == ("Successful", 100, 0)
    assert world.states() == ["InService"] * 5


def test_an_old_instance_stays_until_the_one_launched_first_is_warm():
    world = of_template(DesiredCapacity=1)
    old = world.ids()[0]
    preferences = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200, "InstanceWarmup": 50}
    start(world, Preferences=preferences)
    world.run(50)
    world.run(49)
    assert old in world.ids()
    assert len(world.ids()) == 2
    world.run(1)
    assert old not in world.ids()
    assert progress(world) == ("Successful", 100, 0)


def test_an_instance_that_dies_while_its_successor_comes_is_not_replaced_twice():
    world = of_template(DesiredCapacity=1)
    old = world.ids()[0]
    start(world, Preferences={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200, "InstanceWarmup": 50})
    world.run(50)
    world.run(1, Removed(old))
    assert len(world.ids()) == 1
    world.run(60)
    assert progress(world) == ("Successful", 100, 0)
    assert len(world.ids()) == 1


def test_checkpoints_pause_it_with_no_more_replaced_than_they_say():
    world = of_template()
    start(
        world,
        DesiredConfiguration=wanted(world),
        Preferences={"MinHealthyPercentage": 50, "CheckpointPercentages": [20, 100], "CheckpointDelay": 600},
    )
    world.run()
    assert progress(world) == ("InProgress", 20, 8)
    world.run(599)
    assert versions(world).count("2") == 2
    world.run(1)
    assert progress(world) == ("Successful", 100, 0)


def test_where_the_last_checkpoint_is_not_all_the_rest_stays():
    world = of_template()
    old = set(world.ids())
    start(world, Preferences={"MinHealthyPercentage": 50, "CheckpointPercentages": [30]})
    world.run()
    assert progress(world) == ("Successful", 30, 7)
    assert len(old & set(world.ids())) == 7
    assert shown(world)["Preferences"]["CheckpointDelay"] == 3600


def test_it_bakes_before_it_is_done():
    world = of_template(DesiredCapacity=1)
    start(world, DesiredConfiguration=wanted(world), Preferences={"BakeTime": 300})
    world.run()
    assert progress(world)[:2] == ("Baking", 100)
    assert world.shown()["LaunchTemplate"]["Version"] == "1"
    world.run(300)
    assert progress(world)[0] == "Successful"
    assert world.shown()["LaunchTemplate"]["Version"] == "2"


# Who is replaced.


def test_those_that_match_are_skipped_where_that_is_asked_for():
    world = of_template(DesiredCapacity=2)
    old = world.ids()
    start(world, Preferences={"SkipMatching": True})
    world.run()
    assert progress(world) == ("Successful", 100, 0)
    assert world.ids() == old
    start(world, DesiredConfiguration=wanted(world), Preferences={"SkipMatching": True})
    world.run()
    assert versions(world) == ["2", "2"]


def test_a_protected_instance_is_waited_for_an_hour():
    world = of_template(DesiredCapacity=2)
    kept = world.ids()[0]
    world.call("SetInstanceProtection", AutoScalingGroupName=GROUP, InstanceIds=[kept], ProtectedFromScaleIn=True)
    start(world)
    world.run()
    assert progress(world) == ("InProgress", 50, 1)
    reason = (
        f"Waiting for remaining instances to be available. For example: {kept} is protected. "
        "Remove instance scale-in protection to continue."
    )
    assert shown(world)["StatusReason"] == reason
    world.run(3599)
    assert progress(world)[0] == "InProgress"
    world.run(1)
    assert progress(world) == ("Failed", 50, 1)
    assert reason in shown(world)["StatusReason"]
    assert kept in world.ids()


@pytest.mark.parametrize(("treatment", "stays"), [("Refresh", False), ("Ignore", True)])
def test_a_protected_instance_is_replaced_or_passed_over_where_that_is_asked_for(treatment, stays):
    world = of_template(DesiredCapacity=2, NewInstancesProtectedFromScaleIn=True)
    old = set(world.ids())
    start(world, Preferences={"ScaleInProtectedInstances": treatment})
    world.run()
    assert progress(world) == ("Successful", 100, 0)
    assert (old == set(world.ids())) is stays


@pytest.mark.parametrize(
    ("treatment", "status"), [("Terminate", "Successful"), ("Ignore", "Successful"), ("Wait", "InProgress")]
)
def test_an_instance_in_standby_is_terminated_passed_over_or_waited_for(treatment, status):
    world = of_template(DesiredCapacity=2)
    aside = world.ids()[0]
    world.call("EnterStandby", AutoScalingGroupName=GROUP, InstanceIds=[aside], ShouldDecrementDesiredCapacity=True)
    world.run()
    world.run()
    assert "Standby" in world.states()
    start(world, Preferences={"StandbyInstances": treatment})
    world.run()
    world.run()
    assert progress(world)[0] == status
    assert (aside in world.ids()) is (treatment != "Terminate")


# Ends.


def test_launches_that_fail_for_an_hour_fail_it_and_leave_the_rest_untouched():
    world = of_template()
    world.broken["us-east-1a"] = ("No capacity.", "InsufficientInstanceCapacity")
    start(world, DesiredConfiguration=wanted(world))
    for _ in range(59):
        world.run(60)
    assert progress(world)[0] == "InProgress"
    world.run(61)
    assert progress(world) == ("Failed", 0, 9)
    assert world.states() == ["InService"] * 9
    assert world.shown()["LaunchTemplate"]["Version"] == "1"


def test_cancelled_it_replaces_nothing_more_and_waits_for_what_is_under_way():
    world = of_template()
    refresh_id = start(world, DesiredConfiguration=wanted(world))
    world.lazy = True
    asked = world.run()
    answer = world.call("CancelInstanceRefresh", AutoScalingGroupName=GROUP)
    assert answer == {"InstanceRefreshId": refresh_id}
    assert shown(world)["Status"] == "Cancelling"
    world.lazy = False
    world.run(1, *world.answers(asked))
    assert shown(world)["Status"] == "Cancelled"
    assert shown(world)["StatusReason"] == "Cancelled due to user request."
    assert versions(world).count("1") == 9
    assert refused(world, "CancelInstanceRefresh", AutoScalingGroupName=GROUP)[0] == "ActiveInstanceRefreshNotFound"


def test_cancelled_without_waiting_it_is_over_at_once():
    world = of_template()
    start(world)
    world.lazy = True
    world.run()
    world.call("CancelInstanceRefresh", AutoScalingGroupName=GROUP, WaitForTransitioningInstances=False)
    assert shown(world)["Status"] == "Cancelled"


def test_rolled_back_what_it_brought_is_replaced_by_what_there_was():
    world = of_template(DefaultInstanceWarmup=60)
    world.run(60)
    start(world, DesiredConfiguration=wanted(world), Preferences={"MinHealthyPercentage": 80})
    world.run(1)
    world.run(60)
    assert versions(world).count("2") == 4
    assert progress(world) == ("InProgress", 20, 6)
    world.call("RollbackInstanceRefresh", AutoScalingGroupName=GROUP)
    assert progress(world) == ("RollbackInProgress", 20, 6)
    assert shown(world)["RollbackDetails"]["PercentageCompleteOnRollback"] == 20
    for _ in range(5):
        world.run(60)
    assert progress(world) == ("RollbackSuccessful", 0, 6)
    assert versions(world) == ["1"] * 10
    assert world.shown()["LaunchTemplate"]["Version"] == "1"


def test_without_a_way_back_it_cannot_be_rolled_back():
    world = of_template(DesiredCapacity=1, DefaultInstanceWarmup=60)
    start(world)
    world.run()
    code, message = refused(world, "RollbackInstanceRefresh", AutoScalingGroupName=GROUP)
    assert code == "IrreversibleInstanceRefresh"
    assert "no desired configuration" in message

    world = of_template("$Latest", DesiredCapacity=1, DefaultInstanceWarmup=60)
    start(world, DesiredConfiguration=wanted(world))
    world.run()
    assert refused(world, "RollbackInstanceRefresh", AutoScalingGroupName=GROUP)[0] == "IrreversibleInstanceRefresh"


def alarm(world: World, state: str) -> None:
    if "errors" not in world.region.state.alarms:
        request = {
            "AlarmName": "errors",
            "Namespace": "App",
            "MetricName": "Errors",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanThreshold",
        }
        world.region.call(world.now_us, "cloudwatch", "PutMetricAlarm", request)
    request = {"AlarmName": "errors", "StateValue": state, "StateReason": "as told"}
    world.region.call(world.now_us, "cloudwatch", "SetAlarmState", request)


@pytest.mark.parametrize(("back", "status", "version"), [(True, "RollbackSuccessful", "1"), (False, "Failed", "2")])
def test_an_alarm_fails_it_and_rolls_it_back_where_that_is_asked_for(back, status, version):
    world = of_template(DesiredCapacity=2)
    alarm(world, "OK")
    watched = {"AlarmSpecification": {"Alarms": ["errors"]}, "AutoRollback": back, "BakeTime": 300}
    start(world, DesiredConfiguration=wanted(world), Preferences=watched)
    world.run()
    assert progress(world)[0] == "Baking"
    alarm(world, "ALARM")
    world.run()
    assert progress(world)[0] == status
    assert versions(world) == [version] * 2
    assert "errors is in the ALARM state" in shown(world)["StatusReason"]


def test_suspended_it_goes_on_when_it_is_resumed():
    world = of_template(DesiredCapacity=2)
    world.call("SuspendProcesses", AutoScalingGroupName=GROUP, ScalingProcesses=["InstanceRefresh"])
    start(world)
    world.run(1)
    world.run(3590)
    assert progress(world) == ("InProgress", 0, 2)
    world.call("ResumeProcesses", AutoScalingGroupName=GROUP, ScalingProcesses=["InstanceRefresh"])
    world.run(1)
    assert progress(world) == ("Successful", 100, 0)


def test_a_policy_of_the_group_gives_the_percentages_and_its_grace_period_the_warmup():
    policy = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150}
    world = World().configured().group(DesiredCapacity=1, HealthCheckGracePeriod=77, InstanceMaintenancePolicy=policy)
    start(world)
    assert shown(world)["Preferences"] == {
        "MinHealthyPercentage": 100,
        "MaxHealthyPercentage": 150,
        "InstanceWarmup": 77,
        "SkipMatching": False,
        "AutoRollback": False,
        "ScaleInProtectedInstances": "Wait",
        "StandbyInstances": "Wait",
    }


# What is refused.


@pytest.mark.parametrize(
    ("preferences", "words"),
    [
        ({"MaxHealthyPercentage": 120}, "you must also specify MinHealthyPercentage"),
        ({"MinHealthyPercentage": 50, "MaxHealthyPercentage": 160}, "cannot be greater than 100"),
        ({"CheckpointDelay": 10}, "you must also specify CheckpointPercentages"),
        ({"CheckpointPercentages": [50, 20]}, "ascending order"),
        ({"AutoRollback": True}, "no desired configuration"),
        ({"AlarmSpecification": {"Alarms": ["none"]}}, "do not exist: [none]"),
        ({"BakeTime": 172_801}, "BakeTime must be"),
        ({"StandbyInstances": "Refresh"}, "preferences.standbyInstances"),
    ],
)
def test_preferences_that_cannot_be_are_refused(preferences, words):
    world = of_template(DesiredCapacity=1)
    code, message = refused(world, "StartInstanceRefresh", AutoScalingGroupName=GROUP, Preferences=preferences)
    assert code == "ValidationError"
    assert words in message


def test_one_at_a_time_and_nobody_takes_its_launch_source_away():
    world = of_template(DesiredCapacity=1, DefaultInstanceWarmup=60)
    start(world, DesiredConfiguration=wanted(world))
    world.run()
    assert refused(world, "StartInstanceRefresh", AutoScalingGroupName=GROUP) == (
        "InstanceRefreshInProgress",
        "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
    )
    code, message = refused(world, "UpdateAutoScalingGroup", AutoScalingGroupName=GROUP, **wanted(world, "1"))
    assert code == "ValidationError"
    assert message.startswith("An active instance refresh with a desired configuration exists.")
    assert refused(world, "PutWarmPool", AutoScalingGroupName=GROUP)[0] == "InstanceRefreshInProgress"


def test_it_survives_being_written_and_read():
    world = of_template(DefaultInstanceWarmup=30)
    world.run(30)
    start(world, DesiredConfiguration=wanted(world))
    world.run(1)
    text = msgspec.json.encode(world.region.state)
    world.region.state = msgspec.json.decode(text, type=State)
    for _ in range(12):
        world.run(30)
    assert progress(world) == ("Successful", 100, 0)
    assert versions(world) == ["2"] * 10


def test_a_group_that_is_deleted_ends_it():
    world = of_template(DesiredCapacity=1, DefaultInstanceWarmup=60)
    start(world)
    world.run(1)
    world.call("DeleteAutoScalingGroup", AutoScalingGroupName=GROUP, ForceDelete=True)
    world.run(1)
    assert world.region.state.groups == {}
