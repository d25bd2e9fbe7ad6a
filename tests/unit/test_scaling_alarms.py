"""Alarms: how they change state, what they then do, and how the API shows them."""

from __future__ import annotations

import json

import pytest
from scaling_policy_world import MINUTE, World

TOPIC = "arn:aws:sns:us-east-1:000000000000:topic"


def shown(world: World, name: str = "a") -> dict:
    (alarm,) = world.watch("DescribeAlarms", AlarmNames=[name])["MetricAlarms"]
    return alarm


def test_an_alarm_begins_without_data_and_follows_its_metric():
    world = World()
    world.alarm("a", ">", 5)
    assert (shown(world)["StateValue"], shown(world)["StateReason"]) == (
        "INSUFFICIENT_DATA",
        "Unchecked: Initial alarm creation",
    )
    states = []
    for value in (4, 6, 6, 5):
        world.minute(Load=value)
        states.append(world.state_of("a"))
    assert states == ["OK", "ALARM", "ALARM", "OK"]
    world.minutes(2)
    assert world.state_of("a") == "OK"
    world.minute()
    assert world.state_of("a") == "INSUFFICIENT_DATA"
    assert shown(world)["StateReason"] == "Insufficient Data: 1 datapoint was unknown."


def test_an_alarm_says_why_in_cloudwatch_s_words():
    world = World()
    world.alarm("a", ">=", 5, EvaluationPeriods=3, DatapointsToAlarm=2)
    for value in (4, 7, 6.5):
        world.minute(Load=value)
    assert shown(world)["StateReason"] == (
        "Threshold Crossed: 2 out of the last 3 datapoints [6.5 (25/11/26 18:02:00), 7.0 (25/11/26 18:01:00)] were "
        "greater than or equal to the threshold (5.0) (minimum 2 datapoints for OK -> ALARM transition)."
    )
    data = json.loads(shown(world)["StateReasonData"])
    assert data["recentDatapoints"] == [4.0, 7.0, 6.5]
    assert (data["startDate"], data["queryDate"], data["statistic"], data["period"], data["threshold"]) == (
        "2026-11-25T18:00:00.000+0000",
        "2026-11-25T18:03:00.000+0000",
        "Average",
        60,
        5.0,
    )
    world.minutes(2, Load=1)
    assert shown(world)["StateReason"] == (
        "Threshold Crossed: 2 out of the last 3 datapoints [1.0 (25/11/26 18:04:00), 1.0 (25/11/26 18:03:00)] were not "
        "greater than or equal to the threshold (5.0) (minimum 2 datapoints for ALARM -> OK transition)."
    )


@pytest.mark.parametrize(
    ("comparison", "values"), [(">", "-+"), (">=", "++"), ("<", "--"), ("<=", "+-")], ids=["gt", "ge", "lt", "le"]
)
def test_comparisons(comparison, values):
    """At the threshold, and just above it."""
    for value, mark in zip((5.0, 5.1), values, strict=True):
        world = World()
        world.alarm("a", comparison, 5)
        world.minute(Load=value)
        assert (world.state_of("a") == "ALARM") == (mark == "+")


@pytest.mark.parametrize(
    ("statistic", "state"),
    [
        ("Average", "OK"),
        ("Sum", "ALARM"),
        ("Maximum", "ALARM"),
        ("Minimum", "OK"),
        ("SampleCount", "OK"),
        ("p90", "ALARM"),
    ],
)
def test_statistics(statistic, state):
    world = World()
    named = {"ExtendedStatistic": statistic, "Statistic": None} if statistic == "p90" else {"Statistic": statistic}
    world.alarm("a", ">", 8, **named)
    data = [{"MetricName": "Load", "Value": float(value)} for value in (1, 1, 9)]
    world.watch("PutMetricData", Namespace="Test", MetricData=data)
    world.pass_time(MINUTE)
    assert world.state_of("a") == state


def test_a_short_period_is_looked_at_more_often_and_a_long_one_every_minute():
    world = World()
    world.alarm("short", ">", 5, Period=10)
    world.alarm("long", ">", 5, Period=300)
    data = [{"MetricName": "Load", "Value": 6.0, "StorageResolution": 1}]
    world.watch("PutMetricData", Namespace="Test", MetricData=data)
    world.pass_time(10)
    assert (world.state_of("short"), world.state_of("long")) == ("ALARM", "INSUFFICIENT_DATA")
    world.pass_time(50)
    assert world.state_of("long") == "ALARM"


def test_a_change_tells_a_topic_and_what_lasts_does_not():
    world = World()
    world.alarm("a", ">", 5, TOPIC, OKActions=[TOPIC], AlarmDescription="too much")
    world.minutes(3, Load=6)
    world.minutes(2, Load=4)
    told = [(each.target_arn, each.message["OldStateValue"], each.message["NewStateValue"]) for each in world.notified]
    assert told == [(TOPIC, "INSUFFICIENT_DATA", "ALARM"), (TOPIC, "ALARM", "OK")]
    message = world.notified[0].message
    assert (message["AlarmName"], message["AlarmDescription"], message["Trigger"]["Threshold"]) == ("a", "too much", 5)
    assert message["StateChangeTime"] == "2026-11-25T18:01:00.000+0000"


def test_an_alarm_whose_actions_are_off_only_changes_its_state():
    world = World()
    world.alarm("a", ">", 5, TOPIC)
    world.watch("DisableAlarmActions", AlarmNames=["a"])
    world.minute(Load=6)
    assert (world.state_of("a"), world.notified) == ("ALARM", [])
    world.watch("EnableAlarmActions", AlarmNames=["a"])
    world.minute(Load=4)
    world.minute(Load=6)
    assert len(world.notified) == 1


def test_a_policy_is_called_on_every_minute_while_the_alarm_lasts():
    world = World()
    group = world.group(sizes=(1, 9, 1))
    world.alarm("a", ">", 5, world.steps("out", [(0.0, None, 1)], EstimatedInstanceWarmup=0))
    sizes = []
    for value in (6, 6, 6, 4, 4):
        world.minute(Load=value)
        sizes.append(group.desired)
    assert sizes == [2, 3, 4, 4, 4]


def test_a_policy_of_a_short_period_s_alarm_is_called_on_once_a_minute():
    world = World()
    group = world.group(sizes=(1, 9, 1))
    world.alarm("a", ">", 5, world.steps("out", [(0.0, None, 1)], EstimatedInstanceWarmup=0), Period=10)
    data = [{"MetricName": "Load", "Value": 6.0, "StorageResolution": 1}]
    for _ in range(13):
        world.watch("PutMetricData", Namespace="Test", MetricData=data)
        world.pass_time(10)
    assert group.desired == 4


def test_missing_data_can_be_what_breaches():
    """A metric that stopped calls on a simple policy, which needs no datapoint."""
    world = World()
    group = world.group(sizes=(1, 9, 1))
    world.alarm("a", ">", 5, world.simple("more", 1), TreatMissingData="breaching", EvaluationPeriods=2)
    world.minutes(1)
    assert (world.state_of("a"), group.desired) == ("ALARM", 2)
    assert shown(world)["StateReason"] == (
        "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as "
        "[Breaching]."
    )


def test_a_state_that_is_set_lasts_until_the_next_evaluation():
    world = World()
    world.alarm("a", ">", 5, TOPIC)
    world.minute(Load=1)
    world.watch("SetAlarmState", AlarmName="a", StateValue="ALARM", StateReason="testing")
    assert (shown(world)["StateValue"], shown(world)["StateReason"]) == ("ALARM", "testing")
    world.minute(Load=1)
    assert (world.state_of("a"), len(world.notified)) == ("OK", 1)
    assert world.refused("SetAlarmState", "cloudwatch", AlarmName="b", StateValue="OK", StateReason="").startswith(
        "ResourceNotFound"
    )


def test_an_alarm_can_watch_metric_math():
    world = World()

    def stat(name: str) -> dict:
        return {"Metric": {"Namespace": "Test", "MetricName": name}, "Period": 60, "Stat": "Average"}

    queries = [
        {"Id": "m1", "MetricStat": stat("Load"), "ReturnData": False},
        {"Id": "m2", "MetricStat": stat("Size"), "ReturnData": False},
        {"Id": "e", "Expression": "m1 / m2"},
    ]
    given = {"AlarmName": "a", "EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold"}
    world.watch("PutMetricAlarm", Metrics=queries, **given)
    world.minute(Load=100, Size=10)
    assert world.state_of("a") == "ALARM"
    world.minute(Load=100, Size=20)
    assert world.state_of("a") == "OK"
    one_more = [*queries, {"Id": "m3", "MetricStat": stat("Load")}]
    assert world.refused("PutMetricAlarm", "cloudwatch", Metrics=one_more, **given) == (
        "ValidationError: Exactly one element of the metrics list should return data."
    )


def test_a_changed_alarm_keeps_its_state_and_its_history():
    world = World()
    world.alarm("a", ">", 5, TOPIC)
    world.minute(Load=6)
    world.alarm("a", ">", 50)
    assert world.state_of("a") == "ALARM"
    world.minute(Load=6)
    assert world.state_of("a") == "OK"
    items = world.watch("DescribeAlarmHistory", AlarmName="a", ScanBy="TimestampAscending")["AlarmHistoryItems"]
    assert [item["HistorySummary"] for item in items] == [
        'Alarm "a" created',
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        f"Successfully executed action {TOPIC}",
        'Alarm "a" updated',
        "Alarm updated from ALARM to OK",
    ]
    only = world.watch("DescribeAlarmHistory", HistoryItemType="Action", MaxRecords=1)
    assert [item["HistoryItemType"] for item in only["AlarmHistoryItems"]] == ["Action"]


def test_alarms_are_found_by_name_prefix_state_action_and_metric():
    world = World()
    for name in ("web-high", "web-low", "queue"):
        world.alarm(name, ">", 5, *([TOPIC] if name == "queue" else []))
    world.watch("SetAlarmState", AlarmName="web-low", StateValue="OK", StateReason="")

    def names(operation: str = "DescribeAlarms", **given: object) -> list[str]:
        return [alarm["AlarmName"] for alarm in world.watch(operation, **given)["MetricAlarms"]]

    assert names() == ["queue", "web-high", "web-low"]
    assert names(AlarmNamePrefix="web") == ["web-high", "web-low"]
    assert names(StateValue="OK") == ["web-low"]
    assert names(ActionPrefix="arn:aws:sns") == ["queue"]
    assert names("DescribeAlarmsForMetric", Namespace="Test", MetricName="Load", Period=60) == names()
    assert names("DescribeAlarmsForMetric", Namespace="Test", MetricName="Load", Period=120) == []
    first = world.watch("DescribeAlarms", MaxRecords=2)
    assert names(MaxRecords=2, NextToken=first["NextToken"]) == ["web-low"]
    world.watch("DeleteAlarms", AlarmNames=["queue", "none"])
    assert names() == ["web-high", "web-low"]
    world.minutes(2, Load=9)
    assert world.state_of("web-high") == "ALARM"


def test_an_alarm_has_tags():
    world = World()
    world.alarm("a", ">", 5, Tags=[{"Key": "team", "Value": "x"}])
    arn = shown(world)["AlarmArn"]
    world.watch("TagResource", ResourceARN=arn, Tags=[{"Key": "stage", "Value": "test"}])
    world.watch("UntagResource", ResourceARN=arn, TagKeys=["team"])
    assert world.watch("ListTagsForResource", ResourceARN=arn)["Tags"] == [{"Key": "stage", "Value": "test"}]
    told = world.refused("ListTagsForResource", "cloudwatch", ResourceARN=f"{arn}x")
    assert told == f"ResourceNotFoundException: The resource {arn}x does not exist."


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"Period": 45}, "Period must be 10, 20, 30 or a multiple of 60"),
        (
            {"EvaluationPeriods": 2, "DatapointsToAlarm": 3},
            "DatapointsToAlarm must be less than or equal to EvaluationPeriods",
        ),
        (
            {"EvaluationPeriods": 1441},
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400).",
        ),
        (
            {"ExtendedStatistic": "p90"},
            "You must specify either Statistic or ExtendedStatistic for the alarm, and not both",
        ),
        ({"ExtendedStatistic": "p101", "Statistic": None}, "Invalid statistic: p101"),
        ({"Threshold": None}, "The parameter Threshold is required for the alarm"),
        ({"ComparisonOperator": None}, "The parameter ComparisonOperator is required for the alarm"),
        ({"ThresholdMetricId": "ad1"}, "The parameter ThresholdMetricId is not supported here"),
        ({"TreatMissingData": "lost"}, "Option lost for parameter TreatMissingData is not supported."),
        ({"AlarmActions": ["topic"]}, "Invalid arn syntax: topic"),
        ({"MetricName": None}, "You must specify MetricName, Namespace and Period, or Metrics, for the alarm"),
    ],
)
def test_what_is_no_alarm_is_refused(given, message):
    world = World()
    asked = {
        "AlarmName": "a",
        "Namespace": "Test",
        "MetricName": "Load",
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 5.0,
    }
    assert world.refused("PutMetricAlarm", "cloudwatch", **{**asked, **given}) == f"ValidationError: {message}"
    assert (world.state.alarms, world.region.due_us()) == ({}, None)
