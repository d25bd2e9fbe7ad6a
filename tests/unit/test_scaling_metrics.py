"""The metric store and what is read from it."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scaling_policy_world import MINUTE, T0, World

from parity.errors import ServiceError
from parity.model.scaling.metrics import expressions
from parity.model.scaling.metrics import store as metrics
from parity.model.scaling.state import SECOND_US, Series, State
from parity.model.scaling.world import Measured

MINUTE_US = MINUTE * SECOND_US
ALL = ["SampleCount", "Sum", "Average", "Minimum", "Maximum"]


def put(world: World, *data: dict, namespace: str = "Test") -> None:
    world.watch("PutMetricData", Namespace=namespace, MetricData=[{"MetricName": "Load", **each} for each in data])


def read(world: World, **more: object) -> list[dict]:
    """The statistics of `Load` from T0 on."""
    given = {
        "Namespace": "Test",
        "MetricName": "Load",
        "StartTime": T0,
        "EndTime": T0 + 10 * MINUTE_US,
        "Period": 60,
        "Statistics": ALL,
    }
    return world.watch("GetMetricStatistics", **{**given, **more})["Datapoints"]


def test_values_statistics_and_counted_values_add_up():
    world = World()
    put(
        world,
        {"Value": 4.0, "Unit": "Count"},
        {"StatisticValues": {"SampleCount": 3.0, "Sum": 12.0, "Minimum": 1.0, "Maximum": 9.0}},
        {"Values": [2.0, 6.0], "Counts": [2.0, 1.0]},
    )
    assert read(world) == [
        {
            "Timestamp": T0,
            "Unit": "Count",
            "SampleCount": 7.0,
            "Sum": 26.0,
            "Average": 26 / 7,
            "Minimum": 1.0,
            "Maximum": 9.0,
        }
    ]


def test_datapoints_are_of_the_period_of_their_time_whenever_they_come():
    world = World()
    world.pass_time(5 * MINUTE)
    for minute, value in ((3, 30.0), (1, 10.0), (2, 20.0), (1, 14.0)):
        put(world, {"Value": value, "Timestamp": T0 + minute * MINUTE_US + 20 * SECOND_US})
    found = [(point["Timestamp"] - T0, point["Average"]) for point in read(world)]
    assert found == [(MINUTE_US, 12.0), (2 * MINUTE_US, 20.0), (3 * MINUTE_US, 30.0)]
    found = [(point["Timestamp"] - T0, point["Maximum"]) for point in read(world, Period=180)]
    assert found == [(0, 20.0), (3 * MINUTE_US, 30.0)]
    # What is in the store stayed as it was.
    assert [point["SampleCount"] for point in read(world)] == [2.0, 1.0, 1.0]


def test_a_metric_is_its_dimensions_too():
    world = World()
    queue = [{"Name": "Queue", "Value": "a"}, {"Name": "Host", "Value": "h"}]
    put(world, {"Value": 1.0}, {"Value": 2.0, "Dimensions": queue})
    assert [point["Sum"] for point in read(world, Dimensions=queue[::-1])] == [2.0]
    assert [point["Sum"] for point in read(world)] == [1.0]
    assert read(world, Dimensions=queue[:1]) == []
    assert read(world, Unit="Count") != []
    put(world, {"Value": 1.0, "Unit": "Seconds"})
    assert read(world, Unit="Count") == []


def test_percentiles_are_of_single_values():
    world = World()
    put(world, *({"Value": float(value)} for value in range(1, 41)))
    plain = {"Statistics": None, "ExtendedStatistics": ["p50", "p90", "p99.9"]}
    assert read(world, **plain)[0]["ExtendedStatistics"] == {"p50": 20.0, "p90": 36.0, "p99.9": 40.0}
    put(world, {"StatisticValues": {"SampleCount": 3.0, "Sum": 12.0, "Minimum": 1.0, "Maximum": 9.0}})
    assert read(world, **plain)[0]["ExtendedStatistics"] == {}


def test_what_is_kept_of_a_period_is_bounded():
    world = World()
    put(world, *({"Value": float(value)} for value in range(1000)))
    (series,) = world.state.series.values()
    (point,) = series.statistics
    assert len(point.values) == metrics.VALUES_MAX
    assert sum(count for _, count in point.values) == point.count == 1000
    assert (point.low, point.high, point.total) == (0.0, 999.0, 499500.0)


def test_a_series_keeps_15_days_of_minutes_and_an_old_one_goes():
    world = World()
    days_us = 15 * 24 * 60 * MINUTE_US
    for minute in range(25_000):
        told = metrics.sample(1.0)
        metrics.record(world.region, "Test", "Load", (), told, at_us=T0 + minute * MINUTE_US)
    (series,) = world.state.series.values()
    assert metrics.POINTS_MAX <= len(series.statistics) <= metrics.POINTS_MAX * 9 // 8
    assert series.statistics[-1].start_us == T0 + 24_999 * MINUTE_US
    world.region.step(T0 + 25_000 * MINUTE_US)
    assert len(world.state.series) == 1
    world.region.step(T0 + 25_000 * MINUTE_US + days_us + 60 * MINUTE_US)
    assert world.state.series == {}
    assert world.region.due_us() is None


def test_a_window_is_found_among_many_datapoints():
    series = Series(namespace="n", name="m", dimensions=())
    for minute in range(100):
        point = metrics.sample(float(minute))
        point.start_us = minute * MINUTE_US
        series.statistics.append(point)
    found = metrics.windows(series, 50 * MINUTE_US, 2 * MINUTE_US, 3)
    assert [point.total if point else None for point in found] == [97.0, 93.0, 89.0]
    found = metrics.windows(series, 102 * MINUTE_US, MINUTE_US, 4)
    assert [point.total if point else None for point in found] == [None, None, 99.0, 98.0]


@given(
    st.lists(st.tuples(st.integers(0, 600), st.integers(-9, 9)), max_size=40),
    st.sampled_from([60, 120, 180, 300]),
    st.integers(0, 12),
    st.integers(1, 6),
)
def test_a_window_is_what_adding_up_all_samples_gives(samples, period_s, end_minute, count):
    """However they come in, and however many periods are asked for."""
    world = World()
    for second, value in samples:
        told = metrics.sample(float(value))
        metrics.record(world.region, "Test", "Load", (), told, at_us=T0 + second * SECOND_US)
    end_s = end_minute * MINUTE
    series = metrics.find(world.region, "Test", "Load", ())
    found = metrics.windows(series, T0 + end_s * SECOND_US, period_s * SECOND_US, count)
    for place, summed in enumerate(found):
        low_s, high_s = end_s - (place + 1) * period_s, end_s - place * period_s
        # The store sums up by minutes, and every period is of whole minutes.
        within = sorted(value for second, value in samples if low_s <= second < high_s)
        if summed is None:
            assert within == []
        else:
            told = (summed.count, summed.total, summed.low, summed.high)
            assert told == (len(within), sum(within), within[0], within[-1])
            assert metrics.read(summed, "p50") == within[math.ceil(len(within) / 2) - 1]


def test_what_an_instance_measures_counts_for_its_group_once_it_is_warm():
    world = World()
    group = world.group(sizes=(0, 5, 2), DefaultInstanceWarmup=120)
    world.call("SetDesiredCapacity", AutoScalingGroupName="g", DesiredCapacity=3)
    world.pass_time(30)

    def measure() -> float:
        told = [
            Measured("AWS/EC2", "CPUUtilization", (("InstanceId", one),), 10.0 * (place + 1))
            for place, one in enumerate(group.entered)
        ]
        world.region.step(world.region.now_us, told)
        of_group = [{"Name": "AutoScalingGroupName", "Value": "g"}]
        given = {"Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "Dimensions": of_group, "Statistics": ALL}
        begin_us = world.region.now_us - world.region.now_us % MINUTE_US
        (point,) = read(world, StartTime=begin_us, EndTime=begin_us + MINUTE_US, **given)
        return point["SampleCount"], point["Average"]

    assert measure() == (2.0, 15.0)
    world.pass_time(150)
    assert measure() == (3.0, 20.0)


def test_a_group_publishes_its_own_metrics():
    world = World()
    world.group(sizes=(1, 5, 2))
    kept = {"AutoScalingGroupName": "g", "Granularity": "1Minute"}
    world.call("EnableMetricsCollection", Metrics=["GroupInServiceInstances", "GroupMaxSize"], **kept)
    (shown,) = world.call("DescribeAutoScalingGroups")["AutoScalingGroups"]
    assert [each["Metric"] for each in shown["EnabledMetrics"]] == ["GroupMaxSize", "GroupInServiceInstances"]
    world.pass_time(2 * MINUTE)
    names = {each["MetricName"]: each for each in world.watch("ListMetrics", Namespace="AWS/AutoScaling")["Metrics"]}
    assert set(names) == {"GroupInServiceInstances", "GroupMaxSize"}
    where = names["GroupInServiceInstances"]
    given = {"StartTime": world.region.now_us - 2 * MINUTE_US, "EndTime": world.region.now_us}
    assert [point["Average"] for point in read(world, **where, **given)] == [2.0, 2.0]
    world.call("DisableMetricsCollection", AutoScalingGroupName="g")
    world.pass_time(3 * MINUTE)
    assert read(world, **where, StartTime=world.region.now_us - 2 * MINUTE_US, EndTime=world.region.now_us) == []
    told = world.call("DescribeMetricCollectionTypes")
    assert "GroupDesiredCapacity" in [each["Metric"] for each in told["Metrics"]]
    assert world.refused("EnableMetricsCollection", Metrics=["None"], **kept).startswith("ValidationError: ")


def test_metrics_are_listed_by_what_they_are():
    world = World()
    queue = [{"Name": "Queue", "Value": "a"}]
    put(world, {"Value": 1.0}, {"Value": 2.0, "Dimensions": queue})
    put(world, {"Value": 1.0}, namespace="Other")
    assert len(world.watch("ListMetrics")["Metrics"]) == 3
    assert world.watch("ListMetrics", Namespace="Test", Dimensions=[{"Name": "Queue"}])["Metrics"] == [
        {"Namespace": "Test", "MetricName": "Load", "Dimensions": queue}
    ]
    world.pass_time(4 * 3600)
    assert world.watch("ListMetrics", RecentlyActive="PT3H")["Metrics"] == []


def test_math_over_metrics():
    world = World()
    put(world, {"Value": 1500.0, "MetricName": "Visible"}, {"Value": 10.0, "MetricName": "Size"})
    world.pass_time(MINUTE)
    put(world, {"Value": 900.0, "MetricName": "Visible"})

    def stat(name: str) -> dict:
        return {"Metric": {"Namespace": "Test", "MetricName": name}, "Period": 60, "Stat": "Sum"}

    queries = [
        {"Id": "m1", "MetricStat": stat("Visible"), "ReturnData": False},
        {"Id": "m2", "MetricStat": stat("Size"), "ReturnData": False},
        {"Id": "e1", "Expression": "m1 / m2", "Label": "backlog"},
        {"Id": "e2", "Expression": "e1 + FILL(m2, 1)"},
        {"Id": "e3", "Expression": "IF(m1 > 1000, MAX([m1, m2]), 0)"},
    ]
    given = {"StartTime": T0, "EndTime": T0 + 2 * MINUTE_US, "ScanBy": "TimestampAscending"}
    answer = world.watch("GetMetricData", MetricDataQueries=queries, **given)
    found = {each["Id"]: (each["Label"], each["Timestamps"], each["Values"]) for each in answer["MetricDataResults"]}
    assert found == {
        "e1": ("backlog", [T0], [150.0]),
        "e2": ("e2", [T0], [160.0]),
        "e3": ("e3", [T0, T0 + MINUTE_US], [1500.0, 0.0]),
    }
    newest_first = world.watch("GetMetricData", MetricDataQueries=queries, StartTime=T0, EndTime=T0 + 2 * MINUTE_US)
    assert newest_first["MetricDataResults"][2]["Values"] == [0.0, 1500.0]


@pytest.mark.parametrize(
    ("expression", "values", "result"),
    [
        ("m1 + 2 * m2", (1.0, 3.0), 7.0),
        ("(m1 + 2) * m2", (1.0, 3.0), 9.0),
        ("1 + m1 ^ 2", (3.0, 0.0), 10.0),
        ("m1 / m2", (1.0, 0.0), None),
        ("m1 / m2", (None, 1.0), None),
        ("SUM([m1, m2])", (None, 1.0), 1.0),
        ("AVG([m1, m2, 6])", (1.0, 2.0), 3.0),
        ("CEIL(m1 / m2) + FLOOR(m1 / m2) + ABS(-m1)", (3.0, 2.0), 6.0),
        ("MIN([m1, m2]) <= 1", (1.0, 2.0), 1.0),
        ("FILL(m1, -1)", (None, 2.0), -1.0),
        ("10 ^ m1", (1000.0, 2.0), None),
    ],
)
def test_an_expression(expression, values, result):
    tree = expressions.parsed(expression)
    assert expressions.evaluate(tree, {"m1": [values[0]], "m2": [values[1]]}, 1) == [result]


@pytest.mark.parametrize(
    "expression",
    ["", "m1 +", "m1.x", "m1[0]", "__import__('os')", "SEARCH('x')", "'a'", "m1 if m2 else 0", "True", "f(m1)"],
)
def test_what_is_no_expression_is_refused(expression):
    with pytest.raises(ServiceError) as caught:
        expressions.parsed(expression)
    assert caught.value.code == "ValidationError"


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ([{"Id": "a", "Expression": "b"}], "Error in expression 'b': Unknown identifier 'b'"),
        (
            [{"Id": "a", "Expression": "b"}, {"Id": "b", "Expression": "a"}],
            "Expression for metric a refers to itself",
        ),
        ([{"Id": "a"}], "You must specify either Expression or MetricStat in a MetricDataQuery."),
    ],
)
def test_queries_that_cannot_be_answered_are_refused(queries, message):
    told = World().refused("GetMetricData", "cloudwatch", MetricDataQueries=queries, StartTime=T0, EndTime=T0 + 1)
    assert told == f"ValidationError: {message}"


@pytest.mark.parametrize(
    ("datum", "code"),
    [
        ({}, "MissingParameter"),
        ({"Value": float("nan")}, "InvalidParameterValue"),
        ({"Value": 2.0**361}, "InvalidParameterValue"),
        ({"Value": 1.0, "Values": [1.0]}, "InvalidParameterCombination"),
        ({"Values": [1.0], "Counts": [1.0, 2.0]}, "InvalidParameterValue"),
        ({"Value": 1.0, "Timestamp": T0 - 15 * 86_400 * SECOND_US}, "InvalidParameterValue"),
        ({"Value": 1.0, "Timestamp": T0 + 3 * 3600 * SECOND_US}, "InvalidParameterValue"),
        (
            {"StatisticValues": {"SampleCount": 0.0, "Sum": 1.0, "Minimum": 1.0, "Maximum": 1.0}},
            "InvalidParameterValue",
        ),
    ],
)
def test_what_is_no_datum_is_refused_and_nothing_is_kept(datum, code):
    world = World()
    data = [{"MetricName": "Load", "Value": 1.0}, {"MetricName": "Load", **datum}]
    assert world.refused("PutMetricData", "cloudwatch", Namespace="Test", MetricData=data).startswith(f"{code}: ")
    assert world.state.series == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"Period": 45}, "ValidationError: Period must be 1, 5, 10, 20, 30 or a multiple of 60"),
        (
            {"EndTime": T0 + 2000 * MINUTE_US},
            (
                "InvalidParameterCombination: You have requested up to 2,000 datapoints, which exceeds the limit of "
                "1,440. You may reduce the datapoints requested by increasing Period, or decreasing the time range."
            ),
        ),
        (
            {"EndTime": T0},
            "InvalidParameterCombination: The parameter StartTime must be less than the parameter EndTime.",
        ),
        ({"Statistics": []}, "MissingParameter: Must specify either Statistics or ExtendedStatistics."),
    ],
)
def test_a_reading_that_cannot_be_is_refused(given, message):
    asked = {"Namespace": "N", "MetricName": "M", "StartTime": T0, "EndTime": T0 + MINUTE_US, "Period": 60}
    world = World()
    assert world.refused("GetMetricStatistics", "cloudwatch", **{**asked, "Statistics": ["Sum"], **given}) == message


def test_the_store_can_be_written_down():
    world = World()
    put(
        world, {"Values": [1.0, 2.5], "Counts": [2.0, 1.0]}, {"Value": 3.0, "Dimensions": [{"Name": "a", "Value": "b"}]}
    )
    again = msgspec.json.decode(msgspec.json.encode(world.state), type=State)
    assert again == world.state
