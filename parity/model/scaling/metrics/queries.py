"""Metric data queries: metrics and math over them, as alarms, target tracking and GetMetricData state them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.metrics import expressions
from parity.model.scaling.metrics import store as metrics
from parity.model.scaling.region import Region
from parity.model.scaling.state import SECOND_US

Query = Mapping[str, Any]
#: Periods that CloudWatch has beside multiples of a minute.
SHORT_PERIODS_S = (1, 5, 10, 20, 30)


def check(queries: Sequence[Query]) -> None:
    """Look a list of queries over.

    Raises:
        ServiceError: An id stands twice, a query is not one of a metric and an expression, or names what is not there.
    """
    ids: set[str] = set()
    for query in queries:
        name = query["Id"]
        if name in ids:
            raise _refused(f"The values for parameter id in MetricDataQuery objects are not unique: {name}")
        ids.add(name)
    for query in queries:
        if query.get("Expression") and query.get("MetricStat"):
            raise _refused(
                "The parameters MetricDataQuery Expression and MetricStat are mutually exclusive and you have "
                "specified both."
            )
        if query.get("MetricStat"):
            _check_metric(query["MetricStat"])
        elif query.get("Expression"):
            _check_expression(query["Expression"], ids)
        else:
            raise _refused("You must specify either Expression or MetricStat in a MetricDataQuery.")
    for query in queries:
        _depends(query, {each["Id"]: each for each in queries}, ())


def _check_metric(stat: Mapping[str, Any]) -> None:
    if not (stat["Metric"].get("Namespace") and stat["Metric"].get("MetricName")):
        raise _refused("The parameters Namespace and MetricName are required for a metric")
    if not metrics.is_statistic(stat["Stat"]):
        raise _refused(f"Invalid statistic: {stat['Stat']}")
    period_of(stat.get("Period", 60))


def _check_expression(expression: str, ids: set[str]) -> None:
    if missing := expressions.names_in(expressions.parsed(expression)) - ids:
        raise _refused(f"Error in expression '{expression}': Unknown identifier '{min(missing)}'")


def _depends(query: Query, queries: Mapping[str, Query], trail: tuple[str, ...]) -> None:
    if query["Id"] in trail:
        raise _refused(f"Expression for metric {query['Id']} refers to itself")
    if expression := query.get("Expression"):
        for name in expressions.names_in(expressions.parsed(expression)):
            _depends(queries[name], queries, (*trail, query["Id"]))


def period_of(period_s: int) -> int:
    """A period that is one, in seconds.

    Raises:
        ServiceError: It is not.
    """
    if period_s not in SHORT_PERIODS_S and (period_s <= 0 or period_s % 60):
        raise _refused("Period must be 1, 5, 10, 20, 30 or a multiple of 60")
    return period_s


def periods_in(queries: Sequence[Query]) -> list[int]:
    """The periods of the metrics that are queried, in seconds; without those of expressions."""
    return [query["MetricStat"].get("Period", 60) for query in queries if query.get("MetricStat")]


def points(
    region: Region, given: Mapping[str, Any], statistic: str, *, end_us: int, period_s: int, count: int
) -> list[float | None]:
    """A metric's datapoints, the newest first; None where there is none.

    Args:
        region: Where.
        given: `Namespace`, `MetricName`, `Dimensions` and `Unit`, as the API has them.
        statistic: Such as `Average` or `p99`.
        end_us: When the newest period ends.
        period_s: How long one is.
        count: How many.
    """
    dimensions = metrics.dimensions_of(given.get("Dimensions"))
    series = metrics.find(region, given["Namespace"], given["MetricName"], dimensions, given.get("Unit") or "")
    found = metrics.windows(series, end_us, period_s * SECOND_US, count)
    return [None if samples is None else metrics.read(samples, statistic) for samples in found]


def resolve(
    region: Region, queries: Sequence[Query], wanted: str, *, end_us: int, period_s: int, count: int
) -> list[float | None]:
    """The datapoints of one of several queries, the newest first; None where there is none.

    Args:
        region: Where.
        queries: All that it may lean on, as `check` let them through.
        wanted: Its id.
        end_us: When the newest period ends.
        period_s: How long one is, whatever the queries say.
        count: How many.
    """
    by_id = {query["Id"]: query for query in queries}

    def answer(name: str) -> list[float | None]:
        query = by_id[name]
        if stat := query.get("MetricStat"):
            unit = {"Unit": stat.get("Unit")}
            return points(
                region, {**stat["Metric"], **unit}, stat["Stat"], end_us=end_us, period_s=period_s, count=count
            )
        tree = expressions.parsed(query["Expression"])
        used = {each: answer(each) for each in expressions.names_in(tree)}
        return expressions.evaluate(tree, used, count)

    return answer(wanted)


def _refused(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)
