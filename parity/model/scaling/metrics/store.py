"""The metric store: what is put or measured becomes statistics of short periods, and those are summed up when read."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.region import Answer, Region, Request, fact, operation, timer
from parity.model.scaling.state import SECOND_US, Group, Member, Series, Statistic
from parity.model.scaling.world import Measured

MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
#: CloudWatch keeps datapoints of a minute for 15 days; here finer ones count the same, so memory is bounded.
POINTS_MAX = 15 * 24 * 60
#: Of single instances 3 hours are kept: there can be thousands, and what decides is their group's metric.
INSTANCE_POINTS_MAX = 3 * 60
#: The finest period of an alarm: what the world measures is summed up by it.
MEASURED_US = 10 * SECOND_US
#: Percentiles are exact up to so many different samples in a period; further ones count as the nearest.
VALUES_MAX = 50

Dimensions = tuple[tuple[str, str], ...]
_START = attrgetter("start_us")


def dimensions_of(given: Iterable[Mapping[str, str]] | None) -> Dimensions:
    """Dimensions as the API states them, as sorted pairs."""
    return tuple(sorted((each["Name"], each["Value"]) for each in given or ()))


def series_key(namespace: str, name: str, dimensions: Dimensions) -> str:
    """What a series is known by in `State.series`."""
    return "\t".join((namespace, name, *(f"{key}={value}" for key, value in dimensions)))


def find(region: Region, namespace: str, name: str, dimensions: Dimensions, unit: str = "") -> Series | None:
    """A metric's series; None where it has no datapoint, or all have another unit."""
    series = region.state.series.get(series_key(namespace, name, dimensions))
    if series and unit and "None" not in {unit, series.unit} and unit != series.unit:
        return None
    return series


def sample(total: float, count: float = 1.0, low: float | None = None, high: float | None = None) -> Statistic:
    """Samples summed up; a single one is its own smallest and largest."""
    low, high = total / count if low is None else low, total / count if high is None else high
    values = [(low, count)] if low == high or count == 1 else []
    return Statistic(start_us=0, total=total, count=count, low=low, high=high, values=values)


def record(
    region: Region,
    namespace: str,
    name: str,
    dimensions: Dimensions,
    samples: Statistic,
    *,
    at_us: int,
    resolution_us: int = MINUTE_US,
    unit: str = "",
) -> None:
    """Add samples to a metric.

    Args:
        region: Where.
        namespace: The metric's.
        name: The metric's.
        dimensions: Sorted by name.
        samples: What is added; becomes part of the store.
        at_us: When they were taken.
        resolution_us: Of which length the periods are that samples are summed up by.
        unit: CloudWatch's name of a unit; empty where it is not known.
    """
    if not region.state.series:
        region.at(region.now_us + HOUR_US, "metrics-sweep")
    key = series_key(namespace, name, dimensions)
    series = region.state.series.get(key)
    if series is None:
        series = region.state.series[key] = Series(namespace=namespace, name=name, dimensions=dimensions)
    if unit:
        series.unit = unit
    samples.start_us = at_us - at_us % resolution_us
    points = series.statistics
    if not points or points[-1].start_us < samples.start_us:
        points.append(samples)
    else:
        index = bisect_left(points, samples.start_us, key=_START)
        if points[index].start_us == samples.start_us:
            merge(points[index], samples)
        else:
            insort(points, samples, key=_START)
    limit = _limit(series)
    if len(points) > limit + limit // 8:
        del points[: len(points) - limit]


def merge(into: Statistic, other: Statistic) -> None:
    """Add a statistic's samples to another's."""
    known = bool(into.values) and bool(other.values)
    into.total += other.total
    into.count += other.count
    into.low = min(into.low, other.low)
    into.high = max(into.high, other.high)
    if not known:
        into.values = []
        return
    for value, count in other.values:
        _count_in(into.values, value, count)


def _count_in(values: list[tuple[float, float]], value: float, count: float) -> None:
    index = bisect_left(values, (value,))
    if index < len(values) and values[index][0] == value:
        values[index] = (value, values[index][1] + count)
    elif len(values) < VALUES_MAX:
        values.insert(index, (value, count))
    else:
        near = min(
            (each for each in (index - 1, index) if 0 <= each < len(values)), key=lambda at: abs(values[at][0] - value)
        )
        values[near] = (values[near][0], values[near][1] + count)


def windows(series: Series | None, end_us: int, period_us: int, count: int) -> list[Statistic | None]:
    """A metric by periods, the newest first; None where one has no sample.

    Takes as long as there are datapoints in these periods, however many are kept.

    Args:
        series: The metric.
        end_us: When the newest period ends.
        period_us: How long one is.
        count: How many.
    """
    found: list[Statistic | None] = [None] * count
    if series is None:
        return found
    points = series.statistics
    begin_us = end_us - count * period_us
    for index in range(bisect_left(points, end_us, key=_START) - 1, -1, -1):
        point = points[index]
        if point.start_us < begin_us:
            break
        place = (end_us - 1 - point.start_us) // period_us
        have = found[place]
        if have is None:
            found[place] = point
        else:
            # A copy: what is in the store must stay as it is.
            summed = Statistic(point.start_us, point.total, point.count, point.low, point.high, list(point.values))
            merge(summed, have)
            found[place] = summed
    return found


def read(samples: Statistic, statistic: str) -> float | None:
    """A statistic such as `Average` or `p99.9`; None where it is not known."""
    match statistic:
        case "Average":
            return samples.total / samples.count if samples.count else None
        case "Sum":
            return samples.total
        case "Minimum":
            return samples.low
        case "Maximum":
            return samples.high
        case "SampleCount":
            return samples.count
    return _percentile(samples, float(statistic[1:]))


def is_statistic(text: str) -> bool:
    """Whether `read` knows a statistic."""
    if text in {"Average", "Sum", "Minimum", "Maximum", "SampleCount"}:
        return True
    number = text[1:].replace(".", "", 1)
    return text[:1] == "p" and number.isdecimal() and text[1].isdecimal() and 0 <= float(text[1:]) <= 100


def _percentile(samples: Statistic, percent: float) -> float | None:
    wanted, seen = samples.count * percent / 100, 0.0
    for value, count in samples.values:
        seen += count
        if seen >= wanted:
            return value
    return samples.values[-1][0] if samples.values else None


def _limit(series: Series) -> int:
    single = len(series.dimensions) == 1 and series.dimensions[0][0] == "InstanceId"
    return INSTANCE_POINTS_MAX if single else POINTS_MAX


@timer("metrics-sweep")
def sweep(region: Region) -> None:
    """Forget metrics whose last datapoint is too old; look again in an hour."""
    kept = region.state.series
    for key, series in list(kept.items()):
        if series.statistics[-1].start_us < region.now_us - _limit(series) * MINUTE_US:
            del kept[key]
    if kept:
        region.at(region.now_us + HOUR_US, "metrics-sweep")


@fact(Measured)
def measured(region: Region, given: Measured) -> None:
    """Take a datapoint in. What EC2 tells of an instance counts for its group too, once the instance is warm."""
    single = given.count == 1
    low, high = (given.total, given.total) if single else (given.low, given.high)
    told = sample(given.total, given.count, low, high)
    _keep(region, given, given.dimensions, told)
    if given.namespace == "AWS/EC2" and len(given.dimensions) == 1 and given.dimensions[0][0] == "InstanceId":
        instance = region.state.instances.get(given.dimensions[0][1])
        group = region.state.groups.get(instance.group) if instance else None
        if instance and group and _counts(region, group, group.members.get(instance.instance_id)):
            again = sample(given.total, given.count, low, high)
            _keep(region, given, (("AutoScalingGroupName", group.name),), again)


def _keep(region: Region, given: Measured, dimensions: Dimensions, told: Statistic) -> None:
    record(region, given.namespace, given.name, dimensions, told, at_us=region.now_us, resolution_us=MEASURED_US)


def _counts(region: Region, group: Group, member: Member | None) -> bool:
    if member is None or member.lifecycle != "InService" or member.in_service_us is None:
        return False
    return member.in_service_us + warmup_s(group) * SECOND_US <= region.now_us


def warmup_s(group: Group) -> int:
    """How long a new instance is outside its group's metrics, in seconds.

    The group's own warmup; without one the longest of its policies', and none where nothing scales by a metric.
    """
    if group.warmup_s is not None:
        return group.warmup_s
    scaling = [policy for policy in group.policies.values() if policy.kind in {"StepScaling", "TargetTrackingScaling"}]
    return max((policy.given.get("EstimatedInstanceWarmup", group.cooldown_s) for policy in scaling), default=0)


@operation("cloudwatch", "PutMetricData")
def put(region: Region, request: Request) -> Answer:
    """Publish datapoints. Namespaces of AWS are taken too, so that a scenario can be a service that is not there."""
    data = list(request.get("MetricData") or ())
    for entity in request.get("EntityMetricData") or ():
        data += entity.get("MetricData") or ()
    namespace = request["Namespace"]
    if namespace.startswith(":"):
        raise ServiceError("InvalidParameterValue", f"The value {namespace} for parameter Namespace is invalid.")
    if not data:
        raise ServiceError("MissingParameter", "The parameter MetricData is required.")
    read_data = [_datum(region, datum, f"MetricData.member.{index}") for index, datum in enumerate(data, 1)]
    for datum, samples in zip(data, read_data, strict=True):
        record(
            region,
            namespace,
            datum["MetricName"],
            dimensions_of(datum.get("Dimensions")),
            samples,
            at_us=datum.get("Timestamp", region.now_us),
            resolution_us=SECOND_US if datum.get("StorageResolution") == 1 else MINUTE_US,
            unit=datum.get("Unit", ""),
        )
    return {}


def _datum(region: Region, datum: Mapping[str, Any], name: str) -> Statistic:
    """A datum's samples.

    Raises:
        ServiceError: It is none.
    """
    stated = [each for each in ("Value", "Values", "StatisticValues") if datum.get(each) is not None]
    if len(stated) > 1:
        raise ServiceError(
            "InvalidParameterCombination",
            f"The parameters {name}.{stated[0]} and {name}.{stated[1]} are mutually exclusive and you have specified "
            "both.",
        )
    at_us = datum.get("Timestamp", region.now_us)
    if at_us < region.now_us - 14 * 24 * HOUR_US:
        raise _invalid(f"The parameter {name}.Timestamp must specify a time no more than two weeks in the past.")
    if at_us > region.now_us + 2 * HOUR_US:
        raise _invalid(f"The parameter {name}.Timestamp must specify a time no more than two hours in the future.")
    match stated:
        case ["Value"]:
            return sample(_number(datum["Value"], f"{name}.Value"))
        case ["StatisticValues"]:
            return _set(datum["StatisticValues"], f"{name}.StatisticValues")
        case ["Values"]:
            return _counted(datum, name)
    raise ServiceError(
        "MissingParameter", f"At least one of {name}.Value, {name}.Values and {name}.StatisticValues must be specified."
    )


def _set(given: Mapping[str, float], name: str) -> Statistic:
    total, count, low, high = (
        _number(given[key], f"{name}.{key}") for key in ("Sum", "SampleCount", "Minimum", "Maximum")
    )
    if count <= 0:
        raise _invalid(f"The value {count:g} for parameter {name}.SampleCount is invalid.")
    if low > high:
        raise _invalid(f"The parameter {name}.Maximum must be greater than {name}.Minimum.")
    return sample(total, count, low, high)


def _counted(datum: Mapping[str, Any], name: str) -> Statistic:
    values = [_number(value, f"{name}.Values") for value in datum["Values"]]
    counts = [_number(count, f"{name}.Counts") for count in datum.get("Counts") or [1.0] * len(values)]
    if not values or len(counts) != len(values):
        raise _invalid(f"The parameters {name}.Values and {name}.Counts must be of the same size.")
    if min(counts) <= 0:
        raise _invalid(f"The value {min(counts):g} for parameter {name}.Counts is invalid.")
    summed = sample(values[0] * counts[0], counts[0], values[0], values[0])
    for value, count in zip(values[1:], counts[1:], strict=True):
        merge(summed, sample(value * count, count, value, value))
    return summed


def _number(value: float, name: str) -> float:
    if not math.isfinite(value) or abs(value) > 2.0**360:
        raise _invalid(f"The value {value} for parameter {name} is invalid.")
    return float(value)


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", message)
