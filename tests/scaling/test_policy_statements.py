"""Policies, alarms and schedules: statements 12 to 23 of docs/scaling.md."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import given


def launched_last(group, *, cause: str):
    """Have the newest activity's cause begin so."""
    newest = max(group.activities(), key=lambda activity: activity["StartTime"])
    assert cause in newest["Cause"]


def cooling(world):
    """A group whose simple policy was executed by an alarm, and the time at which the instance was in service."""
    group = given.group(world, sizes=(1, 6, 1))
    arn = group.simple("more", 1, Cooldown=300)
    group.alarm("first", arn, ">=", 80, metric="First")
    group.alarm("second", arn, ">=", 80, metric="Second")
    group.minute(First=90, Second=10)
    assert group.desired == 2
    group.settled(2)
    return group, world.now()


def test_12_a_cooldown_has_the_second_alarm_ignored(world):
    # Given a simple policy with a cooldown of 300 s that was just executed
    group, began = cooling(world)
    # When a second alarm calls it 200 s later
    world.advance_to(began + timedelta(seconds=200))
    world.cloudwatch.set_alarm_state(AlarmName=f"{group.name}-second", StateValue="ALARM", StateReason="a test")
    # I expect it ignored
    world.advance(5)
    assert group.desired == 2
    # And answered where the alarm is still there after the cooldown
    group.minutes(4, First=10, Second=90)
    assert group.desired == 3


def test_13_a_cooldown_holds_for_a_request_only_where_it_says_so(world):
    group, _ = cooling(world)
    given.refused(
        "ScalingActivityInProgress",
        r"Scaling activity [0-9a-f-]{36} is in progress and blocks this action",
        world.autoscaling.set_desired_capacity,
        AutoScalingGroupName=group.name,
        DesiredCapacity=4,
        HonorCooldown=True,
    )
    assert group.desired == 2
    group.resize(3)
    assert group.desired == 3
    group.settled(3)


#: The user guide's policies: both have a breach threshold of 50, and do nothing within 10 of it.
OUT = ((0, 10, 0), (10, 20, 10), (20, None, 30))
IN = ((-10, 0, 0), (-20, -10, -10), (None, -20, -30))


def test_14_the_user_guide_s_steps(world):
    # Given ten instances, and the example of "Step and simple scaling policies"
    group = given.group(world, sizes=(5, 20, 10))
    high = group.steps("out", OUT, kind="PercentChangeInCapacity", warmup_s=60)
    low = group.steps("in", IN, kind="PercentChangeInCapacity", warmup_s=60)
    alarms = {
        "out": group.alarm("high", high, ">=", 50),
        "in": group.alarm("low", low, "<=", 50),
    }
    group.minutes(2, Load=50)
    assert group.desired == 10
    # When the metric is exactly on each bound for a minute, I expect 11, 14, 13 and 10
    before = 10
    for load, expected, policy in ((60, 11, "out"), (70, 14, "out"), (40, 13, "in"), (30, 10, "in")):
        group.minute(Load=load)
        assert group.desired == expected
        launched_last(
            group,
            cause=f"a monitor alarm {alarms[policy]} in state ALARM triggered policy {policy} changing the desired "
            f"capacity from {before} to {expected}.",
        )
        group.settled(expected)
        # What came is warm before the next.
        group.minutes(3, Load=50)
        assert group.desired == expected
        before = expected


def test_15_a_percentage_is_at_least_its_magnitude(world):
    group = given.group(world, sizes=(1, 10, 4))
    group.simple("more", 25, kind="PercentChangeInCapacity", MinAdjustmentMagnitude=2)
    world.autoscaling.execute_policy(AutoScalingGroupName=group.name, PolicyName="more")
    assert group.desired == 6
    group.settled(6)


def test_16_what_warms_up_already_answers_the_same_step(world):
    # Given a policy that added an instance, which is in service and still warms up
    group = given.group(world, sizes=(1, 8, 2))
    group.alarm("high", group.steps("out", ((0, 20, 1), (20, None, 3)), warmup_s=450), ">=", 60)
    group.minutes(8, Load=10)
    group.minute(Load=65)
    assert group.desired == 3
    group.settled(3)
    known = {activity["ActivityId"] for activity in group.activities()}
    # When the metric stays within the same step
    group.minutes(3, Load=65)
    # I expect nothing more
    assert group.desired == 3
    assert {activity["ActivityId"] for activity in group.activities()} == known
    # And of a larger step only what it asks for beyond what warms up
    group.minute(Load=85)
    assert group.desired == 5


def test_17_while_instances_warm_up_there_is_no_scale_in(world):
    # Given a policy that added an instance, which still warms up
    group = given.group(world, sizes=(1, 8, 2))
    group.alarm("high", group.steps("out", ((0, None, 1),), warmup_s=450), ">=", 60)
    group.alarm("low", group.steps("in", ((None, 0, -1),), warmup_s=450), "<=", 30)
    group.minutes(8, Load=45)
    group.minute(Load=65)
    group.settled(3)
    # When the metric is low
    group.minutes(4, Load=20)
    # I expect no scale-in
    assert group.desired == 3
    # And one once it is warm, seven and a half minutes after it came
    group.minutes(3, Load=20)
    assert group.desired == 3
    group.minute(Load=20)
    assert group.desired == 2
    group.settled(2)


def test_18_a_backlog_of_1500_for_ten_workers_wants_fifteen(world):
    # Given ten workers that are to have 100 messages each
    group = given.group(world, sizes=(1, 20, 10))
    group.tracking("backlog", "BacklogPerInstance", 100)
    group.minutes(2, BacklogPerInstance=100)
    # When there are 1500, for as long as the alarm needs
    group.minutes(2, BacklogPerInstance=1500 / 10)
    assert group.desired == 10
    group.minute(BacklogPerInstance=1500 / 10)
    # I expect five more
    assert group.desired == 15
    group.settled(15)


def test_19_fifteen_low_minutes_are_what_scale_in_takes(world):
    group = given.group(world, sizes=(1, 8, 4))
    group.tracking("load", "Load", 50)
    group.minutes(3, Load=50)
    # When the metric is below 0.7 of its target for 14 minutes, I expect nothing
    group.minutes(14, Load=20)
    assert group.desired == 4
    # And scale-in after the fifteenth: 4 x 20 / 50, rounded up
    group.minute(Load=20)
    assert group.desired == 2
    group.settled(2)


def test_20_of_policies_at_once_the_one_with_the_largest_capacity_counts(world):
    # Given eight instances, and policies that leave 5 and 6 of them
    group = given.group(world, sizes=(1, 10, 8))
    group.alarm("three", group.steps("three", ((None, 0, -3),), warmup_s=0), "<=", 30)
    group.alarm(
        "quarter",
        group.steps("quarter", ((None, 0, -25),), kind="PercentChangeInCapacity", warmup_s=0),
        "<=",
        30,
    )
    group.minutes(2, Load=50)
    # When both are called in the same minute
    group.minute(Load=20)
    # I expect the larger group
    assert group.desired == 6
    group.settled(6)


def test_21_all_tracking_policies_must_agree_to_scale_in(world):
    # Given two target-tracking policies
    group = given.group(world, sizes=(1, 8, 4))
    group.tracking("load", "Load", 50)
    group.tracking("wait", "Wait", 10)
    # When one is low for long, I expect no scale-in
    group.minutes(20, Load=20, Wait=9)
    assert group.desired == 4
    # And one once both are
    group.minutes(15, Load=20, Wait=5)
    assert group.desired == 2


def next_spring(after: datetime, zone: ZoneInfo) -> datetime:
    """The first midnight of a day on which clocks go forward, more than two days later."""
    day = datetime.combine((after.astimezone(zone) + timedelta(days=3)).date(), time(), tzinfo=zone)
    while (day + timedelta(days=1)).utcoffset() <= day.utcoffset():
        day += timedelta(days=1)
    return day


def test_22_a_recurrence_follows_its_time_zone_s_clock(world):
    # Given a schedule at nine in Berlin
    group = given.group(world, sizes=(0, 3, 1))
    zone = ZoneInfo("Europe/Berlin")
    shift = next_spring(world.now(), zone)
    world.advance_to((shift - timedelta(days=1)).astimezone(UTC))
    world.autoscaling.put_scheduled_update_group_action(
        AutoScalingGroupName=group.name,
        ScheduledActionName="morning",
        Recurrence="0 9 * * *",
        TimeZone="Europe/Berlin",
        DesiredCapacity=3,
    )
    # When clocks go forward, I expect it at nine of the clock there, before and after
    fired = {}
    for day in (shift - timedelta(days=1), shift, shift + timedelta(days=1)):
        nine = day.replace(hour=9).astimezone(UTC)
        group.resize(1)
        group.settled(1)
        world.advance_to(nine - timedelta(minutes=1))
        assert group.desired == 1
        world.advance_to(nine + timedelta(minutes=2, seconds=1))
        assert group.desired == 3
        group.settled(3)
        fired[day.date()] = nine.hour
        launched_last(
            group, cause="a scheduled action update of AutoScalingGroup constraints to min: 0, max: 3, desired: 3"
        )
    assert list(fired.values()) == [8, 7, 7]


def test_23_what_is_suspended_is_not_made_up_for(world):
    # Given a group that alarms have no say in
    group = given.group(world, sizes=(1, 8, 2))
    group.alarm("high", group.steps("out", ((0, None, 1),), warmup_s=0), ">=", 60)
    group.minute(Load=10)
    processes = {"AutoScalingGroupName": group.name, "ScalingProcesses": ["AlarmNotification"]}
    world.autoscaling.suspend_processes(**processes)
    # When there is a breach which is over before it is resumed, I expect nothing of it
    group.minutes(2, Load=70)
    assert group.desired == 2
    group.minute(Load=10)
    world.autoscaling.resume_processes(**processes)
    group.minutes(2, Load=10)
    assert group.desired == 2
    # And of one that lasts, what it asks for once it is resumed
    world.autoscaling.suspend_processes(**processes)
    group.minutes(2, Load=70)
    assert group.desired == 2
    world.autoscaling.resume_processes(**processes)
    group.minute(Load=70)
    assert group.desired == 3
