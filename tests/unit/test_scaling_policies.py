"""Policies of a group: what surrounds the statements of docs/scaling.md, which `tests/scaling` has."""

from __future__ import annotations

import json

import msgspec
import pytest
from scaling_policy_world import MINUTE, World

from parity.model.scaling.state import State

OUT = [(0.0, 10.0, 0), (10.0, 20.0, 10), (20.0, None, 30)]
IN = [(-10.0, 0.0, 0), (-20.0, -10.0, -10), (None, -20.0, -30)]
PERCENT = "PercentChangeInCapacity"


def causes(world: World, group: str = "g") -> list[str]:
    told = world.call("DescribeScalingActivities", AutoScalingGroupName=group)["Activities"]
    return [activity["Cause"] for activity in told]


def test_an_executed_policy_is_in_the_cause():
    world = World()
    world.group()
    world.simple("more", 1)
    world.call("ExecutePolicy", AutoScalingGroupName="g", PolicyName="more")
    world.pass_time(10)
    assert "a user request executed policy more changing the desired capacity from 2 to 3." in causes(world)[0]


def cooled() -> World:
    """A simple policy has just been carried out: its instance came into service 10 s ago, its cooldown takes 300 s."""
    world = World(boot_s=50)
    world.group()
    world.alarm("high", ">=", 80, world.simple("more", 1, Cooldown=300))
    world.minute(Load=90)
    world.pass_time(MINUTE)
    assert world.state.groups["g"].desired == 3
    return world


def test_a_cooldown_begins_when_the_last_instance_is_in_service():
    """Not when the policy acted, 50 s before."""
    world = cooled()
    in_service_us = max(world.state.groups["g"].entered.values())
    assert world.state.groups["g"].cooldown_until_us == in_service_us + 300_000_000


def test_an_alarm_within_the_cooldown_is_ignored_and_one_after_it_is_not():
    """Statement 12."""
    world = cooled()
    group = world.state.groups["g"]
    world.minutes(4, Load=90)
    assert group.desired == 3
    world.minutes(2, Load=90)
    assert group.desired == 4


def test_a_cooldown_binds_who_honors_it():
    """Statement 13."""
    world = cooled()
    group = world.state.groups["g"]
    last = group.activities[-1].activity_id
    blocked = f"ScalingActivityInProgress: Scaling activity {last} is in progress and blocks this action"
    named = {"AutoScalingGroupName": "g"}
    assert world.refused("SetDesiredCapacity", DesiredCapacity=5, HonorCooldown=True, **named) == blocked
    assert world.refused("ExecutePolicy", PolicyName="more", HonorCooldown=True, **named) == blocked
    assert group.desired == 3
    world.call("ExecutePolicy", PolicyName="more", **named)
    assert group.desired == 4
    world.call("SetDesiredCapacity", DesiredCapacity=5, **named)
    assert group.desired == 5


def test_a_simple_policy_waits_for_an_activity_under_way():
    """Whatever began it: here a user did, and the instance takes two minutes."""
    world = World(boot_s=120)
    group = world.group()
    world.alarm("high", ">=", 80, world.simple("more", 1))
    world.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=3)
    world.minute(Load=90)
    assert group.desired == 3
    world.minutes(2, Load=90)
    assert group.desired == 4


def test_the_user_guide_s_step_example():
    """Statement 14: the metric is exactly on a bound each time."""
    world = World()
    group = world.group(sizes=(1, 20, 10), DefaultInstanceWarmup=60)
    world.alarm("high", ">=", 50, world.steps("out", OUT, kind=PERCENT))
    world.alarm("low", "<=", 50, world.steps("in", IN, kind=PERCENT))
    for load, size in ((60, 11), (70, 14), (40, 13), (30, 10)):
        world.minute(Load=load)
        assert group.desired == size
        # All that came is in service and warm, and what goes is gone.
        world.minutes(3, Load=50)
        assert group.desired == size
    assert (
        "a monitor alarm low in state ALARM triggered policy in changing the desired capacity from 13 to 10."
        in (causes(world)[0])
    )


def test_activities_show_the_alarm_that_caused_them():
    """Every instance of a scale-out, each way to be there or not; what a user asked for shows none."""
    world = World()
    world.group(sizes=(1, 20, 2))
    world.alarm("high", ">=", 50, world.steps("out", [(0.0, None, 2)], EstimatedInstanceWarmup=0))
    world.minute(Load=60)
    world.pass_time(10)
    world.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=5)
    told = world.call("DescribeScalingActivities", AutoScalingGroupName="g")["Activities"]
    details = [json.loads(activity["Details"]) for activity in told]
    by_alarm = [each["InvokingAlarms"] for each in details if "InvokingAlarms" in each]
    assert len(details) == 5
    assert len(by_alarm) == 2
    ((shown,), _) = by_alarm
    assert (shown["AlarmName"], shown["OldStateValue"], shown["NewStateValue"]) == (
        "high",
        "INSUFFICIENT_DATA",
        "ALARM",
    )
    assert (shown["Trigger"]["MetricName"], shown["Trigger"]["Threshold"]) == ("Load", 50)
    assert shown["StateChangeTime"] == world.state.alarms["high"].changed_us // 1000


def test_the_same_step_again_is_one_activity_while_it_warms_up():
    """Statement 16; a larger step adds what is missing to it."""
    world = World()
    group = world.group(sizes=(1, 20, 10))
    world.alarm("high", ">=", 50, world.steps("out", OUT, kind=PERCENT, EstimatedInstanceWarmup=600))
    world.minutes(4, Load=65)
    assert group.desired == 11
    world.minute(Load=75)
    assert group.desired == 13
    world.minutes(9, Load=75)
    # The first of them is warm: 30 % of eleven, the other two are among what comes.
    assert group.desired == 14


def test_no_scale_in_while_an_instance_warms_up():
    """Statement 17: from its launch on, until its warmup is over."""
    world = World(boot_s=90)
    group = world.group(sizes=(1, 10, 2))
    world.alarm("low", "<=", 30, world.steps("less", [(None, 0.0, -1)], EstimatedInstanceWarmup=120))
    world.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=3)
    world.minutes(3, Load=10)
    assert group.desired == 3
    world.minute(Load=10)
    assert group.desired == 2


def test_the_same_step_in_again_takes_nothing_more_while_instances_terminate():
    world = World(end_s=200)
    group = world.group(sizes=(1, 20, 10))
    world.alarm("low", "<=", 50, world.steps("in", IN, kind=PERCENT, EstimatedInstanceWarmup=0))
    world.minutes(3, Load=35)
    assert group.desired == 9
    world.minute(Load=20)
    assert group.desired == 7


def test_the_backlog_can_be_metric_math():
    """As AWS's example has it: messages by instances in service, which the group publishes itself."""
    world = World()
    group = world.group(sizes=(1, 20, 10))
    world.call("EnableMetricsCollection", AutoScalingGroupName="g", Granularity="1Minute")
    size = {
        "Namespace": "AWS/AutoScaling",
        "MetricName": "GroupInServiceInstances",
        "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "g"}],
    }
    custom = {
        "Metrics": [
            {
                "Id": "m1",
                "MetricStat": {"Metric": {"Namespace": "Test", "MetricName": "Load"}, "Stat": "Sum"},
                "ReturnData": False,
            },
            {"Id": "m2", "MetricStat": {"Metric": size, "Stat": "Average"}, "ReturnData": False},
            {"Id": "e1", "Expression": "m1 / m2", "ReturnData": True},
        ]
    }
    config = {"CustomizedMetricSpecification": custom, "TargetValue": 100.0}
    world.policy("backlog", PolicyType="TargetTrackingScaling", TargetTrackingConfiguration=config)
    world.minutes(5, Load=1500)
    assert group.desired == 15


def test_how_low_and_how_long_can_be_set():
    world = World()
    world.state.tracking.low_periods, world.state.tracking.low_ratio = 2, 0.9
    group = world.group(sizes=(1, 20, 10))
    world.track("load", 100)
    world.minutes(2, Load=80)
    assert group.desired == 8


def test_target_tracking_stays_where_one_fewer_would_exceed_the_target():
    """Three instances at 69 are below the alarm's threshold of 70, and two would be at 103.5."""
    world = World()
    group = world.group(sizes=(1, 20, 3))
    world.track("load", 100)
    world.minutes(30, Load=69)
    assert group.desired == 3


def test_target_tracking_without_scale_in_has_one_alarm():
    world = World()
    group = world.group(sizes=(1, 20, 10))
    world.track("load", 100, DisableScaleIn=True)
    assert [name.split("-")[2] for name in group.policies["load"].alarms] == ["AlarmHigh"]
    world.minutes(30, Load=1)
    assert group.desired == 10


def test_target_tracking_does_nothing_without_data():
    world = World()
    group = world.group(sizes=(1, 20, 10))
    world.track("load", 100)
    world.minutes(10, Load=50)
    world.minutes(30)
    assert group.desired == 10
    assert {world.state_of(name) for name in group.policies["load"].alarms} == {"INSUFFICIENT_DATA"}


def test_target_tracking_goes_from_none_to_some():
    world = World()
    group = world.group(sizes=(0, 20, 0))
    world.track("backlog", 100)
    world.minutes(3, Load=250)
    assert group.desired == 3


def test_of_policies_at_once_the_largest_capacity_counts():
    """Statement 20, and the same for scale-out."""
    world = World()
    group = world.group(sizes=(1, 20, 8))
    world.alarm("three", "<=", 30, world.steps("three", [(None, 0.0, -3)], EstimatedInstanceWarmup=0))
    world.alarm(
        "quarter", "<=", 30, world.steps("quarter", [(None, 0.0, -25)], kind=PERCENT, EstimatedInstanceWarmup=0)
    )
    world.alarm("one", ">=", 60, world.steps("one", [(0.0, None, 1)], EstimatedInstanceWarmup=0))
    world.alarm("half", ">=", 60, world.steps("half", [(0.0, None, 50)], kind=PERCENT, EstimatedInstanceWarmup=0))
    world.minute(Load=20)
    assert group.desired == 6
    world.minute(Load=70)
    assert group.desired == 9


def test_scale_in_takes_all_target_tracking_policies():
    """Statement 21: one that is low is not enough; one that may not scale in is not asked."""
    world = World()
    group = world.group(sizes=(1, 20, 10))
    world.track("load", 100)
    world.track("wait", 10, "Wait")
    world.track("lag", 10, "Lag", DisableScaleIn=True)
    world.minutes(20, Load=40, Wait=9, Lag=9)
    assert group.desired == 10
    world.minutes(15, Load=40, Wait=6, Lag=9)
    # The larger of the two that they want.
    assert group.desired == 6


def test_one_target_tracking_policy_is_enough_to_scale_out():
    world = World()
    group = world.group(sizes=(1, 20, 10))
    world.track("load", 100)
    world.track("wait", 10, "Wait")
    world.minutes(16, Load=40, Wait=20)
    assert group.desired == 20


def test_suspended_alarms_are_not_made_up_for():
    """Statement 23."""
    world = World()
    group = world.group(sizes=(1, 20, 2))
    world.alarm("high", ">=", 50, world.steps("out", [(0.0, None, 1)], EstimatedInstanceWarmup=0))
    process = {"AutoScalingGroupName": "g", "ScalingProcesses": ["AlarmNotification"]}
    world.call("SuspendProcesses", **process)
    world.minutes(2, Load=60)
    world.minute(Load=10)
    world.call("ResumeProcesses", **process)
    world.minute(Load=10)
    assert group.desired == 2
    world.call("SuspendProcesses", **process)
    world.minute(Load=60)
    world.call("ResumeProcesses", **process)
    assert group.desired == 2
    world.minute(Load=60)
    assert group.desired == 3


def test_a_disabled_policy_is_not_called_on():
    world = World()
    group = world.group()
    arn = world.steps("out", [(0.0, None, 1)], Enabled=False)
    world.alarm("high", ">=", 50, arn)
    world.minutes(2, Load=60)
    assert group.desired == 2
    assert world.call("DescribePolicies")["ScalingPolicies"][0]["Enabled"] is False


def test_a_state_that_was_set_by_hand_calls_on_policies_with_the_datapoints_that_are_stated():
    world = World()
    group = world.group(sizes=(1, 20, 10))
    world.alarm("high", ">=", 50, world.steps("out", OUT, kind=PERCENT))
    data = '{"recentDatapoints": [72.0]}'
    world.watch("SetAlarmState", AlarmName="high", StateValue="ALARM", StateReason="a test", StateReasonData=data)
    world.pass_time(1)
    assert group.desired == 13


@pytest.mark.parametrize("at_s", [0, 30, 61, 95])
def test_what_happens_does_not_depend_on_being_written_down(at_s):
    """The state is read back from JSON at some moment, and all goes on alike."""
    straight, stopped = World(), World()
    sizes = []
    for world in (straight, stopped):
        world.group()
        world.alarm("high", ">=", 80, world.simple("more", 1, Cooldown=60))
        world.track("load", 50)
        world.minute(Load=90)
        world.pass_time(at_s)
        if world is stopped:
            written = msgspec.json.encode(world.state)
            world.region = type(world.region)(msgspec.json.decode(written, type=State))
        world.pass_time(120 - at_s)
        world.minutes(5, Load=90)
        sizes.append((world.state.groups["g"].desired, world.state_of("high"), world.state.drawn))
    assert sizes[0] == sizes[1]
    assert sizes[0][0] > 3


# The API.


def test_a_tracking_policy_shows_the_alarms_it_made():
    world = World()
    world.group()
    answer = world.call(
        "PutScalingPolicy",
        AutoScalingGroupName="g",
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
            "TargetValue": 20.0,
        },
    )
    names = [alarm["AlarmName"] for alarm in answer["Alarms"]]
    assert [name.rsplit("-", 5)[0] for name in names] == ["TargetTracking-g-AlarmHigh", "TargetTracking-g-AlarmLow"]
    high, low = (world.watch("DescribeAlarms", AlarmNames=[name])["MetricAlarms"][0] for name in names)
    shown = ("Namespace", "MetricName", "Statistic", "Period", "EvaluationPeriods", "Threshold", "ComparisonOperator")
    assert [high[key] for key in shown] == ["AWS/EC2", "CPUUtilization", "Average", 60, 3, 20.0, "GreaterThanThreshold"]
    assert [low[key] for key in shown] == ["AWS/EC2", "CPUUtilization", "Average", 60, 15, 14.0, "LessThanThreshold"]
    assert low["AlarmActions"] == [answer["PolicyARN"]]
    assert low["AlarmDescription"] == f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {answer['PolicyARN']}."
    (policy,) = world.call("DescribePolicies", AutoScalingGroupName="g")["ScalingPolicies"]
    assert policy["Alarms"] == answer["Alarms"]
    assert policy["TargetTrackingConfiguration"]["DisableScaleIn"] is False


def test_a_changed_tracking_policy_keeps_its_alarms_and_a_deleted_one_does_not():
    world = World()
    group = world.group()
    world.track("load", 100)
    names = group.policies["load"].alarms
    world.track("load", 50)
    assert group.policies["load"].alarms == names
    assert [world.state.alarms[name].given["Threshold"] for name in names] == [50.0, 35.0]
    world.track("load", 50, DisableScaleIn=True)
    assert group.policies["load"].alarms == names[:1]
    assert set(world.state.alarms) == set(names[:1])
    world.call("DeletePolicy", AutoScalingGroupName="g", PolicyName="load")
    assert world.state.alarms == {}
    assert world.call("DescribePolicies")["ScalingPolicies"] == []


def test_the_alarms_of_tracking_go_with_the_group():
    world = World()
    world.group(sizes=(0, 2, 0))
    world.track("load", 100)
    world.call("DeleteAutoScalingGroup", AutoScalingGroupName="g")
    world.pass_time(1)
    assert world.state.alarms == {}


def test_a_deleted_policy_leaves_others_alarms_without_its_action():
    world = World()
    world.group()
    arn = world.simple("more", 1)
    world.alarm("high", ">", 1, arn, "arn:aws:sns:us-east-1:000000000000:topic")
    assert world.call("DescribePolicies")["ScalingPolicies"][0]["Alarms"] == [
        {"AlarmName": "high", "AlarmARN": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:high"}
    ]
    world.call("DeletePolicy", PolicyName=arn)
    assert world.state.alarms["high"].given["AlarmActions"] == ["arn:aws:sns:us-east-1:000000000000:topic"]
    assert world.refused("DeletePolicy", AutoScalingGroupName="g", PolicyName="more").endswith("Policy more not found")


def test_policies_are_shown_in_pages_and_by_name_and_kind():
    world = World()
    world.group(sizes=(0, 1, 0))
    arns = {name: world.simple(name, 1) for name in ("c", "a", "b")}
    world.steps("d", [(0.0, None, 1)])
    first = world.call("DescribePolicies", MaxRecords=3)
    second = world.call("DescribePolicies", MaxRecords=3, NextToken=first["NextToken"])
    names = [policy["PolicyName"] for page in (first, second) for policy in page["ScalingPolicies"]]
    assert names == ["a", "b", "c", "d"]
    assert "NextToken" not in second
    (one,) = world.call("DescribePolicies", PolicyNames=[arns["b"]])["ScalingPolicies"]
    assert one["PolicyName"] == "b"
    (step,) = world.call("DescribePolicies", PolicyTypes=["StepScaling"])["ScalingPolicies"]
    assert step["MetricAggregationType"] == "Average"


TRACKING = {"PolicyType": "TargetTrackingScaling"}
STEP = {"PolicyType": "StepScaling", "AdjustmentType": "ChangeInCapacity"}
CPU = {"PredefinedMetricType": "ASGAverageCPUUtilization"}


def config(**more: object) -> dict[str, object]:
    return TRACKING | {"TargetTrackingConfiguration": {"TargetValue": 50.0, **more}}


def stepped(*steps: tuple[float | None, float | None]) -> dict[str, object]:
    names = ("MetricIntervalLowerBound", "MetricIntervalUpperBound")
    return STEP | {
        "StepAdjustments": [dict(zip(names, step, strict=True)) | {"ScalingAdjustment": 1} for step in steps]
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "You must specify an AdjustmentType for policy type: SimpleScaling"),
        ({"AdjustmentType": "ChangeInCapacity"}, "Scaling increment must be specified for a SimpleScaling policy"),
        ({"EstimatedInstanceWarmup": 1}, "EstimatedInstanceWarmup is not supported for a SimpleScaling policy"),
        (
            {"AdjustmentType": "ExactCapacity", "ScalingAdjustment": -1},
            "The lowest value for ScalingAdjustment parameter is 0 with the specified adjustment type",
        ),
        ({"PolicyType": "StepScaling"}, "You must specify an AdjustmentType for policy type: StepScaling"),
        (STEP | {"ScalingAdjustment": 1}, "ScalingAdjustment is not supported for a StepScaling policy"),
        (STEP, "You should specify at least one StepAdjustment with a StepScaling policy"),
        (
            stepped(*[(float(n), n + 1.0) for n in range(21)]),
            "There can be at most 20 step adjustments per scaling policy",
        ),
        (stepped((None, None)), "Both lower and upper bounds of a StepAdjustment cannot be left unspecified"),
        (stepped((2.0, 2.0)), "LowerBound must be less than the UpperBound for StepAdjustment"),
        (stepped((0.0, None), (5.0, None)), "At most one StepAdjustment may have an unspecified upper bound"),
        (stepped((None, 0.0), (None, -5.0)), "At most one StepAdjustment may have an unspecified lower bound"),
        (
            stepped((1.0, 2.0)),
            (
                "There must be a StepAdjustment with an unspecified upper bound (i.e., upper bound is null) when one "
                "StepAdjustment has a positive upper bound"
            ),
        ),
        (
            stepped((-1.0, 0.0)),
            (
                "There must be a StepAdjustment with an unspecified lower bound (i.e., lower bound is null) when one "
                "StepAdjustment has a negative lower bound"
            ),
        ),
        (stepped((0.0, 5.0), (6.0, None)), "StepAdjustment intervals cannot have gaps between them"),
        (stepped((0.0, 5.0), (4.0, None)), "StepAdjustment intervals cannot overlap"),
        (TRACKING, "You should provide a TargetTrackingConfiguration"),
        (TRACKING | {"StepAdjustments": [{}]}, "StepAdjustments are not supported for a TargetTracking policy"),
        (
            config(),
            "You should provide either a CustomizedMetricSpecification or a PredefinedMetricSpecification",
        ),
        (
            config(PredefinedMetricSpecification=CPU, TargetValue=0.0),
            "Target value must be between 8.51592E-12 and 1.174271E17",
        ),
        (
            config(PredefinedMetricSpecification=CPU | {"ResourceLabel": "x"}),
            "Resource label should not be specified for predefined metric type ASGAverageCPUUtilization",
        ),
        (
            config(PredefinedMetricSpecification={"PredefinedMetricType": "ALBRequestCountPerTarget"}),
            "Resource label should be specified for predefined metric type ALBRequestCountPerTarget",
        ),
        (
            config(
                CustomizedMetricSpecification={"MetricName": "m", "Namespace": "n", "Statistic": "Sum", "Period": 300}
            ),
            "A metric period greater than 60 isn't supported",
        ),
        ({"PolicyType": "PredictiveScaling"}, "You must specify PredictiveScalingConfiguration"),
        (
            {"PolicyType": "PredictiveScaling", "AdjustmentType": "ExactCapacity"},
            "You can't specify AdjustmentType for policy type: PredictiveScaling",
        ),
    ],
)
def test_what_is_no_policy_is_refused_in_aws_words(given, message):
    world = World()
    group = world.group(sizes=(0, 1, 0))
    drawn = world.state.drawn
    assert world.refused("PutScalingPolicy", AutoScalingGroupName="g", PolicyName="p", **given) == (
        f"ValidationError: {message}"
    )
    assert (group.policies, world.state.alarms, world.state.drawn) == ({}, {}, drawn)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("step", {}, "MetricValue and BreachThreshold are required for a StepScaling policy"),
        (
            "step",
            {"MetricValue": 0.0, "BreachThreshold": 1.0},
            "No step adjustment found for metric value [0.0] and breach threshold 1.0",
        ),
        ("simple", {"MetricValue": 0.0}, "MetricValue and BreachThreshold are only supported for a StepScaling policy"),
        ("none", {}, "Policy none not found"),
    ],
)
def test_what_cannot_be_executed(name, given, message):
    world = World()
    group = world.group()
    world.steps("step", [(0.0, None, 1)])
    world.simple("simple", 1)
    told = world.refused("ExecutePolicy", AutoScalingGroupName="g", PolicyName=name, **given)
    assert told == f"ValidationError: {message}"
    assert group.desired == 2


def test_a_step_policy_is_executed_with_a_metric():
    world = World()
    group = world.group(sizes=(1, 20, 10))
    world.steps("out", OUT, kind=PERCENT)
    given = {"MetricValue": 59.0, "BreachThreshold": 50.0}
    world.call("ExecutePolicy", AutoScalingGroupName="g", PolicyName="out", **given)
    assert group.desired == 10
    world.call("ExecutePolicy", AutoScalingGroupName="g", PolicyName="out", **(given | {"MetricValue": 60.0}))
    assert group.desired == 11


def test_a_predictive_policy_is_kept_and_forecasts_nothing():
    world = World()
    world.group(sizes=(0, 1, 0))
    pair = {"PredefinedMetricPairSpecification": {"PredefinedMetricType": "ASGCPUUtilization"}, "TargetValue": 40.0}
    predictive = {"MetricSpecifications": [pair]}
    world.policy("p", PolicyType="PredictiveScaling", PredictiveScalingConfiguration=predictive)
    (shown,) = world.call("DescribePolicies")["ScalingPolicies"]
    assert shown["PredictiveScalingConfiguration"] == predictive
    forecast = world.call(
        "GetPredictiveScalingForecast", AutoScalingGroupName="g", PolicyName="p", StartTime=1, EndTime=2
    )
    assert forecast["CapacityForecast"] == {"Timestamps": [], "Values": []}
    assert forecast["LoadForecast"][0]["MetricSpecification"] == pair


def test_the_ways_to_adjust():
    told = World().call("DescribeAdjustmentTypes")["AdjustmentTypes"]
    assert [each["AdjustmentType"] for each in told] == ["ChangeInCapacity", "ExactCapacity", PERCENT]
