"""Scheduled actions: statement 22, and when and how they run."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from scaling_policy_world import T0, World

from parity.model.scaling.state import SECOND_US

HOUR = 3600
NAMED = {"AutoScalingGroupName": "g"}


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_US


def until(world: World, text: str) -> None:
    """Let time pass until a moment in UTC."""
    world.pass_time((us(text) - world.region.now_us) / SECOND_US)


def scheduled(world: World, name: str = "s", **given: object) -> None:
    world.call("PutScheduledUpdateGroupAction", ScheduledActionName=name, **NAMED, **given)


def shown(world: World, **more: object) -> dict[str, dict]:
    told = world.call("DescribeScheduledActions", **more)["ScheduledUpdateGroupActions"]
    return {action["ScheduledActionName"]: action for action in told}


def test_a_recurrence_runs_at_local_time_whatever_the_season():
    """Statement 22: clocks in Berlin go forward on 28 March 2027."""
    world = World()
    group = world.group(sizes=(0, 9, 1))
    until(world, "2027-03-26T12:00")
    scheduled(world, Recurrence="0 9 * * *", TimeZone="Europe/Berlin", DesiredCapacity=3)
    for hour in ("2027-03-27T08:00", "2027-03-28T07:00", "2027-03-29T07:00"):
        world.call("SetDesiredCapacity", DesiredCapacity=1, **NAMED)
        world.pass_time((us(hour) - world.region.now_us) / SECOND_US - 1)
        assert group.desired == 1
        world.pass_time(1)
        assert group.desired == 3
        world.call("SetDesiredCapacity", DesiredCapacity=1, **NAMED)
        world.pass_time(22 * HOUR)
        assert group.desired == 1


def test_the_cause_names_the_sizes():
    world = World()
    world.group(sizes=(1, 4, 2))
    scheduled(world, StartTime=world.region.now_us + HOUR * SECOND_US, MaxSize=5, DesiredCapacity=3)
    world.pass_time(HOUR + 10)
    (newest, *_) = world.call("DescribeScalingActivities", **NAMED)["Activities"]
    assert newest["Cause"] == (
        "At 2026-11-25T19:10:00Z a scheduled action update of AutoScalingGroup constraints to min: 1, max: 5, "
        "desired: 3 changing the desired capacity from 2 to 3.  At 2026-11-25T19:10:00Z an instance was started in "
        "response to a difference between desired and actual capacity, increasing the capacity from 2 to 3."
    )


def test_an_action_runs_once_at_its_start_and_is_gone():
    world = World()
    group = world.group()
    start_us = world.region.now_us + HOUR * SECOND_US
    scheduled(world, StartTime=start_us, DesiredCapacity=5)
    assert shown(world)["s"]["StartTime"] == start_us
    world.pass_time(HOUR - 1)
    assert group.desired == 2
    world.pass_time(1)
    assert group.desired == 5
    assert shown(world) == {}


def test_a_recurring_action_runs_at_its_start_too_and_then_by_its_recurrence():
    world = World()
    group = world.group(sizes=(0, 9, 0))
    scheduled(world, StartTime=us("2026-11-25T20:17"), Recurrence="0 6 * * *", DesiredCapacity=5)
    until(world, "2026-11-25T20:17")
    assert group.desired == 5
    assert shown(world)["s"]["StartTime"] == us("2026-11-26T06:00")
    world.call("SetDesiredCapacity", DesiredCapacity=1, **NAMED)
    until(world, "2026-11-26T05:59")
    assert group.desired == 1
    until(world, "2026-11-26T06:00")
    assert group.desired == 5


def test_an_action_is_deleted_at_its_end():
    world = World()
    group = world.group(sizes=(0, 9, 0))
    scheduled(world, Recurrence="0 * * * *", EndTime=us("2026-11-25T20:30"), DesiredCapacity=5)
    until(world, "2026-11-25T20:29")
    assert group.desired == 5
    world.call("SetDesiredCapacity", DesiredCapacity=1, **NAMED)
    assert "s" in shown(world)
    until(world, "2026-11-25T22:00")
    assert group.desired == 1
    assert shown(world) == {}


def test_a_suspended_action_is_skipped_and_not_made_up_for():
    world = World()
    group = world.group(sizes=(0, 9, 1))
    scheduled(world, Recurrence="0 * * * *", DesiredCapacity=5)
    scheduled(world, "once", StartTime=us("2026-11-25T19:30"), DesiredCapacity=7)
    world.call("SuspendProcesses", ScalingProcesses=["ScheduledActions"], **NAMED)
    until(world, "2026-11-25T19:40")
    world.call("ResumeProcesses", ScalingProcesses=["ScheduledActions"], **NAMED)
    until(world, "2026-11-25T19:59")
    assert group.desired == 1
    assert set(shown(world)) == {"s"}
    until(world, "2026-11-25T20:00")
    assert group.desired == 5


def test_an_action_does_not_wait_for_a_cooldown():
    world = World()
    group = world.group(sizes=(0, 9, 1))
    world.simple("more", 1, Cooldown=HOUR)
    world.call("ExecutePolicy", PolicyName="more", **NAMED)
    world.pass_time(30)
    assert group.cooldown_until_us > world.region.now_us + 1000 * SECOND_US
    scheduled(world, StartTime=world.region.now_us + 60 * SECOND_US, DesiredCapacity=5)
    world.pass_time(60)
    assert group.desired == 5


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        ({"MinSize": 4}, (4, 9, 4)),
        ({"MaxSize": 1}, (0, 1, 1)),
        ({"MinSize": 5, "MaxSize": 20, "DesiredCapacity": 12}, (5, 20, 12)),
        # Beyond the group's limits when it runs, so nothing of it is done.
        ({"DesiredCapacity": 12}, (0, 9, 2)),
        ({"MinSize": 10}, (0, 9, 2)),
    ],
)
def test_sizes_go_with_one_another(given, sizes):
    world = World()
    group = world.group(sizes=(0, 9, 2))
    scheduled(world, StartTime=world.region.now_us + 60 * SECOND_US, **given)
    world.pass_time(60)
    assert (group.min_size, group.max_size, group.desired) == sizes


def test_a_change_keeps_what_it_does_not_state_and_the_next_run():
    """The next run stays when it was to be: as observed of AWS."""
    world = World()
    world.group()
    scheduled(world, Recurrence="0 6 * * *", DesiredCapacity=5)
    scheduled(world, Recurrence="0 8 * * *", MaxSize=6)
    action = shown(world)["s"]
    assert (action["Recurrence"], action["DesiredCapacity"], action["MaxSize"]) == ("0 8 * * *", 5, 6)
    assert action["StartTime"] == us("2026-11-26T06:00")
    until(world, "2026-11-26T06:00")
    assert shown(world)["s"]["StartTime"] == us("2026-11-26T08:00")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"StartTime": T0 - 1, "DesiredCapacity": 1}, "Given start time is in the past"),
        ({"EndTime": T0 - 1, "Recurrence": "0 * * * *", "DesiredCapacity": 1}, "Given end time is in the past"),
        (
            {"StartTime": T0 + 10**12, "EndTime": T0 + 10**11, "DesiredCapacity": 1},
            "Given end time must be after start time",
        ),
        ({"StartTime": T0 + 10**12}, "At least one of max size, min size, or desired capacity must be specified"),
        (
            {"DesiredCapacity": 1},
            "Scheduled start time must be specified for non-recurrent future group action",
        ),
        ({"StartTime": T0 + 10**12, "MinSize": -1}, "Min size must be non-negative"),
        (
            {"StartTime": T0 + 10**12, "MaxSize": 1, "DesiredCapacity": 2},
            "Desired capacity must be less than or equal to max size",
        ),
        (
            {"StartTime": T0 + 10**12, "MinSize": 3, "DesiredCapacity": 2},
            "Desired capacity must be greater than or equal to min size",
        ),
        ({"Recurrence": "0 0 ? * *", "MinSize": 3}, "Given recurrence string: 0 0 ? * * is invalid"),
    ],
)
def test_what_is_no_action_is_refused_in_aws_words(given, message):
    world = World()
    group = world.group(sizes=(0, 1, 0))
    told = world.refused("PutScheduledUpdateGroupAction", ScheduledActionName="s", **NAMED, **given)
    assert told == f"ValidationError: {message}"
    assert group.schedules == {}


def test_two_actions_cannot_start_at_the_same_time():
    world = World()
    world.group(sizes=(0, 1, 0))
    given = {"StartTime": T0 + 10**12, "MinSize": 1}
    scheduled(world, **given)
    assert world.refused("PutScheduledUpdateGroupAction", ScheduledActionName="t", **NAMED, **given) == (
        "AlreadyExists: Scheduled action with this scheduled start time already exists"
    )
    scheduled(world, **given)


def test_several_are_put_and_deleted_and_what_fails_is_told():
    world = World()
    world.group(sizes=(0, 1, 0))
    stated = [
        {"ScheduledActionName": "a", "Recurrence": "0 1 * * *", "MinSize": 1},
        {"ScheduledActionName": "b", "Recurrence": "0 1 * *", "MinSize": 1},
        {"ScheduledActionName": "c", "Recurrence": "0 2 * * *", "MinSize": 1},
    ]
    answer = world.call("BatchPutScheduledUpdateGroupAction", ScheduledUpdateGroupActions=stated, **NAMED)
    assert answer["FailedScheduledUpdateGroupActions"] == [
        {
            "ScheduledActionName": "b",
            "ErrorCode": "ValidationError",
            "ErrorMessage": "Given recurrence string: 0 1 * * is invalid",
        }
    ]
    assert list(shown(world)) == ["a", "c"]
    assert list(shown(world, ScheduledActionNames=["c", "none"])) == ["c"]
    assert list(shown(world, EndTime=us("2026-11-26T01:30"))) == ["a"]
    arn = shown(world)["a"]["ScheduledActionARN"]
    assert arn.endswith(":autoScalingGroupName/g:scheduledActionName/a")
    answer = world.call("BatchDeleteScheduledAction", ScheduledActionNames=["a", "b"], **NAMED)
    assert [failed["ScheduledActionName"] for failed in answer["FailedScheduledActions"]] == ["b"]
    world.call("DeleteScheduledAction", ScheduledActionName="c", **NAMED)
    assert world.refused("DeleteScheduledAction", ScheduledActionName="c", **NAMED) == (
        "ValidationError: Scheduled action name not found"
    )
    assert shown(world) == {}
