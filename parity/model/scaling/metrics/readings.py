"""Reading metrics: GetMetricData, GetMetricStatistics, ListMetrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.metrics import queries
from parity.model.scaling.metrics import store as metrics
from parity.model.scaling.metrics.store import HOUR_US, MINUTE_US
from parity.model.scaling.paging import page
from parity.model.scaling.region import Answer, Region, Request, operation
from parity.model.scaling.state import SECOND_US, Series

LISTED_MAX = 500
DATAPOINTS_MAX = 1440
#: Of one query of GetMetricData; more than a metric can have.
PERIODS_MAX = 100_800


@operation("cloudwatch", "ListMetrics", reads=True)
def list_metrics(region: Region, request: Request) -> Answer:
    """The metrics there are."""
    since_us = region.now_us - 3 * HOUR_US if request.get("RecentlyActive") else 0
    wanted = [(each["Name"], each.get("Value")) for each in request.get("Dimensions") or ()]
    found = [
        series
        for _, series in sorted(region.state.series.items())
        if request.get("Namespace") in {None, series.namespace}
        and request.get("MetricName") in {None, series.name}
        and _has(series, wanted)
        and series.statistics[-1].start_us >= since_us
    ]
    chosen, token = page(found, token=request.get("NextToken"), limit=LISTED_MAX, key=_key)
    listed = [
        {"Namespace": series.namespace, "MetricName": series.name, "Dimensions": _dimensions(series)}
        for series in chosen
    ]
    return {"Metrics": listed} | ({"NextToken": token} if token else {})


def _key(series: Series) -> str:
    return metrics.series_key(series.namespace, series.name, series.dimensions)


def _has(series: Series, wanted: Sequence[tuple[str, str | None]]) -> bool:
    have = dict(series.dimensions)
    return all(name in have and value in {None, have[name]} for name, value in wanted)


def _dimensions(series: Series) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in series.dimensions]


@operation("cloudwatch", "GetMetricStatistics", reads=True)
def get_statistics(region: Region, request: Request) -> Answer:
    """A metric's statistics over a time, by periods."""
    plain, extended = request.get("Statistics") or [], request.get("ExtendedStatistics") or []
    _check_statistics(plain, extended)
    period_us = queries.period_of(request["Period"]) * SECOND_US
    begin_us, end_us, count = _span(request, period_us)
    if count > DATAPOINTS_MAX:
        raise ServiceError(
            "InvalidParameterCombination",
            f"You have requested up to {count:,} datapoints, which exceeds the limit of {DATAPOINTS_MAX:,}. You may "
            "reduce the datapoints requested by increasing Period, or decreasing the time range.",
        )
    dimensions = metrics.dimensions_of(request.get("Dimensions"))
    series = metrics.find(region, request["Namespace"], request["MetricName"], dimensions, request.get("Unit") or "")
    datapoints: list[dict[str, Any]] = []
    for index, samples in enumerate(reversed(metrics.windows(series, end_us, period_us, count))):
        if series and samples:
            point: dict[str, Any] = {"Timestamp": begin_us + index * period_us, "Unit": series.unit}
            point |= {name: metrics.read(samples, name) for name in plain}
            known = {name: value for name in extended if (value := metrics.read(samples, name)) is not None}
            datapoints.append(point | ({"ExtendedStatistics": known} if extended else {}))
    return {"Label": request["MetricName"], "Datapoints": datapoints}


def _check_statistics(plain: Sequence[str], extended: Sequence[str]) -> None:
    if bool(plain) == bool(extended):
        code, text = (
            ("InvalidParameterCombination", "The parameters Statistics and ExtendedStatistics are mutually exclusive.")
            if plain
            else ("MissingParameter", "Must specify either Statistics or ExtendedStatistics.")
        )
        raise ServiceError(code, text)
    if unknown := [name for name in (*plain, *extended) if not metrics.is_statistic(name)]:
        raise ServiceError(
            "InvalidParameterValue", f"The value {unknown[0]} for parameter Statistics is not supported."
        )


def _span(request: Request, period_us: int) -> tuple[int, int, int]:
    """Begin and end of whole periods, and how many there are."""
    if request["StartTime"] >= request["EndTime"]:
        raise ServiceError(
            "InvalidParameterCombination", "The parameter StartTime must be less than the parameter EndTime."
        )
    # CloudWatch rounds the start down to the minute, and so do periods of less.
    align_us = max(period_us, MINUTE_US)
    begin_us = request["StartTime"] - request["StartTime"] % align_us
    count = -(-(request["EndTime"] - begin_us) // period_us)
    return begin_us, begin_us + count * period_us, count


@operation("cloudwatch", "GetMetricData", reads=True)
def get_data(region: Region, request: Request) -> Answer:
    """Datapoints of metrics, and of math over them."""
    asked = request["MetricDataQueries"]
    queries.check(asked)
    newest_first = request.get("ScanBy") != "TimestampAscending"
    results = []
    for query in asked:
        if query.get("ReturnData", True):
            period_s = _period_of(query, asked)
            _, end_us, count = _span(request, period_s * SECOND_US)
            if count > PERIODS_MAX:
                raise ServiceError("ValidationError", f"A query can have {PERIODS_MAX:,} datapoints, not {count:,}.")
            values = queries.resolve(region, asked, query["Id"], end_us=end_us, period_s=period_s, count=count)
            told = [
                (end_us - (index + 1) * period_s * SECOND_US, value)
                for index, value in enumerate(values)
                if value is not None
            ]
            told = told if newest_first else told[::-1]
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label") or _label(query),
                    "Timestamps": [at_us for at_us, _ in told],
                    "Values": [value for _, value in told],
                    "StatusCode": "Complete",
                }
            )
    return {"MetricDataResults": results, "Messages": []}


def _label(query: queries.Query) -> str:
    stat = query.get("MetricStat")
    return str(stat["Metric"]["MetricName"]) if stat else str(query["Id"])


def _period_of(query: queries.Query, asked: Sequence[queries.Query]) -> int:
    """An expression has the period that it states, or the longest of the metrics."""
    if stat := query.get("MetricStat"):
        return queries.period_of(stat["Period"])
    return queries.period_of(query.get("Period") or max(queries.periods_in(asked), default=60))
